"""(p) prgate and its peers, one after the other, behind the same nginx, with the same rules and the same simulator."""
import contextlib
import functools
import os
import time
import uuid

import contenders
from acks import loaded_row
from figures import Row, at_least, ratio, unknown
from gate_site import webhook_headers
from github_sim import client
from load import PROCESSES, SECONDS, TIMES, BenchNginx, Wrk, middle, running, told, write_requests
from memory import PoolMemory
from processes import free_port, wait_until
from workspace import TOKEN, TOKEN_USER

CLIENTS = 16
WARM_UP = 500  # of pull requests of its own: compilers at run time learn from it
AT_ONCE = 100
REPO = "dispatch/bench"
TARGETS = {contenders.PROBOT.name: 5, contenders.OCTOKIT.name: 2}
PATH = "/bench/peer"
REPEATED = 3
SETTLE_S = 1.5
LATENCY_MS = 50  # a GitHub that is near
REST_S = 300
QUIET_S = 1


class PeerNginx(BenchNginx):
    """One more location, for a peer; connections to it are kept."""

    def locations(self):
        return super().locations() + (
            f"        location = {PATH} {{ proxy_pass http://peer{self.workspace.peer.path}; proxy_http_version 1.1; "
            f"proxy_set_header Connection \"\"; proxy_read_timeout 60s; }}\n")

    def upstreams(self):
        return f"    upstream peer {{ server 127.0.0.1:{self.workspace.peer_port}; keepalive 64; }}\n"


@contextlib.contextmanager
def simulator():
    with client.start() as sim:
        sim.token(token=TOKEN, login=TOKEN_USER)
        sim.repo(full_name=REPO, labels=["CICD"], roles={"ann": "write", "tim": "triage", TOKEN_USER: "write"})
        yield sim


def opened(sim, count, author="ann"):
    """The deliveries of that many pull requests' opening."""
    bodies = []
    while len(bodies) < count:
        steps = [("open", {"repo": REPO, "author": author})] * min(AT_ONCE, count - len(bodies))
        bodies += [sent[0]["payload"].encode() for sent in sim.batch(steps)]
    return bodies


def starts(sim):
    return len(sim.state(repo=REPO)["repos"][REPO]["dispatches"])


def starts_of_one(site, path, sim):
    """How often CI is started for one delivery that comes several times."""
    body, delivery = opened(sim, 1)[0], str(uuid.uuid4())
    for _ in range(REPEATED):
        site.server.request("POST", path, webhook_headers("pull_request", body, delivery), body)
    time.sleep(SETTLE_S)
    return starts(sim)


def yield_processors(sim):
    """GitHub does not run on this machine: its simulator gets what the others leave."""
    os.sched_setscheduler(sim.process.pid, os.SCHED_IDLE, os.sched_param(0))


def wait_for_rest(sim):
    """What was answered before its work was done goes on. When the last call was seen."""
    last = {"calls": -1, "at": 0}

    def rests():
        now = {"calls": sim.load()["calls"], "at": time.monotonic()}
        if now["calls"] != last["calls"]:
            last.update(now)
        return now["at"] - last["at"] > QUIET_S

    wait_until(rests, REST_S, "nothing is asked of the simulator any more")
    return last["at"]


def wrk_of_opened(site, sim, pulls):
    return Wrk(write_requests(site.workspace.dir, "opened.lua", opened(sim, pulls)), site.server.port)


def measure_once(site, path, sim, pulls):
    return wrk_of_opened(site, sim, pulls).measure(path, CLIENTS)


def measure_to_the_end(site, path, sim, pulls):
    """And how often CI was started for what was sent, and from the first delivery to the last call."""
    wait_for_rest(sim)
    wrk, before, calls = wrk_of_opened(site, sim, pulls), starts(sim), sim.load()["calls"]
    found = wrk.measure(path, CLIENTS)
    begun = time.monotonic() - found["seconds"]  # wrk reads what it is to send before
    at_end = starts(sim) - before
    seconds = wait_for_rest(sim) - begun
    return {**found, "starts_meanwhile": at_end, "starts": starts(sim) - before, "calls": sim.load()["calls"] - calls,
            "all_s": seconds}


def measure(contender, site, path, sim):
    """With a GitHub that takes no time for a call, and `slow`: one that does."""
    pulls = max(100, int(contender.most_a_second * SECONDS))
    once = starts_of_one(site, path, sim)
    yield_processors(sim)
    measure_once(site, path, sim, WARM_UP)
    found = middle([measure_to_the_end(site, path, sim, pulls) for _ in range(TIMES)])
    sim.settings(latency_ms=LATENCY_MS)
    return {**found, "slow": measure_once(site, path, sim, pulls), "starts_of_one": once}


def measured_prgate(measure_it):
    """What measure_it(site, path, sim) finds of a pool of its own, and what the pool needed for it."""
    with simulator() as sim, running(BenchNginx, sim.url, sim) as site:
        memory = PoolMemory(site.workspace, site.server.processes)
        idle = memory.at_rest()
        found = measure_it(site, "/webhook", sim)
        return with_memory(found, idle, memory.at_most())


def measured_peer(contender, measure_it):
    """The same of a peer behind the same nginx."""
    port = free_port()
    with simulator() as sim, running(PeerNginx, peer=contender, peer_port=port) as site, \
            contenders.started(contender, site.workspace.dir, port, sim.url) as peer:
        idle, _ = peer.memory()
        found = measure_it(site, PATH, sim)
        return with_memory(found, idle, peer.memory()[1])


def with_memory(found, idle, peak):
    return {**found, "idle": idle, "peak": peak}


# ---- rows -----------------------------------------------------------------------------------

def rate_row(contender, found, prgate, latency_ms):
    where = f", {latency_ms} ms a call" if contender.makes_calls else ""
    row = Row("a", f"{contender.name}: {contender.acknowledges}, {CLIENTS} clients{where}", told(found),
              found["rate"], "/s").compared(prgate["rate"], f"prgate with the simulator, {latency_ms} ms a call")
    times = TARGETS.get(contender.name)
    if times:
        gain = ratio(prgate["rate"], found["rate"])
        row.aimed(at_least(gain, times, f"prgate ≥ {times} × this; it is {gain:.2f} ×"))
    return row


def rate_rows(contender, found, prgate):
    rows = [rate_row(contender, found, prgate, 0)]
    if not contender.makes_calls:
        return rows
    return rows + [rate_row(contender, found["slow"], prgate["slow"], LATENCY_MS), starts_row(contender, found, prgate)]


def starts_row(contender, found, prgate):
    """What answering at once leaves to be done."""
    rate, others = found["starts"] / found["all_s"], prgate["starts"] / prgate["all_s"]
    text = (f"{found['starts']:,} × after {found['all_s']:.1f} s, {rate:,.0f}/s, {found['calls'] / max(1, found['starts']):.1f} calls "
            f"each; {found['starts_meanwhile']:,} of them before the last answer")
    return Row("a", f"{contender.name}: CI started for what was sent, 0 ms a call", text, rate, "/s").compared(
        others, "prgate")


def peer_memory_row(contender, found, prgate):
    idle, peak = found["idle"], found["peak"]
    return Row("d", f"{contender.name}, under the same load", f"{peak.text} at most, {idle.text} idle", peak.rss,
               "MiB").compared(prgate["peak"].rss, f"the pool of {PROCESSES} there")


def once_row(contender, found):
    count = found["starts_of_one"]
    return Row("a", f"{contender.name}: one delivery, sent {REPEATED} times", f"CI is started {count} ×", count).compared(
        1, "once")


def prgate_rows(found):
    return [*rate_rows(contenders.PRGATE, found, found), once_row(contenders.PRGATE, found),
            loaded_row("with the simulator", found["idle"], found["peak"])]


def peer_rows(contender, found, prgate):
    rows = [*rate_rows(contender, found, prgate), peer_memory_row(contender, found, prgate)]
    return rows + [once_row(contender, found)] if contender.makes_calls else rows


def missing_row(contender, why):
    row = Row("a", contender.name, f"not there: {why}")
    if contender.name in TARGETS:
        row.aimed(unknown(f"prgate ≥ {TARGETS[contender.name]} × this", "not measured"))
    return row


def run(facts):
    prgate = measured_prgate(functools.partial(measure, contenders.PRGATE))
    rows = prgate_rows(prgate)
    for contender in contenders.ALL:
        why = contender.missing()
        if why:
            rows.append(missing_row(contender, why))
            continue
        found = measured_peer(contender, functools.partial(measure, contender))
        rows += peer_rows(contender, found, prgate)
    return rows
