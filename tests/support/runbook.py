#!/usr/bin/env -S python3 -B
"""Each message that the runbook quotes is one that the programs or scripts print: a fragment of a
literal in the sources. runbook.py RUNBOOK SOURCES"""

import re
import sys
from pathlib import Path

# Other programs' words.
FOREIGN = {"No space left on device", "ORTE has lost communication"}


def quoted(text):
    """The fragments in the first column of tables whose head says `message`."""
    for table in re.findall(r"^\| message \|.*\n\|[-|]+\n((?:\|.*\n)+)", text, re.M):
        for row in table.splitlines():
            yield from re.findall(r"`([^`]+)`", row.split("|")[1])


def main():
    runbook, root = Path(sys.argv[1]), Path(sys.argv[2])
    sources = "\n".join(path.read_text() for folder in ("common", "coordinator", "worker")
                        for path in sorted((root / folder).rglob("*.[ch]*")))
    sources += "\n".join(path.read_text() for path in sorted((root / "deploy").rglob("*.sbatch")))
    joined = re.sub(r'"\s*\n\s*"', "", sources)
    fragments = list(quoted(runbook.read_text()))
    unknown = [fragment for fragment in fragments
               if fragment not in FOREIGN and fragment not in joined]
    for fragment in unknown:
        print(f"{runbook}: no program prints `{fragment}`")
    print(f"{len(fragments)} messages, {len(unknown)} unknown")
    return 1 if unknown or not fragments else 0


sys.exit(main())
