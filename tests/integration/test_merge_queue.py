"""The merge queue: the gate's check on the commit of a group, its CI, its end; and the label that queues."""
import json

import pytest
from workspace import CHECK_NAME

pytestmark = pytest.mark.parametrize("running_site", ["nginx-app", "cgi-token"], indirect=True)


@pytest.fixture(autouse=True)
def at_once(site):
    site.sim.settings(runs_delay_ms=0)
    yield
    site.sim.settings(runs_delay_ms=50)


def place(gate):
    return gate.sim.state(repo=gate.repo)["repos"][gate.repo]


def groups(gate):
    return place(gate)["pulls"]["1"]["groups"]


def shown(group):
    """The gate's check on the group's commit: [(state, title)]."""
    runs = [(one["conclusion"], one["output"]["title"]) for one in group["checks"] if one["name"] == CHECK_NAME]
    return runs + [(one["state"], one["description"]) for one in group["statuses"] if one["context"] == CHECK_NAME]


def rules(gate, event):
    return [one["rule"] for one in gate.ledger if one["kind"] == "decision" and one["event"] == event]


def conclusions(gate):
    return [run["conclusion"] for run in place(gate)["runs"]]


def test_the_check_succeeds_on_the_commit_of_the_group(make_gate):
    gate = make_gate("dispatch")
    before = gate.do("open", author="ann")
    pull = gate.do("enqueue")
    group, = groups(gate)
    assert shown(group) == [("success", "Cleared for the merge queue")]
    assert pull.started == [pull.head] and pull.head == before.head
    assert rules(gate, "checks_requested") == ["queued"]
    status, report = gate.site.get(f"/status/{gate.repo}/1.json")
    assert status == 200 and report["head"] == pull.head
    assert [one["sha"] for one in report["heads"] if one.get("merge_queue")] == [group["sha"]]


@pytest.mark.parametrize("owner", ["queue", "queue-ci"])
def test_ci_is_started_for_the_group_where_that_is_wanted(make_gate, owner):
    gate = make_gate(owner)
    gate.do("open", author="ann")
    gate.do("enqueue")
    group, = groups(gate)
    first, second = gate.pull.sent
    assert (first["head_sha"], second["head_sha"]) == (gate.pull.head, group["sha"])
    assert (second["head_ref"], second["base_ref"]) == (group["branch"], "main")
    assert shown(group) == [("success", "CI was started for the merge queue")]


def test_the_same_again_does_nothing(make_gate):
    gate = make_gate("queue")
    gate.do("open", author="ann")
    asked, = gate.happen("enqueue")
    gate.deliver([asked, asked, {**asked, "delivery": f"again-{gate.repo.replace('/', '-')}"}])
    gate.settled()
    group, = groups(gate)
    assert gate.pull.started == [gate.pull.head, group["sha"]]
    assert len(shown(group)) == 1
    assert rules(gate, "checks_requested") == ["queued", "queued_before"]


def test_a_group_that_is_destroyed_is_cancelled(make_gate):
    gate = make_gate("queue")
    gate.do("open", author="ann")
    gate.do("enqueue")
    gate.do("destroy_group", reason="invalidated")
    assert conclusions(gate) == [None, "cancelled"]
    gate.do("enqueue")
    assert conclusions(gate) == [None, "cancelled", None]
    assert [len(shown(group)) for group in groups(gate)] == [1, 1]


def test_a_group_that_was_merged_is_not(make_gate):
    gate = make_gate("queue")
    gate.do("open", author="ann")
    gate.do("enqueue")
    gate.do("destroy_group", reason="merged")
    assert conclusions(gate) == [None, None]


def test_destroyed_before_it_was_heard_of(make_gate):
    """Nothing starts for a group that is gone, whichever delivery comes first."""
    gate = make_gate("queue")
    gate.do("open", author="ann")
    asked, gone = gate.happen("enqueue"), gate.happen("destroy_group")
    gate.deliver(gone + asked)
    gate.settled()
    assert gate.pull.started == [gate.pull.head]
    assert rules(gate, "checks_requested") == ["queued_before"]


def test_a_pull_request_that_prgate_has_not_heard_of(make_gate):
    """Opened and queued before prgate was there: it is not known, and its group is checked all the same."""
    gate = make_gate("dispatch")
    opened = gate.happen("open", author="ann")
    gate.do("enqueue")
    group, = groups(gate)
    assert shown(group) == [("success", "Cleared for the merge queue")]
    assert gate.pull.started == []
    gate.deliver(opened)
    assert gate.settled().started == [gate.pull.head]


def test_the_life_of_the_pull_request_leaves_the_group_alone(make_gate):
    gate = make_gate("queue")
    gate.do("open", author="bob")
    gate.do("label", label="CICD", by="tim")
    gate.do("enqueue")
    pull = gate.do("push")
    assert (pull.check(), pull.labels) == ("waiting", [])
    assert conclusions(gate) == [None, None]
    gate.do("close")
    assert conclusions(gate) == [None, None]


def test_a_branch_that_names_no_pull_request(make_gate):
    gate = make_gate("queue")
    gate.do("open", author="ann")
    asked, = gate.happen("enqueue")
    payload = json.loads(asked["payload"])
    payload["merge_group"]["head_ref"] = "refs/heads/queue/main"
    status, reply = gate.site.post_webhook("merge_group", payload, asked["delivery"])
    assert (status, reply["status"]) == (200, "ignored")
    assert "names no pull request" in reply["message"]


# The label

def test_leaving_the_queue_takes_the_label_off_once(make_gate):
    gate = make_gate("queue")
    gate.do("open", author="ann")
    gate.do("label", label="autosubmit", by="ann")
    left = gate.happen("dequeue")
    gate.deliver(left)
    assert gate.settled().labels == ["CICD"]
    gate.do("label", label="autosubmit", by="ann")
    gate.deliver([{**left[0], "delivery": f"again-{gate.repo.replace('/', '-')}"}])
    assert gate.settled().labels == ["CICD", "autosubmit"]


def test_no_label_comes_off_where_none_is_configured(make_gate):
    gate = make_gate("dispatch")
    gate.do("open", author="ann")
    gate.do("label", label="autosubmit", by="ann")
    assert gate.do("dequeue").labels == ["CICD", "autosubmit"]
