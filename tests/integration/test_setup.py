"""prgatectl setup and the page /setup: from no App at all to a gate that works as one."""
import html.parser
import http.client
import json
import os
import re
import signal
import stat
import subprocess
import threading
import urllib.parse

import pytest
from conftest import end
from gate import Gate
from gate_site import Site
from github_sim import client
from processes import wait_until
from servers import Cgi, Nginx
from workspace import INSTALLATION, Workspace, as_server_user

BROWSER = {"Accept": "text/html"}
SET = {"app_id", "private-key.pem", "webhook.secret", "url"}


class Forms(html.parser.HTMLParser):
    """The first form of a page: where it leads, and what it holds."""

    def __init__(self, page):
        super().__init__()
        self.action, self.fields, self.method = None, {}, None
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        assert tag != "script" and not any(name.startswith("on") for name in attrs)
        if tag == "form" and self.action is None:
            self.action, self.method = attrs["action"], attrs["method"]
        if tag == "input" and attrs.get("type") == "hidden":
            self.fields[attrs["name"]] = attrs["value"]


def post(url, fields):
    """As a browser does: (status, headers, body)."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=30)
    connection.request("POST", f"{parts.path}?{parts.query}", urllib.parse.urlencode(fields),
                       {"Content-Type": "application/x-www-form-urlencoded", **BROWSER})
    reply = connection.getresponse()
    return reply.status, reply.headers, reply.read().decode()


def at_github(url, page):
    """The person presses both buttons; the address that GitHub leads to."""
    form = Forms(page)
    status, _, body = post(form.action, form.fields)
    assert status == 200, body
    second = Forms(body)
    status, headers, _ = post(url + second.action, second.fields)
    assert status == 302
    return headers["Location"]


class Unset(Workspace):
    """No App yet: `app_dir` names where it will be."""

    def __init__(self, api, **options):
        super().__init__(api, "none", timeout=20, **options)
        self.app_dir = self.dir / "keep" / "app"
        self.app_dir.parent.mkdir()
        self._give_away()
        text = self.conf.read_text()
        text = re.sub(r"^webhook_secret_file.*\n", f'public_url = "{self.public_url}"\n', text, flags=re.MULTILINE)
        self.conf.write_text(text.replace("github {\n", f'github {{\n  app_dir = "{self.app_dir}"\n'))

    public_url = "https://gate.example/prgate"


class Setup:
    """`prgatectl setup`, waiting."""

    def __init__(self, site, *arguments):
        self.site = site
        self.child = subprocess.Popen([site.workspace.ctl, "--json", "setup", *arguments], stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE, text=True,
                                      env={**os.environ, **site.workspace.environment()}, **as_server_user())
        line = self.child.stdout.readline()
        assert line, self.child.stderr.read()
        self.url = json.loads(line)["url"]
        assert self.url.startswith(f"{site.workspace.public_url}/setup?code=")
        self.path = self.url.removeprefix(site.workspace.public_url)

    def get(self, path=None):
        return self.site.server.request("GET", path or self.path, BROWSER)

    def finish(self):
        out, errors = self.child.communicate(timeout=20)
        return self.child.returncode, out, errors

    def stop(self):
        self.child.terminate()
        return self.finish()


def path_of(address, site):
    assert address.startswith(f"{site.workspace.public_url}/setup/done?code=")
    return address.removeprefix(site.workspace.public_url)


@pytest.fixture
def hub():
    with client.start() as sim:
        yield sim


@pytest.fixture(params=[Nginx, Cgi], ids=["nginx", "cgi"])
def unset(request, hub):
    workspace = Unset(hub.url)
    site = Site(request.param, workspace, hub)
    yield site
    end(site)


@pytest.fixture
def lone(hub):
    """One server is enough where the page itself is not what is looked at."""
    site = Site(Cgi, Unset(hub.url), hub)
    yield site
    end(site)


def assert_a_whole_set(site):
    directory = site.workspace.app_dir
    assert {path.name for path in directory.iterdir()} == SET
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    for path in directory.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
        assert path.stat().st_uid == site.workspace.state.stat().st_uid
    assert [path.name for path in directory.parent.iterdir()] == ["app"]


def test_from_no_app_to_a_gate_that_works(unset):
    site, sim = unset, unset.sim
    status, reply = site.post_webhook("ping", {})
    assert (status, "prgatectl setup" in reply["message"]) == (503, True)
    assert site.server.request("GET", "/setup").status == 404
    setup = Setup(site)
    page = setup.get()
    assert page.status == 200
    policy = page.headers["content-security-policy"]
    assert f"form-action {sim.url};" in policy and "default-src 'none'" in policy
    assert (page.headers["referrer-policy"], page.headers["cache-control"]) == ("no-referrer", "no-store")
    address = at_github(sim.url, page.body.decode())
    done = setup.get(path_of(address, site))
    assert done.status == 200 and b"/installations/new" in done.body
    status, out, errors = setup.finish()
    assert (status, errors) == (0, "")
    assert json.loads(out)["app_dir"] == str(site.workspace.app_dir)
    assert_a_whole_set(site)
    assert not (site.workspace.state / "setup").exists()
    made, = sim.manifest_apps()
    assert made["manifest"]["hook_attributes"]["url"] == f"{site.workspace.public_url}/webhook"
    wait_until(lambda: site.post_webhook("ping", {}, secret=made["webhook_secret"])[0] == 200, 20, "the pool takes it up")
    for path in (setup.path, path_of(address, site)):
        assert setup.get(path).status == 404
    works_as_the_app(site, made)
    assert sim.violations() == []


def works_as_the_app(site, made):
    site.workspace.credentials = "app"
    site.post = site.post_webhook
    site.post_webhook = lambda *given, **how: site.post(*given, **{**how, "secret": made["webhook_secret"]})
    gate = Gate(site)
    gate.do("open", author="bob")
    assert gate.pull.check() == "waiting"
    gate.do("label", label="CICD", by="tim")
    assert gate.pull.started == [gate.pull.head] and gate.pull.check() == "done"
    assert INSTALLATION and any("access_tokens" in call["path"] for call in site.sim.calls())


def test_of_an_organization_and_below_a_path(lone):
    setup = Setup(lone, "--org", "octo-org")
    page = setup.get().body.decode()
    form = Forms(page)
    assert form.action.startswith(f"{lone.sim.url}/organizations/octo-org/settings/apps/new?state=")
    assert setup.get(path_of(at_github(lone.sim.url, page), lone)).status == 200
    assert setup.finish()[0] == 0
    assert lone.sim.manifest_apps()[0]["org"] == "octo-org"


def test_wrong_codes_open_nothing_and_a_few_close_the_page(lone):
    setup = Setup(lone)
    real = setup.path
    for path in ("/setup", "/setup?code=", "/setup?code=x", f"{real}0", real[:-1]):
        assert setup.get(path).status == 404
    for guess in range(5):
        assert setup.get(f"/setup?code={guess:032x}").status == 404
    assert setup.get(real).status == 404
    status, _, errors = setup.finish()
    assert status == 1 and "void" in errors


def test_no_state_but_the_forms_own_finishes_it(lone):
    setup = Setup(lone)
    address = at_github(lone.sim.url, setup.get().body.decode())
    path = path_of(address, lone)
    code = urllib.parse.parse_qs(urllib.parse.urlsplit(address).query)["code"][0]
    one_time = setup.path.split("=")[1]
    for wrong in (f"/setup/done?code={code}", f"/setup/done?code={code}&state={'0' * 64}",
                  f"/setup/done?code={code}&state={one_time}"):
        assert setup.get(wrong).status == 404
    assert lone.server.request("HEAD", path).status == 404
    assert not lone.workspace.app_dir.exists()
    assert setup.get(path).status == 200
    assert setup.finish()[0] == 0


def test_interrupted_it_closes_the_page(lone):
    setup = Setup(lone)
    status, _, errors = setup.stop()
    assert status == 1 and "the page is closed" in errors
    assert setup.get().status == 404
    assert not (lone.workspace.state / "setup").exists()


def test_a_second_one_takes_the_page_over(lone):
    first = Setup(lone)
    second = Setup(lone)
    status, _, errors = first.finish()
    assert status == 1 and "another setup" in errors
    assert first.get().status == 404
    assert second.get().status == 200
    assert second.stop()[0] == 1
    assert not (lone.workspace.state / "setup").exists()


def test_a_code_that_github_does_not_know_any_more_stores_nothing(lone):
    setup = Setup(lone)
    path = path_of(at_github(lone.sim.url, setup.get().body.decode()), lone)
    lone.sim.expire_manifest_codes()
    failed = setup.get(path)
    assert failed.status == 502 and b"an hour is over" in failed.body
    assert list(lone.workspace.app_dir.parent.iterdir()) == []
    setup.stop()


@pytest.mark.parametrize("member, value", [("pem", "no key"), ("pem", None), ("webhook_secret", None), ("id", 0)])
def test_an_answer_that_is_no_app_stores_nothing(lone, member, value):
    setup = Setup(lone)
    path = path_of(at_github(lone.sim.url, setup.get().body.decode()), lone)
    lone.sim.manifest_answer(**{member: value})
    assert setup.get(path).status == 502
    assert list(lone.workspace.app_dir.parent.iterdir()) == []
    setup.stop()


def test_github_that_cannot_be_asked_can_be_asked_again(lone):
    setup = Setup(lone)
    path = path_of(at_github(lone.sim.url, setup.get().body.decode()), lone)
    lone.sim.fault(route="POST /app-manifests/*", status=503, count=1)
    failed = setup.get(path)
    assert failed.status == 502 and b"load this page again" in failed.body
    assert setup.get(path).status == 200
    assert setup.finish()[0] == 0
    assert_a_whole_set(lone)


@pytest.fixture
def pooled(hub):
    site = Site(Nginx, Unset(hub.url), hub)
    yield site
    end(site)


def kill_the_pool(site):
    pids = site.server.pool.members()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not set(pids) & set(site.server.pool.members()), 20, "the killed ones gone")


@pytest.mark.parametrize("code_is_used", [False, True])
def test_killed_while_github_is_asked_it_leaves_a_whole_set_or_none(pooled, code_is_used):
    setup = Setup(pooled)
    path = path_of(at_github(pooled.sim.url, setup.get().body.decode()), pooled)
    pooled.sim.fault(route="POST /app-manifests/*", hang=True, after=code_is_used)
    asked = threading.Thread(target=setup.get, args=[path])
    asked.start()
    wait_until(lambda: any("app-manifests" in call["path"] for call in pooled.sim.calls()), 20, "GitHub is asked")
    kill_the_pool(pooled)
    asked.join()
    wait_until(lambda: setup.get("/healthz").status == 200, 20, "other processes")
    # nginx has handed the request on to one that lives, where there was one; else the person loads the page again.
    directory = pooled.workspace.app_dir
    if not directory.exists():
        assert {one.name for one in directory.parent.iterdir()} <= {"app.new"}
        assert setup.get(path).status == (502 if code_is_used else 200)
    if code_is_used:  # that App's key is nobody's
        assert list(directory.parent.iterdir()) == []
        setup.stop()
    else:
        assert setup.finish()[0] == 0
        assert_a_whole_set(pooled)


def test_by_hand_no_page_is_needed(hub):
    workspace = Unset(hub.url)
    form = workspace.dir / "keep" / "form.html"
    try:
        child = subprocess.Popen([workspace.ctl, "setup", "--manual", form], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, text=True, env={**os.environ, **workspace.environment()},
                                 **as_server_user())
        wait_until(lambda: form.exists() and form.read_text().endswith("</html>\n"), 10, "the form")
        address = at_github(hub.url, form.read_text())
        out, errors = child.communicate(f"{address}\n", timeout=20)
        assert child.returncode == 0, errors
        assert "/installations/new" in out
        assert {path.name for path in workspace.app_dir.iterdir()} == SET
        secret = (workspace.app_dir / "webhook.secret").read_text().strip()
        assert secret == hub.manifest_apps()[0]["webhook_secret"]
        assert secret not in out + errors
    finally:
        workspace.remove()


def test_by_hand_another_forms_answer_is_refused(hub):
    workspace = Unset(hub.url)
    form = workspace.dir / "keep" / "form.html"
    try:
        done = subprocess.run([workspace.ctl, "setup", "--manual", form], capture_output=True, text=True, timeout=20,
                              check=False, input="https://gate.example/prgate/setup/done?code=abc&state=def\n",
                              env={**os.environ, **workspace.environment()}, **as_server_user())
        assert done.returncode == 1 and "not the address" in done.stderr
        assert not workspace.app_dir.exists()
    finally:
        workspace.remove()


def test_what_there_is_already_is_never_replaced(lone):
    lone.workspace.app_dir.mkdir(mode=0o700)
    done = lone.ctl("setup")
    assert done.returncode == 78 and "app_id" in done.stderr  # a set that is not whole is no configuration
    assert list(lone.workspace.app_dir.iterdir()) == []


def test_check_knows_what_lies_in_the_state_directory(lone):
    inside = lone.workspace.state / "app"
    lone.workspace.conf.write_text(lone.workspace.conf.read_text().replace(str(lone.workspace.app_dir), str(inside)))
    lone.workspace.state.chmod(0o700)
    setup = Setup(lone)
    assert "nothing of prgate" not in lone.ctl("check").stdout
    assert setup.get(path_of(at_github(lone.sim.url, setup.get().body.decode()), lone)).status == 200
    assert setup.finish()[0] == 0
    said = lone.ctl("check").stdout
    assert "nothing of prgate" not in said and f"{lone.workspace.conf}: " in said


def test_a_way_that_others_can_listen_on_is_refused(lone):
    for url, status in (("http://gate.example", 78), ("http://127.0.0.1.example", 78), ("", 78)):
        lone.workspace.conf.write_text(re.sub(r'public_url = ".*"', f'public_url = "{url}"', lone.workspace.conf.read_text()))
        done = lone.ctl("setup")
        assert (done.returncode, "public_url" in done.stderr) == (status, True)


def test_check_and_drain_say_that_there_is_no_app(lone):
    assert lone.ctl("check", "configuration").returncode == 0
    for command in ("check", "drain"):
        done = lone.ctl(command)
        assert done.returncode == 1 and "prgatectl setup" in done.stdout + done.stderr
