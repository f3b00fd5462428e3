#!/usr/bin/env -S python3 -B
"""What hostile hands have put into a store becomes no more than text in what the status server
answers, and costs it little: names, files, links, metrics."""

import json
import os

from lockstep_http import PATHS, Served, peak_kib
from lockstep_test import main


class Hostile(Served):
    def test_names_and_files_of_a_store_are_shown_as_text_or_not_at_all(self):
        site = self.site("<img src=x onerror=alert(1)>&'\"")
        job, server = self.serve(site, ranks=1, run={"id": "a-run", "max_iterations": 10**7})
        requests = site.store.attempt(1) / "requests"
        junk = site.folder / "junk"  # whole before the job sees it: it removes what is no request
        junk.mkdir()
        (junk / "link").symlink_to("/etc/passwd")
        (junk / ("c" * 32)).symlink_to("/etc/passwd")
        (junk / "<script>alert(2)<script>").write_text("<script>")
        os.mkfifo(junk / "pipe")
        with open(junk / ("d" * 32), "wb") as huge:
            huge.truncate(1 << 34)
        (junk / ("e" * 32)).write_text('{"request":"stop","digest":"' + "0" * 32 + '"}')
        requests.mkdir(exist_ok=True)
        for path in junk.iterdir():
            path.rename(requests / path.name)
        (site.store.path / "attempts" / "<b>").mkdir()
        (site.store.path / "checkpoints" / "0001-<i>").mkdir(parents=True, exist_ok=True)
        job.until(lambda: "in requests/ ignored" in job.err(), "the request files are ignored")
        pid = server.json()["process"]
        seen = server.json()["iteration"]
        job.until(lambda: server.json()["iteration"] > seen + 20, "training goes on")
        self.assertLess(peak_kib(pid), 1 << 20)  # nobody reads 16 GiB
        status = server.json()
        self.assertEqual(status["store"], str(site.store.path))
        self.assertEqual(status["alive"], True)
        for path in PATHS:
            if path == "/events":
                continue
            text = server.get(path).body.decode()
            for word in ("alert(2)", "root:", "0001-<i>"):
                self.assertNotIn(word, text, path)
            if path in ("/", "/metrics"):  # what a browser would read as HTML has none of it
                for word in ("alert(1)", "a-run", "onerror=alert"):
                    self.assertNotIn(word, text, path)
            elif path.startswith("/api") or path == "/status":
                self.assertEqual(server.get(path).header("content-type"), "application/json")
        self.stop(site, job)

    def test_a_hostile_curve_costs_nothing_but_its_lines(self):
        site = self.site()
        site.trained(20, run={"id": "r"}, metrics={"interval": 10})
        point = {"event": "interval", "run": "r", "attempt": 1, "loss": 1.0}
        lines = [b"[" * 60000, b"[" * 30000 + b"]" * 30000, b"\0" * 1000, b"\xff\xfe" * 100,
                 b"x" * 10_000_000, b"", b"null", b'{"event":"interval"}',
                 *(json.dumps({**point, **more}).encode() for more in (
                     {"iteration": -1}, {"iteration": 1e308}, {"iteration": "30"},
                     {"iteration": 2**63}, {"iteration": 2**64}, {"iteration": 25, "loss": "<b>"},
                     {"iteration": 26, "loss": float("nan")}, {"iteration": 27, "loss": 10**400},
                     {"iteration": 28, "event": "evaluation",
                      "metrics": {"</script><script>alert(3)</script>": 1, "\ud800": 2,
                                  "n" * 5000: 3, **{f"m{i}": i for i in range(1000)}}})),
                 json.dumps({**point, "iteration": 30}).encode()]
        with open(site.store.attempt(1) / "metrics.jsonl", "ab") as file:
            file.write(b"\n".join(lines) + b"\n")
        process, server = self.ui(site.store.path)
        (curve,) = server.json("/api/curves")["attempts"]
        self.assertEqual(curve["iteration"][:2], [10, 20])
        self.assertEqual(curve["iteration"][-1], 30)
        self.assertEqual(curve["iteration"], sorted(curve["iteration"]))
        for column in ("loss", "accuracy", "gradient_norm", "learning_rate", "samples_per_second"):
            self.assertEqual(len(curve[column]), len(curve["iteration"]))
            self.assertTrue(all(x is None or isinstance(x, (int, float)) for x in curve[column]))
        hostile = curve["evaluations"][-1]["metrics"]
        self.assertLessEqual(len(hostile), 16)
        self.assertTrue(all(len(name) <= 100 for name in hostile))
        self.assertLess(peak_kib(process.pid), 200 << 10)
        self.assertNotIn(b"alert(3)", server.get("/").body + server.get("/metrics").body)


if __name__ == "__main__":
    main()
