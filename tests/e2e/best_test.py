#!/usr/bin/env -S python3 -B
"""`restore: best`, where the best checkpoint is not the newest: it is loaded on all ranks, `show`
and `ls` name the same one, a requeue carries on from its own work, and another branch's best is not
for the taking."""

import json
import signal

from lockstep_jobs import command
from lockstep_test import JobTest, main, pair

BEST = {"checkpoint": {"interval": 10, "keep_best": {"metric": "loss", "mode": "min"}},
        "evaluate": {"interval": 10}}
WILD = {"optimizer": {"learning_rate": 1.0}}  # the loss rises
SLOW = {"task": {"iteration_ms": 20}}


class Best(JobTest):
    @classmethod
    def setUpClass(cls):
        """1: 10 20, each better than the one before; 2 from 1@20: 30 40, each worse than both."""
        test = cls.of_class()
        cls.origin = test.site("origin")
        cls.origin.trained(20, **BEST)
        cls.origin.trained(40, restore="latest", **BEST, **WILD)
        loss = {key: cls.loss(cls.origin, *key) for key in cls.origin.store.committed()}
        test.assertEqual(sorted(loss, key=loss.get)[:2], [(1, 20), (1, 10)], loss)

    @staticmethod
    def loss(site, attempt, iteration):
        return site.store.manifest(attempt, iteration)["metrics"]["loss"]

    def copied(self, name="site"):
        return self.origin.copy(self, name)

    def expect_shown(self, site, wanted):
        """`lockstep show STORE best` and the mark of `lockstep ls` are this one, and `{best}` too."""
        shown = command("show", site.store.path, "best", "--json")
        self.assertEqual(shown.code, 0, shown)
        self.assertEqual(json.loads(shown.out), site.store.manifest(*wanted))
        listed = command("ls", site.store.path, "--all")
        marked = [line for line in listed.out.splitlines() if line.endswith(", best")]
        self.assertEqual(len(marked), 1, listed)
        self.assertIn(f" {wanted[0]}@{wanted[1]} ", marked[0])
        lines = command("ls", site.store.path, "--format", "{attempt}@{iteration} {best}").out
        self.assertEqual([line for line in lines.splitlines() if not line.endswith(" false")],
                         [f"{wanted[0]}@{wanted[1]} true"], lines)

    def expect_restored(self, site, parent, to=50, rejected=(), **how):
        """Trains from `best` to `to`; gives the number of the attempt."""
        result = site.trained(to, **{"restore": "best", **BEST, **how})
        self.expect_said(result, f"restore {parent[0]}@{parent[1]}")
        attempt = site.store.attempts()[-1]
        record = site.store.record(attempt, "decision")
        self.assertEqual((record["kind"], pair(record["parent"])), ("restore", parent))
        self.assertEqual([pair(x) for x in record["rejected"]], list(rejected))
        return attempt

    def test_it_is_what_show_names_and_trains_as_if_it_were_written_by_its_name(self):
        site, named = self.copied(), self.copied("named")
        self.expect_shown(site, (1, 20))
        self.assertEqual(self.expect_restored(site, (1, 20), to=30), 3)
        named.trained(30, restore="1@20", **BEST)
        self.expect_same_tensors(named.store.tensors(3, 30), site.store.tensors(3, 30))
        self.assertEqual(named.store.manifest(3, 30)["data"], site.store.manifest(3, 30)["data"])
        # What it has made is in the lineage now, and better.
        self.assertLess(self.loss(site, 3, 30), self.loss(site, 1, 20))
        self.expect_shown(site, (3, 30))

    def test_a_damaged_best_leads_to_the_next_best_and_not_to_the_newest(self):
        site = self.copied()
        shard = site.store.shard(1, 20, 1)
        shard.write_bytes(shard.read_bytes()[:-1] + b"\xff")  # no header shows it
        self.expect_restored(site, (1, 10), rejected=[(1, 20)], verify=True)

    def test_a_requeue_carries_on_from_its_newest_and_not_from_the_best(self):
        site = self.copied()
        night = {"run": {"id": "night", "max_iterations": 60}, "restore": "best", **BEST, **WILD}
        job = site.start(**night, **SLOW)
        job.until(lambda: site.store.of_attempt(3), "a checkpoint of its own")
        job.signal_rank(1, signal.SIGUSR1)
        self.expect_exit(job.wait(), 75)
        self.assertEqual(pair(site.store.record(3, "decision")["parent"]), (1, 20))
        saved = site.store.record(3, "outcome")["last_committed_iteration"]
        self.expect_shown(site, (1, 20))  # by its metric it is still that one
        self.expect_exit(site.run(**night), 0)
        record = site.store.record(4, "decision")
        self.assertEqual(pair(record["parent"]), (3, saved))
        self.assertIn("best was applied by attempt 3", record["reasons"][0])

    def test_a_requeue_that_has_committed_nothing_starts_where_it_did_or_decides_anew(self):
        site = self.copied()
        night = {"run": {"id": "night", "max_iterations": 50}, **BEST, **WILD}
        job = site.start(restore="best", **night, **SLOW)
        job.until(lambda: site.store.iteration(3) > 20, "an iteration")
        job.kill_all()
        self.assertEqual(site.store.of_attempt(3), [], "it was killed too late")
        # A better one that has come meanwhile is another run's.
        site.trained(30, restore="1@20", **BEST)
        self.assertLess(self.loss(site, 4, 30), self.loss(site, 1, 20))
        again = site.plan(restore="best", **night)
        self.assertEqual(pair(again["parent"]), (1, 20), again["reasons"])
        site.store.shard(1, 20, 0).unlink()
        result = site.run(restore="best", **night)
        self.expect_exit(result, 0, "best is decided anew")
        self.assertEqual(pair(site.store.record(5, "decision")["parent"]), (4, 30))

    def test_it_is_looked_for_in_one_lineage_and_never_in_another_branch(self):
        site = self.copied()
        # 1@20 is better than all that the newest lineage holds from here on.
        site.trained(30, restore="1@10", **BEST, **WILD)
        self.expect_shown(site, (1, 10))
        self.expect_restored(site, (1, 10), to=20)
        # By its attempt that branch's can be had.
        self.expect_restored(site, (1, 20), restore={"mode": "best", "attempt": 2})

    def test_where_none_has_the_metric_it_is_an_error_before_anything_is_claimed(self):
        site = self.copied()
        other = {"interval": 10, "keep_best": {"metric": "accuracy", "mode": "max"}}
        result = site.run(restore="best", **{**BEST, "checkpoint": other})
        self.expect_exit(result, 2, "has the metric accuracy", "keep_best")
        self.assertEqual(site.store.attempts(), [1, 2])


if __name__ == "__main__":
    main()
