"""A machine with a systemd of its own, booted in a container: this system's programs in a root
folder that is otherwise empty, so that none of this system's services start in it."""

import os
import re
import shutil
import subprocess
import time
import unittest
import uuid
from pathlib import Path

from lockstep_cluster import require
from lockstep_jobs import BIN, ROOT

WAIT_SECONDS = 60  # for a state
TOOLS = ("nsenter", "setpriv", "unshare", "mpirun")
USER, UID = "lockstep", 2000
FILES = {
    "passwd": f"root:x:0:0::/root:/bin/sh\n{USER}:x:{UID}:{UID}::/srv/lockstep:/bin/sh\n"
              "messagebus:x:100:100::/:/bin/false\nnobody:x:65534:65534::/:/bin/false\n",
    "group": f"root:x:0:\n{USER}:x:{UID}:\nmessagebus:x:100:\ntty:x:5:\nnogroup:x:65534:\n",
    "machine-id": uuid.uuid4().hex + "\n",  # none: systemd would enable all that is installed
    "hosts": "127.0.0.1 localhost\n",
    "os-release": "ID=lockstep\n",
}
TAKEN = ("alternatives", "openmpi", "ld.so.cache", "nsswitch.conf", "pam.d")  # of /etc


def folders_of_libraries():
    """Where the libraries of lockstepd lie that are not the system's: LibTorch's."""
    said = subprocess.run(["ldd", BIN.parent / "libexec" / "lockstepd"], capture_output=True,
                          text=True, check=True).stdout
    found = {os.path.normpath(os.path.dirname(path)) for path in re.findall(r"=> (/\S+)", said)}
    return sorted(folder for folder in found if not folder.startswith(("/usr/", "/lib")))


def own_cgroup(name):
    """Where no systemd runs that would give the container one: by hand, or it would be shared."""
    made = []
    for kind in ("systemd", "unified", ""):
        below = Path("/sys/fs/cgroup") / kind
        if (below / "cgroup.procs").exists():
            (below / name).mkdir(exist_ok=True)
            made.append(below / name)
    return made


def child_of(pid):
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[-1]


class Machine:
    """Booted, until `off`. `root`: its file system, as seen from outside."""

    def __init__(self, folder, services=()):
        """services: unit files that it has."""
        if not shutil.which("systemd-nspawn"):
            raise unittest.SkipTest("not installed: systemd-nspawn (Debian's systemd-container)")
        require(TOOLS, "--pid", "--fork")
        self.root, self.name = folder, f"lockstep-{uuid.uuid4().hex[:8]}"
        etc = folder / "etc"
        (etc / "systemd/system").mkdir(parents=True)
        self.libraries = folders_of_libraries()
        for name in ("usr", "srv", "opt/lockstep", *(path[1:] for path in self.libraries)):
            (folder / name).mkdir(parents=True)  # for all to read, in root's home, too
        for name in ("bin", "sbin", "lib", "lib64"):
            if not Path("/", name).is_symlink():
                raise unittest.SkipTest(f"/{name} is no link into /usr")
            (folder / name).symlink_to(os.readlink(f"/{name}"))
        for name, text in FILES.items():
            (etc / name).write_text(text)
        for name in TAKEN:
            subprocess.run(["cp", "-a", f"/etc/{name}", etc], check=True)
        for path in services:
            shutil.copy(path, etc / "systemd/system")
        self.on()

    def on(self):
        """Boots it."""
        binds = {"/usr": "/usr", BIN.resolve(): "/opt/lockstep/bin",
                 BIN.resolve().parent / "libexec": "/opt/lockstep/libexec",
                 ROOT / "deploy": "/opt/lockstep/deploy",
                 **{path: path for path in self.libraries}}
        if Path("/run/systemd/system").exists():
            self.cgroups, scope = [], ["systemd-run", "--scope", "--quiet", "--collect",
                                       "--property=Delegate=yes"]
        else:
            self.cgroups, scope = own_cgroup(self.name), []
        enter = "".join(f'echo $$ >"{path}/cgroup.procs"; ' for path in self.cgroups)
        words = ["systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit",
                 "--settings=no", "--private-network", "--console=pipe",
                 f"--machine={self.name}", f"--directory={self.root}",
                 *(f"--bind-ro={here}:{there}" for here, there in binds.items()),
                 "systemd.unit=multi-user.target"]
        self.log = self.root.parent / f"{self.root.name}.console"
        # All of it goes when this process goes: a killed nspawn alone would leave its systemd.
        around = ["setpriv", "--pdeathsig", "KILL", *scope, "unshare", "--pid", "--fork", "--kill-child",
                  "--mount", "--mount-proc", "sh", "-c", enter + 'exec "$@"', "sh"]
        # With cgroups of version 1 systemd would not be told when a unit's last process is gone.
        env = {**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([*around, *words], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, env=env,
                                            start_new_session=True)

        def boots():
            if self.process.poll() is not None:
                self.off()
                said = self.log.read_text(errors="replace").strip().rpartition("\n")[2]
                raise unittest.SkipTest(f"no systemd boots in a container here: {said}")
            try:
                self.leader = child_of(child_of(self.process.pid))
            except (OSError, IndexError):
                return False
            said = self.do("systemctl", "is-active", "multi-user.target", check=False)
            return said == "active"
        self.until(boots, "that it has booted")

    def do(self, *words, check=True, seconds=WAIT_SECONDS):
        """What a command in it prints."""
        done = subprocess.run(
            ["nsenter", "--target", self.leader, "--mount", "--uts", "--ipc", "--net", "--pid",
             "--cgroup", "--root", "--wd", "env", "-i", "PATH=/usr/sbin:/usr/bin", "LANG=C.UTF-8",
             *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=seconds)
        if check and done.returncode:
            raise AssertionError(f"{' '.join(map(str, words))}: exit code {done.returncode}: "
                                 f"{done.stdout}{done.stderr}")
        return done.stdout.strip()

    def facts(self, unit, *names):
        """What systemctl shows of a unit."""
        said = self.do("systemctl", "show", unit, *(f"--property={name}" for name in names))
        pairs = dict(line.split("=", 1) for line in said.splitlines())
        return tuple(pairs[name] for name in names)

    def journal(self, unit):
        return self.do("journalctl", "--no-pager", "--output=short", "--unit", unit)

    def until(self, holds, what, seconds=WAIT_SECONDS, unit=None):
        deadline = time.monotonic() + seconds
        while not (value := holds()):
            if time.monotonic() > deadline:
                said = self.journal(unit) if unit else self.log.read_text(errors="replace")[-4000:]
                raise AssertionError(f"{what}: not seen within {seconds} s; {said}")
            time.sleep(0.05)
        return value

    def shut_down(self):
        """In order: services are stopped first."""
        self.do("systemctl", "poweroff", check=False)
        self.process.wait(WAIT_SECONDS)
        self.off()

    def off(self):
        """At once, as by a power cut."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        for path in self.cgroups:
            for folder, _, _ in os.walk(path, topdown=False):
                deadline = time.monotonic() + 10
                while Path(folder).exists():
                    try:
                        os.rmdir(folder)
                    except OSError:  # what was killed is not gone yet
                        if time.monotonic() > deadline:
                            break
                        time.sleep(0.01)
