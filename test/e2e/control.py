#!/usr/bin/env python3
"""The control socket is one sensor's: a second one does not take it, one that was killed leaves it to the next, and nothing
that is no socket is removed for it. And how programs begin and end: what check, exit status and signals say. usage: test/e2e/control.py [BUILD_DIR]"""
import contextlib
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import uplink_test
from stack import ROOT, build_dir, wait_for

CONFIG = '''dpdk: {{ huge-pages: no, memory-mib: 128, mbufs: 4096, file-prefix: {prefix} }}
ports: ["ring:a"]
flow: {{ flows-max: 4096 }}
control: {{ socket: {socket} }}
outputs: {{ eve: {{ path: {folder}/eve.json }} }}
'''
BUILD = build_dir()


def capture_of_nothing(path):
    """A pcap without a frame."""
    with open(path, 'wb') as out:
        out.write(bytes.fromhex('d4c3b2a1' '02000400' '00000000' '00000000' '00000400' '01000000'))


def threads(pid):
    """Of each name of a thread its id: one that has just begun may not have its name yet."""
    found = {}
    for task in os.listdir(f'/proc/{pid}/task'):
        with open(f'/proc/{pid}/task/{task}/comm') as comm:
            found[comm.read().strip()] = int(task)
    return found


def thread_of(pid, name):
    wait_for(lambda: name in threads(pid), 10)
    return threads(pid)[name]


@contextlib.contextmanager
def stopped(task):
    """One thread alone, as one that hangs: signals stop them all."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    seize, interrupt, detach, any_thread = 0x4206, 0x4207, 17, 0x40000000
    if libc.ptrace(seize, task, None, None) != 0:
        raise unittest.SkipTest(f'ptrace: {os.strerror(ctypes.get_errno())}')
    libc.ptrace(interrupt, task, None, None)
    os.waitpid(task, any_thread)
    try:
        yield
    finally:
        libc.ptrace(detach, task, None, None)


class Control(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix='millrace-control-')
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.socket = f'{self.folder}/sensor.sock'
        self.running = []
        self.addCleanup(self.end)

    def end(self):
        for process in self.running:
            process.kill()
            process.wait()

    def config(self, name, path=None):
        with open(f'{self.folder}/{name}.yaml', 'w') as out:
            out.write(CONFIG.format(prefix=f'{os.path.basename(self.folder)}-{name}', socket=path or self.socket, folder=self.folder))
        return out.name

    def command(self, *words):
        return [f'{BUILD}/app/sensor/millrace-sensor', *words]

    def run_sensor(self, name, log=subprocess.DEVNULL, **environment):
        process = subprocess.Popen(self.command('run', '-c', self.config(name)), stdout=subprocess.DEVNULL, stderr=log,
                                   env={**os.environ, **environment})
        self.running.append(process)
        self.assertTrue(wait_for(self.answers, 60))
        return process

    def control(self, verb, **arguments):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(self.socket)
            client.sendall(json.dumps({'verb': verb, **arguments}).encode() + b'\n')
            return json.loads(client.makefile().readline())

    def answers(self):
        try:
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(self.socket)
                client.sendall(b'{"verb":"status"}\n')
                return b'"ok":' in client.recv(65536).replace(b' ', b'')
        except OSError:
            return False

    def refused(self, *words):
        run = subprocess.run(self.command(*words), capture_output=True, text=True, timeout=60)
        self.assertNotEqual(run.returncode, 0)
        return run.stderr

    def test_a_second_sensor_is_refused(self):
        first = self.run_sensor('first')
        self.assertIn('another sensor runs with', self.refused('run', '-c', self.config('second')))
        self.assertTrue(self.answers())
        # A capture may be read all the same.
        capture_of_nothing(f'{self.folder}/x.pcap')
        read = subprocess.run(self.command('read', '-c', self.config('reader'), '-r', f'{self.folder}/x.pcap', '-l', self.folder),
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(read.returncode, 0, read.stderr)
        self.assertTrue(self.answers())
        first.send_signal(signal.SIGTERM)
        first.wait(30)
        self.assertFalse(os.path.exists(self.socket))

    def test_status_names_links_and_losses(self):
        self.run_sensor('first')
        status = self.control('status')
        self.assertEqual((status['losses'], status['links']), ({}, {}))  # of ring: no link is known

    def test_what_is_misspelt_is_refused(self):
        self.run_sensor('first')
        for verb, arguments, error in (('flows', {'limt': 1}, 'limt is none of limit, ip'), ('log.level', {'levl': 'debug'}, 'levl is none of level'),
                                       ('rules.top', {'limit': 0}, 'limit is not a number of 1 to 1000'), ('rules.top', {'lim': 1}, 'lim is none of limit'),
                                       ('status', {'limit': 1}, 'limit: this verb takes no arguments')):
            self.assertEqual(self.control(verb, **arguments), {'ok': False, 'error': error})

    def test_options_that_a_verb_does_not_take(self):
        self.run_sensor('first')

        def millrace(*words):
            run = subprocess.run([f'{BUILD}/app/millrace/millrace', *words, '--socket', self.socket], capture_output=True, text=True, timeout=60)
            return run.returncode, run.stdout + run.stderr
        for words, said in ((('status', '--limit', '3'), 'take no filters'), (('control', 'flows', '--limit', '3'), 'take no filters'),
                            (('status', '--csv'), 'what the aggregator is asked'), (('flows', '--force'), 'for sensors revoke'),
                            (('alerts', '--site', 'x'), 'for sensors invite'), (('sensors', 'invite', 'x', '--limit', '1'), 'take no filters'),
                            (('sensors', 'invite', 'x', '--expires', '24'), 'a number with s, m, h or d'), (('capture',), 'capture start [FILTER]')):
            status, text = millrace(*words)
            self.assertEqual(status, 2, words)
            self.assertIn(said, text)
        self.assertIn('ports.0.port ', millrace('control', 'ports')[1])

    @contextlib.contextmanager
    def sipping(self):
        """A client that asks a lot at once, and takes of the answers more than one in the time that it is waited for."""
        ended = threading.Event()

        def sip(client):
            with contextlib.suppress(OSError):
                while client.recv(12000) and not ended.wait(1):
                    pass
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(self.socket)
            client.sendall(b'{"verb":"counters"}\n' * 3000)
            reader = threading.Thread(target=sip, args=(client,))
            reader.start()
            time.sleep(0.5)
            try:
                yield
            finally:
                ended.set()
                reader.join()

    def test_a_client_that_reads_in_drops_holds_nobody_up(self):
        process = self.run_sensor('first')
        with self.sipping():
            begun = time.monotonic()
            self.control('status')
            self.assertLess(time.monotonic() - begun, 10)
        with self.sipping():
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(15), 0)

    def test_flows_are_those_of_the_events_to_come(self):
        capture = f'{self.folder}/plant.pcap'
        subprocess.run([f'{BUILD}/app/bench/millrace-bench', 'generate', '--quiet', '--out', capture, '--frames', '600', '--protocols',
                        'modbus,goose,dnp3', '--plcs', '2', '--rtus', '2'], check=True)
        since = time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime())
        process = subprocess.Popen(self.command('run', '-c', self.config('first'), '--set', f'ports=["pcap:{capture}"]', '--set', 'workers.count=2',
                                                '--set', 'flow-timeouts.tcp.closed=600', '--set', 'flow-timeouts.udp.new=600'),
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.running.append(process)
        self.assertTrue(wait_for(self.answers, 60))
        self.assertTrue(wait_for(lambda: self.control('status')['capture']['processed'] == 600, 60))
        answer = self.control('flows', limit=256)
        self.assertEqual(answer['found'], len(answer['flows']))
        largest, *_ = self.control('flows', limit=1)['flows']
        of_one = self.control('flows', ip=next(flow['src_ip'] for flow in answer['flows'] if 'src_ip' in flow))
        self.assertEqual(self.control('flows', limit=257)['error'], 'limit is not a number of 1 to 256')
        self.assertEqual(self.control('flows', ip='10.0.0')['error'], 'ip is not an IPv4 or IPv6 address')
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        with open(f'{self.folder}/eve.json') as lines:
            events = [event for event in map(json.loads, lines) if event['event_type'] == 'flow']
        for event in events:
            del event['event_type'], event['timestamp'], event['flow']['reason']
        self.assertTrue(all(event['flow']['start'] > since for event in events))  # of a port, whatever the file says
        for flow in (*events, *answer['flows']):
            del flow['flow']['tx_cnt']  # of GOOSE the end is one more
        told = {flow['flow_id']: flow for flow in answer['flows']}
        self.assertEqual(told, {event['flow_id']: event for event in events})
        self.assertEqual(largest['flow_id'], max(events, key=lambda event: sum(event['flow'][f'bytes_to{side}'] for side in ('server', 'client')))['flow_id'])
        self.assertTrue(0 < of_one['found'] < len(events))

    def test_a_killed_one_leaves_it(self):
        first = self.run_sensor('first')
        first.kill()
        first.wait()
        self.assertTrue(os.path.exists(self.socket))
        self.run_sensor('second')

    def test_a_file_is_not_removed(self):
        path = f'{self.folder}/precious'
        with open(path, 'w') as out:
            out.write('data')
        self.assertIn('is no socket', self.refused('run', '-c', self.config('first', path)))
        with open(path) as kept:
            self.assertEqual(kept.read(), 'data')

    def test_folders_are_made(self):
        """As /run/millrace, which a boot takes away."""
        self.socket = f'{self.folder}/run/millrace/sensor.sock'
        self.run_sensor('first')
        self.assertTrue(os.path.exists(self.socket))

    def test_check_says_what_run_would(self):
        config = self.config('first')
        uplink = ['--set', 'uplink.enabled=yes', '--set', 'uplink.url=https://localhost:1', '--set', f'spool.path={self.folder}/spool']
        for words, what in ((['--set', 'spool.size=1.5 GiB'], 'spool.size: "1.5 GiB" is not a size'),
                            (['--set', 'outputs.syslog.message-max=1'], 'outputs.syslog.message-max: 1 is below'),
                            ([*uplink, *(word for key in ('cert', 'key', 'ca') for word in ('--set', f'uplink.{key}=/nowhere.pem'))],
                             '/nowhere.pem: No such file'),
                            ([*uplink, '--set', f'enrol.dir={self.folder}'], 'there is no identity')):
            for verb in ('check', 'run'):
                run = subprocess.run(self.command(verb, '-c', config, *words), capture_output=True, text=True, timeout=60)
                self.assertEqual(run.returncode, 1)
                self.assertIn(what, run.stdout + run.stderr)

    def test_check_finds_what_run_ends_at(self):
        for word, what in (('workers.cores=[4444]', 'workers.cores: there is no CPU 4444 here'),
                           ('exporter.core=1000', 'exporter.core: there is no CPU 1000 here'),
                           ('ports=["pci:3b:00.0"]', 'pci:3b:00.0: a PCI address is written whole'),
                           ('ports=["af_packet:lo","af_packet:lo"]', 'af_packet:lo is given twice'),
                           (f'outputs.eve.path={self.folder}', f'outputs.eve.path: {self.folder}: Is a directory'),
                           (f'outputs.eve.path={__file__}/x/eve.json', 'Not a directory'),
                           (f'control.socket={__file__}/s', 'Not a directory'),
                           ('classification-file=/nowhere', 'classification-file: /nowhere: No such file'),
                           ('threshold-file=/nowhere', 'threshold-file: /nowhere: No such file'),
                           ('spool=yes', 'spool: keys below it are expected, as spool.path'),
                           (f'control.socket=/{"x" * 120}', 'control.socket: the path is longer than 107 bytes')):
            for verb in ('check', 'run'):
                run = subprocess.run(self.command(verb, '-c', self.config('first'), '--set', word), capture_output=True, text=True, timeout=60)
                self.assertEqual(run.returncode, 1, (verb, word))
                self.assertIn(what, run.stdout + run.stderr, (verb, word))
                self.assertNotIn('EAL options', run.stdout + run.stderr)
        check = subprocess.run(self.command('check', '-c', self.config('first'), '--set', 'ports=["pci:ffff:1f:1f.7"]'), capture_output=True, text=True, timeout=60)
        self.assertIn('port pci:ffff:1f:1f.7: there is no such card', check.stdout)
        self.assertIn('1 fault, ', check.stdout)

    def test_check_takes_a_file_that_is_there(self):
        """A pipe, a device or a file that the sensor's user may write to, in a folder that is another's."""
        if os.geteuid() != 0:
            self.skipTest('root alone may be another')
        os.chmod(self.folder, 0o755)
        os.mkfifo(f'{self.folder}/pipe')
        os.chmod(f'{self.folder}/pipe', 0o666)
        for name, mode in (('there', 0o666), ('mine', 0o600)):
            with open(f'{self.folder}/{name}', 'w') as file:
                os.fchmod(file.fileno(), mode)
        for path, taken in (('/dev/null', True), (f'{self.folder}/pipe', True), (f'{self.folder}/there', True),
                            (f'{self.folder}/mine', False), (f'{self.folder}/new', False), (f'{self.folder}/there/x', False)):
            check = subprocess.run(['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups',
                                    *self.command('check', '-c', self.config('first'), '--set', f'outputs.eve.path={path}')],
                                   capture_output=True, text=True, timeout=60)
            self.assertEqual(f'outputs.eve.path: {path}: ' in check.stdout, not taken, (path, check.stdout[-400:]))

    def test_options_that_would_be_lost(self):
        capture_of_nothing(f'{self.folder}/x.pcap')
        read = ('read', '-r', f'{self.folder}/x.pcap', '-l', f'{self.folder}/a/b')
        for words, what in ((('-S', 'a.rules', '-S', 'b.rules'), '-S is given twice'), (('-r', 'x'), '-r is given twice'),
                            (('-k', 'non'), '-k non: none or all is wanted')):
            run = subprocess.run(self.command(*read, *words), capture_output=True, text=True, timeout=60)
            self.assertEqual(run.returncode, 2)
            self.assertIn(what, run.stderr)
        run = subprocess.run(self.command(*read, *('--set', 'log.level=notice') * 300), capture_output=True, text=True, timeout=60)
        self.assertEqual((run.returncode, run.stderr.splitlines()[0]), (2, '--set is given more than 248 times'))
        # The folder is made, and those above it.
        run = subprocess.run(self.command(*read, '-k', 'none', '--set', 'dpdk.huge-pages=no'), capture_output=True, text=True, timeout=60)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertTrue(os.path.exists(f'{self.folder}/a/b/eve.json'))
        run = subprocess.run(self.command('read', '-r', f'{self.folder}/a', '-l', self.folder), capture_output=True, text=True, timeout=60)
        self.assertEqual((run.returncode, run.stderr.splitlines()[-1]), (1, f'millrace-sensor: {self.folder}/a: the folder has no files'))

    def test_folder_of_captures(self):
        """What is no capture is said and passed over, wherever it stands; folders in it are counted."""
        folder = f'{self.folder}/captures'
        os.makedirs(f'{folder}/older')
        for name in ('README', 'zzz'):
            with open(f'{folder}/{name}', 'w') as out:
                out.write('not a capture\n')
        read = self.command('read', '-r', folder, '-l', f'{self.folder}/out', '--set', 'dpdk.huge-pages=no')
        run = subprocess.run(read, capture_output=True, text=True, timeout=60)
        self.assertEqual((run.returncode, run.stderr.splitlines()[-1]),
                         (1, 'millrace-sensor: none of 2 files is a capture that can be read'))
        capture_of_nothing(f'{folder}/middle.pcap')
        run = subprocess.run(read, capture_output=True, text=True, timeout=60)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertIn(f'{folder}: 1 folder in it is not read', run.stderr)
        for name in ('README', 'zzz'):
            self.assertIn(f'{folder}/{name}: neither pcap nor pcapng', run.stdout)

    def test_files_that_are_none(self):
        """Neither waits for the other end of a pipe, and a folder is called one."""
        pki, folder, pipe = (f'{self.folder}/{name}' for name in ('pki', 'folder', 'pipe'))
        subprocess.run([os.path.join(ROOT, 'scripts/pki'), pki, 'sensor'], check=True)
        os.mkdir(folder)
        os.mkfifo(pipe)
        given = {'enabled': 'yes', 'url': 'https://localhost:1', 'cert': f'{pki}/sensor.pem', 'key': f'{pki}/sensor.key', 'ca': f'{pki}/ca.pem'}
        for key, path, what in (*((key, folder, 'Is a directory') for key in ('uplink.cert', 'uplink.key', 'uplink.ca')),
                                *((key, pipe, 'is no plain file') for key in ('uplink.cert', 'uplink.key', 'uplink.ca')),
                                ('spool.key-file', folder, 'Is a directory')):
            settings = {**{f'uplink.{name}': value for name, value in given.items()}, 'spool.path': f'{self.folder}/spool', key: path}
            words = [word for name, value in settings.items() for word in ('--set', f'{name}={value}')]
            for verb in ('check', 'run'):
                run = subprocess.run(self.command(verb, '-c', self.config('first'), *words), capture_output=True, text=True, timeout=60)
                self.assertEqual(run.returncode, 1, (verb, key))
                self.assertRegex(run.stdout + run.stderr, f'{key}:? {path}:? {what}', (verb, key))

    def test_check_looks_at_the_end_of_certificates(self):
        pki = f'{self.folder}/pki'
        subprocess.run([os.path.join(ROOT, 'scripts/pki'), pki, 'sensor'], check=True)
        uplink_test.make_leaf(pki, 'old', 'ca', 'sensor', 'DNS:sensor', '200101000000Z', '200102000000Z')
        words = ['uplink.enabled=yes', 'uplink.url=https://localhost:1', f'uplink.ca={pki}/ca.pem', f'spool.path={self.folder}/spool']
        for name, status in (('sensor', 0), ('old', 1)):
            given = [*words, f'uplink.cert={pki}/{name}.pem', f'uplink.key={pki}/{name}.key']
            check = subprocess.run(self.command('check', '-c', self.config('first'), *(part for word in given for part in ('--set', word))),
                                   capture_output=True, text=True, timeout=60)
            self.assertEqual(check.returncode, status, check.stdout)
            self.assertEqual(f'FAULT uplink.cert: {pki}/old.pem has expired: renew it; if it is still valid' in check.stdout, status == 1)

    def test_the_spools_key_is_told_by_its_name(self):
        pki, key = f'{self.folder}/pki', f'{self.folder}/key'
        subprocess.run([os.path.join(ROOT, 'scripts/pki'), pki, 'sensor'], check=True)
        words = ['uplink.enabled=yes', 'uplink.url=https://localhost:1', *(f'uplink.{name}={pki}/{file}' for name, file in (
            ('cert', 'sensor.pem'), ('key', 'sensor.key'), ('ca', 'ca.pem'))), f'spool.path={self.folder}/spool', f'spool.key-file={key}']
        for content, mode, what in ((None, 0, 'No such file or directory'), ('ab', 0o600, 'not 64 hexadecimal digits'),
                                    ('ab' * 32, 0o644, 'everybody can read it (chmod 600)')):
            if content:
                with open(key, 'w') as out:
                    out.write(content)
                os.chmod(key, mode)
            for verb in ('check', 'run'):
                run = subprocess.run(self.command(verb, '-c', self.config('first'), *(part for word in words for part in ('--set', word))),
                                     capture_output=True, text=True, timeout=60)
                self.assertEqual(run.returncode, 1)
                self.assertIn(f'spool.key-file: {key}: {what}', run.stdout + run.stderr)
                self.assertNotIn('spool.path', run.stdout + run.stderr)

    def test_check_looks_at_outputs(self):
        for words, status, what in ((['outputs.syslog.enabled=yes', f'outputs.syslog.ca={self.folder}'], 1, f'outputs.syslog.ca: {self.folder}: Is a directory'),
                                    (['outputs.syslog.enabled=yes'], 1, 'outputs.syslog.url: must be udp://'),
                                    (['outputs.ipfix.enabled=yes', 'outputs.ipfix.url=udp://a:1', 'outputs.ipfix.lanes=["flows"]'], 1, 'outputs.ipfix.lanes: "flows"'),
                                    (['outputs.kafka.enabled=yes', 'outputs.kafka.brokers=a:1', 'outputs.kafka.topic=a b'], 1, 'outputs.kafka'),
                                    (['outputs.kafka.enabled=yes', 'outputs.kafka.sasl-password-file=/nowhere'], 1, 'sasl-password-file: /nowhere: No such file'),
                                    ([f'outputs.syslog.ca={self.folder}'], 0, '0 faults, '),
                                    (['uplink.url=https://localhost:1'], 0, 'uplink.url is given, but uplink.enabled is no'),
                                    (['outputs.kafka.brokers=localhost:1'], 0, 'outputs.kafka.brokers is given, but outputs.kafka.enabled is no')):
            check = subprocess.run(self.command('check', '-c', self.config('first'), *(part for word in words for part in ('--set', word))),
                                   capture_output=True, text=True, timeout=60)
            self.assertIn(what, check.stdout)
            self.assertEqual(check.returncode, status, check.stdout)

    @unittest.skipUnless(shutil.which('setpriv') and os.geteuid() == 0, 'needs root and setpriv')
    def test_root_without_rights_is_told_which(self):
        config = self.config('first')
        for kind, has, missing in (('af_packet', '-all,+net_raw', ' CAP_NET_ADMIN CAP_IPC_LOCK'),
                                   ('af_xdp', '-all,+net_raw,+net_admin,+ipc_lock', ' CAP_SYS_ADMIN')):
            for verb, words in (('check', f'does not open without{missing}, which'), ('run', f'it needs{missing}\n')):
                run = subprocess.run(['prlimit', '--memlock=65536', 'setpriv', '--bounding-set', has, '--inh-caps', '-all',
                                      *self.command(verb, '-c', config, '--set', f'ports={kind}:lo')], capture_output=True, text=True, timeout=60)
                self.assertIn(words, run.stdout + run.stderr)
                self.assertNotIn('ok    port', run.stdout)

    def test_read_says_what_the_disk_did_not_take(self):
        capture_of_nothing(f'{self.folder}/x.pcap')
        read = subprocess.run(self.command('read', '-c', self.config('reader'), '-r', f'{self.folder}/x.pcap', '-l', self.folder,
                                           '--set', 'outputs.eve.path=/dev/full'), capture_output=True, text=True, timeout=60)
        self.assertEqual(read.returncode, 1)
        self.assertRegex(read.stdout, r'sink.file.dropped +[1-9]')

    def test_read_says_what_the_spool_had_no_room_for(self):
        """20 MiB of records for a spool of 16, of a receiver that is not there."""
        subprocess.run([f'{BUILD}/app/bench/millrace-bench', 'generate', '--out', f'{self.folder}/x.pcap', '--seconds', '400', '--quiet'], check=True)
        subprocess.run([os.path.join(ROOT, 'scripts/pki'), f'{self.folder}/pki', 'sensor'], check=True)
        pki = f'{self.folder}/pki'
        read = subprocess.Popen(self.command(
            'read', '-c', self.config('reader'), '-r', f'{self.folder}/x.pcap', '-l', self.folder, '--set',
            f'uplink={{ enabled: yes, url: "https://localhost:1", cert: {pki}/sensor.pem, key: {pki}/sensor.key, ca: {pki}/ca.pem }}',
            '--set', f'spool={{ path: {self.folder}/spool, size: 16 MiB }}'), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.running.append(read)
        self.addCleanup(read.stdout.close)
        self.addCleanup(read.stderr.close)
        self.assertIn('events in', next(line for line in read.stdout if 'events in' in line))
        # Said before it waits for those that are left.
        said = next(line for line in read.stderr if 'lost on their way' in line)
        self.assertRegex(said, r'[1-9][0-9]* records were lost on their way: the spool had no room')

    def test_a_second_signal_ends_a_reading(self):
        """Which waits two minutes for an aggregator that is not there."""
        capture_of_nothing(f'{self.folder}/x.pcap')
        subprocess.run([os.path.join(ROOT, 'scripts/pki'), f'{self.folder}/pki', 'sensor'], check=True)
        pki = f'{self.folder}/pki'
        read = subprocess.Popen(self.command(
            'read', '-c', self.config('reader'), '-r', f'{self.folder}/x.pcap', '-l', self.folder, '--set',
            f'uplink={{ enabled: yes, url: "https://localhost:1", cert: {pki}/sensor.pem, key: {pki}/sensor.key, ca: {pki}/ca.pem }}',
            '--set', f'spool.path={self.folder}/spool'), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            bufsize=1)
        self.running.append(read)
        self.addCleanup(read.stdout.close)
        self.assertTrue(wait_for(lambda: os.path.exists(f'{self.folder}/eve.json') and os.path.getsize(f'{self.folder}/eve.json') > 0, 60))
        time.sleep(1)
        self.assertIsNone(read.poll())
        read.send_signal(signal.SIGINT)
        time.sleep(0.5)
        read.send_signal(signal.SIGINT)
        self.assertEqual(read.wait(10), -signal.SIGINT)

    def run_managed(self):
        """A sensor, and the service manager's end of what it tells."""
        manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(manager.close)
        manager.bind(f'{self.folder}/notify')
        manager.settimeout(3)
        with open(f'{self.folder}/log', 'wb') as log:
            process = self.run_sensor('first', log, NOTIFY_SOCKET=f'{self.folder}/notify', WATCHDOG_USEC='1000000')
        return process, manager

    def forget_heard(self, manager):
        manager.setblocking(False)
        with self.assertRaises(BlockingIOError):
            while True:
                manager.recv(64)
        manager.settimeout(3)

    def told(self, text):
        with open(f'{self.folder}/log') as log:
            return text in log.read()

    def test_a_worker_that_hangs_is_told(self):
        """To the log, to whoever asks, and to the service manager, which no longer hears that all is well."""
        process, manager = self.run_managed()
        self.assertEqual([manager.recv(64) for _ in range(3)], [b'READY=1', b'WATCHDOG=1', b'WATCHDOG=1'])

        with stopped(thread_of(process.pid, 'rte-worker-1')):
            self.assertTrue(wait_for(lambda: self.told('worker 0 stands still for 10 s'), 20))
            self.forget_heard(manager)
            with self.assertRaises(TimeoutError):
                manager.recv(64)
            self.assertEqual((self.counter('stalls'), self.worker()['stalled']), (1, True))
        self.assertEqual(manager.recv(64), b'WATCHDOG=1')
        self.assertTrue(wait_for(lambda: self.told('worker 0 goes on'), 5))
        self.assertEqual((self.counter('stalls'), self.worker()['stalled']), (1, False))
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(30), 0)
        heard = b''
        while heard != b'STOPPING=1':
            heard = manager.recv(64)

    def test_an_exporter_that_hangs_is_told(self):
        """The service manager hears that all is well for two minutes more: it may be a disk."""
        process, manager = self.run_managed()

        with stopped(thread_of(process.pid, 'exporter')):
            self.assertTrue(wait_for(lambda: self.told('the exporter stands still for 10 s'), 20))
            self.forget_heard(manager)
            self.assertEqual(manager.recv(64), b'WATCHDOG=1')
            self.assertEqual(self.control('counters')['counters']['exporter']['stalls'], 1)
        self.assertTrue(wait_for(lambda: self.told('the exporter goes on'), 5))
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(30), 0)

    def counter(self, name):
        return self.control('counters')['counters']['capture'][name]

    def worker(self):
        return self.control('counters')['counters']['workers'][0]

    def test_an_answer_that_is_not_whole(self):
        self.run_sensor('first')
        with open('/dev/full', 'w') as full:
            status = subprocess.run([f'{BUILD}/app/millrace/millrace', 'status', '--socket', self.socket], stdout=full,
                                    stderr=subprocess.PIPE, text=True)
        self.assertEqual(status.returncode, 1)
        self.assertIn('cannot be written', status.stderr)


if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1], verbosity=2)
