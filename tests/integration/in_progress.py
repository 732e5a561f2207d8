"""Many pull requests that a pool works on at the same time: making them, and looking at the processes meanwhile."""
import concurrent.futures
import dataclasses
import pathlib
import re

from gate import make_repo, views
from processes import wait_until

SENDERS = 16
WAIT_S = 60


@dataclasses.dataclass
class Use:
    threads: int
    resident_mib: float
    files: int


def use_of(pids):
    """Of all of these processes together, now."""
    total = Use(0, 0.0, 0)
    for pid in pids:
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        total.threads += int(re.search(r"^Threads:\s+(\d+)", status, re.M).group(1))
        total.resident_mib += int(re.search(r"^VmRSS:\s+(\d+)", status, re.M).group(1)) / 1024
        total.files += len(list(pathlib.Path(f"/proc/{pid}/fd").iterdir()))
    return total


class Pulls:
    """`count` of a trusted author, in one repository."""

    def __init__(self, site, count, owner="dispatch"):
        self.site, self.repo, self.count = site, make_repo(site, owner), count
        self.deliveries = site.sim.batch([["open", {"repo": self.repo, "author": "ann"}] for _ in range(count)])
        self.deliveries = [delivery for one in self.deliveries for delivery in one]

    def push(self):
        """A commit on top of each; the deliveries."""
        made = self.site.sim.batch([["push", {"repo": self.repo, "number": number, "by": "ann"}]
                                    for number in range(1, self.count + 1)])
        return [delivery for one in made for delivery in one]

    def deliver(self, deliveries=None):
        with concurrent.futures.ThreadPoolExecutor(SENDERS) as senders:
            list(senders.map(self.site.deliver, self.deliveries if deliveries is None else deliveries))

    def hold(self, count=None):
        """Whatever is asked about a pull request is answered when one more than all of them asks: so never."""
        self.site.sim.fault(route="GET */pulls/*", count=-1, hold=(count or self.count) + 1)

    def wait_in_flight(self, count=None):
        load = self.site.sim.load
        wait_until(lambda: load()["most_in_flight"] >= (count or self.count), WAIT_S, load)

    def started(self):
        """{number: the commits that CI was started for, in order}, and {number: those that the pull request has had}."""
        found = views(self.site.sim, self.repo)
        return ({number: view.started for number, view in found.items()},
                {number: view.heads for number, view in found.items()})
