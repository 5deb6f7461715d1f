#!/usr/bin/env bash
# What a run costs that does almost nothing: the version, and five models of one row each. The bars: 0.03 s CPU and 1 s wall.
#
#   benches/startup.sh
#   RUNS=5                                  as given here if not set
#   HEADWATER_BINARY=<path> runs that program instead of a release build made here.
set -euo pipefail
cd "$(dirname "$0")/.."

runs="${RUNS:-5}"
headwater="${HEADWATER_BINARY:-${CARGO_TARGET_DIR:-$PWD/target}/release/headwater}"
[ -n "${HEADWATER_BINARY:-}" ] || cargo build --release --quiet
measure="$PWD/benches/measure.py"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

mkdir -p "$work/five/models"
cd "$work/five"
printf 'name: five\nversion: "1.0"\nconfig-version: 2\nmodels:\n  five:\n    +materialized: table\n' > dbt_project.yml
echo 'select 1 as id' > models/model_1.sql
for number in 2 3 4 5; do
    echo "select id + 1 as id from {{ ref('model_$((number - 1))') }}" > "models/model_$number.sql"
done
result="$work/result.json"
python3 "$measure" run "$result" version "$runs" true -- "$headwater" --version
python3 "$measure" run "$result" five-models "$runs" "rm -rf target warehouse" -- "$headwater" build
grep -o 'Done\..*' "$result.five-models.log"
python3 "$measure" show "$result"
