"""The button "Re-run" of the gate's check: what starts CI once more, and what does not."""
import hashlib
import json

import pytest
from workspace import CHECK_NAME

pytestmark = pytest.mark.parametrize("running_site", ["nginx-app", "cgi-app"], indirect=True)


def press(gate, by="tim", **how):
    """The deliveries of one press, which GitHub is yet to send."""
    return gate.happen("rerequest", name=CHECK_NAME, by=by, **how)


def rerun(gate, by="tim", **how):
    gate.deliver(press(gate, by, **how))
    return gate.settled()


def keys(gate, count):
    """What the first `count` triggers of the head are to carry."""
    repo_id = gate.sim.state(repo=gate.repo)["repos"][gate.repo]["id"]
    return [hashlib.sha256(f"{repo_id}/1/{gate.pull.head}/{attempt}".encode()).hexdigest()[:32]
            for attempt in range(1, count + 1)]


def check(gate, sha=None):
    """The only one of that commit."""
    place = gate.sim.state(repo=gate.repo)["repos"][gate.repo]["pulls"]["1"]
    one, = place["checks"][sha or place["head"]]
    return one


def rules(gate):
    return [one["rule"] for one in gate.ledger if one["kind"] == "decision" and one["event"] == "rerequested"]


def sent(gate):
    return [one["key"] for one in gate.pull.sent]


@pytest.mark.parametrize("owner", ["dispatch", "workflow", "own-ci"])
def test_each_press_starts_it_once_more(make_gate, owner):
    gate = make_gate(owner)
    gate.do("open", author="ann")
    for attempt in (2, 3):
        pull = rerun(gate)
        assert pull.started == [pull.head] * attempt
        assert sent(gate) == keys(gate, attempt)
        shown = check(gate)
        assert (shown["status"], shown["conclusion"]) == ("completed", "success")
        assert shown["external_id"] == f"1/{attempt}/{keys(gate, attempt)[-1]}"
        assert shown["output"]["title"] == "CI was started again"
        assert f"Re-run {attempt - 1} was asked for by @tim." in shown["output"]["summary"]
    assert rules(gate) == ["rerun", "rerun"]
    assert pull.labels == ["CICD"]


def test_the_same_delivery_again_starts_nothing(gate):
    gate.do("open", author="ann")
    pressed, = press(gate)
    gate.deliver([pressed, pressed])
    gate.settled()
    gate.deliver([pressed])
    gate.settled()
    assert sent(gate) == keys(gate, 2)
    assert rules(gate) == ["rerun"]


def test_the_same_press_under_other_ids_starts_nothing(gate):
    """X-GitHub-Delivery is not signed: the check's own id says which start was to be repeated."""
    gate.do("open", author="ann")
    pressed, = press(gate)
    for id_ in ("press-1", "press-2", "press-3"):
        gate.deliver([{**pressed, "delivery": f"{id_}-{gate.repo.replace('/', '-')}"}])
        gate.settled()
    assert sent(gate) == keys(gate, 2)
    assert rules(gate) == ["rerun", "rerun_same", "rerun_same"]


@pytest.mark.parametrize("by", ["bob", "eve"])
def test_by_somebody_who_may_not_approve(gate, by):
    gate.do("open", author="bob")
    gate.do("label", label="CICD", by="tim")
    rerun(gate, by)
    assert sent(gate) == keys(gate, 1)
    assert rules(gate) == ["rerun_refused"]
    shown = check(gate)
    assert (shown["status"], shown["conclusion"]) == ("completed", "success")
    assert shown["output"]["title"] == "CI was started; a re-run was refused"
    assert "*triage* permission" in shown["output"]["summary"]
    rerun(gate, "tim")
    assert sent(gate) == keys(gate, 2)
    assert check(gate)["output"]["title"] == "CI was started again"


def test_of_a_commit_that_is_no_longer_the_head(gate):
    first = gate.do("open", author="ann").head
    gate.do("push")
    before = check(gate, first)
    pull = rerun(gate, sha=first)
    assert pull.started == pull.heads
    assert rules(gate) == ["rerun_old"]
    assert check(gate, first) == before


def test_of_a_commit_that_was_never_approved(gate):
    gate.do("open", author="bob")
    before = check(gate)
    pull = rerun(gate, "tim")
    assert (pull.started, pull.check(), rules(gate)) == ([], "waiting", ["rerun_early"])
    assert check(gate) == before
    assert before["output"]["title"] == "Waiting for a maintainer's approval"
    assert gate.do("label", label="CICD", by="tim").started == [pull.head]


def test_of_a_closed_pull_request(gate):
    gate.do("open", author="ann")
    gate.do("close")
    rerun(gate)
    assert sent(gate) == keys(gate, 1)
    assert rules(gate) == ["closed"]
    gate.do("reopen")
    rerun(gate)
    assert sent(gate) == keys(gate, 2)


def test_a_push_ends_it(gate):
    """What was asked for once more is that commit, not what is pushed later."""
    gate.do("open", author="bob")
    first = gate.do("label", label="CICD", by="tim").head
    rerun(gate)
    pull = gate.do("push")
    assert pull.started == [first, first]
    assert pull.check() == "waiting"


# Of the suite

def test_of_the_suite(gate):
    gate.do("open", author="max", fork=False)
    rerun(gate, suite=True)
    assert sent(gate) == keys(gate, 2)


def test_of_the_suite_of_a_fork(gate):
    gate.do("open", author="ann")
    pressed, = press(gate, suite=True)
    status, reply = gate.site.post_webhook(pressed["event"], pressed["payload"], pressed["delivery"])
    assert (status, reply["status"]) == (200, "ignored")
    assert "names no pull request" in reply["message"]
    gate.settled()
    assert sent(gate) == keys(gate, 1)


# Passed over at the door

def other_app(payload):
    payload["check_run"]["app"]["id"] += 1
    return "another App's check"


def other_check(payload):
    payload["check_run"]["name"] = "ci"
    return "not the gate's"


def other_number(payload):
    payload["check_run"]["external_id"] = "2" + payload["check_run"]["external_id"][1:]
    return "names no pull request"


def other_commit(payload):
    payload["check_run"]["head_sha"] = "0" * 40
    return "names no pull request"


def other_action(payload):
    payload["action"] = "completed"
    return "no rule"


@pytest.mark.parametrize("change", [other_app, other_check, other_number, other_commit, other_action])
def test_not_the_gates_own(gate, change):
    gate.do("open", author="ann")
    pressed, = press(gate)
    payload = json.loads(pressed["payload"])
    says = change(payload)
    status, reply = gate.site.post_webhook("check_run", payload, pressed["delivery"])
    assert (status, reply["status"]) == (200, "ignored")
    assert says in reply["message"]
    gate.settled()
    assert sent(gate) == keys(gate, 1)
    assert rules(gate) == []


def test_where_the_label_itself_starts_ci(make_gate):
    gate = make_gate("label-only")
    gate.do("open", author="ann")
    pressed, = press(gate)
    status, reply = gate.site.post_webhook(pressed["event"], pressed["payload"], pressed["delivery"])
    assert (status, reply["status"]) == (200, "ignored")
    assert "set it again" in reply["message"]
