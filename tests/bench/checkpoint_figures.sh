#!/usr/bin/env bash
# The figures of deploy/FIGURES.md that need no opponent, on a machine that does nothing else, as root: what
# checkpoint_bench prints of its rounds on 1, 2 and 4 ranks, and on 2 with many tensors, and reshard_bench.
#   tests/bench/checkpoint_figures.sh [OPTION VALUE]...     handed on: --gigabytes 2 --rounds 5 --dir .
set -euo pipefail
programs=${LOCKSTEP_BENCHES:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../../build/release/tests" && pwd)}
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_mpi_yield_when_idle=1
export OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_btl_vader_single_copy_mechanism=none

bench() { # RANKS PROGRAM [OPTION VALUE]...
  "${LOCKSTEP_MPIEXEC:-mpirun}" -n "$1" --oversubscribe "$programs/$2" "${@:3}" | grep -v '"op":'
}
for ranks in 1 2 4; do bench $ranks checkpoint_bench "$@"; done
bench 2 checkpoint_bench --tensors 4000 "$@"
bench 4 reshard_bench "$@"
