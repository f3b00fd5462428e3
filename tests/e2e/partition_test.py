#!/usr/bin/env -S python3 -B
"""Two hosts with one store, and a network between them that is cut while a job trains, saves or
loads on both: each side ends by itself, the launch after that carries on from the last commit, and
a link that heals changes nothing."""

import json
import os
import signal
import subprocess
import time

from lockstep_cluster import Hosts, ranks_in
from lockstep_faults import Fault
from lockstep_jobs import BIN, command, environment, is_running, yaml_text
from lockstep_test import JobTest, main, pair

STALL = 3
SLACK = 10  # what the promise allows beyond the stall time
RANKS = 4   # 0 and 1 on h1, 2 and 3 on h2
SECTIONS = {"run": {"id": "cut", "max_iterations": 10**6}, "store": "./store", "restore": "auto",
            "task": {"name": "synthetic", "parameters": 20000, "tensors": 6, "iteration_ms": 20},
            "data": {"global_batch": 12}, "checkpoint": {"interval": 20, "keep_last": 5, "async": False},
            "watchdog": {"heartbeat_seconds": 0.5, "stall_seconds": STALL},
            "device": "cpu", "collectives": "mpi"}


class Partition(JobTest):
    def setUp(self):
        self.hosts = Hosts()
        self.addCleanup(self.hosts.down)
        self.place = self.site()
        self.store = self.place.store
        self.launches = []
        self.addCleanup(self.end_launches)

    def end_launches(self):
        for process in self.launches:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(30)
        for pid in ranks_in(self.place.folder):
            os.kill(pid, signal.SIGKILL)

    def launch(self, wrapper=(), alone=False, **sections):
        """mpirun on h1, ranks on both hosts, or `alone` on h1."""
        config = self.place.write(yaml_text({**SECTIONS, **sections}))
        log = self.place.folder / f"log{len(self.launches)}"
        how = ["exec", self.hosts.folder, "h1", "mpirun", "-n", str(RANKS // 2)]
        if not alone:
            how = ["run", self.hosts.folder, str(RANKS)]
        with log.open("wb") as out:
            process = subprocess.Popen(
                [self.hosts.script, *how, *wrapper, BIN / "lockstepd", config.name],
                cwd=self.place.folder, stdout=out, stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL, env=environment(), start_new_session=True)
        process.log = log
        self.launches.append(process)
        return process

    def until(self, holds, what, process, seconds=60):
        deadline = time.monotonic() + seconds
        while not (value := holds()):
            self.assertLess(time.monotonic(), deadline, f"{what}: {process.log.read_text()}")
            time.sleep(0.05)
        return value

    def pids_on(self, host):
        said = subprocess.run([self.hosts.script, "pids", self.hosts.folder, host],
                              capture_output=True, text=True, check=True).stdout
        mine = set(ranks_in(self.place.folder))
        return [pid for pid in map(int, said.split()) if pid in mine]

    def at_work(self, process, attempt):
        self.until(lambda: self.store.of_attempt(attempt), "a checkpoint", process)

    def sides(self):
        """The ranks' processes on each host."""
        sides = {host: self.pids_on(host) for host in ("h1", "h2")}
        self.assertEqual({host: len(pids) for host, pids in sides.items()}, {"h1": 2, "h2": 2})
        return sides

    def expect_ended(self, sides, process, began, phase, stall=STALL):
        """Each side is gone within the promise."""
        ended = {}
        for host, pids in sides.items():
            self.until(lambda: not any(is_running(pid) for pid in pids), f"the end of {host}",
                       process)
            ended[host] = time.monotonic() - began
        for host, seconds in ended.items():
            self.assertLess(seconds, stall + SLACK, f"{host}: {process.log.read_text()}")
        print(json.dumps({"bench": f"link cut while {phase} to the end of each side",
                          **{f"{host}_s": round(s, 1) for host, s in ended.items()},
                          "stall_s": stall}))

    def test_both_sides_of_a_cut_link_end_and_the_next_launch_carries_on(self):
        first = self.launch()
        self.at_work(first, 1)
        sides = self.sides()
        began = time.monotonic()
        self.hosts.do("cut", "h2")
        self.expect_ended(sides, first, began, "training")
        said = first.log.read_text()
        self.assertRegex(said, r"rank [23] \(h2\): phase (train|save), silent for \d+ s")
        outcome = self.store.record(1, "outcome")
        self.assertEqual((outcome["outcome"], outcome["exit_code"]), ("failed", 76), said)
        self.assertEqual({entry["host"] for entry in outcome["silent"]}, {"h2"})
        self.assertEqual({entry["rank"] for entry in outcome["silent"]}, {2, 3})
        self.end_launches()  # mpirun itself waits for the host that is gone
        last = max(self.store.of_attempt(1))
        there = sorted(self.store.committed())
        # The link heals: nobody is left who could do anything with it.
        self.hosts.do("heal", "h2")
        self.assertEqual(sorted(self.store.committed()), there)
        again = self.launch(run={"id": "cut", "max_iterations": last + 20})
        self.assertEqual(again.wait(120), 0, again.log.read_text())
        decision = self.store.record(2, "decision")
        self.assertEqual((decision["kind"], pair(decision["parent"])), ("restore", (1, last)))

    def expect_requeue_takes_over(self, attempt, phase, calls):
        """The link is cut when a rank on h2 has come to `calls`, and at once there is a launch on
        h1."""
        last = max(self.store.committed(), default=(attempt, 20))  # the one before, where none yet
        # The launch is to come before the end.
        watchdog = {"heartbeat_seconds": 1, "stall_seconds": 2 * STALL}
        run = {"id": "cut", "max_iterations": 80}
        fault = Fault(self.place.folder / "fault", "hold", RANKS - 1, calls)
        first = self.launch(fault.wrapper, watchdog=watchdog, run=run)
        self.until(fault.began, f"that it is {phase}", first)
        sides = self.sides()
        began = time.monotonic()
        self.hosts.do("cut", "h2")
        fault.go()
        again = self.launch(alone=True, watchdog=watchdog, run=run)
        self.until(lambda: "waiting for its end" in again.log.read_text(), "it waits", again)
        self.expect_ended(sides, first, began, phase, 2 * STALL)
        self.assertEqual(again.wait(120), 0, again.log.read_text())
        outcome = self.store.record(attempt, "outcome")
        self.assertEqual({entry["host"] for entry in outcome["silent"]}, {"h2"}, outcome)
        decision = self.store.record(attempt + 1, "decision")
        self.assertEqual((decision["kind"], pair(decision["parent"])), ("restore", last))
        # Nothing of the cut-off side came after that, nor does it when the link heals.
        there = sorted(self.store.committed())
        self.assertEqual([made for made in there if made[0] == attempt and made > last], [])
        self.assertEqual(max(there), (attempt + 1, 80))
        self.hosts.do("heal", "h2")
        self.assertEqual(sorted(self.store.committed()), there)
        verified = command("verify", self.store.path)
        self.assertEqual(verified.code, 0, verified)

    def test_a_link_cut_while_saving_ends_both_sides_and_a_requeue_takes_over(self):
        self.expect_requeue_takes_over(1, "saving", "open:/.0001-0000000040.partial/shard-")

    def test_a_link_cut_while_loading_ends_both_sides_and_a_requeue_takes_over(self):
        before = self.launch(alone=True, run={"id": "cut", "max_iterations": 20})
        self.assertEqual(before.wait(120), 0, before.log.read_text())
        self.expect_requeue_takes_over(2, "loading", "MPI_Comm_split_type MPI_Bcast open:/shard-")

    def test_a_link_that_heals_within_the_stall_time_costs_nothing(self):
        process = self.launch(watchdog={"heartbeat_seconds": 0.5, "stall_seconds": 30})
        self.at_work(process, 1)
        self.hosts.do("cut", "h2")
        before = self.store.iteration(1)
        # Both sides stand still: nobody trains alone.
        time.sleep(2)  # the cut itself, for a while
        self.hosts.do("heal", "h2")
        self.until(lambda: self.store.iteration(1) > before + 20, "that it goes on", process)
        self.assertIsNone(process.poll(), process.log.read_text())
        self.assertEqual(self.store.attempts(), [1])


if __name__ == "__main__":
    main()
