"""500 pull requests in progress at once, in four processes, with fewer threads than that by far.

GitHub holds back its answers until all of them have asked: nothing here depends on how fast anything is.
"""
import os
import signal

import pytest
from conftest import end
from in_progress import Pulls, use_of
from processes import wait_until
from servers import Pool4Nginx

PULLS = 500
THREADS_MAX = 64


@pytest.fixture(scope="module")
def busy(make_site, github):
    github.forget()
    site = make_site(Pool4Nginx, github, timeout=120)
    yield site
    github.clear_faults()
    github.forget()
    end(site)


def test_all_are_in_progress_at_once_and_each_is_started_once(busy):
    pulls = Pulls(busy, PULLS)
    pulls.hold()
    pulls.deliver()
    pulls.wait_in_flight()
    use = use_of(busy.server.pool.members())
    pushes = pulls.push()
    pulls.deliver(pushes)  # behind the ones that are worked on
    busy.sim.clear_faults()
    busy.wait_idle(120)
    print(f"\n{busy.sim.load()['most_in_flight']} calls at once, {use}")
    assert use.threads <= THREADS_MAX
    asked = [call for call in busy.sim.calls() if call["path"].endswith("/collaborators/ann/permission")]
    assert len(asked) <= busy.server.processes, "one asks for all of its process"
    started, heads = pulls.started()
    assert len(started) == PULLS
    assert {number: commits for number, commits in started.items() if len(set(commits)) != len(commits)} == {}
    assert {number: commits for number, commits in started.items() if commits[-1:] != heads[number][-1:]} == {}
    assert busy.sim.overlaps() == []
    assert busy.sim.violations() == []


def test_stopping_ends_what_is_in_progress_and_the_next_goes_on(busy):
    """Calls that are under way end as they do, and no claim is left behind by who ended."""
    busy.sim.forget()
    pulls = Pulls(busy, 100)
    pulls.hold()
    pulls.deliver()
    pulls.wait_in_flight()
    old = busy.server.pool.members()
    for pid in old:
        os.kill(pid, signal.SIGTERM)
    busy.sim.clear_faults()
    busy.wait_idle(120)
    started, heads = pulls.started()
    assert {number: commits for number, commits in started.items() if commits != heads[number]} == {}
    wait_until(lambda: set(busy.server.pool.members()).isdisjoint(old), 30, "the old members have ended")
    assert busy.sim.overlaps() == []
    assert busy.sim.violations() == []
