#!/usr/bin/env -S python3 -B
"""What is installed works without the sources and the build folder: a plugin is built against the
installed package, as a user builds it, and trained by the installed programs."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

BUILT = Path(os.environ["LOCKSTEP_BIN_DIR"]).parent
PREFIX = Path.cwd() / "prefix"
os.environ["LOCKSTEP_BIN_DIR"] = str(PREFIX / "bin")  # what all that follows runs

from lockstep_jobs import ROOT, command  # noqa: E402
from lockstep_store import Store  # noqa: E402
from lockstep_test import JobTest, main, pair  # noqa: E402

EXAMPLES = ROOT / "deploy" / "examples"
ITERATIONS = 60


def run(*argv):
    done = subprocess.run(list(map(str, argv)), capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, argv))}: {done.stdout}{done.stderr}")


def install():
    shutil.rmtree(PREFIX, ignore_errors=True)
    run("cmake", "--install", BUILT, "--prefix", PREFIX)


def built(example, name=None, replace=()):
    """The folder in which an example was built. Its sources are a copy, so that it finds nothing
    beside them; `replace` says what is other there."""
    folder = JobTest.scratch / "examples" / (name or example)
    shutil.copytree(EXAMPLES / example, folder, ignore=shutil.ignore_patterns("build"))
    source = folder / f"{example}.cpp"
    for old, new in replace:
        assert source.read_text().count(old) == 1, old
        source.write_text(source.read_text().replace(old, new))
    run("cmake", "-S", folder, "-B", folder / "build", f"-DCMAKE_PREFIX_PATH={PREFIX}")
    run("cmake", "--build", folder / "build")
    return folder / "build"


class Plugin(JobTest):
    @classmethod
    def setUpClass(cls):
        cls.library = built("plugin") / "spirals.so"

    def sections(self, library=None, options="width=8", **more):
        return {"task": {"name": "plugin", "library": str(library or self.library),
                         "options": options},
                "data": {"global_batch": 60}, "run": {"max_iterations": ITERATIONS},
                "checkpoint": {"interval": 25}, **more}

    def test_cut_by_USR1_equals_never_cut(self):
        straight = self.site("straight")
        self.expect_exit(straight.run(**self.sections()), 0)
        site = self.site()
        slow = self.sections(checkpoint={"interval": 1})
        job = site.start(**slow)
        job.until(lambda: site.store.iteration() >= 1, "the first iteration")
        job.signal_launcher(signal.SIGUSR1)
        self.expect_exit(job.wait(), 75)
        saved = site.store.record(1, "outcome")["last_committed_iteration"]
        self.assertIn(saved, range(1, ITERATIONS), "it was not cut in the middle")

        self.expect_exit(site.run(**slow, restore="latest"), 0, f"restore 1@{saved}")
        self.assertEqual(pair(site.store.record(2, "decision")["parent"]), (1, saved))
        self.expect_same_tensors(straight.store.tensors(1, ITERATIONS),
                                 site.store.tensors(2, ITERATIONS))
        ends = [straight.store.manifest(1, ITERATIONS), site.store.manifest(2, ITERATIONS)]
        self.assertEqual(ends[0]["metrics"], ends[1]["metrics"])
        self.assertIn("accuracy", ends[0]["metrics"])

    def test_it_learns(self):
        site = self.site()
        result = site.run(**{**self.sections(options="width=32"),
                             "run": {"max_iterations": 400}, "checkpoint": {"interval": 400},
                             "data": {"global_batch": 120}, "optimizer": {"learning_rate": 0.02}})
        self.expect_exit(result, 0)
        self.assertGreater(site.store.manifest(1, 400)["metrics"]["accuracy"], 0.9)

    def test_the_configuration_beside_it(self):
        """As README has it typed."""
        site = self.site()
        (site.folder / "build").symlink_to(self.library.parent)
        site.store = Store(site.folder / "checkpoints")
        text = (EXAMPLES / "plugin" / "train.yaml").read_text()
        self.expect_exit(site.run(text=text), 0, "finished at iteration 1000")

    def test_another_build_of_it_is_named_among_what_changes_training(self):
        site = self.site()
        own = site.folder / "own.so"
        shutil.copy(self.library, own)
        sections = self.sections(own)
        self.expect_exit(site.run(**sections), 0)
        before = site.store.manifest(1, ITERATIONS)["environment"]["library"]
        with own.open("ab") as file:
            file.write(b"another build")
        more = {**sections, "run": {"max_iterations": ITERATIONS + 5}, "restore": "latest"}
        self.expect_exit(site.run(**more), 0, f"changes training: library {before} -> ")
        after = site.store.manifest(2, ITERATIONS + 5)["environment"]["library"]
        self.assertNotEqual(before, after)

    def ranks_see(self, site, script, library):
        """A launch in which each rank sees mounts of its own, as hosts with local disks do."""
        if subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode != 0:
            self.skipTest("mounting is not allowed")
        each = ["unshare", "-m", "sh", "-ec", f'{script}; exec "$@"', "sh"]
        return site.run(**self.sections(library), wrapper=each, foreseen=False)  # loads nothing

    def test_ranks_that_load_different_files_do_not_train(self):
        site = self.site()
        for rank in (0, 1):
            shutil.copy(self.library, site.folder / f"{rank}.so")
        with (site.folder / "1.so").open("ab") as file:
            file.write(b"another build")
        (site.folder / "own.so").touch()
        result = self.ranks_see(site, "mount --bind $OMPI_COMM_WORLD_RANK.so own.so", "own.so")
        self.expect_exit(result, 2, "task.library: rank 1: differs from rank 0's, on host ")
        self.assertEqual(site.store.committed(), {})

    def test_one_rank_that_lacks_it_ends_the_job_on_all(self):
        site = self.site()
        (site.folder / "plugins").mkdir()
        shutil.copy(self.library, site.folder / "plugins" / "own.so")
        hide = "[ $OMPI_COMM_WORLD_RANK = 0 ] || mount -t tmpfs none plugins"
        result = self.ranks_see(site, hide, "plugins/own.so")
        self.expect_exit(result, 2, "rank 1: task.library: ", "plugins/own.so: is not there")
        self.assertEqual(site.store.attempts(), [])

    def refused(self, *facts, **sections):
        """On all ranks alike, before anything is claimed. No plan loads a library."""
        self.refusing = getattr(self, "refusing", None) or self.site()
        result = self.refusing.run(**self.sections(**sections), foreseen=False)
        self.expect_exit(result, 2, *facts)
        self.assertEqual(self.refusing.store.attempts(), [])

    def test_a_library_that_is_no_plugin_ends_the_job_with_its_path_and_cause(self):
        absent = self.scratch / "absent.so"
        self.refused(f"task.library: {absent}: is not there; build", library=absent)
        text = Path(__file__).resolve()
        self.refused(f"task.library: {text}: is no shared object", library=text)
        tests = BUILT / "tests"
        self.refused("lacks lockstep_make_task", library=tests / "libno_factory_plugin.so")
        self.refused("it needs elsewhere::make(int)", library=tests / "libunresolved_plugin.so")
        self.refused("built with version 7, this lockstepd with ",
                     library=tests / "libother_abi_plugin.so")

    def test_what_its_factory_throws_ends_the_job_with_its_path_and_cause(self):
        self.refused(f"task.library: {self.library}: task.options is width=N",
                     options="depth=3")
        toy = BUILT / "tests" / "libtoy_plugin.so"
        self.refused(f"task.library: {toy}: lockstep_make_task failed: no width", library=toy,
                     options="exception")
        self.refused("gave no task but a null pointer", library=toy, options="nothing")

    def test_check_tries_it(self):
        site = self.site()
        result = site.run(**self.sections(), flags=["--check"], foreseen=False)
        self.expect_exit(result, 0, "task.library")


class OwnLoop(JobTest):
    """deploy/examples/own_loop, started in place of lockstepd."""

    @classmethod
    def setUpClass(cls):
        program = built("own_loop") / "own_loop"
        cls.instead = ["sh", "-c", f'shift; exec {program} "$@"', "sh"]  # of lockstepd

    def sections(self, **more):
        return {"task": {"name": "own_loop"}, "data": {"global_batch": 12},
                "optimizer": {"name": "sgd", "learning_rate": 0.05, "momentum": 0.9},
                "run": {"max_iterations": ITERATIONS}, "checkpoint": {"interval": 25}, **more}

    def start(self, site, **how):
        return site.start(wrapper=self.instead, **how)

    def test_cut_by_USR1_equals_never_cut(self):
        straight = self.site("straight")
        self.expect_exit(self.start(straight, **self.sections()).wait(), 0,
                         f"finished at iteration {ITERATIONS}")
        site = self.site()
        slow = self.sections(checkpoint={"interval": 1})
        job = self.start(site, **slow)
        job.until(lambda: site.store.iteration() >= 1, "the first iteration")
        job.signal_rank(1, signal.SIGUSR1)
        self.expect_exit(job.wait(), 75, "preempted by USR1 on rank 1")
        saved = site.store.record(1, "outcome")["last_committed_iteration"]
        self.assertIn(saved, range(1, ITERATIONS), "it was not cut in the middle")

        self.expect_exit(self.start(site, **slow, restore="latest").wait(), 0,
                         f"restore 1@{saved}")
        ends = [site.tensors(number, ITERATIONS)
                for number, site in ((1, straight.store), (2, site.store))]
        self.expect_same_tensors(*ends)
        self.assertIn("optimizer.head.weight.momentum_buffer", ends[0])
        positions = [straight.store.manifest(1, ITERATIONS)["data"],
                     site.store.manifest(2, ITERATIONS)["data"]]
        self.assertEqual(*positions)
        self.assertEqual(positions[0]["position"], ITERATIONS * 12)

    def test_what_is_excluded_starts_anew_and_the_rest_does_not(self):
        site = self.site()
        self.expect_exit(self.start(site, **self.sections()).wait(), 0)
        again = {"from": str(site.store.path), "iteration": ITERATIONS, "exclude": ["head.*"]}
        partly = self.site("partly")
        rate = self.sections(restore=again, optimizer={"name": "sgd", "learning_rate": 0})
        rate["run"] = {"max_iterations": ITERATIONS + 1}
        self.expect_exit(self.start(partly, **rate).wait(), 0)
        end = partly.store.tensors(1, ITERATIONS + 1)
        old = site.store.tensors(1, ITERATIONS)
        self.assertEqual(end["model.hidden.weight"], old["model.hidden.weight"])
        self.assertNotEqual(end["model.head.weight"], old["model.head.weight"])

    def test_a_stop_on_request_ends_it_with_77(self):
        site = self.site()
        job = self.start(site, **self.sections(), sets=["run.max_iterations=1000000"])
        job.until(lambda: site.store.iteration() >= 1, "the first iteration")
        self.assertEqual(command("stop", site.store.path, "--wait").code, 0)
        self.expect_exit(job.wait(), 77, "stopped on request")

    def test_a_damaged_newest_checkpoint_is_passed_over(self):
        site = self.site()
        self.expect_exit(self.start(site, **self.sections()).wait(), 0)
        shard = site.store.shard(1, ITERATIONS, 0)
        data = bytearray(shard.read_bytes())
        data[-1] ^= 1
        shard.write_bytes(data)
        more = self.sections(restore="latest", run={"max_iterations": ITERATIONS + 5})
        self.expect_exit(self.start(site, **more, verify=True).wait(), 0, "restore 1@50")

    def test_a_rank_that_trains_other_tensors_than_it_added_ends_the_job(self):
        """As who writes in Python's way does; and on one rank alone."""
        step = "value.sub_(momentum, optimizer.learning_rate);"
        other = ("value = comm.rank() == 0 ? value.sub_(momentum, optimizer.learning_rate)\n"
                 ": value.sub(momentum, optimizer.learning_rate).detach().requires_grad_();")
        program = built("own_loop", "rebinding", [(step, other)]) / "own_loop"
        site = self.site()
        job = site.start(wrapper=["sh", "-c", f'shift; exec {program} "$@"', "sh"], direct=True,
                         **self.sections())
        result = job.wait()
        self.assertEqual(result.code, 2, result)
        self.expect_said(result, "the loop, on rank 1: model.hidden.weight was added, but the loop "
                         "trains another tensor now: change it in place (copy_, sub_)")
        self.assertNotIn("something called exit", result.err)  # MPI_Abort is no stranger
        self.assertEqual(site.store.committed(), {})

    def test_a_tensor_of_another_type_is_refused_by_its_name(self):
        restore = "loop.restore({"
        counter = 'loop.add("buffer.counter", at::zeros({3}, at::kLong));\n' + restore
        program = built("own_loop", "counting", [(restore, counter)]) / "own_loop"
        site = self.site()
        job = site.start(wrapper=["sh", "-c", f'shift; exec {program} "$@"', "sh"],
                         foreseen=False, **self.sections())
        self.expect_exit(job.wait(), 2, "the tensor buffer.counter is not of fp32")
        self.assertEqual(site.store.attempts(), [])

    def test_another_task_and_lockstepd_itself_are_refused(self):
        """No plan knows which program will be started."""
        site = self.site()
        how = {"foreseen": False, **self.sections()}
        self.expect_exit(self.start(site, foreseen=False).wait(), 2,
                         "write task: {name: own_loop}")
        self.expect_exit(site.run(**how), 2, "start that in place of lockstepd")
        self.expect_exit(self.start(site, **how, flags=["--check"]).wait(), 2,
                         "not for a program with a training loop of its own")
        self.assertEqual(site.store.attempts(), [])


class Package(JobTest):
    def test_names_nothing_of_the_build_folder(self):
        for path in PREFIX.rglob("*"):
            if path.suffix in (".cmake", ".h"):
                self.assertNotIn(str(BUILT), path.read_text(), path)

    def test_has_every_header_that_its_headers_include(self):
        headers = PREFIX / "include" / "lockstep"
        self.assertTrue((headers / "worker" / "plugin.h").exists())
        for path in headers.rglob("*.h"):
            for name in re.findall('^#include "(.*)"', path.read_text(), re.MULTILINE):
                self.assertTrue((headers / name).exists(), f"{path}: {name}")


if __name__ == "__main__":
    install()
    main()
