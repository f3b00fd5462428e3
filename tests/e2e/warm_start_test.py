#!/usr/bin/env -S python3 -B
"""Weights and checkpoints from elsewhere: another store, a checkpoint's folder, safetensors files
as others write them; scope, exclude, skip_samples, best and --evaluate."""

import json
import shutil
import struct

from lockstep_test import JobTest, main, pair

BATCH = 12  # lockstep_jobs.DEFAULTS
STILL = {"checkpoint": {"interval": 1}, "optimizer": {"learning_rate": 0.0, "weight_decay": 0.0}}


def safetensors(tensors):
    """The bytes of a file, as Python's safetensors writes it; {name: (dtype, shape, data)}."""
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, (dtype, shape, raw) in tensors.items():
        header[name] = {"dtype": dtype, "shape": list(shape),
                        "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


class WarmStart(JobTest):
    @classmethod
    def setUpClass(cls):
        cls.site_of = cls.of_class()
        cls.other = cls.site_of.site("other")
        cls.other.trained(30, checkpoint={"interval": 10})
        cls.model = {k: v for k, v in cls.other.store.tensors(1, 30).items()
                     if k.startswith("model.")}

    def own(self, path, **restore):
        return {"restore": {"from": str(path), **restore}}

    def expect_weights(self, store, attempt, iteration):
        self.expect_same_tensors(self.model, store.tensors(attempt, iteration),
                                 lambda name: name.startswith("model."))

    def weights(self, folder, bare):
        """Two files with their index; names with or without `model.`."""
        folder.mkdir(parents=True)
        names, places = sorted(self.model), {}
        for part in range(2):
            file = f"model-0000{part + 1}-of-00002.safetensors"
            mine = {n.removeprefix("model.") if bare else n: self.model[n] for n in names[part::2]}
            (folder / file).write_bytes(safetensors(mine))
            places.update(dict.fromkeys(mine, file))
        index = folder / "model.safetensors.index.json"
        index.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": places}))
        return index

    def decided(self, site, **sections):
        """Runs; the record of the job."""
        self.expect_exit(site.run(**sections), 0)
        return site.store.record(site.store.attempts()[-1], "decision")

    def test_another_store_carries_on_there_and_the_lineage_ends_there(self):
        site = self.site()
        real = self.decided(site, run={"id": "r", "max_iterations": 40},
                            **self.own(self.other.store.path, iteration=20))
        self.assertEqual(pair(real["parent"]), (1, 20))
        self.assertEqual(real["parent"]["store"],
                         json.loads((self.other.store.path / "store.json").read_text())["id"])
        self.assertEqual(sorted(site.store.committed()), [(1, 30), (1, 40)])
        straight = self.site("straight")
        straight.trained(20)
        straight.trained(40, restore="latest")
        self.expect_same_tensors(straight.store.tensors(2, 40), site.store.tensors(1, 40))
        # The requeue carries on with its own, though the source is out of reach by now.
        again = site.plan(run={"id": "r", "max_iterations": 50}, **self.own("./gone", iteration=20))
        self.assertEqual(again["exit_code"], 2, "another path is another request")
        moved = self.other.store.path.with_name("away")
        self.other.store.path.rename(moved)
        try:
            again = site.plan(run={"id": "r", "max_iterations": 50},
                              **self.own(self.other.store.path, iteration=20))
        finally:
            moved.rename(self.other.store.path)
        self.assertEqual(pair(again["parent"]), (1, 40))

    def test_a_loose_checkpoint_folder(self):
        site = self.site()
        loose = site.folder / "kept"
        shutil.copytree(self.other.store.checkpoint(1, 30), loose)
        real = self.decided(site, run={"max_iterations": 31}, **self.own("./kept"))
        self.assertEqual(real["parent"], {"attempt": 1, "iteration": 30, "store": None})
        self.assertIn("kept", real["source"])
        shard = next(loose.glob("shard-*"))
        shard.write_bytes(shard.read_bytes()[:-1])
        self.assertEqual(self.site("hurt").plan(**self.own(loose))["exit_code"], 2)

    def test_a_copy_of_the_own_store_is_refused_unless_it_holds_the_same(self):
        site = self.other.copy(self)
        self.decided(site, run={"max_iterations": 31},
                     **self.own(self.other.store.path, iteration=30))
        self.assertEqual(pair(site.store.record(2, "decision")["parent"]), (1, 30))
        fork = site.copy(self, "fork")
        fork.trained(33, restore="latest")
        refused = site.plan(run={"max_iterations": 40}, **self.own(fork.store.path))
        self.assertEqual(refused["exit_code"], 2)
        self.assertIn("is a copy of this store", refused["error"])

    def test_weights_as_others_write_them(self):
        for bare in (True, False):
            site = self.site(f"bare-{bare}")
            index = self.weights(site.folder / "w", bare)
            real = self.decided(site, run={"max_iterations": 1}, **STILL,
                                **self.own(index, scope="model"))
            self.assertIsNone(real["parent"])
            self.expect_weights(site.store, 1, 1)
            self.assertEqual(site.store.manifest(1, 1)["data"]["position"], BATCH)

    def test_weights_that_do_not_fit_are_all_named_in_both_directions(self):
        site = self.site()
        file = site.folder / "w.safetensors"
        some = dict(list(self.model.items())[1:])
        name, tensor = next(iter(some.items()))
        some[name] = (tensor.dtype, (1, *tensor.shape), tensor.data)
        some["surplus"] = ("F32", (1,), b"\0\0\0\0")
        file.write_bytes(safetensors(some))
        result = site.run(ranks=3, **self.own("./w.safetensors", scope="model"))
        missing = next(iter(self.model))
        self.expect_exit(result, 2, f"{missing}: in the model, not in the file",
                         f"{name}: F32 [1, ", "surplus: in the file, not in the model")
        self.assertEqual(site.store.record(1, "outcome")["outcome"], "refused")
        self.assertEqual(site.store.committed(), {})
        del some["surplus"]
        file.write_bytes(safetensors(some))
        excluded = [missing, name.removeprefix("model.")]
        self.expect_exit(site.run(**self.own("./w.safetensors", scope="model", exclude=excluded),
                                  run={"max_iterations": 1}, **STILL), 0)
        loaded = [n for n in self.model if n not in (missing, name)]
        self.expect_same_tensors(self.model, site.store.tensors(2, 1), lambda n: n in loaded)
        # What is excluded starts as it would without the file.
        self.expect_exit(site.run(restore="fresh", run={"max_iterations": 1}, **STILL), 0)
        self.expect_same_tensors(site.store.tensors(3, 1), site.store.tensors(2, 1),
                                 lambda n: n in (missing, name))

    def test_files_that_are_no_weights(self):
        site = self.site()
        (site.folder / "w.safetensors").write_bytes(safetensors(self.model)[:-1])
        for path in ("./w.safetensors", "./absent.safetensors", "."):
            record = site.plan(**self.own(path, scope="model"))
            self.assertEqual((record["kind"], record["exit_code"]), ("error", 2), path)
            self.assertIn(path.removeprefix("./"), record["error"])

    def test_scope_model_of_the_own_store_and_samples_skipped(self):
        site = self.other.copy(self)
        real = self.decided(site, run={"max_iterations": 1}, **STILL,
                            restore={"mode": "latest", "scope": "model", "skip_samples": 1000})
        self.assertEqual((real["parent"], real["source"]), (None, "1@30"))
        self.expect_weights(site.store, 2, 1)
        self.assertEqual(site.store.manifest(2, 1)["data"]["position"], 1000 + BATCH)

    def test_samples_skipped_past_the_last_epoch_leave_nothing_to_train_and_it_says_so(self):
        site = self.other.copy(self)
        skipping = {"mode": "latest", "skip_samples": 10**12}
        for scope in ("full", "model"):
            result = site.run(run={"max_iterations": 10**6, "max_epochs": 100},
                              restore={**skipping, "scope": scope})
            self.expect_exit(result, 0, f"restore.skip_samples {10**12} passed over, has reached "
                                        "run.max_epochs 100: nothing to train")
            self.assertEqual(result.planned["kind"], "finished")
        self.assertEqual(site.store.attempts(), [1])

    def test_evaluate_beside_a_running_job_claims_and_writes_nothing(self):
        site = self.other.copy(self)
        job = site.start(run={"max_iterations": 1000, "id": "busy"}, task={"iteration_ms": 50},
                         checkpoint={"interval": 1000}, restore="latest")
        job.until(lambda: site.store.iteration(2) > 30, "training")
        before = site.store.attempts(), site.store.committed()
        text = (site.folder / "train.yaml").read_text()
        result = site.run(text=text, ranks=1, flags=["--evaluate"], sets=["run.id=other"],
                          busy=True)
        self.expect_exit(result, 0, "restore 1@30, to be evaluated", "loss ")
        self.assertTrue(result.out.startswith("loss "), result)
        self.assertEqual((site.store.attempts(), site.store.committed()), before)
        job.kill_all()


if __name__ == "__main__":
    main()
