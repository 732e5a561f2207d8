"""Whatever arrives, memory and threads stay bounded, replies stay right, and what was acknowledged is kept.

OVERLOAD_N (1000) deliveries at once on as many connections; `make check-overload` sends 10,000. The other
figures follow from it. Peak memory is printed for each member of the pool and held to the bound that
docs/architecture.md states.
"""
import collections
import contextlib
import json
import mmap
import os
import signal
import socket
import struct
import threading
import time

import pytest
from conftest import end, need_program
from fastcgi import END_OF_BODY, Connection, head, stdin, webhook
from gate import make_repo, views
from gate_site import Site, signature
from lives import LATENCY, SETTLE_S, is_idle
from overload import MIB, Flood, Members, accepted, allow_files, payload, post, summary
from processes import wait_until
from servers import Pool4Nginx
from workspace import Workspace

N = int(os.environ.get("OVERLOAD_N", "1000"))
LONG = N >= 10_000
PER_PULL = 20
SLOW = N // 3
ONE_PULL = N // 10 if LONG else N // 5
PROCESSES, ACCEPT_THREADS, DRAIN_THREADS, PULLS_IN_PROGRESS = 4, 4, 1, 128
IDLE_S = 600

# docs/architecture.md, "Overload": itself, large bodies and the strings parsed from them, a share for each thread
# and each pull request in progress.
BOUND_MIB = 32 + 2 * 50 + 10 * ACCEPT_THREADS + DRAIN_THREADS + PULLS_IN_PROGRESS // 4
THREADS = 4 + ACCEPT_THREADS + DRAIN_THREADS


@pytest.fixture(scope="module")
def alone():
    """A pool of four behind nginx, in a dry run without credentials: GitHub is no part of this."""
    need_program()
    files = allow_files(2 * N + 1000)
    if files < N + 500:
        pytest.fail(f"{N} connections need more than {files} descriptors: ulimit -n {2 * N + 1000}")
    workspace = Workspace("http://127.0.0.1:1", "none", extra=f"dry_run = true\naccept_threads = {ACCEPT_THREADS}\n")
    site = Site(Pool4Nginx, workspace, None)
    site.members = Members(workspace)
    site.post_webhook("pull_request", payload(1_000_000), "warm-up")
    wait_idle(site)
    wait_until(lambda: is_complete(site.members.use()), 30, "all members ready")
    yield site
    end(site)


def is_complete(use):
    """As many members as there should be, all alike, and each with all of its threads."""
    shapes = set(shape(use).values())
    return len(use) == PROCESSES and len(shapes) == 1 and shapes.pop()[0] == THREADS


def wait_idle(site):
    wait_until(lambda: is_idle(site), IDLE_S, lambda: f"idle: {site.health()}")


@pytest.fixture
def use(alone):
    """No threads or descriptors are left behind by a test, no member died, and memory stays under its bound."""
    before = alone.members.use()
    yield before
    wait_idle(alone)
    with contextlib.suppress(TimeoutError):  # a reply is out a moment before its connection is closed
        wait_until(lambda: shape(alone.members.use()) == shape(before), 10, "as before")
    after = alone.members.use()
    print("\n" + "".join(f"member {pid}: peak {one.peak_mib:.0f} MiB of {BOUND_MIB}, {one.threads} threads, "
                         f"{one.files} descriptors\n" for pid, one in after.items()), end="")
    assert shape(after) == shape(before), "a member died, or keeps threads or descriptors"
    assert {pid: one.peak_mib for pid, one in after.items() if one.peak_mib > BOUND_MIB} == {}


def shape(use):
    return {pid: (one.threads, one.files) for pid, one in use.items()}


def metrics(site):
    status, body = site.get("/metrics.json")
    assert status == 200
    return body


def acknowledged(answers):
    """200: nginx waited in vain for one member and asked another, who knew the delivery by then."""
    return {one.delivery for one in answers if one.status in (200, 202)}


def decided(site, numbers):
    found = set()
    for number in numbers:
        found |= {entry.get("delivery") for entry in site.ledger("dispatch/overload", number)}
    return found


def test_more_connections_than_the_pool_has_threads(alone, use):
    """All bodies arrive at the same moment: each is taken, and then decided, or told when to come again."""
    pulls = range(1, N // PER_PULL + 1)
    bodies = {number: payload(number) for number in pulls}
    requests = [(f"flood-{n}", bodies[1 + n % len(pulls)]) for n in range(N)]
    began = time.monotonic()
    answers = Flood(alone.server.port).send(requests)
    took = time.monotonic() - began
    wait_idle(alone)
    taken = acknowledged(answers)
    print(f"\n{N} deliveries at once: {summary(answers)} in {took:.1f} s, decided after {time.monotonic() - began:.1f} s")
    assert {one.status for one in answers} <= {200, 202, 503}, summary(answers)
    assert [one for one in answers if not one.is_clear] == []
    assert taken, "nothing was taken: this proves nothing"
    assert taken - decided(alone, pulls) == set()


def test_what_was_told_to_come_again_is_taken_then(alone, use):
    """Redelivered until it is taken, each delivery counts once."""
    number, waiting = 900_000, {f"again-{n}" for n in range(N // 4)}
    rounds = 0
    while waiting and rounds < 100:
        body = payload(number)
        answers = Flood(alone.server.port).send([(one, body) for one in sorted(waiting)])
        waiting -= {one.delivery for one in answers if one.status in (200, 202)}
        rounds += 1
    assert waiting == set()
    print(f"\n{N // 4} deliveries of one pull request in {rounds} rounds")
    wait_idle(alone)
    ledger = [entry["delivery"] for entry in alone.ledger("dispatch/overload", number) if entry["kind"] == "decision"]
    assert sorted(ledger[-900:]) == sorted(set(ledger[-900:])), "a delivery was decided twice"


def test_slow_senders_occupy_no_thread(alone, use):
    """A byte now and then, on hundreds of connections: nginx has them, prgate never sees them."""
    before = metrics(alone)
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(tcp(alone.server.port)) for _ in range(SLOW)]
        body = b" " * (25 * MIB)
        start = post(b"", "slow", **{"Content-Length": str(len(body))})
        for one in slow:
            one.sendall(start)
        drip_all(slow)
        for n in range(20):
            drip_all(slow)
            status, reply = alone.post_webhook("pull_request", payload(800_000 + n), f"between-{n}")
            assert status in (200, 202), reply
    after = metrics(alone)
    seen = {name: after[name] - before[name] for name in after if "deliveries_total" in name}
    assert sum(count for name, count in seen.items() if 'outcome="duplicate"' not in name) == 20, seen


def tcp(port):
    return socket.create_connection(("127.0.0.1", port), timeout=60)


def drip_all(sockets):
    for one in sockets:
        one.sendall(b" ")


def test_peers_that_get_stuck_on_the_socket_are_cut(alone, use):
    """What nginx would not do, straight on the FastCGI socket: every thread gets one that never ends."""
    ways = {
        "says nothing": b"",
        "stops in its head": webhook(payload(1), "stuck")[:40],
        "stops in its body": webhook(payload(1), "stuck") + stdin(payload(1)[:1000]),
        "goes on and on": webhook(b" " * MIB, "stuck"),
    }
    with contextlib.ExitStack() as stack:
        stuck = {}
        for n in range(PROCESSES * ACCEPT_THREADS):
            way = list(ways)[n % len(ways)]
            one = stack.enter_context(Connection(alone.server.pool.socket, timeout=120))
            one.send(ways[way])
            stuck[one] = way
        endless = [one for one, way in stuck.items() if way == "goes on and on"]
        stop = threading.Event()
        dripping = threading.Thread(target=drip_records, args=(endless, stop))
        dripping.start()
        stack.callback(dripping.join)
        stack.callback(stop.set)
        tries = deliver_until_taken(alone, payload(700_000), "patient")
        print(f"\ntaken at try {tries}, behind {len(stuck)} stuck peers")
        for one, way in stuck.items():
            said = one.ended()  # within its time-out
            assert b"202" not in said, way
    log = (alone.workspace.dir / "pool.log").read_text()
    assert "connections from the web server were cut" in log


def drip_records(connections, stop):
    while not stop.wait(0.2):
        for one in connections:
            with contextlib.suppress(OSError):
                one.send(stdin(b" "))


def deliver_until_taken(site, body, delivery):
    for tries in range(1, 13):
        status, reply = site.post_webhook("pull_request", body, delivery)
        if status in (200, 202):  # 200: the one before was stored, though nobody waited for the answer
            return tries
        assert status == 503, reply
    raise AssertionError(f"not taken in {tries} tries")


def test_a_stop_waits_for_what_is_being_read(alone):
    """SIGTERM in the middle of a body: it is read to its end, stored and acknowledged."""
    body = payload(600_000)
    before = alone.members.use()
    with Connection(alone.server.pool.socket) as one:
        one.send(webhook(body, "during-stop") + stdin(body[:5000]))
        wait_until(lambda: accepted(alone.server.pool.socket) == 1, 30, "somebody accepts")
        for pid in before:
            os.kill(pid, signal.SIGTERM)
        wait_until(lambda: len(set(before) & set(alone.members.pids())) == 1, 30, "all but one ended")
        one.send(stdin(body[5000:]) + END_OF_BODY)
        status, reply = one.reply()
        assert status == 202, reply
    wait_until(lambda: not set(before) & set(alone.members.pids()) and is_complete(alone.members.use()), 60,
               "all replaced")
    wait_idle(alone)
    assert decided(alone, [600_000]) >= {"during-stop"}


def test_end_of_a_body_that_is_there_is_not_waited_for(alone, use):
    """The record that says that no more comes may come later: the delivery is stored and answered before."""
    body = payload(610_000)
    with Connection(alone.server.pool.socket) as one:
        one.send(webhook(body, "endless") + stdin(body))
        status, reply = one.reply()
        assert status == 202, reply
        one.send(END_OF_BODY)
    wait_idle(alone)
    assert decided(alone, [610_000]) >= {"endless"}


def test_kept_connections_starve_nobody(alone, use):
    """A web server that would keep its connections gets its answers, and holds no thread afterwards."""
    with contextlib.ExitStack() as stack:
        for n in range(2 * PROCESSES * ACCEPT_THREADS):
            one = stack.enter_context(Connection(alone.server.pool.socket))
            one.send(head("GET", "/healthz", keep=True) + END_OF_BODY)
            assert one.reply()[0] == 200, n


@pytest.mark.parametrize("way", ["kept", "not ended"])
def test_connections_that_go_on_hold_up_nobody_else_s_delivery(alone, use, way):
    """A web server that goes on talking behind its delivery: the thread that stores for all does not wait for it."""
    first = 620_000 if way == "kept" else 630_000
    with contextlib.ExitStack() as stack:
        talking = []
        for n in range(first, first + PROCESSES):
            talking.append(one := stack.enter_context(Connection(alone.server.pool.socket)))
            request = webhook(payload(n), f"talking-{n}", keep=way == "kept") + stdin(payload(n))
            one.send(request + (END_OF_BODY if way == "kept" else b""))
            status, reply = one.reply()
            assert status == 202, reply
        stop = threading.Event()
        dripping = threading.Thread(target=drip_records, args=(talking, stop))
        dripping.start()
        stack.callback(dripping.join)
        stack.callback(stop.set)
        between = range(first + 100, first + 100 + 2 * PROCESSES * ACCEPT_THREADS)
        assert {alone.post_webhook("pull_request", payload(n), f"between-{n}")[0] for n in between} == {202}


@contextlib.contextmanager
def turn_held(state):
    """As if others took turn after turn: transactions wait, and nobody loses patience (core/turn.h)."""
    stop = threading.Event()
    with (state / "db/turn").open("r+b") as file, mmap.mmap(file.fileno(), 4) as word:

        def hold():
            number = 0
            while not stop.wait(0.02):
                number += 2
                word[:] = struct.pack("=I", number | 1)  # somebody may be asleep
            word[:] = struct.pack("=I", 0)

        holding = threading.Thread(target=hold)
        holding.start()
        time.sleep(0.1)
        try:
            yield
        finally:
            stop.set()
            holding.join()


def test_more_is_read_while_the_store_is_waited_for(alone, use):
    """A thread that has read a delivery leaves it, and accepts the next one: more are taken in than there are threads."""
    count = PROCESSES * (ACCEPT_THREADS + 4)
    first = 640_000
    with contextlib.ExitStack() as stack:
        with turn_held(alone.workspace.state):
            waiting = [stack.enter_context(Connection(alone.server.pool.socket)) for _ in range(count)]
            for n, one in enumerate(waiting, first):
                one.send(webhook(payload(n), f"waiting-{n}") + stdin(payload(n)) + END_OF_BODY)
            wait_until(lambda: accepted(alone.server.pool.socket) > PROCESSES * ACCEPT_THREADS, 5, "more than threads")
        assert [one.reply()[0] for one in waiting] == [202] * count


def test_a_web_server_that_said_all_is_hung_up_on(alone, use):
    """No thread waits for it to hang up first: not even if it goes on talking."""
    with Connection(alone.server.pool.socket) as one:
        one.send(head("GET", "/healthz") + END_OF_BODY)
        assert one.reply()[0] == 200
        wait_until(lambda: not takes(one, b" "), 5, "the connection is closed")


def takes(connection, data):
    try:
        connection.send(data)
    except ConnectionError:
        return False
    return True


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("rest", [b"", END_OF_BODY], ids=["not-ended", "ended"])
def test_what_nobody_read_does_not_take_the_reply_back(alone, use, rest, keep):
    """A body that was refused, or has more than was told, is read to its end before the connection is closed."""
    body = b" " * 100_000
    refused = head("POST", "/webhook", {"Content-Type": "text/plain"}, len(body), keep)
    longer = webhook(body[:10], "longer", keep)
    for status, start in ((415, refused), (400, longer)):
        with Connection(alone.server.pool.socket) as one:
            one.send(start + stdin(body) + rest)
            assert one.reply()[0] == status
            assert one.socket.recv(1) == b"", "a connection that was reset"


# One pull request

@pytest.fixture(scope="module")
def crowd(make_site, github):
    """The same pool with a GitHub that takes its time."""
    need_program()
    github.forget()
    site = make_site(Pool4Nginx, github)
    github.settings(**LATENCY)
    yield site
    github.settings(latency_ms=0)
    github.forget()
    end(site)


def test_many_deliveries_of_one_pull_request_at_once(crowd):
    """They queue up behind one record. No thread waits for another so long that it gives up: that would be a 503."""
    repo, deliveries = make_busy_pull(crowd, ONE_PULL)
    before = metrics(crowd)
    seen, done = collections.Counter(), threading.Event()
    watching = threading.Thread(target=watch_ledger, args=(crowd, repo, seen, done))
    watching.start()
    try:
        answers = Flood(crowd.server.port).send([(one["delivery"], one["payload"].encode()) for one in deliveries])
        wait_idle(crowd)
    finally:
        done.set()
        watching.join()
    taken = acknowledged(answers)
    after = counts_at_rest(crowd)
    counts = {name: after[name] - before[name] for name in after}
    print(f"\n{len(deliveries)} deliveries of one pull request: {summary(answers)}; transactions: "
          f"{counts[COMMITTED]} committed, {counts[RETRIED]} run again; "
          f"{sum(',' in one for one in pool_statuses(crowd))} tried more than once by nginx")
    assert {one.status for one in answers} <= {200, 202, 503} and all(one.is_clear for one in answers)
    assert taken, "nothing was taken: this proves nothing"
    assert taken - set(seen) == set()
    assert counts['prgate_deliveries_total{event="pull_request",outcome="taken"}'] >= len(taken)
    assert counts['prgate_deliveries_total{event="pull_request",outcome="not_stored"}'] == 0, "a thread gave up"
    assert counts["prgate_connections_cut_total"] == 0, "a thread was stuck"
    assert [delivery for delivery, times in seen.items() if times > 1] == []
    assert crowd.sim.overlaps() == []
    assert crowd.sim.violations() == []
    pull = views(crowd.sim, repo)[1]
    assert len(pull.started) == len(set(pull.started))


COMMITTED, RETRIED = (f'prgate_store_transactions_total{{outcome="{how}"}}' for how in ("committed", "retried"))


def make_busy_pull(site, count):
    """(its repository, that many deliveries that GitHub has not sent yet): pushes, and a label on and off."""
    repo = make_repo(site, "dispatch")
    deeds = [("open", {"author": "bob", "number": 1})]
    for n in range(count - 1):
        deeds.append([("push", {}), ("label", {"label": "bug", "by": "tim"}),
                      ("unlabel", {"label": "bug", "by": "tim"})][n % 3])
    done = site.sim.batch([(deed, {"repo": repo, "number": 1, **arguments}) for deed, arguments in deeds])
    return repo, [one for sent in done for one in sent]


def watch_ledger(site, repo, seen, done):
    """Counts each delivery's decisions. The page shows the newest thousand entries, so it is looked at all the time."""
    known = set()
    while True:
        last = done.is_set()
        for entry in site.ledger(repo, 1):
            if entry["kind"] == "decision" and (mark := json.dumps(entry, sort_keys=True)) not in known:
                known.add(mark)
                seen[entry["delivery"]] += 1
        if last:
            return
        done.wait(0.3)


def counts_at_rest(site):
    """Members tell their counts once a second."""
    time.sleep(2)
    return metrics(site)


def pool_statuses(site):
    """nginx's log: the statuses of each request's tries."""
    log = (site.server.dir / "access.log").read_text()
    return [line.partition('pool="')[2].partition('"')[0] for line in log.splitlines()]


# Large bodies

def filled(filling):
    """A good payload of nearly 25 MiB."""
    start, end_ = json.dumps({**json.loads(payload(500_000)), "filling": "@"}).encode().split(b'"@"')
    return start + filling(25 * MIB - len(start) - len(end_)) + end_


def many_strings(size):
    one = b'"' + b"x" * 530 + b'",'
    return b"[" + one * ((size - 3) // len(one)) + b"0]"


LARGE = {
    "one long string": (lambda size: b'"' + b"x" * (size - 2) + b'"', {200, 202, 503}),
    "as many strings as may be": (many_strings, {200, 202, 503}),
    "millions of numbers": (lambda size: b"[" + b"1," * (size // 2 - 2) + b"1]", {400, 503}),
    "millions of lists": (lambda size: b"[" * (size // 2) + b"]" * (size // 2), {400, 503}),
    "millions of members": (lambda size: b"{" + b'"":0,' * (size // 5 - 2) + b'"":0}', {400, 503}),
}


@pytest.mark.parametrize("kind", LARGE if LONG else list(LARGE)[:3])
def test_large_bodies_at_once(alone, use, kind):
    """As many as there are threads; ordinary deliveries come through in between. How many are told to come again
    depends on the machine; the one that does so comes through."""
    filling, expected = LARGE[kind]
    body = filled(filling)
    assert 24 * MIB < len(body) <= 25 * MIB
    count = PROCESSES * ACCEPT_THREADS * (2 if LONG else 1)
    name = kind.replace(" ", "-")
    answers, small = send_large(alone, [(f"{name}-{n}", body) for n in range(count)])
    print(f"\n{count} of {len(body) / MIB:.1f} MiB, {kind}: {summary(answers)}; small ones between: {small}")
    assert {one.status for one in answers} <= expected
    again = f"{name}-again"
    wait_until(lambda: Flood(alone.server.port).send([(again, body)])[0].status in expected - {503}, SETTLE_S,
               "an answer to a large body that comes alone")
    assert all(one.is_clear for one in answers), answers
    assert set(small) <= {200, 202} and small


def test_unsigned_large_bodies_at_once(alone, use):
    body = b"[" * (25 * MIB)
    start = post(body, "unsigned", **{"X-Hub-Signature-256": signature(b"another")})
    answers, small = send_large(alone, [(f"unsigned-{n}", body, start) for n in range(PROCESSES * ACCEPT_THREADS)])
    print(f"\nunsigned: {summary(answers)}; small ones between: {small}")
    assert {one.status for one in answers} <= {401, 503}
    assert set(small) <= {200, 202} and small


def send_large(site, requests):
    """(their answers, how often small ones were answered with which status meanwhile)"""
    small, done = {}, threading.Event()

    def post_small():
        n = 0
        while not done.is_set():
            delivery = f"between-{requests[0][0]}-{n}"
            status, _ = site.post_webhook("pull_request", payload(400_000 + n), delivery)
            small[status] = small.get(status, 0) + 1
            n += 1
            time.sleep(0.02)

    between = threading.Thread(target=post_small)
    between.start()
    try:
        answers = Flood(site.server.port).send(requests)
    finally:
        done.set()
        between.join()
    return answers, small
