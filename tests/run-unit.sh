#!/bin/sh
# Runs each unit test program and counts its tests. Closing line: "unit: N passed, N failed".
set -u
passed=0
failed=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for program in "$@"; do
    if timeout 300 "$program" >"$log" 2>&1; then
        status=0
    else
        status=$?
        cat "$log"
    fi
    good=$(grep -c '^\[       OK \]' "$log")
    bad=$(grep -c '^\[  FAILED  \] test' "$log")
    # cmocka lists each failure twice; a program that died counts as one.
    bad=$((bad / 2))
    if [ "$status" -ne 0 ] && [ "$bad" -eq 0 ]; then
        bad=1
        echo "$(basename "$program"): ended with status $status"
    fi
    if [ "$good" -eq 0 ] && [ "$bad" -eq 0 ]; then
        bad=1
        echo "$(basename "$program"): ran no test"
    fi
    echo "$(basename "$program"): $good passed, $bad failed"
    passed=$((passed + good))
    failed=$((failed + bad))
done
echo "unit: $passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
