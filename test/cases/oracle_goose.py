#!/usr/bin/env python3
"""Compares the sensor's GOOSE and Sampled Values events with tshark, field by field.

    oracle_goose.py SENSOR [SHARED] [-k CAPTURE]

SENSOR is the sensor's program. SHARED is the folder of captures and reference results (default: the environment
variable MILLRACE_SHARED, else ../shared beside the source root); without it nothing is compared, and the script
says so and exits 77. Oracles: tshark's counts of field values (corpus/truth) and, where a tshark is installed, its
fields of every message. Every message becomes a record for this (`messages: all`); a second run with the defaults
must not lose a state.

A difference that the specification explains stands in EXPLAINED with its reason. Any other makes the exit code 1.
"""
import collections
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "harness"))
from oracle import Corpus, Table   # noqa: E402

ALL = ('app-layer.protocols.goose.log-cyclic=all', 'app-layer.protocols.sv.log-cyclic=all')

# (oracle, capture or '*', field) -> why the two differ. So far nothing does.
EXPLAINED = {}

# tshark's field -> where it stands in our record; a list gives one value for each entry.
GOOSE = {
    'goose.appid': lambda r: r['appid'],
    'goose.length': lambda r: r['length'],
    'goose.gocbRef': lambda r: r['gocbRef'],
    'goose.timeAllowedtoLive': lambda r: r['timeAllowedtoLive'],
    'goose.datSet': lambda r: r['datSet'],
    'goose.goID': lambda r: r['goID'],
    'goose.stNum': lambda r: r['stNum'],
    'goose.sqNum': lambda r: r['sqNum'],
    'goose.simulation': lambda r: r['simulation'],
    'goose.confRev': lambda r: r['confRev'],
    'goose.ndsCom': lambda r: r['ndsCom'],
    'goose.numDatSetEntries': lambda r: r['numDatSetEntries'],
    'goose.boolean': lambda r: values(r, 'boolean'),
    'goose.bit_string': lambda r: [bits(v) for v in values(r, 'bit-string')],
    'goose.integer': lambda r: values(r, 'integer'),
    'goose.unsigned': lambda r: values(r, 'unsigned'),
    'goose.octet_string': lambda r: values(r, 'octet-string'),
    'goose.visible_string': lambda r: values(r, 'visible-string'),
}
SV = {
    'sv.appid': lambda r: r['appid'],
    'sv.length': lambda r: r['length'],
    'sv.noASDU': lambda r: r['noASDU'],
    'sv.svID': lambda r: asdus(r, 'svID'),
    'sv.smpCnt': lambda r: asdus(r, 'smpCnt'),
    'sv.confRev': lambda r: asdus(r, 'confRev'),
    'sv.smpSynch': lambda r: [{'none': 0, 'local': 1, 'global': 2}.get(v, v) for v in asdus(r, 'smpSynch')],
    'sv.smpRate': lambda r: asdus(r, 'smpRate'),
    'sv.datSet': lambda r: asdus(r, 'datSet'),
    'sv.seqData': lambda r: [sample(asdu) for asdu in r['asdu'] if sample(asdu)],
}


def values(record, kind):
    return [entry['value'] for entry in record.get('allData', []) if entry['type'] == kind]


def bits(text):
    """A string of 0 and 1 as the bytes it came from, in hex."""
    whole = text.ljust((len(text) + 7) // 8 * 8, '0')
    return ''.join(f'{int(whole[i:i + 8], 2):02x}' for i in range(0, len(whole), 8))


def asdus(record, name):
    return [asdu[name] for asdu in record.get('asdu', []) if name in asdu]


QUALITY = {name: 1 << bit for bit, name in enumerate(
    ('overflow', 'out_of_range', 'bad_reference', 'oscillatory', 'failure', 'old_data', 'inconsistent', 'inaccurate',
     'substituted', 'test', 'operator_blocked', 'derived'), 2)}
VALIDITY = {'good': 0, 'invalid': 1, 'reserved': 2, 'questionable': 3}


def sample(asdu):
    """The bytes that the channels were made of, in hex."""
    if 'sample' in asdu:
        return asdu['sample']
    return ''.join(f"{channel['value'] & 0xffffffff:08x}"
                   f"{VALIDITY[channel['validity']] | sum(QUALITY[q] for q in channel.get('quality', [])):08x}"
                   for channel in asdu.get('channels', []))


def records(events, proto):
    """(frame number, record) of every message."""
    return [(event['pcap_cnt'], event[proto]) for event in events
            if event['event_type'] == proto and event[proto]['reason'] != 'end']


def listed(record, field):
    """The values of one of tshark's fields in our record."""
    try:
        ours = (GOOSE.get(field) or SV[field])(record)
    except KeyError:
        return []
    return ours if isinstance(ours, list) else [ours]


def compare_counts(table, capture, truth, messages, proto):
    for field, theirs in truth['services'].get(proto, {}).items():
        mine = collections.Counter(str(value) for _, record in messages for value in listed(record, field))
        table.add('counts', capture, field, dict(sorted(theirs.items())), dict(sorted(mine.items())))
    table.add('counts', capture, 'messages', truth['protocols'].get(proto, 0), len(messages))


def tshark_fields(capture, fields, proto):
    """{frame number: {field: [values as text]}}"""
    command = ['tshark', '-r', capture, '-Y', proto, '-T', 'fields', '-E', 'separator=\t', '-E', 'aggregator=|',
               '-e', 'frame.number']
    for field in fields:
        command += ['-e', field]
    out = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=300, check=True).stdout
    rows = {}
    for line in out.decode(errors='replace').splitlines():
        cells = line.split('\t')
        rows[int(cells[0])] = {field: cell.split('|') if cell else [] for field, cell in zip(fields, cells[1:])}
    return rows


def same(theirs, ours):
    if isinstance(ours, bool):
        return theirs in (str(int(ours)), str(ours))
    if isinstance(ours, int):
        return int(theirs, 0) == ours
    return theirs.replace(':', '') == ours.replace(':', '')


def compare_fields(table, capture, path, messages, proto):
    wanted = GOOSE if proto == 'goose' else SV
    rows = tshark_fields(path, list(wanted), proto)
    for field in wanted:
        different = []
        for frame, record in messages:
            theirs, ours = rows.get(frame, {}).get(field, []), listed(record, field)
            if len(theirs) != len(ours) or not all(same(a, b) for a, b in zip(theirs, ours)):
                different.append((frame, theirs, ours))
        table.add('tshark', capture, f'{field} x {len(messages)}', [], different)


def compare_states(table, capture, corpus, messages):
    """With the defaults no state may be lost: each (publication, stNum) has a record."""
    told = {(r['gocbRef'], r['stNum']) for _, r in records(corpus.events(capture), 'goose')}
    table.add('own', capture, 'states told', sorted({(r['gocbRef'], r['stNum']) for _, r in messages}), sorted(told))


def main():
    corpus = Corpus(__doc__)
    if shutil.which('tshark') is None:
        print('oracle_goose: no tshark is installed: only the counts are compared')
    table = Table(EXPLAINED)
    for capture, truth in corpus.truths():
        for proto in ('goose', 'sv'):
            if proto not in truth['protocols']:
                continue
            messages = records(corpus.events(capture, *ALL), proto)
            compare_counts(table, capture, truth, messages, proto)
            if shutil.which('tshark') is not None:
                compare_fields(table, capture, corpus.path('captures', capture), messages, proto)
            if proto == 'goose':
                compare_states(table, capture, corpus, messages)
    return table.end()


if __name__ == '__main__':
    sys.exit(main())
