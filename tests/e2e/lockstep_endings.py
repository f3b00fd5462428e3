"""The table of all ways in which a job ends: {path: exit code}, with the outcome that it leaves.
Each path is a function of a site; it gives the result of its last launch."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Callable, NamedTuple

from lockstep_jobs import command
from lockstep_test import JobTest

STOP_SIGNALS = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM, signal.SIGXCPU)
RUN = {"id": "path", "max_iterations": 10**6}
QUICK = {"watchdog": {"heartbeat_seconds": 0.2}}  # who looks at another job waits for its beats
AT_WORK = {"run": RUN, "task": {"iteration_ms": 20}, "restore": "auto"}
BEHIND = {"run": {"id": "path", "max_iterations": 40}, "restore": "latest"}  # has trained(20)


class Path(NamedTuple):
    act: Callable
    code: int
    outcome: str | None  # None: the launch that ends leaves none
    attempts: int        # that there are then
    of: int              # whose outcome it is
    launcher: int        # mpirun's code
    srun: int            # srun's code
    loose: tuple         # ranks that end as the launcher decides
    says: tuple          # what must be read in its log


PATHS = {}


def ends(code, outcome=None, attempts=None, of=None, launcher=None, srun=None, loose=(),
         says=()):
    def add(act, name=None):
        number = (1 if outcome else 0) if attempts is None else attempts
        assert act.__name__ not in PATHS
        PATHS[name or act.__name__] = Path(act, code, outcome, number, of or number,
                                           launcher or code, srun or code, loose, says)
        return act
    return add


def at_work(site, **how):
    job = site.start(**{**AT_WORK, **how})
    job.until(lambda: site.store.iteration() >= 1, "the first iteration")
    return job


def damage(site, iteration):
    (site.store.checkpoint(1, iteration) / "manifest.json").write_text("{}")


# ---- 0 -------------------------------------------------------------------------------------------
@ends(0, "finished")
def finished(site):
    return site.run(ranks=3, run={"max_iterations": 10})


@ends(0, attempts=1)
def nothing_left_to_train(site):
    site.trained(10)
    return site.run(run={"max_iterations": 10}, restore="latest")


@ends(0, attempts=1)
def evaluated(site):
    site.trained(10)
    return site.run(flags=("--evaluate",), restore="latest")


@ends(0)
def checked(site):
    return site.run(flags=("--check",), foreseen=False)  # it decides nothing


# ---- 2 -------------------------------------------------------------------------------------------
@ends(2)
def a_bad_configuration(site):
    return site.run(ranks=3, task={"parametres": 10})


@ends(2)
def more_ranks_than_samples(site):
    return site.run(ranks=3, data={"global_batch": 2}, foreseen=False)  # plan knows no ranks


@ends(2)
def a_check_that_finds_a_mistake(site):
    return site.run(flags=("--check",), data={"path": "/nowhere"}, foreseen=False,
                    task={"name": "fashion_mnist"})


@ends(2)
def a_deadline_that_is_no_number(site):
    return site.run(env={"LOCKSTEP_DEADLINE": "18:00"}, foreseen=False)  # not plan's to know


@ends(2, attempts=1)
def no_restore_section_where_there_are_checkpoints(site):
    site.trained(20)
    return site.run(run=BEHIND["run"])


@ends(2, attempts=1)
def a_checkpoint_that_is_not_there(site):
    site.trained(20)
    return site.run(ranks=3, **{**BEHIND, "restore": "1200"})


@ends(2, attempts=1)
def all_checkpoints_damaged(site):
    site.trained(20)
    damage(site, 10)
    damage(site, 20)
    return site.run(**BEHIND)


@ends(2, attempts=1)
def a_fallback_that_loses_too_much(site):
    site.trained(20)
    damage(site, 20)
    return site.run(**{**BEHIND, "restore": {"mode": "latest", "max_lost_iterations": 9}})


@ends(3, "failed", says=("File too large",))
def files_that_may_not_grow(site):
    limit = site.folder / "limit.sh"
    limit.write_text('#!/bin/sh\nulimit -f 16384\nexec "$@"\n')  # 8 MiB: MPI has files, too
    limit.chmod(0o755)
    return site.run(run={"max_iterations": 100}, task={"parameters": 3_000_000}, restore="auto",
                    checkpoint={"interval": 10, "max_failures": 2}, wrapper=[limit])


@ends(2, "refused", attempts=2)
def a_checkpoint_that_does_not_fit(site):
    site.trained(20)
    # The model is not plan's to see.
    return site.run(ranks=3, **BEHIND, task={"parameters": 30000}, foreseen=False)


@ends(2, attempts=4)
def a_crash_loop(site):
    site.trained(20)
    crashes = {**BEHIND, "task": {"iteration_ms": 60_000}}
    for attempt in (2, 3, 4):
        job = site.start(**crashes)
        job.until(lambda n=attempt: site.store.record(n, "decision"), "the decision")
        job.kill_all()
    return site.run(**crashes)


@ends(2, attempts=1)
def the_store_of_another_run_at_work(site):
    first = at_work(site, **QUICK)
    result = site.run(**{**AT_WORK, "run": {**RUN, "id": "other"}}, **QUICK, busy=True)
    first.kill_all()
    return result


@ends(2, "superseded", attempts=2, of=1)
def superseded(site):
    job = at_work(site)
    site.store.attempt(2).mkdir()
    return job.wait()


@ends(2, "failed", attempts=2)
def a_loss_that_is_not_finite(site):
    site.trained(20, optimizer={"name": "sgd", "learning_rate": 0.001})
    return site.run(ranks=3, **BEHIND, checkpoint={"interval": 1000},
                    optimizer={"name": "sgd", "learning_rate": 1e30})


# ---- 3 -------------------------------------------------------------------------------------------
@ends(3, attempts=1)
def the_own_run_at_work(site):
    watched = {"watchdog": {"heartbeat_seconds": 0.1, "stall_seconds": 1}}
    first = at_work(site, **watched)
    result = site.run(**AT_WORK, **watched, busy=True)
    first.kill_all()
    return result


@ends(3)
def a_restart_that_does_not_find_its_store(site):
    return site.run(rank_env={"SLURM_JOB_ID": 4242, "SLURM_RESTART_COUNT": 1}, restore="auto")


@ends(3, "failed")
def saves_that_keep_failing(site):
    job = at_work(site, checkpoint={"interval": 10, "max_failures": 2})
    checkpoints = site.store.path / "checkpoints"
    checkpoints.rename(site.folder / "away")
    checkpoints.write_text("no folder")
    return job.wait()


# ---- 75 ------------------------------------------------------------------------------------------
def preempted_by(number, rank):
    def act(site):
        job = at_work(site, ranks=3)
        job.signal_rank(rank, number)
        return job.wait()
    ends(75, "preempted")(act, f"preempted_by_{number.name}_to_rank_{rank}")


for index, which in enumerate(STOP_SIGNALS):
    preempted_by(which, index % 3)


def preempted_while_it_waits(rank):
    def act(site):
        first = at_work(site, **QUICK)
        # Plan says what the launch would end with if nobody stopped it: in use, after the wait.
        second = site.start(ranks=3, **AT_WORK, **QUICK, busy=True, foreseen=False)
        second.until(lambda: "waiting for its end" in second.err(), "it waits")
        second.signal_rank(rank, signal.SIGUSR1)
        result = second.wait()
        first.kill_all()
        return result
    says = ("preempted by USR1", "nothing was claimed", "requeue")
    ends(75, attempts=1, says=says)(
        act, f"preempted_by_a_signal_to_rank_{rank}_while_it_waits_for_another_launch")


preempted_while_it_waits(0)
preempted_while_it_waits(2)


@ends(75, attempts=1, says=("preempted by the deadline", "nothing was claimed", "requeue"))
def a_deadline_that_comes_while_it_waits_for_another_launch(site):
    first = at_work(site, **QUICK)
    result = site.run(**AT_WORK, **QUICK, busy=True, foreseen=False,
                      env={"LOCKSTEP_DEADLINE": int(time.time()) + 8})
    first.kill_all()
    return result


@ends(75, "preempted")
def a_deadline_that_comes(site):
    end = int(time.time()) + 15  # room for 10 s and more is kept free
    return site.run(**AT_WORK, env={"LOCKSTEP_DEADLINE": end}, preempt={"grace_seconds": 1})


@ends(75)
def a_deadline_that_is_past(site):
    past = int(time.time()) - 60
    return site.run(**AT_WORK, env={"LOCKSTEP_DEADLINE": past}, foreseen=False)


# ---- 76, 77, and a killed rank -------------------------------------------------------------------
@ends(76, "failed", srun=137, loose=(2,))  # srun's is the highest of its ranks': one is killed
def a_rank_that_hangs(site):
    job = at_work(site, ranks=3, watchdog={"heartbeat_seconds": 0.5, "stall_seconds": 2})
    job.signal_rank(2, signal.SIGSTOP)
    result = job.wait()
    job.reap()  # launchers end the shell around the stopped one
    return result


@ends(77, "stopped")
def stopped_on_request(site):
    job = at_work(site, ranks=3)
    command("stop", site.store.path)
    return job.wait()


@ends(137, attempts=1, loose=(0,))
def a_rank_that_is_killed(site):
    job = at_work(site)
    os.kill(job.pids(1)[0], signal.SIGKILL)
    return job.wait()


# ---- the test of a table -------------------------------------------------------------------------
AT_ONCE = 3  # most of the time is spent waiting


class TableTest(JobTest):
    launcher, variables = None, {}  # as of a site

    def expect_paths(self, paths, code_of):
        """Each path ends as the table says; `code_of`: the launcher's own code of a path."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            tried = {name: pool.submit(self.expect_path, name, path, code_of(path))
                     for name, path in paths.items()}
        for name, done in tried.items():
            with self.subTest(name):
                done.result()

    def expect_path(self, name, path, code):
        site = self.site(name)
        site.launcher, site.variables = self.launcher, self.variables
        result = path.act(site)
        self.assertEqual(result.code, code, result)
        self.expect_said(result, *path.says)
        self.assertEqual(site.store.attempts(), list(range(1, path.attempts + 1)), result)
        record = site.store.record(path.of, "outcome") if path.of else None
        if path.outcome:
            self.assertIsNotNone(record, result)
            self.assertEqual((record["outcome"], record["exit_code"]), (path.outcome, path.code))
        for rank in sorted(result.codes.keys() - set(path.loose)):
            self.assertEqual(result.codes[rank], path.code, f"rank {rank}: {result}")
            if path.outcome:
                self.assertIn(record, result.outcomes[rank], f"rank {rank} ended before: {result}")
