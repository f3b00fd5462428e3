"""What must hold when one system call of a save or of a load fails: the judge of nth_call_test.py.

It knows facts alone, as they are read from what two launches said and left: one in which the call
failed, and one undisturbed after it. So facts can be doctored, and the judge tried.
"""

import errno
import hashlib
import os
import re
from pathlib import Path
from typing import NamedTuple

from lockstep_store import Unreadable

INTERVAL, MAX_FAILURES = 10, 3
IO_FAILURE = 3  # the exit code

FULL, INTERRUPTED = ("ENOSPC", "EDQUOT", "EIO"), ("EINTR",)
TRANSFER = ("short",)
ERRORS = {  # that make sense for a call
    "fsync": FULL + INTERRUPTED, "write": FULL + INTERRUPTED + TRANSFER,
    "pwrite": FULL + INTERRUPTED + TRANSFER, "rename": FULL, "create": FULL + INTERRUPTED,
    "fallocate": (*FULL, *INTERRUPTED, "EOPNOTSUPP"), "ftruncate": FULL + INTERRUPTED,
    "mkdir": FULL, "close": FULL + INTERRUPTED, "link": FULL, "unlink": ("EIO",),
    "rmdir": ("EIO",), "pread": ("EIO", *INTERRUPTED, *TRANSFER),
    "read": ("EIO", *INTERRUPTED, *TRANSFER), "open": ("EIO", *INTERRUPTED), "stat": ("EIO",),
    "fstat": ("EIO",), "statfs": ("EIO",), "readdir": ("EIO",), "realpath": ("EIO",),
    "close_read": ("EIO", *INTERRUPTED),
}
# Past the page cache, of large shards alone.
DIRECT_ERRORS = {
    "open_direct": ("EINVAL", *INTERRUPTED),
    "pwrite_direct": (*FULL, *INTERRUPTED, *TRANSFER, "EINVAL"),
    "pread_direct": ("EIO", *INTERRUPTED, *TRANSFER, "EINVAL"),
}
# Of these nobody may notice anything.
INVISIBLE = ("EINTR", "short", "EOPNOTSUPP", "EINVAL")
OWN_WORDS = {"ENOSPC": "no space left on device", "EDQUOT": "no space left: disk quota exceeded"}
# What they failed to change must be told, or done anew.
CHANGES = ("create", "write", "pwrite", "pwrite_direct", "fallocate", "ftruncate", "fsync", "close",
           "mkdir", "rename", "link", "unlink", "rmdir")


class Case(NamedTuple):
    scene: str
    call: str
    error: str     # an errno's name, or "short"
    n: int         # the call that fails, from 1
    goes_on: bool = False  # all from there on

    def words(self, phase):
        number = 0 if self.error == "short" else getattr(errno, self.error)
        return f"{phase} {self.call} {number} {self.n}{'+' if self.goes_on else ''}"

    def __str__(self):
        return (f"{self.scene}: {self.error} of {self.call} {self.n}" +
                (" and all behind it" if self.goes_on else ""))


class Launch(NamedTuple):
    code: int | None   # None: it hung
    said: str
    parent: tuple | None  # what its last attempt's decision.json says
    present: dict      # {(attempt, iteration): digest of the tensors, None: can't be read}
    verified: int      # exit code of lockstep verify
    leftover: list     # names of .partial and .trash folders

    def committed(self):
        """What was acknowledged."""
        return {(int(a), int(i)) for a, i in re.findall(r" committed (\d+)@(\d+)[:,]", self.said)}


def digest(tensors):
    made = hashlib.blake2b()
    for name, tensor in sorted(tensors.items()):
        made.update(repr((name, tensor.dtype, tensor.shape)).encode() + tensor.data)
    return made.hexdigest()


def launch_facts(result, store, verified):
    """result: None where it hung."""
    present = {}
    for id_ in store.committed():
        try:
            present[id_] = digest(store.tensors(*id_))
        except (Unreadable, OSError, ValueError, KeyError):
            present[id_] = None
    decision = store.record(max(store.attempts(), default=0), "decision") or {"parent": None}
    parent = decision["parent"]
    names = [path.name for path in (store.path / "checkpoints").glob(".*")]
    return Launch(result.code if result else None, result.out + result.err if result else "",
                  (parent["attempt"], parent["iteration"]) if parent else None, present, verified,
                  [name for name in names if name.endswith(".partial") or ".trash" in name])


class Call(NamedTuple):
    """On a file of the store."""
    name: str
    path: str
    failed: bool


def parse_calls(text):
    """What the shim notes."""
    return [Call(name, path, bool(failed)) for name, path, failed in
            re.findall(r"^(\w+) (\S+)( failed)?$", text, re.MULTILINE)]


class Facts(NamedTuple):
    calls: list       # of the disturbed rank of the first launch, in their order
    loads: bool       # it failed in the load, else in a save
    begin: int        # the iteration at which the disturbed launch begins, of attempt 1
    end: int          # and ends
    first: Launch
    second: Launch    # the undisturbed one, to end + INTERVAL
    reference: dict   # {iteration: digest} of a job that nothing disturbed
    folder: Path      # where it all is


def judge(case, facts):
    """Every breach, as a sentence."""
    found = []

    def require(holds, breach):
        if not holds:
            found.append(breach)

    judge_end(case, facts, require)
    judge_saves(case, facts, require)
    judge_silence(case, facts, require)
    for which, launch in (("first", facts.first), ("second", facts.second)):
        judge_store(which, launch, facts.reference, require)
    judge_next(facts, require)
    return found


def cause(case):
    if case.error in INVISIBLE:
        return ""
    return OWN_WORDS.get(case.error) or os.strerror(getattr(errno, case.error))


def judge_end(case, facts, require):
    first = facts.first
    require(first.code is not None, "it hangs")
    may_fail = case.error not in INVISIBLE and (case.goes_on or facts.loads)
    codes = (0, IO_FAILURE) if may_fail else (0,)
    require(first.code in codes, f"exit code {first.code}, expected one of {codes}")
    if first.code == IO_FAILURE:
        errors = [line for line in first.said.splitlines()
                  if cause(case) in line and " warning: " not in line]
        require(len(errors) == 1, f"not one error that says {cause(case)!r}: {errors}")
    if case.error in INVISIBLE:
        told = re.findall(r".*(?:warning|error|not saved).*", first.said)
        require(not told, f"it is noticed: {told}")
    require("damaged" not in first.said, "what can't be transferred now is taken for damage")


def judge_saves(case, facts, require):
    """Each save is acknowledged, or said to have failed and why; work is lost by no good end."""
    first = facts.first
    committed = {i for _, i in first.committed()}
    failed = re.findall(r"iteration (\d+) is not saved[ ,:].*", first.said)
    lines = re.findall(r".* is not saved.*", first.said)
    for line in lines:
        require(cause(case) and cause(case) in line, f"a failed save without its cause: {line}")
    require(case.goes_on or len(lines) <= 1, f"one failure is told {len(lines)} times")
    if first.code == 0:
        for due in range(facts.begin + INTERVAL, facts.end + 1, INTERVAL):
            require(due in committed or str(due) in failed, f"nothing is said of the save of {due}")
        require(facts.end in committed, "it ends well with work unsaved")
    if first.code == IO_FAILURE and not facts.loads:
        require(len(lines) >= MAX_FAILURES - 1, f"it gives up after {len(lines)} failures")
    require(first.code != 0 or first.parent == (1, facts.begin),
            f"it trains from {first.parent}, not from 1@{facts.begin}")
    require(not facts.loads or first.code == 0 or not committed, "it fails to load, and trains")


def judge_silence(case, facts, require):
    """What is neither told nor done anew was overlooked. But a heartbeat, which nobody syncs, is
    followed by the next one, and who asks something of the job makes requests/ where it is not."""
    if case.error in INVISIBLE or cause(case) in facts.first.said:
        return
    for place, call in enumerate(facts.calls):
        needed = not call.path.endswith(("/heartbeat", "/requests"))
        if call.failed and call.name in CHANGES and needed:
            anew = any(later.name == "create" and later.path == call.path
                       for later in facts.calls[place + 1:])
            require(anew, f"nothing is said of {call.name} {call.path}")


def judge_store(which, launch, reference, require):
    require(launch.verified == 0, f"verify after the {which} launch: {launch.verified}")
    for (attempt, iteration), found in launch.present.items():
        require(found == reference[iteration],
                f"{attempt}@{iteration} after the {which} launch is not what an undisturbed job has"
                if found else f"{attempt}@{iteration} after the {which} launch can't be read")
    newest = max(launch.committed(), default=None)
    require(newest is None or newest in launch.present, f"{newest} was acknowledged, and is gone")


def judge_next(facts, require):
    """The next launch goes on from the newest that there is, and sweeps."""
    second, last = facts.second, facts.end + INTERVAL
    require(second.code == 0, f"the next launch ends with {second.code}")
    newest = max(facts.first.present, default=None)
    require(second.parent == newest, f"the next launch starts from {second.parent}, not {newest}")
    ends = {i for _, i in second.committed()}
    require(last in ends, f"the next launch does not save iteration {last}")
    require(not second.leftover, f"not swept: {second.leftover}")
