#!/usr/bin/env python3
"""Lays out the code of a linked program by how often its parts run: the last step of a release build (option `bolt`).

A packet's way goes through far more code than a core's instruction cache holds, with what is rare between what is
common. LLVM's BOLT counts which blocks and calls are taken while the program reads captures that the project's own
generator makes, and writes the program anew: common blocks in a row, callers beside callees, the rest out of the way.
Instructions and data stay what they were. Where the arguments have a place for events, both programs read the captures
once more: they must write the same.

usage: bolt.py LINKED OUT --bolt LLVM-BOLT --generator PLANT-TRAFFIC -- ARGUMENT...

The arguments are those with which LINKED reads a capture; {capture}, {rules} and {events} (a folder for eve.json) are paths.
"""
import argparse
import glob
import os
import subprocess
import sys
import tempfile

TREE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TIMEOUT = 300  # seconds a program may take
PLANT = 'modbus,dnp3,it,mqtt,iec104,enip,goose,s7comm,s7comm_plus,tls,ssh'
FAULTS = 'loss,duplicate,reorder,retransmit,overlap,split,coalesce,pipeline,garbage,exceptions,no-answer,bad-crc,fragment'
SCENARIOS = sorted(glob.glob(os.path.join(TREE, 'test/cases/generated-*/scenario')))
SCENARIOS_MAX = 512  # that the generator takes
# What the program reads while it is counted: a plant, the protocol that would outnumber all others in it, and the tests' conversations.
CAPTURES = {
    'plant': ('--seconds', '120', '--protocols', PLANT, '--fault', FAULTS),
    'samples': ('--seconds', '2', '--protocols', 'sv'),
    'conversations': tuple(part for path in SCENARIOS * (SCENARIOS_MAX // len(SCENARIOS)) for part in ('--scenario', path)),
}
LAYOUT = ('-reorder-blocks=ext-tsp', '-reorder-functions=hfsort+', '-split-functions', '-split-all-cold', '-icf=1')


def refuse(reason):
    sys.exit(f'bolt.py: {reason}. -Dbolt=disabled builds without this step')


def run(*command):
    try:
        done = subprocess.run(command, cwd=TREE, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, errors='replace', timeout=TIMEOUT)
        status, said = done.returncode, done.stdout
    except subprocess.TimeoutExpired:
        status, said = f'not done after {TIMEOUT} s', ''
    if status != 0:
        refuse(f'{" ".join(command)}\n{said[-2000:]}\nexit status {status}')
    return said


class Work:
    """A program's reading of the captures, below a folder of its own."""

    def __init__(self, folder, arguments):
        self.folder = folder
        self.arguments = arguments

    def read(self, program, capture, events):
        """Returns the folder of its events."""
        events = os.path.join(self.folder, events)
        names = {'capture': self.capture(capture), 'rules': os.path.join(TREE, 'rules'), 'events': events}
        run(program, *(argument.format(**names) for argument in self.arguments))
        return events

    def capture(self, name):
        return os.path.join(self.folder, name + '.pcap')

    def events(self, program, capture, folder):
        """Its events, but for those that tell the time and this run's name."""
        with open(os.path.join(self.read(program, capture, folder), 'eve.json'), 'rb') as lines:
            return [line for line in lines if b'"event_type":"stats"' not in line]


def profile(work, bolt, linked):
    """How often each block ran and each call was taken, over all captures: a file."""
    counting, counts = os.path.join(work.folder, 'counting'), os.path.join(work.folder, 'counts')
    run(bolt, linked, '-instrument', '-o', counting, f'--instrumentation-file={counts}')
    parts = []
    for name in CAPTURES:
        work.read(counting, name, f'counting.{name}')
        parts.append(f'{counts}.{name}')
        os.rename(counts, parts[-1])
    merged = os.path.join(work.folder, 'profile')
    run(os.path.join(os.path.dirname(bolt), 'merge-fdata'), *parts, '-o', merged)
    return merged


def protections(program):
    """What the loader is told: that the stack holds no code, what is read-only after the start."""
    lines = run('readelf', '--wide', '--program-headers', '--dynamic', program).splitlines()
    segments = {words[0]: words[-2] for words in map(str.split, lines) if words and words[0] in ('GNU_STACK', 'GNU_RELRO')}
    return segments, [line.split()[1:] for line in lines if '(FLAGS' in line]


def verify(work, linked, bolted):
    if protections(linked) != protections(bolted):
        refuse(f'{bolted} is protected in another way than {linked}: {protections(bolted)}, {protections(linked)}')
    for name in CAPTURES if '{events}' in work.arguments else ():
        before, after = work.events(linked, name, f'before.{name}'), work.events(bolted, name, f'after.{name}')
        if not before or before != after:
            refuse(f'{bolted} writes other events than {linked} of the capture "{name}" ({len(after)} and {len(before)} lines)')


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument('linked', type=os.path.abspath)
    parser.add_argument('out', type=os.path.abspath)
    parser.add_argument('--bolt', required=True, type=os.path.realpath)  # beside which its libraries lie
    parser.add_argument('--generator', required=True, type=os.path.abspath)
    parser.add_argument('arguments', nargs='+')
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix='bolt.', dir=os.path.dirname(options.out)) as folder:
        work = Work(folder, options.arguments)
        for name, arguments in CAPTURES.items():
            run(options.generator, '--quiet', '--out', work.capture(name), *arguments)
        bolted = os.path.join(folder, 'bolted')
        run(options.bolt, options.linked, '-o', bolted, f'-data={profile(work, options.bolt, options.linked)}', *LAYOUT)
        verify(work, options.linked, bolted)
        os.chmod(bolted, 0o755)
        os.rename(bolted, options.out)


main()
