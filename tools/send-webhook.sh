#!/bin/sh
# send-webhook.sh [-e EVENT] [-u URL] [-s SECRETFILE] [-d DELIVERY] FILE: signs a payload as GitHub does and posts it.
# Without options: a pull_request event, to the pool that `make run` started. A delivery id of your own, or one used
# before, with -d. Prints status and reply; fails unless the status is 2xx.
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
event=pull_request
url=http://127.0.0.1:${PRGATE_PORT:-8080}/webhook
secret=$top/build/run/webhook.secret
delivery=
usage() { sed -n '2,4s/^# //p' "$0" >&2; exit 2; }

while getopts e:u:s:d: option; do
    case $option in
    e) event=$OPTARG ;;
    u) url=$OPTARG ;;
    s) secret=$OPTARG ;;
    d) delivery=$OPTARG ;;
    *) usage ;;
    esac
done
shift $((OPTIND - 1))
[ $# -eq 1 ] || usage
[ -r "$1" ] || { echo "send-webhook.sh: cannot read $1" >&2; exit 1; }
[ -r "$secret" ] || { echo "send-webhook.sh: cannot read the secret, $secret (-s names another)" >&2; exit 1; }
[ -n "$delivery" ] || delivery=$(cat /proc/sys/kernel/random/uuid)

# The key goes to openssl in hex, so that no byte of it is special. A newline at the file's end is no part of it.
key=$(printf %s "$(cat "$secret")" | od -An -v -tx1 | tr -d ' \n')
digest=$(openssl dgst -sha256 -mac HMAC -macopt "hexkey:$key" -r <"$1" | cut -d' ' -f1)

reply=$(curl -sS --max-time 15 -w '\n%{http_code}' \
    -H 'Content-Type: application/json' -H 'User-Agent: GitHub-Hookshot/prgate' \
    -H "X-GitHub-Event: $event" -H "X-GitHub-Delivery: $delivery" -H "X-Hub-Signature-256: sha256=$digest" \
    --data-binary "@$1" "$url")
status=$(printf '%s\n' "$reply" | tail -n 1)
echo "$status"
printf '%s\n' "$reply" | sed -e '$d' -e '/^$/d'
case $status in 2??) ;; *) exit 1 ;; esac
