"""Shadow mode: a dry run beside another gate, which really acts. prgate writes nothing, and says all that it would do."""
import json

import pytest
from conftest import end
from gate import Gate
from servers import Nginx


@pytest.fixture(scope="module")
def shadow(make_site, github):
    site = make_site(Nginx, github, extra="dry_run = true\n")
    yield site
    end(site)


@pytest.fixture
def gate(shadow):
    shadow.sim.forget()
    yield Gate(shadow)
    assert written(shadow.sim) == []
    assert shadow.sim.violations() == []


def written(sim):
    """The calls that change something; asking for an App's token does not."""
    return [f"{one['method']} {one['path']}" for one in sim.calls()
            if one["method"] != "GET" and not one["path"].endswith("/access_tokens")]


def report(gate):
    _, shown = gate.site.get(f"/status/{gate.repo}/1.json")
    return shown


def actions(gate, outcome):
    return [one["action"] for one in gate.ledger if one["kind"] == "action" and one["outcome"] == outcome]


def told(gate):
    return [one["told"]["what"] for one in gate.ledger]


def label_now(gate):
    return report(gate)["labelled"]


class OtherGate:
    """What is there already: it labels trusted people's pull requests, and takes the label off after a push."""

    def __init__(self, gate):
        self.gate = gate

    def labels(self):
        return self.gate.do("label", label="CICD", by="max")

    def unlabels(self):
        return self.gate.do("unlabel", label="CICD", by="max")


def test_all_that_would_be_done_is_shown_and_nothing_is(gate):
    pull = gate.do("open", author="ann")
    assert (pull.started, pull.labels, pull.check()) == ([], [], None)
    assert actions(gate, "dry_run") == ["trigger", "add_label", "check_done"]
    assert told(gate)[-3:] == ["Would start CI", "Would add the label", "Would complete the check"]
    decision = gate.ledger[0]
    assert decision["dry_run"] is True and decision["told"]["done"] == "Would start CI, add the label, complete the check"
    shown = report(gate)
    assert (shown["dry_run"], shown["state"], shown["labelled"]) == (True, "triggered", True)


def test_a_banner_is_on_all_pages(gate):
    gate.do("open", author="ann")
    for path, status in (("/status", 200), (f"/status/{gate.repo}/1", 200), ("/status/no/body/1", 404)):
        got = gate.site.server.request("GET", path, {"Accept": "text/html"})
        assert got.status == status and b"Nothing is really done" in got.body, path
    _, page = gate.site.get(f"/status/{gate.repo}/1")
    assert b"Would add the label" in page and b"would have been started" in page
    _, shown = gate.site.get("/status.json")
    assert shown["dry_run"] is True


def test_the_label_that_would_be_there_lets_the_next_push_through(gate):
    gate.do("open", author="ann")
    gate.do("push", by="ann")
    assert [one["rule"] for one in gate.ledger if one["kind"] == "decision"] == ["opened", "pushed"]
    assert actions(gate, "dry_run").count("trigger") == 2 and actions(gate, "dry_run").count("add_label") == 1


def test_what_the_other_gate_has_done_is_nothing_to_do(gate):
    other = OtherGate(gate)
    opened = gate.happen("open", author="ann")
    labeled = gate.happen("label", label="CICD", by="max")  # before prgate hears of either
    gate.deliver(opened)
    gate.settled()
    assert actions(gate, "dry_run") == ["trigger", "check_done"]
    gate.deliver(labeled)
    gate.settled()
    other.unlabels()
    other.labels()
    assert actions(gate, "dry_run") == ["trigger", "check_done"]
    rules = [one["rule"] for one in gate.ledger if one["kind"] == "decision"]
    assert rules[0] == "opened" and set(rules[1:]) == {"already"}


def test_a_stranger_s_push_beside_a_gate_that_leaves_the_label_on(gate):
    gate.do("open", author="bob")
    OtherGate(gate).labels()
    assert actions(gate, "dry_run") == ["check_awaiting", "trigger", "check_done"]
    pull = gate.do("push", by="bob")
    assert pull.labels == ["CICD"] and label_now(gate) is False
    assert actions(gate, "dry_run")[-2:] == ["remove_label", "check_awaiting"]
    gate.do("edit")  # GitHub shows the label still
    assert label_now(gate) is False and report(gate)["state"] == "awaiting"
    OtherGate(gate).unlabels()
    OtherGate(gate).labels()
    assert label_now(gate) is True and report(gate)["state"] == "triggered"


def test_checks_of_others_are_not_the_gate_s(gate):
    pull = gate.do("open", author="bob")
    payload = {"action": "rerequested", "check_run": {"id": 1, "name": "their gate", "head_sha": pull.head, "external_id": "",
                                                      "app": {"id": 1}, "pull_requests": []},
               "repository": {"id": 1, "full_name": gate.repo}, "sender": {"id": 1, "login": "max", "type": "User"}}
    status, reply = gate.site.post_webhook("check_run", payload)
    assert status == 200, reply
    gate.settled()
    assert len(gate.ledger) == 2  # the opening, and the check that would wait


def test_the_operator_is_told_too(gate):
    gate.do("open", author="bob")
    done = gate.site.ctl("approve", f"{gate.repo}#1")
    assert done.returncode == 0 and "CI would have been started: this is a dry run" in done.stdout
    assert "would start CI" in done.stdout and "would add the label" in done.stdout
    assert json.loads(gate.site.ctl("json", f"{gate.repo}#1").stdout)["dry_run"] is True
