"""(i) From the SIGKILL of a member, in the midst of load, to the next acknowledgement of what is sent after it."""
import itertools
import os
import random
import signal
import time

from figures import Row, percentile
from gate_site import webhook_headers
from load import BenchNginx, Wrk, payloads, running, write_requests
from overload import payload
from processes import wait_until

KILLS = 20
LOAD_CLIENTS = 4
LIMIT_S = 60
PAUSE_S = 0.5  # the pool is whole again by then


class Probe:
    """One delivery after the other."""

    def __init__(self, site):
        self.site, self.ids = site, itertools.count()
        self.body = payload(1_000_000)

    def take(self):
        """Seconds until one is acknowledged, however often it must be sent."""
        start = time.monotonic()
        while time.monotonic() < start + LIMIT_S:
            headers = webhook_headers("pull_request", self.body, f"probe-{next(self.ids)}")
            if self.site.server.request("POST", "/webhook", headers, self.body).status == 202:
                return time.monotonic() - start
        raise TimeoutError(f"nothing was acknowledged for {LIMIT_S} s")


def kill_and_probe(site, probe):
    members = site.server.pool.members()
    os.kill(random.choice(members), signal.SIGKILL)
    took = probe.take()
    wait_until(lambda: len(site.server.pool.members()) == site.server.processes, 10, "the member back")
    time.sleep(PAUSE_S)
    return took


def run(facts):
    with running(BenchNginx) as site:
        probe = Probe(site)
        wrk = Wrk(write_requests(site.workspace.dir, "requests.lua", payloads()), site.server.port)
        load = wrk.start("/webhook", LOAD_CLIENTS, seconds=KILLS * (PAUSE_S + 1))
        time.sleep(PAUSE_S)
        usual = [probe.take() for _ in range(KILLS)]
        after = [kill_and_probe(site, probe) for _ in range(KILLS)]
        load.terminate()
        load.communicate()
    middle, worst = percentile(after, 0.5), max(after)
    base = percentile(usual, 0.5)
    return [
        Row("i", f"SIGKILL of a member under load to the next acknowledgement, median of {KILLS}", f"{middle * 1000:.1f} ms",
            middle * 1000, "ms").compared(base * 1000, f"an undisturbed one ({base * 1000:.1f} ms)"),
        Row("i", f"the same, longest of {KILLS}", f"{worst * 1000:.1f} ms", worst * 1000, "ms").compared(
            base * 1000, "an undisturbed one"),
    ]
