#!/usr/bin/env -S python3 -B
"""What a job pays for clients of its status server that are many and rude: its time for an
iteration under 1,000 requests a second, a stream and 200 clients that send a byte a second, over
that of the same job left alone.

    tests/bench/status_load.py --windows 6 --seconds 20

One rank of one thread, on a core of its own (--job-core; "0,1": it is not bound) together with the
server's two threads and mpirun: the worst case, since there is no idle core that the server could
take. The clients have
another core (--load-core). What both share: memory, the last level of cache, and whatever else the
machine has to do; on a machine that is not quiet the figures are worth nothing, so the load of the
machine is printed with them.

Windows take turns: without load, with it, and so on, in one job. An iteration's time is that of the
lines of metrics.jsonl which lie in a window, its first and last second left out. In windows without
load the server still looks at the store every 2 s, as it does for a minute after a request.

  iteration_ms       median, least and greatest over the lines of a window
  training_cpu_ms    what the job's threads but the one that serves spent of CPU on an iteration
  serving_cpu_ms     what that one spent of CPU in an iteration's time. Both are hardly changed by
                     others who take the core: cpu_ratio is the ratio of their sums, without load
                     over with it, and what `ratio` comes to on a quiet machine
  requests           asked for in a window by the fast clients; `refused`: of them got 503 or were
                     closed without an answer; `late`: could not be sent in time, since so many
                     were under way
  answer_ms          from connect() until the server closed: median and the 99th percentile
  slow_connections   that the slow clients have made: each comes again a second after it was closed
  rss_kib            of rank 0, before the first window and after the last one
"""

import argparse
import json
import os
import select
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path

from bench_tools import emit, say, summary
from lockstep_http import Server, status_field
from lockstep_jobs import BIN, MPIEXEC, command, configuration, environment, yaml_text
from lockstep_store import Store

MOST_UNDER_WAY = 14  # of the server's 32 connections
MARGIN_SECONDS = 1   # of a window, at each end


class Load:
    """A client in one thread, which waits for nobody."""

    def __init__(self, address, rate, slow):
        self.server, self.rate = Server(address), rate
        self.port = ("127.0.0.1", self.server.port)
        self.asks = [self.server.request("/status"), self.server.request("/metrics")]
        self.epoll, self.under_way = select.epoll(), {}
        self.slow_socks, self.slow_due = {}, [0.0] * slow
        self.requests = self.refused = self.late = self.slow_connections = 0
        self.answers_s = []

    def open(self):
        made = socket.socket()
        made.setblocking(False)
        try:
            made.connect(self.port)
        except BlockingIOError:
            pass
        return made

    def ask(self, now_s):
        made = self.open()
        try:
            made.send(self.asks[self.requests & 1])
        except OSError:
            self.refused += 1
            made.close()
            return
        self.requests += 1
        self.under_way[made.fileno()] = [made, now_s, b""]
        self.epoll.register(made.fileno(), select.EPOLLIN)

    def take(self, number, now_s):
        made, began_s, first = entry = self.under_way[number]
        try:
            piece = made.recv(1 << 16)
        except OSError:
            piece = b""
        if piece:
            entry[2] = first or piece[:12]
            return
        self.epoll.unregister(number)
        del self.under_way[number]
        made.close()
        self.answers_s.append(now_s - began_s)
        self.refused += first != b"HTTP/1.1 200"

    def slow_step(self, now_s):
        """One of them at a time is due: it sends a byte, or comes again."""
        for at, due_s in enumerate(self.slow_due):
            if due_s > now_s:
                continue
            self.slow_due[at] = now_s + 1
            made = self.slow_socks.get(at)
            try:
                if made is None:
                    self.slow_socks[at] = made = self.open()
                    self.slow_connections += 1
                made.send(b"G")
                if made.recv(4096) == b"":
                    raise OSError
            except BlockingIOError:  # nothing was said to it
                pass
            except OSError:
                made.close()
                self.slow_socks[at] = None

    def run(self, seconds):
        stream = self.server.connect()
        stream.sendall(self.server.request("/events"))
        stream.setblocking(False)
        streamed, began_s = 0, time.monotonic()
        for at in range(len(self.slow_due)):
            self.slow_due[at] = began_s + at / len(self.slow_due)
        due, next_slow_s = 0, began_s
        while (now_s := time.monotonic()) < began_s + seconds:
            wanted = int((now_s - began_s) * self.rate)
            while due < wanted:
                due += 1
                if len(self.under_way) < MOST_UNDER_WAY:
                    self.ask(now_s)
                else:
                    self.late += 1
            if now_s >= next_slow_s:
                next_slow_s = now_s + 0.01
                self.slow_step(now_s)
                try:
                    streamed += len(stream.recv(1 << 16))
                except BlockingIOError:
                    pass
            for number, _ in self.epoll.poll(1 / self.rate):
                self.take(number, time.monotonic())
        answers = sorted(self.answers_s)
        emit(requests=self.requests, refused=self.refused, late=self.late,
             per_second=round(self.requests / seconds, 1), stream_bytes=streamed,
             slow_connections=self.slow_connections, client_cpu_s=round(time.process_time(), 2),
             answer_ms={"median": round(1000 * statistics.median(answers), 3),
                        "p99": round(1000 * answers[len(answers) * 99 // 100], 3)})


class Lines:
    """Seconds of an iteration by the lines of metrics.jsonl that have come since the last look."""

    def __init__(self, path):
        self.file = open(path, encoding="utf-8")

    def between(self, begin_s, end_s):
        found = []
        for line in map(json.loads, self.file):
            if line["event"] != "interval":
                continue
            at = datetime.strptime(line["time"], "%Y-%m-%dT%H:%M:%S.%fZ")
            at_s = at.replace(tzinfo=timezone.utc).timestamp()
            if begin_s <= at_s - line["seconds"] and at_s <= end_s:
                found.append(1000 * line["seconds"] / line["iterations"])
        return found


def load_of_machine():
    return [round(value, 2) for value in os.getloadavg()]


class Spent:
    """What a process has spent until now: seconds of CPU of the thread that serves, which alone has
    another nice value, and of all others; and its iterations."""

    def __init__(self, server, pid):
        self.iterations = server.metrics()["lockstep_iterations_total"]
        self.serving = self.training = 0
        for path in Path(f"/proc/{pid}/task").iterdir():
            words = (path / "stat").read_text().rpartition(")")[2].split()
            seconds = (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
            nice = int(words[16])
            if nice:
                self.serving += seconds
            else:
                self.training += seconds


def window(options, lines, loaded, server, pid):
    before, began_s = Spent(server, pid), time.time()
    said = {}
    if loaded:
        done = subprocess.run(
            ["taskset", "-c", str(options.load_core), sys.executable, "-B", __file__, "--load",
             server.address, "--seconds", str(options.seconds), "--rate", str(options.rate),
             "--slow", str(options.slow)], capture_output=True, text=True, check=True)
        said = json.loads(done.stdout)
    else:
        time.sleep(options.seconds)
    after, ended_s = Spent(server, pid), time.time()
    time.sleep(2 * MARGIN_SECONDS)  # lines are written a little later; what the load left is closed
    found = lines.between(began_s + MARGIN_SECONDS, began_s + options.seconds - MARGIN_SECONDS)
    if len(found) < 10:
        sys.exit(f"only {len(found)} lines of metrics in a window: make it longer")
    made = after.iterations - before.iterations
    cpu_ms = [1000 * (after.training - before.training) / made,
              1000 * (after.serving - before.serving) / made]
    emit(bench="status under load, a window", loaded=loaded, seconds=round(ended_s - began_s, 1),
         iteration_ms=summary(found), lines=len(found), **said,
         training_cpu_ms=round(cpu_ms[0], 3), serving_cpu_ms=round(cpu_ms[1], 3),
         load_average=load_of_machine())
    return statistics.median(found), sum(cpu_ms)


def measure(options, folder):
    (folder / "train.yaml").write_text(yaml_text(configuration(
        run={"max_iterations": 10**9, "seed": 7}, task={"name": "fashion_mnist"},
        data={"global_batch": 64}, checkpoint={"interval": 10**9}, restore="fresh",
        metrics={"interval": options.interval}, watchdog=None,
        control={"listen": "127.0.0.1:0"})))
    limit = round(120 + options.windows * (options.seconds + 5))
    with open(folder / "err", "wb") as err:
        job = subprocess.Popen(
            ["taskset", "-c", str(options.job_core), MPIEXEC, "-n", "1", "--timeout", str(limit),
             str(BIN / "lockstepd"), "train.yaml"], cwd=folder, env=environment(),
            stdin=subprocess.DEVNULL, stdout=err, stderr=err)
    try:
        attempt = Store(folder / "store").attempt(1)
        control, end_s = attempt / "control.json", time.monotonic() + 60
        while not (control.exists() and (attempt / "metrics.jsonl").exists()):
            if job.poll() is not None or time.monotonic() > end_s:
                sys.exit(f"it did not train:\n{(folder / 'err').read_text()}")
            time.sleep(0.05)
        server = Server(json.loads(control.read_text())["address"])
        time.sleep(5)
        pid = server.json()["process"]
        lines, found = Lines(attempt / "metrics.jsonl"), {False: [], True: []}
        lines.between(0, 0)
        rss_kib = [status_field(pid, "VmRSS")]
        for at in range(options.windows):
            say(f"window {at + 1} of {options.windows}")
            found[at % 2 == 1].append(window(options, lines, at % 2 == 1, server, pid))
        rss_kib.append(status_field(pid, "VmRSS"))
        stopped = command("stop", folder / "store")
        if stopped.code != 0 or job.wait(60) != 77:
            sys.exit(f"it did not stop as asked: {stopped}\n{(folder / 'err').read_text()}")
    finally:
        if job.poll() is None:
            job.terminate()
            job.wait(30)
    alone_ms, alone_cpu_ms = zip(*found[False])
    loaded_ms, loaded_cpu_ms = zip(*found[True])
    pairs = [off / on for off, on in zip(alone_ms, loaded_ms)]
    ratio = statistics.median(alone_ms) / statistics.median(loaded_ms)
    emit(bench="status under load", rate=options.rate, slow_clients=options.slow,
         alone_ms=summary(alone_ms), loaded_ms=summary(loaded_ms), ratio=round(ratio, 4),
         ratio_of_pairs=summary(pairs), alone_cpu_ms=summary(alone_cpu_ms),
         loaded_cpu_ms=summary(loaded_cpu_ms),
         cpu_ratio=round(statistics.median(alone_cpu_ms) / statistics.median(loaded_cpu_ms), 4),
         cores=os.cpu_count(), rss_kib={"before": rss_kib[0], "after": rss_kib[1]})


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windows", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=20, help="of a window")
    parser.add_argument("--rate", type=int, default=1000, help="requests a second")
    parser.add_argument("--slow", type=int, default=200, help="clients that send a byte a second")
    parser.add_argument("--interval", type=int, default=10, help="iterations of a line of metrics")
    parser.add_argument("--job-core", default="0")
    parser.add_argument("--load-core", default="1")
    parser.add_argument("--load", help=argparse.SUPPRESS)  # this process is the client
    options = parser.parse_args()
    if options.load:
        return Load(options.load, options.rate, options.slow).run(options.seconds)
    with tempfile.TemporaryDirectory() as scratch:
        measure(options, Path(scratch))


if __name__ == "__main__":
    main()
