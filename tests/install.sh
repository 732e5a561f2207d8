#!/bin/sh
# make install and make uninstall into a directory of their own: all is there, runs, and is gone again.
set -eu
cd "$(dirname "$0")/.."
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
make=${MAKE:-make}
"$make" -s install DESTDIR="$root" PREFIX=/usr
for file in lib/prgate/prgate.fcgi bin/prgatectl share/man/man1/prgatectl.1 share/man/man5/prgate.conf.5 \
    share/man/man8/prgate.8 share/doc/prgate/examples/nginx.conf.example share/doc/prgate/examples/prgate.conf \
    share/doc/prgate/README.md share/doc/prgate/tutorial-nginx.md share/doc/prgate/status-overview.png share/bash-completion/completions/prgatectl share/zsh/site-functions/_prgatectl; do
    [ -f "$root/usr/$file" ] || { echo "install: $file is missing" >&2; exit 1; }
done
tests/docs.py "$root/usr/share/doc/prgate" # there all pages are in one directory
"$root/usr/bin/prgatectl" -V | grep -q '^prgatectl [0-9]'
"$make" -s uninstall DESTDIR="$root" PREFIX=/usr
left=$(find "$root" -type f)
[ -z "$left" ] || { echo "uninstall left: $left" >&2; exit 1; }
echo "install: fine"
