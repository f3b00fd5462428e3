#!/usr/bin/env -S python3 -B
"""Makes README.md's pictures anew, from a real job on two ranks that goes back and is preempted
once: the dashboard (light, dark, on a phone) and `lockstep ls --all` in a terminal. Needs the
programs of build/release and Debian's chromium and chromium-driver; takes some minutes.

    deploy/pictures/make.py [FOLDER]     FOLDER: new or empty, for the job; it shows in the pictures
"""

import argparse
import ctypes
import html
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "tests" / "e2e"))

import png_palette  # noqa: E402
from lockstep_browser import Browser, require_chromium  # noqa: E402
from lockstep_jobs import BIN, MPIEXEC, command, environment, on_terminal  # noqa: E402

CONFIG = """\
run: {{id: fashion, max_iterations: 3000, seed: 1}}
store: {store}
task: {{name: fashion_mnist}}
data: {{global_batch: 60}}
optimizer: {{name: adamw, learning_rate: {rate}, weight_decay: 0.05}}
schedule: {{name: cosine, warmup: 100}}
checkpoint: {{interval: 200, keep_last: 50, keep_best: {{metric: accuracy, count: 1}}}}
evaluate: {{interval: 200}}
metrics: {{interval: 10}}
device: cpu
restore: {restore}
control: {{listen: "127.0.0.1:0"}}
"""
HOST = "node1"  # where it is allowed to name it so
MOST_BYTES = 200_000
WAIT_SECONDS = 900
DESK = (1440, 1160)
PHONE = (390, 844)
COLOURS = {"32": "#3fb950", "31": "#ff7b72", "33": "#d29922", "2": "#8b949e", "1": "#ffffff"}


def name_this_host():
    """In a namespace of our own, so that nobody else is renamed. As it is where that can't be."""
    CLONE_NEWUTS = 0x04000000
    if ctypes.CDLL(None).unshare(CLONE_NEWUTS) == 0:
        socket.sethostname(HOST)


class Job:
    def __init__(self, folder):
        self.folder, self.store, self.launches = folder, folder / "checkpoints", 0

    def launch(self, rate, restore):
        self.launches += 1
        config = self.folder / "train.yaml"
        config.write_text(CONFIG.format(store=self.store, rate=rate, restore=restore))
        self.log = self.folder / f"log{self.launches}"
        with open(self.log, "wb") as out:
            self.process = subprocess.Popen(
                [MPIEXEC, "--quiet", "-n", "2", BIN / "lockstepd", config], cwd=self.folder,
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment())

    def until(self, words):
        end = time.monotonic() + WAIT_SECONDS
        while words not in self.log.read_text():
            if self.process.poll() is not None or time.monotonic() > end:
                sys.exit(f"never said {words!r}:\n{self.log.read_text()}")
            time.sleep(0.2)

    def end(self, code):
        found = self.process.wait(WAIT_SECONDS)
        if found != code:
            sys.exit(f"exit code {found}, expected {code}:\n{self.log.read_text()}")

    def command(self, *argv):
        result = command(*argv)
        if result.code:
            sys.exit(f"{argv}: {result}")

    def address(self):
        control = self.store / "attempts" / f"{self.launches:04d}" / "control.json"
        return json.loads(control.read_text())["address"]


def train(job):
    """Until the third launch has come a good way."""
    job.launch(rate="2.0e-2", restore="auto")  # which is too much
    job.until("committed 1@200")
    job.command("pin", job.store, "1@200")
    job.until("committed 1@1000")
    job.command("stop", job.store)
    job.end(77)
    job.launch(rate="3.0e-3", restore="400")
    job.until("committed 2@1000")
    job.process.send_signal(signal.SIGUSR1)
    job.end(75)
    job.launch(rate="3.0e-3", restore="400")  # as a requeue: carries on
    job.until("committed 3@1600")
    time.sleep(4)


def take(browser, name, size, ratio=1):
    """A picture of the upper part of the page as it is now."""
    browser.run("document.activeElement?.blur()")
    time.sleep(0.5)
    path = HERE / f"{name}.png"
    browser.picture(path, x=0, y=0, width=size[0], height=size[1])
    png_palette.reduce(path)
    print(f"{path.name}: {path.stat().st_size} bytes, {size[0] * ratio}x{size[1] * ratio}")
    if path.stat().st_size > MOST_BYTES:
        sys.exit(f"{path.name} has more than {MOST_BYTES} bytes")


def pictures(job, folder):
    browser = Browser(folder / "browser")
    try:
        for name, scheme, size, ratio in (("dashboard-light", "light", DESK, 1),
                                          ("dashboard-phone", "light", PHONE, 2),
                                          ("dashboard-dark", "dark", DESK, 1)):
            browser.size(*size, ratio=ratio, mobile=size == PHONE)
            browser.scheme(scheme)
            browser.open(f"http://{job.address()}/")
            browser.until("!!window.Chart?.getChart('curve-b')", "curves")
            browser.until("document.querySelectorAll('.attempts > details').length === 3", "list")
            if name == "dashboard-dark":
                browser.run("document.getElementById('find-text').value = '1@400';"
                            "document.getElementById('find').requestSubmit()")
            take(browser, name, size, ratio)
    finally:
        browser.close()


def spans(line):
    """[(style, text)] of a line with ANSI's colours."""
    found, style = [], ""
    for code, words in re.findall(r"(?:\x1b\[([\d;]*)m)?([^\x1b]*)", line):
        if code:
            style = "" if code == "0" else COLOURS.get(code, "")
        if words:
            found.append((style, words))
    return found


def terminal(said, prompt):
    """SVG of what a command has written on a terminal."""
    lines = [prompt, *said.replace("\r", "").rstrip("\n").split("\n")]
    high, wide = 17, 8.43  # of a line, of a column; the font's own width may differ a little
    columns = max(len(re.sub(r"\x1b\[[\d;]*m", "", line)) for line in lines)
    width, height = round(columns * wide) + 40, len(lines) * high + 30
    rows = []
    for row, line in enumerate(lines):
        parts, column = [], 0
        for style, words in spans(line):
            fill = f' fill="{style}"' if style else ""
            # Each run of words begins at its own column, so that the graph stays straight.
            for piece in re.finditer(r"\S+(?: \S+)*", words):
                x = 20 + (column + piece.start()) * wide
                length = len(piece.group()) * wide
                parts.append(f'<tspan x="{x:.1f}" textLength="{length:.1f}"'
                             f' lengthAdjust="spacingAndGlyphs"{fill}>'
                             f"{html.escape(piece.group())}</tspan>")
            column += len(words)
        rows.append(f'<text y="{30 + row * high}">{"".join(parts)}</text>')
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" font-size="14" fill="#e6edf3" '
            'font-family="ui-monospace, Menlo, Consolas, \'Liberation Mono\', monospace">\n'
            f'<rect width="{width}" height="{height}" rx="6" fill="#0d1117"/>\n'
            + "\n".join(rows) + "\n</svg>\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path)
    folder = parser.parse_args().folder or Path(tempfile.mkdtemp(prefix="pictures-"))
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        sys.exit(f"{folder} is not empty")
    require_chromium()
    if os.geteuid() == 0:
        name_this_host()
    job = Job(folder)
    try:
        train(job)
        pictures(job, folder)
        job.end(0)
    finally:
        if job.process.poll() is None:
            job.process.terminate()  # mpirun, which takes the ranks along
            job.process.wait()
    said = on_terminal("ls", job.store, "--all")
    (HERE / "ls.svg").write_text(terminal(said, f"$ lockstep ls {job.store.name} --all"))
    print(f"ls.svg: {(HERE / 'ls.svg').stat().st_size} bytes")


if __name__ == "__main__":
    main()
