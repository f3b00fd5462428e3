#!/usr/bin/env bash
# Installs what building and running needs: Debian packages, and LibTorch where there is none. Does nothing, quickly,
# where all of it is there. More packages may be named as arguments.
#
# LibTorch is looked for as the build does (deploy/cmake/LibTorchRoot.cmake): Torch_DIR, CMAKE_PREFIX_PATH, the active
# Python's torch, and last the pinned wheels of deploy/libtorch.txt in a venv below the user's cache folder.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

packages=(
  g++ cmake ninja-build ccache openmpi-bin libopenmpi-dev libyaml-cpp-dev nlohmann-json3-dev libsimdjson-dev libspdlog-dev
  libcli11-dev libxxhash-dev libisal-dev libprotozero-dev zlib1g-dev
  libboost1.74-dev prometheus-cpp-dev libjs-chart.js libgtest-dev libgmock-dev python3 strace valgrind
  curl dataset-fashion-mnist slurmctld slurmd slurm-client munge iproute2 libpmix-dev libfuse3-dev e2fsprogs xfsprogs btrfs-progs "$@"
)

say() { printf 'bootstrap: %s\n' "$*" >&2; }

# Installs those of the named packages that are missing; the others stay as they are, since naming one upgrades it.
install_packages() {
  local installed missing=() package
  installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null || true)
  for package in "$@"; do
    grep -qx "installed $package" <<<"$installed" || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0

  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null || ! { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
      say "packages are missing, and installing them needs root: apt-get install ${missing[*]}"
      exit 1
    fi
    as_root=(sudo)
  fi
  say "installing packages: ${missing[*]}"
  local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120 -o Dpkg::Use-Pty=0)
  "${apt[@]}" update
  "${apt[@]}" install --no-install-recommends "${missing[@]}" >/dev/null
}

version=$(sed -n 's/^torch==\(.*\)\.\*$/\1/p' "$here/libtorch.txt")
venv=${XDG_CACHE_HOME:-$HOME/.cache}/lockstep/libtorch-$version
wheels_are_needed() {
  ! "$here/lockstep-libtorch" --complete "$venv" && { [ -e "$venv/complete" ] || ! cmake -P "$here/cmake/LibTorchRoot.cmake" >/dev/null 2>&1; }
}

if wheels_are_needed; then packages+=(python3-venv); fi
install_packages "${packages[@]}"
if wheels_are_needed; then "$here/lockstep-libtorch" --into "$venv"; fi
