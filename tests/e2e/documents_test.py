#!/usr/bin/env -S python3 -B
"""What the documents say is what happens: the tutorial's commands print what it shows, each YAML of
the migration guide is planned and trained with, each link leads somewhere, Prometheus takes its
files. README's commands: readme_test.py; how blocks are read: lockstep_documents.py."""

import re
import shutil
import subprocess

from lockstep_documents import HOME, Placed, Session, Shown, blocks
from lockstep_jobs import ROOT, command
from lockstep_test import JobTest, main

DEPLOY = ROOT / "deploy"


class Checks(JobTest):
    """What is wrong in a document is found."""

    def document(self, *lines):
        path = self.scratch / f"{self._testMethodName}.md"
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(["# A title", "", *lines, ""]))
        return blocks(path)

    def expect_wrong(self, why, *lines):
        session = Session(self, self.scratch / f"wrong{hash(lines)}")
        with self.assertRaisesRegex(AssertionError, why):
            for block in self.document(*lines):
                session.run(block)

    def test_output_is_compared_loosely_where_a_run_has_its_own(self):
        session = Session(self, self.scratch / "loosely")
        for block in self.document(
                "<!-- any: 114 -->", "```console",
                "$ printf '12:00:01 saved 7 at 3@7 in  2.5 s\\nmore\\nend 7\\n'; false",
                "23:59:59 saved 114 at 3@114 in 10 s", "...", "end 114", "$ echo $?", "1", "```",
                "```sh", "x=1", "cd /", "```", "```console", "$ echo $x $PWD", "1 /", "```"):
            session.run(block)

    def test_what_differs_is_found(self):
        for why, *lines in (
                ("exit code 1", "```console", "$ false", "```"),
                ("shown: '76'", "```console", "$ (exit 75)", "$ echo $?", "76", "```"),
                ("shown: 'nothing more'", "```console", "$ echo a; echo b", "a", "```"),
                ("shown: 'b'", "```console", "$ echo a", "a", "b", "```"),
                ("shown: '3@8'", "```console", "$ echo 3@7", "3@8", "```"),
                ("shown: 'nothing more'", "```sh", "echo a", "```"),
                ("shown: 'b 114'", "<!-- any: 114 -->", "```console", "$ echo a 7", "a 114",
                 "$ echo b 8", "b 114", "```")):
            with self.subTest(why):
                self.expect_wrong(why, *lines)


class Tutorial(JobTest):
    def test_each_command_of_the_tutorial_prints_what_it_shows(self):
        session = Session(self, self.scratch / "tutorial")
        parts = blocks(DEPLOY / "TUTORIAL.md")
        built = [block for block in parts if block.first() == "deploy/bootstrap.sh"]
        self.assertEqual(len(built), 1, "the step that is not run: deploy/demo.sh does so")
        for block in parts:
            if block not in built:
                session.run(block)
        self.assertGreater(session.typed, 50)


class Migration(JobTest):
    """Each YAML block is laid over the guide's first whole one, and a job is launched with it on a
    store that the whole one has left. The text below it is what the job says; a second text, what
    the same launch then says."""

    @classmethod
    def setUpClass(cls):
        parts = blocks(DEPLOY / "MIGRATION.md")
        cls.shown = []  # [(a YAML block, the text blocks below it: of a launch each)]
        for block in parts:
            if block.kind == "yaml":
                cls.shown.append((block, []))
            elif block.kind == "text":
                cls.shown[-1][1].append(block)
        cls.base = next(block.text for block, _ in cls.shown if "task:" in block.text)
        test = cls.of_class()
        cls.home = test.site("origin").folder
        for name, ranks in (("mine", 2), ("other", 3)):
            site = Placed(test, cls.home / name)
            how = {"ranks": ranks, "sets": ["run.max_iterations=300"]}
            test.expect_exit(site.run(text=cls.base, **how), 0)
        made = command("export", cls.home / "mine/checkpoints", "latest",
                       cls.home / "mine/weights.safetensors", "--scope", "model")
        test.assertEqual(made.code, 0, made)

    def laid_over(self, text):
        """The sections of a block, then those of the whole configuration that it has not."""
        if "task:" in text:
            return text
        sections = re.findall(r"^\w.*\n(?:[ #].*\n)*", self.base, re.M)
        mine = set(re.findall(r"^\w+:", text, re.M))
        return text + "".join(x for x in sections if x.split()[0] not in mine)

    def expect_launches(self, folder, text, launches):
        """One after the other, with the same words, each says what is shown."""
        site = Placed(self, folder, re.search(r"^store: (\S+)", text, re.M)[1])
        for block in launches:
            result = site.run(text=text)
            self.expect_exit(result, 0 if block.text.startswith("decision: ") else 2)
            said = re.sub(r"^\d\d:\d\d:\d\d ", "", result.err, flags=re.M)
            differs = Shown().compare(["...", *block.text.splitlines(), "..."],
                                      said.replace(str(folder.parent), HOME))
            self.assertIsNone(differs, f"{block.place}: not said as shown: {differs!r}: {result}")

    def test_each_block_of_the_migration_guide_restores_what_it_says(self):
        self.assertGreater(len(self.shown), 20)
        for number, (block, launches) in enumerate(self.shown):
            with self.subTest(block.place):
                self.assertTrue(launches, "a block without what a job says")
                home = self.site(f"block{number}").folder
                shutil.copytree(self.home, home, dirs_exist_ok=True)
                self.expect_launches(home / "mine", self.laid_over(block.text), launches)


class Links(JobTest):
    def test_each_link_leads_to_a_file_and_to_a_title_in_it(self):
        def titles(path):
            """As links name them."""
            words = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.M | re.S)
            return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
                    for title in re.findall(r"^#+ (.*)", words, re.M)}

        documents = [ROOT / "README.md", *DEPLOY.rglob("*.md")]
        for path in documents:
            for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
                with self.subTest(link, document=path.name):
                    if link.startswith("http"):
                        continue
                    name, _, anchor = link.partition("#")
                    target = path.parent / name if name else path
                    self.assertTrue(target.exists(), "no such file")
                    self.assertTrue(not anchor or anchor in titles(target), "no such title")


class Monitoring(JobTest):
    FOLDER = DEPLOY / "monitoring"

    def test_each_metric_that_is_named_is_one_that_jobs_have(self):
        sources = "".join(path.read_text() for path in (ROOT / "coordinator").rglob("*.cpp"))
        ours = set(re.findall(r'"(lockstep_[a-z_]+)"', sources))
        ours |= {f"{name}_{part}" for name in ours for part in ("sum", "count", "bucket")}
        for path in sorted(self.FOLDER.iterdir()):
            named = set(re.findall(r"\blockstep_[a-z_]+\b", path.read_text()))
            self.assertEqual(named - ours, set(), path)

    def test_prometheus_takes_its_files(self):
        if not shutil.which("promtool"):
            self.skipTest("promtool is not installed: Debian's prometheus")
        for kind, name in (("config", "prometheus.yml"), ("rules", "alerts.yml")):
            done = subprocess.run(["promtool", "check", kind, self.FOLDER / name], text=True,
                                  capture_output=True)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    main()
