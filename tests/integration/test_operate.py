"""The operator's own word: `prgatectl approve` and `prgatectl retrigger`, beside a pool and where none runs (CGI)."""
import json
import os
import re

import pytest
from test_gate import STARTED, outcome
from test_rerun import check, keys, sent
from workspace import SERVER_USER

alone = pytest.mark.parametrize("running_site", ["cgi-app"], indirect=True)  # prgatectl does it itself
beside = pytest.mark.parametrize("running_site", ["nginx-app", "cgi-app"], indirect=True)


def user():
    """Whoever logged in, if the system tells; else the user that it runs as."""
    try:
        name = os.getlogin()
    except OSError:
        name = SERVER_USER
    return re.sub(r"[^\w.-]", "_", name)


def order(gate, word, *arguments, status=0):
    """What is said with --json; echoes of what was done are delivered."""
    done = gate.site.ctl(word, f"{gate.repo}#1", *arguments, "--json")
    assert done.returncode == status, (done.stdout, done.stderr)
    told = json.loads(done.stdout)
    assert told["status"] == status
    gate.settled()
    return told


def refused(gate, *arguments, status=1):
    done = gate.site.ctl(*arguments)
    assert done.returncode == status, (done.stdout, done.stderr)
    return done.stderr


def rules(gate, event):
    return [one["rule"] for one in gate.ledger if one["kind"] == "decision" and one["event"] == event]


@beside
def test_approve_starts_ci_for_the_head(gate):
    gate.do("open", author="bob")
    calls = len(gate.sim.calls())
    told = order(gate, "approve")
    assert (told["verdict"], told["rule"], told["state"], told["sha"], told["by"]) == (
        "CI was started", "operator", "triggered", gate.pull.head, user())
    assert [one["action"] for one in told["ledger"] if one["kind"] == "action"] == ["trigger", "add_label", "check_done"]
    assert outcome(gate.pull) == STARTED
    assert f"Approved by prgate's operator (`{user()}`)." in check(gate)["output"]["summary"]
    asked = [one for one in gate.sim.calls()[calls:] if "/collaborators/" in one["path"]]
    assert asked == []  # a Unix user is no account of GitHub's


@alone
def test_approve_is_told_on_the_page_and_in_the_ledger(gate):
    gate.do("open", author="bob")
    order(gate, "approve")
    _, shown = gate.site.get(f"/status/{gate.repo}/1.json")
    head = shown["heads"][-1]
    assert (head["approved_by"], head["approved_with"]) == (user(), "operator")
    entry, = [one for one in shown["ledger"] if one.get("event") == "operator_approve"]
    assert (entry["approval"]["by"], entry["approval"]["with"]) == (user(), "operator")
    _, page = gate.site.get(f"/status/{gate.repo}/1")
    page = page.decode()
    assert f"by prgate&#39;s operator, {user()}" in page or f"by prgate's operator, {user()}" in page
    assert f"Approved with prgatectl by the operator, {user()}" in page
    assert f'/{user()}">' not in page  # no link to somebody else's account


@alone
def test_approve_twice_starts_it_once(gate):
    gate.do("open", author="bob")
    order(gate, "approve", gate.pull.head[:7])
    told = order(gate, "approve", gate.pull.head)
    assert (told["verdict"], told["rule"]) == ("nothing to do: CI was started for this commit before", "already")
    assert outcome(gate.pull) == STARTED


@beside
def test_approve_of_a_commit_that_is_not_the_head(gate):
    old = gate.do("open", author="bob").head
    unheard = gate.happen("push", by="bob")  # GitHub has it, and prgate does not know yet
    told = order(gate, "approve", status=1)
    assert (told["sha"], told["rule"], told["verdict"]) == (old, "operator_old", "refused: this commit is not the head")
    gate.deliver(unheard)
    gate.settled()
    assert order(gate, "approve", old, status=1)["rule"] == "operator_old"
    assert gate.pull.started == []
    assert order(gate, "approve")["sha"] == gate.pull.head
    assert gate.pull.started == [gate.pull.head]


@alone
def test_approve_of_a_closed_pull_request_is_not_kept(gate):
    gate.do("open", author="bob")
    gate.do("close")
    assert order(gate, "approve", status=1)["verdict"] == "refused: the pull request is closed"
    assert gate.do("reopen", by="bob").started == []


@alone
def test_approve_in_a_conflict_starts_when_it_is_over(gate):
    gate.do("open", author="bob", mergeable=False)
    assert order(gate, "approve")["rule"] == "conflict"
    assert gate.pull.started == []
    gate.sim.mergeable(repo=gate.repo, number=1, mergeable=True)
    assert outcome(gate.do("edit")) == STARTED


@alone
@pytest.mark.parametrize("words, status, said", [
    (["approve", "no/body#1"], 66, "no webhook for no/body#1"),
    (["retrigger", "no/body#1"], 66, "no webhook for no/body#1"),
    (["approve", "REPO"], 64, "is not OWNER/REPO#NUMBER"),
    (["approve", "REPO#1", "abc"], 64, "is no commit"),
    (["approve", "REPO#1", "main"], 64, "is no commit"),
    (["approve", "REPO#1", "0123456"], 1, "no commit of it that is known begins with 0123456"),
    (["retrigger", "REPO#1", "0123456"], 64, "usage"),
    (["approve"], 64, "usage"),
], ids=str)
def test_what_is_wrong_is_said(gate, words, status, said):
    gate.do("open", author="bob")
    assert said in refused(gate, *[one.replace("REPO", gate.repo) for one in words], status=status)
    assert rules(gate, "operator_approve") == []


@beside
def test_retrigger_starts_it_once_more_each_time(gate):
    gate.do("open", author="ann")
    for attempt in (2, 3):
        told = order(gate, "retrigger")
        assert (told["rule"], told["verdict"]) == ("rerun", "CI was started")
        assert gate.pull.started == [gate.pull.head] * attempt
        assert sent(gate) == keys(gate, attempt)
    assert f"Re-run 2 was asked for by prgate's operator (`{user()}`)." in check(gate)["output"]["summary"]


@alone
def test_retrigger_of_what_was_never_started(gate):
    gate.do("open", author="bob")
    assert order(gate, "retrigger", status=1)["rule"] == "rerun_early"
    gate.do("close")
    assert order(gate, "retrigger", status=1)["rule"] == "closed"
    assert gate.pull.started == []


@alone
def test_retrigger_where_the_label_starts_ci_has_nothing_to_send(make_gate):
    gate = make_gate("label-only")
    gate.do("open", author="ann")
    assert "the label itself starts CI" in refused(gate, "retrigger", f"{gate.repo}#1")


@alone
def test_where_the_label_starts_ci_it_depends_on_the_label(make_gate):
    gate = make_gate("label-only")
    gate.do("open", author="bob")
    gate.sim.fault(route="POST */labels", status=422, count=-1)
    told = order(gate, "approve", status=1)
    assert told["verdict"].startswith("CI was not started")
    gate.sim.clear_faults()
    assert order(gate, "approve")["verdict"] == "CI was started"
    assert "CICD" in gate.pull.labels


@alone
def test_a_refused_start_is_a_failure(gate):
    gate.do("open", author="bob")
    gate.sim.fault(route="POST */dispatches", status=422, count=-1)
    told = order(gate, "approve", status=1)
    assert told["verdict"].startswith("CI was not started")
    gate.sim.clear_faults()


@beside
def test_while_github_fails_it_is_stored_and_done_later(gate):
    gate.do("open", author="bob")
    gate.sim.fault(route="GET */pulls/1", status=503, count=-1)
    done = gate.site.ctl("approve", f"{gate.repo}#1", "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["status"], told["rule"]) == (75, 75, "")
    assert told["verdict"].startswith("stored, and not done yet")
    gate.sim.clear_faults()
    assert outcome(gate.settled()) == STARTED
    assert rules(gate, "operator_approve") == ["operator"]


@alone
def test_for_people_there_are_lines(gate):
    gate.do("open", author="bob")
    done = gate.site.ctl("approve", f"{gate.repo}#1")
    lines = done.stdout.splitlines()
    assert lines[0] == f"{gate.repo}#1, commit {gate.pull.head}, which is the head"
    assert f"operator_approve {gate.pull.head[:10]} by {user()}: prgate's operator approved" in lines[1]
    assert lines[-1] == "CI was started" and "\033" not in done.stdout
