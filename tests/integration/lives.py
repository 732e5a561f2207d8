"""Pull requests' whole lives, their deliveries at random, late, twice, in any order; and what has to come of them."""
import collections
import concurrent.futures
import random
import threading
import time

from conftest import need_program
from gate import make_repo, views
from processes import wait_until

POSTERS = 16
LATENCY = {"latency_ms": 3, "jitter_ms": 4}
SETTLE_S = 120
TWICE = 0.3  # how many deliveries come twice
LIVES_AT_ONCE = 24
REPOS = 8


def make_lives(site, name, count, seed, owners=("dispatch",), make=None):
    """{(repo, number): Life} in fresh repositories, the owners in turn, and the dice for what follows."""
    need_program()
    dice = random.Random(seed)
    repos = [make_repo(site, owners[n % len(owners)], f"{name}{n}") for n in range(REPOS)]
    lives = {}
    for n in range(count):
        life = (make or Life)(dice, repos[n % REPOS], 1 + n // REPOS, burst=n % 2 == 0)
        lives[life.repo, life.number] = life
    return lives, dice


class Life:
    """What happens to one pull request, and what the rules make of it whatever the order."""

    def __init__(self, dice, repo, number, burst):
        self.repo, self.number, self.burst = repo, number, burst
        self.trusted = dice.random() < 0.5
        self.closes = dice.random() < 0.25
        self.approved_last = self.trusted or dice.random() < 0.7
        self.label_was_told = True  # the last one that somebody set
        self.deeds = [("open", {"author": "ann" if self.trusted else "bob", "number": number,
                                "draft": dice.random() < 0.1})]
        if dice.random() < 0.7:
            self.deeds += self._label(dice)
        for _ in range(dice.randrange(3)):
            self.deeds.append(("push", self._by(dice)))
            if dice.random() < 0.4:
                self.deeds += self._label(dice)
        if dice.random() < 0.3:
            self.deeds += [("close", {}), ("reopen", {})]
        if dice.random() < 0.3:
            self.deeds += [("draft", {}), ("ready", {})]
        elif self.deeds[0][1]["draft"]:
            self.deeds.append(("ready", {}))
        last = self._by(dice)
        if self.trusted and last == {"by": "bob"} and dice.random() < 0.5:
            self.approved_last = False
        self.deeds.append(("push", last))
        if self.approved_last:
            self.deeds += self._label(dice)
        if self.closes:
            self.deeds.append(("close", {"merged": dice.random() < 0.5}))

    @staticmethod
    def _by(dice):
        """Who pushes: the author, a stranger or somebody trusted."""
        return {"by": dice.choice(["bob", "max"])} if dice.random() < 0.4 else {}

    @staticmethod
    def _label(dice):
        """Somebody who may says yes to what is there now."""
        by = dice.choice(["tim", "max"])
        return [("unlabel", {"label": "CICD", "by": by}), ("label", {"label": "CICD", "by": by})]

    def __str__(self):
        how = "burst" if self.burst else "live"
        return f"{how}, {'trusted' if self.trusted else 'untrusted'}: {' '.join(deed for deed, _ in self.deeds)}"

    def steps(self):
        return [(deed, {"repo": self.repo, "number": self.number, **arguments}) for deed, arguments in self.deeds]


class Postman:
    """Delivers late, in any order, some twice; remembers what was taken."""

    def __init__(self, site, dice):
        self.site, self.dice = site, dice
        self.taken = collections.defaultdict(set)  # (repo, number) -> delivery ids
        self.refused = []
        self.futures = []
        self._threads = concurrent.futures.ThreadPoolExecutor(POSTERS)
        self._lock = threading.Lock()

    def send(self, life_key, deliveries, latest_s):
        copies = []
        for one in deliveries:
            copies.append(one)
            if self.dice.random() < TWICE:
                again = one["delivery"] if self.dice.random() < 0.5 else f"{one['delivery']}-again"
                copies.append({**one, "delivery": again})
        self.dice.shuffle(copies)
        for one in copies:
            self.futures.append(self._threads.submit(self._post, life_key, one, self.dice.random() * latest_s))

    def _post(self, life_key, one, late_s):
        time.sleep(late_s)
        status, reply = self.site.post_webhook(one["event"], one["payload"], one["delivery"])
        with self._lock:
            if status in (200, 202):
                self.taken[life_key].add(one["delivery"])
            else:
                self.refused.append((status, reply))

    def wait(self):
        """In the order in which they are sent: the limit is one delivery's, not that of all before it."""
        while self.futures:
            self.futures.pop(0).result(timeout=SETTLE_S)

    def close(self):
        self._threads.shutdown()


def burst(sim, lives, postman):
    """All has happened, then all is delivered at once."""
    done = sim.batch([step for life in lives for step in life.steps()])
    for life in lives:
        count = len(life.deeds)
        deliveries = [one for sent in done[:count] for one in sent]
        del done[:count]
        postman.send((life.repo, life.number), deliveries, 0.02)


def live(sim, life, postman, pauses):
    """Deed by deed, while the deliveries of those before are on their way."""
    for (deed, arguments), pause in zip(life.steps(), pauses):
        told = sim.do(deed, arguments)
        if deed == "label":
            life.label_was_told = bool(told)
        postman.send((life.repo, life.number), told, 0.05)
        time.sleep(pause)


def deliver_echoes(sim, postman, lives):
    """What prgate's own writes make GitHub send, as if it were anybody's."""
    echoes = sim.outbox()
    for one in echoes:
        repo, number = key_of(one)
        if (repo, number) in lives:
            postman.send((repo, number), [one], 0.02)
    return len(echoes)


def key_of(delivery):
    text = delivery["payload"]
    number = int(text.partition('"number":')[2].partition(",")[0])
    return text.rpartition('"repository":')[2].partition('"full_name":"')[2].partition('"')[0], number


def run_all(sim, all_lives, postman, dice, lives):
    bursts = [life for life in all_lives if life.burst]
    going_on = [life for life in all_lives if not life.burst]
    with concurrent.futures.ThreadPoolExecutor(LIVES_AT_ONCE) as threads:
        running = [threads.submit(live, sim, life, postman, [dice.random() * 0.04 for _ in life.deeds])
                   for life in going_on]
        for at in range(0, len(bursts), LIVES_AT_ONCE):
            burst(sim, bursts[at:at + LIVES_AT_ONCE], postman)
            deliver_echoes(sim, postman, lives)
            postman.wait()
        while not all(one.done() for one in running):
            deliver_echoes(sim, postman, lives)
            time.sleep(0.05)
        for one in running:
            one.result()


def come_to_rest(site, sim, postman, lives):
    def at_rest():
        postman.wait()
        wait_until(lambda: is_idle(site), SETTLE_S, lambda: f"idle: {site.health()}")
        return deliver_echoes(sim, postman, lives) == 0
    wait_until(at_rest, SETTLE_S, "all echoes delivered and decided")


def each_pull(sim, lives):
    repos = sorted({repo for repo, _ in lives})
    for repo in repos:
        for number, view in views(sim, repo).items():
            if (repo, number) in lives:
                yield lives[repo, number], view


def is_idle(site):
    """False also while a member of the pool is busy recovering the store."""
    try:
        return site.health()["waiting"] == 0
    except (AssertionError, OSError):
        return False


def undecided(site, postman):
    """{pull request: deliveries that were acknowledged and stand in no ledger}"""
    missing = {}
    for (repo, number), taken in postman.taken.items():
        decided = {entry.get("delivery") for entry in site.ledger(repo, number)}
        if taken - decided:
            missing[f"{repo}#{number}"] = sorted(taken - decided)
    return missing


def started_twice(site, lives):
    return {f"{life.repo}#{life.number}": view.started for life, view in each_pull(site.sim, lives)
            if len(view.started) != len(set(view.started))}


def disagreement(life, view):
    """How the end differs from what the rules say, or None.

    They say nothing where prgate's own label, for a commit before, came between the taking off of a label and its setting
    anew: GitHub tells nobody of a label that was there already.
    """
    if life.approved_last and not life.label_was_told:
        return None
    if life.closes:
        return f"started {view.started} though it was closed all the time" if life.burst and view.started else None
    should_run = life.approved_last
    if view.started.count(view.head) != should_run:
        return f"started for the head {view.started.count(view.head)} times, labels {view.labels}"
    if view.check() != ("done" if should_run else "waiting"):
        return f"check is {view.check()}"
    if should_run and "CICD" not in view.labels:
        return "label missing"
    if not should_run and "CICD" in view.labels:
        return "label left on an untrusted commit"
    return None


def what_happened(site, wrong):
    """One pull request's ledger and the calls that were made for it, to look into."""
    name = wrong.split()[0].rstrip(":")
    repo, _, number = name.partition("#")
    shown = ("time", "kind", "event", "action", "rule", "outcome", "sha", "head")
    for entry in site.ledger(repo, number):
        yield " ".join(str(entry.get(key, "")) for key in shown)
    for call in site.sim.calls(pr=name):
        yield f"{call['start']:.3f} {call['method']} {call['path']} {call['status']}"
