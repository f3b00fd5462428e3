"""A disk whose writes are recorded, and what it may hold after a power cut.

A real file system lies on a loop device on a file of FUSE (tests/support/block_log.cpp), which logs
every write and flush; a text that is written to `Recorder.marks` is logged between them. From such
a recording come crash states: the disk at the moment of an event, without an arbitrary part of what
no flush has made durable by then. Mounting one lets the file system recover as after a real cut.

The disk of the model: what was flushed is there; of the writes after the last flush any may be
lost, whole or in units of 512 bytes; nothing else changes. Superblocks alone are never torn: ext4
and btrfs can't mount one that is, and rely on a disk that writes 4 KiB whole. It takes root, FUSE
and loop devices.
"""

import os
import random
import shutil
import struct
import subprocess
import time
import unittest
from itertools import accumulate
from typing import NamedTuple

from lockstep_jobs import BIN

BLOCK_LOG = BIN.parent / "tests" / "block_log"
DISK_BYTES = 320 << 20  # XFS wants 300 MiB; the file is sparse
SECTOR_BYTES = 512
BLOCK_BYTES = 4096
SUPERBLOCKS = (0, 64 << 10, 64 << 20)  # ext4's and XFS's; btrfs's and its copy
MKFS = {  # all is written at once, nothing by a thread of the kernel later
    "ext4": ("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0"),
    "xfs": ("mkfs.xfs", "-q", "-f"),
    "btrfs": ("mkfs.btrfs", "-q", "-f"),
}
PATH = os.environ["PATH"] + ":/usr/sbin:/sbin"
WAIT_SECONDS = 20

HEADER = struct.Struct("<BQQ")
WRITE, ZEROS, FLUSH, MARK = range(1, 5)


def run(*words):
    """A tool that must succeed."""
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, env={**os.environ, "PATH": PATH})
    if done.returncode != 0:
        raise OSError(f"{' '.join(map(str, words))}: {done.stderr.strip()}")


def require_disks(kind):
    """Skips the tests where no such file system can be recorded."""
    missing = [name for name in (MKFS[kind][0], "setpriv") if not shutil.which(name, path=PATH)]
    missing += [path for path in ("/dev/fuse", "/dev/loop-control") if not os.path.exists(path)]
    if not BLOCK_LOG.exists():
        missing.append(f"{BLOCK_LOG.name}, which is not built without libfuse 3")
    if missing:
        raise unittest.SkipTest(f"{kind}: missing: {', '.join(missing)} (see deploy/bootstrap.sh)")


class Mounted:
    """A file system mounted at a folder: on an image, unless there are other options. OSError where
    that can't be."""

    def __init__(self, what, folder, *options):
        self.what, self.folder, self.options = what, folder, options or ("-o", "loop")

    def __enter__(self):
        self.folder.mkdir(exist_ok=True)
        run("mount", *self.options, self.what, self.folder)
        return self

    def __exit__(self, kind, *_):
        # After an error somebody may still be at work there.
        run("umount", *(["--lazy"] if kind else []), self.folder)


class Event(NamedTuple):
    kind: int
    offset: int
    length: int
    at: int  # its bytes in the log


class Recorder:
    """A new file system of a kind, mounted at `disk` and recorded, until it is left."""

    def __init__(self, kind, folder, disk):
        folder.mkdir(parents=True)
        self.kind, self.disk = kind, disk
        self.base, self.log = folder / "base", folder / "log"
        self.live, self.served = folder / "live", folder / "served"
        self.marks = self.served / "marks"

    def mark(self, text):
        with open(self.marks, "r+b", buffering=0) as marks:
            marks.write(text.encode())

    def __enter__(self):
        with open(self.base, "wb") as image:
            image.truncate(DISK_BYTES)
        run(*MKFS[self.kind], self.base)
        run("cp", self.base, self.live)
        self.served.mkdir()
        # It goes when this process goes, and what is mounted with it.
        self.server = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", BLOCK_LOG, self.live,
                                        self.log, self.served], stdin=subprocess.DEVNULL,
                                       stderr=subprocess.PIPE, start_new_session=True)
        try:
            self._until_served()
            self.mounted = Mounted(self.served / "disk", self.disk).__enter__()
        except OSError as error:
            self._stop_serving()
            raise unittest.SkipTest(f"no {self.kind} on FUSE here: {error}") from error
        except BaseException:
            self._stop_serving()
            raise
        return self

    def __exit__(self, *how):
        try:
            self.mounted.__exit__(*how)
        finally:
            self._stop_serving()

    def _until_served(self):
        deadline = time.monotonic() + WAIT_SECONDS
        while not self.marks.exists():
            if self.server.poll() is not None:
                raise OSError(self.server.stderr.read().decode().strip())
            if time.monotonic() > deadline:
                raise OSError(f"nothing is served within {WAIT_SECONDS} s")
            time.sleep(0.005)

    def _stop_serving(self):
        if os.path.ismount(self.served):
            run("umount", "--lazy", self.served)
        try:
            self.server.wait(WAIT_SECONDS)
        except subprocess.TimeoutExpired:  # somebody still holds the disk
            self.server.kill()
            self.server.wait()
        self.server.stderr.close()


class CrashState(NamedTuple):
    number: int
    cut: int      # the events before it had come
    lost: int     # so many writes behind the last flush are not there
    torn: int     # ... only in part
    kept: int
    marks: tuple  # what was known outside

    def __str__(self):
        return (f"state {self.number}: cut before event {self.cut}, unflushed writes: {self.lost} "
                f"lost, {self.torn} torn, {self.kept} kept")


class Recording:
    """What a recorder has left behind."""

    def __init__(self, recorder):
        self.base, self.log = recorder.base, recorder.log
        self.events, at, size = [], 0, self.log.stat().st_size
        with open(self.log, "rb") as log:
            while at < size:
                log.seek(at)
                kind, offset, length = HEADER.unpack(log.read(HEADER.size))
                at += HEADER.size
                self.events.append(Event(kind, offset, length, at))
                at += length if kind in (WRITE, MARK) else 0
        if at != size:
            raise AssertionError(f"{self.log} ends in the midst of an event")
        # flushed[cut]: events before it are durable at the cut.
        self.flushed = list(accumulate(
            (i + 1 if event.kind == FLUSH else 0 for i, event in enumerate(self.events)), max,
            initial=0))
        self.marked = [i for i, event in enumerate(self.events) if event.kind == MARK]

    def count(self, kind):
        return sum(event.kind == kind for event in self.events)

    def states(self, count, seed, folder):
        """`count` crash states, by their cuts, each with the image of it, in the folder's memory:
        on a disk each mount would wait until all of the image is written."""
        with Mounted("tmpfs", folder, "-t", "tmpfs", "-o", "size=2g"):
            with open(self.log, "rb") as log:
                yield from self._states(count, seed, log.fileno(), folder / "image",
                                        folder / "durable")

    def _states(self, count, seed, log, image, durable):
        done = 0
        run("cp", self.base, durable)
        marks = {i: os.pread(log, self.events[i].length, self.events[i].at).decode()
                 for i in self.marked}
        for number, cut in enumerate(sorted(self._cuts(count, random.Random(seed)))):
            with open(durable, "r+b") as disk:
                for event in self.events[done:self.flushed[cut]]:
                    apply(event, log, disk.fileno())
            done = self.flushed[cut]
            run("cp", durable, image)
            with open(image, "r+b") as disk:
                lot = random.Random(f"{seed}/{number}")
                fates = draw(self.events[done:cut], log, disk.fileno(), lot)
            known = tuple(marks[i] for i in self.marked if i < cut)
            yield CrashState(number, cut, *fates, known), image

    def _cuts(self, count, lot):
        """A third of them anywhere, a third right behind a mark, where most is at stake, a third
        right before a flush, where most may be lost."""
        full = [i for i, event in enumerate(self.events)
                if event.kind == FLUSH and any(e.kind != MARK for e in
                                               self.events[self.flushed[i]:i])]
        for number in range(count):
            if number % 3 == 0 and self.marked:
                yield min(lot.choice(self.marked) + lot.randint(1, 12), len(self.events))
            elif number % 3 == 1 and full:
                yield lot.choice(full)
            else:
                yield lot.randint(0, len(self.events))


def apply(event, log, disk):
    if event.kind == WRITE:
        os.pwrite(disk, os.pread(log, event.length, event.at), event.offset)
    elif event.kind == ZEROS:
        os.pwrite(disk, bytes(event.length), event.offset)


def can_tear(event):
    superblock = event.offset in SUPERBLOCKS and event.length <= BLOCK_BYTES
    return event.kind == WRITE and event.length > SECTOR_BYTES and not superblock


def tear(event, log, disk, lot):
    """Applies some of its sectors."""
    data = os.pread(log, event.length, event.at)
    for begin in range(0, event.length, SECTOR_BYTES):
        if lot.random() < 0.5:
            os.pwrite(disk, data[begin:begin + SECTOR_BYTES], event.offset + begin)


def draw(unflushed, log, disk, lot):
    """What becomes of the writes behind the last flush: how many are lost, torn and kept."""
    lost, torn = lot.choice((0, 0.1, 0.5, 0.9, 1)), lot.choice((0, 0.5))
    fates = [0, 0, 0]
    for event in unflushed:
        if event.kind not in (WRITE, ZEROS):
            continue
        if lot.random() < lost:
            fates[0] += 1
        elif can_tear(event) and lot.random() < torn:
            tear(event, log, disk, lot)
            fates[1] += 1
        else:
            apply(event, log, disk)
            fates[2] += 1
    return fates
