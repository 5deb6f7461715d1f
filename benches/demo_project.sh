#!/usr/bin/env bash
# A public TICKIT project written for Redshift (github.com/garystafford/dbt-redshift-demo), run as it is: only the places of its raw
# files are pointed at a folder here.
#
#   benches/demo_project.sh CHECKOUT DATA   DATA holds category.csv date.csv event.csv listing.csv sale.csv user.csv venue.csv
#                                           (delimited by `|`, with a header line)
#   HEADWATER_BINARY=<path> runs that program instead of a release build made here.
set -euo pipefail
cd "$(dirname "$0")/.."

checkout="${1:-}"
data="${2:-}"
[ -f "$checkout/dbt_project.yml" ] || { echo "skipped: there is no project at '$checkout'"; exit 0; }
[ -f "$data/sale.csv" ] || { echo "skipped: there is no data at '$data'"; exit 0; }

headwater="${HEADWATER_BINARY:-${CARGO_TARGET_DIR:-$PWD/target}/release/headwater}"
[ -n "${HEADWATER_BINARY:-}" ] || cargo build --release --quiet
check="$PWD/benches/demo_counts.py"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

cp -r "$checkout" "$work/project"
for table in category date event listing sale user venue; do
    mkdir -p "$work/data/$table"
    cp "$data/$table.csv" "$work/data/$table/"
done
sources="$work/project/models/staging/tickit/_tickit__sources.yml"
sed -i "s#s3://<your_s3_bucket_name>/raw_tickit_data/#$work/data/#" "$sources"
if grep -n '<your_s3_bucket_name>' "$sources"; then echo "a location was not replaced"; exit 1; fi

# Its profile is called `default` and is the user's own affair: ours is the embedded engine.
cat > "$work/project/profiles.yml" <<YAML
default:
  target: dev
  outputs:
    dev: {type: datafusion, path: "$work/warehouse", schema: demo, threads: 4}
YAML

cd "$work/project"
"$headwater" run-operation stage_external_sources
"$headwater" compile --quiet
"$headwater" build
python3 "$check" target
for analysis in target/compiled/dbt_redshift_demo/analyses/*.sql; do
    rows="$("$headwater" show --quiet --limit -1 --output json --inline "$(cat "$analysis")" | grep -c '^    }')"
    echo "analysis $(basename "$analysis" .sql): $rows rows"
done
"$headwater" docs generate
for made in manifest.json catalog.json site/index.html; do
    [ -s "target/$made" ] || { echo "docs generate made no $made"; exit 1; }
done
"$headwater" build --quiet
python3 "$check" target
echo "the demo project does all it should, twice"
