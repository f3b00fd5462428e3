#!/usr/bin/env -S python3 -B
"""What bash completes for lockstep's commands: as its function answers, and typed into a real one."""

import json
import os
import subprocess

from lockstep_jobs import BIN, environment, on_terminal
from lockstep_test import BranchedStore, main


class Completion(BranchedStore):
    def completed(self, line):
        """What bash would offer at the end of a line."""
        script = (f"source <({BIN}/lockstep completion bash); COMP_LINE={json.dumps(line)}; "
                  'COMP_POINT=${#COMP_LINE}; _lockstep; printf "%s\\n" "${COMPREPLY[@]}"')
        done = subprocess.run(["bash", "--norc", "-c", script], capture_output=True, text=True,
                              env=environment(PATH=f"{BIN}:{os.environ['PATH']}"),
                              cwd=self.origin.folder, timeout=20)
        self.assertEqual((done.returncode, done.stderr), (0, ""), line)
        return done.stdout.split()

    def test_bash_completes_commands_options_and_checkpoints(self):
        script = self.said(0, "completion", "bash")
        checked = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True)
        self.assertEqual((checked.returncode, checked.stderr), (0, ""))
        self.assertEqual(self.completed("lockstep ver"), ["verify"])
        self.assertEqual(self.completed("lockstep ls store --a"), ["--all", "--ascii"])
        self.assertEqual(self.completed("lockstep ls store --fo"), ["--format"])
        self.assertEqual(self.completed("lockstep ls --format {state} st"), ["store"])
        self.assertEqual(self.completed("lockstep to"), ["top"])
        self.assertEqual(self.completed("lockstep top store --"), ["--ascii", "--help"])
        self.assertEqual(self.completed("lockstep ls st"), ["store"])
        self.assertEqual(self.completed("lockstep show store 3"), ["3@50"])
        self.assertEqual(self.completed("lockstep diff store 3@50 2@"), ["@40", "@30"],
                         "bash has broken the word before the @")
        self.assertEqual(self.completed("lockstep show --json store be"), ["best"])
        self.assertEqual(self.completed("lockstep export store latest out --scope m"), ["model"])
        self.assertIn("train.yaml", self.completed("lockstep plan "))
        self.assertEqual(self.completed("lockstep plan train.yaml --set "), [])
        self.said(2, "completion", "zsh")

    def test_a_checkpoint_completed_by_typing_is_the_one_that_was_meant(self):
        keys = ["source <(lockstep completion bash)\n", "lockstep show store 2@4\t\n",
                "lockstep diff store 2@40 3@5\t; echo code $?\n", "exit\n"]
        shown = on_terminal("bash", "--norc", "-i", typed="".join(keys), cwd=self.origin.folder,
                            PATH=f"{BIN}:{os.environ['PATH']}")
        self.assertIn("lockstep show store 2@40", shown)
        self.assertIn("lockstep diff store 2@40 3@50", shown)
        self.assertNotIn("no checkpoint", shown)
        self.assertIn("code 1", shown)


if __name__ == "__main__":
    main()
