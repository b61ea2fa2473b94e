#!/usr/bin/env python3
"""Runs the case folders beside this file against the sensor.

A folder is one of two kinds. With cases.txt it is a table of rules:

    rules rules/modbus.rules          the file under test, from the root of the source tree
    9100001                           a sid
      set    KEY=VALUE ...            configuration that the rule needs
      fire   SCENARIO                 the sid must alert
      quiet  SCENARIO                 it must not

Every sid of the file must be in the table. All scenarios of one configuration are put into one capture, each at a
time of its own, and an alert belongs to the scenario whose time it bears; --each runs them one by one instead.

Without cases.txt a folder is one case: `scenario` (or input.pcap), optional `rules`, optional `set` (a KEY=VALUE
a line) and `expect.jsonl`, each line {"count": N, "match": {"path.of.a.field": VALUE, ...}}.

Last line: 'N passed, N failed, N skipped'.
"""
import argparse
import datetime
import json
import re
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "harness"))
import common   # noqa: E402

HERE = Path(__file__).resolve().parent
FIRST = 1767225600   # 2026-01-01, seconds
WINDOW = 7200        # from one scenario to the next: longer than any threshold or flow lasts


class Case:
    def __init__(self, sid):
        self.sid, self.sets, self.fire, self.quiet = sid, (), None, None


def read_table(path):
    rules, cases = None, []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        words = line.split(None, 1)
        if not words or words[0].startswith("#"):
            continue
        if words[0] == "rules":
            rules = common.ROOT / words[1]
        elif words[0].isdigit():
            cases.append(Case(int(words[0])))
        elif words[0] == "set" and cases:
            cases[-1].sets = tuple(words[1].split())
        elif words[0] in ("fire", "quiet") and cases and len(words) == 2:
            setattr(cases[-1], words[0], words[1])
        else:
            sys.exit(f"{path}:{number}: not understood: {line}")
    return rules, cases


def seconds_of(event):
    return datetime.datetime.strptime(event["timestamp"], "%Y-%m-%dT%H:%M:%S.%f%z").timestamp()


def scenarios_capture(args, out, scenarios, first=0):
    """One capture of all: scenario number i begins i * WINDOW behind FIRST."""
    options = [option for text in scenarios for option in ("--scenario", text)]
    common.generate(args, out, "--start", FIRST + first * WINDOW, "--apart", WINDOW, *options, seed=first + 1)


def alerts_of(args, rules, sets, scenarios):
    """For each scenario the sids that alerted, as a set."""
    sids = [set() for _ in scenarios]
    with tempfile.TemporaryDirectory(dir=args.work) as folder:
        for first in range(0, len(scenarios), 1 if args.each else len(scenarios)):
            capture = Path(folder) / "scenarios.pcap"
            scenarios_capture(args, capture, scenarios[first:first + 1] if args.each else scenarios, first)
            run = common.run_sensor(args, capture, rules, sets)
            if run.error:
                raise RuntimeError(run.error)
            for event in run.events():
                if event["event_type"] == "alert":
                    number = int((seconds_of(event) - FIRST) // WINDOW)
                    sids[number].add(event["alert"]["signature_id"])
    return sids


def run_table(args, folder):
    rules, cases = read_table(folder / "cases.txt")
    shipped = [int(sid) for sid in re.findall(r"^alert .*\bsid:\s*(\d+)", rules.read_text(), re.M)]
    failures = [f"sid {sid} has no case" for sid in shipped if sid not in {case.sid for case in cases}]
    failures += [f"sid {case.sid} is not in {rules.name}" for case in cases if case.sid not in shipped]
    passed = 0
    for sets in sorted({case.sets for case in cases}):
        chosen = [case for case in cases if case.sets == sets]
        scenarios = [text for case in chosen for text in (case.fire, case.quiet)]
        try:
            sids = alerts_of(args, rules, sets, scenarios)
        except RuntimeError as err:
            failures += [f"sids {chosen[0].sid} to {chosen[-1].sid}: {err}"]
            continue
        for idx, case in enumerate(chosen):
            wrong = []
            if case.sid not in sids[2 * idx]:
                wrong.append(f"sid {case.sid} did not fire: {case.fire}")
            if case.sid in sids[2 * idx + 1]:
                wrong.append(f"sid {case.sid} fired: {case.quiet}")
            failures += wrong
            passed += not wrong
    return passed, failures


def matches(event, wanted):
    return all(common.value_at(event, path) == value for path, value in wanted.items())


def run_case(args, folder):
    capture = folder / "input.pcap"
    rules = folder / "rules"
    sets = (folder / "set").read_text().split() if (folder / "set").exists() else ()
    with tempfile.TemporaryDirectory(dir=args.work) as work:
        if not capture.exists():
            capture = Path(work) / "input.pcap"
            common.generate(args, capture, "--scenario", (folder / "scenario").read_text())
        run = common.run_sensor(args, capture, rules if rules.exists() else None, sets)
        if run.error:
            return 0, [run.error]
        events = run.events()
    failures = []
    for line in (folder / "expect.jsonl").read_text().splitlines():
        expect = json.loads(line)
        count = sum(matches(event, expect["match"]) for event in events)
        if count != expect["count"]:
            failures.append(f"{count} instead of {expect['count']}: {json.dumps(expect['match'])}")
    return (0, failures) if failures else (1, [])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    common.add_arguments(parser)
    parser.add_argument("--each", action="store_true", help="a run of the sensor for each scenario")
    parser.add_argument("--only", action="append", default=[], help="a case folder; all beside this file by default")
    args = parser.parse_args()
    common.programs(args)
    folders = [Path(name).resolve() for name in args.only] or sorted(
        path for path in HERE.iterdir() if (path / "cases.txt").exists() or (path / "expect.jsonl").exists())
    with tempfile.TemporaryDirectory(prefix="millrace-cases-") as args.work:
        return common.run_each(folders, lambda folder: (run_table if (folder / "cases.txt").exists() else run_case)(args, folder))


if __name__ == "__main__":
    sys.exit(main())
