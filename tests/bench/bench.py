#!/usr/bin/python3
"""bench.py: how fast webhooks are acknowledged, as ratios from one run, and what each delivery costs in counts.

Called by `make bench`. BENCH_S: seconds for each measurement (3). Client, web server, pool and disk share this machine,
so figures of different machines, or of different days, say little: the ratios of one run do.
"""
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))
sys.path.insert(0, str(HERE.parent))

from gate_site import Site, signature
from overload import payload
from processes import Process, wait_until
from servers import ApacheCgi, Pool4Nginx
from workspace import BUILD, Workspace, give_away

SECONDS = float(os.environ.get("BENCH_S", "3"))
CLIENTS = (1, 16)
PULLS = 64
IDLE_S = 600
PROCESSES = Pool4Nginx.processes


class BenchWorkspace(Workspace):
    """Without GitHub: a dry run without credentials; and with a count of what is synced to disk."""

    def __init__(self):
        super().__init__("http://127.0.0.1:1", "none", extra="dry_run = true\n")
        self.conf.write_text(self.conf.read_text().replace('log_level = "debug"', 'log_level = "warning"'))
        for name in ("null_responder", "count_syncs.so"):
            shutil.copy(BUILD / "bench" / name, self.bin)
            (self.bin / name).chmod(0o755)
        self.syncs_file = self.dir / "syncs"
        self.syncs_file.write_bytes(bytes(8))
        give_away(self.syncs_file)
        self.requests = self.dir / "requests.lua"
        bodies = [payload(number) for number in range(1, PULLS + 1)]
        self.requests.write_text("return {\n" + "".join(f"{{{quote(signature(one))}, {quote(one.decode())}}},\n"
                                                        for one in bodies) + "}\n")
        self.body_size = len(bodies[0])

    def environment(self):
        return {**super().environment(), "LD_PRELOAD": str(self.bin / "count_syncs.so"),
                "COUNT_SYNCS": str(self.syncs_file)}

    def syncs(self):
        return struct.unpack("=Q", self.syncs_file.read_bytes())[0]


def quote(text):
    """As a Lua string; the payloads hold no such bracket."""
    assert "]==]" not in text
    return f"[==[{text}]==]"


class Nginx(Pool4Nginx):
    """The example, with two more locations to compare with."""

    def start(self):
        self.null_socket = self.workspace.dir / "null.sock"
        command = ["spawn-fcgi", "-n", "-s", self.null_socket, "-M", "666", "-b", "1024", "--",
                   "/usr/bin/multiwatch", "-f", PROCESSES, "--", self.workspace.bin / "null_responder"]
        self.null = Process(command, self.workspace.dir / "null.log")
        self.null.wait_ready(self.null_socket.exists)
        super().start()

    def write(self, name, text):
        place = "        location / {\n"
        assert place in text
        more = (f"        location = /bench/nginx {{ return 202 '{{}}\\n'; }}\n"
                f"        location = /bench/null {{ fastcgi_pass unix:{self.null_socket}; }}\n")
        return super().write(name, text.replace(place, more + place))

    def stop(self):
        super().stop()
        self.null.stop()


class Wrk:
    def __init__(self, workspace):
        self.workspace, self.runs = workspace, 0

    def measure(self, port, path, clients):
        """What deliver.lua prints, and the rate."""
        self.runs += 1
        command = ["wrk", "-t", "1", "-c", str(clients), "-d", f"{max(1, round(SECONDS))}s", "--timeout", "20s",
                   "-s", HERE / "deliver.lua", f"http://127.0.0.1:{port}{path}"]
        environment = {**os.environ, "BENCH_REQUESTS": str(self.workspace.requests),
                       "BENCH_RUN": f"bench-{self.runs}"}
        ran = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True)
        found = json.loads(ran.stdout.strip().splitlines()[-1])
        assert found["refused"] == found["lost"] == 0 and found["requests"] > 0, (path, found)
        return {**found, "rate": found["requests"] / found["seconds"]}


def wait_idle(site):
    wait_until(lambda: site.health()["waiting"] == 0, IDLE_S, lambda: f"idle: {site.health()}")


def counts(site, workspace):
    """Once everything is decided, and each member has told its counts."""
    wait_idle(site)
    time.sleep(2)
    _, metrics = site.get("/metrics.json")
    return {"taken": metrics['prgate_deliveries_total{event="pull_request",outcome="taken"}'],
            "commits": metrics['prgate_store_transactions_total{outcome="committed"}'],
            "retries": metrics['prgate_store_transactions_total{outcome="retried"}'], "syncs": workspace.syncs()}


def bench_nginx():
    """{name: {clients: figures}}, and what each delivery cost."""
    workspace = BenchWorkspace()
    site = Site(Nginx, workspace, None)
    wrk = Wrk(workspace)
    rates, costs = {}, {}
    try:
        for name, path in {"nginx alone": "/bench/nginx", "null responder": "/bench/null"}.items():
            rates[name] = {clients: wrk.measure(site.server.port, path, clients) for clients in CLIENTS}
        rates["prgate"] = {}
        for clients in CLIENTS:
            before = counts(site, workspace)
            rates["prgate"][clients] = wrk.measure(site.server.port, "/webhook", clients)
            after = counts(site, workspace)
            costs[clients] = {name: after[name] - before[name] for name in after}
    finally:
        site.stop()
        workspace.remove()
    return rates, costs, workspace.body_size


def bench_cgi():
    workspace = BenchWorkspace()
    site = Site(ApacheCgi, workspace, None)
    wrk = Wrk(workspace)
    try:
        return {clients: wrk.measure(site.server.port, "/webhook", clients) for clients in CLIENTS}
    finally:
        site.stop()
        workspace.remove()


def print_rates(rates):
    print(f"\n{'':28}{'':>4}" + "".join(f"{f'{n} client' + 's' * (n > 1):>34}" for n in CLIENTS))
    for name, of in rates.items():
        cells = []
        for clients in CLIENTS:
            base = rates["null responder"][clients]["rate"]
            cells.append(f"{of[clients]['rate'] / base:9.3f} ({of[clients]['rate']:8.0f}/s, p99 "
                         f"{of[clients]['p99_ms']:6.1f} ms)")
        print(f"{name:28}" + "  ".join(cells))
    print("ratios: to the null responder, which reads the body behind the same nginx and answers 202")
    for clients in CLIENTS:
        fast, cgi = (rates[name][clients]["rate"] for name in ("prgate", "prgate as CGI (Apache)"))
        print(f"FastCGI to CGI at {clients}: {fast / cgi:.1f}")


def print_costs(costs):
    print("\nper delivery, from the door to its decision, which a dry run makes:")
    for clients, of in costs.items():
        taken = of["taken"]
        print(f"  {clients:2} client{'s' * (clients > 1)}: {of['commits'] / taken:.2f} commits, "
              f"{of['retries'] / taken:.2f} transactions run again, {of['syncs'] / taken:.2f} fdatasync "
              f"({taken} deliveries of {PULLS} pull requests)")


def main():
    rates, costs, size = bench_nginx()
    rates["prgate as CGI (Apache)"] = bench_cgi()
    print(f"{os.cpu_count()} processors, {PROCESSES} processes of 4 accepting threads, payloads of {size} bytes")
    print_rates(rates)
    print_costs(costs)


main()
