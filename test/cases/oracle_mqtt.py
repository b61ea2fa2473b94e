#!/usr/bin/env python3
"""Compares the sensor's MQTT events with independent decoders.

    oracle_mqtt.py SENSOR [SHARED] [-k CAPTURE]

SENSOR is the sensor's program. SHARED is the folder of captures and reference results (default: the environment
variable MILLRACE_SHARED, else ../shared beside the source root); without it nothing is compared, and the script
says so and exits 77. Oracles: tshark's counts of control packet types (corpus/truth), and Zeek's logs of connects,
subscriptions and publishes (corpus/oracles.tar.xz).

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

TYPES = {name: number for number, name in enumerate(
    'unassigned connect connack publish puback pubrec pubrel pubcomp subscribe suback unsubscribe unsuback '
    'pingreq pingresp disconnect auth'.split())}
VERSIONS = {'3.1': 3, '3.1.1': 4, '5.0': 5}
QOS = {'at most once': 0, 'at least once': 1, 'exactly once': 2}
STATUS = {'Connection Accepted': 0}

# (oracle, capture or '*', field) -> why the two differ.
EXPLAINED = {}


class Table:
    """One row for each field compared."""

    def __init__(self):
        self.rows = []
        self.failed = 0

    def add(self, oracle, capture, field, theirs, ours):
        verdict = 'agree'
        if theirs != ours:
            verdict = EXPLAINED.get((oracle, capture, field)) or EXPLAINED.get((oracle, '*', field))
            if verdict is None:
                verdict = 'DIFFERENT'
                self.failed += 1
        self.rows.append((oracle, capture, field, theirs, ours, verdict))

    def print(self):
        for oracle, capture, field, theirs, ours, verdict in self.rows:
            print(f'{oracle:8} {capture:60.60} {field:16} {verdict}')
            if verdict != 'agree':
                print(f'{"":8}     theirs {theirs}')
                print(f'{"":8}     ours   {ours}')
        agreed = sum(row[5] == 'agree' for row in self.rows)
        print(f'{len(self.rows)} fields compared: {agreed} agree, '
              f'{len(self.rows) - agreed - self.failed} differ with a reason, {self.failed} differ')


def run_sensor(sensor, capture):
    """The MQTT events of a capture, in the order written."""
    with tempfile.TemporaryDirectory() as out:
        done = subprocess.run([sensor, 'read', '-r', capture, '-k', 'none', '-l', out, '--set', 'dpdk.huge-pages=no'],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600, check=False)
        path = os.path.join(out, 'eve.json')
        if done.returncode != 0 or not os.path.exists(path):
            sys.exit(f'{sensor} read -r {capture}: exit code {done.returncode}\n{done.stdout.decode(errors="replace")}')
        with open(path, encoding='utf-8') as lines:
            events = [json.loads(line) for line in lines]
    return [event for event in events if event['event_type'] == 'mqtt']


def compare_tshark(table, capture, truth, events):
    ours = collections.Counter(TYPES[name] for event in events for name in event['mqtt'] if name in TYPES)
    theirs = {int(value): count for value, count in truth.get('mqtt.msgtype', {}).items()}
    table.add('tshark', capture, 'mqtt.msgtype', dict(sorted(theirs.items())), dict(sorted(ours.items())))


def read_log(text):
    """Rows of a Zeek log as dictionaries; unset fields are left out."""
    names, rows = [], []
    for line in text.splitlines():
        if line.startswith('#fields'):
            names = line.split('\t')[1:]
        elif line and not line.startswith('#'):
            rows.append({name: value for name, value in zip(names, line.split('\t')) if value != '-'})
    return rows


def connects(events):
    return sorted((e['src_port'], m['connect']['protocol_string'], m['connect']['protocol_version'],
                   m['connect']['client_id'], m.get('connack', {}).get('return_code'))
                  for e in events for m in [e['mqtt']] if 'connect' in m)


def subscriptions(events):
    return sorted((e['src_port'], tuple((t['topic'], t['qos']) for t in m['subscribe']['topics']), 'suback' in m)
                  for e in events for m in [e['mqtt']] if 'subscribe' in m)


def publishes(events):
    return sorted((e['src_port'], m['publish']['retain'], m['publish']['qos'], m['publish']['topic'],
                   m['publish']['message'], m['publish']['message_length'])
                  for e in events for m in [e['mqtt']] if 'publish' in m)


def zeek_connects(rows):
    return sorted((int(r['id.orig_p']), r['proto_name'], VERSIONS[r['proto_version']], r['client_id'],
                   STATUS.get(r['connect_status'])) for r in rows)


def zeek_subscriptions(rows):
    return sorted((int(r['id.orig_p']), tuple(zip(r['topics'].split(','), map(int, r['qos_levels'].split(',')))),
                   r['ack'] == 'T') for r in rows)


def zeek_publishes(rows):
    return sorted((int(r['id.orig_p']), r['retain'] == 'T', QOS[r['qos']], r['topic'], r['payload'],
                   int(r['payload_len'])) for r in rows)


ZEEK_LOGS = {
    'mqtt_connect.log': (zeek_connects, connects),
    'mqtt_subscribe.log': (zeek_subscriptions, subscriptions),
    'mqtt_publish.log': (zeek_publishes, publishes),
}


def compare_zeek(table, capture, files, events):
    for path, text in files.items():
        log = ZEEK_LOGS.get(os.path.basename(path))
        # The baselines with a cap on payloads are runs of another configuration.
        if log is not None and 'payload-cap' not in path:
            table.add('zeek', capture, os.path.basename(path), log[0](read_log(text)), log[1](events))


def read_oracles(path, captures):
    """capture -> {path: text} of Zeek's logs of MQTT."""
    out = collections.defaultdict(dict)
    if not os.path.exists(path):
        return out
    with tarfile.open(path) as archive:
        for member in archive:
            parts = member.name.split('/')
            if member.isfile() and len(parts) > 2 and parts[1] in captures and parts[-1] in ZEEK_LOGS:
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
        print(f'oracle_mqtt: skipped: no corpus in {args.shared}')
        return SKIPPED
    truths = {}
    for name in sorted(os.listdir(os.path.join(corpus, 'truth'))):
        with open(os.path.join(corpus, 'truth', name), encoding='utf-8') as text:
            services = json.load(text).get('services') or {}
        if 'mqtt' in services and (args.only is None or args.only in name):
            truths[name[:-len('.json')]] = services['mqtt']
    oracles = read_oracles(os.path.join(corpus, 'oracles.tar.xz'), truths)
    table = Table()
    for capture, truth in truths.items():
        events = run_sensor(args.sensor, os.path.join(corpus, 'captures', capture))
        compare_tshark(table, capture, truth, events)
        compare_zeek(table, capture, oracles[capture], events)
    table.print()
    return 1 if table.failed else 0


if __name__ == '__main__':
    sys.exit(main())
