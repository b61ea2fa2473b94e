#!/usr/bin/env python3
"""Spoils rule files and asks the sensor to check them: an error with a place for each rule that does not load, never a crash.

  test/fuzz/mutate_rules.py [--count N] [--first SEED] [SENSOR]    default: 1000, 1, build-test's sensor

The files are the shipped rules and, where the shared corpus is (MILLRACE_SHARED), Quickdraw, ET SCADA and pieces of ET Open.
Each seed spoils one in its own way, always the same. Not in scripts/test: it takes minutes with sanitizers.

Last line: 'N passed, N failed, N skipped'.
"""
import argparse
import lzma
import os
import random
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PIECE = 60       # rules of a piece of ET Open
TOLD_MAX = 1000  # refused rules are told one by one, as lib/rule/rule.h has it
TIMEOUT_S = 60   # of one check, with sanitizers on a busy machine
SPLICES = [b";", b";;", b"\"", b"(", b")", b"|", b"|0", b"\\", b"\\\n", b"!", b",", b":", b"$X", b"[", b"]", b"any", b"\0", b"\xff", b"<>",
           b"-1", b"4294967296", b"99999999999999999999", b"content:\"\";", b"depth:0;", b"distance:-65536;", b"within:1;", b"absent;",
           b"pcre:\"/(/\";", b"byte_test:9,>,1,0;", b"byte_extract:4,0,a;", b"fast_pattern:0,0;", b"asn1:oversize_length;", b"domain;",
           b"base64_data;", b"to_md5;", b"flowbits:set,;", b"threshold:type limit;", b"sid:0;", b"metadata:,;", b"requires:;"]


def sources():
    texts = [path.read_bytes() for path in sorted((ROOT / "rules").glob("**/*.rules"))]
    shared = Path(os.environ.get("MILLRACE_SHARED", ROOT / "../shared")) / "cases/rules"
    texts += [path.read_bytes() for path in sorted(shared.glob("*.rules"))]
    whole = shared / "et-open.rules.xz"
    if whole.exists():
        rules = [line for line in lzma.open(whole).read().split(b"\n") if line]
        texts += [b"\n".join(rules[at:at + PIECE]) for at in range(0, len(rules), 40 * PIECE)]
    return texts


def spoil(text, chance):
    """One change somewhere."""
    at, end = sorted(chance.randrange(len(text) + 1) for _ in range(2))
    length = min(end - at, chance.choice((1, 4, 40, 400)))
    kind = chance.randrange(7)
    if kind == 0:
        return text[:at] + text[at + length:]
    if kind == 1:
        return text[:at] + chance.choice(SPLICES) + text[at:]
    if kind == 2:
        return text[:at] + text[at:at + length] * chance.choice((2, 3, 200)) + text[at + length:]
    if kind == 3:
        return text[:at] + bytes([chance.randrange(256)]) + text[at + 1:]
    if kind == 4:
        other = chance.randrange(len(text) + 1)
        return text[:at] + text[other:other + length] + text[at + length:]
    if kind == 5:
        return re.sub(rb"\d+", lambda found: str(chance.choice((0, 1, 65535, 65536, 2**31, 2**32, 2**64))).encode(), text[:at][-200:]).join(
            (text[:max(at - 200, 0)], text[at:]))
    return text[:at] if chance.random() < 0.2 else text[:at] + text[at:end][::-1][:length] + text[at + length:]


def wrong(sensor, path, text):
    """What is wrong with how the file was checked, or None."""
    try:
        ran = subprocess.run([sensor, "rules", "check", str(path)], capture_output=True, timeout=TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return f"not done within {TIMEOUT_S} s"
    told = ran.stdout.decode(errors="replace") + ran.stderr.decode(errors="replace")
    if ran.returncode not in (0, 1) or "Sanitizer" in told or "runtime error" in told:
        return f"exit {ran.returncode}: {told[-600:]}"
    refused = re.search(r"(\d+) rules load, (\d+) do not", told)
    if refused is None:
        return f"no summary: {told[-300:]}"
    places = re.findall(rf"^{re.escape(str(path))}:(\d+):(\d+): error: .", told, re.M)
    if len(places) != int(refused[2]) and int(refused[2]) <= TOLD_MAX:
        return f"{refused[2]} do not load, {len(places)} have a place"
    if any(not 1 <= int(line) <= text.count(b"\n") + 1 or int(column) < 1 for line, column in places):
        return "a place outside the file"
    return None if (int(refused[2]) > 0) == (ran.returncode == 1) else f"exit {ran.returncode} with {refused[2]} refused"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sensor", nargs="?", default=str(ROOT / "build-test/app/sensor/millrace-sensor"))
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--first", type=int, default=1)
    args = parser.parse_args()
    texts, failed = sources(), 0
    with tempfile.TemporaryDirectory(prefix="millrace-mutate-") as work:
        path = Path(work) / "spoiled.rules"
        for seed in range(args.first, args.first + args.count):
            chance = random.Random(seed)
            text = chance.choice(texts)
            for _ in range(chance.choice((1, 2, 5, 20))):
                text = spoil(text, chance)
            path.write_bytes(text)
            problem = wrong(args.sensor, path, text)
            if problem is not None:
                failed += 1
                print(f"FAIL seed {seed}: {problem}", flush=True)
    print(f"{args.count - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
