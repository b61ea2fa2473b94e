#!/usr/bin/env python3
"""The control socket is one sensor's: a second one does not take it, one that was killed leaves it to the next, and nothing
that is no socket is removed for it. usage: test/e2e/control.py [BUILD_DIR]"""
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

from stack import build_dir, wait_for

CONFIG = '''dpdk: {{ huge-pages: no, memory-mib: 128, mbufs: 4096, file-prefix: {prefix} }}
ports: ["ring:a"]
flow: {{ flows-max: 4096 }}
control: {{ socket: {socket} }}
outputs: {{ eve: {{ path: {folder}/eve.json }} }}
'''
BUILD = build_dir()


def capture_of_nothing(path):
    """A pcap without a frame."""
    with open(path, 'wb') as out:
        out.write(bytes.fromhex('d4c3b2a1' '02000400' '00000000' '00000000' '00000400' '01000000'))


class Control(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix='millrace-control-')
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.socket = f'{self.folder}/sensor.sock'
        self.running = []
        self.addCleanup(self.end)

    def end(self):
        for process in self.running:
            process.kill()
            process.wait()

    def config(self, name, path=None):
        with open(f'{self.folder}/{name}.yaml', 'w') as out:
            out.write(CONFIG.format(prefix=f'{os.path.basename(self.folder)}-{name}', socket=path or self.socket, folder=self.folder))
        return out.name

    def command(self, *words):
        return [f'{BUILD}/app/sensor/millrace-sensor', *words]

    def run_sensor(self, name):
        process = subprocess.Popen(self.command('run', '-c', self.config(name)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.running.append(process)
        self.assertTrue(wait_for(self.answers, 60))
        return process

    def answers(self):
        try:
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(self.socket)
                client.sendall(b'{"verb":"status"}\n')
                return b'"ok":' in client.recv(65536).replace(b' ', b'')
        except OSError:
            return False

    def refused(self, *words):
        run = subprocess.run(self.command(*words), capture_output=True, text=True, timeout=60)
        self.assertNotEqual(run.returncode, 0)
        return run.stderr

    def test_a_second_sensor_is_refused(self):
        first = self.run_sensor('first')
        self.assertIn('another sensor runs with', self.refused('run', '-c', self.config('second')))
        self.assertTrue(self.answers())
        # A capture may be read all the same.
        capture_of_nothing(f'{self.folder}/x.pcap')
        read = subprocess.run(self.command('read', '-c', self.config('reader'), '-r', f'{self.folder}/x.pcap', '-l', self.folder),
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(read.returncode, 0, read.stderr)
        self.assertTrue(self.answers())
        first.send_signal(signal.SIGTERM)
        first.wait(30)
        self.assertFalse(os.path.exists(self.socket))

    def test_a_killed_one_leaves_it(self):
        first = self.run_sensor('first')
        first.kill()
        first.wait()
        self.assertTrue(os.path.exists(self.socket))
        self.run_sensor('second')

    def test_a_file_is_not_removed(self):
        path = f'{self.folder}/precious'
        with open(path, 'w') as out:
            out.write('data')
        self.assertIn('is no socket', self.refused('run', '-c', self.config('first', path)))
        with open(path) as kept:
            self.assertEqual(kept.read(), 'data')


if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1], verbosity=2)
