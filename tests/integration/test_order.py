"""Nothing is acknowledged before it is on disk: for each 202, the pool's system calls are looked at in their order."""
import collections
import concurrent.futures
import dataclasses
import shutil

from conftest import end
from gate_site import Site
from overload import payload
from servers import Pool4Nginx
from workspace import BUILD, Workspace, give_away

PULLS, DELIVERIES, CLIENTS = 8, 120, 16


class WatchedWorkspace(Workspace):
    """The pool's calls go to `order`, see tests/preload/order.c. GitHub is no part of this."""

    def __init__(self):
        super().__init__("http://127.0.0.1:1", "none", extra="dry_run = true\n")
        shutil.copy(BUILD / "preload" / "order.so", self.bin)
        self.order = self.dir / "order"
        self.order.touch()
        give_away(self.order)

    def environment(self):
        return {**super().environment(), "LD_PRELOAD": str(self.bin / "order.so"), "ORDER_FILE": str(self.order)}


@dataclasses.dataclass
class Written:
    line: int
    start: int
    end: int


class Order:
    """What tests/preload/order.c wrote down, by line number."""

    def __init__(self, text):
        self.answers = {}
        self.written = collections.defaultdict(list)  # of a log file
        self.synced = collections.defaultdict(list)  # (begin, end) of a log file
        begun = {}
        for number, line in enumerate(text.splitlines()):
            kind, *words = line.split(" ")
            if kind == "A":
                self.answers.setdefault(words[0], number)
            elif kind == "W":
                self.written[words[0]].append(Written(number, int(words[1]), int(words[1]) + int(words[2])))
            elif kind == "B":
                begun[words[0]] = number
            elif kind == "E":
                self.synced[words[1]].append((begun[words[0]], number))

    def on_disk(self, name, offset):
        """The line from which on the log's byte is known to be on disk; None: it is not."""
        lines = [end for begin, end in self.synced[name] for one in self.written[name]
                 if one.start <= offset < one.end and one.line < begin]
        return min(lines, default=None)


def find_in_log(state, delivery):
    """(file, offset) of what the inbox's transaction logged: the id stands nowhere before it."""
    for path in sorted((state / "db").glob("log.*")):
        at = path.read_bytes().find(delivery.encode())
        if at >= 0:
            return path.name, at
    raise AssertionError(f"{delivery} is not in the log")


def test_every_202_is_on_disk_before_it_is_written():
    workspace = WatchedWorkspace()
    site = Site(Pool4Nginx, workspace, None)
    try:
        def send(number):
            status, _ = site.post_webhook("pull_request", payload(number % PULLS + 1), f"order-{number:04}-end")
            return status
        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as executor:
            assert set(executor.map(send, range(DELIVERIES))) == {202}
        site.wait_idle()
        order = Order(workspace.order.read_text())
        assert len(order.answers) == DELIVERIES
        for delivery, answered in order.answers.items():
            name, offset = find_in_log(workspace.state, delivery)
            known = order.on_disk(name, offset)
            assert known is not None and known < answered, \
                f"{delivery}: answered in line {answered}, on disk in line {known}: {name} at {offset}"
    except BaseException:
        site.print_logs()
        raise
    finally:
        end(site)
        workspace.remove()
