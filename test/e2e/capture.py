#!/usr/bin/env python3
"""The control socket's captures: what stands in the file is what the filter names of what was sent, and each limit ends one. The
sensor listens on one end of a veth pair (af_packet) with two workers. Needs root; skipped otherwise. usage: test/e2e/capture.py [BUILD_DIR]"""
import collections
import fcntl
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'harness'))
import frames  # noqa: E402

from stack import build_dir, skip, wait_for
from veth import Wire, frame

CONFIG = '''ports: ['af_packet:{port}']
dpdk: {{ huge-pages: no, memory-mib: 256, mbufs: 8192, rx-descriptors: 2048, file-prefix: {prefix} }}
workers: {{ count: 2 }}
flow: {{ flows-max: 16384 }}
stats: {{ interval: 1 }}
control: {{ socket: {folder}/sensor.sock }}
capture: {{ dir: {folder}/captures, size: 4mb, keep-free: 0 }}
outputs: {{ eve: {{ path: {folder}/eve.json }} }}
'''
FIFREEZE, FITHAW = 0xc0045877, 0xc0045878
BUILD = build_dir()


def read_file(path):
    """Each frame's time and bytes, of a pcap with nanoseconds."""
    data = Path(path).read_bytes()
    magic, *_, link_type = struct.unpack_from('<IHHIIII', data)
    assert (magic, link_type) == (0xa1b23c4d, 1)
    at, found = 24, []
    while at < len(data):
        seconds, nanos, length, wire = struct.unpack_from('<IIII', data, at)
        assert wire == length and nanos < 10**9
        found.append((seconds + nanos / 1e9, data[at + 16:at + 16 + length]))
        at += 16 + length
    assert at == len(data)
    return found


class Capture(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix='millrace-capture-')
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.wire = Wire()
        self.wire.__enter__()
        self.addCleanup(self.wire.pull)
        self.start()

    def start(self, *words):
        config = f'{self.folder}/sensor.yaml'
        with open(config, 'w') as out:
            out.write(CONFIG.format(port=self.wire.far, prefix=os.path.basename(self.folder), folder=self.folder))
        with open(f'{self.folder}/log', 'w') as log:
            self.sensor = subprocess.Popen([f'{BUILD}/app/sensor/millrace-sensor', 'run', '-c', config, *words], stdout=log, stderr=log)
        self.addCleanup(self.end)
        self.assertTrue(wait_for(lambda: 'running:' in Path(f'{self.folder}/log').read_text(), 60))

    def end(self, number=signal.SIGTERM):
        if self.sensor.poll() is None:
            self.sensor.send_signal(number)
        self.sensor.wait(60)

    def ask(self, verb, **arguments):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(f'{self.folder}/sensor.sock')
            client.sendall(json.dumps({'verb': f'capture.{verb}', **arguments}).encode() + b'\n')
            return json.loads(client.makefile().readline())

    def processed(self):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(f'{self.folder}/sensor.sock')
            client.sendall(b'{"verb":"status"}\n')
            return json.loads(client.makefile().readline())['capture']['processed']

    def send(self, datas):
        """All of them, and until the sensor has seen them."""
        want = self.processed() + len(datas)
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as out:
            out.bind((self.wire.near, 0))
            for number, data in enumerate(datas):
                out.send(data)
                if number % 50 == 49:
                    time.sleep(0.003)
        self.assertTrue(wait_for(lambda: self.processed() == want, 20))

    def assert_ends(self, why):
        self.assertTrue(wait_for(lambda: self.ask('status')['state'] == why, 20), self.ask('status'))
        return self.ask('status')

    def plant(self):
        capture = Path(self.folder) / 'plant.pcap'
        subprocess.run([f'{BUILD}/app/bench/millrace-bench', 'generate', '--out', capture, '--frames', '4000', '--plcs', '4', '--hmis', '2',
                        '--protocols', 'modbus,s7comm,goose', '--seed', '5', '--quiet'], check=True)
        return [frame_ for frame_ in frames.read(capture) if len(frame_.data) <= 1514]

    def test_what_the_filter_names(self):
        sent = self.plant()
        for number, (filter_, wanted) in enumerate((
                ('', lambda frame_: True),
                ('tcp port 502', lambda frame_: frame_.tcp is not None and b'\x01\xf6' in (frame_.data[frame_.tcp:frame_.tcp + 2],
                                                                                          frame_.data[frame_.tcp + 2:frame_.tcp + 4])),
                ('vlan and ether proto 0x88b8', lambda frame_: frame_.data[12:14] + frame_.data[16:18] == b'\x81\x00\x88\xb8'))):
            since = time.time()
            begun = self.ask('start', filter=filter_, name=f'{number}.pcap')
            self.assertTrue(begun['ok'], begun)
            self.assertEqual((begun['state'], begun['filter'], begun['file']), ('running', filter_, f'{self.folder}/captures/{number}.pcap'))
            self.send([frame_.data for frame_ in sent])
            self.assertFalse(os.path.exists(begun['file']))  # it has another name until it is whole
            ended = self.ask('stop')
            found = read_file(begun['file'])
            want = [frame_.data for frame_ in sent if wanted(frame_)]
            self.assertGreater(len(want), 100)
            self.assertEqual((ended['state'], ended['frames'], ended['bytes'], ended['dropped'], ended['skipped']),
                             ('asked', len(want), os.path.getsize(begun['file']), 0, 0))
            self.assertEqual(collections.Counter(data for _, data in found), collections.Counter(want))
            self.assertTrue(all(since <= stamp <= time.time() for stamp, _ in found))
            self.assertEqual(os.stat(begun['file']).st_mode & 0o777, 0o640)
        self.assertEqual(sorted(os.listdir(f'{self.folder}/captures')), ['0.pcap', '1.pcap', '2.pcap'])

    def test_limits(self):
        self.assertTrue(self.ask('start', name='frames', frames=10)['ok'])
        self.send([frame(number) for number in range(100)])
        self.assertEqual(self.assert_ends('frames')['frames'], 10)
        self.assertEqual(len(read_file(f'{self.folder}/captures/frames')), 10)
        self.assertTrue(self.ask('start', name='bytes', bytes=24 + 7 * (16 + 60) + 75)['ok'])
        self.send([frame(number) for number in range(100)])
        self.assertEqual(self.assert_ends('size')['frames'], 7)
        self.assertEqual(os.path.getsize(f'{self.folder}/captures/bytes'), 24 + 7 * (16 + 60))
        self.assertTrue(self.ask('start', name='seconds', seconds=1)['ok'])
        self.send([frame(number) for number in range(20)])
        self.assertEqual(self.assert_ends('seconds')['frames'], 20)
        self.assertTrue(self.ask('start', frames=1)['file'].startswith(f'{self.folder}/captures/capture-'))
        names = set()
        for _ in range(3):  # within one second
            self.ask('stop')
            names.add(self.ask('start', frames=1).get('file'))
        self.assertEqual(len(names - {None}), 3)

    def test_command_line(self):
        def millrace(*words):
            run = subprocess.run([f'{BUILD}/app/millrace/millrace', 'capture', *words, '--socket', f'{self.folder}/sensor.sock', '--json'],
                                 capture_output=True, text=True, timeout=60)
            return run.returncode, run.stdout and json.loads(run.stdout), run.stderr
        status, answer, _ = millrace('start', 'arp', '--name', 'x.pcap', '--seconds', '600', '--bytes', '5000')
        self.assertEqual((status, answer['file'], answer['filter']), (0, f'{self.folder}/captures/x.pcap', 'arp'))
        self.send([frame(1)])
        self.assertTrue(wait_for(lambda: millrace('status')[1]['frames'] == 1, 20))
        self.assertEqual(millrace('stop')[1]['state'], 'asked')
        self.assertEqual(millrace('stop')[0], 1)
        self.assertIn('seconds is not a number', millrace('start', '--seconds', '1h')[1]['error'])
        self.assertIn('limit is none of', millrace('start', '--limit', '1')[1]['error'])
        self.assertEqual(millrace('stop', 'x')[0], 2)

    def test_what_is_refused(self):
        self.assertEqual(self.ask('status'), {'ok': True, 'state': 'none'})
        self.assertEqual(self.ask('stop')['error'], 'no capture is under way')
        for arguments, error in (({'filter': 'tcp port 502 and'}, 'filter: '), ({'filter': 'x' * 5000}, 'longer than 1023'), ({'filter': 1}, 'is not a text'),
                                 ({'name': '../x'}, 'name: letters'), ({'name': '.x'}, 'name: letters'), ({'name': ''}, 'name: letters'),
                                 ({'name': 'x' * 2000}, 'too long'), ({'name': 'x' * 255}, 'File name too long'), ({'frames': 0}, 'frames is not a number of 1'),
                                 ({'bytes': 4 * 1024 * 1024 + 1}, 'bytes is not a number of 1 to 4194304'), ({'seconds': '5'}, 'seconds is not'),
                                 ({'second': 5}, 'second is none of filter')):
            self.assertIn(error, self.ask('start', **arguments)['error'])
        self.assertTrue(self.ask('start', name='one', frames=1)['ok'])
        self.assertIn('is under way', self.ask('start')['error'])
        self.send([frame(1)])
        self.assert_ends('frames')
        self.assertIn('File exists', self.ask('start', name='one')['error'])
        self.assertEqual(sorted(os.listdir(f'{self.folder}/captures')), ['one'])

    def test_room_that_is_kept_free(self):
        self.end()
        self.start('--set', f'capture.keep-free={1 << 50}')
        self.assertIn('No space left', self.ask('start')['error'])
        self.assertEqual(os.listdir(f'{self.folder}/captures'), [])

    def test_a_full_disk(self):
        os.mkdir(f'{self.folder}/captures')
        subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=256k', 'none', f'{self.folder}/captures'], check=True)
        self.addCleanup(subprocess.run, ['umount', f'{self.folder}/captures'])
        self.assertTrue(self.ask('start', name='full')['ok'])
        self.send([frame(number) for number in range(5000)])
        ended = self.assert_ends('disk')
        found = read_file(ended['file'])
        self.assertEqual((ended['frames'], ended['bytes']), (len(found), os.path.getsize(ended['file'])))
        self.assertGreater(ended['frames'], 1000)
        self.assertNotIn('fault', ended)

    def hang(self):
        """A disk of its own for the captures, and what makes it hang and go on."""
        image, at = f'{self.folder}/disk', f'{self.folder}/captures'
        with open(image, 'wb') as file:
            file.truncate(16 << 20)
        os.mkdir(at)
        subprocess.run(['mkfs.ext4', '-q', '-F', image], check=True)
        if subprocess.run(['mount', '-o', 'loop', image, at], check=False).returncode != 0:
            self.skipTest('no ext4 on a loop device here')
        self.addCleanup(subprocess.run, ['umount', '-l', at], check=False)
        disk = os.open(at, os.O_RDONLY)
        self.addCleanup(os.close, disk)
        return lambda yes: fcntl.ioctl(disk, FIFREEZE if yes else FITHAW, 0)

    def test_a_disk_that_hangs(self):
        hang = self.hang()
        self.assertTrue(self.ask('start', name='slow')['ok'])
        hang(True)
        try:
            self.send([frame(number) for number in range(30)])
            since = time.monotonic()
            self.assertEqual([self.ask(verb)['state'] for verb in ('stop', 'status', 'stop')], ['closing'] * 3)
            self.assertIn('is under way', self.ask('start')['error'])
            self.assertLess(time.monotonic() - since, 20)
        finally:
            hang(False)
        self.assertEqual(self.assert_ends('asked')['frames'], 30)
        self.assertEqual(len(read_file(f'{self.folder}/captures/slow')), 30)
        # An end of the sensor does all else; the process has gone when the disk lets its thread go.
        self.assertTrue(self.ask('start', name='last')['ok'])
        hang(True)
        try:
            self.send([frame(1)])
            self.sensor.send_signal(signal.SIGTERM)
            self.assertTrue(wait_for(lambda: 'the file is not whole' in Path(f'{self.folder}/log').read_text(), 20))
            self.assertTrue(wait_for(lambda: not os.path.exists(f'{self.folder}/sensor.sock'), 20))
        finally:
            hang(False)
        self.assertEqual(self.sensor.wait(20), 0)

    def test_an_end_of_the_sensor(self):
        self.assertTrue(self.ask('start', name='whole')['ok'])
        self.send([frame(number) for number in range(30)])
        self.end()
        self.assertEqual(len(read_file(f'{self.folder}/captures/whole')), 30)
        self.start()
        self.assertTrue(self.ask('start', name='part')['ok'])
        self.send([frame(number) for number in range(30)])
        time.sleep(1)
        self.end(signal.SIGKILL)
        self.assertEqual(len(read_file(f'{self.folder}/captures/part.part')), 30)

    def test_again_and_again_under_load(self):
        """Begun and ended while frames come: each file is whole, and nothing but what it names is disturbed."""
        datas, over = [frame(number) for number in range(2000)], threading.Event()

        def feed():
            with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as out:
                out.bind((self.wire.near, 0))
                while not over.is_set():
                    for number, data in enumerate(datas):
                        out.send(data)
                        if number % 20 == 19:
                            time.sleep(0.001)
        feeder = threading.Thread(target=feed)
        feeder.start()
        try:
            for number in range(40):
                self.assertTrue(self.ask('start', name=f'{number}')['ok'])
                time.sleep(0.02)
                ended = self.ask('stop')
                found = read_file(f'{self.folder}/captures/{number}')
                self.assertEqual(ended['frames'], len(found))
                numbers = [int.from_bytes(data[29:32], 'big') for _, data in found]
                self.assertEqual([(last + 1) % 2000 for last in numbers[:-1]], numbers[1:])
        finally:
            over.set()
            feeder.join()


if __name__ == '__main__':
    if os.geteuid() != 0:
        skip('not root: no veth pair')
    unittest.main(argv=sys.argv[:1], verbosity=2)
