#!/usr/bin/env -S python3 -B
"""What 3 ranks saved loads on 1, 2 and 4: the same tensors, the same samples next, the same
training but for rounding."""

import json

from lockstep_test import JobTest, main, pair

SAVED = 20  # the iteration that all of them start from
END = 30
BATCH = 13  # not divisible by 2, 3 or 4
# Nothing of the model changes in an iteration: what was loaded can be read back from what is saved.
STILL = {"learning_rate": 0, "weight_decay": 0}


def losses(result):
    """{iteration: mean loss since the line before} of the progress lines."""
    lines = [json.loads(line) for line in result.err.splitlines() if line.startswith("{")]
    return {line["iteration"]: line["loss"] for line in lines if "samples_per_second" in line}


class SavedOnThreeRanks(JobTest):
    @classmethod
    def setUpClass(cls):
        test = cls.of_class()
        cls.origin = test.site("origin")
        cls.origin.trained(END, ranks=3, **cls.sections())
        test.assertEqual(cls.origin.store.manifest(1, SAVED)["world_size"], 3)
        still = cls.origin.copy(test, "still")
        cls.still_loss = {to: test.loss_without_learning(still, 3, to)
                          for to in (SAVED + 1, SAVED + 2)}

    @classmethod
    def sections(cls, **more):
        return {"data": {"global_batch": BATCH}, "log": {"format": "json"}, **more}

    def loss_without_learning(self, site, ranks, to):
        """The mean loss of the iterations from SAVED to `to`, where nothing is learned."""
        result = site.trained(to, ranks=ranks, **self.sections(
            optimizer=STILL, restore={"attempt": 1, "iteration": SAVED}))
        return losses(result)[to]

    def expect_close(self, a, b, relative, what):
        self.assertLessEqual(abs(a - b), relative * max(abs(a), abs(b)), f"{what}: {a} and {b}")

    def expect_close_tensors(self, a, b, relative):
        """Largest difference of each tensor, measured by the tensor's largest value."""
        self.assertEqual(sorted(a), sorted(b))
        for name in a:
            left, right = a[name].floats(), b[name].floats()
            worst = max(abs(x - y) for x, y in zip(left, right, strict=True))
            self.assertLessEqual(worst, relative * max(map(abs, left)), name)

    def expect_loads_on(self, ranks):
        site = self.origin.copy(self)
        store = site.store

        loss = self.loss_without_learning(site, ranks, SAVED + 1)
        mine = store.attempts()[-1]
        self.assertEqual(pair(store.record(mine, "decision")["parent"]), (1, SAVED))
        manifest = store.manifest(mine, SAVED + 1)
        self.assertEqual(manifest["world_size"], ranks)
        self.expect_same_tensors(store.tensors(1, SAVED), store.tensors(mine, SAVED + 1),
                                 lambda name: name.startswith("model."))
        self.assertEqual(manifest["data"]["position"], (SAVED + 1) * BATCH)
        self.assertEqual(manifest["data"]["digest"], store.manifest(1, SAVED)["data"]["digest"])
        self.expect_close(loss, self.still_loss[SAVED + 1], 1e-5, "loss of the next batch")

        site.trained(END, ranks=ranks, **self.sections(restore={"attempt": 1, "iteration": SAVED}))
        mine = store.attempts()[-1]
        self.assertEqual(store.manifest(mine, END)["data"], store.manifest(1, END)["data"])
        self.expect_close_tensors(store.tensors(1, END), store.tensors(mine, END), 1e-4)
        self.expect_close(store.manifest(1, END)["metrics"]["loss"],
                          store.manifest(mine, END)["metrics"]["loss"], 1e-4, "evaluated loss")

    def test_loads_on_1_rank_and_carries_on_alike(self):
        self.expect_loads_on(1)

    def test_loads_on_2_ranks_and_carries_on_alike(self):
        self.expect_loads_on(2)

    def test_loads_on_4_ranks_and_carries_on_alike(self):
        self.expect_loads_on(4)

    def test_the_loss_tells_one_batch_from_another(self):
        """Else the comparison of losses above would prove nothing."""
        one, two = self.still_loss[SAVED + 1], self.still_loss[SAVED + 2]
        self.assertGreater(abs(one - two), 1e-3 * abs(one), f"{one} and {two}")


if __name__ == "__main__":
    main()
