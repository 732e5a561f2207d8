"""Many pull requests' whole lives at once, their events at random, late, twice, in any order.

RACE_N (500) lives, RACE_SEED for the dice, RACE_STALE_MS (0) by which GitHub's reads of
pull requests lag. Half of the lives are `burst`: all has happened before the first
delivery, so GitHub shows the end from the start. The others are `live`: deliveries come
in while the life goes on. A pool of four processes behind nginx works on them; GitHub
takes its time, so that overlapping calls do overlap.
"""
import os
import random
import time

import pytest
from conftest import end
from lives import (LATENCY, Postman, come_to_rest, disagreement, each_pull, make_lives, run_all, started_twice,
                   undecided, what_happened)
from servers import Pool4Nginx

LIVES = int(os.environ.get("RACE_N", "500"))
SEED = int(os.environ.get("RACE_SEED", "0")) or random.SystemRandom().randrange(1, 2**31)
STALE_MS = int(os.environ.get("RACE_STALE_MS", "0"))


@pytest.fixture(scope="module")
def race(make_site, github):
    """Runs all lives, then lets the gate come to rest; (site, lives, postman)."""
    print(f"RACE_SEED={SEED} RACE_N={LIVES}")
    github.forget()
    site = make_site(Pool4Nginx, github)
    lives, dice = make_lives(site, "race", LIVES, SEED)
    github.settings(**LATENCY)
    if STALE_MS:
        github.fault(route="GET */pulls/*", stale_ms=STALE_MS, count=-1)
    postman = Postman(site, dice)
    began = time.monotonic()
    run_all(github, list(lives.values()), postman, dice, lives)
    come_to_rest(site, github, postman, lives)
    print(f"{sum(map(len, postman.taken.values()))} deliveries, {github.load()['calls']} calls "
          f"in {time.monotonic() - began:.1f} s")
    yield site, lives, postman
    postman.close()
    github.settings(latency_ms=0)
    github.forget()
    end(site)


def test_no_delivery_was_refused(race):
    _, _, postman = race
    assert postman.refused == []


def test_every_delivery_is_decided(race):
    site, _, postman = race
    assert undecided(site, postman) == {}


def test_no_two_calls_for_one_pull_request_overlap(race):
    site, _, _ = race
    overlaps = site.sim.overlaps()
    shown = [" | ".join(f"{one['method']} {one['path']} {one['start']:.4f}..{one['end']:.4f}" for one in pair)
             for pair in overlaps[:5]]
    assert len(overlaps) == 0, shown
    assert site.sim.load()["most_in_flight"] > 1, "nothing ran at the same time: this proves nothing"


def test_no_commit_is_started_twice(race):
    site, lives, _ = race
    assert started_twice(site, lives) == {}


def test_nothing_was_asked_wrongly(race):
    site, _, _ = race
    assert site.sim.violations() == []


def test_the_end_is_what_the_rules_say(race):
    site, lives, _ = race
    assert sum(not life.label_was_told for life in lives.values()) <= len(lives) // 20, "too many say nothing"
    wrong = [f"{life.repo}#{life.number} {problem}; {life}" for life, view in each_pull(site.sim, lives)
             if (problem := disagreement(life, view))]
    assert not wrong, "\n".join([f"{len(wrong)} of {len(lives)}", *wrong[:10], *what_happened(site, wrong[0])])
