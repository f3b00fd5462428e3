"""Hosts of their own on this machine (tests/slurm): a real Slurm of two nodes with batch jobs, and
two hosts for mpirun.

A process of its own takes them down as soon as this one is gone, in whatever way, so that no daemon
outlives the tests.
"""

import os
import re
import shutil
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

from lockstep_jobs import BIN, ROOT, environment, is_running

CLUSTER = ROOT / "tests" / "slurm" / "cluster.sh"
HOSTS = ROOT / "tests" / "slurm" / "two_hosts.sh"
SCRIPTS = ROOT / "deploy" / "slurm"
WAIT_SECONDS = 120  # for a state; about ten times what is usual
SLURM_TOOLS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "nsenter", "unshare")
HOST_TOOLS = ("nsenter", "unshare", "ip")
LONG = os.environ.get("LOCKSTEP_LONG", "") not in ("", "0")
long = unittest.skipUnless(LONG, "LOCKSTEP_LONG=1 runs it")
# One rank on each node, whatever the script says.
SMALL = ("--nodes=2", "--ntasks=2", "--ntasks-per-node=1", "--time=10")


def require(tools, *namespaces):
    """Skips the tests where hosts of their own can't be had at all."""
    if os.geteuid() != 0:
        raise unittest.SkipTest("hosts of their own need root")
    missing = [tool for tool in tools if not shutil.which(tool)]
    if missing:
        raise unittest.SkipTest(f"not installed: {', '.join(missing)} (see deploy/bootstrap.sh)")
    tried = subprocess.run(["unshare", *namespaces, "--mount", "--propagation", "slave", "true"],
                           capture_output=True, text=True)
    if tried.returncode:
        raise unittest.SkipTest(f"no namespaces here: {tried.stderr.strip()}")


class Hosts:
    """What a script brings up in a folder, until `down` or this process's end."""

    script = HOSTS
    variables = {}  # of what runs there

    def __init__(self, **settings):
        """settings: what the script takes from the environment."""
        self.require()
        # Unix sockets lie below it: a short name.
        self.folder = Path(tempfile.mkdtemp(prefix="lockstep-"))
        take_down = f'read -r _; "{self.script}" down "{self.folder}"; rm -rf "{self.folder}"'
        self.guard = subprocess.Popen(["bash", "-c", take_down], stdin=subprocess.PIPE,
                                      stdout=subprocess.DEVNULL, start_new_session=True)
        up = subprocess.run([self.script, "up", self.folder], capture_output=True, text=True,
                            env=environment(UP_TIMEOUT=WAIT_SECONDS, **settings),
                            stdin=subprocess.DEVNULL)
        if up.returncode:
            self.down()
            raise AssertionError(f"{self.script.name} up fails:\n{up.stderr}")

    def require(self):
        require(HOST_TOOLS, "--uts", "--net")

    def down(self):
        self.guard.stdin.close()
        self.guard.wait(WAIT_SECONDS)

    def do(self, verb, node, *words):
        subprocess.run([self.script, verb, self.folder, node, *words], check=True,
                       env=environment(), timeout=WAIT_SECONDS)

    def launcher(self, ranks):
        """For lockstep_test.Site: spread over the hosts."""
        return [self.script, "run", self.folder, ranks]


def ranks_in(folder):
    """Processes of lockstepd whose work is in this folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if (os.readlink(path / "exe") == str(BIN.resolve().parent / "libexec/lockstepd") and
                    os.readlink(path / "cwd") == str(folder.resolve())):
                found.append(int(path.name))
        except OSError:  # it has ended
            pass
    return [pid for pid in found if is_running(pid)]


class Cluster(Hosts):
    script = CLUSTER

    def __init__(self, **settings):
        super().__init__(**settings)
        said = subprocess.run([CLUSTER, "env", self.folder], capture_output=True, text=True,
                              check=True).stdout
        pairs = re.findall(r"(\w+)='?([^' \n]*)'?", said)
        self.variables = {**dict(pairs), "OMP_NUM_THREADS": 1,
                          "PATH": f"{BIN}:{os.environ['PATH']}"}
        self.env = environment(**self.variables)

    def require(self):
        require(SLURM_TOOLS, "--uts")

    def launcher(self, ranks):
        return ["srun", "--mpi=pmix", "--wait=10", f"--nodes={min(ranks, 2)}", f"--ntasks={ranks}",
                "--time=3"]

    def command(self, *argv, cwd=None, check=True, **env):
        done = subprocess.run([*map(str, argv)], capture_output=True, text=True, cwd=cwd,
                              timeout=WAIT_SECONDS, env={**self.env, **env},
                              stdin=subprocess.DEVNULL)
        if check and done.returncode:
            raise AssertionError(f"{' '.join(map(str, argv))}: exit code {done.returncode}: "
                                 f"{done.stdout}{done.stderr}")
        return done

    def submit(self, folder, script, *options, size=SMALL):
        """One job, or the array that it is, from its folder."""
        said = self.command("sbatch", "--parsable", *size, *options, SCRIPTS / script, cwd=folder)
        return BatchJob(self, folder, said.stdout.strip())

    def submit_high(self, folder):
        """A job of the higher partition, which takes both nodes and is done at once."""
        said = self.command("sbatch", "--parsable", "--partition=high", "--nodes=2", "--exclusive",
                            "--output=/dev/null", "--wrap=true", cwd=folder)
        return BatchJob(self, folder, said.stdout.strip())

    def submit_later(self, folder, name):
        """A job that waits."""
        said = self.command("sbatch", "--parsable", f"--job-name={name}", "--begin=now+1hour",
                            "--output=/dev/null", "--wrap=true", cwd=folder)
        return BatchJob(self, folder, said.stdout.strip())


class BatchJob:
    """A job of Slurm; `name` is JOB, or JOB_TASK in an array."""

    def __init__(self, cluster, folder, name):
        self.cluster, self.folder, self.name = cluster, folder, name

    def task(self, number):
        return BatchJob(self.cluster, self.folder, f"{self.name}_{number}")

    def facts(self):
        """{key: value} of scontrol show job."""
        said = self.cluster.command("scontrol", "-o", "show", "job", self.name, check=False)
        return dict(re.findall(r"(\S+?)=(\S*)", said.stdout))

    def state(self):
        return self.facts().get("JobState")

    def ended(self):
        """(state, exit code, restarts), once nothing of it is left to happen."""
        facts = self.facts()
        if facts.get("JobState") in ("PENDING", "RUNNING", "COMPLETING", "REQUEUED", None):
            return None
        return facts["JobState"], facts["ExitCode"], int(facts["Restarts"])

    def signal(self, name, *options):
        self.cluster.command("scancel", f"--signal={name}", *options, self.name)

    def cancel(self):
        self.cluster.command("scancel", self.name)

    def said(self):
        """What the job's folder and the cluster know, for a message."""
        logs = [f"--- {path.name}\n{path.read_text(errors='replace')[-6000:]}"
                for path in sorted(self.folder.glob("*.log"))]
        facts = {key: value for key, value in self.facts().items()
                 if key in ("JobState", "Reason", "Restarts", "ExitCode", "NodeList")}
        return "\n".join([f"job {self.name}: {facts}", *logs])

    def until(self, holds, what, seconds=WAIT_SECONDS):
        """Waits until `holds()`, and gives its value."""
        deadline = time.monotonic() + seconds
        while not (value := holds()):
            if time.monotonic() > deadline:
                raise AssertionError(f"{what}: not seen within {seconds} s; {self.said()}")
            time.sleep(0.05)
        return value

    def end(self):
        """Cancels what is left of it, and waits until no rank is left."""
        self.cluster.command("scancel", self.name.partition("_")[0], check=False)
        self.until(lambda: not ranks_in(self.folder), "that no rank is left")
