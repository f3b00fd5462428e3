#!/usr/bin/env bash
# The main job, shown: trains on 2 ranks, is preempted, carries on, and goes back to an earlier checkpoint. Installs and
# builds what it needs. Ends with a non-zero code where a step does not do what it says.
#   deploy/demo.sh [FOLDER]     FOLDER: new or empty, for what the demo writes; default build/demo, made anew each time
set -euo pipefail

case ${1-} in
-*) sed -n '2,/^set/{/^set/!s/^# //p}' "$0" && exit 2 ;;
esac
work=${1:+$(realpath -m -- "$1")}
cd "$(dirname "${BASH_SOURCE[0]}")/.."
if [ -z "$work" ]; then
  work=build/demo
  rm -rf "$work"
elif [ -n "$(ls -A "$work" 2>/dev/null)" ]; then
  echo "demo: $work is not empty; name a new or an empty folder" >&2
  exit 2
fi

job='' reader='' # process ids of mpirun, while it runs, and of what shows its words
leave() {
  if [ -n "$job" ]; then
    kill "$job" 2>/dev/null || true
    wait "$job" || true
    kill "$reader" 2>/dev/null || true
  fi
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

die() { printf 'demo: %s\n' "$*" >&2 && exit 1; }
heading() { printf '\n== %s\n' "$1" && shift && { [ $# -eq 0 ] || printf '   %s\n' "$@"; }; }
show() { printf '\n$ %s\n' "$*"; }

expect() { # WANTED GOT
  printf '[exit code %d]\n' "$2"
  [ "$1" -eq "$2" ] || die "exit code $2 where $1 was expected"
}

# Starts a command in the background; what it says is shown as it comes, and kept in $log.
log=$work/log
start() {
  show "$*"
  : >"$log" # before the reader opens it: it would show the last command's words first
  "$@" >>"$log" 2>&1 &
  job=$!
  tail -n +1 -f --pid="$job" "$log" &
  reader=$!
}

finish() { # WANTED: waits for the command that was started
  local rc=0
  wait "$job" || rc=$?
  job=''
  wait "$reader"
  expect "$1" "$rc"
}

run() { # WANTED COMMAND...
  local wanted=$1 rc=0
  shift
  show "$*"
  "$@" || rc=$?
  expect "$wanted" "$rc"
}

shown_value() { build/release/bin/lockstep show "$store" "$1" | awk -v name="$2" '$1 == name {print $2}'; }
decided() { grep -q "decision: $1" "$log" || die "the decision was not: $1"; }

# The data of a shard, without its header, which names the attempt. The file's first 8 bytes are the header's length.
data_of() { tail -c +$(($(od -An -t u8 -N 8 "$1") + 9)) "$1"; }

heading 'Setting up and building the two programs'
deploy/bootstrap.sh
cmake --preset release -DLOCKSTEP_WERROR="${CI:+ON}" >/dev/null # as deploy/test.sh, so that both share one build
cmake --build --preset release --target lockstep lockstepd

store=$work/checkpoints
config=$work/train.yaml
mkdir -p "$work"
cp deploy/config/fashion_mnist.yaml "$config"

heading 'The configuration: a small network on the 60,000 images of Fashion-MNIST, three passes over them'
show cat "$config"
cat "$config"

heading 'For Open MPI: two ranks also where there is one core, each with one thread; and what a container may forbid'
environment=(
  OMP_NUM_THREADS=1 OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none
  OMPI_MCA_btl_vader_single_copy_mechanism=none
)
if [ "$(id -u)" -eq 0 ]; then environment+=(OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1); fi
show "export ${environment[*]}"
export "${environment[@]}"

train=(mpirun --quiet -n 2 build/release/bin/lockstepd "$config")

heading '1. Train on 2 ranks. Soon after iteration 600 the batch system wants the machine back and sends USR1' \
  'Nothing is in the store yet, so restore: auto starts fresh. At USR1 all ranks save the same iteration and end' \
  'with exit code 75: preempted, state saved, to be started again.'
start "${train[@]}"
until grep -q 'committed 1@600' "$log"; do
  kill -0 "$job" 2>/dev/null || break
  sleep 0.2
done
show "kill -USR1 $job        # mpirun, which passes it on to every rank"
kill -USR1 "$job" 2>/dev/null || die 'the job ended before iteration 600 was saved'
finish 75
decided fresh
stopped_at=$(sed -n 's/.* committed 1@\([0-9]*\).*/\1/p' "$log" | tail -n 1)

heading '2. The same command again, as a requeue does: it carries on from what was saved, and reaches the end' \
  'Exit code 0 is: finished.'
start "${train[@]}"
finish 0
decided "restore 1@$stopped_at"
accuracy=$(shown_value latest accuracy)
position=$(build/release/bin/lockstep show "$store" latest --json | sed 's/.*"position":\([0-9]*\).*/\1/')
printf '\ntest accuracy %s after %s samples of training\n' "$accuracy" "$position"
awk -v a="${accuracy:-0}" 'BEGIN {exit !(a >= 0.89)}' || die "accuracy ${accuracy:-unknown} is below 0.89"
[ "$position" -le 180000 ] || die "$position samples are more than three passes over the data"

heading '3. What is in the store now'
run 0 build/release/bin/lockstep ls "$store"

heading '4. Go back to iteration 1500. First ask what a job would do' \
  'What is not there is an error, exit code 2, and never replaced by something near.'
run 2 build/release/bin/lockstep plan "$config" --set restore.iteration=1234
run 0 build/release/bin/lockstep plan "$config" --set restore.iteration=1500

heading '5. Do it: the 300 iterations after 1500 are trained once more' \
  'The job writes under its own number, so the checkpoint that was the newest stays as it is.'
start "${train[@]}" --set restore.iteration=1500
finish 0
decided 'restore 2@1500'
run 0 build/release/bin/lockstep ls "$store" --all

heading '6. Is what was trained again the same? The bytes of the model and the optimizer in 2@1800 and 3@1800'
for shard in shard-0000{0,1}-of-00002.safetensors; do
  cmp <(data_of "$store/checkpoints/0002-0000001800/$shard") <(data_of "$store/checkpoints/0003-0000001800/$shard") ||
    die "$shard differs: going back and training again did not give the same bits"
  echo "$shard: equal, bit for bit"
done

heading "Done. Test accuracy $accuracy. The store is $store; README.md says what else restore: can do."
