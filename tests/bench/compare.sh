#!/usr/bin/env bash
# Durable saves and cold loads of a checkpoint beside PyTorch's torch.distributed.checkpoint (DCP): the same bytes in as
# many tensors on the same disk, incompressible, by as many ranks, in turns. On a machine that does nothing else, as
# root (the page cache is dropped).
#
#   tests/bench/compare.sh [OPTION VALUE]...         compare.sh ddp: training, see compare_training.sh
#     --gigabytes 2      10^9 bytes of parameters and Adam's two moments, all ranks together
#     --rounds 5         of both sides; who begins changes with each
#     --worlds '1 2 4'   numbers of ranks
#     --tensors 144      of the model: three times as many in the checkpoint
#     --many 4000        the same for many tensors, 12,000 in all; 0: leaves that out
#     --many-worlds 2    on these numbers of ranks
#     --async yes        asynchronous saves too; or no
#     --dir .            on the disk to measure
#
# A round is one launch of checkpoint_bench and one of dcp_checkpoint.py; the heads of both say what their clocks mean.
# The first round has all of DCP's configurations, the later ones only those that were its best there at something.
# The first save and the first load of a launch are told apart. What they print goes to standard output as it comes, and
# behind it one JSON line for each comparison: seconds by side, the ratio of medians (above 1: lockstep is quicker)
# to DCP's best configuration, and the least and greatest ratio of a round. Last a table on standard error.
#
# The sides differ where the programs do: lockstep checksums and commits what it saves and verifies what it loads, and
# each of its ranks loads all parameters; of DCP, as with FSDP, each has its part.
#
# The Python with the packages of opponents.txt is $OPPONENTS_PYTHON, else that of $OPPONENTS_VENV, else of the folder
# lockstep-opponents of the user's cache. checkpoint_bench is $CHECKPOINT_BENCH, else that of build/release; mpirun is
# $LOCKSTEP_MPIEXEC, else that on the PATH.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [ "${1:-}" = ddp ]; then exec "$here/compare_training.sh" "${@:2}"; fi
gigabytes=2 rounds=5 worlds='1 2 4' tensors=144 many=4000 many_worlds=2 async=yes dir=.
while [ $# -gt 0 ]; do
  case $1 in
  --gigabytes | --rounds | --worlds | --tensors | --many | --many-worlds | --async | --dir)
    name=${1#--}
    printf -v "${name//-/_}" %s "${2:?$1 needs a value}"
    shift 2
    ;;
  *)
    sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2
    exit 2
    ;;
  esac
done
bench=${CHECKPOINT_BENCH:-$here/../../build/release/tests/checkpoint_bench}
[ -x "$bench" ] || { echo "compare.sh: $bench is not there: build first" >&2; exit 2; }
# shellcheck source=tests/bench/opponents.sh
. "$here/opponents.sh"
scratch=$(mktemp -d "$(realpath "$dir")/compare-XXXXXX")
trap 'rm -rf "$scratch"' EXIT
: >"$scratch/lines"

# Both sides have tensors of ROWS x 64; 12 divides ROWS, so that 1, 2, 3, 4, 6 and 12 ranks have equal parts.
rows_of() {
  awk -v gigabytes="$gigabytes" -v tensors="$1" 'BEGIN {
    twelves = int(gigabytes * 1e9 / 12 / tensors / 64 / 12 + 0.5); print 12 * (twelves > 0 ? twelves : 1) }'
}
lockstep_turn() { # WORLD TENSORS ROWS
  local bytes=$(($2 * $3 * 64 * 12 + 6)) # within an element, for a number that is rounded down
  "${LOCKSTEP_MPIEXEC:-mpirun}" -n "$1" --oversubscribe "$bench" --tensors "$2" --rounds 1 --dir "$scratch" \
    --gigabytes "$(printf '%d.%09d' $((bytes / 1000000000)) $((bytes % 1000000000)))"
}
dcp_turn() {
  local asynchronous=() only
  mapfile -t only < <("$here/compare_report.py" --best "$1" "$((3 * $2))" "$scratch/lines")
  [ "$async" != yes ] || asynchronous=(--asynchronous)
  "$python" -B -W ignore -m torch.distributed.run --standalone --nproc-per-node="$1" "$here/dcp_checkpoint.py" \
    --tensors "$2" --rows "$3" --dir "$scratch" "${asynchronous[@]}" "${only[@]}"
}
turn() {
  "$@" 2>"$scratch/said" | grep -E '^\{"bench": "(checkpoint|dcp)"' | tee -a "$scratch/lines" || {
    cat "$scratch/said" >&2
    echo "compare.sh: $* failed" >&2
    exit 1
  }
}
rounds_of() { # WORLD TENSORS
  local round rows sides
  rows=$(rows_of "$2")
  for ((round = 1; round <= rounds; ++round)); do
    echo "world $1, $((3 * $2)) tensors: round $round of $rounds, load $(cut -d ' ' -f 1 /proc/loadavg)" >&2
    sides=(lockstep_turn dcp_turn)
    ((round % 2)) || sides=(dcp_turn lockstep_turn)
    turn "${sides[0]}" "$1" "$2" "$rows"
    turn "${sides[1]}" "$1" "$2" "$rows"
  done
}

for world in $worlds; do rounds_of "$world" "$tensors"; done
if [ "$many" != 0 ]; then
  for world in $many_worlds; do rounds_of "$world" "$many"; done
fi
"$here/compare_report.py" "$scratch/lines"
