#!/usr/bin/env python3
"""One sensor floods the aggregator with a backlog, another does so without manners; three small ones deliver a few records at a time.

usage: test/e2e/fair.py [BUILD_DIR] [--seconds N] [--times N] [--bound-ms N]

--times floods with N times as many records.

The first flood comes from the sensor's real uplink, which is told to come later (429 with Retry-After) and loses nothing. The other sends
each batch again at once, on a connection for each lane. All over mutual TLS. The small ones are never sent back, and wait at most the
bound for their acknowledgement. Once the flooders are faster than the store, once above limits.sensor-records.
"""
import argparse
import http.client
import json
import os
import ssl
import subprocess
import sys
import threading
import time

from aggregator_test import digest, zstd
from stack import ROOT, Stack, add_row, build_dir, report

LANES = ('alert', 'asset', 'event', 'flow', 'stats')
RUDE = 'rude'
SMALL = ('small-1', 'small-2', 'small-3')
SMALL_RECORDS, SMALL_PAUSE_S = 4, 0.1
BLOCK = 1000
# Limits, records of the flood, its uplink's batches, those of the rude one: a few records each, so that whatever there is of a rate is used up.
SCENES = {
    'faster than the store': (('sensor-records: 0', 'queue: 512kb'), 20000, 1000, BLOCK),
    'above its rate': (('sensor-records: 50', ), 400, 50, 10),
}


class FairStack(Stack):
    def __init__(self, build, limits):
        super().__init__(build)
        self.limits = limits
        subprocess.run([os.path.join(ROOT, 'scripts/pki'), self.path('pki'), *SMALL, RUDE], check=True)

    def write_aggregator_config(self):
        super().write_aggregator_config()
        with open(self.path('aggregator.yaml'), 'a') as file:
            file.write('limits:\n' + ''.join(f'  {line}\n' for line in self.limits))


class Flood:
    """A sensor's sinks, by hand; lines that do not compress, so that its batches are as heavy as they get."""

    def __init__(self, stack, records, batch):
        keys = [f'spool.path={stack.path("spool")}', 'spool.size=8 GiB', 'outputs.eve.enabled=no', 'uplink.enabled=yes',
                f'uplink.url=https://localhost:{stack.port}', 'uplink.sensor=e2e', 'uplink.backoff-max-ms=1000', 'uplink.window=16',
                'uplink.batch-bytes=4 MiB', 'uplink.zstd-level=1', f'uplink.batch-records={batch}']
        keys += [f'uplink.{key}={stack.path("pki/" + name)}' for key, name in (('cert', 'e2e.pem'), ('key', 'e2e.key'), ('ca', 'ca.pem'))]
        self.process = subprocess.Popen([f'{stack.build}/lib/sink/uplink_feed', *keys], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=open(stack.path('feed.log'), 'wb'))
        self.count, self.records = 0, records
        self.stop = False
        self.thread = threading.Thread(target=self.run)

    def put(self):
        block = min(BLOCK, self.records - self.count)
        noise = os.urandom(256 * block).hex()
        lines = [f'flow {{"timestamp":"2026-01-01T00:00:00.000000+0000","event_type":"flow","noise":"{noise[512 * i:512 * i + 512]}",'
                 f'"n":{self.count + i + 1}}}\n' for i in range(block)]
        self.process.stdin.write(''.join(lines).encode())
        self.count += block

    def run(self):
        while not self.stop and self.count < self.records:
            self.put()

    def ask(self, what):
        self.process.stdin.write(what + b'\n')
        self.process.stdin.flush()
        return self.process.stdout.readline()

    def end(self, seconds):
        """@return whether all is acknowledged, and its counters"""
        self.stop = True
        self.thread.join()
        drained = self.ask(b'!drain %d' % (seconds * 1000)) == b'drained\n'
        counters = json.loads(self.ask(b'!status'))['counters']
        self.process.stdin.close()
        self.process.wait(30)
        return drained, counters


class Sender(threading.Thread):
    """A lane of a sensor by hand."""

    def __init__(self, stack, sensor, lane):
        super().__init__()
        context = ssl.create_default_context(cafile=stack.path('pki/ca.pem'))
        context.load_cert_chain(stack.path(f'pki/{sensor}.pem'), stack.path(f'pki/{sensor}.key'))
        self.connection = http.client.HTTPSConnection('localhost', int(stack.port), context=context, timeout=120)
        self.sensor, self.lane = sensor, lane
        self.sent = 0
        self.delays_ms, self.refused = [], []
        self.stop = False

    def post(self, count, body):
        self.connection.request('POST', '/v1/records', body, {
            'Millrace-Version': '1', 'Millrace-Sensor': self.sensor, 'Millrace-Epoch': '00000000000000c3', 'Millrace-Lane': self.lane,
            'Millrace-Sequence': str(self.sent + 1), 'Millrace-Count': str(count), 'Content-Type': 'application/x-ndjson',
            'Content-Encoding': 'zstd', 'Content-Digest': digest(body)})
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status == 200:
            self.sent += count
        else:
            self.refused.append((answer.status, answer.headers['Retry-After'], text))


class Small(Sender):
    def run(self):
        while not self.stop and not self.refused:
            start = time.monotonic()
            self.post(SMALL_RECORDS, zstd(b''.join(b'{"event_type":"event","n":%d}\n' % (self.sent + i + 1) for i in range(SMALL_RECORDS))))
            self.delays_ms.append(1000 * (time.monotonic() - start))
            time.sleep(SMALL_PAUSE_S)


class Rude(Sender):
    def __init__(self, stack, lane, batch):
        super().__init__(stack, RUDE, lane)
        self.batch = batch

    def run(self):
        noise = os.urandom(256 * BLOCK).hex().encode()
        body = zstd(b''.join(b'{"event_type":"%s","noise":"%s"}\n' % (self.lane.encode(), noise[512 * i:512 * i + 512]) for i in range(self.batch)), 1)
        while not self.stop:
            self.post(self.batch, body)


def deliver(stack, seconds):
    small = [Small(stack, name, 'event') for name in SMALL]
    for one in small:
        one.start()
    time.sleep(seconds)
    for one in small:
        one.stop = True
    for one in small:
        one.join()
    delays = sorted(delay for one in small for delay in one.delays_ms)
    return small, {'n': len(delays), 'median': delays[len(delays) // 2], 'p99': delays[len(delays) * 99 // 100], 'max': delays[-1]}


def scene(name, options):
    faults = []
    limits, records, batch, rude_batch = SCENES[name]
    with FairStack(build_dir(), limits) as stack:
        stack.start_aggregator()
        flood = Flood(stack, int(records * options.times), batch)
        flood.thread.start()
        rude = [Rude(stack, lane, rude_batch) for lane in LANES]
        for one in rude:
            one.start()
        time.sleep(0.5)
        small, delays = deliver(stack, options.seconds)
        for one in rude:
            one.stop = True
        for one in rude:
            one.join()
        drained, counters = flood.end(120 + 10 * options.seconds)
        if any(one.refused for one in small):
            faults.append(f'a small one was sent back: {next(one.refused for one in small if one.refused)}')
        if delays['max'] > options.bound_ms:
            faults.append(f'a small one waited {delays["max"]:.0f} ms')
        if not drained:
            faults.append(f'the flooder did not drain: {stack.tail("feed.log")}')
        if counters['uplink.later'] == 0 or counters['uplink.poison']:
            faults.append(f'the flooder was not sent back, or more than that: {counters}')
        told = [one for sender in rude for one in sender.refused]
        if not told or any(status != 429 or int(after) < 1 for status, after, _ in told):
            faults.append(f'the rude one was not sent back, or otherwise: {told[:1]}')
        lost, twice, wrong = compare(stack, flood, small, rude)
        if lost or twice or wrong:
            faults.append(f'{lost} records lost, {twice} twice, {wrong} in another order')
        print(f'{name}: {flood.count} records flooded, sent back {counters["uplink.later"]} times, {sum(one.sent for one in rude)} without manners, '
              f'{len(told)} times; {delays["n"]} batches of the small ones acknowledged after {delays["median"]:.0f} ms in the median, {delays["p99"]:.0f} ms in 99 of 100, {delays["max"]:.0f} ms at most')
        for fault in faults:
            print(f'  {fault}')
        add_row(options.rows, fault=f'one sensor floods, {name}', rounds=1, records=flood.count + sum(one.sent for one in (*small, *rude)), reported=0,
                losses=lost, duplicates=twice, faults=len(faults), delay_ms=round(delays['max']))
    return faults


def compare(stack, flood, small, rude):
    """@return records lost, stored twice, and numbered otherwise than they were sent"""
    stored, taken = {}, {}
    for (sensor, _, lane, sequence), line in stack.records():
        event = json.loads(line)
        if sensor == RUDE:
            taken.setdefault(lane, []).append(sequence)
        elif 'n' in event:
            stored.setdefault(sensor, []).append((sequence, event['n']))
    lost = twice = wrong = 0
    for name, count in (('e2e', flood.count), *((one.sensor, one.sent) for one in small)):
        numbers = [n for _, n in sorted(stored.get(name, []))]
        lost += count - len(set(numbers))
        twice += len(numbers) - len(set(numbers))
        wrong += numbers != sorted(numbers)
    for one in rude:
        lost += one.sent - len(set(taken.get(one.lane, [])))
        twice += len(taken.get(one.lane, [])) - len(set(taken.get(one.lane, [])))
    return lost, twice, wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('build', nargs='?')
    parser.add_argument('--seconds', type=float, default=1.5)
    parser.add_argument('--times', type=float, default=1)
    parser.add_argument('--bound-ms', type=float, default=5000)
    parser.add_argument('--rows')
    options = parser.parse_args()
    failed = sum(bool(scene(name, options)) for name in SCENES)
    report(len(SCENES) - failed, failed)


if __name__ == '__main__':
    main()
