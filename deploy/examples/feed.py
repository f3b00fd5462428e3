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

import argparse
import json
import math
import sys
from pathlib import Path

NO_FIGURES = ("event", "time", "run", "attempt", "branch", "iteration", "metrics")


def attempts(store):
    """Those that have a metrics.jsonl."""
    return {int(path.parent.name) for path in Path(store).glob("attempts/*/metrics.jsonl")}


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
    attempt = attempt or max(attempts(store))
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


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[2].split("\n\n")[0])
    parser.add_argument("store", metavar="STORE")
    parser.add_argument("attempt", metavar="ATTEMPT", type=int, nargs="?")
    given = parser.parse_args()
    known = attempts(given.store)
    if not known:
        parser.error(f"{given.store} holds no attempts/*/metrics.jsonl: is it a store?")
    if given.attempt is not None and given.attempt not in known:
        parser.error(f"attempt {given.attempt} has no metrics.jsonl; the newest that has is "
                     f"{max(known)}")
    for line in curve(given.store, given.attempt):
        print(json.dumps(line))


if __name__ == "__main__":
    main()
