#!/usr/bin/env python3
"""What is installed beside the programs: the services are sound, their examples are configurations that the programs take, and the
rules that these name are there. usage: test/e2e/service.py [BUILD_DIR]"""
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest

from stack import build_dir

BUILD = build_dir()


class Service(unittest.TestCase):
    def setUp(self):
        self.root = tempfile.mkdtemp(prefix='millrace-service-')
        self.addCleanup(shutil.rmtree, self.root, True)
        subprocess.run(['meson', 'install', '-C', BUILD, '--no-rebuild', '--destdir', self.root], check=True, stdout=subprocess.DEVNULL)

    def installed(self, name):
        found = [os.path.join(folder, name) for folder, _, files in os.walk(self.root) if name in files]
        self.assertEqual(len(found), 1, name)
        return found[0]

    def moved(self, name):
        """The file with its paths led to where the test put what it names."""
        with open(self.installed(name)) as file:
            text = file.read()
        text = re.sub(r'/usr/local/|/etc/millrace|/var/l\w+/millrace(-aggregator)?|/run/millrace', lambda path: self.root + path[0], text)
        with open(f'{self.root}/{name}', 'w') as file:
            file.write(text)
        return file.name

    def test_services_are_sound(self):
        if shutil.which('systemd-analyze') is None:
            self.skipTest('systemd-analyze is not installed')
        for name in 'millrace-sensor.service', 'millrace-aggregator.service':
            run = subprocess.run(['systemd-analyze', 'verify', self.moved(name)], capture_output=True, text=True, timeout=60)
            self.assertEqual((run.returncode, run.stderr), (0, ''))

    def test_services_have_few_rights(self):
        """By systemd's own measure, 0 (none) to 10 (root's): of the sensor's 4.9 most is what its ports take."""
        if shutil.which('systemd-analyze') is None:
            self.skipTest('systemd-analyze is not installed')
        for name, most in ('millrace-sensor.service', 5.0), ('millrace-aggregator.service', 2.0):
            run = subprocess.run(['systemd-analyze', 'security', '--offline=true', f'--threshold={most * 10:.0f}', '--no-pager', self.moved(name)],
                                 capture_output=True, text=True, timeout=60)
            self.assertEqual(run.returncode, 0, run.stdout[-400:] + run.stderr)

    def test_the_sensor_takes_its_example(self):
        config = self.moved('sensor.yaml')
        run = subprocess.run([self.installed('millrace-sensor'), 'check', '-c', config, '--set', 'ports=[af_packet:lo]',
                              '--set', 'dpdk.huge-pages=no', '--set', f'detect.sgh-mpm-caching-path={self.root}/cache'],
                             capture_output=True, text=True, timeout=300)
        self.assertRegex(run.stdout, r'(?m)^ok    [4-9]\d\d rules compile$')
        self.assertEqual(run.returncode, 0, run.stdout)

    def aggregator(self, verb, *words, **more):
        config = self.moved('aggregator.yaml')
        pki = subprocess.run([f'{os.path.dirname(os.path.abspath(__file__))}/../../scripts/pki', f'{self.root}/etc/millrace'],
                             capture_output=True, text=True, timeout=120)
        self.assertEqual(pki.returncode, 0, pki.stderr)
        return subprocess.Popen([self.installed('millrace-aggregator'), verb, '-c', config, *words], stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, **more)

    def test_the_aggregator_takes_its_example(self):
        run = self.aggregator('check')
        said, _ = run.communicate(timeout=60)
        self.assertEqual(run.returncode, 0, said)

    def test_the_manager_hears_of_the_aggregator(self):
        manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(manager.close)
        manager.bind(f'{self.root}/notify')
        manager.settimeout(20)
        run = self.aggregator('run', '--set', 'listen=127.0.0.1:0', '--set', 'api.listen=127.0.0.1:0',
                              env={**os.environ, 'NOTIFY_SOCKET': f'{self.root}/notify', 'WATCHDOG_USEC': '400000'})
        self.addCleanup(run.stdout.close)
        self.addCleanup(run.kill)
        self.assertEqual([manager.recv(64) for _ in range(3)], [b'READY=1', b'WATCHDOG=1', b'WATCHDOG=1'])
        self.assertTrue(run.stdout.readline().startswith('ready '))
        run.terminate()
        heard = b''
        while heard != b'STOPPING=1':
            heard = manager.recv(64)
        self.assertEqual(run.wait(20), 0)


if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1], verbosity=2)
