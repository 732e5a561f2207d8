#!/bin/sh
# valgrind.sh short|all BUILD: the unit tests under memcheck, two programs at a time; memory that is lost counts as an
# error. Closing line: "valgrind: N passed, N failed", in programs.
set -u
cd "$(dirname "$0")/.." || exit 1
build=$2
logs=$build/valgrind
rm -rf "$logs"
mkdir -p "$logs"

# Never run here, with the reason. Under memcheck everything takes twenty times as long.
#   test_store          processes that kill each other, and limits of a few real seconds; the sanitizers run it
#   test_shared_tokens  a lease of five real seconds
never='test_store test_shared_tokens'
# Sound, but half a minute to some minutes each: `make check-valgrind` has them.
#   test_drain test_inbox test_metrics  processes that end amid their work, each a memcheck of its own
#   test_github test_app_auth           RSA keys are made
#   test_record test_text test_event_payloads test_log  every cut, every changed byte, every day
slow='test_drain test_inbox test_metrics test_github test_app_auth test_record test_text test_event_payloads test_log'

case $1 in
short) skipped="$never $slow" ;;
all) skipped=$never ;;
*) echo 'usage: valgrind.sh short|all BUILD' >&2; exit 64 ;;
esac

programs=
for source in tests/unit/test_*.c; do
    name=$(basename "$source" .c)
    case " $skipped " in *" $name "*) continue ;; esac
    programs="$programs $name"
done

# shellcheck disable=SC2016 # for the inner shell
echo "$programs" | tr ' ' '\n' | grep . | xargs -P 2 -n 1 sh -c '
    # Processes that end amid their work have not lost what they still had: there only the other errors count.
    case $2 in test_drain) leaks=no ;; *) leaks=full ;; esac
    timeout 900 valgrind -q --error-exitcode=99 --leak-check=$leaks --errors-for-leak-kinds=definite,indirect,possible \
        --show-leak-kinds=definite,indirect,possible --suppressions=tests/valgrind.supp --num-callers=30 \
        "$1/unit/$2" >"$0/$2.log" 2>&1
    echo "$?" >"$0/$2.status"' "$logs" "$build"

passed=0
failed=0
for name in $programs; do
    status=$(cat "$logs/$name.status" 2>/dev/null || echo none)
    if [ "$status" = 0 ] && grep -q '^\[  PASSED  \]' "$logs/$name.log"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "valgrind: $name ended with status $status, $logs/$name.log:" >&2
        grep -vE '^\[( RUN|       OK)' "$logs/$name.log" | head -60 >&2
    fi
done
echo "valgrind: $passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
