#!/bin/sh
# Members that die, and members that are told to reload and to end: CRASH_N lives of pull requests each, CRASH_SEED
# for the dice. Both at the same time, since much of it is waiting; what they measured is printed.
set -u
cd "$(dirname "$0")/.." || exit 1
logs=build/check
mkdir -p "$logs"

# What a script has in the background ignores interrupts, unless it is told not to.
run() { # NAME
    env --default-signal=INT /usr/bin/python3 -m pytest -q -s -p no:cacheprovider "tests/integration/test_$1.py" >"$logs/crash-$1.log" 2>&1
}

run signals &
signals=$!
status=0
run crash || status=1
wait "$signals" || status=1
cat "$logs/crash-crash.log" "$logs/crash-signals.log"

# tests/run.sh reads one line.
count() {
    total=0
    for n in $(grep -hoE "[0-9]+ $1" "$logs/crash-crash.log" "$logs/crash-signals.log" | grep -oE '^[0-9]+'); do
        total=$((total + n))
    done
    echo "$total"
}
echo "in all: $(count failed) failed, $(count error) errors, $(count passed) passed"
exit "$status"
