#!/usr/bin/env python3
"""Compares the methods and status codes of the sensor's http events with tshark's counts (corpus/truth).

    oracle_http.py SENSOR [SHARED] [-k CAPTURE]

SENSOR is the sensor's program. SHARED is the folder of captures and reference results (default: the environment
variable MILLRACE_SHARED, else ../shared beside the source root); without it nothing is compared, and the script
says so and exits 77.

A difference is explained by the first row of REASONS that holds for it. One without a row makes the exit code 1.
"""
import argparse
import collections
import concurrent.futures
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "harness"))
import oracle   # noqa: E402

INTERIM = (100, 102, 103)  # counted, not written
UDP_METHODS = {"M-SEARCH", "NOTIFY"}

# What is missing here, by capture.
NOT_HERE = {
    "tcpdump__arcnet-rfc1201-arp-icmp-http.pcap": "ARCNET frames",
    "arkime__nflog.pcap": "NFLOG frames",
    "arkime__sctp-www.pcap": "HTTP over SCTP",
    "ndpi__ndpi_match_string_subprotocol__error.pcapng": "a frame with damaged numbers, far outside of the window",
    "zeek__communityid-tcp.pcap": "the capture has the first 96 bytes of each frame",
    "zeek__mixed-vlan-mpls.pcap": "frames with a header of their own before Ethernet's",
}
MALFORMED = ("suriverify__http-evader-", "suriverify__http1-noint-status")


REASONS = [
    ("SSDP: HTTP's form in UDP datagrams, which is not read",
     lambda d: not d.ours and set(d.theirs) <= UDP_METHODS),
    ("not decoded here", lambda d: d.capture in NOT_HERE),
    ("status lines and framing made to be read differently; response_invalid_status or resynchronised says so here",
     lambda d: d.capture.startswith(MALFORMED)),
    ("tshark names only messages whose body it has whole, in TCP it has without gaps, of methods that it knows",
     lambda d: not d.theirs),
]


def run_sensor(sensor, capture):
    with tempfile.TemporaryDirectory() as out:
        done = subprocess.run([sensor, "read", "-r", capture, "-k", "none", "-l", out, "--set", "dpdk.huge-pages=no",
                               "--set", "rule-files=[]"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600,
                              check=False)
        path = Path(out, "eve.json")
        if done.returncode != 0 or not path.exists():
            sys.exit(f"{sensor} read -r {capture}: exit code {done.returncode}\n{done.stdout.decode(errors='replace')}")
        with open(path, encoding="utf-8") as lines:
            return [event["http"] for event in map(json.loads, lines) if event["event_type"] == "http"]


def counts_of(events):
    return {
        "http.request.method": collections.Counter(event["http_method"] for event in events if "http_method" in event),
        "http.response.code": collections.Counter(event["status"] for event in events if "status" in event),
    }


def truth_of(services):
    theirs = {
        "http.request.method": collections.Counter(services.get("http.request.method", {})),
        "http.response.code": collections.Counter(
            {int(code): count for code, count in services.get("http.response.code", {}).items()}),
    }
    for code in INTERIM:
        theirs["http.response.code"].pop(code, None)
    return theirs


def reason_of(difference):
    return next((text for text, holds in REASONS if holds(difference)), None)


def compare(capture, theirs, ours):
    """@return how many agree, are explained, differ"""
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
    if not corpus.is_dir():
        print(f"{corpus}: no corpus, nothing compared")
        return oracle.SKIPPED
    truths = {path.stem: json.loads(path.read_text(encoding="utf-8"))["services"].get("http")
              for path in sorted(corpus.glob("truth/*.json")) if args.k in path.stem}
    truths = {capture: services for capture, services in truths.items() if services is not None}
    total = [0, 0, 0]
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        runs = pool.map(lambda capture: run_sensor(args.sensor, corpus / "captures" / capture), truths)
        for (capture, services), events in zip(truths.items(), runs):
            total = [a + b for a, b in zip(total, compare(capture, truth_of(services), counts_of(events)))]
    print(f"{sum(total)} fields compared: {total[0]} agree, {total[1]} differ with a reason, {total[2]} differ")
    return 1 if total[2] else 0


if __name__ == "__main__":
    sys.exit(main())
