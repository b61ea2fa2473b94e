#!/usr/bin/env python3
"""Compares what the sensor says of COTP connections, below S7comm and S7comm-plus, with tshark, value by value.

    oracle_cotp.py SENSOR [SHARED] [-k CAPTURE]

SENSOR is the sensor's program. SHARED is the folder of captures and reference results (default: the environment
variable MILLRACE_SHARED, else ../shared beside the source root); without it, or without a tshark, nothing is compared,
and the script says so and exits 77. Compared is each TPDU that carries no data: of the corpus, and of a capture that
is made up here, with parameters in any order, unknown ones, and the ways in which a connection is refused and ended.

A difference that has a reason stands in EXPLAINED with it. Any other makes the exit code 1.
"""
import random
import struct
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "harness"))
from made import Talk, write_talks   # noqa: E402
from oracle import Corpus, SKIPPED, Table, read_events   # noqa: E402
import tshark   # noqa: E402
from tshark import number, numbers, octets   # noqa: E402

MADE = 'made up: every TPDU'
DATA, TSAP_MAX = 0x0f, 32
# (oracle, capture or '*', field) -> why the two differ.
EXPLAINED = {('values', 'arkime__arkime_synthetic.pcap', f'cotp.{field}'): 'a connection of RDP, which is not ours'
             for field in ('type', 'destref', 'srcref', 'class')}


def of(*names):
    """A key of ours, the first that is there."""
    return lambda cotp: [cotp[name] for name in names[:1] if name in cotp]


def tsaps(name):
    return lambda message: [raw[:2 * TSAP_MAX] for raw in message.raw(name)]


def their_size(message):
    """The preferred size, in units of 128 octets, goes before the power of two (X.224 13.3.4)."""
    preferred = [int(raw, 16) * 128 for raw in message.raw('cotp.preferred_maximum_tpdu_size')]
    return preferred[-1:] or message.all('cotp.tpdu_size', number)


VALUES = tshark.Values({
    'cotp.type': (numbers, of('pdu_code')),
    'cotp.destref': (numbers, of('dst_ref')),
    'cotp.srcref': (numbers, of('src_ref')),
    'cotp.class': (numbers, lambda cotp: [cotp['class_option'] >> 4] if 'class_option' in cotp else []),
    'cotp.tpdu_size': (their_size, of('tpdu_size')),
    'cotp.src-tsap': (tsaps('cotp.src-tsap-bytes'), of('calling_tsap')),
    'cotp.dst-tsap': (tsaps('cotp.dst-tsap-bytes'), of('called_tsap')),
    'cotp.cause, cotp.reject_cause': (lambda message: message.all('cotp.cause', number) + message.all('cotp.reject_cause', number),
                                      of('reason')),
}, lambda message: f"{message.first('cotp.type', number):#x} {message.first('cotp.destref', number)}",
    lambda cotp: f"{cotp['pdu_code']:#x} {cotp['dst_ref']}")


def theirs_of(path):
    return (message for message in tshark.messages(path, ('cotp',)) if message.first('cotp.type', number) not in (DATA, None))


def ours_of(events):
    return [event[kind]['cotp'] for event in events for kind in ('s7comm', 's7comm_plus')
            if event['event_type'] == kind and 'cotp' in event[kind]]


# ---- a capture of every TPDU ----

def tpkt(header, data=b''):
    """A TPDU with its length indicator, in a TPKT."""
    return struct.pack('>BBH', 3, 0, 5 + len(header) + len(data)) + bytes((len(header),)) + header + data


def parameter(code, value):
    return bytes((code, len(value))) + value


def drawn_parameters(draw):
    tsap = draw.choice((b'SIMATIC-ROOT-HMI', b'SIMATIC-ROOT-ES'))
    found = [parameter(0xc2, tsap), parameter(0xc1, draw.randbytes(draw.randrange(1, 20))), parameter(0xc0, bytes((draw.randrange(7, 14),)))]
    found += [parameter(0xc4, draw.randbytes(1))] if draw.random() < 0.3 else []
    found += [parameter(0xf0, draw.randbytes(draw.randrange(1, 3)))] if draw.random() < 0.3 else []
    draw.shuffle(found)
    return b''.join(found)


def made_up(path):
    draw = random.Random(224)
    talks = []
    for at in range(60):
        talk = Talk(102, 40000 + at, talks[-1] if talks else None)
        references = struct.pack('>HH', 0, 256 + at)
        talk.say(True, tpkt(b'\xe0' + references + b'\0' + drawn_parameters(draw)))
        if at % 3 == 0:
            talk.say(False, tpkt(b'\x80' + struct.pack('>HHB', 256 + at, 1024 + at, draw.choice((0, 1, 2, 3, 128, 133, 136)))))
        elif at % 3 == 1:
            talk.say(False, tpkt(b'\x70' + struct.pack('>HB', 256 + at, at % 4)))
        else:
            talk.say(False, tpkt(b'\xd0' + struct.pack('>HHB', 256 + at, 1024 + at, 0) + drawn_parameters(draw)))
            talk.say(True, tpkt(b'\xf0\x80', bytes.fromhex('72020000')))
            talk.say(True, tpkt(b'\x80' + struct.pack('>HHB', 1024 + at, 256 + at, 128)))
            talk.say(False, tpkt(b'\xc0' + struct.pack('>HH', 256 + at, 1024 + at)))
        talks.append(talk)
    write_talks(path, talks)


def main():
    corpus = Corpus(__doc__)
    if not tshark.installed():
        print('oracle_cotp: skipped: no tshark is installed')
        return SKIPPED
    table = Table(EXPLAINED)
    for capture, truth in corpus.truths():
        if 's7comm' in (truth.get('services') or {}) or 's7comm-plus' in (truth.get('payload_signatures') or {}):
            VALUES.compare(table, capture, theirs_of(corpus.path('captures', capture)), ours_of(corpus.events(capture)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'made.pcap'
        made_up(path)
        VALUES.compare(table, MADE, theirs_of(str(path)), ours_of(read_events(corpus.sensor, str(path))))
    return table.end()


if __name__ == '__main__':
    sys.exit(main())
