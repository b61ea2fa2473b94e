#!/usr/bin/env python3
"""Every capture of the shared corpus, damaged, read in one row by one sensor: it ends well, each line of its eve.json is JSON, and
the last stats event closes the books.

What is damaged is the traffic, not the file: frames are lost, come twice, change places, are cut, and have bytes overwritten behind
their headers by what parsers like least, 0, 255 and others of the same frame. A round takes all captures in another order. The
build should have sanitizers (build-test); its compiler is the programs' own, which the fuzzers' is not.

The seed is drawn, and printed: with it, and the same corpus, a round can be had again.

The corpus is the folder named by MILLRACE_SHARED, or ../shared beside the source tree; without it everything is skipped.

Last line: 'N passed, N failed, N skipped', a round each.
"""
import argparse
import json
import os
import random
import struct
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "harness"))
import common   # noqa: E402
from corpus import PCAP_MAGICS, books, records   # noqa: E402

HEADERS = (14, 34, 54)  # behind Ethernet, IPv4, TCP without options
SECONDS = 900


def overwrite(frame, chance, start):
    """A few bytes of the frame behind start."""
    for _ in range(chance.choice((0, 0, 0, 1, 1, 2, 8)) if len(frame) > start else 0):
        frame[chance.randrange(start, len(frame))] = chance.choice((0, 255, frame[-1], chance.randrange(256)))


def damaged_frames(frames, chance):
    """(header of the record, bytes) of what is left, in its order."""
    start = chance.choice((None, *HEADERS))
    out = []
    for header, data in frames:
        fate = chance.random()
        if fate < 0.02:
            continue
        frame = bytearray(data)
        if start is not None:
            overwrite(frame, chance, start)
        if fate > 0.98:
            del frame[chance.randrange(len(frame) + 1):]
        out += [(header, frame)] * (2 if fate < 0.04 else 1)
    if chance.random() < 0.3:
        for at in range(0, len(out) - 1, 7):
            out[at], out[at + 1] = out[at + 1], out[at]
    return out


def damaged(data, chance):
    """A capture's content; of one that is no classic pcap, bits of the file."""
    order = PCAP_MAGICS.get(data[:4])
    if order is None:
        copy = bytearray(data)
        for _ in range(len(copy) // 300 if len(copy) > 220 else 0):
            copy[chance.randrange(200, len(copy))] ^= 1 << chance.randrange(8)
        return bytes(copy)
    out = bytearray(data[:24])
    for header, frame in damaged_frames([(data[at - 16:at], data[at:at + length]) for at, length in records(data)], chance):
        on_wire = max(len(frame), struct.unpack_from(order + "I", header, 12)[0])
        out += header[:8] + struct.pack(order + "II", len(frame), on_wire) + frame
    return bytes(out)


def wrong_with(run):
    """What is wrong with a run, or None."""
    if run.error:
        return run.error
    stats = None
    with open(Path(run.folder) / "eve.json", "rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                event = json.loads(line)
            except ValueError as err:
                return f"eve.json:{number}: {err}: {line[:120]!r}"
            stats = event if event["event_type"] == "stats" else stats
    return books([] if stats is None else [stats])


def play(args, paths, seed):
    """A round; what is wrong, or None."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="millrace-damage-") as folder:
        args.work = folder
        row = Path(folder) / "row"
        row.mkdir()
        for number, path in enumerate(chance.sample(paths, len(paths))):
            (row / f"{number:05}.pcap").write_bytes(damaged(path.read_bytes(), chance))
        return wrong_with(common.run_sensor(args, row, args.rules, options=("-k", "none"), timeout=SECONDS))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    common.add_arguments(parser)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seed", type=int, help="of the first round; the next has the next one")
    parser.add_argument("--rules", default=str(common.ROOT / "rules"))
    args = parser.parse_args()
    folder = Path(os.environ.get("MILLRACE_SHARED", common.ROOT.parent / "shared")) / "corpus/captures"
    if not folder.is_dir():
        print("skipped: there is no shared corpus (MILLRACE_SHARED, or ../shared)")
        return common.summary(0, 0, args.rounds)
    common.programs(args)
    paths = sorted(path for path in folder.iterdir() if path.is_file())
    first = args.seed if args.seed is not None else random.SystemRandom().randrange(1 << 30)
    failed = 0
    for seed in range(first, first + args.rounds):
        wrong = play(args, paths, seed)
        failed += wrong is not None
        print(f"seed {seed}, {len(paths)} captures: {'as it should be' if wrong is None else wrong}", flush=True)
    return common.summary(args.rounds - failed, failed, 0)


if __name__ == "__main__":
    sys.exit(main())
