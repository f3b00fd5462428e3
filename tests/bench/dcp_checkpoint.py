"""Saving and loading with torch.distributed.checkpoint (DCP), the other side of compare.sh; each
rank is started by torchrun. One JSON line a measurement, as checkpoint_bench prints them, with the
configuration of DCP that it is of.

State as checkpoint_bench's: parameters and Adam's two moments, fp32, random; all of it sharded over
the ranks, as FSDP has it (DTensor, Shard(0)). The clock runs between two barriers, and the time is
the slowest rank's. Memory has been touched, old files are removed and written back before.
    save    durable: each file is fsynced (sync_files=True). No checksum, no fsync of a folder
    async   `stall_s` until a trainer may change its parameters, `total_s` until it is durable; the
            ranks are idle meanwhile
    load    cold: the page cache is dropped before (as root), else our files' pages; what was
            loaded is checked by the row's and the tensor's number in it
`first`: the very first of its kind in this process. Each other configuration has one of its own
before, which is not printed.
"""

import argparse
import json
import os
import shutil
import time
from pathlib import Path

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint.staging import DefaultStager, StagingOptions
from torch.distributed.checkpoint.state_dict_saver import AsyncCheckpointerType
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Shard
from torch_rank import run_rank

COLUMNS = 64  # as checkpoint_bench has
SAVE = {"default": {}, "threads 2": {"thread_count": 2}, "threads 4": {"thread_count": 4},
        "plan caching": {"plan_caching": True},
        "threads 2, plan caching": {"thread_count": 2, "plan_caching": True}}
# Type of the checkpointer; pinned, shared, asynchronous staging.
ASYNC = {"default": ("THREAD", None), "thread, staged": ("THREAD", (False, False, False)),
         "thread, staged asynchronously": ("THREAD", (False, False, True)),
         "process, shared": ("PROCESS", (False, True, False)),
         "process, shared, staged asynchronously": ("PROCESS", (False, True, True))}
LOAD = ("default", "safetensors")


class Bench:
    def __init__(self, options):
        self.options, self.folder = options, options.dir / "dcp"
        self.rank, self.world = dist.get_rank(), dist.get_world_size()
        mesh = init_device_mesh("cpu", (self.world,))
        torch.manual_seed(self.rank)
        rows = options.rows // self.world
        self.rows = torch.arange(rows, dtype=torch.float32) + self.rank * rows
        self.parts, self.state, self.begun = [], {}, set()
        for i in range(options.tensors):
            for name in (f"model.w{i}", f"optimizer.w{i}.exp_avg", f"optimizer.w{i}.exp_avg_sq"):
                part = torch.rand(rows, COLUMNS)
                part[:, 0], part[:, 1] = self.rows, len(self.parts)
                self.parts.append(part)
                self.state[name] = DTensor.from_local(part, mesh, [Shard(0)], run_check=False)

    def emit(self, op, config, first, total, **more):
        warms_up = first and op in self.begun
        self.begun.add(op)
        if self.rank == 0 and not warms_up:
            print(json.dumps({"bench": "dcp", "op": op, "config": config, "world": self.world,
                              "bytes": len(self.parts) * self.options.rows * COLUMNS * 4,
                              "tensors": len(self.parts), "first": first,
                              "total_s": round(total, 4), **more}), flush=True)

    def slowest(self, seconds):
        value = torch.tensor([seconds], dtype=torch.float64)
        dist.all_reduce(value, op=dist.ReduceOp.MAX)
        return value.item()

    def alone(self, work):
        """On rank 0, while the others wait."""
        dist.barrier()
        if self.rank == 0:
            work()
        dist.barrier()

    def clean(self, name="save"):
        def work():
            shutil.rmtree(self.folder / name, ignore_errors=True)
            os.sync()

        self.alone(work)
        return self.folder / name

    def forget_pages(self, folder):
        def work():
            os.sync()
            try:
                Path("/proc/sys/vm/drop_caches").write_text("3")
            except OSError:
                for path in folder.iterdir():
                    with open(path, "rb") as file:
                        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

        self.alone(work)

    def save(self, first, config, planners):
        how = dict(SAVE[config])
        planner = None
        if how.pop("plan_caching", False):  # kept: it caches from one save to the next
            planner = planners.setdefault(config, dcp.DefaultSavePlanner(enable_plan_caching=True))
        folder = self.clean()
        begin = time.perf_counter()
        dcp.save(self.state, planner=planner,
                 storage_writer=dcp.FileSystemWriter(folder, sync_files=True, **how))
        dist.barrier()
        self.emit("save", config, first, self.slowest(time.perf_counter() - begin))

    def async_saves(self, config):
        kind, staging = ASYNC[config]
        how = {"async_checkpointer_type": AsyncCheckpointerType[kind]}
        if staging:
            how["async_stager"] = DefaultStager(StagingOptions(*staging, False))
        for first in (True, False):
            folder = self.clean()
            begin = time.perf_counter()
            answer = dcp.async_save(self.state, checkpoint_id=folder, **how)
            if hasattr(answer, "staging_completion"):
                answer.staging_completion.result()
                answer = answer.upload_completion
            staged = time.perf_counter() - begin
            answer.result()
            total = self.slowest(time.perf_counter() - begin)
            self.emit("async", config, first, total, stall_s=round(self.slowest(staged), 4))
        if staging:
            how["async_stager"].close()

    def load(self, first, config):
        folder = self.folder / config
        for part in self.parts:
            part.zero_()
        self.forget_pages(folder)
        begin = time.perf_counter()
        if config == "safetensors":
            dcp.load(self.state, storage_reader=dcp.HuggingFaceStorageReader(folder))
        else:
            dcp.load(self.state, checkpoint_id=folder)
        dist.barrier()
        total = self.slowest(time.perf_counter() - begin)
        for number, part in enumerate(self.parts):
            if not (part[:, 0] == self.rows).all() or not (part[:, 1] == number).all():
                raise SystemExit(f"rank {self.rank}: {config} loaded something else")
        self.emit("load", config, first, total)

    def keep(self, config):
        folder = self.clean(config)
        if config == "safetensors":
            dcp.save(self.state, storage_writer=dcp.HuggingFaceStorageWriter(
                folder, save_distributed=True))
        else:
            dcp.save(self.state, checkpoint_id=folder)

    def wanted(self, op, configs):
        only = [config for one, config in self.options.only if one == op]
        return only or configs

    def run(self):
        planners = {}
        for first in (True, False):
            for config in self.wanted("save", SAVE):
                self.save(first, config, planners)
        for config in self.wanted("async", ASYNC) if self.options.asynchronous else ():
            self.async_saves(config)
        self.clean()
        for config in self.wanted("load", LOAD):
            self.keep(config)
            for first in (True, False):
                self.load(first, config)
            self.clean(config)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tensors", type=int, required=True, help="of the model")
    parser.add_argument("--rows", type=int, required=True, help="of a tensor; divisible by ranks")
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--asynchronous", action="store_true", help="asynchronous saves too")
    parser.add_argument("--only", nargs=2, action="append", default=[], metavar=("OP", "CONFIG"),
                        help="of save, async and load the named configurations; else all")
    options = parser.parse_args()
    torch.set_num_threads(1)
    run_rank(lambda: Bench(options).run())


if __name__ == "__main__":
    main()
