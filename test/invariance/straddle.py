#!/usr/bin/env python3
"""Contents of one rule in a stream of no known protocol are found together, wherever segments are cut.

A flow for each distance of two contents, up to the reach that ARCHITECTURE.md promises, and for each way to cut: finely,
in segments of usual sizes, through the contents, a content alone in its segment, and anywhere. Each must alert, by two
contents in either order, by a content with a distance and by an expression that has no length.

Last line: 'N passed, N failed, N skipped'.
"""
import argparse
import random
import struct
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "harness"))
import common   # noqa: E402
import frames   # noqa: E402

REACH = 2816
SPANS = (14, 64, 65, 66, 130, 512, 513, 1460, 1461, 2560, REACH - 1, REACH, REACH + 1)
SIZES = (1, 7, 64, 100, 536, 1460)
FIRST, SECOND = b"\xf1begin\xf2", b"\xf3ended\xf4"
LEAD, TAIL = 3001, 40
BASE_PORT = 20000
RULES = {
    1: 'content:"|f1|begin|f2|"; content:"|f3|ended|f4|";',
    2: 'content:"|f3|ended|f4|"; content:"|f1|begin|f2|";',
    3: 'content:"|f1|begin|f2|"; content:"|f3|ended|f4|"; distance:0;',
    4: r'pcre:"/\xf1begin\xf2.*\xf3ended\xf4/s";',
}


def payload_of(span, source):
    gap = span - len(FIRST) - len(SECOND)
    fill = bytes(source.randrange(0x80, 0xf0) for _ in range(LEAD + gap + TAIL))
    return fill[:LEAD] + FIRST + fill[LEAD:LEAD + gap] + SECOND + fill[LEAD + gap:]


def cuts_of(span, total, source):
    """(name, places to cut at) of a payload."""
    end = LEAD + span
    for size in SIZES:
        yield f"segments of {size}", range(size, total, size)
    for at in (1, 3, 6):
        yield f"cut {at} into each content", (LEAD + at, end - at)
    yield "each content alone", (LEAD, LEAD + len(FIRST), end - len(SECOND), end)
    yield "the second content's last byte alone", (LEAD + 1, end - 1, end)
    for i in range(4):
        yield f"anywhere, {i}", sorted(source.sample(range(1, total), 12))


def segment(port, seq, flags, payload):
    source, target = bytes((10, 9, 0, 1)), bytes((10, 9, 0, 2))
    tcp = struct.pack("!HHIIBBHHH", port, 7007, seq, 9 if flags & 0x10 else 0, 0x50, flags, 65535, 0, 0)
    if flags == 0x12:   # the server's
        source, target = target, source
        tcp = struct.pack("!HHIIBBHHH", 7007, port, 8, seq, 0x50, flags, 65535, 0, 0)
    pseudo = source + target + struct.pack("!BBH", 0, 6, len(tcp) + len(payload))
    tcp = tcp[:16] + struct.pack("!H", frames.checksum(pseudo + tcp + payload)) + tcp[18:]
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 40 + len(payload), 0, 0x4000, 64, 6, 0) + source + target
    ip = ip[:10] + struct.pack("!H", frames.checksum(ip)) + ip[12:]
    return bytes.fromhex("020000000002" "020000000001" "0800") + ip + tcp + payload


def flow(port, payload, cuts):
    yield segment(port, 100, 0x02, b"")
    yield segment(port, 101, 0x12, b"")
    yield segment(port, 101, 0x10, b"")
    places = [0, *cuts, len(payload)]
    for start, end in zip(places, places[1:]):
        yield segment(port, 101 + start, 0x18, payload[start:end])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    common.add_arguments(parser)
    args = parser.parse_args()
    common.programs(args)
    source = random.Random(1)
    out, flows = [], {}
    for span in SPANS:
        payload = payload_of(span, source)
        for name, cuts in cuts_of(span, len(payload), source):
            port = BASE_PORT + len(flows)
            flows[port] = f"{span} bytes, {name}"
            out += flow(port, payload, cuts)
    with tempfile.TemporaryDirectory(prefix="millrace-straddle-") as args.work:
        capture, rules = Path(args.work) / "straddle.pcap", Path(args.work) / "straddle.rules"
        frames.write(capture, [frames.Frame((1700000000 + i // 100000, i % 100000 * 10), data) for i, data in enumerate(out)])
        rules.write_text("".join(f'alert tcp any any -> any any (msg:"{sid}"; {options} sid:{sid};)\n' for sid, options in RULES.items()))
        ran = common.run_sensor(args, capture, rules)
        if ran.error:
            sys.exit(ran.error)
        found = {(event["src_port"], event["alert"]["signature_id"]) for event in ran.events() if event["event_type"] == "alert"}
    missed = [(port, sid) for port in flows for sid in RULES if (port, sid) not in found]
    for port, sid in missed[:20]:
        print(f"FAIL rule {sid} missed {flows[port]}")
    return common.summary(len(flows) * len(RULES) - len(missed), len(missed), 0)


if __name__ == "__main__":
    sys.exit(main())
