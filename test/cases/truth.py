#!/usr/bin/env python3
"""Reads every capture of the shared corpus with the sensor and compares what it counted with another dissector's
counts (truth/*.json, made by tshark): frames, fragments, TCP and UDP conversations, retransmissions, VLAN tags.

Each run must exit 0 and close its books. A difference is judged by the table REASONS: the first row of its quantity
whose test holds explains it; a difference without a row fails.

The corpus is the folder named by MILLRACE_SHARED, or ../shared beside the source tree; without it everything is
skipped. `--results FILE` keeps each capture's counters, and reads those it finds there instead of running again;
`--table FILE` writes the page docs/conformance.md.

Last line: 'N passed, N failed, N skipped', in comparisons.
"""
import argparse
import collections
import concurrent.futures
import json
import os
import random
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "harness"))
import common   # noqa: E402
import corpus   # noqa: E402

# A silent conversation is still the same one to the other dissector.
SETS = ["dpdk.huge-pages=no", "alert.packet=no", "events.arp=no", *(
    f"flow-timeouts.{proto}.{state}=1000000" for proto in ("default", "tcp", "udp", "icmp")
    for state in ("new", "established", "closed") if (proto, state) not in (("udp", "closed"), ("icmp", "closed")))]
LINKS = {0, 1, 9, 12, 14, 50, 101, 104, 105, 108, 113, 127, 228, 229, 276}


class Seen:
    """One capture's counters of both sides."""

    def __init__(self, truth, stats):
        self.truth, self.stats = truth, stats
        self.links = set(truth["reader"]["linktypes"])
        self.protocols = truth["protocols"]
        self.decoder, self.tcp, self.flow = stats["decoder"], stats["tcp"], stats["flow"]
        self.embedded = self.protocols.get("icmp", 0) + self.protocols.get("icmpv6", 0)
        self.tunnels = sum(self.decoder[key] for key in (
            "gre", "erspan", "vxlan", "geneve", "teredo", "ipv4_in_ipv4", "ipv6_in_ipv4", "ipv4_in_ipv6", "ipv6_in_ipv6"))
        self.other_tunnels = sum(self.protocols.get(key, 0) for key in (
            "gtp", "l2tp", "capwap.data", "capwap", "pwethheuristic", "pweth", "lwapp", "tzsp", "mpls", "gre", "vxlan",
            "geneve", "teredo", "wlan", "ppp", "ayiya", "cdma2k", "nsh", "isl", "bctp", "erspan", "batadv", "trill",
            "pbb", "ipcomp", "esp", "ah", "udpencap", "dtls", "hsr", "prp", "lisp-data", "openvpn"))
        self.defragmented = stats["defrag"]["ipv4"]["reassembled"] + stats["defrag"]["ipv6"]["reassembled"]
        self.fragments = stats["defrag"]["ipv4"]["fragments"] + stats["defrag"]["ipv6"]["fragments"]
        self.other_fabric = self.decoder["unknown_ethertype"] > 0 and any(
            key in self.protocols for key in ("macsec", "isl"))
        self.tags = self.decoder["vlan"] + self.decoder["vlan_qinq"] + self.decoder["vlan_qinqinq"]


def unread_link(seen):
    return bool(seen.links - LINKS)


def truncated(seen):
    return seen.truth["cap_bytes"] < seen.truth["wire_bytes"]


QUANTITIES = {
    "frames": (lambda seen: seen.truth["packets"], lambda seen: seen.decoder["pkts"]),
    "fragments": (lambda seen: seen.truth["fragments"], lambda seen: seen.fragments),
    "TCP conversations": (lambda seen: seen.truth["tcp_conversations"], lambda seen: seen.flow["tcp"]),
    "UDP conversations": (lambda seen: seen.truth["udp_conversations"], lambda seen: seen.flow["udp"]),
    "retransmissions": (lambda seen: seen.truth["tcp_retransmissions"], lambda seen: seen.tcp["retransmissions"]),
    "VLAN tags": (lambda seen: sum(seen.truth["vlan"].values()), lambda seen: seen.tags),
}

def has(*names):
    """Whether the other dissector found one of these protocols."""
    return lambda seen, theirs, ours: theirs > ours and any(name in seen.protocols for name in names)


def fewer(test):
    return lambda seen, theirs, ours: ours < theirs and test(seen)


def more(test):
    return lambda seen, theirs, ours: ours > theirs and test(seen)


# (quantity, test, reason): rows of a quantity are tried in order. The last rows of conversations and retransmissions
# hold for every difference of their direction: their reasons were found by looking at examples with the other dissector.
REASONS = [
    ("*", lambda seen, *_: unread_link(seen),
     "a link type that is not decoded (ARCNET, frame relay, NFLOG): its frames are counted, their content is not"),
    ("frames", lambda seen, *_: seen.truth["reader"]["error"] is not None,
     "the file ends inside a record: theirs counts it, ours says so and stops"),
    ("*", fewer(lambda seen: seen.decoder["invalid"] > 0),
     "malformed or cut headers: decoding stops there, with a named decode event; theirs reads on in what is left"),
    ("*", fewer(lambda seen: seen.other_fabric),
     "frames inside MACsec or ISL, which are not decoded"),
    ("*", has("sflow"), "the header of a sampled frame, which sFlow carries as data: theirs counts it"),
    ("*", fewer(lambda seen: seen.other_tunnels > seen.tunnels),
     "inside tunnels that are not decoded (CAPWAP, L2TP, ESP with known keys and the like)"),
    ("VLAN tags", lambda seen, theirs, ours: ours > theirs, "theirs lists the ids of 802.1Q tags, ours counts 802.1ad tags too"),
    ("fragments", fewer(lambda seen: seen.protocols.get("ipv6", 0) > 0),
     "IPv6: a fragment that is the whole datagram (RFC 6946) is no fragment to us, nor what a second fragment header cuts again"),
    ("fragments", more(lambda seen: seen.tunnels > 0 or seen.defragmented > 0),
     "fragments inside what was reassembled or tunnelled count on each level"),
    ("TCP conversations", more(lambda seen: seen.flow["tcp_reuse"] > 0),
     "a SYN on the endpoints of a connection that is over begins another flow, whatever its numbers"),
    ("retransmissions", fewer(lambda seen: True),
     "theirs also counts SYN, SYN+ACK and FIN sent again, and data that comes after its acknowledgement (a mirror's "
     "reordering) though it was never seen before; ours counts data seen before"),
    ("retransmissions", more(lambda seen: True),
     "theirs calls some of them out-of-order, keep-alive or window probe, or begins another conversation"),
    ("UDP conversations", more(lambda seen: any(key in seen.protocols for key in ("rpc", "portmap", "dcerpc"))),
     "theirs joins all clients of a port that the portmapper or endpoint mapper named into one conversation"),
    ("*", more(lambda seen: seen.flow["end"]["timeout"] > 0),
     "captures of different days in one file: silent for more than eleven days is over"),
    ("*", more(lambda seen: seen.tags > 0), "VLANs name a flow (vlan.use-for-tracking)"),
    ("*", fewer(lambda seen: seen.embedded > 0), "headers quoted in ICMP errors: theirs counts them as conversations"),
    ("*", more(lambda seen: seen.tunnels > 0), "the depth of a tunnel names a flow (decoder.recursion-level)"),
    ("UDP conversations", has("udplite"), "UDP-Lite, which is another IP protocol"),
    ("UDP conversations", fewer(lambda seen: True),
     "theirs takes the answers of SNMP, HART-IP or SCCP for a conversation of their own in some states"),
    ("TCP conversations", fewer(lambda seen: True),
     "theirs begins another conversation for a SYN with another number before the first was answered"),
]


def compare(name, seen):
    """(quantity, theirs, ours, reason or None) of each quantity."""
    for quantity, (theirs, ours) in QUANTITIES.items():
        values = theirs(seen), ours(seen)
        reason = "agree" if values[0] == values[1] else None
        for of, test, text in REASONS:
            if reason is None and of in (quantity, "*") and test(seen, *values):
                reason = text
        yield quantity, *values, reason


def collect(args, path):
    """The last stats of a run over the capture, or what is wrong with it."""
    with tempfile.TemporaryDirectory(dir=args.work) as folder:
        inner = argparse.Namespace(**{**vars(args), "work": folder})
        timeout = corpus.SECONDS_BASE + corpus.SECONDS_MIB * (path.stat().st_size >> 20)
        run = common.run_sensor(inner, path, sets=SETS, options=("-k", "none"), timeout=timeout)
        if run.returncode == 1 and run.output.strip():
            return {"skip": run.output.strip().splitlines()[-1].replace(str(path.parent) + "/", "")}
        if run.error:
            return {"error": run.error}
        try:
            events = run.events()
        except RuntimeError as err:
            return {"error": str(err)}
        wrong = corpus.books(events)
        return {"error": wrong} if wrong else [e["stats"] for e in events if e["event_type"] == "stats"][-1]


def gather(args, paths):
    """Counters by capture name; those of the results file are not read again."""
    known = {}
    if args.results and Path(args.results).exists():
        known = json.loads(Path(args.results).read_text())
    with tempfile.TemporaryDirectory(prefix="millrace-truth-") as args.work, \
         concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        missing = [path for path in paths if path.name not in known]
        for path, stats in zip(missing, pool.map(lambda path: collect(args, path), missing)):
            known[path.name] = stats
    if args.results:
        Path(args.results).write_text(json.dumps(known))
    return known


PAGE = """# Agreement on packets and flows

Written by `python3 test/cases/truth.py --sample 0 --table docs/conformance.md SENSOR` over the {captures} captures of
the corpus ({skipped} more it could not read), against the counts of tshark 4.0. Every
run ended with closed books: received = processed + every named drop. Flow timeouts are set long, and checksums are not
judged (`-k none`), since the other dissector does neither. A row's reason was found in examples of it; which captures
are in which row, `-v` says.

| quantity | captures | sum, theirs | sum, ours | what |
|---|---|---|---|---|
"""


def write_table(path, rows, captures, skipped):
    with open(path, "w", encoding="utf-8") as out:
        out.write(PAGE.format(captures=captures, skipped=skipped))
        for (quantity, reason), (count, theirs, ours) in sorted(
                rows.items(), key=lambda row: (list(QUANTITIES).index(row[0][0]), -row[1][0])):
            out.write(f"| {quantity} | {count} | {theirs} | {ours} | {reason or 'NOT EXPLAINED'} |\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    common.add_arguments(parser)
    parser.add_argument("--sample", type=int, default=60, help="so many captures, chosen by the seed [60]; 0: all")
    parser.add_argument("--match", default="", help="only captures whose name contains this")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--results", help="file that keeps the counters of each capture")
    parser.add_argument("--table", help="write the table of differences there")
    parser.add_argument("-j", "--jobs", type=int, default=1)
    args = parser.parse_args()
    folder = Path(os.environ.get("MILLRACE_SHARED", common.ROOT.parent / "shared")) / "corpus"
    if not folder.is_dir():
        print("skipped: there is no shared corpus (MILLRACE_SHARED, or ../shared)")
        return common.summary(0, 0, 1)
    common.programs(args)
    paths = sorted(path for path in (folder / "captures").iterdir() if args.match in path.name and path.is_file())
    if 0 < args.sample < len(paths):
        paths = sorted(random.Random(args.seed).sample(paths, args.sample))
    results = gather(args, paths)
    rows = collections.defaultdict(lambda: [0, 0, 0])
    passed = failed = skipped = read = 0
    for path in paths:
        stats = results[path.name]
        if "skip" in stats or "error" in stats:
            print(f"{'SKIP' if 'skip' in stats else 'FAIL'} {path.name}: {stats.get('skip') or stats['error']}")
            skipped += "skip" in stats
            failed += "error" in stats
            continue
        read += 1
        truth = json.loads((folder / "truth" / (path.name + ".json")).read_text())
        for quantity, theirs, ours, reason in compare(path.name, Seen(truth, stats)):
            row = rows[quantity, reason]
            row[0], row[1], row[2] = row[0] + 1, row[1] + theirs, row[2] + ours
            passed += reason is not None
            failed += reason is None
            if reason is None or (args.verbose and reason != "agree"):
                print(f"{'FAIL' if reason is None else 'DIFF'} {path.name}: {quantity} {theirs}, ours {ours}"
                      f"{': ' + reason if reason else ''}")
    if args.table:
        write_table(args.table, rows, read, skipped)
    return common.summary(passed, failed, skipped)


if __name__ == "__main__":
    sys.exit(main())
