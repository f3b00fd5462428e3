"""What the benches share: the helpers of the end-to-end tests, and how figures are printed, one
JSON line each on standard output."""

import json
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))


def emit(**fields):
    print(json.dumps(fields), flush=True)


def say(text):
    print(text, file=sys.stderr, flush=True)


def summary(values):
    return {"median": round(statistics.median(values), 4), "min": round(min(values), 4),
            "max": round(max(values), 4)}
