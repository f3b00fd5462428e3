#!/usr/bin/env -S python3 -B
"""Whoever can reach the status server can only read, and can't hurt the training: every method,
foreign Hosts and Origins, broken and hostile requests, floods; and nothing is opened by default."""

import ctypes.util
import getpass
import json
import os
import random
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

from lockstep_http import (PATHS, Served, forget_peak, listeners_of, peak_kib, sockets_of)
from lockstep_jobs import MPIEXEC, environment
from lockstep_test import main

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT")
NO_METHODS = ("PRI", "FOO", "get", "GETGET", "G\\x00ET", "\udcff")
NO_PATHS = ("/favicon.ico", "/status/", "/api", "/api/", "/../etc/passwd", "/%2e%2e/etc/passwd",
            "//evil/status", "/save", "/stop", "/status%00x", "*", "status", "http://evil/status")
SEED = 20240607
CLASS_SECONDS = 200  # of a job that is there for all tests of a class
DEADLINE = 5  # of the server's, for a head
SLACK = 3
MOST_KIB = 64 << 10  # that clients may cost, all together
# Plain MPI, through the library that lockstepd has: what listens then is MPI's.
PLAIN = """
import ctypes, os, sys, time
mpi = ctypes.CDLL(sys.argv[1], mode=ctypes.RTLD_GLOBAL)
mpi.MPI_Init(None, None)
open(sys.argv[2] + "/plain" + os.environ["OMPI_COMM_WORLD_RANK"], "w").write(str(os.getpid()))
time.sleep(60)
"""


class Guarded(Served):
    """One job for all tests of the class; each leaves it at work, served, and no larger."""

    @classmethod
    def setUpClass(cls):
        made = cls.of_class()
        cls.place = made.site("origin")
        cls.place.launcher = lambda ranks: [MPIEXEC, "-n", ranks, "--oversubscribe", "--timeout",
                                            CLASS_SECONDS]
        cls.job, cls.server = made.serve(cls.place)
        cls.pid = cls.server.json()["process"]

    def setUp(self):
        self.server.check = self.expect_guarded
        self.before = self.server.json()["iteration"]
        time.sleep(1.2)  # what the last test left behind is closed
        self.idle_sockets = len(sockets_of(self.pid))
        forget_peak(self.pid)
        self.start_kib = peak_kib(self.pid)

    def tearDown(self):
        self.job.until(lambda: self.server.json()["iteration"] > self.before, "another iteration")
        self.assertLess(peak_kib(self.pid) - self.start_kib, MOST_KIB)
        self.until_closed(DEADLINE + SLACK)

    def until_closed(self, seconds):
        """The server has closed every connection of this test."""
        end = time.monotonic() + seconds
        while (left := len(sockets_of(self.pid))) > self.idle_sockets:
            self.assertLess(time.monotonic(), end, f"{left - self.idle_sockets} still open")
            time.sleep(0.05)

    def expect(self, status, raw, what=None):
        """A status, or one of several; None among them: it may be closed without a word."""
        answer = self.server.ask(raw)
        wanted = status if isinstance(status, tuple) else (status,)
        self.assertIn(answer.status, wanted, (what or raw[:300], answer.headers, answer.body[:200]))
        return answer


class Rules(Guarded):
    def test_get_is_the_only_method_whatever_the_path(self):
        for method in METHODS + NO_METHODS:
            for path in PATHS + NO_PATHS:
                with self.subTest(method=method, path=path):
                    if method == "GET" and path == "/events":
                        continue
                    wanted = 405 if method in METHODS else (400, 405)
                    if method == "GET":
                        wanted = 200 if path in PATHS else (400, 404)
                    answer = self.expect(wanted, self.server.request(path, method=method))
                    if answer.status == 405:
                        self.assertEqual(answer.header("allow"), "GET")
                    if answer.status != 200:  # no echo of what was asked
                        self.assertNotIn(b"evil", answer.body)

    def test_only_the_hosts_of_this_address_are_served(self):
        port = self.server.port
        good = [f"127.0.0.1:{port}", f"localhost:{port}", f"LocalHost:{port}"]
        # Names that a rebinding attacker makes lead here, and other spellings of the address.
        bad = ["localhost", "127.0.0.1", "127.0.0.1:1", f"127.0.0.1:0{port}", f"evil.example:{port}",
               "evil.example", f"127.0.0.1.nip.io:{port}", f"localtest.me:{port}",
               f"127.0.0.1:{port}.evil.example", f"localhost.evil.example:{port}", f"[::1]:{port}",
               f"0.0.0.0:{port}", f"127.1:{port}", f"2130706433:{port}", f"0x7f000001:{port}",
               f"127.0.0.2:{port}", f"localhost.:{port}", f"user@127.0.0.1:{port}",
               f"127.0.0.1:{port}/", f"127.0.0.1:{port},evil", f"127.0.0.1:{port} evil",
               f"%3127.0.0.1:{port}", f"localhost%3A{port}", f"127.0.0.1:{port}%20", "*", "null"]
        for path in ("/status", "/events", "/", "/metrics"):
            for host in bad:
                with self.subTest(path=path, host=host):
                    self.expect((400, 403), self.server.request(path, host=host))
        for host in good:
            self.expect(200, self.server.request("/status", host=host))
        line = f"Host: {self.server.host}\r\n"
        for name, lines in {"none": "", "empty": "Host:\r\n", "blank": "Host:  \r\n",
                            "twice": line * 2, "and another": line + "host: evil\r\n",
                            "another first": "HOST: evil\r\n" + line}.items():
            for version in ("1.1", "1.0"):
                with self.subTest(hosts=name, version=version):
                    self.expect(400, f"GET /status HTTP/{version}\r\n{lines}\r\n".encode())

    def test_any_origin_is_refused_its_own_too(self):
        for origin in ("null", "http://evil.example", f"http://{self.server.host}", "", "*"):
            for path in ("/status", "/events", "/"):
                with self.subTest(origin=origin, path=path):
                    self.expect((400, 403), self.server.request(path, f"Origin: {origin}"))

    def test_a_head_that_two_readers_would_read_differently_is_refused(self):
        host = f"Host: {self.server.host}\r\n"
        heads = {
            "bare LF hides Origin": f"{host}Origin: null\n\r\n",
            "bare LF hides Host": f"Host: evil\n{host}",
            "bare LF joins": f"{host}X: y\nOrigin: null\r\n",
            "folded line": f"{host}X: y\r\n Origin: null\r\n",
            "folded host": f"Host:\r\n {self.server.host}\r\n",
            "space before colon": f"{host}Origin : null\r\n",
            "space before name": f"{host} Origin: null\r\n",
            "NUL in a name": f"{host}Or\0igin: null\r\n",
            "NUL in a value": f"{host}X: a\0b\r\n",
            "NUL in Host": f"Host: {self.server.host}\0.evil\r\n",
            "bare CR": f"{host}X: y\rOrigin: null\r\n",
            "no colon": f"{host}nonsense\r\n",
            "no name": f"{host}: nobody\r\n",
            "both lengths": f"{host}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "two lengths": f"{host}Content-Length: 0\r\nContent-Length: 5\r\n",
            "no number": f"{host}Content-Length: -1\r\n",
            "a body": f"{host}Content-Length: 5\r\n",
            "chunks": f"{host}Transfer-Encoding: chunked\r\n"}
        for name, lines in heads.items():
            with self.subTest(name):
                self.expect((400, 403, 413), f"GET /status HTTP/1.1\r\n{lines}\r\nabcde".encode(),
                            name)
        lines = {"no version": "GET /status", "another version": "GET /status HTTP/2.0",
                 "tabs": "GET\t/status\tHTTP/1.1",
                 "NUL": "GET /status\0 HTTP/1.1", "absolute": "GET http://evil/status HTTP/1.1",
                 "only a space": " ", "nothing": ""}
        for name, line in lines.items():
            with self.subTest(name):
                self.expect((400, 404), f"{line}\r\n{host}\r\n".encode(), name)
        # A second request behind the first gets no answer.
        twice = self.server.request("/status") + self.server.request("/metrics")
        self.assertNotIn(b"lockstep_running", self.expect(200, twice).body)

    def test_too_long_lines_and_heads_are_refused(self):
        host = f"Host: {self.server.host}\r\n".encode()
        first = b"GET /status HTTP/1.1\r\n" + host
        self.expect(414, b"GET /" + b"a" * 4096 + b" HTTP/1.1\r\n" + host + b"\r\n")
        self.expect(414, b"GET /" + b"a" * (1 << 20))
        self.expect(431, first + b"X: " + b"y" * 8192 + b"\r\n\r\n")
        self.expect(431, first + b"X: y\r\n" * 2000 + b"\r\n")
        self.expect(431, first + b"X: y\r\n" * 100_000)
        self.expect(200, first + b"X: " + b"y" * 7000 + b"\r\n\r\n")  # below the limit

    def test_an_answer_is_never_larger_than_what_it_tells(self):
        whole = len(self.server.get("/api/curves").body)
        for ranges in ("0-", "0-3", "-5", ",".join(["0-"] * 2000), ",".join(["1-1"] * 1900),
                       "9" * 30 + "-", "0-9," * 1900, "5-1"):
            with self.subTest(ranges[:20]):
                answer = self.server.get("/api/curves", f"Range: bytes={ranges}")
                self.assertLess(len(answer.body), 2 * whole + 4096)
        for lines in (["Accept-Encoding: gzip, br, deflate"], ["Expect: 100-continue"],
                      ["Upgrade: websocket", "Connection: Upgrade"], ["If-None-Match: *"],
                      ["X-HTTP-Method-Override: POST"], ["X-Forwarded-Host: evil"]):
            with self.subTest(lines):
                answer = self.server.get("/status", *lines)
                self.assertIn(answer.status, (200, 400, 413, 417), answer)
                # Brotli took 0.4 s of the job's host for the page, on the thread that serves all.
                self.assertIsNone(answer.header("content-encoding"))
                if answer.status == 200:
                    answer.json()

    def test_only_loopback_itself_is_listened_at(self):
        addresses = {"127.0.0.2", "::1"}
        for found in socket.getaddrinfo(socket.gethostname(), None):
            addresses.add(found[4][0])
        said = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=False)
        for address in (addresses | set(said.stdout.split())) - {"127.0.0.1"}:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            with self.subTest(address), socket.socket(family) as client:
                client.settimeout(2)
                self.assertRaises(OSError, client.connect, (address, self.server.port))

    def test_metrics_hold_no_name_of_anybody_or_anything(self):
        status = self.server.json()
        text = self.server.get("/metrics").body.decode().replace("lockstep_", "")
        for word in (status["run"], status["host"], status["store"], status["store_id"],
                     getpass.getuser(), str(self.place.folder.parent), socket.gethostname(),
                     "/", status["started"]):
            self.assertNotIn(word, text.replace('version="', ""), word)


class Floods(Guarded):
    def expect_served(self):
        began = time.monotonic()
        self.assertEqual(self.server.get("/status").status, 200)
        self.assertLess(time.monotonic() - began, 2)

    def expect_closed_in_time(self, clients, began):
        """The server closes each of them. Nothing may be left to read."""
        watched = {client.fileno(): client for client in clients}
        poller = select.poll()
        for number in watched:
            poller.register(number, select.POLLIN)
        while watched:
            self.assertLess(time.monotonic() - began, DEADLINE + SLACK, f"{len(watched)} are open")
            for number, _ in poller.poll(200):
                try:
                    over = not watched[number].recv(1 << 16)
                except OSError:
                    over = True
                if over:
                    poller.unregister(number)
                    watched.pop(number).close()

    def test_200_idle_clients(self):
        began = time.monotonic()
        clients = []
        for _ in range(200):
            clients.append(self.server.connect())
            if len(clients) % 20 == 0:
                self.expect_served()
        self.expect_served()
        self.assertLess(len(sockets_of(self.pid)) - self.idle_sockets, 40)
        self.expect_closed_in_time(clients, began)

    def test_clients_that_send_a_byte_at_a_time(self):
        began = time.monotonic()
        clients = [self.server.connect() for _ in range(30)]
        for byte in self.server.request("/status", "X: " + "y" * 200)[:-1]:
            for client in clients:
                try:
                    client.sendall(bytes([byte]))
                except OSError:
                    pass
            self.expect_served()
            if time.monotonic() - began > DEADLINE + 1:
                break
            time.sleep(0.1)
        self.expect_closed_in_time(clients, began)

    def test_clients_that_read_nothing(self):
        clients = []
        for at in range(60):
            client = socket.socket()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)  # before it connects
            client.connect(("127.0.0.1", self.server.port))
            client.sendall(self.server.request(("/", "/api/curves", "/status")[at % 3]))
            clients.append(client)
            self.expect_served()
        self.until_closed(DEADLINE + SLACK)
        for client in clients:
            client.close()

    def test_streams_that_nobody_reads_leave_room_for_others(self):
        clients = []
        for _ in range(60):
            client = self.server.connect()
            client.sendall(self.server.request("/events"))
            clients.append(client)
            self.expect_served()
        refused = 0
        for client in clients:
            refused += client.recv(12) == b"HTTP/1.1 503"
        self.assertEqual(refused, 60 - 16)
        self.expect_served()
        for client in clients:
            client.close()
        self.until_closed(2)
        self.assertEqual(len(self.server.events(1)), 1)  # there is room again

    def test_clients_that_go_away_at_once_or_in_the_middle(self):
        for at in range(500):
            client = self.server.connect()
            client.sendall(self.server.request(PATHS[at % len(PATHS)])[:at % 80])
            if at % 2:  # RST
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            client.close()
        self.expect_served()
        self.until_closed(2)

    def test_random_garbage(self):
        chance = random.Random(SEED)
        good = self.server.request("/status", "Accept: */*", "User-Agent: x")
        for _ in range(400):
            kind = chance.randrange(4)
            if kind == 0:
                raw = chance.randbytes(chance.randrange(1, 3000))
            elif kind == 1:  # some bytes changed
                raw = bytearray(good)
                for _ in range(chance.randrange(1, 6)):
                    raw[chance.randrange(len(raw))] = chance.randrange(256)
                raw = bytes(raw)
            elif kind == 2:  # a piece twice
                a, b = sorted(chance.randrange(len(good)) for _ in range(2))
                raw = good[:b] + good[a:]
            else:
                raw = good[:-2] + chance.randbytes(40) + b": " + chance.randbytes(99) + b"\r\n\r\n"
            with self.server.connect() as client:
                client.sendall(raw)
                client.shutdown(socket.SHUT_WR)  # it has no more to say: no deadline to wait for
                try:
                    while client.recv(1 << 16):
                        pass
                except OSError:
                    pass
        self.expect_served()


class Ending(Served):
    def test_a_flood_of_connections_does_not_hold_up_the_end(self):
        site = self.site()
        job, server = self.serve(site, ranks=1)
        flooding = threading.Event()

        def flood():
            while not flooding.is_set():
                try:
                    with socket.create_connection(("127.0.0.1", server.port), 1) as client:
                        client.sendall(server.request("/status"))
                except OSError:
                    pass

        threads = [threading.Thread(target=flood) for _ in range(8)]
        for thread in threads:
            thread.start()
        self.addCleanup(flooding.set)
        time.sleep(1)
        began = time.monotonic()
        try:
            self.stop(site, job)
        finally:
            flooding.set()
            for thread in threads:
                thread.join()
        self.assertLess(time.monotonic() - began, 15)


class Listeners(Served):
    def of_job(self, site, **sections):
        job = site.start(ranks=2, **{"run": {"max_iterations": 10**7}, "task": {"iteration_ms": 10},
                                     **sections})
        job.until(lambda: site.store.iteration() > 5, "some iterations")
        return job, [listeners_of(job.pids(rank)[0]) for rank in range(2)]

    def test_a_default_run_listens_nowhere_but_where_plain_mpi_does(self):
        folder = self.site("plain").folder
        library = ctypes.util.find_library("mpi")
        self.assertTrue(library, "no libmpi to compare with")
        argv = [MPIEXEC, "-n", "2", "--oversubscribe", "--timeout", "60", sys.executable, "-c", PLAIN,
                library, folder]
        plain = subprocess.Popen(list(map(str, argv)), env=environment(), stdin=subprocess.DEVNULL)
        self.addCleanup(plain.wait)
        self.addCleanup(plain.terminate)
        end = time.monotonic() + 30
        while not all((folder / f"plain{rank}").exists() for rank in range(2)):
            self.assertLess(time.monotonic(), end, "plain MPI did not start")
            time.sleep(0.05)
        time.sleep(0.5)
        kinds = [[kind for kind, *_ in listeners_of(int((folder / f"plain{rank}").read_text()))]
                 for rank in range(2)]
        plain.terminate()
        plain.wait(20)

        site = self.site()
        job, found = self.of_job(site)
        self.assertEqual([[kind for kind, *_ in one] for one in found], kinds)
        for _, _, port in (one for rank in found for one in rank if one[0] != "unix"):
            with socket.create_connection(("127.0.0.1", port), 2) as client:
                client.settimeout(1)
                client.sendall(b"GET /status HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % port)
                try:
                    self.assertNotIn(b"HTTP", client.recv(4096))
                except OSError:
                    pass
        self.assertFalse((site.store.attempt(1) / "control.json").exists())
        self.stop(site, job)

        # The same job, served: one listener more, of rank 0. So the comparison can tell.
        served = self.site("served")
        job, found = self.of_job(served, control={"listen": "127.0.0.1:0"})
        server = self.server_of(served, job)
        self.assertEqual([kind for kind, *_ in found[1]], kinds[1])
        LOOPBACK = "0100007F"
        mine = ("tcp", LOOPBACK, server.port)
        self.assertIn(mine, found[0])
        found[0].remove(mine)
        self.assertEqual([kind for kind, *_ in found[0]], kinds[0])
        self.stop(served, job)

    @unittest.skipUnless(os.geteuid() == 0 and shutil.which("setpriv"), "needs root and setpriv")
    def test_another_user_can_not_connect_to_the_socket(self):
        folder = Path(tempfile.mkdtemp(prefix="lockstep-"))  # short, and for all to enter
        self.addCleanup(shutil.rmtree, folder)
        folder.chmod(0o755)
        site, path = self.site(), folder / "job.sock"
        job, server = self.serve(site, ranks=1, control={"listen": f"unix:{path}"})
        code = ("import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); "
                "s.sendall(b'GET /status HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n'); "
                "print(s.recv(15))")

        def as_nobody():
            return subprocess.run(["setpriv", "--reuid", "65534", "--regid", "65534",
                                   "--clear-groups", sys.executable, "-c", code, path],
                                  capture_output=True, text=True, check=False, cwd="/")

        self.assertEqual(path.stat().st_mode & 0o7777, 0o600)
        self.assertIn("PermissionError", as_nobody().stderr)
        path.chmod(0o666)  # so it is the mode that keeps them out
        self.assertIn("200", as_nobody().stdout)
        self.stop(site, job)
        self.assertFalse(path.exists())


class Hostile(Served):
    def test_names_and_files_of_a_store_are_shown_as_text_or_not_at_all(self):
        site = self.site("<img src=x onerror=alert(1)>&'\"")
        job, server = self.serve(site, ranks=1, run={"id": "a-run", "max_iterations": 10**7})
        requests = site.store.attempt(1) / "requests"
        junk = site.folder / "junk"  # whole before the job sees it: it removes what is no request
        junk.mkdir()
        (junk / "link").symlink_to("/etc/passwd")
        (junk / ("c" * 32)).symlink_to("/etc/passwd")
        (junk / "<script>alert(2)<script>").write_text("<script>")
        os.mkfifo(junk / "pipe")
        with open(junk / ("d" * 32), "wb") as huge:
            huge.truncate(1 << 34)
        (junk / ("e" * 32)).write_text('{"request":"stop","digest":"' + "0" * 32 + '"}')
        requests.mkdir(exist_ok=True)
        for path in junk.iterdir():
            path.rename(requests / path.name)
        (site.store.path / "attempts" / "<b>").mkdir()
        (site.store.path / "checkpoints" / "0001-<i>").mkdir(parents=True, exist_ok=True)
        job.until(lambda: "in requests/ ignored" in job.err(), "the request files are ignored")
        pid = server.json()["process"]
        seen = server.json()["iteration"]
        job.until(lambda: server.json()["iteration"] > seen + 20, "training goes on")
        self.assertLess(peak_kib(pid), 1 << 20)  # nobody reads 16 GiB
        status = server.json()
        self.assertEqual(status["store"], str(site.store.path))
        self.assertEqual(status["alive"], True)
        for path in PATHS:
            if path == "/events":
                continue
            text = server.get(path).body.decode()
            for word in ("alert(2)", "root:", "0001-<i>"):
                self.assertNotIn(word, text, path)
            if path in ("/", "/metrics"):  # what a browser would read as HTML has none of it
                for word in ("alert(1)", "a-run", "onerror=alert"):
                    self.assertNotIn(word, text, path)
            elif path.startswith("/api") or path == "/status":
                self.assertEqual(server.get(path).header("content-type"), "application/json")
        self.stop(site, job)

    def test_a_hostile_curve_costs_nothing_but_its_lines(self):
        site = self.site()
        site.trained(20, run={"id": "r"}, metrics={"interval": 10})
        point = {"event": "interval", "run": "r", "attempt": 1, "loss": 1.0}
        lines = [b"[" * 60000, b"[" * 30000 + b"]" * 30000, b"\0" * 1000, b"\xff\xfe" * 100,
                 b"x" * 10_000_000, b"", b"null", b'{"event":"interval"}',
                 *(json.dumps({**point, **more}).encode() for more in (
                     {"iteration": -1}, {"iteration": 1e308}, {"iteration": "30"},
                     {"iteration": 2**63}, {"iteration": 2**64}, {"iteration": 25, "loss": "<b>"},
                     {"iteration": 26, "loss": float("nan")}, {"iteration": 27, "loss": 10**400},
                     {"iteration": 28, "event": "evaluation",
                      "metrics": {"</script><script>alert(3)</script>": 1, "\ud800": 2,
                                  "n" * 5000: 3, **{f"m{i}": i for i in range(1000)}}})),
                 json.dumps({**point, "iteration": 30}).encode()]
        with open(site.store.attempt(1) / "metrics.jsonl", "ab") as file:
            file.write(b"\n".join(lines) + b"\n")
        process, server = self.ui(site.store.path)
        (curve,) = server.json("/api/curves")["attempts"]
        self.assertEqual(curve["iteration"][:2], [10, 20])
        self.assertEqual(curve["iteration"][-1], 30)
        self.assertEqual(curve["iteration"], sorted(curve["iteration"]))
        for column in ("loss", "accuracy", "gradient_norm", "learning_rate", "samples_per_second"):
            self.assertEqual(len(curve[column]), len(curve["iteration"]))
            self.assertTrue(all(x is None or isinstance(x, (int, float)) for x in curve[column]))
        hostile = curve["evaluations"][-1]["metrics"]
        self.assertLessEqual(len(hostile), 16)
        self.assertTrue(all(len(name) <= 100 for name in hostile))
        self.assertLess(peak_kib(process.pid), 200 << 10)
        self.assertNotIn(b"alert(3)", server.get("/").body + server.get("/metrics").body)


if __name__ == "__main__":
    main()
