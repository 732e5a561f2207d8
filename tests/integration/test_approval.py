"""Approving: by label, by the button of the awaiting check, too soon after a push, and by somebody who may not."""
import itertools
import json
import time

import pytest
from workspace import CHECK_NAME

pytestmark = pytest.mark.parametrize("running_site", ["nginx-app"], indirect=True)

BUTTON = "approve-ci"


def check(gate, sha=None):
    """The only one of that commit."""
    place = gate.sim.state(repo=gate.repo)["repos"][gate.repo]["pulls"]["1"]
    one, = place["checks"][sha or place["head"]]
    return one


def press(gate, by="tim", **how):
    return gate.happen("press", name=CHECK_NAME, by=by, identifier=BUTTON, **how)


def decisions(gate, event):
    return [one for one in gate.ledger if one["kind"] == "decision" and one["event"] == event]


def rules(gate, event):
    return [one["rule"] for one in decisions(gate, event)]


def comments(gate, marker):
    return [one["body"] for one in gate.pull.comments if f"<!-- prgate:{marker}" in one["body"]]


def head(gate):
    _, shown = gate.site.get(f"/status/{gate.repo}/1.json")
    return shown["heads"][-1]


# What is kept of an approval

def test_the_record_keeps_who_which_how_and_with_what_right(gate):
    gate.do("open", author="bob")
    pull = gate.do("label", label="CICD", by="tim")
    said = head(gate)
    assert (said["sha"], said["approved_by"], said["approved_with"], said["approver_permission"]) == (
        pull.head, "tim", "label", "triage")
    approval = decisions(gate, "labeled")[0]["approval"]
    assert (approval["sha"], approval["by"], approval["with"], approval["permission"]) == (
        pull.head, "tim", "label", "triage")
    assert "Approved by @tim (triage) with the label **CICD**." in check(gate)["output"]["summary"]
    gate.sim.role(repo=gate.repo, login="tim", role="none")
    gate.do("edit")
    assert head(gate)["approver_permission"] == "triage"


# The button

def test_button_approves(gate):
    gate.do("open", author="bob")
    shown, = check(gate)["actions"]
    assert (shown["label"], shown["identifier"]) == ("Approve CI", BUTTON)
    gate.deliver(press(gate))
    pull = gate.settled()
    assert (pull.started, pull.check(), pull.labels) == ([pull.head], "done", ["CICD"])
    done = check(gate)
    assert done["actions"] == []
    assert "Approved by @tim (triage) with the button of this check." in done["output"]["summary"]
    assert rules(gate, "requested_action") == ["approved"]
    said = head(gate)
    assert (said["approved_with"], said["approver_permission"]) == ("button", "triage")


@pytest.mark.parametrize("owner", ["label-only", "workflow", "own-ci", "settling"])
def test_button_starts_ci_whatever_starts_it(make_gate, owner):
    gate = make_gate(owner)
    gate.do("open", author="bob")
    gate.do("push")
    gate.deliver(press(gate))
    pull = gate.settled()
    assert (pull.check(), pull.labels) == ("done", ["CICD"])
    assert pull.started == ([] if owner == "label-only" else [pull.head])


def test_button_pressed_twice_and_delivered_twice(gate):
    gate.do("open", author="bob")
    pressed = press(gate) + press(gate, by="ann")
    gate.deliver(pressed + pressed)
    pull = gate.settled()
    assert pull.started == [pull.head]
    assert rules(gate, "requested_action") == ["approved", "already"]


def test_button_of_a_commit_that_is_no_longer_the_head(gate):
    first = gate.do("open", author="bob").head
    pressed = press(gate)
    gate.do("push")
    before = check(gate, first), check(gate)
    gate.deliver(pressed)
    pull = gate.settled()
    assert (pull.started, pull.check(), pull.labels) == ([], "waiting", [])
    assert (check(gate, first), check(gate)) == before
    assert rules(gate, "requested_action") == ["button_old"]


def test_button_by_somebody_who_may_not_approve(make_gate):
    gate = make_gate("strict")  # tim has triage, and write is asked for
    gate.do("open", author="bob")
    for _ in range(2):
        gate.deliver(press(gate))
        pull = gate.settled()
        assert (pull.started, pull.check(), pull.labels) == ([], "waiting", [])
    assert check(gate)["output"]["title"] == "Waiting: somebody who may not approve has tried to"
    said, = comments(gate, "not_approver:")
    assert "@tim" in said and "*write* permission" in said
    gate.deliver(press(gate, by="ann"))
    assert gate.settled().started == [pull.head]


def test_button_in_a_conflict_waits_for_its_end(gate):
    gate.do("open", author="bob", mergeable=False)
    gate.deliver(press(gate))
    pull = gate.settled()
    assert (pull.started, pull.check(), pull.labels) == ([], "waiting", ["CICD"])
    assert "Approved by @tim (triage) with the button" in check(gate)["output"]["summary"]
    gate.sim.mergeable(repo=gate.repo, number=1, mergeable=True)
    pull = gate.do("edit")
    assert (pull.started, pull.check()) == ([pull.head], "done")


def other_app(payload):
    payload["check_run"]["app"]["id"] += 1
    return "another App's check"


def other_check(payload):
    payload["check_run"]["name"] = "ci"
    return "not the gate's"


def other_number(payload):
    payload["check_run"]["external_id"] = "2" + payload["check_run"]["external_id"][1:]
    return "not of a check that prgate has written"


def other_commit(payload):
    payload["check_run"]["head_sha"] = "0" * 40
    return "not of a check that prgate has written"


def other_button(payload):
    payload["requested_action"]["identifier"] = "deploy"
    return "no button of prgate's"


@pytest.mark.parametrize("change", [other_app, other_check, other_number, other_commit, other_button])
def test_button_that_is_not_the_gates_own(gate, change):
    gate.do("open", author="bob")
    pressed, = press(gate)
    payload = json.loads(pressed["payload"])
    says = change(payload)
    status, reply = gate.site.post_webhook("check_run", payload, pressed["delivery"])
    assert (status, reply["status"]) == (200, "ignored")
    assert says in reply["message"]
    assert gate.settled().started == []


# Too soon after a push

@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_label_too_soon_is_taken_off_in_any_order(make_gate, order):
    gate = make_gate("settling")
    first = gate.happen("open", author="bob")
    happened = first + gate.happen("push") + gate.happen("label", label="CICD", by="tim")
    gate.deliver([happened[i] for i in order])
    pull = gate.settled()
    assert (pull.started, pull.check(), pull.labels) == ([], "waiting", [])
    assert check(gate)["output"]["title"] == "Waiting: the label was set before anybody could have looked"
    said, = comments(gate, f"look_again:{pull.head}")
    assert "@tim" in said and f"/{gate.repo}/pull/1/files" in said


def test_look_again_compares_with_what_was_approved_last(make_gate):
    gate = make_gate("settling")
    first = gate.do("open", author="bob", labels=[]).head
    gate.do("label", label="CICD", by="tim")  # what it was opened with needs no time
    assert gate.pull.started == [first]
    gate.do("push")
    for _ in range(2):
        pull = gate.do("label", label="CICD", by="tim")
        assert (pull.started, pull.labels) == ([first], [])
    said, = comments(gate, f"look_again:{pull.head}")
    assert f"{gate.site.sim.url}/{gate.repo}/compare/{first}...{pull.head}" in said
    assert rules(gate, "labeled")[-2:] == ["too_soon", "too_soon"]


def test_label_set_again_after_the_settle_time_approves(make_gate):
    gate = make_gate("settling-briefly")
    gate.do("open", author="bob")
    happened = gate.happen("push") + gate.happen("label", label="CICD", by="tim")
    gate.deliver(happened)
    pull = gate.settled()
    assert (pull.started, pull.labels) == ([], [])
    time.sleep(2.1)  # GitHub's times are whole seconds, so two are over
    pull = gate.do("label", label="CICD", by="tim")
    assert (pull.started, pull.check(), pull.labels) == ([pull.head], "done", ["CICD"])


def test_label_right_after_a_trusted_push_is_not_too_soon(make_gate):
    gate = make_gate("settling")
    gate.do("open", author="ann")
    gate.do("unlabel", label="CICD", by="ann")
    assert gate.do("push").check() == "waiting"
    pull = gate.do("label", label="CICD", by="tim")
    assert pull.started == pull.heads
    assert comments(gate, "look_again") == []


# By somebody who may not

def test_opened_with_a_label_that_does_not_count(gate):
    pull = gate.do("open", author="bob", labels=["CICD"])
    assert (pull.started, pull.check(), pull.labels) == ([], "waiting", [])
    assert len(comments(gate, "not_approver:")) == 1


def test_refused_label_is_taken_off_with_one_comment(make_gate):
    gate = make_gate("strict")
    gate.do("open", author="bob")
    for _ in range(2):
        pull = gate.do("label", label="CICD", by="tim")
        assert (pull.started, pull.check(), pull.labels) == ([], "waiting", [])
    said, = comments(gate, "not_approver:")
    assert "@tim" in said and "*write* permission" in said
    assert check(gate)["output"]["title"] == "Waiting: somebody who may not approve has tried to"
    pull = gate.do("label", label="CICD", by="ann")
    assert (pull.started, pull.check(), pull.labels) == ([pull.head], "done", ["CICD"])


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_refused_label_and_then_an_approver_s_in_any_order(make_gate, order):
    gate = make_gate("strict")
    gate.do("open", author="bob")
    happened = (gate.happen("label", label="CICD", by="tim") + gate.happen("unlabel", label="CICD", by="tim")
                + gate.happen("label", label="CICD", by="ann"))
    gate.deliver([happened[i] for i in order])
    pull = gate.settled()
    assert (pull.started, pull.check(), pull.labels) == ([pull.head], "done", ["CICD"])
    assert head(gate)["approved_by"] == "ann"
