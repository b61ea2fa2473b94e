#!/usr/bin/env python3
"""Which industrial protocols the sensor finds in the captures of the shared corpus, against another dissector's counts
(truth/*.json, made by tshark, and the byte patterns of S7comm-plus).

Missed is a protocol of which a capture has three or more PDUs (packets with it, where no dissector counts PDUs) and the
sensor reports neither a flow nor an event. Claimed is one that the sensor reports where the other finds none. Each needs a
row in EXPLAINED with its reason.

Every capture with three or more PDUs of such a protocol is read, and --sample others, chosen by --seed; 0: all of them.
`--table FILE` writes the page docs/conformance/identification.md. The corpus is the folder named by MILLRACE_SHARED, or
../shared beside the source tree; without it everything is skipped. Last line: 'N passed, N failed, N skipped'.
"""
import argparse
import concurrent.futures
import json
import os
import random
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "harness"))
import common   # noqa: E402

# As the sensor calls it, and as the other dissector calls the layers of it.
PROTOCOLS = {"modbus": ("mbtcp",), "dnp3": ("dnp3",), "s7comm": ("s7comm",), "s7comm_plus": (), "enip": ("enip", "cipio"),
             "iec104": ("iec60870_104",), "goose": ("goose",), "sv": ("sv",), "mqtt": ("mqtt",)}
PDUS_MIN = 3
SETS = ["dpdk.huge-pages=no", "events.arp=no", "alert.packet=no"]
# (protocol, capture) -> why the two differ.
EXPLAINED = {
    ("s7comm", "iti__profinet-Profinet_Failed.pcap"):
        "COTP connections to port 102 whose TSAPs are S7's, rack 0 and slot 2 for an operator panel; none gets to its first S7 PDU",
}


def pdus_of(truth, protocol):
    """What the other dissector found: packets, and whether at all."""
    if protocol == "s7comm_plus":
        return truth["payload_signatures"].get("s7comm-plus", {}).get("packets", 0)
    return max(truth["protocols"].get(layer, 0) for layer in PROTOCOLS[protocol])


def found_by(args, path):
    """Protocols of flows and events, or in words why there are none; None: the capture cannot be read."""
    with tempfile.TemporaryDirectory(dir=args.work) as folder:
        args = argparse.Namespace(**{**vars(args), "work": folder})
        run = common.run_sensor(args, path, sets=SETS, options=("-k", "none"), timeout=args.timeout)
        if run.returncode == 1:
            return None
        if run.error:
            return f"{path.name}: {run.error}"
        found = set()
        for event in run.events():
            found.add(event["event_type"])
            if event["event_type"] == "flow":
                found.add(event.get("app_proto"))
        return found


def choose(args, truths):
    """Captures with enough PDUs, and a sample of the others."""
    chosen = {name for name, truth in truths.items() if any(pdus_of(truth, protocol) >= PDUS_MIN for protocol in PROTOCOLS)}
    others = sorted(set(truths) - chosen)
    if args.sample != 0:
        others = random.Random(args.seed).sample(others, min(args.sample, len(others)))
    return sorted(chosen | set(others))


def judge(rows, name, truth, found):
    """Counts one capture. @return what is wrong with it and not explained"""
    wrong = []
    for protocol, row in rows.items():
        theirs, ours = pdus_of(truth, protocol), protocol in found
        row["read"] += 1
        row["with"] += theirs >= PDUS_MIN
        row["found"] += theirs >= PDUS_MIN and ours
        row["without"] += theirs == 0
        verdict = "missed" if theirs >= PDUS_MIN and not ours else "claimed" if ours and theirs == 0 else None
        if verdict is None:
            continue
        row[verdict].append(name)
        if (protocol, name) not in EXPLAINED:
            wrong.append(f"{name}: {protocol} {verdict}, {theirs} by the other dissector")
    return wrong


def write_table(args, rows, total):
    read = next(iter(rows.values()))["read"]
    with open(args.table, "w", encoding="utf-8") as out:
        out.write(f"""# Identification of industrial protocols

Written by `python3 test/cases/identify.py --sample {args.sample} --table {args.table} SENSOR`: {read} of {total} captures of the
corpus, against tshark's dissectors and the byte patterns of S7comm-plus. "Missed" are captures with three or more PDUs of the
protocol in which the sensor found none; "claimed" are captures in which the sensor found it and the other did not.

| protocol | captures with three or more PDUs | found | missed | captures without it | claimed |
|---|---|---|---|---|---|
""")
        for protocol, row in rows.items():
            out.write(f"| {protocol} | {row['with']} | {row['found']} | {len(row['missed'])} | {row['without']} | {len(row['claimed'])} |\n")
        reasons = [(protocol, verdict, name) for protocol, row in rows.items() for verdict in ("missed", "claimed")
                   for name in row[verdict]]
        if reasons:
            out.write("\n| protocol | capture | | why |\n|---|---|---|---|\n")
        for protocol, verdict, name in reasons:
            out.write(f"| {protocol} | `{name}` | {verdict} | {EXPLAINED.get((protocol, name), 'not known')} |\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    common.add_arguments(parser)
    parser.add_argument("--sample", type=int, default=100, help="so many captures without such a protocol [100]; 0: all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--timeout", type=int, default=300, help="seconds for one capture [300]")
    parser.add_argument("--table", help="write the page")
    args = parser.parse_args()
    folder = Path(os.environ.get("MILLRACE_SHARED", common.ROOT.parent / "shared")) / "corpus"
    if not folder.is_dir():
        print("skipped: there is no shared corpus (MILLRACE_SHARED, or ../shared)")
        return common.summary(0, 0, 1)
    common.programs(args)
    paths = {path.name: path for path in (folder / "captures").iterdir()}
    truths = {path.name.removesuffix(".json"): json.loads(path.read_text()) for path in (folder / "truth").glob("*.json")}
    truths = {name: truth for name, truth in truths.items() if name in paths}
    names = choose(args, truths)
    rows = {protocol: {"read": 0, "with": 0, "found": 0, "without": 0, "missed": [], "claimed": []} for protocol in PROTOCOLS}
    passed, failures, skipped = 0, [], 0
    with tempfile.TemporaryDirectory(prefix="millrace-identify-") as args.work, \
            concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for name, found in zip(names, pool.map(lambda name: found_by(args, paths[name]), names)):
            if found is None:
                skipped += 1
                continue
            if isinstance(found, str):
                failures.append(found)
                continue
            wrong = judge(rows, name, truths[name], found)
            passed += not wrong
            failures += wrong
    print("\n".join(failures), end="\n" if failures else "")
    if args.table:
        write_table(args, rows, len(truths))
    return common.summary(passed, len(failures), skipped)


sys.exit(main())
