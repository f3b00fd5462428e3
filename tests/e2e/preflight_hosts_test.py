#!/usr/bin/env -S python3 -B
"""What lockstepd --check, lockstep doctor and a launch say where one of two hosts is not as the
other: by mpirun on two hosts with a network between them, and by srun on a real Slurm."""

import re
import shutil

from lockstep_cluster import SMALL, Cluster, Hosts
from lockstep_jobs import BIN, configuration, yaml_text
from lockstep_test import JobTest, main

CHECK = {"flags": ("--check",), "foreseen": False}  # it decides nothing
PROGRAM = BIN.resolve().parent / "libexec" / "lockstepd"


class EitherLauncher:
    """Of two hosts the second is another one."""

    made, other = None, None

    def setUp(self):
        self.hosts = self.made()  # for each test: what is mounted there goes with them
        self.addCleanup(self.hosts.down)
        self.place = self.site()
        self.place.launcher, self.place.variables = self.hosts.launcher, self.hosts.variables
        self.disk = self.place.folder / "disk"
        self.disk.mkdir()
        self.place.store = type(self.place.store)(self.disk / "store")

    def run_job(self, **how):
        return self.place.run(**{"store": "./disk/store", "run": {"max_iterations": 10}, **how})

    def test_hosts_that_are_alike(self):
        self.expect_exit(self.run_job(**CHECK), 0, "2 ranks on 2 hosts", "rank 0's file is seen")
        self.expect_exit(self.run_job(), 0)

    def test_a_store_that_is_not_the_same_on_both_is_named_with_the_host(self):
        self.hosts.do("exec", self.other, "mount", "-t", "tmpfs", "none", self.disk)
        result = self.run_job(**CHECK)
        self.expect_exit(result, 2, "one store", f"{self.other}: does not see rank 0's",
                         "file system that all hosts share",
                         re.compile("^ok +durability .*; not tried where the store is not seen$",
                                    re.M))
        self.assertEqual(result.out.count(self.other + ": "), 1, result)  # one cause, said once
        self.assertEqual(list(self.disk.iterdir()), [])
        # Plan sees one host.
        self.expect_exit(self.run_job(foreseen=False), 2,
                         f"host {self.other} does not see rank 0's store")
        self.assertEqual(self.place.store.record(1, "outcome")["outcome"], "refused")
        self.hosts.do("exec", self.other, "umount", self.disk)
        self.expect_exit(self.run_job(), 0)

    def test_builds_that_differ_are_named_with_the_host(self):
        rebuilt = self.place.folder / "lockstepd"
        shutil.copy(PROGRAM, rebuilt)
        with rebuilt.open("ab") as file:
            file.write(b"another build")
        self.hosts.do("exec", self.other, "mount", "--bind", rebuilt, PROGRAM)
        self.expect_exit(self.run_job(**CHECK), 2, f"rank 1 ({self.other}) has",
                         "install the same lockstepd on all hosts")
        self.expect_exit(self.run_job(foreseen=False), 2,
                         f"build: rank 1: differs from rank 0's, on host {self.other}")
        self.assertEqual(self.place.store.committed(), {})


class Mpirun(EitherLauncher, JobTest):
    made, other = Hosts, "h2"


class Srun(EitherLauncher, JobTest):
    made, other = Cluster, "n2"

    def doctor(self, **sections):
        """lockstep doctor on both hosts at once; srun's exit code is the highest."""
        self.place.write(yaml_text(configuration(**sections)))
        return self.hosts.command("srun", *SMALL, "--label", "lockstep", "doctor", "train.yaml",
                                  cwd=self.place.folder, check=False)

    def test_doctor_on_both_hosts(self):
        (self.disk / "deep").mkdir()
        store = {"store": "./disk/deep/store"}
        said = self.doctor(**store)
        self.assertEqual(said.returncode, 0, said)
        self.hosts.do("exec", self.other, "mount", "-t", "tmpfs", "none", self.disk)
        said = self.doctor(**store)
        self.assertEqual(said.returncode, 2, said)
        self.assertRegex(said.stdout, r"(?m)^1: +error +store .*deep")
        self.assertNotRegex(said.stdout, r"(?m)^0: +error")
        self.assertEqual([path.name for path in self.disk.iterdir()], ["deep"])
        self.assertEqual(list((self.disk / "deep").iterdir()), [])


if __name__ == "__main__":
    main()
