"""Real proxies and load balancers on loopback, each with its own folder and port; and one that misbehaves on demand."""
import hashlib
import os
import pathlib
import shutil
import signal
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import time

from uplink_server import pump

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'harness'))
from ports import free_port  # noqa: E402


def wait_for_port(port, process, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f'{process.args[0]} ended with {process.returncode}')
        try:
            socket.create_connection(('127.0.0.1', port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f'{process.args[0]} does not listen')


class Program:
    """A server that is started, killed and started again on the same port."""

    def __init__(self):
        self.port = free_port()
        self.folder = tempfile.mkdtemp(prefix='proxies.')
        self.process = None

    def write(self, name, text):
        path = f'{self.folder}/{name}'
        with open(path, 'w') as f:
            f.write(text)
        return path

    def start(self):
        with open(f'{self.folder}/output', 'a') as output:
            self.process = subprocess.Popen(self.command(), stdout=output, stderr=output, stdin=subprocess.DEVNULL,
                                            start_new_session=True)
        wait_for_port(self.port, self.process)
        return self

    def kill(self):
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def close(self):
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


class Squid(Program):
    """auth: None, 'basic' or 'digest' with user `user` and password `secret`; parent: a Squid that all goes through;
    inspect: opens TLS, see inspect_lines()."""

    def __init__(self, auth=None, parent=None, tls=None, inspect=None):
        super().__init__()
        # Squid gives up root for a user of its own, who must reach its folder.
        os.chmod(self.folder, 0o755)
        if os.geteuid() == 0:
            shutil.chown(self.folder, 'proxy')
        port = f'http_port 127.0.0.1:{self.port}'
        if tls is not None:
            port = f'https_port 127.0.0.1:{self.port} tls-cert={self.copy_pair(tls)}'
        if inspect is not None:
            port += f' ssl-bump tls-cert={self.copy_pair(inspect["ca"])} generate-host-certificates=on'
        # Of two lines for one name in the machine's own file, 127.0.0.1 and ::1, it takes the last one alone.
        hosts = self.write('hosts', '127.0.0.1 localhost\n')
        os.chmod(hosts, 0o644)
        self.conf = self.write('squid.conf', '\n'.join([
            port, f'hosts_file {hosts}', *self.inspect_lines(inspect), *self.auth_lines(auth), *self.parent_lines(parent), 'pid_filename none', 'cache deny all', 'cache_mem 8 MB',
            f'access_log stdio:{self.folder}/access', f'cache_log {self.folder}/cache', f'coredump_dir {self.folder}',
            'shutdown_lifetime 0 seconds', 'netdb_filename none', 'pinger_enable off', 'visible_hostname squid.test',
            f'unique_hostname squid{self.port}.test', 'max_filedescriptors 1024', '']))

    def auth_lines(self, auth):
        if auth is None:
            return ['http_access allow all']
        if auth == 'basic':
            digest = subprocess.run(['openssl', 'passwd', '-apr1', 'secret'], capture_output=True, text=True, check=True).stdout.strip()
            users = self.write('users', f'user:{digest}\n')
            program = f'/usr/lib/squid/basic_ncsa_auth {users}'
        else:
            digest = hashlib.md5(b'user:plant:secret').hexdigest()
            users = self.write('users', f'user:plant:{digest}\n')
            program = f'/usr/lib/squid/digest_file_auth -c {users}'
        os.chmod(users, 0o644)
        return [f'auth_param {auth} program {program}', f'auth_param {auth} realm plant', f'auth_param {auth} children 1 startup=1',
                'acl known proxy_auth REQUIRED', 'http_access allow known', 'http_access deny all']

    def copy_pair(self, name):
        """Certificate and key in a file that squid's own user may read."""
        pem = self.write(f'{os.path.basename(name)}.both', ''.join(pathlib.Path(f'{name}.{part}').read_text() for part in ('pem', 'key')))
        os.chmod(pem, 0o644)
        return pem

    def inspect_lines(self, inspect):
        """Certificates of inspect['ca'] are made for whoever is asked for; its own towards servers is inspect['own'], and
        theirs must be of inspect['server_ca']. All are paths without .pem and .key."""
        if inspect is None:
            return []
        maker, made = '/usr/lib/squid/security_file_certgen', f'{self.folder}/made'
        subprocess.run([maker, '-c', '-s', made, '-M', '4MB'], check=True, stdout=subprocess.DEVNULL)
        subprocess.run(['chown', '-R', 'proxy', made], check=os.geteuid() == 0)
        return [f'sslcrtd_program {maker} -s {made} -M 4MB', 'sslcrtd_children 1 startup=1', 'ssl_bump bump all',
                f'tls_outgoing_options cert={self.copy_pair(inspect["own"])} cafile={self.copy_pair(inspect["server_ca"])}'
                ' min-version=1.2 flags=NO_DEFAULT_CA']

    @staticmethod
    def parent_lines(parent):
        if parent is None:
            return []
        return [f'cache_peer 127.0.0.1 parent {parent.port} 0 no-query no-digest name=up default', 'never_direct allow all']

    def command(self):
        return ['squid', '-N', '-n', f'mr{self.port}', '-f', self.conf]

    def access(self):
        try:
            with open(f'{self.folder}/access') as f:
                return f.read()
        except FileNotFoundError:
            return ''


class Haproxy(Program):
    """Hands TCP connections to servers as they are."""

    def __init__(self, *ports):
        super().__init__()
        localhost = f':::{self.port} v4v6' if socket.has_dualstack_ipv6() else f'127.0.0.1:{self.port}'
        servers = ''.join(f'  server s{i} 127.0.0.1:{port} check inter 200ms\n' for i, port in enumerate(ports))
        self.conf = self.write('haproxy.cfg', 'global\n  maxconn 200\ndefaults\n  mode tcp\n  timeout connect 2s\n  timeout client 60s\n'
                               f'  timeout server 60s\nlisten link\n  bind {localhost}\n{servers}')

    def command(self):
        return ['haproxy', '-db', '-f', self.conf]


class Dante(Program):
    """SOCKS5 without a password."""

    def __init__(self):
        super().__init__()
        self.conf = self.write('danted.conf', f'logoutput: {self.folder}/log\ninternal: 127.0.0.1 port = {self.port}\nexternal: lo\n'
                               'clientmethod: none\nsocksmethod: none\nuser.privileged: root\nuser.unprivileged: nobody\n'
                               'client pass { from: 0.0.0.0/0 to: 0.0.0.0/0 }\nsocks pass { from: 0.0.0.0/0 to: 0.0.0.0/0 log: connect }\n')

    def command(self):
        return ['danted', '-f', self.conf]


class FaultyProxy(socketserver.ThreadingTCPServer):
    """CONNECT as it should not be: mode is one of good, and the names below. It is changed while it runs."""
    daemon_threads = True
    allow_reuse_address = True

    answers = {
        '407': b'HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="x"\r\nContent-Length: 0\r\n\r\n',
        '403': b'HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n',
        '502': b'HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>',
        'html': b'<html><body>Please log in</body></html>',
        'wrong': b'\x16\x03\x01\x00\x05hello',
        'portal': b'HTTP/1.1 302 Found\r\nLocation: http://login.example/\r\n\r\n',
        'hang-up': b'',
    }

    def __init__(self):
        handler = type('Handler', (socketserver.BaseRequestHandler,), {'handle': self.serve})
        super().__init__(('127.0.0.1', 0), handler)
        self.mode, self.port, self.peers, self.cut_after = 'good', self.server_address[1], [], 20000
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def handle_error(self, request, address):
        pass

    @staticmethod
    def serve(handler):
        self, connection = handler.server, handler.request
        self.peers.append(handler.client_address[0])
        head = b''
        while b'\r\n\r\n' not in head:
            data = connection.recv(4096)
            if not data:
                return
            head += data
        if self.mode == 'silent':
            while self.mode == 'silent' and connection.fileno() >= 0:
                time.sleep(0.05)
            return
        if self.mode == 'drip':
            for byte in b'HTTP/1.1 200 OK\r\nX: ' + b'y' * 100000:
                connection.sendall(bytes([byte]))
                time.sleep(0.1)
            return
        if self.mode == 'flood':
            connection.sendall(b'HTTP/1.1 200 OK\r\n' + b'X: y\r\n' * 200000)
            return
        if self.mode in self.answers:
            connection.sendall(self.answers[self.mode])
            connection.shutdown(socket.SHUT_WR)
            return
        port = int(head.split(b' ')[1].rsplit(b':', 1)[1])
        with socket.create_connection(('127.0.0.1', port)) as far:
            connection.sendall(b'HTTP/1.1 200 OK\r\n\r\n')
            if self.mode in ('cut', 'garble'):
                self.pass_some(connection, far)
            else:
                pump(connection, far)

    def pass_some(self, connection, far):
        """Passes cut_after bytes of the sensor's, then cuts, or goes on with nonsense."""
        threading.Thread(target=pump_one_way, args=(far, connection), daemon=True).start()
        left = self.cut_after
        while left > 0:
            data = connection.recv(min(left, 4096))
            if not data:
                return
            far.sendall(data)
            left -= len(data)
        if self.mode == 'garble':
            connection.sendall(b'\x00' * 1000)
            time.sleep(0.2)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\x01\x00\x00\x00\x00\x00\x00\x00')

    def close(self):
        self.mode = 'good'
        self.shutdown()
        self.server_close()


def pump_one_way(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass
