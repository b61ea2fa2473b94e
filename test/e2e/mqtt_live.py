#!/usr/bin/env python3
"""mosquitto and its clients talk over veth, in every version and quality of service; what they did is what was recorded.

usage: test/e2e/mqtt_live.py [BUILD_DIR] [--rounds N]

The clients are in a network namespace, the broker on this side of the veth pair, where the sensor listens with af_packet.
Needs root, and the packages mosquitto and mosquitto-clients; skipped otherwise.
"""
import argparse
import collections
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

from stack import build_dir, report, skip, wait_for

VERSIONS = {'mqttv31': 3, 'mqttv311': 4, 'mqttv5': 5}
BROKER = '10.98.0.1'
CLIENT = '10.98.0.2'
USER, PASSWORD = 'plant', 'Xk4-9q'
READY_S = 60


def sh(command):
    subprocess.run(command.split(), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


class Segment:
    """broker's end -- client's end in a namespace."""

    def __init__(self):
        self.tag = f'mq{os.getpid() % 10000}'
        self.port = f'{self.tag}b'

    def __enter__(self):
        tag = self.tag
        try:
            sh(f'ip netns add {tag}')
            sh(f'ip link add {tag}b type veth peer name {tag}c')
            sh(f'ip link set {tag}c netns {tag}')
            sh(f'ip addr add {BROKER}/24 dev {tag}b')
            sh(f'ip link set {tag}b up')
            sh(f'ip -n {tag} addr add {CLIENT}/24 dev {tag}c')
            sh(f'ip -n {tag} link set {tag}c up')
            # Offloads make segments longer than the wire's, and leave checksums to a card that is not there.
            sh(f'ethtool -K {tag}b tx off rx off gso off gro off tso off')
            sh(f'ip netns exec {tag} ethtool -K {tag}c tx off rx off gso off gro off tso off')
        except subprocess.CalledProcessError as error:
            self.__exit__(None, None, None)
            skip(f'no network namespaces or veth here: {error.stderr.decode().strip()}')
        return self

    def __exit__(self, *_):
        for command in (f'ip link del {self.tag}b', f'ip netns del {self.tag}'):
            subprocess.run(command.split(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def client(self, *command):
        return ['ip', 'netns', 'exec', self.tag, *command]


def start_broker(folder):
    passwords = os.path.join(folder, 'passwords')
    subprocess.run(['mosquitto_passwd', '-b', '-c', passwords, USER, PASSWORD], check=True)
    config = os.path.join(folder, 'mosquitto.conf')
    with open(config, 'w') as file:
        file.write(f'user root\nlistener 1883 {BROKER}\nallow_anonymous false\npassword_file {passwords}\npersistence false\n')
    log = open(os.path.join(folder, 'mosquitto.log'), 'wb')
    broker = subprocess.Popen(['mosquitto', '-c', config], stdout=log, stderr=log)
    wait_for(lambda: f'{BROKER}:1883' in subprocess.run(['ss', '-ltn'], capture_output=True, text=True).stdout, READY_S)
    return broker


def start_sensor(folder, port):
    config = os.path.join(folder, 'sensor.yaml')
    with open(config, 'w') as file:
        file.write(f'''ports: ['af_packet:{port}']
dpdk: {{ huge-pages: no, memory-mib: 256, file-prefix: {os.path.basename(folder)} }}
flow: {{ flows-max: 16384 }}
control: {{ socket: {folder}/sensor.sock }}
outputs: {{ eve: {{ path: {folder}/eve.json, rotate-size: 0 }} }}
''')
    log = os.path.join(folder, 'sensor.log')
    sensor = subprocess.Popen([os.path.join(build_dir(), 'app/sensor/millrace-sensor'), 'run', '-c', config],
                              stdout=open(log, 'wb'), stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    wait_for(lambda: 'running:' in open(log, errors='replace').read() or sensor.poll() is not None, READY_S)
    if sensor.poll() is not None:
        raise RuntimeError(f'the sensor ended with {sensor.returncode}:\n{open(log).read()}')
    return sensor


def publish(segment, version, qos, topic, message, password=PASSWORD, client_id='pub'):
    return subprocess.run(segment.client('mosquitto_pub', '-h', BROKER, '-V', version, '-u', USER, '-P', password, '-i', client_id,
                                         '-q', str(qos), '-t', topic, '-m', message),
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=30, check=False).returncode


def talk(segment, rounds):
    """@return what was done, as (what, …) with counts"""
    done = collections.Counter()
    total = rounds * len(VERSIONS) * 3
    subscriber = subprocess.Popen(segment.client('mosquitto_sub', '-h', BROKER, '-V', 'mqttv5', '-u', USER, '-P', PASSWORD, '-i', 'sub',
                                                 '-q', '2', '-t', 'plant/#', '-C', str(total)), stdout=subprocess.PIPE, text=True)
    done['connect', 'sub', 5, 0] += 1
    done['subscribe', 'plant/#', 2] += 1
    time.sleep(1)
    for number in range(rounds):
        for version, level in VERSIONS.items():
            for qos in range(3):
                topic, message = f'plant/{version}/{qos}', f'{number}: {number * 1.5} bar'
                if publish(segment, version, qos, topic, message) == 0:
                    done['connect', 'pub', level, 0] += 1
                    done['publish', 'up', topic, message, qos] += 1
    got = subscriber.communicate(timeout=60)[0].splitlines()
    done['received'] = len(got)
    for (what, *rest), count in list(done.items()):
        if what == 'publish':
            done['publish', 'down', *rest[1:]] = count
    publish(segment, 'mqttv311', 0, 'plant/no', 'x', 'wrong', 'thief')
    done['connect', 'thief', 4, 5] += 1
    return done


def recorded(path):
    """The same from the sensor's events. A transaction counts where it has all its messages."""
    has = collections.Counter()
    subscribers = set()  # flows whose messages come from the broker
    answers = {0: set(), 1: {'puback'}, 2: {'pubrec', 'pubrel', 'pubcomp'}}
    with open(path, encoding='utf-8') as lines:
        events = [json.loads(line) for line in lines]
    for event in events:
        mqtt = event.get('mqtt', {}) if event['event_type'] == 'mqtt' else {}
        if 'connect' in mqtt and 'connack' in mqtt:
            has['connect', mqtt['connect']['client_id'], mqtt['connect']['protocol_version'], mqtt['connack']['return_code']] += 1
        if 'suback' in mqtt:
            for topic in mqtt['subscribe']['topics']:
                has['subscribe', topic['topic'], topic['qos']] += 1
        if 'publish' in mqtt and answers[mqtt['publish']['qos']] <= set(mqtt):
            sent = mqtt['publish']
            way = 'down' if event['flow_id'] in subscribers else 'up'
            has['publish', way, sent['topic'], sent['message'], sent['qos']] += 1
        if 'subscribe' in mqtt:
            subscribers.add(event['flow_id'])
    return has, [e for e in events if e['event_type'] == 'anomaly' and e.get('anomaly', {}).get('app_proto') == 'mqtt']


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('build', nargs='?')
    parser.add_argument('--rounds', type=int, default=10)
    options = parser.parse_args()
    if os.geteuid() != 0:
        skip('not root: no network namespaces')
    if not shutil.which('mosquitto') or not shutil.which('mosquitto_pub'):
        skip('mosquitto and mosquitto-clients are not installed')
    folder = tempfile.mkdtemp(prefix='millrace-mqtt-')
    with Segment() as segment:
        broker = start_broker(folder)
        sensor = start_sensor(folder, segment.port)
        try:
            done = talk(segment, options.rounds)
            time.sleep(2)
        finally:
            sensor.send_signal(signal.SIGTERM)
            sensor.wait(60)
            broker.terminate()
            broker.wait(10)
    received = done.pop('received')
    has, anomalies = recorded(os.path.join(folder, 'eve.json'))
    print(f'{sum(done.values())} transactions made, {sum(has.values())} recorded, {received} messages received by the '
          f'subscriber, {len(anomalies)} anomalies')
    for what, count in list((done - has).items())[:5] + list((has - done).items())[:5]:
        print(f'  made {done[what]}, recorded {has[what]}: {what}')
    good = done == has and not anomalies
    if good:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        print(f'what was left is in {folder}')
    report(int(good), int(not good))


main()
