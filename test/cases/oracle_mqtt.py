#!/usr/bin/env python3
"""Compares the sensor's MQTT events with independent decoders.

    oracle_mqtt.py SENSOR [SHARED] [-k CAPTURE]

SENSOR is the sensor's program. SHARED is the folder of captures and reference results (default: the environment
variable MILLRACE_SHARED, else ../shared beside the source root); without it nothing is compared, and the script
says so and exits 77. Oracles: tshark's counts of control packet types (corpus/truth), and Zeek's logs of connects,
subscriptions and publishes (corpus/oracles.tar.xz).

A difference that the specification explains stands in EXPLAINED with its reason. Any other makes the exit code 1.
"""
import collections
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "harness"))
from oracle import Corpus, Table, rows_of_log   # noqa: E402

TYPES = {name: number for number, name in enumerate(
    'unassigned connect connack publish puback pubrec pubrel pubcomp subscribe suback unsubscribe unsuback '
    'pingreq pingresp disconnect auth'.split())}
VERSIONS = {'3.1': 3, '3.1.1': 4, '5.0': 5}
QOS = {'at most once': 0, 'at least once': 1, 'exactly once': 2}
STATUS = {'Connection Accepted': 0}

# (oracle, capture or '*', field) -> why the two differ.
EXPLAINED = {}


def compare_tshark(table, capture, truth, events):
    ours = collections.Counter(TYPES[name] for event in events for name in event['mqtt'] if name in TYPES)
    theirs = {int(value): count for value, count in truth.get('mqtt.msgtype', {}).items()}
    table.add('tshark', capture, 'mqtt.msgtype', dict(sorted(theirs.items())), dict(sorted(ours.items())))


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
            table.add('zeek', capture, os.path.basename(path), log[0](rows_of_log(text)), log[1](events))


def main():
    corpus = Corpus(__doc__)
    truths = corpus.services('mqtt')
    logs = corpus.logs(truths, lambda path: os.path.basename(path) in ZEEK_LOGS)
    table = Table(EXPLAINED)
    for capture, truth in truths.items():
        events = [event for event in corpus.events(capture) if event['event_type'] == 'mqtt']
        compare_tshark(table, capture, truth['mqtt'], events)
        compare_zeek(table, capture, logs[capture], events)
    return table.end()


if __name__ == '__main__':
    sys.exit(main())
