#!/usr/bin/env -S python3 -B
"""Damage is found, named, and never loaded: a named checkpoint that is damaged is an error on all
ranks alike, `latest` takes the next older one and says why; nothing of what is there changes."""

import shutil
import struct
from pathlib import Path

from lockstep_faults import Fault
from lockstep_store import difference, snapshot
from lockstep_test import JobTest, main, pair

NEWEST, OLDER = (1, 30), (1, 20)


def flip(path, at):
    """One bit of one byte; `at` counts from the end where it is negative."""
    data = bytearray(path.read_bytes())
    data[at] ^= 0x10
    path.write_bytes(data)


def header_bytes(path):
    """Of a shard: the length field and the header."""
    (length,) = struct.unpack("<Q", path.read_bytes()[:8])
    return 8 + length


def cut(path, bytes_left):
    with open(path, "r+b") as file:
        file.truncate(bytes_left)


def exchange(one, other):
    kept = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(kept)


def bytes_read(pid):
    return int(Path(f"/proc/{pid}/io").read_text().split()[1])  # rchar


def shard(index, change):
    """Damage of one shard of the newest checkpoint, by a function that gets its path."""
    return lambda store: change(store.shard(*NEWEST, index))


def small_safetensors():
    header = b'{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    return struct.pack("<Q", len(header)) + header + b"\0\0\0\0"


class Damage(JobTest):
    @classmethod
    def setUpClass(cls):
        cls.origin = cls.of_class().site("origin")
        cls.origin.trained(30)

    def expect_old_files_as_they_were(self, store, before):
        """Nothing but the new attempt's own files differs."""
        strange = [name for name in difference(before, snapshot(store.path))
                   if not name.startswith(("attempts/0002", "checkpoints/0002-"))]
        self.assertEqual(strange, [], "files that were there have changed")

    def expect_found(self, damage, *words, shows_in_headers=True):
        """Damages the newest of a copied store, by a function that gets the store; the cause that
        is told must hold the words. Where no header shows it the plan must read every byte."""
        named_site, latest_site = self.origin.copy(self, "named"), self.origin.copy(self, "latest")
        for site in (named_site, latest_site):
            damage(site.store)
        before = snapshot(named_site.store.path)
        named = {"restore": NEWEST[1], "run": {"max_iterations": 40}}
        latest = {"restore": "latest", "run": {"max_iterations": 40}}

        headers, bytes_ = named_site.plan(**named), named_site.plan(flags=["--verify"], **named)
        self.assertEqual(headers["kind"], "error" if shows_in_headers else "restore", headers)
        self.assertEqual((bytes_["kind"], bytes_["exit_code"]), ("error", 2), bytes_)
        self.assertEqual([pair(x) for x in bytes_["rejected"]], [NEWEST], bytes_)

        # Beside each other: mpirun takes a second, without using a core, to end a job that failed.
        job = named_site.start(**named, verify=not shows_in_headers)
        result = latest_site.run(**latest, verify=not shows_in_headers)
        self.expect_exit(result, 0, "1@30", "restore 1@20", *words)
        self.expect_exit(job.wait(), 2, "1@30", *words)
        self.expect_refused(named_site.store, before, shows_in_headers)
        self.expect_passed_over(latest_site.store, before, result.planned, words)

    def expect_refused(self, store, before, shows_in_headers):
        if shows_in_headers:  # seen before the claim
            self.assertEqual(difference(before, snapshot(store.path)), [])
            return
        self.assertEqual(store.attempts(), [1, 2])
        refused = store.record(2, "outcome")
        self.assertEqual((refused["outcome"], refused["exit_code"]), ("refused", 2))
        self.assertEqual(store.of_attempt(2), [])
        self.expect_old_files_as_they_were(store, before)

    def expect_passed_over(self, store, before, planned, words):
        record = store.record(2, "decision")
        self.assertEqual(pair(record["parent"]), OLDER)
        for said in (record, planned):
            self.assertEqual([pair(x) for x in said["rejected"]], [NEWEST])
            for word in ("damaged", *words):
                self.assertIn(word, " ".join(said["reasons"]))
            for word in words:
                self.assertIn(word, said["rejected"][0]["why"])
        self.assertEqual(store.of_attempt(2), [30, 40])
        self.expect_old_files_as_they_were(store, before)

    def test_a_shard_that_lost_its_last_byte(self):
        self.expect_found(shard(1, lambda path: cut(path, path.stat().st_size - 1)),
                          "shard 1", "bytes")

    def test_a_shard_cut_within_its_header(self):
        self.expect_found(shard(0, lambda path: cut(path, 100)), "shard 0", "100 bytes")

    def test_an_empty_shard(self):
        self.expect_found(shard(1, lambda path: cut(path, 0)), "shard 1", "0 bytes")

    def test_a_flipped_bit_in_the_length_of_a_header(self):
        self.expect_found(shard(0, lambda path: flip(path, 0)), "shard 0")

    def test_a_flipped_bit_within_a_header(self):
        self.expect_found(shard(1, lambda path: flip(path, 300)), "shard 1")

    def test_a_flipped_bit_in_the_padding_of_a_header(self):
        def damage(path):
            last = header_bytes(path) - 1
            self.assertEqual(path.read_bytes()[last:last + 1], b" ")
            flip(path, last)
        self.expect_found(shard(1, damage), "shard 1")

    def test_a_flipped_bit_in_the_first_byte_of_data(self):
        self.expect_found(shard(0, lambda path: flip(path, header_bytes(path))),
                          "shard 0", "checksum", shows_in_headers=False)

    def test_a_flipped_bit_in_the_last_byte_of_data(self):
        self.expect_found(shard(1, lambda path: flip(path, -1)),
                          "shard 1", "checksum", shows_in_headers=False)

    def test_a_foreign_file_of_the_same_size_in_place_of_a_shard(self):
        def damage(path):
            size = path.stat().st_size
            path.write_bytes((bytes(range(256)) * (size // 256 + 1))[:size])
        self.expect_found(shard(0, damage), "shard 0")

    def test_another_programs_safetensors_in_place_of_a_shard(self):
        self.expect_found(shard(1, lambda path: path.write_bytes(small_safetensors())), "shard 1")

    def test_a_missing_shard(self):
        self.expect_found(shard(1, Path.unlink), "shard 1", "missing")

    def test_a_folder_in_place_of_a_shard(self):
        def damage(path):
            path.unlink()
            path.mkdir()
        self.expect_found(shard(1, damage), "shard 1")

    def test_the_same_shard_of_another_checkpoint(self):
        def damage(store):
            shutil.copyfile(store.shard(*OLDER, 1), store.shard(*NEWEST, 1))
        self.expect_found(damage, "shard 1", "1@20")

    def test_shards_that_changed_places(self):
        # Of equal size, so that only what they say of themselves tells them apart.
        def damage(store):
            exchange(store.shard(*NEWEST, 0), store.shard(*NEWEST, 1))
        self.expect_found(damage, "shard 0")

    def test_a_flipped_bit_in_the_manifest(self):
        self.expect_found(lambda store: flip(store.checkpoint(*NEWEST) / "manifest.json", 1000),
                          "manifest.json")

    def test_a_missing_manifest_is_damage_and_not_absence(self):
        self.expect_found(lambda store: (store.checkpoint(*NEWEST) / "manifest.json").unlink(),
                          "manifest.json", "missing")

    def test_the_manifest_of_another_checkpoint(self):
        def damage(store):
            shutil.copyfile(store.checkpoint(*OLDER) / "manifest.json",
                            store.checkpoint(*NEWEST) / "manifest.json")
        self.expect_found(damage, "manifest.json", "1@20")


class DamageThatOnlyTheLoadFinds(JobTest):
    def test_is_found_by_all_ranks_alike_and_the_decision_is_replaced(self):
        """On 3 ranks, of which rank 0 does not read what is damaged."""
        site = self.site()
        site.trained(20, ranks=3)
        flip(site.store.shard(1, 20, 2), -1)
        latest = {"restore": "latest", "run": {"max_iterations": 30}}
        self.assertEqual(pair(site.plan(**latest)["parent"]), (1, 20))

        result = site.run(ranks=3, verify=True, **latest)
        self.expect_exit(result, 0, "restore 1@20", "restore 1@10", "shard 2: checksum")
        self.assertEqual(site.store.attempts(), [1, 2], "one attempt, its decision replaced")
        record = site.store.record(2, "decision")
        self.assertEqual((record["kind"], record["attempt"], pair(record["parent"])),
                         ("restore", 2, (1, 10)))
        self.assertEqual([pair(x) for x in record["rejected"]], [(1, 20)])
        self.assertEqual(pair(site.store.manifest(2, 30)["parent"]), (1, 10))

        straight = self.site("straight")
        straight.trained(30, ranks=3)
        self.expect_same_tensors(straight.store.tensors(1, 30), site.store.tensors(2, 30))

    def test_that_leads_to_a_fresh_start_leaves_nothing_of_the_load_behind(self):
        """Rank 0 has its part in place when rank 1 finds its own gone."""
        task = {"name": "synthetic", "parameters": 2_000_000, "tensors": 6, "iteration_ms": 0}
        site = self.site()
        site.trained(10, task=task)
        # Nothing tells then that there was a checkpoint.
        for record in ("outcome.json", "heartbeat"):
            (site.store.attempt(1) / record).unlink()
        size = site.store.shard(1, 10, 0).stat().st_size
        fault = Fault(site.folder / "fault", "hold", 1, "open:/shard-00001")
        job = site.start(wrapper=fault.wrapper, foreseen=False, task=task,
                         run={"id": "other", "max_iterations": 20}, restore="auto")
        job.until(fault.began, "that rank 1 is about to read")
        job.until(lambda: bytes_read(job.pids(0)[0]) >= size, "that rank 0 has read its part")
        shutil.rmtree(site.store.checkpoint(1, 10))
        fault.go()
        self.expect_exit(job.wait(), 0, "1@10 is damaged: shard 1: missing", "decision: fresh")

        straight = self.site("straight")
        straight.trained(20, task=task)
        self.expect_same_tensors(straight.store.tensors(1, 20), site.store.tensors(2, 20))

    def test_in_every_checkpoint_is_an_error_that_lists_them_all(self):
        site = self.site()
        site.trained(20, checkpoint={"interval": 10})
        flip(site.store.shard(1, 20, 1), -1)
        flip(site.store.shard(1, 10, 0), -1)
        before = snapshot(site.store.path)
        result = site.run(restore={"mode": "latest", "if_missing": "fresh"}, verify=True)
        self.expect_exit(result, 2, "1@20", "1@10", "shard 1: checksum", "shard 0: checksum")
        self.assertEqual(site.store.record(2, "outcome")["outcome"], "refused")
        self.assertEqual([name for name in difference(before, snapshot(site.store.path))
                          if not name.startswith("attempts/0002")], [])


if __name__ == "__main__":
    main()
