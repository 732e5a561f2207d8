"""GitHub on a bad day: what fails, lags or is lost on the way delays things and changes nothing."""
import time

import pytest
from test_gate import STARTED, WAITING, outcome
from workspace import TOKEN_USER

pytestmark = pytest.mark.parametrize("running_site", ["nginx-app", "cgi-token"], indirect=True)

ASKS_FOR_S = 60  # a receiver that does not know a trigger is asked for a while before it is sent again
LAG_MS = 1500

HICCUPS = [
    ("POST */labels", {"status": 502}),
    ("POST */labels", {"drop": "after"}),
    ("POST */labels", {"rate_limit": "secondary"}),
    ("GET */pulls/*", {"status": 500}),
    ("GET */pulls/*", {"rate_limit": "exhausted"}),
    ("GET */pulls/*", {"drop": "before"}),
    ("GET */permission", {"status": 503}),
    ("POST */dispatches", {"status": 503}),
    ("POST */dispatches", {"rate_limit": "429"}),
]


@pytest.mark.parametrize("route, fault", HICCUPS, ids=str)
def test_a_hiccup_delays_and_changes_nothing(gate, route, fault):
    gate.sim.fault(route=route, **fault)
    assert outcome(gate.do("open", author="ann")) == STARTED


@pytest.mark.parametrize("fault", [{"status": 502}, {"status": 502, "after": True}, {"drop": "after"}], ids=str)
def test_a_check_appears_once_whatever_happens(gate, fault):
    for route in ("POST */check-runs", "POST */statuses/*"):
        gate.sim.fault(route=route, **fault)
    assert outcome(gate.do("open", author="bob")) == WAITING


@pytest.mark.parametrize("fault, starts", [
    ({"drop": "before"}, 0), ({"drop": "after"}, 1), ({"status": 502}, 0), ({"status": 504, "after": True}, 1),
], ids=str)
def test_a_trigger_of_unknown_fate_is_not_repeated(gate, fault, starts):
    gate.sim.fault(route="POST */dispatches", **fault)
    assert len(gate.do("open", author="ann").started) == starts
    gate.do("edit")
    assert len(gate.pull.started) == starts


@pytest.mark.parametrize("fault", [{"drop": "before"}, {"drop": "after"}, {"status": 502}], ids=str)
def test_a_ci_that_can_be_asked_is_asked(make_gate, fault):
    gate = make_gate("own-ci")
    gate.sim.fault(route="POST /_ci/hook", **fault)
    gate.deliver(gate.happen("open", author="ann"))
    gate.site.wait_idle(ASKS_FOR_S)
    assert outcome(gate.settled()) == STARTED


def test_a_trigger_that_is_refused_is_told(gate):
    gate.sim.fault(route="POST */dispatches", status=422, count=-1)
    pull = gate.do("open", author="ann")
    assert (pull.started, pull.check()) == ([], "waiting")
    tried = [call for call in gate.sim.calls() if call["path"].endswith("/dispatches")]
    assert len(tried) == 1, "the echo of prgate's own label is nobody's wish to try again"


def test_reads_that_do_not_show_the_pull_request_yet(gate):
    gate.sim.fault(route="GET */pulls/*", stale_ms=LAG_MS, count=-1)
    gate.deliver(gate.happen("open", author="bob"))
    gate.deliver(gate.happen("label", label="CICD", by="tim"))
    assert outcome(gate.settled()) == STARTED


@pytest.mark.parametrize("deeds, expected", [
    ([("label", {"label": "CICD", "by": "tim"})], STARTED),
    ([("push", {})], WAITING),
    ([("push", {}), ("label", {"label": "CICD", "by": "tim"})], STARTED),
    ([("label", {"label": "CICD", "by": "tim"}), ("push", {})], WAITING),
    ([("label", {"label": "CICD", "by": "bob"}), ("push", {}), ("draft", {}), ("ready", {})], WAITING),
], ids=lambda value: "-".join(deed for deed, _ in value) if isinstance(value, list) else "")
@pytest.mark.parametrize("order", [1, -1], ids=["in order", "backwards"])
def test_reads_that_lag(gate, deeds, expected, order):
    gate.do("open", author="bob")
    time.sleep(LAG_MS / 1000)
    gate.sim.fault(route="GET */pulls/*", stale_ms=LAG_MS, count=-1)
    for one in [gate.happen(deed, **arguments) for deed, arguments in deeds][::order]:
        gate.deliver(one)
    assert outcome(gate.settled()) == expected


def test_an_expired_token_is_replaced(gate):
    gate.do("open", author="ann")
    gate.sim.expire_tokens()
    assert outcome(gate.do("push")) == STARTED


def test_nobody_is_asked_about_prgate_itself(gate):
    gate.do("open", author="ann")
    asked = [one["path"] for one in gate.sim.calls() if one["path"].endswith("/permission")]
    assert not [path for path in asked if TOKEN_USER in path or "prgate-test" in path]
