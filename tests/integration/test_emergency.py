"""The emergency label: it completes the guard check, for one commit, when somebody sets it who may."""
import http.client
import json

import pytest
from workspace import TOKEN

pytestmark = pytest.mark.parametrize("running_site", ["nginx-app", "cgi-token"], indirect=True)

LABEL, GUARD = "emergency", "tree-status"


@pytest.fixture
def gate(make_gate):
    return make_gate("emergency")


def pull_state(gate):
    return gate.sim.state(repo=gate.repo)["repos"][gate.repo]["pulls"]["1"]


def guards(gate, sha=None):
    """Its outcome on that commit, once for each check that there is of that name."""
    pull = pull_state(gate)
    sha = sha or pull["head"]
    return ([one["conclusion"] for one in pull["checks"][sha] if one["name"] == GUARD] +
            [one["state"] for one in pull["statuses"][sha] if one["context"] == GUARD])


def comments(gate, marker="emergency"):
    return [one["body"] for one in gate.pull.comments if f"<!-- prgate:{marker}" in one["body"]]


def status(gate):
    return gate.site.get(f"/status/{gate.repo}/1.json")[1]


def test_it_completes_the_guard(gate):
    gate.do("open", author="bob")
    pull = gate.do("label", label=LABEL, by="ann")
    assert guards(gate) == ["success"]
    assert (pull.started, pull.check(), pull.labels) == ([], "waiting", [LABEL])
    said, = comments(gate)
    assert said.startswith(f"@ann has set the label `{LABEL}`")
    assert f"`{pull.head[:12]}`" in said
    shown = status(gate)
    assert (shown["emergency_by"], shown["emergency_at"] > 0) == ("ann", True)
    assert "emergency label accepted from ann" in gate.site.get(f"/status/{gate.repo}/1")[1].decode()


def test_the_ledger_tells_who_and_with_what_right(gate):
    gate.do("open", author="bob")
    gate.do("label", label=LABEL, by="ann")
    decision, = (one for one in gate.ledger if one.get("label") == LABEL)
    assert decision["sender"] == "ann"
    assert decision["facts"]["sender_may_emergency"] is True
    assert decision["facts"]["emergency_why"] == "permission write"
    assert "complete_guard" in decision["intents"]
    action, = (one for one in gate.ledger if one.get("action") == "complete_guard")
    assert (action["outcome"], action["sha"]) == ("done", gate.pull.head)


def test_told_more_than_once_it_is_done_once(gate):
    gate.do("open", author="bob")
    labeled, = gate.happen("label", label=LABEL, by="ann")
    gate.deliver([labeled, labeled, {**labeled, "delivery": f"again-{gate.repo.replace('/', '-')}"}])
    gate.settled()
    assert guards(gate) == ["success"]
    assert len(comments(gate)) == 1


def test_the_next_commit_needs_it_anew(gate):
    first = gate.do("open", author="bob").head
    gate.do("label", label=LABEL, by="ann")
    second = gate.do("push").head
    assert (guards(gate, first), guards(gate, second)) == (["success"], [])
    gate.do("unlabel", label=LABEL, by="ann")
    gate.do("label", label=LABEL, by="max")
    assert guards(gate, second) == ["success"]
    assert len(comments(gate)) == 1
    assert status(gate)["emergency_by"] == "max"


def test_a_push_that_comes_first_ends_it(gate):
    """The label was set for a commit that is the head no more by the time prgate hears of it."""
    gate.do("open", author="bob")
    labeled = gate.happen("label", label=LABEL, by="ann")
    pushed = gate.happen("push")
    gate.deliver(pushed + labeled)
    pull = gate.settled()
    assert [guards(gate, sha) for sha in pull.heads] == [[], []]


@pytest.mark.parametrize("by", ["tim", "bob", "eve"])
def test_by_somebody_who_may_not(gate, by):
    gate.do("open", author="bob")
    pull = gate.do("label", label=LABEL, by=by)
    assert (guards(gate), pull.labels, comments(gate, "emergency -->")) == ([], [], [])
    gate.do("label", label=LABEL, by=by)
    said, = comments(gate, "emergency_refused:")
    assert said.startswith(f"@{by}, the label `{LABEL}`")
    assert gate.pull.labels == []
    pull = gate.do("label", label=LABEL, by="ann")
    assert (guards(gate), pull.labels) == (["success"], [LABEL])


def test_opened_with_it(gate):
    gate.do("open", author="ann", labels=[LABEL])
    assert guards(gate) == ["success"]


def test_of_a_closed_one(gate):
    gate.do("open", author="bob")
    gate.do("close")
    gate.do("label", label=LABEL, by="ann")
    assert guards(gate) == []


def test_it_is_no_gate_label(gate):
    gate.do("open", author="bob")
    gate.do("label", label=LABEL, by="ann")
    pull = gate.do("label", label="CICD", by="tim")
    assert pull.started == [pull.head]
    pull = gate.do("push")
    assert (pull.started, guards(gate)) == ([pull.heads[0]], [])


def test_where_it_is_not_configured_it_is_a_label(make_gate):
    gate = make_gate("dispatch")
    gate.do("open", author="bob")
    pull = gate.do("label", label=LABEL, by="ann")
    assert (guards(gate), pull.labels, pull.comments) == ([], [LABEL], [])


def test_a_guard_that_is_red_becomes_green(gate, running_site):
    """With a token it is a commit status, and the newest of a name is what counts."""
    if running_site.workspace.credentials != "token":
        pytest.skip("an App changes its own check runs only")
    sha = gate.do("open", author="bob").head
    api_status(gate, sha, "failure")
    gate.do("label", label=LABEL, by="ann")
    assert guards(gate) == ["failure", "success"]


def api_status(gate, sha, state):
    """Somebody else's, by GitHub's own route."""
    host = gate.sim.url.removeprefix("http://")
    connection = http.client.HTTPConnection(host)
    connection.request("POST", f"/repos/{gate.repo}/statuses/{sha}", json.dumps({"state": state, "context": GUARD}),
                       {"User-Agent": "tree", "Accept": "application/vnd.github+json", "Content-Type": "application/json",
                        "X-GitHub-Api-Version": "2022-11-28", "Authorization": f"Bearer {TOKEN}"})
    assert connection.getresponse().status == 201
