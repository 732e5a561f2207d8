#!/bin/sh
# packages.sh [-l] run|check|bench|peers: installs the Debian packages that are missing for `make run`, `make check`,
# `make bench` or `make bench-peers`.
# -l only lists all that are needed, one per line.
set -eu

build='gcc libc6-dev make pkg-config libfcgi-dev libcurl4-openssl-dev libcjson-dev libdb5.3-dev libssl-dev libconfuse-dev'
run='nginx-light spawn-fcgi multiwatch curl openssl ca-certificates procps'
# apache2-bin is Apache without its service. A newer Node.js than Debian's may bring its own npm: see needed().
check='libcmocka-dev clang clang-format clang-tidy libclang-rt-14-dev mandoc git patch
    python3 python3-pytest python3-pytest-xdist python3-aiohttp python3-cryptography shellcheck
    apache2-bin libapache2-mod-fcgid lighttpd media-types
    binutils valgrind libc6-dbg systemd prometheus python3-yaml chromium fonts-dejavu-core
    debhelper dpkg-dev fakeroot lintian adduser'
bench='wrk valgrind python3 python3-aiohttp python3-cryptography apache2-bin media-types'
services='nginx.service lighttpd.service prometheus.service webhook.service'

fail() { echo "packages.sh: $*" >&2; exit 1; }

with_node() {
    command -v node >/dev/null || echo nodejs
    command -v npm >/dev/null || echo npm
}

needed() {
    case $1 in
    run) echo "$build $run" ;;
    check)
        echo "$build $run $check"
        with_node
        ;;
    bench) echo "$build $run $bench" ;;
    peers)
        echo webhook
        with_node
        ;;
    *) fail "usage: packages.sh [-l] run|check|bench|peers" ;;
    esac
}

is_there() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# Debian starts a web server as soon as it is installed, on port 80, which nobody asked for here. The machine's own
# policy-rc.d, where it has one, stays as it is; else one that says no is there while we install, and no longer.
policy=/usr/sbin/policy-rc.d
hold_services() {
    [ ! -e "$policy" ] || return 0
    trap 'as_root rm -f "$policy"' EXIT
    trap 'exit 130' INT TERM HUP
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
}

# What was not there before must not come up with the next boot either.
service_files() { for service in $services; do ls "/lib/systemd/system/$service" 2>/dev/null || :; done; }
disable_new_services() { # the ones that were there before
    command -v systemctl >/dev/null || return 0
    for file in $(service_files); do
        case " $1 " in *" $file "*) ;; *) as_root systemctl disable "$(basename "$file")" ;; esac
    done
}

install_packages() {
    command -v apt-get >/dev/null ||
        fail "this is not Debian; install what these packages hold, by your system's means: $*"
    [ "$(id -u)" -eq 0 ] || command -v sudo >/dev/null ||
        fail "neither root nor sudo; as root, run: apt-get install $*"
    echo "packages.sh: installing $*"
    before=$(service_files | tr '\n' ' ')
    hold_services
    as_root apt-get update -q
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
        -o DPkg::Lock::Timeout=120 "$@"
    disable_new_services "$before"
}

list=no
if [ "${1:-}" = -l ]; then list=yes; shift; fi
packages=$(needed "${1:-}")
if [ $list = yes ]; then
    echo "$packages" | tr -s ' \n' '\n'
    exit
fi
missing=
for package in $packages; do
    is_there "$package" || missing="$missing $package"
done
# shellcheck disable=SC2086 # names, separated by blanks
[ -z "$missing" ] || install_packages $missing
