"""The two tutorials of docs/, typed as they stand: what a reader types works, and shows what the page says.

Paths lie below a directory of the test's, names and ports are this machine's. What would change the system (apt-get,
systemctl, certbot, users) is a stand-in of a few lines: it starts the very pool and web server, by the units' own commands.
"""
import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import ssl
import subprocess
import tempfile
import time
import types

import pytest
from github_sim import client

import gate as gates
from conftest import arrange, need_program
from gate_site import Site
from processes import accepts, end_all_running_below, free_port, wait_until
from servers import Cron, SharedHost
from tutorial import Tutorial, fits
from workspace import BUILD, CHECK_NAME, INSTALLATION, ROOT, as_server_user, give_away

NAME = "gate.example.org"
REPO = "octo-org/octo-repo"
ROLES = {"ann": "write", "tim": "triage"}
# What the tutorials have the reader choose, and no more.
PERMISSIONS = {"metadata": "read", "checks": "write", "contents": "write", "pull_requests": "write", "actions": "read",
               "issues": "read"}
EVENTS = ["pull_request", "issue_comment"]


@pytest.fixture
def root():
    """Where the system's directories are; what runs below it ends with the test."""
    need_program()
    made = pathlib.Path(tempfile.mkdtemp(prefix="prgate-tutorial-"))
    made.chmod(0o755)
    yield made
    for file in made.glob("*.group"):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(int(file.read_text()), signal.SIGKILL)
    end_all_running_below(made)
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
def own_github(app_key):
    with client.start() as sim:
        arrange(sim, app_key)
        sim.settings(permissions=PERMISSIONS)
        sim.own_app(events=EVENTS, hook={"url": f"https://{NAME}/webhook"})
        sim.repo(full_name=REPO, installation=INSTALLATION, labels=["CICD"], roles=ROLES)
        yield sim
        assert sim.violations() == []


class Https:
    """Whatever listens on that port; its certificate is nobody's."""

    def __init__(self, port, before=""):
        self.port, self.before = port, before
        self.context = ssl._create_unverified_context()

    def request(self, method, path, headers=(), body=b"", length=True):
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=20, context=self.context)
        connection.request(method, self.before + path, body or None, dict(headers))
        reply = connection.getresponse()
        return types.SimpleNamespace(status=reply.status, body=reply.read())


class TypedSite(Site):
    """A site that the tutorial makes; the simulator's deliveries are signed with the secret that it made."""

    def __init__(self, server, sim, secret_file, cron=None):
        self.server, self.sim, self.secret_file, self.cron = server, sim, secret_file, cron

    def exchange(self, event, payload, delivery=None, secret=None, headers=None, **how):
        return super().exchange(event, payload, delivery, self.secret_file.read_text().strip(), headers, **how)


class TypedGate(gates.Gate):
    def __init__(self, site):
        self.site, self.sim, self.repo = site, site.sim, REPO

    def ping(self):
        status, body = self.site.post_webhook("ping", {"zen": "Keep it logically awesome.", "hook_id": 1, "hook": {}})
        assert (status, body["message"]) == (200, "pong: the webhook is set up")

    def stranger_opens(self):
        pull = self.do("open", author="bob")
        assert (pull.check(), pull.started) == ("waiting", [])

    def maintainer_presses(self):
        pull = self.do("press", name=CHECK_NAME, by="tim", identifier="approve-ci")
        assert (pull.check(), pull.started) == ("done", [pull.head])

    def stranger_pushes(self):
        pull = self.do("push", by="bob")
        assert (pull.check(), len(pull.started), pull.labels) == ("waiting", 1, [])
        self.do("open", author="ann")
        assert gates.views(self.sim, REPO)[2].started != []


def stand_ins(root, scripts):
    """Commands that come before the system's own."""
    directory = root / "stand-ins"
    directory.mkdir()
    for name, script in scripts.items():
        path = directory / name
        path.write_text(f"#!/bin/sh\nset -eu\nROOT={root}\n" + script)
        path.chmod(0o755)
    return directory


def run(page, root, at_least):
    try:
        page.run()
    except Exception:
        for log in root.rglob("*.log"):
            print(f"---- {log.name}\n{log.read_text(errors='replace')[-3000:]}")
        raise
    assert page.commands >= at_least


# ---- nginx on Debian ----------------------------------------------------------------

# The owner is whoever runs the tests.
WITHOUT_OWNER = """
n=$#
while [ "$n" -gt 0 ]; do
    one=$1; shift; n=$((n - 1))
    case $one in -g | -o) shift; n=$((n - 1)) ;; *) set -- "$@" "$one" ;; esac
done
exec /usr/bin/install "$@"
"""

NGINX = """
sed -e 's,^user .*,{user},' -e 's,/run/nginx.pid,'"$ROOT"'/nginx.pid,' -e 's,/var/log/nginx/,'"$ROOT"'/nginx-,' \\
    -e 's,/var/lib/nginx/,'"$ROOT"'/tmp-,' -e 's,/run/prgate/,'"$ROOT"'/run/prgate/,' \\
    -e 's,listen 80 ,listen 127.0.0.1:{http} ,' -e '/listen \\[::\\]:80 /d' \\
    -e "s,^http {{,&proxy_temp_path $ROOT/p; scgi_temp_path $ROOT/s; uwsgi_temp_path $ROOT/u;," \\
    "$ROOT/etc/nginx/nginx.conf" >"$ROOT/nginx.conf"
exec {nginx} -e "$ROOT/nginx-error.log" -p "$ROOT" -c "$ROOT/nginx.conf" "$@"
"""

SYSTEMCTL = """
start() { # NAME COMMAND...
    name=$1; shift
    setsid "$@" >>"$ROOT/$name.log" 2>&1 </dev/null &
    echo $! >"$ROOT/$name.group"
}
case "$*" in
'enable --now nginx') start nginx nginx -g 'daemon off;' ;;
'reload nginx') nginx -t -q; kill -HUP "$(cat "$ROOT/nginx.group")" ;;
'enable --now prgate')
    start=$(sed -n 's/^ExecStart=//p' "$ROOT/lib/systemd/system/prgate.service" | sed "s, /usr/lib/prgate, $ROOT/usr/lib/prgate,")
    mkdir -p "$ROOT/run/prgate"
    start pool spawn-fcgi -n -s "$ROOT/run/prgate/prgate.sock" -M 660 -b 1024 -- $start ;;
'disable --now prgate prgate.socket') kill "$(cat "$ROOT/pool.group")" ;;
*) echo "systemctl: the test does not know $*" >&2; exit 1 ;;
esac
"""

NGINX_STAND_INS = {
    "apt-get": 'case $1 in update | install | purge) ;; *) exit 1 ;; esac\n',
    "make": """
[ "$*" = 'packages-run deb' ]
/usr/bin/make -s install DESTDIR="$ROOT" PREFIX=/usr
mkdir -p "$ROOT/etc/prgate" "$ROOT/var/lib/prgate" "$ROOT/lib/systemd/system"
chmod 700 "$ROOT/var/lib/prgate"
cp conf/prgate.conf "$ROOT/etc/prgate"
cp conf/prgate.service "$ROOT/lib/systemd/system"
""",
    "certbot": f"""
case "$*" in 'certonly --webroot -w /var/www/html -d {NAME} --deploy-hook systemctl reload nginx') ;; *) exit 1 ;; esac
mkdir -p "$ROOT/live"
openssl req -x509 -newkey rsa:2048 -nodes -subj /CN={NAME} -days 2 -keyout "$ROOT/live/privkey.pem" -out "$ROOT/live/fullchain.pem"
""",
    "systemctl": SYSTEMCTL,
    "runuser": '[ "$1 $2 $3" = "-u prgate --" ]\nshift 3\nexec "$@"\n',
    "install": WITHOUT_OWNER,
    "chgrp": "exit 0\n",
}


def prepare_nginx(root, key_pem, http_port):
    user = "user root;" if os.geteuid() == 0 else ""
    path = stand_ins(root, {**NGINX_STAND_INS, "nginx": NGINX.format(user=user, http=http_port, nginx=shutil.which("nginx") or "/usr/sbin/nginx")})
    (root / "etc/nginx").mkdir(parents=True)
    (root / "etc/nginx/nginx.conf").write_text(
        f"pid /run/nginx.pid;\nevents {{ }}\nhttp {{\n client_body_temp_path {root}/b; fastcgi_temp_path {root}/f;\n"
        f" access_log off;\n server {{ listen 127.0.0.1:{http_port}; }}\n}}\n")
    (root / "octo-gate.private-key.pem").write_text(key_pem)
    (root / ".curlrc").write_text("insecure\n")
    return {"PATH": f"{path}:{root}/usr/bin:{os.environ['PATH']}:/usr/sbin", "HOME": str(root), "CURL_HOME": str(root),
            "PRGATE_CONF": str(root / "etc/prgate/prgate.conf"), "LC_ALL": "C.UTF-8"}


def test_nginx(root, own_github, key_pem):
    ports = {"http": free_port(), "https": free_port()}
    environment = prepare_nginx(root, key_pem, ports["http"])
    gate = TypedGate(TypedSite(Https(ports["https"]), own_github, root / "etc/prgate/webhook.secret"))
    page = Tutorial("tutorial-nginx.md", ROOT, {
        "/etc/prgate": root / "etc/prgate", "/etc/nginx": root / "etc/nginx", "/var/lib/prgate": root / "var/lib/prgate",
        "/usr/share/doc/prgate": root / "usr/share/doc/prgate", f"/etc/letsencrypt/live/{NAME}": root / "live",
        "octo-gate.private-key.pem": root / "octo-gate.private-key.pem",
        "listen 443 ssl": f"listen 127.0.0.1:{ports['https']} ssl",
        "listen [::]:443 ssl http2 default_server backlog=4096;\n": "",
        f"{NAME}:443": f"{NAME}:{ports['https']}", f"https://{NAME}/healthz": f"https://{NAME}:{ports['https']}/healthz",
        "github {\n": f'github {{\n  api_url = "{own_github.url}"\n',
    }, environment, {
        "ping": gate.ping, "a stranger opens pull request 1": gate.stranger_opens,
        "a maintainer presses the button": gate.maintainer_presses, "the stranger pushes": gate.stranger_pushes})
    run(page, root, 9)
    wait_until(lambda: not accepts(ports["https"]), 10, "the server of the tutorial gone, after all was undone")


# ---- a shared host --------------------------------------------------------------------

SHARED_STAND_INS = {
    "ssh": '[ "$1" = me@example.org ]\ncd "$ROOT/home/me"\nexec sh -euc "$2"\n',
    "scp": """
while [ $# -gt 1 ]; do set -- "$@" "$1"; shift; [ "$1" = me@example.org:prgate/ ] && break; done
[ "$1" = me@example.org:prgate/ ]
shift
cp "$@" "$ROOT/home/me/prgate"
""",
    "crontab": """
case $1 in
-l) [ -f "$ROOT/home/me/crontab" ] || exit 1; cat "$ROOT/home/me/crontab" ;;
-) cat >"$ROOT/home/me/crontab" ;;
esac
""",
}


class CgiHost(SharedHost):
    """A customer's web directory. As with suEXEC, a program gets no variable that `.htaccess` sets."""

    def example(self):
        web = self.workspace.dir / "home/me/public_html"
        return f"DocumentRoot {web}\n<Directory {web}>\nAllowOverride All\nRequire all granted\n</Directory>\n"

    def request(self, method, path, headers=(), body=b"", length=True):
        return super().request(method, "/gate" + path, headers, body, length)


class TypedCron(Cron):
    """Runs what the tutorial put into the table."""

    def __init__(self, table):
        self.table, self.ran, self.next = table, 0, 0.0

    def tick(self, every=0.5):
        if time.monotonic() < self.next or not self.table.exists():
            return
        for line in self.table.read_text().splitlines():
            when, command = line[:9], line[10:]
            assert when == "* * * * *"
            printed = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=20, check=True,
                                     env={"PATH": "/usr/bin:/bin"}, cwd="/", **as_server_user())
            assert printed.stdout + printed.stderr == "", "cron would mail that"
            self.ran += 1
        self.next = time.monotonic() + every


def prepare_shared(root):
    path = stand_ins(root, SHARED_STAND_INS)
    for directory in ("source/build", "source/conf", "home/me/public_html"):
        (root / directory).mkdir(parents=True)
    for file in ("build/prgate.fcgi", "build/prgatectl", "conf/htaccess"):
        shutil.copy(BUILD / file[6:] if file.startswith("build/") else ROOT / file, root / "source" / file)
    for directory in ("home", "home/me", "home/me/public_html"):
        give_away(root / directory)
    workspace = types.SimpleNamespace(dir=root, environment=lambda: {"LC_ALL": "C.UTF-8"})
    return CgiHost(workspace), {"PATH": f"{path}:{os.environ['PATH']}", "HOME": str(root / "home/me")}


def copy_key(root, key_pem):
    file = root / "home/me/prgate/app.pem"
    file.write_text(key_pem)
    give_away(file)


def ask_as_the_monitor(host):
    name, = (host.workspace.dir / "home/me/public_html/gate").glob("drain-*.cgi")
    reply = host.request("GET", f"/{name.name}")
    assert (reply.status, reply.body) == (200, b"done\n")


def test_shared_host(root, own_github, key_pem):
    host, environment = prepare_shared(root)
    cron = TypedCron(root / "home/me/crontab")
    gate = TypedGate(TypedSite(host, own_github, root / "home/me/prgate/webhook.secret", cron))
    own_github.own_app(events=EVENTS, hook={"url": "https://example.org/gate/webhook"})
    try:
        page = Tutorial("tutorial-shared-host.md", root / "source", {
            "/home/me": root / "home/me", "curl -s https://example.org": f"curl -s http://127.0.0.1:{host.port}",
            "github {\n": f'github {{\n  api_url = "{own_github.url}"\n',
        }, environment, {
            "the key is copied": lambda: copy_key(root, key_pem), "ping": gate.ping,
            "the monitor asks": lambda: ask_as_the_monitor(host),
            "a stranger opens pull request 1": gate.stranger_opens,
            "a maintainer presses the button": gate.maintainer_presses, "the stranger pushes": gate.stranger_pushes})
        page.user = as_server_user()
        run(page, root, 9)
        assert cron.ran > 0
    finally:
        host.stop()


# ---- what the tests themselves are worth ---------------------------------------------

@pytest.mark.parametrize("wanted, got, same", [
    ("a\nb", "a\nb\n", True), ("a\n...\nc", "a\nb\nb\nc", True), ("...b", "ab", True), ("a", "ab", False), ("a.c", "abc", False),
    ("a...", "ba", False)])
def test_what_fits(wanted, got, same):
    assert fits(wanted, got) is same


def test_workflow_is_the_one_of_install():
    """What step 7 shows is what the installation's own page explains."""
    def workflow(page):
        return re.search(r"^```yaml\n(.*?)^```$", (ROOT / "docs" / page).read_text(), re.M | re.S)[1]
    assert workflow("tutorial-nginx.md") == workflow("install.md")
    assert workflow("install.md") in (ROOT / "docs/migrating.md").read_text()


def configurations():
    """[(page, text)]: each block ```conf of the pages; one that is a section alone gets what it cannot do without."""
    found = []
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for text in re.findall(r"^```conf\n(.*?)^```$", page.read_text(), re.M | re.S):
            head = "" if "state_dir" in text else (
                'state_dir = "/var/lib/prgate"\nwebhook_secret_file = "/etc/prgate/webhook.secret"\ndry_run = true\n')
            found.append((page.name, head + text))
    return found


@pytest.mark.parametrize("page, text", configurations(), ids=lambda value: value if value.endswith(".md") else "")
def test_configurations_that_pages_show(root, key_pem, page, text):
    for name, secret in {"webhook.secret": "secret", "scheduler.secret": "secret", "app.pem": key_pem}.items():
        (root / name).write_text(secret)
        (root / name).chmod(0o600)
    conf = root / "prgate.conf"
    conf.write_text(text.replace("/etc/prgate/", f"{root}/"))
    done = subprocess.run([BUILD / "prgatectl", "-c", conf, "check", "configuration"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), page


def test_pages_show_configurations():
    assert len(configurations()) >= 5
