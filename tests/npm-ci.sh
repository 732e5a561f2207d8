#!/bin/sh
# npm-ci.sh DIRECTORY SET: installs what its package-lock.json says, exactly, and only when that says something new: some
# of it is large. SET is what tools/packages.sh brings node and npm with.
set -eu

cd "$1"
fail() { echo "tests/npm-ci.sh: $*" >&2; exit 1; }

if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
    fail "node and npm are missing; run: tools/packages.sh $2"
fi
[ "$(node -p 'process.versions.node.split(".")[0]')" -ge 18 ] || fail "node 18 or newer is needed, not $(node -v)"
if ! cmp -s package-lock.json node_modules/.installed; then
    timeout 300 npm ci --no-audit --no-fund --loglevel=error || fail "npm could not install what $PWD/package-lock.json lists"
    cp package-lock.json node_modules/.installed
fi
