"""Pull requests' lives while the pool is disturbed, and the same lives in peace, to compare the ends.

What the disturbed end may differ in, and why the rules allow it:

- A commit that was not the head any more when its deliveries were decided need not have been
  started. But no commit is started that was not started in peace.
- A trigger whose fate a kill has hidden is left under at_most_once, where the receiver cannot be asked: the
  gate says "unknown", and CI was started once or not at all.
- Under at_least_once it is sent again, with the same key.
- Closing voids what was not done yet. So of a closed pull request only its state, and that no commit was started
  in excess, are compared.

All else is the same for each pull request: state, labels, the check on the head, whether and how often
CI was started for it, the comments.
"""
import collections
import dataclasses
import http.client
import json
import os
import signal
import threading
import time

from conftest import arrange, end
from github_sim import client
from lives import SETTLE_S, Life, Postman, each_pull, key_of
from processes import wait_until
from servers import Pool1Nginx

OWNERS = ("dispatch", "own-ci", "at-least-once")  # at most once; can be asked; at least once
PAUSE_S = (0.02, 0.2)  # between two disturbances


class Script(Life):
    """A life; some end with a commit that cannot be merged until resolve_conflicts()."""

    def __init__(self, dice, repo, number, burst):
        super().__init__(dice, repo, number, burst)
        self.conflicts = dice.random() < 0.2
        if self.conflicts:
            last = max(n for n, (deed, _) in enumerate(self.deeds) if deed == "push")
            self.deeds[last] = ("push", {**self.deeds[last][1], "mergeable": False})

    @property
    def owner(self):
        return self.repo.partition("/")[0]


# ---- the disturbed run

@dataclasses.dataclass
class Refusal:
    began: float
    ended: float
    status: int | None  # None: no whole answer came
    reply: object


class PatientPostman(Postman):
    """Sends again what was not acknowledged; measures."""

    def __init__(self, site, dice):
        super().__init__(site, dice)
        self.longest_s = 0.0  # one answer, of whatever status
        self.stall_s = 0.0    # nobody got an answer, though somebody waited
        self.refusals = []
        self._waiting, self._last_answer = 0, 0.0

    def _post(self, life_key, one, late_s):
        time.sleep(late_s)
        until = time.monotonic() + SETTLE_S
        while time.monotonic() < until:
            began = self._begin()
            status, reply = self._try(one)
            self._end(began, status in (200, 202))
            if status in (200, 202):
                with self._lock:
                    if reply.get("status") != "ignored":
                        self.taken[life_key].add(one["delivery"])
                return
            with self._lock:
                self.refusals.append(Refusal(began, time.monotonic(), status, reply))
            time.sleep(0.2)
        raise AssertionError(f"delivery {one['delivery']} was never acknowledged")

    def _begin(self):
        with self._lock:
            now = time.monotonic()
            if self._waiting == 0:
                self._last_answer = now
            self._waiting += 1
            return now

    def _end(self, began, acknowledged):
        with self._lock:
            now = time.monotonic()
            self._waiting -= 1
            self.longest_s = max(self.longest_s, now - began)
            self.stall_s = max(self.stall_s, now - self._last_answer)
            if acknowledged:
                self._last_answer = now

    def _try(self, one):
        """(status, reply): (None, what went wrong) where no whole answer came."""
        try:
            answer = self.site.exchange(one["event"], one["payload"], one["delivery"])
            return answer.status, json.loads(answer.body)
        except (OSError, ValueError, http.client.HTTPException) as problem:
            return None, problem

    def count(self):
        return sum(map(len, self.taken.values()))

    def figures(self):
        return (f"{self.count()} deliveries, {len(self.refusals)} not acknowledged at first; the longest answer took "
                f"{self.longest_s:.2f} s, the longest time without one {self.stall_s:.2f} s")


class Disturber(threading.Thread):
    """Does something at random every 20 to 200 ms until told to stop."""
    pause_s = PAUSE_S

    def __init__(self, pool, dice):
        super().__init__(daemon=True)
        self.pool, self.dice = pool, dice
        self.done = collections.Counter()
        self._enough = threading.Event()
        self._problem = None

    def run(self):
        try:
            while not self._enough.wait(self.dice.uniform(*self.pause_s)):
                self.disturb()
        except Exception as problem:  # raised again where somebody sees it
            self._problem = problem

    def disturb(self):
        raise NotImplementedError

    def send(self, number):
        """The signal to a random member."""
        members = self.pool.members()
        if not members:
            return
        try:
            os.kill(self.dice.choice(members), number)
            self.done[number.name] += 1
        except ProcessLookupError:
            pass  # it ended by itself in between

    def stop(self):
        self._enough.set()
        self.join()
        if self._problem:
            raise self._problem


class Reaper(Disturber):
    """SIGKILL, wherever they are."""

    def disturb(self):
        self.send(signal.SIGKILL)


class Operator(Disturber):
    """Whatever an operator may do to a pool and its nginx, and that nobody should notice."""
    pause_s = (0.01, 0.06)
    restart_at = 40  # so many signals are before it

    def __init__(self, server, dice):
        super().__init__(server.pool, dice)
        self.server = server
        self.restarted = None  # (began, ended) of nginx's one restart

    def disturb(self):
        if self.restarted is None and sum(self.done.values()) >= self.restart_at:
            began = time.monotonic()
            self.server.restart()
            self.restarted = (began, time.monotonic())
        deed = self.dice.choices([self.reload_one, self.reload_all, self.end_one, self.reload_nginx], [12, 2, 3, 1])
        deed[0]()

    def reload_one(self):
        self.send(signal.SIGHUP)

    def end_one(self):
        self.send(signal.SIGTERM)

    def reload_all(self):
        """multiwatch hands this one on."""
        os.kill(self.pool.process.pid, signal.SIGUSR2)
        self.done["SIGUSR2 to multiwatch"] += 1

    def reload_nginx(self):
        os.kill(self.server.process.pid, signal.SIGHUP)
        self.done["SIGHUP to nginx"] += 1


class Sniper(Disturber):
    """SIGKILL at the named points, each in turn, at the first to twentieth time that somebody passes there."""

    def __init__(self, pool, dice, points):
        super().__init__(pool, dice)
        self.points = points
        self._todo = []

    def disturb(self):
        if not self._todo:
            self._todo = self.points.names
            self.dice.shuffle(self._todo)
        point = self._todo.pop()
        if not self.points.is_armed(point):
            often = self.points.passes[point] > 500
            self.points.arm(point, self.dice.randint(1, 20 if often else 2))

    def stop(self):
        super().stop()
        self.points.disarm()


def resolve_conflicts(sim, lives):
    """{(repo, number): deliveries}. GitHub tells nobody that a conflict is gone: the next event shows it."""
    done = {}
    for key, life in lives.items():
        if life.conflicts and not life.closes:
            where = {"repo": life.repo, "number": life.number}
            _, done[key] = sim.batch([("mergeable", {**where, "mergeable": True}), ("edit", where)])
    return done


# ---- the run in peace

def play_in_order(site, lives):
    """One delivery after the other: each is decided, and what came of it delivered, before the next of its pull request."""
    todo = {key: life.steps() for key, life in lives.items()}
    while todo:
        time.sleep(1 - time.time() % 1)  # GitHub's clock ticks in seconds: events in the same one are ambiguous
        deeds = site.sim.batch([steps.pop(0) for steps in todo.values()])
        _deliver_in_turn(site, dict(zip(todo, deeds)), lives)
        todo = {key: steps for key, steps in todo.items() if steps}
    time.sleep(1 - time.time() % 1)
    _deliver_in_turn(site, resolve_conflicts(site.sim, lives), lives)


def _deliver_in_turn(site, queues, lives):
    while any(queues.values()):
        for queue in queues.values():
            if queue:
                site.deliver(queue.pop(0))
        site.wait_idle(SETTLE_S)
        for echo in site.sim.outbox():
            if key_of(echo) in lives:
                queues[key_of(echo)].insert(0, echo)


def ends(sim, lives):
    """{(repo, number): PullView}"""
    return {(life.repo, life.number): view for life, view in each_pull(sim, lives)}


class Peace(threading.Thread):
    """The undisturbed run, at a simulator of its own, while the others are under way."""

    def __init__(self, make_site, app_key, script):
        super().__init__(daemon=True)
        self.make_site, self.app_key, self.script = make_site, app_key, script
        self.problem = self.views = None

    def run(self):
        try:
            with client.start() as sim:
                arrange(sim, self.app_key)
                site = self.make_site(Pool1Nginx, sim)
                lives, _ = self.script(site)
                play_in_order(site, lives)
                self.views = ends(sim, lives)
                end(site)
        except Exception as problem:  # raised again where somebody sees it
            self.problem = problem

    def result(self):
        self.join()
        if self.problem:
            raise self.problem
        return self.views


# ---- comparing

def differences(site, lives, in_peace):
    """What the rules do not permit, one line for each pull request."""
    found = []
    for key, view in ends(site.sim, lives).items():
        life = lives[key]
        problems = list(_differences(site, life, view, in_peace[key]))
        if problems:
            found.append(f"{life.repo}#{life.number}: {'; '.join(problems)}; {life}")
    return found


def _differences(site, life, view, peace):
    if view.state != peace.state:
        yield f"is {view.state}, not {peace.state}"
    # The simulators make up their own commits: they are the same by their place.
    started, started_in_peace = (collections.Counter(map(one.heads.index, one.started)) for one in (view, peace))
    excess = [n for n in started if n not in started_in_peace]
    if excess:
        yield f"started the commits {excess}, in peace only {sorted(started_in_peace)}"
    if life.owner != "at-least-once" and max(started.values(), default=0) > 1:
        yield f"started twice: {started}"
    if life.closes:
        return
    for what in ("labels", "comments"):
        got, want = _listed(getattr(view, what)), _listed(getattr(peace, what))
        if got != want:
            yield f"{what} {got}, not {want}"
    if view.check() != peace.check():
        yield f"check {view.check()}, not {peace.check()}"
    last = len(view.heads) - 1
    if bool(started[last]) != bool(started_in_peace[last]) and not is_left(site, life, view):
        yield f"started for the head {started[last]} times, not {started_in_peace[last]}"


def _listed(labels_or_comments):
    return sorted(one if isinstance(one, str) else one["by"] for one in labels_or_comments)


def is_left(site, life, view):
    """Its last trigger's fate is hidden, may stay so, and the gate says it."""
    if life.owner != "dispatch":
        return False
    _, report = site.get(f"/status/{life.repo}/{life.number}.json")
    return {head["sha"]: head["ci"] for head in report["heads"]}.get(view.head) == "unknown"


def left_by_the_gate(site, lives):
    return sum(is_left(site, lives[key], view) for key, view in ends(site.sim, lives).items()
               if lives[key].owner == "dispatch" and not view.started.count(view.head))


def keys_of_repeats(sim, lives):
    """({commit: its keys} of those that an own CI was asked to start more than once, triggers in all)"""
    keys = collections.defaultdict(list)
    for trigger in sim.triggers():
        body = trigger["body"]
        if (body["repository"], body["number"]) in lives:
            keys[body["repository"], body["number"], body["head_sha"]].append(trigger["key"])
    return {commit: used for commit, used in keys.items() if len(used) > 1}, sum(map(len, keys.values()))


def wait_for_members(pool, count):
    wait_until(lambda: len(pool.members()) == count, SETTLE_S, lambda: f"{count} members: {pool.members()}")
