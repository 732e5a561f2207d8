"""prgate under load: a pool behind the example's nginx, with what it is compared to beside it, and wrk in front."""
import contextlib
import json
import os
import pathlib
import shutil
import struct
import subprocess

from gate_site import Site, signature
from overload import payload
from processes import Process, wait_until
from servers import ApacheCgi, Pool4Nginx
from workspace import BUILD, Workspace, give_away

HERE = pathlib.Path(__file__).resolve().parent
SECONDS = float(os.environ.get("BENCH_S", "3"))
TIMES = 3  # what comes close to its target is measured so often, for the median
PULLS = 64
IDLE_S = 600
PROCESSES = int(os.environ.get("BENCH_PROCESSES", Pool4Nginx.processes))
PROGRAMS = ("null_responder", "null_cgi", "count_syncs.so")


class BenchWorkspace(Workspace):
    """In a dry run without GitHub, unless one is named; and with a count of what is synced to disk."""

    def __init__(self, api=None):
        if api is None:
            super().__init__("http://127.0.0.1:1", "none", extra="dry_run = true\n")
        else:
            super().__init__(api, "token", timeout=20)
        self.conf.write_text(self.conf.read_text().replace('log_level = "debug"', 'log_level = "error"'))
        for name in PROGRAMS:
            shutil.copy(BUILD / "bench" / name, self.bin)
            (self.bin / name).chmod(0o755)
        self.syncs_file = self.dir / "syncs"
        self.syncs_file.write_bytes(bytes(8))
        give_away(self.syncs_file)

    def environment(self):
        return {**super().environment(), "LD_PRELOAD": str(self.bin / "count_syncs.so"),
                "COUNT_SYNCS": str(self.syncs_file)}

    def syncs(self):
        return struct.unpack("=Q", self.syncs_file.read_bytes())[0]


class BenchNginx(Pool4Nginx):
    """The example, with more locations to compare with."""
    processes = PROCESSES

    def start(self):
        self.null_socket = self.workspace.dir / "null.sock"
        command = ["spawn-fcgi", "-n", "-s", self.null_socket, "-M", "666", "-b", "1024", "--",
                   "/usr/bin/multiwatch", "-f", PROCESSES, "--", self.workspace.bin / "null_responder"]
        self.null = Process(command, self.workspace.dir / "null.log")
        self.null.wait_ready(self.null_socket.exists)
        super().start()

    def write(self, name, text):
        for place, more in {"        location / {\n": self.locations(), "    server {\n": self.upstreams()}.items():
            assert place in text
            text = text.replace(place, more + place)
        return super().write(name, text)

    def locations(self):
        return (f"        location = /bench/nginx {{ return 202 '{{}}\\n'; }}\n"
                f"        location = /bench/null {{ fastcgi_pass unix:{self.null_socket}; }}\n")

    def upstreams(self):
        return ""

    def stop(self):
        super().stop()
        self.null.stop()


class BenchApache(ApacheCgi):
    """The example, with a program beside prgate that does nothing."""

    def example(self):
        place = "    ScriptAlias / "
        text = super().example()
        assert place in text
        return text.replace(place, f"    ScriptAlias /bench/null {self.workspace.bin}/null_cgi\n{place}")


@contextlib.contextmanager
def running(server, api=None, sim=None, prepare=None, **attributes):
    """`prepare`: is given the workspace before anything runs in it."""
    workspace = BenchWorkspace(api)
    vars(workspace).update(attributes)
    try:
        if prepare:
            prepare(workspace)
        site = Site(server, workspace, sim)
        try:
            yield site
        finally:
            site.stop()
    finally:
        workspace.remove()


def quote(text):
    """As a Lua string; the payloads hold no such bracket."""
    assert "]==]" not in text
    return f"[==[{text}]==]"


def payloads():
    return [payload(one) for one in range(1, PULLS + 1)]


def write_requests(directory, name, bodies, sign=signature):
    """For deliver.lua; the file."""
    path = directory / name
    path.write_text("return {\n" + "".join(f"{{{quote(sign(one))}, {quote(one.decode())}}},\n" for one in bodies) + "}\n")
    return path


class Wrk:
    """Each run's deliveries have ids of their own."""
    runs = 0

    def __init__(self, requests, port):
        self.requests, self.port = requests, port

    def start(self, path, clients, seconds=SECONDS):
        Wrk.runs += 1
        command = ["wrk", "-t", "1", "-c", str(clients), "-d", f"{max(1, round(seconds))}s", "--timeout", "20s",
                   "-s", HERE / "deliver.lua", f"http://127.0.0.1:{self.port}{path}"]
        environment = {**os.environ, "BENCH_REQUESTS": str(self.requests), "BENCH_RUN": f"bench-{Wrk.runs}"}
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)

    @staticmethod
    def result(child):
        """What deliver.lua prints, and the rate of what was accepted."""
        output, _ = child.communicate()
        if child.returncode != 0:
            raise subprocess.CalledProcessError(child.returncode, "wrk")
        found = json.loads(output.strip().splitlines()[-1])
        assert found["lost"] == 0 and found["requests"] > 0, found
        return {**found, "rate": (found["requests"] - found["refused"]) / found["seconds"]}

    def measure(self, path, clients, seconds=SECONDS):
        return self.result(self.start(path, clients, seconds))


def middle(found):
    """The one of the median rate."""
    return sorted(found, key=lambda one: one["rate"])[len(found) // 2]


def wait_idle(site):
    wait_until(lambda: site.health()["waiting"] == 0, IDLE_S, lambda: f"idle: {site.health()}")


def told(found):
    """A rate with its percentiles."""
    refused = f", and {found['refused']} not" if found["refused"] else ""
    return f"{found['rate']:,.0f}/s, p50 {found['p50_ms']:.2f} ms, p99 {found['p99_ms']:.1f} ms{refused}"
