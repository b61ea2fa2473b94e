#!/usr/bin/env python3
"""Two aggregators share the store clickhouse in what scripts/cluster has started: who is let in by one is let in by the other, who is
shut out by one is shut out by the other, an invitation is good once at both together, a token of the API at either.

usage: test/e2e/cluster_enrol.py [BUILD_DIR]     scripts/cluster start goes before
"""
import concurrent.futures
import http.client
import json
import os
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import aggregator_test
from aggregator_test import ROOT, event
from cluster_kill import Gateway
from enrol import P384, make_request, openssl
from stack import skip

sys.path.insert(0, os.path.join(ROOT, 'test', 'harness'))
import cluster  # noqa: E402
from ports import free_port  # noqa: E402

BACK_S = 10  # after the end of a fault
HEARD_S = 2  # within which a revocation said at one holds at the other: PG_LISTEN_CURRENT_MS


class EnrolGateway(Gateway):
    def __init__(self, dir, name, store):
        self.enrol_port = free_port()
        super().__init__(dir, name, store)

    def launch(self):
        with open(self.config, 'a') as file:
            file.write(f'enrol: {{listen: "127.0.0.1:{self.enrol_port}", url: "https://localhost:{self.enrol_port}", '
                       f'aggregator-url: "https://localhost:{self.port}", ca-cert: {self.pki}/ca.pem, ca-key: {self.pki}/ca.key, '
                       'only: yes, failures-max: 1000}\n')
        super().launch()

    def ask(self, port, path, body, token=None):
        link = http.client.HTTPSConnection('localhost', port, context=self.tls(None), timeout=30)
        link.request('POST', path, json.dumps(body), {'Authorization': f'Bearer {token}'} if token else {})
        answer = link.getresponse()
        text = answer.read()
        link.close()
        return answer.status, json.loads(text)

    def invite(self, sensor):
        status, answer = self.ask(self.api_port, '/v1/sensors/invite', {'sensor': sensor}, self.token)
        assert status == 201, answer
        return answer['activation']['token']

    def enrol(self, token, request):
        return self.ask(self.enrol_port, '/v1/enrolment', {'token': token, 'csr': request})

    def revoke(self, sensor):
        return self.ask(self.api_port, '/v1/sensors/revoke', {'sensor': sensor}, self.token)

    def token_verb(self, *words):
        return subprocess.run([aggregator_test.program('aggregator/millrace-aggregator'), 'token', '-c', self.config, *words],
                              capture_output=True, text=True, timeout=60)


def primary():
    """The processes of the PostgreSQL that takes changes."""
    with open(os.path.join(cluster.DIR, 'pg1', 'pid')) as file:
        pid = int(file.read().split()[0])
    with open(f'/proc/{pid}/task/{pid}/children') as file:
        return [pid, *map(int, file.read().split())]


def wait_until_listening(gateway):
    for _ in range(300):
        try:
            if gateway.get('/v1/lanes')[0] == 200:
                return
        except OSError:
            pass
        time.sleep(0.1)
    raise RuntimeError('an aggregator does not answer')


class Shared(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        try:
            cls.store = cluster.Store()
        except (OSError, subprocess.CalledProcessError):
            skip('no cluster answers: scripts/cluster start')
        cls.folder = tempfile.TemporaryDirectory(prefix='millrace-cluster-enrol-')
        cls.dir = cls.folder.name
        subprocess.run([os.path.join(ROOT, 'scripts', 'pki'), os.path.join(cls.dir, 'pki')], check=True)
        cls.gateways = [EnrolGateway(cls.dir, name, cls.store) for name in ('one', 'two')]
        cls.addClassCleanup(cls.close)
        for gateway in cls.gateways:
            wait_until_listening(gateway)

    @classmethod
    def close(cls):
        for gateway in cls.gateways:
            gateway.process.kill()
            gateway.process.wait()
        cls.store.close()
        cls.folder.cleanup()

    def box(self, sensor):
        """A sensor that was invited at one aggregator and enrolled at the other: its certificate where the harness looks for it."""
        one, two = self.gateways
        key = os.path.join(one.pki, f'{sensor}.key')
        openssl('genpkey', *P384, '-out', key)
        status, answer = two.enrol(one.invite(sensor), openssl('req', '-new', '-key', key, '-subj', '/CN=x'))
        self.assertEqual(status, 200, answer)
        with open(os.path.join(one.pki, f'{sensor}.pem'), 'w') as file:
            file.write(answer['certificate'])

    def test_a_sensor_is_shut_out_at_both(self):
        one, two = self.gateways
        self.box('plant-7')
        open_at_two = two.connect('plant-7')
        self.assertEqual(one.post(1, [event(1)], sensor='plant-7'), (200, {'acked': 1}))
        self.assertEqual(two.post(2, [event(2)], sensor='plant-7', connection=open_at_two), (200, {'acked': 2}))
        states = {row['sensor']: row['state'] for row in two.get('/v1/sensors')[1]['sensors']}
        self.assertEqual(states['plant-7'], 'enrolled')
        self.assertEqual(one.revoke('plant-7')[0], 200)
        said = time.monotonic()
        # The open connection is cut, without a request on it.
        open_at_two.sock.settimeout(HEARD_S)
        try:
            left = open_at_two.sock.recv(1)
        except (ConnectionError, ssl.SSLError):
            left = b''
        self.assertEqual(left, b'')
        self.assertLess(time.monotonic() - said, HEARD_S)
        for gateway in self.gateways:
            with self.assertRaises((OSError, http.client.HTTPException)):
                gateway.post(3, [event(3)], sensor='plant-7')
        audit = two.get('/v1/sensors/audit')[1]['audit']
        self.assertEqual([row['action'] for row in audit if row['sensor'] == 'plant-7'], ['revoke', 'enrol', 'invite'])

    def test_news_that_does_not_come_is_waited_for_no_longer_than_said(self):
        """The connection by which revocations are heard is cut again and again: then nothing is taken from memory."""
        one, two = self.gateways
        self.box('plant-8')
        at_two = two.connect('plant-8')
        self.assertEqual(two.post(1, [event(1)], sensor='plant-8', connection=at_two), (200, {'acked': 1}))
        done = threading.Event()

        def cut():
            while not done.is_set():
                self.store.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
                                 " OR query = 'SELECT 1'")
        cutter = threading.Thread(target=cut)
        cutter.start()
        try:
            time.sleep(0.5)
            self.assertEqual(one.revoke('plant-8')[0], 200)
            time.sleep(HEARD_S)
            with self.assertRaises((OSError, http.client.HTTPException)):
                two.post(2, [event(2)], sensor='plant-8', connection=at_two)
        finally:
            done.set()
            cutter.join()

    def test_the_door_does_not_stand_still_when_postgres_hangs(self):
        """The primary is stopped, as a machine that is gone looks: a strange sensor is sent away soon, again and again."""
        one = self.gateways[0]
        self.box('plant-11')
        self.assertEqual(one.post(1, [event(1)], sensor='plant-11'), (200, {'acked': 1}))
        pids = primary()
        took = []
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            # Until the aggregator knows that it does not hear news any more.
            time.sleep(HEARD_S + 1)
            end = time.monotonic() + 12
            while time.monotonic() < end:
                begin = time.monotonic()
                with self.assertRaises((OSError, http.client.HTTPException)):
                    one.post(2, [event(2)], sensor='plant-11')
                took.append(time.monotonic() - begin)
                time.sleep(0.1)
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
        took.sort()
        print(f'{len(took)} times: {took[len(took) // 2] * 1000:.0f} ms in the median, {took[-1] * 1000:.0f} ms at most', file=sys.stderr)
        self.assertLess(took[len(took) // 2], 0.5)
        self.assertLess(took[-1], 3)
        end = time.monotonic() + BACK_S
        while True:
            try:
                self.assertEqual(one.post(2, [event(2)], sensor='plant-11'), (200, {'acked': 2}))
                break
            except (OSError, http.client.HTTPException):
                self.assertLess(time.monotonic(), end)
                time.sleep(0.1)

    def test_an_invitation_is_good_once_at_both_together(self):
        requests = [make_request(self.dir, *P384) for _ in range(4)]
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            for turn in range(5):
                token = self.gateways[turn % 2].invite('plant-9')
                answers = list(pool.map(lambda n: self.gateways[n % 2].enrol(token, requests[n]), range(4)))
                self.assertEqual(sorted(status for status, _ in answers), [200, 403, 403, 403], answers)

    def test_a_token_is_good_at_both(self):
        one, two = self.gateways
        made = one.token_verb('grafana', 'read')
        self.assertEqual(made.returncode, 0, made.stderr)
        token = made.stdout.split()[1]
        for gateway in self.gateways:
            self.assertEqual(gateway.get('/v1/lanes', token=token)[0], 200)
            self.assertEqual(gateway.ask(gateway.api_port, '/v1/sensors/invite', {'sensor': 'x'}, token)[0], 403)
        self.assertEqual(two.token_verb('grafana', 'admin').returncode, 1)
        self.assertEqual(two.token_verb('--list').stdout, 'grafana read\n')
        self.assertEqual(two.token_verb('--remove', 'grafana').returncode, 0)
        for gateway in self.gateways:
            self.assertEqual(gateway.get('/v1/lanes', token=token)[0], 401)


if __name__ == '__main__':
    aggregator_test.BUILD = os.path.abspath(sys.argv.pop(1)) if len(sys.argv) > 1 and not sys.argv[1].startswith('-') \
        else aggregator_test.build_dir()
    unittest.main(verbosity=2, warnings='ignore')
