"""A document's blocks of code, typed into a shell, and whether what is printed is what is shown.

A block ```sh is pasted whole: it succeeds and prints nothing. In a block ```console a line
`$ COMMAND` is typed, and what stands below it is printed, on stdout and stderr together. It must
exit with 0 unless the next command is `echo $?`. A document's blocks are one session of one shell.
Lines are compared loosely:
- `...` on a line of its own is any number of lines, none too; within a line it is any text;
- what a clock measures (12:00:01, 0:24, 3 s, 1400 samples/s), numbers with a decimal point, sizes,
  ids of 16 and more hex digits are any; so is the number of spaces;
- `<!-- any: 114 -->` above: 114 stands for a whole number that each run has its own of, the same
  one from there on.
All else is as it stands: words, exit codes, checkpoints.
"""

import os
import re
import signal
import subprocess
import threading
from pathlib import Path
from typing import NamedTuple

from lockstep_jobs import BIN, MPIEXEC, environment
from lockstep_store import Store
from lockstep_test import Site

HOME = "/home/ana"  # what the documents call the user's own folder
BLOCK_SECONDS = 120
END = "end-of-command"


# ---- a document's blocks -------------------------------------------------------------------------
class Block(NamedTuple):
    place: str  # file and line
    kind: str   # what stands behind the fence; "" for an indented block, "!" for a comment
    text: str
    title: str  # of the section

    def first(self):
        return re.sub(r"\s+#.*", "", self.text.splitlines()[0].removeprefix("$ "))


def blocks(path):
    """Of code, fenced and indented, and comments, in their order."""
    text = path.read_text()
    parts = re.compile(r"^```(?P<kind>.*)\n(?P<fenced>(?:.*\n)*?)```$"
                       r"|^(?P<indented>(?:    .*\n|\n(?=    ))+)"
                       r"|^<!-- *(?P<comment>.*?) *-->$|^#+ (?P<title>.*)$", re.M)
    found, title = [], ""
    for part in parts.finditer(text):
        place = f"{path.name}:{text.count(chr(10), 0, part.start()) + 1}"
        if part["title"]:
            title = part["title"]
        elif part["comment"] is not None:
            found.append(Block(place, "!", part["comment"], title))
        elif part["kind"] is not None:
            found.append(Block(place, part["kind"], part["fenced"], title))
        else:
            text_of = re.sub(r"^    ", "", part["indented"], flags=re.M).strip("\n")
            found.append(Block(place, "", text_of, title))
    return found


def commands(text):
    """[(command, the lines shown below it)] of a console block."""
    found = []
    for line in text.rstrip().splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif found:
            found[-1][1].append(line)
        else:
            raise AssertionError(f"a console block begins with `$ `, not with {line!r}")
    return found


# ---- what is shown, and what is printed ----------------------------------------------------------
MEASURED = {r"\d\d:\d\d:\d\d": r"\d\d:\d\d:\d\d", r"\d+:\d\d(?!\d)": r"[\d:]+",
            r"\d{4}-\d\d-\d\dT\S+Z": r"\S+Z", r"\b[0-9a-f]{16,}\b": r"[0-9a-f]{16,}",
            r"[\d.]+ (?:s|ms|min|h)\b": r"[\d.]+ (?:s|ms|min|h)\b",
            r"[\d.]+ (?=(?:sample|iteration)s/s)": r"[\d.]+ ",
            r"[\d.]+ (?:[KMGT]i)?B\b": r"[\d.]+ (?:[KMGT]i)?B\b",
            r"\d+(?:\.\d+)+": r"[\d.]+", r"\.\.\.": r".*", r" +": r" +"}


class Shown:
    """What a document shows as printed, as patterns. Remembers the numbers that a run has its own
    of."""

    def __init__(self):
        self.own = {}  # {as written: what it was here, None before it has come up}

    def pattern(self, line, seen):
        if line.strip() == "...":
            return r"(?:.*\n)*?"
        kinds = {rf"(?<![\d.]){word}(?![\d.])": word for word in self.own} | MEASURED
        whole = re.compile("|".join(f"({kind})" for kind in kinds) + "|.")
        parts = [r" *"]
        for token in whole.finditer(line.strip()):
            word = list(kinds.values())[token.lastindex - 1] if token.lastindex else None
            if word not in self.own:
                parts.append(word or re.escape(token[0]))
            elif self.own[word] or word in seen:
                parts.append(self.own[word] or f"(?P=own{word})")
            else:
                parts.append(rf"(?P<own{word}>\d+)")
                seen.add(word)
        return "".join(parts) + r" *\n"

    def compare(self, lines, printed):
        """The first line that was not printed as shown; None: all were."""
        seen = set()
        patterns = [self.pattern(line, seen) for line in lines]
        if fits := re.fullmatch("".join(patterns), printed):
            self.own |= {name.removeprefix("own"): value
                         for name, value in fits.groupdict().items()}
            return None
        for count, line in enumerate(lines, 1):
            if not re.match("".join(patterns[:count]), printed):
                return line
        return "nothing more"


class Session:
    """One bash, in which a document's commands are typed one after the other."""

    def __init__(self, test, folder, **variables):
        self.test, self.shown, self.typed = test, Shown(), 0
        folder.mkdir(parents=True)
        self.home = folder.resolve()
        launcher = Path(MPIEXEC).parent if "/" in MPIEXEC else BIN
        path = f"{BIN}:{launcher}:{os.environ['PATH']}"
        env = environment(HOME=self.home, PATH=path, MPIEXEC_TIMEOUT=BLOCK_SECONDS, **variables)
        # Not typed on stdin, of which mpirun would take what is meant for the shell.
        read, write = os.pipe()
        self.shell = subprocess.Popen(
            ["bash", f"/dev/fd/{read}"], cwd=self.home, env=env, pass_fds=[read],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True)
        os.close(read)
        self.keys = os.fdopen(write, "w")
        test.addCleanup(self.end)

    def end(self):
        """Also of what it has left in the background."""
        try:
            os.killpg(self.shell.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.keys.close()
        self.shell.communicate()

    def type(self, command, place):
        """What it prints, and its exit code. The next command finds the same `$?`."""
        self.keys.write(f"{command}\n(code=$?; echo; echo {END} $code; exit $code)\n")
        self.keys.flush()
        clock = threading.Timer(BLOCK_SECONDS, self.shell.kill)
        clock.start()
        printed = []
        for line in self.shell.stdout:
            if line.startswith(END):
                break
            printed.append(line)
        clock.cancel()
        text = "".join(printed)
        if not printed or not line.startswith(END):
            self.test.fail(f"{place}: no end within {BLOCK_SECONDS} s: {command}\n{text}")
        text = text.removesuffix("\n").replace(str(self.home), HOME)
        return text + "\n" * (text != "" and not text.endswith("\n")), int(line.split()[1])

    def run(self, block):
        if block.kind == "!":
            if block.text.startswith("any: "):
                self.shown.own |= dict.fromkeys(block.text.removeprefix("any: ").split())
            return
        typed = commands(block.text) if block.kind != "sh" else [(block.text, [])]
        for at, (command, lines) in enumerate(typed):
            printed, code = self.type(command, block.place)
            self.typed += 1
            because = f"{block.place}: $ {command}\nprinted, with exit code {code}:\n{printed}"
            asked = typed[at + 1][0] if at + 1 < len(typed) else ""
            if not asked.startswith("echo $?"):
                self.test.assertEqual(code, 0, because)
            differs = self.shown.compare(lines, printed)
            self.test.assertIsNone(differs, f"not printed as shown: {differs!r}\n{because}")


class Placed(Site):
    """In a folder that is there; its store is called as the documents call it."""

    def __init__(self, test, folder, store="checkpoints"):
        folder.mkdir(exist_ok=True)
        self.test, self.folder, self.store = test, folder, Store(folder / store)
        self.jobs = len(list(folder.glob("job*")))
