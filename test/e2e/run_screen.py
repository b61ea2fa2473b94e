#!/usr/bin/env python3
"""What scripts/run shows, compared with tshark: captures through sensor, uplink and aggregator, counts from the store.

usage: test/e2e/run_screen.py [BUILD_DIR]

Frames, flows and function codes of each capture must equal the corpus's truth, but for what EXPLAINED says.
"""
import collections
import json
import os

from stack import SHARED, Stack, build_dir, report, skip

CAPTURES = ('icsnpp-modbus__modbus_example.pcap', 'icsnpp-dnp3__dnp3_example.pcap', 'suriverify__modbus-modbus.pcap',
            'iti__dnp3-opendnp3-3-conformance-8.11.2.5-dump.pcap')
LOG_CONFIRMS = 'app-layer: { protocols: { dnp3: { log-confirms: yes } } }\n'

# tshark 4.0 does not join a DNP3 fragment whose transport sequence wraps from 63 to 0 (frames 17 and 18 are the first),
# and later takes the last one's bytes for frame 311, whose function it then reads as 0. Zeek's log of this capture has 368
# responses, as the store.
EXPLAINED = {'icsnpp-dnp3__dnp3_example.pcap': {'dnp3 function 129': 364, 'dnp3 function 130': 4, 'dnp3 function 0': 0}}


def truth_of(capture):
    with open(os.path.join(SHARED, 'corpus/truth', capture + '.json')) as file:
        truth = json.load(file)
    services = truth['services']
    codes = {'modbus': services.get('modbus', {}).get('modbus.func_code', {}),
             'dnp3': services.get('dnp3', {}).get('dnp3.al.func', {})}
    found = {'frames': truth['packets'], 'flows': truth['tcp_conversations'] + truth['udp_conversations']}
    for protocol, counts in codes.items():
        for code, count in counts.items():
            found[f'{protocol} function {code}'] = count
    return found


def store_of(stack):
    found = collections.Counter()
    for event in stack.events():
        kind = event['event_type']
        if kind == 'stats':
            found['frames'] = event['stats']['capture']['received']
        elif kind == 'flow':
            found['flows'] += 1
        elif kind == 'modbus':
            for side in ('request', 'response'):
                if side in event['modbus']:
                    found[f'modbus function {event["modbus"][side]["function_raw"] & 0x7f}'] += 1
        elif kind == 'dnp3' and 'application' in event['dnp3']:
            found[f'dnp3 function {event["dnp3"]["application"]["function_code"]}'] += 1
    return dict(found)


def main():
    if not os.path.isdir(os.path.join(SHARED, 'corpus/captures')):
        skip(f'no shared corpus at {SHARED}')
    passed = failed = 0
    for capture in CAPTURES:
        with Stack(build_dir()) as stack:
            stack.start_aggregator()
            stack.write_sensor_config(more=LOG_CONFIRMS)
            stack.read_capture(os.path.join(SHARED, 'corpus/captures', capture))
            truth, store = truth_of(capture) | EXPLAINED.get(capture, {}), store_of(stack)
            truth = {key: count for key, count in truth.items() if count}
        same = truth == store
        passed += same
        failed += not same
        print(f'{capture}: {len(truth)} counts', 'equal' if same else 'differ')
        for key in sorted(truth.keys() | store.keys()):
            if truth.get(key) != store.get(key):
                print(f'  {key}: tshark {truth.get(key)}, store {store.get(key)}')
    report(passed, failed)


main()
