"""Sensor and aggregator of a build, joined by mutual TLS in a folder of their own: for the tests beside it."""
import argparse
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'harness'))
import store  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SHARED = os.environ.get('MILLRACE_SHARED', os.path.join(ROOT, '..', 'shared'))
LANES = ('alert', 'asset', 'event', 'flow', 'stats')
SKIPPED = 77
READY_S = 30


def build_dir():
    """The build under test: the first argument that is a folder, else build-test, else build."""
    for name in (*sys.argv[1:], os.path.join(ROOT, 'build-test'), os.path.join(ROOT, 'build')):
        if os.path.isdir(os.path.join(name, 'app')):
            return os.path.abspath(name)
    sys.exit('no build folder: give one')


def skip(reason):
    print(f'skipped: {reason}')
    sys.exit(SKIPPED)


def add_row(path, **row):
    """For scripts/soak: what a fault did, one JSON object a line."""
    if path:
        with open(path, 'a') as file:
            file.write(json.dumps(row) + '\n')


def fault_options(argument, **how):
    """The command line of a program that plays faults; argument: its first."""
    parser = argparse.ArgumentParser()
    parser.add_argument(argument, **how)
    parser.add_argument('--rounds', type=int, default=1)
    parser.add_argument('--only', help='faults that have this in their name')
    parser.add_argument('--rows', help='a file for add_row()')
    return parser.parse_args()


def play_faults(names, heading, play, rows):
    """Plays each fault and prints a line of the table; play(name) gives that line, the row of the file, and what went wrong.
    Returns the status of the program."""
    failed = 0
    print(f'{"FAULT":30} {heading}')
    for name in names:
        line, row, faults = play(name)
        print(f'{name:30} {line}', flush=True)
        add_row(rows, fault=name, **row)
        for fault in faults:
            print(f'  {fault}')
        failed += bool(faults)
    print(f'{len(names) - failed} passed, {failed} failed, 0 skipped')
    return failed > 0


def report(passed, failed, skipped=0):
    print(f'{passed} passed, {failed} failed, {skipped} skipped')
    sys.exit(1 if failed else 0)


class Stack:
    """run/ in small. Use as a context: the folder goes unless something failed."""

    def __init__(self, build, huge_pages=False):
        self.build = build
        self.dir = tempfile.mkdtemp(prefix='millrace-e2e-')
        self.huge_pages = huge_pages
        self.aggregator = None
        self.port = 0
        self.api_port = 0
        subprocess.run([os.path.join(ROOT, 'scripts/pki'), self.path('pki'), 'e2e'], check=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.stop_aggregator()
        if kind is None or kind is SystemExit and value.code in (0, SKIPPED):
            shutil.rmtree(self.dir, ignore_errors=True)
        else:
            print(f'what was left is in {self.dir}')

    def path(self, name):
        return os.path.join(self.dir, name)

    def program(self, name):
        return os.path.join(self.build, 'app', name)

    def write_aggregator_config(self):
        with open(self.path('aggregator.yaml'), 'w') as file:
            file.write(f'''listen: 127.0.0.1:{self.port}
tls: {{ cert: {self.path("pki/aggregator.pem")}, key: {self.path("pki/aggregator.key")}, ca: {self.path("pki/ca.pem")} }}
api: {{ listen: "127.0.0.1:{self.api_port}", token-file: {self.path("pki/token")} }}
store: {{ kind: sqlite, path: {self.path("store.sqlite")} }}
''')

    def start_aggregator(self):
        """Again on the same ports, once it ran."""
        self.write_aggregator_config()
        ready = self.path('ready')
        if os.path.exists(ready):
            os.unlink(ready)
        log = open(self.path('aggregator.log'), 'ab')
        self.aggregator = subprocess.Popen([self.program('aggregator/millrace-aggregator'), 'run', '-c',
                                            self.path('aggregator.yaml'), '--ready-file', ready],
                                           stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        wait_for(lambda: os.path.exists(ready) or self.aggregator.poll() is not None, READY_S)
        if not os.path.exists(ready):
            sys.exit(f'the aggregator did not start:\n{self.tail("aggregator.log")}')
        _, self.port, self.api_port = open(ready).read().split()

    def stop_aggregator(self):
        if self.aggregator is not None and self.aggregator.poll() is None:
            self.aggregator.send_signal(signal.SIGTERM)
            self.aggregator.wait(30)

    def kill_aggregator(self):
        self.aggregator.kill()
        self.aggregator.wait()

    def write_sensor_config(self, port=None, more=''):
        with open(self.path('sensor.yaml'), 'w') as file:
            file.write(f'''{f"ports: ['{port}']" if port else ""}
dpdk: {{ huge-pages: {"yes" if self.huge_pages else "no"}, memory-mib: 512, file-prefix: {os.path.basename(self.dir)} }}
flow: {{ flows-max: 16384 }}
control: {{ socket: {self.path("sensor.sock")} }}
rule-files: [{ROOT}/rules/modbus.rules, {ROOT}/rules/dnp3.rules]
classification-file: {ROOT}/rules/classification.config
outputs: {{ eve: {{ path: {self.path("eve.json")}, rotate-size: 0 }} }}
spool: {{ path: {self.path("spool")} }}
uplink:
  enabled: yes
  url: https://localhost:{self.port}
  sensor: e2e
  cert: {self.path("pki/e2e.pem")}
  key: {self.path("pki/e2e.key")}
  ca: {self.path("pki/ca.pem")}
  backoff-max-ms: 1000
{more}''')

    def start_sensor(self, *arguments, prefix=()):
        """`read -r FILE` or `run`, in the background; prefix: ip netns exec NAME."""
        log = open(self.path('sensor.log'), 'ab')
        return subprocess.Popen([*prefix, self.program('sensor/millrace-sensor'), arguments[0], '-c', self.path('sensor.yaml'),
                                 *arguments[1:]], stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def read_capture(self, capture, timeout_s=300):
        """Returns once the sensor is done, which is when all is acknowledged."""
        sensor = self.start_sensor('read', '-r', capture, '-l', self.dir, '-k', 'none')
        status = sensor.wait(timeout_s)
        if status != 0:
            raise RuntimeError(f'the sensor ended with {status}:\n{self.tail("sensor.log")}')

    def tail(self, name):
        with open(self.path(name), errors='replace') as file:
            return ''.join(file.readlines()[-20:])

    def query(self, sql):
        """For what is no record: sensors, lanes, gaps, runs."""
        base = sqlite3.connect(f'file:{self.path("store.sqlite")}?mode=ro', uri=True)
        try:
            return base.execute(sql).fetchall()
        finally:
            base.close()

    def records(self):
        """(sensor, epoch, lane, sequence) -> line"""
        return [((sensor, epoch, LANES[lane], seq), line)
                for sensor, epoch, lane, seq, line in store.records(self.path('store.sqlite'))]

    def events(self, kind=None):
        events = [json.loads(line) for _, line in self.records()]
        return [event for event in events if kind is None or event['event_type'] == kind]


def wait_for(condition, seconds, pause_s=0.05):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(pause_s)
    return condition()
