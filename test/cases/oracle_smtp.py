#!/usr/bin/env python3
"""Compares the envelopes and subjects of the sensor's smtp events with tshark's, capture by capture.

    oracle_smtp.py SENSOR [SHARED] [-k CAPTURE]

SENSOR is the sensor's program. SHARED is the folder of captures (default: the environment variable MILLRACE_SHARED, else
../shared beside the source root); its results of tshark name the captures that have SMTP, and tshark itself is asked for the
fields. Without the folder or tshark nothing is compared, and the script says so and exits 77.

A difference is explained by the first row of REASONS that holds for it. One without a row makes the exit code 1.
"""
import argparse
import collections
import concurrent.futures
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "harness"))
import oracle   # noqa: E402

FIELDS = ("smtp.req.command", "smtp.req.parameter", "imf.subject")
JOIN = "\x1f"  # between several values of a field

# What is missing here, or read differently, by capture.
KNOWN = {
    "mrhenrike__ColetaTF05.pcapng": "frames whose IP header says that they are empty (left to the card): the message is lost",
    "arkime__arkime_synthetic.pcap": "a message in IMAP; a segment of two commands of which tshark names no parameter",
}

REASONS = [
    ("tshark decodes RFC 2047's words; here the subject stays as it is",
     lambda d: d.field == "subject" and d.ours and all("=?" in text for text in d.ours)),
    ("tshark reads a message only behind DATA, and when it has every byte of it", lambda d: d.field == "subject" and not d.theirs),
    ("tshark names the parameters of a segment's first command only, and none behind BDAT or within a proxy's tunnel",
     lambda d: not d.theirs),
]


def tool_lines(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=600, check=False)
    return done.stdout.decode(errors="replace").split("\n")


def path_of(parameter):
    """The path behind FROM: or TO:, without the parameters of extensions."""
    text = parameter.split(":", 1)[1].strip()
    return text.split("> ")[0] + ">" if text.startswith("<") and "> " in text else text.split(" ")[0]


def theirs_of(capture):
    counts = {"helo": collections.Counter(), "mail_from": collections.Counter(), "rcpt_to": collections.Counter(),
              "subject": collections.Counter()}
    command = ["tshark", "-r", str(capture), "-Y", "smtp || imf", "-T", "fields", "-E", f"aggregator={JOIN}"]
    for field in FIELDS:
        command += ["-e", field]
    for line in tool_lines(command):
        commands, parameters, subjects = (cell.split(JOIN) if cell else [] for cell in (line.split("\t") + [""] * 3)[:3])
        for parameter in parameters:
            if parameter.lower().startswith("from:"):
                counts["mail_from"][path_of(parameter)] += 1
            elif parameter.lower().startswith("to:"):
                counts["rcpt_to"][path_of(parameter)] += 1
        if len(commands) == 1 and len(parameters) == 1 and commands[0].upper() in ("EHLO", "HELO"):
            counts["helo"][parameters[0].strip()] += 1
        counts["subject"].update(subject.strip() for subject in subjects)
    return counts


def ours_of(sensor, capture):
    counts = {"helo": collections.Counter(), "mail_from": collections.Counter(), "rcpt_to": collections.Counter(),
              "subject": collections.Counter()}
    with tempfile.TemporaryDirectory() as out:
        done = subprocess.run([sensor, "read", "-r", capture, "-k", "none", "-l", out, "--set", "dpdk.huge-pages=no",
                               "--set", "rule-files=[]"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600,
                              check=False)
        path = Path(out, "eve.json")
        if done.returncode != 0 or not path.exists():
            sys.exit(f"{sensor} read -r {capture}: exit code {done.returncode}\n{done.stdout.decode(errors='replace')}")
        with open(path, encoding="utf-8") as lines:
            events = [event for event in map(json.loads, lines) if event["event_type"] == "smtp"]
    for event in events:
        smtp = event["smtp"]
        counts["helo"].update([smtp["helo"]] if "helo" in smtp else [])
        counts["mail_from"].update([smtp["mail_from"]] if "mail_from" in smtp else [])
        counts["rcpt_to"].update(smtp.get("rcpt_to", []))
        subject = event.get("email", {}).get("subject")
        counts["subject"].update([subject.strip()] if subject is not None else [])
    return counts


def reason_of(difference):
    return KNOWN.get(difference.capture) or next((text for text, holds in REASONS if holds(difference)), None)


def compare(capture, theirs, ours):
    """@return how many agree, are explained, differ"""
    # A name is told with each mail of its connection, a subject in each place of a capture that repeats it.
    for counts in (theirs, ours):
        counts["helo"] = collections.Counter(set(counts["helo"]))
    return oracle.compare_counters(capture, theirs, ours, reason_of)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("sensor")
    parser.add_argument("shared", nargs="?", default=os.environ.get(
        "MILLRACE_SHARED", Path(__file__).resolve().parents[2].parent / "shared"))
    parser.add_argument("-k", default="", help="only captures whose name has this in it")
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    corpus = Path(args.shared, "corpus")
    if not corpus.is_dir() or shutil.which("tshark") is None:
        print(f"{corpus}: no corpus, or no tshark: nothing compared")
        return oracle.SKIPPED
    captures = [path.stem for path in sorted(corpus.glob("truth/*.json")) if args.k in path.stem
                and "smtp" in json.loads(path.read_text(encoding="utf-8"))["protocols"]]
    total = [0, 0, 0]
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        theirs = pool.map(lambda name: theirs_of(corpus / "captures" / name), captures)
        ours = pool.map(lambda name: ours_of(args.sensor, corpus / "captures" / name), captures)
        for name, their, our in zip(captures, theirs, ours):
            total = [a + b for a, b in zip(total, compare(name, their, our))]
    print(f"{len(captures)} captures, {sum(total)} fields compared: {total[0]} agree, {total[1]} differ with a reason, "
          f"{total[2]} differ")
    return 1 if total[2] else 0


if __name__ == "__main__":
    sys.exit(main())
