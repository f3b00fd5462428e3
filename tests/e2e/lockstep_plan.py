"""`lockstep plan` before each launch, and its comparison with what the launch then decides.

A launch that decides to train has its decision in decision.json. One that ends before it has
claimed an attempt, or that a load makes an error of, has told its decision: by its exit code, the
line "decision: ...", and its error.
"""

import json
import threading
from collections import Counter

from lockstep_jobs import command
from lockstep_store import difference, listing

COMPARED = ("kind", "attempt", "parent", "source", "rejected", "manifest_digest", "exit_code")
PREEMPTED = 75  # at once: the deadline is past
STARTS = ("fresh", "restore")


class Plan:
    """What `lockstep plan` says of a launch. It must leave the store as it is: not even a time of a
    folder may change (`busy`: another job is at work there, and changes it)."""

    def __init__(self, test, store, argv, cwd, env, busy=False):
        self.test, self.store = test, store
        before, self.attempts = listing(store.path), store.attempts()
        self.result = command("plan", *argv, "--json", cwd=cwd, **env)
        if not busy:
            test.assertEqual(difference(before, listing(store.path)), [],
                             f"plan wrote into the store: {self.result}")
        self.record = None  # a bad configuration: one line on stderr
        if self.result.out:
            self.record = json.loads(self.result.out)
            test.assertEqual(self.record["exit_code"], self.result.code, f"plan: {self.result}")


class Prediction(Plan):
    """A plan that is compared with what became of the launch."""

    counts, counting = Counter(), threading.Lock()  # of the whole script

    def __init__(self, *of_plan, busy, foreseen, evaluates):
        super().__init__(*of_plan, busy)
        self.foreseen = foreseen
        self.evaluates = evaluates  # decides, and says so, but claims nothing
        self.count("launches")

    def count(self, what):
        with self.counting:
            self.counts[what] += 1

    @classmethod
    def forgotten(cls):
        """Launches whose end nobody has waited for, hence not compared."""
        return cls.counts["launches"] - cls.counts["compared"] - cls.counts["not foreseen"]

    def compare(self, job):
        """`job`: how the launch ended."""
        job.planned = self.record
        self.job = job
        self.count("compared" if self.foreseen else "not foreseen")
        if not self.foreseen:
            return
        if self.record and self.record["exit_code"] == PREEMPTED:
            self.expect(PREEMPTED, self.job.code, "exit_code")
            self.expect_claimed(0)
        elif self.record is None:
            self.expect_bad_configuration()
        elif self.record["kind"] in STARTS and not self.evaluates:
            self.expect_record()
        else:
            self.expect_told()

    def because(self, what):
        return (f"plan does not say what the job did: {what}: plan: {self.result}\n"
                f"lockstepd: {self.job}")

    def expect(self, planned, done, what):
        self.test.assertEqual(planned, done, self.because(what))

    def expect_record(self):
        decided = self.store.record(self.record["attempt"], "decision")
        self.test.assertIsNotNone(decided, self.because(f"no decision.json of attempt "
                                                        f"{self.record['attempt']}"))
        self.test.assertNotIn(self.record["attempt"], self.attempts, "not its own attempt")
        for field in COMPARED:
            self.expect(self.record[field], decided[field], field)

    def expect_bad_configuration(self):
        self.expect(self.result.code, self.job.code, "exit_code")
        self.expect_said("error", self.result.err.strip())
        self.expect_claimed(0)

    def expect_told(self):
        plan = self.record
        self.expect(plan["exit_code"], self.job.code, "exit_code")
        if plan["kind"] == "error":
            self.expect([None] * 3, [plan[key] for key in ("parent", "source", "manifest_digest")],
                        "an error chooses nothing")
            self.expect_said("error", plan["error"])
        else:
            self.expect_said("kind, parent, source", decision_line(plan))
        for passed in plan["rejected"]:
            self.expect_said("rejected", f"{passed['attempt']}@{passed['iteration']}",
                             passed["why"])
        self.expect_claimed(1 if plan["kind"] == "error" and plan["verified"] == "bytes" else 0)

    def expect_said(self, what, *texts):
        for text in texts:
            said = self.job.out + self.job.err
            self.test.assertTrue(text in said or json.dumps(text)[1:-1] in said,
                                 self.because(f"{what}: it does not say {text!r}"))

    def expect_claimed(self, at_most):
        """Nothing was claimed; or an attempt that the load then made an error of."""
        new = [number for number in self.store.attempts() if number not in self.attempts]
        self.test.assertLessEqual(len(new), at_most, self.because("attempt"))
        for number in new:
            outcome = self.store.record(number, "outcome")
            self.expect(["refused", self.record["exit_code"], self.record["error"]],
                        [outcome[key] for key in ("outcome", "exit_code", "error")], "outcome")


def decision_line(record):
    """As lockstepd logs it."""
    line = "decision: " + record["kind"]
    if record["parent"]:
        line += f" {record['parent']['attempt']}@{record['parent']['iteration']}"
    return line + (f" from {record['source']}" if record["source"] else "")
