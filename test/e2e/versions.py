#!/usr/bin/env python3
"""Sensors of the two releases before, and of one to come, at today's aggregator: their bytes as they are on the wire.

usage: test/e2e/versions.py [BUILD_DIR]

streams/*.http is what the sensors of those releases said (streams/record.py). Nothing may be refused, and every record comes back from
the query API as it went in.
"""
import glob
import http.client
import json
import os
import re
import sys
import unittest

import aggregator_test
from aggregator_test import Case, digest, zstd
from stack import build_dir

HERE = os.path.dirname(os.path.abspath(__file__))
ZSTD = aggregator_test.ZSTD

# What a later release may add: keys of every kind, in known objects too, kinds of records, known keys of another kind, none at all.
LATER = [
    b'{"timestamp":"2031-01-01T00:00:01.000000+0000","event_type":"modbus","src_ip":"10.0.0.1","src_port":40000,"dest_ip":"10.1.0.1",'
    b'"dest_port":502,"proto":"TCP","app_proto":"modbus","risk":{"score":0.25,"why":["a",null,true,{"b":[]}]},'
    b'"modbus":{"request":{"function_raw":3,"later":"x"},"response":{"function_raw":3},"verdict":18446744073709551615}}',
    b'{"timestamp":"2031-01-01T00:00:02.123456789+0000","event_type":"profinet_cba","profinet_cba":{"rows":[1,2,3]},"big":9007199254740993}',
    b'{"timestamp":"2031-01-01T00:00:03Z","event_type":"flow","src_ip":["10.0.0.1"],"src_port":"40000","dest_port":-1,"proto":6,'
    b'"flow":{"pkts_toserver":"many","bytes_toserver":null}}',
    '{"event_type":"remark","text":"\\u00e9 é \\/ 1.10 1e2","order":{"z":1,"a":2}}'.encode(),
    b'{}',
]


def unpack(body):
    size = ZSTD.ZSTD_getFrameContentSize
    size.restype = aggregator_test.ctypes.c_ulonglong
    out = aggregator_test.ctypes.create_string_buffer(size(body, len(body)))
    ZSTD.ZSTD_decompress.restype = aggregator_test.ctypes.c_size_t
    assert ZSTD.ZSTD_decompress(out, aggregator_test.ctypes.c_size_t(len(out)), body,
                                aggregator_test.ctypes.c_size_t(len(body))) == len(out)
    return out.raw


def request(fields, body):
    fields = {'Host': 'localhost', 'Millrace-Version': '1', 'Millrace-Sensor': 'plant-1', 'Millrace-Epoch': '00000000000000b2',
              'Millrace-Lane': 'event', 'Millrace-Sequence': '1', 'Content-Type': 'application/x-ndjson', 'Content-Encoding': 'zstd',
              'Content-Digest': digest(body), 'Content-Length': str(len(body)), **fields}
    return ('POST /v1/records HTTP/1.1\r\n' + ''.join(f'{name}: {value}\r\n' for name, value in fields.items()) + '\r\n').encode() + body


class Versions(Case):
    def send(self, raw):
        """The bytes as they are, and the answer."""
        connection = self.aggregator.connect()
        connection.connect()
        connection.sock.sendall(raw)
        answer = http.client.HTTPResponse(connection.sock)
        answer.begin()
        body = json.loads(answer.read())
        connection.close()
        return answer.status, body, answer.headers

    def exported(self):
        """Every record's text, as the API streams it."""
        context = self.aggregator.tls(None)
        connection = http.client.HTTPSConnection('127.0.0.1', int(self.aggregator.api_port), context=context, timeout=60)
        connection.request('GET', '/v1/export', headers={'Authorization': f'Bearer {self.aggregator.token}'})
        answer = connection.getresponse()
        self.assertEqual(answer.status, 200)
        lines = answer.read().splitlines()
        connection.close()
        return lines

    def check_kept(self, lines):
        """Byte for byte in the export, and by their values in a page."""
        text = b'\n'.join(self.exported())
        for line in lines:
            self.assertIn(line, text)
        records = [row['record'] for row in self.aggregator.records('/v1/events')]
        for line in lines:
            self.assertIn(json.loads(line), records)
        self.assertEqual(len(records), len(lines))

    def test_the_releases_before(self):
        sent, releases = [], set()
        for path in sorted(glob.glob(f'{HERE}/streams/*.http')):
            with open(path, 'rb') as file:
                raw = file.read()
            head, body = raw.split(b'\r\n\r\n', 1)
            fields = dict(re.findall(r'^([\w-]+): (.*?)\r?$', head.decode(), re.M))
            last = int(fields['Millrace-Sequence']) + int(fields['Millrace-Count']) - 1
            self.assertEqual(self.send(raw)[:2], (200, {'acked': last}), path)
            # Once more, as when the answer was lost.
            self.assertEqual(self.send(raw)[:2], (200, {'acked': last}), path)
            sent += unpack(body).splitlines()
            releases.add(os.path.basename(path).rsplit('-', 2)[0])
        self.assertEqual(releases, {'n-1', 'n-2'})
        self.check_kept(sent)
        _, summary = self.aggregator.get('/v1/summary')
        self.assertEqual([row['protocol'] for row in summary['protocols']], ['modbus'] * len(summary['protocols']))
        self.assertGreater(sum(row['requests'] for row in summary['protocols']), 0)
        self.assertGreater(summary['flows']['flows'], 0)

    def test_a_release_to_come(self):
        """Of the same version: headers and keys that are not known are none of the aggregator's business."""
        body = zstd(b''.join(line + b'\n' for line in LATER))
        fields = {'Millrace-Count': str(len(LATER)), 'Millrace-Priority': 'u=1', 'Priority': 'u=1', 'Content-Type':
                  'application/x-ndjson; schema=7', 'Content-Digest': f'sha-512=:AAAA:, {digest(body)}'}
        self.assertEqual(self.send(request(fields, body))[:2], (200, {'acked': len(LATER)}))
        self.check_kept(LATER)
        self.assertEqual([row['record']['big'] for row in self.aggregator.records('/v1/events', type='profinet_cba')], [9007199254740993])
        self.assertEqual(len(self.aggregator.records('/v1/events', type='modbus', port=502)), 1)
        _, summary = self.aggregator.get('/v1/summary')
        self.assertIn({'event_type': 'profinet_cba', 'records': 1}, [{k: row[k] for k in ('event_type', 'records')} for row in summary['records']])

    def test_a_version_to_come(self):
        """It is not refused for good, whatever it looks like: the sensor keeps it until the aggregator is updated."""
        for fields in ({'Millrace-Count': '1'}, {'Millrace-Count': 'many', 'Millrace-Lane': 'video', 'Content-Encoding': 'later'}):
            status, answer, headers = self.send(request({'Millrace-Version': '2', **fields}, b'anything'))
            self.assertEqual((status, headers['Retry-After']), (503, '60'))
            self.assertIn('version 2', answer['error'])
        _, counters = self.aggregator.get('/v1/counters')
        self.assertEqual(counters['aggregator']['ingest.version'], 2)
        self.assertEqual(counters['aggregator']['ingest.poison'], 0)
        self.assertEqual(self.aggregator.records('/v1/events'), [])


if __name__ == '__main__':
    aggregator_test.BUILD = build_dir()
    unittest.main(argv=sys.argv[:1], verbosity=2)
