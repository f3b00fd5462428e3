#!/usr/bin/env -S python3 -B
"""A real Prometheus takes what lockstep gives it: promtool's check of the metrics, and a server
that scrapes a job at work, by a configuration of its own and by deploy/monitoring's. Debian's
package `prometheus` has both; without it nothing is tested, and the test says so.

Prometheus is started by the test alone, in its scratch folder, and ends with it.
"""

import json
import re
import shutil
import socket
import subprocess
import time
import urllib.parse
import urllib.request

from lockstep_http import Served
from lockstep_jobs import ROOT
from lockstep_test import main

MONITORING = ROOT / "deploy" / "monitoring"
DOCUMENTED = MONITORING / "README.md"
EXPORTER = "prometheus-node-exporter"
WAIT_SECONDS = 40
CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 900ms}}
scrape_configs:
  - job_name: lockstep
    static_configs: [{{targets: ["{target}"]}}]
"""


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Prometheus:
    """A server with this configuration, until the test's end."""

    def __init__(self, test, folder, config):
        folder.mkdir()
        self.test, self.log = test, folder / "log"
        (folder / "prometheus.yml").write_text(config)
        if "rule_files" in config:
            shutil.copy(MONITORING / "alerts.yml", folder)
        self.address = f"127.0.0.1:{free_port()}"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                ["prometheus", f"--config.file={folder}/prometheus.yml",
                 f"--web.listen-address={self.address}", f"--storage.tsdb.path={folder}/data"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder)
        test.addCleanup(self.end)

    def end(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def ask(self, path, **words):
        url = f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(words)}"
        with urllib.request.urlopen(url, timeout=5) as answer:
            said = json.load(answer)
        self.test.assertEqual(said["status"], "success")
        return said["data"]

    def query(self, expression):
        """[(labels, value)] at this moment."""
        found = self.ask("query", query=expression)["result"]
        return [(one["metric"], float(one["value"][1])) for one in found]

    def until(self, holds, what):
        end = time.monotonic() + WAIT_SECONDS
        while True:
            try:
                if value := holds():
                    return value
            except OSError:  # it has not begun to listen
                pass
            told = "\n".join(self.log.read_text(errors="replace").splitlines()[-10:])
            if self.process.poll() is not None or time.monotonic() > end:
                self.test.fail(f"{what}: not seen; Prometheus said:\n{told}")
            time.sleep(0.2)


class WithPrometheus(Served):
    def setUp(self):
        for program in ("prometheus", "promtool"):
            if not shutil.which(program):
                self.skipTest(f"{program} is not installed (Debian's package prometheus): what "
                              "Prometheus makes of the metrics was NOT tested")

    def expect_metrics(self, text, least=()):
        """promtool has nothing to say of it, not even about names and help texts."""
        done = subprocess.run(["promtool", "check", "metrics"], input=text, text=True,
                              capture_output=True, check=False)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        names = set(re.findall(r"^# TYPE (\S+)", text, re.M))
        self.assertLessEqual(set(least), names)
        return names

    def text_of(self, server):
        answer = server.get("/metrics")
        self.assertEqual(answer.header("content-type"), "text/plain; version=0.0.4; charset=utf-8")
        return answer.body.decode()


class Texts(WithPrometheus):
    def test_promtool_finds_no_fault_in_what_a_job_and_ui_serve_and_a_textfile_holds(self):
        site = self.site()
        job, server = self.serve(site, metrics={"textfile": "./job.prom"},
                                 env={"LOCKSTEP_DEADLINE": str(int(time.time()) + 3600)})
        job.until(lambda: server.json()["ranks"]["heard"] == 2, "both ranks")
        job.until(lambda: server.metrics().get("lockstep_commits_total", 0) > 1, "checkpoints")
        job.until(lambda: "lockstep_last_durable_age_seconds" in server.metrics(), "the store")
        names = self.expect_metrics(self.text_of(server))
        self.expect_metrics((site.folder / "job.prom").read_text(), names)
        of_ui = self.expect_metrics(self.text_of(self.ui(site.store.path)[1]),
                                    ["lockstep_running", "lockstep_iteration"])
        self.assertLess(of_ui, names)
        # Those that the table names are there, but for the one of a crash.
        rows = re.findall(r"^\| (`lockstep_.*?) \|", DOCUMENTED.read_text(), re.M)
        documented = set(re.findall(r"`(lockstep_\w+)", " ".join(rows)))
        self.assertGreater(len(documented), 20)
        self.assertEqual(documented - names, {"lockstep_restore_lost_iterations"})
        self.stop(site, job)
        self.expect_metrics((site.folder / "job.prom").read_text())
        # Before there is an attempt, and one that carries on.
        job, server = self.serve(site, attempt=2)
        job.until(lambda: "lockstep_restore_lost_iterations" in server.metrics(), "what was lost")
        self.expect_metrics(self.text_of(server), documented - {
            "lockstep_deadline_timestamp_seconds", "lockstep_save_seconds"})
        self.stop(site, job)

    def test_the_node_exporter_takes_the_textfile(self):
        if not shutil.which(EXPORTER):
            self.skipTest(f"{EXPORTER} is not installed (Debian's package of that name)")
        site = self.site()
        (site.folder / "gathered").mkdir()
        address = f"127.0.0.1:{free_port()}"
        with open(site.folder / "log", "wb") as log:
            exporter = subprocess.Popen(
                [EXPORTER, "--collector.disable-defaults", "--collector.textfile",
                 f"--collector.textfile.directory={site.folder}/gathered",
                 f"--web.listen-address={address}"], stdin=subprocess.DEVNULL, stdout=log,
                stderr=log)
        self.addCleanup(exporter.wait)
        self.addCleanup(exporter.terminate)
        job, server = self.serve(site, metrics={"textfile": "./gathered/lockstep.prom"})

        def gathered():
            with urllib.request.urlopen(f"http://{address}/metrics", timeout=5) as answer:
                lines = answer.read().decode().splitlines()
            return dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))

        def rises(least):
            found = gathered()
            self.assertEqual(found["node_textfile_scrape_error"], "0")
            self.assertEqual(found["lockstep_running"], "1")
            return float(found["lockstep_iterations_total"]) > least

        for least in range(0, 200, 20):
            job.until(lambda: rises(least), f"{least} iterations")
        self.assertTrue(any(name.startswith("node_textfile_mtime_seconds") for name in gathered()))
        self.stop(site, job)
        self.assertEqual(gathered()["lockstep_running"], "0")

    def test_promtool_would_find_a_fault(self):
        with self.assertRaises(AssertionError):
            self.expect_metrics("# TYPE lockstep_save_total gauge\nlockstep_save_total 1\n")
        with self.assertRaises(AssertionError):
            self.expect_metrics("lockstep_running one\n")


class Scrapes(WithPrometheus):
    def expect_scraped(self, prometheus, site, job):
        """Up, and figures that rise as the store's do."""
        up = prometheus.until(lambda: prometheus.query('up{job="lockstep"} == 1'), "up")
        self.assertEqual(len(up), 1)
        first = prometheus.until(lambda: prometheus.query("lockstep_iterations_total"), "a figure")
        prometheus.until(lambda: prometheus.query("lockstep_iterations_total")[0][1] >
                         first[0][1] + 50, "it rises")
        prometheus.until(lambda: prometheus.query("rate(lockstep_iterations_total[10s]) > 0"),
                         "a rate")
        (labels, value), = prometheus.query("lockstep_iterations_total")
        job.until(lambda: site.store.iteration() >= value, "the store's heartbeat")
        self.assertEqual(prometheus.query("lockstep_ranks")[0][1], 2)
        target, = [x for x in prometheus.ask("targets")["activeTargets"]
                   if x["labels"]["job"] == "lockstep"]
        self.assertEqual((target["health"], target["lastError"]), ("up", ""))
        return labels

    def test_a_job_at_work_is_scraped_and_its_figures_rise(self):
        site = self.site()
        job, server = self.serve(site)
        prometheus = Prometheus(self, site.folder / "prometheus",
                                CONFIG.format(target=server.address))
        self.expect_scraped(prometheus, site, job)
        # A quantile of a histogram and a share of the parts, as people would ask.
        (_, value), = prometheus.until(lambda: prometheus.query(
            "histogram_quantile(0.9, rate(lockstep_save_seconds_bucket[20s])) >= 0"), "quantile")
        self.assertLess(value, 60)
        parts = prometheus.query(
            "sum by (part) (rate(lockstep_spent_seconds_total[20s])) / ignoring (part) "
            "group_left sum(rate(lockstep_spent_seconds_total[20s]))")
        self.assertEqual(len(parts), 7)
        self.assertAlmostEqual(sum(value for _, value in parts), 1, places=6)
        # After its end the target is down: nothing is left that answers in its place.
        self.stop(site, job)
        prometheus.until(lambda: prometheus.query('up{job="lockstep"}')[0][1] == 0, "down")

    def test_a_name_that_leads_to_the_job_but_is_not_its_own_is_refused(self):
        """So that up == 1 means that the Host which Prometheus sends is one of the two."""
        site = self.site()
        job, server = self.serve(site)
        config = CONFIG.format(target=f"127.0.0.2.nip.invalid:{server.port}").replace(
            "static_configs:", f"proxy_url: http://{server.address}\n    static_configs:")
        prometheus = Prometheus(self, site.folder / "prometheus", config)
        prometheus.until(lambda: prometheus.query("up == 0"), "down")
        target, = prometheus.ask("targets")["activeTargets"]
        self.assertRegex(target["lastError"], r"HTTP status 40[03]")
        self.stop(site, job)

    def test_the_configuration_that_is_delivered_scrapes_a_job_with_its_port_put_in(self):
        text = (MONITORING / "prometheus.yml").read_text()
        # The port that it names may be taken here; what is left out has its own machines.
        for pattern, other in ((r'"127\.0\.0\.1:9400"', '"{target}"'),
                               (r"scrape_interval: 15s", "scrape_interval: 1s"),
                               (r"(?s)  # Jobs with `metrics: .*", "")):
            text, count = re.subn(pattern, other, text)
            self.assertEqual(count, 1, pattern)
        site = self.site()
        job, server = self.serve(site)
        prometheus = Prometheus(self, site.folder / "prometheus",
                                text.replace("{target}", f"localhost:{server.port}"))
        labels = self.expect_scraped(prometheus, site, job)
        self.assertEqual(labels["training"], "resnet")
        rules = prometheus.ask("rules")["groups"]
        alerts = {rule["name"]: rule for group in rules for rule in group["rules"]}
        self.assertIn("LockstepNoProgress", alerts)
        prometheus.until(lambda: all(
            rule["health"] == "ok" for group in prometheus.ask("rules")["groups"]
            for rule in group["rules"]), "every rule can be evaluated on these metrics")
        self.stop(site, job)


if __name__ == "__main__":
    main()
