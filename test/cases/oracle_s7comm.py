#!/usr/bin/env python3
"""Compares the sensor's S7comm and S7comm-plus events with independent decoders, field by field.

    oracle_s7comm.py SENSOR [SHARED] [-k CAPTURE]

SENSOR is the sensor's program. SHARED is the folder of captures and reference results (default: the environment
variable MILLRACE_SHARED, else ../shared beside the source root); without it nothing is compared, and the script
says so and exits 77. Oracles: tshark's counts of field values and the byte patterns of S7comm-plus (corpus/truth),
the logs of ICSNPP-S7comm (corpus/oracles.tar.xz), and, where a tshark is installed, the values that it reads of each
message.

A difference that has a reason stands in EXPLAINED with it. Any other makes the exit code 1.
"""
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "harness"))
from oracle import Corpus, Table, counts, only_different, rows_of_log   # noqa: E402
import tshark   # noqa: E402
from tshark import numbers, octets, texts   # noqa: E402

EVERYTHING = ('app-layer.protocols.s7comm.log-cyclic=all', 'app-layer.protocols.s7comm_plus.log-cyclic=all')

COPIES = ('tshark dissects no segment that it takes for a retransmission; some of these are the only copy of their '
          'message, captured late, and our count is that of the distinct ones')
SYNTHETIC = 'conversations of one packet each that share ports; one of the two jobs is in a flow already given up'
PER_PACKET = ('the pattern is looked for once a segment: a message behind an empty TPDU is missing, a retransmitted one '
              'counts twice, a later part of a message is read as a message, and opcode 0x02 is taken for a notification')
LONG_ANSWER = ('a status list answered in two messages: ICSNPP has neither the first answer nor the second request, 18 of '
               'the 20 userdata messages that tshark counts')
IN_PARTS = ('a list in several messages: tshark shows its head and all of its entries with the last one, we the head with the first '
            'one and with each message the entries that it brings; list and index stand with all of them, as the answer names them')
OTHER_LIST = 'tshark knows the form of list 0x0132 index 4, not the same one of list 0x0232'
NO_TEXT = 'what stands there is no text; tshark ends it at the first octet of zero'
# (oracle, capture or '*', field) -> why the two differ.
EXPLAINED = {
    **{('values', '*', f's7comm.data.userdata.{field}'): IN_PARTS for field in (
        'szl_id', 'szl_index', 'szl_id.partlist_len', 'szl_id.partlist_cnt')},
    **{('values', '*', f's7comm.blockinfo.{field}'): IN_PARTS for field in ('block_num', 'block_lang', 'flags')},
    **{('values', 'iti__s7-tia_s300_goOnline.pcap', f's7comm.szl.0132.0004.{field}'): OTHER_LIST for field in (
        'key', 'param', 'real', 'bart_sch', 'ken_ver_hw', 'ken_ver_awp')},
    **{('values', 'testing-tools__ICS-s7-Userdata-s7_get_block_info.pcap', f's7comm.blockinfo.{field}'): NO_TEXT
       for field in ('author', 'family')},
    **{('values', 'arkime__arkime_synthetic.pcap', f's7comm.param.item.{field}'): SYNTHETIC for field in (
        'transp_size', 'length', 'db', 'area', 'address')},
    **{('values', 'iti__s7-S7Comm-s7comm_clean.pcap', f's7comm.{field}'): COPIES for field in (
        'header.errcls', 'header.errcod', 'data.returncode', 'data.transportsize', 'resp.data')},
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


# ---- every value that an installed tshark reads ----

class Half:
    """One message of ours, and whether a field of the event is its own."""

    def __init__(self, event, half, answer):
        self.event, self.half, self.answer = event, half, answer
        self.userdata = half['rosctr_code'] == 7
        self.function = half.get('function_code')
        self.push = self.userdata and self.function is not None and self.function >> 4 == 0
        self.alone = 'response' not in event

    def get(self, *names):
        """Values of the event's keys, of those that are there."""
        found = []
        for name in names:
            value = self.event
            for part in name.split('.'):
                value = value.get(part, {}) if isinstance(value, dict) else {}
            if value != {}:
                found.append(value)
        return found

    def items(self):
        return self.event.get('items', []) if not self.userdata or self.function & 0x0f in (1, 2) else []


def of_asked(*names):
    """What the request says; of an answer without a request nothing."""
    return lambda half: half.get(*names) if not half.answer else []


def of_answered(*names):
    return lambda half: half.get(*names) if half.answer or half.push else []


def of_addresses(name, syntaxes, convert=lambda item, value: value):
    """A key of the addresses of a request."""
    return lambda half: [convert(item, item[name]) for item in half.items() if not half.answer and not half.push
                         and name in item and item.get('syntax_id') in syntaxes]


def address(item, byte):
    return byte if item['area'] in ('C', 'T') else byte * 8 + item.get('bit_address', 0)




def carries_data(half):
    """Whose data the items' bytes are: of a write and of variables modified the request's, of all else the answer's."""
    asks = half.function == 5 or (half.function == 0x41 and half.event['subfunction_code'] in (8, 9)) or \
        (half.function == 0x81 and half.event['subfunction_code'] in (8, 9))
    return not asks if half.answer or half.push else asks


def data_types(half):
    return [item['data_transport_size_code'] for item in half.items()
            if carries_data(half) and 'data_transport_size_code' in item]


def joined(items):
    """The items, those in pieces of one address as the one answer that they stand in."""
    whole = []
    for item in items:
        piece = item.get('syntax') == 'DBREAD' and 'data' in item
        data = f'{item["return_code"]:02x}{item["data"]}' if piece else item.get('data')
        if piece and 'data_transport_size_code' not in item:
            whole[-1]['data'] += data
        else:
            whole.append({**item, 'data': data})
    return whole


def data_of(half):
    if half.event.get('alarms') and half.push:
        return [value for alarm in half.event['alarms'] for value in alarm.get('values', ())]
    if half.userdata or half.function in (4, 5):
        return [item['data'] for item in joined(half.items()) if carries_data(half) and item['data'] is not None]
    return half.get('data') if half.answer and half.function in (0x1b, 0x1e) else []


def return_codes(half):
    """Those of an answer; a request has a placeholder in their place."""
    items = [item['return_code'] for item in joined(half.items()) if 'return_code' in item and 'data' in item]
    if half.userdata and (half.answer or half.push):
        return half.get('return_code') + (items if carries_data(half) else [])
    return items if half.answer else []


def their_return_codes(message):
    kind = message.first('s7comm.header.rosctr', int)
    if kind == 1 or (kind == 7 and message.first('s7comm.param.userdata.type', tshark.number) == 4):
        return []
    codes = message.all('s7comm.data.returncode', tshark.number)
    # A success without data has a placeholder, too.
    if kind == 7 and codes == [10] and [message.first(f's7comm.{field}', tshark.number) for field in (
            'param.errcod', 'data.transportsize', 'data.length')] == [0, 0, 0]:
        return []
    # Behind the first those of an alarm's values: they are not in our record.
    return codes[:1] if message.first('s7comm.param.userdata.funcgroup', tshark.number) == 4 else codes


def unless_userdata(name):
    return lambda message: message.all(name, tshark.number) if message.first('s7comm.header.rosctr') != '7' else []


def unless_setup_answer(name, agreed):
    return lambda half: half.get(f'setup.{agreed}' if half.answer else f'setup.{name}')


def of_userdata(convert):
    return lambda half: convert(half) if half.userdata else []


def of_entries(name, lists, convert=lambda value: value):
    """Of entries of status lists; a diagnostic message is one of the diagnostic buffer."""
    return lambda half: [convert(entry[name]) for entry in half.event.get('szl_entries', ())
                         if (half.answer or half.push) and name in entry and half.event.get('szl_id', 0xa0) & 0xff in lists]


def of_protection(name, convert=lambda value: value):
    return of_entries('protection', {0x32}, lambda levels: convert(levels[name]))


def checksums(part):
    return lambda m: [int(a, 16) << 16 | int(b, 16) for a, b, valid in zip(
        *(m.raw(f's7comm.szl.0132.0004.{name}') for name in (f'ken_ver1_{part}', f'ken_ver2_{part}', 'ken_rel'))) if valid == '5656']


def of_alarms(name, convert=lambda value: value):
    return lambda half: [convert(alarm[name]) for alarm in half.event.get('alarms', ()) if name in alarm and (half.answer or half.push)]


def watched(half):
    """Variables that a programmer command names."""
    return half.items() if half.function == 0x41 and not half.answer else []


def of_watched(name):
    return lambda half: [item[name] for item in watched(half) if name in item]


def memory_areas(half):
    sizes = {'BIT': 0, 'BYTE': 1, 'WORD': 2, 'DWORD': 3}
    return ['MIQP--CD'.index(item['area'][0]) << 4 | sizes[item['transport_size']] for item in watched(half)]


def filenames(half):
    """Of services that blocks are linked or deleted with, as they stand in the argument."""
    blocks = [f"{BLOCK_TYPES[block['block_type']]}{block['block_number']:05}{block['destination_filesystem'][0]}"
              for block in of_asked('pi_service.blocks')(half) for block in block]
    return of_asked('filename')(half) + blocks


def error_codes(half):
    """tshark gives class and code of an acknowledgement as one number where they say an error."""
    if half.userdata:
        return of_answered('error_code')(half)
    code = half.get('error_class_code')[0] << 8 | half.get('error_code')[0] if half.answer else 0
    return [code] if code else []


def times(half):
    if not (half.answer or half.push) and 'response' in half.event:
        return []
    return [tshark.our_time(text) for text in half.get('clock')] + of_alarms('time', tshark.our_time)(half) + \
        of_entries('time', {0xa0}, tshark.our_time)(half)


def of_blocks(name, convert=lambda value: value, subfunctions=(1, 2, 3), answered=True):
    return lambda half: [convert(block[name]) for block in half.event.get('blocks', ()) if name in block
                         and half.answer == answered and half.event['subfunction_code'] in subfunctions
                         and (not answered or half.event['subfunction_code'] != 3 or 'load_length' in block)]


def trimmed(name):
    return lambda message: [text for text in (text.rstrip(' \0') for text in message.all(name)) if text]


def nonempty(values_of):
    return lambda half: [value for value in values_of(half) if value]


BLOCK_TYPES = {'Organization Block': '08', 'Data Block': '0A', 'System Data Block': '0B', 'Function': '0C',
               'System Function': '0D', 'Function Block': '0E', 'System Function Block': '0F', 'Unknown': '00'}
SWITCHES = ['not known', 'RUN', 'RUN_P', 'STOP', 'MRES']
MODES = ['unknown', 'STOP (update)', 'STOP (memory reset)', 'STOP (self initialization)', 'STOP (internal)', 'cold restart',
         'warm restart', 'hot restart', 'RUN', 'RUN_R', 'HOLD', 'LINK-UP', 'UPDATE', 'DEFECT', 'self test', 'no power']
ONE = {0x10}
number = tshark.number

# tshark's field -> (its values of a message, ours of the same message).
VALUES = {
    's7comm.header.errcls': (numbers, lambda h: h.get('error_class_code') if h.answer and not h.userdata else []),
    's7comm.header.errcod': (numbers, lambda h: h.get('error_code') if h.answer and not h.userdata else []),
    's7comm.param.maxamq_calling': (numbers, unless_setup_answer('amq_calling', 'agreed_amq_calling')),
    's7comm.param.maxamq_called': (numbers, unless_setup_answer('amq_called', 'agreed_amq_called')),
    's7comm.param.pdu_length': (numbers, unless_setup_answer('pdu_length', 'agreed_pdu_length')),
    's7comm.param.item.transp_size': (numbers, of_addresses('transport_size_code', ONE)),
    's7comm.param.item.length': (numbers, of_addresses('count', ONE)),
    's7comm.param.item.db': (lambda m: [value for value in m.all('s7comm.param.item.db', number) if value],
                             nonempty(of_addresses('db_number', ONE))),
    's7comm.param.item.area': (numbers, of_addresses('area_code', ONE)),
    's7comm.param.item.address': (numbers, of_addresses('byte_address', ONE, address)),
    's7comm.param.item.dbread.length': (numbers, of_addresses('count', {0xb0})),
    's7comm.param.item.dbread.db': (numbers, of_addresses('db_number', {0xb0})),
    's7comm.param.item.dbread.startaddress': (numbers, of_addresses('byte_address', {0xb0})),
    's7comm.data.returncode': (their_return_codes, return_codes),
    's7comm.data.transportsize': (unless_userdata('s7comm.data.transportsize'), lambda h: data_types(h) if not h.userdata else []),
    's7comm.resp.data': (octets, data_of),
    's7comm.param.blockcontrol.filename': (texts, filenames),
    's7comm.param.blockcontrol.functionstatus': (
        lambda m: m.all('s7comm.param.blockcontrol.functionstatus', number) if m.first('s7comm.header.rosctr') == '3' else [],
        lambda h: of_answered('function_status')(h) if h.function in (0x1b, 0x1d, 0x1e, 0x28) else []),
    's7comm.data.blockcontrol.errorcode': (numbers, of_asked('transfer_error_code')),
    's7comm.data.blockcontrol.loadmem_len': (lambda m: m.all('s7comm.data.blockcontrol.loadmem_len', int), of_asked('load_length')),
    's7comm.data.blockcontrol.mc7code_len': (lambda m: m.all('s7comm.data.blockcontrol.mc7code_len', int), of_asked('code_length')),
    's7comm.param.blockcontrol.upl_lenstring': (lambda m: m.all('s7comm.param.blockcontrol.upl_lenstring', int),
                                                lambda h: of_answered('blocklength')(h) if h.function == 0x1d else []),
    's7comm.param.pistart.servicename': (texts, of_asked('pi_service.name')),
    's7comm.param.pistart.argument': (texts, of_asked('pi_service.argument')),
    's7comm.param.userdata.type': (numbers, of_userdata(lambda h: [h.function >> 4])),
    's7comm.param.userdata.funcgroup': (numbers, of_userdata(lambda h: [h.function & 15])),
    's7comm.param.userdata.subfunc': (lambda m: m.all('s7comm.param.userdata.subfunc', number) + m.all('s7comm.param.modetrans.subfunc', number),
                                      of_userdata(lambda h: h.get('subfunction_code'))),
    's7comm.param.userdata.seq_num': (lambda m: m.all('s7comm.param.userdata.seq_num', number) if m.first('s7comm.param.userdata.type', number) != 4 else [],
                                      of_userdata(lambda h: h.get('sequence') if h.answer or h.push else [])),
    's7comm.param.userdata.dataunitref': (
        lambda m: m.all('s7comm.param.userdata.dataunitref', number) if m.first('s7comm.param.userdata.type', number) != 4 else [],
        of_userdata(of_answered('data_unit_reference'))),
    's7comm.param.userdata.lastdataunit': (
        lambda m: m.all('s7comm.param.userdata.lastdataunit', number) if m.first('s7comm.param.userdata.type', number) != 4 else [],
        of_userdata(of_answered('last_data_unit'))),
    's7comm.param.errcod': (
        lambda m: m.all('s7comm.param.errcod', number) if m.first('s7comm.param.userdata.type', number) != 4 else [],
        error_codes),
    's7comm.data.userdata.szl_id': (numbers, of_userdata(lambda h: h.get('szl_id'))),
    's7comm.data.userdata.szl_index': (numbers, of_userdata(lambda h: h.get('szl_index'))),
    's7comm.data.userdata.szl_id.partlist_len': (numbers, of_answered('szl_entry_length')),
    's7comm.data.userdata.szl_id.partlist_cnt': (numbers, of_answered('szl_entry_count')),
    's7comm.szl.xy11.0001.index': (numbers, of_entries('index', {0x11})),
    's7comm.szl.xy11.0001.anz': (trimmed('s7comm.szl.xy11.0001.anz'), nonempty(of_entries('text', {0x11}))),
    's7comm.szl.xy11.0001.bgtyp': (numbers, of_entries('module_type', {0x11})),
    's7comm.szl.xy11.0001.ausbg': (numbers, of_entries('version_1', {0x11})),
    's7comm.szl.xy11.0001.ausbe': (numbers, of_entries('version_2', {0x11})),
    's7comm.blockinfo.block_count': (numbers, of_blocks('count')),
    's7comm.blockinfo.block_num': (numbers, of_blocks('block_number')),
    's7comm.blockinfo.block_lang': (numbers, of_blocks('language_code')),
    's7comm.blockinfo.flags': (numbers, of_blocks('flags', subfunctions=(2,))),
    's7comm.param.userdata.blockinfo.flags': (numbers, of_blocks('flags', subfunctions=(3,))),
    's7comm.blockinfo.subblk_type': (numbers, of_blocks('block_type', lambda name: int(BLOCK_TYPES[name], 16), (3,))),
    's7comm.blockinfo.load_mem_len': (numbers, of_blocks('load_length')),
    's7comm.blockinfo.blocksecurity': (numbers, of_blocks('security')),
    's7comm.blockinfo.code_timestamp': (tshark.times, of_blocks('code_time', tshark.our_time)),
    's7comm.blockinfo.interface_timestamp': (tshark.times, of_blocks('interface_time', tshark.our_time)),
    's7comm.blockinfo.localdata_len': (numbers, of_blocks('local_length')),
    's7comm.blockinfo.mc7_len': (numbers, of_blocks('code_length')),
    's7comm.blockinfo.author': (trimmed('s7comm.blockinfo.author'), nonempty(of_blocks('author'))),
    's7comm.blockinfo.family': (trimmed('s7comm.blockinfo.family'), nonempty(of_blocks('family'))),
    's7comm.blockinfo.headername': (trimmed('s7comm.blockinfo.headername'), nonempty(of_blocks('name'))),
    's7comm.blockinfo.headerversion': (texts, of_blocks('version', lambda v: f'{v >> 4}.{v & 15}')),
    's7comm.blockinfo.checksum': (numbers, of_blocks('checksum')),
    's7comm.data.blockinfo.block_number': (lambda m: m.all('s7comm.data.blockinfo.block_number', int),
                                           lambda h: [block['block_number'] for block in h.event.get('blocks', ()) if not h.answer
                                                      and h.event['subfunction_code'] == 3]),
    's7comm.data.ts': (tshark.times, times),
    's7comm.cyclic.job_id': (numbers, of_asked('cyclic.job')),
    's7comm.cpu.msg.events': (numbers, of_asked('messages.events')),
    's7comm.cpu.msg.username': (trimmed('s7comm.cpu.msg.username'), of_asked('messages.user')),
    's7comm.cpu.diag_msg.eventid': (lambda m: m.all('s7comm.cpu.diag_msg.eventid', number), of_entries('event_id', {0xa0})),
    's7comm.cpu.diag_msg.prioclass': (numbers, of_entries('priority', {0xa0})),
    's7comm.cpu.diag_msg.obnumber': (numbers, of_entries('ob', {0xa0})),
    's7comm.cpu.diag_msg.datid, info1, info2': (
        lambda m: [''.join(row) for row in zip(*(m.raw(f's7comm.cpu.diag_msg.{name}') for name in ('datid', 'info1', 'info2')))],
        of_entries('data', {0xa0})),
    's7comm.alarm.event_id': (numbers, of_alarms('event_id')),
    's7comm.alarm.eventstate': (numbers, of_alarms('signals')),
    's7comm.alarm.ack_state.going': (numbers, of_alarms('acknowledged_going')),
    's7comm.alarm.ack_state.coming': (numbers, of_alarms('acknowledged_coming')),
    's7comm.alarm.nr_add_values': (numbers, of_alarms('values', len)),
    's7comm.varstat.req.startaddress': (numbers, of_watched('byte_address')),
    's7comm.varstat.req.memory_area': (numbers, memory_areas),
    's7comm.varstat.req.repetition_factor': (numbers, lambda h: [i['count'] for i in watched(h) if i['transport_size'] != 'BIT']),
    's7comm.varstat.req.bitpos': (numbers, of_watched('bit_address')),
    's7comm.varstat.trgevent': (numbers, of_asked('programmer.trigger')),
    's7comm.szl.xy74.0000.cpu_led_id.id': (numbers, of_entries('led_code', {0x19, 0x74})),
    's7comm.szl.xy74.0000.led_on': (numbers, of_entries('led_on', {0x19, 0x74})),
    's7comm.szl.xy74.0000.led_blink': (numbers, of_entries('led_flashing', {0x19, 0x74})),
    's7comm.szl.0132.0004.key': (numbers, of_protection('key')),
    's7comm.szl.0132.0004.param': (numbers, of_protection('assigned')),
    's7comm.szl.0132.0004.real': (numbers, of_protection('level')),
    's7comm.szl.0132.0004.bart_sch': (numbers, of_protection('switch', SWITCHES.index)),
    's7comm.szl.0132.0004.ken_ver_hw': (checksums('hw'), of_entries('configuration_checksum', {0x32})),
    's7comm.szl.0132.0004.ken_ver_awp': (checksums('awp'), of_entries('program_checksum', {0x32})),
    's7comm.szl.0424.0000.bzu_id.req': (numbers, of_entries('mode', {0x24}, MODES.index)),
    's7comm.szl.0424.0000.bzu_id.pre': (numbers, of_entries('previous_mode', {0x24}, MODES.index)),
    's7comm.cyclic.interval_time': (numbers, of_asked('cyclic.interval_factor')),
    's7comm.cyclic.interval_timebase': (numbers,
                                        lambda h: [{100: 0, 1000: 1, 10000: 2}.get(ms, ms) for ms in of_asked('cyclic.interval_base_ms')(h)]),
}


def their_key(message):
    return f"{message.first('s7comm.header.rosctr')}/{message.first('s7comm.header.pduref')}/{message.first('s7comm.param.func', number)}"


def our_key(half):
    function = None if half.userdata else half.function
    return f"{half.half['rosctr_code']}/{half.event['pdu_reference']}/{function}"


VALUES_OF = tshark.Values(VALUES, their_key, our_key)


def compare_values(table, capture, path, events):
    VALUES_OF.compare(table, capture, tshark.messages(path, ['s7comm']), [Half(*message) for message in messages(events)])


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
        if classic_truth and tshark.installed():
            compare_values(table, capture, corpus.path('captures', capture), classic)
        if plus_truth:
            compare_patterns(table, capture, plus_truth, plus)
        for path, text in logs[capture].items():
            ICSNPP_LOGS[os.path.basename(path)](table, capture, swapped(rows_of_log(text)), classic, plus)
    return table.end()


if __name__ == '__main__':
    sys.exit(main())
