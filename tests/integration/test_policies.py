"""What a repository may ask of pull requests beside the gate: each off by default, and each done once."""
import time

import pytest

pytestmark = pytest.mark.parametrize("running_site", ["nginx-app"], indirect=True)

CODE = {"filename": "lib/src/a.dart", "patch": "@@ -1,2 +1,3 @@\n void a() {}\n+void b() {}\n"}
TEST = {"filename": "test/a_test.dart", "patch": "@@ -1 +1,2 @@\n x\n+void c() {}\n"}
COMMENT = {"filename": "lib/src/a.dart", "patch": "@@ -1,2 +1,3 @@\n void a() {}\n+// why\n"}
INDENTED = {"filename": "lib/src/a.dart", "patch": "@@ -1 +1 @@\n-void a() {}\n+  void a() {}\n"}
DELETED = {"filename": "lib/src/a.dart", "patch": "@@ -1,2 +1 @@\n void a() {}\n-void b() {}\n"}
GENERATED = {"filename": "lib/gen/a.dart", "patch": "@@ -1 +1,2 @@\n x\n+void b() {}\n"}
BINARY = {"filename": "lib/a.png", "status": "added"}
RENAMED = {"filename": "lib/b.dart", "status": "renamed", "previous_filename": "lib/a.dart"}


@pytest.fixture
def gate(make_gate):
    return make_gate("policies")


def open_with(gate, files, author="bob", **how):
    """Opened, and delivered when the files are there."""
    opened = gate.happen("open", author=author, **how)
    gate.sim.files(repo=gate.repo, number=1, files=files)
    gate.deliver(opened)
    return gate.settled()


def said(gate, marker):
    return [one["body"] for one in gate.pull.comments if f"<!-- prgate:{marker}" in one["body"]]


def state(gate):
    return gate.sim.state(repo=gate.repo)["repos"][gate.repo]["pulls"]["1"]


def calls(gate, method, part):
    return [one for one in gate.sim.calls(pr=f"{gate.repo}#1") if one["method"] == method and part in one["path"]]


# Off by default

def test_nothing_that_is_not_configured(make_gate):
    gate = make_gate("dispatch")
    pull = open_with(gate, [CODE], author="dependabot[bot]", base_ref="master", head_ref="release-1", fork=False)
    gate.do("close")
    gate.do("reopen")
    assert (pull.comments, pull.labels, state(gate)["base"], state(gate)["state"]) == ([], [], "master", "open")
    assert calls(gate, "GET", "/files") == []
    assert state(gate)["reviews"] == []


# Tests

@pytest.mark.parametrize("files, missing", [
    ([CODE], True), ([CODE, TEST], False), ([TEST], False), ([COMMENT], False), ([INDENTED], False),
    ([DELETED], False), ([GENERATED], False), ([GENERATED, CODE], True), ([BINARY], True), ([RENAMED], False),
    ([], False),
], ids=str)
def test_missing_tests(gate, files, missing):
    pull = open_with(gate, files)
    assert len(said(gate, "missing_tests")) == missing
    if missing:
        assert said(gate, "missing_tests")[0].startswith("@bob: tests for #1, please.")
    assert (pull.check(), pull.started) == ("waiting", [])


def test_the_first_of_many_pages_is_not_all(gate):
    open_with(gate, [{**CODE, "filename": f"doc/{n}.md"} for n in range(150)] + [CODE])
    assert len(said(gate, "missing_tests")) == 1
    assert len(calls(gate, "GET", "/files")) == 2


def test_missing_tests_are_told_once(gate):
    open_with(gate, [CODE])
    for deed in ("push", "close", "reopen", "draft", "ready", "push"):
        gate.do(deed)
    assert len(said(gate, "missing_tests")) == 1


def test_files_are_read_once_per_commit(gate):
    opened = gate.happen("open", author="bob")
    gate.sim.files(repo=gate.repo, number=1, files=[COMMENT])
    gate.deliver(opened)
    gate.settled()
    gate.deliver([{**opened[0], "delivery": f"again-{gate.repo.replace('/', '-')}"}])
    gate.settled()
    gate.do("edit")
    gate.do("label", label="bug", by="tim")
    assert len(calls(gate, "GET", "/files")) == 1
    gate.sim.files(repo=gate.repo, number=1, files=[CODE])
    gate.do("push")
    assert len(calls(gate, "GET", "/files")) == 2
    assert len(said(gate, "missing_tests")) == 1


def test_a_draft_needs_no_tests_until_it_is_none(gate):
    open_with(gate, [CODE], draft=True)
    assert (said(gate, "missing_tests"), calls(gate, "GET", "/files")) == ([], [])
    gate.do("ready")
    assert len(said(gate, "missing_tests")) == 1


def test_files_that_cannot_be_read_do_not_hold_up_the_gate(gate):
    gate.sim.fault(route="GET */files*", status=422)
    pull = open_with(gate, [CODE], author="ann")
    assert (pull.started, said(gate, "missing_tests")) == ([pull.head], [])


# The base branch

def test_wrong_base_is_changed(gate):
    gate.sim.open(repo=gate.repo, author="max", number=9)  # so that there is a branch main
    pull = open_with(gate, [], base_ref="master")
    assert state(gate)["base"] == "main"
    told, = said(gate, "retargeted")
    assert "into `master`, and changes go to `main` first" in told
    gate.do("rebase", base="master", by="max")  # whoever sets it back wins
    gate.do("push")
    assert state(gate)["base"] == "master"
    assert len(said(gate, "retargeted")) == 1
    assert pull.check() == "waiting"


def test_base_that_is_set_later(gate):
    open_with(gate, [])
    gate.do("rebase", base="master")
    assert state(gate)["base"] == "main"


@pytest.mark.parametrize("author, base", [("roller", "master"), ("bob", "main"), ("bob", "release-1")])
def test_base_that_is_left(gate, author, base):
    open_with(gate, [], author=author, base_ref=base)
    assert (state(gate)["base"], said(gate, "retargeted")) == (base, [])


def test_base_that_github_does_not_take(gate):
    """The check says what was not done, and nothing tells of what did not happen."""
    gate.sim.fault(route="PATCH */pulls/1", status=422)
    open_with(gate, [], base_ref="master")
    assert (state(gate)["base"], said(gate, "retargeted")) == ("master", [])
    dead = gate.site.get(f"/status/{gate.repo}/1.json")[1]["dead"]
    assert [one["action"] for one in dead] == ["retarget"]


# Done, and GitHub's answer lost: what is done again does no harm

@pytest.mark.parametrize("route", ["PATCH */pulls/1", "POST */comments"])
def test_retargeting_whose_answer_is_lost(gate, route):
    gate.sim.fault(route=route, status=500, after=True)
    gate.sim.open(repo=gate.repo, author="max", number=9)
    open_with(gate, [], base_ref="master")
    assert (state(gate)["base"], len(said(gate, "retargeted"))) == ("main", 1)
    assert len(calls(gate, "PATCH", "/pulls/1")) == 1


@pytest.mark.parametrize("route", ["PATCH */pulls/1", "POST */comments"])
def test_closing_whose_answer_is_lost(gate, route):
    gate.sim.fault(route=route, status=500, after=True)
    pull = open_with(gate, [], author="max", head_ref="release-1.2", fork=False)
    assert (pull.state, len(said(gate, "from_release_branch"))) == ("closed", 1)


def test_review_whose_answer_is_lost(gate):
    gate.sim.fault(route="POST */reviews", status=500, after=True)
    open_with(gate, [], author="roller", base_ref="release-1.2")
    assert len(state(gate)["reviews"]) == 1


def test_missing_tests_whose_comments_answer_is_lost(gate):
    gate.sim.fault(route="POST */comments", status=500, after=True)
    open_with(gate, [CODE])
    assert len(said(gate, "missing_tests")) == 1


# Release branches

def test_from_a_release_branch(gate):
    pull = open_with(gate, [CODE], author="max", head_ref="release-1.2", fork=False)
    assert pull.state == "closed"
    assert "comes from `release-1.2`, which is a release branch" in said(gate, "from_release_branch")[0]
    assert said(gate, "missing_tests") == []
    gate.do("reopen", by="max")  # whoever reopens it wins
    gate.do("push")
    assert gate.pull.state == "open"
    assert len(said(gate, "from_release_branch")) == 1


@pytest.mark.parametrize("how", [{"author": "bob", "fork": True}, {"author": "roller", "fork": False},
                                 {"author": "bob", "deleted_fork": True}], ids=str)
def test_a_branch_of_that_name_elsewhere(gate, how):
    assert open_with(gate, [], head_ref="release-1.2", **how).state == "open"
    assert said(gate, "from_release_branch") == []


def test_a_release_is_approved_for_each_of_its_commits(gate):
    first = open_with(gate, [], author="roller", base_ref="release-1.2").head
    second = gate.do("push", by="roller").head
    assert [(one["state"], one["commit_id"]) for one in state(gate)["reviews"]] == [
        ("APPROVED", first), ("APPROVED", second)]
    assert "@roller may release into `release-1.2`" in state(gate)["reviews"][0]["body"]


def test_a_strangers_commit_is_not_approved(gate):
    open_with(gate, [], author="roller", base_ref="release-1.2")
    gate.do("push", by="bob")
    gate.do("edit", by="roller")
    assert len(state(gate)["reviews"]) == 1


def test_a_review_that_is_dismissed_is_not_made_again(gate):
    opened = gate.happen("open", author="roller", base_ref="release-1.2")
    gate.deliver(opened)
    gate.settled()
    gate.sim.dismiss(repo=gate.repo, number=1)
    gate.do("close")
    gate.do("reopen", by="roller")
    gate.deliver([{**opened[0], "delivery": f"again-{gate.repo.replace('/', '-')}"}])
    gate.settled()
    assert [one["state"] for one in state(gate)["reviews"]] == ["DISMISSED"]


@pytest.mark.parametrize("author, base", [("roller", "main"), ("ann", "release-1.2")])
def test_what_is_no_release_is_not_approved(gate, author, base):
    open_with(gate, [], author=author, base_ref=base)
    assert state(gate)["reviews"] == []


# Labels by author

def test_labels_by_author(gate):
    pull = open_with(gate, [], author="dependabot[bot]", labels=["bug"])
    assert sorted(pull.labels) == ["bug", "dependencies"]
    assert gate.do("unlabel", label="dependencies", by="tim").labels == ["bug"]
    gate.do("push")
    assert gate.pull.labels == ["bug"]


def test_labels_that_are_there_are_not_added(gate):
    open_with(gate, [], author="dependabot[bot]", labels=["Dependencies"])
    assert calls(gate, "POST", "/labels") == []


def test_labels_beside_the_gates(gate):
    pull = open_with(gate, [], author="ann")
    assert sorted(pull.labels) == ["CICD", "from: ann"]
    assert pull.started == [pull.head]


# Reopened

def reopen_later(gate):
    """GitHub tells times in seconds: what happens within one of them cannot be told apart."""
    time.sleep(1.1)
    gate.do("close")
    return gate.do("reopen")


def test_reopened_after_ci_ran(gate):
    pull = open_with(gate, [], author="ann")
    for _ in range(2):
        reopen_later(gate)
    assert gate.pull.started == [pull.head]
    told, = said(gate, "new_commit_needed")
    assert f"`{pull.head[:12]}`" in told
    gate.do("push")
    reopen_later(gate)
    assert len(said(gate, "new_commit_needed")) == 2  # once for each commit


def test_reopened_before_ci_ran(gate):
    open_with(gate, [])
    gate.do("close")
    gate.do("reopen")
    assert said(gate, "new_commit_needed") == []


# Conflicts

@pytest.mark.parametrize("owner, comments", [("dispatch", 1), ("no-conflict-comment", 0)])
def test_conflict_comment(make_gate, owner, comments):
    gate = make_gate(owner)
    gate.do("open", author="ann", mergeable=False)
    assert len(said(gate, "conflict")) == comments
    assert gate.pull.started == []
