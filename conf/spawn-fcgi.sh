#!/bin/sh
# Starts the pool without systemd, and stays in the foreground as its supervisor's child should.
# As root the processes become PRGATE_USER. Stop it with SIGTERM: multiwatch then sends each process SIGUSR1,
# which prgate takes like SIGTERM, and waits. (Its --signal is off by one in Debian 12: do not use that.) SIGUSR2 is
# handed on to each, which prgate takes like SIGHUP: it reads its configuration anew.
set -eu

: "${PRGATE_USER:=prgate}" "${PRGATE_WEB_GROUP:=www-data}" "${PRGATE_PROCESSES:=4}"
PRGATE_CONF=/etc/prgate/prgate.conf
socket=/run/prgate/prgate.sock
program=/usr/lib/prgate/prgate.fcgi
export PRGATE_CONF

umask 077
[ -d "$(dirname "$socket")" ] || install -d -m 755 "$(dirname "$socket")"
rm -f "$socket" # one that a pool killed before left behind

# -n: spawn-fcgi becomes multiwatch. The socket is bound before it is chmod-ed, and listens on descriptor 0.
set -- -n -b 1024 -s "$socket"
if [ "$(id -u)" -eq 0 ]; then
    set -- "$@" -M 660 -U "$PRGATE_USER" -G "$PRGATE_WEB_GROUP" -u "$PRGATE_USER" -g "$PRGATE_USER"
else
    set -- "$@" -M 600 # same user as the web server, then
fi
# A process that dies 20 times in a row within a second of its start is given up; else it is replaced.
exec spawn-fcgi "$@" -- /usr/bin/multiwatch --forks="$PRGATE_PROCESSES" --retry=20 --timeout=1000 -- "$program"
