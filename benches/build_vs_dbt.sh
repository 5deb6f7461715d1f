#!/usr/bin/env bash
# `build` of a whole generated project (models, seeds, snapshots, tests, unit tests) beside dbt 2.0 on DuckDB.
#
#   benches/build_vs_dbt.sh GENERATOR DBT   GENERATOR: a script that takes `--models N --out DIR`; DBT: the dbt 2.0 program
#   MODELS=100 RUNS=3                       as given here if not set
#   HEADWATER_BINARY=<path> runs that program instead of a release build made here.
set -euo pipefail
. "$(dirname "$0")/generated.sh"
dbt="${2:-}"
models="${MODELS:-100}"
generated "$models"
cd "$work/$models/project"
result="$work/result.json"
raw=(run-operation create_raw_sources --profiles-dir)
measure run "$result" "headwater" "${RUNS:-3}" "rm -rf target ../warehouse && $headwater ${raw[*]} ../profiles > $work/raw.log" -- \
  "$headwater" build --profiles-dir ../profiles
statuses() { python3 -c 'import collections, json; print(dict(collections.Counter(r["status"] for r in json.load(open("target/run_results.json"))["results"])))'; }
echo "headwater: $(statuses)"
command -v "$dbt" > /dev/null || { echo "skipped: there is no dbt at '$dbt'"; exit 0; }
export SYNTH_DB="$work/synth.duckdb"
measure run "$result" "dbt 2.0" "${RUNS:-3}" "rm -rf target $SYNTH_DB* && $dbt ${raw[*]} . > $work/raw.log" -- "$dbt" build --profiles-dir .
echo "dbt 2.0: $(statuses)"
measure compare "$result" "headwater" "dbt 2.0"
