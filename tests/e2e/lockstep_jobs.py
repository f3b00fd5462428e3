"""Runs the built programs from outside: writes a configuration, starts lockstepd under mpirun, sends
signals to a rank or to the launcher, waits for a state, and keeps what each rank ended with.

Nothing here sleeps for luck: a test waits until the store or a process shows what it needs, and each
wait has a deadline. Each job has two clocks: mpirun --timeout, which reaps the ranks even where the
test is gone, and the test's own deadline behind it.
"""

import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

from lockstep_store import Store, difference, snapshot

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("LOCKSTEP_BIN_DIR", ROOT / "build" / "release" / "bin"))
MPIEXEC = os.environ.get("LOCKSTEP_MPIEXEC", "mpirun")
SKIPPED = 99  # tells CTest, as SKIP_RETURN_CODE, that a script could not test; no code of ours
JOB_SECONDS = 60  # the launcher's clock
OWN_SECONDS = JOB_SECONDS + 15  # ours
WAIT_SECONDS = 45  # for a state

# Each rank's process: notes its number, and what it ended with. Signals for the rank also reach this
# shell where the launcher sends them to the process group; it outlives them.
NOTE_CODE = """trap : USR1 USR2 TERM XCPU
"$@" &
child=$!
echo "$$ $child" > "$LOCKSTEP_JOB/rank$OMPI_COMM_WORLD_RANK.pids"
while :; do
  wait $child
  code=$?
  kill -0 $child 2>/dev/null || break
done
echo $code > "$LOCKSTEP_JOB/rank$OMPI_COMM_WORLD_RANK.code"
exit $code
"""
# The same without a process in between: the launcher itself sees how the rank ended.
NOTE_PID = """echo "$$ $$" > "$LOCKSTEP_JOB/rank$OMPI_COMM_WORLD_RANK.pids"
exec "$@"
"""


def environment(**extra):
    """Without anything that would give the job a run id or make it part of another launch."""
    foreign = re.compile(r"SLURM_|PMI|OMPI_COMM_|OMPI_UNIVERSE|LOCKSTEP_(RUN_ID|DEADLINE)")
    ours = {key: value for key, value in os.environ.items() if not foreign.match(key)}
    for key, value in {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
                       "OMPI_MCA_rmaps_base_oversubscribe": "1",
                       "OMPI_MCA_hwloc_base_binding_policy": "none",
                       "OMPI_MCA_mpi_yield_when_idle": "1",
                       "OMPI_MCA_btl_vader_single_copy_mechanism": "none",
                       "OMP_NUM_THREADS": "1"}.items():
        ours.setdefault(key, value)
    return {**ours, **{key: str(value) for key, value in extra.items()}}


# ---- configurations ------------------------------------------------------------------------------
DEFAULTS = {
    "run": {"max_iterations": 30, "seed": 7},
    "store": "./store",
    "task": {"name": "synthetic", "parameters": 20000, "tensors": 6, "iteration_ms": 0},
    "data": {"global_batch": 12},
    "checkpoint": {"interval": 10, "keep_last": 1000},
    "watchdog": {"heartbeat_seconds": 0.1},
    "device": "cpu",
    "collectives": "mpi",
}


def configuration(**sections):
    """DEFAULTS, with keys of sections replaced; a section that is None is left out. A task with a
    name is taken whole, since its keys are its own."""
    config = dict(DEFAULTS)
    for name, value in sections.items():
        merges = isinstance(value, dict) and isinstance(config.get(name), dict)
        if merges and not (name == "task" and "name" in value):
            value = {**config[name], **value}
        config[name] = value
    return {name: value for name, value in config.items() if value is not None}


def yaml_text(config):
    """Block style for sections, flow style within: as people write it. Text is quoted only where it
    must be."""
    def scalar(value):
        if isinstance(value, str) and re.fullmatch(r"[A-Za-z_./][\w./-]*", value):
            return value
        return json.dumps(value)

    lines = []
    for name, value in config.items():
        if isinstance(value, dict):
            lines += [f"{name}:", *(f"  {key}: {scalar(item)}" for key, item in value.items())]
        else:
            lines.append(f"{name}: {scalar(value)}")
    return "\n".join(lines) + "\n"


# ---- processes -----------------------------------------------------------------------------------
def adopt_orphans():
    """Ranks of a launcher that was killed come to this process, which reaps them."""
    PR_SET_CHILD_SUBREAPER = 36
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def is_running(pid):
    """A zombie does not run."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


class Result:
    """How a job or a command ended."""

    def __init__(self, code, out, err, seconds, codes=None):
        self.code, self.out, self.err, self.seconds = code, out, err, seconds
        self.codes = codes or {}  # {rank: exit code, None where it is not known}

    def __str__(self):
        noise = re.compile(r"-{20}|Primary job|a non-zero exit code|mpirun detected|the job to be "
                           r"terminated|\s*(Process name|Exit code):|\s*$")
        said = [line for line in (self.out + self.err).splitlines() if not noise.match(line)]
        ranks = f", ranks {self.codes}" if self.codes else ""
        return "\n    | ".join([f"exit code {self.code}{ranks}; it said:", *said[-30:]])


class Job:
    """One launch of lockstepd on all ranks. `wrapper`: a command before it, on each rank. `direct`:
    no shell around the ranks, hence no codes of theirs."""

    def __init__(self, folder, argv, ranks, wrapper=(), direct=False, **env):
        self.folder, self.ranks, self.direct = folder, ranks, direct
        self.began = time.monotonic()
        folder.mkdir()
        note = folder / "rank.sh"
        note.write_text("#!/bin/sh\n" + (NOTE_PID if direct else NOTE_CODE))
        note.chmod(0o755)
        launch = [MPIEXEC, "-n", ranks, "--oversubscribe", "--timeout", JOB_SECONDS, note, *wrapper]
        with open(folder / "out", "wb") as out, open(folder / "err", "wb") as err:
            self.process = subprocess.Popen(
                [*map(str, launch), str(BIN / "lockstepd"), *map(str, argv)], cwd=folder.parent,
                stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True,
                env=environment(LOCKSTEP_JOB=folder, **env))

    def pids(self, rank):
        """Of a rank, and of the shell around it; none before it has started."""
        path = self.folder / f"rank{rank}.pids"
        text = path.read_text() if path.exists() else ""
        return [int(word) for word in reversed(text.split())] if text.endswith("\n") else []

    def signal_launcher(self, number):
        os.kill(self.process.pid, number)

    def signal_rank(self, rank, number):
        os.kill(self.pids(rank)[0], number)

    def kill_all(self):
        """kill -9 of the launcher and all ranks, as a machine that goes down would."""
        kill(self.process.pid)
        pids = [pid for rank in range(self.ranks) for pid in self.pids(rank)]
        for pid in pids:
            kill(pid)
        self.process.wait(10)
        deadline = time.monotonic() + 10
        while any(is_running(pid) for pid in pids):
            if time.monotonic() > deadline:
                raise AssertionError(f"processes {pids} are still there 10 s after kill -9")
            time.sleep(0.005)
        for pid in pids:
            try:
                os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:  # somebody else has reaped it
                pass

    def end(self):
        if self.process.poll() is None:
            self.kill_all()

    def until(self, holds, what, seconds=WAIT_SECONDS):
        """Waits until `holds()`, and gives its value. The job must not end before."""
        deadline = time.monotonic() + seconds
        while not (value := holds()):
            if self.process.poll() is not None:
                raise AssertionError(f"it ended before {what}: {self.result()}")
            if time.monotonic() > deadline:
                self.kill_all()
                raise AssertionError(f"{what}: not seen within {seconds} s: {self.result()}")
            time.sleep(0.005)
        return value

    def err(self):
        return (self.folder / "err").read_text(errors="replace")

    def result(self):
        codes = {}
        for rank in range(0 if self.direct else self.ranks):
            path = self.folder / f"rank{rank}.code"
            text = path.read_text() if path.exists() else ""
            codes[rank] = int(text) if text.endswith("\n") else None
        out = (self.folder / "out").read_text(errors="replace")
        return Result(self.process.poll(), out, self.err(), time.monotonic() - self.began, codes)

    def wait(self):
        try:
            self.process.wait(OWN_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill_all()
            raise AssertionError(f"still running after {OWN_SECONDS} s: {self.result()}") from None
        return self.result()


def command(*argv, cwd=None, seconds=30, **env):
    """`lockstep` on the login node."""
    began = time.monotonic()
    done = subprocess.run([str(BIN / "lockstep"), *map(str, argv)], cwd=cwd, timeout=seconds,
                          env=environment(**env), stdin=subprocess.DEVNULL, capture_output=True)
    return Result(done.returncode, done.stdout.decode(errors="replace"),
                  done.stderr.decode(errors="replace"), time.monotonic() - began)


class Site:
    """A folder with train.yaml and a store; what is said of sections is DEFAULTS' else."""

    def __init__(self, test, folder):
        self.test, self.folder, self.jobs = test, folder, 0
        folder.mkdir(parents=True)
        self.store = Store(folder / "store")

    def write(self, text):
        path = self.folder / "train.yaml"
        path.write_text(text)
        return path

    def start(self, ranks=2, sets=(), wrapper=(), direct=False, env=None, text=None, **sections):
        config = self.write(text or yaml_text(configuration(**sections)))
        argv = [config.name, *(word for item in sets for word in ("--set", item))]
        self.jobs += 1
        job = Job(self.folder / f"job{self.jobs}", argv, ranks, wrapper, direct, **(env or {}))
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
        """What `lockstep plan` says. It must leave the store as it is (but where another job is at
        work there) and exit as its record says."""
        config = self.write(yaml_text(configuration(**sections)))
        before = snapshot(self.store.path)
        words = [word for item in sets for word in ("--set", item)]
        result = command("plan", config.name, *words, *flags, "--json", cwd=self.folder, **(env or {}))
        if not busy:
            self.test.assertEqual(difference(before, snapshot(self.store.path)), [],
                                  "plan wrote into the store")
        record = json.loads(result.out)
        self.test.assertEqual(record["exit_code"], result.code, f"plan: {result}")
        return record

    def listed(self, *flags):
        """{(attempt, iteration): entry} of `lockstep ls --json`."""
        result = command("ls", self.store.path, *flags, "--json")
        self.test.assertEqual(result.code, 0, f"ls: {result}")
        return {(x["attempt"], x["iteration"]): x for x in json.loads(result.out)["checkpoints"]}

    def copy(self, name):
        """Another site with a copy of the store."""
        other = self.test.site(name)
        shutil.copytree(self.store.path, other.store.path)
        return other


# ---- tests ---------------------------------------------------------------------------------------
def pair(parent):
    """A record's {"attempt", "iteration"} as (attempt, iteration)."""
    return (parent["attempt"], parent["iteration"]) if parent else None


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

    def site(self, name=None):
        return Site(self, self.scratch / type(self).__name__ / (name or self._testMethodName))

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

    def startTest(self, test):
        self.began = time.monotonic()
        unittest.TestResult.startTest(self, test)

    def tell(self, test, how):
        seconds = time.monotonic() - getattr(self, "began", time.monotonic())
        name = getattr(test, "_testMethodName", str(test)).removeprefix("test_").replace("_", " ")
        self.stream.writeln(f"{how:6} {seconds:6.1f} s  {name}")
        self.stream.flush()

    def addSuccess(self, test):
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
    if result.wasSuccessful():
        shutil.rmtree(JobTest.scratch, ignore_errors=True)
    else:
        print(f"what the jobs wrote is in {JobTest.scratch}")
    if result.wasSuccessful() and result.testsRun == len(result.skipped) > 0:
        print("NOTHING WAS TESTED: " + result.skipped[0][1])
        sys.exit(SKIPPED)
    sys.exit(0 if result.wasSuccessful() else 1)
