#!/usr/bin/env -S python3 -B
"""deploy/THIRD_PARTY.md lists what the build looks for, and what the programs are linked with:
third_party.py SOURCES [PROGRAM...]"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(sys.argv[1])
SOURCES = ["deploy/cmake/Dependencies.cmake", "deploy/cmake/Nccl.cmake", "deploy/cmake/LibTorch.cmake",
           "common/CMakeLists.txt", "coordinator/CMakeLists.txt", "worker/CMakeLists.txt"]
DOCUMENTS = Path("/usr/share/doc")


def looked_for():
    """`LibTorch` is found by a function of its own."""
    text = "".join(re.sub("#.*", "", (ROOT / path).read_text()) for path in SOURCES)
    found = set(re.findall(r"find_package\(\s*([\w-]+)", text))
    for name in re.findall(r"find_(?:path|library|file)\(\s*(\w+)", text):
        found.add(re.sub("_(INCLUDE_DIR|LIBRARY)$", "", name))
    return found | set(re.findall(r"lockstep_find_(libtorch)", text))


def linked(program):
    said = subprocess.run(["readelf", "-d", program], capture_output=True, text=True, check=True)
    return {re.sub(r"[-\d.]*\.so.*", ".so", name)
            for name in re.findall(r"\(NEEDED\).*\[(.*)\]", said.stdout)}


def main():
    text = (ROOT / "deploy/THIRD_PARTY.md").read_text()
    rows = [[cell.strip() for cell in line.strip("|").split("|")]
            for line in text.splitlines() if line.startswith("|") and "`" in line]
    names = {name for row in rows for name in re.findall("`([^`]+)`", row[1])}
    files = {name for name in names if name.endswith(".so")}
    wrong = []
    listed = {name.lower() for name in names - files}
    searched = {name.lower() for name in looked_for()}
    wrong += [f"the build looks for {name}, which is not listed" for name in sorted(searched - listed)]
    wrong += [f"{name} is listed, but the build does not look for it"
              for name in sorted(listed - searched)]
    for program in sys.argv[2:]:
        wrong += [f"{program} is linked with {name}, which is not listed"
                  for name in sorted(linked(program) - files)]
    for row in rows:
        if len(row) != 5 or not all(row):
            wrong.append(f"not five cells: {row}")
        for path in re.findall(r"`(/usr/share/doc/\S+)`", row[-1]):
            # Images without documents keep none of them.
            if not Path(path).exists() and (DOCUMENTS / "libc6/copyright").exists():
                wrong.append(f"{path} is not there")
    for line in wrong:
        print(f"deploy/THIRD_PARTY.md: {line}")
    print(f"{len(rows)} libraries, {len(wrong)} wrong")
    return 1 if wrong or not rows else 0


sys.exit(main())
