"""The gate's rules, end to end: what happens on GitHub, and what prgate makes of it there."""
import pytest
from conftest import SITES
from processes import wait_until
from workspace import ODD_LABEL

pytestmark = pytest.mark.parametrize("running_site", SITES, indirect=True)

WAITING = {"labels": [], "started": 0, "check": "waiting"}
STARTED = {"labels": ["CICD"], "started": 1, "check": "done"}


def outcome(pull):
    """The newest commit's check, how often CI was started for it, and the labels."""
    return {"labels": pull.labels, "started": pull.started.count(pull.head), "check": pull.check()}


def same_delivery_under(other_id, delivery):
    return {**delivery, "delivery": other_id}


# Opened

@pytest.mark.parametrize("author, how, expected", [
    ("ann", {}, STARTED),
    ("max", {"fork": False}, STARTED),
    ("ann", {"draft": True}, WAITING),
    ("bob", {}, WAITING),
    ("bob", {"draft": True}, WAITING),
    ("tim", {}, WAITING),  # may approve others, is not trusted himself
    (None, {}, WAITING),
    ("bob", {"deleted_fork": True}, WAITING),
    ("ann", {"deleted_fork": True}, STARTED),
    ("ann", {"labels": ["CICD"]}, STARTED),
    ("ann", {"labels": ["bug", "CICD"]}, {**STARTED, "labels": ["bug", "CICD"]}),
    ("bob", {"labels": ["CICD"], "by": "tim"}, STARTED),
    ("ann", {"mergeable_after_ms": 300}, STARTED),
    ("ann", {"body": "x" * 60_000, "title": 'Quotes " and \\ and 🚀'}, STARTED),
], ids=str)
def test_opened(gate, author, how, expected):
    pull = gate.do("open", author=author, **how)
    assert outcome(pull) == expected
    assert pull.comments == []


@pytest.mark.parametrize("author, membership, expected", [
    ("cleo", "active", STARTED),
    ("pat", "pending", WAITING),
    ("ann", None, WAITING),  # write permission counts for nothing here
    ("roller", None, STARTED),
    ("dependabot[bot]", None, STARTED),
    ("rolling[bot]", None, STARTED),
    ("heir[bot]", None, WAITING),  # another App had that name when it was written down
])
def test_trusted_by_team_or_name(make_gate, author, membership, expected):
    gate = make_gate("teams")
    gate.sim.team(org="teams", team="crew", login=author, state=membership)
    for number, slug in (2740, "rolling"), (2742, "heir"):
        gate.sim.app(id=number, slug=slug, public_key="unused")
    assert outcome(gate.do("open", author=author)) == expected


# Labeled

@pytest.mark.parametrize("owner, by, label, expected", [
    ("dispatch", "tim", "CICD", STARTED),
    ("dispatch", "ann", "CICD", STARTED),
    ("dispatch", "max", "cicd", STARTED),
    ("dispatch", "bob", "CICD", WAITING),
    ("dispatch", "eve", "CICD", WAITING),
    ("dispatch", "ann", "bug", {**WAITING, "labels": ["bug"]}),
    ("strict", "tim", "CICD", WAITING),
    ("strict", "ann", "CICD", STARTED),
    ("pinned", "ann", "CICD", STARTED),
    ("odd-label", "ann", ODD_LABEL, {**STARTED, "labels": [ODD_LABEL]}),
    ("odd-label", "ann", "CICD", {**WAITING, "labels": ["CICD"]}),
])
def test_labeled(make_gate, owner, by, label, expected):
    gate = make_gate(owner)
    assert outcome(gate.do("open", author="bob")) == WAITING
    assert outcome(gate.do("label", label=label, by=by)) == expected


def test_a_label_of_the_same_name_with_another_id_is_not_the_gate(make_gate):
    gate = make_gate("pinned")
    gate.do("open", author="bob")
    gate.sim.label_definition(repo=gate.repo, name="CICD")
    assert outcome(gate.do("label", label="CICD", by="ann")) == {**WAITING, "labels": ["CICD"]}


@pytest.mark.parametrize("order", ["labeled first", "push first"])
def test_a_label_for_a_commit_that_is_no_longer_the_head(gate, order):
    gate.do("open", author="bob")
    labeled, pushed = gate.happen("label", label="CICD", by="tim"), gate.happen("push")
    gate.deliver(labeled + pushed if order == "labeled first" else pushed + labeled)
    pull = gate.settled()
    assert outcome(pull) == WAITING
    assert pull.started == []


def test_the_label_before_the_opening(gate):
    opened = gate.happen("open", author="bob")
    labeled = gate.happen("label", label="CICD", by="tim")
    gate.deliver(labeled + opened)
    assert outcome(gate.settled()) == STARTED


def test_the_label_of_a_draft_starts_it(gate):
    gate.do("open", author="bob", draft=True)
    assert outcome(gate.do("label", label="CICD", by="tim")) == STARTED


# Pushes

def test_a_trusted_push_with_the_label(gate):
    gate.do("open", author="ann")
    for _ in range(2):
        assert outcome(gate.do("push")) == STARTED
    assert gate.pull.started == gate.pull.heads


def test_a_trusted_push_without_the_label(gate):
    gate.do("open", author="ann")
    gate.do("unlabel", label="CICD", by="tim")
    pull = gate.do("push")
    assert outcome(pull) == WAITING
    assert outcome(gate.do("label", label="CICD", by="tim")) == STARTED


def test_an_untrusted_push_takes_the_label_off(gate):
    gate.do("open", author="bob")
    first = gate.do("label", label="CICD", by="tim")
    pull = gate.do("push")
    assert outcome(pull) == WAITING
    assert pull.started == [first.head]
    assert outcome(gate.do("label", label="CICD", by="tim")) == STARTED


def test_an_untrusted_push_without_the_label(gate):
    gate.do("open", author="bob")
    assert outcome(gate.do("push")) == WAITING


def test_the_odd_label_is_taken_off_too(make_gate):
    gate = make_gate("odd-label")
    gate.do("open", author="bob")
    gate.do("label", label=ODD_LABEL, by="ann")
    assert outcome(gate.do("push")) == WAITING


# Pushes by somebody else than the author

def test_a_push_by_somebody_trusted(gate):
    gate.do("open", author="ann")
    assert outcome(gate.do("push", by="max")) == STARTED


def test_a_push_by_a_stranger_waits_for_a_new_label(gate):
    first = gate.do("open", author="ann")
    pull = gate.do("push", by="bob")
    assert outcome(pull) == WAITING
    assert pull.started == [first.head]
    assert outcome(gate.do("edit")) == WAITING
    assert outcome(gate.do("label", label="CICD", by="tim")) == STARTED
    assert outcome(gate.do("push", by="max")) == STARTED


def test_a_push_by_a_stranger_to_a_draft_waits_when_it_is_ready(gate):
    gate.do("open", author="ann", draft=True)
    gate.do("push", by="bob")
    assert outcome(gate.do("ready")) == WAITING


def test_a_stranger_s_push_that_edits_and_labels_overtake(gate):
    """Until the push is heard of nobody knows who pushed: nothing starts."""
    gate.do("open", author="ann")
    pushed = gate.happen("push", by="bob")
    edited = gate.happen("edit")
    gate.deliver(edited)
    assert gate.settled().started.count(gate.pull.head) == 0
    gate.deliver(pushed)
    assert outcome(gate.settled()) == WAITING


def test_a_trusted_push_that_an_edit_overtakes(gate):
    gate.do("open", author="ann")
    pushed = gate.happen("push", by="max")
    gate.deliver(gate.happen("edit") + pushed)
    assert outcome(gate.settled()) == STARTED


def test_a_maintainer_s_push_to_an_untrusted_author_s_branch_waits(gate):
    gate.do("open", author="bob")
    gate.do("label", label="CICD", by="tim")
    assert outcome(gate.do("push", by="max")) == WAITING


def test_lost_rights_count_at_once_where_a_webhook_tells_of_them(gate):
    gate.do("open", author="ann")
    assert outcome(gate.do("push", by="max")) == STARTED
    gate.sim.role(repo=gate.repo, login="max", role="read")
    assert outcome(gate.do("push", by="max")) == STARTED, "trust_ttl is not over"
    status, reply = gate.site.post_webhook("member", {"action": "edited", "member": {"login": "max", "id": 3}})
    assert (status, reply["status"]) == (200, "noted")
    assert outcome(gate.do("push", by="max")) == WAITING


def test_back_to_a_commit_that_ran_already(gate):
    first = gate.do("open", author="ann").head
    gate.do("push")
    pull = gate.do("push", sha=first)
    assert pull.head == first
    assert outcome(pull) == STARTED


# Drafts

@pytest.mark.parametrize("author, expected", [("ann", STARTED), ("bob", WAITING)])
def test_ready_for_review(gate, author, expected):
    assert outcome(gate.do("open", author=author, draft=True)) == WAITING
    assert outcome(gate.do("ready")) == expected


def test_converted_to_draft(gate):
    first = gate.do("open", author="ann").head
    assert outcome(gate.do("draft")) == STARTED
    pull = gate.do("push")
    assert (pull.started, pull.check()) == ([first], "waiting")
    assert outcome(gate.do("ready")) == STARTED


# Unlabeled, closed, reopened

def test_unlabeled_and_labeled_again_starts_nothing_twice(gate):
    gate.do("open", author="bob")
    gate.do("label", label="CICD", by="tim")
    gate.do("unlabel", label="CICD", by="tim")
    assert outcome(gate.do("label", label="CICD", by="ann")) == STARTED


def test_a_label_that_is_gone_again_approves_nothing(gate):
    gate.do("open", author="bob")
    labeled = gate.happen("label", label="CICD", by="tim")
    gate.deliver(labeled + gate.happen("unlabel", label="CICD", by="tim"))
    assert outcome(gate.settled())["started"] <= 1  # it may have been quicker than the second thought


def test_closed_means_no_more_ci(gate):
    gate.do("open", author="bob")
    gate.do("close")
    pull = gate.do("label", label="CICD", by="tim")
    assert pull.started == []


def test_closing_drops_what_is_outstanding(gate):
    gate.sim.fault(route="POST */dispatches", status=503, count=-1)
    gate.deliver(gate.happen("open", author="ann"))
    wait_until(lambda: [call for call in gate.sim.calls() if call["path"].endswith("/dispatches")], 10, "tried")
    gate.deliver(gate.happen("close", merged=True))
    gate.sim.clear_faults()
    assert gate.settled().started == []


@pytest.mark.parametrize("author, label, expected", [
    ("ann", False, STARTED), ("bob", True, STARTED), ("bob", False, WAITING)])
def test_reopened(gate, author, label, expected):
    gate.do("open", author=author)
    if label:
        gate.do("label", label="CICD", by="tim")
    gate.do("close")
    assert outcome(gate.do("reopen")) == expected


def test_pushed_while_closed_then_reopened(gate):
    gate.do("open", author="ann")
    gate.do("close")
    gate.do("push")
    assert gate.pull.started == gate.pull.heads[:1]
    assert outcome(gate.do("reopen")) == STARTED


# Conflicts

def test_a_conflict_is_told_once_and_waits(gate):
    pull = gate.do("open", author="ann", mergeable=False)
    assert (pull.started, pull.check(), len(pull.comments)) == ([], "waiting", 1)
    pull = gate.do("edit")
    assert (pull.started, len(pull.comments)) == ([], 1)
    gate.sim.mergeable(repo=gate.repo, number=1, mergeable=True)
    pull = gate.do("edit", title="Once more")
    assert outcome(pull) == STARTED
    assert len(pull.comments) == 1


def test_a_conflict_resolved_by_a_push(gate):
    gate.do("open", author="ann", mergeable=False)
    pull = gate.do("push", mergeable=True)
    assert outcome(pull) == STARTED
    assert pull.started == [pull.head]
    assert len(pull.comments) == 1


def test_an_approved_conflict_resolved(gate):
    gate.do("open", author="bob", mergeable=False)
    pull = gate.do("label", label="CICD", by="tim")
    assert (pull.started, pull.check(), len(pull.comments)) == ([], "waiting", 1)
    gate.sim.mergeable(repo=gate.repo, number=1, mergeable=True)
    assert outcome(gate.do("edit")) == STARTED


# Duplicates and echoes

def test_the_same_delivery_again(gate):
    opened, = gate.happen("open", author="ann")
    gate.deliver([opened, opened, opened])
    assert outcome(gate.settled()) == STARTED
    assert [one["delivery"] for one in gate.ledger if one["kind"] == "decision"].count(opened["delivery"]) == 1


def test_the_same_event_under_other_ids(gate):
    opened, = gate.happen("open", author="bob")
    labeled, = gate.happen("label", label="CICD", by="tim")
    gate.deliver([opened, labeled, same_delivery_under("again-1", labeled), same_delivery_under("again-2", opened)])
    assert outcome(gate.settled()) == STARTED


def test_own_echo_is_no_approval(gate):
    """The label that prgate set itself, told of late, says nothing about the commit that followed."""
    gate.deliver(gate.happen("open", author="ann"))
    gate.site.wait_idle()
    echo = gate.sim.outbox()
    assert [one["event"] for one in echo] == ["pull_request"]
    gate.deliver(gate.happen("draft") + gate.happen("push") + echo)
    pull = gate.settled()
    assert (pull.started, pull.check()) == (pull.heads[:1], "waiting")


def test_the_order_of_a_whole_life_does_not_matter(gate):
    life = gate.happen("open", author="bob")
    life += gate.happen("label", label="CICD", by="tim")
    life += gate.happen("push")
    life += gate.happen("unlabel", label="CICD", by="tim")
    life += gate.happen("label", label="CICD", by="tim")
    gate.deliver(life[::-1])
    pull = gate.settled()
    assert outcome(pull) == STARTED
    assert pull.started == [pull.head]


# Triggers

@pytest.mark.parametrize("owner", ["dispatch", "workflow", "own-ci"])
def test_what_a_trigger_tells(make_gate, owner):
    gate = make_gate(owner)
    pull = gate.do("open", author="ann", head_ref="feature/x", base_ref="release")
    sent, = pull.sent
    key = sent.pop("key")
    assert sent.pop("action", None) == ("start" if owner == "own-ci" else None)
    assert sent == {"repository": gate.repo, "number": "1" if owner == "workflow" else 1, "head_sha": pull.head,
                    "head_ref": "feature/x", "base_ref": "release", "author": "ann"}
    assert len(key) == 32 and set(key) <= set("0123456789abcdef")
    assert outcome(pull) == STARTED


def test_where_to_a_trigger_goes(make_gate):
    dispatch, workflow = make_gate("dispatch"), make_gate("workflow")
    for gate in (dispatch, workflow):
        gate.do("open", author="ann", base_ref="release")
    sent = [gate.sim.state(repo=gate.repo)["repos"][gate.repo]["dispatches"][0] for gate in (dispatch, workflow)]
    assert sent[0]["event_type"] == "prgate-ci"
    assert (sent[1]["workflow"], sent[1]["ref"]) == ("ci.yml", "release")


def test_the_label_alone_can_be_the_trigger(make_gate):
    gate = make_gate("label-only")
    assert outcome(gate.do("open", author="ann")) == {**STARTED, "started": 0}
    assert not [one for one in gate.sim.calls() if one["path"].endswith("/dispatches")]
