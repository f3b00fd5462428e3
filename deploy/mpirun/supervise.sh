#!/usr/bin/env bash
# Keeps one training going under mpirun where no scheduler does: starts it again by its exit code, waits longer after
# each failure, and passes signals on. Run it in the folder of the YAML, by hand or by lockstep@.service.
#
#   supervise.sh [--hosts FILE] [--ranks N] [--store STORE] [train.yaml [--set K=V ...]]
#
# --hosts: mpirun's hostfile; without it all ranks are here. --ranks: else one for each slot.
# --store: the YAML's store. With it a launcher that hangs after its job has ended is killed, and hosts that fell silent
#          (exit code 76) are left out from then on; the ranks are then as many as the slots that are left.
#
#   TERM, INT or HUP   save and end: USR1 to mpirun until it ends, after GRACE seconds TERM, 10 s later KILL
#   a second one       no saving: TERM at once, 10 s later KILL
#   USR1, USR2         save and start again
#
# Settings (environment): RETRIES=5 in a row, BACKOFF=5 seconds before the first, twice as long before each next one, at
# most 300; HEALTHY=3600 seconds after which a failure counts as the first; GRACE=120; LINGER=60 seconds that mpirun may
# live longer than its job; LOCKSTEP_RUN_ID (else one for the supervisor's life); LOCKSTEP_DEADLINE and
# LOCKSTEP_JOIN_SECONDS, which the ranks get; MPIRUN_OPTIONS, such as "-x STORE_DIR" for a variable that the YAML names.
# Exit codes: lockstepd's 0, 2 and 77; 75 when told to end and saved; else that of the last failure.
set -u

retries=${RETRIES:-5} backoff_s=${BACKOFF:-5} healthy_s=${HEALTHY:-3600} grace_s=${GRACE:-120} linger_s=${LINGER:-60}
longest_backoff_s=300 hard_s=10 poll_s=2 soon_s=5
hosts='' ranks='' store=''
while [ $# -gt 1 ]; do
    case $1 in
    --hosts) hosts=$2 ;;
    --ranks) ranks=$2 ;;
    --store) store=$2 ;;
    *) break ;;
    esac
    shift 2
done
case ${1:-} in -*) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2; exit 2 ;; esac
set -- "${1:-train.yaml}" "${@:2}"
# What bash's arithmetic would take for a variable's name is 0 to it: no grace, no pause.
for setting in "RETRIES=$retries" "BACKOFF=$backoff_s" "HEALTHY=$healthy_s" "GRACE=$grace_s" "LINGER=$linger_s" \
    ${ranks:+"--ranks=$ranks"}; do
    [[ $setting =~ =(0|[1-9][0-9]{0,8})$ ]] || {
        echo "supervise.sh: ${setting%%=*} is '${setting#*=}', which is no whole number" >&2
        exit 2
    }
done
[ -z "$hosts" ] || [ -r "$hosts" ] || { echo "supervise.sh: can't read $hosts" >&2; exit 2; }
daemon=$(command -v lockstepd) || { echo "supervise.sh: lockstepd is not in PATH" >&2; exit 2; }
own_run=${LOCKSTEP_RUN_ID:+no}
export LOCKSTEP_RUN_ID=${LOCKSTEP_RUN_ID:-supervised-$(hostname)-$(date +%Y%m%d-%H%M%S)-$$}
usable=$(mktemp) || exit 3      # the hosts that are left
trap 'rm -f "$usable"' EXIT
if [ -n "$hosts" ]; then cp "$hosts" "$usable"; fi

say() { echo "[$(date +%FT%T)] supervise: $*" >&2; }
# What waits beside the launcher is killed when that has ended, and leaves nothing behind: hence no `sleep`.
helpers=()
exec {silence}<> <(:)
nap() { read -rt "$1" -u "$silence"; }
aside() { "$@" & helpers+=($!); disown $!; }
end_with() { # CODE. A run id made here is known to nobody else: without it a `restore: fresh` would begin anew.
    case $1,$own_run in
    0,* | 2,* | *,no) ;;
    *) say "to carry on: LOCKSTEP_RUN_ID=$LOCKSTEP_RUN_ID supervise.sh ..., or run.id in the YAML" ;;
    esac
    exit "$1"
}
if [ -n "$store" ] && [ ! -d "$(dirname "$store")" ]; then
    say "--store $store: $(dirname "$store") is not there"
    exit 2
fi

# ---- signals ----
stopping=0 interrupted=0 child='' rc=0
mpirun_lives() { kill -0 "$child" 2>/dev/null; }
end_hard() {
    kill -TERM "$child" 2>/dev/null
    for ((s = 0; s < hard_s; s++)); do mpirun_lives || return; nap 1; done
    kill -KILL "$child" 2>/dev/null         # it waits for a host that is gone; its ranks go with it
}
# USR1 and never TERM: mpirun answers TERM by killing the ranks within 2 s. Again and again, since one that comes while
# the ranks are being started is lost; ranks take the first and ignore the others.
end_gently() {
    for ((s = 0; s < grace_s; s += poll_s)); do kill -USR1 "$child" 2>/dev/null || return; nap $poll_s; done
    end_hard
}
told_to_end() {
    interrupted=1 stopping=$((stopping + 1))
    case $stopping in
    1) say "told to end" ;;
    2) say "told again: without saving" ;;
    esac
    [ -n "$child" ] || return
    case $stopping in
    1) aside end_gently ;;
    2) aside end_hard ;;
    esac
}
pass_on() { interrupted=1; [ -z "$child" ] || kill "-$1" "$child" 2>/dev/null; }
trap told_to_end TERM INT HUP
trap 'pass_on USR1' USR1
trap 'pass_on USR2' USR2

wait_for() { # PID: its exit code; a trap ends `wait` early, which may be repeated
    local code
    while :; do
        interrupted=0; wait "$1"; code=$?
        [ $interrupted = 1 ] || return $code
    done
}
pause() { # SECONDS, or until told to end
    sleep "$1" & local sleeper=$!
    while kill -0 $sleeper 2>/dev/null && [ $stopping = 0 ]; do wait $sleeper; done
    kill $sleeper 2>/dev/null
}

# ---- what the store says ----
newest_attempt() { # its number, or 0
    local name
    name=$(find "$store/attempts" -maxdepth 1 -name '[0-9]*' -printf '%f\n' 2>/dev/null | sort -n | tail -n 1)
    echo "${name:-0}"
}
outcome() { # the newest attempt's, if that was made by this launch
    [ -n "$store" ] || return
    local newest
    newest=$(newest_attempt)
    [ $((10#$newest)) -gt $((10#$before)) ] && cat "$store/attempts/$newest/outcome.json" 2>/dev/null
}
outcome_code() { outcome | sed -n 's/.*"exit_code": *\([0-9]*\).*/\1/p'; }
# A launcher that does not end in time although its job has written its outcome waits for a host that is gone.
watch_launcher() {
    while mpirun_lives; do
        if outcome >/dev/null; then
            for ((s = 0; s < linger_s; s += poll_s)); do nap $poll_s; mpirun_lives || return; done
            say "mpirun hangs after the end of its job"
            end_hard
        fi
        nap $poll_s
    done
}
leave_out_silent_hosts() {
    local host left silent
    silent=$(outcome | sed -n 's/.*"silent": *\(\[[^]]*\]\).*/\1/p' | grep -o '"host": *"[^"]*"' | cut -d'"' -f4)
    for host in $silent; do
        left=$(awk -v host="${host%%.*}" '{ name = $1; sub(/\..*/, "", name) } name != host' "$usable")
        if ! grep -q '^[^#]' <<<"$left"; then
            say "$host was silent, and no other host is left: all are tried again"
            cp "$hosts" "$usable"
            return
        fi
        if [ "$left" = "$(cat "$usable")" ]; then
            say "$host was silent, but $hosts does not have it by that name: nobody is left out"
            continue
        fi
        say "$host was silent and is left out from now on"
        printf '%s\n' "$left" >"$usable"
        ranks=''
    done
}

# ---- launches ----
launch() { # leaves the exit code in rc
    local command=(mpirun --quiet -x LOCKSTEP_RUN_ID) name
    for name in LOCKSTEP_DEADLINE LOCKSTEP_JOIN_SECONDS OMP_NUM_THREADS; do
        if [ -n "${!name:-}" ]; then command+=(-x "$name"); fi
    done
    if [ -n "$hosts" ]; then command+=(--hostfile "$usable"); fi
    if [ -n "$ranks" ]; then command+=(-n "$ranks"); fi
    if [ -n "$store" ]; then before=$(newest_attempt); fi
    # shellcheck disable=SC2086 # several words
    setsid "${command[@]}" ${MPIRUN_OPTIONS:-} "$daemon" "$@" </dev/null &   # Ctrl-C is this script's to answer
    child=$!
    if [ -n "$store" ]; then aside watch_launcher; fi
    if [ $stopping -gt 0 ]; then aside end_gently; fi
    wait_for $child; rc=$?
    child=''
    [ ${#helpers[@]} = 0 ] || kill "${helpers[@]}" 2>/dev/null
    helpers=()
    say "lockstepd ended with $rc after $((SECONDS - began)) s"
    case $rc in
    0 | 2 | 3 | 75 | 76 | 77) ;;
    *)  # The launcher was killed or failed: the job's own word counts, where there is one.
        if [ -n "$(outcome_code)" ]; then
            rc=$(outcome_code); say "its outcome says $rc"
        elif [ $((SECONDS - began)) -lt $soon_s ]; then
            say "without --quiet mpirun may say why: mpirun ${hosts:+--hostfile $hosts }$daemon $*"
        fi ;;
    esac
}

failures=0
while :; do
    began=$SECONDS
    launch "$@"
    case $rc in 0 | 2 | 77) end_with "$rc" ;; esac           # finished; permanent; stopped on request
    [ $stopping = 0 ] || end_with "$rc"
    if [ "$rc" = 75 ]; then                              # preempted, saved: again at once
        if [ -n "${LOCKSTEP_DEADLINE:-}" ]; then end_with 75; fi   # it would be past in the next launch, too
        failures=0
        [ $((SECONDS - began)) -ge $soon_s ] || pause $soon_s
    else                                                 # 3, 76, 128+signal, or the launcher's own failure
        if [ "$rc" = 76 ] && [ -n "$store" ] && [ -n "$hosts" ]; then leave_out_silent_hosts; fi
        [ $((SECONDS - began)) -lt "$healthy_s" ] || failures=0
        failures=$((failures + 1))
        [ $failures -le "$retries" ] || { say "giving up after $retries retries"; end_with "$rc"; }
        if [ $failures = 1 ]; then wait_s=$backoff_s; else wait_s=$((2 * wait_s)); fi
        [ "$wait_s" -le $longest_backoff_s ] || wait_s=$longest_backoff_s
        say "retry $failures of $retries in $wait_s s"
        pause "$wait_s"
    fi
    [ $stopping = 0 ] || end_with "$rc"
done
