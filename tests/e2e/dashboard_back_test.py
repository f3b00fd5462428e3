#!/usr/bin/env -S python3 -B
"""The dashboard's way back, in a real Chromium: what is typed is found where restore looks, what is
not there is answered as `lockstep plan` does, and each line that it gives is taken."""

from lockstep_browser import require_chromium
from lockstep_dashboard import DETAILS, Shown
from lockstep_jobs import command
from lockstep_test import main, pair


class GoBack(Shown):
    """Attempt 1: 10 (damaged), 20 and 30. Attempt 2 from 1@20: 30 and 40, then 3 was refused."""

    PLANNED = {"run": {"id": "planned", "max_iterations": 100}}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        made = cls.of_class()
        cls.place = made.site("origin")
        cls.place.trained(30)
        cls.place.trained(40, restore="1@20", run={"id": "back"})
        sound = cls.place.store.shard(2, 30, 0).read_bytes()
        cls.place.store.shard(2, 30, 0).write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))
        result = cls.place.run(restore="2@30", verify=True, **cls.PLANNED)
        made.expect_exit(result, 2, "2@30")
        cls.place.store.shard(2, 30, 0).write_bytes(sound)
        shard = cls.place.store.shard(1, 10, 1)
        shard.write_bytes(shard.read_bytes()[:-1])
        cls.ui_server = made.ui(cls.place.store.path)[1]

    def setUp(self):
        self.show(self.ui_server)
        self.browser.until(f"{DETAILS}.length === 3", "all attempts")

    def find(self, typed):
        """As a user: into the field, and Enter."""
        self.browser.run("const field = document.getElementById('find-text');"
                         "field.value = ''; field.focus()")
        self.browser.type(typed, "enter")
        return self.browser.run("return document.getElementById('back').open")

    def answer(self):
        return self.browser.text("#find-answer")

    def expect_leads_to(self, name, found_as=None):
        """The dialog is open, with what the YAML and --set take; and both make this decision."""
        self.assertEqual(self.browser.text("#back-title"), f"Go back to {name}")
        facts = self.browser.text("#back-facts")
        self.assertEqual("found as" in facts, found_as is not None, facts)
        self.assertIn(found_as or "", facts)
        line = self.browser.text("#back-line")
        self.assertEqual(line, f"restore: {name}")
        for how in ({"restore": line.removeprefix("restore: ")}, {"sets": [line.replace(": ", "=")]}):
            record = self.place.plan(**how, **self.PLANNED)
            self.assertEqual((record["kind"], "{}@{}".format(*pair(record["parent"]))),
                             ("restore", name), record)
        self.browser.type("escape")

    def planned_error(self, typed):
        """What `lockstep plan` says where the same is written: cause and advice in one line."""
        result = command("plan", "train.yaml", "--set", f"restore={typed}", cwd=self.place.folder)
        self.assertEqual(result.code, 2, result)
        return "; ".join(result.err.removeprefix("lockstep: ").splitlines())

    def test_what_restore_takes_is_found_where_restore_looks(self):
        of_2 = "of attempt 2's lineage"
        for typed, name, found_as in (("40", "2@40", f"iteration 40 {of_2}"),
                                      ("30", "2@30", f"iteration 30 {of_2}"),
                                      (" 20 ", "1@20", f"iteration 20 {of_2}"),
                                      ("2@30", "2@30", None), ("1@30", "1@30", None),
                                      ("2@20", "1@20", f"iteration 20 {of_2}")):
            with self.subTest(typed):
                self.assertTrue(self.find(typed), self.answer())
                self.assertEqual(self.answer(), "")
                record = self.place.plan(sets=[f"restore={typed.strip()}"], **self.PLANNED)
                self.assertEqual("{}@{}".format(*pair(record["parent"])), name, record)
                self.expect_leads_to(name, found_as)

    def test_what_is_not_there_is_answered_as_plan_does_with_what_is(self):
        self.place.plan(restore="latest", **self.PLANNED)  # leaves the configuration
        for typed, marks in (("25", {"10": "damaged"}),
                             ("1@40", {"30": "abandoned", "10": "damaged"}),
                             ("99999999", {"10": "damaged"})):
            with self.subTest(typed):
                self.assertFalse(self.find(typed))
                said = self.answer()
                for iteration, state in marks.items():
                    self.assertIn(f"{iteration} ({state})", said)
                    said = said.replace(f" ({state})", "")
                planned = self.planned_error(typed).replace(": write restore: 2@40", "")
                self.assertEqual(said, planned)
        self.find("25")
        self.assertEqual(self.answer(), "iteration 25 is not in attempt 2's lineage; "
                         "there is, nearest first: 30, 20, 40 and 10 (damaged)")
        offers = self.browser.run("return Array.from(document.querySelectorAll('#find-answer button'"
                                  "), (one) => [one.dataset.back, one.getAttribute('aria-label')])")
        self.assertEqual(offers, [["2@30", "Go back to 2@30"], ["1@20", "Go back to 1@20"],
                                  ["2@40", "Go back to 2@40"], ["1@10", "Go back to 1@10, damaged"]])
        self.browser.click("#find-answer [data-back='1@20']")
        self.expect_leads_to("1@20")
        self.browser.click("#find-answer [data-back='1@10']")
        self.assertTrue(self.browser.run("return document.getElementById('back-part').hidden"))
        self.browser.type("escape")

    def test_an_attempt_that_can_not_be_taken_is_answered_as_plan_does(self):
        self.place.plan(restore="latest", **self.PLANNED)  # leaves the configuration
        for typed, said in (("9@20", "attempt 9 does not exist; there is 2 and 1"),
                            ("3@20", "attempt 3 was refused and holds nothing; there is 2 and 1")):
            with self.subTest(typed):
                self.assertFalse(self.find(typed))
                self.assertEqual(self.answer(), said)
                self.assertEqual(self.planned_error(typed), said)

    def test_what_restore_does_not_take_is_said(self):
        for typed in ("last", "-1", "1e3", "2@", "@20", "2@20@3", "<b>20</b>", "1" * 16):
            with self.subTest(typed):
                self.assertFalse(self.find(typed))
                self.assertEqual(self.answer(), "write it as 1800 or 2@1800")
        self.browser.type("x")
        self.assertEqual(self.answer(), "")  # of what is not there any more


if __name__ == "__main__":
    require_chromium()
    main()
