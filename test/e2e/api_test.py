#!/usr/bin/env python3
"""The query API against the real aggregator: the document and what it says, scopes, the audit log, export, live alerts.

usage: test/e2e/api_test.py [BUILD_DIR]     (default: build-test, else build)
       MILLRACE_STORE=clickhouse: against what scripts/cluster has started
       MILLRACE_HTTP=2: the same over HTTP/2
"""
import http.client
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
import unittest

import aggregator_test
import http2
from aggregator_test import Case, event, ndjson, program, zstd

# The sanitizer keeps freed memory for a while: little, so that what is measured is what is held.
os.environ['ASAN_OPTIONS'] = ':'.join(filter(None, [os.environ.get('ASAN_OPTIONS'), 'quarantine_size_mb=1']))

EXAMPLES = {'sensor': 'plant-1', 'since': '0', 'until': '2100-01-01T00:00:00Z', 'src_ip': '10.0.0.1', 'dest_ip': '10.1.0.1',
            'ip': '2001:db8::1', 'port': '502', 'proto': 'TCP', 'app_proto': 'modbus', 'event_type': 'modbus', 'type': 'modbus',
            'signature_id': '1110001', 'severity': '2', 'function': '3', 'flow_id': '7', 'limit': '5', 'cursor': '0' * 32, 'bucket': '60',
            'after': '0'}


def alert(n, sid=1110001):
    return event(n, 'alert', alert={'signature_id': sid, 'severity': 1 + n % 2, 'signature': 'test'})


class Api(Case):
    settings = ('limits.reorder=0',)
    kept = None

    def prepare(self):
        self.audit = os.path.join(self.aggregator.dir.name, 'audit.jsonl')
        self.tokens = os.path.join(self.aggregator.dir.name, 'tokens')
        open(self.tokens, 'w').close()
        self.aggregator.settings += ['--set', f'api.audit.path={self.audit}', '--set', 'api.audit.size=4096']
        if not self.aggregator.cluster:
            self.aggregator.settings += ['--set', f'api.tokens={self.tokens}']

    def open(self, path, method='GET', token=True, headers=None):
        connection = aggregator_test.CONNECTION('127.0.0.1', int(self.aggregator.api_port), context=self.aggregator.tls(None), timeout=20)
        token = self.aggregator.token if token is True else token
        connection.request(method, path, headers={'Authorization': f'Bearer {token}', **(headers or {})})
        answer = connection.getresponse()
        self.addCleanup(connection.close)
        return answer

    def ask(self, path, method='GET', token=True):
        """A whole answer, on a connection that stays open."""
        if self.kept is None or self.kept.port != int(self.aggregator.api_port):
            self.kept = aggregator_test.CONNECTION('127.0.0.1', int(self.aggregator.api_port), context=self.aggregator.tls(None), timeout=20)
            self.addCleanup(self.kept.close)
        token = self.aggregator.token if token is True else token
        self.kept.request(method, path, headers={'Authorization': f'Bearer {token}'})
        answer = self.kept.getresponse()
        return answer.status, json.loads(answer.read())

    def token(self, *words):
        """Where the configuration says that tokens are kept: @return what the program says, by words."""
        return subprocess.run([program('aggregator/millrace-aggregator'), 'token', '-c', self.aggregator.config,
                               *self.aggregator.settings, *words], capture_output=True, text=True, check=True).stdout.split()

    def make_token(self, name, scopes):
        return self.token(name, scopes)[1]


class TimeLimit(Api):
    settings = ('limits.reorder=0', 'limits.sensor-records=0', 'limits.query-timeout=10')
    count = 20000

    def test_a_long_question_is_cut_short_and_the_store_goes_on(self):
        flows = [event(n, 'flow', src_ip=f'10.{n % 3}.{n // 250 % 250}.{n % 250}', flow={
            'pkts_toserver': 2, 'pkts_toclient': 1, 'bytes_toserver': n, 'bytes_toclient': 100}) for n in range(self.count)]
        body = zstd(ndjson(flows))
        for turn in range(3):
            self.assertEqual(self.post(1 + turn * self.count, None, raw=body, lane='flow', Millrace_Count=str(self.count)),
                             (200, {'acked': (turn + 1) * self.count}))
        answers = []

        def ask(path):
            answer = self.open(path)
            answers.append((answer.status, answer.headers['Retry-After'], answer.headers['Content-Type'], json.loads(answer.read())))
        # More than there are threads, all of them too long.
        slow = [threading.Thread(target=ask, args=(path,)) for path in ('/v1/talkers', '/v1/summary', '/v1/protocols') * 4]
        started = time.monotonic()
        for thread in slow:
            thread.start()
        self.assertEqual(self.post(1, [alert(1)], lane='alert'), (200, {'acked': 1}))
        for thread in slow:
            thread.join()
        self.assertLess(time.monotonic() - started, 20)
        self.assertEqual(answers, [(503, '1', 'application/json',
                                    {'error': {'status': 503, 'reason': 'the query took too long: narrow it'}})] * 12)
        # What is short is answered by the same threads; on a machine that a whole cluster shares that is what asks PostgreSQL alone.
        path, key, rows = ('/v1/lanes', 'lanes', 2) if self.aggregator.cluster else ('/v1/events?limit=1', 'records', 1)
        for _ in range(8):
            status, page = self.ask(path)
            self.assertEqual((status, len(page[key])), (200, rows))
        self.assertEqual([row['acked'] for row in self.ask('/v1/lanes')[1]['lanes']], [3 * self.count, 1])


class Document(Api):
    def test_it_is_what_can_be_asked(self):
        self.post(1, [event(n) for n in range(1, 50)])
        self.post(1, [alert(n) for n in range(1, 50)], lane='alert')
        status, document = self.ask('/v1/openapi.json')
        self.assertEqual((status, document['openapi']), (200, '3.0.3'))
        asked = 0
        for path, operations in document['paths'].items():
            for method, operation in operations.items():
                if operation['x-scope'] == 'admin':
                    # Where enrolment is not set up, that is known, and said, by the path alone.
                    self.assertIn(self.ask(path, method.upper())[0], (200, 400, 409) if self.aggregator.cluster else (404,))
                    other = 'POST' if method == 'get' else 'GET'
                    self.assertEqual(self.ask(path, other)[0], 405)
                    continue
                content = operation['responses']['200']['content']
                schema = content.get('application/json', {}).get('schema')
                names = [parameter['name'] for parameter in operation['parameters']]
                self.assertEqual(len(names), len(set(names)))
                for name in [None, *names]:
                    answer = self.open(path + (f'?{name}={EXAMPLES[name]}' if name else ''))
                    self.assertEqual(answer.status, 200, (path, name))
                    self.assertIn(answer.headers['Content-Type'], content)
                    if schema:
                        body = json.loads(answer.read())
                        self.assertEqual(set(body), set(schema['required']), path)
                    asked += 1
                # What the document does not say is refused, and says so as the document says.
                for name in set(EXAMPLES) - set(names) | {'colour'}:
                    status, body = self.ask(f'{path}?{name}={EXAMPLES.get(name, "red")}')
                    self.assertEqual((status, body['error']['status']), (400, 400), (path, name))
                for parameter in operation['parameters']:
                    schema_of = parameter['schema']
                    if schema_of['type'] == 'integer':
                        self.assertEqual(self.ask(f'{path}?{parameter["name"]}=x')[0], 400)
                    if 'maximum' in schema_of:
                        self.assertEqual(self.ask(f'{path}?{parameter["name"]}={schema_of["maximum"] + 1}')[0], 400)
        self.assertGreater(asked, 60)
        self.assertEqual(self.ask('/v1/nothing')[0], 404)

    def test_errors_are_told_as_the_document_says(self):
        for path, method, token, status, reason, header in (
                ('/v1/flows', 'GET', '', 401, 'a bearer token is needed', ('WWW-Authenticate', 'Bearer')),
                ('/v1/flows', 'GET', 'x' * 40, 401, 'the token is not known here',
                 ('WWW-Authenticate', 'Bearer error="invalid_token"')),
                ('/v1/flows', 'POST', True, 405, 'only GET', ('Allow', 'GET')),
                ('/v1/sensors/invite', 'GET', True, 405, 'only POST', ('Allow', 'POST')),
                ('/v1/flows', 'DELETE', True, 501, 'only GET and POST', None),
                ('/v1/flows', 'OPTIONS', True, 501, 'only GET and POST', None),
                ('/v1/flows', 'FOO', True, 501, 'only GET and POST', None),
                ('/v1/flows', 'get', True, 501, 'only GET and POST', None),
                ('/v1/flows', 'VERSION-CONTROL', True, 501, 'only GET and POST', None),
                ('/v1/flows?limit=1&limit=2', 'GET', True, 400, 'given twice: limit', None),
                ('/v1/flows?port=502%00x', 'GET', True, 400, 'not a query: port=502%00x', None),
                ('/v1/flows?since=today', 'GET', True, 400,
                 'since is not a time: RFC 3339, or seconds since the epoch: today', None),
                ('/v1/flows?ip=10.0.0.0/33', 'GET', True, 400,
                 'ip is not an IPv4 or IPv6 address or network: 10.0.0.0/33', None),
                ('/v1/events?function=read', 'GET', True, 400, 'function is not a number of 0 to 4294967295: read', None),
                ('/v1/flows?limit=%ff', 'GET', True, 400, 'what was asked is not UTF-8', None)):
            answer = self.open(path, method, token, {} if token else {'Authorization': 'Basic eDp5'})
            self.assertEqual((answer.status, json.loads(answer.read())), (status, {'error': {'status': status, 'reason': reason}}))
            self.assertEqual(answer.headers['Content-Type'], 'application/json')
            if header:
                self.assertEqual(answer.headers[header[0]], header[1])
        # Behind another request on its connection, whether it came before that one's answer or after.
        if aggregator_test.CONNECTION is not http2.Connection:
            for wait in False, True:
                self.assertEqual(self.raw([b'GET /v1/lanes', b'FOO /v1/flows'], wait), [200, 501])
        # By curl, which speaks HTTP/2, and takes content in an answer to HEAD for an error.
        for version in '--http2', '--http1.1':
            done = subprocess.run(['curl', '-sS', '-I', version, '--cacert', f'{self.aggregator.pki}/ca.pem', '-w', '%{http_code}', '-o', os.devnull,
                                   '--max-time', '20', f'https://localhost:{self.aggregator.api_port}/v1/flows'],
                                  capture_output=True, text=True, check=False)
            self.assertEqual((done.returncode, done.stdout), (0, '501'), done.stderr)

    def raw(self, heads, wait):
        """@return the statuses of the answers, each of which is JSON"""
        tls = self.aggregator.tls(None).wrap_socket(socket.create_connection(('127.0.0.1', int(self.aggregator.api_port))),
                                                    server_hostname='localhost')
        self.addCleanup(tls.close)
        tls.settimeout(20)
        requests = [head + f' HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self.aggregator.token}\r\n\r\n'.encode() for head in heads]
        if not wait:
            tls.sendall(b''.join(requests))
        statuses = []
        for request in requests:
            if wait:
                tls.sendall(request)
            answer = http.client.HTTPResponse(tls)
            answer.begin()
            json.loads(answer.read())
            statuses.append(answer.status)
        return statuses

    def test_reports_by_time_and_address(self):
        self.post(1, [alert(n, 1110001 + n % 3) for n in range(1, 121)], lane='alert')
        self.post(1, [event(n, 'flow', flow={'pkts_toserver': 1, 'pkts_toclient': 1, 'bytes_toserver': n,
                                             'bytes_toclient': 0}) for n in range(1, 11)], lane='flow')
        _, body = self.ask('/v1/alerts/trend?bucket=60&limit=1000')
        self.assertEqual(sum(row['alerts'] for row in body['trend']), 120)
        self.assertEqual(len({row['time'] for row in body['trend']}), 3)
        _, body = self.ask('/v1/alerts/trend?signature_id=1110001&bucket=86400&severity=1')
        self.assertEqual([row['alerts'] for row in body['trend']], [20])
        _, body = self.ask('/v1/talkers?limit=2')
        self.assertEqual([(row['ip'], row['bytes']) for row in body['talkers']], [('10.1.0.1', 55), ('10.0.0.0', 15)])


class Tokens(Api):
    def test_removed_at_once_they_stay_away(self):
        names = [f'guest-{n}' for n in range(6)]
        made = [self.make_token(name, 'read') for name in names]
        kept = self.make_token('grafana', 'read')
        turns = [threading.Thread(target=self.token, args=('--remove', name)) for name in names]
        turns.append(threading.Thread(target=self.make_token, args=('archive', 'export')))
        for turn in turns:
            turn.start()
        for turn in turns:
            turn.join()
        self.assertEqual(sorted(self.token('--list')), ['archive', 'export', 'grafana', 'read'])
        self.assertEqual([self.ask('/v1/alerts', token=token)[0] for token in (*made, kept)], [401] * len(made) + [200])

    def test_what_root_makes_the_service_reads(self):
        """The folder is the service's, the operator is root."""
        if os.geteuid() != 0 or self.aggregator.cluster:
            self.skipTest('root alone gives files away, and only where tokens are in a file')
        nobody = 65534
        folder = os.path.join(self.aggregator.dir.name, 'service')
        os.mkdir(folder)
        os.chown(folder, nobody, nobody)
        for words in (('grafana', 'read'), ('archive', 'export'), ('--remove', 'grafana')):
            self.token('--set', f'api.tokens={folder}/tokens', *words)
            status = os.stat(f'{folder}/tokens')
            self.assertEqual((status.st_uid, status.st_gid, status.st_mode & 0o777), (nobody, nobody, 0o600))

    def test_scopes_hold(self):
        reader = self.make_token('grafana', 'read')
        exporter = self.make_token('archive', 'export')
        self.assertEqual(self.ask('/v1/alerts', token=reader)[0], 200)
        status, body = self.ask('/v1/export', token=reader)
        self.assertEqual((status, 'export' in body['error']['reason']), (403, True))
        self.assertEqual(self.open('/v1/export', token=exporter).status, 200)
        self.assertEqual(self.ask('/v1/alerts', token=exporter)[0], 403)
        for token in (reader, exporter):
            self.assertEqual(self.ask('/v1/sensors/revoke', method='POST', token=token)[0], 403)
        self.assertEqual(self.token('--list'), ['archive', 'export', 'grafana', 'read'] if self.aggregator.cluster
                         else ['grafana', 'read', 'archive', 'export'])
        self.token('--remove', 'archive')
        self.assertEqual(self.open('/v1/export', token=exporter).status, 401)
        self.assertEqual(self.ask('/v1/alerts', token=reader)[0], 200)
        if self.aggregator.cluster:
            return
        # A line that is none lets nobody in, which is not to say that the tokens are none.
        with open(self.tokens, 'a') as file:
            file.write('no line\n')
        answer = self.open('/v1/alerts', token=reader)
        self.assertEqual((answer.status, answer.getheader('Retry-After'), json.loads(answer.read())['error']['reason']),
                         (503, '1', 'the tokens cannot be read here now: come back later'))
        self.assertEqual(self.ask('/v1/alerts')[0], 200)
        self.assertEqual(self.ask('/v1/counters')[1]['aggregator']['api.tokens_unread'], 1)

    def test_a_hangup_ends_nothing(self):
        self.aggregator.process.send_signal(signal.SIGHUP)
        self.assertEqual(self.ask('/v1/alerts')[0], 200)

    def test_every_request_is_noted_within_bounds(self):
        reader = self.make_token('grafana', 'read')
        self.ask('/v1/alerts?limit=3', token=reader)
        self.ask('/v1/export', token=reader)
        self.ask('/v1/flows?ip=nowhere')
        self.ask('/v1/alerts', token='wrong-token')
        with open(self.audit) as file:
            noted = [json.loads(line) for line in file]
        self.assertEqual([(n['token'], n['method'], n['uri'], n['status']) for n in noted],
                         [('grafana', 'GET', '/v1/alerts?limit=3', 200), ('grafana', 'GET', '/v1/export', 403),
                          ('operator', 'GET', '/v1/flows?ip=nowhere', 400), (None, 'GET', '/v1/alerts', 401)])
        self.assertTrue(all(n['address'] == '127.0.0.1' and n['took_us'] >= 0 for n in noted))
        for _ in range(150):
            self.ask('/v1/lanes')
        files = sorted(name for name in os.listdir(self.aggregator.dir.name) if name.startswith('audit.jsonl'))
        self.assertEqual(files, ['audit.jsonl'] + [f'audit.jsonl.{i}' for i in range(1, 5)])
        for name in files:
            self.assertLess(os.path.getsize(os.path.join(self.aggregator.dir.name, name)), 4096 + 1500)


class NoFiles(Api):
    """The system gives no descriptor any more, as where `ulimit -n` is below limits.connections."""

    def cpu_s(self):
        with open(f'/proc/{self.aggregator.process.pid}/stat') as file:
            fields = file.read().split()
        return (int(fields[13]) + int(fields[14])) / os.sysconf('SC_CLK_TCK')

    def limit_files(self, soft):
        pid = self.aggregator.process.pid
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, resource.prlimit(pid, resource.RLIMIT_NOFILE)[1]))

    def test_it_waits_without_heat_and_goes_on(self):
        reader = None if self.aggregator.cluster else self.make_token('grafana', 'read')
        self.assertEqual(self.ask('/v1/alerts')[0], 200)  # on a connection that stays
        before = len(os.listdir(f'/proc/{self.aggregator.process.pid}/fd'))
        most = resource.prlimit(self.aggregator.process.pid, resource.RLIMIT_NOFILE)[0]
        self.limit_files(before + 3)
        held = [socket.create_connection(('127.0.0.1', int(port))) for port in (self.aggregator.port, self.aggregator.api_port) * 6]
        time.sleep(0.5)
        spent_s = self.cpu_s()
        time.sleep(2)
        self.assertLess(self.cpu_s() - spent_s, 0.5)
        counters = self.ask('/v1/counters')[1]['aggregator']
        self.assertGreater(counters['ingest.files_short'] + counters['api.files_short'], 0)
        if reader:
            # The file of tokens changes while it cannot be opened.
            with open(self.tokens, 'a') as file:
                file.write(f'# {"long " * 200}\n')
            self.assertEqual(self.ask('/v1/alerts', token=reader)[0], 503)
        for connection in held:
            connection.close()
        self.limit_files(most)
        time.sleep(2.5)
        self.assertEqual(self.post(1, [event(1)]), (200, {'acked': 1}))
        if reader:
            self.assertEqual(self.ask('/v1/alerts', token=reader)[0], 200)


class Streams(Api):
    def test_the_export_is_whole_and_needs_little_memory(self):
        pad = 'x' * 2900
        for first in range(1, 16001, 4000):
            self.post(first, [event(n, pad=pad) for n in range(first, first + 4000)])
        before = self.resident()
        answer = self.open('/v1/export?type=modbus')
        numbers, most = [], 0
        for line in answer:
            numbers.append(json.loads(line)['record']['n'])
            if len(numbers) % 2000 == 0:
                most = max(most, self.resident())
        self.assertEqual(numbers, list(range(16000, 0, -1)))
        # 50 MB of lines went through: a page of each stream and the store's own buffers stay.
        self.assertLess(most - before, 40 * 1024)
        done = subprocess.run([program('millrace/millrace'), 'export', '--since', '1700015999'], capture_output=True,
                              env=self.environment())
        self.assertEqual([json.loads(line)['record']['n'] for line in done.stdout.splitlines()], [16000, 15999])

    def test_a_reader_that_stops_reading_holds_nothing_up(self):
        for first in range(1, 20001, 4000):
            self.post(first, [event(n, pad='y' * 900) for n in range(first, first + 4000)])
        stuck = [self.open('/v1/export') for _ in range(5)]
        before = self.resident()
        self.assertEqual(self.ask('/v1/lanes')[0], 200)
        self.post(20001, [event(20001)])
        _, counters = self.ask('/v1/counters')
        self.assertEqual(counters['aggregator']['api.streams_open'], 5)
        self.assertLess(self.resident() - before, 30 * 1024)
        for answer in stuck:
            answer.close()

    def resident(self):
        with open(f'/proc/{self.aggregator.process.pid}/status') as file:
            return next(int(line.split()[1]) for line in file if line.startswith('VmRSS'))

    def environment(self):
        return {'MILLRACE_AGGREGATOR': 'https://localhost:' + self.aggregator.api_port,
                'MILLRACE_TOKEN_FILE': self.aggregator.pki + '/token', 'MILLRACE_CA': self.aggregator.pki + '/ca.pem'}

    def read_events(self, answer, count):
        found, id = [], None
        while len(found) < count:
            line = answer.readline().decode().rstrip('\n')
            if line.startswith('id: '):
                id = int(line[4:])
            elif line.startswith('data: '):
                found.append((id, json.loads(line[6:])['record']['n']))
        return found

    def test_alerts_come_as_they_arrive_and_go_on_behind_the_last(self):
        self.post(1, [alert(n) for n in range(1, 6)], lane='alert')
        live = self.open('/v1/alerts/live')
        only = self.open('/v1/alerts/live?severity=2')
        self.assertEqual(live.headers['Content-Type'], 'text/event-stream')
        live.readline(), only.readline()
        self.post(1, [event(n) for n in range(1, 500)])
        self.post(6, [alert(n) for n in range(6, 11)], lane='alert')
        started = time.monotonic()
        seen = self.read_events(live, 5)
        self.assertLess(time.monotonic() - started, 5)
        self.assertEqual([n for _, n in seen], [6, 7, 8, 9, 10])
        self.assertEqual([n for _, n in self.read_events(only, 2)], [7, 9])
        live.close()
        self.post(11, [alert(n) for n in range(11, 14)], lane='alert')
        # From the header, as browsers do it, and from the parameter: behind the third of five.
        for again in (self.open('/v1/alerts/live', headers={'Last-Event-ID': str(seen[2][0])}),
                      self.open(f'/v1/alerts/live?after={seen[2][0]}')):
            self.assertEqual([n for _, n in self.read_events(again, 5)], [9, 10, 11, 12, 13])

    def test_a_gateway_that_ended_holds_no_alert_back(self):
        """What it had numbered is given up, whatever its clock had said."""
        if not self.aggregator.cluster:
            self.skipTest('one gateway has a store of its own')
        self.assertEqual(self.post(1, [alert(1)], lane='alert')[0], 200)
        live = self.open('/v1/alerts/live')
        live.readline()
        self.aggregator.cluster.query("INSERT INTO blocks(id, part, at_s) SELECT nextval('block_ids'), max(id), 2200000000 FROM partitions")
        self.assertEqual(self.post(2, [alert(2)], lane='alert')[0], 200)
        self.assertEqual([n for _, n in self.read_events(live, 1)], [2])

    def test_an_event_is_one_line_whatever_ends_lines(self):
        """Between values JSON may have what ends a line of server-sent events: LF, CR LF or CR (HTML, 9.2.5)."""
        live = self.open('/v1/alerts/live')
        live.readline()
        line = json.dumps(alert(1)).replace(', ', ',\r').replace(': ', ':\r')
        self.assertEqual(self.post(1, [0], lane='alert', raw=zstd(line.encode() + b'\r\n')), (200, {'acked': 1}))
        data = next(got for got in iter(live.readline, b'') if got.startswith(b'data: '))
        self.assertNotIn(b'\r', data)
        self.assertEqual(json.loads(data[6:])['record'], alert(1))

    def test_the_command_line_follows_across_a_restart(self):
        follower = subprocess.Popen([program('millrace/millrace'), 'alerts', '--follow', '--json'], stdout=subprocess.PIPE,
                                    stderr=subprocess.DEVNULL, env=self.environment())
        self.addCleanup(follower.stdout.close)
        self.addCleanup(follower.wait)
        self.addCleanup(follower.kill)
        for _ in range(100):
            if self.ask('/v1/counters')[1]['aggregator']['api.streams_open'] == 1:
                break
            time.sleep(0.1)
        time.sleep(0.5)
        self.post(1, [alert(1)], lane='alert')
        self.assertEqual(json.loads(follower.stdout.readline())['record']['n'], 1)
        self.aggregator.stop(signal.SIGKILL)
        self.aggregator.settings += ['--set', f'api.listen=127.0.0.1:{self.aggregator.api_port}']
        self.aggregator.start()
        self.post(2, [alert(2)], lane='alert')
        self.assertEqual(json.loads(follower.stdout.readline())['record']['n'], 2)

    def test_pages_do_not_move_while_records_arrive(self):
        self.post(1, [event(n) for n in range(1, 1001)])
        done = threading.Event()

        def feed():
            first, connection = 1001, self.aggregator.connect()
            while not done.is_set():
                # Every other record is older than all that was there.
                self.post(first, [event(n if n % 2 else -n) for n in range(first, first + 20)], connection=connection)
                first += 20
        feeder = threading.Thread(target=feed)
        feeder.start()
        try:
            numbers = [r['record']['n'] for r in self.aggregator.records('/v1/events', type='modbus')]
        finally:
            done.set()
            feeder.join()
        self.assertEqual(len(numbers), len(set(numbers)))
        self.assertEqual([n for n in numbers if 1 <= n <= 1000], list(range(1000, 0, -1)))


if __name__ == '__main__':
    aggregator_test.main()
