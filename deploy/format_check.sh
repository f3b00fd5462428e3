#!/usr/bin/env bash
# Are all sources formatted as .clang-format says? With --fix they are made so.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

deploy/bootstrap.sh clang-format-14 # other versions format differently
mapfile -t sources < <(find common worker coordinator deploy tests -name '*.h' -o -name '*.cpp' -o -name '*.js')
if [ "${1-}" = --fix ]; then
  clang-format-14 -i "${sources[@]}"
elif ! complaints=$(clang-format-14 --dry-run --Werror "${sources[@]}" 2>&1); then
  sed -n 's/^\(.*\):[0-9]*:[0-9]*: error:.*/\1/p' <<<"$complaints" | sort -u >&2
  echo "not formatted as .clang-format says: the files above; deploy/format_check.sh --fix formats them" >&2
  exit 1
fi
