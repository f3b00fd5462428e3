#!/usr/bin/env -S python3 -B
"""kill -9 at each named point of a save (common/fail_point.h), of rank 0, of the last rank, or of
all, while a job makes its second one: what was acknowledged is there and whole, nothing under a
final name is torn, the launcher says how it ended, and the same command carries on from the newest
checkpoint to the end, bit for bit as if nothing had happened.

A sample that has each point once; LOCKSTEP_LONG=1 takes every point with every rank in every kind
of save.
"""

import random
import re
import shutil
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lockstep_cluster import LONG
from lockstep_fail_points import END, KINDS, POINTS, RANKS, Case, Facts, cases_of, judge
from lockstep_faults import preloading
from lockstep_jobs import BIN, ROOT, command
from lockstep_nth import digest, launch_facts
from lockstep_test import JobTest, main

FAILING = BIN.parent / "tests" / "lockstepd_failing"
SHIM = BIN.parent / "tests" / "libnth_call_shim.so"
PRODUCT = (BIN / "lockstepd", BIN / "lockstep", BIN.parent / "libexec" / "lockstepd")
AT_ONCE = 2
SEED = 5
SETTLE_SECONDS = 10


def sample():
    """Each point once."""
    generator = random.Random(SEED)
    return [generator.choice(cases_of(name)) for name in POINTS]


def sections(case):
    parameters = 900_000 if POINTS[case.point].large else 2000  # 12 bytes each, of two ranks
    return {"run": {"max_iterations": END}, "restore": "auto",
            "task": {"name": "synthetic", "parameters": parameters, "tensors": 4,
                     "iteration_ms": 0},
            "checkpoint": {**KINDS[case.kind].checkpoint, "keep_last": 1000}}


def processes_of(session):
    """Those that still run."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, its = path.read_text().rpartition(")")[2].split()[:4]
        except OSError:  # it has just ended
            continue
        if int(its) == session and state not in "ZX":
            found.append(int(path.parent.name))
    return found


class FailPoints(JobTest):
    @classmethod
    def setUpClass(cls):
        cls.references, cls.counts, cls.counting = {}, Counter(), threading.Lock()
        for name in ("save begun", "later block written"):
            case = Case(name, "0", "waiting")
            site = cls.of_class().site(f"reference of {name}".replace(" ", "-"))
            of_each = {**sections(case), "checkpoint": {"interval": 1, "keep_last": 1000}}
            site.trained(END, **of_each)
            cls.references[POINTS[name].large] = {
                iteration: digest(site.store.tensors(1, iteration))
                for iteration in site.store.of_attempt(1)}

    def wrapper(self, case, site, note):
        failure = POINTS[case.point].failure
        words = ["env", f"LOCKSTEP_FAIL_AT={case.point}",
                 f"LOCKSTEP_FAIL_NTH={failure.save if failure else 2}",
                 f"LOCKSTEP_FAIL_RANKS={case.ranks}", f"LOCKSTEP_FAIL_NOTE={note}",
                 f"LOCKSTEP_FAIL_STOP={KINDS[case.kind].stop}"]
        if failure:
            words = preloading(SHIM, LOCKSTEP_NTH=failure.call, LOCKSTEP_NTH_RANK=failure.rank,
                               LOCKSTEP_NTH_STORE=site.store.path,
                               LOCKSTEP_NTH_NOTE=site.folder / "calls") + words
        return [*words, "sh", "-c", 'shift; exec "$0" "$@"', FAILING]

    def facts_of(self, case):
        site = self.site(re.sub(r"\W+", "-", "-".join(case)))
        note = site.folder / "killed"
        # Without a shell around the ranks the launcher sees the signal itself, and we no codes.
        job = site.start(wrapper=self.wrapper(case, site, note), direct=case.ranks == "all",
                         **sections(case))
        result = job.wait()
        deadline = time.monotonic() + SETTLE_SECONDS
        while (running := processes_of(job.process.pid)) and time.monotonic() < deadline:
            time.sleep(0.005)
        fired = re.findall(r"^(.*) (\d+)$", note.read_text() if note.exists() else "", re.MULTILINE)
        beat = site.store.heartbeat(1)
        outcome = (site.store.record(1, "outcome") or {}).get("outcome")
        first = launch_facts(result, site.store, command("verify", site.store.path).code)
        codes = {rank: code for rank, code in result.codes.items() if code is not None}
        result = site.run(**sections(case))
        second = launch_facts(result, site.store, command("verify", site.store.path).code)
        facts = Facts({(point, int(rank)) for point, rank in fired}, codes, running,
                      beat.committed if beat else None, outcome, first, second,
                      self.references[POINTS[case.point].large])
        return facts, site

    def tried(self, case):
        try:
            facts, site = self.facts_of(case)
            breaches = judge(case, facts)
        except AssertionError as error:  # it hangs, say
            breaches = [("end", str(error))]
        if not breaches:
            shutil.rmtree(site.folder)
        with self.counting:
            self.counts["cases"] += 1
            self.counts.update(what for what, _ in breaches)
        for what, breach in breaches:
            print(f"BREACH {', '.join(case)}: {what}: {breach}", flush=True)

    def test_what_was_acknowledged_outlives_a_kill_at_every_point(self):
        cases = [case for name in POINTS for case in cases_of(name)] if LONG else sample()
        self.assertEqual({case.point for case in cases}, set(POINTS))
        self.assertEqual({case.kind for case in cases}, set(KINDS))
        self.assertEqual({case.ranks for case in cases}, set(RANKS))
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for one in [pool.submit(self.tried, case) for case in cases]:
                one.result()
        counts = self.counts
        print(f"{counts['cases']} cases at {len(POINTS)} points (seed {SEED}): {counts['lost']} "
              f"lost, {counts['torn']} torn, {sum(counts.values()) - counts['cases']} breaches")
        self.assertEqual(+counts, Counter(cases=len(cases)))

    def test_every_point_of_the_sources_is_tried_and_none_is_in_the_product(self):
        sources = [path for folder in ("common", "coordinator", "worker")
                   for ending in ("h", "cpp") for path in (ROOT / folder).rglob(f"*.{ending}")]
        named = [name for path in sources for name in
                 re.findall(r'LOCKSTEP_FAIL_POINT\("(.*?)"\)', path.read_text())]
        self.assertEqual(sorted(named), sorted(POINTS))
        # Single words may stand in any program.
        names = {name.encode() + b"\0" for name in POINTS}
        marks = {b"fail_point", b"LOCKSTEP_FAIL_"}
        held = FAILING.read_bytes()
        self.assertEqual({text for text in names | marks if text not in held}, set())
        for path in PRODUCT:
            held = path.read_bytes()
            phrases = {name for name in names if b" " in name}
            self.assertEqual({text for text in phrases | marks if text in held}, set(), path)

    def test_the_judge_finds_planted_breaches(self):
        """Each planted in facts of a case in which it found nothing."""
        case = Case("renamed", "0", "waiting")
        facts, site = self.facts_of(case)
        self.assertEqual(judge(case, facts), [])
        first, second, made = facts.first, facts.second, (1, 10)
        self.assertIn(made, first.present)
        self.assertNotIn(made, facts.ledger())
        told = first._replace(said=first.said + "\n committed 1@11: 1 kB")
        gone = {id_: found for id_, found in first.present.items() if id_ != (1, 5)}
        planted = {
            "lost: (1, 11) was": facts._replace(first=told),
            "lost: (1, 12) was": facts._replace(beaten=12),
            "lost: (1, 5) was": facts._replace(first=first._replace(present=gone)),
            "torn: verify after the fir": facts._replace(first=first._replace(verified=1)),
            "torn: 1@10 after the first": facts._replace(
                first=first._replace(present={**first.present, made: facts.reference[9]})),
            "torn: 1@10 after the sec": facts._replace(
                second=second._replace(present={**second.present, made: None})),
            "order: killed there": facts._replace(
                first=first._replace(present={(1, 5): facts.reference[5]})),
            "not reached": facts._replace(fired=set()),
            "end: exit code 75": facts._replace(first=first._replace(code=75)),
            "end: rank 1 ends with 75": facts._replace(codes={1: 75}),
            "end: processes": facts._replace(running=[4242]),
            "end: an outcome": facts._replace(outcome="preempted"),
            "next: the next launch ends": facts._replace(second=second._replace(code=2)),
            "next: the next launch starts": facts._replace(second=second._replace(parent=(1, 5))),
            "next: the next launch does": facts._replace(second=second._replace(present={})),
            "next: not swept": facts._replace(second=second._replace(leftover=[".x.partial"])),
        }
        for sentence, doctored in planted.items():
            found = [f"{what}: {breach}" for what, breach in judge(case, doctored)]
            self.assertTrue(any(each.startswith(sentence) for each in found), (sentence, found))
        # And in a store: what is deleted there is missed.
        shutil.rmtree(site.store.checkpoint(1, 5))
        damaged = launch_facts(None, site.store, command("verify", site.store.path).code)
        found = judge(case, facts._replace(second=second._replace(present=damaged.present)))
        self.assertEqual([what for what, _ in found], ["lost"])


if __name__ == "__main__":
    main()
