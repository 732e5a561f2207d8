#!/bin/sh
# Formatting, layering, static analysis, and what the man pages and scripts look like to their linters.
set -eu
cd "$(dirname "$0")/.."
sources=$(git ls-files 'core/*.[ch]' 'fcgi/*.[ch]' 'cli/*.[ch]' 'include/prgate/*.h' 'tests/unit/*.[ch]' 'tests/fuzz/*.[ch]' \
    'tests/timing/*.c' 'tests/preload/*.c' 'tests/bench/*.[ch]')
# shellcheck disable=SC2086  # a list of names without blanks
clang-format --dry-run -Werror $sources
echo "format: fine"
tests/layers.sh
tests/docs.sh
# shellcheck disable=SC2046
shellcheck -x -S warning $(git ls-files '*.sh' '*.bash' 'debian/prgate.p*' .ci/run)
echo "shellcheck: fine"
for page in docs/*.[158]; do
    mandoc -T lint -W warning "$page"
done
echo "man pages: fine"
mkdir -p build
git ls-files 'core/*.c' 'fcgi/*.c' 'cli/*.c' |
    xargs -P 2 -n 6 sh -c 'clang-tidy --quiet "$@" -- -std=c17 -D_GNU_SOURCE -Iinclude -Ifcgi -Icli' sh \
        >build/clang-tidy.log 2>&1 || {
    grep -E 'error:|warning:' build/clang-tidy.log >&2
    exit 1
}
echo "clang-tidy: fine"
