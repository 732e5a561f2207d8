#!/bin/sh
# fuzz.sh BUILD SECONDS NAME...: runs each harness for so long, two at a time, from its corpus in tests/fuzz/corpus.
# FUZZ_SEED, a number above zero, makes a run begin like another one. New inputs of interest go below BUILD/new. The first input that crashes ends all, and is named.
set -u
cd "$(dirname "$0")/.." || exit 1
build=$1
seconds=$2
shift 2
rm -rf "$build/crash" "$build/log"
mkdir -p "$build/crash" "$build/log"
# In memory where there is such a place: the store syncs each commit.
memory=/tmp
[ -w /dev/shm ] && memory=/dev/shm
FUZZ_SCRATCH=$(mktemp -d "$memory/prgate.XXXXXX") || exit 1
export FUZZ_SCRATCH
trap 'rm -rf "$FUZZ_SCRATCH"' EXIT

fuzz() { # NAME: libFuzzer says nothing of an input that takes too long or too much but by its own limits
    mkdir -p "$build/new/$1"
    dictionary="tests/fuzz/$1.dict"
    UBSAN_OPTIONS=print_stacktrace=1 "$build/fuzz_$1" -max_total_time="$seconds" -timeout=60 -rss_limit_mb=1500 \
        -max_len=65536 ${FUZZ_SEED:+-seed="$FUZZ_SEED"} -print_final_stats=1 -artifact_prefix="$build/crash/$1-" ${dictionary:+-dict="$dictionary"} \
        "$build/new/$1" "tests/fuzz/corpus/$1" >"$build/log/$1" 2>&1 &
}

# Waits until fewer than so many run; false when one has found something.
wait_below() { # COUNT
    while :; do
        left=
        for job in $running; do
            if kill -0 "${job#*:}" 2>/dev/null; then
                left="$left $job"
            else
                finish "$job" || return 1
            fi
        done
        running=$left
        # shellcheck disable=SC2086 # a list
        set -- "$1" $running
        [ $(($# - 1)) -lt "$1" ] && return
        sleep 0.2
    done
}

finish() { # NAME:PID
    name=${1%:*}
    if wait "${1#*:}"; then
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$build/log/$name")
        edges=$(grep -oE 'cov: [0-9]+' "$build/log/$name" | tail -1)
        echo "fuzz: $name: $runs inputs, $edges, no crash"
        return
    fi
    echo "fuzz: $name: an input that must not be, in $build/crash:" >&2
    find "$build/crash" -type f -name "$name-*" >&2
    echo "fuzz: run it alone with $build/fuzz_$name FILE; libFuzzer said:" >&2
    grep -vE '^#[0-9]+' "$build/log/$name" | tail -60 >&2
    return 1
}

running=
end_all() {
    for job in $running; do kill "${job#*:}" 2>/dev/null; done
    wait
    running=
}
trap 'end_all; exit 130' INT TERM
for name in "$@"; do
    [ -d "tests/fuzz/corpus/$name" ] || { echo "fuzz: no corpus for $name" >&2; end_all; exit 1; }
    fuzz "$name"
    running="$running $name:$!"
    wait_below 2 || { end_all; exit 1; }
done
wait_below 1 || { end_all; exit 1; }
echo "fuzz: $# passed, 0 failed"
