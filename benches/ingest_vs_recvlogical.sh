#!/usr/bin/env bash
# The rate of `headwater ingest` into committed Delta tables beside the server's own pg_recvlogical, which writes the same stream
# to a file; and the time from a commit in the database to its visibility in the lake.
#
#   benches/ingest_vs_recvlogical.sh [ROWS]   rows of the backlog [default: 1000000], in 100 transactions
#   HEADWATER_BINARY=<path> runs that program instead of a release build made here.
#   HEADWATER_TEST_POSTGRES=host:port as for the tests; without it a server is started and ended.
set -euo pipefail
cd "$(dirname "$0")/.."

headwater="${HEADWATER_BINARY:-}"
if [ -z "$headwater" ]; then
    cargo build --release --quiet
    headwater="$PWD/target/release/headwater"
fi
rows="${1:-1000000}"
. .ci/services
if [ -z "${HEADWATER_TEST_POSTGRES:-}" ]; then
    start_postgres
    trap stop_postgres EXIT
fi
host="${HEADWATER_TEST_POSTGRES%%:*}" port="${HEADWATER_TEST_POSTGRES##*:}" database="rate_$$"
export PGPASSWORD=headwater-test
sql() { psql --quiet --no-psqlrc --tuples-only --no-align --host "$host" --port "$port" --username headwater --dbname "$@"; }
place=$(mktemp -d /tmp/headwater-rate-XXXXXX)

sql postgres --command "create database $database"
sql "$database" --command "create table item (id bigint primary key, a int, b text, c numeric(12,2), d timestamptz, e double precision, \
f boolean, g date, h text, i smallint)"
mkdir -p "$place/models"
cat >"$place/dbt_project.yml" <<YAML
name: rate
profile: rate
YAML
cat >"$place/profiles.yml" <<YAML
rate:
  outputs:
    default: {type: datafusion, path: warehouse, schema: main}
  connections:
    db: {type: postgres, host: $host, port: $port, user: headwater, password: $PGPASSWORD, dbname: $database}
YAML
cat >"$place/models/sources.yml" <<YAML
sources:
  - name: rate
    tables:
      - {name: item, ingest: {connector: postgres, connection: db, table: public.item}}
YAML
cd "$place"
"$headwater" ingest --until-caught-up >/dev/null
publication=$(sql "$database" --command "select pubname from pg_publication")
recv() { pg_recvlogical --host "$host" --port "$port" --username headwater --dbname "$database" --slot peer "$@"; }
PATH="$PATH:/usr/lib/postgresql/${postgres_version}/bin"
recv --create-slot --plugin pgoutput
for part in $(seq 0 99); do
    sql "$database" --command "insert into item select g, g % 1000, 'name ' || g, g / 7.0, now(), g / 3.0, g % 2 = 0, \
date '2020-01-01' + (g % 1000)::int, md5(g::text), (g % 100)::int from generate_series($rows / 100 * $part, $rows / 100 * ($part + 1) - 1) g"
done
end=$(sql "$database" --command "select pg_current_wal_flush_lsn()")

seconds() { python3 -c 'import sys, time, subprocess; t = time.time(); subprocess.check_call(sys.argv[1:]); print(f"{time.time() - t:.2f}")' "$@"; }
peer=$(seconds bash -c "pg_recvlogical --host $host --port $port --username headwater --dbname $database --slot peer --start --endpos $end \
--option proto_version=2 --option streaming=on --option binary=true --option publication_names=$publication --no-loop --file $place/peer.out 2>/dev/null")
ours=$(seconds bash -c "$headwater ingest --until-caught-up >$place/log")
python3 -c "
rows, peer, ours = $rows, $peer, $ours
print(f'pg_recvlogical  {peer:7.2f} s  {rows / peer:10.0f} rows/s')
print(f'headwater       {ours:7.2f} s  {rows / ours:10.0f} rows/s  {peer / ours:.2f} of its rate, start of the program and index included')"

# Latency: a file in the log with the row's position is what a reader can see.
"$headwater" ingest --for 60s >"$place/log" 2>&1 &
follower=$!
sleep 3
HOST=$host PORT=$port DATABASE=$database python3 - "$place" <<'PYTHON'
import glob, os, subprocess, sys, time
log = os.path.join(sys.argv[1], "warehouse/rate/item/_delta_log")
psql = ["psql", "-q", "-X", "-h", os.environ["HOST"], "-p", os.environ["PORT"], "-U", "headwater", "-d", os.environ["DATABASE"]]
session = subprocess.Popen(psql, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
times = []
for number in range(100):
    known = set(os.listdir(log))
    session.stdin.write(f"update item set a = {number} where id = {number * 37};\n\\echo done\n")
    session.stdin.flush()
    session.stdout.readline()
    start = time.time()
    while not any(name.endswith(".json") for name in set(os.listdir(log)) - known):
        time.sleep(0.002)
        if time.time() - start > 20:
            sys.exit("a change did not arrive")
    times.append(time.time() - start)
times.sort()
print(f"commit -> visible: p50 {times[50] * 1000:.0f} ms, p99 {times[98] * 1000:.0f} ms, most {times[-1] * 1000:.0f} ms (100 single updates)")
PYTHON
kill -INT "$follower" && wait "$follower" || true
recv --drop-slot
"$headwater" ingest reset >/dev/null
cd /
sql postgres --command "drop database $database"
rm -rf "$place"
