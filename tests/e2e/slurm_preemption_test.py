#!/usr/bin/env -S python3 -B
"""A job that a real Slurm takes its nodes from: with and without notice, by preemption, by the
administrator's requeue, by the time limit; on a site that passes the user's signal on and on one
that does not. It is requeued once and carries on; what is lost is at most what came since the last
save. LOCKSTEP_LONG=1 adds what takes minutes."""

from lockstep_cluster import Cluster, long
from lockstep_jobs import command
from lockstep_slurm import SlurmTest, setUpModule  # pylint: disable=unused-import
from lockstep_test import main

INTERVAL = 10  # iterations between two saves


class PreemptionTest(SlurmTest):
    def under_way(self, **sections):
        """A job that has saved."""
        self.configure(checkpoint={"interval": INTERVAL}, **sections)
        job = self.submit()
        self.at_work(job)
        job.until(lambda: self.store.of_attempt(1), "a checkpoint")
        return job

    def expect_requeued_from_last_save(self, job):
        """Gives what was saved last before the requeue: (attempt, iteration). A retry in the same
        allocation may have come to nothing."""
        job.until(lambda: job.facts().get("Restarts") == "1", "that it is requeued")
        # The folder is there a moment before claim.json.
        restarts = lambda attempt: (self.store.record(attempt, "claim") or {}).get("restart_count")
        again, = job.until(lambda: [n for n in self.store.attempts() if restarts(n) == 1],
                           "an attempt after that")
        self.at_work(job, again)
        last, saved = max(at for at in self.store.committed() if at[0] < again)
        self.expect_carried_on(job, again, (last, saved), restarts=1)
        self.assertLess(self.store.iteration(last) - saved, 2 * INTERVAL, job.said())
        self.expect_exit(command("stop", self.store.path, "--wait"), 0)
        self.expect_end(job, "FAILED", 77, restarts=1)
        self.assertEqual(self.store.attempts()[-1], again)
        return last, saved

    def expect_nothing_lost(self, job):
        last, saved = self.expect_requeued_from_last_save(job)
        self.assertEqual(last, 1, job.said())
        self.assertEqual(self.expect_outcome(1, "preempted", 75), saved)
        self.assertEqual(self.store.iteration(1), saved)

    def without_grace(self):
        def set_grace(seconds):
            self.cluster.command("scontrol", "update", "PartitionName=low",
                                 f"GraceTime={seconds}")
        said = self.cluster.command("scontrol", "-o", "show", "partition", "low").stdout
        before = said.partition(" GraceTime=")[2].split()[0]
        self.addCleanup(set_grace, before)
        set_grace(0)


class EitherLauncher:
    def test_a_preempted_job_is_requeued_once_and_carries_on(self):
        self.configure()
        job = self.submit()
        self.at_work(job)
        high = self.submit_high()
        saved = self.saved_then_short(job)
        self.expect_requeued_once(job, saved)
        self.assertEqual(high.until(high.ended, "the other's end")[0], "COMPLETED")


class Srun(EitherLauncher, PreemptionTest):
    script = "train_srun.sbatch"

    def test_without_grace_time_a_quick_save_is_in_time(self):
        self.without_grace()
        job = self.under_way()
        self.submit_high()
        self.expect_nothing_lost(job)

    def test_without_grace_time_what_saves_too_late_is_killed_and_loses_what_came_since(self):
        self.without_grace()
        # Longer than KillWait, and a stop takes effect between two iterations.
        self.configure(task={"iteration_ms": 7000}, checkpoint={"interval": 1})
        job = self.submit()
        job.until(lambda: self.store.of_attempt(1) == [1], "the first checkpoint")
        self.submit_high()
        self.configure(task={"iteration_ms": 20})
        self.assertEqual(self.expect_requeued_from_last_save(job), (1, 1))
        self.assertIsNone(self.store.record(1, "outcome"), job.said())

    def test_an_administrators_requeue_saves_first(self):
        job = self.under_way()
        self.cluster.command("scontrol", "requeue", job.name)
        self.expect_nothing_lost(job)

    @long
    def test_before_the_time_limit_it_saves_and_is_requeued(self):
        self.configure()
        job = self.submit("--time=1", "--signal=USR1@45")
        self.expect_requeued_once(job, self.saved_then_short(job))

    @long
    def test_without_any_signal_the_time_limit_itself_is_the_deadline(self):
        self.configure(preempt={"grace_seconds": 5})
        job = self.submit("--time=1", "--signal=CONT@1")
        self.expect_requeued_once(job, self.saved_then_short(job))
        self.assertIn("the deadline is near", job.said())


class Mpirun(EitherLauncher, PreemptionTest):
    script = "train_mpirun.sbatch"

    def test_without_grace_time_it_loses_at_most_what_came_since_the_last_save(self):
        self.without_grace()
        job = self.under_way()
        self.submit_high()
        self.expect_requeued_from_last_save(job)

    @long
    def test_an_administrators_requeue_loses_at_most_what_came_since_the_last_save(self):
        job = self.under_way()
        self.cluster.command("scontrol", "requeue", job.name)
        self.expect_requeued_from_last_save(job)


class WithoutUserSignal(PreemptionTest):
    """The site lacks preempt_send_user_signal: TERM comes, and to job steps alone."""

    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(USER_SIGNAL="no", GRACE=10)
        cls.addClassCleanup(cls.cluster.down)

    def test_under_srun_a_preempted_job_saves(self):
        self.script = "train_srun.sbatch"
        job = self.under_way()
        self.submit_high()
        self.expect_nothing_lost(job)

    def test_under_mpirun_it_has_two_seconds_and_its_last_save_counts(self):
        self.script = "train_mpirun.sbatch"
        job = self.under_way()
        self.submit_high()
        self.expect_requeued_from_last_save(job)
        self.assertIn("lockstepd ended with 205", job.said())


if __name__ == "__main__":
    main()
