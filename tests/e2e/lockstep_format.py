"""A checkpoint's tensors as two readers see them: `lockstep export`, and tests/support/read_store.py,
of which deploy/FORMAT.md is all that it goes by."""

import hashlib
import json
import subprocess
import sys

from lockstep_jobs import ROOT, Result, command
from lockstep_store import read_plain

READER = ROOT / "tests" / "support" / "read_store.py"


def reader(*argv):
    done = subprocess.run([sys.executable, "-B", READER, *map(str, argv)], capture_output=True,
                          text=True, timeout=60, stdin=subprocess.DEVNULL)
    return Result(done.returncode, done.stdout, done.stderr, 0)


def read(test, store, checkpoint):
    """{name: [dtype, shape, SHA-256 of the bytes]}, as the reader prints them."""
    result = reader(store, checkpoint)
    test.assertEqual((result.code, result.err), (0, ""), result)
    found = {}
    for line in result.out.splitlines():
        digest, dtype, rest = line.split(" ", 2)
        shape, _, name = rest.partition("] ")
        found[name] = [dtype, json.loads(shape + "]"), digest]
    return found


def exported(store, checkpoint, out):
    """The same by `lockstep export`; its exit code where that is not 0."""
    result = command("export", store, checkpoint, out, "--force")
    if result.code:
        return result.code
    tensors, _ = read_plain(out)
    return {name: [tensor.dtype, list(tensor.shape), hashlib.sha256(tensor.data).hexdigest()]
            for name, tensor in tensors.items()}
