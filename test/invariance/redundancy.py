#!/usr/bin/env python3
"""A substation whose frames are sent twice, by PRP, HSR (IEC 62439-3) or FRER (IEEE 802.1CB), gives the events of one whose frames
are sent once.

A generated substation is read as it is, then with every frame on both networks, both ways round a ring, or on both paths: the
second copy at once, later, or first. Every event must be the same but for frame numbers and the bytes of flows, which count tags and trailers.
Then the copies are believed to be messages (decoder.skip-redundant: no): GOOSE must say that they are repeated, or this script
would prove nothing.

Last line: 'N passed, N failed, N skipped'.
"""
import argparse
import collections
import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "harness"))
import common   # noqa: E402
import frames   # noqa: E402

PROTOCOLS = "goose,sv,modbus,dnp3,iec104,enip,it"
VOLATILE = {"pcap_cnt", "bytes_toserver", "bytes_toclient"}


def variants(original):
    """(name, frames that are sent once, the same sent twice)"""
    for send in (frames.prp, frames.hsr, frames.frer):
        name = send.__name__
        for lag in (0, 3):
            yield f"{name}, {lag} frames apart", original, list(frames.behind(send(original), lag))
        yield f"{name}, the other copy first", original, list(frames.behind((pair[::-1] for pair in send(original)), 1))
        pieces = list(frames.fragment(original, 64))
        for lag in (0, 3):
            yield f"{name}, fragments {lag} frames apart", pieces, list(frames.behind(send(pieces), lag))


def strip(value):
    if isinstance(value, dict):
        return {key: strip(item) for key, item in value.items() if key not in VOLATILE}
    return [strip(item) for item in value] if isinstance(value, list) else value


def events_of(args, capture, changed, sets=()):
    """(every event but the statistics, how often; the statistics)"""
    frames.write(capture, changed)
    run = common.run_sensor(args, capture, common.ROOT / "rules/goose.rules", sets)
    if run.error:
        raise RuntimeError(run.error)
    events = run.events()
    seen = collections.Counter(json.dumps(strip(event), sort_keys=True) for event in events if event["event_type"] != "stats")
    return seen, events[-1]["stats"]


def difference(expected, found):
    missing, more = expected - found, found - expected
    if not missing and not more:
        return None
    return "\n    ".join([f"{sum(missing.values())} missing, {sum(more.values())} too many",
                          *(f"missing: {key[:1000]}" for key in sorted(missing)[:2]),
                          *(f"too many: {key[:1000]}" for key in sorted(more)[:2])])


def check(args, capture, once, twice, counter):
    """What is wrong, or None."""
    expected, _ = events_of(args, capture, once)
    found, stats = events_of(args, capture, twice)
    wrong = difference(expected, found)
    if wrong is None and stats["decoder"][counter] != len(twice):
        wrong = f"{stats['decoder'][counter]} of {len(twice)} frames were seen as {counter}"
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    common.add_arguments(parser)
    parser.add_argument("--seconds", type=int, default=6, help="time of the substation")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    common.programs(args)
    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix="millrace-redundancy-") as args.work:
        capture = Path(args.work) / "substation.pcap"
        common.generate(args, capture, "--seconds", args.seconds, "--plcs", 3, "--rtus", 4, "--rate", 300, "--protocols", PROTOCOLS, seed=args.seed)
        original = frames.read(capture)
        for name, once, twice in variants(original):
            wrong = check(args, capture, once, twice, name.split(',')[0])
            passed += wrong is None
            failed += wrong is not None
            print(f"{'ok  ' if wrong is None else 'FAIL'} {name} ({len(twice)} frames){'' if wrong is None else ': ' + wrong}")
        believed, _ = events_of(args, capture, list(frames.behind(frames.prp(original), 0)), ["decoder.skip-redundant=no"])
        told = any('"sq_num_repeated"' in key for key in believed)
        passed += told
        failed += not told
        print(f"{'ok  ' if told else 'FAIL'} copies that are believed are told")
    return common.summary(passed, failed, 0)


if __name__ == "__main__":
    sys.exit(main())
