#!/bin/sh
# What docs/security.md promises and no other test looks at: each row of its tables names a test that there is; the
# unit's sandbox; and that the time of a signature's check tells nothing. BUILD: where the programs are.
set -u
cd "$(dirname "$0")/.." || exit 1
build=${BUILD:-build}
failed=0
complain() {
    echo "security: $1" >&2
    failed=1
}

# ---- the threat model --------------------------------------------------------------

# A test is named as FILE:FUNCTION below tests/unit or tests/integration; a script by its path.
test_exists() { # NAME
    file=${1%%:*}
    function=${1#*:}
    case $file in
    test_*.c) grep -qE "cmocka_unit_test\($function\)" "tests/unit/$file" 2>/dev/null ;;
    test_*.py) grep -qE "^def $function\(" "tests/integration/$file" 2>/dev/null ;;
    tests/*) [ -x "$file" ] ;;
    *) false ;;
    esac
}

# Rows are the lines that begin with "| " and a letter, but for the tables' heads; the last column names tests.
check_model() {
    rows=0
    [ -f docs/security.md ] || { complain 'docs/security.md is missing'; return; }
    while IFS= read -r row; do
        rows=$((rows + 1))
        what=$(echo "$row" | cut -d'|' -f2)
        tests=$(echo "$row" | awk -F'|' '{print $(NF-1)}' | grep -oE '`[^`]+`' | tr -d '`')
        [ -n "$tests" ] || complain "docs/security.md: no test is named for:$what"
        for test in $tests; do
            test_exists "$test" || complain "docs/security.md: there is no test $test, named for:$what"
        done
    done <<ROWS
$(grep -E '^\| [^-]' docs/security.md | grep -vE '^\| (who|what) \|')
ROWS
    [ "$rows" -ge 20 ] || complain "docs/security.md: only $rows rows were found"
    echo "threat model: $rows rows"
}

# ---- the unit's sandbox -------------------------------------------------------------

check_unit() {
    command -v systemd-analyze >/dev/null || { complain 'systemd-analyze is missing (package systemd)'; return; }
    # Of 0 to 100; what is left is the network, which it is there for, and /proc/sys/kernel/random/boot_id.
    if report=$(systemd-analyze security --offline=yes --no-pager --threshold=12 conf/prgate.service 2>&1); then
        echo "$report" | tail -1
    else
        echo "$report" | grep -E '✗|Overall' >&2
        complain 'conf/prgate.service is more open than 1.2'
    fi
}

# ---- the time of a signature's check --------------------------------------------------

instructions() { # SECRET HEADER: "RESULT COUNT"
    out=$build/callgrind.out
    result=$(valgrind -q --tool=callgrind --callgrind-out-file="$out" --toggle-collect=measured \
        "$build/check_signature" "$1" "$2") || return
    echo "$result $(sed -n 's/^totals: *//p' "$out")"
}

# Other digits of the same kind: a header's own letters are no secret, and reading them may take what it takes.
with_wrong() { # HEADER POSITION: of a digit, counted from the scheme's end
    echo "$1" | awk -v at="$2" '{
        at += 7; digit = substr($0, at, 1)
        if (digit ~ /[0-9]/) digit = (digit + 1) % 10; else digit = digit == "f" ? "a" : substr("bcdef", index("abcde", digit), 1)
        print substr($0, 1, at - 1) digit substr($0, at + 1)
    }'
}

# WANT is the result: 0 is good, 3 is wrong.
check_timing() {
    right=$("$build/check_signature" make x)
    all=
    while read -r name want secret header; do
        got=$(instructions "$secret" "$header") || { complain "callgrind failed for $name"; return; }
        [ "${got% *}" = "$want" ] || complain "a signature that is $name is judged ${got% *}, want $want"
        echo "signature $name: ${got#* } instructions"
        all="$all ${got#* }"
    done <<ROWS
right 0 first $right
right-by-another-secret 0 last $right
by-a-secret-that-is-not-ours 3 none $right
wrong-in-its-first-digit 3 first $(with_wrong "$right" 1)
wrong-in-the-middle 3 first $(with_wrong "$right" 32)
wrong-in-its-last-digit 3 first $(with_wrong "$right" 64)
ROWS
    [ "$(echo "$all" | tr ' ' '\n' | grep -cE '^[1-9][0-9]{3,}$')" -eq 6 ] || complain 'callgrind counted nothing'
    [ "$(echo "$all" | tr ' ' '\n' | grep . | sort -u | wc -l)" -eq 1 ] ||
        complain 'the number of instructions depends on where a signature is wrong, or on which secret is right'
}

check_model
check_unit
check_timing
[ "$failed" -eq 0 ] && echo "security: fine"
exit "$failed"
