#!/usr/bin/env -S python3 -B
"""The comparisons of compare_training.sh, from the JSON lines of its turns: one JSON line each, and
a table on standard error."""

import json
import statistics
import sys
from pathlib import Path

from bench_tools import emit, say, summary

PEERS = ("ddp_best", "zero", "fsdp2", "single_fused", "single")
COMPARED_LOSSES = 20
GOALS = {"best peer": 1.02, "nosync": 0.98}


def against(name, ours, theirs):
    """The fields of one comparison."""
    ratios = [b / a for a, b in zip(ours, theirs)]
    ratio = statistics.median(theirs) / statistics.median(ours)
    goal = GOALS.get("nosync" if name == "nosync" else "best peer")
    return {"against": name, "lockstep": summary(ours), "theirs": summary(theirs),
            "ratio": round(ratio, 3), "min": round(min(ratios), 3), "max": round(max(ratios), 3),
            "goal": goal, "within": ratio >= goal}


def apart(ours, theirs):
    """The greatest relative distance of the losses."""
    pairs = list(zip(ours, theirs))[:COMPARED_LOSSES]
    return max(abs(a - b) / abs(b) for a, b in pairs)


def main():
    lines = [json.loads(line) for line in Path(sys.argv[1]).read_text().splitlines()]
    rows = [("model", "ranks", "ms: median (min-max)", "lockstep", "of it work", "exchange", "theirs",
             "ratio (of a round)", "losses apart")]
    for model, world in dict.fromkeys((x["model"], x["world"]) for x in lines):
        here = [x for x in lines if (x["model"], x["world"]) == (model, world)]
        sides = {}
        for line in here:
            sides.setdefault(line["side"], []).append(line)
        seconds = {side: [x["seconds"] for x in some] for side, some in sides.items()}
        peers = [side for side in PEERS if side in sides]
        best = min(peers, key=lambda side: statistics.median(seconds[side]))
        own = sides["lockstep"][0]
        work, exchange = (statistics.median(x[key] for x in sides["lockstep"])
                          for key in ("work_seconds", "exchange_seconds"))
        distance = apart(own["losses"], sides[best][0]["losses"])
        for side in (*peers, *(["nosync"] if "nosync" in sides else [])):
            fields = against(side, seconds["lockstep"], seconds[side])
            emit(bench="compare training", model=model, world=world, best_peer=side == best,
                 work_seconds=work, exchange_seconds=exchange, losses_apart=distance, **fields)
            times = ["{:.1f} ({:.1f}-{:.1f})".format(*(1000 * fields[who][key] for key in
                                                       ("median", "min", "max")))
                     for who in ("lockstep", "theirs")]
            rows.append((model, str(world), side + (" (best)" if side == best else ""), times[0],
                         f"{1000 * work:.1f}", f"{1000 * exchange:.1f}", times[1], "{ratio} ({min}-{max})".format(**fields),
                         f"{distance:.1e}"))
    widths = [max(map(len, column)) for column in zip(*rows)]
    for cells in rows:
        say("  ".join(cell.ljust(width) for cell, width in zip(cells, widths)).rstrip())


if __name__ == "__main__":
    main()
