#!/usr/bin/env python3
"""Compares the sensor's dns events with Zeek's dns.log and with what tshark reads of the same captures.

    oracle_dns.py SENSOR [SHARED] [-k CAPTURE]

SENSOR is the sensor's program. SHARED is the folder of captures and reference results (default: the environment
variable MILLRACE_SHARED, else ../shared beside the source root); without it nothing is compared, and the script
says so and exits 77. Oracles: Zeek's dns.log (corpus/oracles.tar.xz); and, where a tshark is installed, each message, question,
record and value that it reads.

A difference is explained by the first row of REASONS that holds for it. One without a row makes the exit code 1.
"""
import collections
import ipaddress
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "harness"))
from oracle import Corpus, compare_counters, rows_of_log   # noqa: E402

TYPES = {1: 'A', 2: 'NS', 3: 'MD', 4: 'MF', 5: 'CNAME', 6: 'SOA', 7: 'MB', 8: 'MG', 9: 'MR', 10: 'NULL', 11: 'WKS', 12:
         'PTR', 13: 'HINFO', 14: 'MINFO', 15: 'MX', 16: 'TXT', 17: 'RP', 18: 'AFSDB', 19: 'X25', 20: 'ISDN', 21: 'RT', 22:
         'NSAP', 23: 'NSAPPTR', 24: 'SIG', 25: 'KEY', 26: 'PX', 27: 'GPOS', 28: 'AAAA', 29: 'LOC', 30: 'NXT', 33: 'SRV', 34:
         'ATMA', 35: 'NAPTR', 36: 'KX', 37: 'CERT', 38: 'A6', 39: 'DNAME', 41: 'OPT', 42: 'APL', 43: 'DS', 44: 'SSHFP', 45:
         'IPSECKEY', 46: 'RRSIG', 47: 'NSEC', 48: 'DNSKEY', 49: 'DHCID', 50: 'NSEC3', 51: 'NSEC3PARAM', 52: 'TLSA', 53:
         'SMIMEA', 55: 'HIP', 59: 'CDS', 60: 'CDNSKEY', 61: 'OPENPGPKEY', 62: 'CSYNC', 63: 'ZONEMD', 64: 'SVCB', 65: 'HTTPS',
         99: 'SPF', 108: 'EUI48', 109: 'EUI64', 249: 'TKEY', 250: 'TSIG', 251: 'IXFR', 252: 'AXFR', 253: 'MAILB', 254:
         'MAILA', 255: 'ANY', 256: 'URI', 257: 'CAA'}
RCODES = ('NOERROR', 'FORMERR', 'SERVFAIL', 'NXDOMAIN', 'NOTIMP', 'REFUSED', 'YXDOMAIN', 'YXRRSET', 'NXRRSET', 'NOTAUTH', 'NOTZONE')
SECTIONS = ('answers', 'authorities', 'additionals')
JOIN = '\x1f'  # between several values of a field


def records_of(messages, *sections):
    return [record for message in messages for section in sections for record in message.get(section, ())]


def name_of(text):
    return text.lower().replace('<root>', '').rstrip('.')


# ---- tshark ----

def number(text):
    return int(text, 0)


def type_name(text):
    return TYPES.get(number(text), f'TYPE-{number(text)}')


def flag(name):
    return lambda messages: [message.get(name, False) for message in messages if message['type'] == 'response' or name in ('tc', 'rd')]


def questions(key, convert=lambda value: value):
    return lambda messages: [convert(question[key]) for message in messages for question in message.get('queries', ())
                             if key in question]


def values(kind, read):
    """What read() finds in the records of a type, in any section."""
    return lambda messages: [read(record) for record in records_of(messages, *SECTIONS)
                             if record.get('rrtype') == kind and any(key in record for key in ('rdata', 'srv', 'soa'))]


def rdata(record):
    return record.get('rdata')


def rdata_name(record):
    return name_of(record.get('rdata', ''))


def address(text):
    return str(ipaddress.ip_address(text))


# tshark's field -> how to read one value of it; the same values of ours.
FIELDS = {
    'dns.flags.response': (lambda text: 'response' if text in ('1', 'True') else 'request',
                           lambda messages: [m['type'] for m in messages]),
    'dns.id': (number, lambda messages: [m['id'] for m in messages]),
    'dns.flags.opcode': (number, lambda messages: [m['opcode'] for m in messages]),
    'dns.flags.rcode': (lambda text: RCODES[number(text)] if number(text) < len(RCODES) else number(text),
                        lambda messages: [m['rcode'] for m in messages if m['type'] == 'response']),
    'dns.flags.authoritative': (lambda text: text in ('1', 'True'), flag('aa')),
    'dns.flags.recavail': (lambda text: text in ('1', 'True'), flag('ra')),
    'dns.flags.recdesired': (lambda text: text in ('1', 'True'), flag('rd')),
    'dns.flags.truncated': (lambda text: text in ('1', 'True'), flag('tc')),
    'dns.qry.name': (name_of, questions('rrname', name_of)),
    'dns.qry.type': (type_name, questions('rrtype')),
    'dns.resp.name': (name_of, lambda messages: [name_of(record['rrname']) for record in records_of(messages, *SECTIONS)]),
    'dns.resp.type': (type_name, lambda messages: [record['rrtype'] for record in records_of(messages, *SECTIONS) if 'rrtype' in record]),
    'dns.resp.ttl': (number, lambda messages: [record['ttl'] for record in records_of(messages, *SECTIONS) if 'ttl' in record]),
    'dns.a': (address, values('A', rdata)),
    'dns.aaaa': (address, values('AAAA', rdata)),
    'dns.cname': (name_of, values('CNAME', rdata_name)),
    'dns.ns': (name_of, values('NS', rdata_name)),
    'dns.ptr.domain_name': (name_of, values('PTR', rdata_name)),
    'dns.mx.mail_exchange': (name_of, values('MX', rdata_name)),
    'dns.mx.preference': (number, values('MX', lambda record: record.get('preference'))),
    'dns.srv.port': (number, values('SRV', lambda record: record['srv']['port'])),
    'dns.srv.target': (name_of, values('SRV', lambda record: name_of(record['srv']['name']))),
    'dns.soa.mname': (name_of, values('SOA', lambda record: name_of(record['soa']['mname']))),
    'dns.soa.serial_number': (number, values('SOA', lambda record: record['soa']['serial'])),
    'dns.soa.minimum_ttl': (number, values('SOA', lambda record: record['soa']['minimum'])),
}


def tshark_counts(path):
    command = ['tshark', '-r', path, '-Y', 'dns || mdns || llmnr', '-T', 'fields', '-E', f'aggregator={JOIN}']
    for field in FIELDS:
        command += ['-e', field]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=600, check=False)
    out = {field: collections.Counter() for field in FIELDS}
    for line in done.stdout.decode(errors='replace').split('\n'):
        for field, cell in zip(FIELDS, line.split('\t')):
            out[field].update(FIELDS[field][0](value) for value in cell.split(JOIN) if cell)
    return out


# ---- Zeek ----

def unescape(text):
    return re.sub(r'\\x([0-9a-f]{2})', lambda match: chr(int(match[1], 16)), text)


def their_answer(text):
    """A value as it stands, the kind alone of what Zeek words in its own way."""
    first = re.match(r'(TXT|SPF|DNSKEY|RRSIG|DS|NSEC3PARAM|NSEC3|NSEC|LOC|SSHFP|HINFO|NAPTR|CAA|SVCB|HTTPS)\b', text)
    return first[1] if first else name_of(text)


def our_answer(record):
    if 'srv' in record or 'soa' in record:
        return name_of(record['srv']['name'] if 'srv' in record else record['soa']['mname'])
    if 'rdata' in record and record['rrtype'] != 'TXT':
        return name_of(record['rdata'])
    return record['rrtype']


def zeek_counts(rows):
    out = collections.defaultdict(collections.Counter)
    for row in rows:
        key = int(row['trans_id'])
        if 'qtype_name' in row:
            kind = {'*': 'ANY'}.get(row['qtype_name'], row['qtype_name'].replace('query-', 'TYPE-'))
            out['question'][key, name_of(unescape(row['query'])), kind] += 1
        if 'rcode_name' in row:
            out['rcode'][key, row['rcode_name']] += 1
        if 'answers' in row and row.get('opcode', '0') == '0':
            answers = [their_answer(unescape(text)) for text in row['answers'].split(',')]
            times = [int(float(text)) for text in row['TTLs'].split(',')]
            out['answers'].update((key, pair) for pair in zip(answers, times))
            out['flags'][key, ''.join(name for name in ('AA', 'RA') if row[name] == 'T')] += 1
        if 'rtt' in row:
            out['rtt'][key, round(float(row['rtt']) * 1000)] += 1
    return out


def our_counts(messages):
    out = collections.defaultdict(collections.Counter)
    for message in messages:
        key = message['id']
        if message['type'] == 'request':
            out['question'].update((key, name_of(question['rrname']), question['rrtype']) for question in message.get('queries', ()))
            continue
        out['rcode'][key, message['rcode']] += 1
        if 'answers' in message and message['opcode'] == 0:
            out['answers'].update((key, (our_answer(record), record['ttl'])) for record in message['answers'])
            out['flags'][key, ''.join(name for name in ('AA', 'RA') if message.get(name.lower()))] += 1
        if 'response_time_us' in message:
            out['rtt'][key, round(message['response_time_us'] / 1000)] += 1
    return out


# ---- why they differ ----

def of(*names):
    """Of these captures, by a part of the name."""
    return lambda difference: any(name in difference.capture for name in names)


def ours_alone(*kinds):
    """What differs are records of ours, of these types."""
    return lambda difference: not difference.theirs and all(any(kind in str(value) for kind in kinds) for value in difference.ours)


def theirs_has(text):
    return lambda difference: any(text in str(value) for value in difference.theirs)


# field or '*', what must hold, why the two differ. The first row that holds is told.
REASONS = [
    ('*', of('arcnet', 'quic-vector'),
     'a tunnel, a link type or QUIC, which are not decoded'),
    ('*', of('arkime__v6', 'communityid-icmp6', 'log4j-dns_exfil'), 'the beginning of a query, quoted in an ICMP error'),
    ('*', of('app-layer-protocol-exact'), 'DNS in HTTPS, which tshark decrypts with the keys in the capture'),
    ('*', of('arkime_synthetic'),
     'frames 618, 619: VXLAN-GPE is not decoded; 623: the source port alone is that of Geneve (RFC 8926 3.3); an rcode that EDNS extends'),
    ('*', of('netbios_wildcard_dns_query'), 'a name of NetBIOS (RFC 1001 14.1)'),
    ('*', of('someip1'), 'service discovery of SOME/IP, message id 0xffff8100'),
    ('*', of('dns_udp_2', 'rtp-seg-fault', 'geneve-vxlan-dns-truncated'),
     'a frame that the capture has cut: decoding stops at an IP length beyond it (ipv4.trunc_pkt)'),
    ('*', of('invalid_length', 'invalid_total_length'), 'an IP length beyond the frame: decoding stops there'),
    ('*', of('fuzz-2006', 'dns-badlabel', 'dns_fwdptr', 'junkrequest-first', 'edns-ecs-bad', 'udp_10_pkts'),
     'a header whose counts do not fit what follows: no DNS'),
    ('dns.flags.rcode', of('badcookie', 'extended_rcode'), 'extended by EDNS (RFC 6891 6.1.3)'),
    ('*', theirs_has('<name too long>'), 'a name of more than 255 octets (RFC 1035 2.3.4): ours ends there, with name_too_long'),
    ('*', of('ripple20-dns_over_tcp'), 'tshark stops in a record whose name is too long; the next ones are ours alone'),
    ('*', of('SIGred'), 'a message of more than 16 KiB over TCP, whose end is passed over (dns.cut)'),
    ('*', of('invalid-chars', 'iodine'), 'octets that are not ASCII: tshark writes escapes, and what is no UTF-8 differently'),
    ('dns.flags.recdesired', of('wikipedia'), 'tshark has another flag there in LLMNR (RFC 4795 2.1.1)'),
    ('dns.resp.type', lambda difference: not difference.ours,
     'tshark counts the types in the bitmaps of NSEC and NSEC3 too (RFC 4034 4.1.2)'),
    ('*', of('corrupt-additionals', 'eve-log-srv', 'tshark zeek__wikipedia'),
     "tshark has the owners of SRV records in fields of their own, and leaves out a record that is cut"),
    ('*', of('edns-bad-length'), 'tshark stops at an option of EDNS whose length is wrong; the records before it are there'),
    ('*', of('dns-invalid-names'), 'a pointer that loops: ours has no name, and infinite_loop'),
    ('*', lambda difference: difference.field.startswith('dns.') and of('bug-1158', 'txt-multiple', 'ipv6-fragmented-dns')(difference),
     'each string of a TXT record is a record in ours, as in EVE'),
    ('answers', ours_alone('TXT'), 'each string of a TXT record is a record in ours, as in EVE'),
    ('answers', of('dns.binds'), 'Zeek names BIND\'s private type; ours are its bytes'),
    ('rtt', of('loc-29-trunc', 'sshfp-trunc'), 'the directions have VLANs of their own, which name a flow (vlan.use-for-tracking)'),
    ('rtt', of('core.ipv6-frag'), 'asked twice with one identifier: Zeek takes the first request, we the last'),
    ('rtt', lambda difference: not difference.theirs, 'Zeek has no time of a response without answers'),
    ('question', lambda difference: not difference.ours and theirs_has('NIMLOC')(difference), 'NetBIOS names (RFC 1002), on port 137'),
]


def reason_of(difference):
    return next((text for field, holds, text in REASONS if field in ('*', difference.field) and holds(difference)), None)


def main():
    corpus = Corpus(__doc__)
    truths = dict(corpus.truths())
    logs = corpus.logs(truths, lambda path: path.endswith('/dns.log'))
    with_tshark = shutil.which('tshark') is not None
    if not with_tshark:
        print('oracle_dns: no tshark is installed: it is not compared')
    captures = sorted(set(logs) | {capture for capture, truth in truths.items() if with_tshark and 'dns' in truth['protocols']})
    total = [0, 0, 0]
    for capture in captures:
        messages = [event['dns'] for event in corpus.events(capture) if event['event_type'] == 'dns']
        results = []
        if with_tshark and 'dns' in truths[capture]['protocols']:
            ours = {field: collections.Counter(read(messages)) for field, (_, read) in FIELDS.items()}
            results.append(compare_counters(f'tshark {capture}', tshark_counts(corpus.path('captures', capture)), ours, reason_of))
        for path, text in logs.get(capture, {}).items():
            name = f'zeek {capture} {os.path.basename(os.path.dirname(path))}'
            results.append(compare_counters(name, zeek_counts(rows_of_log(text)), our_counts(messages), reason_of))
        total = [sum(column) for column in zip(total, *results)]
    print(f'{len(captures)} captures, {sum(total)} fields compared: {total[0]} agree, {total[1]} differ with a reason, '
          f'{total[2]} differ')
    return 1 if total[2] else 0


if __name__ == '__main__':
    sys.exit(main())
