#!/bin/sh
# nginx-conf.sh DIR PORT SOCKET: prints nginx.conf.example, changed so that nginx runs without privileges,
# on 127.0.0.1:PORT, in front of the pool at SOCKET, with all of its files below DIR.
set -eu

[ $# -eq 3 ] || { echo "usage: nginx-conf.sh DIR PORT SOCKET" >&2; exit 2; }
dir=$1 port=$2 socket=$3
top=$(cd "$(dirname "$0")/.." && pwd)

# root's workers may be anybody; here they stay who they are, since DIR is not the web server's.
if [ "$(id -u)" -eq 0 ]; then user='user root;'; else user=''; fi

# The three paths that are added are of modules that prgate does not use: nginx makes their directories all the same.
sed -e "s|^user .*|$user|" \
    -e "s|/run/nginx\\.pid|$dir/nginx.pid|" \
    -e "s|/var/log/nginx/|$dir/nginx-|" \
    -e "s|/var/lib/nginx/|$dir/nginx-|" \
    -e "s|/run/prgate/prgate\\.sock|$socket|" \
    -e "s|^\\( *\\)listen 80 default_server|\\1listen 127.0.0.1:$port default_server|" \
    -e "s|^http {|&\\
    proxy_temp_path $dir/nginx-proxy; scgi_temp_path $dir/nginx-scgi; uwsgi_temp_path $dir/nginx-uwsgi;|" \
    "$top/nginx.conf.example"
