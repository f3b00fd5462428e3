#!/usr/bin/env -S python3 -B
"""What is decided at a launch: `lockstep plan` says it before, lockstepd does it on all ranks
alike, the record keeps it, and what was not chosen stays as it was."""

import re
import signal
import socket

from lockstep_store import Store, difference, snapshot
from lockstep_test import JobTest, main, pair


class DecisionTest(JobTest):
    def expect_decision(self, site, kind, parent=None, code=0, says=(), rejected=(), ranks=2,
                        wrapper=(), **sections):
        """Launches, and expects the plan, and hence the job, to make this decision. Gives the
        record; how the job ended is in self.result."""
        store, before, had = site.store, snapshot(site.store.path), site.store.attempts()
        result = self.result = site.run(ranks=ranks, wrapper=wrapper, **sections)
        planned = result.planned
        self.assertEqual((planned["kind"], pair(planned["parent"]), planned["exit_code"]),
                         (kind, parent, code), planned)
        self.assertEqual([pair(x) for x in planned["rejected"]], list(rejected), planned)
        self.expect_exit(result, code, *says)
        if kind in ("error", "finished"):
            self.assertEqual(difference(before, snapshot(store.path)), [], "it wrote something")
            return planned
        new = [attempt for attempt in store.attempts() if attempt not in had]
        self.assertEqual(new, [planned["attempt"]])
        record = store.record(new[0], "decision")
        self.assertEqual((planned["request"], planned["error"]),
                         (record["request"], record["error"]))
        after = snapshot(store.path)
        self.assertEqual([name for name in difference(before, after) if name in before], [],
                         "what was there has changed")
        return record

    def stopped(self, site, attempt, **how):
        """Starts a slow job, stops it after its first iteration; gives where it was saved."""
        job = site.start(**how)
        job.until(lambda: site.store.iteration(attempt) > self.start_of(site, attempt),
                  "an iteration")
        job.signal_rank(0, signal.SIGUSR1)
        self.expect_exit(job.wait(), 75)
        return attempt, site.store.record(attempt, "outcome")["last_committed_iteration"]

    @staticmethod
    def start_of(site, attempt):
        decision = site.store.record(attempt, "decision") or {"parent": None}
        return decision["parent"]["iteration"] if decision["parent"] else 0


class FirstStart(DecisionTest):
    def test_without_a_section_and_a_checkpoint_it_starts_fresh(self):
        site = self.site()
        self.expect_decision(site, "fresh", run={"max_iterations": 10})
        self.assertEqual(sorted(site.store.committed()), [(1, 10)])

    def test_latest_of_nothing_is_an_error_that_names_auto_and_makes_nothing(self):
        site = self.site()
        self.expect_decision(site, "error", code=2, says=("auto",), restore="latest")
        self.assertFalse(site.store.path.exists())

    def test_auto_is_fresh_at_first_and_carries_on_later(self):
        site = self.site()
        self.expect_decision(site, "fresh", run={"max_iterations": 10}, restore="auto")
        self.expect_decision(site, "restore", (1, 10), run={"max_iterations": 20}, restore="auto")

    def test_a_missing_parent_folder_of_the_store_is_an_error_and_nothing_is_made(self):
        site = self.site()
        folder = site.folder / "not_there"
        result = site.run(store="./not_there/store")
        self.expect_exit(result, 2, str(folder))
        self.assertFalse(folder.exists())
        self.assertEqual((result.planned["kind"], result.planned["exit_code"]), ("error", 2))

    def test_a_store_may_be_named_through_links_and_with_a_slash_at_its_end(self):
        site = self.site()
        for folder in ("scratch", "elsewhere"):
            (site.folder / folder).mkdir()
        (site.folder / "disk").symlink_to("scratch")
        (site.folder / "store").symlink_to("elsewhere")
        for written, real in (("./disk/new/", "scratch/new"), ("./store", "elsewhere")):
            sections = {"store": written, "restore": "auto", "run": {"max_iterations": 10}}
            site.store = Store(site.folder / real)
            self.expect_decision(site, "fresh", **sections)
            self.assertEqual(sorted(site.store.committed()), [(1, 10)])
            self.assertEqual(site.plan(**sections)["kind"], "finished")
            self.assertEqual(sorted(site.listed()), [(1, 10)])

    def test_a_Slurm_restart_without_the_store_is_no_fresh_start(self):
        site = self.site()
        restart = {"SLURM_JOB_ID": 4242, "SLURM_RESTART_COUNT": 1}
        self.expect_exit(site.run(rank_env=restart, restore="auto"), 3, "mkdir")
        # Nor is it the end of the run, whatever is asked for.
        self.expect_exit(site.run(rank_env=restart, restore="latest"), 3, "mkdir")
        for restore in ("fresh", 1200, "3@1200"):
            self.assertEqual(site.plan(env=restart, restore=restore)["exit_code"], 3, restore)
        self.assertFalse(site.store.path.exists())

    def test_a_bad_configuration_is_an_error_with_its_line_on_all_ranks(self):
        site = self.site()
        bad = "run:\n  max_iterations: 30\ntask:\n  name: synthetic\n  parametres: 10\nstore: ./s\n"
        result = site.run(ranks=3, text=bad)
        self.expect_exit(result, 2)
        self.assertRegex(result.err.splitlines()[0],
                         r"^(lockstepd: )?train\.yaml:5:3: .*parametres.*parameters", result)
        self.assertEqual(result.err.count("parametres"), 1, f"said more than once: {result}")
        self.assertFalse((site.folder / "s").exists())


class StoreWithCheckpoints(DecisionTest):
    @classmethod
    def setUpClass(cls):
        cls.origin = cls.of_class().site("origin")
        cls.origin.trained(30)

    def copied(self):
        return self.origin.copy(self)

    def test_without_a_section_the_user_must_choose(self):
        self.expect_decision(self.copied(), "error", code=2, says=(
            "restore: fresh", "restore: latest", re.compile(r"\b30\b.*\b20\b.*\b10\b")))

    def test_a_missing_iteration_ends_all_ranks_within_10_s_listing_the_nearest_first(self):
        self.expect_decision(self.copied(), "error", code=2, ranks=3, run={"max_iterations": 60},
                             says=(re.compile(r"\b12\b.*\b10\b.*\b20\b.*\b30\b"),),
                             restore={"iteration": 12})
        self.assertLess(self.result.seconds, 10, self.result)

    def test_iteration_0_is_a_number_like_any_other(self):
        planned = self.copied().plan(restore=0)
        self.assertEqual((planned["kind"], planned["exit_code"]), ("error", 2), planned)
        self.assertRegex(planned["error"], r"\b0\b.*\b10\b")

    def test_finished_claims_nothing(self):
        self.expect_decision(self.copied(), "finished", (1, 30), says=("1@30",), restore="latest")

    def test_fresh_says_what_is_there_and_leaves_it(self):
        record = self.expect_decision(self.copied(), "fresh", restore="fresh",
                                      run={"max_iterations": 10})
        self.assertRegex(" ".join(record["reasons"]), "1@30.*untouched")
        self.assertRegex(" ".join(record["reasons"]), "next launch will do this again.*run.id")

    def test_going_back_makes_a_new_attempt_and_leaves_the_old_future(self):
        site = self.copied()
        self.expect_decision(site, "restore", (1, 30), restore="latest", run={"max_iterations": 40})
        # expect_decision sees to it that no byte of what was there changes.
        back = self.expect_decision(site, "restore", (1, 20), restore="latest",
                                    sets=["restore.iteration=20"], run={"max_iterations": 40})
        self.assertEqual(back["attempt"], 3)
        self.assertEqual(site.store.of_attempt(3), [30, 40])

        every = site.listed("--all")
        self.assertEqual({key: entry["state"] for key, entry in every.items()}, {
            (3, 40): "good", (3, 30): "good", (1, 20): "good", (1, 10): "good",
            (2, 40): "abandoned", (1, 30): "abandoned"})
        self.assertFalse(every[2, 40]["eligible"])
        self.assertEqual(sorted(site.listed()), [(1, 10), (1, 20), (3, 30), (3, 40)])

        # The abandoned future can still be had, by its name only.
        self.expect_decision(site, "finished", (3, 40), restore="latest",
                             run={"max_iterations": 40})
        there = site.plan(restore="2@40", run={"max_iterations": 50})
        self.assertEqual(pair(there["parent"]), (2, 40))

    def test_an_iteration_that_only_another_lineage_has_is_named_with_what_to_write(self):
        site = self.copied()
        site.trained(20, restore=10)
        self.expect_decision(site, "error", code=2, says=("restore: 1@30",), restore=30)

    def test_a_damaged_newest_is_predicted_and_passed_over(self):
        site = self.copied()
        shard = site.store.shard(1, 30, 1)
        shard.write_bytes(shard.read_bytes()[:-1])
        record = self.expect_decision(site, "restore", (1, 20), rejected=[(1, 30)],
                                      says=("1@30", "shard 1"), restore="latest",
                                      run={"max_iterations": 25})
        self.assertIn("shard 1", record["rejected"][0]["why"])

    def test_a_damaged_newest_is_not_passed_over_where_too_much_would_be_lost(self):
        site = self.copied()
        site.store.shard(1, 30, 0).unlink()
        self.expect_decision(site, "error", code=2, rejected=[(1, 30)], says=("1@30",),
                             restore={"mode": "latest", "max_lost_iterations": 9})


class Requeue(DecisionTest):
    slow = {"task": {"iteration_ms": 20}}

    def test_of_fresh_carries_on_where_the_run_has_an_id(self):
        site = self.site()
        job = {"run": {"id": "night", "max_iterations": 40}, "restore": "fresh", **self.slow}
        saved = self.stopped(site, 1, **job)
        record = self.expect_decision(site, "restore", saved, **job)
        self.assertIn(f"fresh was applied by attempt 1; carrying on from 1@{saved[1]}",
                      record["reasons"][0])
        self.expect_decision(site, "finished", (2, 40), **job)
        # Another run with the same words is a new effort.
        job["run"] = {"id": "day", "max_iterations": 10}
        self.expect_decision(site, "fresh", **job)

    def test_of_a_named_iteration_carries_on_where_the_run_has_an_id(self):
        site = self.site()
        site.trained(20)
        job = {"run": {"max_iterations": 40}, "restore": 10, "env": {"LOCKSTEP_RUN_ID": "chain"},
               **self.slow}
        saved = self.stopped(site, 2, **job)
        record = self.expect_decision(site, "restore", saved, **job)
        self.assertIn("iteration 10 was applied by attempt 2", record["reasons"][0])

    def killed_before_a_commit(self, site, attempt, holds, what, **how):
        job = site.start(checkpoint={"interval": 10**6}, **how)
        job.until(lambda: attempt in site.store.attempts() and holds(), what)
        job.kill_all()

    def test_of_a_run_that_committed_nothing_makes_the_same_start_again(self):
        site = self.site()
        site.trained(20)
        job = {"run": {"id": "night", "max_iterations": 40}, "restore": "latest", **self.slow}
        self.killed_before_a_commit(site, 2, lambda: site.store.iteration(2) > 20, "an iteration",
                                    **job)
        site.trained(30, restore="latest")
        # Newest is 3@30 now, but that is another run's.
        record = self.expect_decision(site, "restore", (1, 20), **job)
        self.assertRegex(record["reasons"][0], "latest was applied by attempt 2 and nothing was "
                                               "committed since")

    def test_that_crashed_three_times_before_an_iteration_is_a_crash_loop(self):
        site = self.site()
        site.trained(20)
        job = {"run": {"id": "night", "max_iterations": 40}, "restore": "latest",
               "task": {"iteration_ms": 60_000}}
        for attempt in (2, 3, 4):
            self.killed_before_a_commit(
                site, attempt, lambda: site.store.record(attempt, "decision"), "the decision",
                **job)
        job["checkpoint"] = {"interval": 10**6}  # as the killed ones had it
        self.expect_decision(site, "error", code=2, says=(
            "crash loop: attempts 2, 3, 4", socket.gethostname(), "restore: 1@20"), **job)
        job["run"] = {"id": "night", "max_iterations": 41}  # a changed configuration lifts it
        self.assertEqual(pair(site.plan(**job)["parent"]), (1, 20))



if __name__ == "__main__":
    main()
