#!/usr/bin/env python3
"""Compares the sensor's IEC 104 events with another dissector, field by field.

    oracle_iec104.py SENSOR [SHARED] [-k CAPTURE]

SENSOR is the sensor's program. SHARED is the folder of captures and reference results (default: the environment
variable MILLRACE_SHARED, else ../shared beside the source root); without it nothing is compared, and the script
says so and exits 77. Oracles: tshark's counts of formats, types and causes (corpus/truth); and, where a tshark is
installed, every field and value that it reads of the same captures.

A difference that the specification explains stands in EXPLAINED with its reason. Any other makes the exit code 1.
"""
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "harness"))
from oracle import Corpus, Table, counts_by_text as counts   # noqa: E402
from tshark import read_time, single   # noqa: E402

# (oracle, capture or '*', field) -> why the two differ.
EXPLAINED = {
    ('fields', '*', 'iec60870_asdu.ioa'):
        'behind SQ tshark gives the first address of a sequence only, we give that of every element '
        '(60870-5-101 7.2.2.1)',
    ('fields', 'ndpi__IEC104.pcap', 'iec60870_asdu.cp56time'):
        'the times are marked as summer time: tshark subtracts the hour, we show what the clock shows and say '
        'summer_time (60870-5-101 7.2.6.18)',
}


FORMATS = {'I': 0, 'S': 1, 'U': 3}


def swapped(text):
    """tshark reads bit strings high octet first; bit 1 is in the first octet (60870-5-101 7.2.6.13)."""
    return struct.unpack('<I', struct.pack('>I', int(text, 0)))[0]


def of_apdus(name, convert=lambda value: value):
    return lambda apdus: [convert(apdu[name]) for apdu in apdus if name in apdu]


def of_objects(name, types=None, convert=lambda value: value):
    """The values of a key of information objects, of the types given."""
    return lambda apdus: [convert(item[name]) for apdu in apdus for item in apdu.get('objects', ())
                          if name in item and (types is None or apdu['type_id_code'] in types)]


FLOATS = {13, 14, 36, 50, 63, 112}
NORMALISED = {9, 10, 21, 34, 48, 61, 110}
SCALED = {11, 12, 35, 49, 62, 111}
BITS = {7, 8, 33, 51, 64}

# tshark's field -> how to read one value of it; the same values of ours.
FIELDS = {
    'iec60870_104.type': (lambda text: int(text, 0), of_apdus('apci_type', FORMATS.get)),
    'iec60870_104.utype': (lambda text: int(text, 0), of_apdus('u_function_code', lambda code: code >> 2)),
    'iec60870_104.apdulen': (int, of_apdus('apdu_len')),
    'iec60870_104.tx': (int, of_apdus('ssn')),
    'iec60870_104.rx': (int, of_apdus('rsn')),
    'iec60870_asdu.typeid': (int, of_apdus('type_id_code')),
    'iec60870_asdu.numix': (int, of_apdus('nobj')),
    'iec60870_asdu.sq': (lambda text: text in ('1', 'True'), of_apdus('sq')),
    'iec60870_asdu.causetx': (int, of_apdus('cot_code')),
    'iec60870_asdu.nega': (lambda text: text in ('1', 'True'), of_apdus('pn')),
    'iec60870_asdu.test': (lambda text: text in ('1', 'True'), of_apdus('test')),
    'iec60870_asdu.oa': (int, of_apdus('originator_address')),
    'iec60870_asdu.addr': (int, of_apdus('common_address')),
    'iec60870_asdu.ioa': (int, of_objects('obj_addr')),
    'iec60870_asdu.siq': (lambda text: int(text, 0), of_objects('siq')),
    'iec60870_asdu.diq': (lambda text: int(text, 0), of_objects('diq')),
    'iec60870_asdu.qds': (lambda text: int(text, 0), of_objects('qds')),
    'iec60870_asdu.vti.v': (int, of_objects('value', {5, 6, 32})),
    'iec60870_asdu.float': (single, of_objects('value', FLOATS, single)),
    'iec60870_asdu.normval': (single, of_objects('value', NORMALISED, single)),
    'iec60870_asdu.scalval': (int, of_objects('value', SCALED)),
    'iec60870_asdu.bitstring': (swapped, of_objects('value', BITS)),
    'iec60870_asdu.bcr.count': (int, of_objects('value', {15, 16, 37})),
    'iec60870_asdu.sco': (lambda text: int(text, 0), of_objects('sco')),
    'iec60870_asdu.dco': (lambda text: int(text, 0), of_objects('dco')),
    'iec60870_asdu.rco': (lambda text: int(text, 0), of_objects('rco')),
    'iec60870_asdu.qos': (lambda text: int(text, 0), of_objects('qos')),
    'iec60870_asdu.qoi': (int, of_objects('qoi')),
    'iec60870_asdu.coi': (lambda text: int(text, 0), of_objects('coi')),
    'iec60870_asdu.cp56time': (read_time, of_objects('timestamp', None, lambda text: text[:23])),
}


def compare_truth(table, capture, services, apdus):
    for protocol in ('iec60870_104', 'iec60870_asdu'):
        for field, values in services.get(protocol, {}).items():
            theirs = {str(value): count for value, count in sorted(values.items())}
            table.add('truth', capture, field, theirs, counts(FIELDS[field][1](apdus)))


def compare_fields(table, capture, path, apdus):
    """Every value that a tshark reads of the capture."""
    separator = '|'
    command = ['tshark', '-r', path, '-Y', 'iec60870_104', '-T', 'fields', '-E', f'aggregator={separator}']
    for field in FIELDS:
        command += ['-e', field]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=600, check=False,
                          env={**os.environ, 'TZ': 'UTC'})
    seen = {field: [] for field in FIELDS}
    for line in done.stdout.decode(errors='replace').splitlines():
        for field, cell in zip(FIELDS, line.split('\t')):
            seen[field] += [value for value in cell.split(separator) if value]
    for field, (read, ours) in FIELDS.items():
        theirs = counts(read(value) for value in seen[field])
        mine = counts(ours(apdus))
        if theirs or mine:
            table.add('fields', capture, field, theirs, mine)


def main():
    corpus = Corpus(__doc__)
    table = Table(EXPLAINED)
    if shutil.which('tshark') is None:
        print('oracle_iec104: no tshark is installed: counts are compared, values are not')
    for capture, services in corpus.services('iec60870_104').items():
        events = corpus.events(capture, 'app-layer.protocols.iec104.log-supervisory=yes')
        apdus = [event['iec104'] for event in events if event['event_type'] == 'iec104' and 'apci_type' in event['iec104']]
        compare_truth(table, capture, services, apdus)
        if shutil.which('tshark') is not None:
            compare_fields(table, capture, corpus.path('captures', capture), apdus)
    return table.end()


if __name__ == '__main__':
    sys.exit(main())
