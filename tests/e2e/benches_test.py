#!/usr/bin/env -S python3 -B
"""README's benches still run and say what they found, at sizes that measure nothing: a bench that
broke would else be noticed when its figures are wanted."""

import json
import os
import subprocess
import unittest
from pathlib import Path

from lockstep_jobs import BIN, MPIEXEC, ROOT
from lockstep_test import JobTest, main

LIMIT_SECONDS = 280
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
OPPONENTS = Path(os.environ.get("OPPONENTS_VENV") or CACHE / "lockstep-opponents")
# What README types, and what makes it small.
ALONE = {
    "checkpoint_figures.sh": "--gigabytes 0.01 --rounds 1",
    "status_load.py": "--windows 4 --seconds 5 --rate 100 --slow 10 --interval 2",
    "saves_bench.py": "--rounds 1 --seconds 12 --tasks synthetic --parameters 1000000",
    "messages_bench.py": "--ranks 2",
}
BESIDE_TORCH = {
    "compare.sh": "--gigabytes 0.01 --rounds 1 --worlds 1 --many 0 --async no",
    "compare.sh ddp": "--rounds 1 --worlds 1 --models cnn --iterations 20",
    "resume_bench.py": "--gigabytes 0.05 --rounds 1",
}


class Benches(JobTest):
    def run_all(self, benches):
        for bench, small in benches.items():
            with self.subTest(bench):
                name, *words = bench.split()
                argv = [ROOT / "tests" / "bench" / name, *words, *small.split()]
                done = subprocess.run(argv, cwd=self.site(bench).folder, capture_output=True, text=True,
                                      timeout=LIMIT_SECONDS, env={
                                          **os.environ, "LOCKSTEP_BIN_DIR": str(BIN),
                                          "LOCKSTEP_MPIEXEC": MPIEXEC,
                                          "LOCKSTEP_BENCHES": str(BIN.parent / "tests")})
                self.assertEqual(done.returncode, 0, done.stdout[-2000:] + done.stderr[-2000:])
                lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
                self.assertTrue(lines, done.stdout[-2000:])
                self.assertIn("bench", json.loads(lines[-1]))

    def test_those_that_need_nothing_else(self):
        self.run_all(ALONE)

    @unittest.skipUnless((OPPONENTS / "bin/python").exists(), "no Python of opponents.txt is there")
    def test_those_beside_pytorch(self):
        self.run_all(BESIDE_TORCH)


if __name__ == "__main__":
    main()
