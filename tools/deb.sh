#!/bin/sh
# deb.sh DIR [VERSION]: builds the Debian package in DIR, from a copy of the sources, so that nothing is left among
# them. With VERSION the copy says that it is that one; what was built there before is used again.
set -eu

[ $# -ge 1 ] || { echo "usage: deb.sh DIR [VERSION]" >&2; exit 64; }
command -v dh >/dev/null || { echo "deb.sh: dh is missing: apt-get install debhelper" >&2; exit 1; }
top=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$1"
dir=$(cd "$1" && pwd)
copy=$dir/prgate

if [ $# -lt 2 ]; then
    rm -rf "$copy" "$dir"/*.deb "$dir"/*.changes "$dir"/*.buildinfo
    mkdir "$copy"
    tar -C "$top" --exclude=./.git --exclude=./build --exclude=node_modules --exclude=__pycache__ \
        --exclude=.pytest_cache -cf - . | tar -C "$copy" -xf -
    again=
else
    [ -d "$copy" ] || { echo "deb.sh: build it without a version first" >&2; exit 1; }
    cp "$top/debian/changelog" "$dir/changelog.old"
    {
        printf 'prgate (%s) unstable; urgency=medium\n\n  * For a test of upgrades.\n\n' "$2"
        printf ' -- The prgate authors <prgate@prgate.invalid>  %s\n\n' "$(LC_ALL=C date -R)"
        cat "$dir/changelog.old"
    } >"$copy/debian/changelog"
    sed -i "s/^VERSION = .*/VERSION = $2/" "$copy/Makefile"
    # The version is in these; the rest need not be compiled again.
    touch "$copy/cli/prgatectl.c" "$copy/core/report.c"
    rm -f "$copy/debian/debhelper-build-stamp" "$dir/changelog.old"
    again=-nc
fi
cd "$copy"
# shellcheck disable=SC2086 # an option or nothing
DEB_BUILD_OPTIONS="parallel=2 ${DEB_BUILD_OPTIONS:-}" dpkg-buildpackage -us -uc -b -rfakeroot $again
ls -l "$dir"/*.deb
