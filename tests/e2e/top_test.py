#!/usr/bin/env -S python3 -B
"""lockstep top: live on a terminal of its own, and printed once where there is none."""

import os
import re
import signal
import time

from lockstep_jobs import Live, on_terminal, set_size
from lockstep_test import BranchedStore, main


class Top(BranchedStore):
    ENTER, LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"

    def live(self, *argv, **how):
        live = Live("top", *argv, **how)
        self.addCleanup(live.close)
        return live

    def test_top_is_printed_once_where_there_is_no_terminal(self):
        out = self.said(1, "top", self.store.path)
        self.expect_words(out, r"state +finished, exit code 0", r"attempt +3 of run run-",
                          r"started +from 2@40", r"iteration +50 of 50  100 %  \[#+\]",
                          r"loss +\d", r"time +\w+ \d+ %", r"committed +3@50, \d+ s ago, ",
                          r"free space +\d", r"abandoned +1 checkpoint, ", r"ago +3@50 committed",
                          r"ago +attempt 3 ends: finished, exit code 0",
                          r"ago +attempt 3 of run \S+ begins on ")
        self.assertTrue(out.isascii())
        self.assertNotIn("\x1b", out)
        self.said(2, "top", self.scratch / "absent")
        dumb = on_terminal("top", self.store.path, TERM="dumb")
        self.assertEqual((dumb.count("state"), "\x1b" in dumb), (1, False))

    def test_top_shows_a_job_go_on_until_q_is_typed(self):
        site = self.origin.copy(self)
        job = site.start(restore="latest", run={"max_iterations": 10**6}, task={"iteration_ms": 5},
                         metrics={"interval": 5}, checkpoint={"interval": 50})
        job.until(lambda: site.store.iteration(4) > 60, "iteration 60 of attempt 4")
        live = self.live(site.store.path, LC_ALL="C.UTF-8")

        def seen():
            return sorted(set(map(int, re.findall(r"iteration\S* +(\d+) of 1000000", live.said))))

        live.until(lambda: len(seen()) >= 3, "three iterations")
        self.assertGreater(seen()[-1], seen()[0])
        self.assertTrue(live.said.startswith(self.ENTER))
        live.until(lambda: "running" in live.said, "the job's state")
        self.expect_words(live.said, "░", "[▁▂▃▄▅▆▇█]{3}", r"iterations/s, .* left",
                          r"next save\S* +iteration \d+, in ", "4@\\d+ committed")
        live.said = ""
        set_size(live.ours, 40, 12)
        live.until(lambda: live.said.count("\x1b[1;1H") >= 2, "two more pictures")
        for picture in live.said.split("\x1b[1;1H")[1:-1]:
            lines = [re.sub(r"\x1b\[[\d;]*\w", "", line)
                     for line in re.split(r"\x1b\[\d+;1H", picture)]
            self.assertLessEqual(max(map(len, lines)), 40, picture)
            self.assertLessEqual(len(lines), 12, picture)
        live.type("xq")
        self.assertEqual(live.ended(), (0, True))
        self.assertTrue(live.said.endswith(self.LEAVE), live.said[-200:])
        job.kill_all()
        self.expect_words(self.said(1, "top", site.store.path), r"state +crashed")

    def test_top_and_status_tell_from_files_that_a_job_stands_still(self):
        site = self.origin.copy(self)
        job = site.start(ranks=2, restore="latest", run={"max_iterations": 10**6},
                         task={"iteration_ms": 2}, watchdog={"heartbeat_seconds": 0.1})
        job.until(lambda: site.store.iteration(4) > 60, "iteration 60 of attempt 4")
        self.assertNotIn("still?", self.said(0, "status", site.store.path))
        self.assertIsNone(self.json_of(0, "status", site.store.path)["still_seconds"])
        os.kill(job.pids(1)[0], signal.SIGSTOP)
        looks = []  # until rank 0 waits for that one, and heartbeats have said so
        job.until(lambda: looks.append(site.store.iteration(4)) or looks[-1:] * 60 == looks[-60:],
                  "that it stands still")
        metrics = site.store.attempt(4) / "metrics.jsonl"
        for file, ago in ((metrics, 100), (site.store.attempt(4) / "claim.json", 110)):
            os.utime(file, times=(time.time() - ago,) * 2)
        self.expect_words(self.said(0, "status", site.store.path), r"state +running",
                          r"stands still\? +no metrics for 1\d\d s: is it saving or evaluating, or ")
        self.assertGreaterEqual(self.json_of(0, "status", site.store.path)["still_seconds"], 100)
        self.expect_words(self.said(0, "top", site.store.path),
                          r"rate +no new iteration for 1\d\d s")
        job.kill_all()
        self.assertIsNone(self.json_of(1, "status", site.store.path)["still_seconds"])

    def test_top_gives_the_terminal_back_however_it_ends(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT,
                       signal.SIGABRT):
            live = self.live(self.store.path)
            live.until(lambda live=live: "state" in live.said, "a picture")
            live.process.send_signal(number)
            self.assertEqual(live.ended(), (-number, True))
            self.assertTrue(live.said.endswith(self.LEAVE), live.said[-200:])
        live = self.live(self.store.path)
        live.until(lambda: "state" in live.said, "a picture")
        live.type("\x03")
        self.assertEqual(live.ended(), (-signal.SIGINT, True))
        live = self.live(self.store.path)
        live.until(lambda: "state" in live.said, "a picture")
        live.process.send_signal(signal.SIGTSTP)  # which does not stop it: it has no shell
        live.until(lambda: self.LEAVE in live.said, "the terminal as it was")
        live.until(lambda: self.ENTER in live.said.split(self.LEAVE)[-1], "the picture again")
        live.type("q")
        self.assertEqual(live.ended(), (1, True))

    def test_top_goes_on_watching_a_store_without_a_job(self):
        site = self.origin.copy(self)
        live = self.live(site.store.path)
        live.until(lambda: "finished, exit code 0" in live.said, "the last outcome")
        site.trained(60, restore="latest")
        live.until(lambda: "4@60 committed" in live.said, "what the next job has done")
        moved = site.store.path.rename(site.folder / "moved")
        live.until(lambda: "is gone; was it moved?" in live.said, "that the store is gone")
        moved.rename(site.store.path)
        live.said = ""
        live.until(lambda: live.said.count("\x1b[1;1H") >= 3 and "is gone" not in
                   live.said.split("\x1b[1;1H")[-2], "that it is back")
        live.type("q")
        self.assertEqual(live.ended(), (1, True))


if __name__ == "__main__":
    main()
