"""Members of the pool die by SIGKILL while many pull requests live their lives.

CRASH_N (150) lives, CRASH_SEED for the dice. Once anywhere, a random member every 20 to 200 ms; once at named
points, see tests/preload/points.c. Whatever died: what was acknowledged is decided, CI starts at most once for a
commit, and the pull requests end as they do without a kill, see battle.py. A delivery that nobody acknowledged
is sent again, as an operator would have GitHub do. Then each point around a trigger by itself.
"""
import contextlib
import os
import random
import signal
import time

import pytest
from battle import (OWNERS, PatientPostman, Peace, Reaper, Script, Sniper, differences, keys_of_repeats,
                    left_by_the_gate, resolve_conflicts, wait_for_members)
from conftest import arrange, end
from gate import Gate
from github_sim import client
from lives import LATENCY, come_to_rest, make_lives, run_all, undecided, what_happened
from points import Points
from processes import wait_until
from servers import Pool4Nginx

LIVES = int(os.environ.get("CRASH_N", "150"))
SEED = int(os.environ.get("CRASH_SEED", "0")) or random.SystemRandom().randrange(1, 2**31)
STALL_S = 9.5  # GitHub hangs up after 10 s
MORE_LIVES = 20  # rounds until each point was met


def script(site, count=LIVES, seed=SEED):
    return make_lives(site, "crash", count, seed, OWNERS, Script)


@pytest.fixture(scope="module")
def peace(make_site, app_key):
    thread = Peace(make_site, app_key, script)
    thread.start()
    return thread  # not waited for when the tests are interrupted: its site ends with the others


def aim(site):
    return Points(site.workspace.dir / "points").wait()


class Battle:
    """One run; at rest again when run() is over."""

    def __init__(self, site, name, lives, dice):
        self.site, self.name, self.lives = site, name, lives
        self.points = aim(site) if site.workspace.pool_environment else None
        self.postman = PatientPostman(site, dice)
        self.dice = dice

    def run(self):
        pool, dice = self.site.server.pool, random.Random(SEED + 1)
        disturber = Sniper(pool, dice, self.points) if self.points else Reaper(pool, dice)
        began = time.monotonic()
        disturber.start()
        run_all(self.site.sim, list(self.lives.values()), self.postman, self.dice, self.lives)
        self.postman.wait()
        disturber.stop()
        if self.points:
            self.meet_the_rest()
        fought = time.monotonic()
        come_to_rest(self.site, self.site.sim, self.postman, self.lives)
        for key, deliveries in resolve_conflicts(self.site.sim, self.lives).items():
            self.postman.send(key, deliveries, 0)
        come_to_rest(self.site, self.site.sim, self.postman, self.lives)
        self.seconds, self.rest_seconds = fought - began, time.monotonic() - fought
        self.kills = sum(self.points.kills.values()) if self.points else disturber.done["SIGKILL"]

    def meet_the_rest(self):
        """More lives, in repositories that are not compared, until each point has killed."""
        for n in range(MORE_LIVES):
            missing = [name for name, kills in self.points.kills.items() if kills == 0]
            if not missing:
                return
            for name in missing:
                self.points.arm(name)
            extra, dice = make_lives(self.site, f"extra{n}-", 40, SEED + n, OWNERS, Script)
            run_all(self.site.sim, list(extra.values()), self.postman, dice, {**self.lives, **extra})
            self.postman.wait()
            come_to_rest(self.site, self.site.sim, self.postman, {**self.lives, **extra})

    def print(self):
        print(f"\n{self.name}: CRASH_SEED={SEED} CRASH_N={LIVES}: {self.kills} kills, {self.postman.figures()}; "
              f"{left_by_the_gate(self.site, self.lives)} triggers left as unknown, {self.seconds:.1f} s of it, {self.rest_seconds:.1f} s to come to rest")
        if self.points:
            print(self.points.table())


@pytest.fixture(scope="module", params=["anywhere", "at points"])
def battle(request, make_site, app_key, peace):
    with client.start() as sim:
        arrange(sim, app_key)
        site = make_site(Pool4Nginx, sim, kill_at_points=request.param == "at points")
        try:
            lives, dice = script(site)
            sim.settings(**LATENCY)
            fought = Battle(site, request.param, lives, dice)
            fought.run()
            fought.print()
            yield fought
            fought.postman.close()
        finally:
            end(site)


def test_members_were_killed(battle):
    assert battle.kills >= 10, "too few to prove anything"


def test_each_named_point_has_killed(battle):
    if battle.points is None:
        pytest.skip("nobody aims")
    assert len(battle.points.names) >= 20
    assert [name for name, kills in battle.points.kills.items() if kills == 0] == []


def test_all_that_was_acknowledged_is_decided(battle):
    assert battle.postman.count() > len(battle.lives)
    assert undecided(battle.site, battle.postman) == {}


def test_no_answer_took_longer_than_github_waits(battle):
    assert battle.postman.longest_s < STALL_S
    assert battle.postman.stall_s < STALL_S


def test_the_end_is_as_without_the_kills(battle, peace):
    in_peace = peace.result()
    assert len(in_peace) == len(battle.lives)
    wrong = differences(battle.site, battle.lives, in_peace)
    assert not wrong, "\n".join([f"{len(wrong)} of {len(battle.lives)}", *wrong[:20],
                                 *what_happened(battle.site, wrong[0])])


def test_every_repeat_of_a_trigger_carries_the_same_key(battle):
    repeats, triggers = keys_of_repeats(battle.site.sim, battle.lives)
    print(f"{battle.name}: {triggers} triggers at own CIs, {len(repeats)} of them repeated")
    assert triggers > 0
    assert {commit: keys for commit, keys in repeats.items() if len(set(keys)) > 1} == {}
    assert {commit[0] for commit in repeats if not commit[0].startswith("at-least-once/")} == set()


# ---- one kill, around one trigger ---------------------------------------------------------------

# How often CI is started if somebody dies there, and what the gate says of it.
ONE_KILL = {
    ("dispatch", "before a trigger"): (0, "unknown"),
    ("dispatch", "after a trigger"): (1, "unknown"),
    ("dispatch", "before a result's commit"): (1, "unknown"),
    ("own-ci", "before a trigger"): (1, "started"),
    ("own-ci", "after a trigger"): (1, "started"),
    ("own-ci", "before a result's commit"): (1, "started"),
    ("at-least-once", "before a trigger"): (1, "started"),
    ("at-least-once", "after a trigger"): (2, "started"),
    ("at-least-once", "before a result's commit"): (2, "started"),
    ("dispatch", "after a result's commit"): (1, "started"),
    ("at-least-once", "after a result's commit"): (1, "started"),
}


@pytest.fixture(scope="module")
def range_site(make_site, github):
    github.forget()
    site = make_site(Pool4Nginx, github, kill_at_points=True)
    yield site
    end(site)


@pytest.mark.parametrize("owner, point", ONE_KILL, ids=[" ".join(case).replace(" ", "_") for case in ONE_KILL])
def test_one_kill_around_a_trigger(range_site, owner, point):
    points = aim(range_site)
    gate = Gate(range_site, owner)
    before = points.kills[point]
    points.arm(point)
    gate.deliver(gate.happen("open", author="ann"))
    wait_until(lambda: points.kills[point] > before, 20, f"a kill {point}")
    pull = patiently_settled(gate)
    count, ci = ONE_KILL[owner, point]
    assert pull.started == [pull.head] * count
    assert len({one["key"] for one in pull.sent}) <= 1
    _, report = range_site.get(f"/status/{gate.repo}/1.json")
    assert [head["ci"] for head in report["heads"]] == [ci]
    assert (pull.check(), pull.labels) == ("done", ["CICD"])


def patiently_settled(gate):
    """A member that is recovering the store has no answer for a moment."""
    for _ in range(10):
        with contextlib.suppress(AssertionError):
            return gate.settled()
        time.sleep(0.5)
    return gate.settled()


def test_check_that_github_is_still_making_is_not_made_again(range_site):
    """Whoever takes over looks, and finds none yet."""
    pool, gate = range_site.server.pool, Gate(range_site)

    def calls(method):
        return [call for call in gate.sim.calls() if call["method"] == method and call["path"].startswith(f"/repos/{gate.repo}/")
                and "/check-runs" in call["path"]]

    gate.sim.fault(route="POST */check-runs", hold=2)
    gate.deliver(gate.happen("open", author="bob"))
    wait_until(lambda: calls("POST"), 10, "a check run that is being made")
    for member in pool.members():
        os.kill(member, signal.SIGKILL)
    wait_until(lambda: len(calls("GET")) == 2, 20, lambda: f"a second look: {gate.sim.calls()}")
    gate.sim.clear_faults()
    assert patiently_settled(gate).check() == "waiting"
    assert len(calls("POST")) == 1


# ---- a thread that a dead process holds up for ever -----------------------------------------------

@pytest.mark.parametrize("n", [1, 7], ids=["newcomer", "any"])
def test_member_that_is_stuck_opening_the_store_ends(range_site, n):
    """The first to open is the newcomer, who recovers; those who open what it made come later."""
    points, pool = aim(range_site), range_site.server.pool
    gate = Gate(range_site)
    stuck_before = stuck_ends(range_site)
    points.arm("db: opening", n, hang=True)
    while points.is_armed("db: opening"):
        wait_for_members(pool, Pool4Nginx.processes)
        os.kill(pool.members()[0], signal.SIGKILL)
        time.sleep(0.3)
    wait_until(lambda: stuck_ends(range_site) > stuck_before, 30, "the end of the member that hangs")
    gate.deliver(gate.happen("open", author="ann"))
    pull = patiently_settled(gate)
    assert (pull.started, pull.check()) == ([pull.head], "done")


def stuck_ends(site):
    return (site.workspace.dir / "pool.log").read_text(errors="replace").count("stuck in Berkeley DB for good")
