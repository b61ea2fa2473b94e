#!/usr/bin/env python3
"""Compares the sensor's flow events with the connections of Zeek and the sessions of Arkime.

    oracle_flow.py SENSOR [SHARED] [-k CAPTURE]

SENSOR is the sensor's program. SHARED is the folder of captures and reference results (default: the environment
variable MILLRACE_SHARED, else ../shared beside the source root); without it nothing is compared, and the script
says so and exits 77. Oracles: Zeek's conn.log and Arkime's sessions (corpus/oracles.tar.xz). Zeek's baselines have no
start times; Arkime's have them to the millisecond.

A connection goes by its protocol, addresses and ports, whichever end opened it; those of the same ends are counted together.
Its values per direction are those from the lower and from the higher end. A difference is explained by the first row of
REASONS that holds for it. One without a row makes the exit code 1.
"""
import collections
import datetime
import ipaddress
import json
import math
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "harness"))
from oracle import Corpus, compare_counters, read_log   # noqa: E402

# As Zeek's: no connection outlives a minute of silence, or five of TCP.
SETS = [f'flow-timeouts.{timeout}' for timeout in (
    'tcp.new=300', 'tcp.established=300', 'udp.new=60', 'udp.established=60', 'icmp.new=60', 'icmp.established=60')]


class Key(collections.namedtuple('Key', 'proto low high')):
    """What names a connection: protocol and both ends, the lower first. Ends of ICMP have no ports."""
    __slots__ = ()

    def __repr__(self):
        return f'{self.proto} {self.low[0]}:{self.low[1]} {self.high[0]}:{self.high[1]}'


def key_of(proto, source, destination):
    ends = sorted(((ipaddress.ip_address(address), port) for address, port in (source, destination)),
                  key=lambda end: (end[0].version, end))
    return Key(proto, *ends)


def is_low(key, end):
    return (ipaddress.ip_address(end[0]), end[1]) == key.low


def by_end(key, source, values):
    """The pair of values from the originator and from the responder, that of the lower end first."""
    return values if is_low(key, source) else values[::-1]


class Sides:
    """Counters of both sides, by field, and the connection that is looked at."""

    def __init__(self, theirs, ours, key):
        self.theirs, self.ours, self.key = theirs, ours, key

    def add(self, field, theirs, ours):
        self.theirs[field][self.key, theirs] += 1
        self.ours[field][self.key, ours] += 1


# ---- ours ----

PROTOS = {'IPV6-ICMP': 'ICMP', 'IPV6': '41', 'AH': '51'}


def time_of(text):
    return datetime.datetime.strptime(text, '%Y-%m-%dT%H:%M:%S.%f%z').timestamp()


def flow_ends(event):
    ports = [event.get('src_port', 0), event.get('dest_port', 0)]
    return (event['src_ip'], ports[0]), (event['dest_ip'], ports[1])


def our_flows(events):
    """Key -> its flow events."""
    out = collections.defaultdict(list)
    for event in events:
        if event['event_type'] == 'flow' and 'src_ip' in event:
            proto = event['proto'].upper().lstrip('0')
            out[key_of(PROTOS.get(proto, proto), *flow_ends(event))].append(event)
    return out


def sums(flows, key, *names):
    """The sum over flows of a pair of numbers of `flow`, by end."""
    pairs = [by_end(key, flow_ends(flow)[0], [flow['flow'].get(name, 0) for name in names]) for flow in flows]
    return tuple(sum(column) for column in zip(*pairs))


def flag_bits(flow, key, mask):
    """TCP flags from either end, those of the mask."""
    tcp = flow.get('tcp', {})
    return tuple(by_end(key, flow_ends(flow)[0], [int(tcp.get(name, '0'), 16) & mask for name in ('tcp_flags_ts', 'tcp_flags_tc')]))


# ---- Zeek ----

ENDS_AND_SERVICE = ('id.orig_h', 'id.orig_p', 'id.resp_h', 'id.resp_p', 'proto', 'service')
RENAMED = {'id_orig_h': 'id.orig_h', 'id_orig_p': 'id.orig_p', 'id_resp_h': 'id.resp_h', 'id_resp_p': 'id.resp_p',
           'src': 'id.orig_h', 'src_ip': 'id.orig_h', 'src_port': 'id.orig_p', 'dst': 'id.resp_h', 'dst_ip': 'id.resp_h',
           'dst_port': 'id.resp_p'}
IP_PROTOCOLS = {1: 'ICMP', 2: 'IGMP', 6: 'TCP', 17: 'UDP', 47: 'GRE', 50: 'ESP', 58: 'ICMP', 132: 'SCTP'}
FIN, SYN, RST, ACK = 1, 2, 4, 16
HISTORY = {'s': SYN, 'h': SYN, 'f': FIN, 'r': RST}

# conn_state -> the TCP states that say the same.
OPEN, HALF_CLOSED, OVER = {'established'}, {'fin_wait1', 'fin_wait2', 'close_wait'}, {'closed'}
CLOSING = {'closing', 'last_ack', 'time_wait', 'closed'}
STATES = {'S0': {'syn_sent'}, 'S1': OPEN | {'syn_recv'}, 'S2': HALF_CLOSED, 'S3': HALF_CLOSED, 'SF': CLOSING, 'REJ': OVER,
          'RSTO': OVER, 'RSTR': OVER, 'RSTOS0': OVER, 'RSTRH': OVER}

SERVICES = {'ssl': 'tls', 'dnp3_tcp': 'dnp3', 'dnp3_udp': 'dnp3', 's7comm_plus': 's7comm-plus', 'mdns': 'dns', 'llmnr': 'dns'}
OURS = {'modbus', 'dnp3', 'mqtt', 'goose', 'sv', 'iec104', 's7comm', 's7comm-plus', 'enip', 'tls', 'ssh', 'dns', 'http', 'ftp',
        'ftp-data', 'smb', 'smtp'}


def named_rows(text):
    """The rows of a log; of one that was cut to some columns, by the names in its first line or by their order."""
    names, rows = read_log(text)
    if names is None and rows and {'uid', 'history'} & set(rows[0]):
        names, *rows = rows
    elif names is None and rows and len(rows[0]) in (5, 6):
        names = ENDS_AND_SERVICE
    return [{RENAMED.get(name, name): value for name, value in zip(names or (), row) if value != '-'} for row in rows]


def zeek_rows(text, flows):
    """Its connections with their keys; one without addresses is that of the capture, where there is one."""
    rows = named_rows(text)
    for row in rows:
        if 'id.orig_h' in row and ('proto' in row or 'ip_proto' in row):
            number = int(row.get('ip_proto', 0))
            proto = IP_PROTOCOLS.get(number, str(number)) if number else row['proto'].upper()
            ports = [0, 0] if proto not in ('TCP', 'UDP') else [int(row['id.orig_p']), int(row['id.resp_p'])]
            row['ends'] = (row['id.orig_h'], ports[0]), (row['id.resp_h'], ports[1])
            row['key'] = key_of(proto, *row['ends'])
            yield row
        elif 'history' in row and len(rows) == 1 and list(map(len, flows.values())) == [1]:
            (row['key'], [flow]), = flows.items()
            row['ends'] = flow_ends(flow)
            yield row


def zeek_flags(row):
    """SYN, FIN and RST that the history tells of, from the originator and from the responder."""
    history = row.get('history', '')
    bits = [0, 0]
    for letter in history:
        if letter.lower() in HISTORY:
            bits[letter.islower()] |= HISTORY[letter.lower()]
    return tuple(by_end(row['key'], row['ends'][0], bits))


def service_names(named, flow):
    """Theirs and ours of what both know, a protocol that another one followed among them: those of theirs that are ours too."""
    seen = {SERVICES.get(flow.get(name), flow.get(name)) for name in ('app_proto', 'app_proto_orig')} & OURS
    return ','.join(named), ','.join(sorted(seen))


def zeek_services(row):
    named = {SERVICES.get(name, name) for name in row.get('service', '').split(',') if name and not name.startswith('-')}
    return sorted(named & OURS)


def same_duration(row, flow):
    """Theirs where ours is it, within a rounding of either end."""
    ours = time_of(flow['flow']['end']) - time_of(flow['flow']['start'])
    theirs = float(row.get('duration', 0))
    return theirs if abs(ours - theirs) < 3e-6 else round(ours, 6)


def state_of(row, flow):
    """What the row says where our state says the same, else our state."""
    state = flow.get('tcp', {}).get('state')
    return row['conn_state'] if state in STATES[row['conn_state']] else state


def zeek_singles(key, row, flow, theirs, ours):
    """What can be said of one connection by itself, of the columns that the log has."""
    add = Sides(theirs, ours, key).add
    add('originator', is_low(key, row['ends'][0]), is_low(key, flow_ends(flow)[0]))
    if 'duration' in row:
        add('duration', float(row['duration']), same_duration(row, flow))
    if key.proto == 'TCP' and 'history' in row:
        add('flags', zeek_flags(row), flag_bits(flow, key, SYN | FIN | RST))
    if key.proto == 'TCP' and row.get('conn_state') in STATES:
        add('state', row['conn_state'], state_of(row, flow))
    if row.get('service') is not None:
        add('service', *service_names(zeek_services(row), flow))
    if 'vlan' in row:
        add('vlan', ' '.join(row[name] for name in ('vlan', 'inner_vlan') if name in row), ' '.join(map(str, flow.get('vlan', []))))
    if 'orig_l2_addr' in row:
        add('ether', (row['orig_l2_addr'], row['resp_l2_addr']), (flow['ether']['src_mac'], flow['ether']['dest_mac']))


def header_bytes(key, rows, flows):
    """What a packet of ours has on the average beyond Zeek's bytes of IP, by end, rounded up: 0 of frames that are not padded,
    as the headers of Ethernet and of VLANs are taken off."""
    theirs = [by_end(key, row['ends'][0], [int(row.get(f'{end}_ip_bytes', 0)) for end in ('orig', 'resp')]) for row in rows]
    packets = sums(flows, key, 'pkts_toserver', 'pkts_toclient')
    ours = sums(flows, key, 'bytes_toserver', 'bytes_toclient')
    link_len = 14 + 4 * len(flows[0].get('vlan', ())) if 'ether' in flows[0] else 0
    return tuple(math.ceil((mine - their - link_len * count) / max(count, 1))
                 for their, mine, count in zip(map(sum, zip(*theirs)), ours, packets))


def zeek_counts(rows, flows):
    """Counters of both sides, by field."""
    theirs, ours = collections.defaultdict(collections.Counter), collections.defaultdict(collections.Counter)
    their_rows = collections.defaultdict(list)
    for row in rows:
        their_rows[row['key']].append(row)
    for key in sorted(their_rows.keys() | flows.keys(), key=repr) if their_rows else ():
        add = Sides(theirs, ours, key).add
        rows, group = their_rows.get(key, []), flows.get(key, [])
        add('connections', len(rows), len(group))
        if not rows or not group:
            continue
        if 'orig_pkts' in rows[0]:
            pairs = [by_end(key, row['ends'][0], [int(row.get(f'{end}_pkts', 0)) for end in ('orig', 'resp')]) for row in rows]
            add('packets', tuple(map(sum, zip(*pairs))), sums(group, key, 'pkts_toserver', 'pkts_toclient'))
        if 'orig_ip_bytes' in rows[0]:
            add('bytes', (0, 0), header_bytes(key, rows, group))
        if key.proto == 'TCP' and 'missed_bytes' in rows[0]:
            add('missed bytes', sum(int(row.get('missed_bytes', 0)) for row in rows),
                sum(sums(group, key, 'lost_bytes_toserver', 'lost_bytes_toclient')))
        if len(rows) == 1 and len(group) == 1:
            zeek_singles(key, rows[0], group[0], theirs, ours)
    return theirs, ours


# ---- Arkime ----

ARKIME_FLAGS = {'syn': 2, 'syn-ack': 2, 'fin': 1, 'rst': 4, 'psh': 8, 'urg': 32, 'ece': 64, 'cwr': 128}


def arkime_sessions(text):
    """Those with addresses, by key."""
    out = collections.defaultdict(list)
    for session in json.loads(text).get('sessions3', []):
        body = session['body']
        if 'ip' not in body.get('source', {}):
            continue
        number = body['ipProtocol']
        proto = IP_PROTOCOLS.get(number, str(number))
        ports = [body[end].get('port', 0) if proto in ('TCP', 'UDP', 'SCTP') else 0 for end in ('source', 'destination')]
        body['ends'] = (body['source']['ip'], ports[0]), (body['destination']['ip'], ports[1])
        body['key'] = key_of(proto, *body['ends'])
        out[body['key']].append(body)
    return out


def arkime_pair(sessions, key, name):
    pairs = [by_end(key, body['ends'][0], [body[end].get(name, 0) for end in ('source', 'destination')]) for body in sessions]
    return tuple(map(sum, zip(*pairs)))


def arkime_flags(body):
    return sum({bit for name, bit in ARKIME_FLAGS.items() if body['tcpflags'].get(name, 0)})


def arkime_singles(key, body, flow, theirs, ours):
    add = Sides(theirs, ours, key).add
    network = body.get('network', {})
    add('originator', is_low(key, body['ends'][0]), is_low(key, flow_ends(flow)[0]))
    for field, name in (('start', 'firstPacket'), ('end', 'lastPacket')):
        add(field, body[name], int(time_of(flow['flow'][field]) * 1000 + 0.0005))
    if 'community_id' in network:
        add('community id', network['community_id'], flow.get('community_id'))
    add('vlan', tuple(sorted(network.get('vlan', {}).get('id', []))), tuple(sorted(set(flow.get('vlan', [])))))
    if 'tcpflags' in body and key.proto == 'TCP':
        low, high = flag_bits(flow, key, 0xff & ~ACK)
        add('flags', f'{arkime_flags(body):02x}', f'{low | high:02x}')
    for end, side, to in (('source', 'src', 'toserver'), ('destination', 'dest', 'toclient')):
        if 'mac' in body[end] and 'ether' in flow:
            add('ether', tuple(sorted(body[end]['mac'])), tuple(sorted(flow['ether'].get(f'{side}_macs', [flow['ether'][f'{side}_mac']]))))
        times = list(map(int, body.get('srcTTL' if side == 'src' else 'dstTTL', ())))
        if times:
            add(f'ttl {to}', (min(times), max(times)), (flow['flow'].get(f'min_ttl_{to}'), flow['flow'].get(f'max_ttl_{to}')))
    add('service', *service_names(sorted({SERVICES.get(name, name) for name in body.get('protocol', [])} & OURS), flow))


def arkime_counts(sessions, flows):
    theirs, ours = collections.defaultdict(collections.Counter), collections.defaultdict(collections.Counter)
    for key in sorted(sessions.keys() | flows.keys(), key=repr):
        add = Sides(theirs, ours, key).add
        add('sessions', len(sessions.get(key, ())), len(flows.get(key, ())))
        if key not in sessions or key not in flows:
            continue
        for name, mine in (('packets', 'pkts'), ('bytes', 'bytes')):
            add(name, arkime_pair(sessions[key], key, name), sums(flows[key], key, f'{mine}_toserver', f'{mine}_toclient'))
        if len(sessions[key]) == 1 and len(flows[key]) == 1:
            arkime_singles(key, sessions[key][0], flows[key][0], theirs, ours)
    return theirs, ours


# ---- why they differ ----

def pairs(difference):
    """(key, theirs, ours) of each connection that differs; None where one side has no such connection."""
    sides = [dict(counter.keys()) for counter in (difference.theirs, difference.ours)]
    return [(key, sides[0].get(key), sides[1].get(key)) for key in sides[0].keys() | sides[1].keys()]


def every(holds):
    return lambda difference: all(holds(*pair) for pair in pairs(difference))


def of(*names):
    """Of these captures or baselines, by a part of the name."""
    return lambda difference: any(name in difference.capture for name in names)


# field or '*', what must hold, why the two differ. The first row that holds is told.
REASONS = [
    ('*', of('core.pcap.', 'print-bpf-filters', 'packetfilter', 'spicy.replaces', 'mime-content-hash', 'geneve-47101',
             'request-analyzer', 'frame_size_tuning', 'count-default-tunnel-changes'),
     'the log is of a part of the capture (a filter, a disabled analyser), or of another one'),
    ('*', of('auth_change_session_keys', 'tcp-syn-bad'),
     'Zeek leaves out packets whose checksums are wrong; here checksums are not judged (-k none)'),
    ('*', of('globus-url-copy'), "Zeek stops following GridFTP's bulk transfers"),
    ('*', of('nflog'), 'a link type that is not decoded'),
    ('bytes', of('radiotap'), "headers of the air are longer than Ethernet's, which are taken off ours"),
    ('*', of('ayiya'), 'a tunnel that is not decoded'),
    ('originator', of('gtp8'), "Zeek takes Teredo's server for the responder though its packet is the capture's first"),
    ('*', of('ipv6-gtp6'), 'Arkime has the inner session only, with the bytes of the outer headers; its one packet is an answer of DNS, whose sender is the server here'),
    ('*', of('tunnels-Teredo'),
     'Zeek finds Teredo on any port, we on those of decoder.teredo.ports (RFC 4380 2.7: servers listen on 3544); it takes the server '
     "for the responder though its packet is the capture's first, parts connections after their timeouts, and takes next header 59 for ICMP"),
    ('*', of('geneve-vxlan-dns-truncated', 'vntag_vlan_sandwich', 'geneve-truncated'),
     'frames that the capture has cut: our decoding stops at an IP length beyond them (ipv4.trunc_pkt)'),
    ('*', of('pppoe-over-qinq'), 'six packets whose IP length is beyond the length of PPPoE (RFC 2516 4), cut for us (ipv4.trunc_pkt)'),
    ('*', of('arkime__ospf'), 'Arkime counts PIM and IGMP of several hosts in one session'),
    ('*', of('single-packets'), 'frame 9 alone comes from port 80: Arkime turns the session about, and its packet counts stay with the old ends'),
    ('*', of('wireshark-dhcp'), 'Arkime names DHCP sessions by the transaction, whatever the addresses'),
    ('*', of('misordered-ntp'), 'Zeek turns NTP about by its mode field; the first packet is the server\'s, and both ports are 123'),
    ('duration', every(lambda key, theirs, ours: key.proto == 'TCP' and ours > theirs),
     'Zeek leaves out the last ACK of a tear-down, and RSTs behind it (base/protocols/conn); ours is to the last packet (RFC 7011, flowEnd)'),
    ('bytes', of('socks5-http-302-frag', 'gtp2'), 'reassembled datagrams have no link header in ours'),
    ('bytes', every(lambda key, theirs, ours: theirs == (0, 0) and all(0 <= more <= 30 for more in ours)),
     'ours are bytes of frames: the padding of short ones, labels of MPLS, and the headers of PPPoE, VN-Tag or loopback are among them'),
    ('bytes', of('erspanII', 'erspanIII'), "the VLAN is ERSPAN's own, and not in the inner frame"),
    ('bytes', of('vxlan', 'geneve', 'ping6-in-ipv4', 'gtp-iphone'), 'Arkime counts the outer headers with the inner session'),
    ('*', of('vxlan-encapsulated-igmp'), 'Zeek has no connections of IGMP, and no packets of the tunnel that carries it'),
    ('community id', every(lambda key, theirs, ours: key.proto in ('ESP', '51')),
     'Arkime hashes ports of 0; a protocol without ports has none in the hash (Community ID 1.0)'),
    ('missed bytes', of('bigtransfer'),
     'holes of gigabytes one behind another: sequence numbers of 32 bits do not tell how often they went round (RFC 9293 3.4)'),
    ('originator', every(lambda key, theirs, ours: key.low[1] == key.high[1] == 5353),
     'Zeek turns mDNS responses about; ours is who sent the first packet'),
    ('originator', every(lambda key, theirs, ours: 5353 in (key.low[1], key.high[1]) or key.high[1] == 80),
     'Zeek turns mDNS responses about; of TCP without a SYN it takes the first sender, we the end whose port is not the known one'),
    ('service', every(lambda key, theirs, ours: key.low[1] in (137, 138) or key.high[1] in (137, 138)),
     "NetBIOS names and datagrams (RFC 1002), of Zeek's DNS and Arkime's SMB; they are not DNS"),
    ('service', every(lambda key, theirs, ours: 2222 in (key.low[1], key.high[1])),
     "I/O of EtherNet/IP (CIP volume 2, 2-6), which Zeek's service leaves out"),
    ('service', every(lambda key, theirs, ours: set(theirs.split(',')) - set(ours.split(',')) == {'tls'}),
     'TLS that begins within another protocol is left out'),
    ('service', of('sctp-www'), 'application protocols over SCTP are left out'),
    ('service', every(lambda key, theirs, ours: theirs == '' or set(theirs.split(',')) < set(ours.split(','))), 'recognised by us alone'),
    ('connections', every(lambda key, theirs, ours: 'UNKNOWN_TRANSPORT' in key.proto or theirs == 0 and key.proto == 'IGMP' or
                          137 in (key.low[1], key.high[1])),
     'an IP protocol without a number in the log; NetBIOS names, which Zeek ends after ten seconds (dns_session_timeout)'),
    ('connections', every(lambda key, theirs, ours: ours == 0 and key.proto == 'ICMP'), 'ICMP errors are no flow of their own'),
    ('connections', every(lambda key, theirs, ours: theirs == 0 and key.proto == 'GRE'), 'Zeek has no connection of the tunnel itself'),
    ('connections', of('communityid-sctp'), 'Zeek has no ports of SCTP'),
    ('connections', of('ldap.gap'), 'the directions have VLANs of their own, which name a flow (vlan.use-for-tracking)'),
    ('connections', of('modbus_and_non_modbus_on_port_502'),
     'Zeek begins another connection for an ACK that comes 15 s after RST; ours lasts until flow-timeouts.tcp.closed'),
    ('sessions', of('cassandra1', 'mongodb', 'dns-flags0110'), 'the directions have VLANs of their own, which name a flow (vlan.use-for-tracking)'),
    ('sessions', of('tcp-reassembly-synthetic'), 'a SYN on the ends of a connection that is over begins another flow'),
    ('sessions', every(lambda key, theirs, ours: key.proto in ('ICMP', 'ESP')),
     "types of ICMP, and ESP's SPIs, name a flow; ICMP errors are no flow of their own"),
    ('sessions', every(lambda key, theirs, ours: key.proto in ('51', 'ESP')),
     "Arkime has a session of AH; ours is of what it vouches for (RFC 4302 3.1), as for IPv6, and ESP's SPIs name a flow"),
    ('*', of('arkime__v6'), 'ICMP errors are no flow of their own'),
    ('sessions', of('bacnet-stack-services'), "Arkime's timeouts are longer"),
    ('sessions', every(lambda key, theirs, ours: theirs == 0), 'Arkime has the innermost session of a tunnel only'),
    ('sessions', of('tunnels-vxlan', 'tcpdump-geneve', 'gtp-iphone'), 'Arkime has the innermost session of a tunnel only; fragments have no ports for it'),
]


def reason_of(difference):
    return next((text for field, holds, text in REASONS if field in ('*', difference.field) and holds(difference)), None)


def main():
    corpus = Corpus(__doc__)
    truths = dict(corpus.truths())
    logs = corpus.logs(truths, lambda path: path.endswith(('/conn.log', '.test')))
    total = [0, 0, 0]
    for capture, files in sorted(logs.items()):
        flows = our_flows(corpus.events(capture, *SETS))
        for path, text in files.items():
            if path.endswith('.test'):
                sides, name = arkime_counts(arkime_sessions(text), flows), capture
            else:
                sides, name = zeek_counts(zeek_rows(text, flows), flows), f'{capture} {os.path.basename(os.path.dirname(path))}'
            total = [a + b for a, b in zip(total, compare_counters(name, *sides, reason_of))]
    print(f'{len(logs)} captures, {sum(total)} fields compared: {total[0]} agree, {total[1]} differ with a reason, '
          f'{total[2]} differ')
    return 1 if total[2] else 0


if __name__ == '__main__':
    sys.exit(main())
