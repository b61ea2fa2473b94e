#!/usr/bin/env python3
"""Compares the sensor's EtherNet/IP and CIP events with independent decoders, field by field.

    oracle_enip.py SENSOR [SHARED] [-k CAPTURE]

SENSOR is the sensor's program. SHARED is the folder of captures and reference results (default: the environment
variable MILLRACE_SHARED, else ../shared beside the source root); without it nothing is compared, and the script
says so and exits 77. Oracles: tshark's counts of field values (corpus/truth), and the logs of ICSNPP-ENIP
(corpus/oracles.tar.xz).

A difference that the specification explains stands in EXPLAINED with its reason. Any other makes the exit code 1.
"""
import argparse
import collections
import json
import os
import subprocess
import sys
import tarfile
import tempfile

SKIPPED = 77

# (oracle, capture or '*', field) -> why the two differ.
EXPLAINED = {}


class Table:
    """One row for each field compared."""

    def __init__(self):
        self.rows = []
        self.failed = 0

    def add(self, oracle, capture, field, theirs, ours):
        if theirs == ours:
            verdict = 'agree'
        else:
            verdict = EXPLAINED.get((oracle, capture, field)) or EXPLAINED.get((oracle, '*', field))
            if verdict is None:
                verdict = 'DIFFERENT'
                self.failed += 1
        self.rows.append((oracle, capture, field, theirs, ours, verdict))

    def print(self):
        for oracle, capture, field, theirs, ours, verdict in self.rows:
            if verdict == 'agree':
                print(f'{oracle:8} {capture:50.50} {field:24} agree      {short(theirs)}')
            else:
                print(f'{oracle:8} {capture:50.50} {field:24} {verdict}')
                print(f'{"":8}     theirs {short(theirs)}')
                print(f'{"":8}     ours   {short(ours)}')
        agreed = sum(row[5] == 'agree' for row in self.rows)
        print(f'{len(self.rows)} fields compared: {agreed} agree, '
              f'{len(self.rows) - agreed - self.failed} differ with a reason, {self.failed} differ')


def short(value):
    text = json.dumps(value, sort_keys=True, default=str)
    return text if len(text) <= 300 else text[:297] + '...'


def run_sensor(sensor, capture):
    """The EtherNet/IP events of a capture, in the order written, each packet of cyclic data among them."""
    with tempfile.TemporaryDirectory() as out:
        done = subprocess.run([sensor, 'read', '-r', capture, '-k', 'none', '-l', out, '--set', 'dpdk.huge-pages=no',
                               '--set', 'app-layer.protocols.enip.log-cyclic=all'], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=600, check=False)
        path = os.path.join(out, 'eve.json')
        if done.returncode != 0 or not os.path.exists(path):
            sys.exit(f'{sensor} read -r {capture}: exit code {done.returncode}\n{done.stdout.decode(errors="replace")}')
        with open(path, encoding='utf-8') as lines:
            events = [json.loads(line) for line in lines]
    return [event for event in events if event['event_type'] == 'enip']


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


def counts(values):
    return dict(sorted(collections.Counter(values).items()))


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

def read_log(text):
    """Rows of a Zeek log as dictionaries; unset fields are left out."""
    names, rows = None, []
    for line in text.splitlines():
        if line.startswith('#fields'):
            names = line.split('\t')[1:]
        elif line and not line.startswith('#'):
            rows.append(line.split('\t'))
    return names, rows


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


def read_oracles(path, captures):
    """capture -> {path: text} of the logs that are about EtherNet/IP."""
    out = collections.defaultdict(dict)
    if not os.path.exists(path):
        return out
    with tarfile.open(path) as archive:
        for member in archive:
            parts = member.name.split('/')
            if member.isfile() and len(parts) > 2 and parts[1] in captures and 'icsnpp-enip' in member.name:
                out[parts[1]][member.name] = archive.extractfile(member).read().decode(errors='replace')
    return out


def shared_folder():
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return os.environ.get('MILLRACE_SHARED', os.path.join(root, '..', 'shared'))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('sensor')
    parser.add_argument('shared', nargs='?', default=shared_folder())
    parser.add_argument('-k', dest='only', help='captures whose name has this in it')
    args = parser.parse_args()
    corpus = os.path.join(args.shared, 'corpus')
    if not os.path.isdir(os.path.join(corpus, 'truth')):
        print(f'oracle_enip: skipped: no corpus in {args.shared}')
        return SKIPPED
    truths = {}
    for name in sorted(os.listdir(os.path.join(corpus, 'truth'))):
        with open(os.path.join(corpus, 'truth', name), encoding='utf-8') as text:
            services = json.load(text).get('services') or {}
        if 'enip' in services and (args.only is None or args.only in name):
            truths[name[:-len('.json')]] = services
    oracles = read_oracles(os.path.join(corpus, 'oracles.tar.xz'), truths)
    table = Table()
    for capture, truth in truths.items():
        events = run_sensor(args.sensor, os.path.join(corpus, 'captures', capture))
        compare_tshark(table, capture, truth, events)
        compare_icsnpp(table, capture, oracles[capture], events)
    table.print()
    return 1 if table.failed else 0


if __name__ == '__main__':
    sys.exit(main())
