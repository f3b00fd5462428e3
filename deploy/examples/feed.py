#!/usr/bin/env python3
"""feed.py STORE [ATTEMPT]: the training curve of a store as JSON lines, newest attempt by default:
its lines of metrics.jsonl, and before them those of what it carries on, up to where it began. What
was abandoned is left out. To hand it on:

    import mlflow                                    # MLflow
    from feed import curve, figures
    with mlflow.start_run(run_name="night"):
        for line in curve("checkpoints"):
            mlflow.log_metrics(figures(line), step=line["iteration"])

    import wandb                                     # Weights & Biases
    from feed import curve, figures
    run = wandb.init(project="lockstep", name="night")
    for line in curve("checkpoints"):
        run.log({**figures(line), "iteration": line["iteration"]})
    run.finish()
"""

import json
import math
import sys
from pathlib import Path

NO_FIGURES = ("event", "time", "run", "attempt", "branch", "iteration", "metrics")


def lines_of(store, attempt):
    """What an attempt wrote; a line that is being written, or was cut off, is left out."""
    path = Path(store) / "attempts" / f"{attempt:04d}" / "metrics.jsonl"
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            yield json.loads(line)
        except ValueError:
            pass


def curve(store, attempt=None, upto=math.inf):
    """Intervals and evaluations of an attempt's lineage, in their order."""
    attempt = attempt or max(int(path.parent.name)
                             for path in Path(store).glob("attempts/*/metrics.jsonl"))
    for line in lines_of(store, attempt):
        if line["event"] == "start":
            if line["parent"] and "parent_store" not in line:
                yield from curve(store, *map(int, line["parent"].split("@")))
        elif line["iteration"] <= upto:
            yield line


def figures(line):
    """{name: number} of a line."""
    found = {name: value for name, value in line.items()
             if name not in NO_FIGURES and value is not None}
    if line["event"] == "evaluation":
        found = {f"evaluation_{name}": value for name, value in line["metrics"].items()}
    return found


if __name__ == "__main__":
    for each in curve(sys.argv[1], *map(int, sys.argv[2:])):
        print(json.dumps(each))
