#!/bin/sh
# Runs the whole suite: run-tests.sh PYTHON. Several directories run at once, each in a process of its own, as the tests
# that work with programs of others mostly wait for them. What a directory prints comes when it is done; the failures
# of all come once more at the end.
set -u
python=$1
at_once=3

# The longest first, so that none is left alone at the end; then whatever else there is.
longest="tests/real tests/transports tests/inbox tests/outbox tests/space tests/faults tests/lifecycle tests/chaos
tests/contrib tests/recipes"

all_jobs() {
    for directory in $longest; do echo "$directory"; done
    for directory in tests/*/; do
        directory=${directory%/}
        case " $(echo $longest) " in *" $directory "*) continue ;; esac
        ls "$directory"/test_*.py >/dev/null 2>&1 && echo "$directory"
    done
    echo "tests/test_*.py"
}

logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
export python logs
# shellcheck disable=SC2016 # the shell that runs one directory expands it
all_jobs | xargs -P "$at_once" -I JOB sh -c '
    log=$logs/$(echo "JOB" | tr -c "a-z_\n" -)
    "$python" -m pytest JOB >"$log" 2>&1
    status=$?
    flock "$logs" cat "$log"
    exit $status'
status=$?

echo "All directories:"
grep -hE "^(FAILED|ERROR|SKIPPED|XFAIL|XPASS) " "$logs"/*
grep -hE "^=+ .*[0-9]+ (passed|failed|skipped|error).* in [0-9.]+s" "$logs"/*
exit "$status"
