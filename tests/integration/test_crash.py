"""Random members of the pool are killed with SIGKILL while many pull requests live their lives.

CRASH_N (250) lives, CRASH_SEED for the dice. Whatever died: what was acknowledged is decided, CI starts at most
once for a commit, and the pull requests end as they would have without. A delivery that
nobody acknowledged is sent again, as an operator would have GitHub do. The longest time that any
delivery took, nginx's second tries included, is printed.
"""
import os
import random
import signal
import subprocess
import threading
import time

import pytest
from conftest import end
from lives import (LATENCY, SETTLE_S, Postman, come_to_rest, disagreement, each_pull, make_lives, run_all, started_twice,
                   undecided)
from servers import Pool4Nginx

LIVES = int(os.environ.get("CRASH_N", "250"))
SEED = int(os.environ.get("CRASH_SEED", "0")) or random.SystemRandom().randrange(1, 2**31)
PAUSE_S = (0.02, 0.2)  # between two kills
STALL_S = 9.5          # GitHub hangs up after 10 s


class Reaper(threading.Thread):
    """Kills until told to stop."""

    def __init__(self, pool, dice):
        super().__init__(daemon=True)
        self.pool, self.dice = pool, dice
        self.kills = 0
        self.enough = threading.Event()
        self.start()

    def members(self):
        found = subprocess.run(["pgrep", "-P", str(self.pool.process.pid)], capture_output=True, text=True, check=False)
        supervisors = found.stdout.split() or [str(self.pool.process.pid)]
        own = [str(self.pool.process.pid), *supervisors]
        found = subprocess.run(["pgrep", "-x", "-P", ",".join(own), "prgate.fcgi"], capture_output=True, text=True,
                               check=False)
        return [int(pid) for pid in found.stdout.split()]

    def run(self):
        while not self.enough.wait(self.dice.uniform(*PAUSE_S)):
            members = self.members()
            if members:
                try:
                    os.kill(self.dice.choice(members), signal.SIGKILL)
                    self.kills += 1
                except ProcessLookupError:
                    pass  # it ended by itself in between

    def stop(self):
        self.enough.set()
        self.join()


class PatientPostman(Postman):
    """Sends again what was not acknowledged; notes the longest time that one answer took."""

    longest_s = 0.0
    refusals = 0

    def _post(self, life_key, one, late_s):
        time.sleep(late_s)
        until = time.monotonic() + SETTLE_S
        while time.monotonic() < until:
            began = time.monotonic()
            status = self._try(one)
            with self._lock:
                self.longest_s = max(self.longest_s, time.monotonic() - began)
                if status in (200, 202):
                    self.taken[life_key].add(one["delivery"])
                    return
                self.refusals += 1
            time.sleep(0.2)
        raise AssertionError(f"delivery {one['delivery']} was never acknowledged")

    def _try(self, one):
        try:
            return self.site.exchange(one["event"], one["payload"], one["delivery"]).status
        except OSError:
            return None


@pytest.fixture(scope="module")
def battle(make_site, github):
    """(site, lives, postman, kills), all at rest again."""
    github.forget()
    site = make_site(Pool4Nginx, github)
    lives, dice = make_lives(site, "crash", LIVES, SEED)
    github.settings(**LATENCY)
    postman = PatientPostman(site, dice)
    reaper = Reaper(site.server.pool, random.Random(SEED + 1))
    began = time.monotonic()
    run_all(github, list(lives.values()), postman, dice, lives)
    postman.wait()
    reaper.stop()
    come_to_rest(site, github, postman, lives)
    print(f"CRASH_SEED={SEED} CRASH_N={LIVES}: {reaper.kills} kills, {sum(map(len, postman.taken.values()))} deliveries, "
          f"{postman.refusals} not acknowledged at first, the longest answer took {postman.longest_s:.2f} s, "
          f"{time.monotonic() - began:.1f} s in all")
    yield site, lives, postman, reaper.kills
    postman.close()
    github.settings(latency_ms=0)
    github.forget()
    end(site)


def test_members_were_killed(battle):
    _, _, _, kills = battle
    assert kills >= 10, "too few to prove anything"


def test_all_that_was_acknowledged_is_decided(battle):
    site, _, postman, _ = battle
    assert undecided(site, postman) == {}


def test_no_commit_is_started_twice(battle):
    site, lives, _, _ = battle
    assert started_twice(site, lives) == {}


def test_no_answer_took_longer_than_github_waits(battle):
    _, _, postman, _ = battle
    assert postman.longest_s < STALL_S


def test_the_end_is_as_without_the_kills(battle):
    """But for triggers whose fate a kill has hidden: those are left, and the gate says so."""
    site, lives, _, _ = battle
    wrong = []
    for life, view in each_pull(site.sim, lives):
        problem = disagreement(life, view)
        if problem and not (problem.startswith("started for the head 0 times") and is_left(site, life, view)):
            wrong.append(f"{life.repo}#{life.number} {problem}; {life}")
    assert wrong == []


def is_left(site, life, view):
    _, report = site.get(f"/status/{life.repo}/{life.number}.json")
    heads = {head["sha"]: head["ci"] for head in report["heads"]}
    return heads.get(view.head) == "unknown"
