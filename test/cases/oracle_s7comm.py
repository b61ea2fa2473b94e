#!/usr/bin/env python3
"""Compares the sensor's S7comm and S7comm-plus events with independent decoders, field by field.

    oracle_s7comm.py SENSOR [SHARED] [-k CAPTURE]

SENSOR is the sensor's program. SHARED is the folder of captures and reference results (default: the environment
variable MILLRACE_SHARED, else ../shared beside the source root); without it nothing is compared, and the script
says so and exits 77. Oracles: tshark's counts of field values and the byte patterns of S7comm-plus (corpus/truth),
and the logs of ICSNPP-S7comm (corpus/oracles.tar.xz).

A difference that has a reason stands in EXPLAINED with it. Any other makes the exit code 1.
"""
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "harness"))
from oracle import Corpus, Table, counts, rows_of_log   # noqa: E402

EVERYTHING = ('app-layer.protocols.s7comm.log-cyclic=all', 'app-layer.protocols.s7comm_plus.log-cyclic=all')

COPIES = ('tshark dissects no segment that it takes for a retransmission; some of these are the only copy of their '
          'message, captured late, and our count is that of the distinct ones')
SYNTHETIC = 'conversations of one packet each that share ports; one of the two jobs is in a flow already given up'
PER_PACKET = ('the pattern is looked for once a segment: a message behind an empty TPDU is missing, a retransmitted one '
              'counts twice, a later part of a message is read as a message, and opcode 0x02 is taken for a notification')
LONG_ANSWER = ('a status list answered in two messages: ICSNPP has neither the first answer nor the second request, 18 of '
               'the 20 userdata messages that tshark counts')
# (oracle, capture or '*', field) -> why the two differ.
EXPLAINED = {
    ('tshark', 'arkime__arkime_synthetic.pcap', 's7comm.header.rosctr'): SYNTHETIC,
    ('tshark', 'arkime__arkime_synthetic.pcap', 's7comm.param.func'): SYNTHETIC,
    ('tshark', 'iti__s7-S7Comm-s7comm_clean.pcap', 's7comm.header.rosctr'): COPIES,
    ('tshark', 'iti__s7-S7Comm-s7comm_clean.pcap', 's7comm.param.func'): COPIES,
    ('tshark', 'iti__s7-S7Comm-s7comm_clean.pcap', 's7comm.header.errcls'): COPIES,
    ('pattern', '*', 'opcode'): PER_PACKET,
    ('pattern', '*', 'function'): PER_PACKET,
    ('icsnpp', 'icsnpp-s7comm__snap7.pcap', 's7comm: error_class'):
        LONG_ANSWER + '; and it takes an error of a block function (0xd209) for one of the parameters',
    **{('icsnpp', 'icsnpp-s7comm__snap7.pcap', field): LONG_ANSWER for field in (
        'read_szl', 's7comm: rosctr_name', 's7comm: pdu_reference', 's7comm: function_code', 's7comm: function_name',
        's7comm: subfunction_name', 's7comm: error_code')},
}


def messages(events):
    """Each message of a transaction, with what the oracles say of it."""
    for event in events:
        halves = [half for half in (event, event.get('response')) if half is not None and 'rosctr_code' in half]
        for half in halves:
            answer = half['rosctr_code'] in (2, 3) or (half['rosctr_code'] == 7 and half.get('function_code', 0) >> 4 == 8)
            yield event, half, answer


# ---- tshark ----

def compare_tshark(table, capture, truth, events):
    """tshark counts each message, request or response."""
    seen = list(messages(events))
    userdata = [(event, half) for event, half, _ in seen if half['rosctr_code'] == 7]
    ours = {
        's7comm.header.rosctr': counts(half['rosctr_code'] for _, half, _ in seen),
        's7comm.param.func': counts(half['function_code'] for _, half, _ in seen
                                    if half['rosctr_code'] != 7 and 'function_code' in half),
        's7comm.header.errcls': counts(event['error_class_code'] for event, half, _ in seen
                                       if half['rosctr_code'] in (2, 3)),
        's7comm.param.userdata.funcgroup': counts(half['function_code'] & 0x0f for _, half in userdata),
        's7comm.param.userdata.subfunc': counts(event['subfunction_code'] for event, half in userdata
                                                if half['function_code'] & 0x0f != 0),
    }
    for field, mine in ours.items():
        theirs = {int(value): count for value, count in truth.get(field, {}).items()}
        if theirs or mine:
            table.add('tshark', capture, field, dict(sorted(theirs.items())), mine)


def compare_patterns(table, capture, truth, events):
    """tshark 4.0 knows no S7comm-plus; opcodes and functions stand at fixed places of most segments."""
    opcodes, functions = [], []
    for event in events:
        for half in (event, event.get('response', {})):
            if 'opcode' in half:
                opcodes.append(f'0x{half["opcode"]:02x}')
                functions.append(f'0x{event["function_code"]:04x}' if 'function_code' in event else 'notif')
    table.add('pattern', capture, 'opcode', dict(sorted(truth['opcode'].items())), counts(opcodes))
    table.add('pattern', capture, 'function', dict(sorted(truth['function'].items())), counts(functions))


# ---- ICSNPP ----

def our_row(event, half, answer):
    userdata = half['rosctr_code'] == 7
    row = {'rosctr_name': half['rosctr_name'], 'pdu_reference': str(event['pdu_reference']),
           'function_code': f'0x{half["function_code"]:02x}', 'function_name': half['function_name']}
    if 'subfunction_name' in event and (userdata or not answer) and half['function_name'] != 'PLC Stop':
        row['subfunction_name'] = event['subfunction_name']
    if answer:
        row['error_class'] = event['error_class']
        row['error_code'] = f'0x{event["error_code"]:02x}'
    return row


def compare_s7comm(table, capture, rows, classic, _plus):
    """Every row of theirs that we have no equal of, field by field in the order of the references."""
    # ICSNPP writes no acknowledgements without data: they have no function.
    ours = [our_row(*message) for message in messages(classic) if 'function_code' in message[1]]
    for field in ('rosctr_name', 'pdu_reference', 'function_code', 'function_name', 'subfunction_name', 'error_class',
                  'error_code'):
        key = lambda row: (row['pdu_reference'], row['rosctr_name'], row['function_code'])
        theirs = counts(f'{key(row)} {row.get(field)}' for row in rows if 'function_code' in row)
        mine = counts(f'{key(row)} {row.get(field)}' for row in ours)
        table.add('icsnpp', capture, f's7comm: {field}', *only_different(theirs, mine))


def swapped(rows):
    """ICSNPP reads the reference with the low octet first; tshark and we, as all else of the header, the high one."""
    for row in rows:
        if 'pdu_reference' in row:
            number = int(row['pdu_reference'])
            row['pdu_reference'] = str(number >> 8 | (number & 0xff) << 8)
    return rows


def only_different(theirs, ours):
    """Equal entries are left out, so that a difference can be read; all equal: the number."""
    if theirs == ours:
        return len(theirs), len(ours)
    return ({key: value for key, value in theirs.items() if ours.get(key) != value},
            {key: value for key, value in ours.items() if theirs.get(key) != value})


def compare_szl(table, capture, rows, classic, _plus):
    ours = []
    for event, half, answer in messages(classic):
        if 'szl_id' not in event or (answer and 'szl_entry_length' not in event):
            continue
        ours.append((str(event['pdu_reference']), 'Response' if answer else 'Request', f'0x{event["szl_id"]:04x}',
                     event['szl_id_name'], f'0x{event["szl_index"]:04x}'))
    theirs = [(row['pdu_reference'], row['method'], row['szl_id'], row['szl_id_name'], row['szl_index']) for row in rows]
    table.add('icsnpp', capture, 'read_szl', *only_different(counts(map(str, theirs)), counts(map(str, ours))))


def compare_transfer(table, capture, rows, classic, _plus):
    """Upload and download: requests name session and file, answers the length."""
    ours, theirs = [], []
    for event, half, answer in messages(classic):
        if half['rosctr_code'] == 7 or half.get('function_code') not in range(0x1a, 0x20) or answer:
            continue
        ours.append((event['pdu_reference'], event['function_name'], event.get('session_id'), event.get('filename'),
                     event.get('block_type'), event.get('destination_filesystem')))
    for row in rows:
        if row['rosctr'] == 'Job-Request':
            theirs.append((int(row['pdu_reference']), row['function_name'], int(row['session_id']), row.get('filename'),
                           row.get('block_type'), row.get('destination_filesystem')))
    # In our one event the session of a start is that which the answer gave.
    strip = lambda row: row if row[1] != 'Start Upload' else row[:2] + (None,) + row[3:]
    table.add('icsnpp', capture, 'upload_download: requests',
              *only_different(counts(str(strip(row)) for row in theirs), counts(str(strip(row)) for row in ours)))
    lengths = counts(f'{row["pdu_reference"]} {row["blocklength"]}' for row in rows if 'blocklength' in row)
    mine = counts(f'{event["pdu_reference"]} {event["blocklength"]}' for event in classic if 'blocklength' in event)
    table.add('icsnpp', capture, 'upload_download: blocklength', *only_different(lengths, mine))


def compare_plus(table, capture, rows, _classic, plus):
    ours = []
    for event in plus:
        function = (f'0x{event["function_code"]:04x}', event['function_name']) if 'function_code' in event else (None, None)
        for half in (event, event.get('response', {})):
            if 'opcode' in half:
                ours.append((half['version'], f'0x{half["opcode"]:02x}', half['opcode_name'], *function))
    theirs = [(int(row['version']), row['opcode'], row['opcode_name'], row.get('function_code'), row.get('function_name'))
              for row in rows]
    table.add('icsnpp', capture, 's7comm_plus', *only_different(counts(map(str, theirs)), counts(map(str, ours))))


def compare_cotp(table, capture, rows, classic, plus):
    """We write the TPDUs that carry no message; each data TPDU is in the event of its message."""
    theirs = counts(row['pdu_name'] for row in rows if row['pdu_name'] != 'DT Data')
    ours = counts(event['cotp']['pdu_name'] for event in classic + plus if 'cotp' in event)
    table.add('icsnpp', capture, 'cotp: pdu_name', theirs, ours)


ICSNPP_LOGS = {
    's7comm.log': compare_s7comm,
    's7comm_read_szl.log': compare_szl,
    's7comm_upload_download.log': compare_transfer,
    's7comm_plus.log': compare_plus,
    'cotp.log': compare_cotp,
}


def main():
    corpus = Corpus(__doc__)
    truths = {}
    for capture, truth in corpus.truths():
        classic = (truth.get('services') or {}).get('s7comm')
        plus = (truth.get('payload_signatures') or {}).get('s7comm-plus')
        if classic or plus:
            truths[capture] = (classic, plus)
    logs = corpus.logs(truths, lambda path: os.path.basename(path) in ICSNPP_LOGS)
    table = Table(EXPLAINED)
    for capture, (classic_truth, plus_truth) in truths.items():
        events = corpus.events(capture, *EVERYTHING)
        classic, plus = ([event[kind] for event in events if event['event_type'] == kind] for kind in ('s7comm', 's7comm_plus'))
        if classic_truth:
            compare_tshark(table, capture, classic_truth, classic)
        if plus_truth:
            compare_patterns(table, capture, plus_truth, plus)
        for path, text in logs[capture].items():
            ICSNPP_LOGS[os.path.basename(path)](table, capture, swapped(rows_of_log(text)), classic, plus)
    return table.end()


if __name__ == '__main__':
    sys.exit(main())
