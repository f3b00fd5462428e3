#!/usr/bin/env -S python3 -B
"""What is left to be seen of a job when it ends: by `lockstep ui` on its store, which was there all
the time, in control.json, and in the textfile for Prometheus' node exporter."""

import json
import os
import re
import signal
import threading
import time

from lockstep_http import AT_WORK, Served
from lockstep_test import main

QUICK = {"checkpoint": {"interval": 50}, "metrics": {"interval": 10}}
WHOLE = re.compile(r"\A# HELP lockstep_build_info .*\nlockstep_resident_memory_bytes \d+\n\Z", re.S)


class Ends(Served):
    def expect_seen(self, ui, **wanted):
        """Within a few looks of the server at the store; gives the status."""
        end = time.monotonic() + 15
        while True:
            status = ui.json()
            if all(status[key] == value for key, value in wanted.items()):
                return status
            self.assertLess(time.monotonic(), end, {key: status[key] for key in wanted})
            time.sleep(0.1)

    def control(self, site, attempt):
        return site.store.attempt(attempt) / "control.json"

    def committed(self, job, server, least):
        return job.until(lambda: (server.json()["last_committed_iteration"] or 0) >= least and
                         server.json()["last_committed_iteration"], "a checkpoint")

    def test_each_way_to_end_is_seen_from_the_files_and_control_json_goes_with_the_server(self):
        site = self.site()
        job, server = self.serve(site, **QUICK)
        ui = self.ui(site.store.path)[1]
        status = self.expect_seen(ui, state="running", alive=True, attempt=1, exit_code=None)
        self.assertEqual((status["source"], status["ranks"], status["phase"], status["saves"]),
                         ("files", None, None, None))
        self.assertEqual(status["process"], job.pids(0)[0])
        seen = ui.json()["iteration"]
        job.until(lambda: ui.json()["iteration"] > seen, "it sees the heartbeat")

        # A crash: no outcome, the address stays there, and what was lost is told afterwards.
        self.committed(job, server, 100)
        job.kill_all()
        job.wait()
        # The last line of the metrics, or the last heartbeat: whichever came further.
        lines = (site.store.attempt(1) / "metrics.jsonl").read_text().splitlines()
        crashed_at = max(site.store.iteration(1), *(
            line["iteration"] for line in map(json.loads, lines) if line["event"] == "interval"))
        self.assertTrue(self.control(site, 1).exists())
        status = self.expect_seen(ui, state="crashed", alive=False, exit_code=None,
                                  iteration=crashed_at)
        self.assertIn("its process is gone", status["state_text"])
        self.assertIsNone(status["eta_seconds"])
        job, server = self.serve(site, attempt=2, **QUICK)
        start = site.store.of_attempt(1)[-1]  # known once its server has looked at the store again
        job.until(lambda: server.json()["start_iteration"] == start, "where it began")
        self.assertEqual(server.json()["lost_iterations"], crashed_at - start)
        self.assertEqual(server.metrics()["lockstep_restore_lost_iterations"], crashed_at - start)
        self.expect_seen(ui, state="running", attempt=2, start_iteration=start,
                         lost_iterations=crashed_at - start)

        # A stop that somebody asked for.
        self.stop(site, job)
        self.assertFalse(self.control(site, 2).exists())
        self.assertRaises(OSError, server.connect)
        saved = site.store.of_attempt(2)[-1]
        status = self.expect_seen(ui, state="stopped", alive=False, exit_code=77, iteration=saved,
                                  state_text="stopped, exit code 77")
        self.assertEqual((status["last_committed"], status["checkpoint"]["iteration"]),
                         (f"2@{saved}", saved))

        # A preemption.
        job, server = self.serve(site, attempt=3, **QUICK)
        job.signal_rank(1, signal.SIGUSR1)
        self.expect_exit(job.wait(), 75)
        self.assertFalse(self.control(site, 3).exists())
        self.expect_seen(ui, state="preempted", alive=False, exit_code=75, attempt=3)

        # A failure that the job itself finds.
        result = site.run(restore="auto", **QUICK, optimizer={"learning_rate": 1e30},
                          run={"id": "served", "max_iterations": 10**6}, task=AT_WORK["task"],
                          control=AT_WORK["control"])
        self.assertNotEqual(result.code, 0)
        self.assertFalse(self.control(site, 4).exists())
        status = self.expect_seen(ui, state="failed", alive=False, exit_code=result.code, attempt=4)
        self.assertEqual(status["error"], site.store.record(4, "outcome")["error"])
        self.assertTrue(status["error"])

        # And the end of the training.
        last = site.store.of_attempt(3)[-1] + 20
        site.trained(last, restore="3@%d" % (last - 20), **QUICK, control=AT_WORK["control"])
        self.assertFalse(self.control(site, 5).exists())
        self.expect_seen(ui, state="finished", exit_code=0, iteration=last, final_iteration=last,
                         state_text="finished, exit code 0")
        states = {x["attempt"]: x["state"] for x in ui.json("/api/lineage")["attempts"]}
        self.assertEqual(list(states), [1, 2, 3, 4, 5])
        for attempt, word in {1: "crashed", 2: "stopped", 3: "preempted", 4: "failed",
                              5: "finished"}.items():
            self.assertIn(word, states[attempt])

    def test_going_back_leaves_a_fork_that_curves_and_lineage_show(self):
        site = self.site()
        site.trained(40, metrics={"interval": 10}, run={"id": "first"})
        job, server = self.serve(site, attempt=2, restore="1@20", **QUICK)
        ui = self.ui(site.store.path)[1]
        for one in (server, ui):
            job.until(lambda: len(one.json("/api/curves")["attempts"]) == 2, "both curves")
            old, new = one.json("/api/curves")["attempts"]
            self.assertEqual([(x["attempt"], x["branch"], x["parent"], x["until"], x["in_lineage"])
                              for x in (old, new)],
                             [(1, 0, None, 20, True), (2, 20, "1@20", None, True)])
            self.assertEqual(old["iteration"], [10, 20, 30, 40])
            self.assertGreaterEqual(new["iteration"][0], 30)
            lineage = one.json("/api/lineage")
            self.assertEqual(lineage["attempts"][1]["parent"], {"attempt": 1, "iteration": 20})
            self.assertEqual(lineage["attempts"][1]["origin"], "1@20")
            state = {(x["attempt"], x["iteration"]): (x["state"], x["eligible"])
                     for x in lineage["checkpoints"]}
            self.assertEqual([state[1, i] for i in (10, 20, 30, 40)],
                             [("good", True), ("good", True), ("abandoned", False),
                              ("abandoned", False)])
            status = one.json()
            self.assertEqual((status["abandoned_checkpoints"], status["start_iteration"]), (2, 20))
            self.assertEqual(status["abandoned_bytes"],
                             sum(x["bytes"] for x in lineage["checkpoints"]
                                 if x["state"] == "abandoned"))
            self.assertIsNone(status["lost_iterations"], "who goes back on purpose lost nothing")
            decision = one.json("/api/decision")
            self.assertEqual((decision["kind"], decision["parent"]),
                             ("restore", {"attempt": 1, "iteration": 20}))
        self.stop(site, job)


class Textfile(Served):
    def test_who_reads_it_while_it_is_replaced_always_finds_a_whole_one(self):
        site = self.site()
        path, seen, over = site.folder / "job.prom", [], threading.Event()

        def read():
            while not over.is_set():
                try:
                    found = path.read_text()
                except FileNotFoundError:  # before the first
                    assert not seen, "it was there before"
                    continue
                if not seen or seen[-1] != found:
                    seen.append(found)

        reader = threading.Thread(target=read)
        self.addCleanup(over.set)
        before = os.umask(0o077)
        try:
            job = site.start(**{**AT_WORK, "control": None, "metrics": {"textfile": "./job.prom"}})
        finally:
            os.umask(before)
        reader.start()
        job.until(lambda: site.store.iteration(1) > 300, "some heartbeats")
        self.stop(site, job)
        time.sleep(0.2)
        over.set()
        reader.join()
        self.assertGreater(len(seen), 10)
        for text in seen:
            self.assertRegex(text, WHOLE)
        values = [int(float(number)) for text in seen
                  for number in re.findall(r"^lockstep_iterations_total (.*)", text, re.M)]
        self.assertEqual(values, sorted(values))
        self.assertGreater(values[-1], 300)
        alive = [re.search(r"^lockstep_running (\d)", text, re.M)[1] for text in seen]
        self.assertEqual((alive[-1], set(alive[1:-1])), ("0", {"1"}))
        self.assertEqual(seen[-1], path.read_text())
        self.assertEqual(path.stat().st_mode & 0o7777, 0o644)  # whatever the umask
        self.assertEqual([x.name for x in site.folder.iterdir() if x.name.startswith(".")], [])
        self.assertFalse((site.store.attempt(1) / "control.json").exists())

    def test_each_way_to_end_but_a_crash_leaves_one_that_says_so(self):
        site = self.site()
        how = {**AT_WORK, "metrics": {"textfile": "./job.prom"}}

        def told():
            text = (site.folder / "job.prom").read_text()
            return re.search(r"^lockstep_running (\d)", text, re.M)[1]

        def at_work(attempt):
            job = site.start(**how)
            job.until(lambda: site.store.iteration(attempt) > 30, "iterations")
            job.until(lambda: told() == "1", "a textfile")
            return job

        job = at_work(1)
        job.signal_rank(0, signal.SIGTERM)
        self.expect_exit(job.wait(), 75)
        self.assertEqual(told(), "0")
        site.trained(site.store.of_attempt(1)[-1] + 10, restore="latest", metrics=how["metrics"])
        self.assertEqual(told(), "0")
        job = at_work(3)
        job.kill_all()
        job.wait()
        self.assertEqual(told(), "1")  # its age is what tells: node_textfile_mtime_seconds

    def test_a_folder_that_is_not_there_is_one_warning_and_no_failure(self):
        site = self.site()
        result = site.trained(60, task={"iteration_ms": 20}, metrics={"textfile": "./no/job.prom"})
        warnings = re.findall(r".*warning: metrics.textfile: .*", result.err)
        self.assertEqual(len(warnings), 1, result)
        self.assertIn("no/job.prom: No such file or directory; training goes on without it",
                      warnings[0])
        self.assertEqual(site.store.record(1, "outcome")["outcome"], "finished")

    def test_it_is_written_again_once_it_can_be(self):
        site = self.site()
        job = site.start(**{**AT_WORK, "metrics": {"textfile": "./later/job.prom"}})
        job.until(lambda: "warning: metrics.textfile" in job.err(), "the warning")
        (site.folder / "later").mkdir()
        job.until((site.folder / "later" / "job.prom").exists, "the textfile")
        self.stop(site, job)


if __name__ == "__main__":
    main()
