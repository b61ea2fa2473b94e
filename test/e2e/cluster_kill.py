#!/usr/bin/env python3
"""kill -9 of any node under load: two gateways behind haproxy, which passes TLS through, share the store clickhouse in what
scripts/cluster has started. Sensors keep a ledger of what was acknowledged; at the end every replica has that, once.

usage: test/e2e/cluster_kill.py [BUILD_DIR] [--rounds N] [--seed S] [--nodes ch1,pg1,gateway1,...] [--failover] [--rows FILE]
       --failover: in the end PostgreSQL's primary dies for good and its standby is promoted; start the cluster anew afterwards
       scripts/cluster start DIR goes before; CLUSTER_DIR=DIR, run/cluster when not given
"""
import argparse
import collections
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

import aggregator_test
from aggregator_test import ROOT, event
from stack import add_row, skip

sys.path.insert(0, os.path.join(ROOT, 'test', 'harness'))
import cluster  # noqa: E402
from ports import free_port  # noqa: E402

SENSORS = ('plant-1', 'plant-2', 'plant-3', 'plant-4')
NODES = ('ch1', 'ch2', 'ch3', *(['ch4'] if len(cluster.SHARDS) == 2 else []), 'zk', 'pg1', 'pg2', 'gateway1', 'gateway2', 'haproxy')
DIR = os.environ.get('CLUSTER_DIR', 'run/cluster')
BACK_S = 90  # from the end of a fault to the next acknowledgement of every sensor
HAPROXY = """defaults
	mode tcp
	timeout connect 2s
	timeout client 60s
	timeout server 60s
	option redispatch
listen gateways
	bind 127.0.0.1:{port}
	balance roundrobin
	server one 127.0.0.1:{one} check inter 300 fall 1 rise 1
	server two 127.0.0.1:{two} check inter 300 fall 1 rise 1
"""


class Gateway(aggregator_test.Aggregator):
    """One of several with the same certificates and the same store, at a port that stays."""

    def __init__(self, dir, name, store):
        self.dir, self.cluster = dir, store
        self.pki = os.path.join(dir, 'pki')
        self.port, self.api_port = free_port(), free_port()
        self.ready = os.path.join(dir, name + '.ready')
        self.config = os.path.join(dir, name + '.yaml')
        with open(self.config, 'w') as file:
            file.write(f'listen: 127.0.0.1:{self.port}\n'
                       f'tls: {{cert: {self.pki}/aggregator.pem, key: {self.pki}/aggregator.key, ca: {self.pki}/ca.pem}}\n'
                       f'api: {{listen: "127.0.0.1:{self.api_port}", token-file: {self.pki}/token}}\n{store.settings()}\n'
                       'log: {level: error}\nlimits: {sensor-records: 0}\n')
        with open(os.path.join(self.pki, 'token')) as file:
            self.token = file.read().strip()
        self.log = open(os.path.join(dir, name + '.log'), 'ab')
        self.process = None
        self.launch()

    def launch(self):
        """Does not wait: while the store cannot be opened it ends, and is started again."""
        if self.process is None or self.process.poll() is not None:
            self.process = subprocess.Popen([aggregator_test.program('aggregator/millrace-aggregator'), 'run', '-c', self.config],
                                            stdout=self.log, stderr=self.log)

    def kill(self):
        self.process.kill()
        self.process.wait()


class Bed:
    def __init__(self, dir, store):
        subprocess.run([os.path.join(ROOT, 'scripts', 'pki'), os.path.join(dir, 'pki'), *SENSORS], check=True)
        self.gateways = {f'gateway{n}': Gateway(dir, f'gateway{n}', store) for n in (1, 2)}
        self.port = free_port()
        self.haproxy_config = os.path.join(dir, 'haproxy.cfg')
        with open(self.haproxy_config, 'w') as file:
            file.write(HAPROXY.format(port=self.port, one=self.gateways['gateway1'].port, two=self.gateways['gateway2'].port))
        self.haproxy = None
        self.down = set()
        self.start_haproxy()

    def start_haproxy(self):
        self.haproxy = subprocess.Popen(['haproxy', '-db', '-f', self.haproxy_config], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)

    def kill(self, node):
        self.down.add(node)
        if node == 'haproxy':
            self.haproxy.kill()
            self.haproxy.wait()
        elif node in self.gateways:
            self.gateways[node].kill()
        else:
            subprocess.run([os.path.join(ROOT, 'scripts/cluster'), 'kill', node, DIR], check=True, cwd=ROOT)

    def up(self, node):
        self.down.discard(node)
        if node == 'haproxy':
            self.start_haproxy()
        elif node in self.gateways:
            self.gateways[node].launch()
        else:
            subprocess.run([os.path.join(ROOT, 'scripts/cluster'), 'up', node, DIR], check=True, cwd=ROOT)

    def keep_up(self):
        """As a service manager does it."""
        for name, gateway in self.gateways.items():
            if name not in self.down:
                gateway.launch()

    def close(self):
        for gateway in self.gateways.values():
            gateway.process.kill()
            gateway.process.wait()
        self.haproxy.kill()
        self.haproxy.wait()


class Sensor(threading.Thread):
    """Sends until it is told to stop, and after a failure the same records, cut in other places. Over two connections, which come
    to different gateways."""

    def __init__(self, bed, name, seed):
        super().__init__(daemon=True)
        self.name_ = name
        self.gateway = bed.gateways['gateway1']
        self.port = bed.port
        self.rng = random.Random(f'{seed} {name}')
        self.acked = 0
        self.answers = collections.Counter()
        self.done = threading.Event()
        self.connections = [None, None]

    def connect(self):
        connection = self.gateway.connect(self.name_)
        connection.port = self.port
        connection.timeout = 30
        return connection

    def send(self, which, first, count):
        if self.connections[which] is None:
            self.connections[which] = self.connect()
        records = [event(n, sensor=self.name_) for n in range(first, first + count)]
        return self.gateway.post(first, records, sensor=self.name_, connection=self.connections[which])

    def run(self):
        while not self.done.is_set():
            which = self.rng.randrange(2)
            # Now and then some that were acknowledged go again.
            first = max(1, self.acked + 1 - self.rng.choice((0, 0, 0, 7)))
            try:
                status, answer = self.send(which, first, self.rng.randrange(10, 200))
            except (OSError, ValueError, aggregator_test.http.client.HTTPException):
                status, answer = 0, {}
            self.answers[status] += 1
            if status == 200:
                self.acked = max(self.acked, answer['acked'])
                continue
            if self.connections[which] is not None:
                self.connections[which].close()
            self.connections[which] = None
            if status not in (0, 409, 429, 503):
                print(f'{self.name_}: {status} {answer}', flush=True)
                self.answers['unexpected'] += 1
            self.done.wait(0.05)


def wait_for_progress(bed, sensors, seconds):
    """@return seconds until each sensor had something acknowledged, or None."""
    before = [sensor.acked for sensor in sensors]
    start = time.monotonic()
    while time.monotonic() < start + seconds:
        bed.keep_up()
        if all(sensor.acked > then for sensor, then in zip(sensors, before)):
            return time.monotonic() - start
        time.sleep(0.05)
    return None


def check(store, bed, sensors):
    """@return (lost, doubled, wrong) over all replicas, and what the gateways answer."""
    lost = doubled = wrong = 0
    acked = {sensor.name_: sensor.acked for sensor in sensors}
    for replica in range(cluster.REPLICAS):
        for shard in range(len(cluster.SHARDS)):
            store.clickhouse('SYSTEM SYNC REPLICA records', replica, shard)
        found = collections.Counter()
        for sensor, _, _, sequence, line in store.records(replica):
            record = json.loads(line)
            found[sensor, sequence] += 1
            wrong += record['n'] != sequence or record['sensor'] != sensor
        doubled += sum(count - 1 for count in found.values())
        lost += sum((name, n) not in found for name, last in acked.items() for n in range(1, last + 1))
    for gateway in bed.gateways.values():
        _, lanes = gateway.get('/v1/lanes')
        for row in lanes['lanes']:
            lost += max(0, acked[row['sensor']] - row['acked'])
            wrong += row['records'] != row['acked'] or row['lost'] != 0
        _, answer = gateway.get('/v1/protocols')
        counted = sum(row['records'] for row in answer['records'])
        wrong += counted != sum(row['records'] for row in lanes['lanes'])
    return lost, doubled, wrong


def fail_over(bed, sensors):
    bed.kill('pg1')
    subprocess.run([os.path.join(ROOT, 'scripts/cluster'), 'promote', DIR], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    back = wait_for_progress(bed, sensors, BACK_S)
    print(f'     pg2 is the primary, back after {"never" if back is None else f"{back:.1f} s"}', flush=True)
    return back is not None


def play(options, dir, store):
    rng = random.Random(options.seed)
    bed = Bed(dir, store)
    sensors = [Sensor(bed, name, options.seed) for name in SENSORS]
    slowest, failed, kills = 0.0, 0, collections.Counter()
    try:
        for sensor in sensors:
            sensor.start()
        if wait_for_progress(bed, sensors, BACK_S) is None:
            sys.exit('the gateways do not take anything')
        for number in range(options.rounds):
            node = rng.choice(options.nodes)
            time.sleep(rng.uniform(0.1, 1.5))
            bed.kill(node)
            time.sleep(rng.uniform(0, 2))
            bed.up(node)
            back = wait_for_progress(bed, sensors, BACK_S)
            kills[node] += 1
            failed += back is None
            slowest = max(slowest, back or BACK_S)
            print(f'{number + 1:4} {node:8} back after {"never" if back is None else f"{back:.1f} s"}, '
                  f'{sum(sensor.acked for sensor in sensors)} records acknowledged', flush=True)
        if options.failover:
            failed += not fail_over(bed, sensors)
        for sensor in sensors:
            sensor.done.set()
        for sensor in sensors:
            sensor.join(60)
        for _ in range(100):
            bed.keep_up()
            time.sleep(0.2)
            try:
                for gateway in bed.gateways.values():
                    gateway.get('/v1/lanes')
                break
            except OSError:
                continue
        lost, doubled, wrong = check(store, bed, sensors)
    finally:
        for sensor in sensors:
            sensor.done.set()
        bed.close()
    answers = sum((sensor.answers for sensor in sensors), collections.Counter())
    hidden = store.query('SELECT count(*) FROM blocks')[0][0]
    print(f'{options.rounds} rounds {dict(kills)}: {sum(s.acked for s in sensors)} records acknowledged, {lost} lost, {doubled} doubled, '
          f'{wrong} wrong; answers {dict(answers)}; slowest return {slowest:.1f} s; {hidden} blocks given up')
    faults = lost + doubled + wrong + failed + answers['unexpected']
    add_row(options.rows, fault=f'kill -9 in the cluster, {len(cluster.SHARDS)} shard{"s" * (len(cluster.SHARDS) > 1)}', rounds=options.rounds, records=sum(s.acked for s in sensors), reported=0,
            losses=lost, duplicates=doubled, faults=faults)
    return faults


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('build', nargs='?', default=os.path.join(ROOT, 'build'))
    parser.add_argument('--rounds', type=int, default=30)
    parser.add_argument('--seed', type=int, default=int(time.time()))
    parser.add_argument('--nodes', type=lambda text: text.split(','), default=NODES)
    parser.add_argument('--failover', action='store_true')
    parser.add_argument('--rows')
    options = parser.parse_args()
    aggregator_test.BUILD = os.path.abspath(options.build)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    print(f'seed {options.seed}', flush=True)
    try:
        store = cluster.Store()
    except (OSError, subprocess.CalledProcessError):
        skip('no cluster answers: scripts/cluster start')
    with aggregator_test.tempfile.TemporaryDirectory(prefix='millrace-cluster-') as dir:
        failed = play(options, dir, store)
        if failed:
            for name in sorted(os.listdir(dir)):
                if name.endswith('.log'):
                    with open(os.path.join(dir, name), errors='replace') as file:
                        print(name, *file.readlines()[-15:], sep='\n  ')
            print(f'what was stored is in the databases {store.name}')
            sys.exit(1)
    store.close()


if __name__ == '__main__':
    main()
