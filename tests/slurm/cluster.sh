#!/bin/bash
# A real Slurm with two nodes, n1 and n2, on this machine, for tests. Needs root; needs no systemd and no network.
#
#   cluster.sh up DIR            start munged, slurmctld and two slurmd in DIR; return when both nodes are idle
#   cluster.sh env DIR           print the variables for a shell: eval "$(cluster.sh env DIR)"
#   cluster.sh status DIR        nodes, jobs and daemons
#   cluster.sh kill-node DIR N   node N loses power: slurmd and everything that runs on the node get SIGKILL at once
#   cluster.sh cut-node DIR N    slurmctld loses sight of node N, but what runs there runs on (split brain)
#   cluster.sh heal-node DIR N   undo cut-node
#   cluster.sh start-node DIR N  start slurmd on node N again; return when the node is idle
#   cluster.sh exec DIR N CMD..  run a command on node N: what it mounts, the node's jobs see from then on
#   cluster.sh down DIR          end every process of the cluster and remove DIR's contents (logs stay with KEEP_LOGS=1)
#
# Each node has its own host name and its own /dev/shm and /etc/hosts (UTS and mount namespace); the network is shared.
# `up` on a running cluster does nothing, on a broken one starts anew; `down` may be called at any time, also twice.
#
# Settings (environment, at `up`): GRACE=20 seconds of notice to a preempted job, SLURMD_TIMEOUT=6 seconds until a silent
# node is DOWN, REQUEUE_WAIT=5 seconds until a requeued job may start, KILL_WAIT=5 seconds from SIGTERM to SIGKILL,
# UP_TIMEOUT=30 seconds that `up` waits, USER_SIGNAL=yes whether a preempted job gets the signal of --signal.
set -u
umask 022
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
nodes="n1 n2"

usage() { sed -n '2,/^set -u/{/^set -u/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}" >&2; exit 64; }

die() { # MESSAGE: say what failed, show the end of every log, take the cluster down
    echo "cluster.sh: $*" >&2
    local f
    for f in "$DIR"/log/*; do
        [ -s "$f" ] && { echo "--- ${f##*/}" >&2; tail -n 15 "$f" >&2; }
    done
    [ "${starting:-}" = 1 ] && KEEP_LOGS=1 stop_all
    exit 1
}

# A process is named by its pid and its start time, so that a pid used again is never mistaken for ours.
start_time() { local s; s=$(cat "/proc/$1/stat" 2>/dev/null) || return 1; set -- ${s##*) }; echo "${20}"; }
pid_of() { # NAME: print the pid of a running daemon, or fail
    local pid t
    read -r pid t 2>/dev/null <"$DIR/run/$1.id" || return 1
    [ "$(start_time "$pid")" = "$t" ] && [ "$(cut -d' ' -f3 "/proc/$pid/stat" 2>/dev/null)" != Z ] && echo "$pid"
}
launch() { # NAME COMMAND...: start a daemon that holds none of our file descriptors
    local name=$1; shift
    (   for f in "/proc/$BASHPID/fd"/*; do f=${f##*/}; [ "$f" -gt 2 ] && eval "exec $f>&-"; done
        exec setsid "$@" ) </dev/null >>"$DIR/log/$name.out" 2>&1 &
    disown
    echo "$! $(start_time $!)" >"$DIR/run/$name.id"
}
end() { # NAME SIGNAL SECONDS: signal a daemon, wait, then SIGKILL
    local pid i
    pid=$(pid_of "$1") || return 0
    kill -CONT "$pid" 2>/dev/null; kill "-$2" "$pid" 2>/dev/null
    for ((i = 0; i < $3 * 20; i++)); do pid_of "$1" >/dev/null || return 0; sleep 0.05; done
    kill -KILL "$pid" 2>/dev/null
    for ((i = 0; i < 100; i++)); do pid_of "$1" >/dev/null || return 0; sleep 0.05; done
    echo "cluster.sh: $1 (pid $pid) does not end" >&2
}
on_node() { # NODE: print the pids of everything that runs on the node, its holder left out
    local holder ns
    holder=$(pid_of "host-$1") || return 0
    ns=$(readlink "/proc/$holder/ns/uts")               # uts:[4026531838]
    [ -n "$ns" ] && [ "$ns" != "$(readlink /proc/self/ns/uts)" ] || return 0
    ns=${ns//[/\\[}
    find /proc/[0-9]*/ns/uts -maxdepth 0 -lname "$ns" 2>/dev/null | cut -d/ -f3 | grep -vx "$holder"
}
kill_node() { # NODE: end everything there; repeat, because what was just forked may be missed
    local i pids
    for ((i = 0; i < 100; i++)); do
        pids=$(on_node "$1"); [ -n "$pids" ] || return 0
        kill -KILL $pids 2>/dev/null
        sleep 0.05
    done
    echo "cluster.sh: processes on $1 do not end: $pids" >&2
}
start_host() { # NAME: a machine of its own as far as host name, /etc/hosts and /dev/shm go
    launch "host-$1" unshare --uts --mount --propagation slave sh -c '
        hostname "$1" && mount --bind "$2" /etc/hosts && mount -t tmpfs -o mode=1777 "shm-$1" /dev/shm &&
        : >"$3" && exec sleep infinity' sh "$1" "$DIR/run/hosts" "$DIR/run/host-$1.ready"
    local i
    for ((i = 0; i < 100; i++)); do
        [ -e "$DIR/run/host-$1.ready" ] && return 0
        pid_of "host-$1" >/dev/null || break
        sleep 0.05
    done
    die "cannot make namespaces for $1: are you root, with CAP_SYS_ADMIN?"
}
inside() { local n=$1; shift; local h; h=$(pid_of "host-$n") || die "$n has no namespace"
           launch "$1" nsenter --target "$h" --uts --mount -- "${@:2}"; }
start_slurmd() { rm -rf "$DIR/tmp-$1"; mkdir -p "$DIR/tmp-$1" "$DIR/spool-$1"
                 inside "$1" "slurmd-$1" slurmd -D -N "$1" -f "$DIR/slurm.conf"; }
wait_idle() { # NODE...: wait until slurmctld says that these nodes are idle
    local deadline=$((SECONDS + UP_TIMEOUT)) n out ok
    while [ $SECONDS -lt $deadline ]; do
        ok=1
        for n in munged slurmctld; do pid_of $n >/dev/null || die "$n has ended"; done
        out=$(timeout 2 sinfo -h -N -p low -o '%N %T' 2>/dev/null)
        for n in "$@"; do
            pid_of "slurmd-$n" >/dev/null || die "slurmd of $n has ended"
            case "
$out" in *"
$n idle"*) ;; *) ok=0 ;; esac
        done
        [ $ok = 1 ] && return 0
        sleep 0.1
    done
    die "after $UP_TIMEOUT s not all of '$*' are idle; slurmctld says: ${out:-nothing}"
}
stop_all() { # only what `up` has made: its mark must be there
    local n
    [ -e "$DIR/.lockstep-cluster" ] || return 0
    for n in $nodes; do end "slurmd-$n" KILL 1; kill_node "$n"; done
    end slurmctld TERM 3
    for n in $nodes ctl; do [ "$n" = ctl ] && kill_node ctl; end "host-$n" KILL 1; done
    end munged TERM 2
    rm -rf "$DIR"/run "$DIR"/state "$DIR"/spool-* "$DIR"/tmp-* "$DIR"/ompi "$DIR"/slurm.conf "$DIR"/cgroup.conf
    [ "${KEEP_LOGS:-0}" = 1 ] || rm -rf "$DIR"/log "$DIR/.lockstep-cluster"
}
pick_ports() { # three neighbouring ports that nobody listens on, below the range that the kernel hands out
    local try p i
    for ((try = 0; try < 200; try++)); do
        p=$((12000 + (RANDOM * 7 + $$) % 6000 * 3))
        for i in 0 1 2; do (exec 3<>"/dev/tcp/127.0.0.1/$((p + i))") 2>/dev/null && continue 2; done
        echo $p; return 0
    done
    return 1
}

up() {
    local n missing="" port i user_signal
    for n in munged slurmctld slurmd sinfo srun sbatch nsenter unshare setsid; do
        command -v $n >/dev/null || missing="$missing $n"
    done
    [ -z "$missing" ] || { echo "cluster.sh: not installed:$missing (Debian: munge slurmctld slurmd slurm-client util-linux)" >&2; exit 1; }
    [ "$(id -u)" = 0 ] || { echo "cluster.sh: must run as root" >&2; exit 1; }
    # Unix sockets below DIR must fit 108 bytes
    [ ${#DIR} -le 64 ] || { echo "cluster.sh: DIR is ${#DIR} characters long, at most 64 can work: $DIR" >&2; exit 1; }
    if [ -e "$DIR/run/ready" ]; then
        n=ok; for i in munged slurmctld slurmd-n1 slurmd-n2; do pid_of $i >/dev/null || n=broken; done
        [ $n = ok ] && { wait_idle_or_busy; return 0; }
    fi
    KEEP_LOGS=0 stop_all
    [ -z "$(ls -A "$DIR")" ] || { echo "cluster.sh: not empty and not a cluster: $DIR" >&2; exit 1; }
    : >"$DIR/.lockstep-cluster"
    starting=1
    mkdir -p "$DIR"/run "$DIR"/state "$DIR"/log "$DIR"/ompi
    chmod 755 "$DIR" "$DIR/run"
    port=$(pick_ports) || die "no free ports"
    [ "${USER_SIGNAL:-yes}" = yes ] && user_signal= || user_signal='#'
    sed -e "s|@DIR@|$DIR|g" -e "s|@PORT0@|$port|" -e "s|@PORT1@|$((port + 1))|" -e "s|@PORT2@|$((port + 2))|" \
        -e "s|@GRACE@|${GRACE:-20}|" -e "s|@SLURMD_TIMEOUT@|${SLURMD_TIMEOUT:-6}|" \
        -e "s|@REQUEUE_WAIT@|${REQUEUE_WAIT:-5}|" -e "s|@KILL_WAIT@|${KILL_WAIT:-5}|" \
        -e "s|@USER_SIGNAL@|$user_signal|" "$here/slurm.conf.in" >"$DIR/slurm.conf"
    echo 'CgroupPlugin=cgroup/v1' >"$DIR/cgroup.conf"   # never used, but "autodetect" fails where no cgroups are mounted
    printf '127.0.0.1 localhost ctl n1 n2\n' >"$DIR/run/hosts"
    (umask 077; head -c 128 /dev/urandom >"$DIR/run/munge.key")
    export SLURM_CONF="$DIR/slurm.conf"
    for n in ctl $nodes; do start_host $n; done
    launch munged munged --foreground --force --key-file="$DIR/run/munge.key" --socket="$DIR/run/munge.socket" \
        --pid-file="$DIR/run/munged.pid" --log-file="$DIR/log/munged.log" --seed-file="$DIR/run/munge.seed" --num-threads=2
    for ((i = 0; i < 100; i++)); do
        [ -S "$DIR/run/munge.socket" ] && break
        pid_of munged >/dev/null || die "munged has ended"
        sleep 0.05
    done
    inside ctl slurmctld slurmctld -D -c -f "$DIR/slurm.conf"
    for ((i = 0; i < 200; i++)); do
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break
        pid_of slurmctld >/dev/null || die "slurmctld has ended"
        sleep 0.05
    done
    for n in $nodes; do start_slurmd $n; done
    wait_idle $nodes
    : >"$DIR/run/ready"
}
wait_idle_or_busy() { SLURM_CONF="$DIR/slurm.conf" timeout 10 sinfo -h >/dev/null || die "slurmctld does not answer"; }
need_up() { [ -e "$DIR/run/ready" ] || { echo "cluster.sh: no cluster in $DIR (cluster.sh up $DIR)" >&2; exit 1; }; export SLURM_CONF="$DIR/slurm.conf"; }

[ $# -ge 2 ] || usage
verb=$1
case $2 in /*) DIR=$2 ;; *) DIR=$PWD/$2 ;; esac
case "$DIR" in *[!A-Za-z0-9/._+-]*) echo "cluster.sh: DIR may hold letters, digits and / . _ + - only: $DIR" >&2; exit 64 ;; esac
node=${3:-}
UP_TIMEOUT=${UP_TIMEOUT:-30}
case $verb in kill-node | cut-node | heal-node | start-node | exec)
    case " $nodes " in *" $node "*) [ -n "$node" ] || usage ;; *) usage ;; esac
    need_up ;;
esac
case $verb in
up) mkdir -p "$DIR" && DIR=$(cd "$DIR" && pwd -P) && up ;;
down) [ -d "$DIR" ] || exit 0; DIR=$(cd "$DIR" && pwd -P); stop_all; rmdir "$DIR" 2>/dev/null; exit 0 ;;
env)
    need_up
    # loopback only, no busy waiting (there are more ranks than cores), Open MPI's files inside DIR
    cat <<END
export SLURM_CONF='$DIR/slurm.conf'
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_btl=tcp,vader,self OMPI_MCA_btl_tcp_if_include=lo OMPI_MCA_oob_tcp_if_include=lo
export OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_hwloc_base_binding_policy=none
export OMPI_MCA_orte_tmpdir_base='$DIR/ompi'
END
    ;;
status)
    need_up
    for n in munged slurmctld slurmd-n1 slurmd-n2; do echo "$n $(pid_of $n || echo not running)"; done
    timeout 10 sinfo -h -N -p low -o '%N %T %E'; timeout 10 squeue -h -o 'job %i %j %T %r %N' ;;
kill-node) end "slurmd-$node" KILL 1; kill_node "$node" ;;
cut-node) pid=$(pid_of "slurmd-$node") && kill -STOP "$pid" ;;
heal-node) pid=$(pid_of "slurmd-$node") && kill -CONT "$pid" ;;
exec)
    h=$(pid_of "host-$node") || die "$node has no namespace"
    exec nsenter --target "$h" --uts --mount --wd="$PWD" -- "${@:4}" ;;
start-node) pid_of "slurmd-$node" >/dev/null || start_slurmd "$node"; wait_idle "$node" ;;
*) usage ;;
esac
