"""Every call that came in, what it was about, which overlapped, and what was wrong with it."""
import collections
import time

LOST_GRACE_S = 0.1  # a caller that gave up and calls again: its going and its coming race


class Call:
    __slots__ = ("index", "method", "path", "body", "pr", "start", "end", "status", "lost", "fault")

    def __init__(self, index, method, path):
        self.index, self.method, self.path = index, method, path
        self.body = self.pr = self.end = self.status = self.fault = None
        self.lost = False
        self.start = time.monotonic()

    def json(self):
        return {name: getattr(self, name) for name in self.__slots__}

    def __str__(self):
        return f"{self.method} {self.path}"


class Journal:
    def __init__(self):
        self._in_flight = collections.defaultdict(list)
        self._count = 0
        self.clear()

    def clear(self):
        """Forgets; calls that are under way stay so."""
        self.calls = []
        self.violations = []
        self.overlapping = []  # pairs of calls
        self.most_in_flight = self._count

    def begin(self, method, path):
        call = Call(len(self.calls), method, path)
        self.calls.append(call)
        return call

    def enter(self, call, body, pr):
        """The call is understood: from here to leave() it is in flight for its pull request."""
        call.body, call.pr = body, pr
        self._count += 1
        self.most_in_flight = max(self.most_in_flight, self._count)
        if pr is None:
            return
        others = self._in_flight[pr]
        self.overlapping += [(other, call) for other in others]
        others.append(call)

    def leave(self, call, status=None, lost=False):
        if call.end is not None:
            return
        call.end, call.status, call.lost = time.monotonic(), status, lost
        self._count -= 1
        if call.pr is not None:
            self._in_flight[call.pr].remove(call)

    def overlaps(self):
        """Pairs of calls for one pull request that were under way at the same time."""
        return [(first, second) for first, second in self.overlapping
                if not (first.lost and first.end - second.start < LOST_GRACE_S)]

    def violation(self, kind, text, call):
        self.violations.append({"kind": kind, "text": text, "call": f"#{call.index} {call}", "body": call.body})
