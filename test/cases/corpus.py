#!/usr/bin/env python3
"""Reads every capture of the shared corpus, and damaged copies of them, with the sensor.

Each run must exit 0 within its bounds of time and memory, write whole events, and close its books: in the last
stats event, received equals processed plus every named drop. Damaged copies: the file cut at some length, and bytes
overwritten behind the record headers, both decided by the seed.

The corpus is the folder named by MILLRACE_SHARED, or ../shared beside the source tree; without it everything is
skipped. A capture that the sensor says it cannot read (exit 1, with the reason) is skipped and counted, unless the
undamaged file is a classic pcap of Ethernet.

Last line: 'N passed, N failed, N skipped'.
"""
import argparse
import concurrent.futures
import gzip
import os
import random
import struct
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "harness"))
import common   # noqa: E402

MEMORY_MIB = 4096
SECONDS_BASE = 60
SECONDS_MIB = 5
LEN_MAX = 256 << 20
PCAP_MAGICS = {b"\xd4\xc3\xb2\xa1": "<", b"\x4d\x3c\xb2\xa1": "<", b"\xa1\xb2\xc3\xd4": ">", b"\xa1\xb2\x3c\x4d": ">"}


def books(events):
    """What is wrong with the books, or None."""
    stats = [event["stats"] for event in events if event["event_type"] == "stats"]
    if not stats:
        return "no stats event"
    totals = stats[-1].get("capture", stats[-1])
    if "received" not in totals or "processed" not in totals:
        return "the last stats event has no received and processed"
    dropped = totals.get("dropped", 0)
    if isinstance(dropped, dict):
        dropped = sum(dropped.values())
    if totals["received"] != totals["processed"] + dropped:
        return f"received {totals['received']} is not processed {totals['processed']} plus dropped {dropped}"
    return None


def records(data):
    """Offset and length of the bytes of each packet of a classic pcap."""
    order = PCAP_MAGICS.get(data[:4])
    at = 24
    while order and at + 16 <= len(data):
        length = struct.unpack_from(order + "I", data, at + 8)[0]
        if at + 16 + length > len(data):
            break
        yield at + 16, length
        at += 16 + length


def flip(data, chance):
    """Overwrites about one byte in two hundred of the packets, or of the whole file where it is no classic pcap."""
    damaged = bytearray(data)
    places = list(records(data)) or [(24, len(data) - 24)]
    for start, length in places:
        for _ in range(length // 200 + (chance.random() < 0.3)):
            if length > 0:
                damaged[start + chance.randrange(length)] = chance.randrange(256)
    return bytes(damaged)


def variants(path, seed, damage):
    """(name, content) of the capture and its damaged copies; None is the file itself."""
    yield "as it is", None
    if not damage:
        return
    data = path.read_bytes()
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    chance = random.Random(f"{seed} {path.name}")
    if 40 < len(data) <= LEN_MAX:
        yield "cut", data[:chance.randrange(25, len(data))]
        yield "flipped", flip(data, chance)


def check(args, path):
    """A list of (what, outcome): None passed, "skip: …" skipped, anything else failed."""
    outcomes = []
    for what, content in variants(path, args.seed, args.damage):
        with tempfile.TemporaryDirectory(dir=args.work) as folder:
            capture = path
            if content is not None:
                capture = Path(folder) / ("damaged" + path.suffix)
                capture.write_bytes(content)
            timeout = SECONDS_BASE + SECONDS_MIB * (capture.stat().st_size >> 20)
            run = common.run_sensor(args, capture, args.rules, timeout=timeout)
            outcomes.append((what, judge(args, run, what)))
    return outcomes


def judge(args, run, what):
    if run.returncode == 1 and run.output.strip():
        return "skip: " + run.output.strip().splitlines()[-1]
    if run.error:
        return run.error
    try:
        wrong = books(run.events())
    except RuntimeError as err:
        return str(err)
    if wrong is None and run.memory_kib > args.memory_mib * 1024:
        wrong = f"{run.memory_kib >> 10} MiB of memory"
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    common.add_arguments(parser)
    parser.add_argument("--sample", type=int, default=30, help="so many captures, chosen by the seed [30]; 0: all")
    parser.add_argument("--match", default="", help="only captures whose name contains this")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-damage", dest="damage", action="store_false", help="no damaged copies")
    parser.add_argument("--rules", default=str(common.ROOT / "rules/modbus.rules"))
    parser.add_argument("--memory-mib", type=int, default=MEMORY_MIB)
    parser.add_argument("-j", "--jobs", type=int, default=2)
    args = parser.parse_args()
    folder = Path(os.environ.get("MILLRACE_SHARED", common.ROOT.parent / "shared")) / "corpus/captures"
    if not folder.is_dir():
        print("skipped: there is no shared corpus (MILLRACE_SHARED, or ../shared)")
        return common.summary(0, 0, 1)
    common.programs(args)
    paths = sorted(path for path in folder.iterdir() if args.match in path.name and path.is_file())
    if 0 < args.sample < len(paths):
        paths = sorted(random.Random(args.seed).sample(paths, args.sample))
    passed = failed = skipped = 0
    with tempfile.TemporaryDirectory(prefix="millrace-corpus-") as args.work, \
         concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for path, outcomes in zip(paths, pool.map(lambda path: check(args, path), paths)):
            for what, outcome in outcomes:
                skip = outcome is not None and outcome.startswith("skip: ")
                passed += outcome is None
                skipped += skip
                failed += outcome is not None and not skip
                if outcome is not None and (args.verbose or not skip):
                    print(f"{'SKIP' if skip else 'FAIL'} {path.name} ({what}): {outcome}")
    return common.summary(passed, failed, skipped)


if __name__ == "__main__":
    sys.exit(main())
