"""A unittest program whose tests run in processes of their own, several at once: most of them wait for something."""
import concurrent.futures
import os
import re
import subprocess
import sys
import time
import unittest

JOBS = 4


def names_of(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from names_of(test)
        else:
            yield test.id().split('.', 1)[1]


def run_one(arguments, name):
    done = subprocess.run([sys.executable, *arguments, name], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.returncode, done.stdout


def main(arguments, environment=None):
    """Runs every test of __main__ as `python3 ARGUMENTS NAME`, and ends as unittest.main() does."""
    started = time.monotonic()
    os.environ.update(environment or {})
    names = list(names_of(unittest.defaultTestLoader.loadTestsFromModule(sys.modules['__main__'])))
    failures = skipped = 0
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        for name, (status, text) in zip(names, pool.map(lambda name: run_one(arguments, name), names)):
            skipped += sum(map(int, re.findall(r'\(skipped=(\d+)\)', text)))
            failures += status != 0
            reason = re.search(r"skipped '.*'", text)
            print(text if status else f'{name} ... {reason[0] if reason else "ok"}', flush=True)
    print(f'\nRan {len(names)} tests in {time.monotonic() - started:.3f}s\n')
    what = [f'failures={failures}'] * (failures > 0) + [f'skipped={skipped}'] * (skipped > 0)
    print(('FAILED' if failures else 'OK') + (f' ({", ".join(what)})' if what else ''))
    sys.exit(failures > 0)
