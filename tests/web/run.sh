#!/bin/sh
# The status page in Chromium; see check.mjs. Called by `make check-web`, after the build.
set -eu

cd "$(dirname "$0")"
fail() { echo "tests/web/run.sh: $*" >&2; exit 1; }
root=$(cd ../.. && pwd)
case ${BUILD:=build} in /*) ;; *) BUILD=$root/$BUILD ;; esac

if ! command -v node >/dev/null || ! command -v npm >/dev/null || ! command -v chromium >/dev/null; then
    fail "node, npm or chromium is missing; run: tools/packages.sh check"
fi
[ "$(node -p 'process.versions.node.split(".")[0]')" -ge 18 ] || fail "node 18 or newer is needed, not $(node -v)"
# What the lock file says, exactly, and only when it says something new. The browser is Debian's.
if ! cmp -s package-lock.json node_modules/.installed; then
    PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 timeout 300 npm ci --no-audit --no-fund --loglevel=error ||
        fail "npm could not install what package-lock.json lists"
    cp package-lock.json node_modules/.installed
fi
mkdir -p "$BUILD/web"
scratch=$(mktemp -d "$BUILD/web/state-XXXXXX")
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM HUP
(umask 077 && echo hush >"$scratch/secret" && echo ghp_token >"$scratch/token")
configure() { # NAME KEYS
    cat >"$scratch/$1" <<END
state_dir = "$scratch/state"
webhook_secret_file = "$scratch/secret"
log_level = "error"
redeliver_interval = 0
reconcile_interval = 0
$2
github { token_file = "$scratch/token" }
repo "octo/*" {
  trusted_users = {"ann"}
  repo_triggers_per_hour = 30
}
repo "acme/*" { trusted_users = {"ann"} }
END
}
configure prgate.conf ""
configure private.conf "status_private = true"
configure dry.conf "dry_run = true"
# No App yet: the page that makes one. GitHub is the simulator.
cat >"$scratch/setup.conf" <<END
state_dir = "$scratch/fresh"
public_url = "PUBLIC_URL"
log_level = "error"
github {
  api_url = "GITHUB_URL"
  app_dir = "$scratch/app"
}
repo "octo/*" {
  trusted_users = {"ann"}
  repo_triggers_per_hour = 30
}
END
mkdir -m 700 "$scratch/fresh"
"$BUILD/web/seed" "$scratch/prgate.conf" "${WEB_N:-10000}"
timeout -k 10 600 node check.mjs "$BUILD" "$scratch" "${WEB_N:-10000}"
