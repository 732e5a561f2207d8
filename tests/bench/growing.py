"""(f) What one delivery costs in a store of many pull requests: tests/bench/growth.c, without the disk's sync."""
import os
import subprocess

from figures import Row, at_most, unknown
from load import BUILD

SIZES = (1000, 100_000) if os.environ.get("BENCH_SHORT") else (1000, 100_000, 1_000_000)
LIMIT = 1.5
FIELDS = ("pulls", "deliveries", "pr_mb", "seen_mb", "ledger_mb", "tables_mb", "log_mb", "us", "looks", "page_ms")


def parse(output):
    """{pull requests: its line's fields} of what growth prints."""
    found = {}
    for line in output.splitlines():
        words = line.split()
        if len(words) == len(FIELDS) and words[0].isdigit():
            found[int(words[0])] = dict(zip(FIELDS, map(float, words)))
    return found


def row(size, found, first):
    one = found[size]
    made = Row("f", f"one delivery among {size:,} pull requests, without syncing",
               f"{one['us']:.0f} µs, tables of {one['tables_mb']:,.0f} MB", one["us"], "µs").compared(
                   found[first]["us"], f"{first:,} pull requests")
    if size == 1_000_000:
        made.aimed(at_most(made.ratio, LIMIT, f"≤ {LIMIT} × that at {first:,}"))
    return made


def run(facts):
    command = [BUILD / "bench/growth", *map(str, SIZES)]
    ran = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    found = parse(ran.stdout)
    rows = [row(size, found, SIZES[0]) for size in SIZES]
    if 1_000_000 not in SIZES:
        rows.append(Row("f", "one delivery among 1,000,000 pull requests", "left out of a short run").aimed(
            unknown(f"≤ {LIMIT} × that at {SIZES[0]:,}", "left out")))
    return rows
