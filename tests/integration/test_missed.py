"""What happens on GitHub while prgate is away: its webhooks fail, and all ends as if they had not.

Once because GitHub is asked to deliver them again, once because the open pull requests are compared with it.
"""
import json
import time

import pytest
from conftest import arrange, end
from gate import make_repo, views
from github_sim import client
from overload import Members
from processes import wait_until
from servers import Cgi, Nginx, Pool, Pool4Nginx
from test_gate import STARTED, WAITING, outcome
from workspace import SECRET, TOKEN_USER

SETTLE_S = 40
UNLABELLED = {"labels": [], "started": 0, "check": "waiting"}
QUIET_S = 3  # in which each process of a pool would have had its turn


def pace(redeliver=0, reconcile=0):
    return f"redeliver_interval = {redeliver}\nreconcile_interval = {reconcile}\n"


@pytest.fixture(scope="module")
def github(app_key):
    """One of this module's own: the App's list of deliveries has nobody else's in it."""
    with client.start() as sim:
        arrange(sim, app_key)
        yield sim


@pytest.fixture
def make_missed(make_site, github):
    made = []

    def make(credentials, passes, server=Nginx):
        made.append(Missed(make_site(server, github, credentials, pace=passes), server))
        return made[-1]

    yield make
    for one in made:
        end(one.site)
    github.hook()
    github.forget()


class Missed:
    """A site whose pool comes and goes. Deliveries are GitHub's own: it notes what was answered."""

    def __init__(self, site, server):
        self.site, self.sim, self.server = site, site.sim, server
        self.sim.forget()
        self.sim.forget_deliveries()
        self.repo = make_repo(site, "dispatch")
        self.reconciled_before = 0
        port = getattr(site.server, "port", None)
        if port:
            self.sim.hook(url=f"http://127.0.0.1:{port}/webhook", secret=SECRET)

    def away(self):
        """Until the last member has gone: who comes while one lives is of the same pool, and has missed nothing."""
        self.reconciled_before = self.reconciled()  # a pool that starts looks, too, and may be quicker than a webhook
        self.site.server.pool.stop()
        members = Members(self.site.workspace)
        wait_until(lambda: not members.pids(), SETTLE_S, lambda: f"gone: {members.pids()}")

    def reconciled(self):
        return self.site.get("/metrics.json")[1]["prgate_reconciled_total"]

    def back(self):
        self.site.server.pool = Pool(self.site.workspace, self.site.server.processes)

    def happen(self, deed, number=None, **arguments):
        """Something that a person does, and what became of its deliveries."""
        if number:
            arguments["number"] = number
        deliveries = self.sim.do(deed, {"repo": self.repo, **arguments})
        return deliveries, [self.sim.send(delivery=one["delivery"]) for one in deliveries]

    def told(self, deed, number=None, **arguments):
        _, statuses = self.happen(deed, number, **arguments)
        assert set(statuses) == {202}
        self.site.wait_idle()

    def lost(self, deed, number=None, **arguments):
        deliveries, statuses = self.happen(deed, number, **arguments)
        assert not [status for status in statuses if status in (200, 202)], statuses
        return [one["delivery"] for one in deliveries]

    def pulls(self):
        return views(self.sim, self.repo)

    def rules(self, number):
        return [one["rule"] for one in self.site.ledger(self.repo, number) if one["kind"] == "decision"]

    def wait_for(self, expected):
        """Until each pull request is as it should be, and nothing is left to do."""
        def right():
            pulls = self.pulls()
            return all(outcome(pulls[number]) == want for number, want in expected.items())
        wait_until(right, SETTLE_S, lambda: {n: outcome(one) for n, one in self.pulls().items()})
        self.site.wait_idle()
        assert {number: outcome(self.pulls()[number]) for number in expected} == expected

    def calls(self, method, part):
        return [call for call in self.sim.calls() if call["method"] == method and part in call["path"]]

    def log(self):
        return (self.site.workspace.dir / "pool.log").read_text(errors="replace")


def wait_for_next_second():
    """GitHub's times are in seconds: what happens within the one of what was told is not known to be later."""
    now = int(time.time())
    wait_until(lambda: int(time.time()) > now, 2, "the next second")


def live(missed):
    """Pull requests that prgate knows, and what happens to them, and to others, while it is away; the end."""
    missed.told("open", author="bob")                           # 1
    missed.told("open", author="ann")                           # 2
    missed.told("open", author="bob")                           # 3
    missed.told("label", 3, label="CICD", by="tim")
    missed.told("open", author="bob")                           # 4
    missed.told("open", author="ann", draft=True)               # 5
    missed.away()
    wait_for_next_second()
    gone = missed.lost("label", 1, label="CICD", by="tim")      # approved
    gone += missed.lost("push", 2)                              # a trusted push, label there
    gone += missed.lost("push", 3)                              # an untrusted push: the label goes
    gone += missed.lost("close", 4)
    gone += missed.lost("ready", 5)
    gone += missed.lost("open", author="ann")                   # 6
    gone += missed.lost("open", author="bob")                   # 7
    gone += missed.lost("open", author="bob")                   # 8
    gone += missed.lost("label", 8, label="CICD", by="tim")
    gone += missed.lost("open", author="bob")                   # 9
    gone += missed.lost("label", 9, label="CICD", by="bob")     # he may not
    gone += missed.lost("comment", 9, body="/ci help", by="bob")
    return gone, {1: STARTED, 2: STARTED, 3: WAITING, 5: STARTED, 6: STARTED, 7: WAITING, 8: STARTED,
                  9: WAITING}


def expect_end(missed, expected, started=None):
    missed.wait_for(expected)
    wait_until(lambda: missed.rules(4)[-1:] == ["closed"], SETTLE_S, lambda: f"closed: {missed.rules(4)}")
    assert missed.pulls()[4].started == []
    counts = {**dict(enumerate([1, 2, 1, 0, 1, 1, 0, 1, 0], 1)), **(started or {})}
    assert {number: len(one.started) for number, one in missed.pulls().items()} == counts
    assert missed.sim.violations() == []


@pytest.mark.parametrize("credentials", ["app", "token"])
def test_github_delivers_again_what_it_is_asked_for(make_missed, credentials):
    missed = make_missed(credentials, pace(redeliver=300))
    if credentials == "token":
        missed.sim.role(repo=missed.repo, login=TOKEN_USER, role="admin")
    gone, expected = live(missed)
    missed.sim.comment(repo=missed.repo, number=7, body="Ah", by="tim")
    unasked = missed.lost("assign", 7) + missed.lost("edit_comment", 7, body="Hm", by="tim")
    missed.back()
    expect_end(missed, expected)
    assert [[one["status"] for one in missed.sim.attempts(delivery=guid)] for guid in gone] == [[503, 202]] * len(gone)
    assert [len(missed.sim.attempts(delivery=guid)) for guid in unasked] == [1, 1], "of no concern"
    assert not missed.calls("GET", "/pulls?")


@pytest.mark.parametrize("credentials", ["app", "token"])
def test_open_pull_requests_are_compared_with_github(make_missed, credentials):
    """The token's user is no administrator: what it may not ask for is told once, and holds up nothing."""
    missed = make_missed(credentials, pace(redeliver=1 if credentials == "token" else 0, reconcile=3600))
    gone, expected = live(missed)
    missed.back()
    expect_end(missed, {**expected, 2: WAITING}, {2: 1})  # nobody knows who pushed
    assert [len(missed.sim.attempts(delivery=guid)) for guid in gone] == [1] * len(gone)
    assert missed.reconciled() - missed.reconciled_before == 9
    if credentials == "token":
        wait_until(lambda: len(missed.calls("GET", "/hooks?")) > 1, SETTLE_S, "asked for the webhook again")
        assert 1 <= missed.log().count("missed deliveries cannot be asked for") <= 3  # once per process


def test_nothing_is_written_where_nothing_differs(make_missed):
    missed = make_missed("app", pace(reconcile=1))
    missed.told("open", author="ann")
    missed.told("open", author="bob")
    missed.told("open", author="bob")
    missed.told("close", 3)
    missed.sim.comment(repo=missed.repo, number=1, body="It moves updated_at and is no event of concern", by="tim")
    missed.wait_for({1: STARTED, 2: WAITING})
    before = [missed.site.ledger(missed.repo, number) for number in (1, 2, 3)]
    missed.sim.forget()
    wait_until(lambda: len(missed.calls("GET", "/pulls?")) >= 3, SETTLE_S, "three passes")
    assert [missed.site.ledger(missed.repo, number) for number in (1, 2, 3)] == before
    assert {call["path"].partition("?")[0] for call in missed.sim.calls()} == {f"/repos/{missed.repo}/pulls"}


def test_an_approval_does_not_pass_to_a_commit_that_may_have_come_later(make_missed):
    missed = make_missed("app", pace(reconcile=3600))
    missed.told("open", author="bob")
    missed.told("open", author="bob")
    missed.told("open", author="bob")
    known = missed.pulls()[3].head
    missed.away()
    time.sleep(1.1)  # labels of a second of their own
    missed.lost("label", 1, label="CICD", by="tim")
    missed.lost("open", author="bob")                           # 4
    missed.lost("label", 4, label="CICD", by="tim")
    missed.lost("push", 3)
    missed.lost("label", 3, label="CICD", by="tim")             # for the one in between
    missed.lost("label", 2, label="CICD", by="tim")
    time.sleep(1.1)
    missed.lost("push", 1)
    missed.lost("push", 4)
    missed.lost("push", 3, sha=known)
    missed.sim.comment(repo=missed.repo, number=2, body="The commit is the one that was known", by="tim")
    missed.back()
    missed.wait_for({1: UNLABELLED, 2: STARTED, 3: UNLABELLED, 4: UNLABELLED})
    assert [missed.pulls()[number].started for number in (1, 3, 4)] == [[], [], []]


def test_what_got_through_in_the_end_is_not_asked_for(make_missed):
    missed = make_missed("app", pace(redeliver=1))
    missed.away()
    guid, = missed.lost("open", author="bob")
    late, = missed.lost("open", author="bob")
    sent, = missed.sim.open(repo=missed.repo, author="bob")
    missed.sim.delivered(delivery=guid, status=503)
    for one in (guid, sent["delivery"]):  # somebody was quicker; and one that prgate took, but whose answer was lost
        missed.sim.redeliver(delivery=one)
        wait_until(lambda one=one: len(missed.sim.attempts(delivery=one)) == 2, SETTLE_S, "redelivered")
        missed.sim.delivered(delivery=one, status=202)
    missed.back()
    wait_until(lambda: len(missed.calls("GET", "/app/hook/deliveries?")) >= 3, SETTLE_S, "three passes")
    asked = [call["path"] for call in missed.calls("POST", "/attempts")]
    first = missed.sim.attempts(delivery=late)[0]["id"]
    assert asked == [f"/app/hook/deliveries/{first}/attempts"]


def test_lists_of_several_pages(make_missed):
    missed = make_missed("app", pace(redeliver=300, reconcile=0))
    missed.away()
    guid, = missed.lost("open", author="ann")
    missed.sim.batch([("open", {"repo": missed.repo, "author": "bob"})] * 205)  # to the webhook's list they got through
    missed.sim.forget()
    missed.back()
    missed.wait_for({1: STARTED})
    assert len(missed.sim.attempts(delivery=guid)) == 2
    assert len(missed.calls("GET", "/app/hook/deliveries")) == 3


def test_more_open_pull_requests_than_a_page_has(make_missed):
    missed = make_missed("app", pace(reconcile=3600))
    missed.told("open", author="bob")
    missed.away()
    missed.sim.batch([("open", {"repo": missed.repo, "author": "bob"})] * 104)
    missed.sim.forget()
    missed.back()
    missed.wait_for({number: WAITING for number in range(1, 106)})
    assert len(missed.calls("GET", "/pulls?")) == 2


def test_one_of_the_pool_does_it(make_missed):
    missed = make_missed("app", pace(redeliver=300, reconcile=3600), Pool4Nginx)
    missed.told("open", author="bob")
    for _ in range(2):
        missed.away()
        missed.lost("push", 1)
        missed.sim.forget()
        missed.back()
        wait_until(lambda: missed.calls("GET", "/app/hook/deliveries"), SETTLE_S, "looked for deliveries")
        wait_until(lambda: missed.rules(1).count("wait_untrusted") == len(missed.pulls()[1].heads), SETTLE_S, "pushed")
        time.sleep(QUIET_S)
        assert len(missed.calls("GET", "/app/hook/deliveries")) == 1
        assert len(missed.calls("POST", "/attempts")) == 1
        assert not missed.calls("GET", "/pulls?"), "webhooks first, lists later"


def test_one_of_the_pool_compares(make_missed):
    missed = make_missed("app", pace(reconcile=3600), Pool4Nginx)
    missed.told("open", author="bob")
    for _ in range(2):
        missed.away()
        missed.lost("push", 1)
        missed.sim.forget()
        missed.back()
        wait_until(lambda: missed.rules(1).count("wait_untrusted") == len(missed.pulls()[1].heads), SETTLE_S, "pushed")
        time.sleep(QUIET_S)
        assert len(missed.calls("GET", "/pulls?")) == 1


def test_lists_that_fail_hold_up_nothing(make_missed):
    missed = make_missed("app", pace(redeliver=1, reconcile=1))
    missed.told("open", author="bob")
    missed.sim.fault(route="GET */pulls[?]*", status=502, count=-1)
    missed.sim.fault(route="GET /app/hook/deliveries*", hang=True, count=-1)
    wait_until(lambda: missed.calls("GET", "/app/hook/deliveries"), SETTLE_S, "a list that hangs")
    missed.told("open", author="ann")
    missed.told("label", 1, label="CICD", by="tim")
    missed.wait_for({1: STARTED, 2: STARTED})
    missed.away()
    missed.lost("open", author="ann")
    missed.sim.clear_faults()
    missed.back()
    missed.wait_for({3: STARTED})


def test_a_rate_limit_is_heeded(make_missed):
    missed = make_missed("app", pace(redeliver=1, reconcile=1))
    missed.told("open", author="bob")
    missed.sim.fault(route="GET */pulls[?]*", rate_limit="secondary", seconds=3)
    wait_until(lambda: [call for call in missed.calls("GET", "/pulls?") if call["status"] == 403], SETTLE_S, "limited")
    refused = len(missed.sim.calls())
    time.sleep(1.5)
    assert len(missed.sim.calls()) <= refused + 1  # one that was under way
    missed.happen("label", 1, label="CICD", by="tim")
    missed.wait_for({1: STARTED})
    assert missed.sim.violations() == []


@pytest.mark.parametrize("credentials", ["app", "token"])
def test_cron_does_it_where_no_process_stays(make_missed, credentials):
    missed = make_missed(credentials, pace(reconcile=1), Cgi)
    opened, = missed.sim.open(repo=missed.repo, author="bob")
    missed.site.deliver(opened)
    missed.site.wait_idle()
    missed.sim.label(repo=missed.repo, number=1, label="CICD", by="tim")
    missed.sim.open(repo=missed.repo, author="ann")

    def right():
        missed.site.cron.tick()
        pulls = missed.pulls()
        return outcome(pulls[1]) == STARTED and outcome(pulls[2]) == STARTED
    wait_until(right, SETTLE_S, lambda: {n: outcome(one) for n, one in missed.pulls().items()})


def test_metrics_count_it(make_missed):
    missed = make_missed("app", pace(redeliver=300, reconcile=3600))
    missed.told("open", author="bob")
    missed.away()
    missed.lost("push", 1)
    missed.sim.open(repo=missed.repo, author="ann")  # nobody knows of it but the list
    missed.back()
    counted = {"prgate_redeliveries_total": 1, "prgate_reconciled_total": 0}

    def asked():
        status, metrics = missed.site.get("/metrics.json")
        return metrics if status == 200 and metrics["prgate_redeliveries_total"] else None
    metrics = wait_until(asked, SETTLE_S, "asked")
    assert {name: metrics[name] for name in counted} == counted, json.dumps(metrics)
