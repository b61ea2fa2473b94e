#!/usr/bin/env python3
"""Sinks that send to other programs, against the real ones: rsyslogd, nfcapd and nfacctd from Debian.

usage: test/e2e/sinks.py [UPLINK_FEED | BUILD_DIR [NAME]...]
"""
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from stack import ROOT, wait_for

sys.path.insert(0, os.path.join(ROOT, 'test/harness'))
import parallel  # noqa: E402
from ports import free_port  # noqa: E402

FEED = next((os.path.join(name, 'lib/sink/uplink_feed') if os.path.isdir(name) else name for name in sys.argv[1:]),
            os.path.join(ROOT, 'build-test/lib/sink/uplink_feed'))


def alert(number, **more):
    event = {'timestamp': f'2026-01-02T03:04:{number % 60:02}.678901+0000', 'flow_id': 7000000000 + number, 'event_type': 'alert',
             'src_ip': '10.0.0.1', 'src_port': 1024 + number, 'dest_ip': '10.0.0.2', 'dest_port': 502, 'proto': 'TCP',
             'app_proto': 'modbus', 'community_id': '1:x=', 'alert': {'action': 'allowed', 'signature_id': 9100000 + number,
                                                                      'signature': f'number {number}', 'category': 'a|b=c\\d',
                                                                      'severity': 1 + number % 3}}
    event.update(more)
    return event


class Feed:
    """The sinks, fed by hand."""

    def __init__(self, folder, **settings):
        keys = {'outputs.eve.path': os.path.join(folder, 'eve.json'), **{key.replace('__', '.').replace('_', '-'): value
                                                                        for key, value in settings.items()}}
        self.process = subprocess.Popen([FEED, *(f'{key}={value}' for key, value in keys.items())], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(20)
        self.errors = self.process.stderr.read()
        self.process.stdout.close()
        self.process.stderr.close()
        assert 'ERROR: ' not in self.errors, self.errors

    def write(self, lane, *events):
        for event in events:
            self.process.stdin.write(f'{lane} {json.dumps(event)}\n')

    def command(self, text):
        self.process.stdin.write(f'!{text}\n')
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def status(self):
        return json.loads(self.command('status'))


class SinkTest(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix='millrace-sinks-')

    def tearDown(self):
        shutil.rmtree(self.dir)

    def path(self, name):
        return os.path.join(self.dir, name)


TEMPLATE = ('<%pri%>%protocol-version%~%timestamp:::date-rfc3339%~%hostname%~%app-name%~%procid%~%msgid%~'
            '%structured-data%~%msg%\\n')


@unittest.skipUnless(shutil.which('rsyslogd'), 'no rsyslogd')
class Syslog(SinkTest):
    def start(self, inputs, more=''):
        with open(self.path('rsyslog.conf'), 'w') as file:
            file.write(f'''global(workDirectory="{self.dir}" maxMessageSize="128k" parser.escapeControlCharactersOnReceive="on" {more})
{inputs}
template(name="seen" type="string" string="{TEMPLATE}")
action(type="omfile" file="{self.path('seen')}" template="seen")
''')
        process = subprocess.Popen(['rsyslogd', '-n', '-f', self.path('rsyslog.conf'), '-i', self.path('rsyslog.pid')],
                                   stdout=subprocess.DEVNULL, stderr=open(self.path('rsyslog.err'), 'w'))
        self.addCleanup(self.stop, process)
        return process

    @staticmethod
    def stop(process):
        process.terminate()
        process.wait(20)

    def seen(self):
        try:
            with open(self.path('seen')) as file:
                return [line.rstrip('\n').split('~', 7) for line in file]
        except FileNotFoundError:
            return []

    def wait_seen(self, count, seconds=20):
        self.assertTrue(wait_for(lambda: len(self.seen()) >= count, seconds), (self.seen(), open(self.path('rsyslog.err')).read()))
        return self.seen()

    def settings(self, url, **more):
        return dict(outputs__syslog__enabled='yes', outputs__syslog__url=url, outputs__syslog__spool=self.path('spool'),
                    outputs__syslog__hostname='site-7', outputs__syslog__backoff_max_ms='200', **more)

    def test_udp_eve(self):
        port = free_port(socket.SOCK_DGRAM)
        self.start(f'module(load="imudp")\ninput(type="imudp" address="127.0.0.1" port="{port}")')
        big = alert(3, payload='x' * 9000, packet='y' * 9000)
        with Feed(self.dir, **self.settings(f'udp://127.0.0.1:{port}', outputs__syslog__lanes='[alert, flow]')) as feed:
            wait_for(lambda: f':{port:04X} ' in open('/proc/net/udp').read(), 10)
            feed.write('alert', alert(0), alert(1), big, alert(4, note='x' * 9000))
            feed.write('flow', {'timestamp': '2026-01-02T03:04:05.000001+0000', 'event_type': 'flow', 'flow': {}})
            feed.write('event', {'timestamp': 'x', 'event_type': 'modbus'})
            self.assertEqual(feed.command('drain 10000'), 'drained')
            seen = self.wait_seen(4)
            counters = feed.status()['counters']
        self.assertEqual(counters['sink.syslog.taken'], 5)
        self.assertEqual(counters['sink.syslog.too_long'], 1)
        heads = sorted(line[:7] for line in seen)
        # local5 is 21: 21 * 8 + 2, 3, 6.
        self.assertEqual(heads, sorted([
            ['<170>1', '2026-01-02T03:04:00.678901Z', 'site-7', 'millrace', '-', 'alert', '-'],
            ['<171>1', '2026-01-02T03:04:01.678901Z', 'site-7', 'millrace', '-', 'alert', '-'],
            ['<170>1', '2026-01-02T03:04:03.678901Z', 'site-7', 'millrace', '-', 'alert', '-'],
            ['<174>1', '2026-01-02T03:04:05.000001Z', 'site-7', 'millrace', '-', 'flow', '-']]), seen)
        events = {json.loads(line[7])['flow_id']: json.loads(line[7]) for line in seen if line[5] == 'alert'}
        self.assertEqual(events[7000000000], alert(0))
        self.assertEqual(events[7000000003], alert(3))

    def test_tcp_cef_through_a_restart(self):
        port = free_port(socket.SOCK_STREAM)
        inputs = f'module(load="imtcp")\ninput(type="imtcp" address="127.0.0.1" port="{port}")'
        with Feed(self.dir, **self.settings(f'tcp://127.0.0.1:{port}', outputs__syslog__format='cef')) as feed:
            feed.write('alert', *(alert(i) for i in range(100)))
            feed.command('flush')
            time.sleep(0.3)
            self.assertGreater(feed.status()['counters']['sink.syslog.failures'], 0)
            first = self.start(inputs)
            self.assertEqual(feed.command('drain 10000'), 'drained')
            self.wait_seen(100)
            self.stop(first)
            feed.write('alert', *(alert(i) for i in range(100, 200)))
            feed.command('flush')
            time.sleep(0.3)
            self.start(inputs)
            self.assertEqual(feed.command('drain 10000'), 'drained')
            self.assertTrue(wait_for(lambda: {line[7].split('|')[4] for line in self.seen()} ==
                                     {str(9100000 + i) for i in range(200)}, 20), len(self.seen()))
        line = next(line for line in self.seen() if '|9100007|' in line[7])
        self.assertEqual(line[7].lstrip(), (
            'CEF:0|Millrace|millrace-sensor|0.1.0|9100007|number 7|7|rt=1767323047678 src=10.0.0.1 spt=1031 dst=10.0.0.2 dpt=502 '
            'proto=TCP app=modbus externalId=7000000007 act=allowed cat=a|b\\=c\\\\d cs1Label=communityId cs1=1:x\\= dvchost=site-7'))

    def test_tls_leef(self):
        subprocess.run([os.path.join(ROOT, 'scripts/pki'), self.path('pki'), 'sensor'], check=True)
        subprocess.run([os.path.join(ROOT, 'scripts/pki'), self.path('other'), 'sensor'], check=True)
        port = free_port(socket.SOCK_STREAM)
        self.start(f'module(load="imtcp" streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="x509/name" '
                   f'permittedPeer=["sensor"])\ninput(type="imtcp" address="127.0.0.1" port="{port}")',
                   f'defaultNetstreamDriver="gtls" defaultNetstreamDriverCAFile="{self.path("pki/ca.pem")}" '
                   f'defaultNetstreamDriverCertFile="{self.path("pki/aggregator.pem")}" '
                   f'defaultNetstreamDriverKeyFile="{self.path("pki/aggregator.key")}"')
        settings = self.settings(f'tls://localhost:{port}', outputs__syslog__format='leef', outputs__syslog__cert=self.path('pki/sensor.pem'),
                                 outputs__syslog__key=self.path('pki/sensor.key'))
        wait_for(lambda: socket.socket().connect_ex(('127.0.0.1', port)) == 0, 10)
        with Feed(self.dir, outputs__syslog__ca=self.path('other/ca.pem'), **settings) as feed:
            feed.write('alert', alert(1, src_ip='fe80::1', extra='a\nb'))
            self.assertEqual(feed.command('drain 700'), 'timeout')
            status = feed.status()
            self.assertIn('issuer certificate', status['syslog']['last_error'])
            self.assertEqual((status['syslog']['waiting'], self.seen()), (1, []))
        # What waited is still there.
        with Feed(self.dir, outputs__syslog__ca=self.path('pki/ca.pem'), **settings) as feed:
            self.assertEqual(feed.command('drain 10000'), 'drained')
            line = self.wait_seen(1)[0]
        # rsyslogd writes a tab as #011.
        self.assertEqual(line[7].lstrip().replace('#011', '\t'), (
            'LEEF:2.0|Millrace|millrace-sensor|0.1.0|9100001|x09|sev=7\tdevTime=1767323041678\tsrc=fe80::1\tsrcPort=1025\t'
            'dst=10.0.0.2\tdstPort=502\tproto=TCP\tapplication=modbus\tflowId=7000000001\taction=allowed\tcat=a|b=c\\d\t'
            'communityId=1:x=\tdevName=site-7\tname=number 1'))

    def test_each_format_by_each_transport(self):
        subprocess.run([os.path.join(ROOT, 'scripts/pki'), self.path('pki')], check=True)
        udp, tcp, tls = free_port(socket.SOCK_DGRAM), free_port(socket.SOCK_STREAM), free_port(socket.SOCK_STREAM)
        self.start(f'module(load="imudp")\ninput(type="imudp" address="127.0.0.1" port="{udp}")\nmodule(load="imtcp")\n'
                   f'input(type="imtcp" address="127.0.0.1" port="{tcp}")\n'
                   f'input(type="imtcp" address="127.0.0.1" port="{tls}" streamDriver.name="gtls" streamDriver.mode="1" '
                   'streamDriver.authMode="anon")',
                   f'defaultNetstreamDriverCAFile="{self.path("pki/ca.pem")}" defaultNetstreamDriverCertFile="{self.path("pki/aggregator.pem")}" '
                   f'defaultNetstreamDriverKeyFile="{self.path("pki/aggregator.key")}"')
        for port in (tcp, tls):
            wait_for(lambda: socket.socket().connect_ex(('127.0.0.1', port)) == 0, 10)
        begins = {'eve': '{"timestamp"', 'cef': 'CEF:0|Millrace|', 'leef': 'LEEF:2.0|Millrace|'}
        sent = []
        for url in (f'udp://127.0.0.1:{udp}', f'tcp://127.0.0.1:{tcp}', f'tls://localhost:{tls}'):
            for form, begin in begins.items():
                number = len(sent)
                with Feed(self.dir, outputs__syslog__ca=self.path('pki/ca.pem'), outputs__syslog__format=form, **self.settings(url)) as feed:
                    feed.write('alert', alert(number))
                    self.assertEqual(feed.command('drain 10000'), 'drained', feed.status())
                sent.append((begin, f'number {number}'))
        seen = [line[7].lstrip() for line in self.wait_seen(len(sent))]
        for begin, name in sent:
            self.assertEqual(sum(text.startswith(begin) and name in text for text in seen), 1, (begin, name, seen))

    def test_a_receiver_that_does_not_read(self):
        """It fills its own spool, bounded, and holds nothing else."""
        deaf = socket.create_server(('127.0.0.1', 0))
        taken = []
        threading.Thread(target=lambda: taken.append(deaf.accept()), daemon=True).start()
        count, size = 4000, 8000
        with Feed(self.dir, **self.settings(f'tcp://127.0.0.1:{deaf.getsockname()[1]}', outputs__syslog__message_max='64kb',
                                            outputs__syslog__spool_size='16mb')) as feed:
            began = time.monotonic()
            for i in range(count):
                feed.write('alert', alert(i, note='x' * size))
                if i % 100 == 99:
                    feed.command('flush')
            took = time.monotonic() - began
            self.assertTrue(wait_for(lambda: feed.status()['counters']['sink.file.lines'] == count, 10))
            counters = feed.status()['counters']
        self.assertLess(took, 30)
        with open(self.path('eve.json')) as file:
            self.assertEqual(sum(1 for _ in file), count)
        self.assertGreater(counters['sink.syslog.lost'], count // 4)
        used = sum(os.path.getsize(os.path.join(folder, name)) for folder, _, names in os.walk(self.path('spool')) for name in names)
        self.assertLess(used, 18 << 20)
        deaf.close()


class Ipfix:
    """Reads messages by their own templates (RFC 7011)."""

    def __init__(self):
        self.templates = {}
        self.types = {}
        self.records = []
        self.sequence = 0
        self.template_sets = 0

    def message(self, data):
        version, length, _, sequence, domain = struct.unpack_from('>HHIII', data)
        assert (version, length, domain) == (10, len(data), 77), (version, length, domain)
        assert sequence == self.sequence, (sequence, self.sequence)
        at = 16
        while at < length:
            kind, size = struct.unpack_from('>HH', data, at)
            body = data[at + 4:at + size]
            assert size >= 4 and len(body) == size - 4
            if kind == 2:
                self.template_sets += 1
                self.read_templates(body)
            elif kind == 3:
                self.read_templates(body, scopes=True)
            else:
                self.read_records(self.templates[kind], body)
            at += size

    def read_templates(self, body, scopes=False):
        at = 0
        while at < len(body):
            number, count = struct.unpack_from('>HH', body, at)
            at += 4
            if scopes:
                assert 0 < struct.unpack_from('>H', body, at)[0] <= count
                at += 2
            elements = []
            for _ in range(count):
                element, size = struct.unpack_from('>HH', body, at)
                at += 4
                enterprise = 0
                if element & 0x8000:
                    enterprise, = struct.unpack_from('>I', body, at)
                    at += 4
                elements.append(((enterprise, element & 0x7fff), size))
            assert self.templates.setdefault(number, elements) == elements
        assert at == len(body)

    def read_records(self, elements, body):
        at = 0
        while at < len(body):
            record = {}
            for name, size in elements:
                if size == 0xffff:
                    size = body[at]
                    at += 1
                    record[name] = body[at:at + size].decode()
                else:
                    record[name] = int.from_bytes(body[at:at + size], 'big')
                at += size
            if (0, 303) in record:
                self.types[record[0, 346], record[0, 303]] = record
            else:
                self.records.append(record)
            self.sequence += 1
        assert at == len(body)


def flow(number, **more):
    event = {'timestamp': '2026-01-02T03:05:00.000000+0000', 'flow_id': number, 'event_type': 'flow', 'src_ip': '10.0.0.1',
             'src_port': 1000 + number, 'dest_ip': '10.0.0.2', 'dest_port': 502, 'proto': 'TCP', 'app_proto': 'modbus',
             'community_id': f'1:{number}', 'vlan': [7], 'ether': {'src_mac': '02:00:00:00:00:01', 'dest_mac': '02:00:00:00:00:02'},
             'flow': {'pkts_toserver': 10, 'pkts_toclient': 5, 'bytes_toserver': 1180, 'bytes_toclient': 590, 'alerted': True,
                      'tx_cnt': 4, 'start': '2026-01-02T03:04:00.250000+0000', 'end': '2026-01-02T03:04:59.750000+0000',
                      'reason': 'timeout'}, 'tcp': {'tcp_flags_ts': '1b', 'tcp_flags_tc': '12'}}
    event.update(more)
    return event


CALL = {'timestamp': '2026-01-02T03:04:05.678901+0000', 'flow_id': 5, 'event_type': 'modbus', 'src_ip': '10.0.0.1', 'src_port': 1005,
        'dest_ip': '10.0.0.2', 'dest_port': 502, 'proto': 'TCP',
        'modbus': {'request': {'function_raw': 6, 'function_code': 'WrSingleReg'},
                   'response': {'function_raw': 0x86, 'function_code': 'WrSingleReg'}}}
ENTERPRISE = 32473
REVERSE = 29305


class IpfixSink(SinkTest):
    def settings(self, url, **more):
        return dict(outputs__ipfix__enabled='yes', outputs__ipfix__url=url, outputs__ipfix__spool=self.path('spool'),
                    outputs__ipfix__domain='77', outputs__ipfix__backoff_max_ms='200', **more)

    def feed(self, feed, count=50):
        feed.write('flow', *(flow(i) for i in range(count)))
        feed.write('flow', flow(900, src_ip='2001:db8::1', dest_ip='2001:db8::2', proto='UDP', tcp=None),
                   {'event_type': 'flow', 'timestamp': 'x', 'flow': {}})
        feed.write('event', CALL, {'event_type': 'anomaly', 'src_ip': '10.0.0.1', 'anomaly': {}})
        feed.write('alert', alert(1))

    def judge(self, records, count=50):
        four = [record for record in records if (0, 152) in record and (0, 8) in record]
        self.assertEqual(sorted(record[0, 148] for record in four), list(range(count)))
        first = next(record for record in four if record[0, 148] == 3)
        self.assertEqual(first, {
            (0, 152): 1767323040250, (0, 153): 1767323099750, (0, 8): 0x0a000001, (0, 12): 0x0a000002, (0, 7): 1003, (0, 11): 502,
            (0, 4): 6, (0, 136): 1, (0, 239): 1, (0, 1): 1000, (REVERSE, 1): 500, (0, 2): 10, (REVERSE, 2): 5,
            (0, 352): 1180, (REVERSE, 352): 590, (0, 6): 0x1b, (REVERSE, 6): 0x12, (0, 58): 7, (0, 56): 0x020000000001,
            (0, 80): 0x020000000002, (0, 148): 3, (ENTERPRISE, 2): 1, (ENTERPRISE, 3): 4, (0, 96): 'modbus', (ENTERPRISE, 1): '1:3'})
        six = [record for record in records if (0, 152) in record and (0, 27) in record]
        self.assertEqual([(record[0, 4], record[0, 27] & 0xffff, record[0, 28] & 0xffff) for record in six], [(17, 1, 2)])
        calls = [record for record in records if (ENTERPRISE, 4) in record]
        self.assertEqual(calls, [{
            (0, 323): 1767323045678, (0, 8): 0x0a000001, (0, 12): 0x0a000002, (0, 7): 1005, (0, 11): 502, (0, 4): 6, (0, 148): 5,
            (ENTERPRISE, 4): 6, (0, 96): 'modbus', (ENTERPRISE, 5): 'WrSingleReg'}])

    def test_udp(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as collector:
            collector.bind(('127.0.0.1', 0))
            collector.settimeout(0.5)
            with Feed(self.dir, **self.settings(f'udp://127.0.0.1:{collector.getsockname()[1]}',
                                                outputs__ipfix__template_interval='1')) as feed:
                self.feed(feed)
                self.assertEqual(feed.command('drain 5000'), 'drained')
                time.sleep(1.1)
                feed.write('flow', flow(50))
                self.assertEqual(feed.command('drain 5000'), 'drained')
                counters = feed.status()['counters']
            reader = Ipfix()
            try:
                while True:
                    data = collector.recv(65536)
                    self.assertLessEqual(len(data), 1400)
                    reader.message(data)
            except TimeoutError:
                pass
        self.judge(reader.records, 51)
        # The enterprise's elements say what they are (RFC 5610), with the length that templates give them.
        lengths = {name: size for elements in reader.templates.values() for name, size in elements if name[0] == ENTERPRISE}
        self.assertEqual(reader.types.keys(), lengths.keys())
        self.assertEqual({record[0, 303]: (record[0, 341], {1: 1, 3: 4, 4: 8, 13: 0xffff}[record[0, 339]]) for record in reader.types.values()},
                         {1: ('communityId', lengths[ENTERPRISE, 1]), 2: ('alerted', 1), 3: ('transactionCount', 8), 4: ('functionCode', 4),
                          5: ('functionName', 0xffff)})
        self.assertEqual([reader.types[ENTERPRISE, number][0, 343] for number in range(1, 6)], [0, 1, 2 ** 64 - 1, 2 ** 32 - 1, 0])
        self.assertEqual(reader.template_sets, 2)
        self.assertEqual((counters['sink.ipfix.sent'], counters['sink.ipfix.passed']), (53, 2))

    def tcp_messages(self, connection):
        with connection.makefile('rb') as stream:
            while len(head := stream.read(4)) == 4:
                yield head + stream.read(int.from_bytes(head[2:], 'big') - 4)

    def test_tcp_through_a_break(self):
        with socket.create_server(('127.0.0.1', 0)) as collector:
            collector.settimeout(10)
            with Feed(self.dir, **self.settings(f'tcp://127.0.0.1:{collector.getsockname()[1]}')) as feed:
                self.feed(feed)
                first, _ = collector.accept()
                self.assertEqual(feed.command('drain 5000'), 'drained')
                # The collector goes, and comes again: templates go first, and the count of records begins anew.
                first.shutdown(socket.SHUT_WR)
                time.sleep(0.7)
                feed.write('flow', flow(50))
                self.assertEqual(feed.command('drain 5000'), 'drained')
                second, _ = collector.accept()
            readers = []
            for connection in (first, second):
                readers.append(Ipfix())
                for message in self.tcp_messages(connection):
                    readers[-1].message(message)
                connection.close()
        self.judge(readers[0].records)
        self.assertEqual([record[0, 148] for record in readers[1].records], [50])

    def test_tls(self):
        """To OpenSSL's own server, which shows what came (RFC 7011 10.4)."""
        for name in ('pki', 'other'):
            subprocess.run([os.path.join(ROOT, 'scripts/pki'), self.path(name), 'sensor'], check=True)
        port = free_port(socket.SOCK_STREAM)
        with open(self.path('got'), 'wb') as got:
            server = subprocess.Popen(['openssl', 's_server', '-quiet', '-accept', f'127.0.0.1:{port}', '-cert', self.path('pki/aggregator.pem'),
                                       '-key', self.path('pki/aggregator.key'), '-CAfile', self.path('pki/ca.pem'), '-Verify', '2',
                                       '-verify_return_error', '-tls1_3'],
                                      stdin=subprocess.PIPE, stdout=got, stderr=open(self.path('s_server.log'), 'w'))
        try:
            wait_for(lambda: socket.socket().connect_ex(('127.0.0.1', port)) == 0, 10)
            settings = self.settings(f'tls://localhost:{port}', outputs__ipfix__cert=self.path('pki/sensor.pem'),
                                     outputs__ipfix__key=self.path('pki/sensor.key'))
            with Feed(self.dir, outputs__ipfix__ca=self.path('other/ca.pem'), **settings) as feed:
                self.feed(feed)
                self.assertEqual(feed.command('drain 700'), 'timeout')
                self.assertIn('certificate', feed.status()['ipfix']['last_error'])
            with Feed(self.dir, outputs__ipfix__ca=self.path('pki/ca.pem'), **settings) as feed:
                self.assertEqual(feed.command('drain 10000'), 'drained')
            size = lambda: os.path.getsize(self.path('got'))
            self.assertTrue(wait_for(lambda: size() > 0, 5), open(self.path('s_server.log')).read())
            time.sleep(0.3)
        finally:
            server.kill()
            server.wait()
            server.stdin.close()
        reader = Ipfix()
        with open(self.path('got'), 'rb') as stream:
            while len(head := stream.read(4)) == 4:
                reader.message(head + stream.read(int.from_bytes(head[2:], 'big') - 4))
        self.judge(reader.records)
        self.assertEqual(len(reader.types), 5)

    @unittest.skipUnless(shutil.which('nfacctd'), 'no pmacct')
    def test_pmacct_reads_it(self):
        port = free_port(socket.SOCK_DGRAM)
        with open(self.path('primitives'), 'w') as file:
            file.write('name=reason field_type=136 len=1 semantics=u_int\nname=flowid field_type=148 len=8 semantics=u_int\n'
                       'name=frames field_type=352 len=8 semantics=u_int\n')
        with open(self.path('nfacctd.conf'), 'w') as file:
            file.write(f"""daemonize: false
nfacctd_ip: 127.0.0.1
nfacctd_port: {port}
logfile: {self.path('nfacctd.log')}
aggregate_primitives: {self.path('primitives')}
plugins: print
plugin_pipe_size: 1024000
plugin_buffer_size: 1024
aggregate: src_host, dst_host, src_port, dst_port, proto, tcpflags, vlan, src_mac, dst_mac, reason, flowid, frames
print_output: json
print_output_file: {self.path('flows.json')}
print_output_file_append: true
print_refresh_time: 1
""")
        nfacctd = subprocess.Popen(['nfacctd', '-f', self.path('nfacctd.conf')], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   start_new_session=True)

        def rows():
            try:
                with open(self.path('flows.json')) as file:
                    return [json.loads(line) for line in file]
            except (FileNotFoundError, ValueError):
                return []
        try:
            # The program that prints is ready last.
            self.assertTrue(wait_for(lambda: os.path.exists(self.path('nfacctd.log')) and 'Purging' in open(self.path('nfacctd.log')).read(), 60))
            with Feed(self.dir, **self.settings(f'udp://127.0.0.1:{port}', outputs__ipfix__lanes='[flow]')) as feed:
                self.feed(feed)
                # It hands records on when its buffer is full: more of them push the others out.
                feed.write('flow', *(flow(i) for i in range(2000, 2050)))
                self.assertEqual(feed.command('drain 5000'), 'drained')
            ids = {*range(50), 900}
            self.assertTrue(wait_for(lambda: ids <= {int(row['flowid']) for row in rows()}, 60), (rows(), open(self.path('nfacctd.log')).read()))
        finally:
            os.killpg(nfacctd.pid, signal.SIGKILL)
            nfacctd.wait()
        self.assertEqual(sorted(int(row['flowid']) for row in rows() if int(row['flowid']) < 2000), sorted(ids))
        first = next(row for row in rows() if row['flowid'] == '3')
        want = {'mac_src': '02:00:00:00:00:01', 'mac_dst': '02:00:00:00:00:02', 'vlan': 7, 'ip_src': '10.0.0.1', 'ip_dst': '10.0.0.2', 'port_src': 1003,
                'port_dst': 502, 'tcp_flags': str(0x1b), 'ip_proto': 'tcp', 'reason': '1', 'frames': '1180', 'packets': 10, 'bytes': 1000}
        self.assertEqual({key: first[key] for key in want}, want)
        self.assertEqual([row['ip_dst'] for row in rows() if row['ip_proto'] == 'udp'], ['2001:db8::2'])

    @unittest.skipUnless(shutil.which('nfcapd') and shutil.which('nfdump'), 'no nfdump')
    def test_nfcapd_reads_it(self):
        port = free_port(socket.SOCK_DGRAM)
        os.mkdir(self.path('flows'))
        nfcapd = subprocess.Popen(['nfcapd', '-w', self.path('flows'), '-b', '127.0.0.1', '-p', str(port), '-t', '3600'],
                                  stdout=open(self.path('nfcapd.log'), 'w'), stderr=subprocess.STDOUT)
        try:
            self.assertTrue(wait_for(lambda: f':{port:04X} ' in open('/proc/net/udp').read(), 10))
            with Feed(self.dir, **self.settings(f'udp://127.0.0.1:{port}', outputs__ipfix__lanes='[flow]')) as feed:
                self.feed(feed)
                self.assertEqual(feed.command('drain 5000'), 'drained')
                time.sleep(0.5)
        finally:
            nfcapd.terminate()
            nfcapd.wait(20)
        run = subprocess.run(['nfdump', '-q', '-R', self.path('flows'), '-o',
                              'fmt:%sa,%da,%sp,%dp,%pr,%ipkt,%ibyt,%opkt,%obyt,%svln,%ismc'],  # of flags it keeps one direction's
                             capture_output=True, text=True)
        rows = sorted([field.strip() for field in line.split(',')] for line in run.stdout.splitlines() if ',' in line)
        self.assertEqual(len(rows), 51, run.stdout + run.stderr + open(self.path('nfcapd.log')).read())
        self.assertIn(['10.0.0.1', '10.0.0.2', '1003', '502', 'TCP', '10', '1000', '5', '500', '7', '02:00:00:00:00:01'], rows)
        self.assertEqual(sum(row[4] == 'UDP' and row[0].startswith('2001:db8') for row in rows), 1)


if __name__ == '__main__':
    if len(sys.argv) > 2:
        unittest.main(argv=[sys.argv[0], *sys.argv[2:]], verbosity=2, warnings='ignore')
    parallel.main([__file__, FEED])
