"""An aggregator to test the uplink against: it checks every promise of the record stream and misbehaves on demand."""
import base64
import ctypes
import ctypes.util
import hashlib
import json
import socket
import socketserver
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ZSTD = ctypes.CDLL(ctypes.util.find_library('zstd') or 'libzstd.so.1')
ZSTD.ZSTD_decompress.restype = ctypes.c_size_t
ZSTD.ZSTD_getFrameContentSize.restype = ctypes.c_uint64
LINES_MAX = 32 * 1024 * 1024


def unzstd(body):
    size = ZSTD.ZSTD_getFrameContentSize(body, ctypes.c_size_t(len(body)))
    assert size <= LINES_MAX, 'the frame does not say its size, or one too large'
    out = ctypes.create_string_buffer(size)
    got = ZSTD.ZSTD_decompress(out, ctypes.c_size_t(size), body, ctypes.c_size_t(len(body)))
    assert got == size, 'zstd'
    return out.raw


class AnyLocalhost:
    """Of a server: whatever this machine's hosts file and its proxies take localhost for, it listens there."""

    def server_bind(self):
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()

    address_family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
    host = '::' if socket.has_dualstack_ipv6() else '127.0.0.1'


class Lane:
    def __init__(self):
        self.records = {}
        self.next = 1
        self.lost = []


class Aggregator:
    """Stores as the real one does: dense sequences by (sensor, epoch, lane), a hole is 409, a repeat is stored once."""

    def __init__(self, pki, port=0, name='server', plain=False):
        self.pki, self.port, self.name, self.plain = pki, port, name, plain
        self.version = None
        self.serials = []
        self.check = None
        self.lanes = {}
        self.lock = threading.Lock()
        self.hook = lambda head, lines: None
        self.after = lambda head, lines: None
        self.delay = 0
        self.requests = []
        self.wrong = []
        self.server = None

    def lane(self, name, epoch=None):
        keys = [k for k in self.lanes if k[2] == name and (epoch is None or k[1] == epoch)]
        return self.lanes[keys[-1]] if keys else Lane()

    def start(self):
        handler = type('Handler', (Handler,), {'aggregator': self})
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # What is too weak is for the uplink to refuse, not for this server.
        context.set_ciphers('DEFAULT:@SECLEVEL=0')
        context.load_cert_chain(f'{self.pki}/{self.name}.pem', f'{self.pki}/{self.name}.key')
        context.load_verify_locations(f'{self.pki}/ca.pem')
        context.verify_mode = ssl.CERT_REQUIRED
        if self.version is not None:
            context.minimum_version = context.maximum_version = self.version
        self.server = Server((Server.host, self.port), handler)
        self.server.context = None if self.plain else context
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        self.server.drop_all()

    def store(self, head, lines):
        with self.lock:
            lane = self.lanes.setdefault((head['sensor'], head['epoch'], head['lane']), Lane())
            if lane.next == 1:
                lane.next = max(1, head['begins'])
            expected = max(lane.next, head['skip_to'])
            if head['sequence'] > expected:
                return 409, {'expected': lane.next}
            if expected > lane.next:
                lane.lost.append((lane.next, expected - 1))
            for i, line in enumerate(lines):
                seq = head['sequence'] + i
                if lane.records.setdefault(seq, line) != line:
                    self.wrong.append(f"{head['lane']} {seq} came twice with different content")
            lane.next = max(expected, head['sequence'] + len(lines))
            return 200, {'acked': lane.next - 1}


class Server(AnyLocalhost, ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, *args):
        super().__init__(*args)
        self.open = set()

    def handle_error(self, request, address):
        pass

    def finish_request(self, request, address):
        request.settimeout(10)
        try:
            wrapped = request if self.context is None else self.context.wrap_socket(request, server_side=True)
        except (ssl.SSLError, OSError):
            return
        self.open.add(wrapped)
        try:
            self.RequestHandlerClass(wrapped, address, self)
        except OSError:
            pass
        finally:
            self.open.discard(wrapped)
            wrapped.close()

    def drop_all(self):
        for connection in list(self.open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def log_message(self, *args):
        pass

    def answer(self, status, body, headers=()):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header('Content-Length', str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def read_head(self, body, wrong):
        h = self.headers
        digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
        for name, value in (('Millrace-Version', '1'), ('Content-Type', 'application/x-ndjson'),
                            ('Content-Encoding', h['Content-Encoding'] if self.path == '/v1/check' else 'zstd'),
                            ('Content-Digest', f'sha-256=:{digest}:')):
            if h[name] != value:
                wrong.append(f'{name}: {h[name]}')
        if not self.aggregator.plain:
            cert = self.connection.getpeercert()
            subject = dict(x[0] for x in cert['subject'])
            self.aggregator.serials.append(cert['serialNumber'])
            if h['Millrace-Sensor'] != subject['commonName']:
                wrong.append(f"sensor {h['Millrace-Sensor']}")
        if len(h['Millrace-Epoch']) != 16:
            wrong.append('epoch')
        return {'sensor': h['Millrace-Sensor'], 'epoch': h['Millrace-Epoch'], 'lane': h['Millrace-Lane'],
                'sequence': int(h['Millrace-Sequence']), 'count': int(h['Millrace-Count']),
                'skip_to': int(h['Millrace-Skip-To'] or 0), 'begins': int(h['Millrace-Begins'] or 0)}

    def do_POST(self):
        aggregator = self.aggregator
        body = self.rfile.read(int(self.headers['Content-Length']))
        head = self.read_head(body, aggregator.wrong)
        lines = (unzstd(body) if self.headers['Content-Encoding'] == 'zstd' else body).split(b'\n')
        if self.path == '/v1/check' and aggregator.check in ('silence', 'cut'):
            threading.Event().wait(8 if aggregator.check == 'silence' else 0)
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        if self.path == '/v1/check':
            self.answer(*(aggregator.check or (200, {'acked': 0})))
            return
        if lines.pop() != b'' or len(lines) != head['count'] or self.path != '/v1/records':
            aggregator.wrong.append(f'body of {head}')
        aggregator.requests.append(head)
        if aggregator.delay:
            threading.Event().wait(aggregator.delay)
        special = aggregator.hook(head, lines)
        if special is not None:
            self.answer(*special)
            return
        status, answer = aggregator.store(head, lines)
        if aggregator.after(head, lines) == 'drop':
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        self.answer(status, answer)


def pump(a, b):
    def copy(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
        except OSError:
            pass
        for s in (source, target):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
    thread = threading.Thread(target=copy, args=(b, a), daemon=True)
    thread.start()
    copy(a, b)
    thread.join()


class Proxy(socketserver.ThreadingTCPServer):
    """HTTP CONNECT with a password, or SOCKS5 with names resolved here; counts what it was asked for."""
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, kind, user=None):
        handler = type('ProxyHandler', (socketserver.BaseRequestHandler,), {'handle': getattr(self, kind)})
        super().__init__(('127.0.0.1', 0), handler)
        self.kind, self.user, self.asked = kind, user, []
        self.port = self.server_address[1]
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def handle_error(self, request, address):
        pass

    def forward(self, connection, host, port, yes):
        self.asked.append((host, port))
        # The tests' names all live on this machine; only a proxy that resolves names can know that.
        with socket.create_connection(('127.0.0.1', port)) as far:
            connection.sendall(yes)
            pump(connection, far)

    @staticmethod
    def connect(handler):
        self, connection = handler.server, handler.request
        while True:
            head = b''
            while b'\r\n\r\n' not in head:
                data = connection.recv(4096)
                if not data:
                    return
                head += data
            target = head.split(b' ')[1].decode()
            token = base64.b64encode((self.user or '').encode())
            if self.user is None or b'Basic ' + token in head:
                break
            connection.sendall(b'HTTP/1.1 407 Password\r\nProxy-Authenticate: Basic realm="p"\r\nContent-Length: 0\r\n\r\n')
        host, port = target.rsplit(':', 1)
        self.forward(connection, host, int(port), b'HTTP/1.1 200 OK\r\n\r\n')

    @staticmethod
    def socks5(handler):
        self, connection = handler.server, handler.request
        file = connection.makefile('rb')
        file.read(file.read(2)[1])
        connection.sendall(b'\x05\x00')
        kind = file.read(4)[3]
        host = file.read(file.read(1)[0]).decode() if kind == 3 else socket.inet_ntoa(file.read(4))
        port = int.from_bytes(file.read(2), 'big')
        self.forward(connection, host, port, b'\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x00')
