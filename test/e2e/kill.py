#!/usr/bin/env python3
"""kill -9 of the sensor, of the aggregator, of both, and of the proxy between them, mid-stream: nothing acknowledged is lost,
nothing is stored twice.

usage: test/e2e/kill.py [BUILD_DIR] [--times N]     (default: 3 of each kind; the full measure is 20)

One sensor reads a generated plant while its records stream through a Squid to the aggregator; at a random moment one or
more of them are killed and started again. Without Squid the way is direct and no proxy is killed. After the last kill the sensor reads to its end, which waits for every acknowledgement. Then
 - before each restart, what the store held is still there afterwards, byte for byte;
 - each lane of each epoch is contiguous from 1 in the store, or its holes are declared lost by the sensor;
 - no sequence occurs twice, and every stored line is one that the sensor also wrote to eve.json.
"""
import argparse
import collections
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time

from proxies import Squid
from stack import Stack, add_row, build_dir, report, wait_for

KINDS = {'sensor': ('sensor',), 'aggregator': ('aggregator',), 'both': ('sensor', 'aggregator'), 'proxy': ('proxy',)}
DRAIN_S = 600


def generate(stack, path):
    subprocess.run([stack.program('bench/millrace-bench'), 'generate', '--out', path, '--seconds', '200', '--plcs', '8',
                    '--hmis', '2', '--rtus', '4', '--protocols', 'modbus,dnp3', '--seed', '11',
                    '--attack', 'modbus-function-scan,dnp3-operate', '--quiet'], check=True)


def start_sensor(stack, capture, run):
    """Each run of the sensor writes an eve.json of its own; the spool is the same."""
    out = stack.path(f'out{run}')
    os.makedirs(out, exist_ok=True)
    return stack.start_sensor('read', '-r', capture, '-l', out, '-k', 'none', '--set',
                              f'outputs.eve.path={out}/eve.json')


def stored(stack):
    """(sensor, epoch, lane, sequence) -> digest of the line"""
    return {key: hash(line) for key, line in stack.records()} if os.path.exists(stack.path('store.sqlite')) else {}


def count_stored(stack):
    return stack.query('SELECT coalesce(sum(records), 0) FROM lanes')[0][0]


def drain(stack, more):
    """What has piled up in the spool may take longer than a sensor that reads a capture waits at its end."""
    keys = [f'spool.path={stack.path("spool")}', 'outputs.eve.enabled=no', 'uplink.enabled=yes', f'uplink.url=https://localhost:{stack.port}',
            'uplink.sensor=e2e', *more]
    keys += [f'uplink.{key}={stack.path("pki/" + name)}' for key, name in (('cert', 'e2e.pem'), ('key', 'e2e.key'), ('ca', 'ca.pem'))]
    done = subprocess.run([f'{stack.build}/lib/sink/uplink_feed', *keys], input=f'!drain {DRAIN_S * 1000}\n', capture_output=True, text=True,
                          check=False)
    return done.stdout == 'drained\n'


def check_kept(before, after, what, faults):
    """What was in the store before a kill is in it afterwards."""
    lost = [key for key, digest in before.items() if after.get(key) != digest]
    if lost:
        faults.append(f'{what}: {len(lost)} stored records are gone or changed, {lost[0]} the first')


def check_store(stack, faults):
    records = stack.records()
    keys = collections.Counter(key for key, _ in records)
    twice = [key for key, count in keys.items() if count > 1]
    if twice:
        faults.append(f'{len(twice)} sequences are stored twice, {twice[0]} the first')
    declared = collections.defaultdict(set)
    for sensor, epoch, lane, first, last in stack.query(
            'SELECT s.name, l.epoch, l.lane, g.first, g.last FROM gaps g JOIN lanes l ON l.id = g.lane_id '
            'JOIN sensors s ON s.id = l.sensor_id'):
        declared[sensor, epoch, lane].update(range(first, last + 1))
    names = ('alert', 'asset', 'event', 'flow', 'stats')
    lanes = collections.defaultdict(set)
    for (sensor, epoch, lane, sequence), _ in records:
        lanes[sensor, epoch, names.index(lane)].add(sequence)
    holes = lost = 0
    for lane, sequences in lanes.items():
        missing = set(range(1, max(sequences) + 1)) - sequences - declared[lane]
        if missing:
            faults.append(f'{lane}: {len(missing)} sequences are missing and not declared, {min(missing)} the first')
        holes += len(declared[lane])
        lost += len(missing)
    return len(records), holes, lost, len(records) - len(keys)


def check_lines(stack, runs, faults):
    """The store holds nothing that no sensor wrote. (A killed sensor may have written eve.json lines that never reached
    its spool, and the reverse: they are two outputs. The last run was not killed: of it everything is in both.)"""
    written = set()
    last = collections.Counter()
    for run in range(runs):
        path = stack.path(f'out{run}/eve.json')
        if not os.path.exists(path):
            continue
        with open(path) as file:
            for line in file:
                line = line.rstrip('\n')
                written.add(line)
                if run == runs - 1:
                    last[line] += 1
    lines = collections.Counter(line for _, line in stack.records())
    missing = sum((last - lines).values())
    if missing:
        faults.append(f'{missing} lines of the last run are in eve.json and not in the store')
    return sum(count for line, count in lines.items() if line not in written)


def start_peers(stack, state):
    if state['aggregator_down']:
        stack.start_aggregator()
        state['aggregator_down'] = False
    if state['proxy_down']:
        state['proxy'].start()
        state['proxy_down'] = False


def kill_round(stack, capture, victims, state):
    """Starts what is not running, waits a moment, kills. Returns what the store held after the kill."""
    start_peers(stack, state)
    if state['sensor'] is None:
        state['sensor'] = start_sensor(stack, capture, state['runs'])
        state['runs'] += 1
    held = count_stored(stack)
    # Mid-stream: some records of this round have arrived.
    wait_for(lambda: count_stored(stack) > held or state['sensor'].poll() is not None, 60)
    time.sleep(random.uniform(0.0, 0.6))
    if 'sensor' in victims:
        state['sensor'].kill()
    if 'aggregator' in victims:
        stack.kill_aggregator()
        state['aggregator_down'] = True
    if 'proxy' in victims:
        state['proxy'].kill()
        state['proxy_down'] = True
    if 'sensor' in victims or state['sensor'].poll() is not None:
        state['sensor'].wait()
        state['sensor'] = None
    return stored(stack)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('build', nargs='?')
    parser.add_argument('--times', type=int, default=3)
    parser.add_argument('--rows')
    parser.add_argument('--seed', type=int, default=1)
    options = parser.parse_args()
    random.seed(options.seed)
    faults = []
    passed = 0
    kinds = dict(KINDS)
    proxy = Squid() if shutil.which('squid') else None
    if proxy is None:
        del kinds['proxy']
    with Stack(build_dir()) as stack, contextlib.closing(proxy) if proxy else contextlib.nullcontext():
        capture = stack.path('plant.pcap')
        generate(stack, capture)
        stack.start_aggregator()
        stack.write_sensor_config(more=f'  ways: ["http://127.0.0.1:{proxy.port}"]\n' if proxy else '')
        state = {'sensor': None, 'aggregator_down': False, 'proxy': proxy, 'proxy_down': proxy is not None, 'runs': 0}
        before = {}
        rounds = [(kind, turn) for turn in range(options.times) for kind in kinds]
        random.shuffle(rounds)
        for kind, turn in rounds:
            known = len(faults)
            held = kill_round(stack, capture, kinds[kind], state)
            check_kept(before, held, f'{kind} {turn + 1}', faults)
            before = held
            passed += len(faults) == known
        start_peers(stack, state)
        if state['sensor'] is not None:
            state['sensor'].send_signal(signal.SIGKILL)
            state['sensor'].wait()
        if not drain(stack, [f'uplink.proxy=http://127.0.0.1:{proxy.port}'] if proxy else []):
            faults.append(f'the spool did not drain in {DRAIN_S} s')
        sensor = start_sensor(stack, capture, state['runs'])
        state['runs'] += 1
        status = sensor.wait(DRAIN_S)
        if status != 0:
            faults.append(f'the last sensor ended with {status}:\n{stack.tail("sensor.log")}')
        check_kept(before, stored(stack), 'the end', faults)
        count, declared, lost, twice = check_store(stack, faults)
        strange = check_lines(stack, state['runs'], faults)
        print(f'{len(rounds)} kills, {state["runs"]} runs of the sensor, {count} records stored, '
              f'{declared} declared lost, {strange} known only to the spool')
        add_row(options.rows, fault=f'kill -9 of {", ".join(kinds)}', rounds=len(rounds), records=count, reported=declared, losses=lost,
                duplicates=twice, faults=len(faults))
        for fault in faults:
            print(fault)
        report(passed, len(faults))


if __name__ == '__main__':
    sys.exit(main())
