#!/usr/bin/env -S python3 -B
"""Ranks that hang at the edges of a job: in its launch, before all have joined, and behind its end,
when the work is done."""

import re
import socket
import time

from lockstep_faults import Fault
from lockstep_jobs import is_running
from lockstep_test import JobTest, main

STALL = 2
JOIN = 4
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


class Launch(Edge):
    """Only rank 0 reads watchdog.join_seconds; the others know LOCKSTEP_JOIN_SECONDS alone."""

    def late(self, site, first, seconds):
        """Ranks from `first` on are started so much later."""
        script = site.folder / "late.sh"
        script.write_text(f'#!/bin/sh\n[ "$OMPI_COMM_WORLD_RANK" -lt {first} ] || '
                          f'sleep {seconds}\nexec "$@"\n')
        script.chmod(0o755)
        return [script]

    def expect_launch_named(self, job, began, limit, *lines):
        result = self.expect_end(job, began, limit, 76, *map(re.compile, lines))
        self.assertFalse((job.folder.parent / "store" / "attempts").exists(), result)
        return result

    def test_rank_0_that_stops_before_it_has_read_the_configuration_is_named_by_the_others(self):
        job, began = self.start(self.site(), 0, "open:train.yaml",
                                env={"LOCKSTEP_JOIN_SECONDS": JOIN})
        self.expect_launch_named(
            job, began, JOIN, rf"rank [12] \({HOST}\): phase launch, not all ranks joined within "
                              rf"{JOIN} s\nrank 0 \({HOST}\): phase launch, silent for {JOIN} s")

    def test_rank_0_that_does_not_get_its_configuration_says_where_it_is(self):
        site = self.site()
        job, began = self.start(site, 0, "open:train.yaml", "hold",
                                env={"LOCKSTEP_JOIN_SECONDS": JOIN})
        self.expect_launch_named(job, began, JOIN, rf"rank 0 \({HOST}\): phase launch, not ready to "
                                 rf"join the others after {JOIN} s", "its main thread is in")

    def test_rank_0_that_stops_before_MPI_is_named_by_the_others(self):
        job, began = self.start(self.site(), 0, "MPI_Init_thread",
                                env={"LOCKSTEP_JOIN_SECONDS": JOIN})
        self.expect_launch_named(job, began, JOIN,
                                 rf"rank 0 \({HOST}\): phase launch, silent for {JOIN} s")

    def test_ranks_that_never_join_are_named(self):
        site = self.site()
        job = site.start(ranks=RANKS, direct=True, wrapper=self.late(site, 1, 60), foreseen=False,
                         **{**SECTIONS, "watchdog": {"join_seconds": JOIN}})
        lines = [rf"rank 0 \({HOST}\): phase launch, not all ranks joined within {JOIN} s"]
        lines += [rf"\nrank {rank} \({HOST}\): phase launch, silent for {JOIN} s" for rank in (1, 2)]
        self.expect_launch_named(job, time.monotonic(), JOIN + 5, *lines)

    def test_a_launch_that_is_slow_and_allowed_to_be_goes_on(self):
        """Longer than the other ranks would wait if they did not see rank 0."""
        site = self.site()
        result = site.run(ranks=RANKS, wrapper=self.late(site, RANKS - 1, JOIN + SLACK),
                          env={"LOCKSTEP_JOIN_SECONDS": JOIN}, **SECTIONS)
        self.expect_exit(result, 0)
        self.assertGreater(result.seconds, JOIN + SLACK)

    def test_a_join_time_that_is_none_is_2(self):
        for text in ("soon", "0", "-1", "1e3", ""):
            with self.subTest(text):
                site = self.site(f"site{len(text)}{text[:1]}")
                self.expect_exit(site.run(env={"LOCKSTEP_JOIN_SECONDS": text}, foreseen=False), 2,
                                 "LOCKSTEP_JOIN_SECONDS is no number of seconds above 0")


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
