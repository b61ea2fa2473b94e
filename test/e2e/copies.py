#!/usr/bin/env python3
"""A sensor's disk that exists twice: a snapshot put back, a cloned box beside its original. Real uplink, real aggregator.

usage: test/e2e/copies.py [BUILD_DIR]     (default: build-test, else build)
"""
import os
import shutil
import tempfile

import aggregator_test
import uplink_test
from aggregator_test import Case


class Copies(Case):
    settings = ('limits.reorder=0',)

    def prepare(self):
        self.work = tempfile.mkdtemp(prefix='copies.')
        self.addCleanup(shutil.rmtree, self.work)
        uplink_test.FEED = os.path.join(aggregator_test.BUILD, 'lib/sink/uplink_feed')

    def feed(self, spool='spool', **keys):
        pki = self.aggregator.pki
        return uplink_test.Feed(self.work, self.aggregator.port, **{
            'uplink__cert': f'{pki}/plant-1.pem', 'uplink__key': f'{pki}/plant-1.key', 'uplink__ca': f'{pki}/ca.pem',
            'uplink__batch-records': 40, 'spool__path': f'{self.work}/{spool}', **keys})

    def copy(self, source='spool', target='copy'):
        shutil.copytree(f'{self.work}/{source}', f'{self.work}/{target}')

    def deliver(self, feed, first, count):
        feed.put('event', first, count)
        self.assertTrue(feed.drain(), feed.status())
        return feed.status()['counters']

    def lost(self):
        return self.aggregator.get('/v1/summary')[1]['losses']['link.records_lost_at_sensor']

    def epochs(self):
        return {lane['epoch'] for lane in self.aggregator.get('/v1/lanes')[1]['lanes'] if lane['lane'] == 'event'}

    def test_a_snapshot_put_back_after_which_more_was_recorded_than_was_lost(self):
        feed = self.feed()
        self.deliver(feed, 1, 100)
        feed.close()
        self.copy()
        feed = self.feed()
        self.deliver(feed, 101, 100)
        feed.close()
        # The copy has recorded beyond what the aggregator holds before it reaches it.
        feed = self.feed('copy', uplink__url='https://localhost:1')
        feed.put('event', 201, 1000)
        feed.close()
        feed = self.feed('copy')
        self.assertEqual(self.deliver(feed, 1201, 50)['uplink.epochs'], 1)
        feed.close()
        self.assertEqual(self.numbers(), list(range(1, 1251)))
        self.assertEqual(len(self.epochs()), 2)
        self.assertEqual(self.aggregator.get('/v1/counters')[1]['aggregator']['ingest.foreign'], 1)
        self.assertEqual(self.lost(), 0)

    def test_a_cloned_box_beside_its_original(self):
        feed = self.feed()
        self.deliver(feed, 1, 100)
        feed.close()
        self.copy()
        boxes = [self.feed(), self.feed('copy')]
        first = 101
        for turn in range(6):
            for at, feed in enumerate(boxes):
                self.deliver(feed, first, 7 + 60 * (turn + at) % 100)
                first += 7 + 60 * (turn + at) % 100
        for feed in boxes:
            feed.close()
        self.assertEqual(self.numbers(), list(range(1, first)))
        self.assertEqual(len(self.epochs()), 2)
        self.assertEqual(self.lost(), 0)

    def test_a_box_that_gets_another_name(self):
        """What it delivered under the old one is not missing under the new one; what waited comes under the new one."""
        feed = self.feed()
        self.deliver(feed, 1, 100)
        feed.close()
        feed = self.feed(uplink__url='https://localhost:1')
        feed.put('event', 101, 50)
        feed.close()
        pki = self.aggregator.pki
        for _ in range(2):
            feed = self.feed(uplink__cert=f'{pki}/plant-2.pem', uplink__key=f'{pki}/plant-2.key')
            self.assertTrue(feed.drain(), feed.status())
            feed.close()
        self.assertEqual(self.numbers(sensor='plant-1'), list(range(1, 101)))
        self.assertEqual(self.numbers(sensor='plant-2'), list(range(101, 151)))
        self.assertEqual((self.lost(), len(self.epochs())), (0, 2))

    def test_what_is_sent_again_is_no_copy(self):
        """Killed with batches on their way, and started again: they overlap what is stored, and are the same."""
        first = 1
        for round_ in range(8):
            feed = self.feed()
            feed.put('event', first, 300)
            first += 300
            if round_ % 2:
                feed.drain(15)
            feed.kill()
        feed = self.feed()
        self.deliver(feed, first, 1)
        counters = feed.status()['counters']
        feed.close()
        self.assertEqual(counters['uplink.epochs'], 0)
        self.assertEqual(len(self.epochs()), 1)
        stored = self.numbers()
        self.assertEqual(len(stored), len(set(stored)))


if __name__ == '__main__':
    aggregator_test.main()
