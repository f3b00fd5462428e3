#!/usr/bin/env bash
# Builds everything and passes all tests, from a bare machine on. The programs are then in build/release/bin.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

deploy/bootstrap.sh
cmake --preset release -DLOCKSTEP_WERROR="${CI:+ON}" # a newer compiler's warnings must not stop a user
cmake --build --preset release
ctest --preset release "$@"
