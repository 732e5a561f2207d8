"""What an operator does to a pool: reload its configuration, end members, restart the web server."""
import concurrent.futures
import contextlib
import json
import os
import random
import resource
import signal
import subprocess
import threading
import time

import pytest
from battle import OWNERS, Operator, PatientPostman, Peace, Script, differences, resolve_conflicts, wait_for_members
from conftest import arrange, end
from gate import Gate
from github_sim import client
from lives import LATENCY, SETTLE_S, burst, come_to_rest, make_lives, run_all, undecided
from processes import wait_until
from servers import Nginx, Pool1Nginx, Pool4Nginx
from workspace import OLD_SECRET, SECRET, as_server_user

LIVES = int(os.environ.get("CRASH_N", "150"))
SEED = int(os.environ.get("CRASH_SEED", "0")) or random.SystemRandom().randrange(1, 2**31)
ENOUGH = {"SIGHUP": 100, "SIGTERM": 3, "SIGUSR2 to multiwatch": 3, "SIGHUP to nginx": 3}  # at least so many of each


# ---- one reload -----------------------------------------------------------------------------------

@pytest.fixture
def calm(make_site, github):
    """A pool of two, its configuration as at the start."""
    github.forget()
    site = make_site(Nginx, github)
    wait_ready(site)
    yield site
    end(site)


def wait_ready(site):
    """Before that a signal may end a member, and its configuration is not read yet."""
    wait_until(lambda: log(site).count(" ready ") == site.server.processes, 20, "all members ready")


def log(site):
    return (site.workspace.dir / "pool.log").read_text(errors="replace")


def reload(site, said="ready", to=None):
    """SIGHUP to all, or to who is named; until each has said what it made of it."""
    pids = to or site.server.pool.members()
    before = log(site).count(f" {said} ")
    for pid in pids:
        os.kill(pid, signal.SIGHUP)
    wait_until(lambda: log(site).count(f" {said} ") == before + len(pids), 20, lambda: f"{said}: {log(site)[-2000:]}")


def change(site, old, new):
    text = site.workspace.conf.read_text()
    assert old in text
    site.workspace.conf.write_text(text.replace(old, new))


def test_rotated_secret_counts(calm):
    ping = {"zen": "Keep it logically awesome."}
    (calm.workspace.dir / "webhook.old").write_text("a new one")
    assert [calm.post_webhook("ping", ping, secret=secret)[0] for secret in (OLD_SECRET, "a new one")] == [200, 401]
    reload(calm)
    assert [calm.post_webhook("ping", ping, secret=secret)[0]
            for secret in (OLD_SECRET, "a new one", SECRET)] == [401, 200, 200]


def test_new_repository_is_gated(calm):
    gate = Gate(calm, "newcomers")
    before, after = gate.happen("open", author="ann"), gate.happen("open", author="ann")
    assert calm.post_webhook(before[0]["event"], before[0]["payload"])[1]["status"] == "ignored"
    with calm.workspace.conf.open("a") as conf:
        conf.write('repo "newcomers/*" { label = "go" }\n')
    reload(calm)
    gate.deliver(after)
    calm.wait_idle()
    assert [entry["rule"] for entry in calm.ledger(gate.repo, 2) if entry["kind"] == "decision"] == ["opened"]
    assert calm.sim.state(repo=gate.repo)["repos"][gate.repo]["pulls"]["2"]["labels"] == ["go"]


BROKEN = {
    "unknown key": ('log_level = "debug"', 'log_lever = "debug"', ["prgate.conf:LINE", "log_lever"]),
    "out of range": ("request_timeout = 5", "request_timeout = 0", ["prgate.conf:LINE", "request_timeout"]),
    "no such file": ("/app.pem", "/none.pem", ["prgate.conf:LINE", "private_key_file", "none.pem"]),
    "state_dir": ("/state", "/elsewhere", ["state_dir", "/elsewhere", "restart it"]),
    "cut off": ("github {", "repo {", ["prgate.conf"]),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_configuration_is_refused(calm, case):
    old, new, said = BROKEN[case]
    change(calm, old, new)
    members = sorted(calm.server.pool.members())
    reload(calm, "the new configuration is refused, the old one stays in force")
    line = next(line for line in log(calm).splitlines() if "is refused, the old one" in line)
    at = calm.workspace.conf.read_text().partition(new)[0].count("\n") + 1
    assert " error " in line and all(part.replace("LINE", str(at)) in line for part in said), line
    assert calm.health()["status"] == "ok"
    gate = Gate(calm)
    pull = gate.do("open", author="ann")
    assert (pull.started, pull.check()) == ([pull.head], "done")
    assert sorted(calm.server.pool.members()) == members
    change(calm, new, old)
    reload(calm)


def count_threads(pid):
    return len(os.listdir(f"/proc/{pid}/task"))


def test_number_of_threads_changes(calm):
    pid, other = calm.server.pool.members()
    before = count_threads(pid)
    with calm.workspace.conf.open("a") as conf:
        conf.write("accept_threads = 5\ndrain_threads = 2\n")
    reload(calm, to=[pid])
    assert "accept_threads=5 drain_threads=2" in log(calm)
    assert (count_threads(pid), count_threads(other)) == (before + 2 + 1, before)


def test_configuration_whose_threads_do_not_start_is_given_up(calm):
    for pid in calm.server.pool.members():
        with open(f"/proc/{pid}/statm") as sizes:
            now = int(sizes.read().split()[0]) * resource.getpagesize()
        subprocess.run(["prlimit", "--pid", str(pid), f"--as={now + (400 << 20)}:"], check=True, **as_server_user())
    with calm.workspace.conf.open("a") as conf:
        conf.write("accept_threads = 256\n")
    members = sorted(calm.server.pool.members())
    reload(calm, "the new configuration cannot be put to use, the old one stays in force")
    pull = Gate(calm).do("open", author="ann")
    assert (pull.started, pull.check()) == ([pull.head], "done")
    assert sorted(calm.server.pool.members()) == members


def test_deliveries_are_taken_while_a_call_keeps_the_reload_waiting(make_site, github):
    github.forget()
    site = make_site(Pool1Nginx, github, timeout=60)
    wait_ready(site)
    slow, other = Gate(site), Gate(site)
    github.fault(route="GET */pulls/*", latency_ms=5000)
    slow.deliver(slow.happen("open", author="ann"))
    wait_until(lambda: [call for call in github.calls(pr=f"{slow.repo}#1") if call["end"] is None], 20, "the slow call")
    os.kill(site.server.pool.members()[0], signal.SIGHUP)
    wait_until(lambda: " reloading " in log(site), 20, "the reload's beginning")
    other.deliver(other.happen("open", author="ann"))
    assert site.health()["deliveries"] == 2
    assert log(site).count(" ready ") == 1, "the call is over: this proves nothing"
    for gate in (slow, other):
        pull = gate.settled()
        assert (pull.started, pull.check()) == ([pull.head], "done")
    assert log(site).count(" ready ") == 2
    assert github.calls(pr=f"{slow.repo}#1")[0]["status"] == 200, "it was to be finished"
    end(site)


def test_body_that_is_being_read_is_read_to_its_end(make_site, github):
    """Members are reloaded and ended while large bodies come in."""
    site = make_site(Pool4Nginx, github)
    body = json.dumps({"zen": "x" * 8_000_000})
    enough = threading.Event()

    def post():
        statuses = []
        while not enough.is_set():
            statuses.append(site.post_webhook("ping", body)[0])
        return statuses

    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        posting = [threads.submit(post) for _ in range(4)]
        for n in range(40):
            with contextlib.suppress(ProcessLookupError, IndexError):
                os.kill(site.server.pool.members()[n % 4], signal.SIGTERM if n % 8 == 0 else signal.SIGHUP)
            time.sleep(0.1)
        enough.set()
        statuses = [status for one in posting for status in one.result()]
    assert len(statuses) > 20
    assert set(statuses) == {200}
    end(site)


# ---- many of all, under load ----------------------------------------------------------------------

def script(site, count=LIVES, seed=SEED):
    return make_lives(site, "signals", count, seed, OWNERS, Script)


@pytest.fixture(scope="module")
def peace(make_site, app_key):
    thread = Peace(make_site, app_key, script)
    thread.start()
    yield thread
    thread.join()


@pytest.fixture(scope="module")
def storm(make_site, app_key, peace):
    """(site, lives, postman, operator), at rest again."""
    with client.start() as sim:
        arrange(sim, app_key)
        site = make_site(Pool4Nginx, sim)
        try:
            yield weather(site)
        finally:
            end(site)


def was_enough_done(operator):
    return operator.restarted is not None and all(operator.done[what] >= least for what, least in ENOUGH.items())


def weather(site):
    lives, dice = script(site)
    site.sim.settings(**LATENCY)
    postman = PatientPostman(site, dice)
    operator = Operator(site.server, random.Random(SEED + 1))
    began = time.monotonic()
    operator.start()
    run_all(site.sim, list(lives.values()), postman, dice, lives)
    rounds = 0
    while rounds < 100 and not was_enough_done(operator):
        rounds += 1
        more, dice = make_lives(site, f"more{rounds}-", 20, SEED + rounds, OWNERS, Script)
        run_all(site.sim, list(more.values()), postman, dice, {**lives, **more})
        postman.wait()
    operator.stop()
    come_to_rest(site, site.sim, postman, lives)
    for key, deliveries in resolve_conflicts(site.sim, lives).items():
        postman.send(key, deliveries, 0)
    come_to_rest(site, site.sim, postman, lives)
    postman.close()
    print(f"\nsignals: CRASH_SEED={SEED}: {dict(operator.done)}, nginx restarted once; {postman.figures()}; "
          f"{time.monotonic() - began:.1f} s in all")
    return site, lives, postman, operator


def test_enough_was_done(storm):
    _, _, _, operator = storm
    assert was_enough_done(operator), operator.done


def test_no_reply_was_broken(storm):
    """But while nginx itself was away, and then only for want of a connection."""
    _, _, postman, operator = storm
    away, back = operator.restarted
    assert [one for one in postman.refusals
            if one.status is not None or one.ended < away or one.began > back] == []


def test_members_hardly_ever_drop_a_request(storm):
    """nginx hides it, by trying another one. libfcgi does if the signal comes just before the first byte."""
    site, _, postman, _ = storm
    errors = (site.server.dir / "error.log").read_text(errors="replace").splitlines()
    dropped = [line for line in errors if "upstream" in line]
    assert len(dropped) <= postman.count() // 100, dropped


def test_every_delivery_is_decided(storm):
    site, _, postman, _ = storm
    assert undecided(site, postman) == {}


def test_no_claim_was_left_for_others_to_take_over(storm):
    site, _, _, _ = storm
    _, metrics = site.get("/metrics.json")
    assert metrics["prgate_claims_taken_over_total"] == 0
    assert list((site.workspace.state / "alive").iterdir()) != []
    assert "ended without a goodbye" not in log(site)


def test_nothing_was_asked_twice_or_wrongly(storm):
    site, _, _, _ = storm
    assert site.sim.violations() == []
    assert site.sim.overlaps() == []


def test_the_end_is_as_without_the_signals(storm, peace):
    site, lives, _, _ = storm
    in_peace = peace.result()
    assert len(in_peace) == len(lives)
    wrong = differences(site, lives, in_peace)
    assert not wrong, "\n".join([f"{len(wrong)} of {len(lives)}", *wrong[:20]])


# ---- the whole pool ends --------------------------------------------------------------------------

def overview(site):
    shown = subprocess.run([site.workspace.ctl, "json"], capture_output=True, check=True, text=True, timeout=20,
                           env={**os.environ, **site.workspace.environment()}, **as_server_user())
    return json.loads(shown.stdout)


def test_pool_that_ends_leaves_no_claim(make_site, github):
    github.forget()
    site = make_site(Pool4Nginx, github)
    lives, dice = make_lives(site, "ending", 80, SEED, OWNERS, Script)
    github.settings(latency_ms=40)
    postman = PatientPostman(site, dice)
    burst(github, list(lives.values()), postman)
    wait_until(lambda: site.health()["deliveries"] > 100, SETTLE_S, "enough to do")
    assert any(pull["being_worked_on"] for pull in overview(site)["pull_requests"])
    site.server.pool.stop()  # SIGTERM to multiwatch, which has SIGUSR1 for its members
    left = overview(site)
    assert left["waiting"] > 0, "all is done: this proves nothing"
    assert [pull["number"] for pull in left["pull_requests"] if pull["being_worked_on"]] == []
    assert list((site.workspace.state / "alive").iterdir()) == []
    assert log(site).count(" stopping ") == Pool4Nginx.processes
    github.settings(latency_ms=0)
    site.server.pool.start_again()
    wait_for_members(site.server.pool, Pool4Nginx.processes)
    come_to_rest(site, github, postman, lives)
    postman.close()
    assert undecided(site, postman) == {}
    assert postman.count() > len(lives)
    end(site)
