"""What all end-to-end tests are made of: a site (a folder with train.yaml and a store),
expectations, and a runner that prints one sentence a test."""

import ctypes
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

from lockstep_jobs import BIN, Job, adopt_orphans, command, configuration, yaml_text
from lockstep_plan import Plan, Prediction
from lockstep_store import Store

SKIPPED = 99  # CTest's SKIP_RETURN_CODE: nothing could be tested; none of the programs' codes


class Site:
    """A folder with train.yaml and a store; what is said of sections is DEFAULTS' else."""

    launcher = None  # of a number of ranks: the command that starts them, where it is not mpirun
    variables = {}   # of every launch

    def __init__(self, test, folder):
        self.test, self.folder, self.jobs = test, folder, 0
        folder.mkdir(parents=True)
        self.store = Store(folder / "store")

    def write(self, text):
        path = self.folder / "train.yaml"
        path.write_text(text)
        return path

    def start(self, ranks=2, sets=(), wrapper=(), direct=False, env=None, rank_env=None, text=None,
              flags=(), verify=False, busy=False, foreseen=True, **sections):
        """Plans, and launches; once the job has ended its decision is compared with the plan.

        rank_env: the ranks', not the launcher's, which would take it for its own (Slurm's).
        verify: the plan reads every byte, since only the load finds what is damaged here.
        busy: another job is at work on the store.
        foreseen: False where no plan can know what is decided; say why."""
        config = self.write(text or yaml_text(configuration(**sections)))
        argv = [config.name, *(word for item in sets for word in ("--set", item))]
        env, rank_env = {**self.variables, **(env or {})}, rank_env or {}
        evaluates = "--evaluate" in flags
        words = ["--verify"] * verify + ["--ignore-running"] * evaluates
        prediction = Prediction(self.test, self.store, argv + words, self.folder,
                                {**env, **rank_env}, busy=busy, foreseen=foreseen,
                                evaluates=evaluates)
        if rank_env:
            wrapper = ["env", *(f"{key}={value}" for key, value in rank_env.items()), *wrapper]
        self.jobs += 1
        job = Job(self.folder / f"job{self.jobs}", [*argv, *flags], ranks, wrapper, direct,
                  prediction.compare, self.launcher and self.launcher(ranks), **env)
        self.test.addCleanup(job.end)
        return job

    def run(self, **how):
        return self.start(**how).wait()

    def trained(self, to, **how):
        """Trains to iteration `to`, which must succeed."""
        how["run"] = {"max_iterations": to, **how.get("run", {})}
        result = self.run(**how)
        self.test.expect_exit(result, 0)
        return result

    def plan(self, sets=(), flags=(), env=None, busy=False, **sections):
        """What `lockstep plan` says, by itself."""
        config = self.write(yaml_text(configuration(**sections)))
        words = [word for item in sets for word in ("--set", item)]
        return Plan(self.test, self.store, [config.name, *words, *flags], self.folder, env or {},
                    busy).record

    def listed(self, *flags):
        """{(attempt, iteration): entry} of `lockstep ls --json`."""
        result = command("ls", self.store.path, *flags, "--json")
        self.test.assertEqual(result.code, 0, f"ls: {result}")
        return {(x["attempt"], x["iteration"]): x for x in json.loads(result.out)["checkpoints"]}

    def copy(self, test, name="site"):
        """A site of a test, with a copy of this store."""
        other = test.site(name)
        shutil.copytree(self.store.path, other.store.path)
        return other


def pair(parent):
    """A record's {"attempt", "iteration"} as (attempt, iteration)."""
    return (parent["attempt"], parent["iteration"]) if parent else None


def keep_mounts_private():
    """What this process mounts from now on no other process sees; skips where that can't be."""
    CLONE_NEWNS = 0x20000
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS) != 0:
        raise unittest.SkipTest(f"mounting is not allowed: {os.strerror(ctypes.get_errno())}")
    # In a chroot / is no mount point: then the mounts may show outside until a test's end.
    subprocess.run(["mount", "--make-rprivate", "/"], check=False, stderr=subprocess.DEVNULL)


class JobTest(unittest.TestCase):
    """A test with a scratch folder. Names of tests are sentences."""

    maxDiff = None
    scratch = None  # of the whole script

    @classmethod
    def of_class(cls):
        """An instance for setUpClass, where nothing is to be tested yet but all must succeed."""
        made = cls("run")
        cls.addClassCleanup(made.doCleanups)
        return made

    def site(self, name="site"):
        return Site(self, self.scratch / type(self).__name__ / self._testMethodName / name)

    def expect_exit(self, result, code, *facts):
        """The launcher and every rank ended with this code, nobody by MPI_Abort, and the output
        holds the facts: texts, or patterns."""
        self.assertEqual(result.code, code, result)
        for rank, ended in result.codes.items():
            self.assertEqual(ended, code, f"rank {rank}: {result}")
        self.assertNotIn("MPI_ABORT was invoked", result.out + result.err, result)
        self.expect_said(result, *facts)

    def expect_said(self, result, *facts):
        for fact in facts:
            said = result.out + result.err
            found = fact.search(said) if isinstance(fact, re.Pattern) else fact in said
            self.assertTrue(found, f"it does not say {fact!r}: {result}")

    def expect_same_tensors(self, a, b, names=None):
        """Two dictionaries of tensors, byte by byte; `names` selects."""
        a, b = ({k: v for k, v in x.items() if not names or names(k)} for x in (a, b))
        self.assertEqual(sorted(a), sorted(b), "not the same tensors")
        self.assertTrue(a, "no tensor to compare")
        other = [name for name in a if a[name] != b[name]]
        self.assertEqual(other, [], f"{len(other)} of {len(a)} tensors differ")


class TimedResult(unittest.TextTestResult):
    """Prints each test's sentence, how it ended and its seconds."""

    passed = 0

    def startTest(self, test):
        self.began = time.monotonic()
        unittest.TestResult.startTest(self, test)

    def tell(self, test, how):
        now = time.monotonic()
        seconds = now - getattr(self, "began", now)
        name = str(test)  # of a class, where setUpClass is what failed or skipped
        if isinstance(test, unittest.TestCase):
            name = test._testMethodName.removeprefix("test_").replace("_", " ")
        self.stream.writeln(f"{how:6} {seconds:6.1f} s  {name}")
        self.stream.flush()

    def addSuccess(self, test):
        self.passed += 1
        self.tell(test, "ok")

    def addFailure(self, test, error):
        unittest.TestResult.addFailure(self, test, error)
        self.tell(test, "FAILED")

    def addError(self, test, error):
        unittest.TestResult.addError(self, test, error)
        self.tell(test, "ERROR")

    def addSubTest(self, test, subtest, error):
        unittest.TestResult.addSubTest(self, test, subtest, error)
        if error:
            self.tell(test, f"FAILED {subtest._subDescription()}")

    def addSkip(self, test, reason):
        unittest.TestResult.addSkip(self, test, reason)
        self.tell(test, f"SKIPPED ({reason})")


class BranchedStore(JobTest):
    """Commands on one store with three attempts, for all tests of the class."""

    @classmethod
    def setUpClass(cls):
        """1: 10 20 30 of 2 ranks; 2 from 1@20: 30 40 of 3 ranks; 3 from 2@40: 50 of 1 rank."""
        cls.origin = cls.of_class().site("origin")
        cls.origin.trained(30)
        cls.origin.trained(40, ranks=3, restore="1@20")
        cls.origin.trained(50, ranks=1, restore="2@40")

    def setUp(self):
        self.store = self.origin.store

    def expect_words(self, out, *patterns):
        for pattern in patterns:
            self.assertRegex(out, pattern)

    def said(self, code, *argv, **how):
        """What a command prints, which must end with this code. A mistake: at most four lines, on
        stderr alone."""
        result = command(*argv, **how)
        self.assertEqual(result.code, code, f"lockstep {' '.join(map(str, argv))}: {result}")
        if code in (2, 3):
            self.assertEqual(result.out, "", result)
            self.assertIn(len(result.err.splitlines()), range(1, 5), result)
        return result.err if code in (2, 3) else result.out

    def json_of(self, code, *argv):
        return json.loads(self.said(code, *argv, "--json"))


def main():
    """Runs the tests of the script. The scratch folder stays where something failed."""
    for program in ("lockstepd", "lockstep"):
        if not (BIN / program).exists():
            sys.exit(f"{BIN / program} is not there: build first, or set LOCKSTEP_BIN_DIR")
    adopt_orphans()
    # Below CTest's own folder of this test, or anywhere where it is run by hand.
    below = Path.cwd() if "LOCKSTEP_BIN_DIR" in os.environ else Path(tempfile.mkdtemp())
    JobTest.scratch = below / "sites"
    shutil.rmtree(JobTest.scratch, ignore_errors=True)
    runner = unittest.TextTestRunner(stream=sys.stdout, resultclass=TimedResult)
    result = unittest.main(module="__main__", testRunner=runner, exit=False).result
    if Prediction.counts:
        print("plans: {launches} launches, {compared} as planned, {not foreseen} that no plan can "
              "foresee".format_map(Prediction.counts))
    if result.wasSuccessful():
        shutil.rmtree(JobTest.scratch, ignore_errors=True)
    else:
        print(f"what the jobs wrote is in {JobTest.scratch}")
    if result.wasSuccessful() and Prediction.forgotten():
        sys.exit(f"{Prediction.forgotten()} launches were not compared with their plan")
    if result.wasSuccessful() and result.skipped and not result.passed:
        print("NOTHING WAS TESTED: " + result.skipped[0][1])
        sys.exit(SKIPPED)
    sys.exit(0 if result.wasSuccessful() else 1)
