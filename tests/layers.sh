#!/bin/sh
# Includes point only downward: a core module may include the headers of modules that stand
# before it in the Makefile's CORE, nothing of fcgi/ or cli/; and what only one file may know, only it includes.
set -eu
cd "$(dirname "$0")/.."
failed=0
complain() {
    echo "layers: $1" >&2
    failed=1
}

order=$(sed -n '/^CORE = /,/[^\\]$/p' Makefile | tr -d '\\' | sed 's/^CORE = //')
rank() {
    position=0
    for module in $order; do
        position=$((position + 1))
        [ "$module" = "$1" ] && echo "$position" && return
    done
    echo 0
}

for file in core/*.c include/prgate/*.h; do
    name=$(basename "$file")
    own=$(rank "${name%.*}")
    [ "$own" -gt 0 ] || { complain "$file is not in the Makefile's CORE"; continue; }
    for header in $(sed -n 's/^#include "prgate\/\(.*\)\.h"$/\1/p' "$file"); do
        theirs=$(rank "$header")
        [ "$theirs" -gt 0 ] || { complain "$file includes $header.h, which is no module"; continue; }
        [ "$theirs" -le "$own" ] || complain "$file includes $header.h, which lies above it"
    done
    if grep -qE '^#include "(web|door|routes|status|serve)\.h"' "$file"; then
        complain "$file includes a header of the web edge"
    fi
done

only() { # HEADER FILES: nothing else includes it
    for file in $(grep -lE "^#include <$1>" core/*.[ch] fcgi/*.[ch] cli/*.[ch] include/prgate/*.h); do
        case " $2 " in
        *" $file "*) ;;
        *) complain "$file includes <$1>, which is for $2" ;;
        esac
    done
}
only 'fcgi[^>]*' 'fcgi/serve_fcgi.c'
only 'db\.h' 'core/store_internal.h' # which only the store's own files include
only 'curl/curl\.h' 'core/http_internal.h' # which only http.c and http_hub.c include
only 'confuse\.h' 'core/config.c'

[ "$failed" -eq 0 ] && echo "layers: fine"
exit "$failed"
