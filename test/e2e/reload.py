#!/usr/bin/env python3
"""Rules are loaded again 200 times while a capture is read: no packet goes without them, and nothing is leaked.

usage: test/e2e/reload.py [BUILD_DIR] [--times N]

A rule that fires on every write is in each of two rule files that take turns, among others that are not.
Every tenth time the file is not there, or is no rule file at all. Then
 - that rule alerted as often as without any reload, in every flow;
 - each reload of a file that is not there was refused, each other one taken;
 - every frame was processed;
 - the process is not larger after the last reload than it was after the first tenth.
"""
import argparse
import collections
import json
import os
import socket
import struct
import subprocess
import tempfile
import time

from stack import build_dir, report, wait_for

ALWAYS = 'alert modbus any any -> any any (msg:"a write"; flow:to_server; modbus.request.function_code:[5,6,16]; sid:1; rev:1;)\n'
OTHERS = ('alert modbus any any -> any any (modbus.request.unit_id:>{0}; threshold:type limit, track by_src, count 1, seconds 60; '
          'sid:{1}; rev:1;)\nalert tcp any any -> any 502 (content:"never {0} seen"; flowbits:set,bit{0}; sid:{2}; rev:1;)\n')
GROWTH_MAX_KIB = 8 * 1024
COPIES_FIRST, COPIES_MORE = 100, 4
SHIFT_S = 7200  # from one copy of the capture to the next: longer than a flow lasts


def program(build, name):
    return os.path.join(build, 'app', name)


def repeat(short, out, copies):
    """The capture again and again, each time SHIFT_S later."""
    with open(short, 'rb') as source:
        data = source.read()
    records, at = [], 24
    while at < len(data):
        seconds, micros, length, wire = struct.unpack_from('<IIII', data, at)
        records.append((seconds, struct.pack('<III', micros, length, wire) + data[at + 16:at + 16 + length]))
        at += 16 + length
    with open(out, 'wb') as target:
        target.write(data[:24])
        for copy in range(copies):
            target.write(b''.join(struct.pack('<I', seconds + copy * SHIFT_S) + rest for seconds, rest in records))


class Reading:
    """One run of the sensor over copies of the capture."""

    def __init__(self, build, folder, capture, name):
        self.folder = os.path.join(folder, name)
        self.socket = os.path.join(self.folder, 'control')
        self.rules = os.path.join(self.folder, 'test.rules')
        os.mkdir(self.folder)
        self.write(0)
        self.output = open(os.path.join(self.folder, 'output'), 'w+')
        # a sanitizer keeps what was freed for a while, which would look like growth
        environment = dict(os.environ, ASAN_OPTIONS=os.environ.get('ASAN_OPTIONS', '') + ':quarantine_size_mb=1')
        self.process = subprocess.Popen(
            [program(build, 'sensor/millrace-sensor'), 'read', '-r', capture, '-l', self.folder, '-S', self.rules, '-k', 'none',
             '--set', f'control.socket={self.socket}', '--set', 'dpdk.huge-pages=no', '--set', 'alert.payload=no',
             '--set', 'alert.packet=no',
             '--set', 'app-layer.protocols.modbus.log=alerts', '--set', 'events.flow=no', '--set', 'anomaly.applayer=no',
             '--set', 'detect.thresholds-max=64', '--set', 'detect.host-bits-max=64', '--set', 'log.level=error'],
            env=environment, stdout=self.output, stderr=subprocess.STDOUT)

    def write(self, turn):
        with open(self.rules + '.new', 'w') as out:
            out.write(ALWAYS + OTHERS.format(turn % 7, 100 + turn % 2, 200 + turn % 2))
        os.rename(self.rules + '.new', self.rules)

    def ask(self, verb):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as to:
            to.settimeout(60)
            to.connect(self.socket)
            to.sendall(json.dumps({'verb': verb}).encode() + b'\n')
            line = to.makefile().readline()
        if not line:
            raise ConnectionError('the sensor ended before it answered')
        return json.loads(line)

    def size_kib(self):
        with open(f'/proc/{self.process.pid}/status') as status:
            return int(next(line for line in status if line.startswith('VmRSS')).split()[1])

    def end(self):
        if self.process.wait(timeout=300) != 0:
            self.output.seek(0)
            raise RuntimeError(f'exit {self.process.returncode}: {self.output.read()[-2000:]}')

    def alerts(self):
        """How often the rule that is always there alerted, by flow; and the last stats event."""
        found, stats = collections.Counter(), None
        with open(os.path.join(self.folder, 'eve.json')) as lines:
            for line in lines:
                if '"event_type":"alert"' in line:
                    event = json.loads(line)
                    if event['alert']['signature_id'] == 1:
                        found[event['flow_id']] += 1
                elif '"event_type":"stats"' in line:
                    stats = json.loads(line)['stats']
        return found, stats


def reload_until_end(reading, times, faults):
    """@return how many reloads there were, and how many of them were refused as they had to be"""
    done = refused = 0
    early = late = None
    while done < times and reading.process.poll() is None:
        missing = done % 10 == 9
        if missing:
            os.remove(reading.rules)
        else:
            reading.write(done)
        try:
            answer = reading.ask('rules.reload')
        except OSError:
            break
        if answer.get('ok') == missing:
            faults.append(f'reload {done}: {answer}')
        done += 1
        refused += missing
        if done == times // 10:
            early = reading.size_kib()
        late = reading.size_kib() if reading.process.poll() is None else late
    if early is not None and late is not None and late - early > GROWTH_MAX_KIB:
        faults.append(f'the process grew from {early} to {late} KiB')
    print(f'{done} reloads, {refused} of them refused; {early} KiB after the first tenth, {late} KiB after the last')
    return done


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('build', nargs='?')
    parser.add_argument('--times', type=int, default=200)
    args = parser.parse_args()
    build, faults, copies = build_dir(), [], COPIES_FIRST
    with tempfile.TemporaryDirectory(prefix='millrace-reload-') as folder:
        capture = os.path.join(folder, 'long.pcap')
        subprocess.run([program(build, 'bench/millrace-bench'), 'generate', '--out', f'{folder}/short.pcap', '--seconds', '60', '--plcs',
                        '6', '--hmis', '2', '--protocols', 'modbus', '--seed', '3', '--quiet'], check=True)
        for turn in range(3):
            repeat(f'{folder}/short.pcap', capture, copies)
            changed = Reading(build, folder, capture, f'changed{turn}')
            wait_for(lambda: os.path.exists(changed.socket) or changed.process.poll() is not None, 60, 0.001)
            done = reload_until_end(changed, args.times, faults)
            changed.end()
            if done >= args.times or faults:
                break
            copies *= COPIES_MORE  # it was over too soon
        plain = Reading(build, folder, capture, 'plain')
        plain.end()
        (expected, plain_stats), (found, stats) = plain.alerts(), changed.alerts()
        if done < args.times:
            faults.append(f'only {done} reloads before the capture was read')
        if sum(expected.values()) == 0:
            faults.append('the rule never fires')
        if sorted(expected.values()) != sorted(found.values()):
            faults.append(f'{sum(found.values())} alerts in {len(found)} flows, {sum(expected.values())} in {len(expected)} without reloads')
        books = stats['capture'] if stats else {}
        if books.get('received') != books.get('processed') or not books.get('received'):
            faults.append(f'frames: {books}')
        for what, run in (('with', stats), ('without', plain_stats)):
            if run is None or run['ring']['events_dropped'] > 0:
                faults.append(f'{what} reloads events did not fit into the ring: nothing can be compared')
        print(f'{sum(found.values())} alerts in {len(found)} flows, {books.get("processed")} frames')
    for fault in faults:
        print(f'FAIL {fault}')
    report(int(not faults), len(faults))


if __name__ == '__main__':
    main()
