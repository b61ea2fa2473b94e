#!/usr/bin/env python3
"""The same conversations in other frames, and with other numbers of workers, give the same records.

A plant's capture is made by the generator and read by the sensor as it is. Then it is read again re-segmented into
pieces of 1, 2, 3, … bytes, split at each of the first bytes of a PDU, in IP fragments, with every TCP frame twice,
with neighbouring segments swapped, with the two directions captured apart, with some frames' times wrong, in tunnels, and with 2 and 4
workers. The records of every protocol spoken and the alerts must be the same each time, apart from times, frame and packet numbers and what is made of them; and those of a flow must be in the
same order. Rules with a threshold are left out: what they count depends on when and on which worker.

Last line: 'N passed, N failed, N skipped'.
"""
import argparse
import collections
import json
import re
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "harness"))
import common   # noqa: E402
import frames   # noqa: E402

ATTACKS = "modbus-coil-force,modbus-file-write,modbus-listen-only,dnp3-firmware,dnp3-operate,dnp3-cold-restart"
VOLATILE = {"response_time_us"}
PROTOCOLS = ("modbus", "dnp3", "enip", "iec104", "mqtt", "s7comm", "s7comm_plus", "tls", "ssh")
DIFFERENCES_SHOWN = 3


def variants(original, quick):
    """(name, frames, worker count) of everything that must not matter."""
    for workers in (2, 4):
        yield f"{workers} workers", original, workers
    for size in (1, 7, 64) if quick else (1, 2, 3, 5, 7, 8, 11, 13, 64, 251):
        yield f"pieces of {size}", list(frames.resegment(original, size)), 1
    for where in (1, 6, 8) if quick else range(1, 20):
        yield f"split at {where}", list(frames.split_at(original, where)), 1
    for size in (32,) if quick else (24, 32, 64):
        yield f"fragments of {size}", list(frames.fragment(original, size)), 1
    yield "every frame twice", list(frames.duplicate(original)), 1
    yield "one time in 97 wrong by days", list(frames.mistime(original, 97)), 1
    yield "neighbours swapped", frames.swap(original, 5), 1
    yield "answers first, for 40 ms each", list(frames.apart(original, 0.04)), 1
    for kind in ("GTP-U", "GRE in UDP", "VXLAN-GPE", "WCCP"):
        yield f"in {kind}", list(frames.tunnel(original, kind)), 1
    yield "pieces of 3, swapped, twice, 4 workers", list(frames.duplicate(frames.swap(original, 3))), 4


def strip(value):
    if isinstance(value, dict):
        return {key: strip(item) for key, item in value.items() if key not in VOLATILE}
    return [strip(item) for item in value] if isinstance(value, list) else value


def key_of(event):
    kind = event["event_type"]
    record = strip(event[kind])
    if kind == "alert":
        record = record["signature_id"]
    ends = [event.get(name) for name in ("src_ip", "src_port", "dest_ip", "dest_port", "proto", "app_proto")]
    return json.dumps([kind, ends, record], sort_keys=True)


def records_of(args, capture, workers):
    run = common.run_sensor(args, capture, args.plain_rules, [f"{args.workers_key}={workers}"])
    if run.error:
        raise RuntimeError(run.error)
    flows = collections.defaultdict(list)
    for event in run.events():
        if event["event_type"] in (*PROTOCOLS, "alert"):
            flows[event["community_id"], event["event_type"] == "alert"].append(key_of(event))
    return flows


def count(flows):
    return collections.Counter(key for keys in flows.values() for key in keys)


def difference(expected_flows, found_flows):
    """What is wrong, or None."""
    if expected_flows == found_flows:
        return None
    expected, found = count(expected_flows), count(found_flows)
    if expected == found:
        flow = next(flow for flow, keys in expected_flows.items() if keys != found_flows.get(flow))
        pairs = zip(expected_flows[flow], found_flows.get(flow, ["nothing"]))
        first = next((pair for pair in pairs if pair[0] != pair[1]), ("", ""))
        return f"another order in flow {flow[0]}:\n    {first[0][:300]}\n    {first[1][:300]}"
    lines = [f"missing {times}: {key[:300]}" for key, times in list((expected - found).items())[:DIFFERENCES_SHOWN]]
    lines += [f"too many {times}: {key[:300]}" for key, times in list((found - expected).items())[:DIFFERENCES_SHOWN]]
    return "\n    ".join([f"{sum((expected - found).values())} missing, {sum((found - expected).values())} too many",
                          *lines])


def lost_in_small_ring(args, capture):
    """Reading a file waits for the exporter: what a ring of the least size loses, or None."""
    common.generate(args, capture, "--seconds", 240, "--plcs", 4, "--rate", 300, seed=args.seed)
    lines = []
    for size in ("1mb", "256mb"):
        run = common.run_sensor(args, capture, args.plain_rules, [f"workers.ring-size={size}"])
        if run.error:
            return run.error
        lines.append(collections.Counter(event["event_type"] for event in run.events()))
    lost = lines[1] - lines[0]
    return None if not lost and lines[1]["modbus"] > 5000 else f"{dict(lost)} of {dict(lines[1])}"


def write_rules(path):
    """The shipped rules that have no threshold, in one file."""
    with open(path, "w") as out:
        for name in ("modbus.rules", "dnp3.rules"):
            for line in (common.ROOT / "rules" / name).read_text().splitlines():
                if line.startswith("alert ") and not re.search(r"\bthreshold:", line):
                    out.write(line + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    common.add_arguments(parser)
    parser.add_argument("--full", action="store_true", help="every size, not only a few")
    parser.add_argument("--seconds", type=int, default=12, help="time of the plant")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers-key", default="workers.count", help="configuration key of the number of workers")
    args = parser.parse_args()
    common.programs(args)
    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix="millrace-invariance-") as args.work:
        capture = Path(args.work) / "plant.pcap"
        args.plain_rules = Path(args.work) / "plain.rules"
        write_rules(args.plain_rules)
        common.generate(args, capture, "--seconds", args.seconds, "--plcs", 3, "--rtus", 4, "--rate", 300, "--protocols", ",".join(PROTOCOLS),
                        "--attack", ATTACKS, "--fault", "coalesce,pipeline,exceptions=50", seed=args.seed)
        original = frames.read(capture)
        expected = records_of(args, capture, 1)
        kinds = collections.Counter(json.loads(key)[0] for key in count(expected).elements())
        print(f"{len(original)} frames give {dict(kinds)}")
        if len(kinds) < len(PROTOCOLS) + 1:
            print("FAIL some kind of record is missing from the reading of the original")
            failed += 1
        for name, changed, workers in variants(original, not args.full):
            frames.write(capture, changed)
            try:
                found = records_of(args, capture, workers)
                wrong = difference(expected, found)
            except RuntimeError as err:
                wrong = str(err)
            passed += wrong is None
            failed += wrong is not None
            print(f"{'ok  ' if wrong is None else 'FAIL'} {name} ({len(changed)} frames)"
                  f"{'' if wrong is None else ': ' + wrong}")
        wrong = lost_in_small_ring(args, capture)
        passed += wrong is None
        failed += wrong is not None
        print(f"{'ok  ' if wrong is None else 'FAIL'} a ring of 1 MiB{'' if wrong is None else ': ' + wrong}")
    return common.summary(passed, failed, 0)


if __name__ == "__main__":
    sys.exit(main())
