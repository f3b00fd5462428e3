#!/usr/bin/env -S python3 -B
"""A job that knows when it will be ended saves and ends before that, without any signal."""

import json
import re
import signal
import time

from lockstep_jobs import command, configuration, yaml_text
from lockstep_test import JobTest, main, pair

LONG = {"run": {"id": "long", "max_iterations": 10**6}, "task": {"iteration_ms": 20},
        "checkpoint": {"interval": 10**6}}


class Deadline(JobTest):
    def test_the_job_saves_and_ends_with_75_before_it_and_carries_on(self):
        site = self.site()
        # Room for 10 s and a quarter of the whole is kept free.
        end = int(time.time()) + 16
        result = site.run(ranks=2, env={"LOCKSTEP_DEADLINE": end}, **LONG)
        self.assertLess(time.time(), end)
        self.expect_exit(result, 75, "deadline in 1", "(LOCKSTEP_DEADLINE)", "the deadline is near",
                         "is saved", "requeue")
        outcome = site.store.record(1, "outcome")
        last = outcome["last_committed_iteration"]
        self.assertEqual((outcome["outcome"], outcome["exit_code"]), ("preempted", 75))
        self.assertEqual(site.store.of_attempt(1), [last])
        self.assertGreater(outcome["save_seconds"], 0)
        again = {**LONG, "run": {"id": "long", "max_iterations": last + 5}}
        self.expect_exit(site.run(**again), 0)
        self.assertEqual(pair(site.store.record(2, "decision")["parent"]), (1, last))

    def test_slurms_counts_where_the_own_is_not_set_and_status_shows_it(self):
        site = self.site()
        end = int(time.time()) + 3600
        job = site.start(rank_env={"SLURM_JOB_END_TIME": end}, **LONG)
        job.until(lambda: site.store.iteration() >= 1, "the first iteration")
        self.assertEqual(site.store.record(1, "claim")["deadline"], end)
        status = json.loads(command("status", site.store.path, "--json").out)
        self.assertEqual((status["deadline"], status["next_save"]), (end, 10**6))
        job.signal_rank(1, signal.SIGUSR1)
        self.expect_exit(job.wait(), 75, "deadline in 59 min (SLURM_JOB_END_TIME)", "USR1 on rank 1")

    def test_one_that_is_past_is_75_before_anything_is_claimed(self):
        site = self.site()
        at = int(time.time()) - 60
        result = site.run(env={"LOCKSTEP_DEADLINE": at}, **LONG)
        self.expect_exit(result, 75, "LOCKSTEP_DEADLINE was 6", "nothing was claimed", "a later one")
        self.assertEqual(site.store.attempts(), [])
        planned = result.planned
        self.assertEqual([planned[key] for key in ("kind", "exit_code", "deadline", "ends_at_once")],
                         ["fresh", 75, at, True])
        said = command("plan", "train.yaml", cwd=site.folder, LOCKSTEP_DEADLINE=at)
        self.expect_exit(said, 75, "the deadline is past, LOCKSTEP_DEADLINE was 6",
                         "claim nothing", "exit code 75")
        # An error of the decision comes first: a later deadline does not mend it.
        planned = site.plan(env={"LOCKSTEP_DEADLINE": at}, restore="1@7")
        self.assertEqual((planned["kind"], planned["exit_code"]), ("error", 2))
        result = site.run(env={"LOCKSTEP_DEADLINE": at}, **{**LONG, "restore": "1@7"})
        self.expect_exit(result, 2, "attempt 1 does not exist")
        self.assertEqual(site.store.attempts(), [])

    def test_a_run_that_is_finished_needs_no_time(self):
        site = self.site()
        site.trained(10, restore="auto")
        finished = {"run": {"max_iterations": 10}, "restore": "auto"}
        for left in (-60, 5):
            late = {"LOCKSTEP_DEADLINE": int(time.time()) + left}
            # Else a variable that was left over would requeue it for ever.
            result = site.run(env=late, **finished)
            self.expect_exit(result, 0, "nothing to train")
            planned = result.planned
            self.assertEqual([planned[key] for key in ("kind", "exit_code", "ends_at_once")],
                             ["finished", 0, False])
        self.assertEqual(site.store.attempts(), [1])

    def test_one_that_is_too_near_is_75_before_the_first_iteration(self):
        site = self.site()
        near = {"LOCKSTEP_DEADLINE": int(time.time()) + 8}
        # It claims an attempt, other than with one that is past.
        result = site.run(env=near, foreseen=False, **LONG)
        self.expect_exit(result, 75, "before the first iteration: nothing new to save")
        self.assertTrue(result.planned["ends_at_once"])
        said = command("plan", "train.yaml", cwd=site.folder,
                       LOCKSTEP_DEADLINE=int(time.time()) + 8)
        self.expect_exit(said, 75, "a launch now would train nothing and end with 75")
        far = site.plan(env={"LOCKSTEP_DEADLINE": int(time.time()) + 3600}, **LONG)
        self.assertEqual((far["exit_code"], far["ends_at_once"]), (0, False))
        none = site.plan(**LONG)
        self.assertEqual((none["deadline"], none["ends_at_once"]), (None, False))

    def test_what_a_save_took_counts_in_plan_as_in_the_job(self):
        site = self.site()
        site.trained(10)
        # A save of which nothing is known would count as 3 s, and 10 more are kept.
        planned = site.plan(env={"LOCKSTEP_DEADLINE": int(time.time()) + 12}, restore="auto",
                            run={"max_iterations": 20})
        self.assertEqual((planned["kind"], planned["exit_code"], planned["ends_at_once"]),
                         ("restore", 0, False))

    def test_doctor_says_so(self):
        site = self.site()
        site.write(yaml_text(configuration(**LONG)))
        for left, verdict, fact in ((3630, "ok", "in 60 min (LOCKSTEP_DEADLINE)"),
                                    (8, "warning", "would train nothing"),
                                    (-60, "warning", "would claim nothing")):
            said = command("doctor", "train.yaml", cwd=site.folder,
                           LOCKSTEP_DEADLINE=int(time.time()) + left)
            self.expect_exit(said, 0, re.compile(f"^{verdict} +deadline .*{re.escape(fact)}", re.M))
        said = command("doctor", "train.yaml", cwd=site.folder, LOCKSTEP_DEADLINE="18:00")
        self.expect_exit(said, 2, re.compile("^error +deadline .*'18:00', which is no num", re.M))

    def test_one_that_is_no_number_is_2(self):
        site = self.site()
        result = site.run(env={"LOCKSTEP_DEADLINE": "18:00"}, **LONG)
        self.expect_exit(result, 2, "LOCKSTEP_DEADLINE is '18:00', which is no number of seconds")
        self.assertEqual(site.store.attempts(), [])

    def test_none_is_watched_where_the_configuration_says_so(self):
        site = self.site()
        site.trained(10, env={"LOCKSTEP_DEADLINE": 1}, preempt={"deadline": "none"})


if __name__ == "__main__":
    main()
