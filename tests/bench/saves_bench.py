#!/usr/bin/env -S python3 -B
"""What saves cost a training that goes on: its throughput with a checkpoint every 50 iterations,
over that of the same job without any.

    tests/bench/saves_bench.py --rounds 5

One rank of one thread, so that a machine of two cores has one free for copy and writer threads.
The jobs take turns: without saves, with saves beside training, and with saves that training waits
for (checkpoint.async: false). Two tasks: Fashion-MNIST's network, whose checkpoint is small, and
the synthetic one with --parameters, whose iterations go over all of them and whose checkpoint is
three times as large in bytes of fp32.

Throughput is the mean of the samples/s that the job's log has for every five seconds or so, its
first line left out; training that is held for a save is in it. A job's figure is a line; behind
them the ratio of medians, and the least and greatest ratio of a round.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from bench_tools import emit, say
from lockstep_jobs import BIN, MPIEXEC, configuration, environment, yaml_text

INTERVAL = 50
FOR_EVER = 10**9
GOAL = 0.99
JOBS = {"without": {"interval": FOR_EVER},
        "beside": {"interval": INTERVAL, "keep_last": 2},
        "waited for": {"interval": INTERVAL, "keep_last": 2, "async": False}}


def throughput(folder, config, seconds):
    """Samples/s of a job that is stopped after `seconds`, and how many checkpoints it committed."""
    folder.mkdir()
    (folder / "train.yaml").write_text(yaml_text(config))
    # USR1, which mpirun hands on; at TERM it may end before the rank has.
    command = ["timeout", "--signal=USR1", str(seconds), MPIEXEC, "-n", "1", str(BIN / "lockstepd"),
               "train.yaml"]
    job = subprocess.run(command, cwd=folder, env=environment(), text=True, capture_output=True)
    lines = [json.loads(line) for line in job.stderr.splitlines() if line.startswith("{")]
    rates = [line["samples_per_second"] for line in lines if "samples_per_second" in line]
    if len(rates) < 3:
        sys.exit(f"too few lines of throughput; the job said:\n{job.stderr}")
    shutil.rmtree(folder)
    saves = sum(line["message"].startswith("committed") for line in lines)
    return statistics.fmean(rates[1:-1]), saves


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=35, help="of a job")
    parser.add_argument("--parameters", type=int, default=10**7, help="of the synthetic task")
    parser.add_argument("--tasks", default="fashion_mnist,synthetic")
    parser.add_argument("--dir", default=".", help="on the disk to save to")
    options = parser.parse_args()
    tasks = {"fashion_mnist": ({"name": "fashion_mnist"}, 64),
             "synthetic": ({"name": "synthetic", "parameters": options.parameters, "tensors": 66,
                            "iteration_ms": 0}, 1)}
    with tempfile.TemporaryDirectory(dir=options.dir, prefix="saves-") as scratch:
        for name in options.tasks.split(","):
            task, batch = tasks[name]
            rates = {job: [] for job in JOBS}
            for number in range(options.rounds):
                order = list(JOBS.items())[::1 if number % 2 else -1]
                for job, checkpoint in order:
                    config = configuration(run={"max_iterations": FOR_EVER}, task=task,
                                           data={"global_batch": batch}, checkpoint=checkpoint,
                                           restore="auto", log={"format": "json"})
                    rate, saves = throughput(Path(scratch) / "job", config, options.seconds)
                    rates[job].append(rate)
                    emit(bench="saves", task=name, job=job, round=number, saves=saves,
                         samples_per_second=round(rate, 1))
            for job in ("beside", "waited for"):
                ratios = [a / b for a, b in zip(rates[job], rates["without"])]
                ratio = statistics.median(rates[job]) / statistics.median(rates["without"])
                emit(bench="throughput with saves", task=name, job=job, rounds=options.rounds,
                     ratio=round(ratio, 4), min=round(min(ratios), 4), max=round(max(ratios), 4),
                     goal=GOAL, within=ratio >= GOAL)
                say(f"{name}, saves {job}: {ratio:.4f} of the throughput without")


if __name__ == "__main__":
    main()
