"""Runs the built programs from outside: starts lockstepd under mpirun, sends signals to a rank or
to the launcher, waits for a state, and keeps what each rank ended with.

Nothing here sleeps for luck: a test waits until the store or a process shows what it needs, and
each wait has a deadline. Each job has two clocks: mpirun --timeout, which reaps the ranks even
where the test is gone, and the test's own deadline behind it.
"""

import ctypes
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("LOCKSTEP_BIN_DIR", ROOT / "build" / "release" / "bin"))
MPIEXEC = os.environ.get("LOCKSTEP_MPIEXEC", "mpirun")
JOB_SECONDS = 60  # the launcher's clock
OWN_SECONDS = JOB_SECONDS + 15  # ours
WAIT_SECONDS = 45  # for a state

# Each rank's process: notes its number, what it ended with, and which outcomes were there by then.
# Signals for the rank also reach this shell where the launcher sends them to the process group; it
# outlives them, as no process that it would start at the end.
NOTE_CODE = """trap : USR1 USR2 TERM XCPU
rank=$LOCKSTEP_JOB/rank${OMPI_COMM_WORLD_RANK:-$SLURM_PROCID}
"$@" &
child=$!
echo "$$ $child" > "$rank.pids"
while :; do
  wait $child
  code=$?
  kill -0 $child 2>/dev/null || break
done
for outcome in store/attempts/*/outcome.json; do
  [ ! -e "$outcome" ] || { read -r line < "$outcome" && printf "%s\\n" "$line"; }
done > "$rank.outcomes"
echo $code > "$rank.code"
exit $code
"""
# The same without a process in between: the launcher itself sees how the rank ended.
NOTE_PID = """echo "$$ $$" > "$LOCKSTEP_JOB/rank${OMPI_COMM_WORLD_RANK:-$SLURM_PROCID}.pids"
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

    def __init__(self, code, out, err, seconds, codes=None, outcomes=None):
        self.code, self.out, self.err, self.seconds = code, out, err, seconds
        self.codes = codes or {}  # {rank: exit code, None where it is not known}
        self.outcomes = outcomes or {}  # {rank: the outcome.json that were there when it ended}
        self.planned = None  # what `lockstep plan` said of it before

    def __str__(self):
        noise = re.compile(r"-{20}|Primary job|a non-zero exit code|mpirun detected|the job to be "
                           r"terminated|\s*(Process name|Exit code):|\s*$")
        said = [line for line in (self.out + self.err).splitlines() if not noise.match(line)]
        ranks = f", ranks {self.codes}" if self.codes else ""
        return "\n    | ".join([f"exit code {self.code}{ranks}; it said:", *said[-30:]])


class Job:
    """One launch of lockstepd on all ranks. `wrapper`: a command before it, on each rank. `direct`:
    no shell around the ranks, hence no codes of theirs. `judge`: gets the result, once. `launcher`:
    the command that starts the ranks, where it is not mpirun."""

    def __init__(self, folder, argv, ranks, wrapper=(), direct=False, judge=None, launcher=None,
                 **env):
        self.folder, self.ranks, self.direct, self.judge = folder, ranks, direct, judge
        self.began = time.monotonic()
        folder.mkdir()
        note = folder / "rank.sh"
        note.write_text("#!/bin/sh\n" + (NOTE_PID if direct else NOTE_CODE))
        note.chmod(0o755)
        launcher = launcher or [MPIEXEC, "-n", ranks, "--oversubscribe", "--timeout", JOB_SECONDS]
        launch = [*launcher, note, *wrapper]
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
        self.reap()
        self.judged()

    def reap(self):
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
            self.reap()

    def until(self, holds, what, seconds=WAIT_SECONDS):
        """Waits until `holds()`, and gives its value. The job must not end before."""
        deadline = time.monotonic() + seconds
        while not (value := holds()):
            if self.process.poll() is not None:
                raise AssertionError(f"it ended before {what}: {self.result()}")
            if time.monotonic() > deadline:
                self.reap()
                raise AssertionError(f"{what}: not seen within {seconds} s: {self.result()}")
            time.sleep(0.005)
        return value

    def err(self):
        return (self.folder / "err").read_text(errors="replace")

    def result(self):
        codes, outcomes = {}, {}
        for rank in range(0 if self.direct else self.ranks):
            path = self.folder / f"rank{rank}.code"
            text = path.read_text() if path.exists() else ""
            codes[rank] = int(text) if text.endswith("\n") else None
            seen = path.with_suffix(".outcomes")
            outcomes[rank] = list(map(json.loads, seen.read_text().splitlines())) if text else []
        out = (self.folder / "out").read_text(errors="replace")
        return Result(self.process.poll(), out, self.err(), time.monotonic() - self.began, codes,
                      outcomes)

    def wait(self):
        try:
            self.process.wait(OWN_SECONDS)
        except subprocess.TimeoutExpired:
            self.reap()
            raise AssertionError(f"still running after {OWN_SECONDS} s: {self.result()}") from None
        return self.judged()

    def judged(self):
        result, judge, self.judge = self.result(), self.judge, None
        if judge:
            judge(result)
        return result


def command(*argv, cwd=None, seconds=30, **env):
    """`lockstep` on the login node."""
    began = time.monotonic()
    done = subprocess.run([str(BIN / "lockstep"), *map(str, argv)], cwd=cwd, timeout=seconds,
                          env=environment(**env), stdin=subprocess.DEVNULL, capture_output=True)
    return Result(done.returncode, done.stdout.decode(errors="replace"),
                  done.stderr.decode(errors="replace"), time.monotonic() - began)


def set_size(terminal, columns, rows=24):
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


class Live:
    """A command of lockstep on a terminal of its own, while it runs."""

    def __init__(self, *argv, columns=100, rows=30, **env):
        try:
            self.ours, self.its = pty.openpty()
        except OSError as error:  # a chroot without /dev/pts
            raise unittest.SkipTest(f"no terminal is to be had here: {error}") from error
        set_size(self.ours, columns, rows)
        self.keys_before = termios.tcgetattr(self.its)
        self.said = ""
        self.process = subprocess.Popen(
            [str(BIN / "lockstep"), *map(str, argv)], stdin=self.its, stdout=self.its,
            stderr=self.its, start_new_session=True, env=environment(**{"TERM": "xterm", **env}),
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))

    def read(self, seconds=0.05):
        """Takes in what has been written since."""
        while select.select([self.ours], [], [], seconds)[0]:
            self.said += os.read(self.ours, 65536).decode(errors="replace")
            seconds = 0

    def until(self, holds, what, seconds=WAIT_SECONDS):
        deadline = time.monotonic() + seconds
        while not (value := holds()):
            if time.monotonic() > deadline:
                raise AssertionError(f"{what}: not seen within {seconds} s: "
                                     f"{self.said[-3000:]!r}")
            self.read()
        return value

    def type(self, keys):
        os.write(self.ours, keys.encode())

    def ended(self):
        """Its exit code, and whether keys work as before."""
        self.until(lambda: self.process.poll() is not None, "its end", 10)
        self.read()
        return self.process.returncode, termios.tcgetattr(self.its) == self.keys_before

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.its)
        os.close(self.ours)


def on_terminal(*argv, typed="", cwd=None, columns=0, **env):
    """What a command of lockstep, or with `typed` any program into which that is typed, writes
    where stdout is a terminal; of as many columns, where that is told."""
    try:
        ours, its = pty.openpty()
    except OSError as error:  # a chroot without /dev/pts
        raise unittest.SkipTest(f"no terminal is to be had here: {error}") from error
    set_size(ours, columns)
    argv = list(map(str, argv)) if typed else [str(BIN / "lockstep"), *map(str, argv)]
    with subprocess.Popen(argv, stdout=its, stderr=its if typed else None,
                          stdin=its if typed else subprocess.DEVNULL, cwd=cwd,
                          start_new_session=True, env=environment(**{"TERM": "xterm", **env})):
        os.close(its)
        os.write(ours, typed.encode())
        said = b""
        try:
            while piece := os.read(ours, 65536):
                said += piece
        except OSError:  # how Linux says that the other side is closed
            pass
    os.close(ours)
    return said.decode()
