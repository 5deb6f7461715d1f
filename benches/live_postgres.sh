#!/usr/bin/env bash
# The example project fed from a live PostgreSQL instead of files: copies its tables, builds and tests it, changes a row in the
# database and shows the change arrive in a mart.
#
#   benches/live_postgres.sh [OUT]        OUT is where the project's copy goes [default: a new folder below /tmp]
#   HEADWATER_BINARY=<path> runs that program instead of a release build made here.
#   HEADWATER_TEST_POSTGRES=host:port names a running server (superuser `headwater`, password `headwater-test`); without it one is
#   started as for the tests, and ended.
set -euo pipefail
cd "$(dirname "$0")/.."

headwater="${HEADWATER_BINARY:-}"
if [ -z "$headwater" ]; then
    cargo build --release --quiet
    headwater="$PWD/target/release/headwater"
fi
out="${1:-$(mktemp -d /tmp/headwater-live-XXXXXX)}"
. .ci/services
if [ -z "${HEADWATER_TEST_POSTGRES:-}" ]; then
    start_postgres
    trap stop_postgres EXIT
fi
host="${HEADWATER_TEST_POSTGRES%%:*}" port="${HEADWATER_TEST_POSTGRES##*:}" database="tickit_$$"
export PGPASSWORD=headwater-test
sql() { psql --quiet --no-psqlrc --host "$host" --port "$port" --username headwater --dbname "$@"; }

"$headwater" gen tickit --out "$out-data" >/dev/null
python3 benches/live_postgres.py example_project "$out-data" "$out" "$host" "$port" headwater "$PGPASSWORD" "$database"
sql postgres --command "create database $database"
sql "$database" --file "$out/load.sql"

cd "$out"
echo "== copy the tables"
time "$headwater" ingest --until-caught-up
echo "== build and test"
"$headwater" build --quiet
echo "== change a row in the database"
sql "$database" --command "update \"user\" set city = 'Headwater' where userid not in (select buyerid from sale)"
"$headwater" ingest --until-caught-up
"$headwater" build --quiet
echo "== the mart dim_non_buyers"
"$headwater" show --inline "select city, count(*) as users from {{ ref('dim_non_buyers') }} where city = 'Headwater' group by city"
"$headwater" ingest reset --tables >/dev/null
sql postgres --command "drop database $database"
