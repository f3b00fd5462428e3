#!/usr/bin/env -S python3 -B
"""The commands that look at a store: what they say, their exit codes, and what they leave alone."""

import json
import os
import re
import shutil
import subprocess
import unittest
from pathlib import Path

from lockstep_jobs import (BIN, ROOT, command, configuration, environment, on_terminal,
                           yaml_text)
from lockstep_store import difference, read_plain, snapshot
from lockstep_test import BranchedStore, main


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 0x10
    path.write_bytes(data)


class Commands(BranchedStore):
    def copied(self):
        return self.origin.copy(self).store

    # ---- ls ----------------------------------------------------------------------------------
    def test_ls_draws_the_newest_lineage_and_with_all_the_forks(self):
        first = [line.split("  ")[0] for line in self.said(0, "ls", self.store.path).splitlines()]
        self.assertEqual(first[1:6], ["* 3@50", "* 2@40", "* 2@30", "* 1@20", "* 1@10"])
        out = self.said(0, "ls", self.store.path, "--all")
        drawn = [line.split("  ")[0] for line in out.splitlines()]
        self.assertEqual(drawn[1:8], ["* 3@50", "* 2@40", "* 2@30", "| o 1@30", "|/", "* 1@20",
                                      "* 1@10"])
        self.expect_words(out, r"3 .*2@40 +finished", "1@30 .*abandoned",
                          "abandoned lineages: 1 checkpoint, [1-9]")

    def test_ls_json_has_every_field(self):
        whole = self.json_of(0, "ls", self.store.path, "--all")
        self.assertEqual([(x["attempt"], x["parent"], x["outcome"]) for x in whole["attempts"]],
                         [(1, None, "finished"), (2, {"attempt": 1, "iteration": 20}, "finished"),
                          (3, {"attempt": 2, "iteration": 40}, "finished")])
        states = {(x["attempt"], x["iteration"]): (x["state"], x["eligible"], x["world_size"])
                  for x in whole["checkpoints"]}
        self.assertEqual(states, {(3, 50): ("good", True, 1), (2, 40): ("good", True, 3),
                                  (2, 30): ("good", True, 3), (1, 30): ("abandoned", False, 2),
                                  (1, 20): ("good", True, 2), (1, 10): ("good", True, 2)})
        for x in whole["checkpoints"]:
            self.assertEqual(set(x), {"attempt", "iteration", "state", "eligible", "bytes",
                                      "world_size", "created", "metrics", "best", "pinned",
                                      "why"})
            folder = self.store.checkpoint(x["attempt"], x["iteration"])
            self.assertEqual(x["bytes"], sum(p.stat().st_size for p in folder.iterdir()))

    def test_ls_prints_a_line_for_each_checkpoint_as_a_format_says(self):
        out = self.said(0, "ls", self.store.path, "--format", r"{attempt}@{iteration}\t{bytes} {why}")
        self.assertEqual([line.split("\t")[0] for line in out.splitlines()],
                         ["3@50", "2@40", "2@30", "1@20", "1@10"])
        listed = self.json_of(0, "ls", self.store.path, "--all")["checkpoints"]
        out = self.said(0, "ls", self.store.path, "--all", "--format",
                        "{attempt} {iteration} {state} {metrics}")
        self.assertEqual(out, "".join("{attempt} {iteration} {state} {0}\n".format(
            json.dumps(x["metrics"], separators=(",", ":")), **x) for x in listed))
        self.expect_words(self.said(2, "ls", self.store.path, "--format", "{stat}"),
                          "mean {state}", "attempt, iteration, state, .* and why")
        self.said(2, "ls", self.store.path, "--json", "--format", "{state}")
        self.said(2, "ls", self.store.path, "--json", "--format", "")
        self.expect_words(self.said(2, "ls", self.store.path, "--format", ""),
                          r"--format: it is empty\nwrite fields in braces, as in '{attempt}'")

    def test_colour_and_unicode_are_for_terminals_alone(self):
        rich = on_terminal("ls", self.store.path, "--all", LANG="C.UTF-8", LC_ALL="")
        self.assertIn("\x1b[32mgood", rich)
        self.assertIn("├─╯", rich)
        plain = on_terminal("ls", self.store.path, "--all", LANG="C.UTF-8", LC_ALL="", NO_COLOR="1")
        self.assertNotIn("\x1b", plain)
        ascii_only = on_terminal("ls", self.store.path, "--all", "--ascii", LANG="C.UTF-8")
        self.assertTrue(ascii_only.isascii())
        self.assertTrue(on_terminal("ls", self.store.path, "--all", LC_ALL="C").isascii())
        self.assertNotIn("\x1b", self.said(0, "ls", self.store.path, "--all", LANG="C.UTF-8"))

    def test_no_line_of_a_table_is_wider_than_the_terminal(self):
        store = self.copied()
        flip(store.shard(3, 50, 0), 0)  # whose reason is long
        for argv in (["ls", "--all"], ["ls", "--all", "--ascii"], ["show", "3@50", "--tensors"],
                     ["status"], ["verify"]):
            for columns in (40, 60, 79):
                said = on_terminal(argv[0], store.path, *argv[1:], columns=columns, NO_COLOR="1",
                                   LC_ALL="C.UTF-8")
                table = said.replace("\r", "").split("\n\n")[0]
                if argv[0] == "verify":  # the last line is none of the table's
                    table = table.rstrip().rpartition("\n")[0]
                self.assertTrue("3@50" in table or columns == 40, said)
                self.assertLessEqual(max(map(len, table.split("\n"))), columns, said)
        wide = on_terminal("ls", store.path, NO_COLOR="1", columns=60, LC_ALL="C.UTF-8")
        self.assertIn("…", wide)
        self.assertIn("...", on_terminal("ls", store.path, "--ascii", columns=60))
        self.assertNotIn("...", self.said(0, "ls", store.path), "a pipe has no end")

    def test_ls_and_status_tell_a_running_attempt_from_a_crashed_one(self):
        site = self.origin.copy(self)
        job = site.start(restore="latest", run={"max_iterations": 10**6}, task={"iteration_ms": 5})
        job.until(lambda: site.store.iteration(4) > 60, "iteration 60 of attempt 4")
        self.expect_words(self.said(0, "ls", site.store.path), r"4 .*3@50 +running\n")
        status = self.json_of(0, "status", site.store.path)
        self.assertEqual((status["attempt"], status["alive"], status["outcome"]), (4, True, None))
        self.assertGreaterEqual(status["iteration"], 60)
        job.kill_all()
        self.expect_words(self.said(0, "ls", site.store.path), r"4 .*3@50 +crashed\n")
        self.expect_words(self.said(1, "status", site.store.path), "crashed")
        self.assertFalse(self.json_of(1, "status", site.store.path)["alive"])

    def test_plan_says_what_a_crash_cost(self):
        site = self.origin.copy(self)
        job = site.start(restore="latest", run={"id": "crash", "max_iterations": 10**6},
                         task={"iteration_ms": 5}, checkpoint={"interval": 10**6})
        job.until(lambda: site.store.iteration(4) > 60, "iteration 60 of attempt 4")
        job.kill_all()
        self.expect_words(self.said(0, "plan", "train.yaml", cwd=site.folder),
                          r"attempt 4 had come to iteration (\d+): what it trained after 3@50 is "
                          r"trained again, \d+ iterations")

    # ---- status ------------------------------------------------------------------------------
    def test_status_of_a_store_without_a_job_shows_the_last_outcome(self):
        out = self.said(1, "status", self.store.path)
        self.expect_words(out, r"state +finished, exit code 0", r"iteration +50",
                          r"last committed +3@50", r"newest checkpoint +3@50.*good",
                          r"abandoned +1 checkpoint, [1-9]", r"free space +[1-9]")
        status = self.json_of(1, "status", self.store.path)
        self.assertEqual(status["checkpoint"]["iteration"], 50)
        self.assertGreater(status["free_bytes"], 0)
        self.assertEqual(status["abandoned_bytes"], sum(
            p.stat().st_size for p in self.store.checkpoint(1, 30).iterdir()))

    # ---- show --------------------------------------------------------------------------------
    def test_show_takes_latest_an_iteration_or_a_checkpoint(self):
        for word, wanted in (("latest", (3, 50)), ("30", (2, 30)), ("1@30", (1, 30))):
            shown = self.json_of(0, "show", self.store.path, word)
            self.assertEqual((shown["attempt"], shown["iteration"]), wanted, word)
            self.assertEqual(shown, self.store.manifest(*wanted))
        self.assertIn("keep_best", self.said(2, "show", self.store.path, "best"))
        for word in ("31", "7@30", "latest@", "-1", "0x1"):
            self.said(2, "show", self.store.path, word)

    # ---- verify ------------------------------------------------------------------------------
    def test_verify_reads_every_byte_and_names_what_is_damaged(self):
        self.expect_words(self.said(0, "verify", self.store.path),
                          r"6 of 6 checkpoints sound; .* GB/s")
        self.said(0, "verify", self.store.path, "latest")
        self.assertIn("1@20", self.said(2, "verify", self.store.path, "9@9"))
        store = self.copied()
        flip(store.shard(2, 30, 1), -1)  # no header shows it
        self.said(0, "verify", store.path, "1@20")
        self.expect_words(self.said(1, "verify", store.path, "2@30"),
                          "2@30 +damaged.*shard 1: checksum of block 0")
        flip(store.attempt(1) / "outcome.json", 5)
        out = self.said(1, "verify", store.path)
        self.expect_words(out, "2@30 +damaged", "attempts/0001/outcome.json +damaged",
                          "5 of 6 checkpoints sound")
        report = self.json_of(1, "verify", store.path)
        self.assertEqual([(x["attempt"], x["iteration"]) for x in report["checkpoints"]
                          if x["state"] == "damaged"], [(2, 30)])
        self.assertEqual(report["records"][0]["file"], "attempts/0001/outcome.json")
        self.assertEqual(report["bytes"] > 0, True)
        self.expect_words(self.said(0, "ls", store.path, "--all"), "attempts/0001/outcome.json")
        self.expect_words(self.said(1, "status", store.path), "attempts/0001/outcome.json")

    @unittest.skipUnless(shutil.which("strace"), "strace is missing")
    def test_what_cant_be_read_now_is_no_damage(self):
        shard = self.store.shard(2, 30, 1)
        done = subprocess.run(
            ["strace", "-f", "-o", "/dev/null", "-P", shard, "-e", "inject=openat:error=EIO",
             BIN / "lockstep", "verify", self.store.path], capture_output=True, text=True,
            env=environment(), timeout=60)
        self.assertEqual(done.returncode, 3, done)
        self.expect_words(done.stdout, "2@30 +unreadable.*Input/output error", "5 of 6")

    @unittest.skipUnless(shutil.which("strace"), "strace is missing")
    def test_what_takes_longer_than_a_second_shows_how_far_it_is(self):
        places = [word for path in (self.store.path / "checkpoints").glob("*/*")
                  for word in ("-P", path)]
        slow = ["strace", "-f", "-o", "/dev/null", *places, "-e", "trace=openat", "-e",
                "inject=openat:delay_enter=250000", BIN / "lockstep"]
        for argv in (["ls", self.store.path, "--all"], ["verify", self.store.path],
                     ["prune", self.store.path, "--keep-last", "1", "--dry-run"]):
            shown = on_terminal(*slow, *argv, typed="\n", columns=80)
            self.expect_words(shown, r"(opening files|verifying)  \[#*-*\] +\d+ %  .* of .*/s.* left")
            self.assertIn("\r\x1b[K", shown)
            for line in re.split(r"[\r\n]", shown):
                self.assertLessEqual(len(line.removeprefix("\x1b[K")), 80, line)
        piped = subprocess.run([*slow, "ls", self.store.path], capture_output=True, text=True,
                               env=environment(), timeout=60)
        self.assertEqual((piped.returncode, piped.stderr), (0, ""))

    @unittest.skipUnless(shutil.which("strace"), "strace is missing")
    def test_a_scan_that_takes_longer_than_a_second_shows_how_far_it_is(self):
        places = [word for path in (self.store.path / "attempts").glob("*/*")
                  for word in ("-P", path)]
        slow = ["strace", "-f", "-o", "/dev/null", *places, "-e", "trace=openat", "-e",
                "inject=openat:delay_enter=200000", BIN / "lockstep"]
        config = self.origin.write(yaml_text(configuration(store=str(self.store.path),
                                                           restore="latest")))
        wanted = r"reading attempts  \[#*-*\] +\d+ %  [23] of 3  [\d.]+/s  .* left"
        for argv in (["ls", self.store.path], ["verify", self.store.path, "1@20"],
                     ["status", self.store.path], ["plan", config],
                     ["prune", self.store.path, "--keep-last", "1", "--dry-run"]):
            shown = on_terminal(*slow, *argv, typed="\n", columns=100)
            self.expect_words(shown, wanted)
            self.assertLess(shown.rindex("reading attempts"), shown.rindex("\r\x1b[K"))
        piped = subprocess.run([*slow, "ls", self.store.path], capture_output=True, text=True,
                               env=environment(), timeout=60)
        self.assertEqual((piped.returncode, piped.stderr), (0, ""))

    # ---- diff --------------------------------------------------------------------------------
    def test_diff_compares_states_and_lists_the_configuration(self):
        self.said(0, "diff", self.store.path, "3@50", "latest", "--strict")
        out = self.said(1, "diff", self.store.path, "2@30", "1@30")
        self.expect_words(out, "another state", "model.*[1-9]")
        self.assertIn("restore.attempt", out)
        out = self.said(1, "diff", self.store.path, "1@10", "1@20")
        self.expect_words(out, r"iteration +10 +20", r"data position +120 +240")
        self.assertIn("1@20", self.said(2, "diff", self.store.path, "1@20", "8@8"))
        # The same state with another configuration: trained again from the start.
        site = self.site()
        site.trained(10, restore="fresh")
        site.trained(10, restore="fresh", checkpoint={"keep_last": 7})
        out = self.said(0, "diff", site.store.path, "1@10", "2@10")
        self.expect_words(out, "the same state", r"checkpoint.keep_last +1000 +7")
        self.said(1, "diff", site.store.path, "1@10", "2@10", "--strict")
        flip(site.store.shard(2, 10, 0), -1)
        self.assertIn("2@10: shard 0", self.said(2, "diff", site.store.path, "1@10", "2@10"))

    # ---- export ------------------------------------------------------------------------------
    def test_export_writes_whole_tensors(self):
        out = self.site().folder / "state.safetensors"
        self.said(0, "export", self.store.path, "2@40", out)
        tensors, metadata = read_plain(out)
        self.expect_same_tensors(tensors, self.store.tensors(2, 40))
        identity = json.loads((self.store.path / "store.json").read_text())["id"]
        self.assertEqual(metadata, {"format": "pt", "lockstep.checkpoint": "2@40",
                                    "lockstep.store": identity, "lockstep.scope": "full"})
        self.said(0, "export", self.store.path, "2@40", "m.safetensors", "--scope", "model",
                  cwd=out.parent)
        model, metadata = read_plain(out.parent / "m.safetensors")
        self.assertEqual(metadata["lockstep.scope"], "model")
        self.expect_same_tensors(model, tensors, lambda n: n.startswith(("model.", "buffer.")))
        self.assertFalse(any(name.startswith("optimizer.") for name in model))

    def test_export_writes_over_nothing_and_leaves_no_half_file(self):
        folder = self.site("out").folder
        out = folder / "out"
        out.write_text("mine")
        self.assertIn("--force", self.said(2, "export", self.store.path, "latest", out))
        self.assertEqual(out.read_text(), "mine")
        os.mkfifo(folder / "pipe")
        (folder / "link").symlink_to("out")
        for other in ("pipe", "link"):
            for flags in ([], ["--force"]):
                said = self.said(2, "export", self.store.path, "latest", folder / other, *flags)
                self.assertIn("is no plain file, and stays", said)
                self.assertNotIn("--force", said)
        self.assertTrue((folder / "pipe").is_fifo() and (folder / "link").is_symlink())
        limited = subprocess.run(
            ["bash", "-c", f'ulimit -f 1; exec "{BIN}/lockstep" export "{self.store.path}" latest '
                           f'"{folder}/limited"'], capture_output=True, text=True)
        self.assertEqual(limited.returncode, 3, limited)
        self.assertIn("File too large", limited.stderr)
        self.assertEqual({path.name for path in folder.iterdir()} - {"pipe", "link"}, {"out"})
        self.said(0, "export", self.store.path, "latest", out, "--force")
        self.assertGreater(out.stat().st_size, 1000)
        before = snapshot(folder)
        store = self.copied()
        flip(store.shard(3, 50, 0), -1)
        for wrong in ((store.path, "latest", out, "--force"),
                      (store.path, "latest", folder / "new"),
                      (self.store.path, "latest", folder),
                      (self.store.path, "latest", folder / "a/b"),
                      (self.store.path, "latest", self.store.path / "x"),
                      (self.store.path, "latest", self.store.checkpoint(3, 50) / "x"),
                      (self.store.path, "7@7", folder / "new"),
                      (self.store.path, "latest", folder / "new", "--scope", "all")):
            self.said(2, "export", *wrong)
        self.assertEqual(difference(before, snapshot(folder)), [])

    # ---- pin ---------------------------------------------------------------------------------
    def test_a_pinned_checkpoint_outlives_retention(self):
        site = self.origin.copy(self)
        self.expect_words(self.said(0, "pin", site.store.path, "1@10"), "1@10 is pinned now")
        self.expect_words(self.said(0, "pin", site.store.path, "1@10"), "pinned already")
        self.expect_words(self.said(0, "ls", site.store.path), r"1@10 .*good.*, pinned\n")
        site.trained(70, restore="latest", checkpoint={"keep_last": 1})
        self.assertIn((1, 10), site.store.committed())
        self.assertNotIn((1, 20), site.store.committed())
        self.expect_words(self.said(0, "unpin", site.store.path, "1@10"), "no longer pinned")
        self.expect_words(self.said(0, "unpin", site.store.path, "1@10"), "was not pinned")
        for name in ("pin", "unpin"):
            self.assertIn("4@70", self.said(2, name, site.store.path, "1@20"))
        site.trained(80, restore="latest", checkpoint={"keep_last": 1})
        self.assertNotIn((1, 10), site.store.committed())

    # ---- all of them -------------------------------------------------------------------------
    def test_reading_commands_write_nothing(self):
        before = snapshot(self.store.path)
        for argv in (["ls", "--all"], ["ls", "--json"], ["show", "latest"], ["verify"],
                     ["diff", "10", "20"], ["status"], ["unpin", "1@10"]):
            command(argv[0], self.store.path, *argv[1:])
        command("completion", "checkpoints", self.store.path)
        self.assertEqual(difference(before, snapshot(self.store.path)), [])

    def test_a_store_whose_path_is_not_utf8_can_be_read_and_not_trained_on(self):
        site = self.origin.copy(self)
        odd = os.fsdecode(os.fsencode(site.folder) + b"/st\xfere")
        site.store.path.rename(odd)
        foreign = Path(os.fsdecode(os.fsencode(f"{odd}/checkpoints/") + b"x\xff"))
        foreign.mkdir()
        for code, *argv in ((0, "ls", odd, "--all"), (1, "status", odd), (0, "verify", odd),
                            (0, "prune", odd, "--keep-last", "1", "--dry-run")):
            self.json_of(code, *argv)
        foreign.rmdir()
        site.store.path.symlink_to(odd)
        self.assertEqual(len(self.json_of(0, "ls", site.store.path, "--all")["checkpoints"]), 6)
        wanted = r"where links lead: store: the path /.*/st\\xfere is not UTF-8"
        site.write(yaml_text(configuration(restore="latest")))
        for name in ("plan", "doctor"):
            said = self.said(2, name, "train.yaml", "--json", cwd=site.folder)
            self.expect_words(said, wanted)
            self.assertEqual(len(said.splitlines()), 1, said)
        result = site.run(ranks=3, restore="latest")
        self.expect_exit(result, 2, re.compile(wanted))
        self.assertNotIn("json", result.err.lower())

    def test_json_has_the_fields_that_are_documented(self):
        documented, name = {}, None
        for line in (ROOT / "deploy" / "CLI.md").read_text().splitlines():
            if heading := re.fullmatch(r"### lockstep (\w+) --json", line):
                name = heading[1]
                documented[name] = set()
            elif name and line.startswith("| `"):
                documented[name] |= set(re.findall(r"`([\w.\[\]]+)`", line.split(" | ")[0]))
            elif line.startswith("## "):
                name = None
        whole = {"request", "checkpoints[].metrics", "attempts[].parent", "parent"}

        def fields(value, at=""):
            if isinstance(value, dict) and at not in whole:
                named = {f"{at}.{key}" if at else key: item for key, item in value.items()}
                return set(named).union(*(fields(item, key) for key, item in named.items()))
            if isinstance(value, list):
                return set().union(*(fields(item, at + "[]") for item in value)) - {at + "[]"}
            return set()

        store = self.copied()
        flip(store.attempt(1) / "outcome.json", 5)
        flip(store.shard(3, 50, 0), 0)
        config = self.origin.write(yaml_text(configuration(store=str(store.path),
                                                           restore="latest")))
        for code, *argv in ((0, "ls", store.path, "--all"), (1, "verify", store.path),
                            (1, "status", store.path), (0, "plan", config), (0, "doctor", config),
                            (0, "prune", store.path, "--keep-last", "1", "--dry-run")):
            found = fields(self.json_of(code, *argv))
            self.assertEqual(found, documented[argv[0]], argv[0])

    def test_every_mistake_has_a_cause_and_an_advice(self):
        store, folder = self.store.path, self.site().folder
        wrong = folder / "wrong.yaml"
        wrong.write_text("run: {max_iterations: 3}\nsteps: 3\n")
        for argv in (["ls", folder], ["ls", store / "checkpoints"], ["ls", store, "--format", "{"],
                     ["ls", "/dev/null"], ["ls", store, "more"], ["show", store, "31"],
                     ["show", store, "best"], ["show", store, "x"], ["show", store, "8@8"],
                     ["verify", store, "8@8"], ["diff", store, "10"], ["pin", store, "8@8"],
                     ["export", store, "latest", folder / "no/x"], ["export", store, "10", folder],
                     ["prune", store], ["prune", store, "--keep-last", "0"],
                     ["prune", store, "--keep-best", "loss"], ["status", folder], ["top", folder],
                     ["save", folder], ["stop", folder], ["plan", folder / "no.yaml"],
                     ["doctor", folder / "no.yaml"], ["rehearse", wrong],
                     ["rehearse", wrong, "--launch", "a | b"], ["completion", "zsh"], ["lss"], []):
            said = self.said(2, *argv).splitlines()
            self.assertEqual(len(said), 2, said)
            self.assertGreater(min(map(len, said)), 10, said)
        self.expect_words(self.said(2, "plan", wrong), r"wrong.yaml:2:1: .*; .*\n$")

    def test_mistakes_are_named_with_the_nearest_word(self):
        self.assertIn("'verify'", self.said(2, "verfy", self.store.path))
        self.assertIn("'--json'", self.said(2, "ls", self.store.path, "--jsn"))
        self.said(2)
        for name in ("ls", "verify", "status", "show", "diff", "export", "pin", "unpin"):
            self.said(2, name)
            extra = {"show": ["1"], "diff": ["1", "2"], "export": ["1", "x"], "pin": ["1@1"],
                     "unpin": ["1@1"]}.get(name, [])
            self.said(2, name, self.scratch / "absent", *extra)
            self.assertIn("exit codes:", self.said(0, name, "--help"))
        self.assertFalse((self.scratch / "absent").exists())


if __name__ == "__main__":
    main()
