"""What tests of the batch scripts on a real Slurm are made of: a cluster for each module, a job's
site, and what must hold of the job and of its attempts."""

import re
import unittest

from lockstep_cluster import SCRIPTS, BatchJob, Cluster, ranks_in
from lockstep_jobs import configuration, yaml_text
from lockstep_test import JobTest, pair

FOR_EVER = 10**6


def setUpModule():
    """To be imported by name."""
    SlurmTest.cluster = Cluster()
    unittest.addModuleCleanup(SlurmTest.cluster.down)


class SlurmTest(JobTest):
    cluster = None  # of the module
    script = None

    def setUp(self):
        self.place = self.site()
        self.store = self.place.store
        self.sections = {}

    def configure(self, to=FOR_EVER, **sections):
        """Also for a job that is queued already: its next launch reads this."""
        self.sections.update(sections)
        self.place.write(yaml_text(configuration(
            **{"run": {"max_iterations": to}, "task": {"iteration_ms": 20}, "restore": "auto",
               **self.sections})))

    def submit(self, *options, **how):
        job = self.cluster.submit(self.place.folder, self.script, *options, **how)
        self.addCleanup(job.end)
        return job

    def submit_high(self):
        return self.cluster.submit_high(self.place.folder)

    def at_work(self, job, attempt=1, store=None):
        """Waits until the attempt has completed an iteration; gives the pids of its ranks."""
        store = store or self.store
        job.until(lambda: attempt in store.attempts() and store.iteration(attempt) > 0,
                  f"attempt {attempt} at work")
        return ranks_in(self.place.folder)

    def expect_end(self, job, state, code, restarts):
        ended = job.until(job.ended, "its end")
        self.assertEqual(ended, (state, f"{code}:0" if code is not None else ended[1], restarts),
                         job.said())
        job.until(lambda: not ranks_in(self.place.folder), "that no rank is left")
        self.assertEqual(list(self.place.folder.glob("*.retries")), [])

    def expect_outcome(self, attempt, outcome, code, store=None):
        """Gives the attempt's last committed iteration."""
        record = (store or self.store).record(attempt, "outcome")
        self.assertEqual((record["outcome"], record["exit_code"]), (outcome, code), record)
        return record["last_committed_iteration"]

    def expect_carried_on(self, job, attempt, parent, restarts, store=None):
        """The attempt restored its parent, in the same run."""
        store = store or self.store
        decision = store.record(attempt, "decision")
        self.assertEqual((decision["kind"], pair(decision["parent"])), ("restore", parent),
                         job.said())
        first, claim = store.record(1, "claim"), store.record(attempt, "claim")
        self.assertEqual(claim["run"], first["run"])
        self.assertEqual(claim["restart_count"], restarts)

    def saved_then_short(self, job, store=None):
        """Once attempt 1 is preempted the next one has little left to do; where it carries on."""
        store = store or self.store
        job.until(lambda: store.record(1, "outcome"), "that it is preempted")
        saved = self.expect_outcome(1, "preempted", 75, store)
        self.configure(saved + 20)
        return saved

    def expect_requeued_once(self, job, saved):
        self.expect_end(job, "COMPLETED", 0, restarts=1)
        self.expect_carried_on(job, 2, (1, saved), restarts=1)
        self.assertEqual(self.expect_outcome(2, "finished", 0), saved + 20)
        self.assertEqual(self.store.attempts(), [1, 2])


class ChainTest(SlurmTest):
    script = "train_chain.sbatch"

    def submit_chain(self, links, size=None, **env):
        """size: in place of what the script asks for; as in a copy of it."""
        script = self.place.folder / self.script
        text = (SCRIPTS / self.script).read_text()
        asked = "#SBATCH --nodes=1-2 --ntasks=4\n"
        self.assertIn(asked, text)
        script.write_text(text.replace(asked, f"#SBATCH {' '.join(size)}\n") if size else text)
        said = self.cluster.command("bash", script, links, cwd=self.place.folder,
                                    SBATCH_TIMELIMIT="10", **env)
        run, = set(re.findall(r"run (\S+):", said.stdout))
        jobs = [BatchJob(self.cluster, self.place.folder, name)
                for name in re.findall(r"is job (\d+)", said.stdout)]
        self.assertEqual(len(jobs), links, said)
        for job in jobs:
            self.addCleanup(job.end)
        for job in jobs:  # first: or the next one starts when one is cancelled
            self.addCleanup(self.cluster.command, "scancel", job.name, check=False)
        return run, jobs
