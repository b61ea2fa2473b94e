#!/usr/bin/env python3
"""Runs Suricata's own verification cases that lie beside the corpus's captures, far more than the public list of rule cases.

    report_verify.py [--every N] [-v] SENSOR [SHARED] [CASE]...

A case is a folder of the corpus's oracles.tar.xz with test.yaml, rules and configuration; its capture is one of the corpus. It
is run by the shared rule_compat.py through test/harness/compat_sensor.py. Checks of anything but events (the other sensor's log)
are left out. A case whose rules must be refused holds when `rules check` refuses them.

What does not hold is explained by the first row of OUT_OF_SCOPE, then of REASONS that fits; a case that no row fits makes the
exit code 1. --every N runs each Nth case, where there is little time; all take ten minutes. Without the corpus it says so and exits 77.
"""
import argparse
import collections
import concurrent.futures
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / 'test/harness'))
import oracle  # noqa: E402

WRAPPER = ROOT / 'test/harness/compat_sensor.py'
MEMBER = re.compile(r'oracles/(suriverify__[^/]+)/suricata-verify/(.+)/([^/]+)')

# (what fits the case's name, what fits what was missed or refused, why). An empty expression fits all.
OUT_OF_SCOPE = (
    (r'^(app-layer-protocol-(exact|legacy)|app-layer-template|bittorrent|bug-5133|bug-8278-krb5|bug-8621|dcerpc|decode-dce|detect-ldap|dhcp'
     r'|dns-over-http2|dns/dns-dcerpc|drop-protocol|http2|ike|imap|krb5|ldap|bug-7552|llmnr|mdns|nfs|ntp|output-eve-(dhcp|tftp)|pgsql|pop3|quic|rfb|sip'
     r'|snmp|transform-header-lowercase|transform-strip-pseudo|ssh-hassh|subslice/subslice-01|telnet|tftp|vxlan-decoder-03|websocket)', '', 'a protocol that has no parser here, or HTTP/2'),
    (r'(^|-)lua|lua-', '', 'Lua: scripts are not run in a sensor that must keep up with the wire'),
    (r'(^|-)ips(-|$)|drop-|^bug-5464-verdict|alert-max-verdict|^bug-6149', '', 'what an inline sensor does with packets'),
    ('', r'frame: frames of protocols', 'the keyword frame: a protocol\'s fields are its buffers here'),
    (r'^(tcp-urgp|http-gap-simple-frames|tls/tls13-draft28-frames|smtp-bdat-pipelined)', '', 'the keyword frame, among other things'),
    ('', r'"event_type": "metadata"', 'metadata events: the flow event has the metadata'),
    ('bpf-command-line', '', 'a filter of packets on the command line'),
    (r'^(dns/v2|dns-reversed-udp-1|dns-eve-type|bug-8205)', '', 'version 2 of the dns event, and outputs filtered by it'),
    (r'^filestore|^filemagic|^detect-filestore', '', 'files are not stored, nor what they are like guessed (docs/guide/rules.md: Files)'),
    (r'^bug-2558', r'filestore|filemagic', 'files are not stored, nor what they are like guessed (docs/guide/rules.md: Files)'),
)
REASONS = (
    (r'^smb-eicar-overlap', '', 'an event is told once of the command that it happened in, not once in each direction'),
    (r'^smb2-06', '', 'an event for each command; calls through a pipe are none of their own'),
    (r'^(smtp-eve|smtp-file-data-02)', '', 'an ICMP error is of a flow of its own, not of the flow that it quotes'),
    (r'^(mime|smtp|detect-email)', '', 'mail: the frame that an event names, links in the order of the text, other limits of names, and names of events in capitals'),
    (r'^http-connect', '', 'a record without content is not TLS'),
    (r'^tcp-rst-unacked-stream-11', '', 'a file of which bytes were lost has no sum'),
    (r'^http-gap|^bug-5392', '', 'the size of a file behind a loss: Content-Length is believed (RFC 9112 6.3), and lost bytes count'),
    (r'^bug-1450', '', 'TLS: which of the events of a certificate that cannot be read is told'),
    (r'^ssl_version', '', 'TLS: a hello and the certificate in a record of its own are asked each'),
    (r'^tls/', '', 'TLS: the event comes when the handshake is complete, and so names a later frame'),
    (r'^(http-not09|stream-async)', r'[A-Z_]{9}|"flow"', 'names of anomalies are in small letters here, and flow details of one-sided connections'),
    (r'^bug-78-', '', 'an alert on a request does not wait for the response, which may be large'),
    (r'^bug-2511', '', 'a rule of the request\'s direction on an event of the response'),
    (r'^bug-130', '', 'a packet\'s rule does not guess the transaction that belongs to it'),
    (r'^threshold-config-byrule', '', 'a rule that asks for a protocol and nothing else speaks once in each direction of a flow'),
    (r'^detect-bytetest-02', '', 'what is in a packet and in the stream that it is of is told once'),
    (r'^eve-overlap-payload-02', '', 'a segment that comes in order is the application\'s at once; one that comes later with other bytes is told, not believed'),
    (r'^http-protocol-inspect-v2', '', 'a connection whose beginning was not captured is read, too'),
    (r'^bug-7549-01', '', 'a number read in one buffer may be used in another'),
    (r'^bug-8629', '', 'of requests that nobody answers the oldest is given up, and the rest is still read'),
    (r'^decode-erspan', '', 'the flow of the tunnel itself is told, too'),
    (r'^ftp|^detect-ftp|^bug-8489', '', 'FTP: limits of lines and transactions, replies as a list, ports as the client sees them'),
    (r'^dns', '', 'DNS: names of 1,025 bytes, filters of the output; a response has the number of its request'),
    ('', r'"event_type": "stats"', 'counters by other names'),
)


class Case:
    def __init__(self, name, capture):
        self.name, self.capture, self.files = name, capture, {}

    def spec(self):
        try:
            return yaml.safe_load(self.files['test.yaml']) or {}
        except yaml.YAMLError:
            return {}

    def write(self, root):
        """The case's folder below root, with its capture and what of its checks events can answer."""
        folder = root / self.name
        folder.mkdir(parents=True)
        for name, content in self.files.items():
            (folder / name).write_bytes(content)
        spec = self.spec()
        spec.pop('pcap', None)
        checks = spec.get('checks') or []
        checks = [checks] if isinstance(checks, dict) else checks
        spec['checks'] = [check for check in checks if 'filter' in check]
        (folder / 'test.yaml').write_text(yaml.safe_dump(spec, sort_keys=False), encoding='utf-8')
        (folder / 'input.pcap').symlink_to(self.capture)
        return spec


def read_cases(corpus):
    """{name: Case} of the oracles whose capture is there."""
    cases = {}
    with tarfile.open(corpus / 'oracles.tar.xz') as archive:
        for member in archive:
            found = MEMBER.fullmatch(member.name)
            if not found or not member.isfile():
                continue
            capture, name, file = found.groups()
            path = corpus / 'captures' / capture
            if path.exists() and not file.endswith(('.pcap', '.pcapng')):
                case = cases.setdefault(name, Case(name, path))
                if case.capture == path:
                    case.files[file] = archive.extractfile(member).read()
    return {name: case for name, case in cases.items() if 'test.yaml' in case.files}


def refusals(sensor, folder):
    """What `rules check` says of the case's rules: (exit code, text)."""
    rules = sorted(folder.glob('*.rules'))
    if not rules:
        return 0, ''
    done = subprocess.run([sensor, 'rules', 'check', rules[0]], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60,
                          check=False)
    return done.returncode, done.stdout.decode(errors='replace')


def run(rule_compat, sensor, root, case):
    """(verdict, why, what was said of its rules)"""
    spec = case.write(root)
    folder = root / case.name
    if spec.get('exit-code'):
        if not rule_compat.wanted({k: v for k, v in (spec.get('requires') or {}).items() if k != 'pcap'}):
            return 'skip', 'requires', ''
        code, said = refusals(sensor, folder)
        return ('pass', 'refused', '') if code else ('fail', 'its rules load', said)
    command = f'{sys.executable} {WRAPPER} --case {folder} {sensor} read'
    verdict, why = rule_compat.run_case(command, str(root), case.name, 60)
    return verdict, why, refusals(sensor, folder)[1] if verdict == 'fail' else ''


def reason_of(name, why, said):
    """(table, reason) of a case that does not hold."""
    text = why + '\n' + said
    for title, table in (('out of scope', OUT_OF_SCOPE), ('differs', REASONS)):
        for names, words, reason in table:
            if re.search(names, name) and re.search(words, text):
                return title, reason
    return None


def show(results, verbose):
    groups, unknown = collections.defaultdict(list), {}
    for name, (verdict, why, said) in results.items():
        if verdict == 'fail':
            found = reason_of(name, why, said)
            if found:
                groups[found].append(name)
            else:
                unknown[name] = why
    count = collections.Counter(verdict for verdict, _, _ in results.values())
    for (title, reason), names in sorted(groups.items(), key=lambda item: (item[0][0], -len(item[1]))):
        print(f'{title}: {len(names)}: {reason}')
        print('    ' + ', '.join(names if verbose or title == 'differs' else names[:4] + ['...'] * (len(names) > 4)))
    for name, why in unknown.items():
        print(f'differs without a reason: {name}: {why[:300]}')
    outside = sum(len(names) for (title, _), names in groups.items() if title == 'out of scope')
    differ = sum(len(names) for (title, _), names in groups.items() if title == 'differs')
    print(f'{len(results)} cases: {count["pass"]} hold, {outside} out of scope, {count["skip"]} ask for what no event can show, '
          f'{differ} differ with a reason, {len(unknown)} differ')
    return 1 if unknown else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('sensor')
    parser.add_argument('shared', nargs='?', default=os.environ.get('MILLRACE_SHARED', ROOT.parent / 'shared'))
    parser.add_argument('cases', nargs='*')
    parser.add_argument('--every', type=int, default=1, metavar='N')
    parser.add_argument('-j', type=int, default=2)
    parser.add_argument('-v', action='store_true', help='name all cases of each group')
    args = parser.parse_args()
    shared = Path(args.shared)
    if not (shared / 'corpus/oracles.tar.xz').exists():
        print(f'report_verify: skipped: no corpus in {shared}')
        return oracle.SKIPPED
    sys.path.insert(0, str(shared / 'tools'))
    import rule_compat  # pylint: disable=import-error,import-outside-toplevel

    cases = read_cases(shared / 'corpus')
    names = args.cases or sorted(cases)[::args.every]
    sensor = os.path.realpath(args.sensor)
    with tempfile.TemporaryDirectory() as root, concurrent.futures.ThreadPoolExecutor(args.j) as pool:
        found = pool.map(lambda name: run(rule_compat, sensor, Path(root), cases[name]), names)
        results = dict(zip(names, found))
    return show(results, args.v)


if __name__ == '__main__':
    sys.exit(main())
