"""A test's handle on a simulator in a process of its own.

    with client.start() as sim:
        sim.repo(full_name="acme/rocket", installation=1)
        opened, = sim.open(repo="acme/rocket", author="ann")
        assert sim.violations() == []

Every operation of control.py is a method.
"""
import ctypes
import http.client
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading

PR_SET_PDEATHSIG = 1


class SimError(Exception):
    """The simulator did not do as told."""


class Sim:
    def __init__(self, process, url):
        self.process, self.url = process, url
        self._local = threading.local()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.process.kill()
        self.process.wait()

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda **arguments: self.do(name, arguments)

    def batch(self, steps):
        """[(name, arguments), ...] in one go; the list of results."""
        return self.do("batch", steps)

    def do(self, name, arguments):
        connection = self._connection()
        try:
            connection.request("POST", f"/_sim/{name}", json.dumps(arguments))
            reply = connection.getresponse()
            body = json.loads(reply.read())
        except Exception:
            self._local.connection = None
            raise
        if reply.status != 200:
            raise SimError(body["message"])
        return body

    def _connection(self):
        connection = getattr(self._local, "connection", None)
        if connection is None:
            host = self.url.removeprefix("http://")
            connection = self._local.connection = http.client.HTTPConnection(host, timeout=30)
        return connection


def start():
    """Starts a simulator on a free port; it dies with its parent."""
    tests = pathlib.Path(__file__).resolve().parent.parent
    libc = ctypes.CDLL(None)
    process = subprocess.Popen([sys.executable, "-m", "github_sim"], cwd=tests, stdout=subprocess.PIPE, text=True,
                               env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"},
                               preexec_fn=lambda: libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL))
    url = process.stdout.readline().strip()
    if not url:
        process.kill()
        raise SimError("the simulator did not start")
    return Sim(process, url)
