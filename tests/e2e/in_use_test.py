#!/usr/bin/env -S python3 -B
"""A launch on a store that another job is at work on: an error, a wait, or a takeover."""

import re
import signal
import socket

from lockstep_faults import Fault
from lockstep_jobs import command
from lockstep_test import JobTest, main, pair


def content(store):
    return {str(path.relative_to(store.path)): path.read_bytes()
            for path in store.path.rglob("*") if path.is_file()}


def swap(one, other):
    aside = one.with_name("aside")
    one.rename(aside)
    other.rename(one)
    aside.rename(other)


class StoreInUse(JobTest):
    forever = {"run": {"id": "long", "max_iterations": 10**6}, "task": {"iteration_ms": 50},
               "watchdog": {"heartbeat_seconds": 0.1, "stall_seconds": 1}}

    def busy(self, site, **how):
        job = site.start(**{**self.forever, "restore": "auto", **how})
        job.until(lambda: site.store.iteration() >= 1, "the first iteration")
        return job

    def expect_still_at_work(self, site, job):
        seen = site.store.iteration(1)
        job.until(lambda: site.store.iteration(1) > seen, "a further iteration")
        job.signal_launcher(signal.SIGUSR1)
        self.expect_exit(job.wait(), 75)

    def test_by_another_run_is_an_error_that_names_run_host_and_process(self):
        site = self.site()
        job = self.busy(site)
        who = ("in use", "long", socket.gethostname(), re.compile(rf"\b{job.pids(0)[0]}\b"))
        result = site.run(restore="auto", run={"id": "mine"}, busy=True)
        self.assertEqual((result.planned["kind"], result.planned["exit_code"]), ("error", 2))
        self.expect_exit(result, 2, *who)
        self.assertEqual(site.store.attempts(), [1])
        # The job can't do what helps the plan: it is told without.
        self.assertNotIn("--ignore-running", result.err + result.planned["error"])
        refused = command("plan", "train.yaml", cwd=site.folder)
        self.expect_exit(refused, 2, *who, "add --ignore-running")
        planned = site.plan(restore="fresh", flags=["--ignore-running"], busy=True)
        self.assertEqual(planned["kind"], "fresh")
        self.expect_still_at_work(site, job)

    def test_a_job_whose_store_is_moved_away_does_not_touch_another_one_in_its_place(self):
        """Both have an attempt 1, so that no number tells; and one whose number is higher."""
        site = self.site("another")
        site.trained(20, checkpoint={"interval": 5, "keep_last": 9})
        another = site.store
        before = content(another)
        for attempt in (1, 2):
            with self.subTest(attempt):
                site = self.site(f"site{attempt}")
                if attempt == 2:
                    site.trained(2)
                job = self.busy(site, ranks=2, task={"iteration_ms": 2}, metrics={"interval": 1},
                                checkpoint={"interval": 40, "keep_last": 2, "max_failures": 9},
                                foreseen=False)  # the plan's record is looked for where it was
                job.until(lambda: (attempt, 80) in site.store.committed(), "two checkpoints")
                swap(site.store.path, another.path)
                self.expect_exit(job.wait(), 2, "superseded: another store (id ",
                                 "was moved away or deleted")
                swap(site.store.path, another.path)
                self.assertEqual(content(another), before)
                self.assertFalse((site.store.attempt(attempt) / "outcome.json").exists())
                site.trained(max(at for _, at in site.store.committed()) + 1, restore="latest",
                             run={"id": "long"})

    def test_by_the_same_run_is_waited_for_and_then_an_error_to_retry(self):
        site = self.site()
        job = self.busy(site)
        result = site.run(**self.forever, restore="auto", busy=True)
        self.expect_exit(result, 3, "in use", "waiting")
        self.assertEqual(site.store.attempts(), [1])
        self.expect_still_at_work(site, job)

    def test_by_the_same_run_that_ends_in_time_is_carried_on_from(self):
        site = self.site()
        patient = {**self.forever, "watchdog": {"heartbeat_seconds": 0.1, "stall_seconds": 60}}
        job = self.busy(site, **patient)
        # Far enough off that the first does not reach it meanwhile; the second is quick.
        patient.update(run={"id": "long", "max_iterations": site.store.iteration() + 400},
                       task={"iteration_ms": 0})
        # The plan says how things stand: in use. That the first ends while the second waits is
        # what no plan can know.
        second = site.start(**patient, restore="auto", busy=True, foreseen=False)
        second.until(lambda: "waiting" in second.err(), "that it waits")
        job.signal_launcher(signal.SIGUSR1)
        self.expect_exit(job.wait(), 75)
        result = second.wait()
        self.expect_exit(result, 0)
        self.assertIn(result.planned["error"].partition(";")[0].removeprefix("in use: "),
                      result.err)
        self.assertEqual(result.planned["exit_code"], 3)
        saved = site.store.record(1, "outcome")["last_committed_iteration"]
        self.assertEqual(pair(site.store.record(2, "decision")["parent"]), (1, saved))

    def test_by_an_earlier_launch_of_the_same_Slurm_job_is_taken_over(self):
        site = self.site()
        slurm = {"preempt": {"grace_seconds": 0}, "checkpoint": {"interval": 10**6}}
        launch = {"SLURM_JOB_ID": 4242}
        job = self.busy(site, rank_env=launch, **slurm)
        result = site.run(rank_env={**launch, "SLURM_RESTART_COUNT": 1}, busy=True,
                          run={"max_iterations": 10}, restore="auto", **slurm)
        self.expect_exit(result, 0, "taking over")
        self.assertEqual(site.store.attempts(), [1, 2])
        # The old one learns it when it saves, and nothing of it counts.
        job.signal_launcher(signal.SIGUSR1)
        self.expect_exit(job.wait(), 2, "superseded")
        self.assertEqual(site.store.record(1, "outcome")["outcome"], "superseded")
        self.assertEqual(sorted(site.store.committed()), [(2, 10)])

    def test_by_nobody_that_goes_away_before_the_claim_is_not_begun_anew(self):
        site = self.site()
        site.trained(10, run={"id": "a"})
        held = Fault(site.folder / "held", "hold", 0, "open:/store.json MPI_Comm_split_type")
        job = site.start(wrapper=held.wrapper, foreseen=False, run={"id": "b", "max_iterations": 20},
                         restore="auto")
        job.until(held.began, "that it prepares its task")
        away = site.store.path.with_name("away")
        site.store.path.rename(away)
        held.go()
        self.expect_exit(job.wait(), 3, "went away since this launch looked at it")
        self.assertFalse(site.store.path.exists(), "nothing is made in its place")
        away.rename(site.store.path)
        self.assertEqual(site.store.attempts(), [1])

    def loser_of_the_number(self, site, patient):
        """Two launches of a run whose store nobody was at work on when they looked: the winner,
        and the other one, which waits for its end."""
        held = Fault(site.folder / "held", "hold", 0, "mkdir:/attempts/0001")
        loser = site.start(**patient, restore="auto", busy=True, foreseen=False,
                           wrapper=held.wrapper)
        loser.until(held.began, "that it is about to claim")
        winner = self.busy(site, **patient)
        held.go()
        loser.until(lambda: "waiting" in loser.err(), "that it waits")
        return winner, loser

    def test_that_was_taken_right_before_the_claim_can_be_stopped_too(self):
        patient = {**self.forever, "watchdog": {"heartbeat_seconds": 0.1, "stall_seconds": 60}}
        site = self.site("signal")
        winner, loser = self.loser_of_the_number(site, patient)
        loser.signal_launcher(signal.SIGUSR1)
        self.expect_exit(loser.wait(), 75, "while waiting: nothing was claimed")
        self.expect_still_at_work(site, winner)
        site = self.site("request")
        winner, loser = self.loser_of_the_number(site, patient)
        self.expect_exit(command("stop", site.store.path), 0)
        self.expect_exit(winner.wait(), 77)
        self.expect_exit(loser.wait(), 77, "attempt 1 was stopped on request")
        self.assertEqual(site.store.attempts(), [1])


if __name__ == "__main__":
    main()
