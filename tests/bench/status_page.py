"""(h) The status page of 10,000 pull requests."""
import subprocess
import time

from figures import Row, percentile
from load import BUILD, BenchNginx, running
from workspace import as_server_user

PULLS = 10_000
TIMES = 20
PATHS = {"the status page": "/status", "the same as JSON": "/status.json", "the metrics": "/metrics"}


def seed(workspace):
    program = workspace.bin / "seed"
    program.write_bytes((BUILD / "web/seed").read_bytes())
    program.chmod(0o755)
    subprocess.run([program, workspace.conf, str(PULLS)], check=True, **as_server_user())


def measure(site, path):
    """(milliseconds of each, bytes)"""
    times = []
    for _ in range(TIMES):
        start = time.monotonic()
        reply = site.server.request("GET", path)
        times.append((time.monotonic() - start) * 1000)
        assert reply.status == 200, reply
    return times, len(reply.body)


def run(facts):
    rows = []
    with running(BenchNginx, prepare=seed) as site:
        base = None
        for name, path in {"a look at the health": "/healthz", **PATHS}.items():
            times, size = measure(site, path)
            middle = percentile(times, 0.5)
            base = base or middle
            rows.append(Row("h", f"{name}, {PULLS:,} pull requests", f"median {middle:.1f} ms, longest {max(times):.1f} ms, "
                            f"{size:,} bytes", middle, "ms").compared(base, "/healthz"))
    return rows
