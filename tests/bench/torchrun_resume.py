"""The training loop that a PyTorch user writes to survive restarts, started by torchrun; the other
side of resume_bench.py. It takes the quick way wherever PyTorch has one: parameters are not
initialised where they are loaded, the optimizer is fused, nothing is sent around that is equal.
"""

import argparse
import json
from pathlib import Path

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict
from torch.distributed.checkpoint.stateful import Stateful
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel
from torch_rank import run_rank


class Model(torch.nn.Module):
    """One pass over the parameters forward, one over their gradients backward."""

    def __init__(self, layers, rows, columns):
        super().__init__()
        self.layers = torch.nn.ModuleList(torch.nn.Linear(columns, rows, bias=False)
                                          for _ in range(layers))

    def forward(self, x):
        return sum(layer(x).square().mean() for layer in self.layers)


class State(Stateful):
    def __init__(self, model, optimizer):
        self.model, self.optimizer, self.iteration = model, optimizer, 0

    def state_dict(self):
        model, optimizer = get_state_dict(self.model, self.optimizer)
        return {"model": model, "optimizer": optimizer, "iteration": self.iteration}

    def load_state_dict(self, loaded):
        set_state_dict(self.model, self.optimizer, model_state_dict=loaded["model"],
                       optim_state_dict=loaded["optimizer"])
        self.iteration = loaded["iteration"]


def newest(folder):
    """.metadata is what dcp.save writes last."""
    complete = [path.parent for path in folder.glob("iteration-*/.metadata")]
    return max(complete, key=lambda path: int(path.name.partition("-")[2]), default=None)


def say(**fields):
    if dist.get_rank() == 0:
        print(json.dumps(fields), flush=True)


def made(options, checkpoint):
    with torch.device("meta"):
        model = Model(options.layers, options.rows, options.columns)
    if options.parallel == "fsdp2":
        mesh = init_device_mesh("cpu", (dist.get_world_size(),))
        for layer in model.layers:
            fully_shard(layer, mesh=mesh)
        fully_shard(model, mesh=mesh)
    model.to_empty(device="cpu")
    if not checkpoint:
        torch.manual_seed(1)
        for layer in model.layers:
            layer.reset_parameters()
    if options.parallel == "ddp":
        model = DistributedDataParallel(model, gradient_as_bucket_view=True, init_sync=False)
    return State(model, torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True))


def train(options):
    checkpoint = newest(options.folder)
    state = made(options, checkpoint)
    if checkpoint:
        dcp.load({"state": state}, checkpoint_id=checkpoint)
    say(loaded=state.iteration)
    while state.iteration < options.iterations:
        state.model(torch.ones(1, options.columns)).backward()
        state.optimizer.step()
        state.optimizer.zero_grad()
        state.iteration += 1
        say(iteration=state.iteration)
    dcp.save({"state": state}, checkpoint_id=options.folder / f"iteration-{state.iteration}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--parallel", choices=("fsdp2", "ddp"), required=True)
    parser.add_argument("--folder", type=Path, required=True)
    for name in ("layers", "rows", "columns", "iterations"):
        parser.add_argument(f"--{name}", type=int, required=True)
    options = parser.parse_args()
    run_rank(lambda: train(options))


if __name__ == "__main__":
    main()
