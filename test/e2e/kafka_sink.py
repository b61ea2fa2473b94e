#!/usr/bin/env python3
"""The sink to Kafka against kcat's mock cluster, a process of its own that stops and goes on; and all sinks at once.

usage: test/e2e/kafka_sink.py [UPLINK_FEED | BUILD_DIR [NAME]...]
"""
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import unittest

import uplink_test
from sinks import FEED, Feed, SinkTest, alert, flow, parallel
from stack import ROOT, wait_for
from uplink_server import Aggregator


class Cluster:
    """Brokers in a kcat that waits for input; what they hold is gone with it."""

    def __init__(self, brokers=3):
        self.process = subprocess.Popen(['kcat', '-P', '-b', 'none:1', '-X', f'test.mock.num.brokers={brokers}', '-t', 'unused'],
                                        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        for line in self.process.stderr:
            found = re.search(r'replaced with (\S+)', line)
            if found:
                break
        self.brokers = found[1]
        threading.Thread(target=self.process.stderr.read, daemon=True).start()

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def read(self, topic):
        """[(key, headers, record)] of all that the brokers hold."""
        run = subprocess.run(['kcat', '-C', '-b', self.brokers, '-t', topic, '-e', '-q', '-X', 'fetch.wait.max.ms=50', '-f', '%k %h %s\n'],
                             capture_output=True, text=True, timeout=60)
        rows = [line.split(' ', 2) for line in run.stdout.splitlines()]
        return [(key, dict(item.split('=', 1) for item in headers.split(',')), json.loads(value)) for key, headers, value in rows]


def settings(path, brokers, **more):
    return dict(outputs__kafka__enabled='yes', outputs__kafka__brokers=json.dumps(brokers), outputs__kafka__spool=path('spool-kafka'),
                outputs__kafka__sensor='site-7', outputs__kafka__backoff_max_ms='300', outputs__kafka__timeout_ms='1500',
                **{f'outputs__kafka__{key}': value for key, value in more.items()})


@unittest.skipUnless(shutil.which('kcat'), 'no kcat')
class Kafka(SinkTest):
    def cluster(self):
        cluster = Cluster()
        self.addCleanup(cluster.close)
        return cluster

    def test_brokers_stop_and_the_sensor_is_killed(self):
        cluster = self.cluster()
        keys = settings(self.path, cluster.brokers, topic='ot.{lane}')
        feed = Feed(self.dir, **keys)
        feed.write('alert', *(alert(i) for i in range(500)))
        self.assertEqual(feed.command('drain 60000'), 'drained')
        cluster.freeze()
        feed.write('alert', *(alert(i) for i in range(500, 1000)))
        self.assertEqual(feed.command('drain 2500'), 'timeout')
        status = feed.status()
        self.assertEqual(status['counters']['sink.file.lines'], 1000)
        self.assertEqual(status['kafka']['waiting'], 500)
        cluster.go_on()
        # The sensor dies while records are on their way; the next one goes on where acknowledgements end.
        feed.write('alert', *(alert(i) for i in range(1000, 3000)))
        feed.command('flush')
        feed.process.kill()
        feed.process.communicate()
        with Feed(self.dir, **keys) as feed:
            feed.write('flow', flow(7))
            self.assertEqual(feed.command('drain 60000'), 'drained')
        rows = cluster.read('ot.alert')
        records = {headers['millrace-id']: (key, record) for key, headers, record in rows}
        self.assertEqual(sorted(record['flow_id'] - 7000000000 for _, record in records.values()), list(range(3000)))
        for key, record in records.values():
            self.assertEqual(key, str(record['flow_id']))
            self.assertEqual(record, alert(record['flow_id'] - 7000000000))
        self.assertEqual({headers['millrace-sensor'] for _, headers, _ in rows}, {'site-7'})
        self.assertEqual([record for _, _, record in cluster.read('ot.flow')], [flow(7)])

    def test_tls(self):
        """The brokers' CA and name are checked, and the sensor shows its certificate."""
        subprocess.run([os.path.join(ROOT, 'scripts/pki'), self.path('pki'), 'sensor'], check=True)
        subprocess.run([os.path.join(ROOT, 'scripts/pki'), self.path('other'), 'sensor'], check=True)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=self.path('pki/ca.pem'))
        context.load_cert_chain(self.path('pki/aggregator.pem'), self.path('pki/aggregator.key'))
        context.verify_mode = ssl.CERT_REQUIRED
        server = socket.create_server(('0.0.0.0', 0))
        names = []

        def serve():
            while True:
                try:
                    with context.wrap_socket(server.accept()[0], server_side=True) as connection:
                        names.append(dict(row[0] for row in connection.getpeercert()['subject'])['commonName'])
                except ssl.SSLError:
                    pass
                except OSError:
                    return
        threading.Thread(target=serve, daemon=True).start()
        for host, ca, error in (('localhost', 'other', 'certificate verify failed'), ('127.0.0.2', 'pki', 'certificate verify failed'),
                                ('localhost', 'pki', '')):
            keys = settings(self.path, f'{host}:{server.getsockname()[1]}', security='tls', ca=self.path(f'{ca}/ca.pem'),
                            cert=self.path('pki/sensor.pem'), key_file=self.path('pki/sensor.key'))
            with Feed(self.dir, outputs__kafka__drain_ms='0', **keys) as feed:
                feed.write('alert', alert(1))
                feed.command('flush')
                if error:
                    self.assertTrue(wait_for(lambda: error in feed.status()['kafka']['last_error'], 30), feed.status())
                    self.assertEqual(names, [])
                else:
                    self.assertTrue(wait_for(lambda: 'sensor' in names, 30), feed.status())
        server.close()


@unittest.skipUnless(shutil.which('kcat') and shutil.which('rsyslogd'), 'no kcat or rsyslogd')
class AllAtOnce(SinkTest):
    def test_one_is_dead_and_one_is_slow(self):
        """File, uplink and IPFIX have everything while Kafka's brokers are dead and syslog's receiver is slow; then these, too."""
        os.mkdir(self.path('pki'))
        uplink_test.make_pki(self.path('pki'))
        aggregator = Aggregator(self.path('pki')).start()
        self.addCleanup(aggregator.stop)
        cluster = Cluster(1)
        self.addCleanup(cluster.close)
        cluster.freeze()
        slow = socket.create_server(('127.0.0.1', 0), backlog=1)
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        flows = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        flows.bind(('127.0.0.1', 0))
        count, taken, hurry = 2000, [], threading.Event()

        def read_slowly():
            connection, _ = slow.accept()
            while data := connection.recv(2048):
                taken.append(data)
                hurry.wait(0.05)
        threading.Thread(target=read_slowly, daemon=True).start()
        pki = self.path('pki')
        keys = dict(settings(self.path, cluster.brokers), uplink__enabled='yes', uplink__url=f'https://localhost:{aggregator.port}',
                    uplink__cert=f'{pki}/sensor.pem', uplink__key=f'{pki}/sensor.key', uplink__ca=f'{pki}/ca.pem', spool__path=self.path('spool'),
                    outputs__syslog__enabled='yes', outputs__syslog__url=f'tcp://127.0.0.1:{slow.getsockname()[1]}',
                    outputs__syslog__spool=self.path('spool-syslog'), outputs__syslog__lanes='[flow]',
                    outputs__ipfix__enabled='yes', outputs__ipfix__url=f'udp://127.0.0.1:{flows.getsockname()[1]}',
                    outputs__ipfix__spool=self.path('spool-ipfix'), outputs__ipfix__domain='77')
        with Feed(self.dir, **keys) as feed:
            began = time.monotonic()
            feed.write('flow', *(flow(i, note='x' * 6000) for i in range(count)))
            feed.command('flush')
            self.assertTrue(wait_for(lambda: len(aggregator.lane('flow').records) == count, 60))
            self.assertTrue(wait_for(lambda: feed.status()['counters']['sink.ipfix.sent'] == count, 60))
            status = feed.status()
            took = time.monotonic() - began
            self.assertLess(took, 60)
            self.assertEqual(status['counters']['sink.file.lines'], count)
            self.assertEqual(status['ipfix']['waiting'], 0)
            self.assertEqual(status['kafka']['waiting'], count)
            self.assertGreater(status['syslog']['waiting'], count // 2)
            # Each is where its own receiver is.
            hurry.set()
            cluster.go_on()
            self.assertEqual(feed.command('drain 60000'), 'drained')
            counters = feed.status()['counters']
        self.assertEqual([counters[f'sink.{name}.lost'] for name in ('kafka', 'syslog', 'ipfix')], [0, 0, 0])
        self.assertEqual(sorted(record['flow_id'] for _, _, record in cluster.read('millrace')), list(range(count)))
        self.assertTrue(wait_for(lambda: b''.join(taken).count(b'"event_type": "flow"') == count, 60))
        flows.close()
        slow.close()


if __name__ == '__main__':
    if len(sys.argv) > 2:
        unittest.main(argv=[sys.argv[0], *sys.argv[2:]], verbosity=2, warnings='ignore')
    parallel.main([__file__, FEED])
