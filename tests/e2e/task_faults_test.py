#!/usr/bin/env -S python3 -B
"""What a task of the user's own does wrong is told by where it was done, and ends the job on all
ranks; never with 0."""

import os
import re
import subprocess
from pathlib import Path

from lockstep_jobs import BIN, configuration, environment, yaml_text
from lockstep_test import JobTest, main

TOY = Path(os.environ.get("LOCKSTEP_BIN_DIR", BIN)).parent / "tests" / "libtoy_plugin.so"


class TaskFaultTest(JobTest):
    def sections(self, options, **more):
        return {"task": {"name": "plugin", "library": str(TOY), "options": options},
                "data": {"global_batch": 12}, "run": {"max_iterations": 4}, **more}

    def run_without_launcher(self, site, **sections):
        config = site.write(yaml_text(configuration(**sections)))
        return subprocess.run([str(BIN / "lockstepd"), config.name], cwd=site.folder, timeout=120,
                              env=environment(), capture_output=True, text=True, check=False)


class Exit(TaskFaultTest):
    def test_of_one_rank_without_a_launcher_is_never_0(self):
        for status, code in ((0, 3), (9, 9)):
            with self.subTest(status=status):
                site = self.site(f"exit{status}")
                done = self.run_without_launcher(site, **self.sections(f"exit({status})"))
                self.assertEqual(done.returncode, code, done)
                self.assertRegex(done.stderr, rf"lockstepd: rank 0 \(.+\): something called "
                                 rf"exit\({status}\) in the midst of the job: .*; leaves with exit "
                                 rf"code {code}\n")

    def test_of_one_rank_of_two_ends_both(self):
        job = self.site().start(direct=True, foreseen=False, **self.sections("exit(0)"))
        result = job.wait()
        self.assertEqual(result.code, 3, result)
        self.expect_said(result, re.compile(r"lockstepd: rank 1 \(.+\): something called exit\(0\)"))
        self.assertNotIn("lockstepd: rank 0 ", result.err)

    def test_of_a_child_that_a_task_forks_is_its_own(self):
        done = self.run_without_launcher(self.site(), **self.sections("child"))
        self.assertEqual(done.returncode, 0, done)
        self.assertNotIn("something called exit", done.stderr)

    def test_of_a_job_that_has_ended_says_nothing(self):
        for sections, code in ((self.sections("good"), 0), (self.sections("no parameter"), 2)):
            done = self.run_without_launcher(self.site(f"ends{code}"), **sections)
            self.assertEqual(done.returncode, code, done)
            self.assertNotIn("something called exit", done.stderr)


class Failure(TaskFaultTest):
    """The last rank's: the only one of one, and the second of two."""

    def expect_said_of(self, options, code, phase, text, **more):
        for ranks in (1, 2):
            with self.subTest(options=options, ranks=ranks):
                result = self.site(f"{options.split('(')[0]}{ranks}").run(
                    ranks=ranks, foreseen=False, **self.sections(options, **more))
                self.expect_exit(result, code, f"error: {phase}: rank {ranks - 1}: {text}\n")

    def test_is_told_with_its_function_its_rank_and_in_training_its_iteration(self):
        self.expect_said_of("bind() fails", 3, "prepare task", "the task's bind(): it went wrong")
        self.expect_said_of("initialize() fails", 3, "initialize",
                            "the task's initialize(): it went wrong")
        self.expect_said_of("train() fails", 2, "iteration 1",
                            "the task's train(): options are wrong after all")
        self.expect_said_of("evaluate() fails", 3, "evaluate",
                            "the task's evaluate(): it went wrong")

    def test_that_makes_ranks_differ_is_told_with_what_must_be_alike(self):
        for options, text in (
                ("initialize() of the process", r"initial values: rank 1: differs from rank 0's, "
                 r"on host .+: initialize\(\) must be a function of its seed alone\n"),
                ("data_digest() of the process", r"data: rank 1: differs from rank 0's, on host .+: "
                 r"data_digest\(\) and .* must be functions of the data alone")):
            with self.subTest(options=options):
                result = self.site(options.split("(")[0]).run(foreseen=False,
                                                              **self.sections(options))
                self.expect_exit(result, 2, re.compile("error: " + text))


if __name__ == "__main__":
    main()
