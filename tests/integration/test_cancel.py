"""Runs that nobody needs any more are cancelled, and those of a first-time contributor released by an approval."""
import pytest
from workspace import CI_SECRET

pytestmark = pytest.mark.parametrize("running_site", ["nginx-app"], indirect=True)


@pytest.fixture(autouse=True)
def at_once(site):
    """The list of runs shows a run as soon as it is there, but where a test says otherwise."""
    site.sim.settings(runs_delay_ms=0)
    yield
    site.sim.settings(runs_delay_ms=50)
    site.sim.ci(secret=CI_SECRET)


def place(gate):
    return gate.sim.state(repo=gate.repo)["repos"][gate.repo]


def runs(gate):
    """Those that prgate started, oldest first: (pull request's commit, conclusion)."""
    sent = {one["payload"]["key"]: one["payload"]["head_sha"] for one in place(gate)["dispatches"]}
    return [(next(sha for key, sha in sent.items() if key in run["display_title"]), run["conclusion"])
            for run in place(gate)["runs"]]


def answers(gate, action="cancel"):
    return [(one["outcome"], one["answer"]) for one in gate.ledger
            if one["kind"] == "action" and one["action"] == action]


def title(gate):
    check, = place(gate)["pulls"]["1"]["checks"][gate.pull.head]
    return check["output"]["title"]


def calls(gate, tail):
    where = f"/repos/{gate.repo}/"
    return [one for one in gate.sim.calls() if one["path"].startswith(where) and tail in one["path"][len(where) - 1:]]


# Of dispatches

@pytest.mark.parametrize("owner", ["cancelling", "cancelling-workflow"])
def test_a_push_cancels_the_run_before_it(make_gate, owner):
    gate = make_gate(owner)
    first = gate.do("open", author="ann").head
    second = gate.do("push").head
    assert runs(gate) == [(first, "cancelled"), (second, None)]
    assert answers(gate) == [("done", "1 run cancelled")]
    third = gate.do("push").head
    assert runs(gate) == [(first, "cancelled"), (second, "cancelled"), (third, None)]


def test_closing_cancels_once(make_gate):
    gate = make_gate("cancelling")
    gate.do("open", author="ann")
    closed = gate.happen("close")
    gate.deliver(closed)
    gate.settled()
    assert runs(gate) == [(gate.pull.head, "cancelled")]
    gate.deliver([{**closed[0], "delivery": f"again-{gate.repo.replace('/', '-')}"}])
    gate.settled()
    assert len(answers(gate)) == 1
    assert len(calls(gate, "/cancel")) == 1


def test_a_command_cancels_and_a_rerun_starts_it_again(make_gate):
    gate = make_gate("cancelling")
    head = gate.do("open", author="ann").head
    gate.do("comment", body="/ci cancel", by="bob")  # who may not
    assert runs(gate) == [(head, None)]
    gate.do("comment", body="/ci cancel", by="tim")
    assert runs(gate) == [(head, "cancelled")]
    gate.do("comment", body="/ci rerun", by="tim")
    assert runs(gate) == [(head, "cancelled"), (head, None)]


def test_merging_cancels_too(make_gate):
    gate = make_gate("cancelling")
    gate.do("open", author="ann")
    gate.do("close", merged=True)
    assert runs(gate) == [(gate.pull.head, "cancelled")]


def test_reopened_it_says_so_and_a_rerun_starts_it(make_gate):
    gate = make_gate("cancelling")
    gate.do("open", author="ann")
    gate.do("close")
    pull = gate.do("reopen")
    assert pull.started == [pull.head]
    assert title(gate) == "CI was started; cancelled since"
    gate.do("rerequest", name="Awaiting CICD label", by="tim")
    assert runs(gate) == [(pull.head, "cancelled"), (pull.head, None)]
    assert title(gate) == "CI was started again"
    gate.do("close")
    assert runs(gate) == [(pull.head, "cancelled")] * 2


def test_what_has_ended_is_left_as_it_is(make_gate):
    gate = make_gate("cancelling")
    gate.do("open", author="ann")
    gate.sim.finish_run(repo=gate.repo, id=place(gate)["runs"][0]["id"])
    gate.do("push")
    assert runs(gate)[0][1] == "success"
    assert answers(gate) == [("done", "nothing is left to cancel")]
    assert calls(gate, "/cancel") == []


def test_a_run_that_is_listed_late_is_waited_for(make_gate):
    gate = make_gate("cancelling")
    gate.do("open", author="ann")
    gate.sim.settings(runs_delay_ms=2500)
    second = gate.do("push").head
    gate.do("close")
    assert runs(gate)[1] == (second, "cancelled")
    last = [one for one in gate.ledger if one["kind"] == "action" and one["action"] == "cancel"][-1]
    assert (last["sha"], last["answer"]) == (second, "1 run cancelled") and last["attempts"] > 1


def test_the_order_of_a_push_and_a_closing_does_not_matter(make_gate):
    gate = make_gate("cancelling")
    gate.do("open", author="ann")
    pushed, closed = gate.happen("push"), gate.happen("close")
    gate.deliver(closed + pushed)
    gate.settled()
    assert runs(gate) == [(gate.pull.heads[0], "cancelled")]


def test_nothing_is_cancelled_where_nobody_asked_for_it(make_gate):
    gate = make_gate("dispatch")
    gate.do("open", author="ann")
    gate.do("push")
    gate.do("close")
    assert [conclusion for _, conclusion in runs(gate)] == [None, None]
    assert answers(gate) == []


def test_a_run_that_cannot_be_told_apart_is_left_and_the_ledger_says_so(make_gate):
    gate = make_gate("cancelling-unasked")
    gate.do("open", author="ann")
    gate.do("push")
    assert [conclusion for _, conclusion in runs(gate)] == [None, None]
    (outcome, answer), = answers(gate)
    assert outcome == "done" and "trigger_can_be_asked" in answer
    assert calls(gate, "/actions/runs") == []


def test_without_the_permission_it_is_a_dead_letter(make_gate):
    gate = make_gate("cancelling")
    gate.do("open", author="ann")
    gate.sim.fault(route="POST /repos/*/cancel", status=403)
    gate.do("push")
    (outcome, answer), = answers(gate)
    assert outcome == "dead" and "HTTP 403" in answer
    assert gate.pull.started == gate.pull.heads


# Where the label itself starts CI

def test_runs_of_the_commit_are_cancelled_where_the_label_starts_them(make_gate):
    gate = make_gate("cancelling-label")
    gate.do("open", author="ann")
    first = gate.sim.pull_run(repo=gate.repo, number=1)["id"]
    target = gate.sim.pull_run(repo=gate.repo, number=1, event="pull_request_target")["id"]
    gate.happen("open", author="bob")
    other = gate.sim.pull_run(repo=gate.repo, number=2)["id"]
    gate.do("push")
    second = gate.sim.pull_run(repo=gate.repo, number=1)["id"]
    ended = {run["id"]: run["conclusion"] for run in place(gate)["runs"]}
    assert ended == {first: "cancelled", target: "cancelled", other: None, second: None}


# At an own CI

def cancels(gate):
    return [(one["key"], one["body"]["action"]) for one in place(gate)["cancels"]]


def test_own_ci_is_told_by_key(make_gate):
    gate = make_gate("cancelling-ci")
    gate.do("open", author="ann")
    gate.do("push")
    first, second = [one["key"] for one in gate.pull.sent]
    assert cancels(gate) == [(first, "cancel")]
    gate.do("close")
    assert cancels(gate) == [(first, "cancel"), (second, "cancel")]
    assert [outcome for outcome, _ in answers(gate)] == ["done", "done"]


def test_own_ci_need_not_know_how(make_gate):
    gate = make_gate("cancelling-ci")
    gate.sim.ci(secret=CI_SECRET, cancel_status=501)
    gate.do("open", author="ann")
    gate.do("push")
    (outcome, answer), = answers(gate)
    assert outcome == "done" and "does not know how" in answer
    assert gate.pull.started == gate.pull.heads


# Releasing

def states(gate):
    return [(run["status"], run["conclusion"], run["approved_by"]) for run in place(gate)["runs"]
            if run["event"] == "pull_request"]


def test_an_approval_releases_what_waits(make_gate):
    gate = make_gate("releasing")
    gate.do("open", author="bob")
    gate.sim.pull_run(repo=gate.repo, number=1, first_time=True)
    gate.sim.pull_run(repo=gate.repo, number=1, first_time=True)
    gate.do("label", label="CICD", by="eve")
    assert {conclusion for _, conclusion, _ in states(gate)} == {"action_required"}
    gate.do("unlabel", label="CICD", by="tim")
    gate.do("label", label="CICD", by="tim")
    assert states(gate) == [("queued", None, "prgate-test[bot]")] * 2
    assert answers(gate, "release_runs") == [("done", "2 runs released")]


def test_an_approval_releases_nothing_where_nobody_asked_for_it(make_gate):
    gate = make_gate("dispatch")
    gate.do("open", author="bob")
    gate.sim.pull_run(repo=gate.repo, number=1, first_time=True)
    gate.do("label", label="CICD", by="tim")
    assert states(gate) == [("completed", "action_required", None)]
    assert gate.pull.started == [gate.pull.head]


def test_a_trusted_author_s_commit_releases_nothing(make_gate):
    gate = make_gate("releasing")
    gate.sim.settings(runs_delay_ms=0)
    gate.do("open", author="ann")
    gate.sim.pull_run(repo=gate.repo, number=1, first_time=True)
    gate.do("edit")
    assert states(gate) == [("completed", "action_required", None)]
    assert answers(gate, "release_runs") == []


def test_a_run_of_an_older_commit_is_not_released(make_gate):
    gate = make_gate("releasing")
    gate.do("open", author="bob")
    gate.sim.pull_run(repo=gate.repo, number=1, first_time=True)
    gate.do("push")
    gate.sim.pull_run(repo=gate.repo, number=1, first_time=True)
    gate.do("label", label="CICD", by="tim")
    assert [conclusion for _, conclusion, _ in states(gate)] == ["action_required", None]
