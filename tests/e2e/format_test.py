#!/usr/bin/env -S python3 -B
"""What FORMAT.md promises to whoever reads a store without lockstep: a reader that was written from
it (tests/support/read_store.py) finds in a real job's store what the programs find."""

from lockstep_format import exported, read, reader
from lockstep_test import BranchedStore, main

FOUR_MIB = 4 << 20


class Format(BranchedStore):
    """BranchedStore's: checkpoints of 2, 3 and 1 ranks."""

    def expect_same_as_exported(self, store, *checkpoints):
        for name in checkpoints:
            written = exported(store.path, name, self.scratch / "tensors")
            self.assertEqual(read(self, store.path, name), written, name)

    def test_the_reader_finds_what_export_writes(self):
        self.expect_same_as_exported(self.store, "1@30", "2@40", "3@50", "latest")

    def test_so_it_does_with_blocks_of_four_mebibytes_and_ranks_that_write_nothing(self):
        site = self.site("large")
        large = {"name": "synthetic", "parameters": 720_000, "tensors": 5, "iteration_ms": 0}
        site.trained(1, task=large)
        shard = site.store.shard(1, 1, 1)
        self.assertGreater(shard.stat().st_size, FOUR_MIB + 8192, "more than one block")
        self.expect_same_as_exported(site.store, "1@1")
        site = self.site("small")
        site.trained(1, ranks=3, task={"name": "synthetic", "parameters": 2, "tensors": 2,
                                       "iteration_ms": 0})
        self.assertLess(site.store.shard(1, 1, 0).stat().st_size, 4097, "a shard without data")
        self.expect_same_as_exported(site.store, "1@1")

    def test_the_reader_lists_what_ls_lists(self):
        result = reader(self.store.path)
        self.assertEqual(result.out.splitlines(), [
            *(f"{a} {self.store.record(a, 'claim')['run']} finished" for a in (1, 2, 3)),
            "1@10 *", "1@20 *", "1@30", "2@30 *", "2@40 *", "3@50 *"], result)

    def test_a_changed_byte_of_any_file_is_seen(self):
        store = self.origin.copy(self).store
        folder = store.checkpoint(2, 40)
        files = [store.path / "store.json", *store.attempt(2).glob("*.json"), *folder.iterdir()]
        self.assertEqual(len(files), 8)
        for file in files:
            whole = file.read_bytes()
            for at in (len(whole) // 2, len(whole) - 2)[:1 + (file.suffix == ".safetensors")]:
                damaged = bytearray(whole)
                damaged[at] ^= 1
                file.write_bytes(damaged)
                result = reader(store.path, "2@40")
                self.assertEqual((result.code, result.out), (1, ""), f"{file}: {result}")
            file.write_bytes(whole)
        self.expect_same_as_exported(store, "2@40")


if __name__ == "__main__":
    main()
