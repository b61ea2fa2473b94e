#!/usr/bin/env python3
"""A box becomes a sensor: invited, enrolled, streaming, renewed, revoked, by the real programs.

usage: test/e2e/enrol.py [BUILD_DIR [NAME]...]

Certificates live for a few seconds here, so that their renewal and their end are seen.
"""
import base64
import http.client
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import ssl
import stat
import subprocess
import sys
import threading
import time
import unittest

import uplink_test
from proxies import Squid
from stack import ROOT, Stack, build_dir, wait_for

import parallel  # noqa: E402

LIFETIME_S = 90  # a machine that stands still for a minute does not end a certificate
RENEW_AT = 10  # percent of it
RENEW_S = 80
WAIT_S = 60
QUIET_S = 3


class Proxy:
    """An HTTP proxy that knows CONNECT, and counts."""

    def __init__(self):
        self.tunnels = 0
        self.server = socket.create_server(('127.0.0.1', 0))
        self.port = self.server.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            client, _ = self.server.accept()
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        head = b''
        while b'\r\n\r\n' not in head:
            head += client.recv(4096)
        host, port = head.split()[1].decode().rsplit(':', 1)
        server = socket.create_connection((host, int(port)))
        client.sendall(b'HTTP/1.1 200 OK\r\n\r\n')
        self.tunnels += 1
        threading.Thread(target=self.copy, args=(client, server), daemon=True).start()
        self.copy(server, client)

    @staticmethod
    def copy(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass


class EnrolStack(Stack):
    """An aggregator that enrols, and a sensor that has nothing but its configuration."""

    def __init__(self, build):
        super().__init__(build)
        self.enrol_port = 0
        self.only = 'yes'
        self.settings = []

    def write_aggregator_config(self):
        super().write_aggregator_config()
        with open(self.path('aggregator.yaml'), 'a') as file:
            file.write(f'''enrol:
  state: {self.path("enrol.sqlite")}
  listen: 127.0.0.1:{self.enrol_port}
  url: https://localhost:{self.enrol_port}
  aggregator-url: https://localhost:{self.port}
  ca-cert: {self.path("pki/ca.pem")}
  ca-key: {self.path("pki/ca.key")}
  lifetime: {LIFETIME_S}
  only: {self.only}
  failures-max: 1000
''')
            for line in self.settings:
                file.write(f'  {line}\n')

    def start(self):
        """The ports stand in the activation files, so they are chosen beforehand."""
        if not self.port:
            chosen = [socket.create_server(('127.0.0.1', 0)) for _ in range(3)]
            self.port, self.api_port, self.enrol_port = (one.getsockname()[1] for one in chosen)
            for one in chosen:
                one.close()
        ready = self.path('ready')
        self.write_aggregator_config()
        if os.path.exists(ready):
            os.unlink(ready)
        log = open(self.path('aggregator.log'), 'ab')
        self.aggregator = subprocess.Popen([self.program('aggregator/millrace-aggregator'), 'run', '-c',
                                            self.path('aggregator.yaml'), '--ready-file', ready],
                                           stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        wait_for(lambda: os.path.exists(ready) or self.aggregator.poll() is not None, 30)
        assert os.path.exists(ready), self.tail('aggregator.log')
        assert open(ready).read() == f'ready {self.port} {self.api_port} {self.enrol_port}\n'

    def restart(self):
        self.stop_aggregator()
        self.start()

    def millrace(self, *words):
        return subprocess.run([self.program('millrace/millrace'), *words, '--aggregator', f'https://localhost:{self.api_port}',
                               '--token-file', self.path('pki/token'), '--ca', self.path('pki/ca.pem')],
                              capture_output=True, text=True, timeout=60)

    def invite(self, name, *options):
        path = self.path(f'{name}-{time.monotonic_ns()}.activation')
        run = self.millrace('sensors', 'invite', name, '-o', path, *options)
        assert run.returncode == 0, run.stderr
        return path

    def sensors(self):
        rows = json.loads(self.millrace('sensors', '--json').stdout)['sensors']
        return {row['sensor']: row for row in rows}

    def enrol(self, activation, folder, *options):
        return subprocess.run([self.program('sensor/millrace-sensor'), 'enrol', activation, '--set',
                               f'enrol.dir={self.path(folder)}', *options], capture_output=True, text=True, timeout=60)

    def state(self, sql, *values):
        base = sqlite3.connect(f'file:{self.path("enrol.sqlite")}?mode=ro', uri=True)
        try:
            return base.execute(sql, values).fetchall()
        finally:
            base.close()

    def delivered(self):
        return len(self.records())

    def ask(self, body, port=None, path='/v1/enrolment', identity=None):
        """Posts as a stranger, or with an identity file."""
        context = ssl.create_default_context(cafile=self.path('pki/ca.pem'))
        if identity:
            context.load_cert_chain(identity)
        link = http.client.HTTPSConnection('localhost', port or self.enrol_port, context=context, timeout=20)
        try:
            link.request('POST', path, body if isinstance(body, (bytes, str)) else json.dumps(body))
            answer = link.getresponse()
            return answer.status, json.loads(answer.read()), answer.headers
        finally:
            link.close()


class RolloverStack(EnrolStack):
    """One whose CA changes: the bundle that it checks with, and who issues its certificate and the sensors'."""

    issuer = 'pki'

    def use(self, bundle, issuer):
        with open(self.path('bundle.pem'), 'w') as file:
            file.write(bundle)
        self.issuer = issuer

    def write_aggregator_config(self):
        super().write_aggregator_config()
        with open(self.path('aggregator.yaml')) as file:
            text = file.read()
        for name in ('aggregator.pem', 'aggregator.key', 'ca.key'):
            text = text.replace(self.path(f'pki/{name}'), self.path(f'{self.issuer}/{name}'))
        text = text.replace(f'ca-cert: {self.path("pki/ca.pem")}', f'ca-cert: {self.path(f"{self.issuer}/ca.pem")}')
        if os.path.exists(self.path('bundle.pem')):
            text = text.replace(f' ca: {self.path("pki/ca.pem")}', f' ca: {self.path("bundle.pem")}')
        with open(self.path('aggregator.yaml'), 'w') as file:
            file.write(text)


def names(tree, above=''):
    """Of all that a stats event counts."""
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from names(value, f'{above}{key}.')
        else:
            yield above + key


def openssl(*arguments, text=None):
    return subprocess.run(['openssl', *arguments], input=text, capture_output=True, text=True, check=True).stdout


def make_request(folder, *algorithm, subject='/CN=evil'):
    key = os.path.join(folder, f'{time.monotonic_ns()}.key')
    openssl('genpkey', *algorithm, '-out', key)
    return openssl('req', '-new', '-key', key, '-subj', subject)


P384 = ('-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-384')


class EnrolTest(unittest.TestCase):
    """One aggregator for all; each test invites sensors of its own."""

    @classmethod
    def setUpClass(cls):
        cls.stack = EnrolStack(build_dir())
        cls.stack.start()

    @classmethod
    def tearDownClass(cls):
        cls.stack.__exit__(None, None, None)

    def token_of(self, *options):
        with open(self.stack.invite('box', *options)) as file:
            return json.load(file)['token']

    def test_requests_are_judged(self):
        good = make_request(self.stack.dir, *P384)
        lines = good.split('\n')
        lines[-3] = lines[-3][:-8] + ('A' if lines[-3][-8] != 'A' else 'B') + lines[-3][-7:]
        token = self.token_of()
        refused = [
            (make_request(self.stack.dir, '-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048'), 'RSA'),
            (make_request(self.stack.dir, '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:secp256k1'), 'curve'),
            (make_request(self.stack.dir, '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-384', '-pkeyopt',
                          'ec_param_enc:explicit'), ''),
            ('\n'.join(lines), 'signature'),
            (good[:200], 'PEM'), ('', 'PEM'), ('x' * 9000, 'longer'),
        ]
        for request, why in refused:
            status, answer, _ = self.stack.ask({'token': token, 'csr': request})
            self.assertEqual(status, 400, answer)
            self.assertIn(why, answer['error'])
        for body in ('', '[]', '{', '{"token":1}', 'x' * 20000, {'token': token}, {'token': token, 'csr': 7}):
            status, answer, _ = self.stack.ask(body)
            self.assertIn(status, (400, 403, 413), answer)
        for wrong in ('', 'x', token[:-1], token + '0', token[:-1] + ('0' if token[-1] != '0' else '1'), '0' * 16 + token[16:]):
            self.assertEqual(self.stack.ask({'token': wrong, 'csr': good})[0], 403)
        # Nothing of that used the invitation up; and the request's subject means nothing.
        status, answer, _ = self.stack.ask({'token': token, 'csr': good})
        self.assertEqual((status, answer['sensor']), (200, 'box'), answer)
        text = openssl('x509', '-noout', '-text', text=answer['certificate'])
        for words in ('Subject: CN = box\n', 'CA:FALSE', 'Digital Signature\n', 'TLS Web Client Authentication\n', 'ecdsa-with-SHA384'):
            self.assertIn(words, text)
        # An answer that was lost is given again, to that key only.
        self.assertEqual(self.stack.ask({'token': token, 'csr': good})[1], answer)
        status, other, _ = self.stack.ask({'token': token, 'csr': make_request(self.stack.dir, *P384)})
        self.assertEqual(status, 403)
        self.assertIn('used', other['error'])
        # No part of a token is on the disk.
        for name in ('enrol.sqlite', 'enrol.sqlite-wal'):
            with open(self.stack.path(name), 'rb') as file:
                self.assertNotIn(token.split('.')[1].encode(), file.read())
        self.assertEqual(stat.S_IMODE(os.stat(self.stack.path('enrol.sqlite')).st_mode), 0o600)

    def test_invitations_end(self):
        short = self.stack.invite('late', '--expires', '1s')
        time.sleep(1.2)
        run = self.stack.enrol(short, 'late')
        self.assertEqual(run.returncode, 1)
        self.assertIn('expired', run.stderr)
        # A box whose clock is wrong asks all the same.
        with open(short) as file:
            status, answer, _ = self.stack.ask({'token': json.load(file)['token'], 'csr': make_request(self.stack.dir, *P384)})
        self.assertEqual(status, 403)
        self.assertIn('expired', answer['error'])
        self.assertEqual(self.stack.sensors()['late']['state'], 'expired')
        withdrawn = self.stack.invite('gone')
        self.assertEqual(self.stack.millrace('sensors', 'revoke', 'gone').returncode, 0)
        run = self.stack.enrol(withdrawn, 'gone')
        self.assertEqual(run.returncode, 1)
        self.assertIn('withdrawn', run.stderr)
        self.assertEqual(self.stack.millrace('sensors', 'revoke', 'never-heard-of').returncode, 1)
        for words in (('invite', 'no name'), ('invite', 'x', '--site', 'a\tb'),
                      ('invite', 'x', '--expires', '31d'), ('invite', 'x', '--expires', 'soon'), ('invite',), ('frobnicate', 'x')):
            self.assertNotEqual(self.stack.millrace('sensors', *words, '-o', self.stack.path('never')).returncode, 0, words)
            self.assertFalse(os.path.exists(self.stack.path('never')))

    def test_an_invitation_that_cannot_be_written_is_none(self):
        for path in (self.stack.invite('kept'), '/nowhere/file'):
            self.assertEqual(self.stack.millrace('sensors', 'invite', 'unwritten', '-o', path).returncode, 1)
        self.assertNotIn('unwritten', self.stack.sensors())

    def test_another_ca_is_refused(self):
        activation = self.stack.invite('careful')
        subprocess.run([os.path.join(os.path.dirname(__file__), '../../scripts/pki'), self.stack.path('other')], check=True)
        with open(activation) as file:
            forged = json.load(file)
        forged['ca'] = open(self.stack.path('other/ca.pem')).read()
        with open(self.stack.path('forged'), 'w') as file:
            json.dump(forged, file)
        run = self.stack.enrol(self.stack.path('forged'), 'careful')
        self.assertEqual(run.returncode, 1)
        self.assertIn('certificate', run.stderr)
        self.assertEqual(os.listdir(self.stack.path('careful')), ['pending.key'])
        # The token did not go out: it is good still.
        run = self.stack.enrol(activation, 'careful')
        self.assertEqual(run.returncode, 0, run.stderr)

    def test_too_many_failures(self):
        self.stack.settings = ['failures-max: 3']
        self.stack.write_aggregator_config()
        text = open(self.stack.path('aggregator.yaml')).read().replace('  failures-max: 1000\n', '')
        settings, self.stack.settings = self.stack.settings, []
        other = EnrolStack(self.stack.build)
        try:
            other.write_aggregator_config = lambda: None
            for name in ('port', 'api_port', 'enrol_port'):
                probe = socket.create_server(('127.0.0.1', 0))
                setattr(other, name, probe.getsockname()[1])
                text = text.replace(f':{getattr(self.stack, name)}', f':{probe.getsockname()[1]}')
                probe.close()
            with open(other.path('aggregator.yaml'), 'w') as file:
                file.write(text.replace(self.stack.dir, other.dir))
            other.start()
            with open(other.invite('guess')) as file:
                token = json.load(file)['token']
            for _ in range(3):
                self.assertEqual(other.ask({'token': 'x' * 81, 'csr': ''})[0], 403)
            status, answer, headers = other.ask({'token': token, 'csr': make_request(other.dir, *P384)})
            self.assertEqual(status, 429, settings)
            self.assertTrue(1 <= int(headers['Retry-After']) <= 60)
        finally:
            other.__exit__(None, None, None)

    def start_sensor(self, name, stack=None, uplink='', enrol_more=''):
        stack = stack or self.stack
        stack.write_sensor_config(port='pcap:' + stack.path('empty.pcap'),
                                  more=f'{uplink}enrol: {{ dir: {stack.path(name)}, renew-at: {RENEW_AT}, retry-ms: 500{enrol_more} }}\nstats: {{ interval: 1 }}\n')
        with open(stack.path('empty.pcap'), 'wb') as file:
            file.write(bytes.fromhex('d4c3b2a1020004000000000000000000ffff000001000000'))
        text = open(stack.path('sensor.yaml')).read()
        for key in ('url', 'sensor', 'cert', 'key', 'ca'):
            text = '\n'.join(line for line in text.split('\n') if not line.startswith(f'  {key}:'))
        with open(stack.path('sensor.yaml'), 'w') as file:
            file.write(text)
        return stack.start_sensor('run')

    def settles(self):
        """The number of records, once it stays as it is while the sensor, which says something each second, would have said three things."""
        counts = [-1, self.stack.delivered()]
        while counts[-1] != counts[-2] and len(counts) < WAIT_S // QUIET_S:
            time.sleep(QUIET_S)
            counts.append(self.stack.delivered())
        self.assertEqual(counts[-1], counts[-2], self.stack.tail('sensor.log'))
        return counts[-1]

    def grows(self, seconds=60):
        before = self.stack.delivered()
        return wait_for(lambda: self.stack.delivered() > before, seconds)

    def test_life_of_a_sensor(self):
        proxies = Proxy(), Proxy()
        activation = self.stack.invite('plant-7', '--site', 'Köln', '--zone', 'Zelle 3')
        self.assertEqual(stat.S_IMODE(os.stat(activation).st_mode), 0o600)
        row = self.stack.sensors()['plant-7']
        self.assertEqual((row['state'], row['site'], row['zone']), ('invited', 'Köln', 'Zelle 3'))
        # The first way leads nowhere, the second is a chain.
        chain = ' '.join(f'http://127.0.0.1:{proxy.port}' for proxy in proxies)
        run = self.stack.enrol(activation, 'box', '--set', f'uplink.ways=["http://127.0.0.1:1", "{chain}"]')
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual([proxy.tunnels for proxy in proxies], [1, 1])
        identity = self.stack.path('box/identity.pem')
        self.assertEqual(stat.S_IMODE(os.stat(identity).st_mode), 0o600)
        self.assertEqual(sorted(os.listdir(self.stack.path('box'))), ['ca.pem', 'identity.pem', 'sensor.json'])
        first = open(identity).read()
        ends = time.monotonic() + LIFETIME_S
        for name, revoked in (('good', ()), ('bad', ('aggregator',))):
            uplink_test.make_crl(self.stack.path('pki'), name, revoked)
        self.use_crl('good')
        sensor = self.start_sensor('box', uplink=f'  crl: {self.stack.path("crl.pem")}\n')
        try:
            run = self.stack.enrol(activation, 'thief')
            self.assertEqual(run.returncode, 1)
            self.assertIn('used', run.stderr)
            self.assertIn('already', self.stack.enrol(activation, 'box').stderr)
            self.streams_and_renews(sensor, first, ends)
            self.is_shut_out(identity)
            self.comes_back()
        finally:
            sensor.send_signal(signal.SIGTERM)
            sensor.wait(60)
        self.assertEqual(sensor.returncode, 0, self.stack.tail('sensor.log'))
        audit = json.loads(self.stack.millrace('sensors', 'audit', '--json').stdout)['audit']
        deeds = [row['action'] for row in audit if row['sensor'] == 'plant-7']
        self.assertEqual(deeds[-2:], ['enrol', 'invite'])
        self.counters_are_documented()
        self.assertTrue({'renew', 'revoke'} <= set(deeds))

    def counters_are_documented(self):
        with open(os.path.join(ROOT, 'docs/reference/counters.md')) as file:
            page = set(re.findall(r'^\| `([\w.]+)` \|', file.read(), re.M))
        stats = self.stack.events('stats')[-1]['stats']
        shown = {name for name in names(stats) if name.split('.')[0] not in ('uptime', 'run', 'ports', 'workers', 'detect')}
        self.assertTrue({'spool.appended', 'uplink.batches', 'enrol.renewed', 'capture.received', 'exporter.events'} <= shown)
        shown |= set(json.loads(self.stack.millrace('counters', '--json').stdout)['aggregator'])
        shown |= set(json.loads(self.stack.millrace('summary', '--json').stdout)['losses'])
        self.assertEqual(shown - page, set())

    @unittest.skipUnless(os.path.exists('/usr/lib/squid/security_file_certgen'), 'squid that opens TLS (squid-openssl) is not installed')
    def test_past_a_proxy_that_opens_tls(self):
        """The proxy shows the aggregator a certificate of its own; the sensor's next one follows the sensor's, not that."""
        stack = EnrolStack(self.stack.build)
        stack.only = 'no'
        self.addCleanup(stack.__exit__, None, None, None)
        stack.start()
        pki = stack.path('pki')
        uplink_test.make_ca(pki, 'inspector')
        uplink_test.make_leaf(pki, 'inside', 'ca', 'opened', 'DNS:opened')
        proxy = Squid(inspect={'ca': f'{pki}/inspector', 'own': f'{pki}/inside', 'server_ca': f'{pki}/ca'})
        self.addCleanup(proxy.close)
        proxy.start()
        way = {'hops': f'http://127.0.0.1:{proxy.port}'}
        activation = stack.invite('opened')
        run = stack.enrol(activation, 'box', '--set', f'uplink.ways={json.dumps([way])}')
        self.assertEqual(run.returncode, 1)
        self.assertIn('certificate', run.stderr)
        # What only the aggregator itself can satisfy does not hold on such a way.
        way['inspect-ca'] = f'{pki}/inspector.pem'
        pin = 'sha256//' + base64.b64encode(bytes(32)).decode()
        ways = f'  ways: {json.dumps([way])}\n  pin: "{pin}"\n'
        run = stack.enrol(activation, 'box', '--set', f'uplink.ways={json.dumps([way])}', '--set', f'uplink.pin={pin}')
        self.assertEqual(run.returncode, 0, run.stderr)
        identity = lambda: open(stack.path('box/identity.pem')).read()
        first = identity()
        sensor = self.start_sensor('box', stack, uplink=ways)
        try:
            renewed = lambda: stack.state("SELECT count(*) FROM audit WHERE action = 'renew' AND sensor = 'opened'")[0][0]
            self.assertTrue(wait_for(lambda: renewed() >= 1 and identity() != first, RENEW_S), stack.tail('sensor.log'))
            before = stack.delivered()
            self.assertTrue(wait_for(lambda: stack.delivered() > before, 30), stack.tail('sensor.log'))
        finally:
            sensor.send_signal(signal.SIGTERM)
            sensor.wait(60)
        # It read them all.
        self.assertTrue({'/v1/enrolment', '/v1/enrolment/renew', '/v1/records'} <= set(re.findall(r'POST https://localhost:\d+(/\S+)', proxy.access())))

    def use_crl(self, name):
        os.replace(shutil.copy(self.stack.path(f'pki/{name}.pem'), self.stack.path('crl.new')), self.stack.path('crl.pem'))

    def test_a_revoked_aggregator_gets_no_token(self):
        activation = self.stack.invite('wary')
        for name, revoked in (('none-of-us', ()), ('us', ('aggregator',))):
            uplink_test.make_crl(self.stack.path('pki'), name, revoked)
        run = self.stack.enrol(activation, 'wary', '--set', f'uplink.crl={self.stack.path("pki/us.pem")}')
        self.assertEqual(run.returncode, 1)
        self.assertIn('revoked', run.stderr)
        pin = 'sha256//' + base64.b64encode(bytes(32)).decode()
        run = self.stack.enrol(activation, 'wary', '--set', f'uplink.pin={pin}')
        self.assertEqual(run.returncode, 1)
        self.assertIn('pinned', run.stderr)
        self.assertEqual(self.stack.sensors()['wary']['state'], 'invited')
        run = self.stack.enrol(activation, 'wary', '--set', f'uplink.crl={self.stack.path("pki/none-of-us.pem")}')
        self.assertEqual(run.returncode, 0, run.stderr)

    def streams_and_renews(self, sensor, first, ends):
        self.assertTrue(wait_for(lambda: self.stack.sensors()['plant-7'].get('records'), WAIT_S), self.stack.tail('sensor.log'))
        self.assertEqual(self.stack.sensors()['plant-7']['state'], 'enrolled')
        # What was issued is on the disk.
        self.stack.kill_aggregator()
        self.stack.start()
        self.assertTrue(self.grows(), self.stack.tail('sensor.log'))
        renewed = lambda: self.stack.state("SELECT count(*) FROM audit WHERE action = 'renew' AND sensor = 'plant-7'")[0][0]
        # Not by an aggregator that a list names; again once none does.
        self.use_crl('bad')
        refused = lambda: sum('was not renewed' in line and 'revoked' in line for line in open(self.stack.path('sensor.log')))
        self.assertTrue(wait_for(lambda: refused() >= 1, RENEW_S), self.stack.tail('sensor.log'))
        before = renewed()
        self.assertTrue(wait_for(lambda: refused() >= 3, RENEW_S), self.stack.tail('sensor.log'))
        self.assertEqual(renewed(), before)
        self.use_crl('good')
        self.assertTrue(wait_for(lambda: renewed() > before, RENEW_S), self.stack.tail('sensor.log'))
        key_of = lambda text: text.split('-----END PRIVATE KEY-----')[0]
        self.assertTrue(wait_for(lambda: key_of(open(self.stack.path('box/identity.pem')).read()) != key_of(first), WAIT_S))
        # The first certificate ends, and records come all the same.
        time.sleep(max(0.0, ends + 1 - time.monotonic()))
        self.assertTrue(self.grows(), self.stack.tail('sensor.log'))
        self.assertIsNone(sensor.poll())

    def is_shut_out(self, identity):
        context = ssl.create_default_context(cafile=self.stack.path('pki/ca.pem'))
        context.load_cert_chain(identity)
        idle = context.wrap_socket(socket.create_connection(('localhost', int(self.stack.port))), server_hostname='localhost')
        idle.settimeout(WAIT_S)
        # Through the handshake on the other side as well: this answer needs the certificate.
        idle.sendall(b'GET / HTTP/1.1\r\nHost: x\r\n\r\n')
        answer = b''
        while not answer.endswith(b'}\n'):
            answer += idle.recv(4096)
        self.assertIn(b'404', answer)
        run = self.stack.millrace('sensors', 'revoke', 'plant-7')
        self.assertEqual(run.returncode, 0, run.stderr)
        # An open connection is closed, whatever its end looks like.
        try:
            self.assertEqual(idle.recv(4096), b'')
        except OSError as error:
            self.assertNotIsInstance(error, TimeoutError)
        # What came before may be on its way to the store.
        count = self.settles()
        # The reason may be lost, when the connection ends while the request is on its way.
        reasons = []
        while len(reasons) < 20 and not any('REVOKED' in reason for reason in reasons):
            with self.assertRaises((ssl.SSLError, OSError)) as refused:
                self.stack.ask({'csr': ''}, port=self.stack.port, path='/v1/enrolment/renew', identity=identity)
            reasons.append(str(refused.exception).upper())
        self.assertIn('REVOKED', reasons[-1])
        self.assertEqual(self.settles(), count)
        row = self.stack.sensors()['plant-7']
        self.assertEqual((row['state'], row['expires']), ('revoked', ''))
        # kill -9 does not let it in again.
        self.stack.kill_aggregator()
        self.stack.start()
        self.assertEqual(self.settles(), count)

    def comes_back(self):
        """A new invitation, while the sensor runs: what it kept meanwhile is delivered."""
        run = self.stack.enrol(self.stack.invite('plant-7'), 'box', '--again')
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertTrue(self.grows(), self.stack.tail('sensor.log'))
        self.assertEqual(self.stack.sensors()['plant-7']['state'], 'enrolled')

    def test_the_ca_is_changed(self):
        """From one CA to another with an overlap, without touching the sensor (docs/guide/enrol.md)."""
        stack = RolloverStack(self.stack.build)
        try:
            stack.start()
            self.assertEqual(stack.enrol(stack.invite('plant-9'), 'box').returncode, 0)
            sensor = self.start_sensor('box', stack)
            try:
                subprocess.run([os.path.join(os.path.dirname(__file__), '../../scripts/pki'), stack.path('new')], check=True)
                cas = [open(stack.path(f'{name}/ca.pem')).read() for name in ('pki', 'new')]
                held = lambda: open(stack.path('box/ca.pem')).read()
                self.assertEqual(held(), cas[0])
                for bundle, issuer, at_last in ((cas, 'pki', cas[0] + cas[1]), (cas, 'new', cas[0] + cas[1]), (cas[1:], 'new', cas[1])):
                    stack.use(''.join(bundle), issuer)
                    stack.restart()
                    key = open(stack.path('box/identity.pem')).read()
                    self.assertTrue(wait_for(lambda: open(stack.path('box/identity.pem')).read() != key, RENEW_S), stack.tail('sensor.log'))
                    self.assertTrue(wait_for(lambda: held() == at_last, 10))
                    before = stack.delivered()
                    self.assertTrue(wait_for(lambda: stack.delivered() > before, 30), stack.tail('sensor.log'))
                    self.assertEqual(subprocess.run(['openssl', 'verify', '-partial_chain', '-CAfile', stack.path(f'{issuer}/ca.pem'),
                                                     stack.path('box/identity.pem')], capture_output=True).returncode, 0)
            finally:
                sensor.send_signal(signal.SIGTERM)
                sensor.wait(60)
        finally:
            stack.__exit__(None, None, None)


if __name__ == '__main__':
    if sys.argv[2:]:
        unittest.main(argv=[sys.argv[0], *sys.argv[2:]], verbosity=2, warnings='ignore')
    else:
        parallel.main([__file__, build_dir()])
