#!/usr/bin/env python3
"""Compares the sensor's SMB events with what tshark reads of each request and response, field by field.

    oracle_smb.py SENSOR [SHARED] [-k CAPTURE]

SENSOR is the sensor's program. SHARED is the folder of captures and reference results (default: the environment
variable MILLRACE_SHARED, else ../shared beside the source root); without it, or without an installed tshark, nothing is
compared, and the script says so and exits 77. Compared is what is in NetBIOS sessions and TCP, with NTLMSSP, Kerberos
and DCE/RPC inside of it.

A difference that has a reason stands in EXPLAINED with it. Any other makes the exit code 1.
"""
import re
import sys
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "harness"))
from oracle import SKIPPED, Corpus, Table   # noqa: E402
import tshark   # noqa: E402
from tshark import number, numbers, texts   # noqa: E402

REQUESTS_LOST = 'tshark passes over the requests, whose segments it takes for retransmissions'
NO_CONTEXT = 'tshark reads no token of a negotiation whose beginning is not in the capture'
DAMAGED = 'bytes made to be read differently: both count what they take for a header'
UNBOUND = 'tshark reads DCE/RPC only over what was bound'
CAPTURE_CUT = 'a message in a frame that the capture has cut: decoding stops at an IP length beyond it (ipv4.trunc_pkt)'
WORDS = 'the words are said to be fewer than they are (MS-CIFS 2.2.4.33.1); tshark goes by the count of the setup'
HEADER = 'a header that says that it is 319 bytes long: malformed_data here'
UNPADDED = 'texts of 16 bits without the byte that aligns them (MS-CIFS 2.2.4.53.2); tshark prints question marks'
ASYNC = 'an answer that came late has another number in place of the tree; here it has that of the request'
# (oracle, capture or '*', field) -> why the two differ.
EXPLAINED = {
    **{('values', 'malcolm__plugins-CVE-2021-1675-cve-2021-1675.pcap', f'ntlmssp.{field}'): NO_CONTEXT for field in ('host', 'version')},
    **{('values', 'suriverify__smb-eicar-file-segmentation-random-input.pcap', field): REQUESTS_LOST for field in (
        'command', 'client_dialects', 'ntlmssp.host', 'ntlmssp.version', 'request.native_os', 'request.native_lm', 'share',
        'service.request', 'filename, create', 'disposition', 'access_mask', 'access')},
    **{('values', 'zeek__smb-smb1-OSS-fuzz-54883.pcap', field): DAMAGED for field in ('command', 'status', 'session_id', 'tree_id')},
    **{('values', 'zeek__smb-fragment-state-exhaustion.pcap', f'dcerpc.{field}'): UNBOUND for field in (
        'request', 'opnum', 'call_id', 'req.frag_cnt')},
    **{('values', 'zeek__krb-smb2_krb.pcap', field): CAPTURE_CUT for field in ('command', 'status', 'session_id', 'tree_id')},
    **{('values', f'zeek__smb-smb1_transaction{which}_request.pcap', 'trans_name'): WORDS for which in ('', '_secondary')},
    **{('values', 'zeek__smb-smb2_fscontrol.pcap', field): HEADER for field in ('command', 'status', 'session_id')},
    **{('values', 'malcolm__plugins-cve-2022-26809-cve-2022-26809-4.pcap', f'response.{field}'): UNPADDED for field in ('native_os', 'native_lm')},
    **{('values', capture, 'tree_id'): ASYNC for capture in (
        'malcolm__plugins-cve-2022-26809-cve-2022-26809-4.pcap', 'ndpi__smb_deletefile.pcap', 'suriverify__dcerpc-dcerpc-3109-input.pcap')},
}

PROTOCOLS = ('nbss', 'smb', 'smb2', 'smb_pipe', 'dcerpc', 'ntlmssp', 'kerberos', 'spnego', 'gss-api')
DIALECTS = {0x202: '2.02', 0x210: '2.10', 0x222: '2.22', 0x224: '2.24', 0x2ff: '2.??', 0x300: '3.00', 0x302: '3.02', 0x310: '3.10', 0x311: '3.11'}
ALL_ONES = 0xffffffffffffffff
FILETIME_EPOCH = 11644473600


# ---- tshark's ----

def their_messages(path):
    """Each SMB header of a NetBIOS session with what is inside of its body; of SMB 1 what AndX chains is one message."""
    return (message for message in _headers(path) if not is_interim(message))


def is_interim(message):
    """A server that is not ready says so, and answers once more: one answer here."""
    return message.protocol == 'smb2' and is_answer(message) and message.first('smb2.nt_status', number) == 0x103


def _headers(path):
    message, session = None, None
    for part in tshark.messages(path, PROTOCOLS):
        if part.protocol == 'nbss':
            session = part.frame
        elif part.protocol in ('smb', 'smb2'):
            if message is not None:
                yield message
            message = part if session == part.frame else None
        elif message is not None and part.frame == message.frame:
            message.fields += part.fields
    if message is not None:
        yield message


def is_answer(message):
    return message.first('smb2.flags.response' if message.protocol == 'smb2' else 'smb.flags.response', tshark.flag)


def their_command(message):
    return message.first(f'{message.protocol}.cmd', number)


def their_key(message):
    return f"{message.protocol} {their_command(message)} {'answer' if is_answer(message) else 'request'}"


def asked(values):
    return lambda message: [] if is_answer(message) else values(message)


def answered(values):
    return lambda message: values(message) if is_answer(message) else []


def of(protocol, values, *commands):
    return lambda message: values(message) if message.protocol == protocol and (not commands or their_command(message) in commands) else []


def smb1(values, *commands):
    return of('smb', values, *commands)


def smb2(values, *commands):
    return of('smb2', values, *commands)


def either(*readers):
    return lambda message: [value for reader in readers for value in reader(message)]


def numbers_of(name):
    return lambda message: message.all(name, number)


def texts_of(name):
    return lambda message: message.all(name)


def first_of(name, convert=lambda text: text):
    return lambda message: message.all(name, convert)[:1]


def nonempty(values):
    return lambda message: [value for value in values(message) if value not in ('', 'NULL', b'')]


def their_status(message):
    """The NT status, or (class, code)."""
    status = message.first(f'{"smb2" if message.protocol == "smb2" else "smb"}.nt_status', number)
    if status is not None:
        return [f'0x{status:x}']
    error_class = message.first('smb.error_class', number)
    if error_class is None:
        return []
    code = message.first('smb.error_code', number)
    return [f'{error_class}/0x{code:04x}'] if error_class or code else ['0x0']


def seconds(name):
    """tshark's date as Suricata has it: whole seconds since 1970, 0 for what is before or no date."""
    def read(message):
        found = []
        for raw in message.raw(name):
            ticks = int.from_bytes(bytes.fromhex(raw)[:8], 'little')
            found.append(max(ticks // 10000000 - FILETIME_EPOCH, 0) if ticks > FILETIME_EPOCH * 10000000 else 0)
        return found[:1]
    return read


def guid(text):
    return text.strip('{}').lower()


def swapped(text):
    """As Suricata writes identifiers: the last eight bytes by the order of the first ones, too."""
    parts = guid(text).split('-')
    turn = lambda digits: ''.join(reversed([digits[i:i + 2] for i in range(0, len(digits), 2)]))
    return '-'.join(parts[:3] + [turn(parts[3]), turn(parts[4][:4]) + turn(parts[4][4:])])


def uuids(name):
    return lambda message: message.all(name, swapped)


def raw_uuids(name):
    """tshark prints the one of version 1 in the order of the bytes."""
    return lambda message: [swapped(str(uuid.UUID(bytes_le=bytes.fromhex(value)))) for value in message.raw(name)]


def dialects(name):
    return lambda message: [DIALECTS.get(value, f'UNKNOWN-{value}') for value in message.all(name, number)]


def versions(message):
    """NTLMSSP's version of the last message, as Suricata writes it."""
    if '3' not in [str(value) for value in message.all('ntlmssp.messagetype', number)]:
        return []
    return [f'{major}.{minor} build {build} rev {rev}' for major, minor, build, rev in zip(
        message.all('ntlmssp.version.major', number), message.all('ntlmssp.version.minor', number),
        message.all('ntlmssp.version.build_number', number), message.all('ntlmssp.version.ntlm_current_revision', number))]


def bound(message):
    return [f'{guid(interface)} {major}.{minor}' for interface, major, minor in zip(
        message.all('dcerpc.cn_bind_to_uuid'), message.all('dcerpc.cn_bind_if_ver', number), message.all('dcerpc.cn_bind_if_ver_minor', number))]


def name_of(message):
    """A file's name: of an empty one that it is the share itself."""
    return [name or '<share_root>' for name in message.all('smb2.filename' if message.protocol == 'smb2' else 'smb.file')][:1]


def plain(name):
    """Of a session setup without extended security (MS-CIFS 2.2.4.53.1)."""
    return lambda message: message.all(name) if message.first('smb.wct', number) == 13 else []


def directory(message):
    """Suricata has one where a name is a directory's by the options; the root of a share is told as a file."""
    return name_of(message) != ['<share_root>'] and bool(message.first('smb.nt.create_options.directory', tshark.flag))


# ---- ours ----

class Half:
    """One message of ours: the request of an event or the response."""

    def __init__(self, event, answer):
        self.event, self.answer = event, answer
        self.smb1 = event['command'].startswith('SMB1_') or re.fullmatch(r'UNKNOWN-\d+', event['command']) and int(event['command'][8:]) < 0x100

    def get(self, *path):
        value = self.event
        for key in path:
            if not isinstance(value, dict) or key not in value:
                return []
            value = value[key]
        return [value]


def our_messages(events):
    for event in events:
        if event['event_type'] != 'smb':
            continue
        event = event['smb']
        answered_here = 'status_code' in event
        if not answered_here or 'response_time_us' in event:
            yield Half(event, False)
        if answered_here:
            yield Half(event, True)


COMMANDS = {}   # name -> (protocol, number), from the table below


def command_of(half):
    name = half.event['command']
    return COMMANDS.get(name, ('smb2' if name.startswith('SMB2') else 'smb', name))


def our_key(half):
    protocol, command = command_of(half)
    if half.answer and protocol == 'smb' and command == 0x72 and half.event.get('dialect', '')[:2] in ('2.', '3.'):
        protocol, command = 'smb2', 0     # SMB 2 answers a negotiation of version 1 (MS-SMB2 3.3.5.3)
    return f"{protocol} {command} {'answer' if half.answer else 'request'}"


def in_request(*path):
    return lambda half: [] if half.answer else half.get(*path)


def in_answer(*path):
    return lambda half: half.get(*path) if half.answer else []


def our_status(half):
    if not half.answer:
        return []
    code, error_class = half.event['status_code'], half.event.get('error_class')
    if error_class is None:
        return [code]
    number_of = {'SUCCESS': 0, 'ERRDOS': 1, 'ERRSRV': 2, 'ERRHRD': 3, 'ERRCMD': 255}
    return [f'{number_of.get(error_class, error_class[8:])}/{code}']


def lists(values):
    return lambda half: [item for found in values(half) for item in found]


def our_bound(half):
    return [f"{item['uuid']} {item['version']}" for item in lists(in_request('dcerpc', 'interfaces'))(half) if half.get('dcerpc', 'request')]


def only(values, protocol, *commands):
    def read(half):
        mine = command_of(half)
        return values(half) if mine[0] == protocol and (not commands or mine[1] in commands) else []
    return read


SMB1_NAMES = {0x00: 'CREATE_DIRECTORY', 0x01: 'DELETE_DIRECTORY', 0x02: 'OPEN', 0x03: 'CREATE', 0x04: 'CLOSE', 0x05: 'FLUSH', 0x06: 'DELETE',
              0x07: 'RENAME', 0x08: 'QUERY_INFORMATION', 0x09: 'SET_INFORMATION', 0x0a: 'READ', 0x0b: 'WRITE', 0x0c: 'LOCK_BYTE_RANGE',
              0x0d: 'UNLOCK_BYTE_RANGE', 0x0e: 'CREATE_TEMPORARY', 0x0f: 'CREATE_NEW', 0x10: 'CHECK_DIRECTORY', 0x11: 'PROCESS_EXIT',
              0x12: 'SEEK', 0x24: 'LOCKING_ANDX', 0x25: 'TRANS', 0x26: 'TRANS_SECONDARY', 0x27: 'IOCTL', 0x2b: 'ECHO', 0x2d: 'OPEN_ANDX', 0x2e: 'READ_ANDX',
              0x2f: 'WRITE_ANDX', 0x32: 'TRANS2', 0x33: 'TRANS2_SECONDARY', 0x34: 'FIND_CLOSE2', 0x71: 'TREE_DISCONNECT', 0x70: 'TREE_CONNECT',
              0x72: 'NEGOTIATE_PROTOCOL', 0x73: 'SESSION_SETUP_ANDX', 0x74: 'LOGOFF_ANDX', 0x75: 'TREE_CONNECT_ANDX',
              0x80: 'QUERY_INFO_DISK', 0x81: 'SEARCH', 0xa0: 'NT_TRANS', 0xa1: 'NT_TRANS_SECONDARY', 0xa2: 'NT_CREATE_ANDX', 0xa4: 'NT_CANCEL'}
SMB2_NAMES = ('NEGOTIATE_PROTOCOL', 'SESSION_SETUP', 'SESSION_LOGOFF', 'TREE_CONNECT', 'TREE_DISCONNECT', 'CREATE', 'CLOSE', 'FLUSH',
              'READ', 'WRITE', 'LOCK', 'IOCTL', 'CANCEL', 'KEEPALIVE', 'FIND', 'CHANGE_NOTIFY', 'GET_INFO', 'SET_INFO', 'OPLOCK_BREAK')
COMMANDS.update({f'SMB1_COMMAND_{name}': ('smb', value) for value, name in SMB1_NAMES.items()})
COMMANDS.update({f'SMB2_COMMAND_{name}': ('smb2', value) for value, name in enumerate(SMB2_NAMES)})

CREATES = (5,)
CREATES1 = (0xa2,)

# Each field: what tshark says of a message, what we say of one.
VALUES = {
    'command': (lambda m: [str(their_command(m))], lambda h: [our_key(h).split()[1]]),
    'status': (answered(their_status), our_status),
    'session_id': (answered(either(smb2(numbers_of('smb2.sesid')), smb1(numbers_of('smb.uid')))), in_answer('session_id')),
    'tree_id': (answered(either(smb2(numbers_of('smb2.tid')), smb1(numbers_of('smb.tid')))), in_answer('tree_id')),
    'client_dialects': (asked(either(smb1(texts_of('smb.dialect.name'), 0x72), smb2(dialects('smb2.dialect'), 0))), lists(in_request('client_dialects'))),
    'dialect': (answered(smb2(dialects('smb2.dialect'), 0)), lambda h: h.get('dialect') if h.answer and our_key(h) == 'smb2 0 answer' else []),
    'client_guid': (asked(smb2(uuids('smb2.client_guid'), 0)), in_request('client_guid')),
    'server_guid': (answered(either(smb2(uuids('smb2.server_guid'), 0), smb1(raw_uuids('smb.server_guid'), 0x72))), in_answer('server_guid')),
    'max_read_size': (answered(smb2(numbers_of('smb2.max_read_size'), 0)), in_answer('max_read_size')),
    'max_write_size': (answered(smb2(numbers_of('smb2.max_write_size'), 0)), in_answer('max_write_size')),
    'ntlmssp.user': (asked(nonempty(texts_of('ntlmssp.auth.username'))), nonempty(in_request('ntlmssp', 'user'))),
    'ntlmssp.domain': (asked(nonempty(texts_of('ntlmssp.auth.domain'))), nonempty(in_request('ntlmssp', 'domain'))),
    'ntlmssp.host': (asked(nonempty(texts_of('ntlmssp.auth.hostname'))), nonempty(in_request('ntlmssp', 'host'))),
    'ntlmssp.version': (asked(versions), in_request('ntlmssp', 'version')),
    'kerberos.realm': (asked(lambda m: m.all('kerberos.realm')[:1]), in_request('kerberos', 'realm')),
    'kerberos.snames': (asked(texts_of('kerberos.SNameString')), lists(in_request('kerberos', 'snames'))),
    'request.native_os': (asked(smb1(nonempty(texts_of('smb.native_os')))), nonempty(in_request('request', 'native_os'))),
    'request.native_lm': (asked(smb1(nonempty(texts_of('smb.native_lanman')))), nonempty(in_request('request', 'native_lm'))),
    'response.native_os': (answered(smb1(nonempty(texts_of('smb.native_os')))), nonempty(in_answer('response', 'native_os'))),
    'response.native_lm': (answered(smb1(nonempty(texts_of('smb.native_lanman')))), nonempty(in_answer('response', 'native_lm'))),
    'user': (asked(smb1(nonempty(plain('smb.account')), 0x73)), nonempty(in_request('user'))),
    'domain': (asked(smb1(nonempty(plain('smb.primary_domain')), 0x73)), lambda h: nonempty(in_request('domain'))(h)),
    'share': (asked(either(smb2(texts_of('smb2.tree'), 3), smb1(lambda m: m.all('smb.path')[-1:] if m.has('smb.service') else [], 0x73, 0x75))),
              lambda h: (h.get('share') + h.get('named_pipe')) if not h.answer else []),
    'share_type': (answered(smb2(lambda m: [('', 'FILE', 'PIPE', 'PRINT')[m.first('smb2.share_type', number) or 0]] if m.has('smb2.share_type') else [], 3)),
                   in_answer('share_type')),
    'service.request': (asked(smb1(lambda m: m.all('smb.service')[:1], 0x75, 0x73)), in_request('service', 'request')),
    'service.response': (answered(smb1(lambda m: m.all('smb.service')[:1], 0x75, 0x73)), in_answer('service', 'response')),
    'filename, create': (asked(either(smb2(lambda m: [] if directory(m) else name_of(m), *CREATES), smb1(lambda m: [] if directory(m) else name_of(m), *CREATES1))),
                         lambda h: only(in_request('filename'), 'smb2', *CREATES)(h) + only(in_request('filename'), 'smb', *CREATES1)(h)),
    'directory': (asked(either(smb2(lambda m: name_of(m) if directory(m) else [], *CREATES), smb1(lambda m: name_of(m) if directory(m) else [], *CREATES1))),
                  in_request('directory')),
    'disposition': (asked(either(smb2(numbers_of('smb2.create.disposition'), *CREATES), smb1(first_of('smb.create.disposition', number), *CREATES1))),
                    lambda h: [DISPOSITIONS.index(name) for name in in_request('disposition')(h)]),
    'access_mask': (asked(either(smb2(first_of('smb.access_mask', number), *CREATES), smb1(first_of('smb.access_mask', number), *CREATES1))), in_request('access_mask')),
    'access': (asked(lambda m: [('normal', 'delete on close')[m.first('smb.nt.create_options.delete_on_close', tshark.flag)]]
                     if m.has('smb.nt.create_options.delete_on_close') and their_command(m) in CREATES + CREATES1 else []),
               lambda h: only(in_request('access'), 'smb2', *CREATES)(h) + only(in_request('access'), 'smb', *CREATES1)(h)),
    'set_info, deletion': (asked(smb2(lambda m: [('normal', 'delete on close')[value] for value in m.all('smb2.disposition.delete_on_close', tshark.flag)], 17)),
                           only(in_request('access'), 'smb2', 17)),
    'set_info, rename': (asked(smb2(lambda m: m.all('smb2.filename')[-1:] if m.has('smb2.file_rename_info') else [], 17)), only(in_request('rename', 'to'), 'smb2', 17)),
    'created': (answered(either(smb2(seconds('smb2.create.time'), *CREATES), smb1(seconds('smb.create.time'), *CREATES1))), in_answer('created')),
    'accessed': (answered(either(smb2(seconds('smb2.last_access.time'), *CREATES), smb1(seconds('smb.access.time'), *CREATES1))), in_answer('accessed')),
    'modified': (answered(either(smb2(seconds('smb2.last_write.time'), *CREATES), smb1(seconds('smb.last_write.time'), *CREATES1))), in_answer('modified')),
    'changed': (answered(either(smb2(seconds('smb2.last_change.time'), *CREATES), smb1(seconds('smb.change.time'), *CREATES1))), in_answer('changed')),
    'size': (answered(either(smb2(first_of('smb2.eof', number), *CREATES), smb1(first_of('smb.end_of_file', number), *CREATES1))), in_answer('size')),
    'fuid': (answered(either(smb2(lambda m: m.all('smb2.fid', swapped)[:1], *CREATES), smb1(lambda m: [f'{m.first("smb.fid", number):04x}'] if m.first('smb.wct', number) >= 34 else [], *CREATES1))),
             lambda h: (only(in_answer('fuid'), 'smb2', *CREATES)(h) + only(in_answer('fuid'), 'smb', *CREATES1)(h))),
    'trans2.cmd': (asked(smb1(numbers_of('smb.trans2.cmd'), 0x32)), lambda h: [TRANS2.index(name) for name in only(in_request('subcmd'), 'smb', 0x32)(h)]),
    'nt.function': (asked(smb1(numbers_of('smb.nt.function'), 0xa0)), lambda h: [NT_TRANS.index(name) for name in only(in_request('subcmd'), 'smb', 0xa0)(h)]),
    'pipe.function': (asked(smb1(numbers_of('smb_pipe.function'), 0x25)), lambda h: [TRANS[name] for name in only(in_request('subcmd'), 'smb', 0x25)(h) if name in TRANS]),
    'trans_name': (asked(smb1(texts_of('smb.trans_name'), 0x25)), only(in_request('filename'), 'smb', 0x25)),
    'function': (asked(smb2(numbers_of('smb2.ioctl.function'), 11)), lambda h: [FUNCTIONS.get(name, name) for name in in_request('function')(h)]),
    'dcerpc.request': (asked(lambda m: m.all('dcerpc.pkt_type', number)[:1]), lambda h: [RPC_TYPES.index(name) for name in in_request('dcerpc', 'request')(h)]),
    'dcerpc.response': (answered(lambda m: m.all('dcerpc.pkt_type', number)[:1]), lambda h: [RPC_TYPES.index(name) for name in in_answer('dcerpc', 'response')(h)]),
    'dcerpc.opnum': (asked(lambda m: m.all('dcerpc.opnum', number)[:1]), in_request('dcerpc', 'opnum')),
    'dcerpc.call_id': (asked(lambda m: m.all('dcerpc.cn_call_id', number)[:1]), lambda h: in_request('dcerpc', 'call_id')(h) if h.get('dcerpc', 'request') else []),
    'dcerpc.interfaces': (asked(bound), our_bound),
    'dcerpc.ack_result': (answered(lambda m: m.all('dcerpc.cn_ack_result', number)), lambda h: [item['ack_result'] for item in lists(in_answer('dcerpc', 'interfaces'))(h) if 'ack_result' in item]),
    'dcerpc.req.frag_cnt': (asked(lambda m: [m.all('dcerpc.cn_call_id').count(m.first('dcerpc.cn_call_id'))] if m.first('dcerpc.pkt_type', number) == 0 else []), in_request('dcerpc', 'req', 'frag_cnt')),
    'dcerpc.res.frag_cnt': (answered(lambda m: [m.all('dcerpc.cn_call_id').count(m.first('dcerpc.cn_call_id'))] if m.first('dcerpc.pkt_type', number) == 2 else []), in_answer('dcerpc', 'res', 'frag_cnt')),
}
DISPOSITIONS = ('FILE_SUPERSEDE', 'FILE_OPEN', 'FILE_CREATE', 'FILE_OPEN_IF', 'FILE_OVERWRITE', 'FILE_OVERWRITE_IF')
TRANS2 = ('OPEN2', 'FIND_FIRST2', 'FIND_NEXT2', 'QUERY_FS_INFO', 'SET_FS_INFO', 'QUERY_PATH_INFO', 'SET_PATH_INFO', 'QUERY_FILE_INFO',
          'SET_FILE_INFO', 'FSCTL', 'IOCTL2', 'FIND_NOTIFY_FIRST', 'FIND_NOTIFY_NEXT', 'CREATE_DIRECTORY', 'SESSION_SETUP', '', 'GET_DFS_REFERRAL',
          'REPORT_DFS_INCONSISTENCY')
NT_TRANS = ('', 'NT_TRANSACT_CREATE', 'NT_TRANSACT_IOCTL', 'NT_TRANSACT_SET_SECURITY_DESC', 'NT_TRANSACT_NOTIFY_CHANGE', 'NT_TRANSACT_RENAME',
            'NT_TRANSACT_QUERY_SECURITY_DESC')
TRANS = {'SET_NMPIPE_STATE': 1, 'RAW_READ_NMPIPE': 0x11, 'QUERY_NMPIPE_STATE': 0x21, 'QUERY_NMPIPE_INFO': 0x22, 'PEEK_NMPIPE': 0x23,
         'TRANSACT_NMPIPE': 0x26, 'RAW_WRITE_NMPIPE': 0x31, 'READ_NMPIPE': 0x36, 'WRITE_NMPIPE': 0x37, 'WAIT_NMPIPE': 0x53, 'CALL_NMPIPE': 0x54}
FUNCTIONS = {'FSCTL_DFS_GET_REFERRALS': 0x60194, 'FSCTL_PIPE_WAIT': 0x110018, 'FSCTL_PIPE_PEEK': 0x11400c, 'FSCTL_PIPE_TRANSCEIVE': 0x11c017,
             'FSCTL_SRV_REQUEST_RESUME_KEY': 0x140078, 'FSCTL_LMR_REQUEST_RESILIENCY': 0x1401d4, 'FSCTL_QUERY_NETWORK_INTERFACE_INFO': 0x1401fc,
             'FSCTL_VALIDATE_NEGOTIATE_INFO': 0x140204, 'FSCTL_SRV_ENUMERATE_SNAPSHOTS': 0x144064}
RPC_TYPES = ('REQUEST', 'PING', 'RESPONSE', 'FAULT', 'WORKING', 'NOCALL', 'REJECT', 'ACK', 'CL_CANCEL', 'FACK', 'CANCEL_ACK', 'BIND', 'BINDACK',
             'BINDNAK', 'ALTER_CONTEXT', 'ALTER_CONTEXT_RESP', 'AUTH3', 'SHUTDOWN', 'CO_CANCEL', 'ORPHANED')

VALUES_OF = tshark.Values(VALUES, their_key, our_key)


def main():
    corpus = Corpus(__doc__)
    if not tshark.installed():
        print('oracle_smb: skipped: no tshark')
        return SKIPPED
    table = Table(EXPLAINED)
    for capture, truth in corpus.truths():
        services = truth.get('services') or {}
        if 'nbss' not in (truth.get('protocols') or {}) or not {'smb', 'smb2'} & set(services):
            continue
        events = corpus.events(capture)
        VALUES_OF.compare(table, capture, their_messages(corpus.path('captures', capture)), our_messages(events))
    return table.end()


if __name__ == '__main__':
    sys.exit(main())
