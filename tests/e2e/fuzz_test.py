#!/usr/bin/env -S python3 -B
"""The fuzzing that README tells still builds and runs: seconds of it, of all that is parsed."""

import os
import shutil
import subprocess
import unittest

from lockstep_jobs import ROOT
from lockstep_test import JobTest, main

ASKED = os.environ.get("CI") or os.environ.get("LOCKSTEP_LONG")
SECONDS = 2  # for a target


class Fuzzing(JobTest):
    @unittest.skipUnless(ASKED, "LOCKSTEP_LONG=1 builds the fuzz targets and runs them, minutes")
    @unittest.skipUnless(shutil.which("clang++-14"), "Debian's clang-14 is not there")
    def test_each_target_runs_and_finds_nothing(self):
        targets = {folder.name for folder in (ROOT / "tests/fuzz/corpus").iterdir()}
        done = subprocess.run([ROOT / "tests/fuzz/run.sh", str(SECONDS)], capture_output=True,
                              text=True)
        self.assertEqual(done.returncode, 0, done.stdout[-2000:] + done.stderr[-2000:])
        said = dict(line.split(maxsplit=1) for line in done.stdout.splitlines()
                    if line.endswith("nothing found"))
        self.assertEqual(set(said), targets, done.stdout[-2000:])
        for target, line in said.items():
            self.assertGreater(int(line.split()[0]), 100, f"{target}: {line}")


if __name__ == "__main__":
    main()
