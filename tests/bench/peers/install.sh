#!/bin/sh
# Installs what package-lock.json says, exactly, and only when it says something new. Called by `make bench-peers`.
set -eu

cd "$(dirname "$0")"
fail() { echo "tests/bench/peers/install.sh: $*" >&2; exit 1; }

if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
    fail "node and npm are missing; run: tools/packages.sh peers"
fi
[ "$(node -p 'process.versions.node.split(".")[0]')" -ge 18 ] || fail "node 18 or newer is needed, not $(node -v)"
if ! cmp -s package-lock.json node_modules/.installed; then
    timeout 300 npm ci --no-audit --no-fund --loglevel=error || fail "npm could not install what package-lock.json lists"
    cp package-lock.json node_modules/.installed
fi
