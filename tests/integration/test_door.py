"""What the door refuses or passes over: with which status, and that nothing of it is kept."""
import hashlib
import json
import uuid

import pytest
from conftest import DOORS
from gate_site import assert_nothing_kept, signature
from workspace import OLD_SECRET, SECRET

pytestmark = pytest.mark.parametrize("running_site", DOORS, indirect=True)

MIB = 1024 * 1024
LARGEST = 25 * MIB
UNCHANGED = object()


@pytest.fixture
def post(site, opened):
    """Posts the good delivery, but for what a test puts into its place; (status, reply's JSON)."""
    def send(payload=UNCHANGED, event="pull_request", delivery=UNCHANGED, **how):
        delivery = opened["delivery"] if delivery is UNCHANGED else delivery
        return site.post_webhook(event, opened["payload"] if payload is UNCHANGED else payload, delivery, **how)
    return send


@pytest.fixture(autouse=True)
def nothing_is_broken(site):
    yield
    assert site.sim.violations() == []


def changed(opened, path, value):
    """The payload with one member replaced; `value` is raw JSON when it is bytes."""
    body = json.loads(opened["payload"])
    *way, last = path.split(".")
    place = body
    for name in way:
        place = place[name]
    place[last] = "@@raw@@" if isinstance(value, bytes) else value
    text = json.dumps(body)
    return text.replace('"@@raw@@"', value.decode()) if isinstance(value, bytes) else text


# Signatures

BAD_SIGNATURES = {
    "none": lambda body: None,
    "empty": lambda body: "",
    "only the scheme": lambda body: "sha256=",
    "no scheme": lambda body: signature(body)[7:],
    "another scheme": lambda body: "sha512=" + signature(body)[7:],
    "a digit short": lambda body: signature(body)[:-1],
    "a digit too many": lambda body: signature(body) + "0",
    "no hex digits": lambda body: "sha256=" + "g" * 64,
    "of another body": lambda body: signature(body + b" "),
    "with another secret": lambda body: signature(body, "guess"),
    "with no secret": lambda body: signature(body, ""),
    "SHA-1 in its place": lambda body: signature(body, SECRET, hashlib.sha1),
    "all zero": lambda body: "sha256=" + "0" * 64,
}


@pytest.mark.parametrize("name", BAD_SIGNATURES)
def test_signature(site, repo, opened, post, name):
    wrong = BAD_SIGNATURES[name](opened["payload"].encode())
    headers = {"X-Hub-Signature-256": wrong, "X-Hub-Signature": None if name == "none" else ""}
    assert post(headers=headers)[0] == 401
    assert_nothing_kept(site, repo)


def test_sha_1_alone_is_no_signature(site, repo, post):
    assert post(headers={"X-Hub-Signature-256": None})[0] == 401
    assert_nothing_kept(site, repo)


@pytest.mark.parametrize("secret", [SECRET, OLD_SECRET])
def test_each_of_the_secrets_counts(site, post, secret):
    assert post(secret=secret)[0] == 202
    site.wait_idle()


# Bodies

NOT_JSON = {
    "empty": b"",
    "blanks": b"  \n",
    "no JSON": b"action=opened",
    "an array": b"[]",
    "a string": b'"opened"',
    "null": b"null",
    "an object and more": b"{} {}",
    "an empty object": b"{}",
    "nested deep": b"[" * 10_000 + b"]" * 10_000,
    "objects nested deep": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "nested deep and cut off": b'{"a":' * 10_000,
    "a NUL": b'{"action":"op\0ened"}',
    "an escaped NUL": b'{"action":"opened\\u0000"}',
    "UTF-16": '{"action":"opened"}'.encode("utf-16"),
}


@pytest.mark.parametrize("name", NOT_JSON)
def test_body(site, repo, post, name):
    status, reply = post(NOT_JSON[name])
    assert (status, type(reply)) == (400, dict)
    assert_nothing_kept(site, repo)


@pytest.mark.parametrize("share", [0.01, 0.5, 0.999])
def test_body_cut_off(site, repo, opened, post, share):
    text = opened["payload"]
    assert post(text[:int(len(text) * share)])[0] == 400
    assert_nothing_kept(site, repo)


@pytest.mark.parametrize("bad", [b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"], ids=repr)
def test_body_that_is_no_utf_8(site, repo, opened, post, bad):
    assert post(opened["payload"].encode().replace(b"Make it faster", b"Make " + bad))[0] == 400
    assert_nothing_kept(site, repo)


BAD_MEMBERS = [
    *(("number", value) for value in (0, -1, 1.5, "1", None, [], True, 2**53, 2**64, b"1e400", b"-0", b"1e-3")),
    *(("repository.id", value) for value in (0, -5, "7", 2**64, {})),
    ("pull_request.number", 2),
    *(("repository.full_name", value) for value in (
        "../../etc/passwd", "dispatch/..", "./x", "dispatch", "dispatch/a/b", "/x", "dispatch/", "", None, 7,
        "dispatch/x\r\nX-Evil: 1", 'dispatch/"x"', "dispatch/x'; --", "dispatch/<b>", "dispatch/" + "x" * 10_240,
        "d" * 10_240 + "/x", "dispatch/x y", "dispatch/ä")),
    *(("pull_request.head.sha", value) for value in (
        "", "abc", "g" * 40, "a" * 41, "a" * 10_240, None, 7, "../" * 13 + "a")),
    *(("pull_request.head.ref", value) for value in ("../x", "a b", "a\r\nb", "x" * 10_240, None, "")),
    ("pull_request.base.ref", "a..b"),
    *(("pull_request.user.login", value) for value in ("../x", "bob\r\n", 'bob"', "x" * 10_240, 7, "")),
    ("sender.login", "a/b"),
    *(("pull_request.state", value) for value in ("merged", None, 1)),
    *(("pull_request.updated_at", value) for value in ("yesterday", None, 0, "2024-13-01T00:00:00Z")),
    ("pull_request.draft", "no"),
    ("pull_request.labels", {}),
    ("pull_request.labels", [{"id": 1}]),
    ("pull_request", None),
    ("repository", []),
    ("action", None),
    ("action", 7),
]


@pytest.mark.parametrize("path, value", BAD_MEMBERS, ids=lambda value: repr(value)[:40])
def test_members_out_of_bounds(site, repo, opened, post, path, value):
    status, reply = post(changed(opened, path, value))
    assert (status, reply["delivery"]) == (400, opened["delivery"])
    assert_nothing_kept(site, repo)


@pytest.mark.parametrize("name", ["", "a\r\nb", "x" * 10_240, None, 7, "\x1b[2J"], ids=lambda value: repr(value)[:20])
def test_label_names_out_of_bounds(site, repo, post, name):
    site.sim.open(repo=repo, author="bob", number=9)
    labeled, = site.sim.label(repo=repo, number=9, label="bug", by="ann")
    assert post(changed(labeled, "label.name", name))[0] == 400
    assert_nothing_kept(site, repo)


@pytest.mark.parametrize("extra, status", [(0, 202), (1, 413), (2 * MIB, 413)])
def test_the_largest_body(site, opened, extra, status):
    body = opened["payload"].encode()
    body += b" " * (LARGEST + extra - len(body))
    reply = site.exchange("pull_request", body, opened["delivery"])
    assert reply.status == status
    if "json" in reply.headers["content-type"]:  # else the web server itself said no
        assert isinstance(json.loads(reply.body), dict)
    site.wait_idle()


# Headers

@pytest.mark.parametrize("kind, status", [
    (None, 415), ("", 415), ("text/plain", 415), ("application/x-www-form-urlencoded", 415),
    ("application/jsonp", 415), ("application/json; charset=utf-8", 202), ("Application/JSON", 202)])
def test_content_type(site, repo, post, kind, status):
    assert post(headers={"Content-Type": kind})[0] == status
    if status == 415:
        assert_nothing_kept(site, repo)
    site.wait_idle()


@pytest.mark.parametrize("header", ["X-GitHub-Event", "X-GitHub-Delivery"])
@pytest.mark.parametrize("value", [None, "", "a b", 'a"b', "../x", "x" * 4000], ids=lambda value: repr(value)[:10])
def test_headers_that_must_be_good(site, repo, post, header, value):
    status, reply = post(headers={header: value})
    if header == "X-GitHub-Event" and value:
        assert status in (200, 400)  # an event that nobody has heard of is of no concern
    else:
        assert status == 400
    assert_nothing_kept(site, repo)


def test_no_content_length(site, repo, opened):
    reply = site.exchange("pull_request", opened["payload"], opened["delivery"], length=False)
    assert reply.status in (400, 401, 411)  # mod_fcgid makes it an empty body, which is signed wrongly
    assert_nothing_kept(site, repo)


# Methods and paths

@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_only_post_delivers(site, method):
    reply = site.server.request(method, "/webhook")
    assert reply.status == 405
    assert "POST" in reply.headers["allow"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_only_get_asks(site, method):
    reply = site.server.request(method, "/healthz")
    assert reply.status == 405
    assert "GET" in reply.headers["allow"]


@pytest.mark.parametrize("path", ["/", "/nothing", "/webhook/more", "/status/dispatch/nowhere/1.json", "/status/../etc",
                                  "/status/dispatch/x/notanumber.json", "/status/%00/%0d%0a/1.json"])
def test_no_such_page(site, path):
    assert site.server.request("GET", path).status in (400, 404)


@pytest.mark.parametrize("path", ["/setup?code=x", "/setup/done?state=x&code=y"])
def test_the_set_up_page_is_prgates_own_to_refuse(site, path):
    reply = site.server.request("GET", path)
    assert (reply.status, json.loads(reply.body).get("message")) == (404, "there is no such page")
    assert site.server.request("GET", "/status/style.css").headers["content-type"].startswith("text/css")


# Passed over

@pytest.mark.parametrize("event", ["issues", "push", "check_suite", "star", "something_new"])
def test_events_of_no_concern(site, repo, post, event):
    status, reply = post(event=event)
    assert (status, set(reply) >= {"delivery"}) == (200, True)
    assert_nothing_kept(site, repo)


def test_ping(site, repo, post):
    status, _ = post({"zen": "Design for failure.", "hook_id": 1, "hook": {"type": "App", "id": 1}}, event="ping")
    assert status == 200
    assert_nothing_kept(site, repo)


def test_actions_without_a_rule(site, repo, post):
    site.sim.open(repo=repo, author="bob", number=9)
    assigned, = site.sim.assign(repo=repo, number=9)
    assert post(assigned["payload"])[0] == 200
    assert_nothing_kept(site, repo)


def test_a_repository_that_is_not_configured(site, repo, opened, post):
    assert post(changed(opened, "repository.full_name", "strangers/project"))[0] == 200
    assert_nothing_kept(site, repo)


def test_the_same_delivery_again(site, opened, post):
    first, again = post(), post()
    assert (first[0], again[0]) == (202, 200)
    assert first[1]["delivery"] == again[1]["delivery"] == opened["delivery"]
    site.wait_idle()
    assert post()[0] == 200


@pytest.mark.parametrize("path, value", [
    ("pull_request.body", None), ("pull_request.body", "x" * 65_536), ("pull_request.user", None),
    ("pull_request.head.repo", None), ("pull_request.mergeable", None), ("pull_request.labels", []),
    ("organization", None), ("pull_request.title", 'A "title" with \\ and \r\n and 🚀'),
    ("unheard_of", {"a": [1] * 1000}), ("pull_request.id", 2**52)], ids=lambda value: repr(value)[:30])
def test_what_github_really_sends_is_taken(site, opened, post, path, value):
    assert post(changed(opened, path, value), delivery=str(uuid.uuid4()))[0] == 202
    site.wait_idle()
