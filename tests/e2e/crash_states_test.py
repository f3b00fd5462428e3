#!/usr/bin/env -S python3 -B
"""What a power cut leaves of a store. A job is killed and carried on from on a real ext4, XFS and
btrfs whose block writes are recorded (lockstep_blocks.py); then the disk is put together as a cut
at any event may have left it, mounted, and asked:

- lost: a checkpoint that the job's log had acknowledged is not there whole, and no keep_last newer
  ones are, for which retention may have deleted it; or a record is missing that was durable by then
- torn: a checkpoint under its final name, or a record, that `lockstep verify` does not find whole
- unusable: it can't be mounted, or `lockstep plan` does not carry on from a good checkpoint that is
  at least as new as the last acknowledged one; in some states a job must do so, to its end

The same job without its fsyncs must be caught. LOCKSTEP_CRASH_STATES is the number of states for
each file system, LOCKSTEP_CRASH_SEED what they are drawn by; -k '*xfs*' as an argument picks one.
"""

import json
import os
import re
import time
from collections import Counter
from typing import NamedTuple

from lockstep_blocks import FLUSH, MARK, MKFS, WRITE, Mounted, Recorder, Recording, require_disks
from lockstep_jobs import BIN, command
from lockstep_store import Store
from lockstep_test import JobTest, keep_mounts_private, main, pair

STATES = int(os.environ.get("LOCKSTEP_CRASH_STATES", "60"))
SEED = int(os.environ.get("LOCKSTEP_CRASH_SEED", "1"))
LAUNCHES = 3   # of the states of a file system, in which a job is carried on
KEEP_LAST = 2
KILLED = 6     # commits, then the first attempt is killed
MORE = 20      # iterations of the second, and of jobs in crash states
SMALL, LARGE = 20_000, 1_000_000  # parameters: shards of 0.1 and 6 MB
DIRECT_BYTES = 4 << 20  # larger shards are written past the page cache
SHIM = BIN.parent / "tests" / "libunsynced_shim.so"


def sections(parameters, iterations):
    return {"run": {"id": "crash", "max_iterations": iterations}, "store": "./disk/store",
            "task": {"name": "synthetic", "parameters": parameters, "tensors": 6,
                     "iteration_ms": 5},
            "checkpoint": {"interval": 5, "keep_last": KEEP_LAST}, "restore": "auto"}


def without_fsync(of):
    """A wrapper of ranks. A sanitizer's runtime would have to come first."""
    sanitizer = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
    return ["env", f"LD_PRELOAD={SHIM}", f"ASAN_OPTIONS={sanitizer}", f"LOCKSTEP_UNSYNCED={of}"]


def mark_commits(job, recorder, until=None):
    """Marks each checkpoint once the job's log has acknowledged it: later than that, never
    earlier."""
    marked = 0
    while True:
        ended = job.process.poll() is not None  # before the log is read for the last time
        said = re.findall(r"committed (\d+@\d+)[,:].*\n", job.err())
        for name in said[marked:]:
            recorder.mark(f"committed {name}")
        marked = len(said)
        if ended or until and marked >= until:
            return
        time.sleep(0.001)


class Known(NamedTuple):
    """What marks tell."""
    checkpoints: list  # acknowledged, the newest last
    ended: list        # attempts whose launcher ended with 0

    @classmethod
    def by(cls, marks):
        said = [mark.split() for mark in marks]
        return cls([tuple(map(int, name.split("@"))) for what, name in said if what == "committed"],
                   [int(name) for what, name in said if what == "ended"])


class Judge:
    """Of a store in crash states: its faults, as (kind, sentence)."""

    def __init__(self, site, goal):
        """goal: an iteration that no attempt has reached."""
        self.site, self.store, self.goal = site, site.store, goal

    def faults(self, marks):
        known = Known.by(marks)
        good, faults = self.verified()
        return [*faults, *self.lost(known, good), *self.unusable(known, good)]

    def verified(self):
        """The good checkpoints, and what is torn."""
        if not (self.store.path / "store.json").exists():  # no store yet, or a lost one
            return set(), [("torn", f"{folder.name} lies in no store")
                           for folder in self.store.committed().values()]
        result = command("verify", self.store.path, "--json")
        if not result.out:
            return set(), [("torn", str(result))]
        record = json.loads(result.out)
        states = {(c["attempt"], c["iteration"]): c for c in record["checkpoints"]}
        good = {id for id, entry in states.items() if entry["state"] == "good"}
        faults = [("torn", f"{id}: {states.get(id, 'verify does not name it')}")
                  for id in sorted((states.keys() | self.store.committed().keys()) - good)]
        faults += [("torn", str(damaged)) for damaged in record["records"]]
        if result.code and not faults:
            faults.append(("torn", str(result)))
        return good, faults

    def lost(self, known, good):
        for id in known.checkpoints:
            newer = sorted(other for other in good if other > id)
            if id not in good and len(newer) < KEEP_LAST:
                yield "lost", f"{id} was acknowledged and is not there; newer ones: {newer}"
        names = {f"attempts/{attempt:04d}/{name}.json" for attempt, _ in known.checkpoints
                 for name in ("claim", "decision")}
        names |= {f"attempts/{attempt:04d}/outcome.json" for attempt in known.ended}
        for name in sorted(names | ({"store.json"} if names else set())):
            if not (self.store.path / name).exists():
                yield "lost", f"{name} was durable and is not there"

    def unusable(self, known, good):
        result = command("plan", "train.yaml", "--json", "--set", f"run.max_iterations={self.goal}",
                         cwd=self.site.folder)
        if result.code or not result.out:
            yield "unusable", f"plan: {result}"
            return
        parent = pair(json.loads(result.out)["parent"])
        if parent is not None and parent not in good:
            yield "unusable", f"plan chooses {parent}, of {sorted(good)}"
        newest = max(known.checkpoints, default=None)
        if newest and (parent is None or parent < newest):
            yield "unusable", f"plan chooses {parent}, and {newest} was acknowledged"


class PowerCuts(JobTest):
    @classmethod
    def setUpClass(cls):
        keep_mounts_private()

    def record(self, kind, parameters, wrapper=()):
        """A job on a disk of the test's, which is recorded."""
        require_disks(kind)
        self.kind, self.parameters, self.on_disk = kind, parameters, self.site()
        site = self.on_disk
        site.store = Store(site.folder / "disk" / "store")
        with Recorder(kind, site.folder / "recorded", site.folder / "disk") as recorder:
            job = site.start(wrapper=wrapper, **sections(parameters, 1000))
            mark_commits(job, recorder, until=KILLED)
            job.kill_all()
            last = max(site.store.committed())[1]
            job = site.start(wrapper=wrapper, **sections(parameters, last + MORE))
            mark_commits(job, recorder)
            self.expect_exit(job.wait(), 0)
            recorder.mark("ended 2")
            self.goal = last + 2 * MORE
            self.shard_bytes = site.store.manifest(2, last + MORE)["shards"][0]["bytes"]
        self.recording = Recording(recorder)

    def judge(self, count, launches=0):
        """Makes crash states; gives their faults as sentences, and {kind: states with one}."""
        judge, images = Judge(self.on_disk, self.goal), self.on_disk.folder / "crashed"
        launched = {count * (2 * i + 1) // (2 * launches) for i in range(launches)}
        found, faulty, writes = [], Counter(), Counter()
        for state, image in self.recording.states(count, SEED, images):
            try:
                with Mounted(image, self.on_disk.folder / "disk"):
                    faults = judge.faults(state.marks)
                    if state.number in launched:
                        self.carry_on()
            except OSError as error:
                faults = [("unusable", str(error))]
            found += [f"{state}: {kind}: {what}" for kind, what in faults]
            faulty.update({kind for kind, _ in faults})
            writes.update(lost=state.lost, torn=state.torn, kept=state.kept)
        self.tell(count, faulty, writes)
        return found, faulty

    def tell(self, count, faulty, writes):
        events = self.recording
        print(f"{self.kind}, shards of {self.shard_bytes} bytes: {count} states (seed {SEED}) of "
              f"{events.count(WRITE)} writes, {events.count(FLUSH)} flushes and "
              f"{events.count(MARK)} marks; unflushed writes: {writes['lost']} lost, "
              f"{writes['torn']} torn, {writes['kept']} kept. States: {faulty['lost']} lost, "
              f"{faulty['torn']} torn, {faulty['unusable']} unusable", flush=True)

    def carry_on(self):
        """A real launch finishes from here, and leaves a sound store."""
        self.expect_exit(self.on_disk.run(**sections(self.parameters, self.goal)), 0)
        verified = command("verify", self.on_disk.store.path)
        self.assertEqual(verified.code, 0, verified)

    def expect_all_there(self, kind, parameters, launches):
        self.record(kind, parameters)
        if parameters == LARGE:
            self.assertGreater(self.shard_bytes, DIRECT_BYTES)
        found, _ = self.judge(STATES // 2, launches)
        self.assertEqual(found, [])

    def expect_caught(self, kind, of):
        self.record(kind, SMALL, without_fsync(of))
        _, faulty = self.judge(STATES // 2)
        self.assertGreater(faulty["lost"] + faulty["torn"], 0, "nobody notices")


def add_tests(kind):
    tests = {
        f"{kind}_holds_what_was_acknowledged_small_shards":
            lambda self: self.expect_all_there(kind, SMALL, LAUNCHES - 1),
        f"{kind}_holds_what_was_acknowledged_large_shards":
            lambda self: self.expect_all_there(kind, LARGE, 1),
        f"{kind}_without_any_fsync_is_caught": lambda self: self.expect_caught(kind, "all"),
        f"{kind}_without_fsync_of_folders_is_caught":
            lambda self: self.expect_caught(kind, "folders"),
        f"{kind}_without_fsync_of_shards_is_caught":
            lambda self: self.expect_caught(kind, "/shard-"),
    }
    for name, test in tests.items():
        setattr(PowerCuts, f"test_{name}", test)


for each in MKFS:
    add_tests(each)


if __name__ == "__main__":
    main()
