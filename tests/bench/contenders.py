"""What others build such a gate from, started beside prgate: see tests/bench/peers. `make bench-peers` installs them."""
import contextlib
import json
import pathlib
import shutil

from load import PROCESSES
from memory import Memory, fields, mib
from processes import Process, accepts
from workspace import SECRET, TOKEN

PEERS = pathlib.Path(__file__).resolve().parent / "peers"


class Prgate:
    most_a_second = 7000  # about: so many pull requests are opened that few are sent twice
    name = f"prgate, pool of {PROCESSES}"
    acknowledges = "durable, in order, once"
    makes_calls = True


class Node:
    """A service of ours in peers/, one process, as its library's documentation starts it."""

    path = "/webhook"
    most_a_second = 1500
    makes_calls = True

    def __init__(self, name, script, acknowledges):
        self.name, self.script, self.acknowledges = name, script, acknowledges

    def missing(self):
        if shutil.which("node") is None or not (PEERS / "node_modules/.installed").exists():
            return "make bench-peers installs it"
        return None

    def command(self, directory, port, api):
        return (["node", PEERS / self.script],
                {"PEER_API": api, "PEER_TOKEN": TOKEN, "PEER_SECRET": SECRET, "PEER_PORT": str(port),
                 "NODE_ENV": "production"})


class DebianWebhook:
    """Runs a command for each delivery that is signed; the command is `true`."""
    name = "Debian's webhook"
    acknowledges = "answers, and runs a command that does nothing"
    path = "/hooks/bench"
    most_a_second = 2000
    makes_calls = False

    def missing(self):
        return None if shutil.which("webhook") else "make bench-peers installs it"

    def command(self, directory, port, api):
        hooks = directory / "hooks.json"
        rule = {"match": {"type": "payload-hmac-sha256", "secret": SECRET,
                          "parameter": {"source": "header", "name": "X-Hub-Signature-256"}}}
        hooks.write_text(json.dumps([{"id": "bench", "execute-command": shutil.which("true"), "trigger-rule": rule,
                                      "trigger-rule-mismatch-http-response-code": 401}]))
        return ["webhook", "-hooks", hooks, "-ip", "127.0.0.1", "-port", port], {}


PRGATE = Prgate()
PROBOT = Node("Probot gate", "probot.mjs", "answers after its work")
OCTOKIT = Node("plain @octokit/webhooks gate", "octokit.mjs", "answers before its work")
ALL = (PROBOT, OCTOKIT, DebianWebhook())


class Running:
    def __init__(self, contender, directory, port, api):
        self.port, self.path = port, contender.path
        command, environment = contender.command(directory, port, api)
        self.process = Process(command, directory / "peer.log", env=environment)
        self.process.wait_ready(lambda: accepts(port), timeout=30)

    def memory(self):
        """Now, and at most so far."""
        found = fields(self.process.pid, "status")
        return Memory(mib(found["VmRSS"])), Memory(mib(found["VmHWM"]))


@contextlib.contextmanager
def started(contender, directory, port, api):
    one = Running(contender, directory, port, api)
    try:
        yield one
    finally:
        one.process.stop()
