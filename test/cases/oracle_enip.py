#!/usr/bin/env python3
"""Compares the sensor's EtherNet/IP and CIP events with independent decoders, field by field.

    oracle_enip.py SENSOR [SHARED] [-k CAPTURE]

SENSOR is the sensor's program. SHARED is the folder of captures and reference results (default: the environment
variable MILLRACE_SHARED, else ../shared beside the source root); without it nothing is compared, and the script
says so and exits 77. Oracles: tshark's counts of field values (corpus/truth), and the logs of ICSNPP-ENIP
(corpus/oracles.tar.xz).

A difference that the specification explains stands in EXPLAINED with its reason. Any other makes the exit code 1.
"""
import collections
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "harness"))
from oracle import Corpus, Table, counts, read_log   # noqa: E402

# (oracle, capture or '*', field) -> why the two differ.
EXPLAINED = {}


def halves(event):
    return [(half, event['enip'][half]) for half in ('request', 'response') if half in event['enip']]


def messages(events):
    """Every CIP message: (half, message), those inside others behind the one around them."""
    for event in events:
        for half, body in halves(event):
            stack = [body['cip']] if 'cip' in body else []
            while stack:
                message = stack.pop(0)
                yield half, message
                inner = message.get('multiple', [])
                stack = ([message['embedded']] if 'embedded' in message else []) + inner + stack


# ---- tshark ----

def compare_tshark(table, capture, truth, events):
    enip, cip = truth.get('enip', {}), truth.get('cip', {})
    ours = {
        'enip.command': (enip, counts(body['command_code'] for event in events for _, body in halves(event))),
        'cip.sc': (cip, counts(m['service_code'] for _, m in messages(events))),
        'cip.genstat': (cip, counts(m['status_code'] for half, m in messages(events) if 'status_code' in m)),
    }
    for field, (truths, mine) in ours.items():
        theirs = truths.get(field, {})
        mine = {str(key): count for key, count in mine.items()}
        if theirs or mine:
            table.add('tshark', capture, field, dict(sorted(theirs.items())), dict(sorted(mine.items())))


# ---- ICSNPP ----

# Columns of logs whose header the baselines leave out, from the end.
COLUMNS = {
    'enip.log': ['enip_command_code', 'enip_command', 'length', 'session_handle', 'enip_status', 'sender_context',
                 'options'],
    'cip.log': ['cip_sequence_count', 'direction', 'cip_service_code', 'cip_service', 'cip_status_code', 'cip_status',
                'cip_extended_status_code', 'cip_extended_status', 'class_id', 'class_name', 'instance_id',
                'attribute_id'],
    'cip_io.log': ['connection_id', 'sequence_number', 'data_length', 'io_data'],
    'cip_identity.log': ['encapsulation_version', 'socket_address', 'socket_port', 'vendor_id', 'vendor_name',
                         'device_type_id', 'device_type_name', 'product_code', 'revision', 'device_status',
                         'serial_number', 'product_name', 'device_state'],
}


def columns(name, row):
    wanted = COLUMNS[name]
    return dict(zip(wanted, row[-len(wanted):]))


def enip_rows(events):
    out = []
    for event in events:
        for _, body in halves(event):
            out.append((f'0x{body["command_code"]:02x}', str(body['length']), f'0x{body["session_handle"]:08x}',
                        '0x' + body['sender_context'], f'0x{body.get("options", 0):08x}'))
    return out


def cip_rows(events):
    """(sequence count, direction, service, status, class, instance, attribute), those of a packet with its count."""
    out = []
    for event in events:
        for half, body in halves(event):
            if 'cip' not in body:
                continue
            sequence = str(body['cip'].get('sequence_count', '-'))
            for message in [body['cip']] + body['cip'].get('multiple', []):
                number = lambda key: f'0x{message[key]:02x}' if key in message else '-'
                out.append((sequence, half, f'0x{message["service_code"]:02x}', number('status_code'),
                            number('class_id'), number('instance_id'), number('attribute_id')))
    return out


def io_rows(events):
    return [(f'0x{io["connection_id"]:08x}', str(io['sequence_number']), str(io['data_length']), io['data'])
            for io in (event['enip'].get('io', {}) for event in events) if 'data' in io]


def identity_rows(events):
    out = []
    for event in events:
        identity = event['enip'].get('response', {}).get('identity')
        if identity is not None:
            out.append((str(identity['protocol_version']), identity['socket_address'], str(identity['vendor_code']),
                        identity['vendor_id'], str(identity['device_type_code']), identity['device_type'],
                        str(identity['product_code']), identity['revision'], f'0x{identity["status"]:04x}',
                        f'0x{identity["serial"]:08x}', identity['product_name'], f'0x{identity["state"]:04x}'))
    return out


LOGS = {
    'enip.log': (enip_rows, ('enip_command_code', 'length', 'session_handle', 'sender_context', 'options')),
    'cip.log': (cip_rows, ('cip_sequence_count', 'direction', 'cip_service_code', 'cip_status_code', 'class_id',
                           'instance_id', 'attribute_id')),
    'cip_io.log': (io_rows, ('connection_id', 'sequence_number', 'data_length', 'io_data')),
    'cip_identity.log': (identity_rows, ('encapsulation_version', 'socket_address', 'vendor_id', 'vendor_name',
                                         'device_type_id', 'device_type_name', 'product_code', 'revision',
                                         'device_status', 'serial_number', 'product_name', 'device_state')),
}


def compare_icsnpp(table, capture, files, events):
    for path, text in files.items():
        name = os.path.basename(path)
        if name not in LOGS or 'icsnpp-enip' not in path:
            continue
        ours_of, keys = LOGS[name]
        theirs = collections.Counter(tuple(row[key].lower() if key in ('io_data',) else row[key] for key in keys)
                                     for row in (columns(name, row) for row in read_log(text)[1]))
        ours = collections.Counter(ours_of(events))
        table.add('icsnpp', capture, f'{name}: rows', sum(theirs.values()), sum(ours.values()))
        table.add('icsnpp', capture, f'{name}: only theirs', [], sorted(map(str, (theirs - ours).elements()))[:8])
        table.add('icsnpp', capture, f'{name}: only ours', [], sorted(map(str, (ours - theirs).elements()))[:8])


def main():
    corpus = Corpus(__doc__)
    truths = corpus.services('enip')
    logs = corpus.logs(truths, lambda path: 'icsnpp-enip' in path)
    table = Table(EXPLAINED)
    for capture, truth in truths.items():
        events = [event for event in corpus.events(capture, 'app-layer.protocols.enip.log-cyclic=all')
                  if event['event_type'] == 'enip']
        compare_tshark(table, capture, truth, events)
        compare_icsnpp(table, capture, logs[capture], events)
    return table.end()


if __name__ == '__main__':
    sys.exit(main())
