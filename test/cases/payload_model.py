#!/usr/bin/env python3
"""Random rules over random payloads, against a plain model of the language: what each rule means, byte for byte, without patterns,
groups, candidates or order of looking.

A round makes rules of a few contents, expressions and byte tests over an alphabet of few bytes, so that much of it nearly matches,
and payloads that hold what the rules ask for, in part and mixed. Each payload is sent as a UDP datagram, where all rules count, and over
TCP, cut anywhere, where those count that can only become true by more bytes. Rule and payload must alert where the model says so
and nowhere else, a datagram once.

The seed is drawn, and printed: with it a round can be had again.

Last line: 'N passed, N failed, N skipped', a round each.
"""
import argparse
import collections
import random
import re
import struct
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "harness"))
import common   # noqa: E402
import frames   # noqa: E402

ALPHABETS = (b"ab", b"abAB", b"\x00\x01a", b"\x00\x01\x02\xff", b"12aA\x00", b"019", b"0xX1", b" +-71")
GROUPS, RULES, PAYLOADS = 20, 60, 50   # the rules of a group, the most alerts of a packet, meet the group's payloads
CLIENT_PORT, SERVER_PORT = 10000, 7000
TCP_SIDS = 100000


def value_of(value, known):
    """Of an argument that counts bytes: a number, or what a variable of that name was given, which has a sign."""
    number = known[value] if isinstance(value, str) else value
    return number - (1 << 64) if number >= 1 << 63 else number


def argument(chance, names, number):
    """A number, or now and then a variable that is known by then."""
    return chance.choice(names) if names and chance.random() < 0.4 else number


class Content:
    fast = False

    def __init__(self, chance, alphabet, first, names):
        self.bytes = bytes(chance.choice(alphabet) for _ in range(chance.choice((1, 1, 2, 2, 3, 4, 5, 8))))
        self.nocase = chance.random() < 0.25
        self.negated = chance.random() < 0.15
        self.start = self.end = False
        self.offset = self.depth = self.distance = self.within = None
        kind = chance.random()
        if kind < 0.1:
            self.start = True
        elif kind < 0.35:
            if chance.random() < 0.7:
                self.offset = argument(chance, names, chance.randrange(12))
            if chance.random() < 0.6:
                self.depth = argument(chance, names, len(self.bytes) + chance.choice((0, 0, 1, 3, 8)))
        elif kind < 0.8 and not first:
            if chance.random() < 0.8:
                self.distance = argument(chance, names, chance.choice((0, 0, 0, 1, 2, 5, -1, -2, -4)))
            if chance.random() < 0.6 or self.distance is None:
                self.within = argument(chance, names, len(self.bytes) + chance.choice((0, 0, 1, 3, 8)))
        if self.offset is None and self.depth is None and self.within is None and not self.start:
            self.end = chance.random() < 0.06
        self.relative = self.distance is not None or self.within is not None
        self.grows = not (self.negated or self.start or self.end or self.offset is not None or self.depth is not None)

    def text(self):
        out = f'content:{"!" * self.negated}"|{self.bytes.hex(" ")}|"; '
        for name in ("offset", "depth", "distance", "within"):
            value = getattr(self, name)
            if value is not None:
                out += f"{name}:{value}; "
        return out + "nocase; " * self.nocase + "fast_pattern; " * self.fast + "startswith; " * self.start + "endswith; " * self.end

    def places(self, data, at, known):
        """Where a match may begin and must end: the bytes that are looked into."""
        if self.relative:
            low = at + value_of(self.distance or 0, known)
            high = len(data) if self.within is None else low + value_of(self.within, known)
        else:
            low = value_of(self.offset or 0, known)
            high = len(self.bytes) if self.start else len(data) if self.depth is None else low + value_of(self.depth, known)
        return max(low, 0), min(high, len(data))

    def after(self, data, at, known):
        low, high = self.places(data, at, known)
        wanted, given = (self.bytes.lower(), data.lower()) if self.nocase else (self.bytes, data)
        last = high - len(wanted)
        found = (place for place in range(low, last + 1) if given.startswith(wanted, place))
        found = [place + len(wanted) for place in found if not self.end or place + len(wanted) == len(data)]
        return found if not self.negated else [] if found else [at]


class Expression:
    def __init__(self, chance, alphabet, first, _names):
        parts = [re.escape(bytes((chance.choice(alphabet),))).decode("latin-1") for _ in range(chance.choice((1, 2, 3)))]
        tails = ("", "", "", "+", ".", ".*", "{2}", "[^\\x00]", "?")
        # The first is there: what matches nothing anywhere is given up where there is much of it.
        parts = "".join(rf"\x{ord(part[-1]):02x}" + chance.choice(tails[:len(tails) - (i == 0)]) for i, part in enumerate(parts))
        self.pattern = chance.choice(("", "", "^")) + parts
        self.flags = "".join(flag for flag in "is" if chance.random() < 0.4)
        self.relative = not first and chance.random() < 0.5
        self.negated = chance.random() < 0.15
        self.grows = not self.negated and (self.relative or not self.pattern.startswith("^"))
        self.stretches = any(sign in self.pattern for sign in "*+?")
        self.regex = re.compile(self.pattern.encode(), (re.I if "i" in self.flags else 0) | (re.S if "s" in self.flags else 0))

    def text(self):
        return f'pcre:{"!" * self.negated}"/{self.pattern}/{self.flags}{"R" * self.relative}"; '

    def after(self, data, at, known):
        """Each beginning has one end, as the expression takes it."""
        base = at if self.relative else 0
        subject, found = data[base:], []
        place = 0
        while place <= len(subject):
            match = self.regex.search(subject, place)
            if match is None or (self.pattern.startswith("^") and match.start() > 0):
                break
            found.append(base + match.end())
            place = match.start() + 1
        return found if not self.negated else [] if found else [at]


class IsDataAt:
    def __init__(self, chance, _alphabet, first, names):
        self.negated = chance.random() < 0.3
        self.relative = not first and chance.random() < 0.7
        self.size = argument(chance, names, chance.choice((1, 1, 2, 3, 5, 10, 20)))
        self.grows = self.relative and not self.negated

    def text(self):
        return f'isdataat:{"!" * self.negated}{self.size}{",relative" * self.relative}; '

    def after(self, data, at, known):
        size = value_of(self.size, known)
        there = at + size <= len(data) if self.relative else size < len(data)
        return [at] if there != self.negated else []


class Number:
    """What the byte keywords share: an unsigned number of 1 to 4 bytes somewhere, or one written as text."""
    BASES = {"dec": 10, "hex": 16, "oct": 8}

    def __init__(self, chance, first, names=()):
        self.size = chance.choice((1, 1, 2, 4))
        self.relative = not first and chance.random() < 0.6
        self.offset = argument(chance, names, chance.choice((0, 0, 1, 2, 4, 9) if not self.relative else (0, 0, 1, 2, -1, -2)))
        self.base = chance.choice(list(self.BASES)) if chance.random() < 0.3 else None
        self.little = chance.random() < 0.3 and not self.base
        self.mask = chance.choice((0x0f, 0xf0, 0x18, 0x3)) if chance.random() < 0.15 else None
        self.grows = self.relative

    def options(self):
        out = ", relative" * self.relative + ", little" * self.little
        out += f", string, {self.base}" if self.base else ""
        return out + (f", bitmask {self.mask:#x}" if self.mask else "")

    def read(self, data, at, known):
        """(value, where it ends), or None where it is not there."""
        start = value_of(self.offset, known) + (at if self.relative else 0)
        if start < 0 or start + self.size > len(data):
            return None
        value, end = int.from_bytes(data[start:start + self.size], "little" if self.little else "big"), start + self.size
        if self.base:
            digits = {"dec": rb"[0-9]+", "hex": rb"(?:0[xX](?=[0-9a-fA-F]))?[0-9a-fA-F]+", "oct": rb"[0-7]+"}[self.base]
            match = re.match(rb"[ \t-\r]*([+-]?" + digits + rb")", data[start:end])
            if match is None:
                return None
            value, end = int(match[1], self.BASES[self.base]) % (1 << 64), start + match.end()
        return (value & self.mask) // (self.mask & -self.mask) if self.mask else value, end


class ByteTest(Number):
    OPERATORS = {"=": int.__eq__, "<": int.__lt__, ">": int.__gt__, "<=": int.__le__, ">=": int.__ge__,
                 "&": lambda a, b: a & b != 0, "^": lambda a, b: a ^ b != 0}

    def __init__(self, chance, alphabet, first, names):
        super().__init__(chance, first, names)
        self.negated = chance.random() < 0.2
        self.operator = chance.choice("= < > <= >= & ^".split())
        self.value = argument(chance, names, int.from_bytes(bytes(chance.choice(alphabet) for _ in range(self.size)), "big"))

    def text(self):
        return f'byte_test:{self.size},{"!" * self.negated}{self.operator},{self.value},{self.offset}{self.options()}; '

    def after(self, data, at, known):
        number = self.read(data, at, known)
        if number is None:
            return []
        return [at] if self.OPERATORS[self.operator](number[0], known.get(self.value, self.value)) != self.negated else []


class ByteJump(Number):
    def __init__(self, chance, _alphabet, first, _names):
        super().__init__(chance, first)
        self.multiplier = chance.choice((1, 1, 1, 2, 3))
        self.align = chance.random() < 0.2
        self.post = chance.choice((0, 0, 0, 1, 3, -1, -2))
        self.beginning = chance.random() < 0.2
        self.grows = self.relative and not self.beginning

    def text(self):
        out = f"byte_jump:{self.size},{self.offset}{self.options()}"
        out += f", multiplier {self.multiplier}" * (self.multiplier > 1) + ", align" * self.align
        return out + f", post_offset {self.post}" * (self.post != 0) + ", from_beginning" * self.beginning + "; "

    def after(self, data, at, known):
        number = self.read(data, at, known)
        if number is None:
            return []
        value = number[0] * self.multiplier
        value += -value % 4 if self.align else 0
        place = value + self.post + (0 if self.beginning else number[1])
        place = (place + (1 << 63)) % (1 << 64) - (1 << 63)   # 64 bits with a sign
        return [max(place, 0)] if place <= len(data) else []


class ByteExtract(Number):
    def __init__(self, chance, _alphabet, first, names):
        super().__init__(chance, first)
        self.name = f"v{len(names)}"

    def text(self):
        return f"byte_extract:{self.size},{self.offset},{self.name}{self.options()}; "

    def after(self, data, at, known):
        number = self.read(data, at, known)
        return [] if number is None else [number[1]]

    def told(self, data, at):
        return self.read(data, at, {})[0]


KINDS = (Content,) * 12 + (Expression, Expression, IsDataAt, ByteTest, ByteTest, ByteJump, ByteExtract)


def holds(parts, data, at=0, known=None):
    """Whether some choice of matches, each behind the one before it where it is relative, satisfies all parts. known: variables."""
    if not parts:
        return True
    known = known or {}
    for place in parts[0].after(data, at, known):
        told = {**known, parts[0].name: parts[0].told(data, at)} if isinstance(parts[0], ByteExtract) else known
        if holds(parts[1:], data, place, told):
            return True
    return False


def make_rule(chance, alphabet):
    while True:
        parts, names = [], []
        for _ in range(chance.choice((1, 2, 2, 3, 3, 4, 5))):
            parts.append(chance.choice(KINDS)(chance, alphabet, not parts, names))
            names += [parts[-1].name] if isinstance(parts[-1], ByteExtract) else []
        contents = [part for part in parts if isinstance(part, Content) and not part.negated]
        if contents and chance.random() < 0.3:
            chance.choice(contents).fast = True
        if any(isinstance(part, (Content, Expression)) for part in parts):
            return parts


def planted(chance, alphabet, parts):
    """The contents of a rule in their order, with a little between them."""
    out = b""
    for part in parts:
        if isinstance(part, Content) and (not part.negated or chance.random() < 0.3):
            text = part.bytes.swapcase() if part.nocase and chance.random() < 0.5 else part.bytes
            out += bytes(chance.choice(alphabet) for _ in range(chance.choice((0, 0, 0, 1, 2, 5)))) + text
    return out


def make_payload(chance, alphabet, rules):
    out = b"".join(planted(chance, alphabet, chance.choice(rules)) for _ in range(chance.choice((0, 1, 1, 2))))
    filler = alphabet if chance.random() < 0.9 else bytes(range(256))
    out += bytes(chance.choice(filler) for _ in range(chance.choice((1, 2, 5, 20, 60)) if filler is alphabet else chance.randrange(1, 1000)))
    out += planted(chance, alphabet, chance.choice(rules)) if chance.random() < 0.3 else b""
    return out[:chance.choice((len(out), len(out), 40))]


def ip_frame(protocol, source, target, segment):
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(segment), 0, 0x4000, 64, protocol, 0) + source + target
    header = header[:10] + struct.pack("!H", frames.checksum(header)) + header[12:]
    return bytes.fromhex("020000000002" "020000000001" "0800") + header + segment


CLIENT, SERVER = bytes((10, 9, 0, 1)), bytes((10, 9, 0, 2))


def datagram(port, server, payload):
    return ip_frame(17, CLIENT, SERVER, struct.pack("!HHHH", port, server, 8 + len(payload), 0) + payload)


def segment(port, server, sequence, flags, payload=b"", answer=False):
    ports = (server, port) if answer else (port, server)
    numbers = (8, sequence) if answer else (sequence, 9 if flags & 0x10 else 0)
    addresses = (SERVER, CLIENT) if answer else (CLIENT, SERVER)
    return ip_frame(6, *addresses, struct.pack("!HHIIBBHHH", *ports, *numbers, 0x50, flags, 65535, 0, 0) + payload)


def connection(chance, port, server, payload):
    yield segment(port, server, 100, 0x02)
    yield segment(port, server, 101, 0x12, answer=True)
    yield segment(port, server, 101, 0x10)
    cuts = sorted(chance.sample(range(1, len(payload)), min(len(payload) - 1, chance.choice((0, 1, 2, 3, len(payload))))))
    for start, end in zip([0, *cuts], [*cuts, len(payload)]):
        yield segment(port, server, 101 + start, 0x18, payload[start:end])


class Group:
    """Rules and payloads of one port of the server. first: of its numbers."""

    def __init__(self, chance, idx):
        alphabet = chance.choice(ALPHABETS)
        self.port = SERVER_PORT + idx
        self.rules = dict(enumerate((make_rule(chance, alphabet) for _ in range(RULES)), 1 + idx * RULES))
        rules = list(self.rules.values())
        self.payloads = dict(enumerate((make_payload(chance, alphabet, rules) for _ in range(PAYLOADS)), CLIENT_PORT + idx * PAYLOADS))

    def lines(self):
        for sid, parts in self.rules.items():
            options = "".join(part.text() for part in parts)
            yield f"alert udp any any -> any {self.port} ({options}sid:{sid};)\n"
            if grows(parts):
                yield f"alert tcp any any -> any {self.port} ({options}sid:{TCP_SIDS + sid};)\n"

    def frames(self, chance):
        for port, payload in self.payloads.items():
            yield datagram(port, self.port, payload)
            yield from connection(chance, port, self.port, payload)

    def expected(self):
        """(client's port, sid) -> rule and payload."""
        for port, payload in self.payloads.items():
            for sid, parts in self.rules.items():
                if holds(parts, payload):
                    yield port, sid
                    if grows(parts):
                        yield port, TCP_SIDS + sid

    def words(self, port, sid):
        return f'{"tcp" if sid > TCP_SIDS else "udp"} {"".join(part.text() for part in self.rules[sid % TCP_SIDS])} in {self.payloads[port].hex(" ")}'


def grows(parts):
    """Whether it asks for bytes that stand anywhere, and more of them can only make it true: over TCP it does not matter then
    where a segment begins and when it is asked. A match that more bytes make longer must be followed by nothing that counts from it."""
    stretched = False
    for part in parts:
        if not part.grows or (part.relative and stretched):
            return False
        stretched |= getattr(part, "stretches", False)
    return True


def round_of(seed, args):
    """Failures of a round, in words."""
    chance = random.Random(seed)
    groups = [Group(chance, idx) for idx in range(GROUPS)]
    with tempfile.TemporaryDirectory(prefix="millrace-model-") as args.work:
        rules, capture = Path(args.work) / "model.rules", Path(args.work) / "model.pcap"
        rules.write_text("".join(line for group in groups for line in group.lines()))
        frames.write(capture, [frames.Frame((1700000000, i), data) for i, data in enumerate(data for group in groups for data in group.frames(chance))])
        ran = common.run_sensor(args, capture, rules, ("packet-alert-max=64",), ("-k", "none"), timeout=300)
        if ran.error:
            return [ran.error]
        found = collections.Counter((event["src_port"], event["alert"]["signature_id"]) for event in ran.events() if event["event_type"] == "alert")
    expected = {pair: group for group in groups for pair in group.expected()}
    wrong = [f"missed: {group.words(*pair)}" for pair, group in expected.items() if pair not in found]
    wrong += [f"false: {groups[(pair[0] - CLIENT_PORT) // PAYLOADS].words(*pair)}" for pair in found if pair not in expected]
    return wrong + [f"{count} times: {expected[pair].words(*pair)}" for pair, count in found.items() if count > 1 and pair[1] < TCP_SIDS and pair in expected]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    common.add_arguments(parser)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    args = parser.parse_args()
    common.programs(args)
    failed = 0
    for seed in range(args.seed, args.seed + args.rounds):
        wrong = round_of(seed, args)
        failed += bool(wrong)
        print(f"seed {seed}: {len(wrong)} wrong", flush=True)
        for line in list({line.split(" in ")[0]: line for line in wrong}.values())[:20]:   # one of each rule
            print(f"FAIL {line}")
    return common.summary(args.rounds - failed, failed, 0)


if __name__ == "__main__":
    sys.exit(main())
