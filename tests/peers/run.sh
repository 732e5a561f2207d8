#!/bin/sh
# Holds prgate against what GitHub has published; see peers.py. Called by `make check-peers`, after the build.
set -eu

cd "$(dirname "$0")"
fail() { echo "tests/peers/run.sh: $*" >&2; exit 1; }

if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
    fail "node and npm are missing; run: tools/packages.sh check"
fi
[ "$(node -p 'process.versions.node.split(".")[0]')" -ge 18 ] || fail "node 18 or newer is needed, not $(node -v)"
# What the lock file says, exactly, and only when it says something new: the description of GitHub is large.
if ! cmp -s package-lock.json node_modules/.installed; then
    timeout 300 npm ci --no-audit --no-fund --loglevel=error || fail "npm could not install what package-lock.json lists"
    cp package-lock.json node_modules/.installed
fi
PYTHONDONTWRITEBYTECODE=1 timeout 600 /usr/bin/python3 peers.py "$@"
