#!/bin/sh
# All checks, each with its own log in build/check. Steps that mostly wait have another one beside them. Goes on after a
# failure, so that one run tells all. Each line has the step's seconds, those of processors that it used (as far as
# its processes were waited for), and how many passed. Closing line: "N passed, N failed", counted over steps and over
# the tests inside them. An interrupt ends all that runs; a second one does not wait for it to tidy up.
set -u
cd "$(dirname "$0")/.." || exit 1
logs=build/check
mkdir -p "$logs"
passed=0
failed=0
running=

# Each step leads a session of its own, which a terminal's interrupt does not reach: end() passes it on. Without `env`, what
# runs in the background would ignore it.
begin() { # NAME COMMAND...
    name=$1
    shift
    rm -f "$logs/$name.end"
    # shellcheck disable=SC2016 # for the inner shell
    setsid env --default-signal=INT,QUIT sh -c '
        start=$(date +%s) status=0
        "$@" >"$0.log" 2>&1 || status=$?
        { echo "$status $(($(date +%s) - start))"; times; } >"$0.end"' "$logs/$name" "$@" &
    running="$running $name:$!"
}

# SIGINT has pytest put away what it started. `timeout` has its command in a group of its own.
end() {
    tries=100
    trap 'tries=0' INT TERM HUP
    for job in $running; do
        kill -INT "-${job#*:}" 2>/dev/null
        pkill -INT -x -s "${job#*:}" timeout
    done
    while any_runs && [ "$tries" -gt 0 ]; do
        tries=$((tries - 1))
        sleep 0.2
    done
    # Servers have groups, or sessions, of their own.
    for job in $running; do
        pkill -KILL -s "${job#*:}"
        family "${job#*:}" | xargs -r kill -KILL 2>/dev/null
    done
    exit 130
}

family() { # PID...: and all that descend from them
    for pid in "$@"; do
        echo "$pid"
        # shellcheck disable=SC2046 # a list of numbers
        family $(pgrep -P "$pid")
    done
}

any_runs() {
    for job in $running; do pgrep -s "${job#*:}" >/dev/null && return; done
    return 1
}
trap end INT TERM HUP

# Tests that the step's runner counted itself: "N passed" and "N failed" in its last line that has them.
count_in() {
    grep -oE "[0-9]+ $2" "$1" | tail -1 | grep -oE '^[0-9]+' || echo 0
}

# The second line that `times` prints is of the children: "0m1.50s 0m0.25s".
processor_seconds() {
    awk 'NR == 3 { for (i = 1; i <= 2; i++) { split($i, t, "[ms]"); sum += 60 * t[1] + t[2] } printf "%.0f", sum }' "$1"
}

finish() { # NAME: waits for it, and tells
    name=$1 log=$logs/$1.log
    for job in $running; do
        [ "${job%%:*}" != "$name" ] || wait "${job#*:}"
    done
    running=$(echo " $running " | sed "s/ $name:[0-9]* / /")
    read -r status seconds 2>/dev/null <"$logs/$name.end" || status=1 seconds='?'
    took="$seconds s, $(processor_seconds "$logs/$name.end" 2>/dev/null) s of processors"
    good=$(count_in "$log" passed)
    if [ "$status" -eq 0 ]; then
        [ "$good" -gt 0 ] || good=1
        passed=$((passed + good))
        echo "ok    $name ($took, $good)"
    else
        bad=$(count_in "$log" failed)
        [ "$bad" -gt 0 ] || bad=1
        failed=$((failed + bad))
        passed=$((passed + good))
        echo "FAIL  $name ($took): $log ends with"
        tail -40 "$log" | sed 's/^/      /'
    fi
}

step() { # NAME COMMAND...
    begin "$@"
    finish "$1"
}

make=${MAKE:-make}
# With what several steps need: none of them is to build what another one builds at the same time.
step build "$make" -j2 all test-programs
step clang "$make" -j2 check-clang
step style "$make" check-style
step hardening "$make" check-hardening
step unit "$make" -j2 check-unit
step growth "$make" check-growth
step guard "$make" bench-guard
step asan "$make" -j2 check-asan
# With the programs of the step before it. It waits for the disk.
begin run-again "$make" check-run-again
step tsan "$make" -j2 check-tsan
step valgrind "$make" -j2 check-valgrind VALGRIND=short
finish run-again
# A run that finds something new in a change that has nothing to do with it helps nobody: that is for `make fuzz`.
step fuzz env FUZZ_SEED=1 "$make" -j2 fuzz
step security "$make" check-security
begin sanitized "$make" check-sanitized
step mutants "$make" check-mutants
finish sanitized
step integration "$make" check-integration
# Beside it only what leaves it processors: its kills are to hit amid the work.
begin crash "$make" check-crash
step peers "$make" check-peers
step web "$make" check-web
step install "$make" check-install
step deb "$make" check-deb
finish crash
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
