#!/usr/bin/env python3
"""Compares the sensor's MQTT events with independent decoders.

    oracle_mqtt.py SENSOR [SHARED] [-k CAPTURE]

SENSOR is the sensor's program. SHARED is the folder of captures and reference results (default: the environment
variable MILLRACE_SHARED, else ../shared beside the source root); without it nothing is compared, and the script
says so and exits 77. Oracles: tshark's counts of control packet types (corpus/truth), Zeek's logs of connects,
subscriptions and publishes (corpus/oracles.tar.xz), and, where a tshark is installed, the values that it reads of each
packet.

A difference that the specification explains stands in EXPLAINED with its reason. Any other makes the exit code 1.
"""
import collections
import os
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "harness"))
from oracle import Corpus, Table, rows_of_log   # noqa: E402
import tshark   # noqa: E402
from tshark import flags, numbers, texts   # noqa: E402

TYPES = {name: number for number, name in enumerate(
    'unassigned connect connack publish puback pubrec pubrel pubcomp subscribe suback unsubscribe unsuback '
    'pingreq pingresp disconnect auth'.split())}
VERSIONS = {'3.1': 3, '3.1.1': 4, '5.0': 5}
QOS = {'at most once': 0, 'at least once': 1, 'exactly once': 2}
STATUS = {'Connection Accepted': 0}

LIMIT = 16384
EVERYTHING = ('app-layer.protocols.mqtt.string-log-limit=16kb',)

RESERVED = 'in 3.1 the octet is reserved (3.1, 3.2); session present came with 3.1.1, and is false where it is 0'
NO_CONNECT = ('the capture begins behind the CONNECT: tshark takes the packets for 3.1.1 then, we see by their properties that they '
              'are of 5.0 (5.0, 3.2.2.3 and 3.3.2.3)')
# (oracle, capture or '*', field) -> why the two differ.
EXPLAINED = {
    ('values', '*', 'mqtt.conack.flags.sp'): RESERVED,
    **{('values', 'suriverify__mqtt-midstream-split-mqtt-midstream-split.pcap', field): NO_CONNECT
       for field in ('mqtt.msg', 'mqtt.msg: bytes', 'mqtt.prop_number', 'mqtt.prop_string')},
}


def compare_tshark(table, capture, truth, events):
    ours = collections.Counter(TYPES[name] for event in events for name in event['mqtt'] if name in TYPES)
    theirs = {int(value): count for value, count in truth.get('mqtt.msgtype', {}).items()}
    table.add('tshark', capture, 'mqtt.msgtype', dict(sorted(theirs.items())), dict(sorted(ours.items())))


# ---- every value that an installed tshark reads ----

class Packet:
    """One control packet of a transaction of ours."""

    def __init__(self, name, body):
        self.type, self.body = TYPES[name], body


def value(*path, types=None, convert=lambda found: found):
    def values(packet):
        return tshark.at_keys(packet.body, path, convert) if types is None or packet.type in types else []
    return values


def every(*path, types=None):
    return lambda packet: [one for found in value(*path, types=types)(packet) for one in found]


def topics(packet):
    found = packet.body.get('topics', ())
    return [entry['topic'] if isinstance(entry, dict) else entry for entry in found] + \
        ([packet.body['topic']] if 'topic' in packet.body else [])


def requested(packet):
    return [entry['qos'] for entry in packet.body.get('topics', ()) if isinstance(entry, dict)]


def properties(kind):
    """Values of one kind of all properties, in any order: ours have names, theirs numbers."""
    def values(packet):
        found = [*packet.body.get('properties', {}).values(), *packet.body.get('will', {}).get('properties', {}).values()]
        return sorted(one for one in found if isinstance(one, kind) and not isinstance(one, bool))
    return values


def fixed_flags(name):
    """Of other packets than a publish these bits are reserved."""
    return lambda message: message.all(name, tshark.number) if message.first('mqtt.msgtype') == '3' else []


def their_octets(name):
    return lambda message: [tshark.text_of(raw) for raw in message.raw(name)]


def whole(text):
    """A payload without what says that it goes on."""
    return re.sub(r'\[truncated \d+ additional bytes\]$', '', text)


PUBLISH = {3}
VALUES = {
    'mqtt.msgtype': (numbers, lambda p: [p.type]),
    'mqtt.dupflag': (fixed_flags('mqtt.dupflag'), value('dup', types=PUBLISH, convert=int)),
    'mqtt.qos': (fixed_flags('mqtt.qos'), value('qos', types=PUBLISH)),
    'mqtt.retain': (fixed_flags('mqtt.retain'), value('retain', types=PUBLISH, convert=int)),
    'mqtt.protoname': (texts, value('protocol_string')),
    'mqtt.ver': (numbers, value('protocol_version')),
    'mqtt.clientid': (texts, value('client_id')),
    'mqtt.kalive': (numbers, value('keep_alive')),
    'mqtt.conflag.uname': (flags, value('flags', 'username')),
    'mqtt.conflag.passwd': (flags, value('flags', 'password')),
    'mqtt.conflag.retain': (flags, value('flags', 'will_retain')),
    'mqtt.conflag.willflag': (flags, value('flags', 'will')),
    'mqtt.conflag.cleansess': (flags, value('flags', 'clean_session')),
    'mqtt.conflag.qos': (lambda m: m.all('mqtt.conflag.qos', tshark.number) if m.has('mqtt.willtopic') else [], value('will', 'qos')),
    'mqtt.username': (texts, value('username')),
    'mqtt.passwd': (texts, value('password')),
    'mqtt.willtopic': (texts, value('will', 'topic')),
    'mqtt.willmsg': (their_octets('mqtt.willmsg'), value('will', 'message')),
    'mqtt.conack.flags.sp': (flags, value('session_present')),
    'mqtt.conack.val, connack.reason_code': (
        lambda m: m.all('mqtt.conack.val', tshark.number) + m.all('mqtt.connack.reason_code', tshark.number), value('return_code')),
    'mqtt.msgid': (numbers, value('message_id')),
    'mqtt.topic': (texts, topics),
    'mqtt.msg': (lambda m: [tshark.text_of(raw[:2 * LIMIT]) for raw in m.raw('mqtt.msg')], value('message', convert=whole)),
    'mqtt.msg: bytes': (lambda m: [len(raw) // 2 for raw in m.raw('mqtt.msg')], value('message_length')),
    'mqtt.sub.qos': (numbers, requested),
    'mqtt.suback.qos, reason_code': (
        lambda m: m.all('mqtt.suback.qos', tshark.number) + m.all('mqtt.suback.reason_code', tshark.number), every('qos_granted')),
    'mqtt.prop_number': (lambda m: sorted(m.all('mqtt.prop_number', tshark.number)), properties(int)),
    'mqtt.prop_string': (lambda m: sorted(m.all('mqtt.prop_string')), properties(str)),
}


def their_key(message):
    return f"{message.first('mqtt.msgtype')}/{message.first('mqtt.msgid')}"


def our_key(packet):
    return f"{packet.type}/{packet.body.get('message_id')}"


VALUES_OF = tshark.Values(VALUES, their_key, our_key)


def compare_values(table, capture, path, decode_as, events):
    ours = [Packet(name, body) for event in events for name, body in event['mqtt'].items() if name in TYPES]
    theirs = [message for message in tshark.messages(path, ('mqtt',), decode_as) if message.has('mqtt.msgtype')]
    VALUES_OF.compare(table, capture, theirs, ours)


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
    decode_as = {capture: truth.get('decode_as') for capture, truth in corpus.truths()}
    logs = corpus.logs(truths, lambda path: os.path.basename(path) in ZEEK_LOGS)
    table = Table(EXPLAINED)
    for capture, truth in truths.items():
        events = [event for event in corpus.events(capture, *EVERYTHING) if event['event_type'] == 'mqtt']
        compare_tshark(table, capture, truth['mqtt'], events)
        if tshark.installed():
            compare_values(table, capture, corpus.path('captures', capture), decode_as[capture], events)
        compare_zeek(table, capture, logs[capture], events)
    return table.end()


if __name__ == '__main__':
    sys.exit(main())
