#!/usr/bin/env python3
"""The key of the sensor's certificate in a TPM2: swtpm from Debian, by OpenSSL's provider. usage: test/e2e/key_tpm.py [BUILD_DIR]

Mutual TLS by a key that the operator made; a box that enrols, delivers and renews with keys that the TPM makes and that no file holds.
"""
import os
import shutil
import signal
import subprocess
import sys
import unittest

import enrol
import spool_tpm
from spool_tpm import BY_TPM, PROVIDER, openssl
from stack import Stack, build_dir, wait_for

TSS2 = '-----BEGIN TSS2 PRIVATE KEY-----'


@unittest.skipUnless(shutil.which('swtpm') and os.path.exists(PROVIDER), 'no swtpm or no provider tpm2')
class KeyTpm(unittest.TestCase):
    start_tpm = spool_tpm.Tpm.start_tpm
    start_sensor = enrol.EnrolTest.start_sensor

    @classmethod
    def setUpClass(cls):
        cls.stack = enrol.EnrolStack(build_dir())
        cls.stack.start()

    @classmethod
    def tearDownClass(cls):
        cls.stack.__exit__(None, None, None)

    def setUp(self):
        self.path = self.stack.path
        self.addCleanup(os.environ.pop, 'TPM2OPENSSL_TCTI', None)
        self.start_tpm('tpm-' + self._testMethodName)

    def certify(self, key):
        """A certificate for a key that the TPM holds."""
        openssl('req', *BY_TPM, '-new', '-key', key, '-subj', '/CN=tpm-box', '-out', self.path('tpm.csr'))
        openssl('x509', '-req', '-in', self.path('tpm.csr'), '-CA', self.path('pki/ca.pem'), '-CAkey', self.path('pki/ca.key'), '-days', '2',
                '-set_serial', '77', '-out', self.path('tpm.pem'))

    def feed(self, lines, *more, stack=None):
        stack = stack or self.stack
        return subprocess.run([f'{self.stack.build}/lib/sink/uplink_feed', 'outputs.eve.enabled=no', 'uplink.enabled=yes',
                               f'uplink.url=https://localhost:{stack.port}', f'uplink.cert={self.path("tpm.pem")}',
                               f'uplink.key={self.path("tpm.key")}', f'uplink.ca={stack.path("pki/ca.pem")}', f'spool.path={self.path("spool-tpm")}', *more],
                              input=lines, capture_output=True, text=True, timeout=120)

    def test_a_key_that_the_operator_made(self):
        openssl('genpkey', *BY_TPM, '-algorithm', 'EC', '-pkeyopt', 'group:P-256', '-out', self.path('tpm.key'))
        self.certify(self.path('tpm.key'))
        here = os.environ['TPM2OPENSSL_TCTI']
        lines = ''.join(f'event {{"n":{n}}}\n' for n in range(1, 11))
        with Stack(self.stack.build) as other:
            for name in ('ca.pem', 'ca.key', 'aggregator.pem', 'aggregator.key'):
                shutil.copy(self.path(f'pki/{name}'), other.path(f'pki/{name}'))
            other.start_aggregator()
            run = self.feed(lines + '!drain 30000\n', stack=other)
            self.assertEqual((run.returncode, run.stdout), (0, 'drained\n'), run.stderr)
            self.assertEqual([(key[0], line) for key, line in other.records() if key[2] == 'event'],
                             [('tpm-box', f'{{"n":{n}}}') for n in range(1, 11)])
        # Another machine's TPM does not have it, and without one there is none.
        self.start_tpm('other')
        self.assertIn("is no key of this machine's TPM", self.feed('').stderr)
        os.environ['TPM2OPENSSL_TCTI'] = 'swtpm:host=127.0.0.1,port=1'
        self.assertIn('is in a TPM, and there is none', self.feed('').stderr)
        os.environ['TPM2OPENSSL_TCTI'] = here
        self.assertIn("is no key of this machine's TPM", self.feed('', 'uplink.key=handle:0x81000077').stderr)
        openssl('genpkey', *BY_TPM, '-algorithm', 'EC', '-pkeyopt', 'group:P-256', '-out', self.path('other.key'))
        self.assertIn('is not the key of uplink.cert', self.feed('', f'uplink.key={self.path("other.key")}').stderr)

    def test_keys_that_never_leave_the_box(self):
        activation = self.stack.invite('tpm-plant')
        run = self.stack.enrol(activation, 'tpm-box', '--set', 'enrol.key=tpm2')
        self.assertEqual(run.returncode, 0, run.stderr)
        identity = self.path('tpm-box/identity.pem')
        with open(identity) as file:
            first = file.read()
        self.assertTrue(first.startswith(TSS2))
        self.assertNotIn('BEGIN PRIVATE KEY', first)
        sensor = self.start_sensor('tpm-box', enrol_more=', key: tpm2')
        try:
            self.assertTrue(wait_for(lambda: self.stack.sensors()['tpm-plant'].get('records'), 30), self.stack.tail('sensor.log'))
            renewed = lambda: self.stack.state("SELECT count(*) FROM audit WHERE action = 'renew' AND sensor = 'tpm-plant'")[0][0]
            self.assertTrue(wait_for(lambda: renewed() >= 1, enrol.RENEW_S), self.stack.tail('sensor.log'))
            self.assertTrue(wait_for(lambda: open(identity).read() != first, 10))
            second = open(identity).read()
            self.assertTrue(second.startswith(TSS2))
            self.assertNotEqual(second.split('-----END')[0], first.split('-----END')[0])
            before = len(self.stack.records())
            self.assertTrue(wait_for(lambda: len(self.stack.records()) > before, 30), self.stack.tail('sensor.log'))
        finally:
            sensor.send_signal(signal.SIGTERM)
            sensor.wait(60)
        self.assertEqual(sensor.returncode, 0, self.stack.tail('sensor.log'))


if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1], verbosity=2, warnings='ignore')
