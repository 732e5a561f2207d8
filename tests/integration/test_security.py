"""What people who are no friends can do, and what of the secrets can be seen from outside. docs/security.md names these
tests, row by row."""
import datetime
import json
import os
import re
import resource
import signal
import socket
import ssl
import stat
import subprocess
import sys
import threading
import uuid

import gate as gates
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from gate_site import Site, assert_nothing_kept
from processes import running_below, wait_until
from servers import Cgi, Nginx, Pool, end_leftovers
from test_gate import STARTED, WAITING, outcome, same_delivery_under
from workspace import CI_SECRET, OLD_SECRET, ROOT, SECRET, TOKEN, Workspace, as_server_user

MINTED = re.compile(rb"ghs_[A-Za-z0-9_-]{20,}")
HOSTILE = '<script>alert(1)</script>"\'& \x1b[31mred\x1b[0m \u202eodd'


def on(*sites):
    return pytest.mark.parametrize("running_site", sites, indirect=True)


# Secrets

def key_lines(workspace):
    lines = (workspace.dir / "app.pem").read_bytes().splitlines()
    return [line for line in lines if line and not line.startswith(b"-----")]


def secrets_in(text, workspace):
    """Which of the secrets are in some bytes."""
    given = [SECRET.encode(), OLD_SECRET.encode(), CI_SECRET.encode(), TOKEN.encode(), *key_lines(workspace)]
    return [one for one in given if one in text] + MINTED.findall(text)


def ctl(site, *arguments):
    ran = subprocess.run([site.workspace.ctl, *arguments], capture_output=True, timeout=20, check=False,
                         env={**os.environ, **site.workspace.environment()}, **as_server_user())
    return ran.stdout + ran.stderr


def live_a_life(make_gate):
    """Something of everything: trusted and not, waiting and started, CI of GitHub's and an own one, and refusals."""
    for owner in ("dispatch", "own-ci"):
        gate = make_gate(owner)
        assert outcome(gate.do("open", author="bob")) == WAITING
        assert outcome(gate.do("label", label="CICD", by="tim")) == STARTED
    assert gate.site.post_webhook("pull_request", {}, secret="guess")[0] == 401
    assert gate.site.post_webhook("pull_request", {})[0] == 400
    return gate


@on("nginx-app", "nginx-token", "cgi-app")
def test_no_secret_is_shown(make_gate):
    gate = live_a_life(make_gate)
    site, workspace = gate.site, gate.site.workspace
    shown = {path: site.server.request("GET", path).body for path in (
        "/status", "/status.json", f"/status/{gate.repo}/1", f"/status/{gate.repo}/1.json", "/metrics", "/metrics.json",
        "/healthz")}
    shown |= {f"prgatectl {command}": ctl(site, *command.split()) for command in (
        "check", "drain", "status", "json", f"status {gate.repo}#1", f"json {gate.repo}#1", f"explain {gate.repo}#1",
        "recover", "app-manifest https://gate.example")}
    shown |= {f"log {name}": path.read_bytes() for name, path in site.server.logs().items()}
    for pid in running_below(workspace.bin):
        shown[f"command line of {pid}"] = open(f"/proc/{pid}/cmdline", "rb").read()
    assert all(shown[f"/status/{gate.repo}/1{end}"] for end in ("", ".json"))
    assert any(b" webhook taken " in text for name, text in shown.items() if name.startswith("log"))
    for name, text in shown.items():
        assert secrets_in(text, workspace) == [], name


@on("nginx-app", "nginx-token")
def test_the_store_holds_no_secret_of_the_configuration_and_is_for_its_user_only(make_gate):
    gate = live_a_life(make_gate)
    workspace = gate.site.workspace
    minted = []
    for path in workspace.state.rglob("*"):
        mode = path.stat().st_mode
        if path.parent == workspace.state:  # what lies in a directory that is closed need not be so itself
            assert stat.S_IMODE(mode) & 0o077 == 0, path
        if stat.S_ISREG(mode):
            found = secrets_in(path.read_bytes(), workspace)
            minted += [one for one in found if MINTED.fullmatch(one)]
            assert [one for one in found if not MINTED.fullmatch(one)] == [], path
    # The pool shares the tokens that GitHub gives for an hour; docs/security.md says so.
    assert bool(minted) == (workspace.credentials == "app")


class Lonely(Workspace):
    """Its secrets are in the environment, and it never reaches a GitHub."""

    def __init__(self):
        super().__init__("http://127.0.0.1:1", "token")
        self.conf.write_text(f'state_dir = "{self.dir}/state"\nrepo "*" {{ trigger = "none" }}\n')
        self.conf.chmod(0o644)

    def environment(self):
        return {**super().environment(), "PRGATE_WEBHOOK_SECRET": SECRET, "PRGATE_GITHUB_TOKEN": TOKEN}


@pytest.fixture
def process():
    """One process of a pool by itself, with no limit to its core dump, in a directory where it may leave one."""
    workspace = Lonely()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(workspace.dir / "socket"))
    listener.listen()

    def allow_dump():
        hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
        resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))

    with (workspace.dir / "log").open("wb") as log:
        child = subprocess.Popen([workspace.fcgi], stdin=listener, stdout=log, stderr=log, cwd=workspace.dir,
                                 env={**os.environ, **workspace.environment()}, preexec_fn=allow_dump,
                                 **as_server_user())
    try:
        wait_until(lambda: b"ready" in (workspace.dir / "log").read_bytes(), 20,
                   lambda: (workspace.dir / "log").read_text())
        child.workspace = workspace
        yield child
    finally:
        child.kill()
        child.wait()
        listener.close()
        workspace.remove()


def test_secrets_of_the_environment_do_not_stay_there(process):
    shown = open(f"/proc/{process.pid}/cmdline", "rb").read()
    try:
        shown += open(f"/proc/{process.pid}/environ", "rb").read()
    except PermissionError:
        assert os.geteuid() != 0  # only root may look at all
    else:
        assert b"PRGATE_CONF=" in shown and b"PRGATE_WEBHOOK_SECRET=" in shown
    assert secrets_in(shown, process.workspace) == []


def test_a_crash_leaves_no_core_dump(process):
    process.send_signal(signal.SIGABRT)
    # Popen.wait() would not tell whether there was a dump.
    _, status = os.waitpid(process.pid, 0)
    process.returncode = -signal.SIGABRT
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGABRT
    assert not os.WCOREDUMP(status)
    holders = [path for path in process.workspace.dir.iterdir() if path.is_file() and path.name.startswith("core")]
    assert holders == []


# Strangers

@on("nginx-app", "lighttpd-token", "apache-fcgid-app")
def test_slow_bodies_hold_nobody_up(make_gate):
    gate = make_gate()
    opened, = gate.happen("open", author="bob")
    slow = []
    try:
        for _ in range(40):  # more than all threads of the pool
            connection = socket.create_connection(("127.0.0.1", gate.site.server.port))
            connection.sendall(b"POST /webhook HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                               b"X-GitHub-Event: pull_request\r\nX-GitHub-Delivery: slow\r\n"
                               b"Content-Length: 1000000\r\n\r\n{")
            slow.append(connection)
        gate.deliver([opened])
    finally:
        for connection in slow:
            connection.close()
    assert outcome(gate.settled()) == WAITING


@on("nginx-app", "cgi-app")
@pytest.mark.parametrize("event, status", [("push", 200), ("ping", 200), ("issues", 200), ("pull_request_review", 200),
                                           ("check_run", 200), ("check_suite", 200), ("merge_group", 200),
                                           ("issue_comment", 200)])
def test_another_event_name_makes_nothing_of_a_signed_body(site, repo, opened, event, status):
    assert site.post_webhook(event, opened["payload"], opened["delivery"])[0] == status
    assert_nothing_kept(site, repo)


@on("nginx-app", "cgi-app")
@pytest.mark.parametrize("body", [
    {"action": "labeled", "issue": {"number": 1, "pull_request": {}}, "label": {"name": "CICD"}},
    {"action": "created", "comment": {"body": "CICD"}, "issue": {"number": 1}},
    {"ref": "refs/heads/main", "after": "a" * 40}], ids=["issues", "issue_comment", "push"])
def test_another_event_s_signed_body_is_no_pull_request(site, repo, body):
    body["repository"] = {"id": 1, "full_name": repo}
    body["sender"] = {"id": 3, "login": "tim"}
    assert site.post_webhook("pull_request", body)[0] in (200, 400)
    assert_nothing_kept(site, repo)


@on("nginx-app", "nginx-token")
def test_a_replayed_approval_is_no_approval_of_what_came_later(make_gate):
    """The id of a delivery is not signed: whoever saw one go by can send it again under another."""
    gate = make_gate()
    gate.do("open", author="bob")
    labeled, = gate.happen("label", label="CICD", by="tim")
    gate.deliver([labeled])
    assert outcome(gate.settled()) == STARTED
    assert outcome(gate.do("push", by="bob")) == WAITING
    gate.deliver([same_delivery_under(f"replay-{turn}", labeled) for turn in range(3)])
    assert outcome(gate.settled()) == WAITING


@on("nginx-app")
def test_an_answer_that_is_under_way_when_rights_are_lost_is_not_kept(make_gate):
    """It was true when GitHub was asked; one process asks, and any may hear that it is true no more."""
    gate = make_gate()
    gate.do("open", author="ann")
    path = f"/repos/{gate.repo}/collaborators/max/permission"
    gate.sim.fault(route=f"GET {path}", hold=2)
    gate.deliver(gate.happen("push", by="max"))
    wait_until(lambda: any(call["path"].startswith(path) for call in gate.sim.calls()), 10, "the question")
    status, _ = gate.site.post_webhook("member", {"action": "edited", "member": {"login": "max", "id": 3}})
    assert status == 200
    gate.sim.clear_faults()
    assert outcome(gate.settled()) == STARTED, "it decides what it was asked for"
    gate.sim.role(repo=gate.repo, login="max", role="read")
    assert outcome(gate.do("push", by="max")) == WAITING


def forged(delivery, **changes):
    """The delivery with other values, as somebody can sign it who has the webhook's secret."""
    payload = json.loads(delivery["payload"])
    for path, value in changes.items():
        *way, last = path.split("__")
        place = payload
        for name in way:
            place = place[name]
        place[last] = value
    return {**delivery, "delivery": str(uuid.uuid4()), "payload": json.dumps(payload)}


@on("nginx-app", "nginx-token")
def test_a_stolen_webhook_secret_makes_nobody_trusted(make_gate):
    """It signs any claim, but who is trusted, who may approve and which labels are there, GitHub is asked."""
    gate = make_gate()
    opened, = gate.happen("open", author="bob")
    gate.deliver([forged(opened, pull_request__author_association="OWNER", sender__type="User")])
    assert outcome(gate.settled()) == WAITING
    # bob labels for himself: he may not.
    labeled, = gate.happen("label", label="bug", by="ann")
    bob = json.loads(opened["payload"])["pull_request"]["user"]
    gate.deliver([forged(labeled, label__name="CICD", sender=bob)])
    assert gate.settled().started == []
    # Another head than GitHub's.
    gate.deliver([forged(labeled, label__name="CICD", pull_request__head__sha="f" * 40)])
    assert gate.settled().started == []


@on("cgi-app")
def test_headers_that_become_variables_of_the_environment_change_nothing(make_gate):
    """CGI puts each header into the environment, with HTTP_ before it: "Proxy: x" is HTTP_PROXY."""
    gate = make_gate()
    opened, = gate.happen("open", author="ann")
    status, _ = gate.site.post_webhook(opened["event"], opened["payload"], opened["delivery"], headers={
        "Proxy": "http://127.0.0.1:9", "PRGATE-CONF": "/nowhere", "PRGATE-WEBHOOK-SECRET": "guess"})
    assert status == 202
    assert outcome(gate.settled()) == STARTED


# Between prgate and GitHub

class FalseGitHub:
    """Answers on TLS with a certificate that nobody vouches for, and keeps what it gets to read."""

    def __init__(self, directory):
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
        now = datetime.datetime.utcnow()
        certificate = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
                       .serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
                       .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
                       .sign(key, hashes.SHA256()))
        pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL,
                                serialization.NoEncryption()) + certificate.public_bytes(serialization.Encoding.PEM)
        (directory / "false.pem").write_bytes(pem)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(directory / "false.pem")
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://localhost:{self.listener.getsockname()[1]}"
        self.read, self.refused = [], 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection = self.listener.accept()[0]
            except OSError:
                return
            try:
                with self.context.wrap_socket(connection, server_side=True) as secured:
                    self.read.append(secured.recv(65536))
            except OSError:
                self.refused += 1


def test_a_false_github_gets_no_credentials(tmp_path, github, opened_elsewhere):
    false = FalseGitHub(tmp_path)
    workspace = Workspace(false.url, "token", timeout=2)
    try:
        site = Site(Cgi, workspace, github)
        assert site.post_webhook("pull_request", opened_elsewhere)[0] == 202
        wait_until(lambda: false.refused or false.read, 20, "prgate calls GitHub")
        end_leftovers(workspace)
    finally:
        false.listener.close()
        workspace.remove()
    # With TLS 1.3 the server is done before the client has looked: it then reads the end of the connection.
    assert [one for one in false.read if one] == []


@pytest.fixture
def opened_elsewhere(github):
    github.repo(full_name="dispatch/elsewhere", installation=None, labels=["CICD"], roles={})
    return github.open(repo="dispatch/elsewhere", author="bob")[0]["payload"]


# Authors of pull requests

@on("nginx-app", "cgi-token")
def test_a_hostile_title_stays_text(make_gate):
    gate = make_gate()
    gate.do("open", author="bob", title=HOSTILE)
    site = gate.site
    for path in ("/status", f"/status/{gate.repo}/1"):
        reply = site.server.request("GET", path)
        assert b"<script" not in reply.body and b"&lt;script&gt;alert(1)" in reply.body, path
        assert "default-src 'none'" in reply.headers["content-security-policy"]
        assert reply.headers["x-content-type-options"] == "nosniff"
    for command in (["status"], ["status", f"{gate.repo}#1"], ["json", f"{gate.repo}#1"]):
        printed = ctl(site, *command)
        assert b"\x1b" not in printed, command
    assert "\u202e".encode() not in ctl(site, "status")
    for name, path in site.server.logs().items():
        assert b"\x1b" not in path.read_bytes(), name


@on("nginx-app", "cgi-token")
def test_a_private_repository_is_not_there(make_gate):
    gate = make_gate()
    gate.do("open", author="bob", title="What nobody is to know")
    site, page = gate.site, f"/status/{gate.repo}/1"
    assert b"nobody is to know" in site.server.request("GET", page).body
    news = gate.happen("edit")
    for delivery in news:
        payload = json.loads(delivery["payload"])
        payload["repository"]["private"] = True
        delivery["payload"] = json.dumps(payload)
    gate.deliver(news)
    site.wait_idle()
    for path in ("/status", "/status.json", page, page + ".json", "/status?q=nobody"):
        reply = site.server.request("GET", path)
        assert b"nobody is to know" not in reply.body and gate.repo.encode() not in reply.body, path
        assert reply.status == (404 if page in path else 200), path
    assert gate.repo.encode() in ctl(site, "status")


# The unit's sandbox

class SandboxedPool(Pool):
    """With the system calls that systemd would let it make."""
    wrapper = [sys.executable, ROOT / "tests/integration/sandbox.py"]


class SandboxedNginx(Nginx):
    name = "nginx"
    pool_class = SandboxedPool


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the numbers of the system calls are those of x86-64")
def test_the_pool_works_with_the_system_calls_that_its_unit_allows(make_site, github):
    site = make_site(SandboxedNginx, github)
    gate = gates.Gate(site, "dispatch")
    assert outcome(gate.do("open", author="ann")) == STARTED
    members = running_below(site.workspace.bin)
    assert len(members) == 2
    for pid in members:
        status = open(f"/proc/{pid}/status").read()
        assert "Seccomp:\t2" in status
    # One that dies is replaced: multiwatch, too, can do what it needs.
    os.kill(members[0], signal.SIGKILL)
    wait_until(lambda: len(set(running_below(site.workspace.bin)) - {members[0]}) == 2, 20, "a new member")
    assert outcome(gate.do("push", by="ann")) == STARTED
