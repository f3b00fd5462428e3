#!/usr/bin/env -S python3 -B
"""Goodput of one Fashion-MNIST job that is preempted again and again, on a real Slurm of two nodes
on this machine (tests/slurm; needs root), a rank on each.

    tests/bench/goodput_bench.py --iterations 6000 --between 1000 --preemptions 5

A job of a higher partition takes both nodes as soon as the attempt has trained --between
iterations; the job saves, ends with 75, is requeued, and carries on.

  goodput             iterations of the final lineage x median iteration time / wall time
  wall_s              from the job's first start to its end, as Slurm says
  queued_s            of it: pending, since another job had its nodes or Slurm held it back after
                      the requeue (here at least 5 s); goodput_without_queue leaves it out
  iteration_ms        median over the stretches between two heartbeats of an attempt, the first
                      iteration of each attempt left out
  iterations_lost     trained, and not in the final lineage
  step_to_iteration_s    from the start of rank 0's process to its first new iteration: each attempt
  start_to_iteration_s   from Slurm's start of the job, hence with the batch script and srun
  preempted_to_end_s     from the submission of the other job to the attempt's outcome: with the
                         notice and the save
  overhead_per_start_s   (wall - queued - iterations x median) / starts: what a preemption costs
                         besides the queue. It does not depend on how long the job is: goodput does
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
import unittest
from pathlib import Path

from bench_tools import emit, say, summary
from lockstep_cluster import Cluster
from lockstep_jobs import configuration, yaml_text
from lockstep_store import Store

HEARTBEAT_SECONDS = 0.5
SECONDS = 3600  # for the iterations of an attempt


def written(path):
    return path.stat().st_mtime


class Chain:
    def __init__(self, cluster, folder, options):
        self.cluster, self.folder, self.options = cluster, folder, options
        self.store = Store(folder / "store")
        self.stretches = []  # seconds of an iteration between two heartbeats
        self.links = []
        (folder / "train.yaml").write_text(yaml_text(configuration(
            run={"max_iterations": options.iterations, "seed": 7}, task={"name": "fashion_mnist"},
            data={"global_batch": 64}, checkpoint={"interval": 10**6, "keep_last": 1},
            watchdog={"heartbeat_seconds": HEARTBEAT_SECONDS}, restore="auto")))

    def run(self):
        job = self.cluster.submit(self.folder, "train_srun.sbatch")
        try:
            for attempt in range(1, self.options.preemptions + 2):
                self.link(job, attempt)
            state, code, restarts = job.until(job.ended, "its end")
            self.ended = time.time()
            if (state, code, restarts) != ("COMPLETED", "0:0", self.options.preemptions):
                raise AssertionError(f"{state} {code} after {restarts} restarts; {job.said()}")
        finally:
            job.end()

    def link(self, job, attempt):
        """One start of the job, up to its preemption or its end."""
        job.until(lambda: job.state() == "PENDING" or attempt == 1, "that it is queued")
        link = {"queued": time.time()}
        job.until(lambda: job.state() == "RUNNING", "its start")
        link["started"] = time.time()
        begin = self.links[-1]["saved"] if self.links else 0
        beats = []

        def trained(iterations):
            self.look(attempt, beats)
            return beats and beats[-1][1] >= begin + iterations

        job.until(lambda: attempt in self.store.attempts() and trained(1), "its first iteration")
        link.update(first=beats[-1][0], stepped=self.process_began(attempt))
        last = attempt > self.options.preemptions
        if not last:
            job.until(lambda: trained(self.options.between), "its work", SECONDS)
            link["preempted"] = time.time()
            self.cluster.submit_high(self.folder)
        job.until(lambda: trained(0) and self.store.record(attempt, "outcome"), "its end", SECONDS)
        outcome = self.store.record(attempt, "outcome")
        if outcome["outcome"] != ("finished" if last else "preempted"):
            raise AssertionError(f"attempt {attempt} ended {outcome}; {job.said()}")
        link.update(over=written(self.store.attempt(attempt) / "outcome.json"),
                    saved=outcome["last_committed_iteration"], done=self.store.iteration(attempt))
        self.links.append(link)
        self.stretches += [(b[0] - a[0]) / (b[1] - a[1]) for a, b in zip(beats, beats[1:])
                           if b[1] > a[1]]
        say(f"attempt {attempt}: iterations {begin} to {link['saved']}")

    def look(self, attempt, beats):
        """Notes when the heartbeat was written, and its iteration, where it has changed."""
        iteration = self.store.iteration(attempt)
        at = written(self.store.attempt(attempt) / "heartbeat") if iteration > 0 else 0
        if at and (not beats or at > beats[-1][0]):
            beats.append((at, iteration))

    def process_began(self, attempt):
        """When rank 0's process was started: the claim tells it in clock ticks since boot."""
        ticks = self.store.record(attempt, "claim")["start_time"]
        ago = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
        return time.time() - ago

    def report(self):
        links, count = self.links, self.options.iterations
        usual = statistics.median(self.stretches)
        wall = self.ended - links[0]["started"]
        queued = sum(link["started"] - link["queued"] for link in links[1:])

        def each(begin, end, of=links):
            seconds = [round(link[end] - link[begin], 2) for link in of]
            return {**summary(seconds), "each": seconds}

        emit(bench="goodput", task="fashion_mnist", ranks=2, iterations=count,
             preemptions=len(links) - 1, goodput=round(count * usual / wall, 4),
             goodput_without_queue=round(count * usual / (wall - queued), 4),
             wall_s=round(wall, 2), queued_s=round(queued, 2), iteration_ms=round(1000 * usual, 3),
             iterations_lost=sum(link["done"] - link["saved"] for link in links),
             step_to_iteration_s=each("stepped", "first"),
             start_to_iteration_s=each("started", "first"),
             preempted_to_end_s=each("preempted", "over", links[:-1]),
             overhead_per_start_s=round((wall - queued - count * usual) / len(links), 2))


def parse():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--iterations", type=int, default=6000)
    parser.add_argument("--between", type=int, default=1000, help="iterations of an attempt")
    parser.add_argument("--preemptions", type=int, default=5)
    options = parser.parse_args()
    if options.iterations <= options.preemptions * options.between:
        parser.error("--iterations must be more than all preemptions leave done")
    return options


def main():
    options = parse()
    try:
        cluster = Cluster()
    except unittest.SkipTest as error:
        sys.exit(str(error))
    try:
        with tempfile.TemporaryDirectory() as folder:
            chain = Chain(cluster, Path(folder), options)
            chain.run()
            chain.report()
    finally:
        cluster.down()


if __name__ == "__main__":
    main()
