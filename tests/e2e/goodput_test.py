#!/usr/bin/env -S python3 -B
"""README's goodput_bench.py still runs: one preemption on a real Slurm, at a size that measures
nothing."""

import json
import subprocess

from lockstep_cluster import SLURM_TOOLS, require
from lockstep_jobs import ROOT, environment
from lockstep_test import JobTest, main

SMALL = {"iterations": 400, "between": 100, "preemptions": 1}


class Goodput(JobTest):
    def test_a_preempted_job_has_its_figures(self):
        require(SLURM_TOOLS, "--uts")
        argv = [ROOT / "tests/bench/goodput_bench.py"]
        for name, value in SMALL.items():
            argv += [f"--{name}", str(value)]
        done = subprocess.run(argv, capture_output=True, text=True, cwd=self.site().folder,
                              env=environment())
        self.assertEqual(done.returncode, 0, done.stdout[-2000:] + done.stderr[-2000:])
        figures = json.loads(done.stdout)
        self.assertEqual(figures["bench"], "goodput")
        self.assertEqual((figures["iterations"], figures["preemptions"]), (400, 1))
        self.assertEqual(figures["iterations_lost"], 0)  # a preempted job saves
        self.assertEqual(len(figures["step_to_iteration_s"]["each"]), 2)


if __name__ == "__main__":
    main()
