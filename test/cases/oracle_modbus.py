#!/usr/bin/env python3
"""Compares the sensor's Modbus events with independent decoders, field by field.

    oracle_modbus.py SENSOR [SHARED] [-k CAPTURE]

SENSOR is the sensor's program. SHARED is the folder of captures and reference results (default: the environment
variable MILLRACE_SHARED, else ../shared beside the source root); without it nothing is compared, and the script
says so and exits 77. Oracles: tshark's counts of field values (corpus/truth), the logs of Zeek and of
ICSNPP-Modbus (corpus/oracles.tar.xz), and, where a tshark is installed, the values that it reads of each message.

A difference that the specification explains stands in EXPLAINED with its reason. Any other makes the exit code 1.
"""
import collections
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "harness"))
from oracle import Corpus, Table, counts, read_log, rows_of_log   # noqa: E402
import tshark   # noqa: E402
from tshark import number, numbers, texts   # noqa: E402

# Zeek's names of function codes.
ZEEK_FUNCTIONS = {
    'READ_COILS': 1, 'READ_DISCRETE_INPUTS': 2, 'READ_HOLDING_REGISTERS': 3, 'READ_INPUT_REGISTERS': 4,
    'WRITE_SINGLE_COIL': 5, 'WRITE_SINGLE_REGISTER': 6, 'READ_EXCEPTION_STATUS': 7, 'DIAGNOSTICS': 8,
    'WRITE_MULTIPLE_COILS': 15, 'WRITE_MULTIPLE_REGISTERS': 16, 'REPORT_SLAVE_ID': 17, 'READ_FILE_RECORD': 20,
    'WRITE_FILE_RECORD': 21, 'MASK_WRITE_REGISTER': 22, 'READ_WRITE_MULTIPLE_REGISTERS': 23, 'READ_FIFO_QUEUE': 24,
    'ENCAP_INTERFACE_TRANSPORT': 43,
}
ZEEK_EXCEPTIONS = {'ILLEGAL_FUNCTION': 1, 'ILLEGAL_DATA_ADDRESS': 2, 'ILLEGAL_DATA_VALUE': 3,
                   'SLAVE_DEVICE_FAILURE': 4, 'ACKNOWLEDGE': 5, 'SLAVE_DEVICE_BUSY': 6, 'MEMORY_PARITY_ERROR': 8,
                   'GATEWAY_PATH_UNAVAILABLE': 10, 'GATEWAY_TARGET_DEVICE_FAILED_TO_RESPOND': 11}

# (oracle, capture or '*', field) -> why the two differ.
SINGLE = 'a single write has no quantity on the wire (V1.1b3 6.5, 6.6); ICSNPP writes 1'
ONLY_COPY = ('tshark dissects no segment that it takes for a retransmission; by sequence numbers some of these are the '
             'only copy of their message, captured late, and our count is that of the distinct ones')
UNPAIRED = 'ICSNPP logs request and response of this function as two rows; the ids are the same, we pair them'
OWN_LOG = 'ICSNPP has this function in a log of its own, compared below; we have it here as well'
TOO_SHORT = ('a message of length 2 with function 0x81 and no exception code: tshark leaves its function out, '
             'we count it, as invalid_length')
BEHIND = ('two bytes stand behind the first message of function 42; tshark loses the second one to them, '
          'we find it again')
EXPLAINED = {
    **{('values', 'arkime__arkime_synthetic.pcap', field): TOO_SHORT for field in ('mbtcp.prot_id', 'mbtcp.len', 'modbus.func_code')},
    **{('values', 'iti__ModbusTCP-modbus_test_data_part1.pcap', field): BEHIND
       for field in ('mbtcp.prot_id', 'mbtcp.len', 'modbus.func_code', 'modbus.data')},
    **{('values', f'malcolm__other-Digital_Bond_S4-{plant}.pcap', field): ONLY_COPY for plant in ('Advantech', 'Modicon')
       for field in ('mbtcp.prot_id', 'mbtcp.len', 'modbus.func_code', 'modbus.regval_uint16', 'modbus.bitval',
                     'modbus.reference_num', 'modbus.word_cnt')},
    ('tshark', 'arkime__arkime_synthetic.pcap', 'modbus.func_code'): TOO_SHORT,
    ('tshark', 'iti__ModbusTCP-modbus_test_data_part1.pcap', 'modbus.func_code'): BEHIND,
    ('tshark', 'malcolm__other-Digital_Bond_S4-Advantech.pcap', 'modbus.func_code'): ONLY_COPY,
    ('tshark', 'malcolm__other-Digital_Bond_S4-Modicon.pcap', 'modbus.func_code'): ONLY_COPY,
    ('zeek', 'zeek__modbus-fuzz-1011.pcap', 'messages'):
        'the response 6714 lies before bytes already seen by its sequence number, a retransmission for us and tshark; '
        'Zeek begins a new connection there',
    ('icsnpp', '*', 'WRITE_SINGLE_COIL: quantity'): SINGLE,
    ('icsnpp', '*', 'WRITE_SINGLE_REGISTER: quantity'): SINGLE,
    ('icsnpp', '*', 'READ_EXCEPTION_STATUS: matched'): UNPAIRED,
    ('icsnpp', '*', 'REPORT_SLAVE_ID: matched'): UNPAIRED,
    ('icsnpp', '*', 'READ_FILE_RECORD: quantity'): 'ICSNPP writes the byte count; there is no quantity (V1.1b3 6.14)',
    ('icsnpp', '*', 'WRITE_FILE_RECORD: quantity'): 'ICSNPP writes the byte count; there is no quantity (V1.1b3 6.15)',
    ('icsnpp', '*', 'READ_FIFO_QUEUE: quantity'):
        'ICSNPP writes the count of the response; ours is response.fifo.count (V1.1b3 6.18)',
    ('icsnpp', '*', 'READ_WRITE_MULTIPLE_REGISTERS: address'): OWN_LOG,
    ('icsnpp', '*', 'READ_WRITE_MULTIPLE_REGISTERS: quantity'): OWN_LOG,
    ('icsnpp', '*', 'READ_WRITE_MULTIPLE_REGISTERS: request_values'): OWN_LOG,
    ('icsnpp', '*', 'READ_WRITE_MULTIPLE_REGISTERS: response_values'): OWN_LOG,
}


def halves(event):
    return [event['modbus'][half] for half in ('request', 'response') if half in event['modbus']]


# ---- tshark ----

def compare_tshark(table, capture, truth, events):
    """tshark counts each message, request or response, and masks the exception bit as we do."""
    messages = [half for event in events for half in halves(event)]
    ours = {
        'modbus.func_code': counts(m['function_raw'] & 0x7f for m in messages),
        'modbus.exception_code': counts(m['exception']['raw'] for m in messages if 'exception' in m),
        'modbus.diagnostic_code': counts(m['diagnostic']['raw'] for m in messages if 'diagnostic' in m),
        'modbus.mei': counts(m['mei']['raw'] for m in messages if 'mei' in m),
    }
    for field, mine in ours.items():
        theirs = {int(value): count for value, count in truth.get(field, {}).items()}
        if theirs or mine:
            table.add('tshark', capture, field, dict(sorted(theirs.items())), mine)


# ---- every value that an installed tshark reads ----

def message_of(name, body, request):
    """A request or a response of ours, with what was asked."""
    return {**body, 'answer': name == 'response', 'asked': request or {}}


def value(*path, functions=None, answer=None, convert=lambda found: found):
    """What stands at the keys of a message of these functions."""
    def values(message):
        if functions is not None and message['function_raw'] not in functions or answer not in (None, message['answer']):
            return []
        return tshark.at_keys(message, path, convert)
    return values


def either(*ways):
    return lambda message: [found for way in ways for found in way(message)]


def every(*path, functions=None, answer=None):
    return lambda message: [one for found in value(*path, functions=functions, answer=answer)(message) for one in found]


def of_list(*path):
    *head, name = path
    return lambda message: [entry[name] for entries in value(*head)(message) for entry in entries if name in entry]


def their_data(message):
    """Of diagnostics the data field has a name by its sub-function."""
    return [raw for name, _, raw in message.fields if name == 'modbus.data' or name.startswith('modbus.diagnostic.')]


def server(message):
    """Function 17: how many, the id, whether it runs, what else is said; an id that is text is that too."""
    if 'server' not in message:
        return []
    found = message['server']
    more = '' if found['id'] == found.get('text', '').encode().hex() else found.get('text', '').encode().hex()
    whole = found['id'] + {'ON': 'ff', 'OFF': '00'}[found['run_indicator']] + more
    return [f'{len(whole) // 2:02x}{whole}']


COILS, REGISTERS = {1, 2}, {3, 4}
WRITTEN = ('write', 'values')
VALUES = {
    'mbtcp.prot_id': (numbers, value('protocol_id')),
    'mbtcp.len': (numbers, value('length')),
    'modbus.func_code': (numbers, value('function_raw', convert=lambda code: code & 0x7f)),
    'modbus.exception_code': (numbers, value('exception', 'raw')),
    'modbus.reference_num': (numbers,
                             either(value('read', 'address', functions=COILS | REGISTERS), value('write', 'address', functions={5, 6, 15, 16, 22}),
                                    value('fifo', 'address'))),
    'modbus.bit_cnt': (numbers,
                       either(value('read', 'quantity', functions=COILS), value('write', 'quantity', functions={15}),
                              value('write', 'data', functions={15}, answer=True))),
    'modbus.word_cnt': (numbers,
                        either(value('read', 'quantity', functions=REGISTERS), value('write', 'quantity', functions={16}),
                               value('write', 'data', functions={16}, answer=True), value('fifo', 'count'),
                               lambda m: [record['record_length'] for record in m.get('file_records', ()) if not m['answer']])),
    'modbus.read_reference_num': (numbers, value('read', 'address', functions={23})),
    'modbus.read_word_cnt': (numbers, value('read', 'quantity', functions={23})),
    'modbus.write_reference_num': (numbers, value('write', 'address', functions={23})),
    'modbus.write_word_cnt': (numbers, value('write', 'quantity', functions={23})),
    'modbus.regval_uint16': (numbers, either(every('read', 'values', functions=REGISTERS), every(*WRITTEN, functions={16}))),
    'modbus.data': (their_data,
                    either(value('write', 'data', functions={5, 6}, convert=lambda word: f'{word:04x}'),
                           value('write', 'data', functions={15}, answer=False), value('read', 'data', functions={23}),
                           value('write', 'data', functions={23}), value('fifo', 'data'), server, value('data'),
                           value('exception_status', convert=lambda octet: f'{octet:02x}'),
                           of_list('file_records', 'data'), value('diagnostic', 'data'),
                           value('comm_event', 'events'))),
    'modbus.bitval': (lambda m: m.all('modbus.bitval', number),
                      every('read', 'values', functions=COILS)),
    'modbus.and_mask': (numbers, value('write', 'and_mask')),
    'modbus.or_mask': (numbers, value('write', 'or_mask')),
    'modbus.diagnostic_code': (numbers, value('diagnostic', 'raw')),
    'modbus.mei': (numbers, value('mei', 'raw')),
    'modbus.read_device_id': (numbers, value('identification', 'device_id_code')),
    'modbus.conformity_level': (numbers, value('identification', 'conformity_level_code')),
    'modbus.next_object_id': (numbers, value('identification', 'next_object_id')),
    'modbus.num_objects': (numbers, value('identification', 'object_count')),
    'modbus.object_id': (numbers, either(value('identification', 'object_id_code'), of_list('identification', 'objects', 'id'))),
    'modbus.object_str_value': (texts, of_list('identification', 'objects', 'value')),
    'modbus.reference_type': (numbers, of_list('file_records', 'reference_type')),
    'modbus.reference_num_32': (numbers,
                                lambda m: [record['file_number'] << 16 | record['record_number'] for record in m.get('file_records', ())
                                           if 'file_number' in record]),
}


def their_key(message):
    return '/'.join(str(message.first(name, number)) for name in ('mbtcp.trans_id', 'mbtcp.unit_id', 'modbus.func_code'))


def our_key(message):
    return f"{message['transaction_id']}/{message['unit_id']}/{message['function_raw'] & 0x7f}"


VALUES_OF = tshark.Values(VALUES, their_key, our_key)


def compare_values(table, capture, path, events):
    ours = [message_of(name, event['modbus'][name], event['modbus'].get('request')) for event in events
            for name in ('request', 'response') if name in event['modbus']]
    VALUES_OF.compare(table, capture, tshark.joined(path, 'mbtcp', 'modbus'), ours)


# ---- Zeek ----

def numbers(text):
    return [int(number) for number in text.split(',')] if text else None


def zeek_messages(rows):
    """(tid, unit, function, REQ or RESP, exception) of a modbus.log that has these columns."""
    out = []
    for row in rows:
        name = row['func']
        if name.endswith('_EXCEPTION'):
            name = name[:-len('_EXCEPTION')]
        function = ZEEK_FUNCTIONS.get(name, name)
        exception = ZEEK_EXCEPTIONS.get(row.get('exception'))
        out.append((int(row['tid']), int(row['unit']), function, row['pdu_type'], exception))
    return collections.Counter(out)


def our_messages(events):
    out = []
    for event in events:
        for half, kind in (('request', 'REQ'), ('response', 'RESP')):
            message = event['modbus'].get(half)
            if message is not None:
                exception = message.get('exception', {}).get('raw')
                out.append((message['transaction_id'], message['unit_id'], message['function_raw'] & 0x7f, kind,
                            exception))
    return collections.Counter(out)


def compare_zeek(table, capture, files, events):
    for path, text in files.items():
        if not path.endswith('/modbus.log') or 'zeek' not in path:
            continue
        names, _ = read_log(text)
        if names is None or 'pdu_type' not in names:
            continue
        theirs, ours = zeek_messages(rows_of_log(text)), our_messages(events)
        table.add('zeek', capture, 'messages', sum(theirs.values()), sum((theirs & ours).values()))
        table.add('zeek', capture, 'messages only ours', [], sorted(map(str, (ours - theirs).elements())))


# ---- ICSNPP ----

def response_values(modbus):
    response = modbus.get('response', {})
    if 'read' in response:
        return response['read'].get('values')
    if response.get('function_code') == 'WrSingleCoil':
        return [int(response['write']['data'] != 0)]
    if response.get('function_code') == 'WrSingleReg':
        return [response['write']['data']]
    return None


def detailed_of(modbus):
    """A transaction as a row of modbus_detailed.log would say it."""
    request, response = modbus.get('request', {}), modbus.get('response', {})
    read, write = request.get('read', {}), request.get('write', {})
    return {
        'address': read.get('address', write.get('address', request.get('fifo', {}).get('address'))),
        'quantity': read.get('quantity', write.get('quantity')),
        'request_values': write.get('values'),
        'response_values': response_values(modbus),
        'matched': bool(request and response),
        'request_data': request.get('diagnostic', {}).get('data'),
        'response_data': response.get('diagnostic', {}).get('data'),
        'exception_code': response.get('exception', {}).get('raw'),
        'mei_type': request.get('mei', {}).get('raw'),
    }


def unescape(text):
    """Bytes as Zeek writes them, in hex."""
    return text.encode().decode('unicode_escape').encode('latin-1').hex()


def baseline_of(row):
    function = ZEEK_FUNCTIONS[row['func']]
    diagnostic = function == 8
    number = lambda name: int(row[name]) if name in row else None
    return {
        'address': number('address'),
        'quantity': number('quantity'),
        'request_values': numbers(row.get('request_values')),
        'response_values': numbers(row.get('response_values')),
        'matched': row.get('matched') == 'T',
        'request_data': unescape(row['request_data']) if diagnostic and 'request_data' in row else None,
        'response_data': unescape(row['response_data']) if diagnostic and 'response_data' in row else None,
        'exception_code': ZEEK_EXCEPTIONS.get(row.get('exception_code')),
        'mei_type': 14 if row.get('mei_type') == 'Read Device Identification' else None,
    }


def by_key(events):
    out = {}
    for event in events:
        modbus = event['modbus']
        message = modbus.get('request') or modbus['response']
        key = (message['transaction_id'], message['unit_id'], message['function_raw'] & 0x7f)
        out.setdefault(key, []).append(modbus)
    return out


def key_of(row):
    return int(row['tid']), int(row['unit']), ZEEK_FUNCTIONS[row['func']]


def compare_detailed(table, capture, rows, ours):
    table.add('icsnpp', capture, 'detailed: transactions', sorted({key_of(row) for row in rows}), sorted(ours))
    for row in rows:
        key = key_of(row)
        if key not in ours:
            continue
        theirs, mine = baseline_of(row), detailed_of(ours[key][0])
        for field in theirs:
            table.add('icsnpp', capture, f'{row["func"]}: {field}', theirs[field], mine[field])


def compare_mask_write(table, capture, rows, ours):
    for row in rows:
        half = row['request_response'].lower()
        write = ours[key_of(row)][0][half]['write']
        for field in ('address', 'and_mask', 'or_mask'):
            table.add('icsnpp', capture, f'mask_write {half}: {field}', int(row[field]), write[field])


def compare_read_write(table, capture, rows, ours):
    for row in rows:
        half = row['request_response'].lower()
        message = ours[key_of(row)][0][half]
        read, write = message.get('read', {}), message.get('write', {})
        for name, theirs, mine in (
                ('write_start_address', row.get('write_start_address'), write.get('address')),
                ('write_registers', row.get('write_registers'), write.get('values')),
                ('read_start_address', row.get('read_start_address'), read.get('address')),
                ('read_quantity', row.get('read_quantity'), read.get('quantity')),
                ('read_registers', row.get('read_registers'), read.get('values'))):
            theirs = None if theirs is None else numbers(theirs) if 'registers' in name else int(theirs)
            table.add('icsnpp', capture, f'read_write {half}: {name}', theirs, mine)


ICSNPP_LOGS = {
    'modbus_detailed.log': compare_detailed,
    'modbus_mask_write_register.log': compare_mask_write,
    'modbus_read_write_multiple_registers.log': compare_read_write,
}


def compare_icsnpp(table, capture, files, events):
    ours = by_key(events)
    for path, text in files.items():
        compare = ICSNPP_LOGS.get(os.path.basename(path))
        if compare is not None and 'icsnpp-modbus' in path:
            compare(table, capture, rows_of_log(text), ours)


def main():
    corpus = Corpus(__doc__)
    truths = corpus.services('modbus')
    logs = corpus.logs(truths, lambda path: 'modbus' in os.path.basename(path))
    table = Table(EXPLAINED)
    for capture, truth in truths.items():
        events = [event for event in corpus.events(capture) if event['event_type'] == 'modbus']
        compare_tshark(table, capture, truth['modbus'], events)
        if tshark.installed():
            compare_values(table, capture, corpus.path('captures', capture), events)
        compare_zeek(table, capture, logs[capture], events)
        compare_icsnpp(table, capture, logs[capture], events)
    return table.end()


if __name__ == '__main__':
    sys.exit(main())
