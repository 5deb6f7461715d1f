# Sourced by the scripts that measure generated projects: `generated MODELS` makes $work/MODELS/project with a profile for the embedded engine
# in $work/MODELS/profiles; `$headwater`, `$work` and `$measure` are set. GENERATOR is a script that takes `--models N --out DIR`.
cd "$(dirname "${BASH_SOURCE[0]}")/.."
generator="${1:-}"
[ -f "$generator" ] || { echo "skipped: there is no generator at '$generator'"; exit 0; }
generator="$(realpath "$generator")"
headwater="${HEADWATER_BINARY:-${CARGO_TARGET_DIR:-$PWD/target}/release/headwater}"
[ -n "${HEADWATER_BINARY:-}" ] || cargo build --release --quiet
benches="$PWD/benches"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
export DO_NOT_TRACK=1 DBT_SEND_ANONYMOUS_USAGE_STATS=false

measure() { python3 "$benches/measure.py" "$@"; }

generated() {
  mkdir -p "$work/$1/profiles"
  python3 "$generator" --models "$1" --out "$work/$1/project" > /dev/null
  # The generated profile names another engine; ours is the embedded one, under the same name.
  profile="$(sed -n "s/^profile: *[\"']*\([A-Za-z0-9_]*\).*/\1/p" "$work/$1/project/dbt_project.yml")"
  printf '%s:\n  target: dev\n  outputs:\n    dev: {type: datafusion, path: "%s/warehouse", schema: main, threads: 4}\n' \
    "$profile" "$work/$1" > "$work/$1/profiles/profiles.yml"
}
