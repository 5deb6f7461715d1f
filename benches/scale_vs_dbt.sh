#!/usr/bin/env bash
# Cold parse of generated projects of several sizes: CPU and memory beside dbt 2.0 and dbt-core, and whether the nodes are the same.
#
#   benches/scale_vs_dbt.sh GENERATOR DBT_2 DBT_CORE   GENERATOR: a script that takes `--models N --out DIR`; the two programs
#   SIZES="100 1000 5000 10000" RUNS=3                 as given here if not set; dbt-core runs once
#   HEADWATER_BINARY=<path> runs that program instead of a release build made here.
set -euo pipefail
. "$(dirname "$0")/generated.sh"
dbt="${2:-}"
core="${3:-}"
result="$work/result.json"
for models in ${SIZES:-100 1000 5000 10000}; do
  generated "$models"
  cd "$work/$models/project"
  parse=(parse --no-partial-parse --profiles-dir)
  measure run "$result" "headwater $models" "${RUNS:-3}" "rm -rf target" -- "$headwater" "${parse[@]}" ../profiles
  cp target/manifest.json ../ours.json
  echo "== cold parse of $models models"
  if command -v "$dbt" > /dev/null; then
    measure run "$result" "dbt 2.0 $models" "${RUNS:-3}" "rm -rf target" -- "$dbt" "${parse[@]}" .
    measure compare "$result" "headwater $models" "dbt 2.0 $models"
    python3 "$benches/node_ids.py" ../ours.json target/manifest.json
  fi
  if command -v "$core" > /dev/null; then
    measure run "$result" "dbt 1.12 $models" 1 "rm -rf target" -- "$core" "${parse[@]}" .
    measure compare "$result" "headwater $models" "dbt 1.12 $models"
  fi
  cd / && rm -rf "${work:?}/$models"
done
echo "== all"
measure show "$result"
