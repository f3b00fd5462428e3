"""Training with PyTorch's data parallelism on CPUs, the other side of compare.sh's ddp; each rank
is started by torchrun, one thread each, gloo, fp32. One JSON line a mode.

Models and samples are train_bench's: --export FILE makes them (parameters by their names and the
samples, in safetensors), and both sides begin with that file. Modes:
    single, single_fused  the whole batch in one process; fused: AdamW's fused step
    nosync    each rank its part of the batch, no communication: the most that ranks can reach here
              unless they share the optimizer's work
    ddp_best  DistributedDataParallel: gradient_as_bucket_view, static_graph, fused AdamW
    zero      DistributedDataParallel and ZeroRedundancyOptimizer
    fsdp2     fully_shard for each block
An iteration: forward, backward, step, zero_grad; its time is the slowest rank's. `losses` are those
of the first iterations, the mean over the batch before each step.
"""

import argparse
import json
import statistics
import time
import warnings

import torch
import torch.distributed as dist
from safetensors.torch import load_file, save_file
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.optim import ZeroRedundancyOptimizer
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel
from torch_rank import run_rank

SAMPLES = {"cnn": 128, "gpt": 16}  # of the global batch; more ranks than divide it are an error
CONTEXT = 128
LEARNING_RATE = 1e-4


class Cnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, padding=1)
        self.conv2 = nn.Conv2d(32, 64, 3, padding=1)
        self.fc1, self.fc2 = nn.Linear(64 * 14 * 14, 128), nn.Linear(128, 10)

    def forward(self, x):
        x = functional.relu(self.conv2(functional.relu(self.conv1(x))))
        return self.fc2(functional.relu(self.fc1(functional.max_pool2d(x, 2).flatten(1))))


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        batch, length, width = x.shape
        q, k, v = (part.view(batch, length, self.heads, -1).transpose(1, 2)
                   for part in self.qkv(self.norm1(x)).chunk(3, dim=-1))
        seen = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(seen.transpose(1, 2).reshape(batch, length, width))
        return x + self.down(functional.gelu(self.up(self.norm2(x))))


class Gpt(nn.Module):
    """As the task language_model with its default sizes."""

    def __init__(self, layers=4, width=256, heads=4):
        super().__init__()
        self.token, self.position = nn.Embedding(256, width), nn.Embedding(CONTEXT, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 256, bias=False)

    def forward(self, x):
        x = self.token(x) + self.position(torch.arange(x.shape[1]))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)).flatten(0, 1)


def export(model, path):
    torch.manual_seed(1)
    made = Cnn() if model == "cnn" else Gpt()
    # The CNN's samples are images and labels. The GPT's are stretches of a text, one byte apart
    # from what they are to foresee; no NUL, of which a text has none.
    if model == "cnn":
        data = {"images": torch.rand(SAMPLES[model], 1, 28, 28),
                "labels": torch.randint(10, (SAMPLES[model],))}
    else:
        data = {"text": torch.randint(1, 256, (CONTEXT * (SAMPLES[model] + 1) + 1,),
                                      dtype=torch.uint8)}
    save_file(data | made.state_dict(), path)


def read(model, path):
    """The model, and the whole batch: what it reads, what it is to say."""
    tensors = load_file(path)
    made = Cnn() if model == "cnn" else Gpt()
    if model == "cnn":
        inputs, targets = tensors.pop("images"), tensors.pop("labels")
    else:
        text = tensors.pop("text").long()
        starts = [CONTEXT * i for i in range(SAMPLES[model])]
        inputs = torch.stack([text[at:at + CONTEXT] for at in starts])
        targets = torch.stack([text[at + 1:at + 1 + CONTEXT] for at in starts])
    made.load_state_dict(tensors)
    return made, inputs, targets


def prepare(mode, model):
    """What is called for a forward, and the optimizer."""
    how = {"lr": LEARNING_RATE}
    if mode in ("single", "nosync"):
        return model, torch.optim.AdamW(model.parameters(), **how)
    if mode == "single_fused":
        return model, torch.optim.AdamW(model.parameters(), fused=True, **how)
    if mode == "ddp_best":
        ddp = DistributedDataParallel(model, gradient_as_bucket_view=True, static_graph=True)
        return ddp, torch.optim.AdamW(ddp.parameters(), fused=True, **how)
    if mode == "zero":
        ddp = DistributedDataParallel(model, gradient_as_bucket_view=True)
        return ddp, ZeroRedundancyOptimizer(ddp.parameters(), optimizer_class=torch.optim.AdamW,
                                            parameters_as_bucket_view=True, **how)
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    for block in getattr(model, "blocks", []):
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)
    return model, torch.optim.AdamW(model.parameters(), **how)


def run(mode, options):
    rank, ranks = dist.get_rank(), dist.get_world_size()
    made, inputs, targets = read(options.model, options.inputs)
    if len(inputs) % ranks:
        raise SystemExit(f"{len(inputs)} samples do not divide over {ranks} ranks")
    part = slice(rank * len(inputs) // ranks, (rank + 1) * len(inputs) // ranks)
    inputs, targets = inputs[part].clone(), targets[part].flatten().clone()
    model, optimizer = prepare(mode, made)
    seconds, losses = [], []
    for iteration in range(options.warmup + options.iterations):
        if iteration == options.warmup:
            dist.barrier()
        begin = time.perf_counter()
        loss = functional.cross_entropy(model(inputs), targets)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        seconds.append(time.perf_counter() - begin)
        losses.append(loss.item())
    times = torch.tensor(seconds[options.warmup:], dtype=torch.float64)
    means = torch.tensor(losses, dtype=torch.float64)
    dist.all_reduce(times, op=dist.ReduceOp.MAX)
    dist.all_reduce(means)
    if rank == 0:
        print(json.dumps({"bench": "training", "side": mode, "model": options.model, "world": ranks,
                          "seconds": round(statistics.median(times.tolist()), 6),
                          "min": round(min(times.tolist()), 6),
                          "max": round(max(times.tolist()), 6),
                          "losses": [round(x, 7) for x in (means / ranks).tolist()]}), flush=True)


def run_modes(options):
    for mode in options.modes.split(","):
        run(mode, options)
        dist.barrier()


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=tuple(SAMPLES), required=True)
    parser.add_argument("--export", metavar="FILE", help="make the model and samples, and end")
    parser.add_argument("--inputs", metavar="FILE", help="the model and samples")
    parser.add_argument("--modes", default="ddp_best,zero,fsdp2,nosync")
    parser.add_argument("--iterations", type=int, default=30)
    parser.add_argument("--warmup", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.export:
        export(options.model, options.export)
        return
    warnings.filterwarnings("ignore")
    run_rank(lambda: run_modes(options))


if __name__ == "__main__":
    main()
