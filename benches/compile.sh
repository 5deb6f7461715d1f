#!/usr/bin/env bash
# `compile` of a whole generated project, every model planned over typed columns: the sources' columns are declared with types first.
#
#   benches/compile.sh GENERATOR    GENERATOR: a script that takes `--models N --out DIR`
#   MODELS=1000 RUNS=3              as given here if not set
#   HEADWATER_BINARY=<path> runs that program instead of a release build made here.
set -euo pipefail
. "$(dirname "$0")/generated.sh"
generated "${MODELS:-1000}"
cd "$work/${MODELS:-1000}/project"
result="$work/result.json"
python3 "$benches/type_sources.py" .
compile=("$headwater" --quiet compile --profiles-dir ../profiles)
measure run "$result" "compile, all" "${RUNS:-3}" "rm -rf target" -- "${compile[@]}" --no-partial-parse
measure run "$result" "compile, models" "${RUNS:-3}" "rm -rf target" -- "${compile[@]}" --no-partial-parse --resource-type model
measure run "$result" "compile, models, warm" "${RUNS:-3}" true -- "${compile[@]}" --resource-type model
python3 - <<'P'
import json
is_model = lambda name: name.startswith("model.")
typed = sum(map(is_model, json.load(open("target/column_lineage.json"))["nodes"]))
models = sum(map(is_model, json.load(open("target/manifest.json"))["nodes"]))
print(f"{typed} of {models} models were typed")
P
measure run "$result" "models, not typed" "${RUNS:-3}" true -- "${compile[@]}" --resource-type model --static-analysis off
measure show "$result"
