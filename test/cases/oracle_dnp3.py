#!/usr/bin/env python3
"""Compares the sensor's DNP3 events with independent decoders, field by field.

    oracle_dnp3.py SENSOR [SHARED] [-k CAPTURE]

SENSOR is the sensor's program. SHARED is the folder of captures and reference results (default: the environment
variable MILLRACE_SHARED, else ../shared beside the source root); without it nothing is compared, and the script
says so and exits 77. Oracles: tshark's counts of function codes (corpus/truth), and the logs of Zeek and of
ICSNPP-DNP3 (corpus/oracles.tar.xz).

A difference that the specification explains stands in EXPLAINED with its reason. Any other makes the exit code 1.
"""
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "harness"))
from oracle import Corpus, Table, counts_by_text as counts, rows_of_log   # noqa: E402

# ICSNPP's names of objects: group and variation.
OBJECTS = {
    'Class 0 Data': (60, 1), 'Class 1 Data': (60, 2), 'Class 2 Data': (60, 3), 'Class 3 Data': (60, 4),
    'Binary Input With Status': (1, 2), 'Binary Output Status': (10, 2), '16-Bit Analog Input': (30, 2),
    '16-Bit Analog Output Status': (40, 2),
}

# (oracle, capture or '*', field) -> why the two differ.
EXPLAINED = {
    ('tshark', 'icsnpp-dnp3__dnp3_example.pcap', 'dnp3.al.func'):
        'tshark does not follow a message whose transport sequence goes from 63 to 0, and joins one whole message to an '
        'older fragment of the same sequence, which it then reads as function 0 (IEEE 1815 8.2.1.4). Zeek counts as we do',
    ('tshark', 'iti__dnp3-opendnp3-3-conformance-6.6.2.5-dump.pcap', 'dnp3.al.func'):
        'tshark reads user data behind link functions that carry none (IEEE 1815 9.2.4.1.3); for us the frame is '
        'unexpected_user_data',
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


def number(row, name):
    return int(row[name]) if name in row else None


def compare_objects(table, capture, rows, messages):
    logged = set(OBJECTS.values())
    theirs = [(row['function_code'].lower(), OBJECTS.get(row['object_type'], row['object_type']),
               (number(row, 'object_count'), number(row, 'range_low'), number(row, 'range_high'))) for row in rows]
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
        'index_number': number(row, 'index_number'),
        'trip_control_code': name('trip_control_code'),
        'operation_type': name('operation_type'),
        'clear_bit': row.get('clear_bit') == 'T',
        'execute_count': number(row, 'execute_count'),
        'on_time': number(row, 'on_time'),
        'off_time': number(row, 'off_time'),
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
        for path, text in logs[capture].items():
            LOGS[os.path.basename(path)](table, capture, rows_of_log(text), messages)
    return table.end()


if __name__ == '__main__':
    sys.exit(main())
