#!/bin/sh
# Tests of the tests: breaks one line of the gate at a time, in a copy, and expects the named
# suite to go red. A mutant that survives is a check that cannot fail.
# Each file in tests/mutants: "# suite: COMMAND" and a patch.
set -u
cd "$(dirname "$0")/.." || exit 1
${MAKE:-make} -s -j2 all || exit 1
built='build/core build/fcgi build/cli build/prgate.fcgi build/prgatectl'
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
killed=0
survived=0
for patch in tests/mutants/*.patch; do
    name=$(basename "$patch" .patch)
    copy=$work/$name
    mkdir "$copy"
    # With what is built, and with its times: only what the patch touches is compiled.
    git ls-files -z | xargs -0 cp -p --parents -t "$copy" 2>/dev/null
    # shellcheck disable=SC2086  # names without blanks
    cp -pr --parents $built -t "$copy"
    suite=$(sed -n 's/^# suite: //p' "$patch")
    if ! (cd "$copy" && patch -s -p1 <"tests/mutants/$name.patch" && make -s -j2 all) >"$work/$name.log" 2>&1; then
        echo "mutant $name: does not apply or build any more"
        cat "$work/$name.log"
        survived=$((survived + 1))
    elif (cd "$copy" && timeout 600 sh -c "$suite") >"$work/$name.log" 2>&1; then
        echo "mutant $name: SURVIVED: $suite"
        survived=$((survived + 1))
    else
        echo "mutant $name: killed: $(grep -hE '^E  |FAILED|got .*want' "$work/$name.log" | head -1)"
        killed=$((killed + 1))
    fi
    rm -rf "$copy"
done
echo "$killed passed, $survived failed"
[ "$survived" -eq 0 ] && [ "$killed" -gt 0 ]
