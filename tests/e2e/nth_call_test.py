#!/usr/bin/env -S python3 -B
"""Each system call that a save or a load makes on the store fails in its turn: the job ends with a
documented code, says why, loses nothing that it acknowledged, and the next launch carries on. What
the programs must live with, interrupted calls and short transfers, nobody notices.

A sample of the cases; LOCKSTEP_LONG=1 takes all: the 1st, 2nd, 3rd ... call of each kind, until
there is none, and LOCKSTEP_SCENES='save|load of two, last' only those of the scenes.
"""

import itertools
import os
import random
import re
import shutil
import threading
import unittest
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from lockstep_cluster import LONG
from lockstep_faults import preloading
from lockstep_jobs import BIN, command
from lockstep_nth import (DIRECT_ERRORS, ERRORS, INTERVAL, Case, Facts, digest, judge, launch_facts,
                          parse_calls)
from lockstep_test import JobTest, main

SHIM = BIN.parent / "tests" / "libnth_call_shim.so"
CASES = 40  # of a sample
AT_ONCE = 6 if LONG else 3
SEED = 7
BEGIN = 4 * INTERVAL  # all launches carry on from there
SAVES = 4  # of a launch, all of which stay; what was there before is deleted meanwhile

# What strace calls them.
SYSTEM_CALLS = {
    "openat": ("open", "create", "open_direct"), "pread64": ("pread", "pread_direct"),
    "pwrite64": ("pwrite", "pwrite_direct"), "read": ("read",), "write": ("write",),
    "fallocate": ("fallocate",), "ftruncate": ("ftruncate",), "fsync": ("fsync",),
    "mkdir": ("mkdir",), "rename": ("rename",), "link": ("link",), "unlink": ("unlink",),
    "rmdir": ("rmdir",), "statfs": ("statfs",), "readlink": ("realpath",),
}
# Of these the C library makes some by itself: what opendir, readdir and closedir consist of.
BESIDE = {"close", "newfstatat", "fstat", "stat", "lstat", "getdents64", "fcntl"}
STRACE = ["strace", "-f", "--seccomp-bpf", "-qq", "-y", "-e", "trace=%file,%desc", "-e",
          "signal=none"]


class Scene(NamedTuple):
    phase: str
    ranks: int = 1
    rank: int = 0
    large: bool = False

    def end(self):
        """Of the launch that is disturbed."""
        return BEGIN + (SAVES if self.phase == "save" else 1) * INTERVAL


SCENES = {"save": Scene("save"), "load": Scene("load"),
          "save of two, first": Scene("save", 2, 0), "save of two, last": Scene("save", 2, 1),
          "load of two, first": Scene("load", 2, 0), "load of two, last": Scene("load", 2, 1),
          "large save": Scene("save", large=True), "large load": Scene("load", large=True)}


def sections(scene, to):
    # A shard goes past the page cache from 4 MiB on; adamw's state is 12 bytes a parameter.
    parameters = 900_000 if scene.large else 2000
    return {"run": {"max_iterations": to}, "restore": "auto",
            "task": {"name": "synthetic", "parameters": parameters, "tensors": 4,
                     "iteration_ms": 0},
            "checkpoint": {"interval": INTERVAL, "keep_last": SAVES},
            "watchdog": {"heartbeat_seconds": 5}}  # none of its own within a case


def leave_cache(folder):
    """What is in the cache is not read past it."""
    for path in folder.rglob("*.safetensors"):
        with open(path, "rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


class NthCall(JobTest):
    @classmethod
    def setUpClass(cls):
        cls.origins, cls.references = {}, {}
        cls.counts, cls.told, cls.counting = Counter(), Counter(), threading.Lock()
        for ranks, large in sorted({(scene.ranks, scene.large) for scene in SCENES.values()}):
            scene = Scene("load", ranks, large=large)
            site = cls.of_class().site(f"reference{ranks}{large}")
            cls.launch(site, scene, {**sections(scene, BEGIN + (SAVES + 1) * INTERVAL),
                                     "checkpoint": {"interval": INTERVAL, "keep_last": 1000}})
            cls.references[ranks, large] = {
                iteration: digest(site.store.tensors(1, iteration))
                for iteration in site.store.of_attempt(1)}
            cls.origins[ranks, large] = cls.of_class().site(f"origin{ranks}{large}")
            cls.launch(cls.origins[ranks, large], scene, sections(scene, BEGIN))

    @staticmethod
    def launch(site, scene, config, **how):
        """A job; of one rank without mpirun, which takes longer than the rank. By sh: a script that
        was written a moment ago may still be open in another thread's child, and busy."""
        site.launcher = (lambda ranks: ["sh"]) if scene.ranks == 1 else None
        return site.run(ranks=scene.ranks, direct=scene.ranks == 1, **config, **how)

    def disturbed(self, site, scene, words, to, before=()):
        """How it ended, None where it hung, and the rank's calls."""
        rank = scene.rank if scene.ranks > 1 else ""
        note = site.folder / "calls"
        wrapper = preloading(SHIM, LOCKSTEP_NTH=words, LOCKSTEP_NTH_RANK=rank,
                             LOCKSTEP_NTH_STORE=site.store.path, LOCKSTEP_NTH_NOTE=note)
        try:
            result = self.launch(site, scene, sections(scene, to), foreseen=False,
                                 wrapper=[*before, *wrapper])
        except AssertionError as error:
            self.assertIn("still running after", str(error))
            result = None
        return result, parse_calls(note.read_text())

    def prepared(self, scene, name):
        """A site as it is before the launch that is disturbed."""
        name = re.sub(r"\W+", "-", str(name))
        site = self.origins[scene.ranks, scene.large].copy(self, name)
        if scene.large:
            leave_cache(site.store.path)
        return site

    def facts_of(self, case):
        """None where there is no such call."""
        scene = SCENES[case.scene]
        site = self.prepared(scene, case)
        end = scene.end()
        result, calls = self.disturbed(site, scene, case.words(scene.phase), end)
        if not any(call.failed for call in calls):
            shutil.rmtree(site.folder)
            return None
        first = launch_facts(result, site.store, command("verify", site.store.path).code)
        result = self.launch(site, scene, sections(scene, end + INTERVAL))
        second = launch_facts(result, site.store, command("verify", site.store.path).code)
        return Facts(calls, scene.phase == "load", BEGIN, end, first, second,
                     self.references[scene.ranks, scene.large], site.folder)

    def tried(self, case):
        """Whether there is such a call; its breaches are counted."""
        try:
            facts = self.facts_of(case)
        except AssertionError as error:  # plan and launch differ, say
            self.tell(case, [error])
            return False
        if not facts:
            return False
        breaches = judge(case, facts)
        self.count(case, SCENES[case.scene], facts)
        if not breaches:
            shutil.rmtree(facts.folder)
        self.tell(case, breaches)
        return True

    def tell(self, case, breaches):
        with self.counting:
            self.counts["breaches"] += len(breaches)
        for breach in breaches:
            print(f"BREACH {case}: {breach}", flush=True)

    def count(self, case, scene, facts):
        said = re.search(r" (warning|error): ", facts.first.said)
        with self.counting:
            self.told[case.call, case.error, f"code {facts.first.code}" +
                      (", told" if said else ", nothing told")] += 1
            rank = f"{scene.phase}, rank {scene.rank} of {scene.ranks}"
            self.counts[case.call, case.error, rank] += 1

    def tried_all(self, scene, call, error):
        for n in itertools.count(1):
            if not self.tried(Case(scene, call, error, n)):
                break
        if error != "EINTR":  # for ever would be no interruption
            self.tried(Case(scene, call, error, 1, goes_on=True))
            self.tried(Case(scene, call, error, n // 2 + 1, goes_on=True))
        print(f"{scene}: {error} of {call}: {n - 1} calls", flush=True)

    def calls_of(self, name):
        """Of a scene in which nothing fails."""
        scene = SCENES[name]
        site = self.prepared(scene, f"count of {name}")
        return self.disturbed(site, scene, f"{scene.phase} none 0 1", scene.end())[1]

    def sample(self):
        """Of each scene's calls some, each kind with an error once before any comes again."""
        chosen, numbers = [], {}
        for name in SCENES:
            calls = self.calls_of(name)
            numbers[name] = Counter(call.name for call in calls)
            numbers[name]["ftruncate"] = numbers[name]["fallocate"]  # which then stands in for it
        generator = random.Random(SEED)
        for call, errors in {**ERRORS, **DIRECT_ERRORS}.items():
            for error in errors:
                scenes = [name for name in SCENES if numbers[name][call] and
                          SCENES[name].large == (call in DIRECT_ERRORS)]
                for name in generator.sample(scenes, min(len(scenes), 3)):
                    n = generator.randint(1, numbers[name][call])
                    goes_on = error != "EINTR" and generator.random() < 0.25
                    chosen.append((generator.random(), Case(name, call, error, n, goes_on)))
        chosen.sort()
        seen = Counter()
        order = []
        for _, case in chosen:
            seen[case.call, case.error] += 1
            order.append((seen[case.call, case.error], case))
        return [case for _, case in sorted(order, key=lambda item: item[0])[:CASES]]

    def test_each_call_that_fails_is_told_or_mended_and_nothing_is_lost(self):
        with ThreadPoolExecutor(AT_ONCE) as pool:
            if LONG:
                wanted = os.environ.get("LOCKSTEP_SCENES", ".*")
                work = [pool.submit(self.tried_all, name, call, error)
                        for name, scene in SCENES.items() if re.fullmatch(wanted, name)
                        for call, errors in (DIRECT_ERRORS if scene.large else ERRORS).items()
                        for error in errors]
            else:
                work = [pool.submit(self.tried, case) for case in self.sample()]
            for one in work:
                one.result()
        breaches = self.counts.pop("breaches", 0)
        print(f"{sum(self.counts.values())} cases, {breaches} breaches")
        for by in range(3):
            cases = Counter()
            for key, number in self.counts.items():
                cases[key[by]] += number
            print("  " + "; ".join(f"{key} {number}" for key, number in sorted(cases.items())))
        for key, number in sorted(self.told.items()) if LONG else ():
            print(f"  {number:5} {' '.join(key)}")
        self.assertEqual(breaches, 0)

    def test_a_claim_that_can_not_be_read_just_now_is_no_other_store(self):
        opened = [call.path for call in self.calls_of("load") if call.name == "open"]
        claims = [n for n, path in enumerate(opened, 1) if path.endswith("/0002/claim.json")]
        self.assertTrue(claims)
        for goes_on, code in ((False, 0), (True, 3)):
            case = Case("load", "open", "EIO", claims[-1], goes_on)
            facts = self.facts_of(case)
            self.assertEqual((judge(case, facts), facts.first.code), ([], code))

    @unittest.skipUnless(shutil.which("strace"), "strace is missing")
    def test_strace_sees_no_call_that_can_not_be_made_to_fail(self):
        scene = SCENES["save"]
        site = self.prepared(scene, "traced")
        trace = site.folder / "trace"
        result, calls = self.disturbed(site, scene, "any none 0 1", scene.end(),
                                       [*STRACE, "-o", trace])
        self.assertEqual(result.code, 0, result)
        below = re.escape(str(site.store.path))
        traced = Counter(re.findall(rf"^\d+ +(\w+)\((?!.*/job).*{below}[>\"/]",
                                    trace.read_text(errors="replace"), re.MULTILINE))
        self.assertGreater(traced["pwrite64"], 0)
        self.assertEqual(set(traced) - set(SYSTEM_CALLS) - BESIDE - {"execve"}, set())
        noted = Counter(call.name for call in calls)
        for system_call, names in SYSTEM_CALLS.items():
            self.assertEqual(traced[system_call], sum(noted[each] for each in names),
                             system_call)

    def test_the_judge_finds_planted_breaches(self):
        """Each planted in facts of a case in which it found nothing."""
        save, load = Case("save", "write", "ENOSPC", 1), Case("load", "pread", "EIO", 3)
        saved, loaded = self.facts_of(save), self.facts_of(load)
        self.assertEqual((judge(save, saved), judge(load, loaded)), ([], []))
        self.assertEqual((saved.first.code, loaded.first.code), (0, 0))
        said = saved.first.said
        due = BEGIN + INTERVAL
        self.assertIn(f"iteration {due} is not saved (", said)
        newest = (2, SCENES["save"].end())

        def first(**planted):
            return saved._replace(first=saved.first._replace(**planted))

        def second(**planted):
            return saved._replace(second=saved.second._replace(**planted))

        def present(**planted):
            return {**saved.first.present, newest: planted["digest"]}

        gone = {id_: found for id_, found in saved.first.present.items() if id_ != newest}
        ignored = [call._replace(failed=call.name == "fsync") for call in saved.calls]
        silent = "\n".join(line for line in said.splitlines() if "not saved" not in line)
        planted = {
            "it hangs": first(code=None), "exit code 139": first(code=139),
            "exit code 3": first(code=3),
            "without its cause": first(said=said.replace("no s", "")),
            f"the save of {due}": first(said=silent),
            "work unsaved": first(said=said.replace(f" committed 2@{newest[1]}", "")),
            "verify after the first": first(verified=1), "verify after the sec": second(verified=1),
            "is not what an": first(present=present(digest=saved.reference[due])),
            "can't be read": first(present=present(digest=None)),
            "is gone": first(present=gone), "next launch ends with 2": second(code=2),
            "starts from (1, 40)": second(parent=(1, 40)), "starts from None": second(parent=None),
            "not save iteration": second(said=""),
            "not swept": second(leftover=[".0001-0000000010.partial"]),
            "nothing is said of fsync": first(said=silent)._replace(calls=ignored),
            "told 2 times": first(said=f"{said}\n{said}"),
            "taken for damage": first(said=f"{said}\nretention: 1@10 deleted: damaged"),
        }
        found = [(what, judge(save, facts)) for what, facts in planted.items()]
        noticed = judge(save._replace(error="EINTR"), saved)
        elsewhere = loaded._replace(first=loaded.first._replace(parent=(1, BEGIN - INTERVAL)))
        found += [("it is noticed", noticed), ("it trains from (1, 30)", judge(load, elsewhere))]
        for what, breaches in found:
            with self.subTest(what):
                self.assertTrue(any(what in breach for breach in breaches), breaches)


if __name__ == "__main__":
    main()
