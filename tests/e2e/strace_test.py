#!/usr/bin/env -S python3 -B
"""The proof that no rank finds a checkpoint on its own. Each rank runs under strace, and its calls
on files are judged:

1. No rank but 0 ever opens, lists or stats the configuration.
2. Before decision.json is durable no rank but 0 touches anything in the store.
3. Afterwards it touches only the decided checkpoint (reading), its attempt's claim.json (reading)
   and its own shard in its attempt's .partial; it lists nothing.

The judge itself is tried on traces with planted breaches: its "nothing found" means something.
"""

import os
import re
import shutil
import unittest
from typing import NamedTuple

from lockstep_store import snapshot
from lockstep_test import JobTest, main, pair

RANKS = 3
STRACE = ["strace", "-f", "--seccomp-bpf", "-qq", "-y", "-ttt", "-s", "4096", "-e",
          "trace=%file,getdents,getdents64,fsync,fdatasync", "-e", "signal=none"]
WRITES = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_APPEND")
LOOKS = ("open", "openat", "openat2", "creat", "stat", "lstat", "newfstatat", "statx", "access",
         "faccessat", "faccessat2", "readlink", "readlinkat")


class Call(NamedTuple):
    rank: int
    time: float
    name: str
    arguments: str
    paths: tuple  # absolute


def parse_trace(text, rank, cwd):
    """The calls of one rank's trace. execve is left out: its arguments are words, not accesses."""
    calls = []
    for line in text.splitlines():
        found = re.match(r"(?:\d+ +)?(\d+\.\d+) (\w+)\((.*)", line)
        if not found or found[2].startswith("execve"):
            continue
        # fd<path>, "name" is one place; a quoted name alone is below the current directory; a
        # descriptor alone (getdents64, fsync) is a place too.
        paths = [os.path.normpath(os.path.join(cwd, base or "", name)) for base, name in re.findall(
            r'(?:(?:AT_FDCWD|\d+)<([^>]*)>, )?"((?:[^"\\]|\\.)*)"', found[3])]
        if not paths:
            paths = re.findall(r"^\d+<([^>]*)>", found[3])
        calls.append(Call(rank, float(found[1]), found[2], found[3], tuple(paths)))
    return calls


class Scene(NamedTuple):
    """What the judge must know of a launch."""
    store: str
    config: str
    attempt: int | None  # the number claimed
    decided: tuple = ()  # folders of the checkpoints decided on, one after the other


def is_below(path, folder):
    return path == folder or path.startswith(folder + "/")


def when_decided(calls, scene):
    """When decision.json was durable: renamed into place, and its folder fsynced. None: never."""
    folder = f"{scene.store}/attempts/{scene.attempt:04d}" if scene.attempt else "/nowhere"
    renamed = None
    for call in sorted(calls, key=lambda call: call.time):
        if call.rank != 0:
            continue
        if call.name.startswith("rename") and f"{folder}/decision.json" in call.paths:
            renamed = call.time
        if renamed and call.name == "fsync" and call.paths == (folder,):
            return call.time
    return None


def breach(call, scene, decided_at):
    """What a rank > 0 must not have done; None where the call is in order."""
    if scene.config in call.paths:
        return "touches the configuration"
    touched = [path for path in call.paths if is_below(path, scene.store)]
    if not touched:
        return None
    if call.name.startswith("getdents"):
        return "lists"
    if decided_at is None or call.time <= decided_at:
        return "touches the store before the decision is durable"
    reads = call.name in LOOKS and not WRITES.search(call.arguments)
    partial = rf"{re.escape(scene.store)}/checkpoints/\.{scene.attempt:04d}-\d+\.partial"
    own_shard = re.compile(rf"{partial}/shard-{call.rank:05d}-of-\d+\.safetensors")
    for path in touched:
        decided = any(is_below(path, folder) for folder in scene.decided)
        claim = path == f"{scene.store}/attempts/{scene.attempt:04d}/claim.json"
        if not ((decided or claim) and reads) and not own_shard.fullmatch(path):
            return "touches what was not decided"
    return None


def judge(calls, scene):
    """Every breach, as a sentence."""
    decided_at = when_decided(calls, scene)
    found = []
    for call in calls:
        if call.rank > 0 and (what := breach(call, scene, decided_at)):
            found.append(f"rank {call.rank} {what}: {call.name}({call.arguments}")
    return found


@unittest.skipUnless(shutil.which("strace"), "strace is missing")
class EachRankUnderStrace(JobTest):
    @classmethod
    def setUpClass(cls):
        cls.origin = cls.of_class().site("origin")
        cls.origin.trained(20, ranks=RANKS)

    def traced(self, site, code, **how):
        """Runs under strace; gives all ranks' calls, and the scene without a decision."""
        traces = site.folder / "traces"
        traces.mkdir()
        script = site.folder / "traced.sh"
        script.write_text('#!/bin/sh\nexec ' + " ".join(STRACE) +
                          f' -o "{traces}/$OMPI_COMM_WORLD_RANK" "$@"\n')
        script.chmod(0o755)
        self.expect_exit(site.run(ranks=RANKS, wrapper=[script], **how), code)
        calls = []
        for rank in range(RANKS):
            text = (traces / str(rank)).read_text(errors="replace")
            calls += parse_trace(text, rank, str(site.folder))
        scene = Scene(str(site.store.path), str(site.folder / "train.yaml"), None)
        # The tracing works: rank 0 reads the configuration, all load the same libraries.
        self.assertTrue(any(call.rank == 0 and scene.config in call.paths for call in calls))
        for rank in range(RANKS):
            self.assertTrue(any(call.rank == rank and any("libtorch_cpu" in p for p in call.paths)
                                for call in calls), f"rank {rank} is not traced")
        return calls, scene

    def expect_untouched_by_others(self, calls, scene):
        self.assertEqual(judge(calls, scene), [])
        others = [call for call in calls if call.rank > 0 and
                  any(is_below(path, scene.store) for path in call.paths)]
        self.assertEqual(others, [], "a rank other than 0 touches the store")

    def test_a_missing_iteration_is_rank_0s_to_find(self):
        site = self.origin.copy(self)
        calls, scene = self.traced(site, 2, restore=999)
        self.assertTrue(any(is_below(path, scene.store) for call in calls for path in call.paths))
        self.expect_untouched_by_others(calls, scene)

    def test_a_missing_section_is_rank_0s_to_find(self):
        site = self.origin.copy(self)
        self.expect_untouched_by_others(*self.traced(site, 2, run={"max_iterations": 40}))

    def test_finished_is_rank_0s_to_see(self):
        site = self.origin.copy(self)
        before = snapshot(site.store.path)
        self.expect_untouched_by_others(
            *self.traced(site, 0, restore="latest", run={"max_iterations": 20}))
        self.assertEqual(snapshot(site.store.path), before)

    def test_a_fresh_start_writes_its_own_shards_and_nothing_else(self):
        site = self.origin.copy(self)
        calls, scene = self.traced(site, 0, restore="fresh", run={"max_iterations": 10})
        self.assertEqual(judge(calls, scene._replace(attempt=2)), [])

    def test_latest_reads_what_was_decided_after_it_was_written_down(self):
        site = self.origin.copy(self)
        calls, scene = self.traced(site, 0, restore="latest", run={"max_iterations": 30})
        scene = scene._replace(attempt=2, decided=(str(site.store.checkpoint(1, 20)),))
        self.assertEqual(judge(calls, scene), [])
        for rank in range(1, RANKS):
            reads = any(call.rank == rank and is_below(path, scene.decided[0])
                        for call in calls for path in call.paths)
            self.assertTrue(reads, f"rank {rank} reads nothing")
        self.expect_the_judge_to_find_planted_breaches(site, calls, scene)

    def test_a_second_candidate_is_read_only_after_the_decision_was_replaced(self):
        site = self.origin.copy(self)
        shard = site.store.shard(1, 20, 2)
        shard.write_bytes(shard.read_bytes()[:-1] + b"\xff")
        calls, scene = self.traced(site, 0, restore="latest", run={"max_iterations": 30},
                                   verify=True)
        self.assertEqual(pair(site.store.record(2, "decision")["parent"]), (1, 10))
        first, second = (str(site.store.checkpoint(1, i)) for i in (20, 10))
        scene = scene._replace(attempt=2, decided=(first, second))
        self.assertEqual(judge(calls, scene), [])

        name = f"{scene.store}/attempts/0002/decision.json"
        written = [call.time for call in calls if call.rank == 0 and call.name.startswith("rename")
                   and name in call.paths]
        self.assertEqual(len(written), 2)
        early = [call for call in calls if call.rank > 0 and call.time < written[1]
                 and any(is_below(path, second) for path in call.paths)]
        self.assertEqual(early, [], "read before it was decided")

    def expect_the_judge_to_find_planted_breaches(self, site, calls, scene):
        """Each planted in the real traces of a launch in which the judge found nothing."""
        decided_at = when_decided(calls, scene)
        self.assertIsNotNone(decided_at)
        before, after = decided_at - 0.001, decided_at + 0.001
        store, cwd = scene.store, str(site.folder)
        at_cwd = f"AT_FDCWD<{cwd}>"
        read, folder = "O_RDONLY|O_CLOEXEC) = 17", "O_RDONLY|O_CLOEXEC|O_DIRECTORY) = 17"
        shard = f"{scene.decided[0]}/shard-00001-of-00003.safetensors"
        other = f"{store}/checkpoints/0001-0000000010"
        planted = {
            "touches the configuration": [
                (after, f'openat({at_cwd}, "train.yaml", {read}'),
                (after, f'newfstatat({at_cwd}, "./train.yaml", {{st_mode=S_IFREG}}, 0) = 0')],
            "before the decision": [
                (before, f'newfstatat({at_cwd}, "store", {{st_mode=S_IFDIR}}, 0) = 0'),
                (before, f'access("{store}/store.json", F_OK) = 0'),
                (before, f'openat({at_cwd}, "{shard}", {read}'),
                (before, f'openat(3<{store}/checkpoints>, "0001-0000000020", {folder}'),
                (before, f'mkdir("{store}", 0750) = -1 EEXIST (File exists)')],
            "lists": [
                (after, f"getdents64(17<{scene.decided[0]}>, 0x55 /* 5 entries */, 32768) = 168"),
                (after, f"getdents64(17<{store}/checkpoints>, 0x55 /* 5 entries */, 32768) = 168")],
            "was not decided": [
                (after, f'openat({at_cwd}, "{other}/manifest.json", {read}'),
                (after, f'openat({at_cwd}, "{store}/checkpoints", {folder}'),
                (after, f'stat("{store}/attempts/0002/decision.json", {{st_mode=S_IFREG}}) = 0'),
                (after, f'stat("{store}/attempts/0001/claim.json", {{st_mode=S_IFREG}}) = 0'),
                (after, f'openat({at_cwd}, "{shard}", O_RDWR|O_CLOEXEC) = 17'),
                (after, f'unlink("{shard}") = 0'),
                (after, f'openat({at_cwd}, "{store}/checkpoints/.0002-0000000030.partial/'
                        f'shard-00001-of-00003.safetensors", O_WRONLY|O_CREAT, 0640) = 17'),
                (after, f'rename("{store}/checkpoints/.0002-0000000030.partial", '
                        f'"{store}/checkpoints/0002-0000000030") = 0')],
        }
        for what, lines in planted.items():
            for time, line in lines:
                with self.subTest(line):
                    found = judge(calls + parse_trace(f"77  {time:.6f} {line}", 2, cwd), scene)
                    self.assertEqual(len(found), 1, found)
                    self.assertIn(what, found[0])
        never = [call for call in calls if not (call.rank == 0 and call.name.startswith("rename"))]
        self.assertTrue(judge(never, scene), "a launch without a decision.json passes")


if __name__ == "__main__":
    main()
