#!/bin/sh
# The whole pool under sanitizers: races behind nginx and, for leaks, each request a process of its own.
# A report, which the servers would hide, is a file in a directory of its own.
set -u
cd "$(dirname "$0")/.." || exit 1
reports=$(mktemp -d)
trap 'rm -rf "$reports"' EXIT
chmod 1777 "$reports" # members of the pool run as the web server's user
cp tests/tsan.supp "$reports/suppressions"
chmod 644 "$reports/suppressions"
status=0

run() { # NAME PYTEST-ARGUMENTS...: NAME is the Makefile's target for the build
    name=$1
    shift
    ${MAKE:-make} -s -j2 "$name" || return 1
    (cd tests/integration &&
        ASAN_OPTIONS="log_path=$reports/$name" UBSAN_OPTIONS="log_path=$reports/$name:print_stacktrace=1" \
            TSAN_OPTIONS="log_path=$reports/$name:suppressions=$reports/suppressions" \
            PRGATE_BUILD="$PWD/../../build/$name" RACE_N=80 CRASH_N=40 \
            /usr/bin/python3 -m pytest -q -p no:cacheprovider "$@") || return 1
    for report in "$reports/$name".*; do
        [ -e "$report" ] || continue
        # It says so to whoever switches stacks, also to who tells it of each switch, as core/fiber.c does.
        grep -qv "WARNING: ASan doesn't fully support makecontext/swapcontext" "$report" || continue
        echo "sanitizer report:"
        head -60 "$report"
        return 1
    done
    echo "$name: no report"
}

run asan test_races.py test_door.py -k "races or (cgi-app and not apache)" || status=1
run tsan test_races.py || status=1
exit "$status"
