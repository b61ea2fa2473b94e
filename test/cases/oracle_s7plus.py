#!/usr/bin/env python3
"""Compares the sensor's S7comm-plus events with a reader of what is published of the protocol, value by value.

    oracle_s7plus.py SENSOR [SHARED] [-k CAPTURE]

SENSOR is the sensor's program. SHARED is the folder of captures and reference results (default: the environment
variable MILLRACE_SHARED, else ../shared beside the source root); without it, or without a tshark, nothing is compared,
and the script says so and exits 77. tshark takes the messages out of TCP, TPKT and COTP; it knows no S7comm-plus, so
they are read by test/harness/s7plus.py.

A difference that has a reason stands in EXPLAINED with it. Any other makes the exit code 1.
"""
import struct
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "harness"))
from oracle import Corpus, SKIPPED, Table   # noqa: E402
import s7plus   # noqa: E402
import tshark   # noqa: E402

SETS = ('app-layer.protocols.s7comm_plus.log-cyclic=all',)
ELEMENTS_MAX, OCTETS_MAX = 256, 4096   # shown of an array, of a blob
TYPES = ['Null', 'Bool', 'USInt', 'UInt', 'UDInt', 'ULInt', 'SInt', 'Int', 'DInt', 'LInt', 'Byte', 'Word', 'DWord', 'LWord', 'Real',
         'LReal', 'Timestamp', 'Timespan', 'RID', 'AID', 'Blob', 'WString', 'Variant', 'Struct', '', 'S7String']
TOLD = ('version', 'opcode', 'digest', 'session', 'flags', 'transaction', 'return', 'links', 'values', 'addresses', 'objects', 'tags', 'errors',
        'subscription', 'object', 'ids')
OVERLAPS = ('the client sends an empty TPDU and its request at the same place of the stream: tshark takes the request for a '
            'retransmission and reads none of it')
# (oracle, capture or '*', field) -> why the two differ.
EXPLAINED = {('values', f'testing-tools__ics-s7comm-plus-s7-1500-pcap-1203-s71500-{capture}.pcapng', f's7comm_plus: {field}'): OVERLAPS
             for capture in ('b-allzero-1', 'normal') for field in TOLD}


class Transaction:
    """A request and its response, or a notification: what was said, in the order of the messages."""

    def __init__(self, key):
        self.key, self.found = key, {}

    def add(self, name, value):
        if value is not None and value != []:
            self.found.setdefault(name, []).append(value)

    def get(self, name):
        return self.found.get(name, [])


def their_scalar(kind, value):
    if kind in (s7plus.WSTRING, s7plus.S7STRING):
        return tshark.text_of(value[:2 * OCTETS_MAX])
    return value[:2 * OCTETS_MAX] if kind in (s7plus.BLOB, s7plus.STRUCT) and isinstance(value, str) else value


def their_value(value):
    name, depth, element, key, kind, flags, values = value
    shown = [their_scalar(kind, each) for each in values[:ELEMENTS_MAX]]
    return f'{name}/{depth}/{element}/{key} {TYPES[kind]} {flags} {shown}'


def their_tag(tag):
    of, name, lid, kind = tag
    return f'{of}: {tshark.text_of(name)} {lid} {TYPES[kind]}'


def our_scalar(kind, value):
    if kind == 'Timestamp':
        return value[:26]
    if kind == 'Real' and value is not None:
        return struct.unpack('<f', struct.pack('<f', value))[0]
    return value


def our_value(value):
    shown = [our_scalar(value['type'], each) for each in value.get('values', ())]
    return (f"{value['id']}/{value.get('depth', 0)}/{value.get('element')}/{value.get('key')} {value['type']} "
            f"{value['flags']} {shown}")


def payloads_of(path):
    """What tshark finds behind COTP, and in which direction of which connection."""
    command = ['tshark', '-r', path, '-Y', 'cotp and data', '-T', 'fields', '-e', 'tcp.srcport', '-e', 'tcp.dstport', '-e', 'data.data']
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=300, check=True)
    for line in done.stdout.decode().splitlines():
        source, target, data = line.split('\t')
        for raw in data.split(','):
            yield (int(source), int(target)), bytes.fromhex(raw)


def theirs_of(path):
    transactions = {}
    for number, (direction, message) in enumerate(s7plus.messages(payloads_of(path))):
        notified = message['opcode'] == s7plus.NOTIFICATION
        ports = direction if message['opcode'] == s7plus.REQUEST else direction[::-1]
        key = (ports, 'notified', number) if notified else (ports, message.get('sequence'), message.get('function'))
        transaction = transactions.setdefault(key, Transaction(key[:1] if notified else key))
        for name in ('version', 'opcode', 'digest', 'session', 'flags', 'object', 'transaction', 'return', 'subscription'):
            if name != 'digest' or 'digest' not in transaction.found:
                transaction.add(name, message.get(name))
        for name in ('ids', 'links'):
            transaction.add(name, message[name])
        for name, convert in (('values', their_value), ('addresses', str), ('objects', str), ('tags', their_tag), ('errors', str)):
            for each in message[name]:
                transaction.add(name, convert(each))
    return list(transactions.values())


def ours_of(events):
    """A response that no request waited for is a record of its own: the two are put together as theirs are."""
    transactions = {}
    for number, event in enumerate(events):
        key, found = our_transaction(event)
        if key[1:] == (None, None):
            transactions[key, number] = found
            continue
        whole = transactions.setdefault(key, found)
        if whole is not found:
            for name, values in found.found.items():
                whole.found.setdefault(name, []).extend(values)
    return list(transactions.values())


def our_transaction(event):
    plus = event['s7comm_plus']
    answer = plus.get('opcode') in (s7plus.RESPONSE, s7plus.RESPONSE_2)
    ports = event['src_port'], event['dest_port']
    if event['src_port'] == 102:
        ports = ports[::-1]
    notified = plus.get('opcode') == s7plus.NOTIFICATION
    key = ports, plus.get('sequence_number'), plus.get('function_code')
    found = Transaction(key[:1] if notified else key)
    for half in (plus, plus.get('response', {})):
        found.add('version', half.get('version'))
        found.add('opcode', half.get('opcode'))
    for name, path in (('session', 'session_id'), ('object', 'object_id'), ('transaction', 'transaction_type'), ('return', 'return_value'),
                      ('links', 'links'), ('ids', 'object_ids'), ('digest', 'integrity')):
        found.add(name, plus.get(path))
    if 'digest' in found.found:
        found.found['digest'] = [found.found['digest'][0]['digest']]
    if not answer:
        found.add('flags', plus.get('transport_flags'))
    subscription = plus.get('subscription')
    if subscription:
        found.add('subscription', [subscription.get(name) for name in ('id', 'credit', 'sequence', 'changes')])
    for value in plus.get('values', ()):
        found.add('values', our_value(value))
    for address in plus.get('addresses', ()):
        found.add('addresses', str((address.get('crc', 0), address['area_id'], address.get('lids', []))))
    for each in plus.get('objects', ()):
        found.add('objects', str((each['relation_id'], each['class_id'], each['depth'])))
    for each in plus.get('tags', ()):
        found.add('tags', f"{each['object_id']}: {each['name']} {each['lid']} {each['type']}")
    for each in plus.get('errors', ()):
        found.add('errors', str((each['id'], each['value'])))
    return key, found


def last(name):
    """What a later message says of the same in our record stands in the place of what an earlier one said."""
    return lambda transaction: transaction.get(name)[-1:]


def first(name):
    """The object is that which was asked for; an answer may name another."""
    return lambda transaction: transaction.get(name)[:1]


FIELDS = {name: (lambda transaction, name=name: transaction.get(name), lambda transaction, name=name: transaction.get(name))
          for name in TOLD}
FIELDS['object'] = first('object'), first('object')
FIELDS['ids'] = last('ids'), last('ids')
VALUES = tshark.Values({f's7comm_plus: {name}': pair for name, pair in FIELDS.items()},
                       lambda transaction: transaction.key, lambda transaction: transaction.key)


def main():
    corpus = Corpus(__doc__)
    if not tshark.installed():
        print('oracle_s7plus: skipped: no tshark is installed')
        return SKIPPED
    table = Table(EXPLAINED)
    for capture, truth in corpus.truths():
        if 's7comm-plus' not in (truth.get('payload_signatures') or {}):
            continue
        events = [event for event in corpus.events(capture, *SETS) if event['event_type'] == 's7comm_plus']
        ours = ours_of(event for event in events if 'opcode' in event['s7comm_plus'])
        VALUES.compare(table, capture, theirs_of(corpus.path('captures', capture)), ours)
    return table.end()


if __name__ == '__main__':
    sys.exit(main())
