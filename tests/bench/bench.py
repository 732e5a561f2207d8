#!/usr/bin/python3
"""bench.py: how fast and how small prgate is, in one table from one run on one machine.

Called by `make bench`. Prints the table and writes it to build/bench.md, and with it all figures to build/bench.json.
BENCH_ROWS: only these groups, such as "ae", p being the peers; BENCH_S: seconds for each measurement of a rate (3);
BENCH_SHORT=1: no store of a million pull requests, which takes minutes; BENCH_PROCESSES: of the pool (4).

Clients, web server, pool, simulator and disk share this machine, so that figures of different machines or days say
little: the ratios of one run do. Nothing fails because a machine is slow; what cannot be measured is named in its row.
"""
import os
import pathlib
import platform
import sys
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path[1:1] = [str(HERE.parent), str(HERE.parent / "integration")]

import acks
import beside
import cgi_mode
import growing
import instructions
import killed
import latency
import progress
import status_page
from figures import Row, as_json, markdown, plain
from load import BUILD, SECONDS

# In the order of their running.
SECTIONS = {"ad": acks, "p": beside, "b": latency, "c": progress, "e": cgi_mode, "i": killed, "h": status_page,
            "g": instructions, "f": growing}


def chosen():
    letters = os.environ.get("BENCH_ROWS", "".join(SECTIONS))
    return {name: section for name, section in SECTIONS.items() if set(name) & set(letters)}


def measure(sections):
    """The rows, and whether all sections came to their end. Later ones compare with what earlier ones left in `facts`."""
    facts, rows, whole = {}, [], True
    for name, section in sections.items():
        print(f"bench: {section.__doc__.splitlines()[0]}", file=sys.stderr, flush=True)
        try:
            rows += section.run(facts)
        except Exception as problem:
            traceback.print_exc()
            whole = False
            rows.append(Row(name[0], section.__name__, f"failed: {type(problem).__name__}"))
    return rows, whole


def machine():
    names = [line.partition(":")[2].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
             if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    load = os.getloadavg()[0]
    return (f"{os.cpu_count()} processors ({names[0] if names else platform.machine()}), {memory:.0f} GiB, "
            f"Linux {platform.release().partition('-')[0]}, load average at the start {load:.1f}; "
            f"{SECONDS:g} s for each rate; {time.strftime('%Y-%m-%d', time.gmtime())}")


def main():
    where = machine()
    rows, whole = measure(chosen())
    rows.sort(key=lambda row: row.group)
    BUILD.mkdir(exist_ok=True)
    text = f"{where}.\n\n{markdown(rows)}"
    (BUILD / "bench.md").write_text(text)
    (BUILD / "bench.json").write_text(as_json(where, rows))
    print(f"{where}\n\n{plain(rows)}", end="")
    return 0 if whole else 1


if __name__ == "__main__":
    sys.exit(main())
