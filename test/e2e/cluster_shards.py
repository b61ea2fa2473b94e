#!/usr/bin/env python3
"""Several shards of the store clickhouse, in what scripts/cluster has started: a sensor's records are in one of them, a batch that
is sent again by the other aggregator counts once though a shard failed in between, shards that stand in another order are refused.

usage: test/e2e/cluster_shards.py [BUILD_DIR]     CLUSTER_SHARDS=2 scripts/cluster start [DIR] goes before; CLUSTER_DIR=DIR
"""
import collections
import concurrent.futures
import json
import os
import subprocess
import sys
import tempfile
import time
import types
import unittest

import aggregator_test
from aggregator_test import ROOT, event
from cluster_enrol import wait_until_listening
from cluster_kill import DIR, Gateway
from stack import skip

sys.path.insert(0, os.path.join(ROOT, 'test', 'harness'))
import cluster  # noqa: E402

SENSORS = [f'plant-{n}' for n in range(1, 7)]


class Shards(unittest.TestCase):
    def setUp(self):
        self.store = cluster.Store()
        self.addCleanup(self.store.close)
        folder = tempfile.TemporaryDirectory(prefix='millrace-cluster-shards-')
        self.addCleanup(folder.cleanup)
        self.dir = folder.name
        subprocess.run([os.path.join(ROOT, 'scripts', 'pki'), os.path.join(self.dir, 'pki'), *SENSORS], check=True)

    def gateway(self, name, store=None):
        settings = self.store.settings(insert_timeout_ms=5000)
        gateway = Gateway(self.dir, name, store or types.SimpleNamespace(settings=lambda: settings))
        self.addCleanup(lambda: (gateway.process.kill(), gateway.process.wait()))
        return gateway

    def refused(self, shards, reason):
        """An aggregator with these shards ends, and says why."""
        settings = types.SimpleNamespace(settings=lambda: self.store.settings(shards))
        self.assertEqual(self.gateway('wrong', settings).process.wait(30), 1)
        with open(os.path.join(self.dir, 'wrong.log')) as log:
            self.assertIn(reason, log.read())

    def cluster(self, verb, node):
        subprocess.run([os.path.join(ROOT, 'scripts/cluster'), verb, node, DIR], check=True, cwd=ROOT)

    def deliver(self, gateway, first, count):
        """@return the status of each sensor's batch; all are sent at once. One that is told to go on behind its end is taken."""
        def post(sensor):
            status, answer = gateway.post(first, [event(n, sensor=sensor) for n in range(first, first + count)], sensor=sensor)
            return 200 if status == 409 and answer['expected'] >= first + count else status
        with concurrent.futures.ThreadPoolExecutor(len(SENSORS)) as pool:
            return dict(zip(SENSORS, pool.map(post, SENSORS)))

    def deliver_until_taken(self, gateway, first, count):
        for _ in range(60):
            statuses = self.deliver(gateway, first, count)
            if set(statuses.values()) == {200}:
                return
            time.sleep(0.5)
        self.fail(f'never taken: {statuses}')

    def by_shard(self):
        """{sensor: [shards that have it]}, over all that ClickHouse holds, counted or not."""
        found = collections.defaultdict(list)
        for shard in range(len(cluster.SHARDS)):
            for sensor in self.store.clickhouse('SELECT DISTINCT sensor FROM records', 0, shard).split():
                found[sensor].append(shard)
        return found

    def check(self, last):
        """What each replica of each shard has that counts, and what the aggregators answer, is every record once."""
        for replica in range(cluster.REPLICAS):
            for shard in range(len(cluster.SHARDS)):
                self.store.clickhouse('SYSTEM SYNC REPLICA records', replica, shard)
            numbers = collections.defaultdict(list)
            for sensor, _, _, sequence, line in self.store.records(replica):
                self.assertEqual(json.loads(line)['n'], sequence)
                numbers[sensor].append(sequence)
            self.assertEqual({sensor: sorted(found) for sensor, found in numbers.items()},
                             {sensor: list(range(1, last + 1)) for sensor in SENSORS})

    def test_a_batch_that_fails_at_one_shard_counts_once(self):
        one, two = self.gateway('one'), self.gateway('two')
        wait_until_listening(one)
        wait_until_listening(two)
        self.assertEqual(set(self.deliver(one, 1, 50).values()), {200})
        where = self.by_shard()
        self.assertEqual(sorted(where), SENSORS)
        self.assertEqual({len(shards) for shards in where.values()}, {1})
        self.assertEqual({shards[0] for shards in where.values()}, {0, 1})
        # Two replicas are the quorum of two: without one of them the second shard takes nothing.
        self.cluster('kill', 'ch4')
        expected = {sensor: 200 if shards == [0] else 503 for sensor, shards in where.items()}
        try:
            # Those that are in one block with the second shard's fail with it. From then on they go on without the others.
            first = self.deliver(one, 51, 50)
            self.assertEqual({first[sensor] for sensor, shards in where.items() if shards == [1]}, {503})
            self.assertEqual([self.deliver(one, 51, 50) for _ in range(2)], [expected, expected])
        finally:
            self.cluster('up', 'ch4')
        # The other aggregator, other cuts.
        for first, count in ((51, 20), (71, 30), (41, 60)):
            self.deliver_until_taken(two, first, count)
        self.deliver_until_taken(one, 51, 50)
        self.assertEqual(self.by_shard(), where)
        self.check(100)
        for gateway in (one, two):
            lanes = gateway.get('/v1/lanes')[1]['lanes']
            self.assertEqual({row['sensor']: (row['acked'], row['records']) for row in lanes}, {sensor: (100, 100) for sensor in SENSORS})
            self.assertEqual(len(gateway.records('/v1/events')), 100 * len(SENSORS))

    def test_shards_stand_in_one_order(self):
        wait_until_listening(self.gateway('one'))
        self.refused(cluster.SHARDS[::-1], 'same order')
        self.refused(cluster.SHARDS[1:], 'same order')

    def test_a_shard_with_records_must_be_named(self):
        one = self.gateway('one')
        wait_until_listening(one)
        self.assertEqual(set(self.deliver(one, 1, 5).values()), {200})
        self.refused(cluster.SHARDS[:1], 'records are in 2')


if __name__ == '__main__':
    aggregator_test.BUILD = os.path.abspath(sys.argv.pop(1)) if len(sys.argv) > 1 and not sys.argv[1].startswith('-') \
        else aggregator_test.build_dir()
    if len(cluster.SHARDS) != 2:
        skip('CLUSTER_SHARDS=2 is wanted')
    try:
        cluster.Store().close()
    except (OSError, subprocess.CalledProcessError):
        skip('no cluster answers: CLUSTER_SHARDS=2 scripts/cluster start')
    unittest.main(verbosity=2, warnings='ignore')
