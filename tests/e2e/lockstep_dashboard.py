"""What tests of the dashboard share: a browser, and the page once it has all its answers."""

from lockstep_browser import Browser
from lockstep_http import Served

# Attempts in the list.
DETAILS = "document.querySelectorAll('.attempts > details')"
# Checkpoints as the list shows them: name, tags.
ROWS = """return Array.from(document.querySelectorAll(".checkpoint"), (row) =>
  [row.querySelector(".name").textContent, row.querySelector(".tags").textContent])"""
# Attempts, newest first.
HEADS = """return Array.from(document.querySelectorAll(".attempts > details > summary"),
  (head) => head.textContent)"""
NOTICES = "return Array.from(document.querySelectorAll('.notice'), (notice) => notice.textContent)"


class Shown(Served):
    """A browser for all tests of a class. Nothing that a test does may make it complain."""

    expected = ()  # parts of complaints that a test is about

    @classmethod
    def setUpClass(cls):
        cls.browser = Browser(cls.scratch / cls.__name__ / "browser")
        cls.addClassCleanup(cls.browser.close)

    def tearDown(self):
        complaints = self.browser.complaints()
        self.browser.open("about:blank")  # so that this page's words are not the next test's
        complaints += self.browser.complaints()
        self.assertEqual([line for line in complaints
                          if not any(part in line for part in self.expected)], [])

    def show(self, server, decision=True):
        """decision: there is one to be read."""
        self.browser.size(1440, 900)
        self.browser.open(f"http://{server.address}/")
        self.browser.until("document.body.dataset.connection === 'live'", "the first status")
        self.browser.until("!document.getElementById('lineage-part').hidden", "the lineage")
        if decision:
            self.browser.until("!document.getElementById('decision-part').hidden", "the decision")

    def expect_text(self, selector, wanted):
        self.assertEqual(self.browser.text(selector), wanted, selector)
