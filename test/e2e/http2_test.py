#!/usr/bin/env python3
"""HTTP/2 at the real aggregator: the same answers as by HTTP/1.1, a sensor's batches on one connection, peers that mean harm.

usage: test/e2e/http2_test.py [BUILD_DIR]     (default: build-test, else build)

All of aggregator_test.py and api_test.py goes over it as well, with MILLRACE_HTTP=2.
"""
import http.client
import os
import signal
import socket
import struct
import tempfile
import time
import unittest

import aggregator_test
import uplink_test
from aggregator_test import EPOCH, Case, digest, event, http2, ndjson, zstd

CONNECTIONS = (http.client.HTTPSConnection, http2.Connection)


class Http2(Case):
    def counter(self, name):
        return self.aggregator.get('/v1/counters')[1]['aggregator']['ingest.' + name]

    def until(self, name, want):
        end = time.monotonic() + 10
        while self.counter(name) < want:
            self.assertLess(time.monotonic(), end, name)
            time.sleep(0.05)

    def connect(self, kind=http2.Connection, sensor='plant-1'):
        connection = kind('localhost', int(self.aggregator.port), context=self.aggregator.tls(sensor), timeout=20)
        connection.connect()
        self.addCleanup(connection.close)
        return connection


class Answers(Http2):
    settings = ('limits.body=64kb', 'limits.reorder=0')

    def test_they_are_those_of_http_1(self):
        body = zstd(ndjson([event(n) for n in range(1, 11)]))

        def batch(first, **more):
            return {'Millrace-Version': '1', 'Millrace-Sensor': 'plant-1', 'Millrace-Epoch': EPOCH, 'Millrace-Lane': 'event',
                    'Millrace-Sequence': str(first), 'Millrace-Count': '10', 'Content-Type': 'application/x-ndjson',
                    'Content-Encoding': 'zstd', 'Content-Digest': digest(body), **more}
        asked = [('POST', '/v1/records', body, batch(1)), ('POST', '/v1/records', body, batch(1)), ('POST', '/v1/records', body, batch(50)),
                 ('POST', '/v1/records', body[:-1], batch(11)), ('POST', '/v1/records', bytes(70000), batch(11)),
                 ('POST', '/v1/records', b'', {}),
                 ('POST', '/v1/records', body, batch(11, **{'Millrace-Version': '9'})), ('GET', '/v1/records', None, {}),
                 ('POST', '/v1/records', body, batch(11, **{'Millrace-Sensor': 'plant-2'})), ('POST', '/v1/check', body, batch(11))]
        answers = []
        for kind in CONNECTIONS:
            connection, got = self.connect(kind), []
            for method, path, content, headers in asked:
                connection.request(method, path, content, headers)
                answer = connection.getresponse()
                text = answer.read()
                told = {name.lower(): value for name, value in answer.headers.items()}
                self.assertTrue(told.pop('date'))
                told.pop('connection', None)
                got.append((answer.status, told, text))
            answers.append(got)
        self.assertEqual(answers[0], answers[1])
        self.assertEqual([status for status, *_ in answers[1]], [200, 200, 409, 400, 413, 400, 503, 404, 403, 200])
        self.assertEqual(answers[1][6][1]['retry-after'], '60')
        # Announced as longer than is taken: answered without it.
        connection = self.connect()
        connection.request('POST', '/v1/records', bytes(10 << 20), batch(11))
        self.assertEqual((connection.getresponse().status, connection.last.read()), (413, b'{"max_bytes":65536}\n'))

    def test_several_at_once_and_one_that_is_not_read(self):
        token = {'Authorization': f'Bearer {self.aggregator.token}'}
        self.assertEqual(self.post(1, [event(n, text='x' * 800) for n in range(1, 51)])[0], 200)
        connection = http2.Connection('localhost', int(self.aggregator.api_port), context=self.aggregator.tls(None), timeout=20)
        connection.connect()
        self.addCleanup(connection.close)
        answers = []
        for path in ('/v1/export', '/v1/sensors', '/v1/nothing', '/v1/export'):
            connection.request('GET', path, headers=token)
            answers.append(connection.last)
        texts = [answer.read() for answer in answers[::-1]][::-1]
        self.assertEqual([answer.status for answer in answers], [200, 200, 404, 200])
        self.assertEqual(texts[0], texts[3])
        self.assertEqual(texts[0].count(b'\n'), 50)


class Harm(Http2):
    def flood(self, connection, data):
        """Sends it as far as it is taken, until the other end hangs up."""
        try:
            connection.sock.sendall(data)
            while connection.sock.recv(65536):
                pass
        except TimeoutError:
            raise
        except OSError:
            pass

    def test_floods_are_cut_and_the_others_go_on(self):
        good = self.connect()
        floods = {'ping': http2.frame(http2.PING, payload=bytes(8)), 'settings': http2.frame(http2.SETTINGS),
                  'empty data': http2.frame(http2.DATA, 0, 1), 'unknown': http2.frame(0xbb, payload=bytes(8))}
        for n, (name, frame) in enumerate(floods.items(), 1):
            bad = self.connect()
            bad.begin('POST', '/v1/records')
            self.flood(bad, frame * 50000)
            self.until('flood_cut', n)
            self.assertEqual(self.post(n, [event(n)], connection=good), (200, {'acked': n}))
        # Rapid reset.
        bad = self.connect()
        fields = http2.pack([(':method', 'POST'), (':path', '/v1/records'), (':scheme', 'https'), (':authority', 'x')])
        self.flood(bad, b''.join(
            http2.frame(http2.HEADERS, http2.END_HEADERS | http2.END_STREAM, stream, fields) +
            http2.frame(http2.RST_STREAM, 0, stream, struct.pack('!I', 8)) for stream in range(1, 10000, 2)))
        self.until('flood_cut', 5)
        bad = self.connect()
        bad.sock.sendall(http2.frame(http2.HEADERS, http2.END_HEADERS, 1, b'\xff\xff\xff\xff\xff'))
        self.until('broken_cut', 1)
        self.assertEqual(self.post(5, [event(5)], connection=good), (200, {'acked': 5}))

    def test_peers_that_are_gone_while_they_are_answered(self):
        """Writing to them is a broken pipe: of questions, of an export and of batches, ended and reset."""
        self.assertEqual(self.post(1, [event(n, text='x' * 900) for n in range(1, 2001)])[0], 200)
        body = zstd(ndjson([event(2001)]))
        batch = {'Millrace-Version': '1', 'Millrace-Sensor': 'plant-1', 'Millrace-Epoch': EPOCH, 'Millrace-Lane': 'event',
                 'Millrace-Sequence': '2001', 'Millrace-Count': '1', 'Content-Type': 'application/x-ndjson', 'Content-Encoding': 'zstd',
                 'Content-Digest': digest(body)}
        asks = [('api_port', 'GET', path, None, {'Authorization': f'Bearer {self.aggregator.token}'}) for path in
                ('/v1/events?limit=1000', '/v1/export', '/v1/alerts/live')]
        for turn in range(40):
            for port, method, path, content, headers in (*asks, ('port', 'POST', '/v1/records', body, batch)):
                connection = http2.Connection('localhost', int(getattr(self.aggregator, port)), timeout=20,
                                              context=self.aggregator.tls('plant-1' if port == 'port' else None))
                connection.connect()
                # The windows are wide, so that there is something to write.
                connection.sock.sendall(http2.frame(http2.SETTINGS, payload=struct.pack('!HI', 4, 1 << 30)) +
                                        http2.frame(http2.WINDOW_UPDATE, payload=struct.pack('!I', 1 << 30)))
                for _ in range(3 if content is None else 1):
                    connection.request(method, path, content, headers)
                if turn % 4 == 1:
                    connection.getresponse()
                if turn % 2:
                    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
                connection.close()
        self.assertIsNone(self.aggregator.process.poll())
        self.assertEqual(self.post(2001, [event(2001)]), (200, {'acked': 2001}))
        self.assertEqual(self.aggregator.stop(), 0)

    def test_it_says_when_it_stops(self):
        connection = self.connect()
        self.assertEqual(self.post(1, [event(1)], connection=connection), (200, {'acked': 1}))
        self.aggregator.process.send_signal(signal.SIGTERM)
        while connection.goaway is None:
            connection.take_frame()
        self.assertEqual(connection.goaway, 0)
        self.assertEqual(self.aggregator.process.wait(20), 0)


class Delivery(Http2):
    def deliver(self):
        with tempfile.TemporaryDirectory(prefix='http2_test.') as work:
            uplink_test.FEED = os.path.join(aggregator_test.BUILD, 'lib/sink/uplink_feed')
            feed = uplink_test.Feed(work, self.aggregator.port, **{
                'uplink__cert': f'{self.aggregator.pki}/plant-1.pem', 'uplink__key': f'{self.aggregator.pki}/plant-1.key',
                'uplink__ca': f'{self.aggregator.pki}/ca.pem', 'uplink__window': 6, 'uplink__batch-records': 50})
            feed.put('event', 1, 50)
            self.assertTrue(feed.drain(), feed.status())
            # Nothing is answered for a while, so that as many batches as may be are in flight: one of the window is kept for alerts.
            self.aggregator.process.send_signal(signal.SIGSTOP)
            try:
                feed.put('event', 51, 1000)
                end = time.monotonic() + 10
                while feed.status()['uplink']['in_flight'] < 5:
                    self.assertLess(time.monotonic(), end, feed.status())
                    time.sleep(0.02)
            finally:
                self.aggregator.process.send_signal(signal.SIGCONT)
            self.assertTrue(feed.drain(), feed.status())
            self.assertEqual(feed.close(), 0)
        self.assertEqual(self.numbers(), list(range(1, 1051)))


class Sensor(Delivery):
    settings = ('limits.reorder=1000', 'limits.sensor-connections=2')

    def test_its_batches_in_flight_share_a_connection(self):
        self.deliver()
        self.assertEqual((self.counter('http2'), self.counter('crowded_cut')), (1, 0))


class FallBack(Delivery):
    settings = ('limits.reorder=1000', 'http2=no')

    def test_a_sensor_delivers_by_http_1(self):
        self.deliver()
        self.assertEqual(self.counter('http2'), 0)


if __name__ == '__main__':
    aggregator_test.main()
