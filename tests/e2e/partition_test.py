#!/usr/bin/env -S python3 -B
"""Two hosts with one store, and a network between them that is cut while a job trains on both: each
side ends by itself, the launch after that carries on from the last commit, and a link that heals
changes nothing."""

import json
import os
import signal
import subprocess
import time

from lockstep_cluster import Hosts, ranks_in
from lockstep_jobs import BIN, environment, is_running, yaml_text
from lockstep_test import JobTest, main, pair

STALL = 3
SLACK = 10  # what the promise allows beyond the stall time
RANKS = 4   # 0 and 1 on h1, 2 and 3 on h2
SECTIONS = {"run": {"id": "cut", "max_iterations": 10**6}, "store": "./store", "restore": "auto",
            "task": {"name": "synthetic", "parameters": 20000, "tensors": 6, "iteration_ms": 20},
            "data": {"global_batch": 12}, "checkpoint": {"interval": 20, "keep_last": 5},
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

    def launch(self, **sections):
        """mpirun on one host, ranks on both."""
        config = self.place.write(yaml_text({**SECTIONS, **sections}))
        log = self.place.folder / f"log{len(self.launches)}"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [self.hosts.script, "run", self.hosts.folder, str(RANKS), BIN / "lockstepd",
                 config.name], cwd=self.place.folder, stdout=out, stderr=subprocess.STDOUT,
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

    def test_both_sides_of_a_cut_link_end_and_the_next_launch_carries_on(self):
        first = self.launch()
        self.at_work(first, 1)
        sides = {host: self.pids_on(host) for host in ("h1", "h2")}
        self.assertEqual({host: len(pids) for host, pids in sides.items()}, {"h1": 2, "h2": 2})
        began = time.monotonic()
        self.hosts.do("cut", "h2")
        ended = {}
        for host, pids in sides.items():
            self.until(lambda: not any(is_running(pid) for pid in pids), f"the end of {host}", first)
            ended[host] = time.monotonic() - began
        for host, seconds in ended.items():
            self.assertLess(seconds, STALL + SLACK, f"{host}: {first.log.read_text()}")
        print(json.dumps({"bench": "link cut while training to the end of each side",
                          **{f"{host}_s": round(s, 1) for host, s in ended.items()},
                          "stall_s": STALL}))
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
