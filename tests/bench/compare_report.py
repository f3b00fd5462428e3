#!/usr/bin/env -S python3 -B
"""The comparisons of compare.sh, from the JSON lines of its turns: one JSON line each, and a table
on standard error. Or with --best WORLD TENSORS: DCP's best configurations there so far, as options
of dcp_checkpoint.py, one word a line."""

import json
import statistics
import sys
from pathlib import Path

from bench_tools import emit, say, summary

# What is compared: its name; lockstep's op; DCP's op and which of its times; first in a launch?
KINDS = (("durable save", "save", "save", "total_s", False),
         ("first durable save", "save", "save", "total_s", True),
         ("cold load", "load", "load", "total_s", False),
         ("first cold load", "load", "load", "total_s", True),
         ("asynchronous save, until durable", "beside", "async", "total_s", False),
         ("asynchronous save, training held", "held", "async", "stall_s", False))
LIMITS = {"save": "raw_write", "beside": "raw_write", "load": "raw_read", "held": "memcpy"}


def series(lines, bench, op, first, field="total_s"):
    """{configuration: seconds in the order of the rounds}; lockstep has one, ""."""
    found = {}
    for line in lines:
        if (line["bench"], line["op"], line["first"]) == (bench, op, first):
            found.setdefault(line.get("config", ""), []).append(line[field])
    return found


def best_of(theirs):
    """Of the configurations that were in the most rounds the quickest."""
    return min(theirs, key=lambda config: (-len(theirs[config]), statistics.median(theirs[config])))


def best_options(lines):
    """Those of dcp_checkpoint.py that name what was best at something, later rounds put aside."""
    pairs = {}
    for _, _, op, field, first in KINDS:
        theirs = series(lines, "dcp", op, first, field)
        if theirs and not first:
            pairs[op, best_of({config: times[:1] for config, times in theirs.items()})] = None
    return [word for pair in pairs for word in ("--only", *pair)]


def compare(lines, kind):
    """A comparison's fields; None where DCP has no such line."""
    name, own_op, op, field, first = kind
    theirs = series(lines, "dcp", op, first, field)
    ours = series(lines, "checkpoint", own_op, first).get("", [])
    limit = series(lines, "checkpoint", LIMITS.get(own_op), first).get("", [])
    if not theirs:
        return None
    best = best_of(theirs)
    ratios = [b / a for a, b in zip(ours, theirs[best])]
    seconds = {f"dcp, {config}": summary(values) for config, values in theirs.items()}
    fields = {"what": name, "rounds": len(theirs[best]), "against": best,
              "seconds": {**({"lockstep": summary(ours)} if ours else {}),
                          **({"bare": summary(limit)} if limit else {}), **seconds}}
    if ratios:
        ratio = statistics.median(theirs[best]) / statistics.median(ours)
        fields |= {"ratio": round(ratio, 2), "min": round(min(ratios), 2),
                   "max": round(max(ratios), 2)}
    return fields


def row(where, fields):
    def times(side):
        found = fields["seconds"].get(side)
        return "{median:.3f} ({min:.3f}-{max:.3f})".format(**found) if found else "-"

    ratio = "{ratio} ({min}-{max})".format(**fields) if "ratio" in fields else "-"
    return (*map(str, where), fields["what"], times("lockstep"), times("bare"),
            times(f"dcp, {fields['against']}"), fields["against"], ratio)


def main():
    *best, path = sys.argv[1:]
    lines = [json.loads(line) for line in Path(path).read_text().splitlines()]
    if best:
        place = tuple(map(int, best[1:]))
        for word in best_options([x for x in lines if (x["world"], x["tensors"]) == place]):
            print(word)
        return
    rows = [("ranks", "tensors", "GB", "seconds: median (min-max)", "lockstep", "bare",
             "DCP's best", "which is", "ratio (of a round)")]
    places = dict.fromkeys((x["world"], x["tensors"]) for x in lines)
    for world, tensors in places:
        here = [x for x in lines if (x["world"], x["tensors"]) == (world, tensors)]
        if len({x["bytes"] for x in here}) != 1:
            sys.exit(f"world {world}, {tensors} tensors: the sides have not the same bytes")
        for fields in filter(None, (compare(here, kind) for kind in KINDS)):
            emit(bench="compare", world=world, tensors=tensors, bytes=here[0]["bytes"], **fields)
            rows.append(row((world, tensors, f"{here[0]['bytes'] / 1e9:.2f}"), fields))
    widths = [max(map(len, column)) for column in zip(*rows)]
    for cells in rows:
        say("  ".join(cell.ljust(width) for cell, width in zip(cells, widths)).rstrip())


if __name__ == "__main__":
    main()
