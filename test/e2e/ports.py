#!/usr/bin/env python3
"""A port that cannot see is told: its link down, its mirror silent, its interface taken away; and it sees again afterwards.
The sensor listens on one end of a veth pair (af_packet). Needs root; skipped otherwise. usage: test/e2e/ports.py [BUILD_DIR]"""
import collections
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'harness'))
import frames  # noqa: E402

from stack import build_dir, skip, wait_for
from veth import Wire, frame

CONFIG = '''ports: ['af_packet:{port}']
ports-silence: 2
dpdk: {{ huge-pages: no, memory-mib: 256, mbufs: 8192, rx-descriptors: 512, file-prefix: {prefix} }}
workers: {{ count: 1 }}
flow: {{ flows-max: 16384 }}
stats: {{ interval: 1 }}
outputs: {{ eve: {{ path: {folder}/eve.json }} }}
'''
BUILD = build_dir()


class Ports(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix='millrace-ports-')
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.wire = Wire()
        self.wire.__enter__()
        self.addCleanup(self.wire.pull)
        self.config = f'{self.folder}/sensor.yaml'
        with open(self.config, 'w') as out:
            out.write(CONFIG.format(port=self.wire.far, prefix=os.path.basename(self.folder), folder=self.folder))

    def start(self):
        with open(f'{self.folder}/log', 'w') as log:
            self.sensor = subprocess.Popen([f'{BUILD}/app/sensor/millrace-sensor', 'run', '-c', self.config], stdout=log, stderr=log)
        self.addCleanup(self.end)
        self.assert_told('running:', 60)

    def end(self):
        if self.sensor.poll() is None:
            self.sensor.send_signal(signal.SIGTERM)
        self.sensor.wait(60)

    def log(self):
        with open(f'{self.folder}/log') as log:
            return log.read()

    def assert_told(self, text, seconds=20, times=1):
        self.assertTrue(wait_for(lambda: self.log().count(text) >= times, seconds), f'{text}: {self.log()}')

    def send(self, count):
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as out:
            out.bind((self.wire.near, 0))
            for number in range(count):
                out.send(frame(number))

    def stats(self):
        last = None
        with open(f'{self.folder}/eve.json') as lines:
            for line in lines:
                if '"event_type":"stats"' in line:
                    last = json.loads(line)['stats']
        return last or {'capture': {'processed': -1}}

    def assert_seen(self, count):
        self.assertTrue(wait_for(lambda: self.stats()['capture']['processed'] == count, 20), self.stats()['capture'])

    def test_silence(self):
        self.start()
        self.assert_told('no frame came for 2 s')
        self.send(1)
        self.assert_told('frames come again')
        self.assert_told('no frame came', times=2)
        self.assertTrue(wait_for(lambda: self.stats()['capture'].get('silences') == 2, 20))
        self.assertEqual(self.stats()['ports'][0]['link'], 'up')

    def test_link(self):
        self.start()
        self.send(10)
        self.assert_seen(10)
        self.wire.set('down')
        self.assert_told('the link is down')
        self.assertTrue(wait_for(lambda: self.stats()['ports'][0]['link'] == 'down', 20))
        check = subprocess.run([f'{BUILD}/app/sensor/millrace-sensor', 'check', '-c', self.config], capture_output=True, text=True, timeout=60)
        self.assertIn(f'warn  port af_packet:{self.wire.far}: the link is down', check.stdout)
        self.wire.set('up')
        self.assert_told('the link is up again')
        self.send(20)
        self.assert_seen(30)
        self.assertEqual(self.stats()['capture']['links_lost'], 1)

    def test_two_outputs_of_a_tap(self):
        """Each direction comes by a port of its own, in bursts, as fast as it goes: the records are those of the capture."""
        capture = Path(self.folder) / 'plant.pcap'
        subprocess.run([f'{BUILD}/app/bench/millrace-bench', 'generate', '--out', capture, '--seconds', '30', '--plcs', '4', '--hmis', '2',
                        '--protocols', 'modbus,s7comm,enip', '--seed', '3', '--quiet'], check=True)
        subprocess.run([f'{BUILD}/app/sensor/millrace-sensor', 'read', '-r', capture, '-l', f'{self.folder}/read', '--set', 'dpdk.huge-pages=no',
                        '--set', 'dpdk.memory-mib=256', '--set', f'dpdk.file-prefix={os.path.basename(self.folder)}r'], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        want = self.pairs(f'{self.folder}/read/eve.json')
        other = Wire(1)
        other.plug()
        self.addCleanup(other.pull)
        with open(self.config, 'w') as out:
            out.write(CONFIG.format(port=f"{self.wire.far}', 'af_packet:{other.far}", prefix=os.path.basename(self.folder), folder=self.folder)
                      .replace('count: 1', 'count: 2'))
        self.start()
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as one, socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as two:
            one.bind((self.wire.near, 0))
            two.bind((other.near, 0))
            sent = 0
            for frame_ in frames.read(capture):
                if len(frame_.data) <= 1514:
                    (two if frame_.is_answer() else one).send(frame_.data)
                    sent += 1
                if sent % 50 == 0:
                    time.sleep(0.005)
        self.assert_seen(sent)
        self.assertEqual(sum(self.stats()['capture']['dropped'].values()), 0)
        self.end()
        self.assertEqual(self.pairs(f'{self.folder}/eve.json'), want)

    def pairs(self, path):
        """How many records of each protocol have a request and its response."""
        found = collections.Counter()
        with open(path) as lines:
            for line in lines:
                event = json.loads(line)
                record = event.get(event['event_type'], {}) if event['event_type'] in ('modbus', 's7comm', 'enip') else {}
                found[event['event_type'], 'request' in record and 'response' in record] += bool(record)
        return +found

    def test_long_frames(self):
        """Longer than the buffers they are cut, which is said at the start and by `check`; buffers that are long enough take them whole."""
        for end in (self.wire.near, self.wire.far):
            subprocess.run(['ip', 'link', 'set', end, 'mtu', '9000'], check=True)
        command = [f'{BUILD}/app/sensor/millrace-sensor', 'check', '-c', self.config]
        told = f'port af_packet:{self.wire.far}: its interface takes frames of 9018 bytes, and those above 1982 are cut here (dpdk.mbuf-data-len: 9084'
        self.assertIn(told, subprocess.run(command, capture_output=True, text=True, timeout=60).stdout)
        for length, pool, want in ((2048, 8192, 1982), (9084, 4096, 9014)):
            with open(self.config, 'w') as out:
                out.write(CONFIG.format(port=self.wire.far, prefix=os.path.basename(self.folder), folder=self.folder)
                          .replace('mbufs: 8192', f'mbufs: {pool}, mbuf-data-len: {length}'))
            self.start()
            self.assertEqual(told in self.log(), length == 2048)
            with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as out:
                out.bind((self.wire.near, 0))
                out.send(frame(1).ljust(9014, b'x'))
            self.assertTrue(wait_for(lambda: self.stats().get('decoder', {}).get('max_pkt_size') == want, 20), self.stats().get('decoder'))
            self.end()
            os.unlink(f'{self.folder}/eve.json')

    def test_interface_taken_away(self):
        self.start()
        self.send(10)
        self.assert_seen(10)
        self.wire.pull()
        self.assert_told('no such interface any more')
        self.assertTrue(wait_for(lambda: self.stats()['ports'][0]['link'] == 'gone', 20))
        self.assertEqual(self.stats()['capture']['dropped']['kernel'], 0)
        self.assertIsNone(self.sensor.poll())
        self.wire.plug()
        self.assertEqual(self.sensor.wait(30), 1, self.log())
        self.assert_told('another interface of its name')


if __name__ == '__main__':
    if os.geteuid() != 0:
        skip('not root: no veth pair')
    unittest.main(argv=sys.argv[:1], verbosity=2)
