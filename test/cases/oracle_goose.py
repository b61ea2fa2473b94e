#!/usr/bin/env python3
"""Compares the sensor's GOOSE and Sampled Values events with tshark, value by value.

    oracle_goose.py SENSOR [SHARED] [-k CAPTURE]

SENSOR is the sensor's program. SHARED is the folder of captures and reference results (default: the environment
variable MILLRACE_SHARED, else ../shared beside the source root); without it nothing is compared, and the script
says so and exits 77. Oracles: tshark's counts of field values (corpus/truth) and, where a tshark is installed, every
value that it reads of each message: of the corpus, and of three captures that are made up here, with values of every
type, drawn at random, in structures and arrays. Numbers, times and bits are taken from the octets that tshark marks:
it shows integers of more than 32 bits as 0, and no quality of a time. Every message becomes a record for this
(`log-cyclic: all`); a second run with the defaults must not lose a state.

A difference that the specification explains stands in EXPLAINED with its reason. Any other makes the exit code 1.
"""
import collections
import datetime
import random
import struct
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "harness"))
from made import datagram, write_frames   # noqa: E402
from oracle import Corpus, Table, read_events   # noqa: E402
import tshark   # noqa: E402
from tshark import flags, number, numbers   # noqa: E402

ALL = ('app-layer.protocols.goose.log-cyclic=all', 'app-layer.protocols.sv.log-cyclic=all')
MADE = 'made up: every type'

# (oracle, capture or '*', field) -> why the two differ. So far nothing does.
EXPLAINED = {}


class Message:
    """One of ours, and the frame it came in."""

    def __init__(self, frame, record):
        self.frame, self.record = frame, record


# ---- what octets say, X.690 and IEC 61850-8-1 ----

def unsigned(octets):
    return int.from_bytes(octets, 'big')


def signed(octets):
    return int.from_bytes(octets, 'big', signed=True)


def clock(octets):
    """UtcTime, with what it says of its clock: to the microsecond, flags, accuracy."""
    seconds, fraction = unsigned(octets[:4]), unsigned(octets[4:7])
    time = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=seconds, microseconds=(fraction * 10**9 >> 24) // 1000)
    return time.isoformat(timespec='microseconds'), octets[7] >> 5, octets[7] & 31


def of_day(octets):
    """Milliseconds of a day, and of six octets the days since 1984."""
    days = unsigned(octets[4:]) + 5113 if len(octets) == 6 else 0
    time = datetime.datetime(1970, 1, 1) + datetime.timedelta(days=days, milliseconds=unsigned(octets[:4]))
    return time.isoformat(timespec='microseconds')


def floating(octets):
    """Behind an octet that says how wide the exponent is. A zero has no sign in our JSON."""
    return struct.unpack('>f' if len(octets) == 5 else '>d', octets[1:])[0] + 0.0


def plain(octets):
    return octets.hex()


def text(octets):
    return tshark.text_of(octets.hex())


def read(name, convert):
    return lambda message: [convert(bytes.fromhex(raw)) for raw in message.raw(name)]


# ---- ours ----

TIME_FLAGS = ('clock_not_synchronized', 'clock_failure', 'leap_second_known')


def of_record(name, convert=lambda value: value):
    return lambda message: [convert(message.record[name])] if name in message.record else []


def values(kinds, convert):
    return lambda message: [convert(entry) for entry in message.record.get('allData', ()) if entry['type'] in kinds]


def value(entry):
    return entry['value']


def our_clock(time, names, accuracy):
    return time[:26], sum(1 << TIME_FLAGS.index(name) for name in names), accuracy


def bits(entry):
    """A string of 0 and 1 as the octets it came from, in hex."""
    whole = entry['value'].ljust((len(entry['value']) + 7) // 8 * 8, '0')
    return ''.join(f'{int(whole[at:at + 8], 2):02x}' for at in range(0, len(whole), 8))


def padding(entry):
    return -entry['bits'] % 8


TYPES = {
    'boolean': 'boolean', 'bit_string': 'bit-string', 'integer': 'integer', 'unsigned': 'unsigned', 'floating_point': 'floating-point',
    'octet_string': 'octet-string', 'visible_string': 'visible-string', 'binary_time': 'binary-time',
    'bcd': 'bcd', 'booleanArray': 'boolean-array', 'objId': 'obj-id', 'mMSString': 'mms-string', 'utc_time': 'utc-time',
    'array': 'array', 'structure': 'structure',
}


def their_types(message):
    """What stands in the data, in its order."""
    return [TYPES[name.split('.')[1]] for name, _, _ in message.fields if name.startswith('goose.') and name.split('.')[1] in TYPES]


def their_padding(message):
    """tshark tells of none, too, but not of a string without bits."""
    return [int(shown) for name, shown, _ in message.fields if name == 'ber.bitstring.padding' and shown != '0']


def entries(message):
    """Entries of the data set: what is outermost."""
    found = message.record.get('allData')
    return [] if found is None else [len({entry['index'] for entry in found})]


HEADER = {
    'appid': of_record('appid'), 'length': of_record('length'), 'reserve1': of_record('reserved1'), 'reserve2': of_record('reserved2'),
}
GOOSE = {
    **{f'goose.{name}': (numbers, ours) for name, ours in HEADER.items()},
    'goose.reserve1.s_bit': (flags, of_record('header_simulation')),
    'goose.gocbRef': (read('goose.gocbRef', text), of_record('gocbRef')),
    'goose.timeAllowedtoLive': (read('goose.timeAllowedtoLive', unsigned), of_record('timeAllowedtoLive')),
    'goose.datSet': (read('goose.datSet', text), of_record('datSet')),
    'goose.goID': (read('goose.goID', text), of_record('goID')),
    'goose.t, with its quality': (read('goose.t', clock), lambda message: [our_clock(
        message.record['t'], message.record['t_quality'], message.record['t_accuracy'])] if 't' in message.record else []),
    'goose.stNum': (read('goose.stNum', unsigned), of_record('stNum')),
    'goose.sqNum': (read('goose.sqNum', unsigned), of_record('sqNum')),
    'goose.simulation': (flags, of_record('simulation')),
    'goose.confRev': (read('goose.confRev', unsigned), of_record('confRev')),
    'goose.ndsCom': (flags, of_record('ndsCom')),
    'goose.numDatSetEntries': (read('goose.numDatSetEntries', unsigned), of_record('numDatSetEntries')),
    'goose.allData': (numbers, entries),
    'goose.Data: types': (their_types, values(set(TYPES.values()), lambda entry: entry['type'])),
    'goose.structure': (numbers, values({'structure'}, lambda entry: entry['members'])),
    'goose.array': (numbers, values({'array'}, lambda entry: entry['members'])),
    'goose.boolean': (flags, values({'boolean'}, value)),
    'goose.bit_string': (read('goose.bit_string', plain), values({'bit-string'}, bits)),
    'goose.booleanArray': (read('goose.booleanArray', plain), values({'boolean-array'}, bits)),
    'ber.bitstring.padding': (their_padding, lambda message: [
        pad for pad in values({'bit-string', 'boolean-array'}, padding)(message) if pad != 0]),
    'goose.integer': (read('goose.integer', signed), values({'integer'}, value)),
    'goose.unsigned': (read('goose.unsigned', unsigned), values({'unsigned'}, value)),
    'goose.floating_point': (read('goose.floating_point', floating), values({'floating-point'}, value)),
    'goose.octet_string': (read('goose.octet_string', plain), values({'octet-string'}, value)),
    'goose.visible_string': (read('goose.visible_string', text), values({'visible-string'}, value)),
    'goose.mMSString': (read('goose.mMSString', text), values({'mms-string'}, value)),
    'goose.binary_time': (read('goose.binary_time', of_day), values({'binary-time'}, lambda entry: entry['value'][:26])),
    'goose.utc_time, with its quality': (read('goose.utc_time', clock), values(
        {'utc-time'}, lambda entry: our_clock(entry['value'], entry['quality'], entry['accuracy']))),
    'goose.bcd': (read('goose.bcd', signed), values({'bcd'}, value)),
    'goose.objId': (read('goose.objId', plain), values({'obj-id'}, value)),
    'goose.stateID': (numbers, lambda message: [message.record['management']['state_id']] if 'management' in message.record else []),
}

# The same over UDP, behind the session header of IEC 61850-90-5.
ROUTED = {
    **{name: pair for name, pair in GOOSE.items() if name.split('.')[1] not in ('appid', 'length', 'reserve1', 'reserve2')},
    'rgoose.spdu_num': (numbers, lambda message: [message.record['session']['spdu_number']]),
    'rgoose.version': (numbers, lambda message: [message.record['session']['version']]),
    'rgoose.simulation': (lambda message: [number(shown) != 0 for shown in message.all('rgoose.simulation')], of_record('header_simulation')),
    'rgoose.appid': (numbers, of_record('appid')),
    'rgoose.apdu_len': (numbers, of_record('length')),
    'rgoose.hmac': (lambda message: [len(raw) > 4 for raw in message.raw('rgoose.hmac')], lambda message: [message.record['session']['signature']]),
}

QUALITY = {name: 1 << bit for bit, name in enumerate(
    ('overflow', 'out_of_range', 'bad_reference', 'oscillatory', 'failure', 'old_data', 'inconsistent', 'inaccurate',
     'substituted', 'test', 'operator_blocked', 'derived'), 2)}
VALIDITY = {'good': 0, 'invalid': 1, 'reserved': 2, 'questionable': 3}
SYNCH = {'none': 0, 'local': 1, 'global': 2}
MODES = {'samples_per_period': 0, 'samples_per_second': 1, 'seconds_per_sample': 2}


def sample(asdu):
    """The bytes that the channels were made of, in hex."""
    if 'sample' in asdu:
        return asdu['sample']
    return ''.join(f"{channel['value'] & 0xffffffff:08x}"
                   f"{VALIDITY[channel['validity']] | sum(QUALITY[name] for name in channel.get('quality', ())):08x}"
                   for channel in asdu.get('channels', ()))


def asdus(name, convert=lambda value: value):
    return lambda message: [convert(asdu[name]) for asdu in message.record.get('asdu', ()) if name in asdu]


SV = {
    **{f'sv.{name}': (numbers, ours) for name, ours in HEADER.items()},
    'sv.reserve1.s_bit': (flags, of_record('header_simulation')),
    'sv.noASDU': (numbers, of_record('noASDU')),
    'sv.seqASDU': (numbers, lambda message: [len(message.record.get('asdu', ()))]),
    'sv.svID': (read('sv.svID', text), asdus('svID')),
    'sv.datSet': (read('sv.datSet', text), asdus('datSet')),
    'sv.smpCnt': (numbers, asdus('smpCnt')),
    'sv.confRev': (numbers, asdus('confRev')),
    'sv.refrTm, with its quality': (read('sv.refrTm', clock), lambda message: [
        our_clock(asdu['refrTm'], asdu['refrTm_quality'], asdu['refrTm_accuracy']) for asdu in message.record.get('asdu', ()) if 'refrTm' in asdu]),
    'sv.smpSynch': (read('sv.smpSynch', unsigned), asdus('smpSynch', lambda value: SYNCH.get(value, value))),
    'sv.smpRate': (numbers, asdus('smpRate')),
    'sv.seqData': (lambda message: [raw for raw in message.raw('sv.seqData') if raw],
                   lambda message: [sample(asdu) for asdu in message.record.get('asdu', ()) if sample(asdu)]),
    'sv.smpMod': (read('sv.smpMod', unsigned), asdus('smpMod', lambda value: MODES.get(value, value))),
    'sv.gmidentity': (read('sv.gmidentity', plain), asdus('gmIdentity')),
    '9-2LE: amperes and volts': (
        lambda message: [struct.unpack_from('>i', bytes.fromhex(raw), 8 * at)[0] / (1000 if at < 4 else 100)
                         for raw in message.raw('sv.seqData') if len(raw) == 128 and is_pairs(raw) for at in range(8)],
        lambda message: [channel['scaled'] for asdu in message.record.get('asdu', ()) for channel in asdu.get('channels', ())
                         if 'scaled' in channel]),
}


def is_pairs(raw):
    """Whether no bit is set that a quality does not have, in every second word."""
    return all(int(raw[at + 8:at + 16], 16) >> 14 == 0 for at in range(0, len(raw), 16))


def key(message):
    return f'frame {message.frame}'


VALUES = {'goose': tshark.Values(GOOSE, key, key), 'r-goose': tshark.Values(ROUTED, key, key), 'sv': tshark.Values(SV, key, key)}
# tshark's field in its counts -> the same values of ours.
COUNTS = {name: ours for fields in (GOOSE, SV) for name, (_, ours) in fields.items()}


def messages(events, proto):
    return [Message(event['pcap_cnt'], event[proto]) for event in events
            if event['event_type'] == proto and event[proto]['reason'] != 'end']


def compare_counts(table, capture, truth, ours, proto):
    for field, theirs in truth['services'].get(proto, {}).items():
        mine = collections.Counter(str(value) for message in ours for value in COUNTS[field](message))
        table.add('counts', capture, field, dict(sorted(theirs.items())), dict(sorted(mine.items())))
    table.add('counts', capture, 'messages', truth['protocols'].get(proto, 0), len(ours))


def compare_states(table, capture, corpus, ours):
    """With the defaults no state may be lost: each (publication, stNum) has a record."""
    told = {(message.record['gocbRef'], message.record['stNum']) for message in messages(corpus.events(capture), 'goose')}
    table.add('own', capture, 'states told', sorted({(message.record['gocbRef'], message.record['stNum']) for message in ours}), sorted(told))


# ---- captures of every type ----

def element(tag, content):
    length = bytes((len(content),)) if len(content) < 128 else b'\x82' + struct.pack('>H', len(content))
    return bytes((tag,)) + length + content


def drawn_bits(draw, most):
    """Octets of padding count and bits; the padding is 0, as tshark shows it away."""
    count = draw.randrange(1, most)
    content = bytearray(draw.randbytes((count + 7) // 8))
    content[-1] &= 0xff << (-count % 8) & 0xff
    return bytes((-count % 8,)) + bytes(content)


def drawn_float(draw):
    """No infinity and no NaN: JSON has none."""
    number = draw.choice((0.0, -0.0, draw.uniform(-1e6, 1e6), draw.uniform(-1e-6, 1e-6)))
    return b'\x08' + struct.pack('>f', number) if draw.random() < 0.5 else b'\x0b' + struct.pack('>d', number)


DRAWN = {
    0x83: lambda draw: bytes((draw.choice((0, 1, 0xff)),)), 0x84: lambda draw: drawn_bits(draw, 40),
    0x85: lambda draw: draw.randbytes(draw.randrange(1, 9)), 0x86: lambda draw: draw.choice((b'', b'\0')) + draw.randbytes(draw.randrange(1, 9)),
    0x87: drawn_float, 0x89: lambda draw: draw.randbytes(draw.randrange(20)), 0x8a: lambda draw: draw.choice((b'', b'text', b'a b')),
    0x8c: lambda draw: struct.pack('>I', draw.randrange(86400000)) + draw.choice((b'', draw.randbytes(2))),
    0x8d: lambda draw: draw.randbytes(2), 0x8e: lambda draw: drawn_bits(draw, 20), 0x8f: lambda draw: b'\x28\xca\x22' + bytes((draw.randrange(128),)),
    0x90: lambda draw: draw.choice((b'm', 'größer'.encode())), 0x91: lambda draw: draw.randbytes(8),
}


def drawn_value(draw, depth):
    if depth < 4 and draw.random() < 0.2:
        return element(draw.choice((0xa1, 0xa2)), b''.join(drawn_value(draw, depth + 1) for _ in range(draw.randrange(5))))
    tag = draw.choice(list(DRAWN))
    return element(tag, DRAWN[tag](draw))


def redrawn(draw, data):
    """The same entries with other values of the same lengths, where that can be: what publishers do."""
    changed = list(data)
    at = draw.randrange(len(data))
    if data[at][0] in (0x85, 0x89, 0x91, 0x8d):
        changed[at] = data[at][:2] + draw.randbytes(len(data[at]) - 2)
    return changed


def frame(draw, ether_type, target, apdu, appid, reserved):
    tag = b'\x81\0' + struct.pack('>H', draw.randrange(1, 0x10000)) if draw.random() < 0.5 else b''
    return target + b'\x02\0\0\0\0\x01' + tag + struct.pack('>HHHHH', ether_type, appid, 8 + len(apdu), *reserved) + apdu


def drawn_goose(draw, messages_count):
    """The number of a publication and an APDU of it."""
    states, data = collections.Counter(), {}
    for _ in range(messages_count):
        number = draw.randrange(8)
        states[number] += 1
        if number in data and draw.random() < 0.6:
            data[number] = redrawn(draw, data[number])
        else:
            data[number] = [drawn_value(draw, 0) for _ in range(draw.randrange(1, 12))]
        body = [element(0x80, b'IED%dLD/LLN0$GO$gcb' % number), element(0x81, draw.choice((b'\x07\xd0', b'\0\xff\xff\xff\xff'))),
                element(0x82, b'IED%dLD/LLN0$ds' % number)]
        body += [element(0x83, b'id')] if number % 2 else []
        body += [element(0x84, draw.randbytes(8)), element(0x85, struct.pack('>I', states[number])), element(0x86, b'\0')]
        body += [element(0x87, bytes((number == 3,)))] if number != 4 else []
        body += [element(0x88, b'\0\0\0\x07')] + ([element(0x89, b'\0')] if number != 5 else [])
        body += [element(0x8a, bytes((len(data[number]),))), element(0xab, b''.join(data[number]))]
        yield number, element(0x61, b''.join(body))


def made_goose(path):
    draw = random.Random(61850)
    write_frames(path, [frame(draw, 0x88b8, b'\x01\x0c\xcd\x01\0\x01', apdu, number, (0x8000 if number == 3 else 0, draw.randrange(0x10000)))
                        for number, apdu in drawn_goose(draw, 600)])


def made_routed(path):
    draw = random.Random(905)
    frames = []
    for at, (number, apdu) in enumerate(drawn_goose(draw, 200)):
        payload = struct.pack('>BBHH', 0x81, number == 3, number, len(apdu)) + apdu
        signature = b'\x85\x10' + draw.randbytes(16) if number % 2 else b'\x85\0'
        header = struct.pack('>IHIHI', draw.randrange(1 << 32), draw.randrange(3), 1700000000, 60, at) + b'\0'
        session = struct.pack('>BBI', 0x80, 4 + len(header), 4 + len(header) + len(payload) + len(signature)) + header
        frames.append(datagram(102, at, b'\x01\x40\xa1' + bytes((len(session),)) + session + struct.pack('>I', len(payload)) + payload + signature))
    write_frames(path, frames)


def drawn_asdu(draw, number, count):
    octets = draw.choice((64, 64, 16, 12, 0, 96))
    if draw.random() < 0.8:
        data = b''.join(draw.randbytes(4) + struct.pack('>I', draw.randrange(0x4000)) for _ in range(octets // 8)) + bytes(octets % 8)
    else:
        data = draw.randbytes(octets)
    body = [element(0x80, b'MU%02d' % number)]
    body += [element(0x81, b'ds')] if draw.random() < 0.3 else []
    body += [element(0x82, struct.pack('>H', count)), element(0x83, draw.randbytes(4))]
    body += [element(0x84, draw.randbytes(8))] if draw.random() < 0.3 else []
    body += [element(0x85, bytes((draw.choice((0, 1, 2, 5, 254)),)))]
    body += [element(0x86, draw.randbytes(2))] if draw.random() < 0.3 else []
    body += [element(0x87, data)]
    body += [element(0x88, bytes((draw.randrange(3),)))] if draw.random() < 0.3 else []
    body += [element(0x89, draw.randbytes(8))] if draw.random() < 0.3 else []
    return element(0x30, b''.join(body))


def made_sv(path):
    draw = random.Random(92)
    frames = []
    for count in range(400):
        number, several = draw.randrange(8), draw.randrange(1, 5)
        parts = b''.join(drawn_asdu(draw, number, 4 * count + at) for at in range(several))
        apdu = element(0x60, element(0x80, bytes((several,))) + element(0xa2, parts))
        frames.append(frame(draw, 0x88ba, b'\x01\x0c\xcd\x04\0\x01', apdu, 0x4000 + number, (0, draw.randrange(0x10000))))
    write_frames(path, frames)


def compare_made(table, corpus):
    with tempfile.TemporaryDirectory() as folder:
        for proto, make in (('goose', made_goose), ('r-goose', made_routed), ('sv', made_sv)):
            path = Path(folder) / f'{proto}.pcap'
            make(path)
            ours = messages(read_events(corpus.sensor, str(path), *ALL), proto.removeprefix('r-'))
            VALUES[proto].compare(table, MADE, tshark.messages(str(path), (proto,)), ours)


def main():
    corpus = Corpus(__doc__)
    if not tshark.installed():
        print('oracle_goose: no tshark is installed: only the counts are compared')
    table = Table(EXPLAINED)
    for capture, truth in corpus.truths():
        for proto in ('goose', 'sv'):
            if proto not in truth['protocols']:
                continue
            ours = messages(corpus.events(capture, *ALL), proto)
            compare_counts(table, capture, truth, ours, proto)
            if tshark.installed():
                VALUES[proto].compare(table, capture, tshark.messages(corpus.path('captures', capture), (proto,)), ours)
            if proto == 'goose':
                compare_states(table, capture, corpus, ours)
    if tshark.installed():
        compare_made(table, corpus)
    return table.end()


if __name__ == '__main__':
    sys.exit(main())
