#!/usr/bin/env -S python3 -B
"""The dashboard in a real Chromium, served by a live job of Fashion-MNIST on two ranks that has
gone back, and by `lockstep ui` from the store's files; store and run have names that a browser
could take for HTML."""

import json
import os
import subprocess

from lockstep_browser import require_chromium
from lockstep_dashboard import HEADS, ROWS, Shown
from lockstep_jobs import BIN, MPIEXEC, command, environment
from lockstep_test import main

HOSTILE = """<img src=x onerror="hacked=1">'&amp;"""
HOSTILE_METRIC = "</script><script>hacked=1</script>"
CLASS_SECONDS = 500
FASHION = {"task": {"name": "fashion_mnist"}, "data": {"global_batch": 16},
           "metrics": {"interval": 5}}
LAST = 30  # iteration of the first attempt
NARROW = 360
MOST_TABS = 150
TOLD_OTHERWISE = ("damaged", "store_error")  # in a table of its own, and as a notice
# What is to the right of the window, and of no box that scrolls; the whole page first.
TOO_WIDE = """(width) => document.documentElement.scrollWidth <= width ? [] :
  [`${document.documentElement.scrollWidth}`, ...Array.from(document.querySelectorAll("body *"))
    .filter((part) => part.getBoundingClientRect().right > width)
    .slice(0, 20).map((part) => `${part.tagName} ${part.id} ${part.className}`)]"""
STRONG, DIM = 0, 1  # Chart.js' data sets: the newest lineage, and what was abandoned


def leaves(value, path=""):
    """The paths of all that a status says."""
    if isinstance(value, dict):
        return [leaf for key, part in value.items() for leaf in leaves(part, f"{path}{key}.")]
    if isinstance(value, list):
        return [leaf for i, part in enumerate(value) for leaf in leaves(part, f"{path}{i}.")]
    return [path[:-1]]


def told(status, path):
    """What a status says at a path, which may end at a null; KeyError: it knows no such path."""
    for key in path.split("."):
        if status is None:
            return None
        status = status[int(key)] if isinstance(status, list) else status[key]
    return status


class Live(Shown):
    """Attempt 1: 10, 20 and 30, finished. Attempt 2 from 1@20, at work, saves when it is asked."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        made = cls.of_class()
        cls.place = made.site(HOSTILE)
        cls.place.trained(LAST, **{**FASHION, "run": {"id": HOSTILE}})
        evaluation = {"event": "evaluation", "run": HOSTILE, "attempt": 1, "iteration": LAST,
                      "metrics": {HOSTILE_METRIC: 0.5}}
        with open(cls.place.store.attempt(1) / "metrics.jsonl", "a") as file:
            file.write(json.dumps(evaluation) + "\n")
        cls.place.launcher = lambda ranks: [MPIEXEC, "-n", ranks, "--oversubscribe", "--timeout",
                                            CLASS_SECONDS]
        cls.job, cls.server = made.serve(
            cls.place, attempt=2, restore="1@20", run={"id": HOSTILE, "max_iterations": 10**6},
            checkpoint={"interval": 10**6}, **FASHION)
        cls.ui_server = made.ui(cls.place.store.path)[1]

    @classmethod
    def tearDownClass(cls):
        made = cls.of_class()
        made.stop(cls.place, cls.job)

    def on_each(self, check):
        """On the page as the job serves it, then as `lockstep ui` does."""
        for source, server in {"job": self.server, "files": self.ui_server}.items():
            with self.subTest(source):
                self.show(server)
                check(source)

    def end_of_curve(self, chart="curve-a"):
        """Iteration of the newest lineage's last point."""
        return self.browser.run("return Chart.getChart(arguments[0])?.data.datasets[0].data"
                                ".at(-1)?.x ?? 0", chart)

    def test_each_field_is_what_status_says_at_that_moment(self):
        def check(source):
            self.browser.until("document.querySelector('#iteration').dataset.value > 25", "25")
            for asked in (False, True):
                shown, status = self.browser.fields_and_status(asked)
                self.assertEqual(status["source"], source)
                for field, value, _ in shown:
                    wanted = told(status, field)
                    if value is None or (value if isinstance(wanted, str)
                                         else json.loads(value)) != wanted:
                        self.fail(f"{field}: the page has {value!r}, /status {wanted!r}")
                missing = [leaf for leaf in leaves(status)
                           if leaf not in {field for field, *_ in shown}
                           and leaf.split(".")[0] not in TOLD_OTHERWISE
                           and told(status, leaf) is not None]
                self.assertEqual(missing, [], "said by /status and nowhere on the page")
                texts = {field: text for field, _, text in shown}
                self.assertEqual(texts["iteration"], f"{status['iteration']:,}")
                self.assertEqual(texts["attempt"], "2")
                self.assertEqual(texts["state"], "running")
                self.assertEqual(texts["run"], HOSTILE)

        self.on_each(check)

    def test_iteration_and_curves_grow(self):
        def check(source):
            self.browser.until("!!Chart.getChart('curve-a')", "a curve")
            first, seen = self.browser.number("iteration"), self.end_of_curve()
            self.browser.until(f"document.querySelector('#iteration').dataset.value > {first}",
                               "a higher iteration")
            self.browser.until("Chart.getChart('curve-a').data.datasets[0].data.at(-1).x > "
                               f"{seen}", "a longer curve")
            end = self.end_of_curve()  # maybe newer than the last status, by less than a second
            self.browser.until(f"document.querySelector('#iteration').dataset.value >= {end}",
                               "the iteration of the curve's end")

        self.on_each(check)

    def test_a_save_that_was_asked_for_appears(self):
        def check(source):
            before = self.place.store.of_attempt(2)
            result = command("save", self.place.store.path)
            self.assertEqual(result.code, 0, result)
            self.job.until(lambda: self.place.store.of_attempt(2) != before, "the save")
            saved = f"2@{self.place.store.of_attempt(2)[-1]}"
            self.browser.until("document.querySelector(\"[data-field=last_committed]\").textContent"
                               f" === '{saved}'", "saved to")
            self.browser.until("Array.from(document.querySelectorAll('.checkpoint .name'), "
                               f"(cell) => cell.textContent).includes('{saved}')", "in the list")
            self.assertIn(f"latest would take {saved}.", self.browser.text("#lineage-summary"))
            if source == "job":
                self.assertEqual(self.browser.number("saves.committed"), len(before) + 1)
                rows = self.browser.run("return document.querySelectorAll('#saves-rows tr').length")
                self.assertEqual(rows, len(before) + 1)

        self.on_each(check)

    def test_going_back_is_a_fork_in_lineage_and_curves(self):
        def check(source):
            self.expect_text("#decision-verdict", f"restore 1@20, as attempt 2 of run {HOSTILE}")
            self.assertIsNone(self.browser.number("lost_iterations"))  # nothing: it was meant
            self.browser.until("Chart.getChart('curve-a')?.data.datasets[1].data.length", "a curve")
            rows = dict(self.browser.run(ROWS))
            self.assertIn("abandoned", rows[f"1@{LAST}"])
            self.assertIn("good", rows["1@20"])
            self.assertIn("began attempt 2", rows["1@20"])
            heads = self.browser.run(HEADS)
            self.assertRegex(heads[0], r"^attempt 2.*from 1@20.*running")
            self.assertRegex(heads[1], r"^attempt 1.*finished.*1 abandoned")
            sets = self.browser.run("return Chart.getChart('curve-a').data.datasets.map((set) => "
                                    "set.data.map(({x, attempt}) => [x, attempt ?? null]))")
            by_attempt = {a: [x for x, b in sets[STRONG] if b == a] for a in (1, 2)}
            self.assertEqual(by_attempt[1], [5, 10, 15, 20])
            self.assertEqual(by_attempt[2][:2], [25, 30])
            self.assertEqual([x for x, a in sets[DIM] if a == 1], [20, 25, 30])
            self.assertEqual(self.browser.run("return Chart.getChart('curve-a').forks"),
                             [{"x": 20, "label": "2 from 1@20"}])

        self.on_each(check)

    def test_names_are_text(self):
        def check(source):
            self.browser.until("document.querySelectorAll('#metric-a option').length > 5", "curves")
            names = self.browser.run("return Array.from("
                                     "document.querySelector('#metric-a').options, it => it.value)")
            self.assertIn(HOSTILE_METRIC, names)
            self.browser.run("const choice = document.getElementById('metric-b');"
                             "choice.value = arguments[0];"
                             "choice.dispatchEvent(new Event('change'))", HOSTILE_METRIC)
            self.browser.until("Chart.getChart('curve-b').data.datasets[3].data.length === 1",
                               "the curve of the metric")
            self.expect_text("#run", HOSTILE)
            self.expect_text("[data-field=store]", str(self.place.store.path))
            self.assertIn(HOSTILE, self.browser.run("return document.title"))
            self.assertEqual(self.browser.run("return [document.images.length, window.hacked ?? 0,"
                                              "document.querySelectorAll('body script').length]"),
                             [0, 0, 2])

        self.on_each(check)

    def test_buttons_copy_the_commands_and_they_work(self):
        self.browser.cdp("Browser.grantPermissions",
                         permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
        def check(source):
            for key, wanted in self.server.json()["commands"].items():
                self.browser.click(f"[data-copy=command-{key}]")
                self.browser.until(f"document.querySelector('[data-copy=command-{key}]')"
                                   ".textContent === 'Copied'", "copied")
                self.assertEqual(self.clipboard(), wanted)
            self.browser.click("[data-copy=command-list]")
            done = subprocess.run(["sh", "-c", self.clipboard()], capture_output=True, text=True,
                                  env=environment(PATH=f"{BIN}:{os.environ['PATH']}"), timeout=30)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("1@20", done.stdout)

        self.on_each(check)

    def clipboard(self):
        return self.browser.run_async("navigator.clipboard.readText().then(arguments[0])")

    def test_keys_alone_lead_to_the_line_that_goes_back(self):
        self.browser.cdp("Browser.grantPermissions",
                         permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
        active = "return document.activeElement.dataset.back ?? document.activeElement.id"
        def check(source):
            for _ in range(MOST_TABS):
                self.browser.type("tab")
                if self.browser.run(active) == "1@20":
                    break
            self.assertEqual(self.browser.run(active), "1@20")
            self.browser.type("enter")
            self.assertTrue(self.browser.run("return document.getElementById('back').open"))
            while self.browser.run(active) != "back-copy":
                self.browser.type("tab")
                inside = "return document.activeElement.closest('dialog') !== null"
                self.assertTrue(self.browser.run(inside), "out of the dialog")
            self.browser.type("enter")
            self.browser.until("document.getElementById('back-copy').textContent === 'Copied'",
                               "copied")
            self.assertEqual(self.clipboard(), "restore: 1@20")
            self.browser.type("escape")
            self.assertFalse(self.browser.run("return document.getElementById('back').open"))
            self.assertEqual(self.browser.run(active), "1@20")  # back where it came from

        self.on_each(check)

    def test_a_narrow_window_does_not_scroll_sideways(self):
        def check(source):
            self.browser.size(NARROW, 740, mobile=True)
            for opened in (False, True):
                if opened:
                    self.browser.run("document.querySelectorAll('details').forEach("
                                     "(box) => { box.open = true; })")
                # Charts follow their boxes a frame later.
                self.browser.until(f"({TOO_WIDE})({NARROW}).length === 0", "narrow enough", 5,
                                   otherwise=f"({TOO_WIDE})({NARROW})")

        self.on_each(check)


if __name__ == "__main__":
    require_chromium()
    main()
