#!/usr/bin/python3
"""guard.py [--update] BUILD: the instructions that a delivery costs, by phase, against tests/bench/guard-counts.json.

Called by `make bench-guard` and `make bench-guard-update`. Runs BUILD/bench/guard under callgrind, prints a table, leaves
it in BUILD/guard.json, and fails if a phase has grown by more than a tenth. What libraries choose by the processor is
pinned to what each x86-64 has, so that the counts of one machine hold on another with the same Debian.
"""
import collections
import concurrent.futures
import json
import os
import pathlib
import platform
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
PAYLOADS = HERE.parent / "payloads"
KEPT = HERE / "guard-counts.json"
GROWTH = 1.10
ROUNDS = 10  # guard.c's, with those that are not counted

# Each phase: functions whose instructions, with all that they call, are added and taken off.
PHASES = {
    "door": ("guard_deliver", "-signature_check", "-event_parse", "-inbox_begin", "-inbox_run", "-inbox_end"),
    "signature": ("signature_check",),
    "parse": ("event_parse",),
    "store": ("inbox_begin", "inbox_run", "inbox_end"),
    "learn": ("trust_learn",),
    "decide": ("guard_drain", "-trust_learn", "-act_perform"),
    "act": ("act_perform",),
    "page": ("guard_page",),
}

# The plain x86-64 code of libcrypto, glibc without what only some processors have or prefer, and an allocator without the
# occasional tidying up, which would be put down to whichever phase it falls to.
FEATURES = """AVX AVX2 AVX512F AVX512VL AVX512BW BMI1 BMI2 ERMS FSRM LZCNT MOVBE POPCNT RTM SSSE3 SSE4_1 SSE4_2 XSAVEC
    AVX_Fast_Unaligned_Load Fast_Copy_Backward Fast_Rep_String Fast_Unaligned_Copy Fast_Unaligned_Load Prefer_FSRM
    Prefer_No_VZEROUPPER Prefer_PMINUB_for_stringop Slow_BSF Slow_SSE4_2"""
TUNABLES = {"cpu.hwcaps": ",".join(f"-{name}" for name in FEATURES.split()), "malloc.mxfast": 0,
            "malloc.mmap_threshold": 1 << 20, "malloc.trim_threshold": 1 << 30}
PINNED = {"OPENSSL_ia32cap": "0:0", "LC_ALL": "C", "TZ": "UTC", "PATH": os.environ["PATH"],
          "GLIBC_TUNABLES": ":".join(f"glibc.{name}={value}" for name, value in TUNABLES.items())}

CONF = """state_dir = "{dir}/state"
webhook_secret_file = "{dir}/secret"
public_url = "https://prgate.example"
redeliver_interval = 0
reconcile_interval = 0
github {{ app_id = 5 private_key_file = "{dir}/app.pem" }}
repo "turning-widgets/rotor" {{ trusted_users = {{"mara-lind"}} }}
"""


def fail(text):
    sys.exit(f"guard: {text}")


def write(path, text):
    path.write_text(text)
    path.chmod(0o600)


def numbered(name, number):
    """A payload of a pull request of its own, as long as any other."""
    payload = json.loads((PAYLOADS / name).read_text())
    pull = payload["pull_request"]
    payload["number"] = pull["number"] = number
    pull["head"]["sha"] = f"{number:040x}"
    return payload


def prepare(directory, rounds):
    write(directory / "prgate.conf", CONF.format(dir=directory))
    write(directory / "secret", "It's a Secret to Everybody\n")
    subprocess.run(["openssl", "genrsa", "-out", directory / "app.pem", "2048"], check=True, stderr=subprocess.DEVNULL)
    for one in range(rounds):
        made = {"opened": numbered("opened_fork.json", 1000 + one), "labeled": numbered("labeled_gate.json", 1000 + one),
                "trusted": numbered("opened_member.json", 2000 + one)}
        # Once it is labelled, GitHub shows it so; before, nothing asks.
        shown = {"pull": made["labeled"]["pull_request"], "trusted_pull": made["trusted"]["pull_request"]}
        for name, value in {**made, **shown}.items():
            write(directory / f"{one}.{name}.json", json.dumps(value, separators=(",", ":")))


def inclusive(lines):
    """{function: instructions with all that it calls} of a callgrind file. Each name is spelled out once, by its number."""
    names, found, called = {}, collections.Counter(), None
    for line in lines:
        match = re.match(r"(c?)fn=(\(\d+\)) ?(.*)", line)
        if match:
            is_callee, key, name = match.groups()
            names.setdefault(key, name)
            called = key if is_callee else called
        elif line.startswith("calls="):
            found[called] += int(next(lines).split()[1])
    return {names[key]: count for key, count in found.items()}


def measure(build, run):
    """Functions and their instructions, and of how many deliveries and pages."""
    with tempfile.TemporaryDirectory(prefix="prgate-guard-") as name:
        directory = pathlib.Path(name)
        prepare(directory, ROUNDS)
        out = build / f"callgrind.guard.{run}"
        ran = subprocess.run(["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={out}",
                              "--toggle-collect=guard_measured", build / "bench" / "guard", directory],
                             env=PINNED, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        if ran.returncode != 0:
            fail(f"it did not run through:\n{ran.stderr[-2000:]}")
    with open(out, encoding="utf-8") as lines:
        return inclusive(lines), *map(int, ran.stdout.split())


def measure_twice(build):
    """The lower of each; how far they are apart says what the counts are worth."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        first, second = (by_phase(*of) for of in pool.map(lambda run: measure(build, run), (1, 2)))
    spread = max(abs(first[phase] / second[phase] - 1) for phase in PHASES)
    return {phase: min(first[phase], second[phase]) for phase in PHASES}, spread


def by_phase(found, deliveries, pages):
    """What one delivery costs on average, and one page."""
    counts = {}
    for phase, functions in PHASES.items():
        total = 0
        for function in functions:
            name = function.lstrip("-")
            if name not in found:
                fail(f"{name}() was not called, or is not to be seen: are the programs built with other CFLAGS?")
            total += -found[name] if function.startswith("-") else found[name]
        counts[phase] = round(total / (pages if phase == "page" else deliveries))
    return counts


def made_with():
    def first(*command):
        return subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout.splitlines()[0]
    return {"machine": platform.machine(), "compiler": first("gcc", "--version"), "libc": first("ldd", "--version")}


def compare(counts, kept):
    """Prints the table; the phases that have grown."""
    grown = []
    print(f"{'phase':10} {'instructions':>13} {'kept':>13} {'ratio':>7}")
    for phase, count in counts.items():
        before = kept.get(phase)
        ratio = count / before if before else 0
        print(f"{phase:10} {count:13,} {before or 0:13,} {ratio:7.3f}")
        if before is None or ratio > GROWTH:
            grown.append(f"{phase}: got {count:,}, want {before or 0:,} and at most a tenth more")
        elif ratio < 1 / GROWTH:
            print(f"{phase} costs less now: keep it that way with `make bench-guard-update`")
    return grown


def main():
    update, build = "--update" in sys.argv, pathlib.Path(sys.argv[-1]).resolve()
    tools = made_with()
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {"instructions": {}, "made_with": tools}
    counts, spread = measure_twice(build)
    (build / "guard.json").write_text(json.dumps({"instructions": counts, "kept": kept["instructions"],
                                                  "spread": spread, "made_with": tools}))
    grown = compare(counts, kept["instructions"])
    print(f"two runs differed by {100 * spread:.2f} % at most")
    if update:
        KEPT.write_text(json.dumps({"made_with": tools, "instructions": counts}, indent=2) + "\n")
        print(f"kept in {KEPT.relative_to(HERE.parent.parent)}")
    elif tools["machine"] != kept["made_with"]["machine"]:
        print(f"not compared: those kept are of {kept['made_with']['machine']}, this machine is {tools['machine']}")
    elif grown:
        print("\n".join(f"FAILED: {line}" for line in grown))
        for name, value in kept["made_with"].items():
            if tools[name] != value:
                print(f"kept with {name} {value}, counted with {tools[name]}")
        fail("a delivery costs more than before. callgrind_annotate build/callgrind.guard.1 shows where. If that is worth it, "
             "say why in the commit, after `make bench-guard-update`")
    else:
        print("guard: fine")


main()
