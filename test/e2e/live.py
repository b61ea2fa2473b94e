#!/usr/bin/env python3
"""A libmodbus client and server talk over a mirrored segment; every transaction they made is in the store. So is a connection that
goes on.

usage: test/e2e/live.py [BUILD_DIR] [--rounds N]

Two network namespaces on a bridge that does not learn, so that it copies every frame to a third port: the mirror. The
sensor listens there, once with af_packet and once with af_xdp. Needs root; skipped otherwise.
"""
import argparse
import collections
import json
import os
import signal
import subprocess
import sys
import time

from stack import Stack, build_dir, report, skip, wait_for

PORTS = ('af_packet', 'af_xdp')
TRANSACTIONS_OF_A_ROUND = 11
SERVER = '10.99.0.2'
CLIENT = '10.99.0.1'


# A connection that lasts until it is killed: a byte there and back each tenth of a second.
LASTING_PORT = 4000
LASTING_SERVER = f'''import socket
server = socket.create_server(("{SERVER}", {LASTING_PORT}))
print("ready", flush=True)
peer = server.accept()[0]
while data := peer.recv(1):
    peer.sendall(data)
'''
LASTING_CLIENT = f'''import socket, time
peer = socket.create_connection(("{SERVER}", {LASTING_PORT}))
while True:
    peer.sendall(b"x")
    peer.recv(1)
    time.sleep(0.1)
'''


def sh(command):
    subprocess.run(command.split(), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


class Segment:
    """client namespace -- bridge -- server namespace, and the mirror: `self.mirror` is where the sensor listens."""

    def __init__(self):
        self.tag = f'mr{os.getpid() % 10000}'
        self.mirror = f'{self.tag}m1'

    def __enter__(self):
        tag = self.tag
        try:
            sh(f'ip link add {tag}br type bridge mcast_snooping 0')
            sh(f'ip link set {tag}br up')
            for side, address in (('c', CLIENT), ('s', SERVER), ('m', None)):
                sh(f'ip link add {tag}{side}0 type veth peer name {tag}{side}1')
                sh(f'ip link set {tag}{side}0 master {tag}br')
                sh(f'ip link set {tag}{side}0 type bridge_slave learning off')
                sh(f'sysctl -q -w net.ipv6.conf.{tag}{side}0.disable_ipv6=1')
                sh(f'ip link set {tag}{side}0 up')
                if address is None:
                    sh(f'sysctl -q -w net.ipv6.conf.{tag}{side}1.disable_ipv6=1')
                    sh(f'ip link set {tag}{side}1 up')
                    continue
                sh(f'ip netns add {tag}{side}')
                sh(f'ip link set {tag}{side}1 netns {tag}{side}')
                sh(f'ip netns exec {tag}{side} sysctl -q -w net.ipv6.conf.all.disable_ipv6=1')
                sh(f'ip -n {tag}{side} addr add {address}/24 dev {tag}{side}1')
                sh(f'ip -n {tag}{side} link set {tag}{side}1 up')
                # Offloads make segments longer than the wire's, and leave checksums to a card that is not there.
                sh(f'ip netns exec {tag}{side} ethtool -K {tag}{side}1 tx off rx off gso off gro off tso off')
        except subprocess.CalledProcessError as error:
            self.__exit__(None, None, None)
            skip(f'no network namespaces, veth or bridge here: {error.stderr.decode().strip()}')
        return self

    def __exit__(self, *_):
        for command in (f'ip netns del {self.tag}c', f'ip netns del {self.tag}s', f'ip link del {self.tag}br',
                        f'ip link del {self.tag}c0', f'ip link del {self.tag}s0', f'ip link del {self.tag}m0'):
            subprocess.run(command.split(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def client(self, command):
        return ['ip', 'netns', 'exec', f'{self.tag}c', *command]

    def server(self, command):
        return ['ip', 'netns', 'exec', f'{self.tag}s', *command]


def as_client_saw(line):
    said = json.loads(line)
    return said['function'], said['address'], said['exception'], tuple(said['values'])


def as_store_has(event):
    request, response = event['modbus'].get('request', {}), event['modbus'].get('response', {})
    function = request.get('function_raw')
    part = request.get('write', {}) if function in (5, 6, 15, 16, 22) else response.get('read', {})
    address = request.get('read', request.get('write', {})).get('address')
    exception = response.get('exception', {}).get('raw', 0)
    values = () if exception or function == 22 else tuple(part.get('values', [part.get('data')]))
    return function, address, exception, values


def talk(stack, segment, rounds):
    """Runs the client to its end. @return what it saw"""
    tools = os.path.join(stack.build, 'test/e2e')
    server = subprocess.Popen(segment.server([os.path.join(tools, 'modbus_server'), SERVER, '502']), stdout=subprocess.PIPE)
    try:
        server.stdout.readline()
        out = subprocess.run(segment.client([os.path.join(tools, 'modbus_client'), SERVER, '502', str(rounds)]),
                             check=True, capture_output=True, text=True, timeout=120).stdout
    finally:
        server.kill()
        server.wait()
    return collections.Counter(as_client_saw(line) for line in out.splitlines())


def listen(stack, segment, port):
    """Starts the sensor on the mirror. @return it, once it runs"""
    stack.write_sensor_config(f'{port}:{segment.mirror}')
    sensor = stack.start_sensor('run', '--set', 'flow.active-timeout=1')
    wait_for(lambda: 'running:' in stack.tail('sensor.log') or sensor.poll() is not None, 60)
    if sensor.poll() is not None:
        raise RuntimeError(f'the sensor ended with {sensor.returncode}:\n{stack.tail("sensor.log")}')
    return sensor


def compare(port, saw, stack):
    events = stack.events('modbus')
    has = collections.Counter(as_store_has(event) for event in events)
    stats = stack.events('stats')[-1]['stats']['capture']
    print(f'{port}: {sum(saw.values())} transactions made, {sum(has.values())} stored, {stats["received"]} frames received,',
          'lost', {name: count for name, count in stats.get('dropped', {}).items() if count} or 'none')
    for key, count in list((saw - has).items())[:5]:
        print(f'  made and not stored: {key} x {count}')
    for key, count in list((has - saw).items())[:5]:
        print(f'  stored and not made: {key} x {count}')
    return saw == has and len(saw) > 0


def is_lasting(event):
    return event.get('dest_port') == LASTING_PORT


def last(stack, segment):
    """A connection is told of while it goes on, at least twice. @return whether it was"""
    server = subprocess.Popen(segment.server([sys.executable, '-c', LASTING_SERVER]), stdout=subprocess.PIPE)
    server.stdout.readline()
    client = subprocess.Popen(segment.client([sys.executable, '-c', LASTING_CLIENT]))
    try:
        told = wait_for(lambda: sum(map(is_lasting, stack.events('flow'))) >= 2, 20, 0.3) and client.poll() is None
    finally:
        for process in (client, server):
            process.kill()
            process.wait()
    return told


def compare_lasting(port, told, stack):
    flows = [event for event in stack.events('flow') if is_lasting(event)]
    parts = [event['flow'].get('part', 1) for event in flows]
    print(f'{port}: a connection that goes on, told of {"in time" if told else "too late"}, in {len(flows)} parts')
    return (told and parts == list(range(1, len(flows) + 1)) and len({event['flow_id'] for event in flows}) == 1 and
            all(event['flow']['reason'] == 'active_timeout' for event in flows[:-1]) and flows[-1]['flow']['reason'] == 'shutdown')


def try_port(port, rounds):
    with Stack(build_dir()) as stack, Segment() as segment:
        stack.start_aggregator()
        sensor = listen(stack, segment, port)
        try:
            saw = talk(stack, segment, rounds)
            told = last(stack, segment)
            wait_for(lambda: len(stack.events('modbus')) >= rounds * TRANSACTIONS_OF_A_ROUND, 20, 0.5)
        finally:
            sensor.send_signal(signal.SIGTERM)
            sensor.wait(60)
        time.sleep(0.2)
        lasted = compare_lasting(port, told, stack)
        return compare(port, saw, stack) and lasted


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('build', nargs='?')
    parser.add_argument('--rounds', type=int, default=100)
    options = parser.parse_args()
    if os.geteuid() != 0:
        skip('not root: no network namespaces')
    if not os.path.exists(os.path.join(build_dir(), 'test/e2e/modbus_client')):
        skip('libmodbus-dev was not there when this was built')
    results = [try_port(port, options.rounds) for port in PORTS]
    report(results.count(True), results.count(False))


main()
