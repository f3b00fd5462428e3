#!/usr/bin/env -S python3 -B
"""Stop signals at any moment, from the first one on, to any rank, in any number: one save, exit 75."""

import os
import random
import signal
import time

from lockstep_test import JobTest, main, pair

LONG = {"run": {"id": "long", "max_iterations": 10**6}, "task": {"iteration_ms": 5},
        "checkpoint": {"interval": 10**6}}
STOP = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM, signal.SIGXCPU)
SECONDS = 120


class Signals(JobTest):
    def is_lockstepd(self, job, rank):
        """Whether the rank is behind its first stage. The shell before that would die, and so would
        the first stage in the moment before it holds signals back."""
        pids = job.pids(rank)
        try:
            return bool(pids) and os.readlink(f"/proc/{pids[0]}/exe").endswith("/libexec/lockstepd")
        except OSError:
            return False

    def start_and_watch(self, site, ranks):
        job = site.start(ranks=ranks, direct=True, **LONG)
        end = time.monotonic() + SECONDS
        while not all(self.is_lockstepd(job, rank) for rank in range(ranks)):
            self.assertLess(time.monotonic(), end, "no rank has started")
        return job

    def test_one_while_the_job_starts_is_remembered_and_honoured_before_the_first_iteration(self):
        # LibTorch is loaded, MPI started, the store claimed: half a second and more.
        for trial, delay in enumerate((0, 0.01, 0.03, 0.1, 0.2, 0.3)):
            with self.subTest(delay=delay):
                site = self.site(f"site{trial}")
                job = self.start_and_watch(site, 2)
                time.sleep(delay)  # no wait for a fact: what is tried is this moment
                job.signal_rank(trial % 2, STOP[trial % len(STOP)])
                result = job.wait()
                self.assertEqual(result.code, 75, result)
                self.assertRegex(result.err, "preempted by|is saved", result)

    def test_a_storm_of_1000_is_one_save(self):
        for seed in range(3):
            with self.subTest(seed=seed):
                site = self.site(f"site{seed}")
                chance = random.Random(seed)
                job = self.start_and_watch(site, 2)
                if seed:  # else from the start on
                    job.until(lambda: site.store.iteration() >= 1, "the first iteration")
                for _ in range(1000):
                    try:
                        job.signal_rank(chance.randrange(2), chance.choice(STOP))
                    except OSError:  # it has ended
                        break
                    time.sleep(0.001)
                result = job.wait()
                self.assertEqual(result.code, 75, result)
                saved = site.store.of_attempt(1)
                self.assertEqual(len(saved), 1 if seed else 0, result)
                self.assertEqual(result.err.count("committed 1@"), len(saved), result)
                again = {**LONG, "run": {"id": "long", "max_iterations": (saved or [0])[0] + 3}}
                self.expect_exit(site.run(**again), 0)
                parent = pair(site.store.record(2, "decision")["parent"])
                self.assertEqual(parent, (1, saved[0]) if saved else None)


if __name__ == "__main__":
    main()
