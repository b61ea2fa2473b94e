#!/usr/bin/env python3
"""The uplink's ways past real proxies, and what it says and does when they fail. Usage: ways_test.py UPLINK_FEED [unittest arguments]"""
import base64
import json
import os
import random
import shutil
import signal
import socket
import socketserver
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'harness'))
import store  # noqa: E402
from ports import free_port  # noqa: E402
import uplink_test  # noqa: E402
from stack import add_row  # noqa: E402
from proxies import Dante, FaultyProxy, Haproxy, Squid, wait_for_port  # noqa: E402
from uplink_server import Aggregator, AnyLocalhost, Proxy  # noqa: E402
from uplink_test import Feed, make_pki, numbers, run  # noqa: E402

SENSOR = ''
ROWS = os.environ.get('SOAK_ROWS')  # a file for scripts/soak
BACK_WITHIN_S = 10
HAVE_SQUID = shutil.which('squid') is not None


def put_noise(feed, lane, count, length=1000):
    """Records that do not get much smaller by compression, from number 1."""
    rng = random.Random(count)
    for n in range(1, count + 1):
        feed.put(lane, n, 1, base64.b64encode(rng.randbytes(length)).decode(), flush=n == count)


class WaysCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.top = tempfile.mkdtemp(prefix='ways_test.')
        os.chmod(cls.top, 0o755)
        cls.pki = f'{cls.top}/pki'
        os.mkdir(cls.pki)
        make_pki(cls.pki)
        uplink_test.make_leaf(cls.pki, 'weak', 'ca', 'aggregator', 'DNS:localhost', bits=1024)
        for crl, revoked, days in (('good', (), 1), ('bad', ('server',), 1), ('old', (), -1)):
            uplink_test.make_crl(cls.pki, crl, revoked, days)

    @classmethod
    def tearDownClass(cls):
        if not os.environ.get('KEEP'):
            shutil.rmtree(cls.top)

    def setUp(self):
        self.work = f'{self.top}/{self._testMethodName}'
        os.mkdir(self.work)
        self.aggregator = Aggregator(self.pki).start()
        self.n = 0
        with open(f'{self.work}/password', 'w') as f:
            f.write('secret\n')

    def tearDown(self):
        self.aggregator.stop()
        self.assertEqual(self.aggregator.wrong, [])

    def use(self, thing):
        self.addCleanup(thing.close)
        return thing

    def feed(self, *ways, port=None, host='localhost', **keys):
        if ways:
            keys['uplink__ways'] = json.dumps(ways)
        feed = Feed(self.work, port or self.aggregator.port, host, **keys)
        self.addCleanup(lambda: feed.process.poll() is None and feed.kill())
        return feed

    def put(self, feed, count=50, **keys):
        feed.put('event', self.n + 1, count, **keys)
        self.n += count

    def arrives(self, feed, count=50, seconds=20):
        """What is put now arrives, in order and once."""
        self.put(feed, count)
        self.assertTrue(feed.drain(seconds * 1000), feed.status())
        self.assertEqual(numbers(self.aggregator.lane('event')), list(range(1, self.n + 1)))

    def error(self, feed, want, seconds=15):
        """Waits for an error of that name."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            error = feed.status()['uplink']['last_error']
            if error.startswith(want + ':'):
                return error
            time.sleep(0.05)
        self.fail(f'"{error}" is no {want}')

    def until(self, what, seconds=15):
        end = time.monotonic() + seconds
        while not what():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.02)

    def good_end(self, feed):
        self.assertEqual(feed.close(), 0)


class Limits(WaysCase):
    def test_bandwidth(self):
        feed = self.feed(uplink__bandwidth='[64 KiB]')
        self.arrives(feed, 1)
        before, begin = feed.counter('uplink.sent_bytes'), time.monotonic()
        put_noise(feed, 'flow', 300)
        self.assertTrue(feed.drain(30000))
        took, sent = time.monotonic() - begin, feed.counter('uplink.sent_bytes') - before
        self.assertGreater(sent, 200000)
        # The bucket holds a quarter of a second at first.
        self.assertLess(sent / (took + 0.3), 66000)
        self.assertGreater(sent / took, 40000)
        self.assertEqual(feed.counter('uplink.rate'), 65536)
        self.good_end(feed)

    def test_alerts_on_a_thin_line(self):
        feed = self.feed(uplink__bandwidth='[16 KiB]')
        put_noise(feed, 'flow', 500)
        time.sleep(1)
        feed.put('alert', 1, 1)
        begin = time.monotonic()
        self.until(lambda: self.aggregator.lane('alert').records)
        self.assertLess(time.monotonic() - begin, 6)
        self.assertLess(len(self.aggregator.lane('flow').records), 400)
        feed.kill()

    def test_metered(self):
        feed = self.feed(uplink__metered='yes')
        feed.put('event', 1, 10)
        feed.put('alert', 1, 10)
        self.until(lambda: len(self.aggregator.lane('alert').records) == 10)
        time.sleep(0.3)
        self.assertEqual(self.aggregator.lane('event').records, {})
        status = feed.status()['uplink']
        self.assertTrue(status['metered'])
        self.assertEqual(status['lanes']['event']['appended'] - status['lanes']['event']['acked'], 10)
        feed.kill()
        # What was held back goes when the line is no longer metered.
        self.n = 10
        feed = self.feed()
        self.arrives(feed)
        self.good_end(feed)


    def test_a_costly_way_after_a_free_one(self):
        """Each way has its own bound and lanes: all goes by the free one, alerts alone and slowly by the other."""
        proxy = self.use(FaultyProxy())
        feed = self.feed({'name': 'fibre', 'hops': f'http://127.0.0.1:{proxy.port}', 'bandwidth': []},
                         {'name': 'lte', 'metered': 'yes', 'bandwidth': ['00:00-24:00 64 KiB', '1mbit']},
                         uplink__bandwidth='[8 KiB]', uplink__failback_s=1)
        begin = time.monotonic()
        put_noise(feed, 'flow', 300)
        self.arrives(feed)
        self.assertLess(time.monotonic() - begin, 3)
        self.assertEqual(feed.counter('uplink.rate'), 0)
        proxy.mode = '403'
        self.aggregator.server.drop_all()
        feed.put('alert', 1, 1)
        self.until(lambda: self.aggregator.lane('alert').records)
        self.assertEqual((feed.status()['uplink']['way'], feed.counter('uplink.rate')), ('lte', 65536))
        self.put(feed)
        begin, before = time.monotonic(), feed.counter('uplink.sent_bytes')
        rng = random.Random(2)
        for n in range(2, 102):
            feed.put('alert', n, 1, base64.b64encode(rng.randbytes(1000)).decode(), flush=n == 101)
        self.until(lambda: len(self.aggregator.lane('alert').records) == 101)
        took, sent = time.monotonic() - begin, feed.counter('uplink.sent_bytes') - before
        self.assertGreater(sent, 90000)
        self.assertLess(sent / (took + 0.3), 66000)
        self.assertEqual(len(self.aggregator.lane('event').records), 50)
        proxy.mode = 'good'
        self.until(lambda: feed.status()['uplink']['way'] == 'fibre')
        self.arrives(feed, seconds=BACK_WITHIN_S)
        self.assertEqual(feed.counter('uplink.rate'), 0)
        self.good_end(feed)


class Identity(WaysCase):
    def test_pin(self):
        der = subprocess.run(f'openssl x509 -in {self.pki}/server.pem -noout -pubkey | openssl pkey -pubin -outform der'
                             ' | openssl dgst -sha256 -binary', shell=True, capture_output=True, check=True).stdout
        good = 'sha256//' + base64.b64encode(der).decode()
        bad = 'sha256//' + base64.b64encode(bytes(32)).decode()
        feed = self.feed(uplink__pin=f'"{bad};{good}"')
        self.arrives(feed)
        self.good_end(feed)
        feed = self.feed(uplink__pin=f'"{bad}"')
        self.put(feed)
        self.error(feed, 'tls-pin')
        feed.kill()

    def test_inspecting_proxy(self):
        # As seen from the sensor: what answers on the way has a certificate of another CA.
        uplink_test.make_leaf(self.pki, 'inspector', 'otherca', 'inspector', 'DNS:localhost')
        self.aggregator.stop()
        self.aggregator = Aggregator(self.pki, name='inspector').start()
        feed = self.feed('direct')
        self.put(feed)
        self.error(feed, 'tls-unknown-ca')
        feed.kill()
        feed = self.feed({'inspect-ca': f'{self.pki}/otherca.pem'})
        self.arrives(feed)
        self.good_end(feed)

    def test_warnings_before_the_end(self):
        uplink_test.make_key(self.pki, 'longca')
        run('openssl', 'req', '-x509', '-new', '-key', f'{self.pki}/longca.key', '-subj', '/CN=longca', '-days', '3650', '-out', f'{self.pki}/longca.pem')
        for days, warnings, text in ((90, 0, ''), (20, 1, 'less than 30 days'), (5, 1, 'less than 7 days'), (1, 1, 'less than 1 day)'), (0, 1, 'has expired')):
            name = f'days{days}'
            end = time.strftime('%y%m%d%H%M%SZ', time.gmtime(time.time() + days * 86400 - 60))
            uplink_test.make_leaf(self.pki, name, 'longca', 'sensor-1', 'DNS:sensor-1', '200101000000Z', end)
            feed = self.feed(uplink__cert=f'{self.pki}/{name}.pem', uplink__key=f'{self.pki}/{name}.key', uplink__ca=f'{self.pki}/longca.pem')
            want = (warnings, max(0, days - 1))
            self.until(lambda: (feed.counter('uplink.cert_warnings'), feed.counter('uplink.cert_days_left')) == want)
            feed.kill()
            with open(f'{self.work}/log') as f:
                self.assertIn(text, f.read())

    def test_certificate_is_read_again(self):
        for part in ('pem', 'key'):
            shutil.copy(f'{self.pki}/sensor.{part}', f'{self.work}/own.{part}')
        feed = self.feed(uplink__cert=f'{self.work}/own.pem', uplink__key=f'{self.work}/own.key')
        self.arrives(feed)
        old = self.aggregator.serials[-1]
        shutil.copy(f'{self.pki}/sensor.pem', f'{self.pki}/before.pem')
        uplink_test.make_leaf(self.pki, 'renewed', 'ca', 'sensor-1', 'DNS:sensor-1')
        # The certificate first: for a while the key does not fit, and the old pair is used on.
        shutil.copy(f'{self.pki}/renewed.pem', f'{self.work}/new')
        os.rename(f'{self.work}/new', f'{self.work}/own.pem')
        self.until(lambda: feed.counter('uplink.cert_reloads_failed') > 0)
        self.arrives(feed)
        self.assertEqual(self.aggregator.serials[-1], old)
        shutil.copy(f'{self.pki}/renewed.key', f'{self.work}/new')
        os.rename(f'{self.work}/new', f'{self.work}/own.key')
        self.until(lambda: feed.counter('uplink.cert_reloads') > 0)
        self.arrives(feed)
        self.assertNotEqual(self.aggregator.serials[-1], old)
        # Of two days: below 7 and below 30, each file once at each start and each change.
        self.assertEqual(feed.counter('uplink.cert_warnings'), 4)
        self.assertLessEqual(feed.counter('uplink.cert_days_left'), 2)
        self.good_end(feed)


class Ways(WaysCase):
    def test_source_and_hosts(self):
        proxy = self.use(FaultyProxy())
        feed = self.feed({'hops': f'http://proxy.plant.test:{proxy.port}', 'source': '127.0.0.5'}, host='aggregator.plant.test',
                         uplink__hosts='["proxy.plant.test 127.0.0.1", "aggregator.plant.test 127.0.0.1"]')
        self.arrives(feed)
        self.assertEqual(set(proxy.peers), {'127.0.0.5'})
        self.good_end(feed)
        feed = self.feed({'source': '192.0.2.77'})
        self.put(feed)
        self.error(feed, 'source')
        feed.kill()
        feed = self.feed({'interface': 'nosuch0'})
        self.put(feed)
        self.error(feed, 'source')
        feed.kill()

    @unittest.skipUnless(HAVE_SQUID, 'squid is not installed')
    def test_squid_with_passwords(self):
        for auth in ('basic', 'digest'):
            squid = self.use(Squid(auth).start())
            hop = {'url': f'http://127.0.0.1:{squid.port}', 'user': 'user', 'password-file': f'{self.work}/password'}
            for ask in ('any', auth):
                feed = self.feed({'hops': [dict(hop, auth=ask)]})
                self.arrives(feed)
                self.good_end(feed)
            feed = self.feed({'hops': [dict(hop, **{'password-file': '/dev/null'})]})
            self.put(feed)
            self.error(feed, 'proxy-auth')
            # The password is read at each connection: it may be mended in place.
            feed.kill()
            with open(f'{self.work}/late', 'w') as f:
                f.write('wrong\n')
            feed = self.feed({'hops': [dict(hop, **{'password-file': f'{self.work}/late'})]})
            self.put(feed)
            self.error(feed, 'proxy-auth')
            with open(f'{self.work}/late', 'w') as f:
                f.write('secret\n')
            self.arrives(feed)
            self.good_end(feed)
            self.assertIn(' user ', squid.access())
            squid.kill()

    @unittest.skipUnless(HAVE_SQUID and shutil.which('haproxy'), 'squid or haproxy is not installed')
    def test_three_squids_and_haproxy(self):
        balancer = self.use(Haproxy(self.aggregator.port).start())
        third = self.use(Squid().start())
        second = self.use(Squid(parent=third).start())
        first = self.use(Squid(parent=second).start())
        feed = self.feed(f'http://127.0.0.1:{first.port}', port=balancer.port)
        self.arrives(feed, 2000)
        # Any of them may die at any moment.
        for squid in (third, first, second):
            squid.kill()
            self.put(feed)
            self.error(feed, 'proxy-gateway' if squid is not first else 'tcp-refused')
            squid.start()
            self.arrives(feed, seconds=BACK_WITHIN_S)
        self.good_end(feed)
        # Squid logs a tunnel when it ends.
        for squid in (first, second, third):
            self.until(lambda: f'CONNECT localhost:{balancer.port}' in squid.access())

    @unittest.skipUnless(HAVE_SQUID and shutil.which('danted'), 'squid or danted is not installed')
    def test_chain_walked_by_the_sensor(self):
        socks = self.use(Dante().start())
        squid = self.use(Squid('digest').start())
        inner = self.use(FaultyProxy())
        feed = self.feed({'hops': [
            f'http://127.0.0.1:{inner.port}',
            {'url': f'http://127.0.0.1:{squid.port}', 'user': 'user', 'password-file': f'{self.work}/password'},
            f'socks5h://127.0.0.1:{socks.port}']})
        self.arrives(feed, 500)
        self.assertIn(f'CONNECT 127.0.0.1:{socks.port}', squid.access())
        self.good_end(feed)
        # CONNECT through CONNECT through CONNECT.
        first, second = Proxy('connect'), Proxy('connect')
        feed = self.feed(f'http://127.0.0.1:{first.port} http://second.test:{second.port} http://third.test:{inner.port}')
        self.arrives(feed, 500)
        self.assertIn(('second.test', second.port), first.asked)
        self.assertIn(('third.test', inner.port), second.asked)
        self.good_end(feed)

    @unittest.skipUnless(HAVE_SQUID, 'squid is not installed')
    def test_https_proxies_one_in_the_other(self):
        uplink_test.make_leaf(self.pki, 'proxy', 'otherca', 'proxy', 'DNS:proxy.test,IP:127.0.0.1')
        squids = [self.use(Squid(tls=f'{self.pki}/proxy').start()) for _ in range(2)]
        hops = [{'url': f'https://127.0.0.1:{squid.port}', 'ca': f'{self.pki}/otherca.pem'} for squid in squids]
        feed = self.feed({'hops': hops})
        self.arrives(feed, 2000)
        self.good_end(feed)
        feed = self.feed({'hops': [f'https://127.0.0.1:{squids[0].port}']})
        self.put(feed)
        self.assertIn('127.0.0.1', self.error(feed, 'tls-unknown-ca'))
        feed.kill()

    @unittest.skipUnless(shutil.which('danted'), 'danted is not installed')
    def test_socks_server(self):
        socks = self.use(Dante().start())
        for scheme in ('socks5', 'socks5h'):
            feed = self.feed(f'{scheme}://127.0.0.1:{socks.port}')
            self.arrives(feed, 500)
            self.good_end(feed)

    @unittest.skipUnless(shutil.which('nghttpx'), 'nghttpx is not installed')
    def test_http2(self):
        plain = Aggregator(self.pki, plain=True).start()
        self.addCleanup(plain.stop)
        port = free_port()
        proxy = subprocess.Popen(['nghttpx', f'-f127.0.0.1,{port}', f'-b127.0.0.1,{plain.port}', '--verify-client',
                                  f'--verify-client-cacert={self.pki}/ca.pem', '--log-level=ERROR', '--conf=/dev/null', '--no-ocsp', '--workers=1',
                                  f'--accesslog-file={self.work}/access', '--accesslog-format=$alpn $http_host',
                                  f'{self.pki}/server.key', f'{self.pki}/server.pem'], cwd=self.work)
        self.addCleanup(proxy.wait)
        self.addCleanup(proxy.kill)
        time.sleep(0.5)
        feed = self.feed(port=port)
        for lane in uplink_test.LANES:
            feed.put(lane, 1, 2000)
        self.assertTrue(feed.drain(20000), feed.status())
        for lane in uplink_test.LANES:
            self.assertEqual(numbers(plain.lane(lane)), list(range(1, 2001)))
        self.good_end(feed)
        with open(f'{self.work}/access') as f:
            self.assertEqual({line.split(' ')[0] for line in f}, {'h2'})

    @unittest.skipUnless(HAVE_SQUID, 'squid is not installed')
    def test_failover_and_failback(self):
        first, second = self.use(Squid().start()), self.use(Squid().start())
        feed = self.feed({'name': 'first', 'hops': f'http://127.0.0.1:{first.port}'},
                         {'name': 'second', 'hops': f'http://127.0.0.1:{second.port}', 'metered': 'no'}, uplink__failback_s=1)
        self.arrives(feed)
        self.assertEqual(feed.status()['uplink']['way'], 'first')
        for _ in range(2):
            first.kill()
            self.arrives(feed, seconds=BACK_WITHIN_S)
            self.assertEqual(feed.status()['uplink']['way'], 'second')
            first.start()
            self.until(lambda: feed.status()['uplink']['way'] == 'first')
            self.arrives(feed, seconds=BACK_WITHIN_S)
        counters = feed.status()['counters']
        self.assertEqual((counters['uplink.failovers'], counters['uplink.failbacks'], counters['uplink.way']), (2, 2, 1))
        self.assertEqual(counters['uplink.way_changes'], 4)
        # None works: each is tried in turn, and the first that is back is taken.
        first.kill()
        second.kill()
        self.put(feed)
        self.until(lambda: feed.counter('uplink.way_changes') > 6)
        second.start()
        self.arrives(feed, seconds=BACK_WITHIN_S)
        self.assertEqual(feed.status()['uplink']['way'], 'second')
        self.good_end(feed)
        with open(f'{self.work}/log') as f:
            log = f.read()
        self.assertIn('way "first" failed 2 times, taking way "second"', log)
        self.assertIn('way "first" works again, leaving way "second"', log)


class Faults(WaysCase):
    """Each ends in an error of its name, nothing is lost, and service is back within 10 s of the fault's end."""

    def setUp(self):
        super().setUp()
        self.said = 0

    def back(self, feed, name):
        """The fault is over: all that was put is there, once and in order. For scripts/soak a row is written."""
        ended = time.monotonic()
        self.arrives(feed, seconds=BACK_WITHIN_S)
        add_row(ROWS, fault=name, rounds=1, records=self.n - self.said, reported=0, losses=0, duplicates=0, faults=0,
                back_s=round(time.monotonic() - ended, 1))
        self.said = self.n

    def fault(self, feed, want, begin, end, name):
        begin()
        self.put(feed)
        error = self.error(feed, want)
        end()
        self.back(feed, name)
        return error

    def test_proxy(self):
        proxy = self.use(FaultyProxy())
        feed = self.feed(f'http://127.0.0.1:{proxy.port}', uplink__connect_timeout_ms=500, uplink__timeout_ms=1000)
        self.arrives(feed)

        def mode(name):
            proxy.mode = name
            # Connections that exist are of the good times.
            self.aggregator.server.drop_all()
        for name, want in (('silent', 'proxy-timeout'), ('drip', 'proxy-timeout'), ('flood', 'proxy-garbage'), ('407', 'proxy-auth'),
                           ('403', 'proxy-denied'), ('502', 'proxy-gateway'), ('html', 'proxy-garbage'), ('wrong', 'proxy-garbage'),
                           ('portal', 'proxy-status'), ('hang-up', 'proxy-closed'), ('cut', 'cut'), ('garble', 'cut')):
            with self.subTest(name):
                if name in ('cut', 'garble'):
                    mode(name)
                    proxy.cut_after = 6000
                    put_noise(feed, 'flow', 50)
                    error = self.error(feed, want)
                    mode('good')
                    self.back(feed, f'proxy: {name} amid a batch ({want})')
                else:
                    error = self.fault(feed, want, lambda: mode(name), lambda: mode('good'), f'proxy: {name} ({want})')
                self.assertNotIn('\n', error)
        self.good_end(feed)

    def test_server(self):
        uplink_test.make_leaf(self.pki, 'strange', 'otherca', 'aggregator', 'DNS:localhost')
        uplink_test.make_leaf(self.pki, 'expired', 'ca', 'aggregator', 'DNS:localhost', '200101000000Z', '200102000000Z')
        uplink_test.make_leaf(self.pki, 'future', 'ca', 'aggregator', 'DNS:localhost', '490101000000Z', '490201000000Z')
        shutil.copy(f'{self.pki}/good.pem', f'{self.pki}/crl.pem')
        feed = self.feed(uplink__connect_timeout_ms=1000, uplink__timeout_ms=1000, uplink__crl=f'{self.pki}/crl.pem')
        self.arrives(feed)

        def restart(name, **keys):
            self.aggregator.stop()
            self.aggregator.name = name
            for key, value in keys.items():
                setattr(self.aggregator, key, value)
            self.aggregator.start()
        with self.subTest('tls-revoked'):
            # The list is read again at each connection.
            self.fault(feed, 'tls-revoked', lambda: (shutil.copy(f'{self.pki}/bad.pem', f'{self.pki}/crl.pem'), restart('server')),
                       lambda: shutil.copy(f'{self.pki}/good.pem', f'{self.pki}/crl.pem'), 'server: tls-revoked')
        for name, want, keys in (('weak', 'tls-weak', {}), ('expired', 'tls-expired', {}), ('future', 'tls-not-yet', {}), ('othername', 'tls-name', {}),
                                 ('strange', 'tls-unknown-ca', {}), ('server', 'tls-version', {'version': ssl.TLSVersion.TLSv1})):
            with self.subTest(want):
                self.fault(feed, want, lambda: restart(name, **keys), lambda: restart('server', version=None), f'server: {want}')
        for answer, want in ((b'HTTP/1.1 400 Bad Request\r\n\r\n<html>', 'tls-garbage'), (b'', 'tls-closed'), (None, 'tls-timeout')):
            with self.subTest(want):
                self.aggregator.stop()
                plain = PlainServer(self.aggregator.port, answer)
                self.put(feed)
                self.error(feed, want)
                plain.close()
                self.aggregator.start()
                self.back(feed, f'server: {want}')
        with self.subTest('stalled'):
            self.aggregator.delay = 30
            self.put(feed)
            self.error(feed, 'stalled')
            self.aggregator.delay = 0
            self.back(feed, 'server: stalled')
        self.good_end(feed)

    def test_own_certificate(self):
        feed = self.feed(uplink__cert=f'{self.pki}/stranger.pem', uplink__key=f'{self.pki}/stranger.key')
        self.put(feed)
        self.error(feed, 'tls-client')
        feed.kill()


@unittest.skipUnless(HAVE_SQUID and shutil.which('haproxy'), 'squid or haproxy is not installed')
class Kills(WaysCase):
    """Everything between sensor and aggregator dies or stops at random moments, ROUNDS times (default 3): nothing is lost, nothing comes twice."""

    def test_kills(self):
        rng = random.Random(int(os.environ.get('SEED', 5)))
        balancer = self.use(Haproxy(self.aggregator.port).start())
        last = self.use(Squid().start())
        first = self.use(Squid(parent=last).start())
        walked = self.use(Squid('digest').start())
        feed = self.feed({'name': 'chained', 'hops': f'http://127.0.0.1:{first.port}'},
                         {'name': 'walked', 'hops': [{'url': f'http://127.0.0.1:{walked.port}', 'user': 'user',
                                                      'password-file': f'{self.work}/password'}, f'http://127.0.0.1:{last.port}']},
                         'direct', port=balancer.port, uplink__failback_s=1, uplink__timeout_ms=2000,
                         uplink__connect_timeout_ms=1000, uplink__batch_records=100)
        self.arrives(feed)
        sent, slowest = {lane: 0 for lane in uplink_test.LANES}, 0
        for _ in range(int(os.environ.get('ROUNDS', 3))):
            victims = rng.sample([balancer, last, first, walked], rng.randrange(1, 4))
            stopped = rng.random() < 0.3
            for victim in victims:
                if stopped:
                    os.killpg(victim.process.pid, signal.SIGSTOP)
                else:
                    victim.kill()
                self.put_everywhere(feed, sent, rng.randrange(1, 400))
                time.sleep(rng.random() * 0.5)
            if rng.random() < 0.5:
                time.sleep(2)
            for victim in victims:
                if stopped:
                    os.killpg(victim.process.pid, signal.SIGCONT)
                else:
                    victim.start()
            begin = time.monotonic()
            self.put_everywhere(feed, sent, rng.randrange(1, 400))
            self.assertTrue(feed.drain(BACK_WITHIN_S * 1000), feed.status())
            slowest = max(slowest, time.monotonic() - begin)
        for lane in uplink_test.LANES:
            got = numbers(self.aggregator.lane(lane))
            self.assertEqual(got, list(range(1, sent[lane] + (self.n if lane == 'event' else 0) + 1)))
        counters = feed.status()['counters']
        print(f'{sum(sent.values())} records, {counters["uplink.failed"]} requests failed, {counters["uplink.failovers"]} failovers, '
              f'{counters["uplink.failbacks"]} fail-backs, back after {slowest:.1f} s at most', file=sys.stderr)
        self.good_end(feed)

    def put_everywhere(self, feed, sent, count):
        for lane in uplink_test.LANES:
            feed.put(lane, sent[lane] + 1 + (self.n if lane == 'event' else 0), count, flush=False)
            sent[lane] += count
        feed.ask('!flush')


class Walk(WaysCase):
    """`uplink test` says which step failed, and what to do: for each fault its own words."""

    def walk(self, *ways, port=None, host='localhost', words=(), **keys):
        settings = {'uplink.url': f'https://{host}:{port or self.aggregator.port}', 'uplink.cert': f'{self.pki}/sensor.pem',
                    'uplink.key': f'{self.pki}/sensor.key', 'uplink.ca': f'{self.pki}/ca.pem', 'uplink.connect-timeout-ms': 1000}
        if ways:
            settings['uplink.ways'] = json.dumps(ways)
        settings.update({k.replace('__', '.', 1).replace('_', '-'): v for k, v in keys.items()})
        args = [x for k, v in settings.items() for x in ('--set', f'{k}={v}')]
        done = subprocess.run([SENSOR, 'uplink', 'test', *words, *args], capture_output=True, text=True, timeout=30)
        return done.returncode, done.stdout + done.stderr

    def fault(self, step, error, *ways, **keys):
        code, out = self.walk(*ways, **keys)
        self.assertEqual(code, 1, out)
        self.assertRegex(out, f'FAULT +{step} ')
        self.assertRegex(out, rf'\n +{error}: \S+ \S+')
        return out

    def test_a_good_way(self):
        proxies = [self.use(FaultyProxy()) for _ in range(2)]
        way = ' '.join(f'http://127.0.0.1:{proxy.port}' for proxy in proxies)
        code, out = self.walk('direct', way)
        self.assertEqual(code, 0, out)
        for step in ('own certificate', 'name', 'tcp', 'hop', 'tls', 'certificate', 'authorisation', 'test batch'):
            self.assertRegex(out, f'(ok|warn) +{step} ')
        self.assertEqual(out.count(' hop '), 2)
        self.assertEqual(self.aggregator.lanes, {})
        self.assertEqual(self.walk('direct', way, words=('direct',))[1].count(' tcp '), 1)
        self.assertEqual(self.walk('direct', words=('other',))[0], 1)

    def test_a_name_with_the_dot_of_the_root(self):
        """RFC 6066 3: it is not part of the name that TLS speaks of."""
        hosts = '["localhost. 127.0.0.1"]'
        code, out = self.walk(host='localhost.', uplink__hosts=hosts)
        self.assertEqual(code, 0, out)
        feed = self.feed(host='localhost.', uplink__hosts=hosts)
        self.arrives(feed)
        self.good_end(feed)

    def test_real_aggregator(self):
        program = os.path.join(os.path.dirname(uplink_test.FEED), '../../app/aggregator/millrace-aggregator')
        port, api = free_port(), free_port()
        with open(f'{self.work}/token', 'w') as f:
            f.write('0123456789abcdef0123456789abcdef\n')
        with open(f'{self.work}/aggregator.yaml', 'w') as f:
            f.write(f'listen: 127.0.0.1:{port}\ntls:\n  cert: {self.pki}/server.pem\n  key: {self.pki}/server.key\n  ca: {self.pki}/ca.pem\n'
                    f'api:\n  listen: 127.0.0.1:{api}\n  token-file: {self.work}/token\nstore:\n  path: {self.work}/store.db\n')
        with open(f'{self.work}/aggregator.log', 'w') as log:
            process = subprocess.Popen([program, 'run', '-c', f'{self.work}/aggregator.yaml'], stdout=log, stderr=log)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        wait_for_port(port, process)
        code, out = self.walk(port=port)
        self.assertEqual(code, 0, out)
        self.assertRegex(out, 'ok +authorisation +sensor-1\n')
        self.assertRegex(out, 'ok +test batch +checked by the aggregator, not stored')
        process.terminate()
        process.wait()
        self.assertEqual(store.records(f'{self.work}/store.db'), [])

    def test_old_aggregator(self):
        self.aggregator.check = (404, {'error': 'only POST /v1/records is served here'})
        code, out = self.walk()
        self.assertEqual(code, 0, out)
        self.assertRegex(out, 'warn +test batch .*older')

    def test_network(self):
        self.fault('name', 'name-(unknown|timeout)', host='nosuch.invalid')
        self.fault('tcp', 'tcp-refused', port=free_port())
        self.fault('tcp', 'tcp-unreachable', host='aggregator.test', uplink__hosts='["aggregator.test 255.255.255.255"]')
        self.fault('tcp', 'source', {'source': '192.0.2.77'})
        with socket.socket() as full:
            full.bind(('127.0.0.1', 0))
            full.listen(0)
            fillers = []
            for _ in range(3):
                fillers.append(socket.socket())
                fillers[-1].setblocking(False)
                fillers[-1].connect_ex(full.getsockname())
            self.fault('tcp', 'tcp-timeout', port=full.getsockname()[1])
            for filler in fillers:
                filler.close()

    def test_proxy(self):
        proxy = self.use(FaultyProxy())
        for mode, error in (('silent', 'proxy-timeout'), ('407', 'proxy-auth'), ('403', 'proxy-denied'), ('502', 'proxy-gateway'),
                            ('html', 'proxy-garbage'), ('portal', 'proxy-status'), ('hang-up', 'proxy-closed')):
            proxy.mode = mode
            out = self.fault('hop', error, f'http://127.0.0.1:{proxy.port}')
            self.assertRegex(out, 'ok +tcp ')
        self.fault('proxy tls', 'tls-garbage', {'hops': f'https://127.0.0.1:{PlainServer(0, b"no TLS here, go away", self).port}'})

    def test_tls(self):
        uplink_test.make_leaf(self.pki, 'strange', 'otherca', 'aggregator', 'DNS:localhost')
        uplink_test.make_leaf(self.pki, 'expired', 'ca', 'aggregator', 'DNS:localhost', '200101000000Z', '200102000000Z')
        self.fault('certificate', 'tls-unknown-ca', uplink__ca=f'{self.pki}/otherca.pem')
        self.fault('certificate', 'tls-pin', uplink__pin='sha256//' + base64.b64encode(bytes(32)).decode())
        self.fault('authorisation', 'tls-client', uplink__cert=f'{self.pki}/stranger.pem', uplink__key=f'{self.pki}/stranger.key')
        uplink_test.make_leaf(self.pki, 'future', 'ca', 'aggregator', 'DNS:localhost', '490101000000Z', '490201000000Z')
        for name, step, error, version in (('expired', 'certificate', 'tls-expired', None), ('future', 'certificate', 'tls-not-yet', None), ('othername', 'certificate', 'tls-name', None),
                                           ('server', 'tls', 'tls-version', ssl.TLSVersion.TLSv1),
                                           ('server', 'tls', 'tls-version', ssl.TLSVersion.TLSv1_1), ('weak', 'certificate', 'tls-weak', None)):
            other = Aggregator(self.pki, name=name)
            other.version = version
            other.start()
            self.fault(step, error, port=other.port)
            other.stop()
        for crl, error in (('bad', 'tls-revoked'), ('old', 'tls-crl'), ('ca', 'tls-crl')):
            self.fault('certificate', error, uplink__crl=f'{self.pki}/{crl}.pem')
        self.assertEqual(self.walk(uplink__crl=f'{self.pki}/good.pem')[0], 0)
        self.assertEqual(self.walk(uplink__crl=f'{self.pki}/none.pem')[0], 1)
        for answer, error in ((b'HTTP/1.1 400 Bad Request\r\n\r\n<html>', 'tls-garbage'), (b'', 'tls-closed'), (None, 'tls-timeout')):
            self.fault('tls', error, port=PlainServer(0, answer, self).port)

    def test_answers(self):
        for check, step, error in (((403, {'error': 'revoked'}), 'authorisation', 'http-denied'),
                                   ((503, {'error': 'the store failed'}), 'test batch', 'http-later'),
                                   ((400, {'error': 'no such version'}), 'test batch', 'batch-refused'),
                                   ((200, b'<html>hello</html>'), 'test batch', 'http-garbage')):
            self.aggregator.check = check
            out = self.fault(step, error)
            self.assertRegex(out, 'ok +tls ')
        for check, error in (('cut', 'cut'), ('silence', 'stalled')):
            self.aggregator.check = check
            self.fault('test batch', error, uplink__connect_timeout_ms=500)


class PlainListener(AnyLocalhost, socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False


class PlainServer:
    """Says the same to everybody, in clear."""

    def __init__(self, port, answer, case=None):
        class Handler(socketserver.BaseRequestHandler):
            def handle(handler):
                handler.request.recv(4096)
                if answer is None:
                    self.stop.wait(30)
                else:
                    handler.request.sendall(answer)
        self.stop = threading.Event()
        self.server = PlainListener((PlainListener.host, port), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.port = self.server.server_address[1]
        if case is not None:
            case.addCleanup(self.close)

    def close(self):
        self.stop.set()
        self.server.shutdown()
        self.server.server_close()


if __name__ == '__main__':
    uplink_test.FEED = os.path.abspath(sys.argv.pop(1))
    SENSOR = os.path.join(os.path.dirname(uplink_test.FEED), '../../app/sensor/millrace-sensor')
    unittest.main(verbosity=2)
