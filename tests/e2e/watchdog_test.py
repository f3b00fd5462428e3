#!/usr/bin/env -S python3 -B
"""Ranks that hang are named in time and the job ends with 76; what only looks like it goes on."""

import os
import re
import signal
import socket
import struct
import time
from pathlib import Path

from lockstep_faults import Disk
from lockstep_jobs import command, is_running
from lockstep_store import Store
from lockstep_test import JobTest, main, pair

STALL = 2
SLACK = 10  # what the promise allows beyond the stall time
HOST = socket.gethostname()
TASK = {"name": "synthetic", "parameters": 20000, "tensors": 6, "iteration_ms": 10}
WATCHED = {"watchdog": {"heartbeat_seconds": 0.5, "stall_seconds": STALL}, "task": TASK,
           "run": {"id": "watched", "max_iterations": 100000}, "restore": "auto"}
PACKET = struct.Struct("<IQIIBBHII")  # magic, nonce, rank, sequence, kind, phase, pace, passed,
# moves below a stop signal
MAGIC = 0x0157534C
BEAT, KINDS = 1, (1, 2, 3, 4, 5)


class WatchdogTest(JobTest):
    def training(self, site, ranks=2, **sections):
        """A job that has trained for more than a heartbeat. Its launcher sees how each rank ends."""
        number = max(site.store.attempts(), default=0) + 1
        job = site.start(ranks=ranks, direct=True, **{**WATCHED, **sections})
        job.until(lambda: len(site.store.of_attempt(number)) >= 10, "checkpoints")
        return job

    def expect_hung(self, job, began, *lines):
        """It ended with 76 within the promise, said the lines, and no process of it is left."""
        pids = [pid for rank in range(job.ranks) for pid in job.pids(rank)]
        result = job.wait()
        seconds = time.monotonic() - began
        self.assertEqual(result.code, 76, result)
        self.expect_said(result, *map(re.compile, lines))
        self.assertLess(seconds, STALL + SLACK, result)
        deadline = time.monotonic() + 2
        while any(map(is_running, pids)) and time.monotonic() < deadline:
            time.sleep(0.01)
        self.assertEqual([pid for pid in pids if is_running(pid)], [], result)
        return result

    def sockets_of(self, pid):
        """UDP ports of a process that does not say which."""
        inodes = set()
        for path in Path(f"/proc/{pid}/fd").iterdir():
            try:
                inodes.add(os.readlink(path))
            except OSError:
                pass
        ports = []
        for table in ("udp", "udp6"):
            for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
                words = line.split()
                if f"socket:[{words[9]}]" in inodes:
                    ports.append(int(words[1].rpartition(":")[2], 16))
        return ports


class Hanging(WatchdogTest):
    def expect_stopped_rank_named(self, ranks):
        site, victim = self.site(), ranks - 1
        job = self.training(site, ranks)
        began = time.monotonic()
        job.signal_rank(victim, signal.SIGSTOP)
        name = rf"rank {victim} \({HOST}\): phase (train|save), silent for \d+ s"
        result = self.expect_hung(job, began, name, r"rank 0 \(.*\): its main thread is in")
        outcome = site.store.record(1, "outcome")
        self.assertEqual((outcome["outcome"], outcome["exit_code"]), ("failed", 76))
        self.assertEqual(outcome["last_committed_iteration"], max(site.store.of_attempt(1)))
        self.assertEqual([(s["rank"], s["host"]) for s in outcome["silent"]], [(victim, HOST)])
        self.assertRegex(outcome["error"], name)
        self.assertIn(f"what came after iteration {max(site.store.of_attempt(1))}, the last commit, "
                      "is lost; launch it again", result.err)
        return site

    def test_a_stopped_last_rank_of_two_is_named_and_a_requeue_carries_on(self):
        site = self.expect_stopped_rank_named(2)
        status = command("status", site.store.path)
        self.expect_said(status, "failed, exit code 76", "rank 1")
        last = max(site.store.of_attempt(1))
        result = site.run(**{**WATCHED, "run": {"id": "watched", "max_iterations": last + 5}})
        self.expect_exit(result, 0)
        self.assertEqual(pair(site.store.record(2, "decision")["parent"]), (1, last))

    def test_a_stopped_last_rank_of_four_is_named(self):
        self.expect_stopped_rank_named(4)

    def expect_stopped_rank_0_named(self, ranks):
        site = self.site()
        job = self.training(site, ranks)
        began = time.monotonic()
        job.signal_rank(0, signal.SIGSTOP)
        self.expect_hung(job, began, rf"rank 0 \({HOST}\): phase (train|save), silent for \d+ s; "
                         r"its phase is as last heard, \d+ s ago", r"rank 1 \(.*\): its main thread is in")
        outcome = site.store.record(1, "outcome")  # where the launcher woke it, and left it time
        if outcome:
            self.assertEqual([s["rank"] for s in outcome["silent"]], [0])

    def test_a_stopped_rank_0_of_two_is_named_by_the_others(self):
        self.expect_stopped_rank_0_named(2)

    def test_a_stopped_rank_0_of_four_is_named_by_the_others(self):
        self.expect_stopped_rank_0_named(4)


class FrozenStore(WatchdogTest):
    @classmethod
    def setUpClass(cls):
        cls.disk = Disk(cls, cls.scratch)

    def test_a_save_that_hangs_is_named_though_its_rank_is_alive(self):
        site = self.site()
        site.store = Store(self.disk.folder / "store")
        job = self.training(site, store=str(site.store.path))
        self.addCleanup(self.disk.freeze, False)  # before anything waits for a rank in the kernel
        began = time.monotonic()
        self.disk.freeze(True)
        named = re.compile(rf"rank \d \({HOST}\): phase save, no progress for \d+ s")
        job.until(lambda: named.search(job.err()), "it is named")
        self.assertLess(time.monotonic() - began, STALL + SLACK)
        # The store does not answer: that must not hold up the end.
        job.until(lambda: "outcome.json is not written" in job.err(), "it gives up the store")
        self.assertLess(time.monotonic() - began, STALL + SLACK)
        self.disk.freeze(False)  # until then the rank can't end
        self.expect_hung(job, time.monotonic(), named.pattern)
        # What was committed is there, and a requeue carries on.
        last = max(site.store.of_attempt(1))
        result = site.run(**{**WATCHED, "store": str(site.store.path),
                             "run": {"id": "watched", "max_iterations": last + 5}})
        self.expect_exit(result, 0)


class Alive(WatchdogTest):
    def test_a_job_that_is_suspended_as_a_whole_goes_on(self):
        site = self.site()
        job = self.training(site, 2)
        for rank in range(2):
            job.signal_rank(rank, signal.SIGSTOP)
        time.sleep(2 * STALL + 1)
        seen = max(site.store.of_attempt(1))
        for rank in range(2):
            job.signal_rank(rank, signal.SIGCONT)
        job.until(lambda: max(site.store.of_attempt(1)) > seen + 30, "more checkpoints")
        time.sleep(STALL + 1)
        command("stop", site.store.path)
        self.expect_exit(job.wait(), 77)

    def test_iterations_longer_than_the_limit_are_no_stall(self):
        task = {**TASK, "iteration_ms": 1500}
        result = self.site().run(**{**WATCHED, "task": task, "run": {"max_iterations": 3},
                                    "watchdog": {"heartbeat_seconds": 0.2, "stall_seconds": 0.7}})
        self.expect_exit(result, 0)

    def throw(self, ports, packets):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as thrower:
            for port in ports:
                for packet in packets:
                    thrower.sendto(packet, ("127.0.0.1", port))

    def test_forged_foreign_short_and_long_packets_change_nothing(self):
        site = self.site()
        job = self.training(site, 2)
        ports = [port for rank in range(2) for port in self.sockets_of(job.pids(rank)[0])]
        self.assertGreaterEqual(len(ports), 2)
        packets = [bytes(size) for size in (0, 1, 31, 32, 33, 64, 1400, 60000)]
        packets += [os.urandom(32) for _ in range(100)]
        for nonce in (0, 1, 2**64 - 1):
            packets += [PACKET.pack(MAGIC, nonce, rank, 2**32 - 1, kind, 4, 0, 0, 0)
                        for rank in (0, 1, 2, 2**32 - 1) for kind in KINDS]
        seen = max(site.store.of_attempt(1))
        end = time.monotonic() + STALL + 1
        while time.monotonic() < end:
            self.throw(ports, packets)
            time.sleep(0.05)
        job.until(lambda: max(site.store.of_attempt(1)) > seen + 30, "more checkpoints")
        command("stop", site.store.path)
        self.expect_exit(job.wait(), 77)

    def test_a_launch_that_waits_is_no_hang_and_no_forged_stop_signal_ends_it(self):
        site = self.site()
        patient = {"watchdog": {"heartbeat_seconds": 0.5, "stall_seconds": 60}}
        first = self.training(site, **patient)
        second = site.start(ranks=2, busy=True, foreseen=False, **WATCHED)
        second.until(lambda: "waiting for its end" in second.err(), "it waits")
        ports = self.sockets_of(second.pids(0)[0])
        self.assertTrue(ports)
        packets = [PACKET.pack(MAGIC, nonce, 1, 2**32 - 1, BEAT, 1, 0, 0, number << 24)
                   for nonce in (0, 1, 2**64 - 1) for number in (10, 15, 255)]
        end = time.monotonic() + 2 * STALL + 1
        while time.monotonic() < end:
            self.throw(ports, packets)
            time.sleep(0.05)
        self.assertIsNone(second.process.poll(), second.result())
        began = time.monotonic()
        second.signal_rank(1, signal.SIGTERM)
        self.expect_exit(second.wait(), 75, "preempted by TERM while waiting", "nothing was claimed")
        self.assertLess(time.monotonic() - began, SLACK)
        command("stop", site.store.path)
        self.expect_exit(first.wait(), 77)

    def test_replayed_packets_bring_no_rank_back_to_life(self):
        try:
            listener = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
        except PermissionError:
            self.skipTest("listening to packets is not allowed")
        self.addCleanup(listener.close)
        listener.bind(("lo", 3))
        listener.settimeout(0.2)
        site = self.site()
        job = self.training(site, 2)
        ports = self.sockets_of(job.pids(0)[0])
        beats = []
        end = time.monotonic() + 2
        while time.monotonic() < end:
            try:
                data = listener.recv(65536)
            except TimeoutError:
                continue
            if len(data) == 20 + 8 + PACKET.size and data[9] == socket.IPPROTO_UDP:
                packet = data[28:]
                if PACKET.unpack(packet)[0] == MAGIC and PACKET.unpack(packet)[4] == BEAT:
                    beats.append(packet)
        self.assertGreater(len(beats), 1, "beats of this job")
        self.throw(ports, beats)  # of a job that is well
        began = time.monotonic()
        job.signal_rank(1, signal.SIGSTOP)
        while job.process.poll() is None and time.monotonic() < began + STALL + SLACK:
            self.throw(ports, beats)
            time.sleep(0.05)
        self.expect_hung(job, began, rf"rank 1 \({HOST}\): phase (train|save), silent for \d+ s")


if __name__ == "__main__":
    main()
