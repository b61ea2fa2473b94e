#!/usr/bin/env python3
"""Writes docs/conformance/rules.md: what of Suricata's rule language holds, which rules of real sets load, and which of the
shipped rules speak on captures of traffic that nobody attacks.

  test/cases/report_rules.py [--only compat|load|alarms] [-j N] [-v] [SENSOR]

Needs the shared cases and corpus (MILLRACE_SHARED, or ../shared); about two minutes. With --only one part is printed
instead.
"""
import argparse
import bisect
import collections
import concurrent.futures
import csv
import itertools
import json
import lzma
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get('MILLRACE_SHARED', ROOT.parent / 'shared'))
PAGE = ROOT / 'docs/conformance/rules.md'
NOT_BENIGN = {'attack', 'malformed/fuzz'}  # categories of the catalogue

# Why a case does not hold. A case without a reason here is a defect, and the script fails.
CASE_REASONS = {
    'bug-1045': 'the client\'s data segments have bad checksums and the case does not say `-k none`: no host took them; with '
                '`-k none` all three alerts are there',
    'detect-app-layer-protocol-04': 'there is no parser for HTTP/2; the rule is refused with that reason',
    'eve-flow-esp': 'the flow and netflow events are there with their SPI; IPv6 addresses are written as RFC 5952 says (`::1`), the case has '
                    'all their zeros',
    'eve-overlap-payload-02-policy-oldlinux': 'a segment that comes in order is the application\'s at once; one that comes later with '
                                              'other bytes is told (`reassembly_overlap_different_data`), not believed',
    'http-not09-spaces': 'the anomaly is told, as `request_line_missing_protocol`: names of anomalies are in small letters for every '
                         'protocol here, and the case has capitals',
    'output-eve-anomaly-02': 'an HTTP request that an SSH server answers is told as `response_without_head` of the HTTP parser, not by the name '
                             'that the case expects',
}

# What stands behind a shipped rule's alerts on benign captures: of its class, or its own.
CLASS_REASONS = {
    'ot-write': 'such writes are in the captures, told once in five minutes for a pair of hosts',
    'ot-stop': 'stops and restarts of test devices',
    'ot-firmware': 'programs and files moved by engineers and test tools',
    'ot-control': 'commands of test tools and generated traffic',
    'ot-recon': 'what engineering stations and test tools ask devices for',
    'ot-policy': 'captures of offices and the Internet, and old protocols in them; a plant should have none of it',
    'ot-fault': 'the devices do report it',
}
ALARM_REASONS = {
    9100032: 'a client polls registers that its server does not have, as long as the capture lasts; told once a minute',
    9100029: 'the same client',
    9100041: 'the capture begins behind the request, lost it, or (ndpi) the server answers with other transaction ids',
    9100042: 'made by hand, and a device whose identification contradicts its own lengths',
    9100043: 'made by hand',
    9100044: 'made by hand, and a device whose identification contradicts its own lengths',
    9100046: 'a server that answers a mask write with another value',
    9100047: 'requests whose responses the capture does not have',
    9100048: 'made by hand: both halves come from the same end',
    9100051: 'a client that numbers all its requests the same, and a response that the capture lost',
    9100052: 'made by hand',
    9101042: 'a test of conformance that sends such frames',
    9101044: 'a test of conformance that sends such functions',
    9101047: 'made by hand',
    9102039: 'a client that asks without waiting, in a capture that lost the answers',
    9104056: 'the capture has such a time',
    9105008: 'the publisher does change values under one state number, in one of its bursts',
    9105028: 'a simulator that switches every 7 ms',
    9105517: 'a message whose lengths contradict each other',
    9105518: 'the same message',
    9105521: 'twenty merging units that say so, each told once',
    9106025: 'clients that publish before CONNACK, which they may (MQTT 3.1.1, 3.1.4), but seldom do',
    9106026: 'made to show just that',
    9110008: 'a worm looks for victims; the capture is not marked as an attack',
    9110014: 'made to show just that',
    9110015: 'made to show just that',
    9111012: 'Heartbleed, in captures that are not marked as an attack',
    9111013: 'Heartbleed, in captures that are not marked as an attack',
    9111016: 'made to show just that',
    9111017: 'made by hand, or to show just that',
    9112014: 'made by hand',
    9113003: 'tunnels, in captures that are not marked as an attack',
    9113008: 'made to show just that',
    9115008: 'made by hand, or cut short',
}

# Why a rule of these sets is refused, by the beginning of the sensor's reason.
LOAD_REASONS = (
    ('protocol dcerpc', 'DCE/RPC has no parser of its own'),
    ('urilen: nothing lies between', 'a range is without its ends: the rule can never match'),
    ('the group', 'with the usual variables (every network is `any`) it excludes all; with a site\'s own values it loads'),
)


def number(value):
    return f'{value:,}'


# ---- cases ----

def run_cases(sensor, jobs):
    sys.path.insert(0, str(SHARED / 'tools'))
    import rule_compat  # pylint: disable=import-error,import-outside-toplevel

    root = SHARED / 'cases/rule-compat'
    names = [line.strip() for line in (root / 'CASES').read_text().splitlines() if line.strip() and not line.startswith('#')]
    wrapper = ROOT / 'test/harness/compat_sensor.py'

    def run(name):
        return rule_compat.run_case(f'{sys.executable} {wrapper} --case {root / name} {sensor} read', str(root), name, 60)

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        return dict(zip(names, pool.map(run, names)))


def compat(sensor, jobs):
    results = run_cases(sensor, jobs)
    held = sum(verdict == 'pass' for verdict, _ in results.values())
    wrong = {name: why for name, (verdict, why) in results.items() if verdict != 'pass'}
    lines = ['## Cases', '',
             f'{held} of {len(results)} public verification cases of Suricata hold ({100 * held / len(results):.1f} in 100), run by the '
             'shared `tools/rule_compat.py` through `test/harness/compat_sensor.py`, which hands on what a case\'s own configuration says of '
             'its outputs.', '']
    if wrong:
        lines += ['| case | why it does not hold |', '|---|---|']
        lines += [f'| `{name}` | {CASE_REASONS.get(name, "**not explained**: " + why)} |' for name, why in sorted(wrong.items())]
        lines.append('')
    lines += ['Those that hold: ' + ', '.join(f'`{name}`' for name in sorted(set(results) - set(wrong))) + '.', '']
    return lines, all(name in CASE_REASONS for name in wrong)


# ---- loading ----

def rule_sets(folder):
    """(title, file) of each set; what is compressed or commented out is written below folder."""
    sets = [(name, SHARED / 'cases/rules' / name) for name in ('quickdraw.rules', 'et-scada.rules')]
    text = lzma.open(SHARED / 'cases/rules/et-open.rules.xz', 'rt', encoding='utf-8').read()
    for name, content in (('et-open.rules', text),
                          ('et-open.rules, also what its authors commented out', re.sub(r'(?m)^#\s*(?=alert )', '', text))):
        path = Path(folder) / f'{len(sets)}.rules'
        path.write_text(content, encoding='utf-8')
        sets.append((name, path))
    return sets


def check(sensor, path):
    """(rules, loaded, {reason: count}, what was said of compiling) of `rules check`."""
    out = subprocess.run([sensor, 'rules', 'check', path], capture_output=True, text=True, check=False).stdout
    total, loaded, _ = map(int, re.search(rf'(?m)^ *(\d+) +(\d+) +(\d+)  {re.escape(str(path))}$', out).groups())
    table = out.split(' REFUSED  WHY\n')
    reasons = re.findall(r'(?m)^ *(\d+)  (.+)$', table[1]) if len(table) > 1 else []
    return total, loaded, {why: int(count) for count, why in reasons}, re.search(r'compiled in (.*)', out).group(1)


def explained(why):
    return next((text for start, text in LOAD_REASONS if why.startswith(start)), '')


def load(sensor):
    lines = ['## Rule sets', '', '`millrace-sensor rules check FILE`, with the usual variables.', '',
             '| set | rules | load | in 100 | compiled in |', '|---|---|---|---|---|']
    refused = []
    with tempfile.TemporaryDirectory() as folder:
        for title, path in rule_sets(folder):
            total, loaded, reasons, compiled = check(sensor, path)
            lines.append(f'| {title} | {number(total)} | {number(loaded)} | {100 * loaded / total:.1f} | {compiled} |')
            refused += [(title, count, why) for why, count in reasons.items()]
    lines += ['', '| set | refused | reason as it is said | because |', '|---|---|---|---|']
    lines += [f'| {title.split(",")[0]}{" (all)" if "," in title else ""} | {count} | {why} | {explained(why)} |'
              for title, count, why in refused]
    return lines + [''], True


# ---- false alarms ----

# ---- keywords by class ----

# What is said of a keyword that stands alone in a rule because it stands alone: it is there.
ALONE = re.compile('value is missing: (?!refused)|sticky buffer has nothing|there is no .* before it|a transform follows|expected|is not a number'
                   '|wanted|is neither|not a flag|not a number|not a date|not a control packet type|not the UUID|not operation numbers')


def keyword_classes():
    """{class: [keyword, ...]} of the shared list."""
    rows = re.findall(r'^- \*\*(.+?)\*\* \(\d+\): (.*)$', (SHARED / 'reference/keywords.md').read_text(encoding='utf-8'), re.M)
    return {name: [word.strip() for word in words.split(',')] for name, words in rows}


def refusals(sensor, words):
    """{keyword: why} of those that no rule can have: each is asked for alone, one rule a line."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'keywords.rules'
        path.write_text(''.join(f'alert ip any any -> any any ({word}; sid:{i + 1};)\n' for i, word in enumerate(words)), encoding='utf-8')
        run = subprocess.run([sensor, 'rules', 'check', str(path)], capture_output=True, text=True, check=False)
    told = re.findall(r'keywords.rules:(\d+):\d+: error: (?:[\w.-]+: )?(.*) \(sid', run.stdout + run.stderr)
    return {words[int(line) - 1]: re.sub('^a value is missing: ', '', why) for line, why in told if not ALONE.search(why)}


def keywords(sensor):
    classes = keyword_classes()
    refused = refusals(sensor, [word for words in classes.values() for word in words])
    total = sum(len(words) for words in classes.values())
    lines = ['## Keywords by class', '',
             f'Of {total} keywords in the shared `reference/keywords.md`, {total - len(refused)} are there. Each was put alone into a rule; the others '
             'are refused with the reason below, and the rest of their file loads.', '',
             '| class | keywords | there | refused |', '|---|---|---|---|']
    for name, words in classes.items():
        by_why = collections.defaultdict(list)
        for word in words:
            if word in refused:
                by_why[re.sub('^protocol .* has no keyword.*', 'not there', refused[word])].append(f'`{word}`')
        why = '; '.join(f'{", ".join(some) if "no parser" not in reason else f"{len(some)} of them"}: {reason}'
                        for reason, some in by_why.items())
        lines.append(f'| {name} | {len(words)} | {sum(word not in refused for word in words)} | {why or "none"} |')
    return lines + [''], True


def benign_captures():
    """{name: frames}, in the order in which the sensor reads a folder."""
    with open(SHARED / 'corpus/catalog.csv', encoding='utf-8') as catalog:
        rows = [row for row in csv.DictReader(catalog) if not NOT_BENIGN & set(row['categories'].split(';'))]
    return {row['file']: int(row['packets']) for row in sorted(rows, key=lambda row: row['file'].encode())}


def alerts_of(sensor, captures, rules):
    """(frames, [(sid, frame, 0 where the alert bears none)]) of one run over all captures."""
    with tempfile.TemporaryDirectory() as out:
        folder = Path(out) / 'captures'
        folder.mkdir()
        for name in captures:
            (folder / name).symlink_to(SHARED / 'corpus/captures' / name)
        run = subprocess.run([sensor, 'read', '-k', 'none', '-r', folder, '-S', rules, '-l', out, '--set', 'events.flow=no'],
                             capture_output=True, text=True, check=True)
        with open(Path(out) / 'eve.json', encoding='utf-8') as eve:
            events = [json.loads(line) for line in eve if '"event_type":"alert"' in line]
    frames = int(re.search(r'(?m)^  frames +(\d+)', run.stdout).group(1))
    return frames, [(event['alert']['signature_id'], event.get('pcap_cnt', 0)) for event in events]


def capture_finder(captures):
    """A function from a frame of the whole run to the capture that it is of."""
    names, ends = list(captures), list(itertools.accumulate(captures.values()))

    return lambda frame: names[min(bisect.bisect_left(ends, frame), len(names) - 1)]


def shipped_rules(rules):
    """{sid: (message, class)}."""
    found = {}
    for path in sorted(Path(rules).glob('*.rules')):
        for line in path.read_text(encoding='utf-8').splitlines():
            sid = re.search(r'\bsid:\s*(\d+)', line)
            if sid and not line.startswith('#'):
                found[int(sid.group(1))] = (re.search(r'msg:\s*"([^"]*)"', line).group(1), re.search(r'classtype:\s*([\w-]+)', line).group(1))
    return found


def alarms(sensor, verbose):
    captures, rules = benign_captures(), ROOT / 'rules'
    frames, found = alerts_of(sensor, captures, rules)
    capture_of = capture_finder(captures)
    places = collections.defaultdict(set)
    for sid, frame in found:
        places[sid].add(capture_of(frame) if frame else None)
    alerts = collections.Counter(sid for sid, _ in found)
    shipped = shipped_rules(rules)
    lines = ['## Alerts on benign traffic', '',
             f'The shipped rules over the {number(len(captures))} captures of the corpus that its catalogue calls neither attack nor '
             f'malformed, in one run: {number(frames)} frames, {number(len(found))} alerts by {len(alerts)} of {len(shipped)} rules. The '
             'captures are samples and test vectors: they hold a restart or a program download far more often than a plant does.', '',
             '| sid | says | alerts | captures | a million frames | why |', '|---|---|---|---|---|---|']
    for sid, count in sorted(alerts.items(), key=lambda item: (-item[1], item[0])):
        message, kind = shipped[sid]
        lines.append(f'| {sid} | {message} | {number(count)} | {len(places[sid])} | {1e6 * count / frames:,.0f} '
                     f'| {ALARM_REASONS.get(sid) or CLASS_REASONS.get(kind, "**not explained**")} |')
        if verbose:
            print(sid, message, *sorted(map(str, places[sid])), sep='\n    ', file=sys.stderr)
    explained_all = all(sid in ALARM_REASONS or shipped[sid][1] in CLASS_REASONS for sid in alerts)
    return lines + [''], explained_all


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--only', choices=('compat', 'keywords', 'load', 'alarms'))
    parser.add_argument('-j', type=int, default=2, help='cases at a time')
    parser.add_argument('-v', action='store_true', help='name the captures that alarm, on standard error')
    parser.add_argument('sensor', nargs='?', default=str(ROOT / 'build/app/sensor/millrace-sensor'))
    args = parser.parse_args()
    args.sensor = os.path.abspath(args.sensor)
    if not (SHARED / 'corpus/catalog.csv').exists():
        print(f'no shared corpus at {SHARED}', file=sys.stderr)
        return 77
    parts = {'compat': lambda: compat(args.sensor, args.j), 'keywords': lambda: keywords(args.sensor), 'load': lambda: load(args.sensor),
             'alarms': lambda: alarms(args.sensor, args.v)}
    lines, good = [], True
    for name, part in parts.items():
        if args.only in (None, name):
            text, held = part()
            lines += text
            good = good and held
    if args.only:
        print('\n'.join(lines))
    else:
        head = ['# Rules: the language, real sets, false alarms', '', 'Written by `test/cases/report_rules.py`.', '']
        PAGE.write_text('\n'.join(head + lines).rstrip('\n') + '\n', encoding='utf-8')
    return 0 if good else 1


if __name__ == '__main__':
    sys.exit(main())
