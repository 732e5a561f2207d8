"""Budgets: over them a pull request waits, says until when, and starts by itself once they allow it."""
import re
import time

import pytest
from conftest import end
from gate import Gate, views
from processes import wait_until
from servers import Nginx, Cgi
from test_signals import change, reload, wait_ready
from workspace import CHECK_NAME

TIGHT = "author_triggers_per_hour = 2"
SECTION = f'repo "tight/*" {{ {TIGHT} }}\nrepo "shared/*" {{ repo_triggers_per_hour = 2 }}\n'
TITLE = r"Waiting: CI was started too often within an hour, until (\d{4}-\d\d-\d\d \d\d:\d\d) UTC"


@pytest.fixture(params=[Nginx, Cgi], ids=["pool", "cgi"])
def site(request, make_site, github):
    github.forget()
    site = make_site(request.param, github, extra=SECTION)
    yield site
    assert github.violations() == []
    end(site)


def open_one(gate, author="ann", **how):
    """Another pull request there; its number."""
    opened = gate.happen("open", author=author, **how)
    gate.deliver(opened)
    gate.settled()
    return max(views(gate.sim, gate.repo))


def started(gate):
    """The numbers of those that CI was started for."""
    return [number for number, pull in sorted(views(gate.sim, gate.repo).items()) if pull.started]


def check(gate, number):
    place = gate.sim.state(repo=gate.repo)["repos"][gate.repo]["pulls"][str(number)]
    run, = [one for one in place["checks"][place["head"]] if one["name"] == CHECK_NAME]
    return run


def status(gate, number):
    return gate.site.get(f"/status/{gate.repo}/{number}.json")[1]


def test_over_the_budget_it_waits_and_says_until_when(site):
    gate = Gate(site, "tight")
    before = time.time()
    assert [open_one(gate) for _ in range(3)] == [1, 2, 3]
    assert started(gate) == [1, 2]
    assert open_one(gate, "max") == 4
    assert started(gate) == [1, 2, 4], "another author's budget is another"
    pull = views(gate.sim, gate.repo)[3]
    assert (pull.check(), pull.labels, pull.comments) == ("waiting", [], [])
    until = re.fullmatch(TITLE, check(gate, 3)["output"]["title"]).group(1)
    shown = status(gate, 3)
    assert shown["state"] == "awaiting" and shown["waits_for"] == "budget"
    assert before + 3600 <= shown["until"] / 1000 <= time.time() + 3600
    assert until == time.strftime("%Y-%m-%d %H:%M", time.gmtime(-(-shown["until"] // 60_000) * 60))
    place, = [one for one in site.get("/status.json")[1]["repositories"] if one["repository"] == gate.repo]
    assert place["over_budget"] == 1 and "budget" not in place  # it is the author's, not the repository's
    assert "1 waiting" in site.get("/status")[1].decode()
    assert "\nprgate_budget_waiting 1\n" in site.get("/metrics")[1].decode()
    second = time.strftime("until %Y-%m-%dT%H:%M:%SZ", time.gmtime(-(-shown["until"] // 1000)))
    page = site.get(f"/status/{gate.repo}/3")[1].decode()
    for text, when in ((site.ctl("status", f"{gate.repo}#3").stdout, second), (page, f">{until}</time>")):
        assert "its turn: CI was started too often within an hour" in text and when in text
    assert f"Its turn is at {until} UTC at the latest." in page
    gate.deliver(gate.happen("edit", number=3))
    gate.settled()
    assert started(gate) == [1, 2, 4]


def test_an_approval_is_kept_and_a_push_is_judged_by_itself(site):
    gate = Gate(site, "shared")
    for author in ("ann", "max"):
        open_one(gate, author)
    place, = [one for one in site.get("/status.json")[1]["repositories"] if one["repository"] == gate.repo]
    assert (place["budget"], place["budget_used"], place["over_budget"]) == (2, 2, 0)
    assert "2 of 2 used" in site.get("/status")[1].decode()
    number = open_one(gate, "bob")
    gate.deliver(gate.happen("label", number=number, label="CICD", by="tim"))
    gate.settled()
    assert "Approved by @tim (triage) with the label" in check(gate, number)["output"]["summary"]
    assert (started(gate), status(gate, number)["waits_for"]) == ([1, 2], "budget")
    gate.deliver(gate.happen("push", number=number))
    gate.settled()
    shown = status(gate, number)
    assert (shown["waits_for"], shown["until"]) == ("untrusted", None)
    assert views(gate.sim, gate.repo)[number].labels == []
    gate.deliver(gate.happen("close", number=number))
    gate.settled()
    assert (started(gate), status(gate, number)["state"]) == ([1, 2], "closed")


def test_a_raised_budget_lets_go_what_waits(site):
    gate = Gate(site, "tight")
    for _ in range(4):
        open_one(gate)
    assert started(gate) == [1, 2]
    first, second = (status(gate, number)["until"] for number in (3, 4))
    assert first <= second
    change(site, TIGHT, "author_triggers_per_hour = 3")
    if site.name == "cgi":
        site.wait_idle()
    else:
        wait_ready(site)
        reload(site)
    wait_until(lambda: gate.settled() and started(gate) == [1, 2, 3], 20, lambda: f"the first in line: {started(gate)}")
    pull = views(gate.sim, gate.repo)[3]
    assert (pull.check(), pull.labels) == ("done", ["CICD"])
    assert [one["event"] for one in site.ledger(gate.repo, 3) if one["kind"] == "decision"][:2] == ["opened", "wake"]
    assert status(gate, 4)["waits_for"] == "budget"


def test_a_rerun_over_the_budget_is_refused_with_the_time(site):
    gate = Gate(site, "tight")
    gate.do("open", author="ann")
    for _ in range(2):
        gate.deliver(gate.happen("rerequest", name=CHECK_NAME, by="tim"))
        gate.settled()
    assert len(gate.pull.sent) == 2
    output = check(gate, 1)["output"]
    assert re.fullmatch(r"CI was started again; a re-run has to wait until [-\d]{10} [:\d]{5} UTC", output["title"])
    assert [one["rule"] for one in gate.ledger if one["kind"] == "decision" and one["event"] == "rerequested"] == [
        "rerun", "rerun_budget"]


def test_the_count_is_exact_among_processes(site):
    gate = Gate(site, "tight")
    opened = [gate.happen("open", author="ann") for _ in range(8)]
    gate.deliver([one for deliveries in opened for one in deliveries])
    gate.settled()
    assert len(started(gate)) == 2
    times = sorted(status(gate, number)["until"] for number in range(1, 9) if number not in started(gate))
    assert len(times) == 6 and times[-1] - times[0] > 2 * 3600_000 - 60_000, "three hours' worth stand in line"
