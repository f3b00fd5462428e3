"""Speaks HTTP with a status server by hand, since what is to be tried is what no library would
send; and looks at the server's process from outside."""

import json
import os
import re
import socket
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

from lockstep_jobs import BIN, MPIEXEC, command, environment, is_running
from lockstep_test import JobTest

PATHS = ("/", "/status", "/metrics", "/events", "/api/lineage", "/api/decision", "/api/curves")
AT_WORK = {"run": {"id": "served", "max_iterations": 10**7}, "restore": "auto",
           "task": {"name": "synthetic", "parameters": 20000, "tensors": 6, "iteration_ms": 10},
           "control": {"listen": "127.0.0.1:0"}}
CLASS_SECONDS = 200  # of a job that is there for all tests of a class
DEADLINE = 5  # of the server's, for a head
SLACK = 3
MOST_KIB = 64 << 10  # that clients may cost, all together


class Answer(NamedTuple):
    status: int | None  # None: the connection was closed without one
    headers: list       # (name in lower case, value), in order
    body: bytes

    def header(self, name):
        """None where it is not there; a header that comes twice is not what any test expects."""
        found = [value for key, value in self.headers if key == name]
        assert len(found) <= 1, f"{name} {len(found)} times"
        return found[0] if found else None

    def json(self):
        """Strict: no NaN, no key twice, UTF-8."""
        def once(pairs):
            assert len(dict(pairs)) == len(pairs), f"a key twice: {pairs}"
            return dict(pairs)

        def refuse(word):
            raise ValueError(f"{word} is no JSON")
        return json.loads(self.body.decode(), object_pairs_hook=once, parse_constant=refuse)


def parse_answer(raw):
    if not raw:
        return Answer(None, [], b"")
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    status = re.fullmatch(r"HTTP/1\.1 (\d{3}) .*", first)
    assert status, f"no status line: {first!r}"
    headers = [(name.lower(), value.strip()) for name, _, value in
               (line.partition(":") for line in lines)]
    return Answer(int(status[1]), headers, body)


class Server:
    """A status server by its address, as control.json has it. `check` sees every answer."""

    def __init__(self, address, check=lambda answer: None):
        self.address, self.check = address, check
        self.path = address.removeprefix("unix:") if address.startswith("unix:") else None
        self.port = None if self.path else int(address.rpartition(":")[2])
        self.host = "localhost" if self.path else address

    def connect(self, seconds=10):
        made = socket.socket(socket.AF_UNIX if self.path else socket.AF_INET)
        made.settimeout(seconds)
        made.connect(self.path or ("127.0.0.1", self.port))
        return made

    def ask(self, raw, seconds=10, most=1 << 26):
        """The answer to these bytes, read until the server closes; of a stream, what came first."""
        end, got = time.monotonic() + seconds, b""
        with self.connect(seconds) as client:
            try:
                client.sendall(raw)
                while len(got) < most and (piece := client.recv(1 << 16)):
                    got += piece
                    assert time.monotonic() < end, f"no end after {seconds} s: {got[:300]!r}"
                    if b"\r\nContent-Type: text/event-stream\r\n" in got[:1000]:
                        break
            except (ConnectionResetError, BrokenPipeError):
                pass  # it has said what it had to say
        answer = parse_answer(got)
        self.check(answer)
        return answer

    def request(self, path, *lines, host=None, method="GET"):
        head = [f"{method} {path} HTTP/1.1", f"Host: {self.host if host is None else host}", *lines]
        return ("\r\n".join(head) + "\r\n\r\n").encode("utf-8", "surrogateescape")

    def get(self, path, *lines, host=None, method="GET"):
        if path == "/events" and method == "GET" and host is None and not lines:
            raise ValueError("a stream has no end: events()")
        return self.ask(self.request(path, *lines, host=host, method=method))

    def json(self, path="/status"):
        answer = self.get(path)
        assert answer.status == 200, answer
        return answer.json()

    def metrics(self):
        """{name with labels: value}."""
        lines = self.get("/metrics").body.decode().splitlines()
        return {name: float(value) for name, _, value in
                (line.rpartition(" ") for line in lines if not line.startswith("#"))}

    def events(self, count, seconds=10):
        """[(seconds since it was asked, object)] of a stream's first events."""
        found, got, began = [], b"", time.monotonic()
        with self.connect(seconds) as client:
            client.sendall(self.request("/events"))
            while b"\r\n\r\n" not in got:
                got += self._more(client)
            head, _, got = got.partition(b"\r\n\r\n")
            answer = parse_answer(head + b"\r\n\r\n")
            self.check(answer)
            assert answer.status == 200, answer
            assert answer.header("content-type") == "text/event-stream", answer
            while len(found) < count:
                while b"\n\n" not in got:
                    got += self._more(client)
                event, _, got = got.partition(b"\n\n")
                kind, _, data = event.partition(b"\n")
                assert kind == b"event: status" and data.startswith(b"data: "), event[:200]
                found.append((time.monotonic() - began, json.loads(data[6:])))
        return found

    @staticmethod
    def _more(client):
        piece = client.recv(1 << 16)
        assert piece, "the stream has ended"
        return piece


# ---- a process from outside ----------------------------------------------------------------------
def sockets_of(pid):
    """{inode} of the sockets that a process has open."""
    found = set()
    for path in Path(f"/proc/{pid}/fd").iterdir():
        try:
            inode = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(path))
        except OSError:  # closed meanwhile
            continue
        if inode:
            found.add(inode[1])
    return found


def listeners_of(pid):
    """[(kind, address, port or path)] where a process takes connections; UDP is not among them."""
    ours, found = sockets_of(pid), []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            words = line.split()
            LISTEN = "0A"
            if words[9] in ours and words[3] == LISTEN:
                address, _, port = words[1].rpartition(":")
                found.append((table, address, int(port, 16)))
    for line in Path(f"/proc/{pid}/net/unix").read_text().splitlines()[1:]:
        words = line.split()
        ACCEPTS = 0x10000
        if words[6] in ours and int(words[3], 16) & ACCEPTS:
            found.append(("unix", "", words[7] if len(words) > 7 else ""))
    return sorted(found)


def status_field(pid, name):
    text = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"^{name}:\s+(\d+)", text, re.M)[1])


def forget_peak(pid):
    """From now on peak_kib counts anew."""
    PEAK = "5"
    Path(f"/proc/{pid}/clear_refs").write_text(PEAK)


def peak_kib(pid):
    return status_field(pid, "VmHWM")


# ---- tests ---------------------------------------------------------------------------------------
class Served(JobTest):
    """What each answer must have is looked at for every answer of every test."""

    def expect_guarded(self, answer):
        if answer.status is None:
            return
        for name, _ in answer.headers:
            self.assertFalse(name.startswith("access-control-"), answer.headers)
        self.assertIn("default-src 'none'", answer.header("content-security-policy") or "",
                      answer.headers)
        self.assertIn("frame-ancestors 'none'", answer.header("content-security-policy"))
        for name, value in {"x-content-type-options": "nosniff", "x-frame-options": "DENY",
                            "cache-control": "no-store", "connection": "close"}.items():
            self.assertEqual(answer.header(name), value, answer.headers)
        length = answer.header("content-length")
        if length is not None and answer.body:
            self.assertEqual(len(answer.body), int(length))

    def server_of(self, site, job, attempt=1):
        """Once the job says that it listens."""
        control = site.store.attempt(attempt) / "control.json"
        text = job.until(lambda: control.exists() and control.read_text(), "control.json")
        return Server(json.loads(text)["address"], self.expect_guarded)

    def serve(self, site, ranks=2, attempt=1, **sections):
        """A job that trains and is served."""
        job = site.start(ranks=ranks, **{**AT_WORK, **sections})
        server = self.server_of(site, job, attempt)
        job.until(lambda: (server.json()["iteration"] or 0) > 5, "some iterations")
        return job, server

    def stop(self, site, job, code=77):
        """As a user does it, and the job must be able to."""
        self.expect_exit(command("stop", site.store.path), 0)
        result = job.wait()
        self.expect_exit(result, code)
        return result

    def ui(self, store, listen=None, cwd=None, ready=True, under=()):
        """`lockstep ui`, until the test's end: its process, and its server."""
        argv = [*under, BIN / "lockstep", "ui", store, *(["--listen", listen] if listen else [])]
        process = subprocess.Popen(list(map(str, argv)), cwd=cwd, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, env=environment())
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        if not ready:
            return process, None
        line = process.stdout.readline()
        found = re.fullmatch(r"serving on (?:http://(127\.0\.0\.1:\d+)/|(unix:.+))\n", line)
        self.assertTrue(found, line + ("" if is_running(process.pid) else process.stderr.read()))
        return process, Server(found[1] or found[2], self.expect_guarded)


class OneJob(Served):
    """One job for all tests of the class; each leaves it at work, served, and no larger. At the end
    it still does what its user asks."""

    sections = {}  # beyond AT_WORK

    @classmethod
    def setUpClass(cls):
        made = cls.of_class()
        cls.place = made.site("origin")
        cls.place.launcher = lambda ranks: [MPIEXEC, "-n", ranks, "--oversubscribe", "--timeout",
                                            CLASS_SECONDS]
        cls.job, cls.server = made.serve(cls.place, **cls.sections)
        cls.pid = cls.server.json()["process"]
        cls.addClassCleanup(made.stop, cls.place, cls.job)

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
