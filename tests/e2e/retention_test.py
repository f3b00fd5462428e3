#!/usr/bin/env -S python3 -B
"""What stays and what goes: keep_last, keep_every, keep_best and pins along a run that went back,
and `lockstep prune`, beside a running job too."""

import json

from lockstep_jobs import command
from lockstep_test import JobTest, main


def attempt(number, *iterations):
    return [(number, iteration) for iteration in iterations]


class Retention(JobTest):
    def pin(self, store, attempt, iteration):
        (store.path / "pins").mkdir(exist_ok=True)
        (store.path / "pins" / f"{attempt}@{iteration}").touch()

    def expect_there(self, store, *parts):
        self.assertEqual(sorted(store.committed()), sorted(sum(parts, [])))
        self.assertEqual(list((store.path / "checkpoints").glob(".trash-*")), [])

    def test_keep_last_counts_along_the_lineage_that_went_back(self):
        site = self.site()
        site.trained(60, checkpoint={"interval": 10, "keep_last": 3})
        self.expect_there(site.store, attempt(1, 40, 50, 60))
        site.trained(60, checkpoint={"interval": 10, "keep_last": 3}, restore="1@50",
                     run={"id": "second"})
        self.expect_there(site.store, attempt(1, 40, 50, 60)[2:], attempt(1, 40, 50),
                          attempt(2, 60))
        site.trained(80, checkpoint={"interval": 10, "keep_last": 3}, restore="latest",
                     run={"id": "third"})
        self.expect_there(site.store, attempt(1, 60), attempt(2, 60), attempt(3, 70, 80))

    def test_keep_every_and_pins_stay_and_the_rest_goes(self):
        site = self.site()
        site.trained(30, checkpoint={"interval": 5, "keep_last": 10})
        self.pin(site.store, 1, 5)
        site.trained(60, checkpoint={"interval": 5, "keep_last": 1, "keep_every": 20},
                     restore="latest", run={"id": "second"})
        self.expect_there(site.store, attempt(1, 5, 20), attempt(2, 40, 60))

    def test_keep_best_keeps_the_best_by_its_metric_and_restore_best_takes_it(self):
        site = self.site()
        everything = {"interval": 5, "keep_last": 100}
        plain = {"evaluate": {"interval": 5}, "optimizer": {"learning_rate": 0.3}}
        site.trained(40, checkpoint=everything, **plain)
        metrics = {i: site.store.manifest(1, i)["metrics"]["loss"]
                   for i in site.store.of_attempt(1)}
        ranked = sorted(metrics, key=lambda i: (-metrics[i], -i))[:2]  # the worst two: mode max

        other = self.site("retained")
        keep = {"interval": 5, "keep_last": 1, "keep_best": {"metric": "loss", "mode": "max",
                                                              "count": 2}}
        other.trained(40, checkpoint=keep, **plain)
        self.expect_there(other.store, attempt(1, *sorted({*ranked, 40})))
        record = other.plan(checkpoint=keep, restore="best", run={"max_iterations": 50}, **plain)
        self.assertEqual(record["parent"], {"attempt": 1, "iteration": ranked[0]}, record)

    def test_a_metric_that_the_task_does_not_give_is_an_error_before_anything_is_claimed(self):
        site = self.site()
        # Which metrics a task gives only the task knows, which plan does not make.
        result = site.run(checkpoint={"interval": 5, "keep_best": {"metric": "accuracy"}},
                          evaluate={"interval": 5}, foreseen=False)
        self.assertEqual(result.planned["kind"], "fresh")
        self.expect_exit(result, 2, "checkpoint.keep_best.metric", "'accuracy'", "it gives loss")
        self.assertFalse(site.store.path.exists())


class Prune(JobTest):
    @classmethod
    def setUpClass(cls):
        cls.made = cls.of_class().site("made")
        keep = {"interval": 10, "keep_last": 100}
        cls.made.trained(40, checkpoint=keep, evaluate={"interval": 10})
        cls.made.trained(60, checkpoint=keep, evaluate={"interval": 10}, restore="1@20",
                         run={"id": "second"})

    ALL = attempt(1, 10, 20, 30, 40) + attempt(2, 30, 40, 50, 60)

    def setUp(self):
        self.copied = self.made.copy(self)
        self.store = self.copied.store

    def prune(self, *options, code=0, says=()):
        result = command("prune", self.store.path, *options)
        self.assertEqual(result.code, code, result)
        self.expect_said(result, *says)
        return result

    def expect_gone(self, *gone):
        self.assertEqual(sorted(self.store.committed()), sorted(set(self.ALL) - set(gone)))
        self.assertEqual(list((self.store.path / "checkpoints").glob(".*")), [])

    def test_without_options_it_names_them_and_deletes_nothing(self):
        self.prune(code=2, says=["--keep-last", "--keep-every", "--keep-best", "--abandoned"])
        self.expect_gone()

    def test_a_dry_run_tells_what_the_real_one_does(self):
        told = json.loads(self.prune("--keep-last", 2, "--dry-run", "--json").out)
        self.expect_gone()
        sizes = sum(f.stat().st_size for a, i in attempt(1, 10, 20) + attempt(2, 30, 40)
                    for f in self.store.checkpoint(a, i).iterdir())
        done = json.loads(self.prune("--keep-last", 2, "--json").out)
        self.expect_gone(*attempt(1, 10, 20), *attempt(2, 30, 40))
        self.assertEqual((told["dry_run"], done["dry_run"]), (True, False))
        self.assertEqual(told["checkpoints"], done["checkpoints"])
        self.assertEqual((told["bytes"], done["bytes"]), (sizes, sizes))
        self.prune("--keep-last", 2, says=["nothing to prune"])

    def test_keep_every_and_pins(self):
        (self.store.path / "pins").mkdir()
        (self.store.path / "pins" / "1@10").touch()
        self.prune("--keep-every", 20, says=["2@30", "2@50", "behind the newest good one",
                                             "2 checkpoints deleted"])
        self.expect_gone(*attempt(2, 30, 50))

    def test_keep_best(self):
        lineage = attempt(1, 10, 20) + attempt(2, 30, 40, 50, 60)
        loss = {(a, i): self.store.manifest(a, i)["metrics"]["loss"] for a, i in lineage}
        best = sorted(lineage, key=lambda x: (loss[x], -x[1]))[:2]
        self.prune("--keep-best", "loss:min:2")
        self.expect_gone(*(set(lineage) - {*best, (2, 60)}))

    def test_a_metric_that_nobody_has_deletes_nothing(self):
        self.prune("--keep-best", "accuracy:max", code=2, says=["'accuracy'", "there is loss"])
        self.prune("--keep-best", "loss", code=2, says=["METRIC:max"])
        self.prune("--keep-last", 0, code=2, says=["from 1"])
        self.expect_gone()

    def test_abandoned_ones_go_where_it_is_asked_and_pinned_ones_stay(self):
        (self.store.path / "pins").mkdir()
        (self.store.path / "pins" / "1@30").touch()
        self.prune("--abandoned", says=["1@40", "abandoned"])
        self.expect_gone((1, 40))
        attempts = json.loads(command("ls", self.store.path, "--all", "--json").out)["attempts"]
        self.assertEqual([a["attempt"] for a in attempts], [1, 2])

    def test_what_is_no_store_is_left_alone(self):
        (self.store.path / "store.json").unlink()
        self.prune("--abandoned", code=2, says=["store.json"])
        self.expect_gone()

    def test_a_job_carries_on_after_it(self):
        self.prune("--keep-last", 1, "--abandoned")
        result = self.copied.trained(70, restore="latest", run={"id": "third"})
        self.expect_said(result, "restore 2@60")

    def test_beside_a_running_job_it_says_so_and_deletes_nothing(self):
        job = self.copied.start(run={"max_iterations": 2000, "id": "third"}, restore="latest",
                                task={"iteration_ms": 20},
                                checkpoint={"interval": 1000, "keep_last": 100})
        job.until(lambda: self.store.iteration(3) > 60, "an iteration")
        for options in (["--keep-last", 1], ["--abandoned"], ["--abandoned", "--dry-run"]):
            self.prune(*options, code=2, says=["in use: attempt 3", "run third"])
        self.expect_gone()
        job.kill_all()
        self.prune("--abandoned", says=["1@40"])
        self.expect_gone(*attempt(1, 30, 40))


if __name__ == "__main__":
    main()
