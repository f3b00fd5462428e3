#!/usr/bin/env bash
# Builds everything and passes all tests, from a bare machine on. The programs are then in build/release/bin.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# What some tests need is more than a user should get unasked: a browser, Prometheus, what makes and tries packages, a
# compiler that fuzzes. Without them those tests say that they are skipped.
extras=(chromium chromium-driver prometheus debootstrap dpkg-dev file clang-14 libclang-rt-14-dev)
deploy/bootstrap.sh ${CI:+"${extras[@]}"}
cmake --preset release -DLOCKSTEP_WERROR="${CI:+ON}" # a newer compiler's warnings must not stop a user
cmake --build --preset release
ctest --preset release "$@"
