#!/usr/bin/env python3
"""Faults of the network, of clocks and of disks between a sensor's sinks and a real aggregator, while records flow.

usage: test/e2e/faults.py [BUILD_DIR] [--rounds N] [--only NAME] [--rows FILE]     (root; network namespaces, nftables, faketime)

Records of a hundred flows come at a steady rate. A fault begins at a random moment and ends some seconds later; then what
is put from there on must be acknowledged within 10 s. After the last round the rest is delivered, and the ledger, which knows
what was put, is compared with the store: each record is stored once, or within what was reported as lost, and each
flow's records are in order.
"""
import collections
import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time

from spool_faults import disk_of, shut_down, wait_unmounted
from stack import ROOT, SKIPPED, Stack, build_dir, fault_options, play_faults, wait_for

RATE = 400
FLOWS = 100
BACK_S = 10
LANES = ('event', 'event', 'event', 'flow', 'event', 'alert')
FAKETIME = '/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1'


def run(*command, **keys):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **keys)


# ---- the parts ----

class Net:
    """A namespace of the sensor's, one of the aggregator's, and a wire between them that can be slow."""

    def __init__(self, folder):
        self.names = [f'mrf{kind}{os.getpid()}' for kind in ('s', 'w', 'a')]
        self.delay_file = os.path.join(folder, 'delay')
        self.delay(0)
        sensor, wire, aggregator = self.names
        for name in self.names:
            run('ip', 'netns', 'add', name)
            run('ip', '-n', name, 'link', 'set', 'lo', 'up')
        for at, name, address in ((0, sensor, '10.99.0.1'), (1, aggregator, '10.99.0.2')):
            run('ip', 'link', 'add', f'mrw{at}', 'netns', wire, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name)
            run('ip', '-n', name, 'addr', 'add', f'{address}/24', 'dev', 'eth0')
            run('ip', '-n', name, 'link', 'set', 'eth0', 'up')
            run('ip', '-n', wire, 'link', 'set', f'mrw{at}', 'up')
            run('ip', 'netns', 'exec', name, 'ethtool', '-K', 'eth0', 'tso', 'off', 'gso', 'off', 'gro', 'off', 'tx', 'off')
        self.process = subprocess.Popen([*self.inside('w'), sys.executable, f'{ROOT}/test/e2e/wire.py', 'mrw0', 'mrw1', self.delay_file])
        self.nft('add table inet faults', 'add chain inet faults in { type filter hook input priority 0; }',
                 'add chain inet faults out { type filter hook output priority 0; }')

    def inside(self, kind):
        return ['ip', 'netns', 'exec', next(name for name in self.names if name.startswith(f'mrf{kind}'))]

    def nft(self, *lines):
        run(*self.inside('a'), 'nft', '-f', '-', input='\n'.join(lines).encode())

    def rules(self, *rules):
        """Of what comes in at the aggregator and what goes out of it; none: all passes."""
        self.nft('flush table inet faults', *(f'add rule inet faults {rule}' for rule in rules))

    def delay(self, ms):
        with open(self.delay_file + '.new', 'w') as file:
            file.write(str(ms))
        os.rename(self.delay_file + '.new', self.delay_file)

    def close(self):
        self.process.kill()
        self.process.wait()
        for name in self.names:
            subprocess.run(['ip', 'netns', 'del', name], check=False)


class Clock:
    """What a process believes the time to be: a file that libfaketime reads at each question. Only the wall clock jumps."""

    def __init__(self, path):
        self.path = path
        self.set(0)

    def set(self, offset_s):
        with open(self.path + '.new', 'w') as file:
            file.write(f'{offset_s:+d}s\n')
        os.rename(self.path + '.new', self.path)

    def environment(self):
        return dict(os.environ, LD_PRELOAD=FAKETIME, FAKETIME_TIMESTAMP_FILE=self.path, FAKETIME_NO_CACHE='1',
                    FAKETIME_DONT_FAKE_MONOTONIC='1', DONT_FAKE_MONOTONIC='1')


class Feed:
    """The sensor's sinks, by hand, and a thread that puts records at the rate. It is the ledger as well."""

    def __init__(self, stack, prefix=(), host='localhost', env=None, spool=None):
        keys = [f'spool.path={spool or stack.path("spool")}', 'outputs.eve.enabled=no', 'uplink.enabled=yes', 'spool.segment-size=1 MiB',
                f'uplink.url=https://{host}:{stack.port}', 'uplink.sensor=e2e']
        keys += [f'uplink.{key}={stack.path("pki/" + name)}' for key, name in
                 (('cert', 'e2e.pem'), ('key', 'e2e.key'), ('ca', 'ca.pem'))]
        with open(stack.path('feed.log'), 'ab') as log:
            self.process = subprocess.Popen([*prefix, f'{stack.build}/lib/sink/uplink_feed', '--shed', *keys], stdin=subprocess.PIPE,
                                            stdout=subprocess.PIPE, stderr=log, env=env)
        self.count = 0
        self.lock = threading.Lock()
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.put_steadily, daemon=True)
        self.thread.start()

    def put_steadily(self):
        start = time.monotonic()
        while not self.stop.wait(0.02):
            with self.lock:
                self.put(int((time.monotonic() - start) * RATE) - self.count)

    def put(self, count):
        lines = []
        for _ in range(count):
            lane, flow = LANES[self.count % len(LANES)], self.count * 7919 % FLOWS
            lines.append(f'{lane} {{"timestamp":"2026-01-01T00:00:00.000000+0000","flow_id":{flow + 1},"event_type":"'
                         f'{"modbus" if lane == "event" else lane}","src_ip":"10.10.1.{flow}","src_port":49152,"dest_ip":"10.10.64.11",'
                         f'"dest_port":502,"proto":"TCP","n":{self.count}}}\n')
            self.count += 1
        self.process.stdin.write(''.join(lines).encode())
        self.process.stdin.flush()

    def ask(self, what):
        with self.lock:
            self.process.stdin.write(what + b'\n')
            self.process.stdin.flush()
            return self.process.stdout.readline()

    def status(self):
        return json.loads(self.ask(b'!status'))

    def wait_back(self, seconds):
        """@return after how many seconds something is acknowledged in each lane that is put from now on; None: not in time"""
        start = time.monotonic()
        marks = {name: lane['appended'] for name, lane in self.status()['uplink']['lanes'].items() if lane['appended']}
        if wait_for(lambda: all(lane['acked'] > marks[name] for name, lane in self.status()['uplink']['lanes'].items()
                                if name in marks and name != 'stats'), seconds):
            return time.monotonic() - start
        return None

    def end(self, seconds=60):
        self.stop.set()
        self.thread.join()
        drained = self.ask(b'!drain %d' % (seconds * 1000)) == b'drained\n'
        status = self.status()
        self.process.stdin.close()
        self.process.wait(30)
        return drained, status


# ---- a course: rounds of one fault, then the ledger ----

def check(stack, feed, status, faults):
    """@return (records lost silently, stored twice, reported as lost)"""
    numbers, last, disorder = collections.Counter(), {}, 0
    lanes = collections.defaultdict(list)
    for (_, epoch, lane, sequence), line in stack.records():
        record = json.loads(line)
        if 'n' in record:
            numbers[record['n']] += 1
            lanes[epoch, lane].append((sequence, record['flow_id'], record['n']))
    for lane, records in lanes.items():
        for _, flow, number in sorted(records):
            disorder += number < last.get((lane, flow), -1)
            last[lane, flow] = number
    twice = sum(numbers.values()) - len(numbers)
    reported = sum(last - first + 1 for first, last in stack.query('SELECT first, last FROM gaps'))
    missing = feed.count - len(numbers)
    lost = max(0, missing - reported)
    if disorder:
        faults.append(f'{disorder} records are out of the order of their flow')
    if lost:
        faults.append(f'{feed.count} records put, {len(numbers)} stored, {reported} reported as lost: {status["counters"]}')
    if twice:
        faults.append(f'{twice} records are stored twice')
    return lost, twice, reported


class Course:
    """begin and end of a fault are given the course."""

    def __init__(self, begin, end, seconds=(1, 6), network=False, clocks=False, disk=None, disk_mib=48):
        self.begin, self.end, self.seconds, self.network, self.clocks, self.disk = begin, end, seconds, network, clocks, disk
        self.disk_mib = disk_mib

    def start(self, build, stacks):
        names = dict(os.environ, MILLRACE_PKI_NAMES='IP:10.99.0.2')
        # Certificates begin before the clocks may go back to.
        prefix = ['faketime', '-f', '-3d'] if self.clocks else []
        self.stack = stacks.enter_context(Stack(build))
        shutil.rmtree(self.stack.path('pki'))
        run(*prefix, os.path.join(ROOT, 'scripts/pki'), self.stack.path('pki'), 'e2e', env=names)
        self.net = stacks.enter_context(contextlib.closing(Net(self.stack.dir))) if self.network else None
        self.own_clock, self.far_clock = Clock(self.stack.path('own-time')), Clock(self.stack.path('far-time'))
        self.at = stacks.enter_context(disk_of(self.disk_mib)) if self.disk else None
        self.start_aggregator()
        prefix = self.net.inside('s') if self.net else []
        self.feed = Feed(self.stack, prefix, '10.99.0.2' if self.net else 'localhost',
                         self.own_clock.environment() if self.clocks else None, f'{self.at.at}/spool' if self.disk == 'sensor' else None)
        stacks.callback(self.feed.process.kill)

    def start_aggregator(self):
        stack, ready = self.stack, self.stack.path('ready')
        stack.write_aggregator_config()
        if os.path.exists(ready):
            os.unlink(ready)
        more = ['--set', f'listen=0.0.0.0:{stack.port}'] if self.net else []
        if self.disk == 'aggregator':
            more += ['--set', f'store.path={self.at.at}/store.sqlite']
            with contextlib.suppress(FileExistsError):
                os.symlink(f'{self.at.at}/store.sqlite', stack.path('store.sqlite'))
        with open(stack.path('aggregator.log'), 'ab') as log:
            stack.aggregator = subprocess.Popen(
                [*(self.net.inside('a') if self.net else []), stack.program('aggregator/millrace-aggregator'), 'run', '-c',
                 stack.path('aggregator.yaml'), '--ready-file', ready, *more], stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                env=self.far_clock.environment() if self.clocks else None)
        if not wait_for(lambda: os.path.exists(ready), 30):
            raise RuntimeError(f'the aggregator did not start:\n{stack.tail("aggregator.log")}')
        with open(ready) as file:
            _, stack.port, stack.api_port = file.read().split()

    def play(self, build, rounds):
        faults, slowest = [], 0.0
        with contextlib.ExitStack() as stacks:
            self.start(build, stacks)
            if self.feed.wait_back(30) is None:
                faults.append(f'nothing arrives at all: {self.feed.status()}')
            for turn in range(rounds if not faults else 0):
                time.sleep(random.uniform(0, 1))
                self.begin(self)
                time.sleep(random.uniform(*self.seconds))
                self.end(self)
                back = self.feed.wait_back(3 * BACK_S)
                slowest = max(slowest, 3 * BACK_S if back is None else back)
                if back is None or back > BACK_S:
                    error = self.feed.status()['uplink']['last_error']
                    faults.append(f'round {turn + 1}: ' + ('not back' if back is None else f'back after {back:.1f} s') + f', {error}')
            drained, status = self.feed.end()
            if not drained:
                faults.append(f'the rest did not drain: {status}')
            lost, twice, reported = check(self.stack, self.feed, status, faults)
        return {'rounds': rounds, 'records': self.feed.count, 'reported': reported, 'losses': lost, 'duplicates': twice,
                'back_s': round(slowest, 1), 'faults': len(faults)}, faults


# ---- the faults ----

def rules(course, *texts):
    course.net.rules(*(text.format(port=course.stack.port) for text in texts))


def black_hole(course):
    rules(course, 'in tcp dport {port} drop', 'out tcp sport {port} drop')


def clear(course):
    course.net.rules()
    course.net.delay(0)


def half_open(course):
    """The aggregator goes away and comes back while nobody hears of it: the sensor's connection is to nobody."""
    black_hole(course)
    course.stack.kill_aggregator()
    time.sleep(0.2)
    course.start_aggregator()


def fill(course):
    with open(f'{course.at.at}/filler', 'wb') as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(1 << 16))
            file.flush()


def lose_disk(course):
    shut_down(course.at)


def repair_disk(course):
    faults = []
    wait_unmounted(course.at, faults)
    if faults:
        raise RuntimeError(faults[0])
    subprocess.run(['fsck.ext4', '-p', '-f', course.at.image], stdout=subprocess.DEVNULL, check=False)
    course.at.mount()


def lose_power(course):
    """The aggregator's machine: what it did not force to the disk is gone."""
    shut_down(course.at)
    course.stack.kill_aggregator()


def end_and_repair(course):
    """The aggregator ends by itself, so that its disk can be repaired; a service manager would start it anew."""
    if course.stack.aggregator.wait(60) != 1:
        raise RuntimeError('the aggregator ended as if all were well')
    back_on(course)


def back_on(course):
    repair_disk(course)
    course.start_aggregator()


def jump(which, offset_s):
    """A jump and back: what is stuck until the old time comes again is stuck for both."""
    return Course(lambda course: getattr(course, which).set(offset_s), lambda course: getattr(course, which).set(0), clocks=True)


HOUR, DAY = 3600, 86400
FAULTS = {
    'connection reset': Course(lambda course: rules(course, 'in tcp dport {port} reject with tcp reset'), clear, network=True),
    'half-open': Course(half_open, clear, network=True),
    'black hole': Course(black_hole, clear, seconds=(1, 20), network=True),
    'black hole, one way': Course(lambda course: rules(course, 'out tcp sport {port} drop'), clear, seconds=(1, 20), network=True),
    '5 % loss': Course(lambda course: rules(course, 'in tcp dport {port} numgen random mod 100 < 5 drop',
                                            'out tcp sport {port} numgen random mod 100 < 5 drop'), clear, seconds=(5, 10), network=True),
    '600 ms delay': Course(lambda course: course.net.delay(600), clear, seconds=(5, 10), network=True),
    "sensor's clock 1 h ahead": jump('own_clock', HOUR),
    "sensor's clock 1 d back": jump('own_clock', -DAY),
    "aggregator's clock 1 h ahead": jump('far_clock', HOUR),
    "aggregator's clock 1 d back": jump('far_clock', -DAY),
    "aggregator's disk full": Course(fill, lambda course: os.unlink(f'{course.at.at}/filler'), disk='aggregator'),
    "aggregator's power cut": Course(lose_power, back_on, seconds=(0, 1), disk='aggregator', disk_mib=600),
    "aggregator's disk dies": Course(lose_disk, end_and_repair, seconds=(0, 1), disk='aggregator', disk_mib=600),
    "sensor's disk dies": Course(lose_disk, repair_disk, seconds=(0, 2), disk='sensor'),
}


def why_not():
    if os.geteuid() != 0:
        return 'network namespaces and loop devices need root'
    missing = [name for name in ('nft', 'ip', 'ethtool', 'faketime', 'mkfs.ext4') if shutil.which(name) is None]
    return f'{", ".join(missing)} is not installed: scripts/deps soak' if missing or not os.path.exists(FAKETIME) else None


def main():
    options = fault_options('build', nargs='?')
    reason = why_not()
    if reason:
        print(f'skipped: {reason}')
        return SKIPPED

    def play(name):
        row, faults = FAULTS[name].play(build_dir(), options.rounds)
        return (f'{row["rounds"]:6} {row["records"]:8} {row["reported"]:8} {row["losses"]:5} {row["duplicates"]:5} '
                f'{row["back_s"]:8} s'), row, faults

    heading = f'{"ROUNDS":>6} {"RECORDS":>8} {"REPORTED":>8} {"LOST":>5} {"TWICE":>5} {"BACK AFTER":>10}'
    return play_faults([name for name in FAULTS if not options.only or options.only in name], heading, play, options.rows)


if __name__ == '__main__':
    sys.exit(main())
