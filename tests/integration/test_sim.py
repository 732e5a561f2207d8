"""The simulator itself: a test double that is wrong would make every other test worthless."""
import base64
import hashlib
import hmac
import http.client
import http.server
import json
import threading
import time
import urllib.parse

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from github_sim import client
from processes import wait_until

REPO = "acme/rocket"
HEADERS = {"User-Agent": "test", "Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28",
           "Authorization": "Bearer ghp_test"}


class Api:
    """A caller as prgate should be, unless a test leaves something out."""

    def __init__(self, url, **headers):
        self.host = url.removeprefix("http://")
        self.headers = {**HEADERS, **headers}

    def __call__(self, method, path, body=None, timeout=5, raw=None):
        headers = {name: value for name, value in self.headers.items() if value is not None}
        sent = raw if raw is not None else None if body is None else json.dumps(body)
        if sent is not None:
            headers.setdefault("Content-Type", "application/json")
        connection = http.client.HTTPConnection(self.host, timeout=timeout)
        try:
            connection.request(method, path, sent, headers)
            reply = connection.getresponse()
            text = reply.read()
            return reply.status, json.loads(text) if text else None, reply.headers
        finally:
            connection.close()


@pytest.fixture(scope="module")
def process():
    with client.start() as sim:
        yield sim


@pytest.fixture
def sim(process):
    process.reset()
    process.repo(full_name=REPO, installation=77, labels=["CICD", "needs CI/x"],
                 roles={"ann": "maintain", "tim": "triage"})
    process.token(token="ghp_test", login="gatekeeper")
    process.open(repo=REPO, author="bob", number=1)
    return process


@pytest.fixture
def api(sim):
    return Api(sim.url)


@pytest.fixture(scope="module")
def key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def app(sim, key):
    public = key.public_key().public_bytes(serialization.Encoding.PEM,
                                           serialization.PublicFormat.SubjectPublicKeyInfo)
    sim.app(id=12345, slug="prgate", public_key=public.decode())
    return lambda **claims: Api(sim.url, Authorization=f"Bearer {jwt(key, **claims)}")


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def jwt(key, alg="RS256", **claims):
    now = int(time.time())
    claims = {"iss": 12345, "iat": now - 60, "exp": now + 300, **claims}
    signed = b64(json.dumps({"alg": alg, "typ": "JWT"}).encode()) + b"." + b64(json.dumps(claims).encode())
    return (signed + b"." + b64(key.sign(signed, padding.PKCS1v15(), hashes.SHA256()))).decode()


def installation(sim, app):
    status, body, _ = app()("POST", "/app/installations/77/access_tokens")
    assert status == 201
    return Api(sim.url, Authorization=f"Bearer {body['token']}")


def head(sim, number=1):
    return pull(sim, number)["head"]


def pull(sim, number=1):
    return sim.state(repo=REPO)["repos"][REPO]["pulls"][str(number)]


def repo_path(tail):
    return f"/repos/{REPO}/{tail}"


# What people do

def test_opening_with_labels_sends_opened_and_one_labeled_each(sim):
    sent = sim.open(repo=REPO, author="bob", labels=["CICD", "bug"])
    payloads = [json.loads(one["payload"]) for one in sent]
    assert [one["action"] for one in payloads] == ["opened", "labeled", "labeled"]
    assert [one["label"]["name"] for one in payloads[1:]] == ["CICD", "bug"]
    assert len({one["delivery"] for one in sent}) == 3
    assert payloads[0]["installation"]["id"] == 77
    assert payloads[0]["pull_request"]["id"] > 2**31


def test_payloads_are_of_real_size(sim):
    sent, = sim.label(repo=REPO, number=1, label="CICD", by="ann")
    assert 20_000 < len(sent["payload"]) < 28_000


@pytest.mark.parametrize("operation, arguments, action, shown", [
    ("push", {"sha": "a" * 40}, "synchronize", {"head": "a" * 40}),
    ("draft", {}, "converted_to_draft", {"draft": True}),
    ("ready", {}, "ready_for_review", {"draft": False}),
    ("close", {"merged": True}, "closed", {"state": "closed", "merged": True}),
    ("reopen", {}, "reopened", {"state": "open"}),
    ("label", {"label": "CICD", "by": "ann"}, "labeled", {"labels": ["CICD"]}),
    ("edit", {"title": "Other"}, "edited", {}),
    ("assign", {}, "assigned", {}),
])
def test_a_persons_deed_changes_the_state_and_sends_its_payload(sim, operation, arguments, action, shown):
    sent, = sim.do(operation, {"repo": REPO, "number": 1, **arguments})
    body = json.loads(sent["payload"])
    assert (sent["event"], body["action"], body["number"]) == ("pull_request", action, 1)
    assert body["pull_request"]["head"]["sha"] == head(sim)
    state = pull(sim)
    assert {name: state[name] for name in shown} == shown
    assert sim.outbox() == []


def test_a_change_moves_updated_at_on(sim, api):
    before = pull(sim)["updated_at"]
    time.sleep(1.1)
    sim.push(repo=REPO, number=1)
    assert pull(sim)["updated_at"] > before


def test_doing_what_is_done_sends_nothing(sim):
    sim.label(repo=REPO, number=1, label="CICD", by="ann")
    assert sim.label(repo=REPO, number=1, label="cicd", by="ann") == []
    assert len(sim.unlabel(repo=REPO, number=1, label="CICD", by="ann")) == 1
    assert sim.unlabel(repo=REPO, number=1, label="CICD", by="ann") == []


def test_deleted_accounts_and_forks_are_null(sim):
    sent, = sim.open(repo=REPO, author=None, deleted_fork=True)
    body = json.loads(sent["payload"])["pull_request"]
    assert body["user"] is None and body["head"]["repo"] is None


def test_mergeable_is_null_until_it_is_worked_out(sim, api):
    sent, = sim.open(repo=REPO, author="bob", number=5, mergeable=False, mergeable_after_ms=200)
    assert json.loads(sent["payload"])["pull_request"]["mergeable"] is None
    assert api("GET", repo_path("pulls/5"))[1]["mergeable"] is None
    time.sleep(0.25)
    assert api("GET", repo_path("pulls/5"))[1]["mergeable"] is False


# What programs may do

def test_own_label_writes_are_echoed(sim, api):
    assert api("POST", repo_path("issues/1/labels"), {"labels": ["CICD"]})[0] == 200
    assert api("POST", repo_path("issues/1/labels"), {"labels": ["CICD"]})[0] == 200
    assert api("DELETE", repo_path("issues/1/labels/CICD"))[0] == 200
    bodies = [json.loads(one["payload"]) for one in sim.outbox()]
    assert [(one["action"], one["sender"]["login"]) for one in bodies] == [("labeled", "gatekeeper"),
                                                                          ("unlabeled", "gatekeeper")]
    assert sim.outbox() == [] and sim.violations() == []


def test_label_names_are_percent_encoded(sim, api):
    sim.label(repo=REPO, number=1, label="needs CI/x", by="ann")
    assert api("DELETE", repo_path("issues/1/labels/needs%20CI%2Fx"))[0] == 200
    assert api("DELETE", repo_path("issues/1/labels/needs%20CI%2Fx"))[0] == 404
    assert sim.violations() == []


@pytest.mark.parametrize("login, permission, role", [
    ("ann", "write", "maintain"), ("tim", "read", "triage"), ("bob", "read", "read")])
def test_permissions_are_folded_as_github_folds_them(api, login, permission, role):
    status, body, _ = api("GET", repo_path(f"collaborators/{login}/permission"))
    assert (status, body["permission"], body["role_name"]) == (200, permission, role)


def test_a_bot_is_no_collaborator(sim, api):
    sim.role(repo=REPO, login="dependabot[bot]", role="write")
    assert api("GET", repo_path("collaborators/dependabot%5Bbot%5D/permission"))[0] == 404


def test_team_membership(sim, api):
    sim.team(org="acme", team="crew", login="ann")
    sim.team(org="acme", team="crew", login="pat", state="pending")
    path = "/orgs/acme/teams/crew/memberships/"
    assert [api("GET", path + who)[0] for who in ("ann", "pat", "bob")] == [200, 200, 404]
    assert api("GET", path + "pat")[1]["state"] == "pending"


CHECK = {"name": "gate", "head_sha": "HEAD", "status": "in_progress", "external_id": "x",
         "output": {"title": "Waiting", "summary": "For a label"}}
INVALID = [
    ("POST", "check-runs", {**CHECK, "name": None}),
    ("POST", "check-runs", {**CHECK, "colour": "red"}),
    ("POST", "check-runs", {**CHECK, "status": "pending"}),
    ("POST", "check-runs", {**CHECK, "status": "completed"}),
    ("POST", "check-runs", {**CHECK, "head_sha": "b" * 40}),
    ("POST", "check-runs", {**CHECK, "output": {"title": "no summary"}}),
    ("POST", "check-runs", {**CHECK, "actions": [{"label": "x" * 21, "description": "", "identifier": "y"}]}),
    ("POST", "check-runs", {**CHECK, "details_url": "not a URL"}),
    ("POST", "statuses/HEAD", {"state": "waiting"}),
    ("POST", "statuses/HEAD", {"state": "pending", "description": "x" * 141}),
    ("POST", "issues/1/labels", {"labels": []}),
    ("POST", "issues/1/labels", {"labels": [7]}),
    ("POST", "issues/1/labels", {"label": ["CICD"]}),
    ("POST", "issues/1/comments", {"body": ""}),
    ("POST", "dispatches", {"client_payload": {}}),
    ("POST", "dispatches", {"event_type": "x" * 101}),
    ("POST", "dispatches", {"event_type": "x", "client_payload": {str(n): n for n in range(11)}}),
    ("POST", "actions/workflows/ci.yml/dispatches", {"inputs": {}}),
    ("POST", "actions/workflows/ci.yml/dispatches", {"ref": "main", "inputs": {"number": 1}}),
    ("POST", "actions/workflows/ci.yml/dispatches", {"ref": "main", "inputs": {"extra": "1"}}),
    ("POST", "actions/workflows/ci.yml/dispatches", {"ref": "nowhere"}),
]


@pytest.mark.parametrize("method, path, body", INVALID, ids=lambda value: str(value)[:60])
def test_bodies_that_github_refuses(sim, app, method, path, body):
    api, sha = installation(sim, app), head(sim)
    sent = {name: sha if value == "HEAD" else value for name, value in body.items()}
    status, reply, _ = api(method, repo_path(path.replace("HEAD", sha)), sent)
    assert status == 422
    assert {"message", "documentation_url"} <= set(reply)


def test_a_body_that_is_no_json(sim, api):
    assert api("POST", repo_path("issues/1/comments"), raw="{")[0] == 400
    assert [one["kind"] for one in sim.violations()] == ["400"]


@pytest.mark.parametrize("method, path", [
    ("GET", "/nowhere"), ("PUT", "/repos/acme/rocket/pulls/1"), ("GET", "/repos/acme/rocket/dispatches")])
def test_no_such_route_is_a_violation(sim, api, method, path):
    assert api(method, path)[0] == 404
    assert sim.violations()[0]["text"] == "no such route"


def test_what_is_not_there_is_no_violation(sim, api):
    for path in ("pulls/99", "collaborators/nobody/permission", "issues/99/labels"):
        assert api("GET", repo_path(path))[0] == 404
    assert sim.violations() == []


@pytest.mark.parametrize("left_out, status", [
    ("User-Agent", 403), ("Accept", 200), ("X-GitHub-Api-Version", 200), ("Authorization", 401)])
def test_headers_that_must_be_sent(sim, left_out, status):
    api = Api(sim.url, **{left_out: None})
    if left_out == "Accept":
        api.headers["Accept"] = "*/*"
    assert api("GET", repo_path("pulls/1"))[0] == status
    assert len(sim.violations()) == 1


def test_unknown_token(sim):
    status, body, _ = Api(sim.url, Authorization="token nonsense")("GET", "/user")
    assert (status, body["message"]) == (401, "Bad credentials")


def test_pages(sim, api):
    sim.batch([("comment", {"repo": REPO, "number": 1, "body": f"number {n}", "by": "bob"}) for n in range(25)])
    path, seen = repo_path("issues/1/comments?per_page=10"), []
    while path:
        _, page, headers = api("GET", path)
        seen += [one["body"] for one in page]
        following = [link for link in headers.get("Link", "").split(", ") if link.endswith('rel="next"')]
        path = following[0].split(">")[0].lstrip("<").removeprefix(sim.url) if following else None
    assert seen == [f"number {n}" for n in range(25)]


# Apps

def test_app_and_installation(sim, app):
    assert app()("GET", "/app")[1]["slug"] == "prgate"
    assert app()("GET", repo_path("installation"))[1]["id"] == 77
    assert installation(sim, app)("GET", repo_path("pulls/1"))[0] == 200
    assert sim.violations() == []


def test_what_an_app_asks_for_and_where_its_webhook_goes(sim, app):
    sim.own_app(events=["pull_request"], hook={"url": "https://a.example/webhook"}, agreed={"metadata": "read"})
    status, body, _ = app()("GET", "/app")
    assert (status, body["events"], body["permissions"]["checks"]) == (200, ["pull_request"], "write")
    assert app()("GET", repo_path("installation"))[1]["permissions"] == {"metadata": "read"}
    assert app()("GET", "/app/hook/config")[1]["url"] == "https://a.example/webhook"
    assert installation(sim, app)("GET", "/app/hook/config")[0] == 401


@pytest.mark.parametrize("claims", [
    {"iat": 2**33}, {"exp": 2**33}, {"exp": 1}, {"alg": "HS256"}, {"iss": 1}, {"iat": "now"}], ids=str)
def test_wrong_jwts(sim, app, claims):
    assert app(**claims)("GET", "/app")[0] in (401, 404)
    assert len(sim.violations()) == 1


def test_a_jwt_signed_by_another_key(sim, app):
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    assert Api(sim.url, Authorization=f"Bearer {jwt(other)}")("GET", "/app")[0] == 401


def test_an_expired_installation_token_is_no_violation(sim, app):
    api = installation(sim, app)
    sim.expire_tokens()
    assert api("GET", repo_path("pulls/1"))[0] == 401
    assert sim.violations() == []


def test_a_token_cannot_write_check_runs(sim, api):
    assert api("POST", repo_path("check-runs"), {**CHECK, "head_sha": head(sim)})[0] == 403


def test_an_app_without_the_permission(sim, app):
    sim.settings(permissions={"metadata": "read"})
    assert installation(sim, app)("POST", repo_path("issues/1/comments"), {"body": "hello"})[0] == 403


def test_check_runs(sim, app):
    api, sha = installation(sim, app), head(sim)
    status, made, _ = api("POST", repo_path("check-runs"), {**CHECK, "head_sha": sha})
    assert (status, made["status"], made["conclusion"]) == (201, "in_progress", None)
    status, done, _ = api("PATCH", repo_path(f"check-runs/{made['id']}"), {"conclusion": "success"})
    assert (status, done["status"], done["conclusion"]) == (200, "completed", "success")
    found = api("GET", repo_path(f"commits/{sha}/check-runs?check_name=gate&filter=latest"))[1]
    assert [run["id"] for run in found["check_runs"]] == [made["id"]]
    assert api("GET", repo_path(f"commits/{sha}/check-runs?check_name=other"))[1]["total_count"] == 0
    assert sim.violations() == []


def test_statuses_are_listed_newest_first(sim, api):
    sha = head(sim)
    for state in ("pending", "success"):
        assert api("POST", repo_path(f"statuses/{sha}"), {"state": state, "context": "gate"})[0] == 201
    assert [one["state"] for one in api("GET", repo_path(f"commits/{sha}/statuses"))[1]] == ["success", "pending"]


def test_dispatches_start_runs_after_a_while(sim, api):
    sim.settings(runs_delay_ms=200)
    sent = {"event_type": "go", "client_payload": {"key": "k1", "number": 1}}
    assert api("POST", repo_path("dispatches"), sent)[0] == 204
    inputs = {"ref": "main", "inputs": {"key": "k2", "number": "1"}}
    assert api("POST", repo_path("actions/workflows/ci.yml/dispatches"), inputs)[0] == 204
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 5))
    path = repo_path(f"actions/runs?event=repository_dispatch&created=%3E%3D{since}")
    assert api("GET", path)[1]["total_count"] == 0
    time.sleep(0.25)
    assert [run["display_title"] for run in api("GET", path)[1]["workflow_runs"]] == ["CI k1"]
    assert [run["event"] for run in api("GET", repo_path("actions/runs"))[1]["workflow_runs"]] == [
        "workflow_dispatch", "repository_dispatch"]
    assert [one["pr"] for one in sim.calls()[:2]] == [f"{REPO}#1"] * 2


def runs(sim):
    return {run["id"]: (run["status"], run["conclusion"]) for run in sim.state(repo=REPO)["repos"][REPO]["runs"]}


def test_runs_are_listed_by_commit_event_and_status(sim, api):
    sim.settings(runs_delay_ms=0)
    sha = head(sim)
    waiting = sim.pull_run(repo=REPO, number=1, first_time=True)["id"]
    target = sim.pull_run(repo=REPO, number=1, event="pull_request_target")["id"]

    def listed(query):
        return [run["id"] for run in api("GET", repo_path(f"actions/runs?{query}"))[1]["workflow_runs"]]
    assert listed(f"head_sha={sha}") == [target, waiting]
    assert listed(f"head_sha={sha}&event=pull_request") == [waiting]
    assert listed(f"head_sha={sha}&status=action_required") == [waiting]
    assert listed(f"head_sha={sha}&status=in_progress") == [target]
    assert listed("head_sha=" + "1" * 40) == []
    assert sim.violations() == []
    assert api("GET", repo_path("actions/runs?status=done"))[0] == 422
    assert api("GET", repo_path("actions/runs?sha=1"))[0] == 422
    assert len(sim.violations()) == 2


def test_runs_are_cancelled_and_approved(sim, api):
    waiting = sim.pull_run(repo=REPO, number=1, first_time=True)["id"]
    running = sim.pull_run(repo=REPO, number=1)["id"]
    assert api("POST", repo_path(f"actions/runs/{running}/approve"))[0] == 403
    assert len(sim.violations()) == 1
    assert api("POST", repo_path(f"actions/runs/{waiting}/approve"))[0] == 201
    assert runs(sim) == {waiting: ("queued", None), running: ("in_progress", None)}
    assert api("POST", repo_path(f"actions/runs/{running}/cancel"))[0] == 202
    assert api("POST", repo_path(f"actions/runs/{running}/cancel"))[0] == 409
    sim.finish_run(repo=REPO, id=waiting)
    assert api("POST", repo_path(f"actions/runs/{waiting}/cancel"))[0] == 409
    assert api("POST", repo_path("actions/runs/1/cancel"))[0] == 404
    assert runs(sim) == {waiting: ("completed", "success"), running: ("completed", "cancelled")}
    assert {one["pr"] for one in sim.calls()[:-1]} == {f"{REPO}#1"}


def test_merge_queue_tells_of_its_groups(sim, api):
    asked, = sim.enqueue(repo=REPO, number=1)
    body = json.loads(asked["payload"])
    group = body["merge_group"]
    assert (asked["event"], body["action"]) == ("merge_group", "checks_requested")
    assert group["head_ref"] == f"refs/heads/gh-readonly-queue/main/pr-1-{group['base_sha']}"
    assert group["base_ref"] == "refs/heads/main"
    assert api("GET", repo_path(f"commits/{group['head_sha']}/check-runs"))[0] == 200
    gone, = sim.destroy_group(repo=REPO, number=1, reason="merged")
    body = json.loads(gone["payload"])
    assert (body["action"], body["reason"], body["merge_group"]) == ("destroyed", "merged", group)
    left, = sim.dequeue(repo=REPO, number=1)
    body = json.loads(left["payload"])
    assert (left["event"], body["action"], body["reason"]) == ("pull_request", "dequeued", "MANUAL")
    assert body["pull_request"]["state"] == "open"


# Deliveries

def test_deliveries_can_be_listed_and_asked_for_again(sim, app):
    sim.push(repo=REPO, number=1)
    listed = app()("GET", "/app/hook/deliveries?per_page=1")
    assert listed[1][0]["action"] == "synchronize" and 'rel="next"' in listed[2]["Link"]
    assert app()("POST", f"/app/hook/deliveries/{listed[1][0]['id']}/attempts")[0] == 202
    again, = sim.outbox()
    assert again["delivery"] == listed[1][0]["guid"]


def test_attempts_show_what_was_answered(sim, app):
    pushed, = sim.push(repo=REPO, number=1)
    sim.delivered(delivery=pushed["delivery"], status=503)
    listed = app()("GET", "/app/hook/deliveries?per_page=1")[1][0]
    assert (listed["guid"], listed["status_code"], listed["redelivery"]) == (pushed["delivery"], 503, False)
    sim.delivered(delivery=pushed["delivery"], status=0)
    assert app()("GET", "/app/hook/deliveries?per_page=1")[1][0]["status"] == "timed out"


def test_redeliveries_are_really_posted(sim, app):
    got = []

    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((self.headers["X-GitHub-Delivery"], self.headers["X-Hub-Signature-256"], body))
            self.send_response(202)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sim.hook(url=f"http://127.0.0.1:{server.server_port}/webhook", secret="s")
    pushed, = sim.push(repo=REPO, number=1)
    sim.delivered(delivery=pushed["delivery"], status=503)
    first = sim.attempts(delivery=pushed["delivery"])[0]["id"]
    assert app()("POST", f"/app/hook/deliveries/{first}/attempts")[0] == 202
    wait_until(lambda: len(sim.attempts(delivery=pushed["delivery"])) == 2, 10, "posted")
    server.shutdown()
    again = sim.attempts(delivery=pushed["delivery"])[1]
    assert (again["status"], again["redelivery"], again["id"] != first) == (202, True, True)
    signature = "sha256=" + hmac.new(b"s", pushed["payload"].encode(), hashlib.sha256).hexdigest()
    assert got == [(pushed["delivery"], signature, pushed["payload"].encode())]
    assert sim.outbox() == []
    sim.hook()


def test_webhooks_are_for_administrators(sim, api):
    assert api("GET", repo_path("hooks"))[0] == 404
    sim.role(repo=REPO, login="gatekeeper", role="admin")
    listed = api("GET", repo_path("hooks"))
    assert listed[0] == 200 and listed[1][0]["events"] == ["pull_request"]
    assert api("GET", repo_path(f"hooks/{listed[1][0]['id']}/deliveries"))[0] == 200
    assert api("GET", repo_path("hooks/1/deliveries"))[0] == 404


def test_open_pull_requests_are_listed_without_what_only_one_shows(sim, api):
    sim.open(repo=REPO, author="bob", number=2)
    sim.open(repo=REPO, author="bob", number=3)
    sim.close(repo=REPO, number=2)
    listed = api("GET", repo_path("pulls?state=open&sort=created&direction=asc"))[1]
    assert [one["number"] for one in listed] == [1, 3]
    assert "mergeable" not in listed[0] and listed[0]["base"]["repo"]["full_name"] == REPO
    assert [one["number"] for one in api("GET", repo_path("pulls?state=all"))[1]] == [3, 2, 1]
    assert sim.violations() == []
    assert api("GET", repo_path("pulls?sort=number"))[0] == 422
    assert len(sim.violations()) == 1


def test_issue_events_tell_who_and_when_but_not_of_plain_pushes(sim, api):
    first = head(sim)
    sim.push(repo=REPO, number=1)
    sim.label(repo=REPO, number=1, label="CICD", by="tim")
    sim.push(repo=REPO, number=1, sha=first)
    sim.unlabel(repo=REPO, number=1, label="CICD", by="ann")
    events = api("GET", repo_path("issues/1/events"))[1]
    assert [one["event"] for one in events[-3:]] == ["labeled", "head_ref_force_pushed", "unlabeled"]
    assert events[-3]["label"]["name"] == "CICD" and "id" not in events[-3]["label"]
    assert [one["actor"]["login"] for one in events[-3:]] == ["tim", "bob", "ann"]


# Faults

@pytest.mark.parametrize("fault, status, headers", [
    ({"status": 502}, 502, set()),
    ({"rate_limit": "secondary"}, 403, {"Retry-After"}),
    ({"rate_limit": "429"}, 429, {"Retry-After"}),
    ({"rate_limit": "exhausted"}, 403, {"X-RateLimit-Reset"}),
])
def test_statuses_on_demand(sim, api, fault, status, headers):
    sim.fault(route="POST */labels", **fault)
    got, _, sent = api("POST", repo_path("issues/1/labels"), {"labels": ["CICD"]})
    assert got == status and headers <= set(sent)
    assert pull(sim)["labels"] == []


def test_who_does_not_wait_is_found_out(sim, api):
    sim.fault(route="GET */pulls/*", rate_limit="429", seconds=2)
    assert [api("GET", repo_path("pulls/1"))[0] for _ in range(2)] == [429, 429]
    assert sim.violations() == [], "two that cross are not one that does not wait"
    time.sleep(0.2)
    assert api("GET", repo_path("pulls/1"))[0] == 429
    assert [one["kind"] for one in sim.violations()] == ["hammer"]
    time.sleep(3.1)
    assert api("GET", repo_path("pulls/1"))[0] == 200


def test_a_fault_hits_as_often_as_told(sim, api):
    sim.fault(route="GET */pulls/*", status=500, skip=1, count=2)
    assert [api("GET", repo_path("pulls/1"))[0] for _ in range(4)] == [200, 500, 500, 200]


@pytest.mark.parametrize("fault, labels", [
    ({"drop": "before"}, []), ({"drop": "after"}, ["CICD"]),
    ({"hang": True}, []), ({"hang": True, "after": True}, ["CICD"]),
    ({"status": 500}, []), ({"status": 500, "after": True}, ["CICD"])], ids=str)
def test_the_effect_of_a_call_without_a_good_answer(sim, api, fault, labels):
    sim.fault(route="POST */labels", **fault)
    try:
        status = api("POST", repo_path("issues/1/labels"), {"labels": ["CICD"]}, timeout=0.3)[0]
    except (OSError, http.client.HTTPException):
        status = None
    assert status == fault.get("status")
    assert pull(sim)["labels"] == labels


def test_clearing_faults_lets_go_who_hangs(sim, api):
    sim.fault(route="GET */pulls/*", hang=True)
    threading.Timer(0.2, sim.clear_faults).start()
    with pytest.raises((OSError, http.client.HTTPException)):
        api("GET", repo_path("pulls/1"), timeout=5)
    assert sim.calls()[-1]["end"] - sim.calls()[-1]["start"] < 2


def test_reads_lag(sim, api):
    time.sleep(0.1)
    sim.push(repo=REPO, number=1, sha="c" * 40)
    sim.fault(route="GET *", stale_ms=80)
    assert api("GET", repo_path("pulls/1"))[1]["head"]["sha"] != "c" * 40
    time.sleep(0.1)
    assert api("GET", repo_path("pulls/1"))[1]["head"]["sha"] == "c" * 40


def test_the_hourly_limit(sim, api):
    sim.settings(rate_limit=2)
    replies = [api("GET", "/user") for _ in range(3)]
    assert [one[0] for one in replies] == [200, 200, 403]
    assert [one[2]["X-RateLimit-Remaining"] for one in replies] == ["1", "0", "0"]


# The journal

def at_once(*calls):
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_calls_for_one_pull_request_that_overlap_are_found(sim, api):
    sim.settings(latency_ms=150)
    sha = head(sim)
    at_once(lambda: api("GET", repo_path("issues/1/labels")), lambda: api("GET", repo_path(f"commits/{sha}/statuses")))
    pair, = sim.overlaps()
    assert {one["pr"] for one in pair} == {f"{REPO}#1"}


def test_calls_one_after_the_other_or_for_others_do_not_overlap(sim, api):
    sim.open(repo=REPO, author="bob", number=2)
    sim.settings(latency_ms=50)
    at_once(lambda: api("GET", repo_path("pulls/1")), lambda: api("GET", repo_path("pulls/2")),
            lambda: api("GET", repo_path("collaborators/ann/permission")))
    for _ in range(3):
        api("GET", repo_path("pulls/1"))
    assert sim.overlaps() == [] and sim.load()["most_in_flight"] > 1


# The project's own CI

TRIGGER = {"repository": REPO, "number": 1, "head_sha": "d" * 40, "head_ref": "topic", "base_ref": "main",
           "author": "bob", "key": "e" * 32, "action": "start"}
CANCEL = {**TRIGGER, "action": "cancel"}


def signature(text):
    return "sha256=" + hmac.new(b"s3cret", text.encode(), hashlib.sha256).hexdigest()


def ci_call(sim, method, signed, **headers):
    sent = {"X-Prgate-Key": "e" * 32, "X-Prgate-Event": "trigger", "X-Hub-Signature-256": signature(signed), **headers}
    return Api(sim.url, **sent)(method, "/_ci/hook", raw=signed if method == "POST" else None)[0]


def test_own_ci_takes_a_trigger_and_knows_its_key(sim):
    sim.ci(secret="s3cret")
    assert ci_call(sim, "GET", "e" * 32) == 404
    assert ci_call(sim, "POST", json.dumps(TRIGGER)) == 202
    assert ci_call(sim, "GET", "e" * 32) == 200
    assert [one["body"] for one in sim.triggers()] == [TRIGGER]
    assert [one["pr"] for one in sim.calls()] == [None, f"{REPO}#1", f"{REPO}#1"]
    assert sim.violations() == []


@pytest.mark.parametrize("body, headers", [
    (TRIGGER, {"X-Hub-Signature-256": "sha256=" + "0" * 64}),
    (TRIGGER, {"X-Prgate-Key": "short"}),
    (TRIGGER, {"X-Prgate-Event": None}),
    ({**TRIGGER, "key": "f" * 32}, {}),
    ({**TRIGGER, "number": "1"}, {}),
    ({**TRIGGER, "more": 1}, {}),
    (TRIGGER, {"X-Prgate-Event": "cancel"}),
    (CANCEL, {}),
], ids=lambda value: str(value)[-40:])
def test_own_ci_refuses(sim, body, headers):
    sim.ci(secret="s3cret")
    assert ci_call(sim, "POST", json.dumps(body), **headers) in (400, 401)
    assert sim.triggers() == [] and len(sim.violations()) == 1


def test_own_ci_cancels_what_it_knows(sim):
    sim.ci(secret="s3cret")
    told = {"X-Prgate-Event": "cancel"}
    assert ci_call(sim, "POST", json.dumps(CANCEL), **told) == 404
    assert ci_call(sim, "POST", json.dumps(TRIGGER)) == 202
    assert ci_call(sim, "POST", json.dumps(CANCEL), **told) == 202
    assert len(sim.triggers()) == 1
    cancels = sim.state(repo=REPO)["repos"][REPO]["cancels"]
    assert [one["body"] for one in cancels] == [CANCEL]
    sim.ci(secret="s3cret", cancel_status=501)
    assert ci_call(sim, "POST", json.dumps(CANCEL), **told) == 501
    assert sim.violations() == []


# What policies use

def test_files_come_in_pages_with_what_github_counts(sim, api):
    sim.files(repo=REPO, number=1, files=[{"filename": f"f{n}", "patch": "@@ -1,2 +1,2 @@\n-a\n+b\n+c"} for n in range(3)] +
              [{"filename": "x.png", "status": "added"}])
    status, body, headers = api("GET", repo_path("pulls/1/files?per_page=3"))
    assert (status, len(body), 'rel="next"' in headers["Link"]) == (200, 3, True)
    assert {name: body[0][name] for name in ("filename", "status", "additions", "deletions", "changes")} == {
        "filename": "f0", "status": "modified", "additions": 2, "deletions": 1, "changes": 3}
    _, body, _ = api("GET", repo_path("pulls/1/files?per_page=3&page=2"))
    assert (body[0]["status"], "patch" in body[0], body[0]["changes"]) == ("added", False, 0)


def test_changing_the_base_sends_edited(sim, api):
    sim.open(repo=REPO, author="bob", number=2, base_ref="next")
    assert api("PATCH", repo_path("pulls/1"), {"base": "next"})[0] == 200
    edited, = sim.outbox()
    payload = json.loads(edited["payload"])
    assert (payload["action"], payload["changes"]) == ("edited", {"base": {"ref": {"from": "main"}}})
    assert (pull(sim)["base"], payload["pull_request"]["base"]["ref"]) == ("next", "next")
    assert api("PATCH", repo_path("pulls/1"), {"base": "next"})[0] == 200
    assert sim.outbox() == []


def test_closing_sends_closed(sim, api):
    assert api("PATCH", repo_path("pulls/1"), {"state": "closed"})[0] == 200
    assert [json.loads(one["payload"])["action"] for one in sim.outbox()] == ["closed"]
    assert api("PATCH", repo_path("pulls/1"), {"base": "main"})[0] == 200  # which it is
    assert api("PATCH", repo_path("pulls/1"), {"state": "open"})[0] == 200
    assert pull(sim)["state"] == "open"


@pytest.mark.parametrize("body", [{"base": "nowhere"}, {"state": "shut"}, {"base": ""}, {"head": "main"}], ids=str)
def test_changes_that_github_refuses(sim, api, body):
    assert api("PATCH", repo_path("pulls/1"), body)[0] == 422
    assert len(sim.violations()) == 1


def test_the_base_of_a_closed_one_stays(sim, api):
    sim.open(repo=REPO, author="bob", number=2, base_ref="next")
    sim.close(repo=REPO, number=1)
    assert api("PATCH", repo_path("pulls/1"), {"base": "next"})[0] == 422


def test_reviews_are_of_a_commit(sim, api):
    first = head(sim)
    assert api("POST", repo_path("pulls/1/reviews"), {"event": "APPROVE", "commit_id": first, "body": "x"})[0] == 200
    sim.push(repo=REPO, number=1)
    _, reviews, _ = api("GET", repo_path("pulls/1/reviews"))
    assert [(one["state"], one["commit_id"], one["user"]["login"]) for one in reviews] == [
        ("APPROVED", first, "gatekeeper")]
    assert sim.outbox() == []
    sim.dismiss(repo=REPO, number=1)
    assert [one["state"] for one in pull(sim)["reviews"]] == ["DISMISSED"]


@pytest.mark.parametrize("body", [{"event": "APPROVED"}, {"event": "APPROVE", "commit_id": "a" * 40},
                                  {"event": "COMMENT"}, {"event": "APPROVE", "sha": "a" * 40}], ids=str)
def test_reviews_that_github_refuses(sim, api, body):
    assert api("POST", repo_path("pulls/1/reviews"), body)[0] == 422
    assert pull(sim)["reviews"] == []


def test_nobody_approves_their_own(sim, api):
    sim.open(repo=REPO, author="gatekeeper", number=2)
    status, body, _ = api("POST", repo_path("pulls/2/reviews"), {"event": "APPROVE"})
    assert (status, body["errors"][0]["message"]) == (422, "Can not approve your own pull request")


def test_it_is_fast_enough(sim):
    """Well under what it can do, so that a busy machine does not fail the test."""
    host, calls = sim.url.removeprefix("http://"), 1500
    connection = http.client.HTTPConnection(host)
    began = time.monotonic()
    for _ in range(calls):
        connection.request("GET", repo_path("collaborators/ann/permission"), headers=HEADERS)
        connection.getresponse().read()
    assert calls / (time.monotonic() - began) > 500


# Comments and reactions

def test_comments_are_told_of_when_made_edited_and_deleted(sim, api):
    said, = sim.comment(repo=REPO, number=1, body="/ci help", by="tim", association="MEMBER")
    payload = json.loads(said["payload"])
    assert (said["event"], payload["action"], payload["sender"]["login"]) == ("issue_comment", "created", "tim")
    assert payload["issue"]["pull_request"]["url"].endswith("/pulls/1")
    assert payload["issue"]["updated_at"] >= payload["comment"]["created_at"]
    assert payload["comment"]["author_association"] == "MEMBER"
    edited, = sim.edit_comment(repo=REPO, number=1, body="other", by="ann")
    payload = json.loads(edited["payload"])
    assert (payload["action"], payload["comment"]["body"], payload["sender"]["login"]) == ("edited", "other", "ann")
    assert payload["changes"] == {"body": {"from": "/ci help"}}
    deleted, = sim.delete_comment(repo=REPO, number=1, by="tim")
    assert json.loads(deleted["payload"])["action"] == "deleted"
    assert pull(sim)["comments"] == []
    assert api("POST", repo_path("issues/1/comments"), {"body": "by a program"})[0] == 201
    echo, = sim.outbox()
    assert json.loads(echo["payload"])["sender"]["login"] == "gatekeeper"


def test_a_reaction_is_there_once(sim, api):
    sim.comment(repo=REPO, number=1, body="hello", by="tim")
    path = repo_path(f"issues/comments/{pull(sim)['comments'][0]['id']}/reactions")
    status, made, _ = api("POST", path, {"content": "+1"})
    assert (status, made["content"], made["user"]["login"]) == (201, "+1", "gatekeeper")
    status, again, _ = api("POST", path, {"content": "+1"})
    assert (status, again["id"]) == (200, made["id"])
    assert api("POST", path, {"content": "confused"})[0] == 201
    assert pull(sim)["comments"][0]["reactions"] == ["gatekeeper +1", "gatekeeper confused"]
    assert [one["content"] for one in api("GET", path)[1]] == ["+1", "confused"]


@pytest.mark.parametrize("body", [{"content": "thumbs up"}, {}, {"content": 1}, {"content": "+1", "more": 1}])
def test_a_reaction_that_github_does_not_know(sim, api, body):
    sim.comment(repo=REPO, number=1, body="hello", by="tim")
    path = repo_path(f"issues/comments/{pull(sim)['comments'][0]['id']}/reactions")
    assert api("POST", path, body)[0] == 422
    assert sim.violations()


def test_a_reaction_to_a_comment_that_is_gone(sim, api):
    sim.comment(repo=REPO, number=1, body="hello", by="tim")
    path = repo_path(f"issues/comments/{pull(sim)['comments'][0]['id']}/reactions")
    sim.delete_comment(repo=REPO, number=1, by="tim")
    assert api("POST", path, {"content": "+1"})[0] == 404


# An App from a manifest

GOOD = {"name": "prgate x", "url": "https://x.example", "redirect_url": "https://x.example/setup/done", "public": False,
        "hook_attributes": {"url": "https://x.example/webhook", "active": True},
        "default_permissions": {"checks": "write", "pull_requests": "write"}, "default_events": ["pull_request"]}


def page(sim, path, fields):
    connection = http.client.HTTPConnection(sim.url.removeprefix("http://"), timeout=30)
    try:
        connection.request("POST", path, urllib.parse.urlencode(fields), {"Content-Type": "application/x-www-form-urlencoded"})
        reply = connection.getresponse()
        reply.read()
        return reply.status, reply.headers.get("Location")
    finally:
        connection.close()


def manifest_code(sim):
    assert page(sim, "/settings/apps/new?state=s", {"manifest": json.dumps(GOOD)}) == (200, None)
    status, address = page(sim, "/settings/apps/confirm", {"manifest": json.dumps(GOOD), "state": "s", "org": ""})
    assert status == 302 and address.startswith(GOOD["redirect_url"])
    query = urllib.parse.parse_qs(urllib.parse.urlsplit(address).query)
    assert query["state"] == ["s"]
    return query["code"][0]


@pytest.mark.parametrize("change", [
    {"name": ""}, {"name": "x" * 35}, {"url": None}, {"redirect_url": "x"}, {"hook_attributes": {}}, {"what": 1}, {"public": "no"},
    {"default_permissions": {"checks": "admin"}}, {"default_permissions": {"check": "read"}}, {"default_events": ["star"]},
    {"default_events": ["merge_group"]}], ids=str)
def test_a_malformed_manifest_is_refused(sim, change):
    assert page(sim, "/settings/apps/new", {"manifest": json.dumps({**GOOD, **change})})[0] == 422
    assert [one["kind"] for one in sim.violations()] == ["manifest"]


def test_a_manifests_code_is_good_once_and_for_a_time(sim):
    convert = Api(sim.url, Authorization=None)
    code = manifest_code(sim)
    status, made, _ = convert("POST", f"/app-manifests/{code}/conversions")
    assert status == 201 and made["pem"].startswith("-----BEGIN RSA") and made["webhook_secret"]
    assert convert("POST", f"/app-manifests/{code}/conversions")[0] == 404
    assert page(sim, "/settings/apps/new", {"manifest": json.dumps(GOOD)})[0] == 422  # the name is taken
    sim.reset()
    code = manifest_code(sim)
    sim.expire_manifest_codes()
    assert convert("POST", f"/app-manifests/{code}/conversions")[0] == 404
    assert sim.violations() == []
