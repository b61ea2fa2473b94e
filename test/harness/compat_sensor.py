#!/usr/bin/env python3
"""Runs the sensor on a Suricata verification case, with what the case's own suricata.yaml says of its outputs.

    compat_sensor.py [--case FOLDER] SENSOR [OPTION]... -r CAPTURE -S RULES -l FOLDER ...

For `rule_compat.py --sensor 'compat_sensor.py SENSOR read'`, which hands on only what concerns detection. A case whose eve-log
lists its event types counts events of these types alone: the types that it leaves out are switched off here. The case is the folder
of the rules, or else of the capture; --case names it where the capture is another case's.
"""
import json
import os
import shlex
import sys

import yaml

SWITCHES = {'flow': 'events.flow', 'netflow': 'events.netflow', 'files': 'events.files', 'arp': 'events.arp', 'stats': 'stats.enabled'}
ASKED = ('app-layer.protocols.http.libhtp.', 'packet-alert-max=')
ANOMALIES = {'decode': False, 'stream': False, 'applayer': True}  # which are written where the case does not say


def option(args, name):
    return args[args.index(name) + 1] if name in args else None


def case_config(folder):
    path = os.path.join(folder, 'suricata.yaml')
    if not os.path.exists(path):
        return {}
    with open(path, encoding='utf-8') as text:
        try:
            return yaml.safe_load(text) or {}
        except yaml.YAMLError:
            return {}


def expects_failure(folder):
    """Whether a rule of the case must keep the sensor from starting."""
    try:
        with open(os.path.join(folder, 'test.yaml'), encoding='utf-8') as text:
            return (yaml.safe_load(text) or {}).get('exit-code', 0) != 0
    except (OSError, yaml.YAMLError):
        return False


def eve_log(config):
    """The first eve-log's settings, {} where the case has none."""
    for output in config.get('outputs') or []:
        if output.get('eve-log'):
            return output['eve-log']
    return {}


def file_store(config):
    """The file-store's settings, {} where the case has none."""
    for output in config.get('outputs') or []:
        if output.get('file-store'):
            return output['file-store']
    return {}


def eve_types(eve):
    """{type: its settings}, or None where the case does not say."""
    if not eve.get('types'):
        return None
    return {name: settings or {} for item in eve['types']
            for name, settings in (item.items() if isinstance(item, dict) else [(item, {})])}


def settings(config):
    eve = eve_log(config)
    types = eve_types(eve)
    chosen = {}
    for name, key in SWITCHES.items():
        if types is not None and (name not in types or name == 'netflow'):
            chosen[key] = name in types
    if types is not None and 'anomaly' in types:
        said = types['anomaly'].get('types') or {}
        chosen.update({f'anomaly.{name}': said.get(name, usual) for name, usual in ANOMALIES.items()})
    for name in (types or {}).get('files', {}).get('force-hash') or []:
        chosen[f'files.{name}'] = True
    if (config.get('pcap-file') or {}).get('checksum-checks') is False:
        chosen['stream.checksum-validation'] = chosen['decoder.checksum-validation'] = False
    if file_store(config).get('enabled'):
        chosen['files.sha256'] = True  # what files are stored under
    wanted = (types or {}).get('smtp', {}).get('md5') or []
    mime = (((config.get('app-layer') or {}).get('protocols') or {}).get('smtp') or {}).get('mime') or {}
    if 'body-md5' in mime:
        chosen['app-layer.protocols.smtp.mime.body-md5'] = mime['body-md5']
    if 'subject' in wanted:
        chosen['app-layer.protocols.smtp.mime.subject-md5'] = True
    limit = (types or {}).get('mqtt', {}).get('string-log-limit')
    if limit is not None:
        chosen['app-layer.protocols.mqtt.string-log-limit'] = limit
    dump = (types or {}).get('http', {}).get('dump-all-headers')
    if dump is not None:
        chosen['app-layer.protocols.http.dump-all-headers'] = dump
    custom = (types or {}).get('tls', {}).get('custom') or []
    chosen['app-layer.protocols.tls.log-handshake'] = any(name.endswith('_handshake') for name in custom)
    chosen['app-layer.protocols.tls.log-certificates'] = 'certificate' in custom or 'chain' in custom
    if 'null-values' in (types or {}).get('stats', {}):
        chosen['stats.null-values'] = types['stats']['null-values']
    for name in ('requests', 'responses'):
        if name in (types or {}).get('dns', {}):
            chosen[f'app-layer.protocols.dns.{name}'] = types['dns'][name]
    for name, key in (('ethernet', 'eve.ethernet'), ('community-id-seed', 'eve.community-id-seed')):
        if name in eve:
            chosen[key] = eve[name]
    return chosen


def asked(folder):
    """What the case's own arguments set that is not handed on."""
    path = os.path.join(folder, 'test.yaml')
    if not os.path.exists(path):
        return []
    with open(path, encoding='utf-8') as case:
        args = (yaml.safe_load(case) or {}).get('args') or []
    words = shlex.split(' '.join(map(str, args if isinstance(args, list) else [args])))
    return [word for before, word in zip(words, words[1:]) if before == '--set' and word.startswith(ASKED)]


def text(value):
    return {True: 'yes', False: 'no'}[value] if isinstance(value, bool) else str(value)


def main():
    args = sys.argv[1:]
    folder = None
    if args[0] == '--case':
        folder, args = args[1], args[2:]
    case = folder or os.path.dirname(option(args, '-S') or option(args, '-r') or '')
    config = case_config(case)
    for key, value in settings(config).items():
        args += ['--set', f'{key}={text(value)}']
    if config.get('packet-alert-max'):  # 0 is the default there
        args += ['--set', f'packet-alert-max={config["packet-alert-max"]}']
    for setting in asked(case):
        args += ['--set', setting]
    if expects_failure(case):
        args += ['--set', 'engine.init-failure-fatal=yes']
    policy = {name: hosts for name, hosts in (config.get('host-os-policy') or {}).items() if hosts}
    if policy:
        path = os.path.join(option(args, '-l'), 'sensor.yaml')
        with open(path, 'w', encoding='utf-8') as out:
            json.dump({'host-os-policy': policy}, out)  # JSON is YAML
        args += ['-c', path]
    os.execvp(args[0], args)


if __name__ == '__main__':
    main()
