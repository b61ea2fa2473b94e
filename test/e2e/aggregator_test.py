#!/usr/bin/env python3
"""The real aggregator with a real PKI: batches good and hostile over mutual TLS, kills, restarts, questions.

usage: test/e2e/aggregator_test.py [BUILD_DIR]     (default: build-test, else build)
       MILLRACE_STORE=clickhouse: against what scripts/cluster has started
       MILLRACE_HTTP=2: the same over HTTP/2
"""
import base64
import concurrent.futures
import contextlib
import csv
import ctypes
import hashlib
import http.client
import io
import json
import os
import random
import resource
import shutil
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))
import cluster  # noqa: E402
import http2  # noqa: E402
import parallel  # noqa: E402
import store  # noqa: E402
import uplink_test  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
EPOCH = "00000000000000a1"
CONNECTION = http2.Connection if os.environ.get("MILLRACE_HTTP") == "2" else http.client.HTTPSConnection


def build_dir():
    for name in ("build-test", "build"):
        if os.path.isdir(os.path.join(ROOT, name)):
            return os.path.join(ROOT, name)
    sys.exit("no build directory: give one")


def program(path):
    return os.path.join(BUILD, "app", path)


ZSTD = ctypes.CDLL("libzstd.so.1")
ZSTD.ZSTD_compress.restype = ctypes.c_size_t
ZSTD.ZSTD_compressBound.restype = ctypes.c_size_t


def zstd(data, level=3):
    out = ctypes.create_string_buffer(ZSTD.ZSTD_compressBound(ctypes.c_size_t(len(data))))
    size = ZSTD.ZSTD_compress(out, ctypes.c_size_t(len(out)), data, ctypes.c_size_t(len(data)), level)
    return out.raw[:size]


def digest(body):
    return "sha-256=:" + base64.b64encode(hashlib.sha256(body).digest()).decode() + ":"


def event(n, kind="modbus", **more):
    record = {"timestamp": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(1700000000 + n)) + ".000000+0000",
              "event_type": kind, "src_ip": "10.0.0.%d" % (n % 5), "src_port": 40000 + n % 100,
              "dest_ip": "10.1.0.1", "dest_port": 502, "proto": "TCP", "app_proto": "modbus", "n": n}
    if kind == "modbus":
        record["modbus"] = {"request": {"function_raw": 3, "function_code": "RdHoldRegs"},
                            "response": {"function_raw": 3}}
    record.update(more)
    return record


def ndjson(records):
    return b"".join(json.dumps(r, separators=(",", ":")).encode() + b"\n" for r in records)


def make_pki(folder):
    subprocess.run([os.path.join(ROOT, "scripts", "pki"), folder, "plant-1", "plant-2"], check=True)
    return folder


class Aggregator:
    """One running program and its folder. Certificates are those of the whole run, if it made some."""

    def __init__(self, *settings):
        self.dir = tempfile.TemporaryDirectory(prefix="millrace-aggregator-")
        self.pki = os.environ.get("MILLRACE_TEST_PKI") or make_pki(os.path.join(self.dir.name, "pki"))
        self.config = os.path.join(self.dir.name, "aggregator.yaml")
        with open(self.config, "w") as out:
            out.write(f"""listen: 127.0.0.1:0
tls: {{cert: {self.pki}/aggregator.pem, key: {self.pki}/aggregator.key, ca: {self.pki}/ca.pem}}
api: {{listen: "127.0.0.1:0", token-file: {self.pki}/token}}
{self.store_settings()}
log: {{level: error}}
""")
        self.settings = [arg for s in settings for arg in ("--set", s)]
        with open(os.path.join(self.pki, "token")) as file:
            self.token = file.read().strip()
        self.process = None

    def store_settings(self):
        self.cluster = cluster.Store() if cluster.wanted() else None
        return self.cluster.settings() if self.cluster else f"store: {{path: {self.dir.name}/records.db}}"

    def start(self):
        ready = os.path.join(self.dir.name, "ready")
        if os.path.exists(ready):
            os.unlink(ready)
        self.process = subprocess.Popen(
            [program("aggregator/millrace-aggregator"), "run", "-c", self.config, "--ready-file", ready,
             *self.settings], stdout=subprocess.DEVNULL)
        for _ in range(600):
            if os.path.exists(ready):
                break
            if self.process.poll() is not None:
                raise RuntimeError("the aggregator ended with %d" % self.process.returncode)
            time.sleep(0.05)
        with open(ready) as file:
            _, self.port, self.api_port = file.read().split()

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        return self.process.wait(30)

    def tls(self, sensor="plant-1"):
        context = ssl.create_default_context(cafile=os.path.join(self.pki, "ca.pem"))
        if sensor:
            context.load_cert_chain(f"{self.pki}/{sensor}.pem", f"{self.pki}/{sensor}.key")
        return context

    def connect(self, sensor="plant-1"):
        return CONNECTION("localhost", int(self.port), context=self.tls(sensor), timeout=60)

    def post(self, first, records, lane="event", sensor="plant-1", connection=None, raw=None, path="/v1/records",
             **changes):
        lines = ndjson(records) if records is not None else b""
        body = zstd(lines) if raw is None else raw
        headers = {"Millrace-Version": "1", "Millrace-Sensor": sensor, "Millrace-Epoch": EPOCH,
                   "Millrace-Lane": lane, "Millrace-Sequence": str(first),
                   "Millrace-Count": str(len(records or [0])), "Content-Type": "application/x-ndjson",
                   "Content-Encoding": "zstd", "Content-Digest": digest(body), "Millrace-Later-Invention": "kept"}
        for name, value in changes.items():
            headers[name.replace("_", "-")] = value
        own = connection or self.connect(sensor)
        own.request("POST", path, body, {k: v for k, v in headers.items() if v is not None})
        answer = own.getresponse()
        text = answer.read()
        if connection is None:
            own.close()
        try:
            return answer.status, json.loads(text)
        except ValueError:
            return answer.status, {}

    def get(self, path, token=True, **parameters):
        context = self.tls(None)
        connection = CONNECTION("127.0.0.1", int(self.api_port), context=context, timeout=60)
        query = "?" + urllib.parse.urlencode(parameters) if parameters else ""
        headers = {"Authorization": "Bearer " + (self.token if token is True else token)} if token else {}
        connection.request("GET", path + query, headers=headers)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer.status, json.loads(text)

    def records(self, path="/v1/events", **parameters):
        """Every record, by pages."""
        found = []
        while True:
            status, page = self.get(path, limit=97, **parameters)
            assert status == 200, page
            found += page["records"]
            if page["next"] is None:
                return found
            parameters["cursor"] = page["next"]

    def close(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.cluster:
            self.cluster.close()
        self.dir.cleanup()


class Case(unittest.TestCase):
    settings = ()

    def setUp(self):
        self.aggregator = Aggregator(*self.settings)
        self.addCleanup(self.aggregator.close)
        self.prepare()
        self.aggregator.start()

    def prepare(self):
        """Before it starts."""

    def post(self, *args, **kwargs):
        return self.aggregator.post(*args, **kwargs)

    def numbers(self, **parameters):
        return sorted(r["record"]["n"] for r in self.aggregator.records(**parameters))


class Delivery(Case):
    def test_batches_are_stored_once(self):
        batch = [event(n) for n in range(1, 101)]
        for _ in range(3):
            self.assertEqual(self.post(1, batch), (200, {"acked": 100}))
        self.assertEqual(self.post(51, [event(n) for n in range(51, 151)]), (200, {"acked": 150}))
        self.assertEqual(self.numbers(), list(range(1, 151)))
        plain = ndjson([event(151)])
        self.assertEqual(self.post(151, [event(151)], raw=plain, Content_Encoding=None, Content_Digest=digest(plain)),
                         (200, {"acked": 151}))
        self.assertEqual(self.post(1, [event(7, "alert")], lane="alert"), (200, {"acked": 1}))
        self.assertEqual(self.post(1, [event(1)], sensor="plant-2"), (200, {"acked": 1}))
        _, lanes = self.aggregator.get("/v1/lanes")
        self.assertEqual([(r["sensor"], r["lane"], r["acked"], r["records"]) for r in lanes["lanes"]],
                         [("plant-1", "event", 151, 151), ("plant-1", "alert", 1, 1), ("plant-2", "event", 1, 1)])

    def test_a_hole_is_answered_with_what_is_expected(self):
        self.assertEqual(self.post(5, [event(5)]), (409, {"expected": 1}))
        self.assertEqual(self.post(1, [event(1)]), (200, {"acked": 1}))
        self.assertEqual(self.post(10, [event(10)]), (409, {"expected": 2}))
        self.assertEqual(self.post(10, [event(10)], Millrace_Skip_To="10"), (200, {"acked": 10}))
        _, gaps = self.aggregator.get("/v1/gaps")
        self.assertEqual([(g["lane"], g["first"], g["last"]) for g in gaps["gaps"]], [("event", 2, 9)])
        _, summary = self.aggregator.get("/v1/summary")
        self.assertEqual(summary["losses"]["link.records_lost_at_sensor"], 8)

    def test_batches_in_flight_may_overtake_each_other(self):
        rng = random.Random(1)
        windows = [list(range(first, first + 60, 10)) for first in range(1, 601, 60)]
        firsts = [first for window in windows for first in rng.sample(window, len(window))]
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            def deliver(first):
                for _ in range(50):
                    status, answer = self.post(first, [event(n) for n in range(first, first + 10)])
                    if status == 200:
                        return
                    self.assertEqual(status, 409, answer)
                self.fail("never taken")
            list(pool.map(deliver, firsts))
        self.assertEqual(self.numbers(), list(range(1, 601)))

    def test_kills_lose_nothing_acknowledged_and_store_nothing_twice(self):
        rng = random.Random(2)
        acked = 0
        for _ in range(8):
            deadline = time.monotonic() + rng.uniform(0.1, 0.4)
            connection = self.aggregator.connect()
            while time.monotonic() < deadline:
                first = max(1, acked - rng.randrange(0, 60))
                status, answer = self.post(first, [event(n) for n in range(first, first + 100)],
                                           connection=connection)
                self.assertEqual(status, 200, answer)
                acked = answer["acked"]
            self.aggregator.stop(signal.SIGKILL)
            self.aggregator.start()
            _, lanes = self.aggregator.get("/v1/lanes")
            self.assertGreaterEqual(lanes["lanes"][0]["acked"], acked)
        self.assertEqual(self.numbers(), list(range(1, acked + 1)))

    def test_it_ends_cleanly(self):
        self.assertEqual(self.post(1, [event(1)]), (200, {"acked": 1}))
        connection = self.aggregator.connect()
        connection.connect()
        self.assertEqual(self.aggregator.stop(), 0)
        connection.close()


class Hostile(Case):
    settings = ("limits.body=64kb", "limits.lines=256kb", "limits.request-timeout=2", "limits.connections=16",
                "limits.reorder=0")

    def refused(self, answer, status=400):
        self.assertEqual(answer[0], status, answer)
        self.assertIn("error" if status != 413 else "max_bytes", answer[1])

    def test_poison_is_named_and_nothing_of_it_is_kept(self):
        good = zstd(ndjson([event(1)]))
        self.refused(self.post(1, [event(1)], Content_Digest=digest(b"other")))
        self.refused(self.post(1, None, raw=b"not zstd at all"))
        self.refused(self.post(1, None, raw=good[:-3]))
        self.refused(self.post(1, None, raw=b""))
        self.refused(self.post(1, [event(1)], Millrace_Count="2"))
        self.refused(self.post(1, [event(1), event(2)], Millrace_Count="1"))
        for line in (b"42\n", b"{}", b"{\"a\":1}x\n", b"[1]\n", b"\n", b"{\"a\":\"\xff\"}\n", b"{\"a\":" * 100 + b"\n"):
            self.refused(self.post(1, None, raw=zstd(line)))
        for name in ("Version", "Epoch", "Lane", "Sequence", "Count"):
            self.refused(self.post(1, [event(1)], **{"Millrace_" + name: "bad"}))
            self.refused(self.post(1, [event(1)], **{"Millrace_" + name: None}))
        self.assertEqual(self.aggregator.records(), [])
        self.assertEqual(self.post(1, [event(1)]), (200, {"acked": 1}))
        _, counters = self.aggregator.get("/v1/counters")
        self.assertEqual(counters["aggregator"]["ingest.poison"], 23)

    def test_large_batches_are_sent_back(self):
        self.refused(self.post(1, None, raw=zstd(b"{}" + b" " * (1 << 20) + b"\n")), 413)
        self.refused(self.post(1, None, raw=zstd(b"\0" * (64 << 20), 19)), 413)
        self.refused(self.post(1, None, raw=os.urandom(100 * 1024)), 413)

    def test_a_sensor_is_who_its_certificate_says(self):
        self.refused(self.post(1, [event(1)], sensor="plant-1", connection=self.aggregator.connect("plant-2")), 403)
        self.refused(self.post(1, [event(1)], path="/v1/other"), 404)
        with self.assertRaises((ssl.SSLError, ConnectionError, http.client.HTTPException)):
            self.post(1, [event(1)], connection=http.client.HTTPSConnection(
                "localhost", int(self.aggregator.port), context=self.aggregator.tls(None), timeout=5))
        old = self.aggregator.tls()
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        old.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
        with self.assertRaises((ssl.SSLError, ConnectionError)):
            http.client.HTTPSConnection("localhost", int(self.aggregator.port), context=old, timeout=5).connect()
        old.set_ciphers("ECDHE-ECDSA-AES256-GCM-SHA384")
        self.assertEqual(self.post(1, [event(1)], connection=http.client.HTTPSConnection(
            "localhost", int(self.aggregator.port), context=old, timeout=5)), (200, {"acked": 1}))

    def test_peers_that_only_hold_connections_are_cut(self):
        address = ("127.0.0.1", int(self.aggregator.port))
        idle = [socket.create_connection(address) for _ in range(20)]
        slow = []
        started = time.monotonic()
        # Sixteen connections are open and silent: the next waits, and is served once they are cut.
        self.assertEqual(self.post(1, [event(1)]), (200, {"acked": 1}))
        self.assertLess(time.monotonic() - started, 20)
        for _ in range(2):
            tls = self.aggregator.tls().wrap_socket(socket.create_connection(address), server_hostname="localhost")
            tls.sendall(b"POST /v1/records HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
            slow.append(tls)
        cut = 0
        deadline = time.monotonic() + 30
        while slow and time.monotonic() < deadline:
            time.sleep(0.2)
            for tls in list(slow):
                try:
                    tls.sendall(b"x")
                    tls.settimeout(0.05)
                    try:
                        data = tls.recv(1)
                        if data == b"":
                            raise ConnectionError
                    except (TimeoutError, ssl.SSLWantReadError):
                        pass
                except (OSError, ssl.SSLError):
                    slow.remove(tls)
                    cut += 1
        self.assertEqual(cut, 2)
        for s in idle:
            s.close()
        self.assertEqual(self.post(2, [event(2)]), (200, {"acked": 2}))

    def test_garbage_requests_leave_it_standing(self):
        rng = random.Random(3)
        request = (b"POST /v1/records HTTP/1.1\r\nHost: localhost\r\nMillrace-Version: 1\r\nContent-Length: 10\r\n"
                   b"Transfer-Encoding: identity\r\n\r\n0123456789")
        for i in range(60):
            data = bytearray(request)
            for _ in range(rng.randrange(1, 12)):
                data[rng.randrange(len(data))] = rng.randrange(256)
            if i % 10 == 0:
                data = b"POST / HTTP/1.1\r\nA: " + b"x" * 40000 + b"\r\n\r\n"
            try:
                tls = self.aggregator.tls().wrap_socket(
                    socket.create_connection(("127.0.0.1", int(self.aggregator.port))), server_hostname="localhost")
                tls.settimeout(0.2)
                tls.sendall(data)
                tls.recv(100)
                tls.close()
            except (OSError, ssl.SSLError):
                pass
        self.assertEqual(self.post(1, [event(1)]), (200, {"acked": 1}))
        self.assertEqual(self.aggregator.stop(), 0)


class Limits(Case):
    settings = ("limits.sensor-records=100", "limits.sensor-connections=3", "limits.idle-timeout=2", "limits.reorder=0",
                "limits.request-timeout=4")

    def counter(self, name):
        return self.aggregator.get("/v1/counters")[1]["aggregator"]["ingest." + name]

    def test_a_sensor_above_its_rate_is_told_when_to_come_again(self):
        """Two batches of four seconds' worth each are on their way at once, in lanes that do not wait for each other: one of them is
        above the rate, however long the store takes, unless the door itself takes seconds between them. Then once more."""
        firsts = {"event": 1, "flow": 1}
        for _ in range(20):
            connections = {lane: self.aggregator.connect() for lane in firsts}
            for lane, connection in connections.items():
                self.send(connection, lane, firsts[lane])
            answers = {lane: connection.getresponse() for lane, connection in connections.items()}
            for answer in answers.values():
                answer.read()
            for lane in answers:
                firsts[lane] += 400 * (answers[lane].status == 200)
            if {answer.status for answer in answers.values()} != {200}:
                break
        self.assertEqual(sorted(answer.status for answer in answers.values()), [200, 429])
        # Another sensor's is taken meanwhile.
        self.assertEqual(self.post(1, [event(1)], sensor="plant-2"), (200, {"acked": 1}))
        lane = next(lane for lane in answers if answers[lane].status == 429)
        wait_s = int(answers[lane].headers["Retry-After"])
        self.assertIn(wait_s, (1, 2, 3, 4))
        time.sleep(wait_s)
        self.assertEqual(self.post(firsts[lane], [event(n) for n in range(400)], lane=lane),
                         (200, {"acked": firsts[lane] + 399}))
        self.assertEqual((self.counter("limited"), self.counter("later")), (1, 1))

    def send(self, connection, lane, first):
        body = zstd(ndjson([event(n) for n in range(400)]))
        connection.request("POST", "/v1/records", body, {
            "Millrace-Version": "1", "Millrace-Sensor": "plant-1", "Millrace-Epoch": EPOCH, "Millrace-Lane": lane,
            "Millrace-Sequence": str(first), "Millrace-Count": "400", "Content-Type": "application/x-ndjson",
            "Content-Encoding": "zstd", "Content-Digest": digest(body)})

    def test_a_sensor_has_so_many_connections_and_the_newest_stay(self):
        held = [self.aggregator.connect() for _ in range(5)]
        for n, connection in enumerate(held, 1):
            self.assertEqual(self.post(n, [event(n)], connection=connection), (200, {"acked": n}))
        self.assertEqual(self.counter("crowded_cut"), 2)
        alive = 0
        for connection in held:
            connection.sock.settimeout(0.2)
            try:
                alive += connection.sock.recv(1) != b""
            except TimeoutError:
                alive += 1
            except OSError:
                pass
        self.assertEqual(alive, 3)
        self.assertEqual(self.post(1, [event(1)], sensor="plant-2"), (200, {"acked": 1}))

    def test_silence_after_an_answer_is_not_slowness(self):
        connection = self.aggregator.connect()
        self.assertEqual(self.post(1, [event(1)], connection=connection), (200, {"acked": 1}))
        time.sleep(0.7)
        self.assertEqual(self.post(2, [event(2)], connection=connection), (200, {"acked": 2}))
        self.assertGreater(self.time_of("idle_cut"), 1.9)
        self.assertEqual(self.counter("slow_cut"), 0)
        # The head of a request, then nothing: slow, after the longer of the two bounds. Only too early can be wrong: load
        # makes everything late.
        connection = self.aggregator.connect()
        self.assertEqual(self.post(3, [event(3)], connection=connection), (200, {"acked": 3}))
        if CONNECTION is http2.Connection:
            connection.begin("POST", "/v1/records")
        else:
            connection.sock.sendall(b"POST /v1/records HTTP/1.1\r\nHost: x\r\n")
        self.assertGreater(self.time_of("slow_cut"), 3.9)
        self.assertEqual(self.counter("idle_cut"), 1)

    def time_of(self, name):
        """Seconds until something was cut."""
        started = time.monotonic()
        while self.counter(name) == 0:
            self.assertLess(time.monotonic() - started, 30)
            time.sleep(0.1)
        return time.monotonic() - started


class Certificates(Case):
    """Its own certificate is replaced while it runs, as every renewal does."""

    def prepare(self):
        self.own = os.path.join(self.aggregator.dir.name, "own")
        shutil.copytree(self.aggregator.pki, self.own)
        for key, name in (("tls.cert", "aggregator.pem"), ("tls.key", "aggregator.key"), ("tls.ca", "ca.pem")):
            self.aggregator.settings += ["--set", f"{key}={self.own}/{name}"]
        for key, name in (("api.cert", "aggregator.pem"), ("api.key", "aggregator.key")):
            self.aggregator.settings += ["--set", f"{key}={self.aggregator.pki}/{name}"]

    def make(self, name, *dates):
        uplink_test.make_leaf(self.own, name, "ca", "aggregator", "DNS:localhost,IP:127.0.0.1", *dates)

    def put(self, name):
        for kind in ("key", "pem"):
            os.replace(f"{self.own}/{name}.{kind}", f"{self.own}/aggregator.{kind}")

    def counter(self, name):
        return self.aggregator.get("/v1/counters")[1]["aggregator"][name]

    def until(self, name, want):
        end = time.monotonic() + 20
        while self.counter(name) != want:
            self.assertLess(time.monotonic(), end, (name, self.counter(name)))
            time.sleep(0.2)

    def served(self):
        connection = self.aggregator.connect()
        connection.connect()
        number = connection.sock.getpeercert()["serialNumber"]
        connection.close()
        return number

    def test_a_new_certificate_needs_no_restart(self):
        before = self.served()
        open_ = self.aggregator.connect()
        self.assertEqual(self.post(1, [event(1)], connection=open_), (200, {"acked": 1}))
        self.make("fresh")
        self.put("fresh")
        self.until("ingest.cert_reloads", 1)
        after = self.served()
        self.assertNotEqual(before, after)
        # What is open goes on, and what comes is taken.
        self.assertEqual(self.post(2, [event(2)], connection=open_), (200, {"acked": 2}))
        self.assertEqual(self.post(3, [event(3)]), (200, {"acked": 3}))
        # Half of a pair, or none: the pair before stays in force, and the next whole one is taken.
        self.make("other")
        os.replace(f"{self.own}/other.pem", f"{self.own}/aggregator.pem")
        self.until("ingest.cert_reloads_failed", 1)
        self.assertEqual(self.served(), after)
        os.replace(f"{self.own}/other.key", f"{self.own}/aggregator.key")
        self.until("ingest.cert_reloads", 2)
        self.assertNotEqual(self.served(), after)

    def test_its_end_is_told_before(self):
        self.assertGreater(self.counter("ingest.cert_days_left"), 30)
        self.assertEqual(self.counter("ingest.cert_warnings"), 0)
        self.make("short")  # of two days
        self.put("short")
        self.until("ingest.cert_warnings", 1)
        self.assertEqual(self.counter("ingest.cert_days_left"), 1)
        check = [program("aggregator/millrace-aggregator"), "check", "-c", self.aggregator.config, *self.aggregator.settings,
                 "--set", "log.level=info"]
        self.assertIn("aggregator.pem expires in 47 hours", subprocess.run(check, capture_output=True, text=True).stderr)
        self.make("ended", "20200101000000Z", "20200102000000Z")
        self.put("ended")
        self.until("ingest.cert_warnings", 2)
        ended = subprocess.run(check, capture_output=True, text=True, check=False)
        self.assertIn("aggregator.pem has expired", ended.stderr)
        self.assertEqual(ended.returncode, 2)


class Questions(Case):
    def setUp(self):
        super().setUp()
        flows = [event(n, "flow", flow={"pkts_toserver": 2, "pkts_toclient": 1, "bytes_toserver": 200,
                                        "bytes_toclient": 100}) for n in range(1, 51)]
        alerts = [event(n, "alert", alert={"signature_id": 1110001 + n % 2, "severity": 1 + n % 2,
                                           "signature": "\u001b[31mred <b>\"'"}) for n in range(1, 21)]
        stats = [{"timestamp": "2023-11-14T22:13:20.000000+0000", "event_type": "stats", "stats": {
            "uptime": up, "capture": {"received": got, "processed": got - 3, "dropped": {"imissed": 2, "ring_full": 1}},
            "flow": {"table_full": 0}, "workers": [{"capture": {"dropped": {"imissed": 2}}}]}}
            for up, got in ((1, 10), (2, 100), (1, 50))]
        for lane, records in (("flow", flows), ("alert", alerts), ("event", [event(n) for n in range(1, 301)]),
                              ("stats", stats)):
            self.assertEqual(self.post(1, records, lane=lane)[0], 200)

    def test_filters_and_pages(self):
        self.assertEqual(len(self.aggregator.records("/v1/flows")), 50)
        self.assertEqual(len(self.aggregator.records("/v1/flows", ip="10.0.0.1")), 10)
        self.assertEqual(len(self.aggregator.records("/v1/flows", port=502, proto="tcp")), 50)
        self.assertEqual(len(self.aggregator.records("/v1/alerts", signature_id=1110001)), 10)
        self.assertEqual(len(self.aggregator.records("/v1/alerts", severity=2)), 10)
        self.assertEqual(self.numbers(type="modbus"), list(range(1, 301)))
        self.assertEqual(self.numbers(type="modbus", since=1700000291, until="2023-11-14T22:18:15Z"),
                         [291, 292, 293, 294])
        self.assertEqual(self.aggregator.records("/v1/events", event_type="' OR 1=1 --"), [])
        self.assertEqual(self.aggregator.records("/v1/events", sensor="plant-2"), [])
        newest = self.aggregator.records("/v1/events", type="modbus")
        self.assertEqual([r["sequence"] for r in newest], list(range(300, 0, -1)))

    def test_wrong_questions_are_told_so(self):
        for path, parameters, status in (
                ("/v1/flows", {"colour": "red"}, 400), ("/v1/flows", {"limit": "0"}, 400),
                ("/v1/flows", {"limit": "1001"}, 400), ("/v1/flows", {"cursor": "zz"}, 400),
                ("/v1/flows", {"ip": "nowhere"}, 400), ("/v1/flows", {"signature_id": "1"}, 400),
                ("/v1/sensors", {"limit": "1"}, 400), ("/v1/nothing", {}, 404), ("/", {}, 404)):
            got, answer = self.aggregator.get(path, **parameters)
            self.assertEqual((got, answer["error"]["status"]), (status, status), (path, parameters))
        for token in (None, "wrong", "", self.aggregator.token[:-1], self.aggregator.token + "x"):
            self.assertEqual(self.aggregator.get("/v1/sensors", token=token)[0], 401)

    def test_the_summary_adds_up(self):
        _, summary = self.aggregator.get("/v1/summary")
        self.assertEqual(summary["frames"], {"received": 150, "processed": 144, "bytes": 0})
        self.assertEqual(summary["flows"], {"flows": 50, "packets": 150, "bytes": 15000})
        self.assertEqual({r["event_type"]: r["records"] for r in summary["records"]},
                         {"alert": 20, "flow": 50, "modbus": 300, "stats": 3})
        self.assertEqual(summary["protocols"], [{"protocol": "modbus", "function": 3, "name": "RdHoldRegs",
                                                 "requests": 300, "responses": 300, "records": 300}])
        self.assertEqual([a["alerts"] for a in summary["alerts"]], [10, 10])
        self.assertEqual(summary["talkers"][0], {"ip": "10.1.0.1", "flows": 50, "packets": 150, "bytes": 15000})
        self.assertEqual(summary["losses"]["capture.dropped.imissed"], 4)
        self.assertEqual(summary["losses"]["capture.dropped.ring_full"], 2)
        self.assertEqual(summary["losses"]["flow.table_full"], 0)

    def test_the_command_line_shows_it(self):
        def millrace(*args, status=0):
            done = subprocess.run([program("millrace/millrace"), *args], capture_output=True, env={
                "MILLRACE_AGGREGATOR": "https://localhost:" + self.aggregator.api_port,
                "MILLRACE_TOKEN_FILE": self.aggregator.pki + "/token", "MILLRACE_CA": self.aggregator.pki + "/ca.pem"})
            self.assertEqual(done.returncode, status, done.stderr)
            return done.stdout.decode()
        if not os.path.exists(program("millrace/millrace")):
            self.skipTest("millrace is not built")
        for verb in ("flows", "alerts", "protocols", "sensors", "counters", "events", "summary", "lanes", "gaps"):
            text = millrace(verb)
            self.assertNotIn("\u001b", text)
            json.loads(millrace(verb, "--json"))
        self.assertIn("1110001", millrace("alerts", "--signature-id", "1110001"))
        self.assertEqual(len(json.loads(millrace("events", "--type", "modbus", "--all", "--json"))["records"]), 300)
        millrace("flows", "--colour", "red", status=2)
        millrace("flows", "--ip", "nowhere", status=1)
        # The port for records hangs up on who has no certificate.
        done = subprocess.run([program("millrace/millrace"), "summary", "--aggregator", "https://localhost:" + self.aggregator.port,
                               "--token-file", self.aggregator.pki + "/token", "--ca", self.aggregator.pki + "/ca.pem"],
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 3)
        self.assertIn("is this the port of api.listen?", done.stderr)


class Flows(Case):
    """A flow that went on for long, told in parts, beside one of an alert."""

    def setUp(self):
        super().setUp()

        def flow(n, id, part=None, **more):
            counts = {"pkts_toserver": 2, "pkts_toclient": 1, "bytes_toserver": 200, "bytes_toclient": 100}
            return event(n, "flow", flow_id=id, flow={
                **counts, "start": f"second-{n}", **({"part": part, "began": "second-1"} if part else {})}, **more)
        six = {"src_ip": "fd00::7", "dest_ip": "fd00::8"}
        flows = [flow(1, 9007199254740991), flow(1801, 9007199254740991, 2), flow(3601, 9007199254740991, 3), flow(5, 8, **six)]
        alerts = [event(2, "alert", flow_id=9007199254740991, alert={"signature_id": 1, "severity": 1, "signature": "x"})]
        events = [event(3, flow_id=9007199254740991), event(4, flow_id=8, **six), event(6)]
        for lane, records in (("flow", flows), ("alert", alerts), ("event", events)):
            self.assertEqual(self.post(1, records, lane=lane)[0], 200)

    def test_a_flow_told_in_parts_is_one(self):
        _, summary = self.aggregator.get("/v1/summary")
        self.assertEqual(summary["flows"], {"flows": 2, "packets": 12, "bytes": 1200})
        self.assertEqual(summary["applications"], [{"app_proto": "modbus", "flows": 2, "packets": 12, "bytes": 1200}])
        self.assertEqual({row["ip"]: (row["flows"], row["bytes"]) for row in summary["talkers"]},
                         {"10.0.0.1": (1, 900), "10.1.0.1": (1, 900), "fd00::7": (1, 300), "fd00::8": (1, 300)})

    def test_who_talked_with_whom(self):
        _, answer = self.aggregator.get("/v1/pairs")
        rows = [{**row, "first": row["first"][:19], "last": row["last"][:19]} for row in answer["pairs"]]
        over = {"dest_port": 502, "proto": "TCP", "app_proto": "modbus"}
        self.assertEqual(rows, [
            {"src_ip": "10.0.0.1", "dest_ip": "10.1.0.1", **over, "flows": 1, "packets": 9, "bytes": 900,
             "first": "2023-11-14T22:13:21", "last": "2023-11-14T23:13:21"},
            {"src_ip": "fd00::7", "dest_ip": "fd00::8", **over, "flows": 1, "packets": 3, "bytes": 300,
             "first": "2023-11-14T22:13:25", "last": "2023-11-14T22:13:25"}])
        self.assertEqual(len(self.aggregator.get("/v1/pairs", limit=1)[1]["pairs"]), 1)
        self.assertEqual(len(self.aggregator.get("/v1/pairs", ip="fd00::/8")[1]["pairs"]), 1)
        self.assertEqual(self.aggregator.get("/v1/pairs", until=1)[1]["pairs"], [])
        shown = self.millrace("pairs")
        self.assertRegex(shown, r"10\.0\.0\.1 +10\.1\.0\.1:502 +TCP +modbus +1 +9 +900 ")
        self.assertRegex(shown, r"fd00::7 +\[fd00::8\]:502 +TCP ")
        # What has no ports has no colon.
        ping = {key: value for key, value in event(7, "flow", proto="ICMP", flow={"bytes_toserver": 60}).items() if not key.endswith("_port")}
        self.assertEqual(self.post(5, [ping], lane="flow")[0], 200)
        self.assertRegex(self.millrace("pairs"), r"10\.0\.0\.2 +10\.1\.0\.1 +ICMP ")
        self.assertIn('"10.0.0.2","10.1.0.1","ICMP",', self.millrace("pairs", "--csv"))

    def millrace(self, *args, status=0):
        done = subprocess.run([program("millrace/millrace"), *args], capture_output=True, text=True, env={
            "MILLRACE_AGGREGATOR": "https://localhost:" + self.aggregator.api_port,
            "MILLRACE_TOKEN_FILE": self.aggregator.pki + "/token", "MILLRACE_CA": self.aggregator.pki + "/ca.pem"})
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stdout

    def test_a_spreadsheet_reads_it(self):
        message = '=HYPERLINK("x"),\x1b\n\u00e4'
        self.assertEqual(self.post(2, [event(9, "alert", alert={"signature_id": 2, "severity": 1, "signature": message})], lane="alert")[0], 200)
        done = subprocess.run([program("millrace/millrace"), "alerts", "--csv", "--limit", "1"], capture_output=True, env={
            "MILLRACE_AGGREGATOR": "https://localhost:" + self.aggregator.api_port,
            "MILLRACE_TOKEN_FILE": self.aggregator.pki + "/token", "MILLRACE_CA": self.aggregator.pki + "/ca.pem"}, check=True)
        self.assertTrue(done.stderr.startswith(b"more: --cursor "))
        heads, row = csv.reader(io.StringIO(done.stdout.decode(), newline=""), strict=True)
        self.assertEqual((len(heads), heads[0], heads[-1]), (8, "TIME", "MESSAGE"))
        self.assertEqual(row[3:], ["2", "10.0.0.4:40009", "10.1.0.1:502", "", "'=HYPERLINK(\"x\"),\\x1b\\x0a\u00e4"])
        self.assertEqual(len(self.millrace("pairs", "--csv").split("\n")), 4)
        for wrong in ("export", "--csv"), ("alerts", "--follow", "--long"), ("summary", "--csv"), ("alerts", "--csv", "--json"), ("flows", "--csv", "--long"), \
                ("pairs", "--all"), ("talkers", "--all", "--limit", "5"):
            self.millrace(*wrong, status=2)

    def test_arp_is_of_hosts_too(self):
        arp = {"timestamp": "2023-11-14T22:13:20.000000+0000", "event_type": "arp",
               "arp": {"opcode": "request", "src_ip": "10.9.0.1", "dest_ip": "10.9.0.2"}}
        self.assertEqual(self.post(4, [arp])[0], 200)
        self.assertRegex(self.millrace("events", "--ip", "10.9.0.2"), r" arp +10\.9\.0\.1 +10\.9\.0\.2 ")
        self.assertEqual(len(self.aggregator.records("/v1/events", src_ip="10.9.0.1")), 1)

    def test_times_may_be_ago(self):
        days = int((time.time() - 1700000000) / 86400)
        self.assertEqual(len(json.loads(self.millrace("events", "--since", f"{days + 1}d", "--json"))["records"]), 8)
        self.assertEqual(len(json.loads(self.millrace("events", "--until", f"{24 * (days + 1)}h", "--json"))["records"]), 0)
        self.assertEqual(len(json.loads(self.millrace("events", "--since", "90m", "--until", "1s", "--json"))["records"]), 0)
        self.assertEqual(len(json.loads(self.millrace("events", "--since", "1700000005", "--json"))["records"]), 4)
        self.millrace("events", "--since", "2w", status=1)

    def test_what_a_record_says_is_shown(self):
        shown = self.millrace("alerts")
        self.assertRegex(shown, r"DESTINATION +FLOW +MESSAGE\n.* 9007199254740991 +x\n")
        self.assertRegex(self.millrace("flows", "--ip", "fd00::7"), r"\[fd00::7\]:40005 +\[fd00::8\]:502 ")
        self.assertEqual([line.split()[0] for line in self.millrace("flows").split("\n")[1:-1]], ["second-1"] * 2 + ["second-5", "second-1"])
        shown = self.millrace("events", "--flow-id", "8", "--long").split("\n")
        self.assertEqual(shown[0], "sensor plant-1, lane flow, sequence 4")
        self.assertIn(["modbus.request.function_code", "RdHoldRegs"], [line.split() for line in shown])
        # Whatever its length.
        self.assertEqual(self.post(5, [event(9, "flow", flow_id=9, pad="\x1b" + "x" * 5000, list=[8] * 3000)], lane="flow")[0], 200)
        shown = self.millrace("events", "--flow-id", "9", "-l")
        self.assertIn("\\x1b" + "x" * 5000 + "\n", shown)
        self.assertIn("[" + "8," * 2999 + "8]\n", shown)
        self.millrace("talkers", "--long", status=2)

    def test_a_number_of_any_size_changes_no_other(self):
        """One of 64 bits without a sign, as the wire may have it."""
        self.assertEqual(self.post(2, [event(9, "alert", flow_id=9007199254740989, smb={"size": 2**64 - 1},
                                             alert={"signature_id": 2, "severity": 1, "signature": "wide"})], lane="alert")[0], 200)
        self.assertRegex(self.millrace("alerts"), r" +1 +2 +10\.0\.0\.4:40009 +10\.1\.0\.1:502 +9007199254740989 +wide\n")
        self.assertIn("sensor plant-1, lane alert, sequence 2\n", self.millrace("alerts", "--long"))
        self.assertIn('"sequence": 2,', self.millrace("alerts", "--json"))
        self.assertEqual([row["signature"] for row in self.aggregator.get("/v1/summary")[1]["alerts"]], ["x", "wide"])
        # As it comes, too.
        with subprocess.Popen([program("millrace/millrace"), "alerts", "--follow"], stdout=subprocess.PIPE, text=True, env={
                "MILLRACE_AGGREGATOR": "https://localhost:" + self.aggregator.api_port,
                "MILLRACE_TOKEN_FILE": self.aggregator.pki + "/token", "MILLRACE_CA": self.aggregator.pki + "/ca.pem"}) as follower:
            for _ in range(100):
                if self.aggregator.get("/v1/counters")[1]["aggregator"]["api.streams_open"] == 1:
                    break
                time.sleep(0.1)
            self.post(3, [event(10, "alert", smb={"size": 2**64 - 1}, alert={"signature_id": 2, "severity": 1, "signature": "wide"}),
                          event(11, "alert", alert={"signature_id": 2, "severity": 1, "signature": "last"})], lane="alert")
            self.assertTrue(follower.stdout.readline().endswith("  wide\n"))
            follower.kill()

    def test_from_an_alert_to_all_of_its_flow(self):
        def found(path, **parameters):
            return [(r["record"]["event_type"], r["record"]["n"]) for r in self.aggregator.records(path, **parameters)]
        id = self.aggregator.records("/v1/alerts")[0]["record"]["flow_id"]
        self.assertEqual(found("/v1/events", flow_id=id), [("flow", 3601), ("flow", 1801), ("modbus", 3), ("alert", 2), ("flow", 1)])
        self.assertEqual(found("/v1/flows", flow_id=id, since=1700000002), [("flow", 3601), ("flow", 1801)])
        self.assertEqual(found("/v1/alerts", flow_id=8), [])
        self.assertEqual(found("/v1/events", ip="fd00::/8"), [("flow", 5), ("modbus", 4)])
        self.assertEqual(found("/v1/flows", ip="10.1.0.0/16", until=1700000100), [("flow", 1)])
        self.assertEqual(len(json.loads(self.millrace("events", "--flow-id", str(id), "--json"))["records"]), 5)


class FramesOfATime(Case):
    """A sensor that was started anew, and one of which what came before is not known."""

    def setUp(self):
        super().setUp()

        def stats(second, run, uptime, received):
            record = event(second, "stats", stats={
                "uptime": uptime, "run": run, "capture": {"received": received, "processed": received - 1, "bytes": 10 * received,
                                                          "dropped": {"imissed": received // 10}}})
            return {key: record[key] for key in ("timestamp", "event_type", "stats")}
        one = [stats(10 * n, "a", 10 * n, 100 * n) for n in range(1, 11)] + [stats(105 + 5 * n, "b", 5 * n, 70 * n) for n in range(1, 6)]
        other = [stats(second, "c", 1000 + second, 5000 + 10 * second) for second in (50, 60, 70)]
        self.assertEqual(self.post(1, one, lane="stats")[0], 200)
        self.assertEqual(self.post(1, other, lane="stats", sensor="plant-2")[0], 200)

    def summary(self, sensor=None, **bounds):
        parameters = {key: 1700000000 + second for key, second in bounds.items()}
        if sensor:
            parameters["sensor"] = sensor
        status, summary = self.aggregator.get("/v1/summary", **parameters)
        self.assertEqual(status, 200)
        return summary["frames"]["received"], summary["frames"]["bytes"], summary["losses"]["capture.dropped.imissed"]

    def test_they_are_differences_within_runs(self):
        self.assertEqual(self.summary("plant-1"), (1350, 13500, 135))
        self.assertEqual(self.summary("plant-1", since=35, until=75), (400, 4000, 40))
        # From one run to the next.
        self.assertEqual(self.summary("plant-1", since=95, until=116), (100 + 140, 2400, 24))
        self.assertEqual(self.summary("plant-1", since=105), (350, 3500, 35))
        # It had begun, and what it had counted by then nobody knows.
        self.assertEqual(self.summary("plant-1", since=106), (280, 2800, 28))
        self.assertEqual(self.summary("plant-1", since=112), (280, 2800, 28))
        self.assertEqual(self.summary("plant-1", until=75), (700, 7000, 70))
        self.assertEqual(self.summary("plant-1", until=5), (0, 0, 0))
        self.assertEqual(self.summary("plant-1", since=1000), (0, 0, 0))
        self.assertEqual(self.summary("plant-1", since=-1000), (1350, 13500, 135))

    def test_what_is_not_known_is_not_counted(self):
        self.assertEqual(self.summary("plant-2"), (5700, 57000, 570))
        self.assertEqual(self.summary("plant-2", since=20), (200, 2000, 20))
        self.assertEqual(self.summary("plant-2", since=65), (100, 1000, 10))
        self.assertEqual(self.summary("plant-2", since=20, until=55), (0, 0, 0))
        self.assertEqual(self.summary(since=35, until=75), (600, 6000, 60))

    def test_what_one_sensor_says_takes_nothing_from_another(self):
        """Whatever it counts: from the least that an integer holds to the most."""
        def stats(second, received):
            record = event(second, "stats", stats={"uptime": 10**17, "run": "d", "capture": {"received": received}})
            return {key: record[key] for key in ("timestamp", "event_type", "stats")}
        self.assertEqual(self.post(4, [stats(50, -9 * 10**18), stats(60, 9 * 10**18)], lane="stats", sensor="plant-2")[0], 200)
        self.assertEqual(self.summary(since=55, until=75)[0], 2**63 - 1)
        self.assertEqual(self.summary("plant-1", since=55, until=75)[0], 200)

    def test_records_lost_are_told_when_they_are(self):
        self.assertEqual(self.post(20, [event(1)], lane="flow", Millrace_Skip_To="20")[0], 200)
        now = int(time.time())

        def lost(**bounds):
            return self.aggregator.get("/v1/summary", **bounds)[1]["losses"]
        self.assertEqual(lost()["link.records_lost_at_sensor"], 19)
        self.assertEqual(lost(since=now - 600)["link.records_lost_at_sensor"], 19)
        self.assertEqual(lost(until=now - 600)["link.records_lost_at_sensor"], 0)
        self.assertEqual(lost(since=now - 600, sensor="plant-2")["link.records_lost_at_sensor"], 0)
        self.assertIn("store.deleted_by_age", lost())
        self.assertNotIn("store.deleted_by_age", lost(since=now - 600))


class Runs(Case):
    """A sensor that says of each of its records that it was started anew. Retention takes no run away: what they had counted is in the
    totals for good."""

    settings = ("limits.reorder=0",) + (() if cluster.wanted() else ("store.bytes-max=16mb",))
    count = 400

    def counters(self):
        return self.aggregator.get("/v1/counters", sensor="plant-1")[1]["sensors"]

    def test_too_many_become_one(self):
        self.assertEqual(self.post(1, [event(n) for n in range(10)], sensor="plant-2"), (200, {"acked": 10}))
        connection = self.aggregator.connect()
        for first in range(1, self.count, 20):
            self.assertEqual(self.post(first, [self.stats(n) for n in range(first, first + 20)], lane="stats", connection=connection)[0], 200)
        self.assertEqual(self.post(self.count + 1, [self.stats(0, pad="x" * 300000)], lane="stats")[0], 200)  # is of no run
        deadline = time.monotonic() + 60
        while len(self.counters()) > 64:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.2)
        runs = self.counters()
        self.assertEqual((len(runs), [row["record"]["stats"]["run"] for row in runs][-2:]), (64, ["r399", "r400"]))
        self.assertEqual(runs[0]["record"]["stats"]["run"], "folded")
        self.assertEqual(runs[0]["record"]["stats"]["uptime"], self.count - 63)
        summary = self.aggregator.get("/v1/summary", sensor="plant-1")[1]
        self.assertEqual((summary["frames"]["received"], summary["losses"]["capture.dropped.imissed"]), (7 * self.count, 2 * self.count))
        # Of a part of their time nothing is known, of all of it everything.
        summary = self.aggregator.get("/v1/summary", sensor="plant-1", since=1700000000, until=1700000000 + self.count - 62)[1]
        self.assertEqual(summary["frames"]["received"], 7 * (self.count - 63))
        # One that is started now and then goes on so.
        self.assertEqual(self.post(self.count + 2, [self.stats(self.count + 1)], lane="stats")[0], 200)
        deadline = time.monotonic() + 30
        while self.counters()[-1]["record"]["stats"]["run"] != "r401" or len(self.counters()) > 64:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.2)
        self.assertEqual(self.aggregator.get("/v1/summary", sensor="plant-1")[1]["frames"]["received"], 7 * (self.count + 1))
        self.assertEqual(self.numbers(sensor="plant-2"), list(range(10)))

    def stats(self, n, pad="x" * 60000):
        record = event(n, "stats", stats={"uptime": 1, "run": f"r{n}", "pad": pad, "capture": {"received": 7, "dropped": {"imissed": 2}}})
        return {key: record[key] for key in ("timestamp", "event_type", "stats")}


class Upgrade(Case):
    """Tables of before flows had columns, two replicas of them; the third is a new one."""

    def test_a_cluster_of_before_is_taken_over(self):
        if not self.aggregator.cluster or len(cluster.SHARDS) > 1:
            self.skipTest("for a cluster of one shard")
        self.assertEqual(self.post(1, [event(1, flow_id=7), event(2, flow_id=7)])[0], 200)
        self.assertEqual(self.aggregator.stop(), 0)
        store = self.aggregator.cluster
        store.clickhouse("ALTER TABLE records DROP COLUMN flow_id, DROP COLUMN flow_part")
        columns = "SELECT count() FROM system.columns WHERE database = currentDatabase() AND table = 'records' AND name LIKE 'flow_%'"
        for replica in range(cluster.REPLICAS):
            for _ in range(100):
                if store.clickhouse(columns, replica) == "0\n":
                    break
                time.sleep(0.1)
            store.clickhouse("DROP TABLE schema_versions", replica)
            if replica == 2:
                store.clickhouse("DROP TABLE records", replica)
                continue
            store.clickhouse("CREATE TABLE schema_versions (version UInt32) ENGINE = TinyLog", replica)
            store.clickhouse("INSERT INTO schema_versions VALUES (1)", replica)
        self.aggregator.start()
        for replica in range(cluster.REPLICAS):
            self.assertEqual(store.clickhouse("SELECT max(version) FROM schema_versions", replica), "2\n")
            self.assertEqual(store.clickhouse(columns, replica), "2\n")
        self.assertEqual(self.post(3, [event(3, flow_id=7)])[0], 200)
        self.assertEqual(self.numbers(), [1, 2, 3])
        self.assertEqual(self.numbers(flow_id=7), [3])
        self.assertEqual(self.aggregator.stop(), 0)
        self.aggregator.start()
        self.assertEqual(self.numbers(), [1, 2, 3])


class Usage(unittest.TestCase):
    """What the command line says of what it cannot do, without an aggregator or a sensor."""

    def test_it_says_what_to_do(self):
        with tempfile.NamedTemporaryFile("w", suffix=".token") as token:
            token.write("x" * 40)
            token.flush()
            for args, status, says in (
                    (("export", "--follow"), 2, "--follow is for alerts"),
                    (("summary", "--aggregator", "http://localhost:1"), 2, "not a URL that begins with https://"),
                    (("summary", "--aggregator", "localhost:1"), 2, "not a URL that begins with https://"),
                    (("sensors", "invite"), 2, "one name is wanted"),
                    (("sensors", "revoke", "a", "b"), 2, "one name is wanted"),
                    (("sensors", "nothing"), 2, "no such verb"),
                    (("status", "--socket", "/nowhere.sock"), 3, "does the sensor run?")):
                done = subprocess.run([program("millrace/millrace"), "--token-file", token.name, *args],
                                      capture_output=True, text=True, check=False)
                self.assertEqual(done.returncode, status, (args, done.stderr))
                self.assertIn(says, done.stderr)


class Refusals(unittest.TestCase):
    """What the aggregator says of what it is given, before it listens."""

    def run_it(self, folder, verb, *words):
        pki = os.path.join(folder, "pki")
        if not os.path.exists(pki):
            subprocess.run([os.path.join(ROOT, "scripts/pki"), pki], check=True, env={**os.environ, "MILLRACE_PKI_NAMES": ""})
        config = os.path.join(folder, "aggregator.yaml")
        with open(config, "w") as out:
            out.write(f"listen: 127.0.0.1:0\ntls: {{ cert: {pki}/aggregator.pem, key: {pki}/aggregator.key, ca: {pki}/ca.pem }}\n"
                      f"api: {{ listen: '127.0.0.1:0', token-file: {pki}/token, tokens: {folder}/tokens }}\n"
                      f"store: {{ kind: sqlite, path: {folder}/store }}\n")
        return subprocess.run([program("aggregator/millrace-aggregator"), verb, "-c", config, *words], capture_output=True,
                              text=True, check=False, timeout=30)

    def test_check_says_what_run_would_end_at(self):
        with tempfile.TemporaryDirectory() as folder:
            for name, text in (("file", ""), ("half.pem", "-----BEGIN CERTIFICATE-----\nMIIB"), ("text", "no certificate")):
                with open(os.path.join(folder, name), "w") as out:
                    out.write(text)
            os.mkdir(f"{folder}/folder")
            mine = os.path.join(folder, "pki")
            for setting, says in ((f"store.path={folder}/file/db", f"store.path: {folder}/file/db: Not a directory"),
                                  (f"store.path={folder}/folder", f"store.path: {folder}/folder: Is a directory"),
                                  (f"enrol.state={folder}/file/state", f"enrol.state: {folder}/file/state: Not a directory"),
                                  (f"api.audit.path={folder}/file/audit", f"api.audit.path: {folder}/file/audit: Not a directory"),
                                  ("tls.cert=/nowhere.pem", "ingest: tls.cert: /nowhere.pem: No such file or directory"),
                                  ("api.cert=/nowhere.pem", "api: api.cert: /nowhere.pem: No such file or directory"),
                                  ("api.key=/nowhere.pem", "api: api.key: /nowhere.pem: No such file or directory"),
                                  (f"tls.cert={folder}/half.pem", f"tls.cert: {folder}/half.pem: is no PEM of that kind: bad end line"),
                                  (f"tls.cert={folder}/text", f"tls.cert: {folder}/text: is no PEM of that kind: no start line"),
                                  (f"tls.cert={folder}/folder", f"tls.cert: {folder}/folder: is no plain file"),
                                  (f"tls.key={mine}/ca.key", f"tls.key: {mine}/ca.key: error:05800074:x509 certificate routines::key values mismatch"),
                                  (f"tls.ca={folder}/text", f"tls.ca: {folder}/text: ")):
                done = self.run_it(folder, "check", "--set", setting)
                self.assertEqual(done.returncode, 2, (setting, done.stderr))
                self.assertIn(says, done.stderr)
                self.assertEqual(self.run_it(folder, "run", "--set", setting).returncode, 1, setting)
            done = self.run_it(folder, "check", "--set", f"store.path={folder}/new/er/db")
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertFalse(os.path.exists(f"{folder}/new"))
            done = self.run_it(folder, "check", "--set", f"store.path={folder}/db", "--set", "enrol.ca-key=/nowhere.key")
            self.assertIn("enrol.ca-key is given, but enrol.listen is not", done.stderr)
            self.assertEqual(done.returncode, 0)

    def test_a_certificate_that_it_may_not_read(self):
        """Root's key, and the service's user."""
        if os.geteuid() != 0:
            self.skipTest("root alone has files that others may not read, and may be another")
        with tempfile.TemporaryDirectory() as folder:
            self.run_it(folder, "check")
            os.chmod(folder, 0o755)
            os.chmod(f"{folder}/pki", 0o755)
            for name in os.listdir(f"{folder}/pki"):
                os.chmod(f"{folder}/pki/{name}", 0o644)
            for name, key in (("aggregator.pem", "tls.cert"), ("aggregator.key", "tls.key"), ("ca.pem", "tls.ca"), ("token", "api.token-file")):
                os.chmod(f"{folder}/pki/{name}", 0o600)
                done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", program("aggregator/millrace-aggregator"), "check", "-c",
                                       f"{folder}/aggregator.yaml"], capture_output=True, text=True, check=False)
                self.assertEqual(done.returncode, 2)
                self.assertIn(f"{key}: {folder}/pki/{name}: Permission denied", done.stderr)
                os.chmod(f"{folder}/pki/{name}", 0o644)

    def test_it_says_what_is_wrong(self):
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "store"), "w") as out:
                out.write("this is no database at all, but long enough to be looked at" * 20)
            run = self.run_it(folder, "run")
            self.assertEqual(run.returncode, 1)
            self.assertIn(f"store.path: {folder}/store: file is not a database\n", run.stderr)
            self.assertNotIn("PRAGMA", run.stderr)
            run = self.run_it(folder, "token", "grafana", "write")
            self.assertEqual((run.returncode, run.stdout), (1, ""))
            self.assertIn("scopes of read, export, admin are wanted", run.stderr)


class Control(unittest.TestCase):
    """The command line against a control socket that answers by the book, refuses, breaks off, or is not there."""

    def ask(self, answer, *args):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "control.sock")
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(path)
            listener.listen()
            asked = []

            def serve():
                peer, _ = listener.accept()
                with peer, peer.makefile("rwb") as stream:
                    asked.append(stream.readline())
                    stream.write(answer)
            server = threading.Thread(target=serve)
            server.start()
            done = subprocess.run([program("millrace/millrace"), *args, "--socket", path], capture_output=True)
            server.join()
            listener.close()
        return done, json.loads(asked[0])

    def test_status_and_any_verb(self):
        done, asked = self.ask(b'{"ok":true,"capture":{"received":7},"name":"\\u001b[2J"}\n', "status")
        self.assertEqual((done.returncode, asked), (0, {"verb": "status"}))
        self.assertIn(b"capture.received", done.stdout)
        done, _ = self.ask(b'{"ok":true,"losses":{},"links":{"eth1":"up"}}\n', "status")
        self.assertEqual([line.split() for line in done.stdout.decode().splitlines()],
                         [["ok", "true"], ["losses", "none"], ["links.eth1", "up"]])
        self.assertNotIn(b"\x1b", done.stdout)
        done, asked = self.ask(b'{"ok":true}\n', "control", "log.level", '{"level":"debug"}', "--json")
        self.assertEqual((done.returncode, asked), (0, {"verb": "log.level", "level": "debug"}))
        self.assertEqual(json.loads(done.stdout), {"ok": True})

    def test_refusals_and_broken_answers(self):
        self.assertEqual(self.ask(b'{"ok":false,"error":"no"}\n', "status")[0].returncode, 1)
        self.assertEqual(self.ask(b'no json\n', "status")[0].returncode, 1)
        self.assertEqual(self.ask(b'{"ok":tr', "status")[0].returncode, 3)
        nobody = subprocess.run([program("millrace/millrace"), "status", "--socket", "/nowhere"], capture_output=True)
        self.assertEqual(nobody.returncode, 3)


class Retention(Case):
    settings = ("store.records-max=100",)

    def test_whole_partitions_go_and_are_counted(self):
        if not self.aggregator.cluster:
            self.skipTest("the store sqlite deletes to the record")
        connection = self.aggregator.connect()
        for first in range(1, 1001, 10):
            self.assertEqual(self.post(first, [event(n) for n in range(first, first + 10)], connection=connection)[0], 200)
        for _ in range(600):
            _, counters = self.aggregator.get("/v1/counters")
            if counters["retention"]["records"] <= 100:
                break
            time.sleep(0.1)
        kept = self.numbers()
        self.assertTrue(80 <= len(kept) <= 100, len(kept))
        self.assertEqual(kept, list(range(1001 - len(kept), 1001)))
        self.assertEqual(counters["retention"]["deleted_by_records"], 1000 - len(kept))

    def test_the_oldest_go_and_are_counted(self):
        if self.aggregator.cluster:
            self.skipTest("the store clickhouse drops whole partitions")
        self.assertEqual(self.post(1, [event(n) for n in range(1, 1001)]), (200, {"acked": 1000}))
        for _ in range(100):
            _, counters = self.aggregator.get("/v1/counters")
            if counters["retention"]["records"] == 100:
                break
            time.sleep(0.1)
        self.assertEqual(counters["retention"]["deleted_by_records"], 900)
        self.assertEqual(self.numbers(), list(range(901, 1001)))


class Senders(Case):
    settings = ("limits.sensor-records=0",)

    def test_the_load_generator_counts_what_is_stored(self):
        if not os.path.exists(program("bench/millrace-bench")):
            self.skipTest("millrace-bench is not built")
        lines = os.path.join(self.aggregator.dir.name, "eve.json")
        with open(lines, "wb") as file:
            file.write(ndjson([event(n) for n in range(1, 501)]))
        done = subprocess.run([program("bench/millrace-bench"), "senders", lines, "--pki", self.aggregator.pki, "--port",
                               self.aggregator.port, "--senders", "20", "--batch", "30", "--interval", "0.2",
                               "--seconds", "8" if self.aggregator.cluster else "1", "--pid", str(self.aggregator.process.pid)], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        told = int(next(line.split()[1] for line in done.stdout.splitlines() if line.startswith("records")))
        _, sensors = self.aggregator.get("/v1/sensors")
        self.assertEqual(len(sensors["sensors"]), 20)
        # Beside what it tells: the first batch of each, and those on their way at its end.
        stored = sum(sensor["records"] for sensor in sensors["sensors"])
        self.assertGreaterEqual(told, 20 * 30)
        self.assertTrue(told <= stored <= told + 2 * 20 * 30, (told, stored))


class Bench(unittest.TestCase):
    def test_what_is_no_record_is_named(self):
        if not os.path.exists(program("bench/millrace-bench")):
            self.skipTest("millrace-bench is not built")
        for text, says in ((b'{"a":1}\n{"a":2}\n{"a":\n', ":3: not a line of EVE: not a JSON value\n"), (b"\0\n", ":1: not a line of EVE: not a JSON object\n"),
                           (b"{}", ": has no whole line\n")):
            with tempfile.TemporaryDirectory() as folder:
                path = os.path.join(folder, "eve.json")
                with open(path, "wb") as file:
                    file.write(text)
                done = subprocess.run([program("bench/millrace-bench"), "store", path, "--path", f"{folder}/db"], capture_output=True, text=True)
                self.assertEqual((done.returncode, done.stderr), (1, f"millrace-bench: {path}{says}"))


class Silence(Case):
    settings = ("sensors.silent-after=3",)

    def silent(self):
        return {row["sensor"]: row["silent"] for row in self.aggregator.get("/v1/sensors")[1]["sensors"]}

    def counters(self):
        counters = self.aggregator.get("/v1/counters")[1]["aggregator"]
        return counters["sensors.silent"], counters["sensors.silences"]

    def test_a_sensor_that_says_nothing_is_missed(self):
        sent = {"plant-1": 0, "plant-2": 0}

        def say(sensor):
            sent[sensor] += 1
            self.assertEqual(self.post(sent[sensor], [event(sent[sensor])], sensor=sensor)[0], 200)

        def until(expected, speaker):
            for _ in range(60):
                say(speaker)
                if self.silent() == expected:
                    return
                time.sleep(0.5)
            self.assertEqual(self.silent(), expected)

        say("plant-1")
        until({"plant-1": False, "plant-2": False}, "plant-2")
        self.assertEqual(self.counters(), (0, 0))
        until({"plant-1": True, "plant-2": False}, "plant-2")
        self.assertEqual(self.counters(), (1, 1))
        until({"plant-1": False, "plant-2": True}, "plant-1")
        self.assertEqual(self.counters()[0], 1)
        asked = [program("millrace/millrace"), "sensors", "--aggregator", f"https://127.0.0.1:{self.aggregator.api_port}",
                 "--ca", f"{self.aggregator.pki}/ca.pem", "--token-file", f"{self.aggregator.pki}/token"]
        told = subprocess.run(asked, capture_output=True, text=True).stdout
        self.assertRegex(told, r"SENSOR .* SILENT")
        self.assertRegex(told, r"plant-2 .* true ")

    def test_a_clock_that_was_set_back(self):
        """The store keeps the later time of a sensor; that it delivers is seen all the same."""
        if self.aggregator.cluster:
            self.skipTest("the time is put into the file of sqlite")
        self.assertEqual(self.post(1, [event(1)])[0], 200)
        with sqlite3.connect(os.path.join(self.aggregator.dir.name, "records.db"), timeout=10) as store:
            store.execute("UPDATE sensors SET last_seen_s = 4000000000")
        for n in range(2, 14):
            self.assertEqual(self.post(n, [event(n)])[0], 200)
            time.sleep(0.5)
            self.assertEqual(self.silent(), {"plant-1": False})
        self.assertEqual(self.counters(), (0, 0))


class Lost(Case):
    """A disk that takes nothing any more, though it is not full: to the program, a limit of its files' size is one."""

    def setUp(self):
        super().setUp()
        if self.aggregator.cluster:
            self.skipTest("the cluster's servers come back by themselves")
        self.assertEqual(self.post(1, [event(1)])[0], 200)

    def let_write(self, limit):
        resource.prlimit(self.aggregator.process.pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

    def test_it_comes_back(self):
        self.let_write(0)
        for _ in range(12):
            self.assertEqual(self.post(2, [event(2)])[0], 503)
        self.let_write(resource.RLIM_INFINITY)
        self.assertEqual(self.post(2, [event(2)]), (200, {"acked": 2}))
        time.sleep(11)
        self.assertEqual(self.post(3, [event(3)]), (200, {"acked": 3}))

    def test_it_does_not(self):
        """A service manager starts the aggregator anew, which opens what is there by then; as it is it could not."""
        self.let_write(0)
        began = time.monotonic()
        while self.aggregator.process.poll() is None and time.monotonic() < began + 30:
            with contextlib.suppress(OSError, http.client.HTTPException):
                self.assertEqual(self.post(2, [event(2)])[0], 503)
            time.sleep(0.3)
        self.assertEqual(self.aggregator.process.wait(10), 1)
        self.assertGreater(time.monotonic(), began + 10)
        self.aggregator.start()
        self.assertEqual(self.post(2, [event(2)]), (200, {"acked": 2}))


class Backup(Case):
    def test_a_copy_taken_while_records_come_in_is_whole(self):
        if self.aggregator.cluster:
            self.skipTest("each of the store's databases has its own way")
        self.assertEqual(self.post(1, [event(n) for n in range(1, 2001)]), (200, {"acked": 2000}))
        done, answers = threading.Event(), []

        def feed():
            connection, first = self.aggregator.connect(), 2001
            while not done.is_set():
                answers.append(self.post(first, [event(n) for n in range(first, first + 50)], connection=connection))
                first += 50
        feeder = threading.Thread(target=feed)
        feeder.start()
        copy = os.path.join(self.aggregator.dir.name, "copy.db")
        command = [program("aggregator/millrace-aggregator"), "backup", "-c", self.aggregator.config, copy]
        try:
            self.assertEqual(subprocess.run(command).returncode, 0)
            self.assertEqual(subprocess.run(command, capture_output=True).returncode, 1)
        finally:
            done.set()
            feeder.join()
        self.assertTrue(all(status == 200 for status, _ in answers))
        kept = [json.loads(line)["n"] for *_, line in store.records(copy)]
        self.assertGreaterEqual(len(kept), 2000)
        self.assertEqual(kept, list(range(1, len(kept) + 1)))
        self.aggregator.stop()
        os.rename(copy, os.path.join(self.aggregator.dir.name, "records.db"))
        for end in ("-wal", "-shm"):
            if os.path.exists(os.path.join(self.aggregator.dir.name, "records.db" + end)):
                os.unlink(os.path.join(self.aggregator.dir.name, "records.db" + end))
        self.aggregator.start()
        self.assertEqual(self.numbers(), kept)


class CommandLine(unittest.TestCase):
    def run_it(self, *args):
        return subprocess.run([program("aggregator/millrace-aggregator"), *args], capture_output=True)

    def test_wrong_use_and_configuration(self):
        self.assertEqual(self.run_it("--help").returncode, 0)
        self.assertEqual(self.run_it("--version").returncode, 0)
        self.assertEqual(self.run_it().returncode, 2)
        self.assertEqual(self.run_it("run").returncode, 2)
        self.assertEqual(self.run_it("run", "-c", "/nowhere").returncode, 2)
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write("listne: x\n")
            file.flush()
            done = self.run_it("check", "-c", file.name)
        self.assertEqual(done.returncode, 2)
        self.assertIn(b"listen", done.stderr)

    def test_help_is_had_anywhere(self):
        def ask(*args):
            return subprocess.run([program("millrace/millrace"), *args], capture_output=True, text=True)

        for args in (["--help"], ["-h"], ["help"], ["flows", "--help"], ["rules", "top", "-h"]):
            done = ask(*args)
            self.assertEqual((args, done.returncode, done.stdout[:7]), (args, 0, "usage: "))
        self.assertIn("which verb", ask().stderr)
        self.assertEqual((ask().returncode, ask("nothing").returncode), (2, 2))


def main():
    global BUILD
    program_path = sys.argv[0]
    BUILD = os.path.abspath(sys.argv.pop(1)) if len(sys.argv) > 1 and not sys.argv[1].startswith("-") else build_dir()
    if len(sys.argv) > 1:
        unittest.main(verbosity=2)
    with tempfile.TemporaryDirectory(prefix="millrace-pki-") as folder:
        pki = make_pki(os.path.join(folder, "pki"))
        parallel.main([program_path, BUILD], {"MILLRACE_TEST_PKI": pki})


if __name__ == "__main__":
    main()
