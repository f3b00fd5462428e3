#!/usr/bin/env -S python3 -B
"""A rank killed or stopped, or the store's file system frozen, in each phase of a job: the end is
named in time, no process is left behind, the store is sound, and a requeue carries on from the last
commit. Each cell of the matrix prints how long its end took.

LOCKSTEP_LONG=1 takes all cells instead of a sample, LOCKSTEP_TRIALS=5 repeats each, and with
LOCKSTEP_RANKS=4 there are more ranks; -k 'rank_0_*phase_save' as an argument picks cells.
"""

import json
import math
import os
import re
import shutil
import socket
import time
from pathlib import Path
from typing import NamedTuple

from lockstep_cluster import LONG
from lockstep_faults import Disk, Fault
from lockstep_jobs import JOB_SECONDS, command, is_running
from lockstep_store import Store
from lockstep_test import JobTest, main, pair

TRIALS = int(os.environ.get("LOCKSTEP_TRIALS", "1"))
RANKS = int(os.environ.get("LOCKSTEP_RANKS", "2"))
STALL = 2
JOIN = 10   # until all have joined, and of what has nothing to be measured by
SLACK = 10  # what the promise allows beyond the stall time
HOST = socket.gethostname()
SECTIONS = {"run": {"id": "matrix", "max_iterations": 30}, "restore": "auto",
            "task": {"name": "synthetic", "parameters": 20000, "tensors": 6, "iteration_ms": 10},
            "checkpoint": {"interval": 10, "async": False},  # a save's calls are the main thread's
            "watchdog": {"heartbeat_seconds": 0.1, "stall_seconds": STALL, "join_seconds": JOIN}}
SECONDS = []  # of all trials
SAVED = "open:/.0002-0000000020.partial/shard-"  # by every rank, in attempt 2


class Place(NamedTuple):
    """A point of a phase: the calls that lead there on rank 0, and on another rank."""
    root: str
    other: str


PLACES = {
    "launch": Place("MPI_Init_thread", "MPI_Init_thread"),
    "prepare": Place("MPI_Comm_split_type", "MPI_Comm_split_type"),
    # The others wait for the decision there.
    "restore": Place("rename:/decision.json", "MPI_Comm_split_type MPI_Bcast"),
    "load": Place("MPI_Comm_split_type MPI_Bcast open:/shard-",
                  "MPI_Comm_split_type MPI_Bcast open:/shard-"),
    "train": Place(f"{SAVED} MPI_Irecv", f"{SAVED} MPI_Irecv"),
    # The first is the iteration's own.
    "evaluate": Place(f"{SAVED} MPI_Irecv MPI_Iallreduce MPI_Iallreduce",
                      f"{SAVED} MPI_Irecv MPI_Iallreduce MPI_Iallreduce"),
    "save": Place("rename:/0002-0000000020", SAVED),
    "end": Place("rename:/outcome.json", "MPI_Barrier"),
}
# A frozen ext4 still lets reads pass: what is named is where the job comes to write next.
FROZEN = {
    (0, "prepare"): "restore",
    (0, "restore"): "restore",
    (0, "load"): "train",  # where the first iteration is noted
    (0, "train"): "save",
    (0, "evaluate"): "save",
    (0, "save"): "save",
    (0, "end"): "end",
    (RANKS - 1, "save"): "save",
    # In other phases this rank writes nothing, and in launch nobody does: those cells would be the
    # same as others here.
}


class Cell(NamedTuple):
    fault: str
    phase: str
    rank: int
    named: re.Pattern
    code: int
    limit: int  # seconds until the watchdog may name it


def cells():
    for phase in PLACES:
        for rank in (0, RANKS - 1):
            node = HOST.partition(".")[0]
            by_mpirun = rf"process rank {rank} with PID \d+ on node {node}\S* exited on signal 9"
            yield Cell("kill", phase, rank, re.compile(by_mpirun), 137, STALL)
            if phase == "launch":
                late = rf"rank {rank} \({HOST}\): phase {phase}, silent for {JOIN} s"
                yield Cell("stop", phase, rank, re.compile(late), 76, JOIN)
            else:
                # All wait for it: no progress may be seen as early as the silence.
                stopped = rf"rank {rank} \({HOST}\): phase {phase}, (silent|no progress) for \d+ s"
                yield Cell("stop", phase, rank, re.compile(stopped), 76, STALL)
            if where := FROZEN.get((rank, phase)):
                hangs = rf"rank \d+ \({HOST}\): phase {where}, no progress for \d+ s"
                limit = JOIN if where == "end" else STALL
                yield Cell("freeze", phase, rank, re.compile(hangs), 76, limit)


SAMPLE = {("kill", "load", RANKS - 1), ("stop", "restore", RANKS - 1), ("stop", "load", 0),
          ("stop", "evaluate", 0), ("freeze", "restore", 0)}


def only_the_kernel_holds(pid):
    """Every thread has ended, or will as soon as its system call does."""
    states = set()
    for path in Path(f"/proc/{pid}/task").glob("*/stat"):
        try:
            states.add(path.read_text().rpartition(")")[2].split()[0])
        except OSError:  # it has ended
            pass
    return states <= {"Z", "X", "D"}


def bench(seconds, what):
    ordered = sorted(seconds)
    rank = {part: ordered[math.ceil(part * len(ordered)) - 1] for part in (0.5, 0.99)}
    print(json.dumps({"bench": "time to the named end", **what, "trials": len(ordered),
                      "p50_s": round(rank[0.5], 2), "p99_s": round(rank[0.99], 2),
                      "max_s": round(ordered[-1], 2), "stall_s": STALL}), flush=True)


class Matrix(JobTest):
    disk = None

    @classmethod
    def setUpClass(cls):
        site = cls.of_class().site("template")
        site.trained(10, **{**SECTIONS, "run": {"id": "matrix"}})
        cls.template = site.store.path

    def expect_named_end(self, cell):
        seconds = []
        for number in range(TRIALS):
            with self.subTest(trial=number + 1):
                try:
                    seconds.append(self.trial(cell, number))
                finally:
                    if self.disk:  # else the next one would hang in it
                        self.disk.freeze(False)
        if seconds:
            bench(seconds, {"fault": cell.fault, "phase": cell.phase, "victim": cell.rank})
        SECONDS.extend(seconds)

    def trial(self, cell, number):
        """Gives the seconds until the end was named and nothing ran any more."""
        site = self.site(f"trial{number + 1}")
        if self.disk:
            site.store = Store(self.disk.folder / f"{cell.phase}-{cell.rank}-{number}")
        shutil.copytree(self.template, site.store.path)
        sections = {**SECTIONS, "store": str(site.store.path)}
        if cell.phase == "evaluate":
            sections["evaluate"] = {"interval": 1}
        place = PLACES[cell.phase]
        fault = Fault(site.folder / "fault", cell.fault, cell.rank,
                      place.other if cell.rank else place.root, self.disk and self.disk.folder)
        # A fault may come before there is a decision that a plan could be compared with.
        job = site.start(ranks=RANKS, direct=True, wrapper=fault.wrapper, foreseen=False,
                         env={"LOCKSTEP_JOIN_SECONDS": JOIN}, **sections)
        began = job.until(fault.began, "the fault")
        ended = self.hung_in_kernel(job, cell) if self.disk else None
        result = job.wait()
        ended = ended or time.monotonic()
        self.assertEqual(result.code, cell.code, result)
        self.expect_said(result, cell.named)
        self.assertLess(ended - began, cell.limit + SLACK, result)
        self.expect_nobody_left(job, result)
        self.expect_sound(site)
        if number == 0:
            self.expect_carried_on(site, sections)
        return ended - began

    def hung_in_kernel(self, job, cell):
        """Until the thaw a rank that writes can't end, and a launcher that has ended does not show
        it; what counts is what else holds the ranks."""
        pids = [pid for rank in range(RANKS) for pid in job.pids(rank)]
        deadline = time.monotonic() + JOB_SECONDS
        while not cell.named.search(job.err()) or not all(map(only_the_kernel_holds, pids)):
            self.assertLess(time.monotonic(), deadline, job.result())
            time.sleep(0.01)
        ended = time.monotonic()
        self.disk.freeze(False)
        return ended

    def expect_nobody_left(self, job, result):
        pids = [pid for rank in range(RANKS) for pid in job.pids(rank)]
        deadline = time.monotonic() + 2
        while any(map(is_running, pids)) and time.monotonic() < deadline:
            time.sleep(0.01)
        self.assertEqual([pid for pid in pids if is_running(pid)], [], result)

    def expect_sound(self, site):
        verified = command("verify", site.store.path)
        self.assertEqual(verified.code, 0, verified)

    def expect_carried_on(self, site, sections):
        last = max(site.store.committed())
        run = {**SECTIONS["run"], "max_iterations": last[1] + 3}
        self.expect_exit(site.run(ranks=RANKS, **{**sections, "run": run}), 0)
        decision = site.store.record(max(site.store.attempts()), "decision")
        self.assertEqual((decision["kind"], pair(decision["parent"])), ("restore", last))


class FaultMatrix(Matrix):
    pass


class FrozenStore(Matrix):
    @classmethod
    def setUpClass(cls):
        cls.disk = Disk(cls, cls.scratch)
        super().setUpClass()


def tearDownModule():
    if SECONDS:
        bench(SECONDS, {"fault": "all", "phase": "all", "victim": "all"})


def add_test(cell):
    how = {"kill": f"rank {cell.rank} killed", "stop": f"rank {cell.rank} stopped",
           "freeze": f"the store frozen under rank {cell.rank}"}[cell.fault]
    name = f"test_{how}_in_phase_{cell.phase}_ends_the_job_named".replace(" ", "_")
    setattr(FrozenStore if cell.fault == "freeze" else FaultMatrix, name,
            lambda self: self.expect_named_end(cell))


for each in cells():
    if LONG or (each.fault, each.phase, each.rank) in SAMPLE:
        add_test(each)


if __name__ == "__main__":
    main()
