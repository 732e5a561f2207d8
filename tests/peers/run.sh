#!/bin/sh
# Holds prgate against what GitHub has published; see peers.py. Called by `make check-peers`, after the build.
set -eu

cd "$(dirname "$0")"
../npm-ci.sh . check
PYTHONDONTWRITEBYTECODE=1 timeout 600 /usr/bin/python3 peers.py "$@"
