#!/usr/bin/env -S python3 -B
"""Training on a GPU: cut and resumed it is what it would have been, bit for bit, and a checkpoint of
a GPU loads on the CPU. Without a GPU what can't be had is refused; the rest is skipped, and says
so."""

import signal
import subprocess

from lockstep_jobs import BIN
from lockstep_test import JobTest, main

LAST = 1500  # iterations: seconds on a GPU, and time to cut them
CNN = {"task": {"name": "fashion_mnist"}, "data": {"global_batch": 64}, "device": "cuda",
       "collectives": "auto", "checkpoint": {"interval": 100}, "restore": "auto"}
TEXT = "/usr/share/common-licenses/GPL-3"
GPT = {**CNN, "task": {"name": "language_model", "layers": 2, "width": 64, "heads": 4, "context": 64},
       "data": {"path": TEXT, "global_batch": 16}}


def gpus():
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True)
    except FileNotFoundError:
        return 0
    return listed.stdout.count("GPU ") if listed.returncode == 0 else 0


class WithoutGpu(JobTest):
    def test_what_can_not_be_had_is_refused_on_all_ranks(self):
        if gpus():
            self.skipTest("there is a GPU")
        result = self.site().run(**CNN, run={"max_iterations": 2}, foreseen=False)  # by no plan
        self.expect_exit(result, 2, "device: cuda: there is no NVIDIA")
        self.assertIn("write device: auto or cpu", result.err)
        result = self.site("nccl").run(**{**CNN, "device": "auto", "collectives": "nccl"},
                                       run={"max_iterations": 2}, foreseen=False)
        self.expect_exit(result, 2, "training is on the CPU")

    def test_auto_takes_the_cpu_and_says_so(self):
        if gpus():
            self.skipTest("there is a GPU")
        result = self.site().run(**{**CNN, "device": "auto"}, run={"max_iterations": 2})
        self.expect_exit(result, 0, "on the CPU, collectives by MPI")


class Built(JobTest):
    def test_nccls_shared_object_fits_the_program(self):
        """It is loaded for its version: needs no GPU, but each symbol of the program's it uses."""
        built = BIN.parent / "libexec" / "liblockstep_nccl.so"
        if not built.exists():
            self.skipTest("it was built without NCCL")
        said = subprocess.run([BIN / "lockstepd", "--version"], capture_output=True, text=True)
        self.assertRegex(said.stdout, r"LibTorch [\d.]+, NCCL 2\.\d+")


class OnGpu(JobTest):
    def setUp(self):
        super().setUp()
        if not gpus():
            self.skipTest("there is no GPU (nvidia-smi -L)")

    def expect_resumed_as_straight(self, sections, ranks, name=""):
        last = LAST
        straight, cut = self.site(f"straight_{name}"), self.site(f"cut_{name}")
        result = straight.run(ranks=ranks, **sections, run={"max_iterations": last})
        self.expect_exit(result, 0, "on cuda:0")
        job = cut.start(ranks=ranks, **sections, run={"max_iterations": last})
        job.until(lambda: cut.store.iteration() >= 12, "iteration 12")
        job.signal_rank(0, signal.SIGUSR1)
        self.expect_exit(job.wait(), 75)
        self.expect_exit(cut.run(ranks=ranks, **sections, run={"max_iterations": last}), 0)
        self.expect_same_tensors(straight.store.tensors(1, last), cut.store.tensors(2, last))
        return cut

    def test_one_rank_cut_and_resumed_equals_never_cut(self):
        for name, sections in (("cnn", CNN), ("gpt", GPT), ("bf16", {**GPT, "precision": "bf16"})):
            self.expect_resumed_as_straight(sections, 1, name)

    def test_two_ranks_cut_and_resumed_equal_never_cut(self):
        self.expect_resumed_as_straight(GPT, 2)

    def test_the_cpu_carries_on_from_a_gpus_checkpoint(self):
        site = self.expect_resumed_as_straight(CNN, 1)
        result = site.run(ranks=2, **{**CNN, "device": "cpu"}, run={"max_iterations": LAST + 5})
        self.expect_exit(result, 0, f"restore 2@{LAST}")

    def test_ranks_that_share_a_gpu_can_not_have_nccl(self):
        result = self.site().run(ranks=gpus() + 1, **{**CNN, "collectives": "nccl"},
                                 run={"max_iterations": 2}, foreseen=False)
        self.expect_exit(result, 2, "share a GPU")


if __name__ == "__main__":
    main()
