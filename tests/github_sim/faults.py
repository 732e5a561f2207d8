"""What goes wrong on demand.

A fault names the calls that it hits ("POST /repos/*/dispatches", shell wildcards), how many
it lets pass first (`skip`) and how many it hits (`count`, -1 = all), and what then happens:

    latency_ms, jitter_ms   the answer takes longer
    stale_ms                a read shows what was so long ago
    status                  that status instead of an answer; with "after": true the call
                            has taken effect all the same
    rate_limit, seconds     "secondary" (403, retry-after), "429" (with retry-after) or
                            "exhausted" (403, remaining 0, reset); all calls that it matches
                            are refused until the time is over, and whoever repeats a
                            refused one before is recorded as a violation
    hang                    no answer until the caller or the test gives up
    hold                    no answer until so many calls wait for theirs, or the faults are cleared; then all have it
    drop                    "before" or "after" it takes effect the connection is closed
"""
import asyncio
import fnmatch
import math
import re
import time

from .reply import Refusal, Reply

SECONDARY = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
EXHAUSTED = "API rate limit exceeded."
CROSSING_S = 0.1  # two workers may ask the same, the one before the other's refusal has got about


class Fault:
    def __init__(self, id_, route, count=1, skip=0, latency_ms=0, jitter_ms=0, stale_ms=0, status=None, after=False,
                 rate_limit=None, seconds=1, hang=False, drop=None, hold=0):
        self.id, self.route, self.count, self.skip = id_, route, count, skip
        self.latency, self.jitter, self.stale = latency_ms / 1000, jitter_ms / 1000, stale_ms / 1000
        self.status, self.after, self.rate_limit, self.seconds = status, after, rate_limit, seconds
        self.hang, self.drop = hang, drop
        self.hits = 0
        self.hold, self._held, self._all_there = hold, 0, asyncio.Event()
        self.until = None
        self._pattern = re.compile(fnmatch.translate(route))

    def matches(self, call):
        return self._pattern.match(f"{call.method} {call.path}") is not None

    def take(self):
        """Does it hit this call, the next one that matches?"""
        if self.until is not None:
            return time.time() < self.until
        if self.count == 0:
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        self.count -= self.count > 0
        self.hits += 1
        if self.rate_limit:
            self.until = math.ceil(time.time() + self.seconds)
        return True

    async def hold_back(self):
        self._held += 1
        if self._held >= self.hold:
            self.let_go()
        await self._all_there.wait()

    def let_go(self):
        self._all_there.set()

    @property
    def ends_the_call(self):
        return bool(self.status or self.rate_limit or self.hang or self.drop)

    def refusal(self):
        if self.rate_limit is None:
            return Refusal(self.status, f"Simulated {self.status}")
        left = str(max(1, math.ceil(self.until - time.time())))
        if self.rate_limit == "exhausted":
            return Refusal(403, EXHAUSTED, headers={"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(self.until)})
        return Refusal(429 if self.rate_limit == "429" else 403, SECONDARY, headers={"Retry-After": left})


class Plan:
    """What is to go wrong with one call."""
    __slots__ = ("latency", "stale", "end", "hold")

    def __init__(self):
        self.latency = self.stale = 0.0
        self.end = self.hold = None


NOTHING = Plan()


class Faults:
    def __init__(self, random):
        self.random = random
        self.clear()

    def clear(self):
        for fault in getattr(self, "faults", []):
            fault.let_go()
        self.faults = []
        self.latency = self.jitter = 0.0
        self._refused = {}
        self._released = getattr(self, "_released", None) or asyncio.Event()
        self._released.set()
        self._released = asyncio.Event()

    def add(self, **fault):
        self.faults.append(Fault(len(self.faults), **fault))
        return self.faults[-1].id

    def plan(self, call):
        if not self.faults and not self.latency:
            return NOTHING
        plan = Plan()
        plan.latency = self._with_jitter(self.latency, self.jitter)
        for fault in self.faults:
            if fault.matches(call) and not (fault.ends_the_call and plan.end) and fault.take():
                plan.latency += self._with_jitter(fault.latency, fault.jitter)
                plan.stale = max(plan.stale, fault.stale)
                plan.end = fault if fault.ends_the_call else plan.end
                plan.hold = fault if fault.hold else plan.hold
        return plan

    def _with_jitter(self, latency, jitter):
        return latency + self.random.random() * jitter if jitter else latency

    def refuse(self, fault, call, journal):
        """The reply instead of GitHub's; notes who does not wait as told."""
        refusal = fault.refusal()
        if fault.rate_limit:
            what = (call.method, call.path, str(call.body))
            until, refused_at = self._refused.get(what, (None, 0))
            if until == fault.until and call.start > refused_at + CROSSING_S:
                journal.violation("hammer", f"repeated before the rate limit ended ({fault.rate_limit})", call)
            if until != fault.until:
                self._refused[what] = (fault.until, time.monotonic())
        return Reply(refusal.status, refusal.body, refusal.headers)

    async def hang(self, gone):
        """Until the caller has gone or the faults are cleared."""
        released = asyncio.ensure_future(self._released.wait())
        gone = asyncio.ensure_future(gone.wait())
        await asyncio.wait([released, gone], return_when=asyncio.FIRST_COMPLETED)
        released.cancel()
        gone.cancel()
