#!/usr/bin/env python3
"""Runs the sensor on a Suricata verification case, with what the case's own suricata.yaml says of its outputs.

    compat_sensor.py SENSOR [OPTION]... -r CAPTURE -S RULES -l FOLDER ...

For `rule_compat.py --sensor 'compat_sensor.py SENSOR read'`. A case whose eve-log lists its event types counts events of these types
alone: the types that it leaves out are switched off here. The case is the folder of the rules, or else of the capture.
"""
import os
import sys

import yaml

SWITCHES = {'flow': 'events.flow', 'arp': 'events.arp', 'stats': 'stats.enabled'}


def option(args, name):
    return args[args.index(name) + 1] if name in args else None


def eve_types(path):
    """{type: its settings} of the first eve-log, or None where the case does not say."""
    if not os.path.exists(path):
        return None
    with open(path, encoding='utf-8') as text:
        try:
            outputs = (yaml.safe_load(text) or {}).get('outputs') or []
        except yaml.YAMLError:
            return None
    for output in outputs:
        types = (output.get('eve-log') or {}).get('types')
        if types:
            return {name: settings or {} for item in types
                    for name, settings in (item.items() if isinstance(item, dict) else [(item, {})])}
    return None


def main():
    args = sys.argv[1:]
    place = option(args, '-S') or option(args, '-r') or ''
    types = eve_types(os.path.join(os.path.dirname(place), 'suricata.yaml'))
    for name, key in SWITCHES.items():
        if types is not None and name not in types:
            args += ['--set', f'{key}=no']
    limit = (types or {}).get('mqtt', {}).get('string-log-limit')
    if limit is not None:
        args += ['--set', f'app-layer.protocols.mqtt.string-log-limit={limit}']
    os.execvp(args[0], args)


if __name__ == '__main__':
    main()
