#!/usr/bin/env -S python3 -B
"""Revision.cmake, as a commit after the other is made: revision_selftest.py SOURCES SCRATCH"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

SOURCES, SCRATCH = Path(sys.argv[1]), Path(sys.argv[2])
SCRIPT = "deploy/cmake/Revision.cmake"
HASH = "[0-9a-f]{7,}"
AT = r"20200115\.080000"
failures = 0


def run(*argv, cwd=SCRATCH):
    subprocess.run(argv, cwd=cwd, check=True, stdout=subprocess.DEVNULL, env={
        "PATH": os.environ["PATH"], "HOME": str(SCRATCH), "GIT_CONFIG_NOSYSTEM": "1",
        **{f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in
           {"NAME": "a", "EMAIL": "a@b", "DATE": "2020-01-15T09:00:00+0100"}.items()}})


def expect(what, revision, version, sources, git_there=True):
    global failures
    path = os.environ["PATH"] if git_there else "/nowhere"
    out = SCRATCH / "out"
    subprocess.run([shutil.which("cmake"), f"-DSOURCE={sources}", f"-DOUT={out}", "-DVERSION=0.1.0",
                    "-P", sources / SCRIPT], check=True, env={"PATH": path})
    text = (out / "revision.cpp").read_text()
    found = re.search('return "(.*)"', text)[1], (out / "package_version.txt").read_text().strip()
    if not re.fullmatch(revision, found[0]) or not re.fullmatch(version, found[1]):
        print(f"{what}: {found}, not {(revision, version)}")
        failures += 1
    return out / "revision.cpp"


shutil.rmtree(SCRATCH, ignore_errors=True)
tree = SCRATCH / "outer" / "tree"
(tree / SCRIPT).parent.mkdir(parents=True)
(tree / "file").write_text("1")
shutil.copy(SOURCES / SCRIPT, tree / SCRIPT)
shutil.copy(SOURCES / ".gitattributes", tree)
expect("no checkout", "", r"0\.1\.0", tree)

run("git", "init", "-q", tree.parent)
run("git", "-C", tree.parent, "commit", "-q", "--allow-empty", "-m", "outer")
expect("somebody else's checkout", "", r"0\.1\.0", tree)

git = ("git", "-C", tree)
run("git", "init", "-q", tree)
run(*git, "add", ".")
run(*git, "commit", "-q", "-m", "one")
written = expect("before any tag", HASH, rf"0\.1\.0~git{AT}\.{HASH}", tree)
os.utime(written, (1, 1))
expect("no commit since", HASH, rf"0\.1\.0~git{AT}\.{HASH}", tree)
if written.stat().st_mtime != 1:
    print("nothing has changed, but revision.cpp was written anew")
    failures += 1
expect("no git", "", r"0\.1\.0", tree, git_there=False)

(tree / "file").write_text("2")
expect("changed files", f"{HASH}-dirty", rf"0\.1\.0~git{AT}\.{HASH}\.dirty", tree)
run(*git, "commit", "-q", "-a", "-m", "two")
run(*git, "tag", "v0.1.0")
expect("a release", r"v0\.1\.0", r"0\.1\.0", tree)
run(*git, "commit", "-q", "--allow-empty", "-m", "three")
expect("behind the release", rf"v0\.1\.0-1-g{HASH}", rf"0\.1\.0\+git{AT}\.{HASH}", tree)

(SCRATCH / "unpacked").mkdir()
run(*git, "archive", "-o", SCRATCH / "tree.tar", "HEAD")
run("tar", "-xf", "tree.tar", "-C", "unpacked")
expect("an archive", HASH, rf"0\.1\.0~git{AT}\.{HASH}", SCRATCH / "unpacked")
sys.exit(1 if failures else 0)
