#!/usr/bin/env python3
"""No way to cut a conversation into frames hides it from a rule.

Every rule of a table in test/cases has a scenario that fires it. The scenarios are made into a capture, read as they
are, and again with each TCP payload cut at every byte, in overlapping segments, out of order, twice, and with each
datagram in fragments, overlapping and the last one first. Each scenario must give the same alerts each time, and as
many; thresholds are left out, so that every match is seen. All variants are one capture, one behind the other: most of
what a run of the sensor takes is its start.

With --full there is a cut at each of the first bytes, and more sizes; --only FOLDER takes one table.

Last line: 'N passed, N failed, N skipped'.
"""
import argparse
import collections
import itertools
import re
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "harness"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "cases"))
import common   # noqa: E402
import frames   # noqa: E402
import run as cases   # noqa: E402

DIFFERENCES_SHOWN = 5
CUTS_MAX = 64


def variants(original, full):
    """(name, frames) of everything that must not matter."""
    yield "every byte a segment", list(frames.resegment(original, 1))
    for size in (2, 3, 5, 8, 13, 100) if full else (7,):
        yield f"segments of {size}", list(frames.resegment(original, size))
    for where in range(1, CUTS_MAX) if full else (1, 4, 9):
        yield f"cut at {where}", list(frames.split_at(original, where))
    for size in (1, 2, 5, 16) if full else (3,):
        yield f"overlapping segments, {size} apart", list(frames.overlap(original, size))
    for size in (1, 2, 4, 9, 30) if full else (1, 6):
        yield f"segments of {size}, neighbours swapped", frames.swap(original, size)
    yield "every segment twice", list(frames.duplicate(original))
    for size in (24, 32, 64) if full else (32,):
        yield f"fragments of {size}", list(frames.fragment(original, size))
        yield f"overlapping fragments of {size}, the last one first", list(frames.fragment_overlap(original, size))
    yield "overlapping, swapped, twice", list(frames.duplicate(frames.swap(list(frames.overlap(original, 6)), 4)))


def place_of(event):
    """How many scenarios begin before it. An alert belongs to where its flow began: what a timer finds may come with
    a later scenario's frames."""
    began = {"timestamp": event.get("flow", {}).get("start", event["timestamp"])}
    return int((cases.seconds_of(began) - cases.FIRST) // cases.WINDOW)


def alerts_of(args, capture, rules, sets, scenario_count):
    """Of each variant how often each sid alerted in each scenario."""
    ran = common.run_sensor(args, capture, rules, sets)
    if ran.error:
        raise RuntimeError(ran.error)
    found = collections.defaultdict(collections.Counter)
    for event in ran.events():
        if event["event_type"] == "alert":
            variant, scenario = divmod(place_of(event), scenario_count)
            found[variant][scenario, event["alert"]["signature_id"]] += 1
    return found


def without_thresholds(work, rules):
    """The same rules, each of whose matches alerts: what a threshold lets through depends on when flows end."""
    path = Path(work) / rules.name
    path.write_text(re.sub(r" threshold:[^;]*;", "", rules.read_text()))
    return path


def difference(expected, found, scenarios):
    lines = [f"{found[key]} alerts of sid {key[1]} instead of {expected[key]}: {scenarios[key[0]]}"
             for key in sorted(expected.keys() | found.keys()) if expected[key] != found[key]]
    return "\n    ".join(lines[:DIFFERENCES_SHOWN] + ([f"... and {len(lines) - DIFFERENCES_SHOWN} more"]
                                                      if len(lines) > DIFFERENCES_SHOWN else []))


def run_variants(args, work, rules, sets, chosen):
    """Failures of the cases that share a configuration, and the number of variants."""
    scenarios = [case.fire for case in chosen]
    capture = Path(work) / "evasion.pcap"
    cases.scenarios_capture(args, capture, scenarios)
    original = frames.read(capture)
    tried = list(variants(original, args.full))
    frames.write(capture, itertools.chain(original, *(frames.later(changed, i * len(scenarios) * cases.WINDOW)
                                                      for i, (_, changed) in enumerate(tried, 1))))
    try:
        found = alerts_of(args, capture, rules, sets, len(scenarios))
    except RuntimeError as err:
        return [f"{' '.join(sets) or 'as it is'}: {err}"], len(tried)
    silent = [case.sid for i, case in enumerate(chosen) if found[0][i, case.sid] == 0]
    failures = [f"sids {silent} do not fire as it is"] if silent else []
    for i, (name, changed) in enumerate(tried, 1):
        wrong = difference(found[0], found[i], scenarios)
        if wrong:
            failures.append(f"{' '.join(sets) or 'as it is'}: {name} ({len(changed)} frames): {wrong}")
    return failures, len(tried)


def run_table(args, folder):
    """Passed variants of one table, and the failures."""
    rules, table = cases.read_table(folder / "cases.txt")
    passed, failures = 0, []
    with tempfile.TemporaryDirectory(dir=args.work) as work:
        rules = without_thresholds(work, rules)
        for sets in sorted({case.sets for case in table}):
            wrong, tried = run_variants(args, work, rules, sets, [case for case in table if case.sets == sets])
            failures += wrong
            passed += max(tried - len(wrong), 0)
    return passed, failures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    common.add_arguments(parser)
    parser.add_argument("--full", action="store_true", help="every cut and size, not only a few")
    parser.add_argument("--only", action="append", default=[], help="a case folder; all by default")
    args = parser.parse_args()
    common.programs(args)
    folders = [Path(name).resolve() for name in args.only] or sorted(path.parent for path in cases.HERE.glob("*/cases.txt"))
    with tempfile.TemporaryDirectory(prefix="millrace-evasion-") as args.work:
        return common.run_each(folders, lambda folder: run_table(args, folder))


if __name__ == "__main__":
    sys.exit(main())
