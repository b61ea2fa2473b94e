#!/usr/bin/env python3
"""Compares the sensor's EtherNet/IP and CIP events with independent decoders, field by field.

    oracle_enip.py SENSOR [SHARED] [-k CAPTURE]

SENSOR is the sensor's program. SHARED is the folder of captures and reference results (default: the environment
variable MILLRACE_SHARED, else ../shared beside the source root); without it nothing is compared, and the script
says so and exits 77. Oracles: tshark's counts of field values (corpus/truth), the logs of ICSNPP-ENIP
(corpus/oracles.tar.xz), and, where a tshark is installed, the values that it reads of each message.

A difference that the specification explains stands in EXPLAINED with its reason. Any other makes the exit code 1.
"""
import collections
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "harness"))
from oracle import Corpus, Table, counts, read_log   # noqa: E402
import tshark   # noqa: E402
from tshark import number, numbers, octets, texts   # noqa: E402

# (oracle, capture or '*', field) -> why the two differ.
ENDS = 'the request ends inside its fields (CIP 3-5.5.2); tshark shows those before its end, we all of it as bytes'
MASKED = 'tshark knows no fields of a write with mask (DF1 7: function AB), and shows a change of mode as a field of its own'
UNKNOWN = ('behind the first attribute whose type is not known nothing says where the next one begins (CIP A-4.3): tshark shows the '
           'status of that one, we all from it on as bytes; the types that we know and tshark not are read further')
EXPLAINED = {
    ('values', '*', 'cip.getlist.attr_status'): UNKNOWN,
    **{('values', f'cipdip__baseline_io_{capture}.pcap', f'cip.cm.{field}'): ENDS
       for capture in ('adapter', 'logix_like') for field in ('ot_connid', 'to_connid', 'otrpi', 'timeout_multiplier')},
    **{('values', 'iti__CIP-cip_only.pcap', f'cip.pccc.{field}'): MASKED
       for field in ('byte.size', 'file.num', 'element.num', 'subelement.num', 'data')},
}


def halves(event):
    return [(half, event['enip'][half]) for half in ('request', 'response') if half in event['enip']]


def messages(events):
    """Every CIP message: (half, message), those inside others behind the one around them."""
    for event in events:
        for half, body in halves(event):
            stack = [body['cip']] if 'cip' in body else []
            while stack:
                message = stack.pop(0)
                yield half, message
                inner = message.get('multiple', [])
                stack = ([message['embedded']] if 'embedded' in message else []) + inner + stack


# ---- tshark ----

def compare_tshark(table, capture, truth, events):
    enip, cip = truth.get('enip', {}), truth.get('cip', {})
    ours = {
        'enip.command': (enip, counts(body['command_code'] for event in events for _, body in halves(event))),
        'cip.sc': (cip, counts(m['service_code'] for _, m in messages(events))),
        'cip.genstat': (cip, counts(m['status_code'] for half, m in messages(events) if 'status_code' in m)),
    }
    for field, (truths, mine) in ours.items():
        theirs = truths.get(field, {})
        mine = {str(key): count for key, count in mine.items()}
        if theirs or mine:
            table.add('tshark', capture, field, dict(sorted(theirs.items())), dict(sorted(mine.items())))


# ---- every value that an installed tshark reads ----

CIP = ('cip', 'cipcm', 'cipcls', 'cippccc', 'cipcco', 'cipmb', 'cipio')


class Half:
    """A request or a response of ours, and the CIP messages in it in the order that they stand."""

    def __init__(self, name, body, asked=None):
        self.answer, self.body, self.asked, self.cips = name == 'response', body, asked, []
        stack = [body['cip']] if 'cip' in body else []
        while stack:
            message = stack.pop(0)
            self.cips.append(message)
            stack = ([message['embedded']] if 'embedded' in message else []) + message.get('multiple', []) + stack

    def of_class(self, class_id):
        """The messages to a class: an answer's are those that were asked, the last ones of an unconnected send."""
        asked = self.asked.cips if self.answer and self.asked is not None else self.cips
        pairs_of = zip(asked[len(asked) - len(self.cips):], self.cips)
        return [cip for question, cip in pairs_of if question.get('class_id') == class_id]

    def get(self, *names):
        return [self.body[name] for name in names if name in self.body]


def of_half(name, convert=lambda value: value):
    return lambda half: [convert(value) for value in half.get(name)]


def of_cips(name, convert=lambda value: value):
    return lambda half: [convert(cip[name]) for cip in half.cips if name in cip]


def segments(cip):
    yield from cip.get('path', ())
    yield from cip.get('connection', {}).get('path', ())


def of_segments(kind, key='value'):
    """Logical segments of every path of a request."""
    return lambda half: [] if half.answer else sorted(
        segment[key] for cip in half.cips for segment in segments(cip) if segment['segment_type'] == kind)


def of_their_paths(name, convert=number):
    return lambda message: sorted(message.all(name, convert)) if message.first('cip.rr', number) == 0 else []


def of_connections(name, convert=lambda value: value, asked=True, answered=True):
    return lambda half: [convert(cip['connection'][name]) for cip in half.cips if name in cip.get('connection', {})
                         and (answered if half.answer else asked)]


def pairs(first, second, convert=lambda value: value):
    """Both directions' values of a connection, as tshark has them in one field."""
    def values(half):
        return of_connections(first, convert)(half) + of_connections(second, convert)(half)
    return values


def of_opened(name):
    """tshark repeats the intervals that a forward open's answer granted with each message over the connection."""
    return lambda message: message.all(name, number) if message.first('cip.cm.sc', number) in (0x54, 0x5b) and \
        message.first('cip.rr', number) == 1 else []


def attribute_statuses(service):
    """Of an attribute that was read well its value stands alone."""
    return lambda half: [{'Success': 0}.get(value.get('status', 'Success'), value.get('status')) for cip in half.cips
                         if half.answer and cip['service_code'] == service for value in cip.get('values', ())]


def of_pccc(name, convert=lambda value: value):
    return lambda half: [convert(cip['pccc'][name]) for cip in half.cips if name in cip.get('pccc', {})]


def of_attribute(name, convert=lambda value: value, class_id=1):
    """Values of an attribute wherever it was read or written."""
    return lambda half: [convert(value['value']) for cip in half.of_class(class_id) for value in cip.get('values', ())
                         if value.get('name') == name and 'value' in value]


def revision(place):
    return lambda text: int(text.split('.')[place])


def of_identity(name, convert=lambda value: value):
    return lambda half: [convert(value) for value in [half.body.get('identity', {}).get(name)] if value is not None]


def of_services(name):
    return lambda half: [half.body['list_services'][name]] if 'list_services' in half.body else []


def extended(half):
    """The words of extended statuses."""
    texts_of = [cip['status_extended'] for cip in half.cips if 'status_extended' in cip]
    return [int(text[at + 2:at + 4] + text[at:at + 2], 16) for text in texts_of for at in range(0, len(text), 4)]


def statuses(half):
    return [cip['status_code'] for cip in half.cips if 'status_code' in cip]


def services(half):
    return [cip['service_code'] | (0x80 if half.answer else 0) for cip in half.cips]


def service_octet(message):
    """Services of other dissectors' classes stand in both; the octet is the same."""
    return message.all('cip.service', number)


def their_context(message):
    """Of a list of identities tshark reads the first two octets as a delay (EIP 2-4.2.1); we show all eight."""
    return [''.join(message.raw('enip.listid_delay') + message.raw('enip.context'))]


TYPES = ['null', 'multicast', 'point_to_point', 'reserved']
PRIORITIES = ['low', 'high', 'scheduled', 'urgent']
TRIGGERS = ['cyclic', 'change_of_state', 'application']
VALUES = {
    'enip.command': (numbers, of_half('command_code')),
    'enip.length': (numbers, of_half('length')),
    'enip.session': (numbers, of_half('session_handle')),
    'enip.status': (numbers, of_half('status_code')),
    'enip.context': (their_context, of_half('sender_context')),
    'enip.options': (lambda m: [value for value in m.all('enip.options', number) if value], of_half('options')),
    'enip.rs.version': (numbers, of_half('register_session', lambda r: r['protocol_version'])),
    'enip.rs.flags': (numbers, of_half('register_session', lambda r: r['options'])),
    'enip.srrd.iface, sud.iface': (lambda m: m.all('enip.srrd.iface', number) + m.all('enip.sud.iface', number), of_half('interface_handle')),
    'enip.timeout': (numbers, of_half('timeout_s')),
    'enip.cpf.cai.connid': (numbers, lambda h: h.get('connection_id') if 'sequence_number' not in h.body else []),
    'enip.lir.vendor': (numbers, of_identity('vendor_code')),
    'enip.lir.devtype': (numbers, of_identity('device_type_code')),
    'enip.lir.prodcode': (numbers, of_identity('product_code')),
    'enip.lir.revision': (numbers, of_identity('revision', lambda t: revision(0)(t) << 8 | revision(1)(t))),
    'enip.lir.status': (numbers, of_identity('status')),
    'enip.lir.serial': (numbers, of_identity('serial')),
    'enip.lir.name': (texts, of_identity('product_name')),
    'enip.lir.state': (numbers, of_identity('state')),
    'enip.sinaddr': (texts, of_identity('socket_address')),
    'enip.sinport': (numbers, of_identity('socket_port')),
    'enip.lsr.capaflags': (numbers, of_services('capabilities')),
    'enip.lsr.servicename': (texts, of_services('service_name')),
    'cip.service': (service_octet, services),
    'cip.seq': (numbers, of_cips('sequence_count')),
    'cip.genstat': (numbers, statuses),
    'cip.addstat': (numbers, extended),
    'cip.class': (of_their_paths('cip.class'), of_segments('class')),
    'cip.instance': (of_their_paths('cip.instance'), of_segments('instance')),
    'cip.attribute': (of_their_paths('cip.attribute'), lambda h: sorted(of_segments('attribute')(h) + attributes(h))),
    'cip.member': (of_their_paths('cip.member'), of_segments('member')),
    'cip.connpoint': (of_their_paths('cip.connpoint'), of_segments('connection_point')),
    'cip.symbol': (of_their_paths('cip.symbol', str), of_segments('symbol', 'symbol')),
    'cip.cm.conn_serial_num': (numbers, of_connections('serial_number')),
    'cip.cm.vendor': (numbers, of_connections('originator_vendor_id')),
    'cip.cm.orig_serial_num': (numbers, of_connections('originator_serial_number')),
    'cip.cm.ot_connid': (numbers, of_connections('o_t_connection_id')),
    'cip.cm.to_connid': (numbers, of_connections('t_o_connection_id')),
    'cip.cm.otrpi': (numbers, of_connections('o_t_interval_us', answered=False)),
    'cip.cm.torpi': (numbers, of_connections('t_o_interval_us', answered=False)),
    'cip.cm.otapi': (of_opened('cip.cm.otapi'), of_connections('o_t_interval_us', asked=False)),
    'cip.cm.toapi': (of_opened('cip.cm.toapi'), of_connections('t_o_interval_us', asked=False)),
    'cip.cm.timeout_multiplier': (numbers, of_connections('timeout_multiplier')),
    'cip.cm.timeout': (numbers, lambda h: of_cips('timeout_ms')(h) + of_connections('timeout_ms')(h)),
    'cip.cm.ot_net_params': (numbers, of_connections('o_t_parameters')),
    'cip.cm.to_net_params': (numbers, of_connections('t_o_parameters')),
    'cip.cm.fwo.consize': (numbers, pairs('o_t_size', 't_o_size')),
    'cip.cm.fwo.f_v': (numbers, pairs('o_t_size_type', 't_o_size_type', ['fixed', 'variable'].index)),
    'cip.cm.fwo.prio': (numbers, pairs('o_t_priority', 't_o_priority', PRIORITIES.index)),
    'cip.cm.fwo.type': (numbers, pairs('o_t_type', 't_o_type', TYPES.index)),
    'cip.cm.fwo.owner': (numbers, pairs('o_t_redundant_owner', 't_o_redundant_owner', int)),
    'cip.cm.transport_type_trigger': (numbers, of_connections('transport_class_trigger')),
    'cip.cm.fwo.transport': (numbers, of_connections('transport_class')),
    'cip.cm.fwo.trigger': (numbers, of_connections('trigger', TRIGGERS.index)),
    'cip.cm.fwo.dir': (numbers, of_connections('server', int)),
    'cip.pccc.cmd.code': (numbers, lambda h: of_pccc('command')(h) if not h.answer else []),
    'cip.pccc.resp.code': (numbers, lambda h: of_pccc('command', lambda c: c | 0x40)(h) if h.answer else []),
    'cip.pccc.fnc.code': (lambda m: m.all('cip.pccc.fnc.code_06', number) + m.all('cip.pccc.fnc.code_0f', number),
                          lambda h: of_pccc('function')(h) if not h.answer else []),
    'cip.pccc.gs.status': (numbers, of_pccc('status')),
    'cip.pccc.tns.code': (numbers, of_pccc('transaction')),
    'cip.pccc.cip.vend.id': (numbers, of_pccc('requestor_vendor_id')),
    'cip.pccc.cip.serial.num': (numbers, of_pccc('requestor_serial_number')),
    'cip.pccc.byte.size': (numbers, of_pccc('byte_count')),
    'cip.pccc.file.num': (numbers, of_pccc('file_number')),
    'cip.pccc.element.num': (numbers, of_pccc('element')),
    'cip.pccc.subelement.num': (numbers, of_pccc('sub_element')),
    'cip.pccc.data': (octets, of_pccc('data')),
    'cip.pccc.cpu.mode': (lambda m: m.all('cip.pccc.cpu.mode_3a', number) + m.all('cip.pccc.cpu.mode_80', number), of_pccc('cpu_mode')),
    'cip.id.vendor_id': (numbers, of_attribute('vendor_id')),
    'cip.id.device_type': (numbers, of_attribute('device_type')),
    'cip.id.product_code': (numbers, of_attribute('product_code')),
    'cip.id.major_rev': (numbers, of_attribute('revision', revision(0))),
    'cip.id.minor_rev': (numbers, of_attribute('revision', revision(1))),
    'cip.id.status': (numbers, of_attribute('status')),
    'cip.id.serial_number': (numbers, of_attribute('serial_number')),
    'cip.id.product_name': (texts, of_attribute('product_name')),
    'cip.getlist.attr_status': (numbers, attribute_statuses(3)),
    'cip.setlist.attr_status': (numbers, attribute_statuses(4)),
    'cip.tcpip.encap_inactivity': (numbers, of_attribute('encapsulation_inactivity_timeout', class_id=0xf5)),
}


def attributes(half):
    """Those of lists, which are no path."""
    return [attribute for cip in half.cips if cip['service_code'] in (3, 4) for attribute in cip.get('attribute_list', ())]


def their_key(message):
    return '/'.join((message.first('enip.command'), message.first('enip.session'), *their_context(message), str(message.first('cip.seq'))))


def our_key(half):
    context = half.body['sender_context']
    sequence = half.cips[0].get('sequence_count') if half.cips else None
    return f"0x{half.body['command_code']:04x}/0x{half.body['session_handle']:08x}/{context}/{sequence}"


VALUES_OF = tshark.Values(VALUES, their_key, our_key)


# Cyclic data: items without a header. What some simulators send, a header before them, tshark takes for malformed.
IO_OF = tshark.Values({
    'enip.cpf.sai.connid': (numbers, lambda io: [io['connection_id']]),
    'enip.cpf.sai.seq': (numbers, lambda io: [io['sequence_number']]),
    'cipio.data': (octets, lambda io: [io['data']] if 'data' in io else []),
}, lambda message: f"{message.first('enip.cpf.sai.connid', number)}/{message.first('enip.cpf.sai.seq')}",
    lambda io: f"{io['connection_id']}/{io['sequence_number']}")


def compare_values(table, capture, path, events):
    found = list(tshark.joined(path, 'enip', *CIP))
    cyclic = [message for message in found if message.has('enip.cpf.sai.connid')]
    if cyclic:
        IO_OF.compare(table, capture, cyclic, [event['enip']['io'] for event in events
                                               if event['enip'].get('io', {}).get('reason', 'end') != 'end'])
    theirs = [message for message in found if message.has('enip.command')]
    ours = []
    for event in events:
        for name, body in halves(event):
            ours.append(Half(name, body, ours[-1] if name == 'response' and 'request' in event['enip'] else None))
    VALUES_OF.compare(table, capture, theirs, ours)


# ---- ICSNPP ----

# Columns of logs whose header the baselines leave out, from the end.
COLUMNS = {
    'enip.log': ['enip_command_code', 'enip_command', 'length', 'session_handle', 'enip_status', 'sender_context',
                 'options'],
    'cip.log': ['cip_sequence_count', 'direction', 'cip_service_code', 'cip_service', 'cip_status_code', 'cip_status',
                'cip_extended_status_code', 'cip_extended_status', 'class_id', 'class_name', 'instance_id',
                'attribute_id'],
    'cip_io.log': ['connection_id', 'sequence_number', 'data_length', 'io_data'],
    'cip_identity.log': ['encapsulation_version', 'socket_address', 'socket_port', 'vendor_id', 'vendor_name',
                         'device_type_id', 'device_type_name', 'product_code', 'revision', 'device_status',
                         'serial_number', 'product_name', 'device_state'],
}


def columns(name, row):
    wanted = COLUMNS[name]
    return dict(zip(wanted, row[-len(wanted):]))


def enip_rows(events):
    out = []
    for event in events:
        for _, body in halves(event):
            out.append((f'0x{body["command_code"]:02x}', str(body['length']), f'0x{body["session_handle"]:08x}',
                        '0x' + body['sender_context'], f'0x{body.get("options", 0):08x}'))
    return out


def cip_rows(events):
    """(sequence count, direction, service, status, class, instance, attribute), those of a packet with its count."""
    out = []
    for event in events:
        for half, body in halves(event):
            if 'cip' not in body:
                continue
            sequence = str(body['cip'].get('sequence_count', '-'))
            for message in [body['cip']] + body['cip'].get('multiple', []):
                number = lambda key: f'0x{message[key]:02x}' if key in message else '-'
                out.append((sequence, half, f'0x{message["service_code"]:02x}', number('status_code'),
                            number('class_id'), number('instance_id'), number('attribute_id')))
    return out


def io_rows(events):
    return [(f'0x{io["connection_id"]:08x}', str(io['sequence_number']), str(io['data_length']), io['data'])
            for io in (event['enip'].get('io', {}) for event in events) if 'data' in io]


def identity_rows(events):
    out = []
    for event in events:
        identity = event['enip'].get('response', {}).get('identity')
        if identity is not None:
            out.append((str(identity['protocol_version']), identity['socket_address'], str(identity['vendor_code']),
                        identity['vendor_id'], str(identity['device_type_code']), identity['device_type'],
                        str(identity['product_code']), identity['revision'], f'0x{identity["status"]:04x}',
                        f'0x{identity["serial"]:08x}', identity['product_name'], f'0x{identity["state"]:04x}'))
    return out


LOGS = {
    'enip.log': (enip_rows, ('enip_command_code', 'length', 'session_handle', 'sender_context', 'options')),
    'cip.log': (cip_rows, ('cip_sequence_count', 'direction', 'cip_service_code', 'cip_status_code', 'class_id',
                           'instance_id', 'attribute_id')),
    'cip_io.log': (io_rows, ('connection_id', 'sequence_number', 'data_length', 'io_data')),
    'cip_identity.log': (identity_rows, ('encapsulation_version', 'socket_address', 'vendor_id', 'vendor_name',
                                         'device_type_id', 'device_type_name', 'product_code', 'revision',
                                         'device_status', 'serial_number', 'product_name', 'device_state')),
}


def compare_icsnpp(table, capture, files, events):
    for path, text in files.items():
        name = os.path.basename(path)
        if name not in LOGS or 'icsnpp-enip' not in path:
            continue
        ours_of, keys = LOGS[name]
        theirs = collections.Counter(tuple(row[key].lower() if key in ('io_data',) else row[key] for key in keys)
                                     for row in (columns(name, row) for row in read_log(text)[1]))
        ours = collections.Counter(ours_of(events))
        table.add('icsnpp', capture, f'{name}: rows', sum(theirs.values()), sum(ours.values()))
        table.add('icsnpp', capture, f'{name}: only theirs', [], sorted(map(str, (theirs - ours).elements()))[:8])
        table.add('icsnpp', capture, f'{name}: only ours', [], sorted(map(str, (ours - theirs).elements()))[:8])


def main():
    corpus = Corpus(__doc__)
    truths = corpus.services('enip')
    logs = corpus.logs(truths, lambda path: 'icsnpp-enip' in path)
    table = Table(EXPLAINED)
    for capture, truth in truths.items():
        events = [event for event in corpus.events(capture, 'app-layer.protocols.enip.log-cyclic=all')
                  if event['event_type'] == 'enip']
        compare_tshark(table, capture, truth, events)
        if tshark.installed():
            compare_values(table, capture, corpus.path('captures', capture), events)
        compare_icsnpp(table, capture, logs[capture], events)
    return table.end()


if __name__ == '__main__':
    sys.exit(main())
