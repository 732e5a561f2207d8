"""(g) The instructions of a delivery, by phase, under callgrind: what `make bench-guard` counts."""
import json
import subprocess
import sys

from figures import Row
from load import BUILD, HERE


def count():
    """What guard.py leaves; that it may find a phase to have grown is its own matter."""
    left = BUILD / "guard.json"
    left.unlink(missing_ok=True)
    ran = subprocess.run([sys.executable, HERE / "guard.py", BUILD], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                         check=False, text=True)
    if not left.exists():
        raise RuntimeError(f"guard.py: {ran.stdout[-500:]}")
    return json.loads(left.read_text())


def run(facts):
    found = count()
    counts, kept = found["instructions"], found["kept"]
    phases = {name: many for name, many in counts.items() if name != "page"}
    total = sum(phases.values())
    rows = [Row("g", f"instructions of a delivery: {name}", f"{many:,}", many).compared(total, "all of them")
            for name, many in phases.items()]
    before = sum(kept.get(name, 0) for name in phases)
    rows.append(Row("g", "instructions of a delivery, all phases", f"{total:,}", total).compared(before, "those kept"))
    return rows
