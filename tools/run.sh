#!/bin/sh
# run.sh: prgate for trying out: a pool of processes and nginx on 127.0.0.1, until Ctrl-C. All of it lives in build/run/.
# Called by `make run`, which has built the programs and installed what is needed.
#
# From the environment:
#   PRGATE_CONF  a configuration of your own; else one that shows the calls to GitHub instead of making them
#   PRGATE_PORT  where nginx listens (8080)        PRGATE_PROCESSES  how large the pool is (3)
#   PRGATE_BUILD, PRGATE_RUN_DIR                   other places than build/ and build/run/
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
build=${PRGATE_BUILD:-$top/build}
dir=${PRGATE_RUN_DIR:-$build/run}
port=${PRGATE_PORT:-8080}
processes=${PRGATE_PROCESSES:-3}
socket=$dir/prgate.sock
log=$dir/prgate.log
program=$build/prgate.fcgi
own_conf=${PRGATE_CONF:-}

fail() { echo "run.sh: $*" >&2; exit 1; }

[ -x "$program" ] || fail "$program is not there; run: make"
# The limit for a Unix socket's path is 108 bytes.
[ ${#socket} -lt 108 ] || fail "the path $socket is too long for a socket; move the sources up"
case $port in *[!0-9]* | '') fail "PRGATE_PORT must be a number, not \"$port\"" ;; esac

umask 077
mkdir -p "$dir/state"

if [ ! -s "$dir/webhook.secret" ]; then
    openssl rand -hex 32 >"$dir/webhook.secret"
fi
if [ -z "$own_conf" ]; then
    PRGATE_CONF=$dir/prgate.conf
    cat >"$PRGATE_CONF" <<CONF
# Written anew by each \`make run\`. For one of your own: PRGATE_CONF=/path/to/prgate.conf make run
state_dir = "$dir/state"
webhook_secret_file = "$dir/webhook.secret"
dry_run = true
public_url = "http://127.0.0.1:$port"
repo "*" {
  trusted_users = {"octocat"}
}
CONF
fi
export PRGATE_CONF

"$top/tools/nginx-conf.sh" "$dir" "$port" "$socket" >"$dir/nginx.conf"
nginx -t -q -e "$dir/nginx-error.log" -p "$dir" -c "$dir/nginx.conf" || fail "nginx does not take $dir/nginx.conf, see above"

pool='' nginx='' tail=''
# shellcheck disable=SC2317 # the traps call it
stop() {
    trap '' INT TERM HUP
    trap - EXIT
    echo
    echo "Stopping."
    # nginx first, so that nothing new comes in; each process of the pool ends what it is at.
    for pid in $nginx $pool; do
        kill "$pid" 2>/dev/null || :
        wait "$pid" 2>/dev/null || :
    done
    [ -z "$tail" ] || kill "$tail" 2>/dev/null || :
    rm -f "$socket"
    exit "$1"
}
trap 'stop 1' EXIT
trap 'stop 0' INT TERM HUP

# In sessions of their own (setsid), so that Ctrl-C reaches this script alone and the order above holds.
rm -f "$socket" "$dir/nginx.pid"
: >>"$log"
setsid spawn-fcgi -n -s "$socket" -M 600 -- \
    /usr/bin/multiwatch --forks="$processes" --retry=20 --timeout=1000 -- "$program" </dev/null >>"$log" 2>&1 &
pool=$!
setsid nginx -e "$dir/nginx-error.log" -p "$dir" -c "$dir/nginx.conf" -g 'daemon off;' </dev/null &
nginx=$!

url=http://127.0.0.1:$port
tries=100
# nginx writes its pid once it has the port; before that, somebody else could be answering there.
until [ -s "$dir/nginx.pid" ] && curl -s -f -o /dev/null --max-time 2 "$url/healthz"; do
    tries=$((tries - 1))
    if ! kill -0 "$pool" 2>/dev/null || ! kill -0 "$nginx" 2>/dev/null || [ $tries -eq 0 ]; then
        tail -n 5 "$log" "$dir/nginx-error.log" >&2 || :
        fail "the pool or nginx did not start; is port $port taken? (PRGATE_PORT chooses another.) See $dir"
    fi
    sleep 0.1
done

if [ -z "$own_conf" ]; then
    how='Dry run: what prgate would write to GitHub is shown in the log below as "dry-run call", and not done.'
else
    how="With your configuration, $PRGATE_CONF. The command below needs its webhook secret after -s."
fi
cat <<TEXT

prgate runs: $processes processes behind nginx.
  $how
  webhook   $url/webhook
  status    $url/status
  log       $log
  to send a pull request by a trusted author, in another terminal:
            $top/tools/send-webhook.sh -u $url/webhook -s $dir/webhook.secret $top/tools/sample-opened.json
  to stop   Ctrl-C

TEXT
tail -n 0 -F "$log" &
tail=$!
wait "$pool" || :
fail "the pool has ended, see $log"
