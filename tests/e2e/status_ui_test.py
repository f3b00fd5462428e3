#!/usr/bin/env -S python3 -B
"""`lockstep ui`: what it serves from a store's files, what it says where it can't, that it ends by
each signal and writes nothing; and damage, as it and a job's own server show it."""

import shutil
import signal
import socket
import tempfile
import time
import unittest
from pathlib import Path

from lockstep_http import PATHS, Served
from lockstep_jobs import command
from lockstep_shapes import Shapes, differences
from lockstep_store import difference, listing
from lockstep_test import main


class Command(Served):
    def expect_fails(self, code, what, *argv):
        result = command("ui", *argv, seconds=10)
        self.assertEqual((result.code, result.out), (code, ""), result)
        self.assertIn(what, result.err)
        self.assertLessEqual(len(result.err.splitlines()), 4, result)

    def test_it_serves_what_has_ended_with_all_fields_and_writes_nothing(self):
        site = self.site()
        site.trained(40, metrics={"interval": 10}, evaluate={"interval": 20})
        before = listing(site.store.path)
        server = self.ui(site.store.path)[1]
        shapes = Shapes()
        for path, shape in shapes.of.items():
            self.assertEqual(differences(shape, server.json(path)), [], path)
        status = server.json()
        self.assertEqual((status["source"], status["state"], status["alive"], status["exit_code"],
                          status["iteration"], status["last_committed"]),
                         ("files", "finished", False, 0, 40, "1@40"))
        self.assertEqual([status[name] for name in ("phase", "saves", "ranks")], [None] * 3)
        self.assertEqual(status["evaluation"]["metrics"], site.store.manifest(1, 40)["metrics"])
        (curve,) = server.json("/api/curves")["attempts"]
        self.assertEqual(curve["iteration"], [10, 20, 30, 40])
        self.assertEqual([x["iteration"] for x in curve["evaluations"]], [20, 40])
        metrics = server.metrics()
        self.assertEqual((metrics["lockstep_running"], metrics["lockstep_iteration"]), (0, 40))
        self.assertEqual(len(server.events(2)), 2)
        self.assertIn(b"<!doctype html>", server.get("/").body[:100].lower())
        self.assertEqual(difference(before, listing(site.store.path)), [])

    def test_a_store_without_attempts_is_served_until_there_is_one(self):
        site = self.site()
        site.trained(10)
        for name in ("attempts", "checkpoints"):
            shutil.rmtree(site.store.path / name)
            (site.store.path / name).mkdir()
        server = self.ui(site.store.path)[1]
        status = server.json()
        self.assertEqual((status["state"], status["attempt"], status["iteration"],
                          status["checkpoint"], status["checkpoints"], status["state_text"]),
                         ("none", None, None, None, 0, "no attempt yet"))
        for path, shape in Shapes().of.items():
            if path != "/api/decision":
                self.assertEqual(differences(shape, server.json(path)), [], path)
        self.assertIsNone(server.json("/api/decision"))
        for path in PATHS:
            if path != "/events":
                self.assertEqual(server.get(path).status, 200, path)
        job, _ = self.serve(site)
        job.until(lambda: server.json()["state"] == "running", "it sees the job")
        self.stop(site, job)

    def test_what_is_no_store_or_no_address_is_a_mistake(self):
        site = self.site()
        self.expect_fails(2, "none", site.folder / "none")
        self.expect_fails(2, "train.yaml", site.write("run: {}\n"))
        site.trained(10)
        for address in ("0.0.0.0:0", "127.0.0.1", "127.0.0.1:99999", "127.0.0.1:-1", "[::1]:0",
                        "127.0.0.1:08", "127.0.0.2:0", "localhost:0", "*:0", "unix:", "8000", "off",
                        "127.0.0.1:80 ", "node7:8000"):
            with self.subTest(address):
                self.expect_fails(2, f"not '{address}'", site.store.path, "--listen", address)

    def test_a_taken_address_is_an_error_that_says_what_to_do(self):
        folder = Path(tempfile.mkdtemp(prefix="lockstep-"))  # a socket's path is short
        self.addCleanup(shutil.rmtree, folder)
        site = self.site()
        site.trained(10)
        server = self.ui(site.store.path)[1]
        self.expect_fails(3, "take another port, or 0", site.store.path, "--listen", server.address)
        server = self.ui(site.store.path, f"unix:{folder}/s")[1]
        self.expect_fails(3, "another server is there", site.store.path, "--listen", server.address)
        (folder / "file").write_text("mine")
        self.expect_fails(3, "something else is there", site.store.path, "--listen",
                          f"unix:{folder}/file")
        self.expect_fails(2, "make the folder first", site.store.path, "--listen", f"unix:{folder}/no/s")
        self.expect_fails(3, "at most 107 bytes", site.store.path, "--listen",
                          f"unix:{folder}/{'s' * 100}")
        self.assertEqual(server.get("/status").status, 200)

    def test_each_signal_ends_it_well_with_clients_there_or_not(self):
        folder = Path(tempfile.mkdtemp(prefix="lockstep-"))
        self.addCleanup(shutil.rmtree, folder)
        site = self.site()
        site.trained(10)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            for busy in (False, True):
                with self.subTest(number.name, busy=busy):
                    process, server = self.ui(site.store.path, "unix:./s", cwd=folder)
                    self.assertEqual(server.address, f"unix:{folder}/s" if server.path[0] == "/"
                                     else "unix:./s")
                    server.path = str(folder / "s")
                    clients = [server.connect() for _ in range(20)] if busy else []
                    for client in clients[::2]:
                        client.sendall(server.request("/events"))
                    began = time.monotonic()
                    process.send_signal(number)
                    self.assertEqual(process.wait(10), 0)
                    self.assertLess(time.monotonic() - began, 3)
                    self.assertEqual(process.stderr.read(), "")
                    self.assertFalse((folder / "s").exists())
                    for client in clients:
                        client.close()

    def test_what_it_prints_leads_there_from_elsewhere(self):
        site = self.site()
        site.trained(10)
        process, server = self.ui(site.store.path)
        self.assertEqual(process.stdout.readline(),
                         f"from elsewhere: ssh -L {server.port}:{server.address} "
                         f"{socket.gethostname()}, then the same address\n")


class Damage(Served):
    def test_damage_is_shown_and_what_is_whole_beside_it(self):
        site = self.site()
        site.trained(40)
        job, server = self.serve(site, attempt=2, restore="1@30", checkpoint={"interval": 50})
        old = self.ui(site.store.path)[1]
        self.assertEqual(old.json()["damaged"], [])
        (site.store.checkpoint(1, 20) / "manifest.json").write_text("{}")
        shard = site.store.shard(1, 10, 1)
        shard.write_bytes(shard.read_bytes()[:-1])
        (site.store.attempt(1) / "decision.json").write_text('{"kind": "<script>"}')
        (site.store.attempt(1) / "outcome.json").write_bytes(b"\xff\xfe\0")
        new = self.ui(site.store.path)[1]  # which has never seen them whole
        lineage = new.json("/api/lineage")
        rows = {(x["attempt"], x["iteration"]): x for x in lineage["checkpoints"]}
        for iteration, why in (20, "manifest"), (10, "shard 1"):
            self.assertEqual((rows[1, iteration]["state"], rows[1, iteration]["eligible"]),
                             ("damaged", False))
            self.assertIn(why, rows[1, iteration]["why"])
        self.assertEqual((rows[1, 30]["state"], rows[1, 30]["why"]), ("good", None))
        damaged = {x["file"]: x["why"] for x in new.json()["damaged"]}
        self.assertIn("attempts/0001/decision.json", damaged)
        self.assertIn("attempts/0001/outcome.json", damaged)
        self.assertTrue(any("decision.json" in x for x in lineage["attempts"][0]["damage"]))
        shapes = Shapes()
        for path in ("/status", "/api/lineage", "/api/curves"):
            self.assertEqual(differences(shapes.of[path], new.json(path)), [], path)
        # Those who saw it whole go on, and the job with them: records of attempts that have ended
        # and sound checkpoints are not read again.
        seen = server.json()["iteration"]
        job.until(lambda: server.json()["iteration"] > seen + 50, "training goes on")
        job.until(lambda: old.json()["state"] == "running", "it sees that it is alive")
        self.assertEqual(server.json()["store_error"], None)
        self.stop(site, job)

    def test_a_store_that_can_not_be_read_is_told_and_the_last_figures_stay(self):
        site = self.site()
        site.trained(20)
        server = self.ui(site.store.path)[1]
        for name in ("attempts", ""):  # the folder, and all of the store: a file system is away
            with self.subTest(name):
                self.assertIsNone(server.json()["store_error"])
                path, away = site.store.path / name, site.folder / "away"
                path.rename(away)
                if name:
                    path.write_text("no folder")
                status = self.once(server, lambda x: x["store_error"] or x["state"] != "finished")
                self.assertEqual((status["state"], status["iteration"]), ("finished", 20))
                self.assertIn(str(path), status["store_error"])
                if name:
                    path.unlink()
                away.rename(path)
                self.once(server, lambda x: x["store_error"] is None and x["state"] == "finished")

    @unittest.skipUnless(shutil.which("strace"), "strace is missing")
    def test_a_store_that_does_not_answer_is_told(self):
        site = self.site()
        site.trained(20)
        # The first look at the store passes, a later one stands still.
        still = ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-P", site.store.path / "attempts",
                 "-e", "inject=openat:delay_enter=25000000:when=3+"]
        server = self.ui(site.store.path, under=still)[1]
        self.assertIsNone(server.json()["store_error"])
        status = self.once(server, lambda x: x["store_error"], seconds=30)
        self.assertRegex(status["store_error"], "has not answered for 1. s")
        self.assertEqual((status["state"], status["iteration"]), ("finished", 20))

    def once(self, server, holds, seconds=10):
        """The first status that is so."""
        end = time.monotonic() + seconds
        while not holds(status := server.json()):
            self.assertLess(time.monotonic(), end, status)
            time.sleep(0.1)
        return status


if __name__ == "__main__":
    main()
