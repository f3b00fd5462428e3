#!/usr/bin/env -S python3 -B
"""The batch scripts of deploy/slurm on a real Slurm of two nodes: what they make of each exit code.

LOCKSTEP_LONG=1 adds what takes minutes."""

from lockstep_cluster import SCRIPTS, long
from lockstep_jobs import command, is_running, kill
from lockstep_slurm import ChainTest, SlurmTest, setUpModule  # pylint: disable=unused-import
from lockstep_test import JobTest, main


class EitherLauncher:
    """What holds under srun and mpirun."""

    two_ranks_a_node = ("--ntasks=4", "--ntasks-per-node=2")

    def test_finished_is_completed(self):
        self.configure(30)
        self.expect_end(self.submit(), "COMPLETED", 0, restarts=0)
        self.expect_outcome(1, "finished", 0)

    def test_a_mistake_fails_the_job_once_and_for_all(self):
        self.configure(30, restore="1200")
        job = self.submit()
        self.expect_end(job, "FAILED", 2, restarts=0)
        self.assertNotIn("retry", job.said())

    def test_a_stopped_job_stays_stopped(self):
        self.configure()
        job = self.submit()
        self.at_work(job)
        self.expect_exit(command("stop", self.store.path, "--wait"), 0)
        self.expect_end(job, "FAILED", 77, restarts=0)
        self.expect_outcome(1, "stopped", 77)
        self.assertEqual(self.store.attempts(), [1])

    def test_a_signal_to_the_script_is_a_requeue(self):
        self.configure()
        job = self.submit()
        self.at_work(job)
        job.signal("USR1", "--batch")
        self.expect_requeued_once(job, self.saved_then_short(job))

    def test_a_killed_rank_is_a_retry_in_the_same_allocation(self):
        self.configure()
        job = self.submit(*self.two_ranks_a_node)
        pids = self.at_work(job)
        job.until(lambda: self.store.of_attempt(1), "a checkpoint")
        kill(max(pids))
        job.until(lambda: not any(is_running(pid) for pid in pids), "the end of the ranks")
        saved = max(self.store.of_attempt(1))
        self.configure(saved + 20)
        self.expect_end(job, "COMPLETED", 0, restarts=0)
        self.assertIn("retry 1 of 3", job.said())
        self.expect_carried_on(job, 2, (1, saved), restarts=0)
        self.assertEqual(self.store.attempts(), [1, 2])

    def test_a_cancelled_job_is_gone_for_good(self):
        self.configure()
        job = self.submit()
        self.at_work(job)
        job.cancel()
        self.expect_end(job, "CANCELLED", None, restarts=0)
        self.assertEqual(self.store.attempts(), [1])


class Srun(EitherLauncher, SlurmTest):
    script = "train_srun.sbatch"

    def test_a_signal_to_the_ranks_is_a_requeue(self):
        self.configure()
        job = self.submit()
        pids = self.at_work(job)
        self.expect_environment(job, pids)
        job.signal("USR1")
        self.expect_requeued_once(job, self.saved_then_short(job))

    def expect_environment(self, job, pids):
        """Ranks know the run and the end of the job."""
        with open(f"/proc/{pids[0]}/environ", encoding="utf-8", errors="replace") as file:
            env = dict(item.partition("=")[::2] for item in file.read().split("\0"))
        self.assertEqual(env["LOCKSTEP_RUN_ID"], f"slurm-{job.name}")
        ends = self.cluster.command("scontrol", "-o", "show", "job", job.name,
                                    SLURM_TIME_FORMAT="%s")
        self.assertIn(f" EndTime={env['LOCKSTEP_DEADLINE']} ", ends.stdout)


class Mpirun(EitherLauncher, SlurmTest):
    script = "train_mpirun.sbatch"


class Array(SlurmTest):
    script = "train_array.sbatch"

    def test_each_task_is_a_run_of_its_own_and_requeued_alone(self):
        (self.place.folder / "runs").mkdir()
        stores = {task: type(self.store)(self.place.folder / "runs" / str(task)) for task in (1, 2)}
        self.configure(store="runs/${SLURM_ARRAY_TASK_ID}")
        array = self.submit("--array=1-2")
        for task, store in stores.items():
            self.at_work(array.task(task), store=store)
        array.task(1).signal("USR1")
        saved = self.saved_then_short(array.task(1), stores[1])
        self.expect_exit(command("stop", stores[2].path, "--wait"), 0)
        self.expect_end(array.task(2), "FAILED", 77, restarts=0)
        self.expect_end(array.task(1), "COMPLETED", 0, restarts=1)
        self.expect_carried_on(array.task(1), 2, (1, saved), restarts=1, store=stores[1])
        self.assertEqual(stores[2].attempts(), [1])
        for task, store in stores.items():
            claim = store.record(1, "claim")
            self.assertEqual((claim["run"], claim["job"]), (f"slurm-{array.name}_{task}",
                                                            f"{array.name}_{task}"))
            self.assertEqual(store.manifest(*max(store.committed()))["seed"], task)


class Scripts(JobTest):
    def test_those_that_requeue_differ_in_their_heads_alone(self):
        tails = {(SCRIPTS / f"train_{name}.sbatch").read_text().partition("# ---- from here on")[2]
                 for name in ("srun", "mpirun", "array")}
        self.assertEqual(len(tails), 1)
        self.assertIn("requeue", tails.pop())

    def test_all_find_the_hosts_that_hung_in_the_same_way(self):
        found = {(SCRIPTS / f"train_{name}.sbatch").read_text()
                 .partition("hung_hosts() {")[2].partition("\n}\n")[0]
                 for name in ("srun", "mpirun", "array", "chain")}
        self.assertEqual(len(found), 1)
        self.assertIn("silent", found.pop())


class Chain(ChainTest):
    def test_a_link_carries_on_where_the_one_before_was_cut_and_the_last_ones_are_not_needed(self):
        self.configure(500)
        run, jobs = self.submit_chain(4, LOCKSTEP_DEADLINE="1")  # the shell's, not the links'
        self.at_work(jobs[0])
        jobs[0].signal("USR1")
        self.expect_end(jobs[0], "COMPLETED", 0, restarts=0)
        saved = self.expect_outcome(1, "preempted", 75)
        self.at_work(jobs[1], attempt=2)
        jobs[1].cancel()
        self.expect_end(jobs[1], "CANCELLED", None, restarts=0)
        self.expect_carried_on(jobs[1], 2, (1, saved), restarts=0)
        self.expect_end(jobs[2], "COMPLETED", 0, restarts=0)
        self.expect_end(jobs[3], "CANCELLED", 0, restarts=0)
        self.assertEqual(self.store.attempts(), [1, 2, 3])
        self.expect_outcome(3, "finished", 0)
        self.assertEqual(self.store.record(3, "claim")["run"], run)

    def test_a_stopped_link_is_the_end_of_the_chain(self):
        self.configure()
        _, jobs = self.submit_chain(2)
        self.at_work(jobs[0])
        self.expect_exit(command("stop", self.store.path, "--wait"), 0)
        self.expect_end(jobs[0], "FAILED", 77, restarts=0)
        self.expect_end(jobs[1], "CANCELLED", 0, restarts=0)
        self.assertEqual(self.store.attempts(), [1])

    def test_a_mistake_is_found_before_anything_is_submitted(self):
        self.configure(restore="1200")
        said = self.cluster.command("bash", SCRIPTS / self.script, "2", cwd=self.place.folder,
                                    check=False)
        self.assertEqual((said.returncode, said.stdout), (2, ""), said)
        self.assertIn("1200", said.stderr)


@long
class Long(SlurmTest):
    script = "train_srun.sbatch"

    def test_a_killed_rank_that_was_alone_on_its_node_is_a_retry(self):
        self.configure()
        job = self.submit()
        pids = self.at_work(job)
        kill(max(pids))
        job.until(lambda: not any(is_running(pid) for pid in pids), "the end of the ranks")
        self.configure(max(self.store.of_attempt(1), default=0) + 20)
        self.expect_end(job, "COMPLETED", 0, restarts=0)
        self.assertEqual(self.store.attempts(), [1, 2])

    def test_what_fails_each_time_is_given_up(self):
        self.configure()
        job = self.submit()
        self.at_work(job)
        job.signal("USR1")
        self.saved_then_short(job)
        self.store.path.rename(self.place.folder / "unmounted")
        self.expect_end(job, "FAILED", 3, restarts=1)
        self.assertIn("giving up after 3 retries", job.said())


if __name__ == "__main__":
    main()
