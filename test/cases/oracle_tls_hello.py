#!/usr/bin/env python3
"""Compares the sensor's TLS sessions with what tshark reads of each hello and of each chain: the lists, JA3, JA3S and JA4 made
of them here anew, names, and the first certificate's print, serial number and dates.

    oracle_tls_hello.py SENSOR [SHARED] [-k CAPTURE]

SENSOR is the sensor's program. SHARED is the folder of captures and reference results (default: the environment
variable MILLRACE_SHARED, else ../shared beside the source root); without it, or without an installed tshark, nothing is
compared, and the script says so and exits 77. Certificates are read by Python's cryptography, where it is installed.

Compared is which values there are: a hello that was sent again, or said once more behind a retry, is one here.

A difference that has a reason stands in EXPLAINED with it. Any other makes the exit code 1.
"""
import collections
import hashlib
import sys
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "harness"))
from oracle import SKIPPED, Corpus, Table, only_different   # noqa: E402
import tshark   # noqa: E402
from tshark import number   # noqa: E402

try:
    from cryptography import x509
    warnings.simplefilter('ignore')
except ImportError:
    x509 = None

WITHIN = 'TLS that begins within another protocol is left out'
OTHER_PORT = 'tshark does not dissect it: segments that are missing, or another port'
OTHER_READER = 'the certificate has a field that this reader refuses'
INNER_LENGTH = 'tshark cuts the certificate to the length that is said inside of it'
RETRY = "behind a HelloRetryRequest; the event has the first answer's"
DAMAGED = 'a hello made to be read differently: invalid_handshake_message'
CUT_LIST = 'tshark gives up the list at an extension that is empty; its own JA3S has all of them'
# (part of the capture's name, fields or none for all) -> why the two differ.
EXPLAINED = (
    (('starttls', 'pop3_stls', 'postgresql', 'arkime_synthetic'), (), WITHIN),
    (('google_ssl', 'ookla', 'tls-fingerprint-alert'), (), OTHER_PORT),
    (('subject-zero', 'issuer-zero', 'CVE-2015-3194'), ('serial', 'notbefore', 'notafter'), OTHER_READER),
    (('bug-1450-04', 'bug-1450-05'), ('fingerprint',), INNER_LENGTH),
    (('ndpi__steam', 'tls13-draft22'), ('ja3s.string',), RETRY),
    (('tls-esni-fuzzed', 'tls_invalid_reads'), (), DAMAGED),
    (('tls13draft16',), ('ja3s.string',), CUT_LIST),
)


class HelloTable(Table):
    """Captures go by a part of their name."""

    def reason(self, oracle, capture, field):
        return next((why for parts, fields, why in self.explained if any(part in capture for part in parts) and (not fields or field in fields)), None)

CLIENT_HELLO, SERVER_HELLO, CERTIFICATE = 1, 2, 11
SERVER_NAME, SIGNATURES, ALPN = 0, 13, 16
JA4_VERSIONS = {0x304: '13', 0x303: '12', 0x302: '11', 0x301: '10', 0x300: 's3', 0x2: 's2'}


def is_grease(value):
    return value & 0x0f0f == 0x0a0a and value >> 8 == value & 0xff


def plain(values):
    return [value for value in values if not is_grease(value)]


# ---- tshark's ----

class Hello:
    """The fields of one handshake message."""

    def __init__(self, kind, frame):
        self.kind, self.frame = kind, frame
        self.values = collections.defaultdict(list)
        self.extension = None

    def add(self, name, text, raw):
        if name == 'tls.handshake.extension.type':
            self.extension = number(text)
        # Delegated credentials (RFC 9345) have a list of the same name.
        if name != 'tls.handshake.sig_hash_alg' or self.extension == SIGNATURES:
            self.values[name].append((text, raw))

    def numbers(self, name):
        return [number(text) for text, _ in self.values[f'tls.handshake.{name}'] if text]

    def texts(self, name):
        return [text for text, _ in self.values[f'tls.handshake.{name}']]

    def raw(self, name):
        return [raw for _, raw in self.values[f'tls.handshake.{name}']]

    def version(self):
        """The best of the list that is no GREASE; without a list that of the message."""
        listed = plain(self.numbers('extensions.supported_version'))
        return max(listed) if listed else (self.numbers('version') or [0])[0]

    def ja3(self):
        lists = [self.numbers('ciphersuite'), self.numbers('extension.type')]
        if self.kind == CLIENT_HELLO:
            lists += [self.numbers('extensions_supported_group'), self.numbers('extensions_ec_point_format')]
        return ','.join([str((self.numbers('version') or [0])[0])] + ['-'.join(map(str, plain(values))) for values in lists])

    def ja4(self):
        ciphers, extensions = plain(self.numbers('ciphersuite')), plain(self.numbers('extension.type'))
        alpn = bytes.fromhex(self.raw('extensions_alpn_str')[0]).decode('latin-1') if self.raw('extensions_alpn_str') else ''
        ends = alpn[:1] + alpn[-1:] if alpn else '00'
        if not (ends.isascii() and ends.isalnum()):
            ends = f'{ord(ends[0]):02x}'[0] + f'{ord(ends[1]):02x}'[1]
        count = lambda values: f'{min(len(values), 99):02}'
        signatures = plain(self.numbers('sig_hash_alg'))
        listed = ','.join(f'{value:04x}' for value in sorted(set_aside(extensions)))
        signed = '_' + ','.join(f'{value:04x}' for value in signatures) if signatures else ''
        return '_'.join([f"t{JA4_VERSIONS.get(self.version(), '00')}{'d' if SERVER_NAME in extensions else 'i'}{count(ciphers)}{count(extensions)}{ends}",
                         digest(','.join(f'{value:04x}' for value in sorted(ciphers))), digest(listed + signed)])


def set_aside(extensions):
    return [value for value in extensions if value not in (SERVER_NAME, ALPN)]


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()[:12] if text else '000000000000'


def hellos(path):
    """Each handshake message over TCP. What QUIC, DTLS or another protocol carries is not the sensor's; what is in GTP-U is."""
    carried = None
    hello = None
    for part in tshark.messages(path, ('tls', TUNNEL, *CARRIERS)):
        if part.protocol == TUNNEL:
            carried = None
            continue
        if part.protocol in CARRIERS:
            carried = part.frame
            continue
        if carried == part.frame:
            continue
        for name, text, raw in part.fields:
            if name == 'tls.handshake.type':
                if hello is not None:
                    yield hello
                hello = Hello(number(text), part.frame)
            elif hello is not None and (name == 'tls.record' or name.startswith('tls.record.')):
                yield hello
                hello = None
            elif hello is not None:
                hello.add(name, text, raw)
        if hello is not None:
            yield hello
        hello = None


TUNNEL = 'gtp'
CARRIERS = ('quic', 'eap', 'radius', 'rdp', 'sctp', 'udp', 'openvpn', 'proxy')


def certificate(message):
    """Of the first of a chain: print, serial number, dates."""
    chain = message.raw('certificate')
    if not chain or x509 is None:
        return {}
    der = bytes.fromhex(chain[0])
    print_of = ':'.join(f'{byte:02x}' for byte in hashlib.sha1(der).digest())
    found = {'fingerprint': print_of}
    try:
        read = x509.load_der_x509_certificate(der)
        found['notbefore'] = read.not_valid_before_utc.strftime('%Y-%m-%dT%H:%M:%S')
        found['notafter'] = read.not_valid_after_utc.strftime('%Y-%m-%dT%H:%M:%S')
        found['serial'] = f'{read.serial_number:X}'
    except (ValueError, TypeError):
        pass
    return found


def theirs_of(path):
    told = collections.defaultdict(set)
    randoms = set()
    for message in hellos(path):
        if message.kind in (CLIENT_HELLO, SERVER_HELLO):
            seen = (message.kind, *message.raw('random'))
            if seen in randoms:
                continue
            randoms.add(seen)
        if message.kind == CLIENT_HELLO and message.numbers('ciphersuite'):
            told['ja3.string'].add(message.ja3())
            told['ja3.hash'].add(hashlib.md5(message.ja3().encode()).hexdigest())
            told['ja4'].add(message.ja4())
            told['sni'].update(tshark.text_of(raw) for raw in message.raw('extensions_server_name')[:1])
            told['client_alpns'].add(', '.join(message.texts('extensions_alpn_str')))
            told['client ciphers'].add(str(message.numbers('ciphersuite')))
            told['client extensions'].add(str(message.numbers('extension.type')))
            told['client signatures'].add(str(message.numbers('sig_hash_alg')))
        elif message.kind == SERVER_HELLO and message.numbers('version'):
            told['ja3s.string'].add(message.ja3())
            told['server_alpns'].add(', '.join(message.texts('extensions_alpn_str')))
            told['server cipher'].update(message.numbers('ciphersuite'))
        elif message.kind == CERTIFICATE:
            for name, value in certificate(message).items():
                told[name].add(value)
    for name in ('client_alpns', 'server_alpns'):
        told[name].discard('')
    return told


# ---- ours ----

def at(event, *path):
    return tshark.at_keys(event, path, lambda value: value)


def ours_of(events):
    told = collections.defaultdict(set)
    for event in events:
        if event['event_type'] != 'tls':
            continue
        event = event['tls']
        for name, path in (('ja3.string', ('ja3', 'string')), ('ja3.hash', ('ja3', 'hash')), ('ja4', ('ja4',)), ('sni', ('sni',)),
                           ('ja3s.string', ('ja3s', 'string')), ('server cipher', ('server_handshake', 'cipher'))):
            told[name].update(at(event, *path))
        told['client_alpns'].update(', '.join(names) for names in at(event, 'client_alpns'))
        told['server_alpns'].update(', '.join(names) for names in at(event, 'server_alpns'))
        if 'ja3' in event:
            for name, key in (('client ciphers', 'ciphers'), ('client extensions', 'exts'), ('client signatures', 'sig_algs')):
                told[name].add(str((at(event, 'client_handshake', key) or [[]])[0]))
        for peer in (event, event.get('client', {})):
            for name in ('fingerprint', 'notbefore', 'notafter'):
                told[name].update(at(peer, name))
            told['serial'].update(value.replace(':', '').lstrip('0') for value in at(peer, 'serial'))
    return told


def main():
    corpus = Corpus(__doc__)
    if not tshark.installed():
        print('oracle_tls_hello: skipped: no tshark')
        return SKIPPED
    table = HelloTable(EXPLAINED)
    for capture, truth in corpus.truths():
        if 'tls' not in (truth.get('protocols') or {}):
            continue
        theirs = theirs_of(corpus.path('captures', capture))
        ours = ours_of(corpus.events(capture, 'app-layer.protocols.tls.log-handshake=yes'))
        for name in sorted({*theirs, *ours}):
            if theirs[name] or ours[name]:
                table.add('values', capture, name, *only_different(*(collections.Counter({value: 1 for value in side[name]}) for side in (theirs, ours))))
    return table.end()


if __name__ == '__main__':
    sys.exit(main())
