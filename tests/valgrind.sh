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
# In `make check`: what takes seconds. `make check-valgrind` has all the others, too, some of them for minutes.
quick='alive buf claims codec config config_mistakes decide delivery err fiber intent ledger questions routes salvage secrecy signature
    tables trigger trust web wording'

programs=
case $1 in
short)
    for name in $quick; do programs="$programs test_$name"; done
    ;;
all)
    for source in tests/unit/test_*.c; do
        name=$(basename "$source" .c)
        case " $never " in *" $name "*) ;; *) programs="$programs $name" ;; esac
    done
    ;;
*) echo 'usage: valgrind.sh short|all BUILD' >&2; exit 64 ;;
esac

# shellcheck disable=SC2016 # for the inner shell
echo "$programs" | tr ' ' '\n' | grep . | xargs -P 2 -n 1 sh -c '
    # Processes that end amid their work have not lost what they still had: there only the other errors count.
    # Nor are leaks looked for after test_status and test_inspect: memcheck is at it for more than ten minutes.
    case $2 in test_drain | test_status | test_inspect) leaks=no ;; *) leaks=full ;; esac
    start=$(date +%s)
    timeout 900 valgrind -q --error-exitcode=99 --leak-check=$leaks --errors-for-leak-kinds=definite,indirect,possible \
        --show-leak-kinds=definite,indirect,possible --suppressions=tests/valgrind.supp --num-callers=30 \
        "$1/unit/$2" >"$0/$2.log" 2>&1
    echo "$?" >"$0/$2.status"
    echo "$(($(date +%s) - start)) s $2"' "$logs" "$build"

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
