#!/usr/bin/env python3
"""The spool's key from a TPM2: swtpm from Debian, by OpenSSL's provider. usage: test/e2e/spool_tpm.py UPLINK_FEED | BUILD_DIR"""
import os
import shutil
import socket
import subprocess
import sys
import unittest

import uplink_test
from sinks import FEED, SinkTest
from stack import wait_for
from uplink_server import Aggregator

from ports import free_port  # noqa: E402

PROVIDER = '/usr/lib/x86_64-linux-gnu/ossl-modules/tpm2.so'
BY_TPM = ('-provider', 'tpm2', '-provider', 'default', '-propquery', '?provider=tpm2')


def openssl(*arguments):
    subprocess.run(['openssl', *arguments], check=True, capture_output=True)


def two_ports():
    """The first of two in a row that are free: the TSS looks for the other one behind it."""
    while True:
        port = free_port(socket.SOCK_STREAM)
        with socket.socket() as probe:
            try:
                probe.bind(('127.0.0.1', port + 1))
                return port
            except (OSError, OverflowError):
                pass


@unittest.skipUnless(shutil.which('swtpm') and os.path.exists(PROVIDER), 'no swtpm or no provider tpm2')
class Tpm(SinkTest):
    def start_tpm(self, name):
        """A TPM of its own, so to say another machine's."""
        os.makedirs(self.path(name), exist_ok=True)
        port = two_ports()
        process = subprocess.Popen(['swtpm', 'socket', '--tpm2', '--tpmstate', f'dir={self.path(name)}', '--flags', 'not-need-init,startup-clear',
                                    '--server', f'type=tcp,port={port},bindaddr=127.0.0.1', '--ctrl', f'type=tcp,port={port + 1},bindaddr=127.0.0.1'],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.assertTrue(wait_for(lambda: f':{port:04X} ' in open('/proc/net/tcp').read(), 10))
        os.environ['TPM2OPENSSL_TCTI'] = f'swtpm:host=127.0.0.1,port={port}'

    def feed(self, lines, aggregator_port, *more):
        pki = self.path('pki')
        return subprocess.run([FEED, 'outputs.eve.enabled=no', 'uplink.enabled=yes', f'uplink.url=https://localhost:{aggregator_port}',
                               f'uplink.cert={pki}/sensor.pem', f'uplink.key={pki}/sensor.key', f'uplink.ca={pki}/ca.pem',
                               f'spool.path={self.path("spool")}', f'spool.key-file={self.path("peer.pem")}', f'spool.key-tpm={self.path("own.pem")}',
                               *more], input=lines, capture_output=True, text=True, timeout=60)

    def test_only_this_machine_reads_it(self):
        os.mkdir(self.path('pki'))
        uplink_test.make_pki(self.path('pki'))
        self.addCleanup(os.environ.pop, 'TPM2OPENSSL_TCTI', None)
        self.start_tpm('tpm')
        here = os.environ['TPM2OPENSSL_TCTI']
        openssl('genpkey', *BY_TPM, '-algorithm', 'EC', '-pkeyopt', 'group:P-256', '-out', self.path('own.pem'))
        openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'group:P-256', '-out', self.path('thrown-away'))
        openssl('pkey', '-in', self.path('thrown-away'), '-pubout', '-out', self.path('peer.pem'))
        records = ''.join(f'event {{"n":{n},"text":"in the clear"}}\n' for n in range(1, 101))
        run = self.feed(records + '!flush\n', 1)
        self.assertEqual(run.returncode, 0, run.stderr)
        files = [os.path.join(folder, name) for folder, _, names in os.walk(self.path('spool')) for name in names]
        self.assertTrue(files)
        for name in files:
            with open(name, 'rb') as file:
                self.assertNotIn(b'in the clear', file.read())
        # The disk is taken away: another TPM has no such key; without any, or with another public key, nothing starts either.
        self.start_tpm('other')
        self.assertIn('spool.key-tpm', self.feed('', 1).stderr)
        os.environ['TPM2OPENSSL_TCTI'] = 'swtpm:host=127.0.0.1,port=1'
        run = self.feed('', 1)
        self.assertIn('spool.key-tpm', run.stderr)
        self.assertIn('its key is in a TPM', run.stderr)
        os.environ['TPM2OPENSSL_TCTI'] = here
        openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'group:P-256', '-out', self.path('plain'))
        self.assertIn('no key of a TPM', self.feed('', 1, f'spool.key-tpm={self.path("plain")}').stderr)
        openssl('pkey', '-in', self.path('plain'), '-pubout', '-out', self.path('other.pem'))
        self.assertIn('another key', self.feed('', 1, f'spool.key-file={self.path("other.pem")}').stderr)
        # Here it is read, and delivered.
        aggregator = Aggregator(self.path('pki')).start()
        self.addCleanup(aggregator.stop)
        run = self.feed('!drain 20000\n', aggregator.port)
        self.assertEqual((run.returncode, run.stdout), (0, 'drained\n'), run.stderr)
        self.assertEqual(uplink_test.numbers(aggregator.lane('event')), list(range(1, 101)))


if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1], verbosity=2, warnings='ignore')
