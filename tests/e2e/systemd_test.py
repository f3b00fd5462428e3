#!/usr/bin/env -S python3 -B
"""deploy/mpirun/lockstep@.service as systemd runs it: a machine is booted in a container, and each
test trains by an instance of its own."""

import os
import re

from lockstep_jobs import ROOT, configuration, environment, yaml_text
from lockstep_machine import UID, Machine
from lockstep_store import Store
from lockstep_test import JobTest, main, pair

FOLDER = ROOT / "deploy" / "mpirun"
VARIABLES = re.compile(r"OMPI_MCA_|OMP_|[AUT]SAN_OPTIONS")
# What a restart by systemd would be seen by, were there one.
AT_ONCE = "[Service]\nRestartSec=100ms\n"


class Service(JobTest):
    @classmethod
    def setUpClass(cls):
        cls.scratch.mkdir(parents=True, exist_ok=True)
        cls.machine = Machine(cls.scratch / "machine", [FOLDER / "lockstep@.service"])
        cls.addClassCleanup(cls.machine.off)
        override = cls.machine.root / "etc/systemd/system/lockstep@.service.d"
        override.mkdir()
        (override / "at_once.conf").write_text(AT_ONCE)
        cls.machine.do("systemctl", "daemon-reload")

    def setUp(self):
        name = re.sub(r"\W|_", "", self._testMethodName.title())
        self.unit = f"lockstep@{name}.service"
        self.folder = self.machine.root / "srv/lockstep" / name
        self.folder.mkdir(parents=True)
        self.store = Store(self.folder / "store")
        self.write("hosts", "localhost slots=2\n")
        self.set_environment()
        self.configure()
        os.chown(self.folder, UID, UID)
        self.addCleanup(lambda: self.do("stop", check=False))

    def write(self, name, text):
        (self.folder / name).write_text(text)

    def set_environment(self, **more):
        ours = {key: value for key, value in environment().items() if VARIABLES.match(key)}
        self.write("environment", "".join(
            f'{key}="{value}"\n' for key, value in {"BACKOFF": 0, **ours, **more}.items()))

    def configure(self, to=10**6, restore="auto"):
        self.write("train.yaml", yaml_text(configuration(
            run={"max_iterations": to}, task={"iteration_ms": 20}, restore=restore)))

    def do(self, verb, **how):
        return self.machine.do("systemctl", verb, self.unit, **how)

    def until(self, holds, what):
        return self.machine.until(holds, what, unit=self.unit)

    def saved_by(self, attempt):
        """Waits until the attempt has a checkpoint."""
        self.until(lambda: attempt in self.store.attempts() and self.store.of_attempt(attempt),
                   f"a checkpoint of attempt {attempt}")

    def expect_end(self, state, code):
        """Neither at work nor waiting for its restart."""
        said = self.until(lambda: self.state() in ("inactive", "failed") and self.state(),
                          "its end")
        journal = self.machine.journal(self.unit)
        self.assertEqual(said, state, journal)
        ended = re.findall(r"lockstepd ended with (\d+)", journal)
        self.assertEqual(ended[-1], str(code), journal)

    def state(self):
        return self.machine.facts(self.unit, "ActiveState")[0]

    def expect_restarts(self, count):
        self.assertEqual(self.machine.facts(self.unit, "NRestarts"), (str(count),),
                         self.machine.journal(self.unit))

    def expect_preempted(self, attempt):
        """Gives its last committed iteration."""
        record = self.store.record(attempt, "outcome")
        self.assertEqual((record["outcome"], record["exit_code"]), ("preempted", 75), record)
        return record["last_committed_iteration"]

    def expect_carried_on(self, attempt, parent):
        decision = self.store.record(attempt, "decision")
        self.assertEqual((decision["kind"], pair(decision["parent"])), ("restore", parent))
        self.assertEqual(decision["run"], self.unit[len("lockstep@"):-len(".service")])

    def test_a_stop_saves_and_a_start_carries_on(self):
        self.do("start")
        self.saved_by(1)
        self.do("stop")
        saved = self.expect_preempted(1)
        self.expect_end("inactive", 75)
        said = self.machine.journal(self.unit)
        identifier = self.unit.removesuffix(".service")
        for words in (f"committed 1@{saved}", "told to end", "lockstepd ended with 75"):
            self.assertRegex(said, rf"{re.escape(identifier)}\[\d+\]: .*{re.escape(words)}")
        self.assertNotIn("Killing process", said)  # nothing of the supervisor's outlived it
        self.configure(saved + 20)
        self.do("start")
        self.expect_end("inactive", 0)
        self.expect_carried_on(2, (1, saved))
        self.assertEqual(self.store.attempts(), [1, 2])
        self.expect_restarts(0)

    def test_a_killed_rank_is_the_supervisors_to_retry(self):
        self.do("start")
        self.saved_by(1)
        supervisor = self.machine.facts(self.unit, "MainPID")
        self.machine.do("kill", "-KILL", self.store.record(1, "claim")["pid"])
        self.saved_by(2)
        self.expect_carried_on(2, (1, max(self.store.of_attempt(1))))
        self.assertEqual(self.machine.facts(self.unit, "MainPID"), supervisor)
        self.expect_restarts(0)

    def test_a_permanent_error_is_the_end(self):
        self.configure(restore="1@7")
        self.do("start")
        self.expect_end("failed", 2)
        self.expect_restarts(0)

    def test_stopped_on_request_it_stays_so(self):
        self.do("start")
        self.saved_by(1)
        self.machine.do("/opt/lockstep/bin/lockstep", "stop",
                        f"/srv/lockstep/{self.folder.name}/store")
        self.expect_end("inactive", 77)
        self.expect_restarts(0)

    def test_a_supervisor_that_gives_up_is_started_again_but_not_for_ever(self):
        self.set_environment(RETRIES=1, MPIRUN_OPTIONS="--no-such-option")
        self.do("start")
        starts, = map(int, self.machine.facts(self.unit, "StartLimitBurst"))
        self.expect_end("failed", 1)
        self.expect_restarts(starts)
        said = self.machine.journal(self.unit)
        self.assertEqual(said.count("giving up after 1 retries"), starts, said)
        self.assertIn("Start request repeated too quickly", said)
        # As README says.
        self.set_environment()
        self.do("reset-failed")
        self.do("start")
        self.saved_by(1)

    def test_a_killed_supervisor_takes_its_ranks_with_it_and_is_started_again(self):
        self.do("start")
        self.saved_by(1)
        self.machine.do("systemctl", "kill", "--kill-who=main", "--signal=KILL", self.unit)
        self.saved_by(2)
        self.expect_carried_on(2, (1, max(self.store.of_attempt(1))))
        self.expect_restarts(1)

    def test_shut_down_it_saves_and_after_the_boot_it_carries_on(self):
        self.do("enable")
        self.do("start")
        self.saved_by(1)
        self.machine.shut_down()
        saved = self.expect_preempted(1)
        self.machine.on()
        self.saved_by(2)
        self.expect_carried_on(2, (1, saved))
        self.machine.off()  # as by a power cut
        newest = max(self.store.of_attempt(2))
        self.machine.on()
        self.saved_by(3)
        self.expect_carried_on(3, (2, newest))
        self.do("disable")

    def test_it_is_given_the_time_that_the_supervisor_takes(self):
        text = (FOLDER / "supervise.sh").read_text()
        grace, hard = (int(re.search(rf"{name}=(?:\S+:-)?(\d+)", text)[1])
                       for name in ("grace_s", "hard_s"))
        # systemctl shows "2min 30s".
        said, = self.machine.facts(self.unit, "TimeoutStopUSec")
        given = sum(int(number) * {"min": 60, "s": 1}[unit]
                    for number, unit in re.findall(r"(\d+)(min|s)\b", said))
        self.assertGreater(given, grace + hard, said)


if __name__ == "__main__":
    main()
