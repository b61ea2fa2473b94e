#!/usr/bin/env python3
"""ClickHouse by https: whose certificate is of another CA or name is not asked, nor is anything taken with a wrong password.

usage: test/e2e/cluster_tls.py [BUILD_DIR]     scripts/cluster start [DIR] goes before; CLUSTER_DIR=DIR
"""
import http.server
import os
import ssl
import subprocess
import sys
import tempfile
import threading
import unittest

import aggregator_test
from aggregator_test import ROOT, event
from cluster_enrol import wait_until_listening
from cluster_kill import Gateway
from stack import skip

sys.path.insert(0, os.path.join(ROOT, 'test', 'harness'))
import cluster  # noqa: E402


class Tls(unittest.TestCase):
    def setUp(self):
        self.store = cluster.Store()
        self.addCleanup(self.store.close)
        folder = tempfile.TemporaryDirectory(prefix='millrace-cluster-tls-')
        self.addCleanup(folder.cleanup)
        self.dir = folder.name
        subprocess.run([os.path.join(ROOT, 'scripts', 'pki'), self.path('pki'), 'plant-1'], check=True)

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, text):
        with open(self.path(name), 'w') as file:
            file.write(text)
        return self.path(name)

    def config(self, store):
        return self.write('aggregator.yaml', f'''listen: 127.0.0.1:0
tls: {{cert: {self.path("pki/aggregator.pem")}, key: {self.path("pki/aggregator.key")}, ca: {self.path("pki/ca.pem")}}}
api: {{listen: "127.0.0.1:0", token-file: {self.path("pki/token")}}}
log: {{level: warning}}
{store}
''')

    def refused(self, reason, store):
        run = subprocess.run([aggregator_test.program('aggregator/millrace-aggregator'), 'run', '-c', self.config(store)],
                             capture_output=True, text=True, timeout=60)
        self.assertEqual(run.returncode, 1, run.stderr)
        self.assertIn(reason.lower(), run.stderr.lower())

    def test_records_go_and_come_by_https(self):
        settings = self.store.settings(tls=True)
        self.assertNotIn('http://', settings)
        self.store.settings = lambda: settings
        gateway = Gateway(self.dir, 'one', self.store)
        self.addCleanup(lambda: (gateway.process.kill(), gateway.process.wait()))
        wait_until_listening(gateway)
        self.assertEqual(gateway.post(1, [event(n) for n in range(1, 101)]), (200, {'acked': 100}))
        self.assertEqual(len(gateway.records('/v1/events')), 100)

    def test_who_is_not_who_it_should_be_is_not_asked(self):
        own_ca = self.path('pki/ca.pem')
        self.refused('SSL peer certificate', self.store.settings(tls=True, ca=own_ca))
        self.refused('SSL peer certificate', self.store.settings(tls=True, ca=''))
        self.refused('CA', self.store.settings(tls=True, ca=self.path('nowhere')))

    def test_a_certificate_of_another_name_is_refused(self):
        asked = []

        class Answer(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                asked.append(self.headers)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # A sensor's: of the right CA, for no host.
        context.load_cert_chain(self.path('pki/plant-1.pem'), self.path('pki/plant-1.key'))
        server = http.server.HTTPServer(('127.0.0.1', 0), Answer)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.shutdown)
        shards = [[f'http://127.0.0.1:{server.server_port - cluster.HTTPS}']]
        self.refused('SSL peer certificate', self.store.settings(shards, tls=True, ca=self.path('pki/ca.pem')))
        self.assertEqual(asked, [])

    def test_passwords_are_checked(self):
        wrong = self.write('wrong', 'wrong\n')
        self.refused('password', self.store.settings(tls=True, **{'password-file': wrong}))
        self.refused('password', self.store.settings(tls=True, **{'password-file': ''}))
        self.refused('password-file', self.store.settings(tls=True, **{'password-file': self.path('nowhere')}))
        self.refused('password-file', self.store.settings(tls=True, **{'password-file': self.write('empty', '')}))
        self.refused('nobody', self.store.settings(tls=True, user='nobody'))


if __name__ == '__main__':
    aggregator_test.BUILD = os.path.abspath(sys.argv.pop(1)) if len(sys.argv) > 1 and not sys.argv[1].startswith('-') \
        else aggregator_test.build_dir()
    try:
        cluster.Store().close()
    except (OSError, subprocess.CalledProcessError):
        skip('no cluster answers: scripts/cluster start')
    unittest.main(verbosity=2, warnings='ignore')
