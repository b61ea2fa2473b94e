"""Rewrites captures of the generator: the same conversations in other frames."""
import copy
import struct

ETHERNET_LEN = 14


class Frame:
    """One frame of a classic little-endian pcap. ip and tcp are offsets, None where there is none."""

    def __init__(self, stamp, data):
        self.stamp, self.data = stamp, data
        self.ip = self.tcp = self.payload = None
        if data[12:14] != b"\x08\x00":
            return
        self.ip = ETHERNET_LEN
        self.length = ETHERNET_LEN + struct.unpack_from("!H", data, self.ip + 2)[0]
        if data[self.ip + 9] == 6:
            self.tcp = self.ip + 20
            self.payload = self.tcp + (data[self.tcp + 12] >> 4) * 4

    def time(self):
        return self.stamp[0] + self.stamp[1] / 1e6

    def payload_bytes(self):
        return self.data[self.payload:self.length] if self.payload is not None else b""

    def is_answer(self):
        """Of TCP, by its ports: the server's is the lower one."""
        return self.tcp is not None and self.data[self.tcp:self.tcp + 2] < self.data[self.tcp + 2:self.tcp + 4]

    def direction(self):
        return self.data[self.ip + 12:self.ip + 20] + self.data[self.tcp:self.tcp + 4]


def read(path):
    data = path.read_bytes()
    assert struct.unpack_from("<I", data)[0] == 0xa1b2c3d4
    at, frames = 24, []
    while at < len(data):
        seconds, micros, length, _ = struct.unpack_from("<IIII", data, at)
        frames.append(Frame((seconds, micros), data[at + 16:at + 16 + length]))
        at += 16 + length
    return frames


def write(path, frames):
    with open(path, "wb") as out:
        out.write(struct.pack("<IHHIIII", 0xa1b2c3d4, 2, 4, 0, 0, 262144, 1))
        for frame in frames:
            out.write(struct.pack("<IIII", *frame.stamp, len(frame.data), len(frame.data)) + frame.data)


def later(frames, seconds):
    """The same frames, that many seconds later."""
    for frame in frames:
        moved = copy.copy(frame)
        moved.stamp = (frame.stamp[0] + seconds, frame.stamp[1])
        yield moved


def mistime(frames, every):
    """One frame in so many has a time of its own: days to years too early, another each."""
    for idx, frame in enumerate(frames):
        yield next(later([frame], -86400 * (idx // every + 1))) if idx % every == every // 2 else frame


def apart(frames, seconds):
    """The two directions of TCP as two outputs of a TAP give them: of each so many seconds all that servers sent comes before what
    they answer. Other frames stay in their places."""
    windows = {}
    for frame in frames:
        windows.setdefault(int(frame.time() / seconds), []).append(frame)
    for window in windows.values():
        mixed = iter(sorted((frame for frame in window if frame.tcp is not None), key=lambda frame: not frame.is_answer()))
        yield from (frame if frame.tcp is None else Frame(frame.stamp, next(mixed).data) for frame in window)


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def put(data, at, form, value):
    struct.pack_into(form, data, at, value)


def with_ip(header, payload, fragment):
    """An Ethernet frame of an IPv4 header's bytes and a payload; its checksum is made anew."""
    header = bytearray(header)
    put(header, ETHERNET_LEN + 2, "!H", 20 + len(payload))
    put(header, ETHERNET_LEN + 6, "!H", fragment)
    put(header, ETHERNET_LEN + 10, "!H", 0)
    put(header, ETHERNET_LEN + 10, "!H", checksum(bytes(header[ETHERNET_LEN:ETHERNET_LEN + 20])))
    return (bytes(header) + payload).ljust(60, b"\0")


def tcp_piece(frame, at, piece):
    """The frame with only the bytes of its payload from at on."""
    segment = bytearray(frame.data[frame.tcp:frame.payload]) + piece
    sequence = struct.unpack_from("!I", segment, 4)[0]
    put(segment, 4, "!I", (sequence + at) & 0xffffffff)
    put(segment, 16, "!H", 0)
    pseudo = frame.data[frame.ip + 12:frame.ip + 20] + struct.pack("!HH", 6, len(segment))
    put(segment, 16, "!H", checksum(pseudo + bytes(segment)))
    return Frame(frame.stamp, with_ip(frame.data[:frame.tcp], bytes(segment), 0x4000))


def resegment(frames, size):
    """Every TCP payload in pieces of at most size bytes."""
    for frame in frames:
        payload = frame.payload_bytes()
        if len(payload) <= size:
            yield frame
            continue
        for at in range(0, len(payload), size):
            yield tcp_piece(frame, at, payload[at:at + size])


def split_at(frames, where):
    """Every TCP payload in two, the first of so many bytes."""
    for frame in frames:
        payload = frame.payload_bytes()
        if len(payload) <= where:
            yield frame
            continue
        yield tcp_piece(frame, 0, payload[:where])
        yield tcp_piece(frame, where, payload[where:])


def fragment(frames, size):
    """Every IPv4 datagram in fragments of size bytes, a multiple of 8."""
    for frame in frames:
        body = frame.data[frame.ip + 20:frame.length] if frame.ip is not None else b""
        if len(body) <= size:
            yield frame
            continue
        for at in range(0, len(body), size):
            more = 0x2000 if at + size < len(body) else 0
            yield Frame(frame.stamp, with_ip(frame.data[:frame.ip + 20], body[at:at + size], at // 8 | more))


def overlap(frames, size):
    """Every TCP payload in pieces that begin every size bytes and are twice as long: each byte comes twice, the same."""
    for frame in frames:
        payload = frame.payload_bytes()
        if len(payload) <= size:
            yield frame
            continue
        for at in range(0, len(payload), size):
            yield tcp_piece(frame, at, payload[at:at + 2 * size])


def fragment_overlap(frames, size):
    """As fragment(), the last fragment first, and each but the last one with the first 8 bytes of the next."""
    for frame in frames:
        body = frame.data[frame.ip + 20:frame.length] if frame.ip is not None else b""
        if len(body) <= size:
            yield frame
            continue
        for at in reversed(range(0, len(body), size)):
            more = 0x2000 if at + size < len(body) else 0
            end = min(at + size + 8, len(body) // 8 * 8) if more else len(body)
            yield Frame(frame.stamp, with_ip(frame.data[:frame.ip + 20], body[at:max(end, at + size)], at // 8 | more))


def duplicate(frames):
    """Every TCP frame twice. A datagram captured twice is two messages, so UDP stays."""
    for frame in frames:
        yield frame
        if frame.tcp is not None:
            yield frame


def swap(frames, size):
    """Neighbouring pieces of one direction in the wrong order, with the times in the right one."""
    pieces = list(resegment(frames, size))
    idx = 0
    while idx + 1 < len(pieces):
        first, second = pieces[idx], pieces[idx + 1]
        if first.payload_bytes() and second.payload_bytes() and first.direction() == second.direction():
            pieces[idx], pieces[idx + 1] = Frame(first.stamp, second.data), Frame(second.stamp, first.data)
            idx += 2
        else:
            idx += 1
    return pieces


def header_length(data):
    """Of an Ethernet header with its VLAN tags."""
    length = ETHERNET_LEN
    while data[length - 2:length] in (b"\x81\x00", b"\x88\xa8"):
        length += 4
    return length


def prp(frames):
    """(copy on network A, copy on network B) of every frame, with the trailers of PRP: IEC 62439-3 4.1.10."""
    for number, frame in enumerate(frames):
        data = frame.data.ljust(60, b"\0")
        size = len(data) - header_length(data) + 6
        yield [Frame(frame.stamp, data + struct.pack("!HHH", number & 0xffff, network << 12 | size, 0x88fb)) for network in (10, 11)]


def hsr(frames):
    """(copy one way round the ring, copy the other way) of every frame, with the tags of HSR: IEC 62439-3 5.1."""
    for number, frame in enumerate(frames):
        at = header_length(frame.data) - 2
        size = len(frame.data) - at + 4
        yield [Frame(frame.stamp, frame.data[:at] + struct.pack("!HHH", 0x892f, path << 12 | size, number & 0xffff) + frame.data[at:])
               for path in (0, 1)]


def frer(frames):
    """(copy on one path, copy on another) of every frame, with the tags of FRER: IEEE 802.1CB 7.8. Nothing tells the copies apart."""
    for number, frame in enumerate(frames):
        at = header_length(frame.data) - 2
        tagged = Frame(frame.stamp, frame.data[:at] + struct.pack("!HHH", 0xf1c1, 0, number & 0xffff) + frame.data[at:])
        yield [tagged, tagged]


def tunnel(frames, kind):
    """Every frame of IPv4 in a tunnel of that kind between two routers; others as they are."""
    port, whole = {"GTP-U": (2152, False), "GRE in UDP": (4754, False), "VXLAN-GPE": (4790, True), "WCCP": (None, False)}[kind]
    for frame in frames:
        at = header_length(frame.data)
        if frame.data[at - 2:at] != b"\x08\x00":
            yield frame
            continue
        inner = frame.data[at:at + struct.unpack_from("!H", frame.data, at + 2)[0]]
        header = {"GTP-U": struct.pack("!BBHI", 0x30, 255, len(inner), 7), "GRE in UDP": b"\0\0\x08\0", "VXLAN-GPE": b"\x0c\0\0\3\0\0\7\0",
                  "WCCP": b"\0\0\x88\x3e\0\0\0\x15"}[kind]
        payload = header + (frame.data if whole else inner)
        if port is not None:
            payload = struct.pack("!HHHH", 50000, port, 8 + len(payload), 0) + payload
        outer = struct.pack("!6s6sHBBHIBBH4s4s", b"\2\0\0\0\xfe\2", b"\2\0\0\0\xfe\1", 0x0800, 0x45, 0, 0, 0, 64, 47 if port is None else 17, 0,
                            b"\x0a\xfe\0\1", b"\x0a\xfe\0\2")
        yield Frame(frame.stamp, with_ip(outer, payload, 0))


def behind(pairs, lag, within=0.002):
    """The first copies, and each one's second copy so many frames later, or so many seconds, whatever comes first."""
    waiting = []
    for first, second in pairs:
        while waiting and first.time() - waiting[0].time() > within:
            yield waiting.pop(0)
        yield first
        waiting.append(second)
        if len(waiting) > lag:
            yield Frame(first.stamp, waiting.pop(0).data)
    yield from waiting
