#!/bin/sh
# What the documents list is what there is: every configuration key, route, prgatectl command and metric's
# source stands where a reader looks for it; and links lead somewhere.
set -eu
cd "$(dirname "$0")/.."
failed=0
expect() { # WORD FILE...
    word=$1
    shift
    for file in "$@"; do
        grep -qF -- "$word" "$file" || {
            echo "docs: $file does not mention $word" >&2
            failed=1
        }
    done
}

keys=$(grep -oE '\{(TOP|REPO)\("[a-z_]+"|\.name = "[a-z_]+"' core/config*.c | grep -oE '"[a-z_]+"' | tr -d '"' | sort -u)
[ "$(echo "$keys" | wc -l)" -gt 25 ] || { echo "docs: the keys in core/config.c were not found" >&2; exit 1; }
for key in $keys; do
    case $key in github | repo) continue ;; esac
    expect "$key" docs/configuration.md docs/prgate.conf.5 conf/prgate.conf
done
for route in $(grep -oE '^    \{"/[a-z]*' fcgi/routes.c | grep -oE '/[a-z]*'); do
    expect "$route" docs/operating.md docs/prgate.8
done
for command in $(sed -n '/^static const struct command commands/,/^}/s/^    {"\([a-z]*\)".*/\1/p' cli/prgatectl.c); do
    expect "$command" docs/operating.md docs/prgatectl.1
done
tests/docs.py || failed=1
[ "$failed" -eq 0 ] && echo "docs: fine"
exit "$failed"
