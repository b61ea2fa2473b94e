#!/usr/bin/env python3
"""Faults of the spool's disk, real ones: power cuts, a full disk, I/O errors, a file system that turns read-only, a disk
that hangs. The disk is an ext4 file system on a loop device; the ledger is kept here, from what the worker says on a pipe.

usage: test/e2e/spool_faults.py WORKER [--rounds N] [--only NAME]

After the last round of a fault all is delivered. Then every record that was written is stored or within a reported gap, no
number came with two contents, and the epoch never changed. With `batch` nothing is lost that a flush had returned for,
with `interval` nothing that is older than the interval.
"""
import collections
import contextlib
import fcntl
import json
import os
import random
import re
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time

from stack import SKIPPED, fault_options, play_faults, wait_for

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MESSAGE = struct.Struct('<cB6xQQ')
EXT4_IOC_SHUTDOWN = 0x8004587d
EXT4_GOING_FLAGS_NOLOGFLUSH = 2
FIFREEZE, FITHAW = 0xc0045877, 0xc0045878
INTERVAL_MS = 50
BACK_S = 10


def run(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


class Disk:
    """A file system of its own, with a power switch."""

    def __init__(self, folder, size_mib):
        self.image, self.at = f'{folder}/disk', f'{folder}/mnt'
        with open(self.image, 'wb') as file:
            file.truncate(size_mib << 20)
        os.mkdir(self.at)
        run('mkfs.ext4', '-q', '-F', self.image)
        self.mount()

    def mount(self):
        run('mount', '-o', 'loop,errors=remount-ro', self.image, self.at)

    def mount_read_only(self):
        """Not by `mount -o ro`, which would make the device so too."""
        aside = f'{self.at}.aside'
        os.makedirs(aside, exist_ok=True)
        run('mount', '-o', 'loop,errors=remount-ro', self.image, aside)
        run('mount', '-o', 'remount,ro', aside)
        run('mount', '--bind', aside, self.at)
        run('umount', aside)

    def unmount(self):
        run('umount', self.at)

    def ioctl(self, request, argument):
        fd = os.open(self.at, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, request, argument)
        finally:
            os.close(fd)

    def cut_power(self):
        """What only the page cache and the journal in memory have is gone."""
        self.ioctl(EXT4_IOC_SHUTDOWN, struct.pack('I', EXT4_GOING_FLAGS_NOLOGFLUSH))
        self.unmount()
        self.mount()

    def device(self):
        return subprocess.run(['findmnt', '-no', 'SOURCE', self.at], check=True, capture_output=True, text=True).stdout.strip()


class Ledger:
    """What was written, and what an aggregator would hold."""

    def __init__(self):
        self.written, self.stored, self.gaps = {}, {}, collections.defaultdict(set)
        self.flushed, self.unflushed = set(), []
        self.synced, self.unsynced = set(), collections.deque()
        self.epochs = set()
        self.shed = self.twice = self.wrong = self.longest_ms = 0
        self.last_stored = 0.0

    def take(self, what, lane, first, value):
        if what == b'W':
            self.wrong += self.stored.get((lane, first), value) != value
            self.written[lane, first] = value
            self.unflushed.append((lane, first))
        elif what == b'X':
            self.shed += 1
        elif what == b'F':
            self.flushed.update(self.unflushed)
            self.unsynced.append((first, self.unflushed))
            self.unflushed = []
        elif what == b'S':
            # At each of these the last sync was less than the interval ago.
            while self.unsynced and self.unsynced[0][0] < first - INTERVAL_MS:
                self.synced.update(self.unsynced.popleft()[1])
        elif what == b'D':
            self.last_stored = time.monotonic()
            before = self.stored.setdefault((lane, first), value)
            # A delivery that is repeated is stored once; one that is repeated with another content is wrong.
            self.wrong += before != value or self.written.get((lane, first), value) != value
        elif what == b'G':
            self.gaps[lane].add((first, value))
        elif what == b'E':
            self.epochs.add(first)
        elif what == b'L':
            self.longest_ms = max(self.longest_ms, value)

    def is_reported(self, key):
        return any(first <= key[1] <= last for first, last in self.gaps[key[0]])

    def cut(self):
        """The process is gone, and with it what it had not written."""
        self.unflushed = []
        self.unsynced.clear()

    def check(self, faults, kept=frozenset()):
        """Returns records lost, all reported; none of those kept may be."""
        missing = [key for key in self.written if key not in self.stored]
        silent = [key for key in missing if not self.is_reported(key)]
        broken = [key for key in missing if key in kept]
        if silent:
            faults.append(f'{len(silent)} records are lost and not reported: {silent[0]} the first')
        if broken:
            faults.append(f'{len(broken)} records are lost that the policy keeps: {broken[0]} the first')
        if self.wrong:
            faults.append(f'{self.wrong} records came with another content than was written')
        if len(self.epochs) != 1:
            faults.append(f'the epoch changed: {len(self.epochs)}')
        return len(missing)

    def check_sum(self, faults):
        """Where no number was given up unused: sent = stored + reported."""
        reported = set()
        for lane, gaps in self.gaps.items():
            for first, last in gaps:
                reported.update((lane, seq) for seq in range(first, last + 1) if lane < 4)
        stored = {key for key in self.stored if key[0] < 4}
        sent = len(self.written) + self.shed
        if sent != len(stored | reported):
            faults.append(f'{sent} records sent, {len(stored)} stored, {len(reported - stored)} reported')


class Worker:
    def __init__(self, program, ledger, disk, mode, **keys):
        keys = {'path': f'{disk.at}/spool', 'size': '16 MiB', 'segment-size': '1 MiB', 'fsync-interval-ms': INTERVAL_MS, **keys}
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen([program, *(f'spool.{key}={value}' for key, value in keys.items()), '--', mode],
                                        stdout=subprocess.PIPE, stderr=self.log, env={**os.environ, 'SPOOL_EIO': f'{disk.image}.eio'})
        self.ledger = ledger
        self.thread = threading.Thread(target=self.listen)
        written = len(ledger.written) + ledger.shed
        self.thread.start()
        while self.process.poll() is None and (mode == 'late' and not ledger.epochs or
                                               mode in ('run', 'hold') and len(ledger.written) + ledger.shed == written):
            time.sleep(0.005)

    def listen(self):
        left = b''
        while data := os.read(self.process.stdout.fileno(), 1 << 16):
            data = left + data
            whole = len(data) // MESSAGE.size * MESSAGE.size
            for message in MESSAGE.iter_unpack(data[:whole]):
                self.ledger.take(*message)
            left = data[whole:]

    def end(self, number, timeout_s=60):
        if number is not None:
            self.process.send_signal(number)
        status = self.process.wait(timeout_s)
        self.thread.join()
        self.process.stdout.close()
        return status

    def counters(self):
        self.log.seek(0)
        return {name.decode(): int(value) for name, value in re.findall(rb'^spool\.(\w+) (\d+)$', self.log.read(), re.M)}


@contextlib.contextmanager
def disk_of(size_mib):
    with tempfile.TemporaryDirectory(prefix='millrace-disk-') as folder:
        disk = Disk(folder, size_mib)
        try:
            yield disk
        finally:
            subprocess.run(['umount', '-l', disk.at], check=False)


def drain(program, ledger, disk, faults, **keys):
    worker = Worker(program, ledger, disk, 'drain', **keys)
    if worker.end(None) != 0:
        faults.append('the spool did not open or drain')
    return worker.counters()


def key_of(disk):
    with open(os.open(f'{disk.image}.key', os.O_WRONLY | os.O_CREAT, 0o600), 'w') as file:
        file.write(random.randbytes(32).hex())
    return {'key-file': f'{disk.image}.key'}


def power_cuts(program, rounds, policy, sealed=False):
    """kill -9 and, before the kernel can write anything more, the disk's end."""
    ledger, faults = Ledger(), []
    with disk_of(64) as disk:
        keys = key_of(disk) if sealed else {}
        for _ in range(rounds):
            worker = Worker(program, ledger, disk, random.choice(('run', 'run', 'hold')), fsync=policy, **keys)
            time.sleep(random.uniform(0.05, 0.4))
            worker.end(signal.SIGKILL)
            ledger.cut()
            disk.cut_power()
        counters = drain(program, ledger, disk, faults, **keys)
    lost = ledger.check(faults, {'batch': ledger.flushed, 'interval': ledger.synced, 'never': ()}[policy])
    return ledger, lost, counters, faults


def wait_delivery(ledger, faults, what):
    """Service is back when something written after the fault arrives."""
    start = time.monotonic()
    while ledger.last_stored < start:
        if time.monotonic() > start + BACK_S:
            faults.append(f'{what}: nothing delivered for {BACK_S} s after the end of the fault')
            return
        time.sleep(0.02)


def disk_full(program, rounds, policy, mode='run', room='yes'):
    """Others fill the disk. With room taken ahead (spool.keep-room) nothing is dropped as long as what is written is delivered."""
    ledger, faults = Ledger(), []
    must_shed = mode == 'hold' or room == 'no'
    with disk_of(64) as disk:
        keys = {'keep-room': room}
        worker = Worker(program, ledger, disk, mode, fsync=policy, **keys)
        for turn in range(rounds):
            shed = ledger.shed
            time.sleep(0.2)
            with open(f'{disk.at}/filler', 'wb') as file, contextlib.suppress(OSError):
                while True:
                    file.write(bytes(1 << 16))
                    file.flush()
            time.sleep(1.0)
            os.unlink(f'{disk.at}/filler')
            if mode == 'run':
                wait_delivery(ledger, faults, 'disk full')
            if must_shed and mode == 'run' and ledger.shed == shed and not ledger.gaps:
                faults.append(f'round {turn}: the disk was not full')
        if worker.end(signal.SIGTERM) != 0:
            faults.append('the worker failed')
        drain(program, ledger, disk, faults, **keys)
    lost = ledger.check(faults)
    if must_shed != (lost + ledger.shed > 0):
        faults.append(f'{lost + ledger.shed} records were dropped')
    ledger.check_sum(faults)
    return ledger, lost, worker.counters(), faults


def hanging_disk(program, rounds, policy):
    """A frozen file system blocks whoever writes; the time is only seen, the records must all be there."""
    ledger, faults = Ledger(), []
    with disk_of(64) as disk:
        worker = Worker(program, ledger, disk, 'run', fsync=policy)
        for _ in range(rounds):
            time.sleep(0.3)
            disk.ioctl(FIFREEZE, 0)
            time.sleep(0.5)
            disk.ioctl(FITHAW, 0)
            wait_delivery(ledger, faults, 'hanging disk')
        if worker.end(signal.SIGTERM) != 0:
            faults.append('the worker failed')
        drain(program, ledger, disk, faults)
    lost = ledger.check(faults, ledger.flushed)
    ledger.check_sum(faults)
    return ledger, lost, worker.counters(), faults


def unread_disk(program, rounds, policy, sealed=False):
    """The segments cannot be read for a while, at a start after kill -9 and under the running worker: writing goes on, nothing is
    dropped, and all of it is delivered once they can be."""
    ledger, faults = Ledger(), []
    with disk_of(512) as disk:
        keys = {'size': '400 MiB', **(key_of(disk) if sealed else {})}
        for _ in range(rounds):
            worker = Worker(program, ledger, disk, 'hold', fsync=policy, **keys)
            time.sleep(random.uniform(0.05, 0.3))
            worker.end(signal.SIGKILL)
            ledger.cut()
            for start in (True, False):
                open(f'{disk.image}.eio', 'w').close()
                if start:
                    worker = Worker(program, ledger, disk, 'run', fsync=policy, **keys)
                written, delivered = len(ledger.written), ledger.last_stored
                time.sleep(0.5)
                if not wait_for(lambda before=written: len(ledger.written) > before, BACK_S):
                    faults.append('the worker does not write')
                # What was read before the fault is delivered still, but there was nothing before the start.
                if start and ledger.last_stored != delivered:
                    faults.append('the worker reads what cannot be read')
                os.unlink(f'{disk.image}.eio')
                wait_delivery(ledger, faults, 'unread disk')
            if worker.end(signal.SIGTERM) != 0:
                faults.append('the worker failed')
            counters = worker.counters()
            if counters['unread_segments'] == 0 or counters['read_errors'] == 0 or counters['corrupt_records'] or ledger.shed:
                faults.append(f'counted wrongly: {counters}')
        drain(program, ledger, disk, faults, **keys)
    lost = ledger.check(faults, ledger.flushed)
    return ledger, lost, counters, faults


def wait_unmounted(disk, faults, seconds=10):
    """Nobody is told: the worker lets go of a file system that takes nothing any more."""
    end = time.monotonic() + seconds
    while subprocess.run(['umount', disk.at], stderr=subprocess.DEVNULL, check=False).returncode != 0:
        if time.monotonic() > end:
            faults.append(f'the file system is still in use after {seconds} s')
            run('umount', '-l', disk.at)
            return
        time.sleep(0.1)


def dead_disk(program, rounds, policy, kill, sealed=False, read_only_first=False):
    """The file system fails under the running worker, which goes on and counts. It is unmounted, repaired and mounted again,
    perhaps read-only at first: the worker finds it by itself."""
    ledger, faults = Ledger(), []
    with disk_of(64) as disk:
        keys = key_of(disk) if sealed else {}
        worker = Worker(program, ledger, disk, 'run', fsync=policy, **keys)
        for _ in range(rounds):
            time.sleep(random.uniform(0.1, 0.5))
            before = ledger.shed
            kill(disk)
            wait_unmounted(disk, faults)
            if ledger.shed == before:
                faults.append('the worker stands still or takes what it cannot keep')
            # 1: errors were corrected.
            if subprocess.run(['fsck.ext4', '-p', '-f', disk.image], stdout=subprocess.DEVNULL, check=False).returncode > 1:
                faults.append('the file system does not recover')
            if read_only_first:
                disk.mount_read_only()
                time.sleep(random.uniform(1, 2))
                run('mount', '-o', 'remount,rw', disk.at)
            else:
                disk.mount()
            wait_delivery(ledger, faults, 'dead disk')
        if worker.end(signal.SIGTERM) != 0:
            faults.append('the worker failed')
        drain(program, ledger, disk, faults, **keys)
    lost = ledger.check(faults)
    ledger.check_sum(faults)
    return ledger, lost, worker.counters(), faults


def hanging_disk_and_sink(program, rounds, policy):
    """What feeds the sink does not wait for the disk that hangs: what does not fit into memory is counted and reported."""
    ledger, faults, count = Ledger(), [], 0
    line = b'flow {"event_type":"flow","pad":"%s"}\n' % (b'x' * 1000)
    with disk_of(64) as disk:
        run(os.path.join(ROOT, 'scripts/pki'), f'{disk.at}/../pki', 'x')
        feed = subprocess.Popen([os.path.join(os.path.dirname(program), '../../lib/sink/uplink_feed'), '--shed',
                                 f'spool.path={disk.at}/spool', f'spool.fsync={policy}', 'spool.queue-size=4 MiB',
                                 'outputs.eve.enabled=no', 'uplink.enabled=yes', 'uplink.url=https://localhost:1', 'uplink.sensor=x',
                                 *(f'uplink.{key}={disk.at}/../pki/{file}' for key, file in
                                   (('cert', 'x.pem'), ('key', 'x.key'), ('ca', 'ca.pem')))],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

        def ask(what):
            feed.stdin.write(what)
            feed.stdin.flush()
            return feed.stdout.readline()

        for _ in range(rounds):
            ask(b'!flush\n')
            disk.ioctl(FIFREEZE, 0)
            start = time.monotonic()
            for _ in range(20):
                ask(line * 1000 + b'!flush\n')
                count += 1000
            took_ms = int(1000 * (time.monotonic() - start))
            disk.ioctl(FITHAW, 0)
            ledger.longest_ms = max(ledger.longest_ms, took_ms)
            if took_ms > 3000:
                faults.append(f'20,000 records took {took_ms} ms while the disk hung')
        time.sleep(0.5)
        counters = json.loads(ask(b'!status\n'))['counters']
        feed.stdin.close()
        if feed.wait(60) != 0:
            faults.append('the feed failed')
        ledger.shed = counters['spool.shed']
        if counters['spool.appended'] + ledger.shed - counters['spool.gaps'] != count or ledger.shed == 0:
            faults.append(f'{count} records given, {counters}')
        worker = Worker(program, ledger, disk, 'drain')
        worker.end(None)
        stored = sum(1 for lane, _ in ledger.stored if lane == 3)
        reported = sum(last - first + 1 for first, last in ledger.gaps[3])
        if stored + reported != count:
            faults.append(f'{count} records given, {stored} stored, {reported} reported')
    return ledger, 0, counters, faults


def shut_down(disk):
    disk.ioctl(EXT4_IOC_SHUTDOWN, struct.pack('I', EXT4_GOING_FLAGS_NOLOGFLUSH))


def turn_read_only(disk):
    with open(f'/sys/fs/ext4/{os.path.basename(disk.device())}/trigger_fs_error', 'w') as file:
        file.write('a test')


FAULTS = {
    'power cut, batch': lambda program, n: power_cuts(program, n, 'batch'),
    'power cut, interval': lambda program, n: power_cuts(program, n, 'interval'),
    'power cut, never': lambda program, n: power_cuts(program, n, 'never'),
    'power cut, encrypted': lambda program, n: power_cuts(program, n, 'interval', True),
    'disk full': lambda program, n: disk_full(program, n, 'interval'),
    'disk full, batch': lambda program, n: disk_full(program, n, 'batch'),
    'disk full, no uplink': lambda program, n: disk_full(program, n, 'interval', mode='hold'),
    'disk full, no room kept': lambda program, n: disk_full(program, n, 'batch', room='no'),
    'disk hangs': lambda program, n: hanging_disk(program, n, 'interval'),
    'disk hangs, sink': lambda program, n: hanging_disk_and_sink(program, n, 'batch'),
    'EIO': lambda program, n: dead_disk(program, n, 'interval', shut_down),
    'EIO, encrypted': lambda program, n: dead_disk(program, n, 'batch', shut_down, sealed=True),
    'EIO while reading': lambda program, n: unread_disk(program, n, 'interval'),
    'EIO while reading, encrypted': lambda program, n: unread_disk(program, n, 'batch', sealed=True),
    'read-only': lambda program, n: dead_disk(program, n, 'interval', turn_read_only),
    'read-only, mounted so': lambda program, n: dead_disk(program, n, 'interval', shut_down, read_only_first=True),
}
# Left out unless asked for: variants of the others, seconds each.
LONG = {'EIO, encrypted', 'EIO while reading, encrypted', 'read-only, mounted so'}


def why_not():
    if os.geteuid() != 0:
        return 'loop devices need root'
    try:
        with disk_of(16) as disk:
            disk.cut_power()
    except (OSError, subprocess.CalledProcessError) as error:
        return f'no ext4 on a loop device here: {error}'
    return None


def main():
    options = fault_options('worker')
    reason = why_not()
    if reason:
        print(f'skipped: {reason}')
        return SKIPPED

    def play(name):
        ledger, lost, counters, faults = FAULTS[name](os.path.abspath(options.worker), options.rounds)
        silent = sum(1 for key in ledger.written if key not in ledger.stored and not ledger.is_reported(key))
        line = (f'{options.rounds:6} {len(ledger.written):8} {ledger.shed:7} {lost:14} {silent:6} {ledger.wrong:5} '
                f'{ledger.longest_ms:5} ms')
        # What is stored by its number cannot be stored twice; two contents of one number would be the same fault.
        row = {'rounds': options.rounds, 'records': len(ledger.written) + ledger.shed, 'reported': lost + ledger.shed,
               'losses': silent, 'duplicates': ledger.wrong, 'faults': len(faults)}
        return line, row, faults

    heading = f'{"ROUNDS":>6} {"WRITTEN":>8} {"SHED":>7} {"LOST, REPORTED":>14} {"SILENT":>6} {"WRONG":>5} {"LONGEST":>8}'
    names = [name for name in FAULTS if (options.only in name if options.only else name not in LONG)]
    return play_faults(names, heading, play, options.rows)


if __name__ == '__main__':
    sys.exit(main())
