#!/bin/bash
# Two (or more) "hosts" on one machine for plain mpirun, with a network between them that can be cut. Needs root.
#
#   two_hosts.sh up DIR [HOSTS]       make network namespaces (2 hosts unless said), joined by a bridge
#   two_hosts.sh run DIR N COMMAND..  mpirun -n N COMMAND, the ranks spread evenly over the hosts; mpirun runs on h1
#   two_hosts.sh exec DIR HOST CMD..  run a command on host h1, h2, ...
#   two_hosts.sh pids DIR HOST        print the pids of everything that runs on a host
#   two_hosts.sh cut DIR [HOST]       take the network of a host down (h2 unless said): packets vanish, nothing is told
#   two_hosts.sh heal DIR [HOST]      bring it back
#   two_hosts.sh kill DIR [HOST]      the host loses power: everything on it gets SIGKILL, its network is gone, no one is told
#   two_hosts.sh down DIR             end what runs on the hosts and remove them
#
# Each host has a network, host name, /etc/hosts and /dev/shm of its own and shares the file system. There is no sshd:
# mpirun's plm_rsh_agent enters the namespace. Nothing can reach the outside. MPIRUN_ARGS adds options to `run`.
set -u
umask 022
self=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/two_hosts.sh
usage() { sed -n '2,/^set -u/{/^set -u/d;s/^# \{0,1\}//;p}' "$self" >&2; exit 64; }
die() { echo "two_hosts.sh: $*" >&2; exit 1; }

start_time() { local s; s=$(cat "/proc/$1/stat" 2>/dev/null) || return 1; set -- ${s##*) }; echo "${20}"; }
pid_of() { # NAME: the pid of the process that keeps a namespace, or fail; its start time guards against a pid used again
    local pid t
    read -r pid t 2>/dev/null <"$DIR/$1.id" || return 1
    [ "$(start_time "$pid")" = "$t" ] && [ "$(cut -d' ' -f3 "/proc/$pid/stat" 2>/dev/null)" != Z ] && echo "$pid"
}
keep() { # NAME HOSTNAME: a process that keeps a namespace; hosts get a /dev/shm and /etc/hosts too
    (   for f in "/proc/$BASHPID/fd"/*; do f=${f##*/}; [ "$f" -gt 2 ] && eval "exec $f>&-"; done
        exec setsid unshare --net --uts --mount --propagation slave sh -c '
            hostname "$1" && mount --bind "$2" /etc/hosts && mount -t tmpfs -o mode=1777 "shm-$1" /dev/shm &&
            : >"$3" && exec sleep infinity' sh "$1" "$DIR/hosts" "$DIR/$1.ready" ) </dev/null >"$DIR/$1.out" 2>&1 &
    disown
    echo "$! $(start_time $!)" >"$DIR/$1.id"
    local i
    for ((i = 0; i < 100; i++)); do
        [ -e "$DIR/$1.ready" ] && return 0
        pid_of "$1" >/dev/null || break
        sleep 0.05
    done
    die "cannot make namespaces for $1: $(cat "$DIR/$1.out") (root with CAP_SYS_ADMIN and CAP_NET_ADMIN is needed)"
}
in_net() { local p; p=$(pid_of "$1") || die "$1 is not up"; shift; nsenter --target "$p" --net -- "$@"; }
pids_on() { # HOST
    local holder ns
    holder=$(pid_of "$1") || return 0
    ns=$(readlink "/proc/$holder/ns/uts")               # uts:[4026531838]
    [ -n "$ns" ] && [ "$ns" != "$(readlink /proc/self/ns/uts)" ] || return 0
    ns=${ns//[/\\[}
    find /proc/[0-9]*/ns/uts -maxdepth 0 -lname "$ns" 2>/dev/null | cut -d/ -f3 | grep -vx "$holder"
}
kill_on() { # HOST
    local i pids
    for ((i = 0; i < 100; i++)); do
        pids=$(pids_on "$1"); [ -n "$pids" ] || return 0
        kill -KILL $pids 2>/dev/null
        sleep 0.05
    done
    echo "two_hosts.sh: processes on $1 do not end: $pids" >&2
}
all_hosts() { local f; for f in "$DIR"/h[0-9]*.id; do [ -e "$f" ] && { f=${f##*/}; echo "${f%.id}"; }; done; }
down() { # only what `up` has made: its mark must be there
    local h p i
    [ -e "$DIR/.lockstep-hosts" ] || return 0
    for h in $(all_hosts) switch; do
        kill_on "$h"
        p=$(pid_of "$h") && kill -KILL "$p" 2>/dev/null
        for ((i = 0; i < 100; i++)); do pid_of "$h" >/dev/null || break; sleep 0.05; done
    done
    rm -rf "$DIR"/h[0-9]* "$DIR"/switch.* "$DIR/hosts" "$DIR/agent" "$DIR/tmp" "$DIR/up" "$DIR/.lockstep-hosts"
}
up() { # HOSTS
    local n=$1 i h missing=""
    for h in ip nsenter unshare setsid; do command -v $h >/dev/null || missing="$missing $h"; done
    [ -z "$missing" ] || die "not installed:$missing (Debian: iproute2 util-linux)"
    [ "$(id -u)" = 0 ] || die "must run as root"
    down
    [ -z "$(ls -A "$DIR")" ] || die "not empty and not a set of hosts: $DIR"
    : >"$DIR/.lockstep-hosts"
    mkdir -p "$DIR/tmp"
    { echo "127.0.0.1 localhost"; for ((i = 1; i <= n; i++)); do echo "10.77.0.$i h$i"; done; } >"$DIR/hosts"
    keep switch
    in_net switch ip link add br0 type bridge && in_net switch ip link set br0 up || die "cannot make a bridge"
    for ((i = 1; i <= n; i++)); do
        h=h$i; keep $h
        in_net switch ip link add p$i type veth peer name eth0 netns "$(pid_of $h)" &&
        in_net switch ip link set p$i master br0 up &&
        in_net $h ip link set lo up && in_net $h ip addr add 10.77.0.$i/24 dev eth0 && in_net $h ip link set eth0 up ||
            die "cannot connect $h"
    done
    # what mpirun calls in ssh's place: AGENT HOST COMMAND...; like ssh it hears nothing from a host that lost its power
    printf '#!/bin/sh\nh=$1; shift\n"%s" exec "%s" "$h" sh -c "$*"; rc=$?\n[ $rc != 137 ] || exec sleep 3600\nexit $rc\n' \
        "$self" "$DIR" >"$DIR/agent"
    chmod +x "$DIR/agent"
    : >"$DIR/up"
}

[ $# -ge 2 ] || usage
verb=$1
case $2 in /*) DIR=$2 ;; *) DIR=$PWD/$2 ;; esac
case "$DIR" in *[!A-Za-z0-9/._+-]*) echo "two_hosts.sh: DIR may hold letters, digits and / . _ + - only: $DIR" >&2; exit 64 ;; esac
shift 2
case $verb in up | down) ;; *) [ -e "$DIR/up" ] || die "no hosts in $DIR (two_hosts.sh up $DIR)" ;; esac
case $verb in
up) mkdir -p "$DIR" && DIR=$(cd "$DIR" && pwd -P) && up "${1:-2}" ;;
down) [ -d "$DIR" ] || exit 0; DIR=$(cd "$DIR" && pwd -P); down; rmdir "$DIR" 2>/dev/null; exit 0 ;;
exec)
    [ $# -ge 2 ] || usage
    p=$(pid_of "$1") || die "$1 is not up"; shift
    exec nsenter --target "$p" --net --uts --mount --wd="$PWD" -- "$@" ;;
pids) [ $# = 1 ] || usage; pids_on "$1" ;;
run)
    [ $# -ge 2 ] || usage
    n=$1; shift; mapfile -t hosts < <(all_hosts); per=$(((n + ${#hosts[@]} - 1) / ${#hosts[@]})); list=
    for h in "${hosts[@]}"; do list="$list${list:+,}$h:$per"; done
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
    exec "$self" exec "$DIR" h1 mpirun -n "$n" --host "$list" --mca plm rsh --mca plm_rsh_agent "$DIR/agent" \
        --mca btl tcp,vader,self --mca btl_tcp_if_include eth0 --mca oob_tcp_if_include eth0 \
        --mca mpi_yield_when_idle 1 --mca hwloc_base_binding_policy none --mca orte_tmpdir_base "$DIR/tmp" \
        ${MPIRUN_ARGS:-} "$@" ;;
cut) h=${1:-h2}; pid_of "$h" >/dev/null || die "$h is not up"; in_net switch ip link set "p${h#h}" nomaster ;;
heal) h=${1:-h2}; pid_of "$h" >/dev/null || die "$h is not up"; in_net switch ip link set "p${h#h}" master br0 up ;;
kill) h=${1:-h2}; pid_of "$h" >/dev/null || die "$h is not up"; in_net switch ip link set "p${h#h}" nomaster; kill_on "$h" ;;
*) usage ;;
esac
