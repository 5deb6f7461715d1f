#!/usr/bin/env bash
# `headwater build` of the example project against dbt-core with dbt-duckdb on a twin of it: same models, same tests, same files.
#
#   benches/example_vs_dbt.sh [DBT]        DBT: the dbt program, `dbt` if not given
#   SCALES="1 10" RUNS=3 THREADS=4         as given here if not set
#   HEADWATER_BINARY=<path> runs that program instead of a release build made here.
set -euo pipefail
cd "$(dirname "$0")/.."

dbt="${1:-dbt}"
scales="${SCALES:-1 10}"
runs="${RUNS:-3}"
threads="${THREADS:-4}"
command -v "$dbt" >/dev/null || { echo "skipped: there is no dbt at $dbt"; exit 0; }

headwater="${HEADWATER_BINARY:-${CARGO_TARGET_DIR:-$PWD/target}/release/headwater}"
[ -n "${HEADWATER_BINARY:-}" ] || cargo build --release --quiet
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
export DO_NOT_TRACK=1 DBT_SEND_ANONYMOUS_USAGE_STATS=false

# The rows of every mart and of the two sums that say most, as one line each: both sides must agree.
facts="select count(*) as n, sum(price_paid) as paid, sum(commission) as commission from {{ ref('fct_sales') }}"

for scale in $scales; do
    data="$work/data-$scale/tickit"
    result="$work/result-$scale.json"
    ours="$work/ours-$scale"
    twin="$work/twin-$scale"
    "$headwater" gen tickit --out "$data" --scale "$scale" >/dev/null
    mkdir -p "$ours"
    (cd example_project && tar --exclude=./data --exclude=./target --exclude=./warehouse -cf - .) | tar -xf - -C "$ours"
    ln -s "$work/data-$scale" "$ours/data"
    python3 benches/twin.py example_project "$data" "$twin" "$threads"
    # Nothing may be left of the run before: no warehouse, no target, no partial parse.
    (cd "$ours" && python3 "$OLDPWD/benches/measure.py" run "$result" headwater "$runs" "rm -rf target warehouse .headwater" -- \
        "$headwater" build --threads "$threads")
    (cd "$twin" && python3 "$OLDPWD/benches/measure.py" run "$result" dbt-duckdb "$runs" "rm -rf target logs tickit.duckdb*" -- \
        "$dbt" build --profiles-dir . --threads "$threads")
    echo
    echo "example project, $scale times the real size, $threads threads, median of $runs"
    python3 benches/measure.py compare "$result" headwater dbt-duckdb
    (cd "$ours" && "$headwater" show --inline "$facts" --output json --limit -1) | sed -n '/^{/,$p' | tr -d ' \n' && echo "  headwater"
    (cd "$twin" && "$dbt" --quiet show --profiles-dir . --inline "$facts" --output json --limit -1) | sed -n '/^{/,$p' | tr -d ' \n' && echo "  dbt-duckdb"
done
