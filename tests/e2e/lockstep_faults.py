"""Faults that come to a job at a chosen point: to a rank right before a call of its (tests/support/
fault_shim.cpp), and a file system that can be frozen."""

import os
import shutil
import subprocess
import unittest

from lockstep_jobs import BIN
from lockstep_test import keep_mounts_private

SHIM = BIN.parent / "tests" / "libfault_shim.so"


def preloading(shim, **variables):
    """The command before a rank's that gives it a shim."""
    # A sanitizer's runtime would have to come first.
    sanitizer = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
    return ["env", f"LD_PRELOAD={shim}", f"ASAN_OPTIONS={sanitizer}",
            *(f"{key}={value}" for key, value in variables.items())]


class Fault:
    """What comes to a rank, and the note that tells when. `how`: kill, stop, freeze (a disk), or
    hold, until `go`; that many `times`."""

    def __init__(self, note, how, rank, calls, disk="", times=1):
        self.note = note
        self.wrapper = preloading(
            SHIM, LOCKSTEP_FAULT=how, LOCKSTEP_FAULT_RANK=rank, LOCKSTEP_FAULT_AT=calls,
            LOCKSTEP_FAULT_NOTE=note, LOCKSTEP_FAULT_DISK=disk, LOCKSTEP_FAULT_TIMES=times)

    def began(self):
        """When it came, by time.monotonic(); None before."""
        text = self.note.read_text() if self.note.exists() else ""
        return float(text) if text.endswith("\n") else None

    def go(self):
        self.note.unlink()


class Disk:
    """A file system of a test class's own, mounted where no other process sees it."""

    def __init__(self, test, scratch):
        keep_mounts_private()
        self.folder, image = scratch / "frozen", scratch / "image"
        self.folder.mkdir(parents=True)
        with open(image, "wb") as file:
            file.truncate(64 << 20)
        path = os.environ["PATH"] + ":/usr/sbin:/sbin"
        self.fsfreeze, mkfs = (shutil.which(name, path=path) for name in ("fsfreeze", "mkfs.ext4"))
        if not self.fsfreeze or not mkfs:
            raise unittest.SkipTest("fsfreeze or mkfs.ext4 is missing")
        for words in ([mkfs, "-q", "-F", image], ["mount", "-o", "loop", image, self.folder]):
            done = subprocess.run(words, capture_output=True, check=False)
            if done.returncode != 0:
                raise unittest.SkipTest(f"no loop mount: {done.stderr.decode().strip()}")
        test.addClassCleanup(subprocess.run, ["umount", "--lazy", self.folder], check=True)

    def freeze(self, yes):
        subprocess.run([self.fsfreeze, "-f" if yes else "-u", self.folder], check=False,
                       stderr=subprocess.DEVNULL)  # thawed already
