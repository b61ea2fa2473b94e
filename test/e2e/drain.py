#!/usr/bin/env python3
"""The end of a long outage: what waits in the spool drains while live export goes on, alerts first.

usage: test/e2e/drain.py [BUILD_DIR] [--rate N] [--records N] [--ratio X]

A spool is filled with the records of an outage of 72 hours, fewer of them; then the aggregator (the real one, with its
store) comes up while records keep coming at the live rate. Printed is how much faster than live the backlog went, which is
also how long 72 hours take: the rate of the drain does not depend on how much waits, as the rates of its quarters show.
Fails below --ratio (3). In the end the store holds every record once.
"""
import argparse
import collections
import json
import subprocess
import sys
import time

from stack import Stack, add_row, build_dir, report

OUTAGE_H = 72
LANES = ('event', 'event', 'event', 'flow', 'event', 'event', 'flow', 'event', 'event', 'alert')
STEP_S = 0.02


class Feed:
    """The sensor's sinks, by hand."""

    def __init__(self, stack):
        keys = [f'spool.path={stack.path("spool")}', 'outputs.eve.enabled=no', 'uplink.enabled=yes', f'uplink.url=https://localhost:{stack.port}',
                'uplink.sensor=e2e', 'uplink.backoff-max-ms=1000', 'spool.size=4 GiB']
        keys += [f'uplink.{key}={stack.path("pki/" + name)}' for key, name in
                 (('cert', 'e2e.pem'), ('key', 'e2e.key'), ('ca', 'ca.pem'))]
        self.process = subprocess.Popen([f'{stack.build}/lib/sink/uplink_feed', *keys], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=open(stack.path('feed.log'), 'wb'))
        self.put_count = 0
        self.lanes = collections.Counter()

    def put(self, count):
        lines = []
        for _ in range(count):
            lane = LANES[self.put_count % len(LANES)]
            self.put_count += 1
            self.lanes[lane] += 1
            lines.append(f'{lane} {{"timestamp":"2026-01-01T00:00:00.000000+0000","flow_id":{self.put_count * 7919},'
                         f'"event_type":"{"modbus" if lane == "event" else lane}","src_ip":"10.10.{self.put_count % 250}.1",'
                         '"src_port":49152,"dest_ip":"10.10.64.11","dest_port":502,"proto":"TCP","app_proto":"modbus",'
                         '"community_id":"1:nGmVyyl0SgIXhRp3DqFm0rXX1dI=","modbus":{"id":1,"request":{"transaction_id":7,'
                         f'"function":{{"code":3,"category":"PUBLIC_ASSIGNED"}}}}}},"n":{self.put_count}}}\n')
        self.process.stdin.write(''.join(lines).encode())

    def ask(self, what):
        self.process.stdin.write(what + b'\n')
        self.process.stdin.flush()
        return self.process.stdout.readline()

    def acked(self):
        lanes = json.loads(self.ask(b'!status'))['uplink']['lanes']
        return {name: lane['acked'] for name, lane in lanes.items()}


def drain(feed, backlog, rate):
    """Feeds at the live rate until the backlog is acknowledged. @return (lane -> s, [(s, backlog records acknowledged)], s)"""
    start = time.monotonic()
    fed = 0
    done, steps = {}, []
    while len(done) < len(backlog):
        now = time.monotonic() - start
        feed.put(int(now * rate) - fed)
        fed = int(now * rate)
        acked = feed.acked()
        steps.append((now, sum(min(acked[lane], count) for lane, count in backlog.items())))
        for lane, count in backlog.items():
            if acked[lane] >= count:
                done.setdefault(lane, now)
        time.sleep(STEP_S)
    return done, steps, fed


def quarters(steps, total):
    """Records a second in each quarter of the backlog."""
    at = [next(now for now, acked in steps if acked >= total * k / 4) for k in (1, 2, 3, 4)]
    return [total / 4 / max(b - a, STEP_S) for a, b in zip([steps[0][0]] + at, at)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('build', nargs='?')
    parser.add_argument('--rate', type=int, default=5000)
    parser.add_argument('--records', type=int, default=100000)
    parser.add_argument('--ratio', type=float, default=3)
    parser.add_argument('--rows')
    options = parser.parse_args()
    faults = []
    with Stack(build_dir()) as stack:
        stack.start_aggregator()
        stack.stop_aggregator()
        feed = Feed(stack)
        for _ in range(options.records // 1000):
            feed.put(1000)
        feed.ask(b'!flush')
        backlog = dict(feed.lanes)
        stack.start_aggregator()
        done, steps, fed = drain(feed, backlog, options.rate)
        last = max(done.values())
        ratio = options.records / last / options.rate
        print(f'backlog {options.records} records, {OUTAGE_H} h at 1:{OUTAGE_H * 3600 * options.rate // options.records}; '
              f'live {options.rate} records/s, {fed} came during the drain')
        print(f'drained in {last:.2f} s: {options.records / last:.0f} records/s beside the live ones, {ratio:.1f} times the live '
              f'rate; {OUTAGE_H} h take {OUTAGE_H / ratio:.1f} h')
        print('quarters: ' + ', '.join(f'{speed:.0f}' for speed in quarters(steps, options.records)) + ' records/s')
        print('last of the backlog: ' + ', '.join(f'{lane} {at:.2f} s' for lane, at in sorted(done.items(), key=lambda x: x[1])))
        if ratio < options.ratio:
            faults.append(f'{ratio:.1f} times the live rate, below {options.ratio}')
        if done['alert'] != min(done.values()):
            faults.append('alerts were not first')
        if feed.ask(b'!drain 60000') != b'drained\n':
            faults.append('the rest did not drain')
        feed.process.stdin.close()
        feed.process.wait(30)
        numbers = collections.Counter(json.loads(line).get('n') for _, line in stack.records())
        if sum(numbers.values()) != feed.put_count or len(numbers) != feed.put_count:
            faults.append(f'{feed.put_count} records given, {sum(numbers.values())} stored, {len(numbers)} different')
        add_row(options.rows, fault=f'outage, drained at {ratio:.1f} x live', rounds=1, records=feed.put_count, reported=0,
                losses=feed.put_count - len(numbers), duplicates=sum(numbers.values()) - len(numbers), faults=len(faults))
        for fault in faults:
            print(fault)
        report(1, len(faults))


if __name__ == '__main__':
    sys.exit(main())
