#!/usr/bin/env -S python3 -B
"""lockstep doctor, and lockstepd --check on every rank of a real launch: what they find, what they
end with, and that they leave a store as it was."""

import json
import os
import shutil
import socket
import tempfile

from lockstep_jobs import BIN, command, configuration, yaml_text
from lockstep_store import difference, snapshot
from lockstep_test import JobTest, main

PATH = f"{BIN}:{os.environ['PATH']}"


class Doctor(JobTest):
    def setUp(self):
        self.place = self.site()

    def doctor(self, code, *words, path=PATH, **sections):
        config = self.place.write(yaml_text(configuration(**sections)))
        result = command("doctor", config.name, *words, cwd=self.place.folder, PATH=path)
        self.expect_exit(result, code)
        return result

    def found(self, code, **how):
        """{name: check} of doctor --json, which must end with this code."""
        said = json.loads(self.doctor(code, "--json", **how).out)
        self.assertEqual(said["exit_code"], code)
        return {check["name"]: check for check in said["checks"]}

    def test_a_first_start_is_healthy_and_nothing_is_made(self):
        found = self.found(0)
        self.assertIn("will be made", found["store"]["text"])
        for name in ("durability", "space", "lockstepd", "launcher", "file clock"):
            self.assertEqual(found[name]["verdict"], "ok", found[name])
        self.assertIn("Open MPI", found["lockstepd"]["text"])
        self.assertEqual(os.listdir(self.place.folder), ["train.yaml"])

    def test_a_store_is_left_as_it_is(self):
        self.place.trained(20)
        before = snapshot(self.place.store.path)
        result = self.doctor(0)
        self.expect_said(result, "1 attempt, 2 checkpoints", "room for", " ok")
        job = self.place.run(ranks=3, flags=("--check",), foreseen=False)  # it decides nothing
        self.expect_exit(job, 0, "3 ranks on 1 host", "rank 0's file is seen", "room for")
        self.assertEqual(difference(before, snapshot(self.place.store.path)), [])

    def test_what_is_wrong_is_named_with_advice(self):
        found = self.found(2, store="/nowhere/at/all")
        self.assertEqual(found["store"]["verdict"], "error")
        self.assertIn("mkdir -p /nowhere/at", found["store"]["advice"])
        found = self.found(2, data={"path": "/nowhere/data"})
        self.assertIn("/nowhere/data can't be read", found["data"]["text"])
        # A bad configuration is one line, as the job prints it.
        result = self.doctor(2, "--set", "checkpoint.interval=-1")
        self.assertEqual(result.err.count("\n"), 1, result.err)
        self.assertEqual(result.out, "")

    def test_status_that_cannot_be_shown_is_a_warning(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            asked = {"control": {"listen": address}, "metrics": {"textfile": "absent/x.prom"}}
            found = self.found(0, **asked)
            self.assertEqual(found["status server"]["verdict"], "warning")
            self.assertIn(f"{address}: Address already in use", found["status server"]["text"])
            self.assertIn("absent/x.prom: No such file", found["textfile"]["text"])
            job = self.place.run(flags=("--check",), foreseen=False, **asked)
            self.expect_exit(job, 0, "warning  status server", "warning  textfile")
        prom = self.place.folder / "x.prom"
        short = tempfile.TemporaryDirectory()  # a socket's path has at most 107 bytes
        self.addCleanup(short.cleanup)
        asked = {"control": {"listen": f"unix:{short.name}/socket"},
                 "metrics": {"textfile": "x.prom"}}
        before = os.listdir(self.place.folder)
        found = self.found(0, **asked)
        self.assertEqual([found[name]["verdict"] for name in ("status server", "textfile")],
                         ["ok", "ok"])
        self.assertEqual((os.listdir(self.place.folder), os.listdir(short.name)),
                         (before, []))  # removed again
        with socket.socket(socket.AF_UNIX) as gone:  # nobody answers: as of a job on another host
            gone.bind(f"{short.name}/socket")
        self.assertIn("is there", self.found(0, **asked)["status server"]["text"])
        self.assertEqual(os.listdir(short.name), ["socket"])
        prom.write_text("somebody's notes")
        self.assertIn("something else is there", self.found(0, **asked)["textfile"]["text"])
        self.assertEqual(prom.read_text(), "somebody's notes")
        self.place.trained(20)
        before = snapshot(self.place.store.path)
        for path in ("store/attempts/0002", "absent/../store/attempts/0002"):
            found = self.found(0, control={"listen": f"unix:{path}"})
            self.assertIn("lies in the store", found["status"]["text"])
        self.assertEqual(difference(before, snapshot(self.place.store.path)), [])

    def program(self, name, text):
        path = self.place.folder / "bin" / name
        path.write_text("#!/bin/sh\n" + text)
        path.chmod(0o755)

    def test_missing_and_foreign_programs(self):
        bare = self.place.folder / "bin"
        bare.mkdir()
        for tool in ("sh", "timeout"):
            (bare / tool).symlink_to(shutil.which(tool))
        found = self.found(0, path=bare)
        self.assertEqual(found["lockstepd"]["verdict"], "warning")
        self.assertEqual(found["launcher"]["verdict"], "warning")
        # An mpirun of another Open MPI makes each process a job of its own.
        (bare / "lockstepd").symlink_to(BIN / "lockstepd")
        self.program("mpirun", "echo 'mpirun (Open MPI) 1.10.7'\n")
        self.assertIn("1.10.7", self.found(2, path=bare)["launcher"]["text"])
        (bare / "lockstepd").unlink()
        # 127 is the loader's too: it does not mean that the program is not in PATH.
        self.program("lockstepd", "echo 'libtorch.so: cannot open' >&2\nexit 127\n")
        self.assertIn("libtorch.so: cannot open", self.found(2, path=bare)["lockstepd"]["text"])
        self.program("lockstepd", "exit 3\n")
        self.assertIn("exit code 3", self.found(2, path=bare)["lockstepd"]["text"])


class Check(JobTest):
    def checked(self, code, *facts, ranks=2, **sections):
        """lockstepd --check, which must end with this code on every rank and make no store."""
        place = self.site()
        result = place.run(ranks=ranks, flags=("--check",), foreseen=False, **sections)
        self.expect_exit(result, code, *facts)
        self.assertFalse(place.store.path.exists())
        return result

    def test_a_launch_that_can_run(self):
        result = self.checked(0, "4 ranks on 1 host", "on all 4 ranks", ranks=4)
        self.assertIn("14 checks: ", result.out)
        self.assertNotIn("error", result.out)

    def test_a_task_that_cannot_be_made(self):
        self.checked(2, "error    task", "/nowhere", task={"name": "fashion_mnist"},
                     data={"path": "/nowhere"})

    def test_more_ranks_than_samples(self):
        self.checked(2, "3 ranks for a global_batch of 2", ranks=3, data={"global_batch": 2})

    def test_a_model_that_fits_neither_memory_nor_disk(self):
        self.checked(2, "its ranks need", "room for 0 checkpoints", "2 errors",
                     task={"name": "synthetic", "parameters": 1_000_000_000_000})

    def test_a_store_out_of_place(self):
        self.checked(2, "mkdir -p /nowhere/at", "on all 2 ranks", store="/nowhere/at/all")


if __name__ == "__main__":
    main()
