#!/usr/bin/env python3
"""Compares the sensor's Modbus events with independent decoders, field by field.

    oracle_modbus.py SENSOR [SHARED] [-k CAPTURE]

SENSOR is the sensor's program. SHARED is the folder of captures and reference results (default: the environment
variable MILLRACE_SHARED, else ../shared beside the source root); without it nothing is compared, and the script
says so and exits 77. Oracles: tshark's counts of field values (corpus/truth), and the logs of Zeek and of
ICSNPP-Modbus (corpus/oracles.tar.xz).

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
EXPLAINED = {
    ('tshark', 'arkime__arkime_synthetic.pcap', 'modbus.func_code'):
        'a message of length 2 with function 0x81 and no exception code: tshark leaves its function out, '
        'we count it, as invalid_length',
    ('tshark', 'iti__ModbusTCP-modbus_test_data_part1.pcap', 'modbus.func_code'):
        'two bytes stand behind the first message of function 42; tshark loses the second one to them, '
        'we find it again',
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
                print(f'{oracle:8} {capture:60.60} {field:28} agree      {short(theirs)}')
            else:
                print(f'{oracle:8} {capture:60.60} {field:28} {verdict}')
                print(f'{"":8}     theirs {short(theirs)}')
                print(f'{"":8}     ours   {short(ours)}')
        agreed = sum(row[5] == 'agree' for row in self.rows)
        print(f'{len(self.rows)} fields compared: {agreed} agree, '
              f'{len(self.rows) - agreed - self.failed} differ with a reason, {self.failed} differ')


def short(value):
    text = json.dumps(value, sort_keys=True, default=str)
    return text if len(text) <= 300 else text[:297] + '...'


def run_sensor(sensor, capture):
    """The Modbus events of a capture, in the order written."""
    with tempfile.TemporaryDirectory() as out:
        done = subprocess.run([sensor, 'read', '-r', capture, '-k', 'none', '-l', out], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=600, check=False)
        path = os.path.join(out, 'eve.json')
        if done.returncode != 0 or not os.path.exists(path):
            sys.exit(f'{sensor} read -r {capture}: exit code {done.returncode}\n{done.stdout.decode(errors="replace")}')
        with open(path, encoding='utf-8') as lines:
            events = [json.loads(line) for line in lines]
    return [event for event in events if event['event_type'] == 'modbus']


def halves(event):
    return [event['modbus'][half] for half in ('request', 'response') if half in event['modbus']]


def counts(values):
    return dict(sorted(collections.Counter(values).items()))


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


# ---- Zeek ----

def read_log(text):
    """Rows of a Zeek log as dictionaries; unset fields are left out."""
    names, rows = None, []
    for line in text.splitlines():
        if line.startswith('#fields'):
            names = line.split('\t')[1:]
        elif line and not line.startswith('#'):
            rows.append(line.split('\t'))
    if names is None:
        return None, rows
    return names, [{name: value for name, value in zip(names, row) if value != '-'} for row in rows]


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
        names, rows = read_log(text)
        if names is None or 'pdu_type' not in names:
            continue
        theirs, ours = zeek_messages(rows), our_messages(events)
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
            compare(table, capture, read_log(text)[1], ours)


def read_oracles(path, captures):
    """capture -> {path: text} of the logs that are about Modbus."""
    out = collections.defaultdict(dict)
    if not os.path.exists(path):
        return out
    with tarfile.open(path) as archive:
        for member in archive:
            parts = member.name.split('/')
            if member.isfile() and len(parts) > 2 and parts[1] in captures and 'modbus' in parts[-1]:
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
        print(f'oracle_modbus: skipped: no corpus in {args.shared}')
        return SKIPPED
    truths = {}
    for name in sorted(os.listdir(os.path.join(corpus, 'truth'))):
        with open(os.path.join(corpus, 'truth', name), encoding='utf-8') as text:
            services = json.load(text).get('services') or {}
        if 'modbus' in services and (args.only is None or args.only in name):
            truths[name[:-len('.json')]] = services['modbus']
    oracles = read_oracles(os.path.join(corpus, 'oracles.tar.xz'), truths)
    table = Table()
    for capture, truth in truths.items():
        events = run_sensor(args.sensor, os.path.join(corpus, 'captures', capture))
        compare_tshark(table, capture, truth, events)
        compare_zeek(table, capture, oracles[capture], events)
        compare_icsnpp(table, capture, oracles[capture], events)
    table.print()
    return 1 if table.failed else 0


if __name__ == '__main__':
    sys.exit(main())
