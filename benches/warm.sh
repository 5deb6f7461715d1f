#!/usr/bin/env bash
# The second command: what `parse` and `ls` cost on a generated project that was parsed before.
#
#   benches/warm.sh GENERATOR      GENERATOR: a script that takes `--models N --out DIR`
#   MODELS=1000 RUNS=9             as given here if not set
#   HEADWATER_BINARY=<path> runs that program instead of a release build made here.
#
# "one leaf": a line is added to a model that nothing reads. "one yml": a description changes. "one ref": a model reads one more.
set -euo pipefail
. "$(dirname "$0")/generated.sh"
generated "${MODELS:-1000}"
cd "$work/${MODELS:-1000}/project"
result="$work/result.json"
ours=("$headwater" --quiet)
parse=("${ours[@]}" parse --profiles-dir ../profiles)
leaf="$(find models/marts -name '*.sql' | sort | tail -n 1)"
other="$(find models/marts -name '*.sql' | sort | head -n 1)"
staging="$(basename "$(find models/staging -name '*.sql' | sort | head -n 1)" .sql)"
yml="$(find models/marts -name '*__models.yml' | sort | head -n 1)"
runs="${RUNS:-9}"
# Files are settled only some time after their last change.
settle="sleep 2.2; ${parse[*]} > /dev/null"
measure run "$result" "cold parse" "$runs" "rm -rf target" -- "${parse[@]}" --no-partial-parse
measure run "$result" "cold parse, kept" "$runs" "rm -rf target" -- "${parse[@]}"
bash -c "$settle"
measure run "$result" "nothing changed" "$runs" true -- "${parse[@]}"
measure run "$result" "ls" "$runs" true -- "${ours[@]}" ls --profiles-dir ../profiles
measure run "$result" "one leaf" "$runs" "echo '-- edit' >> $leaf" -- "${parse[@]}"
measure run "$result" "one yml" "$runs" "sed -i '0,/description: /s//description: Edited. /' $yml" -- "${parse[@]}"
measure run "$result" "one ref" "$runs" "echo \"-- {{ ref('$staging') }} \$RANDOM\" >> $other" -- "${parse[@]}"
measure show "$result"
