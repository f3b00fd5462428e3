#!/usr/bin/env -S python3 -B
"""What a job's own status server answers: the fields that deploy/STATUS.md has, figures that fit
the store and the log, streams, control.json, a socket; and what it does where it can't listen. How
jobs end: status_ends_test.py; from the files alone: status_ui_test.py."""

import json
import os
import re
import shutil
import socket
import stat
import tempfile
import time
import unittest
from pathlib import Path

from lockstep_http import OneJob, Served
from lockstep_shapes import Shapes, differences
from lockstep_test import Site, main
from strace_test import parse_trace

PARTS = ("data", "compute", "communication", "optimizer", "save", "evaluation", "other")
FRESH_SECONDS = 0.1  # what was made in the last tenth of a second is given again
TRACE = ["strace", "-f", "--seccomp-bpf", "-qq", "-y", "-ttt", "-s", "4096", "-e",
         "trace=%file,listen", "-e", "signal=none"]


class AtWork(OneJob):
    sections = {"metrics": {"interval": 10}, "evaluate": {"interval": 50}}

    def setUp(self):
        super().setUp()
        # Its server has looked at the store since the job decided.
        self.until(lambda: self.server.json()["revisions"]["decision"] == 1, "the decision")

    def until(self, holds, what):
        return self.job.until(holds, what)

    def test_every_path_has_just_the_fields_of_the_document(self):
        shapes = Shapes()
        self.assertEqual(set(shapes.of),
                         {"/status", "/api/lineage", "/api/decision", "/api/curves"})
        self.until(lambda: self.server.json()["evaluation"] and self.server.json()["checkpoint"],
                   "an evaluation and a checkpoint")
        self.until(lambda: self.server.json()["ranks"]["heard"] == 2, "both ranks")
        for path, shape in shapes.of.items():
            self.assertEqual(differences(shape, self.server.json(path)), [], path)
        (_, event), = self.server.events(1)
        self.assertEqual(differences(shapes.of["/status"], event), [])

    def test_what_has_another_shape_is_found(self):
        """So that "just the fields" means something."""
        status, shape = self.server.json(), Shapes().of["/status"]
        less = {**status}
        del less["loss"]
        for other, what in ((less, ".loss is not there"),
                            ({**status, "more": 1}, ".more is in no document"),
                            ({**status, "iteration": 1.5}, ".iteration is 1.5"),
                            ({**status, "state": "asleep"}, '.state is "asleep"'),
                            ({**status, "saves": {**status["saves"], "failed": "no"}},
                             '.saves.failed is "no"')):
            found = differences(shape, other)
            self.assertEqual(len(found), 1, found)
            self.assertIn(what, found[0])

    def test_it_grows_and_fits_the_store_and_the_log(self):
        store, before = self.place.store, self.server.json()
        self.until(lambda: self.server.json()["iteration"] > before["iteration"] + 100, "progress")
        # Read between two heartbeats, which are at least as old and then at least as new.
        low, status = store.heartbeat(1), self.server.json()
        self.until(lambda: store.iteration(1) >= status["iteration"], "the next heartbeat")
        self.assertLessEqual(low.iteration, status["iteration"])
        self.assertGreater(status["iteration"] - before["iteration"], 100)
        self.assertEqual(status["samples"], 12 * status["iteration"])
        claim = store.record(1, "claim")
        self.assertEqual((status["source"], status["run"], status["attempt"], status["alive"],
                          status["state"], status["state_text"], status["world_size"]),
                         ("job", "served", 1, True, "running", "running", 2))
        self.assertEqual((status["host"], status["process"]),
                         (socket.gethostname(), self.job.pids(0)[0]))
        self.assertEqual(status["started"], claim["created"])
        self.assertEqual(status["store"], str(store.path.resolve()))
        self.assertEqual((status["start_iteration"], status["final_iteration"]), (0, 10**7))
        self.assertEqual((status["exit_code"], status["error"], status["store_error"],
                          status["damaged"], status["lost_iterations"]),
                         (None, None, None, [], None))
        self.assertLess(status["iterations_per_second"], 101)  # task.iteration_ms
        self.assertAlmostEqual(status["eta_seconds"], (10**7 - status["iteration"]) /
                               status["iterations_per_second"], delta=1)
        self.assertAlmostEqual(sum(status["spent"].values()), 1, places=6)
        self.assertEqual(set(status["spent"]), set(PARTS))
        self.assertGreater(status["free_bytes"], 0)
        self.assertEqual(status["commands"]["stop"], f"lockstep stop {status['store']}")

        # Saves: what it calls committed lies there, with the bytes that it tells.
        saves = status["saves"]
        self.assertEqual(status["last_committed"], f"1@{status['last_committed_iteration']}")
        self.assertEqual(saves["recent"][-1]["iteration"], status["last_committed_iteration"])
        self.assertEqual(saves["failed"], 0)
        of_attempt = store.of_attempt(1)
        self.assertEqual([x["iteration"] for x in saves["recent"]],
                         [x for x in of_attempt if x <= status["last_committed_iteration"]][-100:])
        self.assertLessEqual(saves["recent"][-1]["held_seconds"], saves["recent"][-1]["seconds"])
        listed = self.place.listed()
        data = sum(len(tensor.data) for tensor in store.tensors(1, of_attempt[0]).values())
        for save in saves["recent"]:
            self.assertAlmostEqual(save["bytes"], data, delta=0.1 * data)
        self.assertLess(status["last_durable_age_seconds"], 10)
        checkpoint = status["checkpoint"]
        self.assertEqual(checkpoint["bytes"], listed[1, checkpoint["iteration"]]["bytes"])
        self.assertEqual(checkpoint["state"], "good")

        def told():
            return re.findall(r"iteration (\d+)/10000000 ", self.job.err())

        many, low = len(told()), self.server.json()["iteration"]
        self.until(lambda: len(told()) > many, "another line of the log")
        self.assertIn(int(told()[-1]), range(low, self.server.json()["iteration"] + 1))
        self.assertIn(f"status: http://{self.server.address}", self.job.err())

    def test_curves_are_those_of_the_file(self):
        path = self.place.store.attempt(1) / "metrics.jsonl"
        self.until(lambda: self.server.json("/api/curves")["attempts"], "a curve")
        (curve,) = self.server.json("/api/curves")["attempts"]
        lines = {line["iteration"]: line for line in map(json.loads, path.read_text().splitlines())
                 if line["event"] == "interval"}
        self.assertGreater(len(curve["iteration"]), 0)
        for name in ("loss", "accuracy", "gradient_norm", "learning_rate", "samples_per_second"):
            self.assertEqual(curve[name], [lines[i].get(name) for i in curve["iteration"]], name)
        self.assertEqual((curve["run"], curve["branch"], curve["parent"], curve["until"],
                          curve["in_lineage"]), ("served", 0, None, None, True))
        seen = self.server.json()["revisions"]["curves"]
        self.until(lambda: self.server.json()["revisions"]["curves"] > seen, "a newer curve")
        newer = self.server.json("/api/curves")["attempts"][0]
        self.assertGreater(newer["iteration"][-1], curve["iteration"][-1])

    def test_lineage_and_decision_are_those_of_the_commands(self):
        decision = self.server.json("/api/decision")
        self.assertEqual((decision["kind"], decision["attempt"], decision["exit_code"]),
                         ("fresh", 1, 0))
        self.assertEqual(decision["reasons"], self.place.store.record(1, "decision")["reasons"])
        lineage = self.server.json("/api/lineage")
        self.assertEqual([(x["attempt"], x["state"], x["outcome"], x["in_lineage"], x["origin"])
                          for x in lineage["attempts"]], [(1, "running", None, True, "-")])
        listed = self.place.listed("--all")
        found = {(x["attempt"], x["iteration"]): x for x in lineage["checkpoints"]}
        self.assertGreater(len(found), 0)
        self.assertEqual(list(found), sorted(found, reverse=True))
        for key, row in found.items():
            for name in ("bytes", "state", "created", "metrics"):
                if name in listed[key]:
                    self.assertEqual(row[name], listed[key][name], (key, name))

    def test_events_come_at_once_and_then_every_second(self):
        events = self.server.events(4)
        self.assertLess(events[0][0], 0.5)
        for (a, _), (b, _) in zip(events, events[1:]):
            self.assertAlmostEqual(b - a, 1, delta=0.7)  # polls, on a busy host
        self.assertAlmostEqual(events[-1][0] - events[0][0], 3, delta=0.9)
        told = [event["iteration"] for _, event in events]
        self.assertEqual(told, sorted(set(told)), "each tells of more")
        self.assertEqual(events[0][1].keys(), self.server.json().keys())

    def test_metrics_are_the_figures_of_the_status(self):
        before = self.server.json()
        time.sleep(2 * FRESH_SECONDS)
        metrics = self.server.metrics()
        time.sleep(2 * FRESH_SECONDS)
        after = self.server.json()
        for name, key in {"lockstep_iteration": "iteration", "lockstep_iterations_total":
                          "iteration", "lockstep_samples_total": "samples"}.items():
            self.assertLessEqual(before[key], metrics[name])
            self.assertGreaterEqual(after[key], metrics[name])
        self.assertEqual([metrics[f"lockstep_{name}"] for name in
                          ("running", "attempt", "ranks", "final_iteration")], [1, 1, 2, 10**7])
        parts = {part: metrics[f'lockstep_spent_seconds_total{{part="{part}"}}'] for part in PARTS}
        self.assertGreater(parts["compute"] + parts["other"], 0)
        count = metrics["lockstep_save_seconds_count"]
        self.assertEqual(metrics['lockstep_save_seconds_bucket{le="+Inf"}'], count)
        self.assertEqual(metrics["lockstep_commits_total"], count)
        self.assertGreater(metrics["lockstep_resident_memory_bytes"], 10 << 20)

    def test_control_json_says_where_it_listens_and_status_shows_it(self):
        path = self.place.store.attempt(1) / "control.json"
        self.assertEqual(json.loads(path.read_text()), {"address": self.server.address})
        self.assertRegex(self.server.address, r"^127\.0\.0\.1:\d+$")


class Starts(Served):
    @unittest.skipUnless(shutil.which("strace"), "strace is missing")
    def test_other_ranks_open_nothing_for_it_and_listen_nowhere(self):
        def of_rank_1(name, **sections):
            site = self.site(name)
            script = site.folder / "trace.sh"
            script.write_text('#!/bin/sh\n[ "$OMPI_COMM_WORLD_RANK" = 1 ] || exec "$@"\n'
                              f'exec {" ".join(TRACE)} -o {site.folder}/trace "$@"\n')
            script.chmod(0o755)
            sections["metrics"] = {"interval": 5, **sections.get("metrics", {})}
            site.trained(60, wrapper=[script], task={"iteration_ms": 20},
                         checkpoint={"interval": 30}, **sections)
            calls = parse_trace((site.folder / "trace").read_text(), 1, str(site.folder))
            files = {path.removeprefix(f"{site.folder}/") for call in calls for path in call.paths
                     if path.startswith((f"{site.store.path}/", f"{site.folder}/job.prom"))}
            return files, sum(call.name == "listen" for call in calls)

        plain = of_rank_1("plain")
        self.assertTrue(any("shard-00001" in path for path in plain[0]), plain)  # it sees files
        served = of_rank_1("served", control={"listen": "127.0.0.1:0"},
                           metrics={"textfile": "./job.prom"})
        self.assertEqual(served, plain)

    def test_a_taken_port_is_a_warning_and_training_ends_well(self):
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = other.getsockname()[1]
            site = self.site()
            result = site.trained(20, control={"listen": f"127.0.0.1:{port}"})
            self.expect_said(result, re.compile(
                rf"warning: control.listen: 127.0.0.1:{port}: Address already in use; take another "
                r"port, or 0 for any that is free: nobody is served; training goes on without it"))
            self.assertFalse((site.store.attempt(1) / "control.json").exists())
            self.assertNotIn("status: http", result.err)
            # The textfile is written all the same.
            result = site.trained(30, restore="latest", control={"listen": f"127.0.0.1:{port}"},
                                  metrics={"textfile": "./job.prom"})
            self.expect_said(result, "nobody is served")
            self.assertIn("lockstep_iteration 30\n", (site.folder / "job.prom").read_text())

    def test_a_socket_is_its_owners_alone_and_lies_beside_the_configuration(self):
        folder = Path(tempfile.mkdtemp(prefix="lockstep-"))  # a socket's path is short
        self.addCleanup(shutil.rmtree, folder)
        site = Site(self, folder / "site")
        path, before = site.folder / "s.sock", os.umask(0)  # no help from it
        self.addCleanup(os.umask, before)
        # What follows is lockstepd and train.yaml, which are started from elsewhere.
        elsewhere = ["sh", "-c", 'cd / && daemon=$1 && shift 2 && '
                     f'exec "$daemon" {site.folder}/train.yaml "$@"', "sh"]
        job, server = self.serve(site, wrapper=elsewhere, control={"listen": "unix:./s.sock"})
        self.assertEqual(server.address, f"unix:{path}")
        self.assertTrue(stat.S_ISSOCK(path.lstat().st_mode))
        self.assertEqual(path.lstat().st_mode & 0o7777, 0o600)
        for host in ("localhost", "localhost:8000", "LOCALHOST"):
            self.assertEqual(server.get("/status", host=host).status, 200, host)
        for host in ("127.0.0.1", "127.0.0.1:8000", str(path), "", "evil"):
            self.assertIn(server.get("/status", host=host).status, (400, 403), host)
        self.assertEqual(len(server.events(2)), 2)
        # Another job that wants the same path leaves it to this one.
        other = self.site("other")
        result = other.trained(10, control={"listen": f"unix:{path}"})
        self.expect_said(result, "Address already in use; another server is there")
        self.assertEqual(server.get("/status").status, 200)
        self.stop(site, job)
        self.assertFalse(path.exists())
        # After a crash the file is left; the next one takes the path.
        job, server = self.serve(site, attempt=2, control={"listen": f"unix:{path}"})
        job.kill_all()
        self.assertTrue(path.exists())
        job, server = self.serve(site, attempt=3, control={"listen": f"unix:{path}"})
        self.assertEqual(server.json()["attempt"], 3)
        # What is no socket stays.
        self.stop(site, job)
        path.write_text("mine")
        result = other.trained(20, restore="latest", control={"listen": f"unix:{path}"})
        self.expect_said(result, "something else is there, and stays")
        self.assertEqual(path.read_text(), "mine")

    def test_a_port_of_a_job_that_has_ended_just_now_is_free(self):
        site = self.site()
        job, server = self.serve(site, ranks=1)
        server.events(1)  # whose connection the server closes
        self.stop(site, job)
        job, again = self.serve(site, ranks=1, attempt=2, control={"listen": server.address})
        self.assertEqual(again.address, server.address)
        self.stop(site, job)


if __name__ == "__main__":
    main()
