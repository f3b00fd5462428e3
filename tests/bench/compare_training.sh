#!/usr/bin/env bash
# Training beside PyTorch's data parallelism on the same cores: the same models, weights, samples and ranks of one
# thread each, in turns. On a machine that does nothing else.
#
#   tests/bench/compare.sh ddp [OPTION VALUE]...
#     --rounds 5             of both sides; who begins changes with each
#     --worlds '1 2 4'       numbers of ranks; more than cores show a shape only
#     --models 'cnn gpt'
#     --iterations 30        of a round, behind 5 that warm up
#
# A round is one launch of training_bench and one of ddp_training.py; the head of the latter says what its modes are.
# What they print goes to standard output as it comes, and behind it one JSON line for each comparison: seconds of an
# iteration by side, the ratio of medians (above 1: lockstep is quicker), the least and greatest of a round, and how far
# the losses of the first 20 iterations are apart. Last a table on standard error.
#
# Programs are found as compare.sh finds them; training_bench is $TRAINING_BENCH, else that of build/release.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
rounds=5 worlds='1 2 4' models='cnn gpt' iterations=30
while [ $# -gt 0 ]; do
  case $1 in
  --rounds | --worlds | --models | --iterations)
    printf -v "${1#--}" %s "${2:?$1 needs a value}"
    shift 2
    ;;
  *)
    sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2
    exit 2
    ;;
  esac
done
bench=${TRAINING_BENCH:-$here/../../build/release/tests/training_bench}
# shellcheck source=tests/bench/opponents.sh
. "$here/opponents.sh"
[ -x "$bench" ] || { echo "compare.sh: $bench is not there: build first" >&2; exit 2; }
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

training() { # OPTION...: ddp_training.py in this process
  "$python" -B -W ignore "$here/ddp_training.py" "$@"
}
lockstep_turn() { # WORLD MODEL
  "${LOCKSTEP_MPIEXEC:-mpirun}" -n "$1" --oversubscribe "$bench" --model "$2" --inputs "$scratch/$2" \
    --iterations "$iterations"
}
ddp_turn() {
  local modes=ddp_best,zero,fsdp2,nosync
  [ "$1" != 1 ] || modes=single,single_fused
  "$python" -B -W ignore -m torch.distributed.run --standalone --nproc-per-node="$1" "$here/ddp_training.py" \
    --model "$2" --inputs "$scratch/$2" --modes "$modes" --iterations "$iterations"
}
for model in $models; do
  training --model "$model" --export "$scratch/$model"
  for world in $worlds; do
    for ((round = 1; round <= rounds; ++round)); do
      echo "$model, world $world: round $round of $rounds, load $(cut -d ' ' -f 1 /proc/loadavg)" >&2
      sides=(lockstep_turn ddp_turn)
      ((round % 2)) || sides=(ddp_turn lockstep_turn)
      for side in "${sides[@]}"; do
        "$side" "$world" "$model" 2>"$scratch/said" | grep '^{"bench": "training"' | tee -a "$scratch/lines" || {
          cat "$scratch/said" >&2
          echo "compare.sh: $side of $model on $world ranks failed" >&2
          exit 1
        }
      done
    done
  done
done
"$here/training_report.py" "$scratch/lines"
