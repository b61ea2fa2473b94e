#!/usr/bin/env python3
"""Compares the sensor's TLS and SSH events with independent decoders.

    oracle_tls.py SENSOR [SHARED] [-k CAPTURE]

SENSOR is the sensor's program. SHARED is the folder of captures and reference results (default: the environment
variable MILLRACE_SHARED, else ../shared beside the source root); without it nothing is compared, and the script
says so and exits 77. Oracles: Zeek's ssl.log and ssh.log, Arkime's sessions (JA3, JA3S, JA4, HASSH), and the checks of
Suricata's own tests that ask for tls and ssh events.

A difference with a reason stands in EXPLAINED. Any other makes the exit code 1.
"""
import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "harness"))
from oracle import Corpus, Table   # noqa: E402

VERSIONS = {'SSLv2': 'SSLv2', 'SSLv3': 'SSLv3', 'TLSv10': 'TLSv1', 'TLSv11': 'TLS 1.1', 'TLSv12': 'TLS 1.2',
            'TLSv13': 'TLS 1.3'}

# (oracle, part of the capture's name, field) -> why the two differ.
EXPLAINED = [
    ('zeek', 'starttls', '*', 'TLS that begins within another protocol is left out'),
    ('zeek', 'dtls', '*', 'DTLS is left out'),
    ('zeek', 'quic', '*', 'QUIC is left out'),
    ('zeek', 'smtp', '*', 'TLS that begins within another protocol is left out'),
    ('zeek', 'xmpp', '*', 'TLS that begins within another protocol is left out'),
    ('zeek', 'irc', '*', 'TLS that begins within another protocol is left out'),
    ('zeek', 'ldap', '*', 'TLS that begins within another protocol is left out'),
    ('zeek', 'mysql', '*', 'TLS that begins within another protocol is left out'),
    ('zeek', 'postgresql', '*', 'TLS that begins within another protocol is left out'),
    ('zeek', 'rdp', '*', 'TLS that begins within another protocol is left out'),
    ('zeek', 'ftp-auth', '*', 'TLS that begins within another protocol is left out'),
    ('zeek', 'globus', '*', 'TLS that begins within another protocol is left out'),
    ('suricata', 'starttls', '*', 'TLS that begins within another protocol is left out'),
    ('zeek', 'chrome-63', '*', 'an experimental version has no name here'),
    ('arkime', 'quic', '*', 'QUIC is left out'),
    ('arkime', 'adb_synthetic', '*', 'TLS that begins within another protocol is left out'),
    ('suricata', 'bug-5713', '*', 'JA4 without signature algorithms ends without an underscore, as its definition says'),
    ('suricata', 'ja4-cl-handshake', '*', 'the lists of the hellos are rule keywords only'),
    ('suricata', 'ja4-tls', '*', 'a firewall of the test drops the packets'),
    ('suricata', 'lua-tlslib-02', '*', 'a firewall of the test drops the packets'),
    ('suricata', 'tls-certs-alert', '*', 'the test provokes failures of memory'),
]


class TlsTable(Table):
    """Captures go by a part of their name."""

    def reason(self, oracle, capture, field):
        for row in self.explained:
            if row[0] == oracle and row[1] in capture and row[2] in ('*', field):
                return row[3]
        return None


def zeek_rows(data):
    fields = []
    for line in data.splitlines():
        if line.startswith('#fields'):
            fields = line.split('\t')[1:]
        elif line and not line.startswith('#') and fields:
            yield dict(zip(fields, line.split('\t')))


def sorted_values(values):
    return sorted(value for value in values if value)


def compare_zeek_ssl(table, capture, data, events):
    rows = list(zeek_rows(data))
    ours = [event['tls'] for event in events if event['event_type'] == 'tls']
    if not rows or 'version' not in rows[0]:
        return
    # Where no server answered Zeek has no version.
    versions = [row.get('version', '-') for row in rows]
    theirs = [VERSIONS.get(v, v.replace('TLSv13-', 'TLS 1.3 ')) for v in versions if v != '-']
    table.add('zeek', capture, 'version', sorted(theirs),
              sorted(tls['version'] for tls in ours if 'server_handshake' in tls))
    if 'server_name' in rows[0]:
        table.add('zeek', capture, 'server_name', sorted({row['server_name'] for row in rows} - {'-', '(empty)'}),
                  sorted({tls['sni'] for tls in ours if 'sni' in tls}))
    if 'subject' in rows[0]:
        table.add('zeek', capture, 'subject count', sum(row['subject'] != '-' for row in rows),
                  sum('subject' in tls for tls in ours))


def compare_zeek_ssh(table, capture, data, events):
    rows = list(zeek_rows(data))
    ours = [event['ssh'] for event in events if event['event_type'] == 'ssh']
    for side in ('client', 'server'):
        if not rows or side not in rows[0]:
            continue
        theirs = [row[side].replace('\\x20', ' ') for row in rows if row[side] not in ('-', '(empty)')]
        table.add('zeek', capture, side, sorted(theirs), sorted(
            'SSH-' + ssh[side]['proto_version'] + '-' + ssh[side]['software_version'] +
            (' ' + ssh[side]['comments'] if 'comments' in ssh[side] else '') for ssh in ours if side in ssh))


def compare_arkime(table, capture, data, events):
    try:
        sessions = [packet['body'] for packet in json.loads(data)['sessions3']]
    except (ValueError, KeyError):
        return
    ours = {'tls.ja3': {e['tls'].get('ja3', {}).get('hash') for e in events if 'tls' in e},
            'tls.ja3s': {e['tls'].get('ja3s', {}).get('hash') for e in events if 'tls' in e},
            'tls.ja4': {e['tls'].get('ja4') for e in events if 'tls' in e},
            'ssh.hassh': {e['ssh'].get('client', {}).get('hassh', {}).get('hash') for e in events if 'ssh' in e},
            'ssh.hasshServer': {e['ssh'].get('server', {}).get('hassh', {}).get('hash') for e in events if 'ssh' in e}}
    for name, mine in ours.items():
        group, key = name.split('.')
        theirs = {value for session in sessions for value in session.get(group, {}).get(key, [])}
        if theirs or mine - {None}:
            table.add('arkime', capture, name, sorted(theirs), sorted_values(mine))


def value_at(event, path):
    for part in path.replace('[', '.').replace(']', '').split('.'):
        if isinstance(event, list) and part.isdigit() and int(part) < len(event):
            event = event[int(part)]
        elif isinstance(event, dict) and part in event:
            event = event[part]
        else:
            return None
    return event


def compare_suricata(table, capture, expected, events):
    for entry in expected:
        if entry.get('kind') != 'suricata-verify':
            continue
        for body in entry['files'].values():
            for number, check in enumerate(body.get('checks') or []):
                check = check.get('filter', {}) if isinstance(check, dict) else {}
                match = check.get('match', {})
                if match.get('event_type') not in ('tls', 'ssh') or set(check) - {'count', 'match', 'requires'} or \
                        any(not path.startswith((match['event_type'] + '.', 'event_type')) for path in match):
                    continue
                ours = sum(all(value_at(event, path) == value for path, value in match.items()) for event in events)
                table.add('suricata', capture, f'{entry["test"][-12:]} {number}', check.get('count'), ours)


def main():
    corpus = Corpus(__doc__)
    table = TlsTable(EXPLAINED)
    truths = {capture: truth for capture, truth in corpus.truths() if {'tls', 'ssh'} & truth.get('protocols', {}).keys()}
    logs = corpus.logs(truths, lambda path: path.endswith(('/ssl.log', '/ssh.log', '.test')))
    for capture in truths:
        checks = []
        if os.path.exists(corpus.path('expected', capture + '.json')):
            with open(corpus.path('expected', capture + '.json'), encoding='utf-8') as file:
                checks = json.load(file)
        events = [event for event in corpus.events(capture) if event['event_type'] in ('tls', 'ssh')]
        compare_suricata(table, capture, checks, events)
        for path, text in logs[capture].items():
            if path.endswith('/ssl.log'):
                compare_zeek_ssl(table, capture, text, events)
            elif path.endswith('/ssh.log'):
                compare_zeek_ssh(table, capture, text, events)
            else:
                compare_arkime(table, capture, text, events)
    return table.end(with_agreed=False)


if __name__ == '__main__':
    sys.exit(main())
