#!/usr/bin/env -S python3 -B
"""What a job records of its training: attempts/N/metrics.jsonl, the fields of the log, and
TensorBoard's event files, as TensorBoard itself reads them.

TensorBoard is a Python package of its own: LOCKSTEP_TENSORBOARD names the Python that has it, else
that of a venv, ~/.cache/lockstep-tensorboard. Without it that part is skipped, and says so.
"""

import json
import os
import re
import signal
import subprocess
import sys
import unittest
from datetime import datetime
from pathlib import Path

from lockstep_faults import Fault
from lockstep_jobs import ROOT, command
from lockstep_test import JobTest, main

FEED = ROOT / "deploy" / "examples" / "feed.py"
sys.path.append(str(FEED.parent))
import feed  # noqa: E402

PYTHON = Path(os.environ.get("LOCKSTEP_TENSORBOARD",
                             "~/.cache/lockstep-tensorboard/bin/python")).expanduser()
PARTS = ("data", "compute", "communication", "optimizer", "save", "evaluation", "other")
TENSORBOARD = {"metrics": {"interval": 10, "tensorboard": True}}
# {tag: [[step, value], ...]} as TensorBoard shows it.
READER = """
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
read = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0})
read.Reload()
print(json.dumps({tag: [[x.step, x.value] for x in read.Scalars(tag)]
                  for tag in read.Tags()["scalars"]}))
"""


def lines_of(site, attempt):
    text = (site.store.attempt(attempt) / "metrics.jsonl").read_text()
    assert text.endswith("\n"), text[-100:]
    return [json.loads(line) for line in text.splitlines()]


def intervals(lines):
    return [line for line in lines if line["event"] == "interval"]


def split_of(line):
    return {part: line[f"{part}_seconds"] for part in PARTS}


class Lines(JobTest):
    def expect_lines(self, site, attempt, run, branch, iterations):
        """(event, iteration) of all lines; all say whose they are."""
        lines = lines_of(site, attempt)
        self.assertEqual([(line["event"], line["iteration"]) for line in lines], iterations)
        times = []
        for line in lines:
            self.assertEqual((line["run"], line["attempt"], line["branch"]), (run, attempt, branch))
            self.assertRegex(line["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
            times.append(line["time"])
        self.assertEqual(times, sorted(times))
        return lines

    def expect_joined(self, site, expected, attempt=None):
        """deploy/examples/feed.py joins the intervals of a lineage, and gives numbers."""
        found = list(feed.curve(site.store.path, attempt))
        joined = [(line["attempt"], line["iteration"]) for line in intervals(found)]
        self.assertEqual(joined, expected)
        argv = [sys.executable, FEED, site.store.path, *([str(attempt)] if attempt else [])]
        printed = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
        self.assertEqual([json.loads(line) for line in printed.splitlines()], found)
        for line in found:
            numbers = feed.figures(line)
            self.assertTrue(numbers)
            self.assertTrue(all(isinstance(x, (int, float)) for x in numbers.values()), numbers)

    def test_a_job_that_is_carried_on_and_then_gone_back_leaves_curves_that_can_be_joined(self):
        site = self.site()
        night = {"run": {"id": "night"}, "evaluate": {"interval": 20}, "restore": "auto"}
        site.trained(45, **night)
        lines = self.expect_lines(
            site, 1, "night", 0,
            [("start", 0), ("interval", 10), ("evaluation", 20), ("interval", 20),
             ("interval", 30), ("evaluation", 40), ("interval", 40), ("evaluation", 45),
             ("interval", 45)])
        self.assertIsNone(lines[0]["parent"])
        self.assertEqual([line["iterations"] for line in intervals(lines)], [10, 10, 10, 10, 5])
        self.assertEqual(lines[-1]["position"], 45 * 12)
        self.assertEqual(lines[-2]["metrics"], site.store.manifest(1, 45)["metrics"])
        for line in intervals(lines):
            self.assertEqual(line["samples"], 12 * line["iterations"])
            self.assertGreater(line["samples_per_second"], 0)
            self.assertGreater(line["peak_memory_bytes"], 1 << 20)

        site.trained(60, **night)
        carried_on = self.expect_lines(
            site, 2, "night", 45,
            [("start", 45), ("interval", 50), ("evaluation", 60), ("interval", 60)])
        self.assertEqual(carried_on[0]["parent"], "1@45")
        self.assertEqual(carried_on[0]["position"], 45 * 12)

        site.trained(30, **{**night, "restore": "1@20"})
        back = self.expect_lines(site, 3, "night", 20,
                                 [("start", 20), ("evaluation", 30), ("interval", 30)])
        self.assertEqual(back[0]["parent"], "1@20")
        # Trained again from the same state on the same samples.
        again = next(line for line in lines if line["iteration"] == 30)
        self.assertEqual(intervals(back)[0]["loss"], again["loss"])
        self.expect_joined(site, [(1, 10), (1, 20), (1, 30), (1, 40), (1, 45), (2, 50), (2, 60)],
                           attempt=2)
        self.expect_joined(site, [(1, 10), (1, 20), (3, 30)])
        for argv in (("verify",), ("ls", "--all"), ("show",), ("status",)):
            result = command(argv[0], site.store.path, *argv[1:], *(["1@20"] * (argv[0] == "show")))
            self.assertIn(result.code, (0, 1) if argv[0] == "status" else (0,), result)
            self.assertNotIn("metrics", result.err, result)

    def test_a_stop_writes_the_iterations_since_the_last_line(self):
        site = self.site()
        job = site.start(run={"max_iterations": 100000}, task={"iteration_ms": 10},
                         metrics={"interval": 1000})
        job.until(lambda: site.store.iteration(1) > 15, "some iterations")
        job.signal_rank(1, signal.SIGUSR1)
        self.expect_exit(job.wait(), 75)
        saved = site.store.record(1, "outcome")["last_committed_iteration"]
        lines = lines_of(site, 1)
        self.assertEqual([(line["event"], line["iteration"]) for line in lines],
                         [("start", 0), ("interval", saved)])
        self.assertEqual(lines[-1]["iterations"], saved)

    def test_the_parts_add_up_to_the_wall_time(self):
        site = self.site()
        site.trained(40, task={"iteration_ms": 5, "parameters": 200_000},
                     checkpoint={"interval": 20, "async": False}, evaluate={"interval": 20})
        lines = lines_of(site, 1)
        began, ended = (datetime.fromisoformat(lines[at]["time"].rstrip("Z")) for at in (0, -1))
        wall = (ended - began).total_seconds()
        sums = dict.fromkeys(PARTS, 0)
        for line in intervals(lines):
            split = split_of(line)
            self.assertAlmostEqual(sum(split.values()), line["seconds"], places=6)
            self.assertGreaterEqual(min(split.values()), 0)
            for part in PARTS:
                sums[part] += split[part]
        told = sum(line["seconds"] for line in intervals(lines))
        # The first line is written a moment before the first interval begins.
        self.assertLess(told, wall + 0.05)
        self.assertGreater(told, 0.5 * wall)
        for part in PARTS:
            self.assertGreater(sums[part], 0, sums)
        at_20, at_30 = (split_of(line) for line in intervals(lines)[1:3])
        self.assertGreater(at_20["save"], at_30["save"], "the save at 20 counts there")
        self.assertEqual((at_30["evaluation"], at_20["evaluation"] > 0), (0, True))
        # The sleep that makes up for iteration_ms is nobody's work.
        slept = 40 * 0.005 - sums["compute"] - sums["data"]
        self.assertGreater(sums["other"], 0.9 * slept, sums)

    def test_what_is_not_finite_is_null_and_the_lines_go_on(self):
        site = self.site()
        site.trained(20, run={"on_nonfinite": "continue"}, optimizer={"learning_rate": 1e30})
        last = lines_of(site, 1)[-1]
        self.assertEqual((last["event"], last["iteration"]), ("interval", 20))
        self.assertIsNone(last["loss"])

    def test_progress_lines_of_the_log_have_the_split_for_machines_and_stay_short_for_people(self):
        site = self.site()
        result = site.trained(30, log={"format": "json"})
        told = [json.loads(line) for line in result.err.splitlines() if line.startswith("{")]
        progress = [line for line in told if "samples_per_second" in line]
        self.assertTrue(progress, result)
        for line in progress:
            self.assertAlmostEqual(sum(split_of(line).values()), line["seconds"], places=6)
            self.assertRegex(line["message"], r"^iteration \d+/30  loss \S+  \d+ samples/s  ETA \S+$")


class CanNotBeWritten(JobTest):
    def warnings(self, result, what):
        return re.findall(rf".*warning: {re.escape(what)}: .*", result.out + result.err)

    def test_metrics_that_can_not_be_written_are_one_warning_and_no_failure(self):
        site = self.site()
        fault = Fault(site.folder / "note", "hold", 0, "open:metrics.jsonl")
        job = site.start(wrapper=fault.wrapper, metrics={"interval": 1})
        job.until(fault.began, "the job is about to make metrics.jsonl")
        (site.store.attempt(1) / "metrics.jsonl").mkdir()
        fault.go()
        result = job.wait()
        self.expect_exit(result, 0, "finished at iteration 30")
        warnings = self.warnings(result, "metrics.jsonl")
        self.assertEqual(len(warnings), 2, result)
        self.assertIn("training goes on", warnings[0])
        self.assertIn("32 records could not be written", warnings[1])  # start, evaluation
        self.assertEqual(site.store.record(1, "outcome")["outcome"], "finished")

    def test_an_event_file_that_can_not_be_written_costs_no_line_of_the_metrics(self):
        site = self.site()
        site.store.path.mkdir()
        (site.store.path / "tensorboard").write_text("in the way")
        result = site.trained(30, **TENSORBOARD)
        self.assertEqual(len(self.warnings(result, "tensorboard")), 2, result)
        self.assertEqual(self.warnings(result, "metrics.jsonl"), [], result)
        self.assertEqual([line["iteration"] for line in intervals(lines_of(site, 1))], [10, 20, 30])


class EventFiles(JobTest):
    def shown(self, site):
        result = subprocess.run([PYTHON, "-c", READER, site.store.path / "tensorboard"],
                                capture_output=True, text=True, timeout=120, check=False)
        self.assertEqual(result.returncode, 0, result.stderr)
        return json.loads(result.stdout)

    def expect_curve(self, site, attempts):
        """The loss over steps is that of the metrics of these attempts, each up to a step. Gives
        all that is shown."""
        expected = [[line["iteration"], line["loss"]] for attempt, upto in attempts
                    for line in intervals(lines_of(site, attempt)) if line["iteration"] <= upto]
        shown = self.shown(site)
        curve = shown["train/loss"]
        self.assertEqual([step for step, _ in curve], [step for step, _ in expected])
        for (_, value), (_, loss) in zip(curve, expected):
            self.assertAlmostEqual(value, loss, delta=1e-6 * abs(loss))
        return shown

    def test_there_are_none_where_they_are_not_asked_for(self):
        site = self.site()
        site.trained(10)
        self.assertFalse((site.store.path / "tensorboard").exists())

    @unittest.skipUnless(PYTHON.exists(), f"NO TENSORBOARD: {PYTHON} is not there; make it by: "
                         "python3 -m venv ~/.cache/lockstep-tensorboard && "
                         "~/.cache/lockstep-tensorboard/bin/pip install tensorboard")
    def test_tensorboard_shows_the_newest_lineage_and_nothing_of_what_was_abandoned(self):
        site = self.site()
        site.trained(40, evaluate={"interval": 20}, **TENSORBOARD)
        shown = self.expect_curve(site, [(1, 40)])
        self.assertEqual(sorted(shown), sorted(
            ["train/loss", "train/gradient_norm", "train/learning_rate", "evaluation/loss",
             "speed/samples_per_second", "memory/resident_bytes", "memory/peak_bytes",
             *(f"time/{part}" for part in PARTS)]))
        self.assertEqual([step for step, _ in shown["evaluation/loss"]], [20, 40])
        changed = {"optimizer": {"learning_rate": 1e-4}}  # another curve from there on
        site.trained(30, restore="1@20", **TENSORBOARD, **changed)
        shown = self.expect_curve(site, [(1, 20), (2, 30)])
        self.assertEqual([step for step, _ in shown["evaluation/loss"]], [20, 30])
        site.trained(50, restore="latest", **TENSORBOARD, **changed)
        self.expect_curve(site, [(1, 20), (2, 30), (3, 50)])
        # Back to the abandoned branch: what was shown parts from it at 20, and goes.
        site.trained(60, restore="1@40", **TENSORBOARD)
        self.expect_curve(site, [(1, 20), (4, 60)])
        site.trained(20, restore="fresh", **TENSORBOARD)
        self.expect_curve(site, [(5, 20)])
        self.assertEqual(command("verify", site.store.path).code, 0)


if __name__ == "__main__":
    main()
