#!/usr/bin/env python3
"""Rules for the values of events: what eve.json says of a capture is asked for by rules, field by field. Each rule must alert where an
event holds what it asks for, and every alert must show, in the record it carries, that it held.

Of each capture the events are written without rules. Then, for every field of every protocol in them, a rule is made of a value that
was seen: equal to it, below, above, within a range, another than it, one or none of a list, by some of its bits, by its name, by its bytes, its length
or a part of its text, within a network or of one maker for an address, or that the field is there. Others ask for two fields of one
event. What such a rule means is worked out from the events.

The captures are a sample of the shared corpus's, drawn with a seed that is printed, and those of the case folders' scenarios. The
corpus is the folder named by MILLRACE_SHARED, or ../shared beside the source tree; without it only the scenarios are read.

Last line: 'N passed, N failed, N skipped', a capture each.
"""
import argparse
import collections
import ipaddress
import os
import random
import re
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "harness"))
import common   # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
RULES_MAX = 60   # of one run: a message has room for 64 alerts

# Fields whose rules do not ask for what events show, and why.
OTHERWISE = [
    (r"ftp\.reply_received", "as in Suricata whether the reply had come when the rule was asked: no of a command itself, yes of its event"),
    (r"mqtt\.connack\.(return_code|session_present)", "Suricata's keywords: the first is mqtt.reason_code's other name and of any packet; without lists, or !"),
    (r"http\.protocol", "Suricata's buffer, of either message its own version; the event has the request's"),
    (r"tls\.version", "Suricata's keyword, whose versions are 1.2 and the like; the event's are TLS 1.2"),
    (r"mqtt\.publish\.message", "the rule sees any payload; of Sparkplug's the event has what is in it in its place"),
]

# What stands in place of the name of a number that has none: a rule asks for the number.
NAMELESS = re.compile(r"(unknown|other-|type-|rcode-|(reserved|undefined|undetermined|invalid)$)", re.I)


# Protocols whose rules see all of what an event has together, of the others each message by itself.
TOGETHER = {"modbus", "s7comm", "s7comm_plus", "smb", "http", "goose", "sv", "iec104", "dnp3", "enip", "dns", "cotp", "smtp"}
PAIRED = {"modbus", "s7comm", "s7comm_plus", "smb", "http", "enip"}   # whose events have requests and their answers
PAIRS = 20   # of fields of a protocol that are asked for together


def tells_end(record):
    """What a flow did until it ended: rules are asked of messages, of which this is none."""
    return "end" in (record.get("reason"), record.get("io", {}).get("reason"))


def field_types():
    """Path -> the types of its shapes, as the reference page has them, of those that rules may ask for. A name that some shapes alone have is
    asked of those alone, which events do not tell: such paths have "names" of several tables."""
    types, tables = collections.defaultdict(set), {}
    for line in (ROOT / "docs/reference/fields.md").read_text().splitlines():
        row = re.match(r"\| `([\w.]+)` \| ([^|]*?) \|", line)
        if row and "(events only)" not in line:
            types[row[1]].add(row[2].split(":")[0])
            if tables.setdefault(row[1], row[2]) != row[2] and row[2].startswith("name"):
                types[row[1]].add("names")
    return types


def values_of(node, path):
    """(path, value) of every scalar below."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from values_of(value, f"{path}.{key}")
    elif isinstance(node, list):
        for value in node:
            yield from values_of(value, path if isinstance(value, (dict, int, float)) else f"{path}[]")
    else:
        yield path, node


def by_path(event, name):
    found = collections.defaultdict(list)
    for path, value in values_of(event.get(name, {}), name):
        # An alert says which of two messages it is; a client's certificate is asked for as a server's.
        value = re.sub(r"\\x[0-9a-f]{2}", "\x7f", value) if isinstance(value, str) else value   # what stands for one octet
        found[re.sub(r"^(dnp3)\.(?:request|response)\.|^(tls)\.client\.", r"\1\2.", path)].append(value)
    return found


class Ask:
    """A rule's option, and what it means of a field's values: that one of them is so, or that none is and there are some."""

    def __init__(self, option, holds, none=False, counts=lambda one: True):
        self.option, self.holds, self.none, self.counts = option, holds, none, counts

    def of(self, values):
        values = list(filter(self.counts, values))
        return bool(values) and any(map(self.holds, values)) != self.none


class Both:
    """What two of them say, each of a field of its own."""

    def __init__(self, asks):
        self.asks = asks   # (path, Ask)
        self.option = "; ".join(ask.option for _, ask in asks)

    def of(self, found):
        return all(ask.of(found[path]) for path, ask in self.asks)


def numbers(chance, path, value):
    low, high = value - chance.randrange(3), value + chance.randrange(3)
    most = min(limit for limit in (255, 65535, (1 << 32) - 1, (1 << 64) - 1) if limit >= value)   # a field may have no room for more
    is_number = lambda one: isinstance(one, (int, float)) and not isinstance(one, bool)
    is_whole = lambda one: isinstance(one, int) and not isinstance(one, bool)
    yield Ask(f"{path}:{value}", lambda one: is_number(one) and one == value)
    yield Ask(f"{path}:!{value}", lambda one: is_number(one) and one != value)
    if value not in (255, 65535, 4294967295):   # what none can be is refused
        yield Ask(f"{path}:>{value}", lambda one: is_number(one) and one > value)
    if value > 0:
        yield Ask(f"{path}:<{value}", lambda one: is_number(one) and one < value)
    yield Ask(f"{path}:>={value}", lambda one: is_number(one) and one >= value)
    yield Ask(f"{path}:<={value}", lambda one: is_number(one) and one <= value)
    yield Ask(f"{path}:[{value},{max(low, 0)}]", lambda one: is_number(one) and one in (value, max(low, 0)))
    other = value + 1 if chance.random() < 0.5 else max(low, 0)
    if other <= most:
        yield Ask(f"{path}:![{other},{max(low, 0)}]", lambda one: is_number(one) and one in (other, max(low, 0)), none=True)
        yield Ask(f"{path}:[!{other},!{max(low, 0)}]", lambda one: is_number(one) and one not in (other, max(low, 0)))
    bits = chance.randrange(1, 256)
    if value >= 0:
        yield Ask(f"{path}:&{bits:#x}={value & bits:#x}", lambda one: is_whole(one) and one & bits == value & bits)
        yield Ask(f"{path}:&{bits:#x}!={(value & bits) ^ (bits & -bits):#x}", lambda one: is_whole(one) and one & bits != (value & bits) ^ (bits & -bits))
    if low >= 0 and low + 1 < high <= most:
        yield Ask(f"{path}:!{low}-{high}", lambda one: is_number(one) and not low < one < high)
        yield Ask(f"{path}:{low}-{high}", lambda one: is_number(one) and low < one < high)


def texts(chance, path, value):
    start = chance.randrange(len(value))
    part = value[start:start + chance.randrange(1, 9)]
    if part.isascii() and part.isprintable():
        yield Ask(f'{path}; content:"|{part.encode().hex(" ")}|"', lambda one: isinstance(one, str) and part in one)
        yield Ask(f'{path}; content:"|{part.lower().encode().hex(" ")}|"; nocase',
                  lambda one: isinstance(one, str) and part.lower() in one.lower())
        yield Ask(f'{path}; content:!"|{part.encode().hex(" ")}|"', lambda one: isinstance(one, str) and part not in one)
        expression = "".join(rf"\x{ord(letter):02x}" for letter in part)
        yield Ask(f'{path}; pcre:"/{expression}/"', lambda one: isinstance(one, str) and part in one)
    if value.isascii() and value.isprintable():
        yield Ask(f"{path}; bsize:{len(value)}", lambda one: isinstance(one, str) and len(one.encode()) == len(value))
        yield Ask(f'{path}; content:"|{value[:8].encode().hex(" ")}|"; startswith', lambda one: isinstance(one, str) and one.startswith(value[:8]))
        yield Ask(f'{path}; content:"|{value[-8:].encode().hex(" ")}|"; endswith', lambda one: isinstance(one, str) and one.endswith(value[-8:]))


def two_texts(chance, path, value, other):
    """Parts of two values: both, or one without the other, must be of one of them."""
    parts = [one[start:start + chance.randrange(1, 7)] for one in (value, other) for start in [chance.randrange(len(one))]]
    if not all(part.isascii() and part.isprintable() for part in parts):
        return
    first, second = ("|" + part.encode().hex(" ") + "|" for part in parts)
    text = lambda one: isinstance(one, str)
    yield Ask(f'{path}; content:"{first}"; content:"{second}"', lambda one: text(one) and parts[0] in one and parts[1] in one)
    yield Ask(f'{path}; content:"{first}"; content:!"{second}"', lambda one: text(one) and parts[0] in one and parts[1] not in one)
    yield Ask(f'{path}; content:"{first}"; content:"{second}"; distance:0', lambda one: text(one) and parts[0] in one and parts[1] in one.split(parts[0], 1)[1])


def bytes_of(chance, path, value):
    digits = value.replace(":", "")
    if not re.fullmatch(r"(?:[0-9a-fA-F]{2})+", digits):
        return
    data = bytes.fromhex(digits)
    start = chance.randrange(len(data))
    part = data[start:start + chance.randrange(1, 5)]
    holds = lambda one: isinstance(one, str) and re.fullmatch(r"[0-9a-fA-F:]*", one) and part in bytes.fromhex(one.replace(":", ""))
    yield Ask(f'{path}; content:"|{part.hex(" ")}|"', holds)
    yield Ask(f'{path}; content:!"|{part.hex(" ")}|"', lambda one: not holds(one))
    yield Ask(f"{path}; bsize:{len(data)}", lambda one: isinstance(one, str) and len(one.replace(":", "")) == 2 * len(data))


def address_of(text):
    """The address that a text is; None: it is none."""
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def addresses(chance, path, value):
    """Of a path that may hold text as well, only addresses are compared."""
    one = address_of(value)
    network = ipaddress.ip_network(f"{value}/{chance.choice((8, 16, 24, 31))}", strict=False)
    last = one if one == one.__class__(2 ** one.max_prefixlen - 1) else one + 1
    within = lambda text, net: isinstance(text, str) and (other := address_of(text)) is not None and other.version == net.version and other in net
    yield Ask(f"{path}:{value}", lambda text: address_of(text) == one)
    yield Ask(f"{path}:!{value}", lambda text: address_of(text) not in (None, one))
    yield Ask(f"{path}:{network}", lambda text: within(text, network))
    yield Ask(f"{path}:[{network},!{value}]", lambda text: within(text, network) and address_of(text) != one)
    yield Ask(f"{path}:![{network}]", lambda text: within(text, network), none=True, counts=lambda text: isinstance(text, str) and address_of(text) is not None)
    yield Ask(f"{path}:{value}-{last}", lambda text: address_of(text) in (one, last))


def macs(_, path, value):
    yield Ask(f"{path}:{value}", lambda text: text == value)
    yield Ask(f"{path}:!{value}", lambda text: isinstance(text, str) and text != value)
    yield Ask(f"{path}:{value[:8]}", lambda text: isinstance(text, str) and text.startswith(value[:8]))
    yield Ask(f"{path}:[{value[:8]},02:00:00]", lambda text: isinstance(text, str) and text[:8] in (value[:8], "02:00:00"))
    yield Ask(f"{path}:![{value[:8]},02:00:00]", lambda text: isinstance(text, str) and text[:8] in (value[:8], "02:00:00"), none=True)


def is_name(value):
    return isinstance(value, str) and re.fullmatch(r"[\w-][\w -]*", value) and not NAMELESS.match(value)


def names(path, value, other, alone):
    yield Ask(f"{path}:{value}", lambda one: one == value)
    if alone:
        return
    yield Ask(f"{path}:!{value}", lambda one: one != value)
    if is_name(other):
        yield Ask(f"{path}:[{value},{other}]", lambda one: one in (value, other))
        yield Ask(f"{path}:![{value},{other}]", lambda one: one in (value, other), none=True)


def asks(chance, types, path, value, other, in_list):
    """Every way to ask for the value that suits the field; other: it or another one."""
    if not types[path]:
        return
    if isinstance(value, bool) and types[path] == {"boolean"}:
        yield Ask(f"{path}:{str(value).lower()}", lambda one: one is value)
        yield Ask(f"{path}:!{str(value).lower()}", lambda one: one is not value)
    elif isinstance(value, int) and not isinstance(value, bool) and types[path] <= {"number", "array of numbers"}:
        yield from numbers(chance, path, value)
    elif isinstance(value, str) and value and types[path] == {"string"} and "\\" not in value:
        yield from texts(chance, path, value)
        if isinstance(other, str) and other and "\\" not in other:
            yield from two_texts(chance, path, value, other)
    elif isinstance(value, str) and value and types[path] == {"hex string"}:
        yield from bytes_of(chance, path, value)
    elif isinstance(value, str) and "IP address" in types[path] and address_of(value):
        yield from addresses(chance, path, value)
    elif isinstance(value, str) and types[path] == {"MAC address"}:
        yield from macs(chance, path, value)
    elif types[path] <= {"name", "names"} and is_name(value):
        # Of a list of bits the rest says what is not set, also where none is shown.
        yield from names(path, value, other, in_list or "names" in types[path])


class Round:
    """One capture."""

    def __init__(self, args, capture, chance, types):
        self.args, self.capture, self.chance, self.types = args, capture, chance, types
        self.protocols = {path.split(".")[0] for path in types} - {"flow", "tcp", "arp", "anomaly", "summary", "fileinfo"}

    def run(self, rules=None):
        ran = common.run_sensor(self.args, self.capture, rules, ("packet-alert-max=64",), ("-k", "none"))
        if ran.error or (rules and " loaded, 0 not" not in ran.output):
            raise RuntimeError(ran.error or ran.output[:400])
        return ran.events()

    def asks_of(self, path, values, count):
        """So many asks at most of the field, one of whose values they are made of."""
        in_list, path = path.endswith("[]"), path.removesuffix("[]")
        if any(re.fullmatch(row[0], path) for row in OTHERWISE):
            return []
        ways = list(asks(self.chance, self.types, path, self.chance.choice(values), self.chance.choice(values), in_list))
        return self.chance.sample(ways, min(count, len(ways)))

    def questions(self, events):
        """(protocol, path, Ask, whether rules see the field), one or more for each field; path None: of two together."""
        seen, each = collections.defaultdict(list), collections.defaultdict(list)
        for event in events:
            name = event["event_type"]
            if name in self.protocols and isinstance(event.get(name), dict) and not tells_end(event[name]):
                found = by_path(event, name)
                each[name].append(found)
                for path, values in found.items():
                    seen[name, path].append(values)
        for (name, path), groups in seen.items():
            for ask in self.asks_of(path, [value for values in groups for value in values], 2):
                if ask.none and name in PAIRED and any(len(values) > 1 for values in groups):
                    continue   # the answer may add to what there was of the request
                yield name, path, ask, any(map(ask.of, groups))
        for name in TOGETHER & each.keys():
            for found in self.chance.sample(each[name], min(PAIRS, len(each[name]))):
                pair = [(path, ask) for path in self.chance.sample(list(found), min(2, len(found))) for ask in self.asks_of(path, found[path], 1)]
                if len(pair) == 2:
                    yield name, None, Both(pair), all(ask.of(found[path]) for path, ask in pair)

    def verdicts(self, part, events):
        """What is wrong with the alerts of so many questions."""
        alerts = collections.defaultdict(list)
        for event in events:
            if event["event_type"] == "alert":
                alerts[event["alert"]["signature_id"]].append(event)
        for sid, (name, path, ask, there) in enumerate(part, 1):
            if there and not alerts[sid]:
                yield f"{name}: {ask.option}: missed"
            for event in alerts[sid]:
                found = by_path(event, name)
                if not ask.of(found if path is None else found[path]):
                    yield f"{name}: {ask.option}: alerts of {[found[one] for one, _ in ask.asks] if path is None else found[path]}"
                    break

    def wrong(self):
        out = []
        questions = list(self.questions(self.run()))
        for start in range(0, len(questions), RULES_MAX):
            part = questions[start:start + RULES_MAX]
            rules = Path(self.args.work) / "model.rules"
            rules.write_text("".join(f"alert {name.replace('_data', '-data')} any any -> any any ({ask.option}; sid:{sid};)\n" for sid, (name, _, ask, _) in enumerate(part, 1)))
            out += self.verdicts(part, self.run(rules))
        return out


def captures(args, shared, chance):
    """(name, path) of what is read."""
    for folder in sorted((ROOT / "test/cases").glob("generated-*")):
        if (folder / "scenario").exists():
            path = Path(args.work) / f"{folder.name}.pcap"
            common.generate(args, path, "--scenario", folder / "scenario")
            yield folder.name, path
    found = sorted(path for path in (shared / "corpus/captures").rglob("*") if path.is_file()) if shared else []
    for path in found if args.sample == 0 else chance.sample(found, min(args.sample, len(found))):
        yield path.name, path


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    common.add_arguments(parser)
    parser.add_argument("--sample", type=int, default=10, help="captures of the corpus; 0: all")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    args = parser.parse_args()
    common.programs(args)
    shared = Path(os.environ.get("MILLRACE_SHARED", ROOT.parent / "shared"))
    shared = shared if shared.is_dir() else None
    chance = random.Random(args.seed)
    print(f"seed {args.seed}")
    types = field_types()
    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix="millrace-fields-") as args.work:
        for name, path in captures(args, shared, chance):
            try:
                wrong = Round(args, path, chance, types).wrong()
            except RuntimeError as err:
                wrong = [str(err)]
            passed += not wrong
            failed += bool(wrong)
            for line in wrong[:30]:
                print(f"FAIL {name}: {line}", flush=True)
    return common.summary(passed, failed, 0 if shared else 1)


if __name__ == "__main__":
    sys.exit(main())
