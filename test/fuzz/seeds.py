#!/usr/bin/env python3
"""Seeds for the parsers' fuzzer, of captures: each flow of the protocol becomes scripts of pieces (proto_fuzz.c says which form).
They are short, since the fuzzer reads each in many cuts: one of 32 KiB costs as much as ten of 2.

  test/fuzz/seeds.py PROTOCOL FOLDER CAPTURE...    the flows that have the protocol by their port or EtherType

Captures are read by way of editcap, which knows every form of them. Use: scripts/fuzz proto:enip 900 FOLDER
"""
import re
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPT_MAX = 2 * 1024  # beyond it a flow goes on in another script; a longer payload has one of its own
FLOW_SCRIPTS_MAX = 8
MODE_TCP, MODE_UDP = 0, 1
TAGS = (0x8100, 0x88a8, 0x9100)


def numbers_of(protocol):
    """The usual ports and EtherTypes, from the protocol's own source."""
    source = "".join(path.read_text() for path in sorted((ROOT / "proto" / protocol).glob("*.[ch]")))
    found = set()
    for row in re.findall(r"const uint16_t \w*(?:ports|ether_types)\[\] = \{(.*?)\}", source, re.S):
        for word in re.findall(r"\w+", row):
            named = re.search(rf"\b{word} = (\w+)", source)
            found.add(int(named[1] if named else word, 0))
    return found - {0}


def frames_of(capture, folder):
    classic = Path(folder) / "classic.pcap"
    subprocess.run(["editcap", "-F", "pcap", str(capture), str(classic)], check=False, stderr=subprocess.DEVNULL)
    data = classic.read_bytes() if classic.exists() else b""
    classic.unlink(missing_ok=True)
    at = 24
    while at + 16 <= len(data):
        length = struct.unpack_from("<I", data, at + 8)[0]
        yield data[at + 16:at + 16 + length]
        at += 16 + length


def payload_of(frame, numbers):
    """(flow, to server, mode, payload) of a frame with one of the numbers, or None."""
    at, ether_type = 14, int.from_bytes(frame[12:14], "big")
    while ether_type in TAGS:
        at, ether_type = at + 4, int.from_bytes(frame[at + 2:at + 4], "big")
    if ether_type in numbers and ether_type > 0x5dc:
        return frame[:12], True, MODE_UDP, frame[at:]
    if ether_type != 0x0800 or len(frame) < at + 20 or frame[at + 9] not in (6, 17):
        return None
    end = at + int.from_bytes(frame[at + 2:at + 4], "big")
    ends, l4 = frame[at + 12:at + 20], at + (frame[at] & 15) * 4
    tcp = frame[at + 9] == 6
    ports = frame[l4:l4 + 4].ljust(4, b"\0")
    sport, dport = struct.unpack("!HH", ports)
    if len(frame) < l4 + (20 if tcp else 8) or not {sport, dport} & numbers:
        return None
    payload = frame[l4 + ((frame[l4 + 12] >> 4) * 4 if tcp else 8):end]
    flow = ends + ports if dport in numbers else ends[4:] + ends[:4] + ports[2:] + ports[:2]
    return (tcp, flow), dport in numbers, MODE_TCP if tcp else MODE_UDP, payload


def main():
    protocol, out, captures = sys.argv[1], Path(sys.argv[2]), sys.argv[3:]
    numbers = numbers_of(protocol)
    out.mkdir(parents=True, exist_ok=True)
    count = 0
    with tempfile.TemporaryDirectory() as folder:
        for capture in captures:
            scripts = {}
            for frame in frames_of(capture, folder):
                found = payload_of(frame, numbers)
                if found is None or not found[3]:
                    continue
                flow, to_server, mode, payload = found
                parts = scripts.setdefault(flow, [bytearray([0, mode])])
                if len(parts[-1]) > 2 and len(parts[-1]) + len(payload) > SCRIPT_MAX:
                    parts.append(bytearray([0, mode]))
                parts[-1] += struct.pack("!BH", to_server, len(payload)) + payload
            for script in [part for parts in list(scripts.values())[:50] for part in parts[:FLOW_SCRIPTS_MAX]]:
                (out / f"{protocol}-{count}").write_bytes(script)
                count += 1
    print(f"{count} seeds of {protocol} ({', '.join(map(str, sorted(numbers)))})")


sys.exit(main())
