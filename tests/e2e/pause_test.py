#!/usr/bin/env -S python3 -B
"""Two jobs on one store: the first is stopped by SIGSTOP between any two steps of claim, commit and
delete, a second one takes the store over, trains, commits and ends, and the first wakes up.

Nothing of what the second has committed may be lost or changed, no commit of the sleeper may count
that the second has not seen, and what was acknowledged must still be there. In claim and commit the
stop is strace's: it delivers SIGSTOP at the N-th call of a kind, where N is taken from a trace of
the same job run without a stop; where it really stopped is read from the trace and compared. A
deletion runs in a thread of its own beside training: there the stop is a preloaded shim's, right
before the N-th rename, unlink or rmdir in trash. A commit is the same calls on whatever thread; the
sleeper's are made on the one that trains (checkpoint.async: false), where they come in one order.

Of two ranks either rank 0 is stopped, or rank 1 in its shard. In the latter case rank 0 waits with
its heartbeat going on: the job is alive, and only a restart of its Slurm job takes over.
"""

import os
import re
import shutil
import signal
import time
import unittest
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from lockstep_jobs import BIN, is_running
from lockstep_store import snapshot
from lockstep_test import JobTest, main, pair

CALLS = ("mkdir", "rename", "link", "fsync", "unlink", "rmdir", "getdents64")
STRACE = ["strace", "-f", "-qq", "-y", "-s", "4096"]
TRACE = "-e trace=" + ",".join(CALLS)
ATTEMPT = 2  # the sleeper's, where it comes to claim one
SHARD = f"/checkpoints/.{ATTEMPT:04d}-0000000030.partial/shard-00001-of-00002.safetensors"
AT_ONCE = 8  # most of the time a job waits for another
STOPPED = "--- stopped by SIGSTOP ---"
SMALL = {"parameters": 2000, "tensors": 2}
SLOW = {**SMALL, "iteration_ms": 20}  # so that a deletion ends before the next commit
SHIM = BIN.parent / "tests" / "libpause_shim.so"
LISTING = "getdents64"
SLEEPER = {"run": {"id": "sleeper", "max_iterations": 40}, "restore": "latest",
           "checkpoint": {"interval": 10, "keep_last": 1, "async": False}}
SECOND = {"run": {"id": "second", "max_iterations": 40}, "restore": "latest"}
# A restart takes over from an earlier launch of its Slurm job, even where that is alive.
LAUNCH = {"rank_env": {"SLURM_JOB_ID": 4242}, "preempt": {"grace_seconds": 0}}
RESTART = {"rank_env": {"SLURM_JOB_ID": 4242, "SLURM_RESTART_COUNT": 1}, "busy": True}


class Step(NamedTuple):
    """A call in the store: its name, its paths without what is random, which call of its name it is
    in its thread (in its shard, of a rank > 0; in this folder, of a listing), and whether
    decision.json is in its place after it."""
    phase: str
    name: str
    what: str
    nth: int
    decided: bool = True
    rank: int = 0


def calls_of(text, store):
    """(thread, name, paths below the store) of each call of a trace; paths are "" elsewhere."""
    for line in text.splitlines():
        if not (found := re.match(r"(\d+) +(\w+)\((.*)", line)):
            continue
        paths = re.findall(rf'[<"]{re.escape(str(store))}([^>"]*)[>"]', found[3])
        stable = re.sub(r"[0-9a-f]{16}", "*", " -> ".join(paths))
        yield found[1], found[2], stable if paths else None


def claim_and_commit(calls):
    """The calls of the thread that trains, from the last one before the claim to the next save."""
    mine = next(thread for thread, _, what in calls if what == f"/attempts/{ATTEMPT:04d}")
    seen, steps, begun, decided = Counter(), [], False, False
    for thread, name, what in calls:
        seen[thread, name] += 1
        seen[thread, name, what] += 1
        if what is None or thread != mine:
            continue
        begun = begun or f"/.{ATTEMPT:04d}-" in what
        if begun and f".{ATTEMPT:04d}-0000000040.partial" in what:
            return steps
        decided = decided or name == "rename" and what.endswith("/decision.json")
        step = Step("commit" if begun else "claim", name, what,
                    seen[thread, name, what] if name == LISTING else seen[thread, name], decided)
        if steps and steps[-1][:3] == step[:3]:
            steps.pop()  # a listing is complete only with its last call
        steps.append(step)
    return steps


def deletion(calls):
    """The calls of the deletions that the first commit leads to."""
    trash = [(name, what) for _, name, what in calls
             if what and "/.trash-" in what and name in ("rename", "unlink", "rmdir")]
    return [Step("delete", name, what, nth + 1)
            for nth, (name, what) in enumerate(trash)
            if not re.search(rf"-{ATTEMPT:04d}-\d{{10}}", what)]  # of the second commit's


def threads_of(pid):
    """{thread: the letter of its state}"""
    found = {}
    for path in Path(f"/proc/{pid}/task").glob("*/stat"):
        try:
            found[int(path.parent.name)] = path.read_text().rpartition(")")[2].split()[0]
        except OSError:  # it has ended
            pass
    return found


def is_stopped(pid):
    states = threads_of(pid).values()
    return states and set(states) == {"T"}


def as_committed(store):
    """{(attempt, iteration): its files' digests} of what counts: in its place, or in trash that
    still has its manifest."""
    found = {key: snapshot(folder) for key, folder in store.committed().items()}
    for path in (store.path / "checkpoints").glob(".trash-*"):
        name = re.fullmatch(r"\.trash-\d+-[0-9a-f]+-(\d+)-(\d+)", path.name)
        if name and (path / "manifest.json").exists():
            found.setdefault((int(name[1]), int(name[2])), snapshot(path))
    return found


def acknowledged(text):
    return {(int(a), int(i)) for a, i in re.findall(r"committed (\d+)@(\d+)", text)}


@unittest.skipUnless(shutil.which("strace"), "strace is missing")
class SleepersWakeUpLate(JobTest):
    @classmethod
    def setUpClass(cls):
        cls.origin = cls.of_class().site("origin")
        cls.origin.trained(20, ranks=1, task=SMALL)

    def sleeper(self, site, ranks, *options, traced=0, **how):
        """One of its ranks runs under strace."""
        script = site.folder / "traced.sh"
        script.write_text(f'#!/bin/sh\n[ "$OMPI_COMM_WORLD_RANK" = {traced} ] || exec "$@"\n'
                          f'exec {" ".join(STRACE)} -o {site.folder}/trace {" ".join(options)} '
                          '"$@"\n')
        script.chmod(0o755)
        return site.start(ranks=ranks, wrapper=[script], task=SLOW, **SLEEPER, **how)

    def steps(self, ranks):
        site = self.origin.copy(self, f"plain{ranks}")
        self.expect_exit(self.sleeper(site, ranks, TRACE).wait(), 0)
        calls = list(calls_of((site.folder / "trace").read_text(), site.store.path))
        return claim_and_commit(calls) + deletion(calls)

    def asleep_in_deletion(self, site, ranks, step):
        wrapper = ["env", f"LD_PRELOAD={SHIM}", f"LOCKSTEP_PAUSE_AT={step.nth}"]
        job = site.start(ranks=ranks, wrapper=wrapper, task=SLOW, **SLEEPER)
        job.until(lambda: job.pids(0) and is_stopped(job.pids(0)[0]), f"it stops before {step}")
        return job, job.pids(0)[0]

    def asleep(self, site, ranks, step):
        """Starts the sleeper and waits until it has stopped at `step`; its process."""
        if step.phase == "delete":
            return self.asleep_in_deletion(site, ranks, step)
        trace, nth = TRACE, step.nth
        if step.rank or step.name in ("mkdir", LISTING):
            # Counted on this path alone: MPI's own calls of two ranks are not the same each time,
            # and the heartbeat's thread looks for requests as often as it comes to.
            path = step.what.partition(" -> ")[0]
            trace = f"-e trace={step.name} -P {site.store.path}{path}"
            nth = 1 if step.name == "mkdir" and not step.rank else step.nth
        # Who sleeps before it has decided finds another store when it wakes: either another number
        # and another newest checkpoint, or it is superseded. No plan can know that.
        job = self.sleeper(site, ranks, trace,
                           f"-e inject={step.name}:signal=SIGSTOP:when={nth}",
                           traced=step.rank, foreseen=step.decided,
                           **(LAUNCH if step.rank else {}))
        trace = site.folder / "trace"
        text = job.until(lambda: trace.exists() and STOPPED in (text := trace.read_text()) and text,
                         f"it stops after {step}")
        # Other threads may have said something in between.
        before, _, _ = text.partition("--- SIGSTOP")
        stopped = before.splitlines()[-1].split()[0]
        thread, name, what = [call for call in calls_of(before, site.store.path)
                              if call[0] == stopped][-1]
        self.assertEqual((name, what), (step.name, step.what), "it stopped somewhere else")
        # Its threads stop one after the other; until the last one has, the heartbeat goes on.
        job.until(lambda: trace.read_text().count(STOPPED) >= len(threads_of(thread)),
                  "all its threads stop")
        return job, int(thread)

    def wake(self, job, thread):
        """Its threads stop one after the other; a SIGCONT before the last one has would be lost."""
        while is_running(thread):
            try:
                os.kill(thread, signal.SIGCONT)
            except ProcessLookupError:
                break
            deadline = time.monotonic() + 0.5
            while time.monotonic() < deadline and is_running(thread):
                time.sleep(0.01)
        return job.wait()

    def pause(self, number, ranks, step):
        """One pause: what was seen of it, as (late commits accepted, checkpoints lost)."""
        site = self.origin.copy(self, f"step{number}")
        job, thread = self.asleep(site, ranks, step)
        said_before = acknowledged(job.err() + (job.folder / "out").read_text())
        there = as_committed(site.store)
        # Where rank 0 is awake its heartbeat goes on.
        second = site.run(ranks=1, task=SMALL, **SECOND, **(RESTART if step.rank else {}))
        self.expect_exit(second, 0)
        number = max(site.store.attempts())
        of_second = as_committed(site.store)
        began_at = pair(site.store.record(number, "decision")["parent"])
        newest = max(key for key in of_second if key[0] == number)

        woken = self.wake(job, thread)
        now = site.store.committed()
        lost = [key for key, files in {**there, **of_second}.items()
                if key not in now or snapshot(now[key]) != files]
        late = acknowledged(woken.out + woken.err) - said_before
        accepted = [key for key in late if key[0] < number and key != began_at]
        self.assertEqual(lost, [], f"lost or changed: {woken}")
        self.assertEqual(accepted, [], f"acknowledged though nobody has seen it: {woken}")
        if number == ATTEMPT:  # it had not claimed: it carries on from what the second has made
            self.expect_exit(woken, 0)
        else:
            self.expect_exit(woken, 2, "superseded")
            self.assertEqual(site.store.record(ATTEMPT, "outcome")["outcome"], "superseded")
        plan = site.plan(restore="latest", run={"id": "third", "max_iterations": 1000})
        self.assertEqual(pair(plan["parent"]), newest, plan["reasons"])
        listed = site.listed("--all")
        reached = max((key for key, entry in listed.items() if entry["eligible"]),
                      key=lambda key: (key[0] == number, key[1]))
        self.assertEqual(reached, newest)
        for key in said_before | acknowledged(second.out + second.err):
            if key in there or key in of_second:
                self.assertIn(listed[key]["state"], ("good", "abandoned"), key)
        return step.phase, len(accepted), len(lost), len(late)

    def expect_all_phases(self, steps):
        phases = Counter(step.phase for step in steps)
        self.assertGreaterEqual(phases["claim"], 8, steps)
        self.assertGreaterEqual(phases["commit"], 8, steps)
        self.assertGreaterEqual(phases["delete"], 5, steps)

    def of_one_rank(self):
        steps = self.steps(1)
        self.expect_all_phases(steps)
        return steps

    def of_rank_0_of_two(self):
        """All of the commit, which is what the ranks do together. Of the claim, all of which rank 1
        spends waiting in one broadcast, and of the deletion, of which it knows nothing, only what
        others can see: the renames, and the first file deleted."""
        steps = self.steps(2)
        self.expect_all_phases(steps)
        unlinked = next(step for step in steps if step[:2] == ("delete", "unlink"))
        return [step for step in steps
                if step.phase == "commit" or step.name == "rename" or step == unlinked]

    def of_rank_1_of_two(self):
        """In its shard of the first commit, while rank 0 waits for it."""
        opened = Step("shard", "openat", f"{SHARD} -> {SHARD}", 1, rank=1)
        return [opened, *(Step("shard", name, SHARD, nth, rank=1) for name, nth in (
            ("fallocate", 1), ("pwrite64", 1), ("pwrite64", 2), ("fsync", 1), ("close", 1)))]

    def test_whatever_step_they_slept_at(self):
        tries = [(1, step) for step in self.of_one_rank()]
        tries += [(2, step) for step in self.of_rank_0_of_two() + self.of_rank_1_of_two()]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            running = [pool.submit(self.pause, i, *one) for i, one in enumerate(tries)]
        found = []
        for (ranks, step), tried in zip(tries, running):
            with self.subTest(f"rank {step.rank} of {ranks} stopped at {step.phase}: {step.name} "
                              f"{step.what}"):
                found.append(tried.result())
        phases = Counter(f"{step.phase}, {ranks} rank{'s' * (ranks > 1)}" for ranks, step in tries)
        print(f"pauses: {len(found)} steps (" +
              "; ".join(f"{phase}: {n}" for phase, n in phases.items()) +
              f"), {sum(accepted for _, accepted, _, _ in found)} accepted commits of the sleeper, "
              f"{sum(lost for _, _, lost, _ in found)} lost; "
              f"{sum(late for *_, late in found)} commits that the second had seen were "
              "acknowledged after it woke")

    def test_rank_1_of_two_asleep_in_its_shard_is_no_dead_job(self):
        """Rank 0's heartbeat goes on: the store is in use, and the commit is only late."""
        site = self.origin.copy(self)
        job, thread = self.asleep(site, 2, Step("shard", "fsync", SHARD, 1, rank=1))
        self.expect_exit(site.run(ranks=1, task=SMALL, **SECOND, busy=True), 2, "in use")
        self.assertEqual(sorted(site.store.committed()), [(1, 10), (1, 20)])
        self.expect_exit(self.wake(job, thread), 0, "committed 2@30", "committed 2@40")


if __name__ == "__main__":
    main()
