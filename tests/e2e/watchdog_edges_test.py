#!/usr/bin/env -S python3 -B
"""Ranks that hang behind the end of a job, when its work is done."""

import re
import signal
import socket
import time

from lockstep_faults import Fault
from lockstep_jobs import is_running
from lockstep_test import JobTest, main

STALL = 2
SLACK = 10  # what the promise allows beyond the limit
RANKS = 3
HOST = socket.gethostname()
SECTIONS = {"run": {"id": "edges", "max_iterations": 10}, "restore": "auto",
            "watchdog": {"heartbeat_seconds": 0.1, "stall_seconds": STALL}}


class Edge(JobTest):
    def start(self, site, rank, calls, fault="stop", **more):
        """A job, and when the fault came to the rank."""
        shim = Fault(site.folder / "fault", fault, rank, calls)
        # The fault may come before there is a decision that a plan could be compared with.
        job = site.start(ranks=RANKS, direct=True, wrapper=shim.wrapper, foreseen=False,
                         **{**SECTIONS, **more})
        return job, job.until(shim.began, "the fault")

    def expect_end(self, job, began, limit, code, *facts):
        """It ended so within the limit, said the facts, and no process of it is left."""
        result = job.wait()
        seconds = time.monotonic() - began
        self.assertEqual(result.code, code, result)
        self.expect_said(result, *facts)
        self.assertLess(seconds, limit + SLACK, result)
        pids = [pid for rank in range(RANKS) for pid in job.pids(rank)]
        deadline = time.monotonic() + 2
        while any(map(is_running, pids)) and time.monotonic() < deadline:
            time.sleep(0.01)
        self.assertEqual([pid for pid in pids if is_running(pid)], [], result)
        return result


class BehindTheEnd(Edge):
    def expect_named_when_finished(self, rank, calls, heard="", said="the job had done its work"):
        site = self.site()
        job, began = self.start(site, rank, calls)
        named = re.compile(rf"rank {rank} \({HOST}\): phase end, silent for \d+ s{heard}")
        self.expect_end(job, began, STALL, 76, named, said)
        outcome = site.store.record(1, "outcome")
        self.assertEqual((outcome["outcome"], outcome["exit_code"]), ("finished", 0))
        self.expect_exit(site.run(ranks=RANKS, **SECTIONS), 0)

    def test_a_rank_that_stops_before_all_are_at_their_end_is_named(self):
        self.expect_named_when_finished(RANKS - 1, "MPI_Barrier",
                                        said="outcome.json was written before, and stands")

    def test_a_rank_that_stops_within_the_end_of_MPI_is_named(self):
        self.expect_named_when_finished(RANKS - 1, "MPI_Finalize")

    def test_a_rank_that_stops_behind_the_end_of_MPI_is_named(self):
        self.expect_named_when_finished(RANKS - 1, "behind:MPI_Finalize")

    def test_rank_0_that_stops_behind_the_end_of_MPI_is_named_by_the_others(self):
        self.expect_named_when_finished(0, "behind:MPI_Finalize", "; its phase is as last heard")

    def test_with_another_code_than_0_all_leave_with_it_and_wait_for_nobody(self):
        for calls in ("MPI_Finalize", "behind:MPI_Finalize"):
            with self.subTest(calls):
                site = self.site(calls.replace(":", "-"))
                past = {"LOCKSTEP_DEADLINE": int(time.time()) - 60}
                job, began = self.start(site, RANKS - 1, calls, env=past)
                self.expect_end(job, began, 10, 75, "the deadline is past")


if __name__ == "__main__":
    main()
