#!/usr/bin/env bash
# Makes the golden store of a format version by real jobs, and damages it; then has the test record what is said of it.
# For a new version of the format, once: the stores of versions that were released stay as they are, for ever. As root,
# with lockstepd, lockstep and mpirun on the PATH:
#
#   tests/golden/make.sh VERSION      fills tests/golden/vVERSION, which has train.yaml and nothing else
#
#   attempt 1   fresh, 2 ranks       1@10  1@20 (pinned)
#   attempt 2   carries on, 3 ranks  2@30  2@40 (header damaged)
#   attempt 3   from 1@20, 2 ranks   3@30 (not finite)
#   attempt 4   from 2@30, 2 ranks   4@40  4@50 (data damaged): killed, with a request not taken, a save cut off, and in
#               the middle of a deletion (of 1@10, which still counts as present)
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
golden=$here/v${1:?the version of the format}
[ ! -e "$golden/store" ] || { echo "$golden/store is there; a golden store is made once" >&2; exit 2; }

# No host is to be named in it.
[ "${2:-}" = inside ] || exec unshare --uts "$0" "$1" inside
hostname golden
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMP_NUM_THREADS=1
unset LOCKSTEP_RUN_ID LOCKSTEP_DEADLINE
scratch=$(mktemp -d /tmp/golden-XXXXXX)
launcher= # of the job at work
running() {
  local pid
  for pid; do
    ! grep -qs '^State:.[^ZX]' "/proc/$pid/status" || return 0
  done
  return 1
}
kill_all() {
  local pids
  [ -n "$launcher" ] || return 0
  read -ra pids <<<"$launcher $(<"/proc/$launcher/task/$launcher/children")"
  kill -KILL "${pids[@]}"
  wait "$launcher" || true
  while running "${pids[@]}"; do :; done
  launcher=
}
trap 'kill_all; rm -rf "$scratch"' EXIT
cp "$golden/train.yaml" "$scratch"
cd "$scratch"

start() { # RANKS ITERATIONS OPTION...
  mpirun -n "$1" --oversubscribe lockstepd train.yaml --set run.max_iterations="$2" "${@:3}" &
  launcher=$!
}
launch() {
  start "$@"
  wait $launcher
  launcher=
}
flip() { # FILE OFFSET, from its end where it is negative
  python3 - "$@" <<'END'
import pathlib, sys
path, at = pathlib.Path(sys.argv[1]), int(sys.argv[2])
data = bytearray(path.read_bytes())
data[at] ^= 0x10
path.write_bytes(data)
END
}

launch 2 20
launch 3 40
launch 2 30 --set restore=1@20 --set optimizer.learning_rate=1e30 --set run.on_nonfinite=continue
lockstep pin store 1@20

# Asked for a save at once, or it would have taken the request: it looks for one each half second.
start 2 1000000 --set restore=2@30 --set task.iteration_ms=200
until [ -e store/checkpoints/0004-0000000050 ]; do kill -0 $launcher; done
beat=$(<store/attempts/0004/heartbeat)
until [ "$(<store/attempts/0004/heartbeat)" != "$beat" ]; do kill -0 $launcher; done
lockstep save store
kill_all
[ -n "$(ls store/attempts/0004/requests)" ] || { echo 'the job took the request: try again' >&2; exit 1; }

cd store/checkpoints
rm -rf .0004-*
cp -r 0004-0000000050 .0004-0000000060.partial
rm .0004-0000000060.partial/manifest.json
truncate -s 5000 .0004-0000000060.partial/shard-00001-of-00002.safetensors
mv 0001-0000000010 .trash-0004-0123456789abcdef-0001-0000000010
flip 0004-0000000050/shard-00001-of-00002.safetensors -1
flip 0002-0000000040/shard-00000-of-00003.safetensors 1000

cp -r "$scratch/store" "$golden/store"
chmod -R u=rwX,go=rX "$golden/store"
LOCKSTEP_BIN_DIR=$(dirname "$(command -v lockstep)") "$here/../e2e/golden_test.py" --record "$golden"
