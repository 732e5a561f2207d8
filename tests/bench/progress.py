"""(c) Pull requests in progress at once, while each call to GitHub takes 200 ms, and what threads that takes."""
import collections
import threading
import time

from acks import loaded_row
from beside import CLIENTS, opened, simulator
from figures import Row, Target
from gate_site import webhook_headers
from load import BenchNginx, running
from memory import PoolMemory
from overload import Members
from processes import wait_until

PULLS = 1000
LATENCY_MS = 200
WANTED, THREADS_MAX = 500, 64
SETTLE_S = 300
PAUSE_S = 0.1


class ThreadsSeen(threading.Thread):
    """The most threads that the pool was seen with, ten looks a second."""

    def __init__(self, members):
        super().__init__(daemon=True)
        self.members, self.ended, self.most = members, threading.Event(), 0

    def run(self):
        while not self.ended.wait(PAUSE_S):
            self.most = max(self.most, sum(one.threads for one in self.members.use().values()))

    def stop(self):
        self.ended.set()
        self.join()
        return self.most


class Starts:
    """How often CI was started so far."""

    def __init__(self, sim):
        self.sim, self.seen, self.count = sim, 0, 0

    def look(self):
        calls = self.sim.calls(since=self.seen)
        self.seen += len(calls)
        self.count += sum(call["path"].endswith("/dispatches") for call in calls)
        return self.count


def send_all(site, bodies):
    """From CLIENTS threads, each delivery until it is taken."""
    left = collections.deque(enumerate(bodies))

    def send():
        while left:
            try:
                number, body = left.popleft()
            except IndexError:
                return
            headers = webhook_headers("pull_request", body, f"progress-{number}")
            while site.server.request("POST", "/webhook", headers, body).status not in (200, 202):
                time.sleep(PAUSE_S)

    senders = [threading.Thread(target=send) for _ in range(CLIENTS)]
    for one in senders:
        one.start()
    for one in senders:
        one.join()


def measure():
    with simulator() as sim, running(BenchNginx, sim.url, sim) as site:
        bodies, memory = opened(sim, PULLS), PoolMemory(site.workspace, site.server.processes)
        idle = memory.at_rest()
        sim.settings(latency_ms=LATENCY_MS)
        threads, starts = ThreadsSeen(Members(site.workspace)), Starts(sim)
        threads.start()
        began = time.monotonic()
        send_all(site, bodies)
        sent = time.monotonic() - began
        wait_until(lambda: starts.look() >= PULLS, SETTLE_S, lambda: f"{PULLS} starts: {starts.count}")
        took = time.monotonic() - began
        return {"most": sim.load()["most_in_flight"], "threads": threads.stop(), "sent": sent, "took": took, "idle": idle,
                "peak": memory.at_most()}


def run(facts):
    found = measure()
    most, threads, took = found["most"], found["threads"], found["took"]
    return [
        Row("c", f"pull requests in progress at once, of {PULLS}, {LATENCY_MS} ms a call",
            f"{most}, with {threads} threads in all", most).compared(threads, "its threads").aimed(
                Target(f"≥ {WANTED}, ≤ {THREADS_MAX} threads", most >= WANTED and threads <= THREADS_MAX)),
        Row("c", f"the start of CI for all {PULLS}", f"{took:.1f} s, the last delivery acknowledged after {found['sent']:.1f} s",
            took, "s").compared(LATENCY_MS / 1000, "one call"),
        loaded_row(f"with {most} in progress", found["idle"], found["peak"]),
    ]
