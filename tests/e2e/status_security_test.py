#!/usr/bin/env -S python3 -B
"""Whoever can reach the status server can only read: every method and path, foreign Hosts and
Origins, heads that two readers would read differently; and nothing is opened by default. What lies
in a store: status_hostile_test.py; what floods do: status_flood_test.py."""

import ctypes.util
import getpass
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

from lockstep_http import PATHS, OneJob, Served, listeners_of
from lockstep_jobs import MPIEXEC, environment
from lockstep_test import main

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "PRI",
           "FOO", "get", "GETGET", "M-SEARCH", "x!#$%&'*+-.^_`|~")
NO_METHODS = ("G\\ET", "G@T", "GET ", "", "\udcff")  # no tokens
NO_PATHS = ("/favicon.ico", "/status/", "/api", "/api/", "/../etc/passwd", "/%2e%2e/etc/passwd",
            "//evil/status", "/save", "/stop", "/status%00x", "*", "status", "http://evil/status")
# Plain MPI, through the library that lockstepd has: what listens then is MPI's.
PLAIN = """
import ctypes, os, sys, time
mpi = ctypes.CDLL(sys.argv[1], mode=ctypes.RTLD_GLOBAL)
mpi.MPI_Init(None, None)
open(sys.argv[2] + "/plain" + os.environ["OMPI_COMM_WORLD_RANK"], "w").write(str(os.getpid()))
time.sleep(60)
"""


class Rules(OneJob):
    def test_get_is_the_only_method_whatever_the_path(self):
        for method in METHODS + NO_METHODS:
            for path in PATHS + NO_PATHS:
                with self.subTest(method=method, path=path):
                    if method == "GET" and path == "/events":
                        continue
                    wanted = 405 if method in METHODS else 400
                    if method == "GET":
                        wanted = 200 if path in PATHS else 404
                    answer = self.expect(wanted, self.server.request(path, method=method))
                    if answer.status == 405:
                        self.assertEqual(answer.header("allow"), "GET")
                    if answer.status != 200:  # no echo of what was asked
                        self.assertNotIn(b"evil", answer.body)

    def test_only_the_hosts_of_this_address_are_served(self):
        port = self.server.port
        good = [f"127.0.0.1:{port}", f"localhost:{port}", f"LocalHost:{port}"]
        # Names that a rebinding attacker makes lead here, and other spellings of the address.
        bad = ["localhost", "127.0.0.1", "127.0.0.1:1", f"127.0.0.1:0{port}",
               f"evil.example:{port}", "evil.example", f"127.0.0.1.nip.io:{port}",
               f"localtest.me:{port}",
               f"127.0.0.1:{port}.evil.example", f"localhost.evil.example:{port}", f"[::1]:{port}",
               f"0.0.0.0:{port}", f"127.1:{port}", f"2130706433:{port}", f"0x7f000001:{port}",
               f"127.0.0.2:{port}", f"localhost.:{port}", f"user@127.0.0.1:{port}",
               f"127.0.0.1:{port}/", f"127.0.0.1:{port},evil", f"127.0.0.1:{port} evil",
               f"%3127.0.0.1:{port}", f"localhost%3A{port}", f"127.0.0.1:{port}%20", "*", "null"]
        for path in ("/status", "/events", "/", "/metrics"):
            for host in bad:
                with self.subTest(path=path, host=host):
                    self.expect(403, self.server.request(path, host=host))
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
        for line in ("Origin: null", "Origin: http://evil.example", "Origin: *", "Origin:",
                     f"Origin: http://{self.server.host}", "oRIGIN: \t "):
            for path in ("/status", "/events", "/"):
                with self.subTest(line=line, path=path):
                    self.expect(403, self.server.request(path, line))

    def test_a_head_that_two_readers_would_read_differently_is_refused(self):
        host = f"Host: {self.server.host}\r\n"
        heads = {
            400: {
                "bare LF hides Origin": f"{host}Origin: null\n\r\n",
                "bare LF hides Host": f"Host: evil\n{host}",
                "bare LF joins": f"{host}X: y\nOrigin: null\r\n",
                "folded line": f"{host}X: y\r\n Origin: null\r\n",
                "folded host": f"Host:\r\n {self.server.host}\r\n",
                "space before colon": f"{host}Origin : null\r\n",
                "tab before colon": f"{host}Origin\t: null\r\n",
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
                "a huge number": f"{host}Content-Length: {'9' * 30}\r\n"},
            413: {
                "a body": f"{host}Content-Length: 5\r\n",
                "chunks": f"{host}Transfer-Encoding: chunked\r\n"}}
        for status, of_status in heads.items():
            for name, lines in of_status.items():
                with self.subTest(name):
                    self.expect(status, f"GET /status HTTP/1.1\r\n{lines}\r\nabcde".encode(), name)
        lines = {"no version": "GET /status", "another version": "GET /status HTTP/2.0",
                 "tabs": "GET\t/status\tHTTP/1.1", "two spaces": "GET  /status HTTP/1.1",
                 "a space behind": "GET /status HTTP/1.1 ", "NUL": "GET /status\0 HTTP/1.1",
                 "only a space": " ", "nothing": ""}
        for name, line in lines.items():
            with self.subTest(name):
                self.expect(400, f"{line}\r\n{host}\r\n".encode(), name)
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
        for ranges in ("0-", "0-3", "-5", ",".join(["0-"] * 2000), ",".join(["1-1"] * 1900),
                       "9" * 30 + "-", "0-9," * 1900, "5-1"):
            with self.subTest(ranges[:20]):
                whole = len(self.server.get("/api/curves").body)
                answer = self.server.get("/api/curves", f"Range: bytes={ranges}")
                self.assertEqual(answer.status, 200)  # never 206, which holds a part for each range
                self.assertIsNone(answer.header("content-range"))
                self.assertLess(abs(len(answer.body) - whole), 4096)  # it grows meanwhile
        for lines in (["Accept-Encoding: gzip, br, deflate, zstd"], ["Accept-Encoding: br;q=1.0"],
                      ["Expect: 100-continue"], ["Upgrade: websocket", "Connection: Upgrade"],
                      ["Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"],
                      ["Connection: keep-alive"], ["If-None-Match: *"],
                      ["If-Modified-Since: Sun, 29 Nov 2099 00:00:00 GMT"],
                      ["X-HTTP-Method-Override: POST"], ["X-Forwarded-Host: evil"]):
            for path in ("/status", "/", "/metrics"):
                with self.subTest(lines, path=path):
                    answer = self.server.get(path, *lines)  # at once: no "100 Continue" comes first
                    self.assertEqual(answer.status, 200)
                    self.assertIsNone(answer.header("content-encoding"))
                    self.assertEqual(int(answer.header("content-length")), len(answer.body))
                    if path == "/status":
                        answer.json()

    def test_a_stream_is_guarded_as_every_other_answer(self):
        """expect_guarded() sees the head of each; here it must have had one to see."""
        for lines in ([], ["Accept: text/event-stream", "Accept-Encoding: gzip"]):
            answer = self.expect(200, self.server.request("/events", *lines))
            self.assertEqual(answer.header("content-type"), "text/event-stream")
            self.assertIsNone(answer.header("content-length"))
            self.assertIsNone(answer.header("content-encoding"))
            self.assertEqual(answer.header("content-security-policy"),
                             "default-src 'none'; frame-ancestors 'none'")
        for path in ("/status", "/metrics", "/api/curves", "/nowhere"):
            answer = self.server.get(path)
            self.assertEqual(answer.header("content-security-policy"),
                             "default-src 'none'; frame-ancestors 'none'", path)
            self.assertEqual(answer.header("cross-origin-resource-policy"), "same-origin")
        # The page's own policy lets it load nothing from elsewhere, and nothing that came as text.
        policy = self.server.get("/").header("content-security-policy")
        self.assertNotIn("unsafe", policy)
        self.assertNotIn("*", policy)
        self.assertNotIn("http", policy)

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
        argv = [MPIEXEC, "-n", "2", "--oversubscribe", "--timeout", "60", sys.executable, "-c",
                PLAIN, library, folder]
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


if __name__ == "__main__":
    main()
