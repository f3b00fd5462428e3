#!/usr/bin/env -S python3 -B
"""A run that was cut, by a signal or by kill -9, and started again with the same command ends as
the straight run does: bit for bit."""

import signal

from lockstep_test import JobTest, main, pair

ITERATIONS = 40
INTERVAL = 15  # divides neither ITERATIONS nor, but by chance, where a run is cut
SLOW_MS = 20


class SyntheticRun(JobTest):
    @classmethod
    def setUpClass(cls):
        site = cls.of_class().site("straight")
        site.trained(ITERATIONS, checkpoint={"interval": INTERVAL})
        cls.straight = site.store

    def sections(self, **more):
        return {"run": {"max_iterations": ITERATIONS}, "task": {"iteration_ms": SLOW_MS},
                "checkpoint": {"interval": INTERVAL}, "restore": "auto", **more}

    def expect_as_straight(self, store, attempt):
        self.expect_same_end(self.straight, (1, ITERATIONS), store, (attempt, ITERATIONS))

    def expect_same_end(self, straight, its_end, store, end):
        self.expect_same_tensors(straight.tensors(*its_end), store.tensors(*end))
        for key in ("iteration", "data", "metrics", "seed", "finite"):
            self.assertEqual(straight.manifest(*its_end)[key], store.manifest(*end)[key], key)
        self.assertTrue(straight.manifest(*its_end)["metrics"], "no metric to compare")

    def cut_by_signal(self, send, says, site=None, sections=None):
        """Cuts a run in the middle, expects what a stop must leave, and carries on."""
        site, sections = site or self.site(), sections or self.sections()
        last = sections["run"]["max_iterations"]
        job = site.start(**sections)
        job.until(lambda: site.store.iteration() >= 1, "the first iteration")
        send(job)
        self.expect_exit(job.wait(), 75, says)

        outcome = site.store.record(1, "outcome")
        saved = outcome["last_committed_iteration"]
        self.assertEqual((outcome["outcome"], outcome["exit_code"]), ("preempted", 75))
        self.assertIn(saved, range(1, last), "it was not cut in the middle")
        self.assertEqual(site.store.of_attempt(1)[-1], saved)
        self.assertEqual(site.store.iteration(1), saved, "trained beyond what is saved")
        self.assertEqual(site.store.partials(), [])

        self.expect_exit(site.run(**sections), 0, f"restore 1@{saved}")
        self.assertEqual(pair(site.store.record(2, "decision")["parent"]), (1, saved))
        self.assertEqual(site.store.record(2, "outcome")["outcome"], "finished")
        return site.store

    def test_cut_by_USR1_to_the_launcher_equals_never_cut(self):
        store = self.cut_by_signal(lambda job: job.signal_launcher(signal.SIGUSR1), "USR1")
        self.expect_as_straight(store, 2)

    def test_cut_by_USR1_to_rank_1_alone_equals_never_cut(self):
        store = self.cut_by_signal(lambda job: job.signal_rank(1, signal.SIGUSR1), "USR1 on rank 1")
        self.expect_as_straight(store, 2)

    def test_cut_by_USR2_to_rank_0_alone_equals_never_cut(self):
        store = self.cut_by_signal(lambda job: job.signal_rank(0, signal.SIGUSR2), "USR2 on rank 0")
        self.expect_as_straight(store, 2)

    def test_cut_by_TERM_to_rank_1_alone_equals_never_cut(self):
        store = self.cut_by_signal(lambda job: job.signal_rank(1, signal.SIGTERM), "TERM on rank 1")
        self.expect_as_straight(store, 2)

    def test_cut_by_XCPU_to_rank_0_alone_equals_never_cut(self):
        store = self.cut_by_signal(lambda job: job.signal_rank(0, signal.SIGXCPU), "XCPU on rank 0")
        self.expect_as_straight(store, 2)

    def test_killed_between_two_checkpoints_and_restarted_equals_never_killed(self):
        site = self.site()
        job = site.start(**self.sections())

        def between():
            beat = site.store.heartbeat(1) if site.store.attempts() else None
            return beat and beat.committed == INTERVAL and beat.iteration > INTERVAL

        job.until(between, "an iteration after the first checkpoint")
        job.kill_all()
        parent = (1, site.store.of_attempt(1)[-1])
        self.assertIsNone(site.store.record(1, "outcome"))
        self.assertLess(parent[1], ITERATIONS, "it was not killed in the middle")

        self.expect_exit(site.run(**self.sections()), 0)
        self.assertEqual(pair(site.store.record(2, "decision")["parent"]), parent)
        self.expect_as_straight(site.store, 2)

    def test_killed_in_the_midst_of_a_save_and_restarted_equals_never_killed(self):
        site = self.site()
        often = self.sections(checkpoint={"interval": 1})
        job = site.start(**often)
        job.until(lambda: site.store.of_attempt(1) and site.store.partials(), "a save under way")
        job.kill_all()
        parent = (1, site.store.of_attempt(1)[-1])

        self.expect_exit(site.run(**often), 0)
        self.assertEqual(pair(site.store.record(2, "decision")["parent"]), parent)
        self.assertEqual(site.store.partials(), [], "the killed save's remains are not swept")
        self.expect_as_straight(site.store, 2)

    def test_killed_before_its_first_checkpoint_and_restarted_equals_never_killed(self):
        site = self.site()
        job = site.start(**self.sections())
        job.until(lambda: site.store.iteration() >= 1, "the first iteration")
        job.kill_all()
        self.assertEqual(site.store.committed(), {}, "it was killed too late")

        self.expect_exit(site.run(**self.sections()), 0)
        self.assertEqual(site.store.record(2, "decision")["kind"], "fresh")
        self.expect_as_straight(site.store, 2)

    def expect_cut_equals_straight(self, iterations, sections, said=""):
        straight = self.site("straight")
        self.expect_exit(straight.run(**sections), 0, said)
        store = self.cut_by_signal(lambda job: job.signal_launcher(signal.SIGUSR1), "USR1",
                                   self.site(), {**sections, "restore": "auto"})
        self.expect_same_end(straight.store, (1, iterations), store, (2, iterations))
        return store

    def test_fashion_mnist_cut_by_USR1_equals_never_cut(self):
        store = self.expect_cut_equals_straight(16, {
            "task": {"name": "fashion_mnist"}, "data": {"global_batch": 64},
            "run": {"max_iterations": 16}, "checkpoint": {"interval": 5}})
        self.assertIn("accuracy", store.manifest(2, 16)["metrics"])

    def test_language_model_cut_by_USR1_equals_never_cut(self):
        self.expect_cut_equals_straight(ITERATIONS, self.text(), "the model writes:")

    def test_bf16_in_micro_batches_cut_by_USR1_equals_never_cut(self):
        self.expect_cut_equals_straight(ITERATIONS, {
            **self.text(), "precision": "bf16",
            "data": {"path": "/usr/share/common-licenses", "global_batch": 6, "micro_batch": 2}})

    @staticmethod
    def text():
        return {"task": {"name": "language_model", "layers": 2, "width": 32, "heads": 2,
                         "context": 64},
                "data": {"path": "/usr/share/common-licenses", "global_batch": 6},
                "schedule": {"name": "cosine", "warmup": 10}, "optimizer": {"clip_norm": 1.0},
                "run": {"max_iterations": ITERATIONS}, "checkpoint": {"interval": INTERVAL}}


if __name__ == "__main__":
    main()
