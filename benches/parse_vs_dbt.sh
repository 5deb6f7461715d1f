#!/usr/bin/env bash
# Cold parse of a generated project against dbt 2.0: CPU, and whether both find the same nodes.
#
#   benches/parse_vs_dbt.sh GENERATOR DBT   GENERATOR: a script that takes `--models N --out DIR`; DBT: the dbt 2.0 program
#   MODELS=1000 RUNS=5                      as given here if not set
#   HEADWATER_BINARY=<path> runs that program instead of a release build made here.
set -euo pipefail
cd "$(dirname "$0")/.."

generator="${1:-}"
dbt="${2:-}"
models="${MODELS:-1000}"
runs="${RUNS:-5}"
[ -f "$generator" ] || { echo "skipped: there is no generator at '$generator'"; exit 0; }
command -v "$dbt" >/dev/null || { echo "skipped: there is no dbt at '$dbt'"; exit 0; }

headwater="${HEADWATER_BINARY:-${CARGO_TARGET_DIR:-$PWD/target}/release/headwater}"
[ -n "${HEADWATER_BINARY:-}" ] || cargo build --release --quiet
benches="$PWD/benches"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
export DO_NOT_TRACK=1 DBT_SEND_ANONYMOUS_USAGE_STATS=false

python3 "$generator" --models "$models" --out "$work/project" >/dev/null
project="$work/project"
[ -f "$project/dbt_project.yml" ] || project="$(dirname "$(find "$work/project" -name dbt_project.yml | head -n 1)")"
result="$work/result.json"
cd "$project"
# The generated profile names the other program's database; ours is the embedded one, under the same profile name.
profile="$(sed -n "s/^profile: *[\"']*\([A-Za-z0-9_]*\).*/\1/p" dbt_project.yml)"
mkdir "$work/profiles"
printf '%s:\n  target: dev\n  outputs:\n    dev: {type: datafusion, path: "%s/warehouse", schema: main}\n' "$profile" "$work" > "$work/profiles/profiles.yml"
python3 "$benches/measure.py" run "$result" headwater "$runs" "rm -rf target" -- "$headwater" parse --no-partial-parse --profiles-dir "$work/profiles"
cp target/manifest.json "$work/ours.json"
python3 "$benches/measure.py" run "$result" dbt-2.0 "$runs" "rm -rf target" -- "$dbt" parse --no-partial-parse --profiles-dir .
cp target/manifest.json "$work/theirs.json"

echo "cold parse of $models models, median of $runs"
python3 "$benches/measure.py" compare "$result" headwater dbt-2.0
python3 "$benches/node_ids.py" "$work/ours.json" "$work/theirs.json"
