#!/usr/bin/env -S python3 -B
"""README's commands run, each of them here or where it is told, and its defaults are a job's."""

import json
import re

from lockstep_documents import Placed, Session, blocks
from lockstep_jobs import BIN, ROOT, command as lockstep, yaml_text
from lockstep_store import Store
from lockstep_test import JobTest, main

# Who runs the commands that are not typed here: a test, by its name in CTest; or why none does.
ELSEWHERE = {
    "it installs what is missing": ["deploy/bootstrap.sh", "deploy/demo.sh"],
    "it builds all and runs this test": [
        "deploy/test.sh", "cmake --preset release", "cmake --build --preset release",
        "ctest --preset release", "cmake --workflow --preset dev"],
    "it needs a GPU": ["deploy/gpu_check.sh"],
    "it downloads LibTorch; e2e_package: its options": ["lockstep-libtorch"],
    "e2e_fuzz, seconds; fuzz_corpus_*, in CTest: the same inputs, and some more":
        ["tests/fuzz/run.sh 600"],
    "e2e_slurm_exit_codes": ["srun --mpi=pmix lockstepd train.yaml"],
    "e2e_slurm": [
        "lockstep plan train.yaml && sbatch deploy/slurm/train_srun.sbatch train.yaml"],
    "e2e_install": [
        "cmake --install build/release --prefix ~/lockstep", "cd deploy/examples/plugin",
        "cmake -S . -B build -DCMAKE_PREFIX_PATH=~/lockstep && cmake --build build",
        "mpirun -n 2 ~/lockstep/bin/lockstepd train.yaml"],
    "e2e_package": [
        "apt install ./lockstep_*.deb",
        "cp /usr/share/lockstep/deploy/config/synthetic.yaml . && mpirun -n 2 lockstepd "
        "synthetic.yaml",
        "deploy/bootstrap.sh dpkg-dev file && (cd build/release && cpack)"],
    "e2e_fault_matrix, a sample": [
        "LOCKSTEP_LONG=1 LOCKSTEP_TRIALS=5 tests/e2e/fault_matrix_test.py"],
    "e2e_nth_call, a sample": ["LOCKSTEP_LONG=1 tests/e2e/nth_call_test.py"],
    "e2e_fail_points, a sample": ["LOCKSTEP_LONG=1 tests/e2e/fail_points_test.py"],
    "e2e_crash_states, a sample": ["LOCKSTEP_CRASH_STATES=1000 tests/e2e/crash_states_test.py"],
    "e2e_benches, with sizes that measure nothing": [
        "tests/bench/checkpoint_figures.sh", "tests/bench/status_load.py",
        "tests/bench/saves_bench.py", "tests/bench/messages_bench.py"],
    "e2e_benches, likewise, where a Python with torch is": [
        "tests/bench/compare.sh --gigabytes 2", "tests/bench/compare.sh ddp",
        "tests/bench/resume_bench.py --gigabytes 2"],
    "e2e_goodput, with one preemption": ["tests/bench/goodput_bench.py"],
}
COMMAND = re.compile(
    r"(?:\w+=\S+ )*(?:(?:lockstep(?:d|-libtorch)?|mpirun|srun|cmake|ctest|cp|cd|source|apt)(?: |$)"
    r"|deploy/\S+\.sh|tests/\S+\.(?:sh|py)|build/\S+)")


def commands(block):
    """What is typed: behind `$ ` where that stands in it, else each line."""
    lines = block.text.splitlines()
    if any(line.startswith("$ ") for line in lines):
        lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    return [re.sub(r"\s+#.*", "", line) for line in lines]


class Readme(JobTest):
    # Blocks that are typed here, by their first command; but for what is ELSEWHERE.
    A_JOB = "cp deploy/config/synthetic.yaml train.yaml"
    A_CLUSTER = "mpirun -n 8 --hostfile hosts lockstepd train.yaml"
    A_BATCH = "lockstep plan train.yaml && sbatch deploy/slurm/train_srun.sbatch train.yaml"
    WATCHING = "lockstep ui STORE"
    PRUNE = "lockstep prune checkpoints --keep-last 2 --abandoned --dry-run"
    A_STORE = "lockstep ls STORE --all"
    LONG_TESTS = "deploy/bootstrap.sh"
    BENCHES = "mpirun -n 2 build/release/tests/decision_bench"
    TYPED = (A_JOB, A_CLUSTER, A_BATCH, WATCHING, PRUNE, A_STORE, LONG_TESTS, BENCHES)

    def blocks(self):
        found = [block for block in blocks(ROOT / "README.md")
                 if block.kind in ("", "sh", "console", "bash")
                 and COMMAND.match(commands(block)[0])]
        return {commands(block)[0]: block for block in found}

    def elsewhere(self):
        return {command for listed in ELSEWHERE.values() for command in listed}

    def test_each_command_is_typed_here_or_elsewhere(self):
        found = self.blocks()
        self.assertLessEqual(set(self.TYPED), set(found))
        all_of = {command for block in found.values() for command in commands(block)}
        typed = {command for first in self.TYPED for command in commands(found[first])}
        self.assertEqual(all_of - typed - self.elsewhere(), set(), "by nobody")
        self.assertEqual(self.elsewhere() - all_of, set(), "no longer in README")
        for told in ELSEWHERE:
            for name in re.findall(r"\be2e_(\w+)", told):
                self.assertTrue((ROOT / f"tests/e2e/{name}_test.py").exists(), told)

    def test_the_defaults_are_what_a_job_takes_and_no_key_is_missing(self):
        block = next(x.text for x in blocks(ROOT / "README.md") if x.text.startswith("run: "))
        given = {"run": {"max_iterations": 1}, "store": "./store", "task": {"name": "synthetic"}}
        minimal = self.site("minimal")
        self.expect_exit(minimal.run(text=yaml_text(given)), 0)
        config = minimal.store.record(1, "claim")["config"]
        sections = dict(re.findall(r"^(\w+): +(.*\n(?: .*\n?)*)", block + "\n", re.M))
        self.assertEqual(set(sections), set(config))
        for section in config:
            if isinstance(config[section], dict):
                named = set(re.findall(r"(\w+): ", sections[section]))
                self.assertLessEqual(set(config[section]), named, section)

        # The same configuration, where the block's own values are written into it.
        text = block.replace("max_iterations: <required>", "max_iterations: 1")
        text = text.replace("store:       <required>", "store: ./store")
        text = text.replace("name: <required>", "name: synthetic")
        text = re.sub(r" *#.*|^\w+: +<.*>$|(?<=\{)\w+: <[^>]*>,? ?|,\s*\w+: <[^>]*>", "", text,
                      flags=re.M)
        text = re.sub(r"^\w+: +\{\}\n", "", text, flags=re.M)
        written = self.site("written")
        self.expect_exit(written.run(text=text + "\n"), 0)
        self.assertEqual(written.store.record(1, "claim")["config"], config)

    def session(self, name, **variables):
        session = Session(self, self.scratch / name, **variables)
        (session.home / "deploy").symlink_to(ROOT / "deploy")
        return session

    def typed(self, session, first, replaced=()):
        """Each command of a block succeeds, with other words in places: {command: its output}."""
        block, said = self.blocks()[first], {}
        for command in commands(block):
            if command in self.elsewhere():
                continue
            line = command
            for word, value in replaced:
                line = re.sub(rf"\b{word}\b", str(value), line)
            said[command], code = session.type(line, block.place)
            self.assertEqual(code, 0, f"{block.place}: {line}\n{said[command]}")
        return said

    def at_work(self, site, attempt, **how):
        job = site.start(run={"max_iterations": 10**6}, task={"iteration_ms": 2}, restore="latest",
                         **how)
        job.until(lambda: site.store.iteration(attempt) >= 0, f"attempt {attempt}")
        return job

    def test_a_job_of_your_own(self):
        session = self.session("own")
        self.typed(session, self.A_JOB)
        self.assertIn((2, 2000), Store(session.home / "checkpoints").committed())

    def test_on_a_cluster(self):
        """Of one host, with eight slots."""
        session = self.session("cluster")
        session.type("cp deploy/config/synthetic.yaml train.yaml; echo localhost slots=8 > hosts",
                     "here")
        short = [("train.yaml", "train.yaml --set run.max_iterations=20")]
        said = self.typed(session, self.A_CLUSTER, short)
        self.assertIn("8 ranks on 1 host", said[self.A_CLUSTER])
        (said,) = self.typed(session, self.A_BATCH, short).values()
        self.assertIn("lockstepd ended with 0", said)

    def test_watching_a_job(self):
        session = self.session("watching")
        site = Placed(self, session.home)
        site.trained(20, store="./checkpoints")
        job = self.at_work(site, 2, store="./checkpoints")
        in_background = " > page & until grep -q http page; do sleep 0.1; done"
        said = self.typed(session, self.WATCHING, [
            ("STORE", "checkpoints"), ("ui checkpoints", "ui checkpoints" + in_background)])
        self.assertRegex(said["lockstep top STORE"], r"attempt +2 of run ")
        page, code = session.type("curl -sf $(grep -o 'http://[0-9.:]*' page)", "here")
        self.assertEqual((code, page[:15].lower()), (0, "<!doctype html>"), page[:300])
        self.assertEqual(session.type("kill $!; wait $!", "here")[1], 0)
        self.expect_exit(lockstep("stop", site.store.path, "--wait"), 0)
        self.expect_exit(job.wait(), 77)

    def test_prune(self):
        session = self.session("prune")
        site = Placed(self, session.home)
        how = {"store": "./checkpoints", "checkpoint": {"interval": 200, "keep_last": 3}}
        site.trained(1000, **how)
        site.trained(900, restore="1@800", **how)
        session.run(self.blocks()[self.PRUNE])

    def test_reading_a_store(self):
        session = self.session("reading")
        site = Placed(self, session.home)
        how = {"store": "./checkpoints", "checkpoint": {"interval": 300, "keep_last": 10}}
        site.trained(1200, **how)
        site.trained(1500, restore="1@1200", **how)
        site.trained(1500, restore="1@1200", **how)
        job = self.at_work(site, 4, **how)
        self.typed(session, self.A_STORE, [("STORE", "checkpoints")])
        self.expect_exit(job.wait(), 77)

    def test_histories(self):
        self.typed(self.session("histories"), self.LONG_TESTS,
                   [("100000", 100), ("build/release", BIN.parent)])

    def test_benches_print_figures(self):
        session = self.session("benches", TMPDIR=self.scratch)
        said = self.typed(session, self.BENCHES, [
            ("build/release", BIN.parent), (" --gigabytes 2", ""),
            ("(checkpoint|reshard)_bench", r"\1_bench --gigabytes 0.01 --rounds 1"),
            ("tick_bench", "tick_bench 400"), ("coordinator_bench", "coordinator_bench --turns 1")])
        self.assertEqual(len(said), 5)
        for command, lines in said.items():
            for line in lines.splitlines():
                self.assertIn("bench", json.loads(line), command)


if __name__ == "__main__":
    main()
