#!/usr/bin/env -S python3 -B
"""lockstep rehearse in an allocation of a real Slurm, by both launchers."""

import json

from lockstep_cluster import SMALL, ranks_in
from lockstep_slurm import SlurmTest, setUpModule  # pylint: disable=unused-import
from lockstep_test import main

LAUNCHERS = ("srun --mpi=pmix --kill-on-bad-exit", "mpirun")


class Rehearse(SlurmTest):
    def test_all_three_runs_end_alike_by_both_launchers(self):
        self.configure(restore="fresh", watchdog={"heartbeat_seconds": 5})
        for launch in LAUNCHERS:
            with self.subTest(launch=launch):
                said = self.cluster.command(
                    "salloc", *SMALL, "lockstep", "rehearse", "train.yaml", "--json", "--launch",
                    launch, cwd=self.place.folder)
                found = json.loads(said.stdout)
                self.assertTrue(found["equal"], said.stdout + said.stderr)
                self.assertEqual(found["ranks"], 2)
                self.assertEqual([run["exit_codes"][0] for run in found["runs"]][:2], [0, 75])
                self.assertNotIn("goes on without rank 0", said.stderr)
                self.assertEqual(ranks_in(self.place.folder), [])
                self.assertEqual([path.name for path in self.place.folder.iterdir()],
                                 ["train.yaml"])


if __name__ == "__main__":
    main()
