#!/usr/bin/env -S python3 -B
"""Every rank ends with the code that tells a batch script what to do; and work that is not saved is
never reported as saved."""

import re
import signal
import subprocess

from lockstep_endings import PATHS, TableTest
from lockstep_jobs import BIN, command, configuration, environment, yaml_text
from lockstep_store import Store, difference, snapshot
from lockstep_test import JobTest, keep_mounts_private, main, pair

SGD = {"name": "sgd", "learning_rate": 0.001}
SGD_THAT_EXPLODES = {"name": "sgd", "learning_rate": 1e30}


class EndingTest(JobTest):
    def expect_outcome(self, site, attempt, outcome, code, last_committed):
        record = site.store.record(attempt, "outcome")
        self.assertEqual({key: record[key] for key in (
            "outcome", "exit_code", "last_committed_iteration")}, {
                "outcome": outcome, "exit_code": code, "last_committed_iteration": last_committed})


class Table(TableTest):
    def test_each_path_has_its_code_on_every_rank_and_its_outcome_is_there_before(self):
        self.expect_paths(PATHS, lambda path: path.launcher)


class Ending(EndingTest):
    def test_output_that_nobody_reads_costs_nothing(self):
        site = self.site()
        config = site.write(yaml_text(configuration(task={"iteration_ms": 5})))
        with subprocess.Popen([str(BIN / "lockstepd"), config.name], cwd=site.folder,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              env=environment()) as process:
            process.stdout.close()
            self.assertEqual(process.wait(60), 0)
        self.expect_outcome(site, 1, "finished", 0, 30)

    def test_stopped_while_waiting_for_the_stopped_job_is_77(self):
        site = self.site()
        how = {"run": {"id": "same", "max_iterations": 10**6}, "task": {"iteration_ms": 20}}
        first = site.start(ranks=1, **how)
        first.until(lambda: site.store.iteration() >= 1, "the first iteration")
        second = site.start(ranks=2, busy=True, foreseen=False, **how)
        second.until(lambda: "waiting for its end" in second.err(), "it waits")
        self.expect_exit(command("stop", site.store.path), 0)
        self.expect_exit(first.wait(), 77)
        self.expect_exit(second.wait(), 77, "attempt 1 was stopped on request", "nothing was claimed")
        self.assertEqual(site.store.attempts(), [1])

    def test_a_loss_that_is_not_finite_is_2_and_names_the_way_back(self):
        site = self.site()
        site.trained(20, optimizer=SGD)
        before = snapshot(site.store.path)
        result = site.run(ranks=3, optimizer=SGD_THAT_EXPLODES, restore="latest",
                          run={"max_iterations": 40}, checkpoint={"interval": 1000})
        self.expect_exit(result, 2, "not finite", "nothing is saved",
                         "last finite checkpoint is 1@20", "restore: 1@20")
        self.expect_outcome(site, 2, "failed", 2, None)
        self.assertEqual([name for name in difference(before, snapshot(site.store.path))
                          if not name.startswith("attempts/0002")], [])
        # The advice holds.
        self.expect_exit(site.run(optimizer=SGD, restore="1@20", run={"max_iterations": 30}), 0)
        self.assertEqual(pair(site.store.record(3, "decision")["parent"]), (1, 20))

    def test_a_loss_that_is_not_finite_before_any_checkpoint_is_2_and_says_so(self):
        result = self.site().run(optimizer=SGD_THAT_EXPLODES)
        self.expect_exit(result, 2, "not finite", "restore: fresh")

    def expect_launchers_word_where_a_rank_is_killed(self, rank):
        site = self.site()
        # A period that would make the next launch wait for minutes, were the death not seen.
        slow = {"run": {"max_iterations": 40}, "task": {"iteration_ms": 20}, "restore": "auto",
                "checkpoint": {"interval": 15}, "watchdog": {"heartbeat_seconds": 60}}
        job = site.start(direct=True, **slow)
        job.until(lambda: site.store.of_attempt(1), "the first checkpoint")
        job.signal_rank(rank, signal.SIGKILL)
        result = job.wait()
        self.assertEqual(result.code, 128 + signal.SIGKILL, result)
        # TERM, which the launcher sends to the others, is no preemption.
        self.assertIsNone(site.store.record(1, "outcome"), result)
        self.assertEqual(site.store.of_attempt(1), [15], result)
        self.expect_exit(site.run(**slow), 0)
        self.assertEqual(pair(site.store.record(2, "decision")["parent"]), (1, 15))

    def test_a_killed_rank_0_ends_the_job_by_the_launchers_code(self):
        self.expect_launchers_word_where_a_rank_is_killed(0)

    def test_a_killed_rank_1_ends_the_job_by_the_launchers_code(self):
        self.expect_launchers_word_where_a_rank_is_killed(1)


class StoreThatFails(EndingTest):
    """On a small file system of its own, mounted where no other process sees it. One checkpoint
    takes about 250 KiB."""

    @classmethod
    def setUpClass(cls):
        keep_mounts_private()
        cls.roomy = cls.of_class().site("roomy")
        cls.roomy.trained(60, checkpoint={"interval": 2})

    def small(self, kib):
        site = self.site()
        self.disk = site.folder / "disk"
        self.disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kib}k", "none", self.disk],
                       check=True)
        self.addCleanup(subprocess.run, ["umount", "--lazy", self.disk], check=True)
        site.store = Store(self.disk / "store")
        return site

    def remount(self, options):
        subprocess.run(["mount", "-o", f"remount,{options}", self.disk], check=True)

    def sections(self, to=10**6, **more):
        return {"store": "./disk/store", "run": {"max_iterations": to}, "restore": "auto", **more}

    def expect_intact(self, site, iterations, attempt=1):
        """Bit for bit what a run with room for all writes."""
        for iteration in iterations:
            self.expect_same_tensors(self.roomy.store.tensors(1, iteration),
                                     site.store.tensors(attempt, iteration))

    def test_a_store_that_is_full_for_good_is_3_after_max_failures_in_a_row(self):
        site = self.small(1200)
        often = self.sections(checkpoint={"interval": 2, "max_failures": 3})
        result = site.run(**often)
        self.expect_exit(result, 3, "no space left", "failure 1 in a row", "failure 2 in a row")
        saved = site.store.of_attempt(1)
        self.assertGreaterEqual(len(saved), 2, result)
        self.assertEqual(saved, list(range(2, saved[-1] + 1, 2)))
        self.assertIn(f"iteration {saved[-1] + 2} is not saved", result.err)
        self.assertEqual(site.store.iteration(1), saved[-1] + 6, "another number of failures")
        self.expect_outcome(site, 1, "failed", 3, saved[-1])
        self.expect_intact(site, saved)

        self.remount("size=4000k")
        end = saved[-1] + 4
        self.expect_exit(site.run(**self.sections(end, checkpoint={"interval": 2})), 0)
        self.assertEqual(pair(site.store.record(2, "decision")["parent"]), (1, saved[-1]))
        self.expect_intact(site, [end], attempt=2)

    def test_a_store_that_is_full_for_a_while_costs_only_the_saves_that_fell_into_it(self):
        site = self.small(4000)
        ballast = self.disk / "ballast"
        ballast.write_bytes(bytes(3400 << 10))  # leaves room for two checkpoints
        job = site.start(**self.sections(30, checkpoint={"interval": 2, "max_failures": 1000},
                                         task={"iteration_ms": 20}))
        job.until(lambda: "is not saved" in job.err(), "a save that fails")
        ballast.unlink()
        result = job.wait()
        self.expect_exit(result, 0, "no space left")
        lost = [int(n) for n in re.findall(r"iteration (\d+) is not saved \(", result.err)]
        self.assertEqual(sorted(site.store.of_attempt(1) + lost), list(range(2, 31, 2)), result)
        self.expect_intact(site, [30])

    def test_a_last_save_that_fails_for_good_is_3_and_never_0(self):
        site = self.small(200)
        result = site.run(**self.sections(5, checkpoint={"max_failures": 2}))
        self.expect_exit(result, 3, "no space left", "iteration 5 is not saved")
        self.expect_outcome(site, 1, "failed", 3, None)
        self.assertEqual(site.store.committed(), {})

    def test_a_stop_that_cannot_save_says_what_is_lost_before_the_grace_time_is_over(self):
        site = self.small(200)
        job = site.start(**self.sections(task={"iteration_ms": 20}, preempt={"grace_seconds": 6},
                                         checkpoint={"interval": 10**6, "max_failures": 1000}))
        job.until(lambda: site.store.iteration() >= 1, "the first iteration")
        job.signal_rank(1, signal.SIGUSR1)
        result = job.wait()
        self.expect_exit(result, 75, re.compile(r"iterations after the start up to \d+ are lost"))
        self.expect_outcome(site, 1, "preempted", 75, None)
        self.assertEqual(site.store.committed(), {})

    def test_a_store_that_becomes_read_only_is_3_and_what_was_saved_stays(self):
        site = self.small(4000)
        job = site.start(**self.sections(task={"iteration_ms": 20},
                                         checkpoint={"interval": 10, "max_failures": 2}))
        job.until(lambda: site.store.of_attempt(1), "the first checkpoint")
        # Not while a file is open for writing: the kernel says EBUSY.
        remount = ["mount", "-o", "remount,ro", self.disk]
        job.until(lambda: subprocess.run(remount, stderr=subprocess.DEVNULL).returncode == 0,
                  "a read-only store")
        saved = site.store.of_attempt(1)
        self.expect_exit(job.wait(), 3, "Read-only file system", "failure 1 in a row")
        self.assertEqual(site.store.of_attempt(1), saved)

        self.remount("rw")
        end = saved[-1] + 4
        self.expect_exit(site.run(**self.sections(end)), 0)
        self.assertEqual(pair(site.store.record(2, "decision")["parent"]), (1, saved[-1]))
        self.expect_intact(site, [end], attempt=2)


if __name__ == "__main__":
    main()
