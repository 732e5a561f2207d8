"""(b) From a webhook's sending to the request that starts CI, with a GitHub that takes its time for each call."""
import http.client
import json
import time

import contenders
from beside import PATH, REPO, measured_peer, measured_prgate
from figures import Row, at_most, percentile
from gate_site import webhook_headers
from processes import wait_until
from workspace import TOKEN

LATENCIES_MS = (0, 50, 200)
TIMES = 5
HEADERS = {"Authorization": f"Bearer {TOKEN}", "Accept": "application/vnd.github+json", "User-Agent": "bench",
           "X-GitHub-Api-Version": "2022-11-28"}
READ, PERMISSION, START = "GET /pulls/", "GET /collaborators/", "POST /dispatches"


def kind(call):
    return f"{call['method']} {call['path'].removeprefix(f'/repos/{REPO}')}"


def next_second():
    """Where GitHub's times tell what came first, nobody need look twice."""
    time.sleep(1.02 - time.time() % 1)


class Watched:
    """A gate, told of what happens; how long it then takes, and what it asks meanwhile."""

    def __init__(self, post, sim):
        self.post, self.sim = post, sim

    def send(self, delivery):
        body = delivery["payload"].encode()
        sent = time.monotonic()
        status = self.post(webhook_headers(delivery["event"], body, delivery["delivery"]), body).status
        assert status in (200, 202), status
        return sent

    @staticmethod
    def start_of(number, calls):
        """The call that starts CI for it."""
        return next((call for call in calls if kind(call) == START and call["pr"] == f"{REPO}#{number}"), None)

    def until_start(self, delivery, number):
        """Milliseconds, and the calls that were made before the one that starts CI."""
        known = self.sim.load()["calls"]
        sent = self.send(delivery)
        start = wait_until(lambda: self.start_of(number, self.sim.calls(since=known)), 30, "CI is started")
        before = [kind(call) for call in self.sim.calls(since=known) if call["start"] < start["start"]]
        return (start["start"] - sent) * 1000, before

    def at_rest(self, latency_ms):
        """No call for as long as one takes, twice over."""
        seen, quiet_s = -1, max(0.1, 2.5 * latency_ms / 1000)
        while seen != self.sim.load()["calls"]:
            seen = self.sim.load()["calls"]
            time.sleep(quiet_s)

    def open(self, author):
        """The delivery of a new pull request, and its number."""
        delivery, = self.sim.open(repo=REPO, author=author)
        return delivery, json.loads(delivery["payload"])["number"]


def measure(site, path, sim):
    """{latency: {event: [(ms, calls)]}}"""
    watched, found = Watched(lambda headers, body: site.server.request("POST", path, headers, body), sim), {}
    for latency_ms in LATENCIES_MS:
        sim.settings(latency_ms=latency_ms)
        found[latency_ms] = {"opened": measure_opened(watched, latency_ms), "labeled": measure_labeled(watched, latency_ms),
                             "call_ms": measure_call(sim)}
    return found


def measure_opened(watched, latency_ms):
    """The first one teaches who the author is, and does not count."""
    found = []
    for _ in range(TIMES + 1):
        found.append(watched.until_start(*watched.open("ann")))
        watched.at_rest(latency_ms)
    return found[1:]


def measure_labeled(watched, latency_ms):
    numbers = []
    for _ in range(TIMES + 1):
        delivery, number = watched.open("bob")
        watched.send(delivery)
        numbers.append(number)
    watched.at_rest(latency_ms)
    next_second()
    found = []
    for number in numbers:
        delivery, = watched.sim.label(repo=REPO, number=number, label="CICD", by="tim")
        found.append(watched.until_start(delivery, number))
        watched.at_rest(latency_ms)
    return found[1:]


def measure_call(sim):
    """What one call takes, as this process makes it."""
    connection = http.client.HTTPConnection(sim.url.removeprefix("http://"), timeout=30)
    times = []
    for _ in range(TIMES):
        start = time.monotonic()
        connection.request("GET", f"/repos/{REPO}/pulls/1", headers=HEADERS)
        reply = connection.getresponse()
        reply.read()
        assert reply.status == 200, reply.status
        times.append((time.monotonic() - start) * 1000)
    connection.close()
    return percentile(times, 0.5)


# ---- rows -----------------------------------------------------------------------------------

def could_wait(calls):
    """What GitHub shows now, and who may approve, must be known before; nothing else."""
    return [call for call in calls if not call.startswith((READ, PERMISSION))]


def latency_rows(name, found, prgate):
    for latency_ms in LATENCIES_MS:
        for event in ("labeled", "opened"):
            times = [ms for ms, _ in found[latency_ms][event]]
            middle, base = percentile(times, 0.5), percentile([ms for ms, _ in prgate[latency_ms][event]], 0.5)
            row = Row("b", f"{name}: {event} to the start of CI, {latency_ms} ms a call",
                      f"median {middle:.1f} ms, longest {max(times):.1f} ms", middle, "ms")
            call_ms = prgate[latency_ms]["call_ms"]
            yield row.compared(call_ms, f"one call ({call_ms:.1f} ms)") if found is prgate else row.compared(base, "prgate")


def calls_row(name, found):
    samples = [calls for latency_ms in LATENCIES_MS for _, calls in found[latency_ms]["labeled"]]
    most = max(len(calls) for calls in samples)
    waiting = max(len(could_wait(calls)) for calls in samples)
    return Row("b", f"{name}: calls before CI is started, from labeled", f"{most}, of which {waiting} could wait", most,
               "calls").compared(1, "the read").aimed(at_most(waiting, 1, "≤ 1 that could wait"))


def run(facts):
    prgate = measured_prgate(measure)
    rows = [calls_row("prgate", prgate), *latency_rows("prgate", prgate, prgate)]
    for contender in (contenders.PROBOT, contenders.OCTOKIT):
        why = contender.missing()
        if why:
            rows.append(Row("b", contender.name, f"not there: {why}"))
        else:
            found = measured_peer(contender, measure)
            rows += latency_rows(contender.name, found, prgate)
    return rows
