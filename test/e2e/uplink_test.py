#!/usr/bin/env python3
"""The uplink against servers that fail in every way the record stream allows for. Usage: uplink_test.py UPLINK_FEED [unittest arguments]"""
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'harness'))
import store  # noqa: E402
from uplink_server import Aggregator, Proxy  # noqa: E402

FEED = ''
LANES = ('alert', 'asset', 'event', 'flow', 'stats')


def run(*args):
    subprocess.run(args, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def make_key(path, name):
    run('openssl', 'ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', f'{path}/{name}.key')


def make_crl(path, name, revoked, days=1):
    """A revocation list of the CA with the certificates of those names; of -1 days it has ended."""
    with open(f'{path}/{name}.index', 'w') as f:
        for leaf in revoked:
            serial = subprocess.run(['openssl', 'x509', '-in', f'{path}/{leaf}.pem', '-noout', '-serial'], capture_output=True, text=True,
                                    check=True).stdout.strip().split('=')[1]
            f.write(f'R\t490101000000Z\t200101000000Z\t{serial}\tunknown\t/CN=aggregator\n')
    with open(f'{path}/{name}.conf', 'w') as f:
        f.write(f'[ca]\ndefault_ca=d\n[d]\ndatabase={path}/{name}.index\ndefault_md=sha256\n')
    ends = ('-crl_lastupdate', '20200101000000Z', '-crl_nextupdate', '20200102000000Z') if days < 0 else ('-crldays', str(days))
    run('openssl', 'ca', '-gencrl', '-config', f'{path}/{name}.conf', '-cert', f'{path}/ca.pem', '-keyfile', f'{path}/ca.key', *ends,
        '-out', f'{path}/{name}.pem')


def make_leaf(path, name, ca, cn, alt, *dates, bits=0):
    """A certificate of two days, or of the dates that are given as arguments of openssl. bits: of an RSA key."""
    if bits:
        run('openssl', 'genrsa', '-out', f'{path}/{name}.key', str(bits))
    else:
        make_key(path, name)
    run('openssl', 'req', '-new', '-key', f'{path}/{name}.key', '-subj', f'/CN={cn}', '-out', f'{path}/{name}.csr')
    with open(f'{path}/{name}.ext', 'w') as f:
        f.write(f'subjectAltName={alt}\n')
    if not dates:
        run('openssl', 'x509', '-req', '-in', f'{path}/{name}.csr', '-CA', f'{path}/{ca}.pem', '-CAkey', f'{path}/{ca}.key',
            '-CAcreateserial', '-days', '2', '-extfile', f'{path}/{name}.ext', '-out', f'{path}/{name}.pem')
        return
    # Only the ca command of OpenSSL 3.0 can set both dates.
    open(f'{path}/index', 'w').close()
    with open(f'{path}/ca.conf', 'w') as f:
        f.write(f'[ca]\ndefault_ca=d\n[d]\ndatabase={path}/index\nnew_certs_dir={path}\nrand_serial=yes\ndefault_md=sha256\npolicy=p\n'
                '[p]\ncommonName=supplied\n')
    begin, end = dates
    run('openssl', 'ca', '-batch', '-notext', '-config', f'{path}/ca.conf', '-in', f'{path}/{name}.csr', '-cert', f'{path}/{ca}.pem', '-keyfile',
        f'{path}/{ca}.key', '-startdate', begin, '-enddate', end, '-extfile', f'{path}/{name}.ext', '-out', f'{path}/{name}.pem')


def make_ca(path, name):
    make_key(path, name)
    run('openssl', 'req', '-x509', '-new', '-key', f'{path}/{name}.key', '-subj', f'/CN={name}', '-days', '2', '-out', f'{path}/{name}.pem')


def make_pki(path):
    def leaf(*args):
        make_leaf(path, *args)

    for ca in ('ca', 'otherca'):
        make_ca(path, ca)
    leaf('server', 'ca', 'aggregator', 'DNS:localhost,DNS:aggregator.plant.test')
    leaf('othername', 'ca', 'other', 'DNS:other.test')
    leaf('sensor', 'ca', 'sensor-1', 'DNS:sensor-1')
    leaf('stranger', 'otherca', 'stranger', 'DNS:stranger')


class Feed:
    def __init__(self, work, port, host='localhost', **keys):
        pki = f'{work}/../pki'
        settings = {'outputs.eve.enabled': 'no', 'uplink.enabled': 'yes', 'uplink.url': f'https://{host}:{port}',
                    'uplink.cert': f'{pki}/sensor.pem', 'uplink.key': f'{pki}/sensor.key', 'uplink.ca': f'{pki}/ca.pem',
                    'uplink.backoff-max-ms': 400, 'spool.path': f'{work}/spool', 'spool.segment-size': '1 MiB'}
        settings.update({k.replace('__', '.', 1).replace('_', '-'): v for k, v in keys.items()})
        env = dict(os.environ, https_proxy='http://127.0.0.1:1', ALL_PROXY='http://127.0.0.1:1')
        self.log = open(f'{work}/log', 'a')
        self.process = subprocess.Popen([FEED, *(f'{k}={v}' for k, v in settings.items())], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=self.log, env=env, text=True)

    def put(self, lane, first, count, text='x', flush=True):
        for n in range(first, first + count):
            self.process.stdin.write(f'{lane} {{"lane":"{lane}","n":{n},"text":"{text}"}}\n')
        if flush:
            self.ask('!flush')

    def ask(self, text):
        self.process.stdin.write(text + '\n')
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def drain(self, ms=20000):
        return self.ask(f'!drain {ms}') == 'drained'

    def status(self):
        return json.loads(self.ask('!status'))

    def counter(self, name):
        return self.status()['counters'][name]

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        code = self.process.wait(20)
        self.log.close()
        return code

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()
        try:
            self.process.stdin.close()
        except OSError:
            pass
        self.log.close()


def numbers(lane):
    return [json.loads(lane.records[s]).get('n') for s in sorted(lane.records)]


def gaps(aggregator):
    found = []
    for line in aggregator.lane('stats').records.values():
        record = json.loads(line)
        if record.get('event_type') == 'gap':
            found.append(record['gap'])
    return found


class UplinkTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.top = tempfile.mkdtemp(prefix='uplink_test.')
        os.mkdir(f'{cls.top}/pki')
        make_pki(f'{cls.top}/pki')

    @classmethod
    def tearDownClass(cls):
        if not os.environ.get('KEEP'):
            shutil.rmtree(cls.top)

    def setUp(self):
        self.work = f'{self.top}/{self._testMethodName}'
        os.mkdir(self.work)
        self.aggregator = Aggregator(f'{self.top}/pki').start()
        self.feeds = []

    def tearDown(self):
        for feed in self.feeds:
            if feed.process.poll() is None:
                feed.kill()
        self.aggregator.stop()
        self.assertEqual(self.aggregator.wrong, [])

    def feed(self, **keys):
        feed = Feed(self.work, keys.pop('port', self.aggregator.port), **keys)
        self.feeds.append(feed)
        return feed

    def finish(self, feed):
        self.assertTrue(feed.drain(), feed.status())
        status = feed.status()
        self.assertEqual(feed.close(), 0)
        return status

    def test_all_lanes(self):
        feed = self.feed()
        for lane in LANES:
            feed.put(lane, 1, 3000)
        status = self.finish(feed)['uplink']
        for lane in LANES:
            self.assertEqual(numbers(self.aggregator.lane(lane)), list(range(1, 3001)))
            self.assertEqual(status['lanes'][lane]['acked'], 3000)
        self.assertTrue(status['connected'] and status['drained'] and status['last_error'] == '')

    def test_server_comes_late_and_goes(self):
        self.aggregator.stop()
        feed = self.feed()
        feed.put('event', 1, 500)
        self.assertFalse(feed.drain(300))
        self.assertNotEqual(feed.status()['uplink']['last_error'], '')
        self.aggregator.start()
        self.assertTrue(feed.drain())
        for step in range(3):
            self.aggregator.stop()
            feed.put('event', 501 + 500 * step, 500)
            time.sleep(0.2)
            self.aggregator.start()
        self.finish(feed)
        self.assertEqual(numbers(self.aggregator.lane('event')), list(range(1, 2001)))

    def test_lost_answers_are_stored_once(self):
        rng = random.Random(1)
        self.aggregator.after = lambda head, lines: 'drop' if rng.random() < 0.3 else None
        feed = self.feed(uplink__batch_records=50)
        for step in range(20):
            feed.put('flow', 1 + 100 * step, 100)
        self.finish(feed)
        self.assertEqual(numbers(self.aggregator.lane('flow')), list(range(1, 2001)))

    def test_overtaking_batches(self):
        rng = random.Random(2)

        def slow(head, lines):
            time.sleep(rng.random() * 0.05)
        self.aggregator.hook = slow
        feed = self.feed(uplink__batch_records=20, uplink__window=8)
        feed.put('event', 1, 2000)
        self.finish(feed)
        self.assertEqual(numbers(self.aggregator.lane('event')), list(range(1, 2001)))

    def test_too_large(self):
        self.aggregator.hook = lambda head, lines: (413, {'max_bytes': 4096}) if len(lines) > 37 else None
        feed = self.feed()
        feed.put('event', 1, 1000)
        status = self.finish(feed)
        self.assertEqual(numbers(self.aggregator.lane('event')), list(range(1, 1001)))
        self.assertGreater(status['counters']['uplink.too_large'], 0)

    def test_later(self):
        for status, headers in ((429, [('Retry-After', '1')]), (503, []), (500, []), (403, [])):
            left = [2]

            def busy(head, lines):
                left[0] -= 1
                return (status, {'error': 'busy'}, headers) if left[0] >= 0 else None
            self.aggregator.hook = busy
            feed = self.feed()
            begin = time.monotonic()
            feed.put('event', 1, 10)
            result = self.finish(feed)
            self.assertEqual(result['counters']['uplink.later'], 2)
            if headers:
                self.assertGreater(time.monotonic() - begin, 2)
        self.assertEqual(len(self.aggregator.lane('event').records), 40)

    def test_poison(self):
        self.aggregator.hook = lambda head, lines: (400, {'error': 'bad line'}) if any(b':"poison"}' in x and b'gap' not in x for x in lines) else None
        feed = self.feed()
        feed.put('event', 1, 300, flush=False)
        feed.put('event', 301, 1, 'poison', flush=False)
        feed.put('event', 302, 200, flush=False)
        feed.put('event', 502, 2, 'poison', flush=False)
        feed.put('flow', 1, 100)
        status = self.finish(feed)
        good = [n for n in range(1, 502) if n != 301]
        self.assertEqual(numbers(self.aggregator.lane('event')), good)
        self.assertEqual(numbers(self.aggregator.lane('flow')), list(range(1, 101)))
        with open(f'{self.work}/spool/quarantine.ndjson') as f:
            kept = [json.loads(line) for line in f]
        self.assertEqual([k['sequence'] for k in kept], [301, 502, 503])
        self.assertTrue(all(json.loads(k['record'])['text'] == 'poison' for k in kept))
        self.assertEqual(status['counters']['uplink.quarantined'], 3)
        lost = {n for g in gaps(self.aggregator) for n in range(g['first'], g['last'] + 1) if g['reason'] == 'poison'}
        self.assertEqual(lost, {301, 502, 503})
        # The next run goes on behind what was given up, by Skip-To, without asking.
        self.aggregator.hook = lambda head, lines: None
        before = len(gaps(self.aggregator))
        feed = self.feed()
        feed.put('event', 504, 5)
        self.finish(feed)
        self.assertEqual(numbers(self.aggregator.lane('event')), good + list(range(504, 509)))
        self.assertEqual(len(gaps(self.aggregator)), before)

    def test_quarantine_behind_half_a_line(self):
        """As a power cut leaves one: what comes next is whole."""
        self.aggregator.hook = lambda head, lines: (400, {'error': 'bad line'}) if any(b':"poison"}' in x and b'gap' not in x for x in lines) else None
        os.makedirs(f'{self.work}/spool', exist_ok=True)
        with open(f'{self.work}/spool/quarantine.ndjson', 'w') as file:
            file.write('{"lane":"ev')
        feed = self.feed()
        feed.put('event', 1, 2, 'poison')
        self.finish(feed)
        with open(f'{self.work}/spool/quarantine.ndjson') as file:
            half, *whole = file.read().splitlines()
        self.assertEqual((half, [json.loads(line)['sequence'] for line in whole]), ('{"lane":"ev', [1, 2]))

    def test_refused_gap_records(self):
        self.aggregator.hook = lambda head, lines: (422, {'error': 'no'}) if any(b'poison' in x for x in lines) else None
        feed = self.feed()
        feed.put('event', 1, 3, 'poison')
        self.finish(feed)
        with open(f'{self.work}/spool/quarantine.ndjson') as f:
            self.assertIn(len(f.readlines()), (4, 5, 6))

    def refused(self, **keys):
        feed = self.feed(**keys)
        feed.put('event', 1, 10)
        self.assertFalse(feed.drain(1000))
        status = feed.status()['uplink']
        self.assertEqual(self.aggregator.requests, [])
        self.assertFalse(status['connected'])
        self.assertNotEqual(status['last_error'], '')
        return status['last_error']

    def test_wrong_name(self):
        self.aggregator.stop()
        self.aggregator = Aggregator(f'{self.top}/pki', name='othername').start()
        self.assertIn('localhost', self.refused())

    def test_wrong_ca(self):
        self.assertIn('certificate', self.refused(uplink__ca=f'{self.top}/pki/otherca.pem'))

    def test_wrong_client(self):
        self.refused(uplink__cert=f'{self.top}/pki/stranger.pem', uplink__key=f'{self.top}/pki/stranger.key')

    def test_bad_settings(self):
        for keys in ({'uplink__sensor': 'other'}, {'uplink__ca': '/nonexistent'}, {'uplink__url': 'http://localhost:1'}):
            feed = self.feed(**keys)
            self.assertEqual(feed.process.wait(10), 1)
            feed.kill()

    def through(self, want, **keys):
        feed = self.feed(host='aggregator.plant.test', **keys)
        feed.put('event', 1, 200)
        self.finish(feed)
        self.assertEqual(numbers(self.aggregator.lane('event')), list(range(1, 201)))
        for proxy, target in want:
            self.assertIn(target, proxy.asked)

    def test_http_proxy(self):
        proxy = Proxy('connect', 'user:secret')
        with open(f'{self.work}/password', 'w') as f:
            f.write('secret\n')
        self.through([(proxy, ('aggregator.plant.test', self.aggregator.port))], uplink__proxy=f'http://127.0.0.1:{proxy.port}',
                     uplink__proxy_user='user', uplink__proxy_password_file=f'{self.work}/password')

    def test_socks_proxy(self):
        proxy = Proxy('socks5')
        self.through([(proxy, ('aggregator.plant.test', self.aggregator.port))],
                     uplink__proxy=f'socks5h://127.0.0.1:{proxy.port}')

    def test_two_proxies(self):
        first, second = Proxy('socks5'), Proxy('connect')
        self.through([(first, ('inner.proxy.test', second.port)), (second, ('aggregator.plant.test', self.aggregator.port))],
                     uplink__pre_proxy=f'socks5h://127.0.0.1:{first.port}', uplink__proxy=f'http://inner.proxy.test:{second.port}')

    @unittest.skipUnless(shutil.which('squid'), 'squid is not installed')
    def test_squid(self):
        with socket.socket() as s:
            s.bind(('127.0.0.1', 0))
            port = s.getsockname()[1]
        # Squid gives up root for a user of its own, who must reach its folder.
        folder = tempfile.mkdtemp(prefix='uplink_squid.')
        if os.geteuid() == 0:
            shutil.chown(folder, 'proxy')
        with open(f'{folder}/squid.conf', 'w') as f:
            f.write(f'http_port 127.0.0.1:{port}\nhttp_access allow all\npid_filename none\ncache deny all\n'
                    f'access_log stdio:{folder}/access\ncache_log {folder}/cache\ncoredump_dir {folder}\n'
                    'shutdown_lifetime 0 seconds\nnetdb_filename none\npinger_enable off\n')
        squid = subprocess.Popen(['squid', '-N', '-n', f'uplink{os.getpid()}', '-f', f'{folder}/squid.conf'], stderr=subprocess.DEVNULL)
        try:
            feed = self.feed(uplink__proxy=f'http://127.0.0.1:{port}')
            feed.put('event', 1, 200)
            self.finish(feed)
        finally:
            squid.terminate()
            squid.wait()
            with open(f'{folder}/access') as f:
                access = f.read()
            shutil.rmtree(folder)
        self.assertEqual(numbers(self.aggregator.lane('event')), list(range(1, 201)))
        self.assertIn(f'CONNECT localhost:{self.aggregator.port}', access)

    def test_sensor_killed(self):
        rng = random.Random(3)
        self.aggregator.delay = 0.005
        n = 1
        for step in range(20):
            feed = self.feed(uplink__batch_records=100)
            for _ in range(rng.randrange(1, 6)):
                feed.put('event', n, 200)
                feed.put('alert', n, 20)
                n += 200
            time.sleep(rng.random() * 0.1)
            feed.kill()
        feed = self.feed()
        self.finish(feed)
        # Everything was flushed before the kill, so nothing may be missing; the store saw no number twice.
        self.assertEqual(numbers(self.aggregator.lane('event')), list(range(1, n)))
        self.assertEqual(len(self.aggregator.lane('alert').records), (n - 1) // 10)
        self.assertEqual(len({k[1] for k in self.aggregator.lanes}), 1)

    def test_late_answer_about_a_hole(self):
        def late(head, lines):
            if head['lane'] != 'event' or late.done or head['sequence'] == 1:
                return None
            if head['sequence'] == 2:
                time.sleep(0.2)
                return None
            # Its hole is filled and acknowledged while this answer is on its way.
            late.done = True
            time.sleep(0.6)
            return 409, {'expected': 2}
        late.done = False
        self.aggregator.hook = late
        feed = self.feed(uplink__batch_records=50)
        # Until the first answer a lane has one request at a time.
        feed.put('event', 1, 1)
        self.assertTrue(feed.drain())
        feed.put('event', 2, 100)
        self.finish(feed)
        self.assertTrue(late.done)
        self.assertEqual(numbers(self.aggregator.lane('event')), list(range(1, 102)))
        self.assertEqual(gaps(self.aggregator), [])

    def test_store_forgets(self):
        feed = self.feed()
        feed.put('event', 1, 100)
        self.assertTrue(feed.drain())
        self.aggregator.lanes.clear()
        feed.put('event', 101, 50)
        self.finish(feed)
        self.assertEqual(numbers(self.aggregator.lane('event')), list(range(101, 151)))
        self.assertEqual([(g['lane'], g['first'], g['last']) for g in gaps(self.aggregator) if g['reason'] == 'not_held'],
                         [('event', 1, 100)])

    def test_old_copy_of_the_spool(self):
        feed = self.feed()
        feed.put('event', 1, 100)
        self.finish(feed)
        shutil.copytree(f'{self.work}/spool', f'{self.work}/copy')
        feed = self.feed()
        feed.put('event', 101, 100)
        self.finish(feed)
        shutil.rmtree(f'{self.work}/spool')
        os.rename(f'{self.work}/copy', f'{self.work}/spool')
        feed = self.feed()
        feed.put('event', 201, 50)
        self.finish(feed)
        self.assertEqual(len({k[1] for k in self.aggregator.lanes}), 2)
        stored = [n for k, lane in self.aggregator.lanes.items() if k[2] == 'event' for n in numbers(lane)]
        self.assertEqual(sorted(stored), list(range(1, 251)))
        # The first batch of the copy still came under the old epoch's numbers; the answer to it is what told.
        self.aggregator.wrong.clear()

    def test_full_spool(self):
        self.aggregator.stop()
        feed = self.feed(spool__size='16 MiB')
        feed.put('alert', 1, 100)
        for step in range(60):
            feed.put('flow', 1 + 2000 * step, 2000, 'y' * 200)
        self.assertGreater(feed.counter('spool.evicted_records'), 0)
        self.aggregator.start()
        status = self.finish(feed)
        self.assertEqual(numbers(self.aggregator.lane('alert')), list(range(1, 101)))
        flow = self.aggregator.lane('flow')
        seen = set(numbers(flow))
        reported = {n for g in gaps(self.aggregator) if g['lane'] == 'flow' for n in range(g['first'], g['last'] + 1)}
        self.assertEqual(seen | reported, set(range(1, 120001)))
        self.assertEqual(len(seen) + sum(b - a + 1 for a, b in flow.lost), 120000)
        self.assertEqual(status['counters']['spool.corrupt_records'], 0)

    def test_alerts_overtake(self):
        self.aggregator.delay = 0.05
        feed = self.feed(uplink__batch_records=100)
        feed.put('flow', 1, 5000)
        feed.put('event', 1, 5000)
        time.sleep(0.3)
        before = len(self.aggregator.requests)
        feed.put('alert', 1, 1)
        while not self.aggregator.lane('alert').records:
            time.sleep(0.005)
        behind = [r['lane'] for r in self.aggregator.requests[before:]]
        self.assertLess(behind.index('alert'), 8)
        self.aggregator.delay = 0
        self.finish(feed)

    def test_writer_never_waits(self):
        self.aggregator.delay = 0.2
        feed = self.feed()
        begin = time.monotonic()
        for step in range(50):
            feed.put('event', 1 + step * 10, 10)
        self.assertLess(time.monotonic() - begin, 2)
        self.aggregator.delay = 0
        self.finish(feed)


REAL = ''


class RealAggregatorTest(unittest.TestCase):
    """Both sides killed at any moment: what was flushed arrives, once."""

    def setUp(self):
        if not os.path.exists(REAL):
            self.skipTest(f'no {REAL}')
        self.top = tempfile.mkdtemp(prefix='uplink_test.')
        self.work = f'{self.top}/work'
        os.mkdir(f'{self.top}/pki')
        os.mkdir(self.work)
        make_pki(f'{self.top}/pki')
        with socket.socket() as a, socket.socket() as b:
            a.bind(('127.0.0.1', 0))
            b.bind(('127.0.0.1', 0))
            self.port, api = a.getsockname()[1], b.getsockname()[1]
        with open(f'{self.work}/token', 'w') as f:
            f.write('0123456789abcdef0123456789abcdef\n')
        with open(f'{self.work}/aggregator.yaml', 'w') as f:
            f.write(f'listen: 127.0.0.1:{self.port}\ntls:\n  cert: {self.top}/pki/server.pem\n  key: {self.top}/pki/server.key\n'
                    f'  ca: {self.top}/pki/ca.pem\napi:\n  listen: 127.0.0.1:{api}\n  token-file: {self.work}/token\n'
                    f'store:\n  path: {self.work}/store.db\n')
        self.processes = []

    def tearDown(self):
        for process in self.processes:
            process.kill()
            process.wait()
        shutil.rmtree(self.top, ignore_errors=True)

    def aggregator(self):
        with open(f'{self.work}/aggregator.log', 'a') as log:
            process = subprocess.Popen([REAL, 'run', '-c', f'{self.work}/aggregator.yaml', '--ready-file', f'{self.work}/ready'], stdout=log,
                                       stderr=log)
        self.processes.append(process)
        return process

    def feed(self):
        feed = Feed(self.work, self.port, uplink__batch_records=200)
        self.processes.append(feed.process)
        return feed

    def test_kills(self):
        rng = random.Random(4)
        aggregator, feed, n = self.aggregator(), self.feed(), 0
        for step in range(20):
            for _ in range(rng.randrange(1, 5)):
                for _ in range(300):
                    n += 1
                    second = f'2026-01-01T00:00:{n % 60:02}.000000+0000'
                    lane = ('alert', 'event', 'flow')[n % 3]
                    feed.process.stdin.write(f'{lane} {{"timestamp":"{second}","event_type":"{lane}","n":{n}}}\n')
                feed.ask('!flush')
            time.sleep(rng.random() * 0.2)
            what = rng.randrange(3)
            if what != 0:
                feed.kill()
                feed = self.feed()
            if what != 1:
                aggregator.kill()
                aggregator.wait()
                if os.path.exists(f'{self.work}/ready'):
                    os.unlink(f'{self.work}/ready')
                aggregator = self.aggregator()
        self.assertTrue(feed.drain(60000), feed.status())
        feed.close()
        # It may have been started this moment, with nothing left to take: it must be there to end well.
        end = time.monotonic() + 20
        while not os.path.exists(f'{self.work}/ready') and time.monotonic() < end:
            time.sleep(0.02)
        aggregator.terminate()
        self.assertEqual(aggregator.wait(20), 0)
        stored = [json.loads(line)['n'] for *_, line in store.records(f'{self.work}/store.db')]
        self.assertEqual(sorted(stored), list(range(1, n + 1)))


if __name__ == '__main__':
    FEED = os.path.abspath(sys.argv.pop(1))
    REAL = os.path.join(os.path.dirname(FEED), '../../app/aggregator/millrace-aggregator')
    unittest.main(verbosity=2)
