#!/usr/bin/env -S python3 -B
"""Seconds from the launch of a job to its first new iteration, beside PyTorch's way.

    tests/bench/resume_bench.py --gigabytes 2 --rounds 5

Three sides take turns on 2 ranks: lockstep under mpirun; torch.distributed.checkpoint under
torchrun with FSDP2, where each rank has and loads its own part, and with DDP, where each has all of
it (torchrun_resume.py). Each trains 2 iterations and saves; then, in each round, it is launched
again, finds its newest checkpoint, and is killed once its first new iteration is complete. The
clock runs from the start of mpirun or torchrun, as whoever waits for the job sees it, until rank 0
says so; `loaded_seconds` ends where that iteration begins.

State: parameters and Adam's two moments in fp32, --gigabytes (10^9 bytes) in all, which is also
what the checkpoint takes on disk. An iteration goes over all parameters and writes all gradients
once, for a batch of a sample a rank, exchanges them, and makes an AdamW step. The sides differ
where the programs do: lockstep checks each byte it reads against a checksum, decides with a record
on disk (fsync'ed), and initialises the parameters before it loads them; torchrun and its ranks
import PyTorch, and exchange by gloo, where lockstep has MPI.

cold: the page cache is dropped before (programs and libraries too, as root; else only the
checkpoints: `cold_by`); warm: once more at once. The first round is printed and not counted.
The Python with torch is that of --python, else of $OPPONENTS_VENV, else of the folder
lockstep-opponents of the user's cache. Give all sides the same LibTorch.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from bench_tools import emit, say, summary
from lockstep_jobs import BIN, MPIEXEC, configuration, environment, is_running, yaml_text

HERE = Path(__file__).resolve().parent
RANKS = 2
TENSORS = 66
COLUMNS = 64
SAVED = 2  # iterations
GOAL = 2
SECONDS = 600  # for a launch
FOR_EVER = 10**6


def children(pid):
    try:
        found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [child for word in found for child in (int(word), *children(int(word)))]


def end_ranks(launcher):
    """As a node that fails: the ranks are killed, and the launcher cleans up behind them."""
    pids = children(launcher.pid)
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    launcher.wait(60)
    while any(is_running(pid) for pid in pids):
        time.sleep(0.01)


class Side:
    """A way to train; `argv` of a launch that trains up to an iteration."""

    def __init__(self, folder, rows):
        self.folder, self.rows = folder, rows
        folder.mkdir()

    def launch(self, iterations):
        return subprocess.Popen([str(word) for word in self.argv(iterations)], cwd=self.folder,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, env=self.env())

    def train(self):
        launcher = self.launch(SAVED)
        said, _ = launcher.communicate(timeout=SECONDS)
        if launcher.returncode:
            sys.exit(f"{self.name}: exit code {launcher.returncode}\n{said}")

    def resume(self):
        """(seconds to the first new iteration, and to where it began)."""
        began = time.monotonic()
        launcher = self.launch(FOR_EVER)
        clock = threading.Timer(SECONDS, end_ranks, [launcher])
        clock.start()
        said, loaded = [], None
        try:
            for line in launcher.stdout:
                now = time.monotonic() - began
                said.append(line)
                fields = json.loads(line) if line.startswith("{") else {}
                loaded = now if "loaded" in fields else loaded
                if "iteration" in fields:
                    if fields["iteration"] != SAVED + 1:
                        sys.exit(f"{self.name} went on with {line}")
                    return now, loaded or now - self.iteration_seconds(fields)
        finally:
            clock.cancel()
            end_ranks(launcher)
        sys.exit(f"{self.name} made no new iteration:\n{''.join(said)}")


class Lockstep(Side):
    name = "lockstep"

    def __init__(self, folder, rows):
        super().__init__(folder, rows)
        # An evaluation is due after each iteration, and before it rank 0 prints that one's line.
        (folder / "train.yaml").write_text(yaml_text(configuration(
            run={"max_iterations": FOR_EVER},
            task={"name": "synthetic", "parameters": TENSORS * rows * COLUMNS, "tensors": TENSORS,
                  "iteration_ms": 0},
            data={"global_batch": RANKS}, checkpoint={"interval": FOR_EVER},
            evaluate={"interval": 1}, restore="auto", watchdog=None, log={"format": "json"})))

    def argv(self, iterations):
        return [MPIEXEC, "-n", RANKS, "--timeout", SECONDS, BIN / "lockstepd", "train.yaml",
                "--set", f"run.max_iterations={iterations}"]

    def env(self):
        return environment()

    def iteration_seconds(self, fields):
        return RANKS / fields["samples_per_second"]


class Torchrun(Side):
    def __init__(self, folder, rows, python, parallel):
        super().__init__(folder, rows)
        self.python, self.parallel, self.name = python, parallel, f"torchrun {parallel}"

    def argv(self, iterations):
        return [self.python, "-W", "ignore", "-m", "torch.distributed.run", "--standalone",
                f"--nproc-per-node={RANKS}", HERE / "torchrun_resume.py", "--parallel",
                self.parallel, "--folder", self.folder, "--layers", TENSORS, "--rows", self.rows,
                "--columns", COLUMNS, "--iterations", iterations]

    def env(self):
        return environment(CUDA_VISIBLE_DEVICES="", GLOO_SOCKET_IFNAME="lo",
                           TORCH_CPP_LOG_LEVEL="ERROR")


def make_cold(folder):
    os.sync()
    try:
        Path("/proc/sys/vm/drop_caches").write_text("3")
        return "drop_caches"
    except OSError:
        for path in folder.rglob("*"):
            if path.is_file():
                with open(path, "rb") as file:
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        return "fadvise"


def measure(sides, rounds, bytes_of_state):
    """{(side, cache): seconds of each round that counts}."""
    times = {(side.name, cache): [] for side in sides for cache in ("cold", "warm")}
    for number in range(rounds + 1):
        for side in sides:
            for cache in ("cold", "warm"):
                how = {"cold_by": make_cold(side.folder)} if cache == "cold" else {}
                seconds, loaded = side.resume()
                emit(bench="resume", side=side.name, cache=cache, seconds=round(seconds, 3),
                     loaded_seconds=round(loaded, 3), ranks=RANKS, bytes=bytes_of_state,
                     round=number, first=number == 0, **how)
                if number:
                    times[side.name, cache].append(seconds)
    return times


def compare(times, bytes_of_state):
    for cache in ("cold", "warm"):
        figures = {side: summary(seconds) for (side, at), seconds in times.items() if at == cache}
        ours = figures.pop("lockstep")["median"]
        quickest = min(figures, key=lambda side: figures[side]["median"])
        ratio = figures[quickest]["median"] / ours
        emit(bench="resume, launch to first new iteration", cache=cache, bytes=bytes_of_state,
             ranks=RANKS, seconds={"lockstep": summary(times["lockstep", cache]), **figures},
             against=quickest, ratio=round(ratio, 2), goal=GOAL, within=ratio >= GOAL)


def parse():
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    venv = Path(os.environ.get("OPPONENTS_VENV") or cache / "lockstep-opponents")
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--python", type=Path, default=venv / "bin/python")
    parser.add_argument("--dir", type=Path, default=Path.cwd(), help="on the disk to measure")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error("--rounds must be at least 1: the first round is not counted")
    return options


def main():
    options = parse()
    if not options.python.exists():
        sys.exit(f"{options.python} is not there: --python must name a Python with torch")
    rows = max(1, round(options.gigabytes * 1e9 / (12 * TENSORS * COLUMNS * RANKS))) * RANKS
    bytes_of_state = 12 * TENSORS * rows * COLUMNS
    scratch = Path(tempfile.mkdtemp(prefix="resume-", dir=options.dir))
    try:
        sides = [Lockstep(scratch / "lockstep", rows),
                 *(Torchrun(scratch / parallel, rows, options.python, parallel)
                   for parallel in ("fsdp2", "ddp"))]
        for side in sides:
            say(f"{side.name}: first run, which saves")
            side.train()
        compare(measure(sides, options.rounds, bytes_of_state), bytes_of_state)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
