#!/bin/sh
# All checks, one after the other, each with its own log in build/check. Goes on after a failure, so that
# one run tells all. Closing line: "N passed, N failed", counted over steps and over the tests inside them.
set -u
cd "$(dirname "$0")/.." || exit 1
logs=build/check
mkdir -p "$logs"
passed=0
failed=0

# Tests that the step's runner counted itself: "N passed" and "N failed" in its last line that has them.
count_in() {
    grep -oE "[0-9]+ $2" "$1" | tail -1 | grep -oE '^[0-9]+' || echo 0
}

step() { # NAME COMMAND...
    name=$1
    shift
    start=$(date +%s)
    if "$@" >"$logs/$name.log" 2>&1; then
        good=$(count_in "$logs/$name.log" passed)
        [ "$good" -gt 0 ] || good=1
        passed=$((passed + good))
        echo "ok    $name ($(($(date +%s) - start)) s, $good)"
    else
        bad=$(count_in "$logs/$name.log" failed)
        [ "$bad" -gt 0 ] || bad=1
        failed=$((failed + bad))
        passed=$((passed + $(count_in "$logs/$name.log" passed)))
        echo "FAIL  $name ($(($(date +%s) - start)) s): $logs/$name.log ends with"
        tail -40 "$logs/$name.log" | sed 's/^/      /'
    fi
}

make=${MAKE:-make}
step build "$make" -j2 all
step clang "$make" -j2 check-clang
step style "$make" check-style
step hardening "$make" check-hardening
step unit "$make" -j2 check-unit
step growth "$make" check-growth
step guard "$make" bench-guard
step asan "$make" -j2 check-asan
step tsan "$make" -j2 check-tsan
step valgrind "$make" -j2 check-valgrind VALGRIND=short
# A run that finds something new in a change that has nothing to do with it helps nobody: that is for `make fuzz`.
step fuzz env FUZZ_SEED=1 "$make" -j2 fuzz
step security "$make" check-security
step sanitized "$make" check-sanitized
step integration "$make" check-integration
step crash "$make" check-crash
step peers "$make" check-peers
step web "$make" check-web
step install "$make" check-install
step deb "$make" check-deb
step mutants "$make" check-mutants
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
