#!/usr/bin/env python3
"""Compares the sensor's http, ftp, fileinfo and tls events with Zeek's http.log, ftp.log, files.log and x509.log.

    oracle_zeek.py SENSOR [SHARED] [-k CAPTURE]

SENSOR is the sensor's program. SHARED is the folder of captures and reference results (default: the environment
variable MILLRACE_SHARED, else ../shared beside the source root); without it nothing is compared, and the script
says so and exits 77. Oracle: Zeek's baselines (corpus/oracles.tar.xz). Methods and status codes have their own comparison,
oracle_http.py; users and passwords are not compared.

A difference is explained by the first row of REASONS that holds for it. One without a row makes the exit code 1.
"""
import collections
import datetime
import hashlib
import os
import re
import sys
import urllib.parse
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "harness"))
from oracle import Corpus, compare_counters, rows_of_log   # noqa: E402

SETS = ['files.md5=yes', 'files.sha1=yes', 'files.sha256=yes']
HASHES = ('md5', 'sha1', 'sha256')


def unescape(text):
    return re.sub(r'\\x([0-9a-f]{2})', lambda match: chr(int(match[1], 16)), text)


def of_type(events, kind):
    return [event[kind] for event in events if event['event_type'] == kind]


# ---- http.log ----

# column -> our key, and how to make theirs of it.
HTTP = {
    'host': ('hostname', str),
    'uri': ('url', lambda text: urllib.parse.unquote(text, errors='replace')),
    'user_agent': ('http_user_agent', str),
    'referrer': ('http_refer', str),
    'version': ('protocol', lambda text: text.replace('HTTP/', '')),
    'status_code': ('status', str),
    'response_body_len': ('length', str),
}


def compare_http(rows, events):
    """The parts of a log that has no names of columns are not compared."""
    events = events if any('trans_depth' in row for row in rows) else []
    theirs, ours = collections.defaultdict(collections.Counter), collections.defaultdict(collections.Counter)
    records = of_type(events, 'http')
    answered = [row for row in rows if 'status_code' in row]
    for column, (key, convert) in HTTP.items():
        values = [unescape(row[column]) for row in (answered if column == 'response_body_len' else rows) if column in row]
        theirs[column].update(value.lower() if column == 'host' else value for value in values)
        ours[column].update(convert(record[key]) for record in records if key in record)
    theirs['status_code'].pop('0', None)  # of HTTP/0.9, which has none (RFC 1945 6)
    return theirs, ours


# ---- ftp.log ----

CHANNELS = {'PASV', 'EPSV', 'PORT', 'EPRT'}


def compare_ftp(rows, events):
    theirs, ours = collections.defaultdict(collections.Counter), collections.defaultdict(collections.Counter)
    logged = {row['command'] for row in rows if 'command' in row}
    records = [record for record in of_type(events, 'ftp') if record.get('command') in logged]
    theirs['replies'].update((row['command'], row.get('reply_code')) for row in rows if row.get('command', '<')[0] != '<')
    ours['replies'].update((record['command'], (record.get('completion_code') or [None])[-1]) for record in records)
    theirs['data ports'].update((row['command'], int(row['data_channel.resp_p'])) for row in rows
                                if row.get('command') in CHANNELS and 'data_channel.resp_p' in row)
    ours['data ports'].update((record['command'], record['dynamic_port']) for record in records
                              if record['command'] in CHANNELS and 'dynamic_port' in record)
    theirs['files'].update((row['command'], unescape(row['arg']).rstrip('/').split('/')[-1]) for row in rows
                           if row.get('command') in ('RETR', 'STOR', 'DELE', 'SIZE') and 'arg' in row)
    ours['files'].update((record['command'], record.get('command_data', '').rstrip('/').split('/')[-1]) for record in records
                         if record['command'] in ('RETR', 'STOR', 'DELE', 'SIZE'))
    return theirs, ours


# ---- files.log ----

def compare_files(rows, events):
    theirs, ours = collections.defaultdict(collections.Counter), collections.defaultdict(collections.Counter)
    rows = [row for row in rows if row.get('source') in ('HTTP', 'FTP_DATA', 'SMTP') and 'seen_bytes' in row]
    files = of_type(events, 'fileinfo') if rows else []
    theirs['bytes'].update(int(row['seen_bytes']) + int(row['missing_bytes']) for row in rows)
    ours['bytes'].update(file['size'] for file in files)
    for name in HASHES:
        known = {row[name] for row in rows if name in row}
        theirs[name].update(sorted(known))
        ours[name].update(sorted(known & {file.get(name) for file in files}))
    return theirs, ours


# ---- x509.log ----

NAMES = {'emailaddress': 'email', 'street': '2.5.4.9', 'postalcode': '2.5.4.17'}


def parts_of(name):
    """A name's parts, whatever their order: Zeek writes them as RFC 2253 has it, we as the certificate does, with EVE's names."""
    parts = (part.strip().partition('=') for part in re.split(r'(?<!\\)[,+]\s*', unescape(name)) if '=' in part)
    return tuple(sorted((NAMES.get(kind.lower(), kind.lower()), masked(value.replace('\\', '').lower())) for kind, _, value in parts))


def masked(text):
    """Mail addresses are compared, and not shown."""
    return f'mail {hashlib.sha1(text.encode()).hexdigest()[:8]}' if '@' in text else text


def seconds(text):
    return datetime.datetime.fromisoformat(text.replace('Z', '')).replace(tzinfo=datetime.timezone.utc).timestamp()


def compare_x509(rows, events):
    theirs, ours = collections.defaultdict(collections.Counter), collections.defaultdict(collections.Counter)
    for row in rows:
        if row.get('host_cert') == 'T' and row.get('client_cert') == 'F':
            serial = row['certificate.serial'].lstrip('0')
            theirs['subject'][serial, parts_of(row['certificate.subject'])] = 1
            theirs['issuer'][serial, parts_of(row['certificate.issuer'])] = 1
            theirs['valid from'][serial, float(row['certificate.not_valid_before'])] = 1
            theirs['valid until'][serial, float(row['certificate.not_valid_after'])] = 1
            theirs['names'][serial, tuple(sorted(row.get('san.dns', '').split(',')))] = 1
    for tls in of_type(events, 'tls'):
        if 'serial' in tls:
            serial = tls['serial'].replace(':', '').upper().lstrip('0')
            ours['subject'][serial, parts_of(tls['subject'])] = 1
            ours['issuer'][serial, parts_of(tls['issuerdn'])] = 1
            ours['valid from'][serial, seconds(tls['notbefore'])] = 1
            ours['valid until'][serial, seconds(tls['notafter'])] = 1
            ours['names'][serial, tuple(sorted(tls.get('subjectaltname', [''])))] = 1
    return theirs, ours


LOGS = {'http.log': compare_http, 'ftp.log': compare_ftp, 'files.log': compare_files, 'x509.log': compare_x509}

# ---- why they differ ----

def of(*names):
    """Of these captures or baselines, by a part of the name."""
    return lambda difference: any(name in difference.capture for name in names)


# log, field or '*', what must hold, why the two differ. The first row that holds is told.
REASONS = [
    ('http.log', '*', of('spicy.', 'ssl.decryption'), 'the log is of bytes that the test makes up, or decrypts'),
    ('http.log', '*', of('tunnels-Teredo'), 'within a tunnel that is not on that port'),
    ('http.log', '*', of('wikipedia.pcap'),
     "Zeek does not read a connection whose SYN was not seen; its version is the response's, ours the request's"),
    ('http.log', 'version', of('no-version', 'content-length-confusion', 'vlan-mpls'),
     'HTTP/0.9 has no version on the wire (RFC 1945 4.1)'),
    ('http.log', 'version', lambda difference: len(difference.theirs) > 0, "Zeek's is the response's, ours the request's"),
    ('http.log', 'host', lambda difference: any(':' in str(value) for value in difference.theirs),
     'ours has the port in a field of its own'),
    ('http.log', 'host', of('http-connect-with-smtp'), 'the target of CONNECT (RFC 9112 3.2.3): the request has no Host'),
    ('http.log', 'response_body_len', of('zlib-header', 'x-gzip'),
     'Zeek counts what is decompressed, we the content as it came (RFC 9112 6)'),
    ('http.log', '*', of('request-then-cruft'), 'the answer to what stands behind the request is ours alone'),
    ('http.log', '*', of('http.no-uri'), 'a request line without a target (RFC 9112 3): its second word is the url here, as it stands there; Zeek has none'),
    ('http.log', 'response_body_len', of('content-length-confusion'),
     'Zeek takes the answer with a head, which comes before the request of HTTP/0.9, for its answer'),
    ('ftp.log', 'replies', of('max-command-length', 'invalid-reply-code'),
     'Zeek forgets commands beyond its limits, and gives a line without a code the last one; ours are in their order (RFC 959 5.4)'),
    ('ftp.log', 'files', of('max-arg-length'), 'the test cuts arguments'),
    ('files.log', 'bytes', of('bigtransfer'),
     'holes of gigabytes one behind another: sequence numbers of 32 bits do not tell how often they went round (RFC 9293 3.4)'),
    ('files.log', 'bytes', of('range-requests'), 'Zeek joins the ranges of several connections, and counts what lies between them'),
    ('files.log', 'bytes', of('smtp.attachment'),
     'ours are attachments, Zeek has each part; the line end before a boundary belongs to the boundary (RFC 2046 5.1.1)'),
    ('x509.log', '*', of('dtls'), 'DTLS is left out'),
    ('x509.log', '*', of('imap', 'gridftp', 'mysql', 'smtp.starttls'), 'TLS that begins within another protocol is left out'),
]


def reason_of(difference):
    log = difference.capture.split()[0]
    return next((text for of, field, holds, text in REASONS
                 if of == log and field in ('*', difference.field) and holds(difference)), None)


def main():
    corpus = Corpus(__doc__)
    truths = dict(corpus.truths())
    logs = corpus.logs(truths, lambda path: os.path.basename(path) in LOGS)
    total = [0, 0, 0]
    for capture, files in sorted(logs.items()):
        events = corpus.events(capture, *SETS)
        for path, text in sorted(files.items()):
            log, test = os.path.basename(path), os.path.basename(os.path.dirname(path))
            tally = compare_counters(f'{log} {capture} {test}', *LOGS[log](rows_of_log(text), events), reason_of)
            total = [a + b for a, b in zip(total, tally)]
    print(f'{len(logs)} captures, {sum(total)} fields compared: {total[0]} agree, {total[1]} differ with a reason, '
          f'{total[2]} differ')
    return 1 if total[2] else 0


if __name__ == '__main__':
    sys.exit(main())
