#!/usr/bin/env bash
# gpu_check.sh [--without-install]: builds, with NCCL, and runs what needs a GPU: the tests of the label gpu, training
# that is cut and resumed, and training's times, saves in them. Prints a line for each bench, as JSON. Exit code 99
# where there is no GPU. One rank for each GPU uses NCCL; two ranks on one go through the host's memory by MPI.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if ! nvidia-smi -L 2>/dev/null | grep GPU >/dev/null; then
  echo 'gpu_check: nvidia-smi names no GPU here' >&2
  exit 99
fi
nvidia-smi -L >&2
[ "${1:-}" = --without-install ] || deploy/bootstrap.sh

export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none
export OMPI_MCA_btl_vader_single_copy_mechanism=none
build=build/release
cmake --preset release -DLOCKSTEP_WITH_NCCL=ON >/dev/null
cmake --build --preset release --target lockstepd lockstep gpu_test tick_bench

mpirun -n 1 "$build/tests/gpu_test" >&2
mpirun -n 2 "$build/tests/gpu_test" >&2
scratch=$build/tests/scratch/gpu
mkdir -p "$scratch"
(cd "$scratch" && LOCKSTEP_BIN_DIR=$OLDPWD/$build/bin python3 -B "$OLDPWD/tests/e2e/gpu_test.py" >&2)

# Seconds an iteration, by lockstepd's own records: all of it, with metrics, tick and watchdog.
time_training() { # RANKS DEVICE COLLECTIVES
  local store
  store=$(mktemp -d "$scratch/timed-XXXXXX")
  cat >"$store/train.yaml" <<YAML
run: {max_iterations: 200}
store: ./store
task: {name: language_model, layers: 8, width: 512, heads: 8, context: 256}
data: {path: /usr/share/common-licenses, global_batch: 32}
precision: bf16
device: $2
collectives: $3
metrics: {interval: 50}
checkpoint: {interval: 100}
restore: auto
YAML
  mpirun -n "$1" "$build/bin/lockstepd" "$store/train.yaml" >&2
  "$build/bin/lockstep" show "$store/store" latest --json >"$store/latest.json"
  python3 - "$store/store/attempts/0001/metrics.jsonl" "$store/latest.json" "$1" <<'PYTHON'
import json
import statistics
import sys

path, manifest, ranks = sys.argv[1:]
environment = json.load(open(manifest))["environment"]
lines = [json.loads(line) for line in open(path)]
intervals = [line for line in lines if line["event"] == "interval"][1:]  # behind the first
print(json.dumps({"bench": "gpu_training", "ranks": int(ranks), "gpu": environment.get("gpu"),
                  "collectives": environment["collectives"],
                  "samples_per_second": statistics.median(i["samples_per_second"] for i in intervals),
                  **{key: round(sum(i[key] for i in intervals) / sum(i["seconds"] for i in intervals), 4)
                     for key in ("compute_seconds", "communication_seconds", "optimizer_seconds",
                                 "save_seconds", "data_seconds", "other_seconds")}}))
PYTHON
  rm -rf "$store"
}
time_training 1 cuda nccl
time_training 1 cuda mpi
time_training 2 cuda auto
mpirun -n 2 "$build/tests/tick_bench"
