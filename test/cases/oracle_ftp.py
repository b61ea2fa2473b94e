#!/usr/bin/env python3
"""Compares the sensor's FTP and SSH events with what tshark reads of each line and each key exchange.

    oracle_ftp.py SENSOR [SHARED] [-k CAPTURE]

SENSOR is the sensor's program. SHARED is the folder of captures and reference results (default: the environment
variable MILLRACE_SHARED, else ../shared beside the source root); without it, or without an installed tshark, nothing is
compared, and the script says so and exits 77.

A difference that has a reason stands in EXPLAINED with it. Any other makes the exit code 1.
"""
import collections
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "harness"))
from oracle import SKIPPED, Corpus, Table, only_different   # noqa: E402
import tshark   # noqa: E402

FIRST_LINE = 'of a segment tshark names the first line with a command or a code, and its rest'
OTHER_PORT = 'tshark does not recognise it on that port, or without its beginning'
VERSION_1 = 'tshark names no banner of version 1'
DAMAGED = 'bytes made to be read differently'
LIMIT = 'longer than what is read of a line (4096 bytes): command_truncated'
LONG_WORD = 'longer than any command: malformed_command, the whole line is its data'
LINK = 'Infiniband frames'
LONG_LISTS = 'lists longer than HASSH joins (16 KiB): long_kex_record'
COPIES = 'tshark reads what was sent again, too'
IN_HTTP = 'a request of HTTP that an SSH server answered: the flow is HTTP'
NO_FTP = 'a QUIC client on port 21'
# (oracle, capture or '*', field) -> why the two differ.
EXPLAINED = {
    **{('values', capture, field): FIRST_LINE for capture in (
        'suriverify__bug-8489-bug-8489-01-bug-8489-01.pcap', 'suriverify__bug-8489-bug-8489-02-bug-8489-02.pcap',
        'suriverify__bug-8489-bug-8489-03-bug-8489-03.pcap', 'suriverify__detect-ftp-ftp-mode-02-input.pcap', 'testing-tools__ftp-ftp~2.pcap',
        'zeek__ftp-bigtransfer.pcap', 'zeek__ftp-ftp-password-pass-command.pcap', 'zeek__ftp-ipv4.pcap', 'zeek__var-services-std-ports.pcap')
       for field in ('command', 'completion_code', 'reply')},
    **{('values', f'suriverify__ftp-ftp-too-long-command{which}-ftp-too-long-command.pcap', field): LIMIT
       for which in ('', '-first', '-higher-limit') for field in ('command', 'command_data')},
    **{('values', 'zeek__ftp-fake-long-commands.pcap', field): LONG_WORD for field in ('command', 'command_data')},
    **{('values', 'ndpi__fuzz-2006-06-26-2594.pcap', field): DAMAGED for field in ('command', 'command_data', 'completion_code', 'reply')},
    ('values', 'zeek__quic-383379789-decrypt-crash.pcap', 'command'): NO_FTP,
    **{('values', capture, field): VERSION_1 for capture in ('ndpi__custom_categories.pcapng', 'zeek__ssh-ssh1-ssh2-fingerprints.pcap')
       for field in ('proto_version', 'software_version')},
    **{('values', capture, field): OTHER_PORT for capture in ('ndpi__ssh.pcapng', 'tcpdump__mptcp-v0.pcap')
       for field in ('proto_version', 'software_version', 'hassh.hash', 'hassh.string')},
    **{('values', 'tcpdump__ipoib.pcap', field): LINK for field in ('proto_version', 'software_version', 'hassh.hash', 'hassh.string')},
    **{('values', 'zeek__ssh-kex-quadratic-1000.pcap', f'hassh.{field}'): LONG_LISTS for field in ('hash', 'string')},
    **{('values', 'zeek__tcp-ssh-dups.pcap', f'hassh.{field}'): COPIES for field in ('hash', 'string')},
    **{('values', 'zeek__http-http-to-ssh.pcap', field): IN_HTTP for field in ('proto_version', 'software_version')},
}


# ---- FTP: what is said in a line, however lines are in segments ----

FTP = {
    'command': (lambda m: [text.upper() for text in m.all('ftp.request.command')], lambda e: [e['command']] if 'command' in e else []),
    'command_data': (lambda m: m.all('ftp.request.arg'), lambda e: [e['command_data']] if 'command_data' in e else []),
    'completion_code': (lambda m: m.all('ftp.response.code'), lambda e: e.get('completion_code', [])),
    'reply': (lambda m: m.all('ftp.response.arg'), lambda e: [text for text in e.get('reply', []) if text]),
    'dynamic_port': (lambda m: m.all('ftp.passive.port') + m.all('ftp.active.port') + m.all('ftp.eprt.port') + m.all('ftp.epsv.port'),
                     lambda e: [str(e['dynamic_port'])] if 'dynamic_port' in e else []),
}


def compare(table, capture, fields, theirs, ours):
    theirs, ours = list(theirs), list(ours)
    for name, (their_values, our_values) in fields.items():
        told = [collections.Counter(value for message in side for value in values(message))
                for side, values in ((theirs, their_values), (ours, our_values))]
        if told[0] or told[1]:
            table.add('values', capture, name, *only_different(*told))


# ---- SSH ----

def software(banner):
    return banner.rstrip('\r\n').split('-', 2)[2].split(' ')[0] if banner.count('-') > 1 else ''


def sides(name):
    return lambda event: [side[name] for side in (event.get('client', {}), event.get('server', {})) if name in side]


def hassh(name):
    return lambda event: [side['hassh'][name] for side in (event.get('client', {}), event.get('server', {})) if 'hassh' in side]


SSH = {
    'proto_version': (lambda m: [text.split('-')[1] for text in m.all('ssh.protocol')], sides('proto_version')),
    'software_version': (lambda m: [software(text) for text in m.all('ssh.protocol')], sides('software_version')),
    'hassh.hash': (lambda m: m.all('ssh.kex.hassh') + m.all('ssh.kex.hasshserver'), hassh('hash')),
    'hassh.string': (lambda m: m.all('ssh.kex.hassh_algorithms') + m.all('ssh.kex.hasshserver_algorithms'), hassh('string')),
}


def main():
    corpus = Corpus(__doc__)
    if not tshark.installed():
        print('oracle_ftp: skipped: no tshark')
        return SKIPPED
    table = Table(EXPLAINED)
    for capture, truth in corpus.truths():
        found = truth.get('protocols') or {}
        path = corpus.path('captures', capture)
        if not {'ftp', 'ssh'} & set(found):
            continue
        events = corpus.events(capture)
        for protocol, fields in (('ftp', FTP), ('ssh', SSH)):
            if protocol in found:
                ours = [event[protocol] for event in events if event['event_type'] == protocol]
                compare(table, capture, fields, tshark.messages(path, [protocol]), ours)
    return table.end()


if __name__ == '__main__':
    sys.exit(main())
