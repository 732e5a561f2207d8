"""(e) CGI: each delivery starts the program, which opens the store, and forks to go on behind the reply."""
import itertools
import subprocess
import time

from figures import Row, percentile
from gate_site import webhook_headers
from load import BenchApache, Wrk, payloads, running, told, write_requests
from overload import Members
from processes import wait_until
from servers import Cgi
from workspace import as_server_user

CLIENTS = (1, 16)
STARTS = 60


def clients_of(count):
    return f"{count} client" + "s" * (count > 1)


# ---- by itself ------------------------------------------------------------------------------

class Runner:
    """Runs a program as a web server would, one delivery after the other."""

    def __init__(self, workspace, body):
        self.cgi, self.ids = Cgi(workspace), itertools.count()
        self.input = workspace.dir / "cgi.body"
        self.input.write_bytes(body)
        self.body, self.members = body, Members(workspace)

    def take(self, program):
        """Milliseconds to the end of the reply, when the program that the server waits for has ended, too."""
        headers = webhook_headers("pull_request", self.body, f"cgi-{next(self.ids)}")
        variables = {**self.cgi.variables("POST", "/webhook", headers), "CONTENT_LENGTH": str(len(self.body))}
        with self.input.open("rb") as given:
            start = time.monotonic()
            ran = subprocess.run([program], stdin=given, stdout=subprocess.PIPE, env=variables, cwd="/", check=True,
                                 **as_server_user())
        took = (time.monotonic() - start) * 1000
        assert ran.stdout.startswith(b"Status: 202"), ran.stdout[:100]
        wait_until(lambda: not self.members.pids(), 30, "the process that goes on behind the reply has ended")
        return took


def rows_by_itself(workspace):
    runner = Runner(workspace, payloads()[0])
    times = {program: sorted(runner.take(program) for _ in range(STARTS))
             for program in (workspace.bin / "null_cgi", workspace.fcgi)}
    null, own = (percentile(one, 0.5) for one in times.values())
    return [Row("e", "a CGI program that reads the body and answers 202, started by itself", f"median {null:.2f} ms", null,
                "ms").compared(null, "itself"),
            Row("e", "prgate as CGI, started by itself: fork and opening of the store included",
                f"median {own:.2f} ms, longest {max(times[workspace.fcgi]):.1f} ms", own, "ms").compared(null, "that program")]


# ---- under Apache -----------------------------------------------------------------------------

def row(what, found, clients):
    """How long one takes, with as many side by side."""
    each = 1000 * clients / found["rate"]
    return Row("e", f"{what}, under Apache, {clients_of(clients)}",
               f"{each:.1f} ms each, {told(found)}", each, "ms")


def rows_under_apache(wrk, clients, fast):
    null, found = wrk.measure("/bench/null", clients), wrk.measure("/webhook", clients)
    base = 1000 * clients / null["rate"]
    yield row("a CGI program that reads the body and answers 202", null, clients).compared(base, "itself")
    yield row("prgate as CGI", found, clients).compared(base, "that program")
    if fast:
        yield Row("e", f"prgate as CGI against FastCGI, {clients_of(clients)}", f"{found['rate']:,.0f}/s", found["rate"],
                  "/s").compared(fast["rate"], "FastCGI")


def run(facts):
    with running(BenchApache) as site:
        rows = rows_by_itself(site.workspace)
        wrk = Wrk(write_requests(site.workspace.dir, "requests.lua", payloads()), site.server.port)
        for clients in CLIENTS:
            rows += rows_under_apache(wrk, clients, facts.get("prgate", {}).get(clients))
    return rows
