#!/usr/bin/env -S python3 -B
"""deploy/mpirun/supervise.sh: with a launcher that does as it is told, each exit code in turn; and
with real jobs."""

import os
import signal
import subprocess
import time

from lockstep_cluster import HOSTS, Hosts, long, ranks_in
from lockstep_jobs import BIN, ROOT, configuration, environment, kill, yaml_text
from lockstep_test import JobTest, main, pair

SUPERVISE = ROOT / "deploy" / "mpirun" / "supervise.sh"
WAIT_SECONDS = 60

# Notes each launch and its hosts, and ends as the next line of `plan` says: a code, with a host
# that was silent; `save`: 75 at USR1; `hang`: only KILL ends it; `linger`: that, and its outcome is
# there and says 76.
MPIRUN = r"""#!/bin/bash
n=$(($(cat "$FAKE/count" 2>/dev/null || echo 0) + 1))
echo "$*" >"$FAKE/launch$n"
while [ $# -gt 0 ]; do [ "$1" != --hostfile ] || cp "$2" "$FAKE/hosts$n"; shift; done
read -r code silent < <(sed -n "${n}p" "$FAKE/plan")
outcome() { # CODE
    local attempt=$FAKE/store/attempts/$(printf %04d "$n")
    mkdir -p "$attempt"
    [ -z "$silent" ] ||
      printf '{"error":null,"exit_code":%s,"silent":[{"host":"%s","phase":"save","rank":2}]}\n' \
        "$1" "$silent" >"$attempt/outcome.json"
}
case $code in
save) trap 'exit 75' USR1 ;;
hang) trap '' TERM USR1 ;;
linger) trap '' TERM USR1; outcome 76 ;;
*) outcome "$code"; echo "$n" >"$FAKE/count"; exit "$code" ;;
esac
echo "$n" >"$FAKE/count"
while :; do sleep 0.1; done
"""


class Supervisor:
    """One run of the script, in a folder."""

    def __init__(self, folder, *words, around=(), **env):
        self.err = folder / "supervise.err"
        with open(self.err, "wb") as err:
            self.process = subprocess.Popen(
                [*around, SUPERVISE, *map(str, words)], cwd=folder, stdin=subprocess.DEVNULL,
                stderr=err, stdout=err, start_new_session=True,
                env=environment(**{"BACKOFF": 0, "RETRIES": 3, **env}))

    def said(self):
        return self.err.read_text(errors="replace")

    def tell(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def wait(self):
        return self.process.wait(WAIT_SECONDS)

    def until(self, holds, what):
        deadline = time.monotonic() + WAIT_SECONDS
        while not (value := holds()):
            if self.process.poll() is not None:
                raise AssertionError(f"it ended before {what}: {self.said()}")
            if time.monotonic() > deadline:
                raise AssertionError(f"{what}: not seen within {WAIT_SECONDS} s: {self.said()}")
            time.sleep(0.01)
        return value

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)


class ByPlan(JobTest):
    def setUp(self):
        self.folder = self.site().folder
        programs = self.folder / "programs"
        programs.mkdir()
        for name, text in (("mpirun", MPIRUN), ("lockstepd", "#!/bin/sh\n")):
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
        self.path = f"{programs}:{os.environ['PATH']}"

    def start(self, plan, *words, **env):
        (self.folder / "plan").write_text("".join(f"{line}\n" for line in plan))
        made = Supervisor(self.folder, *words, FAKE=self.folder, PATH=self.path, **env)
        self.addCleanup(made.end)
        return made

    def launches(self):
        count = self.folder / "count"
        text = count.read_text() if count.exists() else ""
        return int(text) if text.endswith("\n") else 0

    def expect(self, plan, code, *words, launches=None, **env):
        made = self.start(plan, *words, **env)
        self.assertEqual(made.wait(), code, made.said())
        self.assertEqual(self.launches(), len(plan) if launches is None else launches, made.said())
        return made.said()

    def test_finished_is_the_end(self):
        self.expect([0], 0)

    def test_permanent_is_the_end(self):
        self.expect([2], 2)

    def test_stopped_is_the_end(self):
        self.expect([77], 77)

    def test_failures_are_retried(self):
        self.expect([3, 76, 137, 0], 0)

    def test_failures_are_not_retried_for_ever_and_each_waits_longer(self):
        said = self.expect([3, 137, 76], 76, RETRIES=2, BACKOFF=1)
        for words in ("retry 1 of 2 in 1 s", "retry 2 of 2 in 2 s", "giving up after 2 retries"):
            self.assertIn(words, said)

    def test_a_preempted_job_starts_again_and_failures_count_anew(self):
        self.expect([3, 3, 75, 3, 3, 0], 0, RETRIES=2)

    def test_with_a_deadline_a_preempted_job_does_not_start_again(self):
        self.expect([75], 75, LOCKSTEP_DEADLINE=4102444800)
        self.assertIn("-x LOCKSTEP_DEADLINE", (self.folder / "launch1").read_text())

    def test_term_saves_and_ends(self):
        made = self.start(["save"])
        made.until(self.launches, "the launch")
        made.tell()
        self.assertEqual(made.wait(), 75, made.said())
        with self.assertRaises(ProcessLookupError):  # nothing of it is left
            os.killpg(made.process.pid, 0)

    def test_usr1_saves_and_starts_again(self):
        made = self.start(["save", 0])
        made.until(self.launches, "the launch")
        made.tell(signal.SIGUSR1)
        self.assertEqual(made.wait(), 0, made.said())
        self.assertEqual(self.launches(), 2)

    def test_term_while_it_waits_ends_it(self):
        made = self.start([3], BACKOFF=300)
        made.until(lambda: "retry 1" in made.said(), "that it waits")
        made.tell()
        self.assertEqual(made.wait(), 3, made.said())

    def test_a_launcher_that_hangs_is_killed_after_a_second_term(self):
        made = self.start(["hang"])
        made.until(self.launches, "the launch")
        made.tell()
        made.until(lambda: "told to end" in made.said(), "the first")
        made.tell()
        self.assertEqual(made.wait(), 137, made.said())

    def test_a_launcher_that_hangs_is_killed_after_the_grace_time(self):
        made = self.start(["hang"], GRACE=1)
        made.until(self.launches, "the launch")
        made.tell()
        self.assertEqual(made.wait(), 137, made.said())

    def test_silent_hosts_are_left_out_until_none_would_be_left(self):
        hosts = self.folder / "hosts"
        hosts.write_text("# racks\nh1.cluster slots=2\nh2 slots=2\nh22 slots=2\n")
        self.expect(["76 h2.cluster", "76 h1", "76 h22", 0], 0, "--hosts", hosts, "--ranks", 6,
                    "--store", self.folder / "store", "big.yaml", "--set", "run.seed=2")
        names = [[line.split()[0] for line in (self.folder / f"hosts{n}").read_text().splitlines()
                  if line[0] != "#"] for n in (1, 2, 3, 4)]
        self.assertEqual(names, [["h1.cluster", "h2", "h22"], ["h1.cluster", "h22"], ["h22"],
                                 ["h1.cluster", "h2", "h22"]])
        first, second = ((self.folder / f"launch{n}").read_text() for n in (1, 2))
        self.assertIn(" -n 6 ", first)
        self.assertNotIn(" -n ", second)
        self.assertTrue(second.endswith("/lockstepd big.yaml --set run.seed=2\n"), second)

    def test_a_launcher_that_outlives_its_job_is_killed_and_the_outcome_counts(self):
        hosts = self.folder / "hosts"
        hosts.write_text("h1\nh2\n")
        said = self.expect(["linger h2", 0], 0, "--hosts", hosts, "--store", self.folder / "store",
                           LINGER=1)
        for words in ("mpirun hangs", "its outcome says 76", "h2 was silent"):
            self.assertIn(words, said)

    def test_what_is_no_number_is_said(self):
        for name in ("RETRIES", "BACKOFF", "HEALTHY", "GRACE", "LINGER"):
            for value in ("5s", "1.5", "-1", "010", "PATH"):
                with self.subTest(name=name, value=value):
                    said = self.expect([0], 2, launches=0, **{name: value})
                    self.assertIn(f"{name} is '{value}', which is no whole number", said)
        said = self.expect([0], 2, "--ranks", "two", launches=0)
        self.assertIn("--ranks is 'two'", said)

    def test_what_is_no_option_is_said(self):
        made = self.start([0], "--host", "h1", "train.yaml")
        self.assertEqual(made.wait(), 2)
        self.assertIn("--hosts FILE", made.said())


class ByLockstepd(JobTest):
    def setUp(self):
        self.place = self.site()
        self.store = self.place.store

    def configure(self, to):
        self.place.write(yaml_text(configuration(
            run={"max_iterations": to}, task={"iteration_ms": 20}, restore="auto")))

    def start(self):
        made = Supervisor(self.place.folder, "--ranks", 2, "--store", self.store.path,
                          MPIRUN_OPTIONS="--oversubscribe", PATH=f"{BIN}:{os.environ['PATH']}")
        self.addCleanup(made.end)
        self.addCleanup(lambda: [kill(pid) for pid in ranks_in(self.place.folder)])
        return made

    def test_after_a_killed_rank_it_carries_on(self):
        self.configure(200)
        made = self.start()
        made.until(lambda: self.store.of_attempt(1), "a checkpoint")
        kill(ranks_in(self.place.folder)[0])
        self.assertEqual(made.wait(), 0, made.said())
        self.assertEqual(self.store.attempts(), [1, 2])
        decision = self.store.record(2, "decision")
        self.assertEqual((decision["kind"], pair(decision["parent"])),
                         ("restore", (1, max(self.store.of_attempt(1)))))
        self.assertEqual(decision["run"], self.store.record(1, "decision")["run"])

    def test_term_saves_at_whatever_time_it_comes(self):
        """Also while ranks are being started."""
        self.configure(10**6)
        for seconds in (0, 0.05, 0.1, 0.2, 0.4):
            made = self.start()
            time.sleep(seconds)
            made.tell()
            code = made.wait()
            said = made.said()
            self.assertNotIn(code, (0, 2, 3, 77), said)
            self.assertEqual(ranks_in(self.place.folder), [], said)
            for attempt in self.store.attempts():
                record = self.store.record(attempt, "outcome")
                self.assertEqual((record["outcome"], record["exit_code"]), ("preempted", 75), said)


class OnTwoHosts(JobTest):
    """With a network between them that can be cut; mpirun is on the first."""

    def setUp(self):
        self.hosts = Hosts()
        self.addCleanup(self.hosts.down)
        self.place = self.site()
        self.store = self.place.store

    def start(self):
        self.place.write(yaml_text(configuration(
            run={"max_iterations": 10**6}, task={"iteration_ms": 20}, restore="auto")))
        (self.place.folder / "hosts").write_text("h1 slots=1\nh2 slots=1\n")
        options = {"plm": "rsh", "plm_rsh_agent": self.hosts.folder / "agent",
                   "btl": "tcp,vader,self", "btl_tcp_if_include": "eth0",
                   "oob_tcp_if_include": "eth0", "orte_tmpdir_base": self.hosts.folder / "tmp"}
        words = " ".join(f"--mca {key} {value}" for key, value in options.items())
        made = Supervisor(self.place.folder, "--hosts", "hosts", "--store", self.store.path,
                          around=(HOSTS, "exec", self.hosts.folder, "h1"), MPIRUN_OPTIONS=words,
                          PATH=f"{BIN}:{os.environ['PATH']}")
        self.addCleanup(made.end)
        self.addCleanup(lambda: [kill(pid) for pid in ranks_in(self.place.folder)])
        made.until(lambda: self.store.of_attempt(1), "a checkpoint")
        return made

    def test_term_saves_on_both_hosts(self):
        made = self.start()
        self.assertEqual(len(ranks_in(self.place.folder)), 2)
        made.tell()
        self.assertEqual(made.wait(), 75, made.said())
        self.assertEqual(ranks_in(self.place.folder), [])

    @long
    def test_a_host_that_is_gone_does_not_keep_mpirun_for_ever(self):
        made = self.start()
        self.hosts.do("kill", "h2")
        made.tell()
        made.until(lambda: "told to end" in made.said(), "the first")
        made.tell()
        self.assertEqual(made.wait(), 137, made.said())
        self.assertEqual(ranks_in(self.place.folder), [])


if __name__ == "__main__":
    main()
