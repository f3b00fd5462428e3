#!/usr/bin/env bash
# Fuzzes each target in turn with clang's libFuzzer: run.sh [SECONDS_PER_TARGET] [TARGET...], 60 s each by default.
# A line a target; fails at a finding, whose input is then in build/fuzz/findings: mend, and add it to corpus/TARGET.
# What reaches new code is kept in build/fuzz/corpus, where the next run goes on from.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/../.."
seconds=${1:-60}
targets=("${@:2}")
if [ ${#targets[@]} -eq 0 ]; then
  for folder in "$here"/corpus/*/; do targets+=("$(basename "$folder")"); done
fi

deploy/bootstrap.sh clang-14 libclang-rt-14-dev
cmake --preset fuzz >/dev/null
cmake --build --preset fuzz -- --quiet | sed '/no work to do/d'
mkdir -p build/fuzz/findings build/fuzz/logs

value() { sed -n "s/^stat::$1: *//p" "$2"; }

findings=0
for target in "${targets[@]}"; do
  grown=build/fuzz/corpus/$target log=build/fuzz/logs/$target.txt
  mkdir -p "$grown"
  said="nothing found"
  build/fuzz/tests/fuzz/"${target}"_fuzz "$grown" "$here/corpus/$target" -max_total_time="$seconds" -max_len=8192 \
    -timeout=60 -rss_limit_mb=1024 -malloc_limit_mb=256 -use_value_profile=1 -dict="$here/tokens.dict" \
    -artifact_prefix=build/fuzz/findings/"$target"- -print_final_stats=1 >"$log" 2>&1 || {
    findings=$((findings + 1))
    said="FINDING: $(grep -m 1 -E '^finding:|ERROR:|runtime error:' "$log" || tail -n 1 "$log")"
  }
  printf '%-14s %10s executions  %6s edges  %4s MiB at most  %s\n' "$target" \
    "$(value number_of_executed_units "$log")" "$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)" \
    "$(value peak_rss_mb "$log")" "$said"
done
exit $((findings > 0))
