#!/usr/bin/env -S python3 -B
"""The golden stores, tests/golden/vVERSION: what a version of the format wrote, every later program
reads, answers for as it was recorded then, and goes on from.

A recorded answer may have got new fields since, and texts for people may be said in other words;
what is recorded of it must be there. Made by tests/golden/make.sh, which also calls
`golden_test.py --record FOLDER`. What does not fit any more is the program's mistake, never the
store's: these files do not change."""

import hashlib
import json
import re
import sys
import tempfile
from pathlib import Path

from lockstep_format import exported, read, reader
from lockstep_jobs import ROOT, command
from lockstep_test import JobTest, main, pair

PLANS = (  # flags of `lockstep plan`, behind that the run goes on to iteration 60
    ["--set", "restore=2@30"],  # what attempt 4 was asked for: carried on
    ["--set", "restore=2@30", "--verify"],
    [],  # another request than attempt 4's
    ["--verify"],
    ["--set", "restore=fresh"],
    ["--set", "restore=best", "--verify"],
    ["--set", "restore=1@10"],  # in a deletion that was cut off
    ["--set", "restore=40", "--verify"],
    ["--set", "restore=2@40"],  # damaged
    ["--set", "restore=3@30"],  # not finite
    ["--set", "restore=4@50", "--verify"],  # damaged
    ["--set", "restore=4@60"],  # not there
    ["--set", "run.max_iterations=40"],
)
FIELDS = ("kind", "attempt", "parent", "source", "request", "run", "verified", "rejected",
          "manifest_digest", "exit_code")
STATUS = ("attempt", "run", "alive", "outcome", "iteration", "last_committed_iteration")


def json_of(*argv):
    return json.loads(command(*argv, "--json").out)


def graph(text):
    """The rows of checkpoints, without their age."""
    rows = [re.split("  +", line.strip()) for line in text.partition("\n\n")[0].splitlines()]
    return [row[:1] + row[2:5] + [row[5].partition(":")[0]] if len(row) > 5 else row
            for row in rows]


def shortened(value):
    """Why something is damaged: only where it is."""
    if isinstance(value, dict):
        return {key: item.partition(":")[0] if key == "why" and item else shortened(item)
                for key, item in value.items()}
    return list(map(shortened, value)) if isinstance(value, list) else value


def without_age(shown):
    """What `show` prints, without how long ago a checkpoint was made."""
    return re.sub(r"(?m)(^created +\S+Z), .* ago$", r"\1", shown)


def answers(golden, scratch):
    """What is said of a golden store that depends on no machine and no day."""
    store = golden / "store"
    listed = json_of("ls", store, "--all")
    names = [f"{x['attempt']}@{x['iteration']}" for x in listed["checkpoints"]]
    shown = {name: re.sub(r"(: shard \d+): .*", r"\1", without_age(command("show", store, name).out))
             for name in names}
    status = json_of("status", store)
    verified = command("verify", store, "--json")
    plans = [command("plan", golden / "train.yaml", "--ignore-running", "--json",
                     "--set", "run.max_iterations=60", *flags) for flags in PLANS]
    return shortened({
        "files": {str(path.relative_to(golden)): hashlib.sha256(path.read_bytes()).hexdigest()
                  for path in sorted(store.rglob("*")) if path.is_file()},
        "ls --json": listed,
        "ls": graph(command("ls", store, "--all").out),
        "show": {name: dict(re.split("  +", line, maxsplit=1) for line in said.splitlines())
                 for name, said in shown.items()},
        "status": {key: status[key] for key in STATUS},
        "verify": {key: value for key, value in json.loads(verified.out).items()
                   if key not in ("bytes", "seconds")},  # what it has cost
        "plan": [{"flags": flags, **{key: json.loads(plan.out)[key] for key in FIELDS}}
                 for flags, plan in zip(PLANS, plans, strict=True)],
        "tensors": {name: exported(store, name, scratch / "tensors") for name in names},
        "reader": reader(store).out.splitlines(),
    })


def missing(recorded, now, where=""):
    """What an answer does not have any more as it was recorded; more than that it may have."""
    if isinstance(recorded, dict) and isinstance(now, dict):
        return [lost for key, value in recorded.items()
                for lost in missing(value, now.get(key), f"{where} {key}")]
    if isinstance(recorded, list) and isinstance(now, list) and len(recorded) == len(now):
        return [lost for at, (a, b) in enumerate(zip(recorded, now))
                for lost in missing(a, b, f"{where} {at}")]
    return [] if recorded == now else [f"{where}: {now!r}, recorded {recorded!r}"]


class GoldenStores(JobTest):
    def each(self):
        """(a version's folder, what was recorded)"""
        folders = sorted((ROOT / "tests" / "golden").glob("v*"))
        self.assertTrue(folders, "no golden store")
        return [(folder, json.loads((folder / "answers.json").read_text())) for folder in folders]

    def test_all_that_is_said_of_a_golden_store_is_as_it_was_recorded(self):
        for golden, recorded in self.each():
            now = answers(golden, self.site(golden.name).folder)
            self.assertEqual(missing(recorded, now), [])
            self.assertEqual(list(recorded["files"]), list(now["files"]))

    def test_the_reader_in_python_finds_the_same_tensors_and_the_damage(self):
        for golden, recorded in self.each():
            for name, tensors in recorded["tensors"].items():
                if isinstance(tensors, dict):
                    self.assertEqual(read(self, golden / "store", name), tensors, name)
                else:
                    result = reader(golden / "store", name)
                    self.assertEqual((result.code, result.out), (1, ""), result)
                    self.assertRegex(result.err, "damaged: .*shard", result)

    def test_a_job_goes_on_from_the_newest_good_checkpoint_of_a_copy(self):
        for golden, recorded in self.each():
            site = self.site(golden.name)
            # A checkout has no empty folders, and other times and modes.
            for name in recorded["files"]:
                copy = site.folder / name
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes((golden / name).read_bytes())
            # Nothing is learnt, so the weights stay as they were restored.
            still = ("run.max_iterations=60", "optimizer.learning_rate=0",
                     "optimizer.weight_decay=0")
            result = site.run(text=(golden / "train.yaml").read_text(), sets=still, verify=True)
            self.expect_exit(result, 0, "restored 4@40", "committed 5@60")
            decision = site.store.record(5, "decision")
            self.assertEqual(pair(decision["parent"]), (4, 40))
            self.assertEqual([pair(x) for x in decision["rejected"]], [(4, 50)])
            weights = {name: facts for name, facts in recorded["tensors"]["4@40"].items()
                       if name.startswith("model.")}
            now = read(self, site.store.path, "5@60")
            self.assertEqual({name: now[name] for name in weights}, weights)
            before, after = site.store.manifest(4, 40), site.store.manifest(5, 60)
            self.assertEqual(pair(after["parent"]), (4, 40))
            self.assertEqual(after["data"]["digest"], before["data"]["digest"])
            self.assertEqual(after["data"]["position"] - before["data"]["position"], 20 * 12)
            # What attempt 4 was about when it was killed is settled.
            self.assertIn((1, 10), site.store.committed())
            self.assertEqual(site.store.partials(), [])
            damaged = [pair(x) for x in json_of("verify", site.store.path)["checkpoints"]
                       if x["state"] == "damaged"]
            self.assertEqual(sorted(damaged), [(2, 40), (4, 50)])


def record(golden):
    with tempfile.TemporaryDirectory() as scratch:
        found = answers(golden, Path(scratch))
    (golden / "answers.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--record"]:
        record(Path(sys.argv[2]))
    else:
        main()
