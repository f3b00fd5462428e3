#!/usr/bin/env -S python3 -B
"""Nodes of a real Slurm that hang, are lost, or are cut off while their ranks live on.

LOCKSTEP_LONG=1 adds what takes minutes."""

import os
import signal

from lockstep_cluster import long, ranks_in
from lockstep_jobs import command, is_running
from lockstep_slurm import ChainTest, SlurmTest, setUpModule  # pylint: disable=unused-import
from lockstep_test import main, pair

WATCHED = {"watchdog": {"heartbeat_seconds": 0.5, "stall_seconds": 3}}
ONE_NODE = ("--nodes=1", "--ntasks=2", "--time=10")


class HangingRank:
    """A rank that hangs: the watchdog names its host."""

    def hang(self, job, attempt=1):
        pids = self.at_work(job, attempt)
        job.until(lambda: self.store.of_attempt(attempt), "a checkpoint")
        os.kill(max(pids), signal.SIGSTOP)
        job.until(lambda: self.store.record(attempt, "outcome"), "that it is named")
        self.assertEqual(self.expect_outcome(attempt, "failed", 76),
                         max(self.store.of_attempt(attempt)))
        host, = {entry["host"] for entry in self.store.record(attempt, "outcome")["silent"]}
        return host


class EitherLauncher(HangingRank):
    def test_a_host_that_hangs_is_left_out_of_the_requeue(self):
        self.configure(**WATCHED, log={"format": self.log_format})
        job = self.submit(size=ONE_NODE)
        host = self.hang(job)
        self.at_work(job, attempt=2)
        facts = job.facts()
        other, = {"n1", "n2"} - {host}
        self.assertEqual((facts["ExcNodeList"], facts["NodeList"], facts["Restarts"]),
                         (host, other, "1"), job.said())
        self.expect_carried_on(job, 2, (1, max(self.store.of_attempt(1))), restarts=1)
        # Now no node is left that could take its place: again on the same one.
        self.assertEqual(self.hang(job, attempt=2), other)
        saved = max(self.store.of_attempt(2))
        self.configure(saved + 20)
        self.expect_end(job, "COMPLETED", 0, restarts=1)
        self.assertIn("0 other nodes: too few to leave out " + other, job.said())
        self.assertIn("retry 2 of 3", job.said())
        self.expect_carried_on(job, 3, (2, saved), restarts=1)


class Srun(EitherLauncher, SlurmTest):
    script, log_format = "train_srun.sbatch", "text"


@long
class Mpirun(EitherLauncher, SlurmTest):
    script, log_format = "train_mpirun.sbatch", "json"


class Chain(HangingRank, ChainTest):
    def test_a_host_that_hangs_is_left_out_of_the_links_behind(self):
        self.configure(**WATCHED)
        run, (first, second, third) = self.submit_chain(3, size=ONE_NODE)
        stranger = self.cluster.submit_later(self.place.folder, run)
        self.addCleanup(stranger.cancel)
        host = self.hang(first)
        self.at_work(second, attempt=2)
        self.assertEqual(first.state(), "FAILED", first.said())
        other, = {"n1", "n2"} - {host}
        self.assertEqual(second.facts()["NodeList"], other)
        self.expect_carried_on(second, 2, (1, max(self.store.of_attempt(1))), restarts=0)
        # One that is added goes where the last one would have gone.
        _, (fourth,) = self.submit_chain(1, size=ONE_NODE, LOCKSTEP_RUN_ID=run)
        self.assertEqual([job.facts()["ExcNodeList"] for job in (second, third, fourth, stranger)],
                         [host, host, host, "(null)"])
        self.assertIn(f"afterany:{third.name}(", fourth.facts()["Dependency"])
        # Now no node is left that could take its place: again on the same one.
        self.assertEqual(self.hang(second, attempt=2), other)
        saved = max(self.store.of_attempt(2))
        self.configure(saved + 20)
        self.expect_end(second, "COMPLETED", 0, restarts=0)
        self.assertIn("0 other nodes: too few to leave out " + other, second.said())
        self.expect_carried_on(second, 3, (2, saved), restarts=0)
        for job in (third, fourth):
            self.expect_end(job, "CANCELLED", 0, restarts=0)
        self.assertEqual(stranger.state(), "PENDING")  # though it has the chain's name

    def test_where_no_link_is_left_it_tries_again_itself(self):
        self.configure(**WATCHED)
        _, (only,) = self.submit_chain(1, size=ONE_NODE)
        host = self.hang(only)
        saved = max(self.store.of_attempt(1))
        self.configure(saved + 20)
        self.expect_end(only, "COMPLETED", 0, restarts=0)
        self.assertIn("no link is left to go on without " + host, only.said())
        self.expect_carried_on(only, 2, (1, saved), restarts=0)


class CutOff(SlurmTest):
    """The controller loses sight of a node, whose ranks train on: it starts the job again on the
    other one, under the same job id."""

    script = "train_srun.sbatch"

    def expect_nothing_of_the_old_side_beyond(self, parent):
        """Neither in what the new side restores from, nor in what the old one believes."""
        self.assertEqual(parent[0], 1)
        self.assertLessEqual(self.expect_outcome(1, "superseded", 2), parent[1])
        lineage = self.place.listed()
        self.assertIn(parent, lineage)
        self.assertEqual([at for at in lineage if at[0] == 1 and at[1] > parent[1]], [])
        self.assertGreater(max(at[1] for at in lineage if at[0] == 2), parent[1])

    def test_the_old_side_commits_nothing_in_the_new_lineage(self):
        self.configure(checkpoint={"interval": 10}, preempt={"grace_seconds": 8})
        job = self.submit(size=ONE_NODE)
        old = self.at_work(job)
        node = job.facts()["NodeList"]
        self.addCleanup(self.cluster.do, "start-node", node)  # waits until it is back
        self.addCleanup(self.cluster.do, "heal-node", node)
        self.cluster.do("cut-node", node)
        job.until(lambda: job.facts().get("Restarts") == "1", "that it is requeued")
        cut_at = self.store.iteration(1)
        job.until(lambda: "waiting for its end" in job.said(), "that the new launch waits")
        self.assertTrue(all(map(is_running, old)), job.said())
        job.until(lambda: 2 in self.store.attempts(), "that it takes over")
        job.until(lambda: not any(map(is_running, old)), "the end of the old side")
        new = self.at_work(job, attempt=2)
        self.assertNotEqual(job.facts()["NodeList"], node)
        parent = pair(self.store.record(2, "decision")["parent"])
        self.assertGreater(parent[1], cut_at, "the old side has not trained while it was cut off")
        self.expect_carried_on(job, 2, parent, restarts=1)
        job.until(lambda: self.store.of_attempt(2), "a checkpoint of the new side")
        self.expect_nothing_of_the_old_side_beyond(parent)
        # The node comes back: nobody is left there who could do anything.
        self.cluster.do("heal-node", node)
        self.cluster.do("start-node", node)
        seen = self.store.iteration(2)
        job.until(lambda: self.store.iteration(2) > seen + 50, "that the new side goes on")
        self.assertEqual(ranks_in(self.place.folder), new)
        self.expect_exit(command("stop", self.store.path, "--wait"), 0)
        self.expect_end(job, "FAILED", 77, restarts=1)
        self.assertEqual(self.store.attempts(), [1, 2])
        self.expect_nothing_of_the_old_side_beyond(parent)


class LostNode(SlurmTest):
    script = "train_srun.sbatch"

    @long
    def test_a_job_that_lost_a_node_goes_on_with_what_is_left(self):
        self.configure()
        job = self.submit("--time=10", size=())  # as the script says: 4 ranks on 1 to 2 nodes
        self.at_work(job)
        job.until(lambda: self.store.of_attempt(1), "a checkpoint")
        self.addCleanup(self.cluster.do, "start-node", "n2")
        self.cluster.do("kill-node", "n2")
        job.until(lambda: job.facts().get("Restarts") == "1", "that it is requeued")
        saved = max(self.store.of_attempt(1))
        self.configure(saved + 20)
        self.expect_end(job, "COMPLETED", 0, restarts=1)
        self.expect_carried_on(job, 2, (1, saved), restarts=1)
        self.assertEqual(self.store.record(2, "claim")["ranks_per_node"], [4])


if __name__ == "__main__":
    main()
