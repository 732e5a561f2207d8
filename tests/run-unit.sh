#!/bin/sh
# Runs the unit test programs, as many at a time as there are processors and one more, since many of them wait for the
# disk, and counts their tests. Closing line: "unit: N passed, N failed".
set -u
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

# shellcheck disable=SC2016 # for the inner shell
printf '%s\n' "$@" | xargs -P $(($(nproc) + 1)) -I '{}' sh -c '
    name=$(basename "$1")
    timeout 300 "$1" >"$0/$name.log" 2>&1
    echo "$?" >"$0/$name.status"' "$logs" '{}'

# A program's output without its tests that passed.
trouble_in() {
    awk '/^\[ RUN / { run = $0 "\n"; next } /^\[ +OK \]/ { run = ""; next } { printf "%s%s\n", run, $0; run = "" }
        END { printf "%s", run }' "$1"
}

# What failed comes last: of a long output, people are shown the end.
passed=0
failed=0
told=$logs/told
: >"$told"
for program in "$@"; do
    name=$(basename "$program")
    log=$logs/$name.log
    status=$(cat "$logs/$name.status" 2>/dev/null || echo 127)
    [ "$status" -eq 0 ] || trouble_in "$log" >>"$told"
    good=$(grep -c '^\[       OK \]' "$log")
    bad=$(grep -c '^\[  FAILED  \] test' "$log")
    # cmocka lists each failure twice; a program that died counts as one.
    bad=$((bad / 2))
    if [ "$status" -ne 0 ] && [ "$bad" -eq 0 ]; then
        bad=1
        echo "$name: ended with status $status" >>"$told"
    fi
    if [ "$good" -eq 0 ] && [ "$bad" -eq 0 ]; then
        bad=1
        echo "$name: ran no test" >>"$told"
    fi
    echo "$name: $good passed, $bad failed"
    passed=$((passed + good))
    failed=$((failed + bad))
done
cat "$told"
echo "unit: $passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
