"""A client of HTTP/2 for tests: in place of http.client.HTTPSConnection, or frame by frame. Headers are unpacked by libnghttp2."""
import ctypes
import email.message
import socket
import struct

NGHTTP2 = ctypes.CDLL('libnghttp2.so.14')
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS = 1, 1, 4
WINDOW = 65535
MAGIC = b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'


class Field(ctypes.Structure):
    _fields_ = [('name', ctypes.POINTER(ctypes.c_uint8)), ('value', ctypes.POINTER(ctypes.c_uint8)), ('name_len', ctypes.c_size_t),
                ('value_len', ctypes.c_size_t), ('flags', ctypes.c_uint8)]


class Inflater:
    def __init__(self):
        self.handle = ctypes.c_void_p()
        assert NGHTTP2.nghttp2_hd_inflate_new(ctypes.byref(self.handle)) == 0

    def __del__(self):
        NGHTTP2.nghttp2_hd_inflate_del(self.handle)

    def fields(self, block):
        NGHTTP2.nghttp2_hd_inflate_hd2.restype = ctypes.c_ssize_t
        found = []
        while True:
            field, flags = Field(), ctypes.c_int(0)
            used = NGHTTP2.nghttp2_hd_inflate_hd2(self.handle, ctypes.byref(field), ctypes.byref(flags), block,
                                                  ctypes.c_size_t(len(block)), 1)
            assert used >= 0, used
            block = block[used:]
            if flags.value & 2:
                found.append((bytes(field.name[:field.name_len]).decode(), bytes(field.value[:field.value_len]).decode()))
            if flags.value & 1:
                NGHTTP2.nghttp2_hd_inflate_end_headers(self.handle)
                return found


def pack_text(text):
    text = text if isinstance(text, bytes) else str(text).encode()
    length = bytes([len(text)]) if len(text) < 127 else b'\x7f' + pack_number(len(text) - 127)
    return length + text


def pack_number(n):
    out = bytearray()
    while n >= 128:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes(out + bytes([n]))


def pack(fields):
    """Each as it is: nothing is remembered from request to request."""
    return b''.join(b'\x00' + pack_text(name) + pack_text(value) for name, value in fields)


def frame(kind, flags=0, stream=0, payload=b''):
    return struct.pack('!I', len(payload))[1:] + struct.pack('!BBI', kind, flags, stream) + payload


class Answer:
    def __init__(self, connection, stream):
        self.connection, self.stream = connection, stream
        self.status, self.headers, self.body, self.ended = 0, email.message.Message(), b'', False

    def more(self):
        """@return False: there is none."""
        if self.ended:
            return False
        self.connection.take(self)
        return True

    def read(self):
        while self.more():
            pass
        body, self.body = self.body, b''
        return body

    def readline(self):
        while b'\n' not in self.body and self.more():
            pass
        line, newline, self.body = self.body.partition(b'\n')
        return line + newline

    def close(self):
        self.connection.close()

    def __iter__(self):
        return iter(self.readline, b'')


class Connection:
    def __init__(self, host, port, context=None, timeout=None):
        self.host, self.port, self.context, self.timeout = host, port, context, timeout
        self.sock = None

    def connect(self):
        self.context.set_alpn_protocols(['h2'])
        self.sock = self.context.wrap_socket(socket.create_connection((self.host, self.port), self.timeout), server_hostname=self.host)
        assert self.sock.selected_alpn_protocol() == 'h2', self.sock.selected_alpn_protocol()
        self.file = self.sock.makefile('rb')
        self.before = b''  # the next block of headers
        self.inflater, self.next, self.answers, self.last, self.goaway = Inflater(), 1, {}, None, None
        self.windows, self.first_window = {0: WINDOW}, WINDOW
        self.sock.sendall(MAGIC + frame(SETTINGS))

    def close(self):
        if self.sock is not None:
            self.file.close()
            self.sock.close()
        self.sock = None

    def begin(self, method, path, flags=END_HEADERS):
        """A request without its end. @return the stream"""
        stream, self.next = self.next, self.next + 2
        fields = [(':method', method), (':path', path), (':scheme', 'https'), (':authority', self.host)]
        self.last = self.answers[stream] = Answer(self, stream)
        self.sock.sendall(frame(HEADERS, flags, stream, self.pack(fields)))
        return stream

    def pack(self, fields):
        before, self.before = self.before, b''
        return before + pack(fields)

    def request(self, method, path, body=None, headers=()):
        if self.sock is None:
            self.connect()
        stream, self.next = self.next, self.next + 2
        body = body or b''
        fields = [(':method', method), (':path', path), (':scheme', 'https'), (':authority', f'{self.host}:{self.port}'),
                  *((name.lower(), value) for name, value in dict(headers).items())]
        if body:
            fields.append(('content-length', len(body)))
        self.last = self.answers[stream] = Answer(self, stream)
        self.windows.setdefault(stream, self.first_window)
        self.sock.sendall(frame(HEADERS, END_HEADERS | (0 if body else END_STREAM), stream, self.pack(fields)))
        while body and not self.last.ended:
            room = min(16384, self.windows[0], self.windows[stream])
            if room <= 0:
                self.take_frame()
                continue
            part, body = body[:room], body[room:]
            self.windows[0] -= len(part)
            self.windows[stream] -= len(part)
            self.sock.sendall(frame(DATA, 0 if body else END_STREAM, stream, part))

    def getresponse(self):
        answer = self.last
        while not answer.status:
            assert answer.more(), 'no answer'
        return answer

    def take(self, answer):
        while not self.take_frame() == answer.stream and not answer.ended:
            pass

    def read_frame(self):
        """@return kind, flags, stream, payload; None at the end."""
        head = self.file.read(9)
        if len(head) < 9:
            return None
        kind, flags, stream = struct.unpack('!BBI', head[3:])
        return kind, flags, stream, self.file.read(int.from_bytes(head[:3], 'big'))

    def take_frame(self):
        """@return its stream."""
        got = self.read_frame()
        if got is None:
            raise ConnectionResetError(f'hung up, {self.goaway}')
        kind, flags, stream, payload = got
        answer = self.answers.get(stream)
        if kind == DATA and payload:
            answer.body += payload
            more = struct.pack('!I', len(payload))
            self.sock.sendall(frame(WINDOW_UPDATE, 0, 0, more) + frame(WINDOW_UPDATE, 0, stream, more))
        elif kind == HEADERS:
            for name, value in self.inflater.fields(payload):
                if name == ':status':
                    answer.status = int(value)
                else:
                    answer.headers[name] = value
        elif kind == RST_STREAM and answer and not answer.ended and payload != b'\0\0\0\0':
            raise ConnectionResetError(f'reset: {payload.hex()}')
        elif kind == SETTINGS and not flags & ACK:
            self.sock.sendall(frame(SETTINGS, ACK))
            # RFC 7541 4.2: a table that became smaller is said before it is used; here it has no room at all.
            self.before = b'\x20'
        elif kind == WINDOW_UPDATE:
            self.windows[stream] = self.windows.get(stream, self.first_window) + int.from_bytes(payload, 'big')
        elif kind == GOAWAY:
            self.goaway = int.from_bytes(payload[4:8], 'big')
        if answer and kind in (DATA, HEADERS) and flags & END_STREAM:
            answer.ended = True
        return stream
