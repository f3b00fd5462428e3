#!/usr/bin/env -S python3 -B
"""One Fashion-MNIST job on a real Slurm, preempted again and again by jobs of a higher partition,
ends as the job that nobody disturbed: bit for bit, and without one iteration lost. By srun, and with
LOCKSTEP_LONG=1 by mpirun."""

import json
import time

from lockstep_cluster import long
from lockstep_slurm import SlurmTest, setUpModule  # pylint: disable=unused-import
from lockstep_test import main, pair

ITERATIONS = 200
BETWEEN = 15  # iterations at least between two
IMAGES = {"task": {"name": "fashion_mnist"}, "data": {"global_batch": 64},
          "checkpoint": {"interval": 1000, "keep_last": 1}}
RANKS = ("--ntasks=4", "--ntasks-per-node=2")


class PreemptionsTest(SlurmTest):
    preemptions = None

    def configure(self, to=ITERATIONS, **sections):
        super().configure(to, **{**IMAGES, **sections})

    def train_undisturbed(self):
        """Gives the store."""
        self.place = self.site("straight")
        self.store = self.place.store
        self.configure()
        began = time.monotonic()
        self.expect_end(self.submit(*RANKS), "COMPLETED", 0, restarts=0)
        return self.store, time.monotonic() - began

    def preempt(self, job, attempt, start):
        """Gives where it was saved, and the seconds until it trained again."""
        job.until(lambda: self.store.iteration(attempt) >= start + BETWEEN,
                  f"attempt {attempt} at work")
        began = time.monotonic()
        self.submit_high()
        job.until(lambda: self.store.record(attempt, "outcome"), "that it is preempted")
        saved = self.expect_outcome(attempt, "preempted", 75)
        self.assertEqual(self.store.iteration(attempt), saved, "trained beyond what is saved")
        job.until(lambda: attempt + 1 in self.store.attempts() and
                  self.store.iteration(attempt + 1) > saved, "that it trains again")
        return saved, time.monotonic() - began

    def expect_end_as_the_undisturbed_one(self):
        straight, undisturbed_s = self.train_undisturbed()
        self.place = self.site("preempted")
        self.store = self.place.store
        self.configure()
        began = time.monotonic()
        job = self.submit(*RANKS)
        saved, gaps = [0], []
        job.until(lambda: self.store.attempts(), "its first attempt")
        for attempt in range(1, self.preemptions + 1):
            at, gap_s = self.preempt(job, attempt, saved[-1])
            saved.append(at)
            gaps.append(round(gap_s, 1))
        self.expect_end(job, "COMPLETED", 0, restarts=self.preemptions)
        wall_s = time.monotonic() - began
        for attempt in range(2, self.preemptions + 2):
            parent = pair(self.store.record(attempt, "decision")["parent"])
            self.assertEqual(parent, (attempt - 1, saved[attempt - 1]))
        last = self.preemptions + 1
        self.assertEqual(self.expect_outcome(last, "finished", 0), ITERATIONS)
        self.expect_same_tensors(straight.tensors(1, ITERATIONS),
                                 self.store.tensors(last, ITERATIONS))
        for key in ("iteration", "data", "metrics", "seed", "finite"):
            self.assertEqual(straight.manifest(1, ITERATIONS)[key],
                             self.store.manifest(last, ITERATIONS)[key], key)
        print(json.dumps({"bench": f"{self.preemptions} preemptions of {ITERATIONS} iterations on "
                                   f"4 ranks, {self.script}",
                          "iterations_lost": 0, "undisturbed_s": round(undisturbed_s, 1),
                          "wall_s": round(wall_s, 1), "preempted_to_training_again_s": gaps}))


class Srun(PreemptionsTest):
    script, preemptions = "train_srun.sbatch", 5

    def test_a_job_preempted_five_times_ends_as_the_undisturbed_one(self):
        self.expect_end_as_the_undisturbed_one()


@long
class Mpirun(PreemptionsTest):
    script, preemptions = "train_mpirun.sbatch", 2

    def test_a_job_preempted_twice_ends_as_the_undisturbed_one(self):
        self.expect_end_as_the_undisturbed_one()


if __name__ == "__main__":
    main()
