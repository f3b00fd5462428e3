#!/usr/bin/env -S python3 -B
"""How many messages an iteration costs, by the number of ranks, which may be more than the cores:
messages are counted, not timed.

    tests/bench/messages_bench.py --ranks 2,4,8,16,32,64

Each program runs twice, with fewer and with more iterations; what launch and end cost falls out of
the difference. Per iteration, the rank with the most:

  tick      of ticks alone (tick_bench --only-ticks): what lockstep adds to training. `sent` and
            `received` are counted below MPI by Open MPI's monitoring; c is the larger of the two
            over log2(ranks), and must not grow: at most 2, a tree up and down again.
  training  of a whole job, with the tick: the exchange of gradients and parameters, and the sum of
            loss and gradient norm. How they travel MPI chooses by their size and the ranks, and its
            messages may grow with the ranks: rings where much is sent, and Open MPI 4.1 gathers
            13 KB of 64 ranks at one rank, which then gets 63. `calls` and `bytes` are counted
            above MPI, by pmpi_counter; a call's bytes are what all ranks have together where it
            gathers or scatters.

Heartbeats are no part of an iteration: each heartbeat_seconds a file is written, and each rank
sends rank 0 a UDP packet of 32 bytes and is answered.
"""

import argparse
import collections
import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

from bench_tools import emit, say
from lockstep_jobs import BIN, MPIEXEC, configuration, environment, yaml_text

TESTS = BIN.parent / "tests"
FEWER, MORE = 10, 30  # iterations
SECONDS = 900  # for a job; on few cores the start of many ranks is slow
MOST_C = 2


def counted(folder, ranks, argv):
    """Runs it; gives messages sent and received by each rank, and rank 0's calls."""
    folder.mkdir()
    monitoring = {"enable": 2, "enable_output": 3, "filename": folder / "messages"}
    launch = [MPIEXEC, "-n", ranks, "--oversubscribe", "--timeout", SECONDS]
    for key, value in monitoring.items():
        launch += ["--mca", f"pml_monitoring_{key}", value]
    launch += ["env", f"LD_PRELOAD={TESTS / 'libpmpi_counter.so'}"]
    done = subprocess.run([*map(str, launch), *map(str, argv)], cwd=folder, text=True,
                          env=environment(LOCKSTEP_MPI_COUNTS=folder), capture_output=True,
                          stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        sys.exit(f"{argv[0]} on {ranks} ranks: exit code {done.returncode}\n{done.stderr}")
    return messages(folder, ranks), json.loads((folder / "rank0.json").read_text())


def messages(folder, ranks):
    """{"sent": [by rank], "received": [by rank]}, of point-to-point lines: kind, from, to, bytes,
    "bytes", messages. E is a program's own, I is inside a collective call."""
    found = {"sent": [0] * ranks, "received": [0] * ranks}
    for path in folder.glob("messages.*.prof"):
        for line in path.read_text().splitlines():
            words = line.split()
            if words and words[0] in "EI":
                found["sent"][int(words[1])] += int(words[5])
                found["received"][int(words[2])] += int(words[5])
    if ranks > 1 and not all(found["sent"]):
        sys.exit(f"Open MPI's monitoring counted nothing for some ranks, in {folder}")
    return found


def per_iteration(folder, ranks, argv_of):
    """(sent, received) of the rank with the most, and {call: its calls and bytes}."""
    (few, few_calls), (many, many_calls) = (
        counted(folder / str(length), ranks, argv_of(length)) for length in (FEWER, MORE))
    most = {way: max(b - a for a, b in zip(few[way], many[way])) / (MORE - FEWER) for way in few}
    calls = collections.defaultdict(dict)
    for name, count in many_calls.items():
        before = few_calls.get(name, {"calls": 0, "bytes": 0})
        if count["calls"] > before["calls"]:
            calls[name] = {key: (count[key] - before[key]) / (MORE - FEWER) for key in count}
    return most, calls


def measure(folder, ranks):
    """Prints the figures; gives the tick's c."""
    folder.mkdir()
    config = folder / "train.yaml"
    config.write_text(yaml_text(configuration(
        data={"global_batch": 64}, checkpoint={"interval": 10**6}, restore="fresh",
        store="${STORE}", watchdog=None)))

    def job(length):
        store = folder / "job" / str(length) / "store"
        return ["env", f"STORE={store}", BIN / "lockstepd", config, "--set",
                f"run.max_iterations={length}"]

    ticks, _ = per_iteration(made(folder / "ticks"), ranks,
                             lambda length: [TESTS / "tick_bench", "--only-ticks", length])
    whole, calls = per_iteration(made(folder / "job"), ranks, job)
    c = max(ticks.values()) / math.log2(ranks)
    emit(bench="messages of a tick", ranks=ranks, **ticks, c=round(c, 3), bound_c=MOST_C)
    emit(bench="messages of an iteration of training", ranks=ranks, **whole,
         c=round(max(whole.values()) / math.log2(ranks), 3), calls=calls)
    return c


def made(folder):
    folder.mkdir()
    return folder


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ranks", default="2,4,8,16,32,64")
    ranks = [int(word) for word in parser.parse_args().ranks.split(",")]
    c = []
    with tempfile.TemporaryDirectory() as scratch:
        for count in ranks:
            say(f"{count} ranks")
            c.append(measure(Path(scratch) / str(count), count))
    emit(bench="messages of a tick, on all numbers of ranks", c=round(max(c), 3), bound_c=MOST_C,
         within=max(c) <= MOST_C)


if __name__ == "__main__":
    main()
