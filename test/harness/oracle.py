"""What the comparisons with other decoders share (test/cases/oracle_*.py): captures and what is known of them, the sensor's
events, logs, and the table of what agrees."""
import argparse
import collections
import json
import os
import subprocess
import sys
import tarfile
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SKIPPED = 77


class Corpus:
    """The folder of captures and reference results that the command line names."""

    def __init__(self, doc):
        parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument('sensor')
        parser.add_argument('shared', nargs='?', default=os.environ.get('MILLRACE_SHARED', os.path.join(ROOT, '..', 'shared')))
        parser.add_argument('-k', metavar='CAPTURE', dest='only', default='', help='captures whose name has this in it')
        args = parser.parse_args()
        self.sensor, self.only = args.sensor, args.only
        self.at = os.path.join(args.shared, 'corpus')
        if not os.path.isdir(os.path.join(self.at, 'truth')):
            name = os.path.splitext(os.path.basename(sys.argv[0]))[0]
            print(f'{name}: skipped: no corpus in {args.shared}')
            sys.exit(SKIPPED)

    def path(self, *names):
        return os.path.join(self.at, *names)

    def truths(self):
        """(capture, what tshark counted in it) of those that are asked for."""
        for name in sorted(os.listdir(self.path('truth'))):
            capture = name[:-len('.json')]
            if self.only in capture and os.path.exists(self.path('captures', capture)):
                with open(self.path('truth', name), encoding='utf-8') as text:
                    yield capture, json.load(text)

    def services(self, protocol):
        """capture -> counts of field values by service, of the captures that have the protocol."""
        found = ((capture, truth.get('services') or {}) for capture, truth in self.truths())
        return {capture: services for capture, services in found if protocol in services}

    def logs(self, captures, wanted):
        """capture -> {path: text} of other tools' logs whose path wanted() chooses."""
        out = collections.defaultdict(dict)
        if not os.path.exists(self.path('oracles.tar.xz')):
            return out
        with tarfile.open(self.path('oracles.tar.xz')) as archive:
            for member in archive:
                parts = member.name.split('/')
                if member.isfile() and len(parts) > 2 and parts[1] in captures and wanted(member.name):
                    out[parts[1]][member.name] = archive.extractfile(member).read().decode(errors='replace')
        return out

    def events(self, capture, *sets):
        """The sensor's events of a capture, in the order written; sets: configuration, KEY=VALUE."""
        return read_events(self.sensor, self.path('captures', capture), *sets)


def read_events(sensor, path, *sets):
    with tempfile.TemporaryDirectory() as out:
        command = [sensor, 'read', '-r', path, '-k', 'none', '-l', out]
        for assignment in ('dpdk.huge-pages=no', *sets):
            command += ['--set', assignment]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600, check=False)
        events = os.path.join(out, 'eve.json')
        if done.returncode != 0 or not os.path.exists(events):
            sys.exit(f'{" ".join(command)}: exit code {done.returncode}\n{done.stdout.decode(errors="replace")}')
        with open(events, encoding='utf-8') as lines:
            return [json.loads(line) for line in lines]


class Table:
    """One row for each field compared. explained: (oracle, capture or '*', field) -> why the two differ."""

    def __init__(self, explained):
        self.explained = explained
        self.rows = []
        self.failed = 0

    def reason(self, oracle, capture, field):
        return self.explained.get((oracle, capture, field)) or self.explained.get((oracle, '*', field))

    def add(self, oracle, capture, field, theirs, ours):
        verdict = 'agree' if theirs == ours else self.reason(oracle, capture, field)
        if verdict is None:
            verdict = 'DIFFERENT'
            self.failed += 1
        self.rows.append((oracle, capture, field, theirs, ours, verdict))

    def agreed_values(self):
        """capture -> the fields of which every value of every message is the same, of which there are many."""
        fields = collections.defaultdict(list)
        for oracle, capture, field, _, _, verdict in self.rows:
            if oracle == 'values' and verdict == 'agree':
                fields[capture].append(field)
        return fields

    def end(self, with_agreed=True):
        """Prints it. Returns the status of the program."""
        agreed = self.agreed_values()
        for oracle, capture, field, theirs, ours, verdict in self.rows:
            if verdict == 'agree' and oracle == 'values':
                if with_agreed and capture in agreed:
                    fields = agreed.pop(capture)
                    print(f'{oracle:8} {capture:60.60} {len(fields):3} fields                     agree      {", ".join(fields)}')
            elif verdict == 'agree' and with_agreed:
                print(f'{oracle:8} {capture:60.60} {field:30} agree      {short(theirs)}')
            elif verdict != 'agree':
                print(f'{oracle:8} {capture:60.60} {field:30} {verdict}')
                print(f'{"":8}     theirs {short(theirs)}')
                print(f'{"":8}     ours   {short(ours)}')
        agreed = sum(row[5] == 'agree' for row in self.rows)
        print(f'{len(self.rows)} fields compared: {agreed} agree, '
              f'{len(self.rows) - agreed - self.failed} differ with a reason, {self.failed} differ')
        return 1 if self.failed else 0


class Difference:
    """One capture's counts of a field: what the other decoder has and we have not, and the other way round."""

    def __init__(self, capture, field, theirs, ours):
        self.capture, self.field = capture, field
        self.theirs, self.ours = theirs - ours, ours - theirs


def compare_counters(capture, theirs, ours, reason_of):
    """theirs and ours: {field: Counter}; reason_of(Difference) -> why the two differ, or None. Prints what differs,
    and the values where there is no reason.
    Returns how many fields agree, are explained, differ."""
    tally = [0, 0, 0]
    for field, want in theirs.items():
        got = ours[field]
        if not want and not got:
            continue
        if want == got:
            tally[0] += 1
            continue
        difference = Difference(capture, field, want, got)
        reason = reason_of(difference)
        tally[2 if reason is None else 1] += 1
        print(f"{capture}: {field}: only theirs {sum(difference.theirs.values())}, only ours {sum(difference.ours.values())}: "
              f"{reason or 'DIFFERENT'}")
        if reason is None:
            print(f"    only theirs {dict(difference.theirs)}\n    only ours {dict(difference.ours)}")
    return tally


def short(value):
    text = json.dumps(value, sort_keys=True, default=str)
    return text if len(text) <= 300 else text[:297] + '...'


def counts(values):
    return dict(sorted(collections.Counter(values).items()))


def counts_by_text(values):
    """As counts(), with keys as JSON has them."""
    return {str(value): count for value, count in sorted(collections.Counter(values).items(), key=str)}


def only_different(theirs, ours):
    """Equal entries are left out, so that a difference can be read; all equal: the number."""
    if theirs == ours:
        return sum(theirs.values()), sum(ours.values())
    return ({key: value for key, value in theirs.items() if ours.get(key) != value},
            {key: value for key, value in ours.items() if theirs.get(key) != value})


def read_log(text):
    """Names of the columns of a Zeek log, None where it has no header, and its rows."""
    names, rows = None, []
    for line in text.splitlines():
        if line.startswith('#fields'):
            names = line.split('\t')[1:]
        elif line and not line.startswith('#'):
            rows.append(line.split('\t'))
    return names, rows


def rows_of_log(text):
    """The rows as dictionaries; unset fields are left out."""
    names, rows = read_log(text)
    return [{name: value for name, value in zip(names or (), row) if value != '-'} for row in rows]
