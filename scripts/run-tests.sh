#!/bin/sh
# Runs the whole suite: run-tests.sh PYTHON. It runs in two halves at once, as the tests that work with programs of others
# mostly wait for them. What the first half prints comes after the second one.
set -u
python=$1
with_others="tests/real tests/recipes tests/contrib"

ignored=
for directory in $with_others; do ignored="$ignored --ignore=$directory"; done
log=$(mktemp)
# shellcheck disable=SC2086
"$python" -m pytest $with_others >"$log" 2>&1 &
half=$!
trap 'kill $half 2>/dev/null; rm -f "$log"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# shellcheck disable=SC2086
"$python" -m pytest tests $ignored
status=$?
wait "$half" || status=1
cat "$log"
exit "$status"
