#!/usr/bin/env python3
"""Compares the sensor's DNP3 events with independent decoders, field by field.

    oracle_dnp3.py SENSOR [SHARED] [-k CAPTURE]

SENSOR is the sensor's program. SHARED is the folder of captures and reference results (default: the environment
variable MILLRACE_SHARED, else ../shared beside the source root); without it nothing is compared, and the script
says so and exits 77. Oracles: tshark's counts of function codes (corpus/truth), the logs of Zeek and of
ICSNPP-DNP3 (corpus/oracles.tar.xz), and, where a tshark is installed, the values that it reads of each message.

A difference that the specification explains stands in EXPLAINED with its reason. Any other makes the exit code 1.
"""
import datetime
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "harness"))
from oracle import Corpus, Table, counts_by_text as counts, rows_of_log   # noqa: E402
import tshark   # noqa: E402
from tshark import flags, number, numbers, texts   # noqa: E402

# ICSNPP's names of objects: group and variation.
OBJECTS = {
    'Class 0 Data': (60, 1), 'Class 1 Data': (60, 2), 'Class 2 Data': (60, 3), 'Class 3 Data': (60, 4),
    'Binary Input With Status': (1, 2), 'Binary Output Status': (10, 2), '16-Bit Analog Input': (30, 2),
    '16-Bit Analog Output Status': (40, 2),
}

REASSEMBLED = ('tshark does not follow a message whose transport sequence goes from 63 to 0, and joins one whole message to an '
               'older fragment of the same sequence, which it then reads as function 0 (IEEE 1815 8.2.1.4). Zeek counts as we do')
NO_USER_DATA = ('tshark reads user data behind link functions that carry none (IEEE 1815 9.2.4.1.3); for us the frame is '
                'unexpected_user_data')
COMMON_TIME = 'tshark ends at group 51 variation 2; behind its 6 octets (IEEE 1815 A.24.2) the events stand that we read'
SECURE = 'tshark does not know that 131 is a response, with internal indications, nor what an authentication request has (IEEE 1815 A.45)'
DATA_SET = 'tshark ends behind the first data set; those that stand behind it have a size each'
ROOM = '29 of 2,310 points find no room in the record, and are counted in points_truncated'
SYNTHETIC = ('a message that ends inside its object header, and a device attribute of a type that does not exist, of which we show the '
             'bytes')
FILE = 'tshark shows of a file command the fields that its mode uses, we all that stand there (IEEE 1815 A.27.3)'
WHOLE = ('al.fir', 'al.fin', 'al.con', 'al.uns', 'al.seq', 'al.func', 'al.obj', 'al.objq.prefix', 'al.objq.range', 'ctl.dir',
         'ctl.prm', 'ctl.fcb', 'ctl.fcv', 'ctl.prifunc')


def explained(why, capture, *fields):
    return {('values', capture, f'dnp3.{field}'): why for field in fields}


# (oracle, capture or '*', field) -> why the two differ.
EXPLAINED = {
    **explained(REASSEMBLED, 'icsnpp-dnp3__dnp3_example.pcap', *WHOLE, 'al.iin', 'al.range.start', 'al.range.stop',
                'al.range.quantity', 'al.index', 'al.point_index', 'al.biq', 'al.boq', 'al.aiq', 'al.aoq', 'al.ana.int', 'al.anaout.int',
                'al.timestamp', 'ctl.op', 'ctl.clr', 'ctl.trip', 'al.count', 'al.on_time', 'al.off_time', 'al.ctrlstatus'),
    **explained(NO_USER_DATA, 'iti__dnp3-opendnp3-3-conformance-6.6.2.5-dump.pcap', *WHOLE),
    **explained(SECURE, 'zeek__auth_change_session_keys.pcap', 'al.iin', 'al.obj', 'al.objq.prefix', 'al.objq.range',
                'al.range.quantity', 'al.size', 'al.point_index'),
    **{key: why for case in ('8.14.2.13', '8.15.2', '8.22.2.12', '8.22.2.13', '8.22.2.14', '8.22.2.15')
       for key, why in explained(COMMON_TIME, f'iti__dnp3-opendnp3-3-conformance-{case}-dump.pcap', 'al.obj', 'al.objq.prefix',
                                 'al.objq.range', 'al.range.quantity', 'al.index', 'al.point_index', 'al.biq', 'al.timestamp',
                                 'al.reltimestamp').items()},
    **explained(ROOM, 'zeek__dnp3-dnp3_udp_read.pcap', 'al.aiq', 'al.ana.float', 'al.point_index'),
    **explained(DATA_SET, 'iti__dnp3-dataset_exchange.pcap', 'al.size'),
    **explained(SYNTHETIC, 'arkime__dnp3_synthetic.pcap', 'al.obj', 'al.objq.prefix', 'al.objq.range', 'al.da.length', 'al.da.uint32',
                'al.point_index'),
    **explained('octet strings of variation 0 take no bytes, and are no points', 'iti__dnp3-write_vto_empty_string.pcap', 'al.point_index'),
    **explained(FILE, '*', 'al.file.perms', 'al.file.size', 'al.file.data'),
    ('tshark', 'icsnpp-dnp3__dnp3_example.pcap', 'dnp3.al.func'): REASSEMBLED,
    ('tshark', 'iti__dnp3-opendnp3-3-conformance-6.6.2.5-dump.pcap', 'dnp3.al.func'): NO_USER_DATA,
    ('zeek', '*', 'requests named with responses'):
        'Zeek pairs a reply, unsolicited ones too, with the last request of the connection; we pair by address and '
        'sequence number (IEEE 1815 4.2.2.4), so requests that wait side by side keep their own',
    ('icsnpp', '*', 'objects that it does not log'):
        'ICSNPP logs class polls and static objects; commands are in its other log, events in none',
}


# ---- tshark ----

def compare_tshark(table, capture, truth, messages):
    theirs = {str(code): count for code, count in truth.get('dnp3.al.func', {}).items()}
    ours = counts(message['application']['function_code'] for message in messages)
    table.add('tshark', capture, 'dnp3.al.func', dict(sorted(theirs.items())), dict(sorted(ours.items())))


# ---- every value that an installed tshark reads ----

def of_message(*path, convert=lambda value: value):
    """One value of a message by the keys that lead to it."""
    def values(message):
        for key in path:
            if key not in message:
                return []
            message = message[key]
        return [convert(message)]
    return values


def objects(message):
    return message['application'].get('objects', ())


def of_objects(name, when=lambda item: True):
    return lambda message: [item[name] for item in objects(message) if when(item)]


def points_of(message, groups=None):
    return [point for item in objects(message) if groups is None or item['group'] in groups for point in item.get('points', ())]


def of_points(name, groups=None, convert=lambda value: value):
    return lambda message: [convert(point[name]) for point in points_of(message, groups) if name in point]


COMMON = ('online', 'restart', 'comm_lost', 'remote_forced', 'local_forced')
# tshark's letters of a flag octet -> groups that have it, the names of its bits from the lowest on.
FLAGS = {
    'biq': ((1, 2, 3, 4), (*COMMON, 'chatter_filter', 'reserved')),
    'boq': ((10, 11), (*COMMON, 'reserved0', 'reserved1')),
    'ctrq': ((20, 21, 22, 23), (*COMMON, 'rollover', 'discontinuity', 'reserved0')),
    'aiq': ((30, 31, 32, 33), (*COMMON, 'over_range', 'reference_err', 'reserved0')),
    'aoq': ((40, 42), (*COMMON, 'over_range', 'reference_err', 'reserved0')),
}


def their_octets(letters):
    def values(message):
        bits = [message.all(f'dnp3.al.{letters}.b{place}', number) for place in range(8)]
        return [sum(bit << place for place, bit in enumerate(octet)) for octet in zip(*bits)]
    return values


def highest_bits(group, point):
    """The state of a binary point; of a double bit two of them."""
    if group in (3, 4):
        return point['state'] << 6
    return point.get('value', point['state']) << 7 if group in (1, 2, 10, 11) else 0


def our_octets(letters):
    groups, names = FLAGS[letters]
    return lambda message: [sum(point.get(name, 0) << place for place, name in enumerate(names)) | highest_bits(item['group'], point)
                            for item in objects(message) if item['group'] in groups for point in item.get('points', ())
                            if 'online' in point]


def utc(text):
    """Milliseconds since 1970 of tshark's date."""
    stamp = datetime.datetime.fromisoformat(tshark.read_time(text)).replace(tzinfo=datetime.timezone.utc)
    return round(stamp.timestamp() * 1000)


def times(message):
    """Absolute ones: group 2 variation 3 has relative ones. Of files tshark has that of those written alone."""
    return [point.get('timestamp', point.get('created')) for item in objects(message)
            if (item['group'], item['variation']) != (2, 3) for point in item.get('points', ())
            if 'timestamp' in point or point.get('operational_mode') == 2]


def relative_times(message):
    return [point.get('relative_time_ms', point.get('timestamp')) for item in objects(message)
            if (item['group'], item['variation']) in ((2, 3), (4, 3)) for point in item.get('points', ())]


def states(message):
    """Of packed formats, and of double bits."""
    return [point['state'] for item in objects(message) for point in item.get('points', ())
            if set(point) - {'prefix', 'index'} == {'state'}]


def our_statuses(message):
    return [point['status_code'] if 'status_code' in point else point['control_status']
            for point in points_of(message, {12, 41})]


def of_values(groups, floats):
    """Values of analogue points; floats: whether those of the variations with such."""
    def values(message):
        return [point['value'] for item in objects(message) if item['group'] in groups for point in item.get('points', ())
                if 'value' in point and (is_float(item) == floats)]
    return values


def is_float(item):
    first = {30: 5, 31: 7, 32: 5, 33: 5, 40: 3, 41: 3, 42: 5}
    return item['variation'] >= first[item['group']]


def singles(values_of):
    return lambda message: [tshark.single(value) for value in values_of(message)]


def number_of_points(message):
    return [item['count'] for item in objects(message) if item['range_code'] in (7, 8, 9, 11)]


ANALOG_IN, ANALOG_OUT = (30, 31, 32, 33), (40, 41, 42)
CONTROL = ('application', 'control')
VALUES = {
    'dnp3.al.fir': (flags, of_message(*CONTROL, 'fir')),
    'dnp3.al.fin': (flags, of_message(*CONTROL, 'fin')),
    'dnp3.al.con': (flags, of_message(*CONTROL, 'con')),
    'dnp3.al.uns': (flags, of_message(*CONTROL, 'uns')),
    'dnp3.al.seq': (numbers, of_message(*CONTROL, 'sequence')),
    'dnp3.al.func': (numbers, of_message('application', 'function_code')),
    'dnp3.al.iin': (numbers, of_message('iin', 'raw')),
    'dnp3.ctl.dir': (flags, of_message('control', 'dir')),
    'dnp3.ctl.prm': (flags, of_message('control', 'pri')),
    'dnp3.ctl.fcb': (flags, of_message('control', 'fcb')),
    'dnp3.ctl.fcv': (flags, of_message('control', 'fcv')),
    'dnp3.ctl.prifunc': (numbers, of_message('control', 'function_code')),
    'dnp3.al.obj': (numbers, lambda m: [item['group'] << 8 | item['variation'] for item in objects(m)]),
    'dnp3.al.objq.prefix': (numbers, of_objects('prefix_code')),
    'dnp3.al.objq.range': (numbers, of_objects('range_code')),
    'dnp3.al.range.start': (numbers, of_objects('start', lambda item: item['range_code'] <= 5)),
    'dnp3.al.range.stop': (numbers, of_objects('stop', lambda item: item['range_code'] <= 5)),
    'dnp3.al.range.quantity': (numbers, number_of_points),
    'dnp3.al.index': (numbers, lambda m: [point['prefix'] for item in objects(m) if item['prefix_code'] in (1, 2, 3)
                                                           for point in item.get('points', ())]),
    'dnp3.al.point_index': (numbers, lambda m: [point['index'] for item in objects(m) if item['prefix_code'] == 0
                                                                       for point in item.get('points', ())]),
    'dnp3.al.size': (numbers, of_points('size')),
    **{f'dnp3.al.{letters}': (their_octets(letters), our_octets(letters)) for letters in FLAGS},
    'dnp3.al.bit': (numbers, states),
    'dnp3.al.ana.int': (numbers, of_values(ANALOG_IN, False)),
    'dnp3.al.ana.float': (lambda m: m.all('dnp3.al.ana.float', tshark.single), singles(of_values(ANALOG_IN, True))),
    'dnp3.al.anaout.int': (numbers, of_values(ANALOG_OUT, False)),
    'dnp3.al.anaout.float': (lambda m: m.all('dnp3.al.anaout.float', tshark.single), singles(of_values(ANALOG_OUT, True))),
    'dnp3.al.cnt': (numbers, of_points('count', (20, 21, 22, 23))),
    'dnp3.al.timestamp': (lambda m: m.all('dnp3.al.timestamp', utc), times),
    'dnp3.al.reltimestamp': (lambda m: [round(float(text) * 1000) for text in m.all('dnp3.al.reltimestamp')], relative_times),
    'dnp3.al.time_delay': (numbers, of_points('delay_ms')),
    'dnp3.ctl.op': (numbers, of_points('op_type')),
    'dnp3.ctl.clr': (numbers, lambda m: [point['qu'] | point['cr'] << 1 for point in points_of(m, {12}) if 'qu' in point]),
    'dnp3.ctl.trip': (numbers, of_points('tcc')),
    'dnp3.al.count': (numbers, of_points('count', (12,))),
    'dnp3.al.on_time': (numbers, of_points('ontime')),
    'dnp3.al.off_time': (numbers, of_points('offtime')),
    'dnp3.al.ctrlstatus': (numbers, our_statuses),
    'dnp3.al.file.handle': (numbers, of_points('file_handle')),
    'dnp3.al.file.blocknum': (numbers, of_points('block_number', None, lambda value: value & 0x7fffffff)),
    'dnp3.al.file.lastblock': (flags, of_points('last_block')),
    'dnp3.al.file.data': (lambda m: [tshark.text_of(raw) for raw in m.raw('dnp3.al.file.data')], of_points('file_data')),
    'dnp3.al.file.mode': (numbers, of_points('operational_mode')),
    'dnp3.al.file.auth': (numbers, of_points('authentication_key')),
    'dnp3.al.file.perms': (numbers, of_points('permissions')),
    'dnp3.al.file.size': (numbers, of_points('file_size')),
    'dnp3.al.file.maxblock': (numbers, of_points('maximum_block_size')),
    'dnp3.al.file.reqID': (numbers, of_points('request_id')),
    'dnp3.al.file.status': (numbers, of_points('status_code', (70,))),
    'dnp3.al.file_name': (texts, of_points('filename')),
    'dnp3.al.da.length': (numbers, of_points('length', (0,))),
    'dnp3.al.da.uint32': (numbers, of_points('value', (0,))),
}


def their_key(message):
    return '/'.join(str(message.first(name, int)) for name in ('dnp3.src', 'dnp3.dst', 'dnp3.al.seq', 'dnp3.al.func'))


def our_key(message):
    application = message['application']
    return f"{message['src']}/{message['dst']}/{application['control']['sequence']}/{application['function_code']}"


VALUES_OF = tshark.Values(VALUES, their_key, our_key)


def compare_values(table, capture, path, messages):
    """Messages: the frame that ends one has it."""
    theirs = [message for message in tshark.messages(path, ('dnp3',)) if message.has('dnp3.al.func')]
    VALUES_OF.compare(table, capture, theirs, messages)


# ---- Zeek's logs ----

def compare_zeek(table, capture, rows, messages):
    replies = [m for m in messages if m['type'] in ('response', 'unsolicited_response')]
    table.add('zeek', capture, 'replies by function and iin',
              counts((row['fc_reply'].lower(), int(row['iin'])) for row in rows if 'fc_reply' in row),
              counts((m['application']['function_name'], m['iin']['raw']) for m in replies))
    table.add('zeek', capture, 'requests named with responses',
              counts((row['fc_request'].lower(), row['fc_reply'].lower()) for row in rows
                     if 'fc_request' in row and 'fc_reply' in row),
              counts((m['application']['request_function_name'], m['application']['function_name']) for m in replies
                     if 'request_function_name' in m['application']))


# ---- ICSNPP ----

def range_of(item):
    """An object header's count and range, where it has them."""
    if item['range_code'] == 6:
        return None, None, None
    if item['range_code'] <= 5:
        return item['count'], item['start'], item['stop']
    return item['count'], None, None


def objects_of(messages):
    for message in messages:
        for item in message['application'].get('objects', []):
            yield message, item


def cell(row, name):
    return int(row[name]) if name in row else None


def compare_objects(table, capture, rows, messages):
    logged = set(OBJECTS.values())
    theirs = [(row['function_code'].lower(), OBJECTS.get(row['object_type'], row['object_type']),
               (cell(row, 'object_count'), cell(row, 'range_low'), cell(row, 'range_high'))) for row in rows]
    ours = [(message['application']['function_name'], (item['group'], item['variation']), range_of(item))
            for message, item in objects_of(messages)]
    table.add('icsnpp', capture, 'objects: function and type', counts(row[:2] for row in theirs),
              counts(row[:2] for row in ours if row[1] in logged))
    table.add('icsnpp', capture, 'objects: count and range', counts(theirs),
              counts(row for row in ours if row[1] in logged))
    table.add('icsnpp', capture, 'objects that it does not log', {},
              counts(row[1] for row in ours if row[1] not in logged))


def control_of(message, point):
    response = message['type'] == 'response'
    return {
        'function_code': message['application']['function_name'],
        'index_number': point['index'],
        'trip_control_code': point['tcc_name'],
        'operation_type': point['op_type_name'],
        'clear_bit': point['cr'] == 1,
        'execute_count': point['count'],
        'on_time': point['ontime'],
        'off_time': point['offtime'],
        'status_code': point['status_name'] if response else None,
    }


def baseline_of(row):
    name = lambda key: row[key].lower().replace(' ', '_') if key in row else None
    return {
        'function_code': name('function_code'),
        'index_number': cell(row, 'index_number'),
        'trip_control_code': name('trip_control_code'),
        'operation_type': name('operation_type'),
        'clear_bit': row.get('clear_bit') == 'T',
        'execute_count': cell(row, 'execute_count'),
        'on_time': cell(row, 'on_time'),
        'off_time': cell(row, 'off_time'),
        'status_code': name('status_code'),
    }


def compare_control(table, capture, rows, messages):
    theirs = [baseline_of(row) for row in rows if row['block_type'] == 'Control Relay Output Block']
    ours = [control_of(message, point) for message, item in objects_of(messages)
            if (item['group'], item['variation']) == (12, 1) for point in item.get('points', [])]
    table.add('icsnpp', capture, 'control: rows', len(theirs), len(ours))
    for field in theirs[0] if theirs else ():
        table.add('icsnpp', capture, f'control: {field}', counts(row[field] for row in theirs),
                  counts(row[field] for row in ours))
    whole = lambda row: tuple(sorted(row.items(), key=str))
    table.add('icsnpp', capture, 'control: all fields at once', counts(map(whole, theirs)), counts(map(whole, ours)))


LOGS = {'dnp3.log': compare_zeek, 'dnp3_objects.log': compare_objects, 'dnp3_control.log': compare_control}


def main():
    corpus = Corpus(__doc__)
    truths = corpus.services('dnp3')
    logs = corpus.logs(truths, lambda path: os.path.basename(path) in LOGS)
    table = Table(EXPLAINED)
    for capture, truth in truths.items():
        events = corpus.events(capture, 'app-layer.protocols.dnp3.log-confirms=yes')
        messages = [event['dnp3'] for event in events if event['event_type'] == 'dnp3']
        compare_tshark(table, capture, truth['dnp3'], messages)
        if tshark.installed():
            compare_values(table, capture, corpus.path('captures', capture), messages)
        for path, text in logs[capture].items():
            LOGS[os.path.basename(path)](table, capture, rows_of_log(text), messages)
    return table.end()


if __name__ == '__main__':
    sys.exit(main())
