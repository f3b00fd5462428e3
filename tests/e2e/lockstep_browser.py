"""A headless Chromium, driven by Debian's chromedriver over the W3C WebDriver protocol, by the
standard library alone.

1. chromedriver is started on a port of its own choice, which it prints.
2. POST /session starts the browser; all else goes to /session/ID: navigation, scripts, keys.
3. What WebDriver has no words for goes through goog/cdp/execute to Chromium's own protocol.

Each page that is opened notes what its content security policy forbade and how long it was held up.
"""

import base64
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

PACKAGES = {"chromium": "chromium", "chromedriver": "chromium-driver"}  # program: Debian's package
START_SECONDS = 60
CALL_SECONDS = 120
SCRIPT_SECONDS = 60
WAIT_SECONDS = 45
SKIPPED = 99  # CTest's SKIP_RETURN_CODE, as lockstep_test.py has it
KEYS = {"tab": "\ue004", "enter": "\ue007", "escape": "\ue00c", "space": " "}

NOTES = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) =>
  violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
window.long_tasks = [];
new PerformanceObserver((list) => list.getEntries().forEach((entry) =>
  long_tasks.push([Math.round(entry.startTime), Math.round(entry.duration)])))
  .observe({type: "longtask", buffered: true});
window.EventSource = class extends EventSource {
  constructor(...how) {
    super(...how);
    window.stream = this;
    this.addEventListener("status", (event) => { window.last_event = event.data; });
  }
};
window.fields = () => Array.from(document.querySelectorAll("[data-field]"),
  (cell) => [cell.dataset.field, cell.dataset.value ?? null, cell.textContent]);
"""
AS_IT_CAME = "return {fields: fields(), status: JSON.parse(last_event)}"
# The page gets /status itself by the way that its events take, and is looked at before the next.
AS_ASKED = """
const done = arguments[0];
fetch("status", {cache: "no-store"}).then((answer) => answer.text()).then((data) => {
  stream.dispatchEvent(new MessageEvent("status", {data}));
  done({fields: fields(), status: JSON.parse(data)});
});
"""


def require_chromium():
    """Ends the script with 99, and says loudly what to install, where there is no browser."""
    missing = [package for program, package in PACKAGES.items() if not shutil.which(program)]
    if missing:
        print(f"NOTHING WAS TESTED: no browser here; apt-get install {' '.join(missing)}")
        sys.exit(SKIPPED)


class DriverError(AssertionError):
    """What chromedriver says went wrong."""


class Browser:
    """One window. `folder`: new, for the profile and the driver's words."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True)
        # Chromium's socket lies below it, and a socket's path has at most 107 bytes.
        self.temporary = tempfile.mkdtemp(prefix="browser-")
        with open(self.folder / "driver", "wb") as err:
            self.driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE,
                                           stderr=err, text=True, env=self._environment(),
                                           start_new_session=True)
        self.session = None
        try:
            self.root = f"http://127.0.0.1:{self._port()}/session"
            self.session = self._start()
        except BaseException:
            self.close()
            raise

    def _environment(self):
        """No proxy, and nothing is written outside of our folders."""
        ours = {key: value for key, value in os.environ.items() if "proxy" not in key.lower()}
        return {**ours, "HOME": str(self.folder), "XDG_CONFIG_HOME": str(self.folder / "config"),
                "XDG_CACHE_HOME": str(self.folder / "cache"), "TMPDIR": self.temporary}

    def _port(self):
        for line in self.driver.stdout:
            if found := re.search(r"started successfully on port (\d+)", line):
                return int(found[1])
        raise DriverError(f"chromedriver did not start: {(self.folder / 'driver').read_text()}")

    def _start(self):
        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                     "--no-first-run", "--hide-scrollbars", "--window-size=1440,900",
                     "--force-prefers-reduced-motion", "--disable-lcd-text",
                     f"--user-data-dir={self.folder / 'profile'}"]
        answer = self._ask("POST", self.root, {"capabilities": {"alwaysMatch": {
            "browserName": "chrome", "goog:loggingPrefs": {"browser": "ALL"},
            "timeouts": {"script": SCRIPT_SECONDS * 1000},
            "goog:chromeOptions": {"binary": shutil.which("chromium"), "args": arguments}}}})
        self.root += "/" + answer["sessionId"]
        self.cdp("Page.addScriptToEvaluateOnNewDocument", source=NOTES)
        return answer["sessionId"]

    @staticmethod
    def _ask(method, url, body=None):
        data = None if method == "GET" else json.dumps(body or {}).encode()
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"},
                                         method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=CALL_SECONDS) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            said = json.load(error)["value"]
            raise DriverError(f"{url}: {said['error']}: {said['message'][:500]}") from None

    def call(self, path, body=None, method="POST"):
        return self._ask(method, f"{self.root}/{path}", body)

    def cdp(self, command, **parameters):
        return self.call("goog/cdp/execute", {"cmd": command, "params": parameters})

    def open(self, url):
        self.call("url", {"url": url})

    def run(self, script, *arguments):
        return self.call("execute/sync", {"script": script, "args": list(arguments)})

    def run_async(self, script, *arguments):
        """The script's last argument is a function that takes its value."""
        return self.call("execute/async", {"script": script, "args": list(arguments)})

    def until(self, script, what, seconds=WAIT_SECONDS, otherwise="''"):
        """Waits until an expression is true, and gives its value. `otherwise`: an expression whose
        value is told where that does not come."""
        end = time.monotonic() + seconds
        while not (value := self.run(f"return {script}")):
            if time.monotonic() > end:
                found = self.run(f"return {otherwise}")
                raise DriverError(f"{what}: not seen within {seconds} s: {script} {found}")
            time.sleep(0.05)
        return value

    def text(self, selector):
        return self.run("return document.querySelector(arguments[0])?.textContent ?? null",
                        selector)

    def value(self, field):
        """What the page has for a field of /status."""
        return self.run("return document.querySelector(`[data-field='${arguments[0]}']`)"
                        ".dataset.value ?? null", field)

    def number(self, field):
        raw = self.value(field)
        return None if raw in (None, "null") else float(raw)

    def fields_and_status(self, asked):
        """([field, value, shown text] of the whole page, and /status of the same moment): fetched
        for this, or the last event."""
        found = self.run_async(AS_ASKED) if asked else self.run(AS_IT_CAME)
        return found["fields"], found["status"]

    def click(self, selector):
        """As a mouse does: it must be in sight, and nothing above it."""
        found = self.call("element", {"using": "css selector", "value": selector})
        self.call(f"element/{next(iter(found.values()))}/click")

    def type(self, *keys):
        """Keys one after the other to what has the focus; a name of KEYS, or text."""
        actions = [{"type": kind, "value": sign} for key in keys for sign in KEYS.get(key, key)
                   for kind in ("keyDown", "keyUp")]
        self.call("actions", {"actions": [{"type": "key", "id": "keys", "actions": actions}]})

    def size(self, width, height, ratio=1, mobile=False):
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height,
                 deviceScaleFactor=ratio, mobile=mobile)

    def scheme(self, name):
        """light or dark, as the desktop asks for it."""
        self.cdp("Emulation.setEmulatedMedia",
                 features=[{"name": "prefers-color-scheme", "value": name}])

    def picture(self, path, **clip):
        """PNG of the window, or of x, y, width, height of the page."""
        more = {"clip": {"scale": 1, **clip}, "captureBeyondViewport": True} if clip else {}
        got = self.cdp("Page.captureScreenshot", format="png", **more)
        Path(path).write_bytes(base64.b64decode(got["data"]))

    def complaints(self):
        """What console and policy have complained of since the last time."""
        logged = [f"{entry['level']}: {entry['message']}"
                  for entry in self.call("se/log", {"type": "browser"})
                  if entry["level"] in ("SEVERE", "WARNING")]
        return logged + self.run("return window.violations?.splice(0) ?? []")

    def long_tasks(self):
        """[(began, took), ms] since the last time."""
        return self.run("return long_tasks.splice(0)")

    def close(self):
        if self.session:
            try:
                self._ask("DELETE", self.root)
            except (OSError, DriverError):
                pass  # the driver's end takes the browser along
        self.driver.terminate()
        try:
            self.driver.wait(10)
        except subprocess.TimeoutExpired:
            self.driver.kill()
            self.driver.wait()
        self.driver.stdout.close()
        shutil.rmtree(self.temporary, ignore_errors=True)
