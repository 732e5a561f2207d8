"""GitHub is down, slow or limiting, and a pool of four has to live with it: one budget for all of them, and
no pull request that waits for another's trouble."""
import time

import pytest
from conftest import end
from gate import make_repo, views
from gate_site import IDLE_S
from processes import wait_until
from servers import Pool4Nginx
from test_gate import STARTED, outcome

PULLS = 40
LIMIT_S = 3

LIMITS = ["secondary", "429", "exhausted"]


@pytest.fixture(scope="module")
def pool(make_site, github):
    site = make_site(Pool4Nginx, github)
    yield site
    end(site)


@pytest.fixture
def site(pool, request):
    pool.sim.forget()
    yield pool
    pool.sim.clear_faults()
    pool.sim.settings(latency_ms=0)
    if getattr(request.node, "failed", False):
        pool.print_logs()
    assert pool.sim.violations() == []
    assert pool.sim.overlaps() == []


def open_pulls(site, count=PULLS):
    """Opened by somebody trusted, in a repository of their own; their deliveries have been taken."""
    repo = make_repo(site, "dispatch")
    site.deliver([site.sim.open(repo=repo, author="ann")[0] for _ in range(count)])
    return repo


def rest(site, repo, timeout=IDLE_S):
    """Until nothing is waiting, echoes included; the pull requests by number."""
    site.wait_idle(timeout)
    while echoes := site.sim.outbox():
        site.deliver(echoes)
        site.wait_idle(timeout)
    return views(site.sim, repo)


def is_done(site, repo, number):
    return outcome(views(site.sim, repo)[number])["check"] == "done"


@pytest.mark.parametrize("kind", LIMITS)
def test_the_whole_pool_waits_when_one_is_told_to(site, kind):
    site.sim.settings(latency_ms=50)
    site.sim.fault(route="*", rate_limit=kind, seconds=LIMIT_S, skip=PULLS)  # when all of the pool is at work
    repo = open_pulls(site)
    pulls = rest(site, repo)
    assert [outcome(one) for one in pulls.values()] == [STARTED] * PULLS
    calls = site.sim.calls()
    refused = [one for one in calls if one["status"] in (403, 429)]
    first, last = refused[0], max(one["start"] for one in refused)
    print(f"{kind}: {len(refused)} of {len(calls)} calls refused, the last {last - first['end']:.3f} s after the first")
    # What was under way when GitHub said no: all of them are in progress at once, each with one call at a time.
    assert 2 <= len(refused) <= PULLS
    # None that began after the pool knew; a call that was just being made may come through meanwhile.
    assert last - first["end"] < LIMIT_S / 2
    quiet = [one["start"] - first["end"] for one in calls if one["start"] > last]
    assert min(quiet) > LIMIT_S / 2, "somebody did not wait"


@pytest.mark.parametrize("trouble", [{"status": 503}, {"status": 502}, {"drop": "before"}, {"hang": True}], ids=str)
def test_a_pull_request_in_trouble_holds_up_no_other(site, trouble):
    repo = make_repo(site, "dispatch")
    first = site.sim.open(repo=repo, author="ann")[0]
    site.sim.fault(route=f"* /repos/{repo}/issues/1/*", count=-1, **trouble)
    site.sim.fault(route=f"* /repos/{repo}/pulls/1", count=-1, **trouble)
    site.deliver(first)
    site.deliver([site.sim.open(repo=repo, author="ann")[0] for _ in range(PULLS)])
    others = range(2, PULLS + 2)
    wait_until(lambda: all(is_done(site, repo, number) for number in others), IDLE_S, "the others to be done")
    assert not is_done(site, repo, 1)
    site.sim.clear_faults()
    pulls = rest(site, repo, 2 * IDLE_S)
    assert [outcome(one) for one in pulls.values()] == [STARTED] * (PULLS + 1)


def test_order_stays_within_a_pull_request_that_waits(site):
    repo = make_repo(site, "dispatch")
    opened = site.sim.open(repo=repo, author="bob")[0]
    site.sim.fault(route=f"* /repos/{repo}/pulls/1", status=503, count=-1)
    site.deliver(opened)
    for deed, how in (("label", {"label": "CICD", "by": "tim"}), ("push", {}), ("edit", {})):
        site.deliver(site.sim.do(deed, {"repo": repo, "number": 1, **how}))
    time.sleep(1)
    assert site.health()["deliveries"] == 4
    site.sim.clear_faults()
    rest(site, repo)
    events = [entry["event"] for entry in site.ledger(repo, 1) if entry["kind"] == "decision"]
    assert events[:4] == ["opened", "labeled", "synchronize", "edited"]


def test_a_github_that_is_down_for_a_while_delays_and_loses_nothing(site):
    site.sim.fault(route="*", drop="before", count=-1)
    repo = open_pulls(site)
    time.sleep(2)
    assert site.health()["waiting"] >= PULLS
    site.sim.clear_faults()
    pulls = rest(site, repo, 2 * IDLE_S)
    assert [outcome(one) for one in pulls.values()] == [STARTED] * PULLS
