"""The named points of tests/preload/points.c: where a process of the pool is to die, and how often one did."""
import mmap
import pathlib
import struct

from processes import wait_until

SLOT = struct.Struct("=28sIIIQ")  # name, hang, armed, kills, passes: struct slot there
HANG_AT = 28
SIZE = 4096


def make_file(path):
    pathlib.Path(path).write_bytes(bytes(SIZE))


class Points:
    """A view of the file that the pool's processes map, too; the first of them writes the names."""

    def __init__(self, path):
        with open(path, "r+b") as file:
            self._map = mmap.mmap(file.fileno(), SIZE)

    def wait(self):
        """Until the first process has started."""
        wait_until(lambda: self.names, 10, "names of the points")
        return self

    def _slots(self):
        for at in range(0, SIZE - SLOT.size, SLOT.size):
            name, _, armed, kills, passes = SLOT.unpack_from(self._map, at)
            if not name.rstrip(b"\0"):
                return
            yield at, name.rstrip(b"\0").decode(), armed, kills, passes

    @property
    def names(self):
        return [name for _, name, _, _, _ in self._slots()]

    @property
    def kills(self):
        return {name: kills for _, name, _, kills, _ in self._slots()}

    @property
    def passes(self):
        return {name: passes for _, name, _, _, passes in self._slots()}

    def is_armed(self, name):
        return any(armed for _, one, armed, _, _ in self._slots() if one == name)

    def arm(self, name, n=1, hang=False):
        """Whoever is the n-th to pass there dies, or else stays there for ever. 0: nobody."""
        at = next(at for at, one, _, _, _ in self._slots() if one == name)
        struct.pack_into("=II", self._map, at + HANG_AT, hang, n)

    def disarm(self):
        for name in self.names:
            self.arm(name, 0)

    def table(self):
        lines = [f"{'point':<28}{'passed':>10}{'kills':>7}"]
        lines += [f"{name:<28}{passes:>10}{kills:>7}" for _, name, _, kills, passes in self._slots()]
        return "\n".join(lines)
