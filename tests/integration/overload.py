"""More than a pool can take: a client that opens thousands of connections, and a look at what the members use."""
import asyncio
import collections
import contextlib
import dataclasses
import json
import os
import pathlib
import resource

from gate_site import webhook_headers
from processes import running_below
from workspace import ROOT

MIB = 1024 * 1024
CONNECTING = 200  # at a time: more would have the kernel drop some and try again seconds later
REPLY_S = 120
PIECE = 64 * 1024


def allow_files(count):
    """Descriptors for this process and the servers that it starts; how many there are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max(soft, count)
    if os.geteuid() == 0:
        hard = max(hard, wanted)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


# Deliveries

TEMPLATE = (ROOT / "tests/payloads/opened_fork.json").read_text()


def payload(number, repo="dispatch/overload", **changes):
    """A published payload of ordinary size, of a pull request of ours."""
    body = json.loads(TEMPLATE)
    body["number"] = body["pull_request"]["number"] = number
    body["repository"].update(id=31, full_name=repo)
    body["pull_request"]["head"]["sha"] = f"{number:040x}"
    body.update(changes)
    return json.dumps(body).encode()


def post(body, delivery, event="pull_request", **changed):
    """The request's head; what follows is the body."""
    headers = {**webhook_headers(event, body, delivery), "Host": "prgate.example", "Connection": "close",
               "Content-Length": str(len(body)), **changed}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST /webhook HTTP/1.1\r\n{lines}\r\n".encode()


@dataclasses.dataclass
class Answer:
    delivery: str
    status: int  # 0: hung up on
    headers: dict
    body: bytes

    @property
    def is_clear(self):
        """What the sender can make sense of: JSON, and when to come again where that pays."""
        try:
            is_object = isinstance(json.loads(self.body), dict)
        except ValueError:
            return False
        return is_object and (self.status != 503 or int(self.headers.get("retry-after", 0)) > 0)


def parse(delivery, raw):
    lines, _, body = raw.partition(b"\r\n\r\n")
    first, *rest = lines.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
    return Answer(delivery, int(first.split()[1]) if first.startswith("HTTP/1.1 ") else 0, headers, body)


class Flood:
    """Opens a connection for each request and sends all but the end; when all are open, the ends at once."""

    def __init__(self, port):
        self.port = port

    def send(self, requests):
        """requests: [(delivery, body)] or, with a head of its own, [(delivery, body, head)]; the answers, in order."""
        return asyncio.run(self._send([(*one, post(one[1], one[0]))[:3] for one in requests]))

    async def _send(self, requests):
        self._connecting = asyncio.Semaphore(CONNECTING)
        self._missing, self._go = len(requests), asyncio.Event()
        return await asyncio.gather(*(self._one(*one) for one in requests))

    async def _one(self, delivery, body, head):
        raw = b""
        try:
            reader, writer = await self._begin(head + body[:100])
        except OSError:
            return parse(delivery, raw)
        with contextlib.suppress(OSError, asyncio.TimeoutError):
            await self._go.wait()
            with contextlib.suppress(ConnectionError):  # refused before it was read whole; the reply says why
                await self._write(writer, memoryview(body)[100:])
            raw = await asyncio.wait_for(reader.read(), REPLY_S)
        writer.close()
        return parse(delivery, raw)

    @staticmethod
    async def _write(writer, data):
        for at in range(0, len(data), PIECE):
            writer.write(data[at:at + PIECE])
            await writer.drain()

    async def _begin(self, data):
        try:
            async with self._connecting:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                writer.write(data)
                await writer.drain()
                return reader, writer
        finally:
            self._missing -= 1
            if self._missing == 0:
                self._go.set()


def summary(answers):
    return dict(sorted(collections.Counter(one.status for one in answers).items()))


# The pool

@dataclasses.dataclass
class Use:
    peak_mib: float
    threads: int
    files: int


class Members:
    """The processes of a pool, seen through /proc."""

    def __init__(self, workspace):
        self.workspace = workspace

    def pids(self):
        found = []
        for pid in running_below(self.workspace.dir):
            with contextlib.suppress(OSError):
                if pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == "prgate.fcgi":
                    found.append(pid)
        return sorted(found)

    def use(self):
        return {pid: use_of(pid) for pid in self.pids()}


def use_of(pid):
    fields = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
    return Use(int(fields["VmHWM"].split()[0]) / 1024, int(fields["Threads"]), len(list(files_of(pid))))


def files_of(pid):
    """
    But for the store's log, which a process opens at its first commit, and the files of a few other members, once it has asked
    whether they live. prgate shows them to nobody but root.
    """
    with contextlib.suppress(PermissionError):
        for one in pathlib.Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                name = os.readlink(one)
                if "/db/log." not in name and "/alive/" not in name:
                    yield one


def accepted(path):
    """How many connections of a Unix socket somebody has accepted: those in the backlog have no inode yet."""
    lines = [line.split() for line in pathlib.Path("/proc/net/unix").read_text().splitlines()]
    return sum(line[-1] == str(path) and line[5] == "03" and line[6] != "0" for line in lines)
