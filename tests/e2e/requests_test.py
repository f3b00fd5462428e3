#!/usr/bin/env -S python3 -B
"""lockstep save, stop and status --wait, beside jobs that are at work and where there is none."""

import re
import signal
import time
from concurrent.futures import ThreadPoolExecutor

from lockstep_faults import Fault
from lockstep_jobs import Live, command
from lockstep_test import JobTest, main

# Sealed as the command does: it would stop the job that takes it.
STOP = '{"digest":"41ad15926202eaabd43f2d5028dc607b","request":"stop","who":"nobody"}\n'


class Requests(JobTest):
    def setUp(self):
        self.place = self.site()

    def at_work(self, attempt=1, ranks=2, to=100000, **sections):
        """A job that saves at its end alone, and has completed an iteration."""
        job = self.place.start(ranks=ranks, run={"max_iterations": to},
                               checkpoint={"interval": 100000},
                               task={"name": "synthetic", "parameters": 20000, "tensors": 6,
                                     "iteration_ms": 10},
                               **sections)
        store = self.place.store
        job.until(lambda: attempt in store.attempts() and store.iteration(attempt) > 0,
                  "the first iteration")
        return job

    def asked(self, code, *words):
        result = command(words[0], self.place.store.path, *words[1:])
        self.expect_exit(result, code)
        return result

    def test_a_save_and_a_stop(self):
        job = self.at_work(ranks=3)
        said = self.asked(0, "save", "--wait").out
        saved = self.place.store.committed()
        self.assertEqual(len(saved), 1, said)
        (attempt, iteration), = saved
        self.assertIn(f"{attempt}@{iteration} is committed", said)
        self.asked(0, "save")  # does not wait
        said = self.asked(0, "stop", "--wait").out
        self.assertIn("stopped, exit code 77", said)
        result = job.wait()
        self.expect_exit(result, 77, "save asked for by", "stop asked for by", "exit 77")
        last = max(self.place.store.committed())
        self.assertGreaterEqual(last[1], iteration)
        outcome = self.place.store.record(1, "outcome")
        self.assertEqual((outcome["outcome"], outcome["exit_code"]), ("stopped", 77))
        self.assertEqual(outcome["last_committed_iteration"], last[1])
        self.assertIn(f"1@{last[1]} is committed", said)
        # Carried on from exactly there.
        self.place.trained(last[1] + 3, restore="latest")

    def test_on_a_terminal_it_is_told_what_is_waited_for(self):
        fault = Fault(self.place.folder / "fault", "hold", 0, "rename:/0001-", times=2)
        job = self.at_work(wrapper=fault.wrapper, watchdog={"heartbeat_seconds": 0.1})
        for word, phase in (("save", r"saving iteration \d+"), ("stop", r"saving iteration \d+")):
            live = Live(word, self.place.store.path, "--wait")
            self.addCleanup(live.close)
            job.until(fault.began, "that it is about to be committed")
            live.until(lambda: re.search(rf"attempt 1 at iteration \d+: {phase}  [1-9] s",
                                         live.said), "what is waited for")
            fault.go()
            self.assertEqual(live.ended(), (0, True), live.said)
            self.assertRegex(live.said, r"\r\x1b\[K1@\d+ is committed\r\n")
        self.expect_exit(job.wait(), 77)

    def test_on_a_terminal_a_heartbeat_that_is_watched_shows(self):
        job = self.at_work(watchdog={"heartbeat_seconds": 2})
        for argv, code in ((("status", self.place.store.path), 0),
                           (("plan", self.place.folder / "train.yaml"), 2),
                           (("prune", self.place.store.path, "--keep-last", "1"), 2)):
            live = Live(*argv)
            self.addCleanup(live.close)
            self.assertEqual(live.ended(), (code, True), live.said)
            self.assertRegex(live.said, r"\r\x1b\[Kwatching [a-z' ]+ heartbeat  [12] s")
        self.asked(0, "stop")
        self.expect_exit(job.wait(), 77)

    def test_a_save_that_began_before_it_was_asked_for_is_not_the_answer(self):
        fault = Fault(self.place.folder / "fault", "hold", 0, "rename:/0001-", times=2)
        job = self.at_work(wrapper=fault.wrapper, watchdog={"heartbeat_seconds": 2})
        self.asked(0, "save")
        with ThreadPoolExecutor() as beside:
            # Looks for the next heartbeat, at which the job begins what was asked for first: by
            # that heartbeat the save has not begun, and in the store it has.
            waiting = beside.submit(self.asked, 0, "save", "--wait")
            job.until(fault.began, "that the first save is about to be committed")
            early = self.partial_iteration()
            job.until(lambda: any(self.requests(1).iterdir()), "that it is asked again")
            fault.go()
            job.until(fault.began, "that the second save is about to be committed")
            for _ in range(2):  # of them the second surely tells of the first save
                last = self.place.store.iteration(1)
                job.until(lambda: self.place.store.iteration(1) > last, "another heartbeat")
            self.assertEqual(self.place.store.heartbeat(1).committed, early)
            self.assertFalse(waiting.done())
            fault.go()
            said = waiting.result().out
        saved = [iteration for _, iteration in sorted(self.place.store.committed())]
        self.assertEqual(saved[0], early)
        self.assertEqual(len(saved), 2, said)
        self.assertIn(f"1@{saved[1]} is committed", said)
        self.asked(0, "stop", "--wait")
        self.expect_exit(job.wait(), 77)

    def partial_iteration(self):
        (partial,) = (self.place.store.path / "checkpoints").glob(".0001-*.partial")
        return int(partial.name.split("-")[1].split(".")[0])

    def test_where_no_job_is_at_work(self):
        self.place.trained(10)
        for words in (("save",), ("stop",), ("save", "--wait"), ("stop", "--wait")):
            result = self.asked(1, *words)
            self.assertEqual(result.out, "")
            self.expect_said(result, "no job is at work", "attempt 1: finished, exit code 0")
        self.assertIn("finished", self.asked(1, "status", "--wait").out)

    def test_a_request_that_a_job_did_not_live_to_take_is_nobodys(self):
        job = self.at_work()
        job.kill_all()
        job.wait()
        self.asked(1, "stop")
        # It was left just before.
        folder = self.requests(1)
        folder.mkdir(exist_ok=True)
        name = "b" * 32
        (folder / name).write_text(STOP)
        other = self.at_work(attempt=2, restore="fresh")
        self.asked(0, "save", "--wait")
        self.assertTrue((folder / name).exists())
        self.assertIsNone(other.process.poll())
        self.asked(0, "stop", "--wait")
        self.expect_exit(other.wait(), 77)

    def requests(self, attempt):
        return self.place.store.attempt(attempt) / "requests"

    def test_what_is_no_request_is_removed_and_said(self):
        job = self.at_work()
        folder = self.requests(1)
        folder.mkdir(exist_ok=True)
        forged = folder / ("a" * 32)
        forged.write_text(STOP.replace("nobody", "no body"))
        job.until(lambda: not forged.exists(), "that the forged request is removed")
        self.asked(0, "save", "--wait")
        self.assertIsNone(job.process.poll())
        self.asked(0, "stop", "--wait")
        self.expect_exit(job.wait(), 77, "1 file in requests/ ignored", "digest")

    def test_a_stop_that_comes_too_late_is_left_untaken(self):
        fault = Fault(self.place.folder / "fault", "hold", 0, "rename:/outcome.json")
        job = self.at_work(wrapper=fault.wrapper, watchdog={"heartbeat_seconds": 0.1})
        job.signal_rank(0, signal.SIGUSR1)
        job.until(fault.began, "that the outcome is about to be written")
        self.asked(0, "stop")
        left = list(self.requests(1).iterdir())
        self.assertEqual(len(left), 1)
        time.sleep(0.5)  # heartbeats go on, and must not take it
        fault.go()
        result = job.wait()
        self.expect_exit(result, 75)
        self.assertNotIn("stop asked for", result.err)
        self.assertEqual(list(self.requests(1).iterdir()), left)

    def test_waiting_for_the_end(self):
        job = self.at_work(to=150)
        result = self.asked(1, "status", "--wait")
        self.assertIn("finished, exit code 0", result.out)
        self.expect_exit(job.wait(), 0)


if __name__ == "__main__":
    main()
