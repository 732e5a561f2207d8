"""Child processes that do not outlive the tests, ports, and waiting."""
import contextlib
import ctypes
import os
import pathlib
import signal
import socket
import subprocess
import time

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


class Died(Exception):
    """A server ended by itself; the text holds the end of its log."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(true, timeout, what):
    """Polls until `true()` is; its value."""
    end = time.monotonic() + timeout
    pause = 0.002
    while True:
        value = true()
        if value:
            return value
        if time.monotonic() > end:
            raise TimeoutError(f"after {timeout} s not: {what() if callable(what) else what}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)


class Process:
    """A server in a process group of its own: stop() ends it and all its children.

    Not in a session: Linux shares processors among sessions first, and a priority counts within one only.
    """

    def __init__(self, command, log, env=None, cwd=None):
        self.log = pathlib.Path(log)
        self.command = [str(part) for part in command]
        with self.log.open("ab") as output:
            self.child = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                          env={**os.environ, **(env or {})}, cwd=cwd, preexec_fn=_become_leader)

    @property
    def pid(self):
        return self.child.pid

    def alive(self):
        return self.child.poll() is None

    def wait_ready(self, ready, timeout=10):
        def ready_or_dead():
            if not self.alive():
                raise Died(f"{self.command[0]} ended with {self.child.returncode}:\n{self.tail()}")
            return ready()
        wait_until(ready_or_dead, timeout, f"{self.command[0]} ready")

    def tail(self, size=4000):
        return self.log.read_text(errors="replace")[-size:]

    def stop(self, timeout=5):
        """SIGTERM to the leader, then SIGKILL to whatever is left of its group."""
        if self.alive():
            self.child.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.child.wait(timeout)
        self.kill()

    def kill(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.child.pid, signal.SIGKILL)
        self.child.wait()


def _become_leader():
    os.setpgid(0, 0)
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def accepts(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def running_below(directory):
    """Ids of the processes whose program lies there: children that detached themselves are found so.

    prgate hides its environment; whose program it is the kernel tells only root, the command line everybody.
    """
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        for tell in (lambda: (entry / "cmdline").read_bytes().split(b"\0")[0].decode(errors="replace"),
                     lambda: os.readlink(entry / "exe")):
            with contextlib.suppress(OSError):
                if pathlib.Path(tell()).is_relative_to(directory):
                    found.append(int(entry.name))
                    break
    return found


def end_all_running_below(directory):
    for _ in range(3):  # one may fork while its parent is being ended
        for pid in running_below(directory):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
