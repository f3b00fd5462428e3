#!/usr/bin/env -S python3 -B
"""Debian's packages on a machine that has nothing else: a bare Debian 12 in a folder, made by
debootstrap once and kept in the cache folder. apt installs there what the packages depend on; all
else runs without a network. The wheels of this machine stand for their download.

LOCKSTEP_LONG=1: also lockstep-dev, with a compiler, and what is built against it."""

import os
import re
import shutil
import subprocess
import unittest
from pathlib import Path

from lockstep_jobs import BIN
from lockstep_test import JobTest, keep_mounts_private, main

BUILT = BIN.parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lockstep"
RELEASE = "bookworm"
TOOLS = {"debootstrap": "debootstrap", "dpkg-shlibdeps": "dpkg-dev", "file": "file",
         "cpack": "cmake", "ip": "iproute2"}
USER = 1000
VARIABLES = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
             "LANG": "C.UTF-8", "OMPI_MCA_btl_vader_single_copy_mechanism": "none",
             "OMPI_MCA_rmaps_base_oversubscribe": "1", "OMPI_MCA_mpi_yield_when_idle": "1",
             "OMPI_MCA_hwloc_base_binding_policy": "none", "OMP_NUM_THREADS": "1"}
EXPECTED = """usr/bin/lockstep usr/bin/lockstepd usr/bin/lockstep-libtorch usr/libexec/lockstepd
usr/libexec/lockstep-libtorch usr/share/bash-completion/completions/lockstep
usr/share/doc/lockstep/copyright usr/share/doc/lockstep/README.md usr/share/lockstep/README.md
usr/share/lockstep/deploy/TUTORIAL.md usr/share/lockstep/deploy/config/synthetic.yaml
usr/share/lockstep/deploy/examples/plugin/CMakeLists.txt usr/share/lockstep/deploy/libtorch.txt
usr/share/lockstep/deploy/monitoring/alerts.yml usr/share/lockstep/deploy/mpirun/supervise.sh
usr/share/lockstep/deploy/slurm/train_srun.sbatch""".split()


def run(*argv, **how):
    done = subprocess.run(list(map(str, argv)), capture_output=True, text=True, **how)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, argv))}: {done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout


def mirror():
    """Where this machine has Debian from."""
    found = run("apt-get", "indextargets", "--format", "$(CODENAME) $(REPO_URI)",
                "Created-By: Packages", "Component: main")
    for line in found.splitlines():
        codename, _, address = line.partition(" ")
        if codename == RELEASE:
            return address
    raise unittest.SkipTest(f"this machine has no mirror of Debian {RELEASE} in its sources")


def libtorch():
    """The folder that this build's lockstepd loads it from."""
    said = run("ldd", BUILT / "libexec" / "lockstepd")
    return Path(re.search(r"libc10\.so => (\S+)", said)[1]).resolve().parent.parent


class Fresh:
    """The bare system, a copy for this test."""

    def __init__(self, folder):
        self.root = folder
        base = CACHE / f"debootstrap-{RELEASE}"
        if not base.exists():
            made = base.with_suffix(".tmp")
            shutil.rmtree(made, ignore_errors=True)
            made.parent.mkdir(parents=True, exist_ok=True)
            run("debootstrap", "--variant=minbase", RELEASE, made, mirror())
            made.rename(base)
        self.remove()
        run("cp", "-a", "--reflink=auto", base, folder)
        shutil.copy("/etc/resolv.conf", folder / "etc/resolv.conf")
        shutil.copy("/etc/hosts", folder / "etc/hosts")
        said = run("apt-config", "dump")  # how this machine reaches the mirror
        (folder / "etc/apt/apt.conf.d/99test").write_text("".join(
            line + "\n" for line in said.splitlines()
            if re.match(r'Acquire::(https?|Check-\S+|Retries)\S* "[^"]+"', line)))
        for name in ("proc", "dev", "dev/shm"):
            (folder / name).mkdir(exist_ok=True)
            run("mount", "--bind", f"/{name}", folder / name)
        (folder / "home/ana").mkdir(parents=True)
        with (folder / "etc/passwd").open("a") as file:
            file.write(f"ana:x:{USER}:{USER}::/home/ana:/bin/bash\n")
        os.chown(folder / "home/ana", USER, USER)

    def off(self):
        for name in ("srv/wheels", "dev/shm", "dev", "proc"):
            subprocess.run(["umount", "-l", self.root / name], capture_output=True)
        self.remove()

    def remove(self):
        """Never what is mounted there; the wheels are read-only."""
        run("rm", "-rf", "--one-file-system", self.root)

    def show(self, folder, name):
        """A folder of this machine's, as /name there."""
        place = self.root / name
        place.mkdir()
        run("mount", "--bind", folder, place)
        run("mount", "-o", "remount,bind,ro", place)

    def apt(self, *words):
        proxies = {key: value for key, value in os.environ.items() if key.lower().endswith("_proxy")}
        return run("chroot", self.root, "apt-get", "-q", "-y", *words, timeout=600,
                   env={**VARIABLES, **proxies, "DEBIAN_FRONTEND": "noninteractive"})

    def do(self, command, user=USER):
        """By its shell, without a network; gives exit code, stdout and stderr."""
        inside = ("ip link set lo up; exec chroot --userspec=$0:$0 \"$1\" "
                  "bash -c 'cd; eval \"$1\"' bash \"$2\"")
        home = {"HOME": "/home/ana" if user == USER else "/root"}
        return subprocess.run(["unshare", "-n", "sh", "-c", inside, str(user), str(self.root),
                               command], capture_output=True, text=True, timeout=600,
                              env={**VARIABLES, "PATH": VARIABLES["PATH"], **home})


class Package(JobTest):
    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0:
            raise unittest.SkipTest("a root folder of its own needs root")
        missing = {package for tool, package in TOOLS.items() if not shutil.which(tool)}
        if missing:
            raise unittest.SkipTest(f"not installed: deploy/bootstrap.sh {' '.join(sorted(missing))}")
        keep_mounts_private()
        cls.scratch.mkdir(parents=True, exist_ok=True)
        packages = cls.scratch / "packages"
        run("cpack", "--config", BUILT / "CPackConfig.cmake", "-B", packages, cwd=cls.scratch)
        cls.package, = packages.glob("lockstep_*.deb")
        cls.development, = packages.glob("lockstep-dev_*.deb")
        cls.fresh = Fresh(cls.scratch.parent / "fresh")  # not where all is removed blindly
        cls.addClassCleanup(cls.fresh.off)
        for package in (cls.package, cls.development):
            shutil.copy(package, cls.fresh.root / "root")
        cls.fresh.apt("update")
        # As README says it is done.
        cls.installing = cls.fresh.apt("install", f"/root/{cls.package.name}")
        torch = libtorch()
        cls.fresh.show(torch.parent, "srv/wheels")
        cls.torch = f"/srv/wheels/{torch.name}"

    def field(self, package, name):
        return run("dpkg-deb", "-f", package, name).strip()

    def expect(self, command, code=0, user=USER):
        done = self.fresh.do(command, user)
        self.assertEqual(done.returncode, code, f"{command}: {done.stdout}{done.stderr}")
        return done

    def take_libtorch(self):
        self.expect(f"lockstep-libtorch --use {self.torch}", user=0)

    def drop_libtorch(self):
        self.expect("lockstep-libtorch --remove", user=0)

    def test_its_files_are_all_there_and_belong_to_root(self):
        listed = run("dpkg-deb", "-c", self.package).splitlines()
        names = {line.split()[5].removeprefix("./") for line in listed}
        self.assertEqual([name for name in EXPECTED if name not in names], [])
        self.assertEqual({line.split()[1] for line in listed}, {"root/root"})
        foreign = [name for name in names
                   if not re.match(r"(usr/(bin|libexec|share/(bash-completion|doc|lockstep))?|)", name)]
        self.assertEqual(foreign, [])

    def test_its_dependencies_are_those_of_the_libraries_and_mpirun(self):
        depends = self.field(self.package, "Depends")
        for name in ("openmpi-bin", "libopenmpi3", "libyaml-cpp0.7", "libsimdjson14", "libc6",
                     "libprometheus-cpp-core1.0", "libisal2", "zlib1g"):
            self.assertRegex(depends, rf"\b{re.escape(name)}\b")
        self.assertNotRegex(depends, r"-dev\b|torch|nccl|cuda")
        version = self.field(self.package, "Version")
        self.assertIn(f"lockstep (= {version})", self.field(self.development, "Depends"))
        self.assertRegex(version, r"^\d+\.\d+\.\d+([~+]git\d{8}\.\d{6}\.[0-9a-f]+(\.dirty)?)?$")

    def test_it_finds_libraries_in_no_folder_of_the_machine_it_was_built_on(self):
        folder = self.fresh.root / "usr/libexec"
        for file in (folder / "lockstepd", *folder.glob("liblockstep_*.so")):
            said = run("readelf", "-d", file)
            for folder in re.search(r"path: \[(.*)\]", said)[1].split(":"):
                self.assertRegex(folder, r"^\$ORIGIN/lockstep-libtorch/", file)

    def test_lintian_finds_no_other_errors_than_known_ones(self):
        if not shutil.which("lintian"):
            self.skipTest("lintian is not installed")
        # The first stage is static; an example is Python's; what has changed is in the sources.
        known = "statically-linked-binary,python3-script-but-no-python3-dep,no-changelog"
        run("lintian", "--allow-root", "--fail-on", "error", "--suppress-tags", known,
            self.package, self.development)

    def test_its_copyright_has_the_texts_of_what_is_compiled_in(self):
        text = (self.fresh.root / "usr/share/doc/lockstep/copyright").read_text()
        for words in ("common-licenses/Apache-2.0", "Niels Lohmann", "Chart.js Contributors",
                      "Henry Schreiner", "GCC Runtime Library Exception"):
            self.assertTrue(words.lower() in text.lower(), words)

    def test_lockstep_works_by_itself(self):
        self.drop_libtorch()
        said = self.expect("lockstep --version").stdout.splitlines()
        ours = run(BIN / "lockstep", "--version").splitlines()
        self.assertEqual(said, ours)
        version = self.field(self.package, "Version").removesuffix(".dirty")
        commit = re.search(r"\.([0-9a-f]+)$", version)
        self.assertIn(commit[1] if "git" in version else version, said[0])
        self.expect("mkdir alone; cp /usr/share/lockstep/deploy/config/synthetic.yaml alone")
        self.assertIn("fresh, as attempt 1 of", self.expect("lockstep plan alone/synthetic.yaml").stdout)
        completed = self.expect("source /usr/share/bash-completion/completions/lockstep; "
                                "complete -p lockstep").stdout
        self.assertIn("_lockstep lockstep", completed)

    def test_without_LibTorch_it_says_once_how_to_get_it(self):
        self.drop_libtorch()
        self.assertIn("As root: lockstep-libtorch", self.installing)
        done = self.expect("lockstepd --version", 2)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        self.assertIn("`lockstep-libtorch` as root installs it", done.stderr)
        done = self.expect("mpirun -n 2 lockstepd train.yaml", 2)
        self.assertEqual(done.stderr.count("no LibTorch on "), 1, done.stderr)
        self.expect("lockstep-libtorch --show", 1)
        refused = self.expect("lockstep-libtorch", 2).stderr  # not as root
        self.assertIn("run it as root", refused)
        refused = self.expect("lockstep-libtorch --use /srv", 2, user=0).stderr
        self.assertIn("/srv: no LibTorch in it", refused)

    def test_LibTorch_of_another_version_is_refused(self):
        self.expect("mkdir -p /srv/old/lib /srv/old/include/torch/headeronly; "
                    "touch /srv/old/lib/libtorch_cpu.so; sed 's/\\(MINOR\\).*/\\1 3/' "
                    f"{self.torch}/include/torch/headeronly/version.h "
                    "> /srv/old/include/torch/headeronly/version.h", user=0)
        refused = self.expect("lockstep-libtorch --use /srv/old", 2, user=0).stderr
        self.assertRegex(refused, r"LibTorch \d+\.3\.\d+; this lockstepd was built with \d+\.\d+\n")

    def test_with_LibTorch_two_ranks_train_and_carry_on(self):
        self.take_libtorch()
        self.assertIn(f"in {self.torch}", self.expect("lockstep-libtorch --show").stdout)
        said = self.expect("lockstepd --version").stdout.splitlines()
        self.assertEqual(said[0].replace("lockstepd", "lockstep"),
                         self.expect("lockstep --version").stdout.splitlines()[0])
        self.assertRegex(said[2], r"^Open MPI [\d.]+, LibTorch [\d.]+")
        self.expect("mkdir two; cp /usr/share/lockstep/deploy/config/synthetic.yaml two")
        for iterations, decision in ((300, "fresh"), (400, "restore 1@300")):
            done = self.expect("mpirun -n 2 lockstepd two/synthetic.yaml --set "
                               f"run.max_iterations={iterations}")
            self.assertIn(f"decision: {decision}", done.stdout + done.stderr)
        self.assertIn("2@400", self.expect("lockstep ls two/checkpoints").stdout)

    def test_what_was_removed_leaves_nothing_behind(self):
        """In a copy of what dpkg knows: the others go on with the package."""
        listed = self.expect("dpkg -L lockstep").stdout.split()
        self.take_libtorch()
        self.fresh.apt("purge", "lockstep")
        self.addCleanup(self.fresh.apt, "install", f"/root/{self.package.name}")
        left = [path for path in (*listed, "/usr/local/lib/lockstep")
                if os.path.lexists(f"{self.fresh.root}{path}")
                and not os.path.isdir(f"{self.fresh.root}{path}")]
        self.assertEqual(left, [])
        self.assertFalse((self.fresh.root / "usr/local/lib/lockstep").exists())
        self.assertTrue((self.fresh.root / "srv/wheels/torch/lib/libc10.so").exists())

    @unittest.skipUnless(os.environ.get("LOCKSTEP_LONG"), "LOCKSTEP_LONG=1 builds a plugin there")
    def test_a_plugin_and_an_own_loop_are_built_against_lockstep_dev(self):
        self.take_libtorch()
        self.fresh.apt("install", "--no-install-recommends", f"/root/{self.development.name}")
        for name, program in (("plugin", "lockstepd"), ("own_loop", "build/own_loop")):
            self.expect(f"cp -r /usr/share/lockstep/deploy/examples/{name} . && cd {name} && "
                        "CMAKE_GENERATOR=Ninja cmake -S . -B build && cmake --build build")
            self.expect(f"cd {name} && mpirun -n 2 {program} train.yaml "
                        "--set run.max_iterations=20")


if __name__ == "__main__":
    main()
