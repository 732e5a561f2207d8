"""What the members of a pool hold of memory, in all. RSS counts a page that members share (the program, libraries, the
store's regions) once for each of them, PSS once. At most: the sum of each member's own peak, which all need not have had
at the same moment."""
import dataclasses
import pathlib
import time

from overload import Members
from processes import wait_until

LOOK_S, LOOKS = 0.3, 20  # until two looks in a row find the same


@dataclasses.dataclass
class Memory:
    rss: float  # MiB
    pss: float | None = None

    @property
    def text(self):
        shared = f", {self.pss:.1f} MiB PSS" if self.pss is not None else ""
        return f"{self.rss:.1f} MiB RSS{shared}"


def fields(pid, file):
    lines = pathlib.Path(f"/proc/{pid}/{file}").read_text().splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def mib(text):
    return int(text.split()[0]) / 1024


class PoolMemory:
    def __init__(self, workspace, processes):
        self.members, self.processes = Members(workspace), processes

    def _pids(self):
        """Of all members, once what they hold does not change any more."""
        wait_until(lambda: len(self.members.pids()) == self.processes, 30, "all members there")
        pids, before = self.members.pids(), None
        for _ in range(LOOKS):
            now = [fields(pid, "status")["VmRSS"] for pid in pids]
            if now == before:
                break
            before = now
            time.sleep(LOOK_S)
        return pids

    def at_rest(self):
        pids = self._pids()
        return Memory(sum(mib(fields(pid, "status")["VmRSS"]) for pid in pids),
                      sum(mib(fields(pid, "smaps_rollup")["Pss"]) for pid in pids))

    def at_most(self):
        return Memory(sum(mib(fields(pid, "status")["VmHWM"]) for pid in self._pids()))
