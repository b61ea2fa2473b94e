#!/usr/bin/env python3
"""Compares the sensor's IEC 104 events with another dissector, field by field.

    oracle_iec104.py SENSOR [SHARED] [-k CAPTURE]

SENSOR is the sensor's program. SHARED is the folder of captures and reference results (default: the environment
variable MILLRACE_SHARED, else ../shared beside the source root); without it nothing is compared, and the script
says so and exits 77. Oracles: tshark's counts of formats, types and causes (corpus/truth); and, where a tshark is
installed, every value that it reads of each message. The corpus has few types, so the same is done with a capture
that is made up here: every type, both structures, elements drawn at random. Of types whose elements tshark does not
read our values are put together again, and must be the octets that it shows.

A difference that the specification explains stands in EXPLAINED with its reason. Any other makes the exit code 1.
"""
import datetime
import math
import random
import struct
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "harness"))
from made import Talk, write_talks   # noqa: E402
from oracle import Corpus, Table, counts_by_text as counts, read_events   # noqa: E402
import tshark   # noqa: E402
from tshark import flags, numbers, number   # noqa: E402

MADE = 'made up: every type'
SETS = ('app-layer.protocols.iec104.log-supervisory=yes',)
# (oracle, capture or '*', field) -> why the two differ.
EXPLAINED = {}

FORMATS = {'I': 0, 'S': 1, 'U': 3}

# Octets of a type's elements, 60870-5-101 7.3, 60870-5-104 8, 60870-5-7.
SIZES = {
    1: 1, 2: 4, 3: 1, 4: 4, 5: 2, 6: 5, 7: 5, 8: 8, 9: 3, 10: 6, 11: 3, 12: 6, 13: 5, 14: 8, 15: 5, 16: 8, 17: 6, 18: 7, 19: 7,
    20: 5, 21: 2, 30: 8, 31: 8, 32: 9, 33: 12, 34: 10, 35: 10, 36: 12, 37: 12, 38: 10, 39: 11, 40: 11, 41: 14, 45: 1, 46: 1,
    47: 1, 48: 3, 49: 3, 50: 5, 51: 4, 58: 8, 59: 8, 60: 8, 61: 10, 62: 10, 63: 12, 64: 11, 70: 1, 100: 1, 101: 1, 102: 0,
    103: 7, 104: 2, 105: 1, 106: 2, 107: 9, 110: 3, 111: 3, 112: 5, 113: 1, 120: 6, 121: 7, 122: 4, 123: 5, 124: 4, 125: 4,
    126: 13, 127: 16,
}
SHORT_TIMES, LONG_TIMES = {2, 4, 6, 8, 10, 12, 14, 16, 17, 18, 19}, {*range(30, 42), *range(58, 65), 103, 107, 126, 127}
SEQUENCES = {1, 3, 5, 7, 9, 11, 13, 15, 20, 21, 126}
SINGLE = {18, 19, 39, 40, *range(45, 126), 127}   # types of a single object



def of_apdu(name, convert=lambda value: value):
    return lambda apdu: [convert(apdu[name])] if name in apdu else []


def of_apdus(name, convert=lambda value: value):
    return lambda apdus: [convert(apdu[name]) for apdu in apdus if name in apdu]


def of_objects(convert, *names, types=None):
    """What convert() makes of the information objects that have the keys, of the types given."""
    return lambda apdu: [convert(*(item[name] for name in names)) for item in apdu.get('objects', ())
                         if all(name in item for name in names) and (types is None or apdu['type_id_code'] in types)]


def plain(value):
    return value


def of_key(name, types=None):
    return of_objects(plain, name, types=types)


def of_bits(octet, key, bit):
    """Whether a name stands in a list of bits, of objects that have the octet the bit is of."""
    return of_objects(lambda _, names: bit in names, octet, key)


# ---- times, 60870-5-101 7.2.6.18 and 7.2.6.20 ----

def of_times(convert):
    """The time tags, those that are none left out."""
    return of_objects(lambda text: convert(datetime.datetime.fromisoformat(text[:26])), 'timestamp', types=READ)


def is_date(message):
    """Whether a time tag's parts are a date, and a moment of it."""
    parts = zip(*(message.all(f'iec60870_asdu.cp56time.{name}', int) for name in ('year', 'month', 'day', 'hour', 'min', 'ms')))
    return [is_moment(*each) for each in parts]


def is_moment(year, month, day, hour, minute, milliseconds):
    try:
        datetime.datetime(year + (1900 if year >= 70 else 2000), month, day, hour, minute, milliseconds // 1000)
        return True
    except ValueError:
        return False


def in_times(name, convert=int):
    """A part of time tags, of those that are dates."""
    field = f'iec60870_asdu.cp56time.{name}'
    return lambda message: [value for value, good in zip(message.all(field, convert), is_date(message)) if good]


# ---- what tshark shows as octets ----

def with_short(item):
    """CP24Time2a."""
    marks = item['time_quality']
    minute, rest = divmod(item['minute_ms'], 60000)
    return struct.pack('<HB', rest, minute | ('invalid' in marks) << 7 | ('substituted' in marks) << 6)


def with_long(item, key='timestamp'):
    """CP56Time2a; the day of the week and the year's century are not ours to say."""
    moment = datetime.datetime.fromisoformat(item[key][:26])
    marks = item['time_quality'] if key == 'timestamp' else ()
    return struct.pack('<HBBBBB', moment.second * 1000 + moment.microsecond // 1000,
                       moment.minute | ('invalid' in marks) << 7 | ('substituted' in marks) << 6,
                       moment.hour | ('summer_time' in marks) << 7, moment.day, moment.month, moment.year % 100)


def bits_of(names, *order):
    return sum(1 << order.index(name) for name in names)


START_EVENTS = ('general', 'phase_l1', 'phase_l2', 'phase_l3', 'earth_current', 'reverse')
FILE_FLAGS = ('last_of_directory', 'directory', 'transfer_active')


def packed(form, *names):
    return lambda item: struct.pack(form, *(item[name] for name in names))


def both(*parts):
    return lambda item: b''.join(part(item) for part in parts)


def file_length(name):
    return lambda item: struct.pack('<I', item[name])[:3]


def started(item):
    return bytes((bits_of(item['start_events'], *START_EVENTS),))


def opened(item):
    return bytes((bits_of(item['output_circuits'], *START_EVENTS[:4]),))


NAMED = packed('<HB', 'nof', 'nos')
# type -> the octets of an object's elements, made of its values.
OCTETS = {
    17: both(packed('<BH', 'sep', 'elapsed_time_ms'), with_short),
    18: both(started, packed('<BH', 'qdp', 'relay_duration_ms'), with_short),
    19: both(opened, packed('<BH', 'qdp', 'relay_operating_time_ms'), with_short),
    20: packed('<HHB', 'value', 'change_detection', 'qds'),
    38: both(packed('<BH', 'sep', 'elapsed_time_ms'), with_long),
    39: both(started, packed('<BH', 'qdp', 'relay_duration_ms'), with_long),
    40: both(opened, packed('<BH', 'qdp', 'relay_operating_time_ms'), with_long),
    41: both(packed('<HiB', 'association_id', 'value', 'bcr'), with_long),
    104: packed('<H', 'fbp'), 106: packed('<H', 'delay_ms'), 107: both(packed('<H', 'tsc'), with_long), 113: packed('<B', 'qpa'),
    120: both(packed('<H', 'nof'), file_length('lof'), packed('<B', 'frq')),
    121: both(NAMED, file_length('lof'), packed('<B', 'srq')),
    122: both(NAMED, packed('<B', 'scq')), 123: both(NAMED, packed('<BB', 'lsq', 'chs')), 124: both(NAMED, packed('<B', 'afq')),
    125: both(NAMED, packed('<B', 'los'), lambda item: bytes.fromhex(item['data'])),
    126: both(packed('<H', 'nof'), file_length('lof'), packed('<B', 'sof'), with_long),
    127: both(packed('<H', 'nof'), with_long, lambda item: with_long(item, 'stop_timestamp')),
}


def our_octets(apdu):
    if 'data' in apdu:
        return [apdu['data']]
    to_octets = OCTETS.get(apdu.get('type_id_code'))
    if to_octets is None:
        return []
    parts = [item['obj_addr'].to_bytes(3, 'little') * (at == 0 or not apdu['sq']) + to_octets(item)
             for at, item in enumerate(apdu['objects'])]
    return [b''.join(parts).hex()]


def their_octets(message):
    """Addresses that tshark reads before octets that it does not; a type without elements has none."""
    raw = message.raw('iec60870_asdu.rawdata')
    return [''.join((message.raw('iec60870_asdu.ioa') or ['']) + raw)] if raw and message.first('iec60870_asdu.typeid') != '102' else []


READ = set(SIZES) - set(OCTETS)   # types whose elements tshark reads
FLOATS = {13, 14, 36, 50, 63, 112}
NORMALISED = {9, 10, 21, 34, 48, 61, 110}
SCALED = {11, 12, 35, 49, 62, 111}
BITS = {7, 8, 33, 51, 64}
STEPS = {5, 6, 32}
COUNTERS = {15, 16, 37}
STATES = {'not_permitted': (0, 3), 'lower': (1,), 'higher': (2,), 'off': (1,), 'on': (2,), 'intermediate': (0,), 'indeterminate': (3,)}


def our_addresses(apdu):
    """tshark reads no address behind the elements that it does not read."""
    addresses = of_key('obj_addr')(apdu)
    return addresses[:1] if apdu.get('type_id_code') in OCTETS else addresses


def swapped(text):
    """tshark reads bit strings high octet first; bit 1 is in the first octet (60870-5-101 7.2.6.13)."""
    return struct.unpack('<I', struct.pack('>I', int(text, 0)))[0]


def by_octets(name, form, convert=plain):
    """A number by its octets: tshark shows few digits."""
    return lambda message: [convert(struct.unpack(form, bytes.fromhex(raw))[0]) for raw in message.raw(name)]


def finite(value):
    """JSON has no word for what is no number."""
    return value if math.isfinite(value) else None


def as_single(value):
    return value if value is None else struct.unpack('<f', struct.pack('<f', value))[0]


def qualities(octet, **bits):
    """tshark's bits of a descriptor, and our names of them."""
    return {f'iec60870_asdu.{octet}.{bit}': (flags, of_bits(octet.split('.')[0], 'quality', name)) for bit, name in bits.items()}


def commands(octet, state):
    return {
        f'iec60870_asdu.{octet}': (numbers, of_key(octet)),
        f'iec60870_asdu.{octet}.{state}': (numbers, of_objects(lambda value, _: value, 'value', octet)),
        f'iec60870_asdu.{octet}.qu': (numbers, of_objects(lambda value, _: value, 'qu', octet)),
        f'iec60870_asdu.{octet}.se': (flags, of_objects(lambda value, _: value, 'select', octet)),
    }


COMMON = {'bl': 'blocked', 'sb': 'substituted', 'nt': 'not_topical', 'iv': 'invalid'}
# tshark's field -> (its values of a message, ours of the same message).
VALUES = {
    'iec60870_104.apdulen': (numbers, of_apdu('apdu_len')),
    'iec60870_104.utype': (numbers, of_apdu('u_function_code', lambda code: code >> 2)),
    'iec60870_104.tx': (numbers, of_apdu('ssn')),
    'iec60870_104.rx': (numbers, of_apdu('rsn')),
    'iec60870_asdu.typeid': (numbers, of_apdu('type_id_code')),
    'iec60870_asdu.numix': (numbers, of_apdu('nobj')),
    'iec60870_asdu.sq': (flags, of_apdu('sq')),
    'iec60870_asdu.causetx': (numbers, of_apdu('cot_code')),
    'iec60870_asdu.nega': (flags, of_apdu('pn')),
    'iec60870_asdu.test': (flags, of_apdu('test')),
    'iec60870_asdu.oa': (numbers, of_apdu('originator_address')),
    'iec60870_asdu.addr': (numbers, of_apdu('common_address')),
    'iec60870_asdu.ioa': (lambda m: m.all('iec60870_asdu.ioa', int), our_addresses),
    'iec60870_asdu.siq': (numbers, of_key('siq')),
    'iec60870_asdu.siq.spi': (numbers, of_objects(lambda value, _: value, 'value', 'siq')),
    **qualities('siq', **COMMON),
    'iec60870_asdu.diq': (numbers, of_key('diq')),
    'iec60870_asdu.diq.dpi': (numbers, of_objects(lambda value, _: value, 'value', 'diq')),
    **qualities('diq', **COMMON),
    'iec60870_asdu.qds': (numbers, of_objects(plain, 'qds', types=set(range(1, 41)) - {20})),
    **{name: (read, of_objects(lambda _, names, bit=name.split('.')[-1]: {**COMMON, 'ov': 'overflow'}[bit] in names, 'qds', 'quality',
                               types=set(range(1, 41)) - {20}))
       for name, (read, _) in qualities('qds', **COMMON, ov='overflow').items()},
    'iec60870_asdu.vti.v': (lambda m: m.all('iec60870_asdu.vti.v', int), of_key('value', STEPS)),
    'iec60870_asdu.vti.t': (flags, of_key('transient')),
    'iec60870_asdu.float': (by_octets('iec60870_asdu.float', '<f', finite), of_objects(as_single, 'value', types=FLOATS)),
    'iec60870_asdu.normval': (by_octets('iec60870_asdu.normval', '<h', lambda value: value / 32768), of_objects(as_single, 'value', types=NORMALISED)),
    'iec60870_asdu.normval, as sent': (by_octets('iec60870_asdu.normval', '<h'), of_key('nva')),
    'iec60870_asdu.scalval': (lambda m: m.all('iec60870_asdu.scalval', int), of_key('value', SCALED)),
    'iec60870_asdu.bitstring': (lambda m: m.all('iec60870_asdu.bitstring', swapped), of_key('value', BITS)),
    'iec60870_asdu.bcr.count': (lambda m: m.all('iec60870_asdu.bcr.count', int), of_key('value', COUNTERS)),
    'iec60870_asdu.bcr.sq': (numbers, of_key('sequence', COUNTERS)),
    **{f'iec60870_asdu.bcr.{bit}': (flags, of_objects(lambda names, _, name=name: name in names, 'quality', 'bcr', types=COUNTERS))
       for bit, name in (('cy', 'carry'), ('ca', 'adjusted'), ('iv', 'invalid'))},
    **commands('sco', 'on'), **commands('dco', 'on'), **commands('rco', 'up'),
    'iec60870_asdu.qos': (numbers, of_key('qos')),
    'iec60870_asdu.qos.ql': (numbers, of_key('ql')),
    'iec60870_asdu.qos.se': (flags, of_objects(lambda value, _: value, 'select', 'qos')),
    'iec60870_asdu.qpm': (numbers, of_key('qpm')),
    'iec60870_asdu.qpm.kpa': (numbers, of_key('kpa')),
    'iec60870_asdu.qpm.lpc': (flags, of_bits('qpm', 'parameter_flags', 'local_change')),
    'iec60870_asdu.qpm.pop': (flags, of_bits('qpm', 'parameter_flags', 'not_in_operation')),
    'iec60870_asdu.qoi': (numbers, of_key('qoi')),
    'iec60870_asdu.coi': (numbers, of_key('coi')),
    'iec60870_asdu.coi_i': (flags, of_key('local_parameters_changed')),
    'iec60870_asdu.qcc': (numbers, of_key('qcc')),
    'iec60870_asdu.rqt': (numbers, of_key('rqt')),
    'iec60870_asdu.frz': (numbers, of_key('frz')),
    'iec60870_asdu.qrp': (numbers, of_key('qrp')),
    'iec60870_asdu.cp24time': (
        lambda m: [60000 * minute + rest for minute, rest in zip(*(m.all(f'iec60870_asdu.cp24time.{name}', int) for name in ('min', 'ms')))],
        of_key('minute_ms', READ)),
    'iec60870_asdu.cp24time.iv': (flags, of_objects(lambda _, names: 'invalid' in names, 'minute_ms', 'time_quality', types=READ)),
    'iec60870_asdu.cp56time.year': (in_times('year', lambda text: int(text) % 100), of_times(lambda moment: moment.year % 100)),
    'iec60870_asdu.cp56time.month': (in_times('month'), of_times(lambda moment: moment.month)),
    'iec60870_asdu.cp56time.day': (in_times('day'), of_times(lambda moment: moment.day)),
    'iec60870_asdu.cp56time.hour': (in_times('hour'), of_times(lambda moment: moment.hour)),
    'iec60870_asdu.cp56time.min': (in_times('min'), of_times(lambda moment: moment.minute)),
    'iec60870_asdu.cp56time.ms': (in_times('ms'), of_times(lambda moment: moment.second * 1000 + moment.microsecond // 1000)),
    **{f'iec60870_asdu.cp56time.{bit}': (flags, of_objects(
        lambda names, name=name: name in names, 'time_quality', types=READ & LONG_TIMES))
       for bit, name in (('iv', 'invalid'), ('gen', 'substituted'), ('su', 'summer_time'))},
    'iec60870_asdu.rawdata': (their_octets, our_octets),
}


def their_key(message):
    return ' '.join(str(message.first(f'iec60870_104.{name}', number)) for name in ('type', 'tx', 'rx'))


def our_key(apdu):
    return f"{FORMATS[apdu['apci_type']]} {apdu.get('ssn')} {apdu.get('rsn')}"


VALUES_OF = tshark.Values(VALUES, their_key, our_key)
# tshark's field in its counts -> the same values of ours.
COUNTS = {'iec60870_104.type': of_apdus('apci_type', FORMATS.get), **{
    f'iec60870_{field}': of_apdus(name, convert) for field, name, convert in (
        ('104.utype', 'u_function_code', lambda code: code >> 2), ('asdu.typeid', 'type_id_code', plain),
        ('asdu.causetx', 'cot_code', plain), ('asdu.numix', 'nobj', plain), ('asdu.addr', 'common_address', plain))}}


def compare_truth(table, capture, services, apdus):
    for protocol in ('iec60870_104', 'iec60870_asdu'):
        for field, values in services.get(protocol, {}).items():
            theirs = {str(value): count for value, count in sorted(values.items())}
            table.add('truth', capture, field, theirs, counts(COUNTS[field](apdus)))


# ---- a capture of every type ----

def drawn_time(draw, octets):
    """Bits of every kind, but a day that is one: what is none we leave out, and tshark rolls over."""
    time = struct.pack('<HBBBBB', draw.randrange(60000), draw.randrange(60) | draw.choice((0, 0x40, 0x80, 0xc0)),
                       draw.randrange(24) | draw.choice((0, 0x80)), draw.randrange(1, 29), draw.randrange(1, 13), draw.randrange(100))
    return time[:octets]


def drawn_object(draw, type_id):
    octets = draw.randbytes(SIZES[type_id])
    if type_id in SHORT_TIMES:
        octets = octets[:-3] + drawn_time(draw, 3)
    if type_id in LONG_TIMES:
        octets = octets[:-7] + drawn_time(draw, 7)
    if type_id == 127:
        octets = octets[:2] + drawn_time(draw, 7) + struct.pack('<HB', 999, 59) + octets[-4:-2] + octets[-2:]
        octets = octets[:11] + bytes((octets[11] & 0x3f, octets[12] & 0x1f)) + octets[13:]
    if type_id in (18, 39):
        octets = bytes((octets[0] & 0x3f,)) + octets[1:]   # the bits that mean something
    if type_id in (19, 40):
        octets = bytes((octets[0] & 0x0f,)) + octets[1:]
    if type_id == 125:
        octets = octets[:3] + bytes((20,)) + draw.randbytes(20)
    return octets


def made_up(path):
    draw = random.Random(104)
    talk, sent = Talk(2404), 0
    talk.say(True, bytes.fromhex('680407000000'))
    talk.say(False, bytes.fromhex('68040b000000'))
    for type_id in SIZES:
        for sequence in (False, True) if type_id in SEQUENCES else (False,):
            for _ in range(20):
                count = 1 if type_id in SINGLE else draw.randrange(1, 8)
                asdu = bytes((type_id, sequence << 7 | count)) + draw.randbytes(2) + struct.pack('<H', draw.randrange(1, 65535))
                for at in range(count):
                    address = draw.randbytes(3) if at == 0 or not sequence else b''
                    asdu += address + drawn_object(draw, type_id)
                talk.say(False, bytes((0x68, 4 + len(asdu))) + struct.pack('<HH', sent << 1, 0) + asdu)
                sent += 1
    write_talks(path, [talk])


def apdus_of(events):
    return [event['iec104'] for event in events if event['event_type'] == 'iec104' and 'apci_type' in event['iec104']]


def compare_values(table, capture, path, apdus):
    VALUES_OF.compare(table, capture, tshark.joined(path, 'iec60870_104', 'iec60870_asdu'), apdus)


def main():
    corpus = Corpus(__doc__)
    table = Table(EXPLAINED)
    if not tshark.installed():
        print('oracle_iec104: no tshark is installed: counts are compared, values are not')
    for capture, services in corpus.services('iec60870_104').items():
        apdus = apdus_of(corpus.events(capture, *SETS))
        compare_truth(table, capture, services, apdus)
        if tshark.installed():
            compare_values(table, capture, corpus.path('captures', capture), apdus)
    if tshark.installed():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / 'made.pcap'
            made_up(path)
            compare_values(table, MADE, str(path), apdus_of(read_events(corpus.sensor, str(path), *SETS)))
    return table.end()


if __name__ == '__main__':
    sys.exit(main())
