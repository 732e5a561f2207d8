"""Commands in comments: who may, what comes of them, and what is no command."""
import json

import pytest
from workspace import APP_SLUG, TOKEN_USER

SITES = pytest.mark.parametrize("running_site", ["nginx-app", "nginx-token", "cgi-app"], indirect=True)
ONE_SITE = pytest.mark.parametrize("running_site", ["nginx-app"], indirect=True)
ME = {"app": f"{APP_SLUG}[bot]", "token": TOKEN_USER}


def say(gate, body, by="tim", **how):
    """A comment, and all that comes of it."""
    gate.deliver(gate.happen("comment", body=body, by=by, **how))
    return gate.settled()


def me(gate):
    return ME[gate.site.workspace.credentials]


def asked(gate):
    """People's comments, oldest first: what prgate's reactions to each are."""
    return [[one.split()[1] for one in said["reactions"] if one.startswith(me(gate) + " ")]
            for said in gate.pull.comments if said["by"] != me(gate)]


def answers(gate):
    return [said["body"] for said in gate.pull.comments if said["by"] == me(gate)]


def rules(gate):
    return [one["rule"] for one in gate.ledger if one["kind"] == "decision" and one["event"] == "created"]


def dead(gate):
    return [one for one in gate.ledger if one["kind"] == "action" and one["outcome"] == "dead"]


# approve

@SITES
def test_an_approval_starts_ci(gate):
    gate.do("open", author="bob")
    pull = say(gate, f"Looks good.\r\n\r\n/ci approve {gate.pull.head}\r\n")
    assert (pull.started, pull.labels, pull.check()) == ([pull.head], ["CICD"], "done")
    assert (asked(gate), answers(gate), rules(gate)) == ([["+1"]], [], ["approved"])
    assert dead(gate) == []


@SITES
def test_seven_digits_will_do_and_six_will_not(gate):
    gate.do("open", author="bob")
    head = gate.pull.head
    pull = say(gate, f"/ci approve {head[:6]}")
    assert (pull.started, asked(gate), rules(gate)) == ([], [["-1"]], ["command_refused"])
    answer, = answers(gate)
    assert answer.startswith("@tim, that SHA is too short") and head in answer
    pull = say(gate, f"/ci approve {head[:7].upper()}")
    assert (pull.started, asked(gate)) == ([head], [["-1"], ["+1"]])


@SITES
def test_an_approval_of_an_older_commit_is_none(gate):
    first = gate.do("open", author="bob").head
    pull = gate.do("push")
    pull = say(gate, f"/ci approve {first}")
    assert (pull.started, pull.check(), asked(gate)) == ([], "waiting", [["-1"]])
    answer, = answers(gate)
    assert "not the head any more" in answer and pull.head in answer


@ONE_SITE
@pytest.mark.parametrize("command, says", [
    ("/ci approve", "names the commit"),
    ("/ci approve 0000000", "no commit of this pull request"),
    ("/ci approve HEAD", "does not understand"),
    ("/ci aprove 0000000", "does not understand"),
    ("/ci", "does not understand"),
    ("/ci rerun", "never started"),
    ("/ci cancel", "nothing to cancel"),
    ("/ci status\n/ci help", "more than one command"),
])
def test_refusals_are_explained_once(gate, command, says):
    gate.do("open", author="bob")
    said, = gate.happen("comment", body=command, by="tim")
    gate.deliver([said])
    gate.settled()
    gate.deliver([said, {**said, "delivery": f"again-{said['delivery']}"}])
    pull = gate.settled()
    assert (pull.started, pull.check()) == ([], "waiting")
    answer, = answers(gate)
    assert answer.startswith("@tim, ") and says in answer
    assert len(asked(gate)[0]) == 1 and asked(gate)[0] != ["+1"]
    assert dead(gate) == []


@ONE_SITE
@pytest.mark.parametrize("by", ["bob", "eve"])
@pytest.mark.parametrize("command", ["approve {head}", "rerun", "cancel"])
def test_by_somebody_who_may_not(gate, by, command):
    """The author, and a stranger."""
    gate.do("open", author="bob")
    before = gate.pull.check()
    pull = say(gate, "/ci " + command.format(head=gate.pull.head), by=by, association="MEMBER")
    assert (pull.started, pull.labels, pull.check()) == ([], [], before)
    assert (asked(gate), rules(gate)) == ([["-1"]], ["command_refused"])
    answer, = answers(gate)
    assert answer.startswith(f"@{by}, ") and "*triage* permission" in answer


@ONE_SITE
def test_what_was_started_is_not_started_again(gate):
    head = gate.do("open", author="ann").head
    pull = say(gate, f"/ci approve {head}")
    assert (pull.started, asked(gate), answers(gate)) == ([head], [["+1"]], [])


@ONE_SITE
def test_an_approval_waits_for_a_conflict_to_be_resolved(gate):
    gate.do("open", author="bob", mergeable=False)
    head = gate.pull.head
    pull = say(gate, f"/ci approve {head}")
    assert (pull.started, pull.check(), asked(gate)) == ([], "waiting", [["+1"]])
    gate.sim.mergeable(repo=gate.repo, number=1, mergeable=True)
    assert gate.do("edit").started == [head]


@ONE_SITE
@pytest.mark.parametrize("first", ["push", "comment"])
def test_an_approval_and_the_push_before_it_in_any_order(gate, first):
    gate.do("open", author="bob")
    pushed = gate.happen("push")
    said = gate.happen("comment", body=f"/ci approve {gate.pull.head}", by="tim")
    for deliveries in [pushed, said] if first == "push" else [said, pushed]:
        gate.deliver(deliveries)
        pull = gate.settled()
    assert (pull.started, asked(gate)) == ([pull.head], [["+1"]])


@ONE_SITE
def test_an_approval_does_not_leak_to_the_next_commit(gate):
    head = gate.do("open", author="bob").head
    said, = gate.happen("comment", body=f"/ci approve {head}", by="tim")
    pushed = gate.happen("push")
    gate.deliver([said, *pushed])
    pull = gate.settled()
    assert (pull.started, pull.check()) == ([], "waiting")
    assert asked(gate) == [["-1"]]


@ONE_SITE
def test_a_replayed_approval_is_none_of_what_came_later(gate):
    """The id of a delivery is not signed; and A, B, A again is no new approval either."""
    head = gate.do("open", author="bob").head
    said, = gate.happen("comment", body=f"/ci approve {head}", by="tim")
    gate.deliver([said])
    assert gate.settled().started == [head]
    gate.do("push")
    for turn in range(3):
        gate.deliver([{**said, "delivery": f"replay-{turn}-{said['delivery']}"}])
        pull = gate.settled()
    assert (pull.started, pull.check(), answers(gate)) == ([head], "waiting", [])
    assert asked(gate) == [["+1"]]
    assert rules(gate) == ["approved"] + ["command_seen"] * 3


# rerun

@SITES
def test_a_rerun_starts_ci_once_more(gate):
    head = gate.do("open", author="ann").head
    said, = gate.happen("comment", body="/ci rerun", by="tim")
    gate.deliver([said])
    gate.settled()
    gate.deliver([said, {**said, "delivery": f"again-{said['delivery']}"}])
    pull = gate.settled()
    assert (pull.started, asked(gate), rules(gate)) == ([head, head], [["+1"]], ["rerun", "command_seen"])
    pull = say(gate, f"/ci rerun {head[:10]}", by="max")
    assert (pull.started, asked(gate)) == ([head] * 3, [["+1"], ["+1"]])
    assert len({one["key"] for one in pull.sent}) == 3


@ONE_SITE
def test_a_rerun_of_an_older_commit_is_refused(gate):
    first = gate.do("open", author="ann").head
    gate.do("push")
    pull = say(gate, f"/ci rerun {first}")
    assert (pull.started, asked(gate)) == (pull.heads, [["-1"]])
    assert "not the head any more" in answers(gate)[0]


@ONE_SITE
def test_where_the_label_itself_starts_ci_there_is_no_rerun(make_gate):
    gate = make_gate("label-only")
    gate.do("open", author="ann")
    say(gate, "/ci rerun")
    assert asked(gate) == [["confused"]]
    assert "rerun" not in answers(gate)[0]


# status, help

@SITES
def test_status_is_told_once_for_each_state(gate):
    head = gate.do("open", author="bob").head
    for by in ("bob", "eve", "tim"):
        say(gate, "/ci status", by=by)
    answer, = answers(gate)
    assert "Waiting for a maintainer's approval" in answer and head in answer and "*triage*" in answer
    gate.do("label", label="CICD", by="tim")
    say(gate, "/ci status", by="eve")
    say(gate, "/ci status", by="bob")
    assert "CI was started" in answers(gate)[1] and len(answers(gate)) == 2
    gate.do("close")
    say(gate, "/ci status", by="bob")
    assert "closed" in answers(gate)[2]
    assert asked(gate) == [["+1"]] * 6


@SITES
def test_help_names_the_commands_and_is_none_itself(gate):
    gate.do("open", author="bob")
    say(gate, "/ci help", by="eve")
    answer, = answers(gate)
    assert all(f"`/ci {word}" in answer for word in ("approve SHA", "rerun", "cancel", "status", "help"))
    before = rules(gate)
    say(gate, answer, by="tim")
    say(gate, "\n".join("> " + line for line in answer.splitlines()) + "\n\nThanks!", by="tim")
    assert rules(gate) == before
    assert asked(gate) == [["+1"], [], []]


@ONE_SITE
def test_of_a_closed_pull_request(gate):
    head = gate.do("open", author="bob").head
    gate.do("close")
    pull = say(gate, f"/ci approve {head}")
    assert (pull.started, asked(gate)) == ([], [["-1"]])
    assert "closed" in answers(gate)[0]
    pull = gate.do("reopen")
    assert (pull.started, pull.check()) == ([], "waiting")


# What is no command

NOT_COMMANDS = ["> /ci approve {head}", "> quoted\n/ci approve {head}", "```\n/ci approve {head}\n```",
                "    /ci approve {head}", "`/ci approve {head}`", "<!--\n/ci approve {head}\n-->",
                "please /ci approve {head}", "/cifoo approve {head}", "\u200b/ci approve {head}", "Looks good to me."]


@ONE_SITE
@pytest.mark.parametrize("body", NOT_COMMANDS)
def test_what_only_looks_like_one(gate, body):
    gate.do("open", author="bob")
    said, = gate.happen("comment", body=body.format(head=gate.pull.head), by="tim")
    calls = len(gate.sim.calls())
    status, reply = gate.site.post_webhook(said["event"], said["payload"], said["delivery"])
    assert (status, reply["status"]) == (200, "ignored")
    assert "without a command" in reply["message"]
    pull = gate.settled()
    assert (pull.started, asked(gate), answers(gate)) == ([], [[]], [])
    assert len(gate.sim.calls()) == calls


@ONE_SITE
def test_what_is_edited_in_later_is_none(gate):
    gate.do("open", author="bob")
    say(gate, "Looks good to me.")
    gate.do("edit_comment", body=f"/ci approve {gate.pull.head}", by="tim")
    gate.do("delete_comment", by="tim")
    assert (gate.pull.started, rules(gate), answers(gate)) == ([], [], [])


@ONE_SITE
@pytest.mark.parametrize("by, app", [("helper[bot]", None), (f"{APP_SLUG}[bot]", None)])
def test_bots_are_not_obeyed(gate, by, app):
    gate.do("open", author="bob")
    gate.sim.role(repo=gate.repo, login=by, role="admin")
    pull = say(gate, f"/ci approve {gate.pull.head}", by=by, app=app)
    assert (pull.started, rules(gate)) == ([], [])


@pytest.mark.parametrize("running_site", ["nginx-token"], indirect=True)
def test_prgates_own_account_is_not_obeyed(gate):
    gate.do("open", author="bob")
    pull = say(gate, f"/ci approve {gate.pull.head}", by=TOKEN_USER)
    assert (pull.started, rules(gate)) == ([], ["command_own"])


@ONE_SITE
def test_a_comment_on_an_issue_is_none(gate):
    gate.do("open", author="bob")
    said, = gate.happen("comment", body=f"/ci approve {gate.pull.head}", by="tim")
    payload = json.loads(said["payload"])
    del payload["issue"]["pull_request"]
    status, reply = gate.site.post_webhook(said["event"], payload, said["delivery"])
    assert (status, reply["status"]) == (200, "ignored")
    assert "no pull request" in reply["message"]
    gate.settled()
    assert (gate.pull.started, asked(gate)) == ([], [[]])


# When GitHub does not play along

@ONE_SITE
def test_a_comment_that_is_deleted_at_once_is_obeyed_and_answered_by_nothing(gate):
    gate.do("open", author="bob")
    said = gate.happen("comment", body=f"/ci approve {gate.pull.head}", by="tim")
    gate.deliver(said + gate.happen("delete_comment", by="tim"))
    pull = gate.settled()
    assert (pull.started, pull.comments) == ([pull.head], [])
    assert dead(gate) == []


@ONE_SITE
@pytest.mark.parametrize("what", ["/reactions", "/issues/1/comments"])
def test_an_answer_that_got_lost_is_given_once(gate, what):
    gate.do("open", author="bob")
    gate.sim.fault(route=f"POST /repos/*{what}", drop="after")
    say(gate, "/ci approve")
    made = [call for call in gate.sim.calls() if call["method"] == "POST" and call["path"].endswith(what)]
    assert len(made) == (2 if what == "/reactions" else 1)  # a reaction is made again, a comment is looked for first
    assert asked(gate) == [["-1"]]
    assert len(answers(gate)) == 1
    assert dead(gate) == []
