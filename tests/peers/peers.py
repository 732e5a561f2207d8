#!/usr/bin/python3
"""Holds prgate against what GitHub has published: its webhooks' payloads, and the description of its REST API.

    peers.py [replay] [calls]      both, if none is named

Prints what failed, a summary of each, and as the last line "N passed, N failed".
"""
import pathlib
import sys
import time

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[1:1] = [str(TESTS), str(TESTS / "integration")]

import calls
import replay

CHECKS = {"replay": replay.check, "calls": calls.check}


class Report:
    def __init__(self):
        self.passed = self.failed = 0

    def __call__(self, what, wrong):
        """`wrong` is empty, or what was wrong."""
        if wrong:
            self.failed += 1
            print(f"  FAILED {what}: {wrong}", flush=True)
        else:
            self.passed += 1


def main(names):
    total = Report()
    for name in names or CHECKS:
        print(f"{name}: {CHECKS[name].__globals__['__doc__'].splitlines()[0]}", flush=True)
        report = Report()
        started = time.monotonic()
        try:
            CHECKS[name](report)
        except Exception as problem:
            report("to the end", f"{type(problem).__name__}: {problem}")
        print(f"  {report.passed} right, {report.failed} wrong, {time.monotonic() - started:.0f} s", flush=True)
        total.passed += report.passed
        total.failed += report.failed
    print(f"{total.passed} passed, {total.failed} failed")
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
