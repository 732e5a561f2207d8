"""What the operator asks prgatectl: why CI is not running, what happens now, what would happen, and whether GitHub is
set up. `prgatectl dead`, `replay` and what is about the disk have tests of their own."""
import json
import os
import pty
import re
import select
import signal
import subprocess

import pytest
from conftest import arrange, end
from gate import Gate
from gate_site import Site
from github_sim import client
from github_sim.manifest_flow import EVENTS
from processes import wait_until
from servers import Nginx
from test_gate import STARTED, outcome
from workspace import BUILD, ROOT, Workspace, as_server_user

on_app = pytest.mark.parametrize("running_site", ["nginx-app"], indirect=True)
COMMANDS = re.compile(r"^  ([a-z][a-z-]*) ", re.MULTILINE)


def as_json(site, *arguments):
    done = site.ctl(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def said(site, *arguments, status=0):
    done = site.ctl(*arguments)
    assert done.returncode == status, (done.stdout, done.stderr)
    return done.stdout + done.stderr


# status

@on_app
def test_status_of_one_repository(make_gate):
    one, other = make_gate(), make_gate()
    one.do("open", author="bob")
    other.do("open", author="ann")
    text = said(one.site, "status", one.repo)
    assert f"{one.repo}#1 " in text and other.repo not in text
    report = as_json(one.site, "status", one.repo.upper())
    assert [pull["repository"] for pull in report["pull_requests"]] == [one.repo]
    assert as_json(one.site, "status", f"{one.repo}#1") == json.loads(said(one.site, "json", f"{one.repo}#1"))
    assert "no webhook for no/body" in said(one.site, "status", "no/body", status=66)
    assert "is neither OWNER/REPO nor" in said(one.site, "status", "nobody", status=64)


# explain

@on_app
def test_explain_says_who_can_do_what_next(gate):
    gate.do("open", author="bob")
    text = said(gate.site, "explain", f"{gate.repo}#1")
    assert "Waiting for a maintainer's approval" in text
    assert "  CI starts when somebody with at least triage permission sets the label CICD." in text
    assert "      who: anybody with triage permission or more\n" in text
    assert "opened" in text and "the author is not trusted: waiting for the label" in text
    assert "author: permission read" in text
    gate.do("label", label="CICD", by="tim")
    found = as_json(gate.site, "explain", f"{gate.repo}#1")
    assert (found["answer"], found["state"], found["waits_for"]) == ("CI was started", "triggered", "nothing")
    assert [one["rule"] for one in found["decisions"]][:2] == ["wait_untrusted", "approved"]
    assert found["obstacles"] == []
    assert found["cleared"] == "Approved by @tim (triage) with the label CICD."
    assert found["next"] == next_on_page(gate)
    assert found["next"][0]["who"] == "the CI system"
    gate.do("close")
    text = said(gate.site, "explain", f"{gate.repo}#1")
    assert "closed: no CI is started any more" in text and "      who: whoever may reopen it\n" in text


def next_on_page(gate):
    """What the status page says has to happen next, without the emphasis."""
    _, page = gate.site.get(f"/status/{gate.repo}/1.json")
    return [{"what": one["what"].replace("*", ""), "who": one["who"]} for one in page["next"]]


@on_app
def test_explain_tells_what_stands_in_the_way(gate):
    gate.sim.fault(route="POST */dispatches", status=422, count=-1)
    gate.do("open", author="ann")
    found = as_json(gate.site, "explain", f"{gate.repo}#1")
    assert found["answer"] == "CI could not be started"
    assert [one for one in found["obstacles"] if one.startswith("given up: trigger of ") and "prgatectl dead" in one]
    assert found["cleared"] == "" and found["next"] == next_on_page(gate)
    assert f"prgatectl dead retry {gate.repo}#1" in found["next"][0]["what"]
    assert [one["who"] for one in found["next"]] == [
        "prgate's operator", "whoever runs the CI system, then anybody with triage permission or more"]
    gate.sim.clear_faults()


@on_app
def test_explain_tells_of_failures_and_of_a_pool_that_is_not_there(gate):
    gate.sim.fault(route="GET */pulls/*", status=503, count=-1)
    gate.deliver(gate.happen("open", author="ann"))
    wait_until(lambda: as_json(gate.site, "status", f"{gate.repo}#1")["failures"] > 1, 20, lambda: "no failures")
    found = as_json(gate.site, "explain", f"{gate.repo}#1")
    assert any(one.startswith("not decided yet: opened") for one in found["obstacles"])
    assert any(one.startswith("put off until 20") and "failures in a row" in one for one in found["obstacles"])
    assert not any("no process of a pool" in one for one in found["obstacles"])
    gate.sim.clear_faults()


@on_app
@pytest.mark.parametrize("argument, status", [("no/body#1", 66), ("no/body", 64), ("#", 64)])
def test_explain_of_nothing(site, argument, status):
    said(site, "explain", argument, status=status)


# tail

class Tail:
    def __init__(self, site, *arguments):
        self.process = subprocess.Popen([site.workspace.ctl, "tail", *arguments], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, **as_server_user(),
                                        env={**os.environ, **site.workspace.environment()})
        self.lines = []
        os.set_blocking(self.process.stdout.fileno(), False)

    def wait_for(self, wanted):
        """Until `wanted(lines)`."""
        def look():
            self.lines += self.process.stdout.read().splitlines() if self._is_ready() else []
            return wanted(self.lines)
        wait_until(look, 20, lambda: f"in the tail: {self.lines}")

    def _is_ready(self):
        return select.select([self.process.stdout], [], [], 0.1)[0]

    def end(self, number=signal.SIGINT):
        self.process.send_signal(number)
        self.process.communicate(timeout=20)
        return self.process.returncode


def started(site, *arguments):
    """A tail that has seen what is there already, and says so."""
    tail = Tail(site, *arguments)
    while "following" not in (line := tail.process.stderr.readline()):
        assert line, "the tail has ended"
    return tail


@on_app
def test_tail_shows_what_happens_in_all_repositories(make_gate):
    one, other = make_gate(), make_gate()
    one.do("open", author="bob")
    tail = started(one.site)
    try:
        other.do("open", author="bob")
        one.do("label", label="CICD", by="tim")
        tail.wait_for(lambda lines: any("trigger" in line for line in lines))
    finally:
        assert tail.end() == 0
    text = "\n".join(tail.lines)
    assert f"{other.repo}#1 " in text and "the author is not trusted" in text
    assert f"{one.repo}#1 " in text and "set the label for this very commit: CI started" in text
    assert "opened" not in [line for line in tail.lines if one.repo in line][0]  # that was before
    assert "\033" not in text


@on_app
def test_tail_of_one_pull_request_as_json(make_gate):
    one, other = make_gate(), make_gate()
    tail = started(one.site, f"{one.repo}#1", "--json")
    try:
        other.do("open", author="bob")
        one.do("open", author="ann")
        tail.wait_for(lambda lines: sum('"action":"check_done"' in line for line in lines) > 0)
    finally:
        assert tail.end(signal.SIGTERM) == 0
    entries = [json.loads(line) for line in tail.lines]
    assert {(entry["repository"], entry["number"]) for entry in entries} == {(one.repo, 1)}
    assert [entry["rule"] for entry in entries if entry["kind"] == "decision"][0] == "opened"
    assert [entry["action"] for entry in entries if entry["kind"] == "action"][:2] == ["trigger", "add_label"]
    assert [entry["time"] for entry in entries] == sorted(entry["time"] for entry in entries)


# simulate

def payload_file(site, delivery):
    path = site.workspace.dir / "payload.json"
    path.write_text(delivery["payload"])
    path.chmod(0o644)
    return path


@on_app
def test_simulate_decides_and_does_nothing(gate):
    path = payload_file(gate.site, gate.happen("open", author="bob")[0])
    calls = len(gate.sim.calls())
    found = as_json(gate.site, "simulate", "pull_request", path)
    assert (found["rule"], found["known"]) == ("wait_untrusted", False)
    assert [one["action"] for one in found["actions"]] == ["check_awaiting"]
    found = as_json(gate.site, "simulate", "--trusted", "pull_request", path)
    assert (found["rule"], found["state"]) == ("opened", "triggered")
    assert [one["action"] for one in found["actions"]] == ["trigger", "add_label", "check_done"]
    text = said(gate.site, "simulate", "--trusted", "pull_request", path)
    assert "1. trigger " in text and "label added, CI started" in text
    assert gate.site.ledger(gate.repo, 1) == [] and len(gate.sim.calls()) == calls
    assert said(gate.site, "status", f"{gate.repo}#1", status=66)


@on_app
def test_simulate_goes_on_from_what_is_known(gate):
    gate.do("open", author="bob")
    path = payload_file(gate.site, gate.happen("label", label="CICD", by="tim")[0])
    before = said(gate.site, "dump")
    found = as_json(gate.site, "simulate", "pull_request", path)
    assert (found["known"], found["rule"]) == (True, "approved")
    assert "trigger" in [one["action"] for one in found["actions"]]
    refused = as_json(gate.site, "simulate", "pull_request", path, "--may-not-approve")
    assert (refused["rule"], [one["action"] for one in refused["actions"]][0]) == ("not_approver", "remove_label")
    assert said(gate.site, "dump") == before
    assert outcome(gate.pull)["started"] == 0


@on_app
def test_simulate_of_what_leads_to_nothing(gate, tmp_path):
    path = payload_file(gate.site, gate.happen("open", author="bob")[0])
    assert "ignored: an event of no concern" in said(gate.site, "simulate", "star", path)
    assert "asked anew" in said(gate.site, "simulate", "member", path)
    path.write_text("{")
    assert "refused with 400" in said(gate.site, "simulate", "pull_request", path, status=1)
    assert "cannot be opened" in said(gate.site, "simulate", "pull_request", "/nowhere", status=1)
    assert "usage" in said(gate.site, "simulate", "pull_request", status=64)
    assert "usage" in said(gate.site, "status", "--trusted", status=64)


# check, of GitHub's side

@pytest.fixture(scope="module")
def own_github(app_key):
    """Whose App's settings nobody else looks at."""
    with client.start() as sim:
        arrange(sim, app_key)
        yield sim


@pytest.fixture
def look(own_github, key_pem):
    """look(...): check's findings with such a configuration, without a pool."""
    made = []

    def run(credentials="app", extra="", repo=None, **settings):
        url = 'public_url = "https://prgate.example"\n'
        own_github.own_app(**settings)
        workspace = Workspace(own_github.url, credentials, key_pem, timeout=2,
                              extra=(f'repo "{repo}" {{\n}}\n' if repo else "") + extra)
        workspace.conf.write_text(url + workspace.conf.read_text())
        made.append(workspace)
        done = subprocess.run([workspace.ctl, "check", "--json"], capture_output=True, text=True, timeout=60, check=False,
                              env={**os.environ, **workspace.environment()}, **as_server_user())
        found = json.loads(done.stdout)
        assert found["errors"] == sum(one["finding"] == "error" for one in found["findings"])
        assert done.returncode == (1 if found["errors"] else 0)
        return found["errors"], [f"{one['finding']}: {one['text']}" for one in found["findings"]]

    yield run
    for workspace in made:
        workspace.remove()
    own_github.settings(permissions=ALL)
    own_github.clear_faults()


ALL = {"actions": "write", "checks": "write", "contents": "write", "issues": "write", "members": "read",
       "metadata": "read", "pull_requests": "write", "statuses": "write"}


def has(findings, *parts):
    return any(all(part in one for part in parts) for one in findings)


def test_check_finds_the_app_as_it_should_be(look):
    errors, findings = look()
    assert errors == 0
    assert has(findings, "fine: the App has all permissions and events")
    assert has(findings, "fine: the App's webhook goes to https://prgate.example/webhook")
    assert has(findings, "warning: GitHub shows no delivery")


@pytest.mark.parametrize("name, access, words", [
    ("checks", "read", "checks (read and write)"), ("contents", None, "contents (read and write)"),
    ("members", None, "members (read)"), ("pull_requests", "read", "pull_requests (read and write)"),
    ("actions", "read", "actions (read and write)")])
def test_check_finds_a_permission_that_is_missing(look, own_github, name, access, words):
    own_github.settings(permissions={key: value for key, value in {**ALL, name: access}.items() if value})
    errors, findings = look()
    assert errors == 1 and has(findings, "error: the App lacks the permission", words)


def test_check_finds_events_and_webhook_that_are_wrong(look):
    errors, findings = look(events=["push"], hook={"url": "https://old.example/webhook", "content_type": "form",
                                                   "secret": None, "insecure_ssl": "1"})
    assert errors == 4
    assert has(findings, "error: the App lacks the event pull_request")
    assert has(findings, "fine: the App goes without the event member", "optional")
    assert has(findings, "error: the App's webhook goes to https://old.example/webhook", "https://prgate.example/webhook")
    assert has(findings, "error: ", 'content type "form"') and has(findings, "error: ", "has no secret")
    assert has(findings, "warning: GitHub does not verify the certificate")


def test_check_looks_at_each_repository_by_name(look, own_github):
    own_github.repo(full_name="named/one", installation=77, labels=["CICD"], roles={"gatekeeper": "write"})
    errors, findings = look(repo="named/one", agreed={"metadata": "read"})
    assert has(findings, "error: named/one lacks the permission checks", "its owner has to agree")
    errors, findings = look(repo="named/none")
    assert errors == 1 and has(findings, "error: named/none: the App is not installed there")
    errors, findings = look("token", repo="named/one")
    assert errors == 0 and has(findings, "fine: the token is that of gatekeeper")
    assert has(findings, "fine: named/one: gatekeeper has the permission write")
    assert has(findings, "warning: named/one: its webhooks are not for this token to see")
    own_github.role(repo="named/one", login="gatekeeper", role="read")
    errors, findings = look("token", repo="named/one")
    assert errors == 1 and has(findings, "error: named/one: gatekeeper has the permission read")


def test_check_says_how_the_newest_delivery_was_answered(look, own_github):
    own_github.repo(full_name="named/two", installation=77, labels=["CICD"])
    one, = own_github.open(repo="named/two", author="bob")
    own_github.delivered(delivery=one["delivery"], status=502)
    errors, findings = look()
    assert errors == 0 and has(findings, "warning: the newest delivery, pull_request at", "answered with 502")
    own_github.forget_deliveries()


def test_check_tells_wrong_credentials_from_a_network_that_is_down(look, own_github):
    own_github.fault(route="GET /app", status=401, count=-1)
    errors, findings = look()
    assert errors == 1 and has(findings, "error: asking GitHub about the App", "401")
    own_github.clear_faults()
    own_github.fault(route="GET /app", status=503, count=-1)
    errors, findings = look()
    assert errors == 0 and has(findings, "warning: GitHub could not be asked about the App")
    assert not has(findings, "webhook")


# app-manifest, and what README and prgate.conf list

def manifest(*arguments, conf=None):
    done = subprocess.run([BUILD / "prgatectl", *(["-c", conf] if conf else []), "app-manifest", *arguments],
                          capture_output=True, text=True, check=False)
    return done.returncode, json.loads(done.stdout) if done.returncode == 0 else done.stderr


def readme_table():
    """{permission as GitHub's API has it: accesses}, from the set-up section."""
    rows = re.search(r"\| permission \| access \|.*?\n\n", (ROOT / "README.md").read_text(), re.DOTALL)[0].splitlines()[2:]
    found = {}
    for row in filter(None, rows):
        name, access = [cell.strip() for cell in row.split("|")[1:3]]
        key = name.replace(" (organization)", "").lower().replace(" ", "_")
        found.setdefault(key, set()).add({"read": "read", "read and write": "write"}[access])
    return found


CONFIGURED = """state_dir = "{dir}/state"
dry_run = true
webhook_secret_file = "{dir}/secret"
public_url = "https://gate.example"
repo "a/*" {{
  trusted_teams = {{"a/team"}}
  trigger = "{trigger}"
  workflow = "ci.yml"
  trigger_can_be_asked = {asked}
}}
"""


@pytest.mark.parametrize("trigger, asked, contents, actions", [
    ("repository_dispatch", "false", "write", None), ("repository_dispatch", "true", "write", "read"),
    ("workflow_dispatch", "true", None, "write"), ("none", "false", None, None)])
def test_the_manifest_asks_for_what_the_configuration_needs_and_readme_lists(tmp_path, trigger, asked, contents, actions):
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "secret").chmod(0o600)
    conf = tmp_path / "prgate.conf"
    text = CONFIGURED.format(dir=tmp_path, trigger=trigger, asked=asked)
    if trigger != "workflow_dispatch":
        text = text.replace('  workflow = "ci.yml"\n', "")
    if trigger == "none":
        text = text.replace("  trigger_can_be_asked = false\n", "")
    conf.write_text(text)
    status, made = manifest(conf=conf)
    assert status == 0, made
    assert (made["url"], made["hook_attributes"]["url"]) == ("https://gate.example", "https://gate.example/webhook")
    asked_for = made["default_permissions"]
    assert (asked_for.get("contents"), asked_for.get("actions"), asked_for["members"]) == (contents, actions, "read")
    table = readme_table()
    assert set(made["default_events"]) == set(EVENTS) and {EVENTS[event] for event in EVENTS} <= set(asked_for)
    assert all(access in table[name] for name, access in asked_for.items()), (asked_for, table)


def test_readme_lists_no_permission_and_no_event_that_the_program_does_not_know():
    status, made = manifest("https://gate.example/")
    assert status == 0 and made["name"] == "prgate gate.example"
    assert set(readme_table()) == set(made["default_permissions"]) | {"actions", "members"}
    assert {EVENTS[event] for event in made["default_events"]} <= set(made["default_permissions"])
    words = re.search(r"Subscribe to the event.*?To no other event", (ROOT / "README.md").read_text(), re.DOTALL)[0]
    listed = {name.lower().replace(" ", "_") for name in re.findall(r"\*([A-Z][a-z ]+)\*", " ".join(words.split()))}
    assert listed == set(made["default_events"]) | {event for event, permission in EVENTS.items() if permission == "members"}
    comment = (ROOT / "conf/prgate.conf").read_text().split("Either a GitHub App.")[1].split("The key may")[0]
    for name in ("checks", "pull requests", "contents", "actions", "members", "pull request"):
        assert name in comment, name


@pytest.mark.parametrize("argument, status", [("prgate.example", 64), ("ftp://a", 64), ('https://a"b', 64)])
def test_the_manifest_wants_a_url(argument, status):
    assert manifest(argument)[0] == status


# recover

def test_recover_wants_the_pool_stopped_and_keeps_everything(own_github, key_pem):
    workspace = Workspace(own_github.url, "app", key_pem)
    site = Site(Nginx, workspace, own_github)
    try:
        gate = Gate(site)
        assert outcome(gate.do("open", author="ann")) == STARTED
        assert "stop the pool first" in said(site, "recover", status=1)
        site.server.stop()
        wait_until(lambda: "stop the pool first" not in site.ctl("recover").stderr, 20, lambda: "the pool ends")
        regions = workspace.state / "db" / "__db.001"
        with open(regions, "rb"):  # so that its inode is not used again
            before = regions.stat().st_ino
            said(site, "status")
            assert regions.stat().st_ino == before
            found = as_json(site, "recover")
            assert regions.stat().st_ino != before  # that is what a recovery does
        assert (found["done"], found["pull_requests"], found["deliveries_waiting"]) == ("recover", 1, 0)
        assert found["log_records"] > 0
        assert "recovered from its log" in said(site, "recover")
        assert as_json(site, "status", f"{gate.repo}#1")["state"] == "triggered"
    finally:
        end(site)


# All of them

def on_a_terminal(arguments, **environment):
    """What it prints where stdout and stderr are a terminal."""
    master, slave = pty.openpty()
    process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=slave, stderr=slave,
                               env={**os.environ, "TERM": "xterm", **environment})
    os.close(slave)
    seen = b""
    while True:
        try:
            part = os.read(master, 4096)
        except OSError:
            break
        if not part:
            break
        seen += part
    process.wait(timeout=20)
    os.close(master)
    return seen.decode()


@pytest.fixture
def offline(tmp_path):
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "secret").chmod(0o600)
    (tmp_path / "prgate.conf").write_text(f'state_dir = "{tmp_path}/state"\ndry_run = true\n'
                                          f'webhook_secret_file = "{tmp_path}/secret"\nrepo "*" {{\n}}\n')
    (tmp_path / "state").mkdir(0o700)
    return [BUILD / "prgatectl", "-c", tmp_path / "prgate.conf"]


def test_colours_and_progress_are_for_terminals(offline, tmp_path):
    assert "\033[32m" in on_a_terminal([*offline, "check"])
    assert "\033" not in on_a_terminal([*offline, "check"], NO_COLOR="1")
    assert "\033" not in on_a_terminal([*offline, "check"], TERM="dumb")
    assert "\033" not in subprocess.run([*offline, "check"], capture_output=True, text=True, check=True).stdout
    assert "\rdump: " in on_a_terminal([*offline, "dump"])
    assert "\rbackup: " in on_a_terminal([*offline, "backup", tmp_path / "copy"])
    plain = subprocess.run([*offline, "dump"], capture_output=True, text=True, check=True)
    assert "dump:" not in plain.stderr and json.loads(plain.stdout.splitlines()[0])["prgate_dump"] == 1


@pytest.mark.parametrize("command", ["status", "check", "dead list", "drain", "recover", "backup COPY"])
def test_json_is_all_that_stdout_has(offline, tmp_path, command):
    subprocess.run([*offline, "check"], capture_output=True, check=True)
    arguments = command.replace("COPY", str(tmp_path / "copy")).split()
    done = subprocess.run([*offline, *arguments, "--json"], capture_output=True, text=True, check=True)
    assert isinstance(json.loads(done.stdout), dict)


def help_text():
    return subprocess.run([BUILD / "prgatectl", "--help"], capture_output=True, text=True, check=True).stdout


def complete(*words):
    """What bash offers for the last of the words."""
    script = f"""source {ROOT}/conf/completion/prgatectl.bash
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _prgatectl; printf '%s\\n' "${{COMPREPLY[@]}}" """
    done = subprocess.run(["bash", "-c", script, "bash", "prgatectl", *words], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_bash_completes_what_the_help_lists():
    text = help_text()
    assert complete("") == set(COMMANDS.findall(text)) != set()
    assert complete("--") == set(re.findall(r"--[a-z-]+", text))
    assert complete("re") == {one for one in COMMANDS.findall(text) if one.startswith("re")}
    assert complete("dead", "") == {"list", "retry", "drop"}
    assert complete("--json", "dead", "r") == {"retry"}
    assert complete("check", "") == {"configuration"}
    assert "pull_request" in complete("simulate", "")
    assert complete("-c", str(ROOT / "conf/prgate.con")) == {str(ROOT / "conf/prgate.conf")}


def test_zsh_completes_the_same():
    lines = (ROOT / "conf/completion/_prgatectl").read_text()
    text = help_text()
    assert set(re.findall(r"^    '([a-z-]+):", lines, re.MULTILINE)) == set(COMMANDS.findall(text))
    assert set(re.findall(r"--[a-z-]+", lines)) == set(re.findall(r"--[a-z-]+", text))


def test_the_manual_knows_each_command_and_option():
    page = subprocess.run(["mandoc", "-T", "utf8", ROOT / "docs/prgatectl.1"], capture_output=True, text=True,
                          check=True).stdout
    page = re.sub(".\b", "", page)
    for one in COMMANDS.findall(help_text()) + re.findall(r"--[a-z-]+", help_text()):
        assert re.search(rf"(?<![\w-]){re.escape(one)}(?![\w-])", page), one
    for status in re.findall(r"(\d+) (?:done|failed|wrong|no such|not done|configuration)", help_text()):
        assert re.search(rf"^ +{status} +\S", page, re.MULTILINE), status
