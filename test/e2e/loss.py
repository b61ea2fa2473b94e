#!/usr/bin/env python3
"""Every frame that is lost is counted: frames with a number in them are sent faster than the sensor can take them, and
the numbers that no event shows are as many as the losses it reports.

usage: test/e2e/loss.py [BUILD_DIR] [--frames N]

The sensor listens on one end of a veth pair (af_packet); frames are ARP requests whose sender address is their number,
each of which is an event. First slowly, which must lose nothing; then at full speed while the sensor is stopped for most of the time,
so that it can take less than half. What another interface carries while the sensor starts is not taken for its port's. Needs root;
skipped otherwise.
"""
import argparse
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

from stack import build_dir, report, skip, wait_for
from veth import Wire, frame

CONFIG = '''ports: ['af_packet:{port}']
dpdk: {{ huge-pages: no, memory-mib: 256, mbufs: 8192, rx-descriptors: 512, file-prefix: {prefix} }}
workers: {{ count: 1, cores: [{cpu}] }}
exporter: {{ core: {cpu} }}
flow: {{ flows-max: 16384 }}
stats: {{ interval: 1 }}
outputs: {{ eve: {{ path: {folder}/eve.json, rotate-size: 0 }} }}
'''
NUMBER = re.compile(rb'"event_type":"arp".*?"src_ip":"10\.(\d+)\.(\d+)\.(\d+)"')
SLOW_EACH = 64
STOPPED_S, RUNNING_S = 1.5, 0.02


class Neighbour:
    """Traffic of this machine's loopback, none of the sensor's port, while the context lasts."""

    def run(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            while not self.over.wait(0.001):
                for _ in range(20):
                    out.sendto(b'not of this port', ('127.0.0.1', 9))

    def __enter__(self):
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


class Hindrance:
    """Stops a process again and again while the context lasts."""

    def __init__(self, process, wanted):
        self.process, self.wanted, self.over = process, wanted, threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.over.is_set():
            self.process.send_signal(signal.SIGSTOP)
            time.sleep(STOPPED_S)
            self.process.send_signal(signal.SIGCONT)
            time.sleep(RUNNING_S)

    def __enter__(self):
        if self.wanted:
            self.thread.start()

    def __exit__(self, *_):
        self.over.set()
        if self.wanted:
            self.thread.join()


def send(port, count, pause_s):
    """Sends numbered frames. @return frames a second"""
    frames = [frame(number) for number in range(count)]
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as out:
        out.bind((port, 0))
        start = time.monotonic()
        for number, data in enumerate(frames):
            out.send(data)
            if pause_s > 0 and number % SLOW_EACH == 0:
                time.sleep(pause_s)
        return count / (time.monotonic() - start)


def totals(path):
    """The numbers seen, and the last stats."""
    seen, stats = [], None
    with open(path, 'rb') as lines:
        for line in lines:
            found = NUMBER.search(line)
            if found:
                high, middle, low = map(int, found.groups())
                seen.append(high << 16 | middle << 8 | low)
            elif b'"event_type":"stats"' in line:
                stats = json.loads(line)['stats']
    return seen, stats


def attempt(build, count, slow):
    folder = tempfile.mkdtemp(prefix='millrace-loss-')
    cpu = max(os.sched_getaffinity(0))
    with Wire() as wire:
        config = os.path.join(folder, 'sensor.yaml')
        with open(config, 'w') as out:
            out.write(CONFIG.format(port=wire.far, prefix=os.path.basename(folder), cpu=cpu, folder=folder))
        log = open(os.path.join(folder, 'log'), 'w+')
        sensor = subprocess.Popen([os.path.join(build, 'app/sensor/millrace-sensor'), 'run', '-c', config],
                                  stdout=log, stderr=log)
        try:
            with Neighbour():
                wait_for(lambda: 'running:' in open(log.name).read() or sensor.poll() is not None, 60)
            if sensor.poll() is not None:
                raise RuntimeError(open(log.name).read())
            with Hindrance(sensor, not slow):
                rate = send(wire.near, count, 0.002 if slow else 0)
            time.sleep(3)
        finally:
            sensor.send_signal(signal.SIGTERM)
            sensor.wait(60)
    seen, stats = totals(os.path.join(folder, 'eve.json'))
    capture, ring = stats['capture'], stats['ring']
    lost = sum(capture['dropped'].values())
    gaps = count - len(set(seen))
    print(f'{"slowly" if slow else "at full speed"}: {count} frames at {rate:.0f}/s, received {capture["received"]}, lost '
          f'{ {name: n for name, n in capture["dropped"].items() if n} or "none"}, events dropped {ring["events_dropped"]}; '
          f'numbers missing {gaps}')
    right = (len(seen) == len(set(seen)) and gaps == lost + ring['events_dropped'] and
             capture['received'] == count == capture['processed'] + lost and (lost == 0 if slow else lost > count / 2))
    shutil.rmtree(folder, ignore_errors=True)
    return right


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('build', nargs='?')
    parser.add_argument('--frames', type=int, default=200000)
    options = parser.parse_args()
    if os.geteuid() != 0:
        skip('not root: no veth pair')
    results = [attempt(build_dir(), options.frames // 10, True), attempt(build_dir(), options.frames, False)]
    report(results.count(True), results.count(False))


main()
