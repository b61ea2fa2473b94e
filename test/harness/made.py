"""Captures of messages that a comparison makes up: for what no capture of the corpus has."""
import struct

from frames import Frame, checksum, write

SERVER, CLIENT = bytes((10, 10, 1, 10)), bytes((10, 10, 2, 10))
START = 1767225600   # 2026-01-01, seconds
PIECE_MAX = 1460


class Talk:
    """A TCP connection, segment by segment. behind: the connection before it in the same capture."""

    def __init__(self, server_port, client_port=40000, behind=None):
        self.first = 0 if behind is None else behind.first + len(behind.frames)
        self.ports = {True: client_port, False: server_port}
        self.sent = {True: 1000, False: 5000}
        self.frames = []
        self._put(True, 0x02, b'', 1)
        self._put(False, 0x12, b'', 1)
        self._put(True, 0x10, b'', 0)

    def say(self, to_server, data):
        """In segments of its own."""
        for at in range(0, len(data), PIECE_MAX):
            self._put(to_server, 0x18, data[at:at + PIECE_MAX], len(data[at:at + PIECE_MAX]))

    def close(self):
        self._put(True, 0x11, b'', 1)
        self._put(False, 0x11, b'', 1)
        self._put(True, 0x10, b'', 0)

    def _put(self, to_server, flags, data, octets):
        acknowledged = self.sent[not to_server] if flags != 0x02 else 0
        segment = struct.pack('!HHIIBBHHH', self.ports[to_server], self.ports[not to_server], self.sent[to_server], acknowledged,
                              0x50, flags, 8192, 0, 0) + data
        source, target = (CLIENT, SERVER) if to_server else (SERVER, CLIENT)
        value = checksum(source + target + struct.pack('!HH', 6, len(segment)) + segment)
        segment = segment[:16] + struct.pack('!H', value) + segment[18:]
        macs = b'\x02\0\0\0\0\x01\x02\0\0\0\0\x02' if to_server else b'\x02\0\0\0\0\x02\x02\0\0\0\0\x01'
        data = macs + with_header(source, target, 6, len(self.frames), segment)
        self.frames.append(Frame(stamp(self.first + len(self.frames)), data.ljust(60, b'\0')))
        self.sent[to_server] += octets


def with_header(source, target, protocol, number, data):
    """An IPv4 datagram behind its EtherType."""
    header = struct.pack('!BBHHHBBH', 0x45, 0, 20 + len(data), number & 0xffff, 0x4000, 64, protocol, 0) + source + target
    return b'\x08\0' + header[:10] + struct.pack('!H', checksum(header)) + header[12:] + data


def datagram(port, number, data):
    """A frame of UDP without a checksum, to a group."""
    udp = struct.pack('!HHHH', port, port, 8 + len(data), 0) + data
    return b'\x01\0\x5e\x01\x02\x03\x02\0\0\0\0\x01' + with_header(CLIENT, bytes((239, 1, 2, 3)), 17, number, udp)


def write_talks(path, talks):
    """All of them closed, one behind the other."""
    for talk in talks:
        talk.close()
    write(path, [frame for talk in talks for frame in talk.frames])


def stamp(number):
    """A millisecond from one frame to the next."""
    return START + number // 1000, number % 1000 * 1000


def write_frames(path, contents):
    """Frames that are told by their bytes."""
    write(path, [Frame(stamp(number), data.ljust(60, b'\0')) for number, data in enumerate(contents)])
