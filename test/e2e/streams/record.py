#!/usr/bin/env python3
"""Records what a release's sensor says to an aggregator, byte for byte, for versions.py. To be run once for each release.

usage: record.py SENSOR GENERATOR SCENARIO NAME

SENSOR is the release's millrace-sensor, GENERATOR today's millrace-bench, SCENARIO a file (test/cases/generated-*/scenario). Each
request becomes a file NAME-LANE-SEQUENCE.http beside this program.
"""
import os
import re
import socket
import ssl
import subprocess
import sys
import tempfile
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))


def read_request(stream):
    head = b''
    while not head.endswith(b'\r\n\r\n'):
        line = stream.readline()
        if not line:
            return None, {}
        head += line
    fields = {name.lower(): value for name, value in re.findall(r'^([\w-]+): (.*)\r$', head.decode(), re.M)}
    if fields.get('expect') == '100-continue':
        stream.write(b'HTTP/1.1 100 Continue\r\n\r\n')
        stream.flush()
    return head + stream.read(int(fields['content-length'])), fields


def serve(connection, name):
    with connection, connection.makefile('rwb') as stream:
        while True:
            request, fields = read_request(stream)
            if request is None:
                return
            first, count = int(fields['millrace-sequence']), int(fields['millrace-count'])
            with open(f'{HERE}/{name}-{fields["millrace-lane"]}-{first}.http', 'wb') as file:
                file.write(request)
            body = b'{"acked":%d}\n' % (first + count - 1)
            stream.write(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s' % (len(body), body))
            stream.flush()


def listen(pki, name):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f'{pki}/aggregator.pem', f'{pki}/aggregator.key')
    context.load_verify_locations(f'{pki}/ca.pem')
    context.verify_mode = ssl.CERT_REQUIRED
    server = context.wrap_socket(socket.create_server(('127.0.0.1', 0)), server_side=True)

    def accept():
        while True:
            try:
                connection, _ = server.accept()
            except ssl.SSLError:
                continue
            threading.Thread(target=serve, args=(connection, name), daemon=True).start()
    threading.Thread(target=accept, daemon=True).start()
    return server.getsockname()[1]


def main():
    sensor, generator, scenario, name = sys.argv[1:]
    with tempfile.TemporaryDirectory() as work:
        subprocess.run([f'{ROOT}/scripts/pki', f'{work}/pki', 'plant-1'], check=True)
        port = listen(f'{work}/pki', name)
        with open(scenario) as file:
            subprocess.run([generator, 'generate', '--quiet', '--out', f'{work}/in.pcap', '--seed', '1', '--scenario', file.read()], check=True)
        with open(f'{work}/sensor.yaml', 'w') as file:
            file.write(f'''dpdk: {{ huge-pages: no, memory-mib: 256 }}
spool: {{ path: {work}/spool }}
uplink: {{ enabled: yes, url: "https://localhost:{port}", cert: {work}/pki/plant-1.pem, key: {work}/pki/plant-1.key, ca: {work}/pki/ca.pem }}
''')
        subprocess.run([sensor, 'read', '-c', f'{work}/sensor.yaml', '-r', f'{work}/in.pcap', '-l', work, '-k', 'none'], check=True)


if __name__ == '__main__':
    main()
