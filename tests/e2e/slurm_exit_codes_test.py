#!/usr/bin/env -S python3 -B
"""The table of exit codes once more, by srun on a real Slurm: each rank's code, and srun's own."""

from lockstep_cluster import Cluster
from lockstep_endings import PATHS, TableTest
from lockstep_test import main

# By the launcher's doing, or its signals', or its environment. The others end before a launcher
# could matter.
BY_SRUN = ("finished", "nothing_left_to_train", "evaluated", "checked", "a_bad_configuration",
           "a_checkpoint_that_does_not_fit", "a_loss_that_is_not_finite", "superseded",
           "saves_that_keep_failing", "preempted_by_SIGUSR1_to_rank_0",
           "preempted_by_SIGTERM_to_rank_2", "a_deadline_that_comes", "a_rank_that_hangs",
           "stopped_on_request", "a_rank_that_is_killed")


class BySrun(TableTest):
    @classmethod
    def setUpClass(cls):
        cluster = Cluster()
        cls.addClassCleanup(cluster.down)
        cls.launcher, cls.variables = cluster.launcher, cluster.variables

    def test_each_path_has_its_code_on_every_rank_and_its_outcome_is_there_before(self):
        self.expect_paths({name: PATHS[name] for name in BY_SRUN}, lambda path: path.srun)


if __name__ == "__main__":
    main()
