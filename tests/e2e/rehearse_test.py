#!/usr/bin/env -S python3 -B
"""lockstep rehearse: what it proves, what it sees, what it ends with, and that it leaves nothing
behind: no process, and nothing beside the configuration."""

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

from lockstep_jobs import BIN, MPIEXEC, WAIT_SECONDS, command, configuration, environment, \
    is_running, yaml_text
from lockstep_store import difference, snapshot
from lockstep_test import JobTest, keep_mounts_private, main

LAUNCH = f"{MPIEXEC} -n 2 --oversubscribe"
STRANGERS = {"LOCKSTEP_RUN_ID": "mine", "LOCKSTEP_DEADLINE": "1", "SLURM_JOB_ID": "17",
             "SLURM_RESTART_COUNT": "3", "SLURM_JOB_END_TIME": "1"}


def processes_of(text):
    """Those with this text among their words."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes()
        except OSError:  # it is gone
            continue
        if text.encode() in words and is_running(path.parent.name):
            found.append((path.parent.name, words))
    return found


def elsewhere(folder):
    """Words before a launcher that give its ranks another boot id, as another host has: then it is
    the launcher that is killed. None where that can't be had."""
    (folder / "boot_id").write_text("another\n")
    (folder / "elsewhere.sh").write_text(
        'mount --bind boot_id /proc/sys/kernel/random/boot_id && exec "$@"\n')
    words = ["unshare", "--mount", "sh", "elsewhere.sh"]
    try:
        can = not subprocess.run([*words, "true"], cwd=folder, capture_output=True).returncode
    except OSError:
        can = False
    return " ".join(words) if can else ""


class Rehearse(JobTest):
    def setUp(self):
        self.place = self.site()
        self.slow = {"name": "synthetic", "parameters": 20000, "tensors": 6, "iteration_ms": 20}

    def config(self, **sections):
        return self.place.write(yaml_text(configuration(**{"task": self.slow, **sections})))

    def rehearse(self, code, *words, launch=LAUNCH, env=None, **sections):
        path = self.config(**sections)
        result = command("rehearse", path.name, "--launch", launch, *words, cwd=self.place.folder,
                         seconds=60, **(env or {}))
        self.assertEqual(result.code, code, result)
        return result

    def expect_nothing_left(self, *others):
        self.assertEqual(sorted(os.listdir(self.place.folder)), sorted(["train.yaml", *others]))
        self.assertEqual(processes_of(str(self.place.folder)), [])

    def script(self, text):
        """A launcher of its own; `launch` is the number of the launch."""
        path = self.place.folder / "launch.sh"
        path.write_text("#!/bin/sh\necho >> launches\nlaunch=$(wc -l < launches)\n" + text)
        path.chmod(0o755)
        return "./launch.sh"

    def test_all_three_runs_end_alike_whatever_the_environment_says(self):
        result = self.rehearse(0, "--iterations", "60", env=STRANGERS, restore="fresh")
        self.expect_said(result, re.compile(r"^straight +0 +1@60 ", re.M),
                         re.compile(r"^cut +75, 0 +2@60 +equal +0 +\d", re.M),
                         re.compile(r"^killed +\d+, 0 +2@60 +equal +\d+ +\d", re.M),
                         "2 ranks", "to resume equals never having stopped")
        self.expect_nothing_left()

    def test_the_own_store_is_left_alone_and_a_source_is_gone_on_from(self):
        self.place.trained(20)
        before = snapshot(self.place.store.path)
        mine = self.place.folder / "mine"
        (mine / "attempts").mkdir(parents=True)  # a look at it would fail: it is no store
        hidden = elsewhere(self.place.folder)
        launch = self.script(f'case $launch in 4) exec {hidden} {LAUNCH} "$@";; esac\n'
                             f'exec {LAUNCH} "$@"\n')
        result = self.rehearse(0, "--json", "--iterations", "60", launch=launch, store="./mine",
                               restore={"from": "./store", "iteration": 20, "once": False})
        found = json.loads(result.out)
        self.assertEqual((found["equal"], found["start"], found["kept"]), (True, 20, None))
        self.assertEqual([run["checkpoint"] for run in found["runs"]], ["1@80", "2@80", "2@80"])
        self.assertEqual(found["runs"][1]["iterations_lost"], 0)
        self.assertEqual(difference(before, snapshot(self.place.store.path)), [])
        self.assertEqual(os.listdir(mine), ["attempts"])
        self.expect_nothing_left("store", "mine", "job1", "launch.sh", "launches",
                                 "boot_id", "elsewhere.sh")

    def test_a_planted_difference_is_seen(self):
        launch = self.script(f'case $launch in 3) set -- "$@" --set run.seed=8;; esac\n'
                             f'exec {LAUNCH} "$@"\n')
        result = self.rehearse(1, "--json", "--iterations", "60", launch=launch)
        found = json.loads(result.out)
        straight, cut, killed = found["runs"]
        self.assertFalse(found["equal"] or cut["equal"])
        self.assertTrue(killed["equal"], killed)
        self.assertTrue(any("model." in line for line in cut["differences"]), cut)
        self.assertIn(found["kept"], result.err)
        self.assertTrue((Path(found["kept"]) / "cut.log").exists())
        self.assertEqual(processes_of(str(self.place.folder)), [])

    def test_mistakes_end_with_2_and_launches_that_fail_with_3(self):
        for words, launch, code, fact in (
                (["--set", "run.sed=1"], LAUNCH, 2, "did you mean seed"),
                (["--set", "store=/nowhere/store"], LAUNCH, 2, "/nowhere"),
                (["--set", "restore.from=/nowhere"], LAUNCH, 2, "/nowhere"),
                (["--iterations", "5"], LAUNCH, 2, "--iterations"),
                ([], "mpirun -n 2 |", 2, "without quotes"),
                ([], "", 2, "--launch"),
                ([], f"{LAUNCH} lockstepd", 2, "write the launcher alone"),
                ([], "no-such-launcher -n 2", 2, "can't start 'no-such-launcher'"),
                ([], f"{LAUNCH} --no-such-option", 3, "    | "),
                (["--set", "data.global_batch=1"], LAUNCH, 2, "    | ")):
            with self.subTest(words=words, launch=launch):
                result = self.rehearse(code, *words, launch=launch)
                self.expect_said(result, fact)
                self.assertEqual(result.out, "")
                self.expect_nothing_left()

    def test_why_the_launcher_refused_is_not_lost_in_its_advice(self):
        result = self.rehearse(3, launch=f"{MPIEXEC} -n 1000",
                               env={"OMPI_MCA_rmaps_base_oversubscribe": "0"})
        self.expect_said(result, "    | There are not enough slots available")
        self.assertNotIn("Alternatively", result.err)

    def test_without_room_it_ends_before_anything_is_launched_or_once_it_knows(self):
        keep_mounts_private()
        disk = self.place.folder / "disk"
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1600k", "none", disk], check=True)
        self.addCleanup(subprocess.run, ["umount", "--lazy", disk], check=True)
        # A checkpoint takes about 250 KiB, which only the first run tells.
        result = self.rehearse(3, store="./disk/store")
        self.expect_said(result, "straight, launch 1: exit code 0", "no room beside the store: ",
                         "6 checkpoints of 2")
        self.assertNotIn("cut, launch", result.err)
        # Now the store does.
        self.place.trained(10, store="./disk/store", foreseen=False)
        result = self.rehearse(3, "--json", store="./disk/store")
        self.assertIn("9 checkpoints of 2", json.loads(result.out)["error"])
        self.assertNotIn("launch 1", result.err)
        self.assertEqual(os.listdir(disk), ["store"])

    def test_a_launch_that_stands_still_is_given_up(self):
        result = self.rehearse(3, "--limit", "1", launch="sh -c 'sleep 1000' ")
        self.expect_said(result, "straight, launch 1: no new iteration for 1 s")
        self.expect_nothing_left()

    def test_a_run_that_is_over_before_the_signal_is_no_success(self):
        launch = self.script(f'trap : USR1\n{LAUNCH} "$@" &\n'
                             'until wait $!; code=$?; [ $code -lt 128 ]; do :; done\nexit $code\n')
        result = self.rehearse(3, "--iterations", "6", launch=launch,
                               task={**self.slow, "iteration_ms": 0})
        self.expect_said(result, "cut: it was over before it could be interrupted, with 6 iter",
                         re.compile(r"once more, with \d\d+ iterations"), "nothing is proven")
        self.expect_nothing_left("launch.sh", "launches")

    def test_a_signal_ends_it_and_what_it_has_launched(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with self.subTest(number=number):
                path = self.config()
                process = subprocess.Popen(
                    [BIN / "lockstep", "rehearse", path.name, "--launch", LAUNCH, "--iterations",
                     "100000"], cwd=self.place.folder, env=environment(),
                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
                self.addCleanup(process.stdout.close)
                deadline = time.monotonic() + WAIT_SECONDS
                while not list(self.place.folder.glob(".rehearse-*/straight/attempts/*/decision*")):
                    self.assertIsNone(process.poll())
                    self.assertLess(time.monotonic(), deadline)
                    time.sleep(0.01)
                self.assertTrue(processes_of(str(self.place.folder)))
                process.send_signal(number)
                self.assertEqual(process.wait(WAIT_SECONDS), -number)
                self.expect_nothing_left()


if __name__ == "__main__":
    main()
