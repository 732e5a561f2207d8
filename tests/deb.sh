#!/bin/sh
# deb.sh: the Debian package's life. It is built, held to lintian, installed, configured, started from its own unit
# files, posted to through nginx, upgraded, removed and purged.
#
# On the machine itself only as root, where neither prgate nor systemd is there (a container that is thrown away), or
# with PRGATE_DEB_INSTALL=1; else (or with 0) unpacked into a directory, where the maintainer scripts are not run.
set -eu
cd "$(dirname "$0")/.."
make=${MAKE:-make}
build=${BUILD:-build}
passed=0
fail() { echo "deb: $*" >&2; echo "$passed passed, 1 failed"; exit 1; }
good() { passed=$((passed + 1)); echo "ok    $*"; }

work=$(mktemp -d)
chmod 755 "$work"
root='' pool='' nginx='' installed=no
port=$((20000 + $$ % 12000)) # below those that clients get

stop() { # PID, and wait
    [ -z "$1" ] || { kill "$1" 2>/dev/null && wait "$1" 2>/dev/null; } || :
}

# shellcheck disable=SC2317 # the trap calls it
leave() {
    stop "$nginx"
    stop "$pool"
    if [ "$installed" = yes ]; then
        dpkg --purge prgate >/dev/null 2>&1 || :
        deluser --quiet --system prgate >/dev/null 2>&1 || :
        rm -rf /run/prgate
    fi
    rm -rf "$work"
}
trap leave EXIT
trap 'exit 130' INT TERM HUP

# ---- building ---------------------------------------------------------------------

check_versions() {
    version=$(sed -n 's/^VERSION = //p' Makefile)
    [ "$(dpkg-parsechangelog -S Version)" = "$version" ] ||
        fail "debian/changelog says $(dpkg-parsechangelog -S Version), the Makefile $version"
    [ "$("$build/deb/prgate/build/prgatectl" -V)" = "prgatectl $version" ] || fail "prgatectl -V does not say $version"
    newer=$version+newer
    good "Makefile, debian/changelog and prgatectl say $version"
}

build_packages() {
    # BUILD on make's command line would reach the Makefile of the copy.
    before=$(ls -A . debian)
    env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL "$make" deb || fail "make deb"
    [ "$before" = "$(ls -A . debian)" ] || fail "make deb left files among the sources: $(ls -A . debian)"
    good 'make deb builds it and leaves the sources alone'
    check_versions
    lintian --allow-root --fail-on error,warning "$build"/deb/prgate_*.changes || fail 'lintian complains'
    good 'lintian has nothing to say'
    old=$(echo "$build/deb/prgate_${version}_"*.deb)
    env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL tools/deb.sh "$build/deb" "$newer" >"$work/newer.log" 2>&1 || {
        cat "$work/newer.log"
        fail "building $newer"
    }
    new=$(echo "$build/deb/prgate_${newer}_"*.deb)
    [ -f "$old" ] || fail "$old was not built"
    [ -f "$new" ] || fail "$new was not built"
    # Slim containers have dpkg leave documents out.
    mkdir "$work/unpacked"
    dpkg-deb -x "$old" "$work/unpacked"
    for file in man/man8/prgate.8.gz man/man1/prgatectl.1.gz man/man5/prgate.conf.5.gz doc/prgate/README.Debian \
        doc/prgate/examples/nginx.conf.example bash-completion/completions/prgatectl \
        zsh/vendor-completions/_prgatectl; do
        [ -f "$work/unpacked/usr/share/$file" ] || fail "the package has no /usr/share/$file"
    done
    good 'manual pages, completions and examples are in it'
}

# ---- installing -------------------------------------------------------------------

may_install() {
    [ "$(id -u)" -eq 0 ] || { why='not root'; return 1; }
    [ "${PRGATE_DEB_INSTALL:-}" != 0 ] || { why='PRGATE_DEB_INSTALL is 0'; return 1; }
    if dpkg-query -W prgate >/dev/null 2>&1 || getent passwd prgate >/dev/null || [ -e /etc/prgate ] ||
        [ -e /var/lib/prgate ] || [ -e /run/prgate ] || [ -e /usr/lib/prgate ]; then
        why='prgate is installed here'
        return 1
    fi
    [ ! -d /run/systemd/system ] || [ "${PRGATE_DEB_INSTALL:-}" = 1 ] || {
        why='systemd runs here, and PRGATE_DEB_INSTALL is not 1'
        return 1
    }
}

put_in() { # PACKAGE
    if [ "$installed" = yes ]; then
        DEBIAN_FRONTEND=noninteractive dpkg -i "$1" </dev/null || fail "dpkg -i $1"
    else
        dpkg-deb -x "$1" "$root" || fail "dpkg-deb -x $1"
    fi
}

as_gate() { if [ "$installed" = yes ]; then runuser -u prgate -- "$@"; else "$@"; fi }
ctl() { as_gate "$root/usr/bin/prgatectl" -c "$conf" "$@"; }
unit() { sed -n "s/^$2=//p" "$root/lib/systemd/system/prgate.$1"; } # service|socket KEY
mode_of() { stat -c '%a %U %G' "$1"; }
want() { # GOT WANTED WHAT
    [ "$1" = "$2" ] || fail "$3: got \"$1\", want \"$2\""
}

check_installed() {
    want "$(mode_of /etc/prgate)" '750 root prgate' /etc/prgate
    want "$(mode_of /etc/prgate/prgate.conf)" '640 root prgate' /etc/prgate/prgate.conf
    want "$(mode_of /var/lib/prgate)" '700 prgate prgate' /var/lib/prgate
    wants=/etc/systemd/system
    [ -L $wants/sockets.target.wants/prgate.socket ] || fail 'the socket is not enabled'
    [ ! -e $wants/multi-user.target.wants/prgate.service ] || fail 'the service is enabled before it is configured'
    systemd-analyze verify --man=no /lib/systemd/system/prgate.service >"$work/verify" 2>&1 || :
    ! grep prgate "$work/verify" || fail 'systemd-analyze verify complains'
    good 'it is installed: user, modes, units; the socket is enabled'
}

# Started as it comes: refused, with what is missing, and not taken for a failure that is to be tried again.
check_unconfigured() {
    condition=$(unit service ExecCondition)
    case $condition in *'prgatectl check configuration'*) ;; *) fail "ExecCondition is $condition" ;; esac
    status=0
    said=$(ctl check configuration 2>&1) || status=$?
    want "$status" 78 "an unconfigured check's status"
    case $said in *webhook.secret*) ;; *) fail "an unconfigured check says $said" ;; esac
    good "not configured, it says: $said"
}

configure() {
    head -c 24 /dev/urandom | od -An -v -tx1 | tr -d ' \n' >"$root/etc/prgate/webhook.secret"
    chmod 640 "$root/etc/prgate/webhook.secret"
    [ "$installed" = no ] || chgrp prgate /etc/prgate/webhook.secret
    sed -i -e 's/^dry_run = false/dry_run = true/' -e 's/^  \(app_id\|private_key_file\) = /  # &/' \
        -e 's|octo-org/octo-repo|octo-org/hello-world|' -e 's/"dependabot\[bot\]"/"octocat"/' -e "s|\"/etc/prgate|\"$root/etc/prgate|" \
        -e "s|\"/var/lib/prgate|\"$root/var/lib/prgate|" "$conf"
    [ "$installed" = yes ] || mkdir -p "$root/var/lib/prgate"
    mkdir -p "$work/tmp"
    chmod 1777 "$work/tmp"
    TMPDIR=$work/tmp ctl check || fail 'prgatectl check'
    good 'configured, prgatectl check finds it fine'
}

# ---- running ----------------------------------------------------------------------

# What systemd does with the two units, as far as this test is concerned.
start_pool() {
    socket=$root$(unit socket ListenStream)
    mkdir -p "$(dirname "$socket")"
    rm -f "$socket"
    set -- -n -b "$(unit socket Backlog)" -s "$socket" -M "$(unit socket SocketMode)"
    [ "$installed" = no ] || set -- "$@" -U "$(unit socket SocketUser)" -G "$(unit socket SocketGroup)" \
        -u "$(unit service User)" -g "$(unit service Group)"
    start=$(unit service ExecStart | sed "s# /usr/lib/prgate# $root/usr/lib/prgate#")
    variable=$(unit service Environment)
    # shellcheck disable=SC2086 # a command line
    env "${variable%%=*}=$conf" spawn-fcgi "$@" -- $start >>"$work/pool.log" 2>&1 </dev/null &
    pool=$!
}

start_nginx() {
    sed -e "s|/run/nginx\\.pid|$work/nginx.pid|" -e "s|/var/log/nginx/|$work/nginx-|" \
        -e "s|/var/lib/nginx/|$work/nginx-|" -e "s|/run/prgate/prgate\\.sock|$socket|" \
        -e "s|^\\( *\\)listen 80 default_server|\\1listen 127.0.0.1:$port default_server|" \
        -e "s|^http {|&proxy_temp_path $work/p; scgi_temp_path $work/s; uwsgi_temp_path $work/u;|" \
        "$work/unpacked/usr/share/doc/prgate/examples/nginx.conf.example" >"$work/nginx.conf"
    if [ "$installed" = no ]; then
        user=''
        [ "$(id -u)" -ne 0 ] || user='user root;'
        sed -i "s/^user .*/$user/" "$work/nginx.conf"
    fi
    nginx -e "$work/nginx-error.log" -p "$work" -c "$work/nginx.conf" -g 'daemon off;' </dev/null &
    nginx=$!
}

await_pool() {
    tries=100
    until curl -s -f -o /dev/null --max-time 2 "http://127.0.0.1:$port/healthz"; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || { tail -n 20 "$work/pool.log" "$work/nginx-error.log"; fail 'the pool does not answer'; }
        sleep 0.1
    done
}

post() { # DELIVERY
    tools/send-webhook.sh -u "http://127.0.0.1:$port/webhook" -s "$root/etc/prgate/webhook.secret" -d "$1" \
        tools/sample-opened.json || fail "posting $1"
}

post_first() {
    start_pool
    start_nginx
    await_pool
    case $(post 72d3162e-0001) in *202*taken*) ;; *) fail 'the first delivery was not taken' ;; esac
    [ "$installed" = no ] || want "$(stat -c %U "/proc/$(pgrep -u prgate -f 'lib/prgate/prgate.fcgi' | head -1)")" prgate \
        "the pool's user"
    tries=50
    until ctl status octo-org/hello-world#1347 2>/dev/null | grep -q triggered; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || { tail -n 20 "$work/pool.log"; fail 'it was not decided'; }
        sleep 0.1
    done
    good 'nginx hands a signed webhook to the pool, and CI is started (dry run)'
}

upgrade() {
    want "$("$root/usr/bin/prgatectl" -V)" "prgatectl $version" 'the version before'
    edited=$(cksum <"$conf")
    put_in "$new"
    want "$("$root/usr/bin/prgatectl" -V)" "prgatectl $newer" 'the version after'
    [ "$installed" = no ] || want "$(cksum <"$conf")" "$edited" 'the edited configuration'
    [ "$installed" = yes ] || configure
    # systemd restarts the service; its socket stays.
    stop "$pool"
    start_pool
    await_pool
    case $(post 72d3162e-0001) in *200*duplicate*) ;; *) fail 'the state was lost: no duplicate' ;; esac
    case $(post 72d3162e-0002) in *202*taken*) ;; *) fail 'the upgraded pool takes nothing' ;; esac
    ctl status octo-org/hello-world#1347 | grep -q triggered || fail 'the state was lost: no record'
    good "upgraded to $newer: a delivery of before is a duplicate, the configuration is as it was"
}

remove() {
    stop "$nginx"
    stop "$pool"
    nginx='' pool=''
    dpkg --remove prgate || fail 'dpkg --remove'
    for path in /usr/lib/prgate /usr/bin/prgatectl /lib/systemd/system/prgate.service /lib/systemd/system/prgate.socket \
        /usr/share/doc/prgate /usr/share/man/man1/prgatectl.1.gz; do
        [ ! -e $path ] || fail "removed, it leaves $path"
    done
    for path in /etc/prgate/prgate.conf /etc/prgate/webhook.secret /var/lib/prgate/db/pr.db; do
        [ -f $path ] || fail "removed, it takes $path along"
    done
    good 'removed: the programs are gone, state and configuration are kept'
    dpkg --purge prgate || fail 'dpkg --purge'
    left=$(find /etc /lib/systemd/system /usr/share /usr/bin /usr/lib /var/lib -maxdepth 4 \
        -name '*prgate*' ! -path '/var/lib/dpkg/*')
    [ -z "$left" ] || fail "purged, it leaves $left"
    good 'purged: nothing is left but the user'
}

for tool in dpkg-buildpackage dh lintian fakeroot spawn-fcgi multiwatch nginx; do
    command -v $tool >/dev/null || fail "$tool is missing; run: tools/packages.sh check"
done
build_packages
why=''
exec 9>"${TMPDIR:-/tmp}/prgate-deb.lock"
flock -w 300 9 || fail 'another run of this test does not end'
if may_install; then
    installed=yes
else
    root=$work/root
    mkdir "$root"
    echo "note  unpacked below $root, maintainer scripts not run: $why"
fi
conf=$root/etc/prgate/prgate.conf
put_in "$old"
[ "$installed" = no ] || check_installed
check_unconfigured
configure
post_first
upgrade
[ "$installed" = no ] || remove
echo "$passed passed, 0 failed"
