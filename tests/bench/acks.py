"""(a) Acknowledged deliveries, with ceilings beside them; (d) what the pool of four needs for that."""
import os
import subprocess
import tempfile
import time

from figures import Row, Target, at_least, at_most, lower_of, number, unknown
from gate_site import signature
from load import BUILD, PROCESSES, SECONDS, TIMES, BenchNginx, Wrk, middle, payloads, running, told, wait_idle, write_requests
from memory import PoolMemory

CLIENTS = (1, 16, 128)
TARGET_CLIENTS = 16
SYNC_MS = 0.2
IDLE_MIB, LOAD_MIB = 24, 64
NULL = "the null responder"


def forged(body):
    return signature(body, "not the secret")


def clients_of(count):
    return f"{count} client" + "s" * (count > 1)


# ---- the disk -----------------------------------------------------------------------------

def disk_rate(writers):
    with tempfile.NamedTemporaryFile(prefix="prgate-bench-") as file:
        ran = subprocess.run([BUILD / "bench/disk", file.name, str(SECONDS), str(writers)], check=True,
                             stdout=subprocess.PIPE, text=True)
    return float(ran.stdout)


def disk_rows(facts):
    rows = []
    for writers in (1, 16):
        rate = facts[f"disk_{writers}"] = disk_rate(writers)
        each = f", {1000 / rate:.2f} ms each" if writers == 1 else ""
        rows.append(Row("a", f"fdatasync of an append, {writers} writer" + "s" * (writers > 1), f"{rate:,.0f}/s{each}",
                        rate, "/s").compared(facts["disk_1"], "one writer"))
    return rows


# ---- acknowledging --------------------------------------------------------------------------

def counts(site):
    """Once everything is decided, and each member has told its counts."""
    wait_idle(site)
    time.sleep(2)
    _, metrics = site.get("/metrics.json")
    return {"taken": metrics['prgate_deliveries_total{event="pull_request",outcome="taken"}'],
            "commits": metrics['prgate_store_transactions_total{outcome="committed"}'],
            "again": metrics['prgate_store_transactions_total{outcome="retried"}'],
            "syncs": site.workspace.syncs()}


def rate_row(what, clients, found, null):
    return Row("a", f"{what}, {clients_of(clients)}", told(found), found["rate"], "/s").compared(null["rate"], NULL)


def rate_target(facts):
    """Half of what the null responder does, or 70 % of what the disk syncs, one after the other, whichever is lower."""
    half, synced = 0.5 * facts["null"][TARGET_CLIENTS]["rate"], 0.7 * facts["disk_1"]
    limit = lower_of(half, synced)
    which = "half of the null responder" if limit == half else f"70 % of fdatasync; half of the null responder is {number(half)}/s"
    return at_least(facts["prgate"][TARGET_CLIENTS]["rate"], limit, f"≥ {number(limit)}/s: {which}")


def p99_row(facts):
    p99, sync_ms = facts["prgate"][TARGET_CLIENTS]["p99_ms"], 1000 / facts["disk_1"]
    text = f"< 10 ms where a sync takes {SYNC_MS} ms"
    target = (Target(text, p99 < 10) if round(sync_ms, 1) <= SYNC_MS
              else unknown(text, f"not applicable: a sync takes {sync_ms:.2f} ms"))
    return Row("a", f"prgate's p99, {clients_of(TARGET_CLIENTS)}", f"{p99:.1f} ms", p99, "ms").compared(
        sync_ms, "one sync").aimed(target)


def cost_rows(costs):
    for clients, (before, after) in costs.items():
        taken = after["taken"] - before["taken"]
        each = {name: (after[name] - before[name]) / taken for name in ("commits", "again", "syncs")}
        yield Row("a", f"a delivery's cost up to its decision, {clients_of(clients)}",
                  f"{each['commits']:.2f} commits, {each['again']:.2f} transactions run again, "
                  f"{each['syncs']:.2f} fdatasync", each["syncs"], "fdatasync").compared(each["commits"], "its commits")


def measure_forged(site, wrk, clients):
    """With the rate of what was answered 401, and nothing else: a 503 is no refusal. nginx's log tells them apart."""
    log = site.server.dir / "access.log"
    with log.open(encoding="utf-8") as lines:
        lines.seek(0, os.SEEK_END)
        found = wrk.measure("/webhook", clients)
        refused = sum(' "POST /webhook" 401 ' in line for line in lines)
    assert found["refused"] == found["requests"], found
    return {**found, "rate": min(refused, found["refused"]) / found["seconds"], "refused": max(0, found["refused"] - refused)}


def measure_rates(site, facts):
    """What is compared is measured right after one another; returns the counts before and after prgate's turn."""
    directory, port = site.workspace.dir, site.server.port
    good, bad = (Wrk(write_requests(directory, f"{sign.__name__}.lua", payloads(), sign), port) for sign in (signature, forged))
    facts.update(nginx={}, null={}, prgate={}, forged={})
    costs = {}
    for clients in CLIENTS:
        facts["nginx"][clients] = good.measure("/bench/nginx", clients)
        nulls, forgeries, taken, before = [], [], [], counts(site)
        for _ in range(TIMES if clients == TARGET_CLIENTS else 1):
            nulls.append(good.measure("/bench/null", clients))
            forgeries.append(measure_forged(site, bad, clients))
            taken.append(good.measure("/webhook", clients))
            wait_idle(site)
        costs[clients] = before, counts(site)
        facts["null"][clients], facts["forged"][clients], facts["prgate"][clients] = map(middle, (nulls, forgeries, taken))
    return costs


def rate_rows(facts):
    for clients in CLIENTS:
        null = facts["null"][clients]
        yield rate_row("nginx alone answers 202", clients, facts["nginx"][clients], null)
        yield rate_row("null responder: reads the body, answers 202", clients, null, null)
        row = rate_row("prgate: durable, then answers 202", clients, facts["prgate"][clients], null)
        yield row.aimed(rate_target(facts)) if clients == TARGET_CLIENTS else row


def forged_row(facts, clients):
    found, null = facts["forged"][clients], facts["null"][clients]
    row = rate_row("prgate answers 401 to bad signatures", clients, found, null)
    if clients == TARGET_CLIENTS:
        row.aimed(at_least(found["rate"], 0.8 * null["rate"], f"≥ 80 % of {NULL}"))
    return row


def run(facts):
    rows = disk_rows(facts)
    with running(BenchNginx) as site:
        memory = PoolMemory(site.workspace, site.server.processes)
        idle = memory.at_rest()
        costs = measure_rates(site, facts)
        peak = memory.at_most()
        later = memory.at_rest()
    rows += [*rate_rows(facts), p99_row(facts), *(forged_row(facts, clients) for clients in CLIENTS), *cost_rows(costs)]
    return rows + memory_rows(idle, peak, later)


# ---- memory ---------------------------------------------------------------------------------

def loaded_row(when, idle, peak):
    return Row("d", f"pool of {PROCESSES}, at most, {when}", peak.text, peak.rss, "MiB").compared(idle.rss, "idle").aimed(
        at_most(peak.rss, LOAD_MIB, f"RSS < {LOAD_MIB} MiB in all"))


def memory_rows(idle, peak, later):
    return [
        Row("d", f"pool of {PROCESSES}, idle, just started", idle.text, idle.rss, "MiB").compared(idle.rss, "idle").aimed(
            at_most(idle.rss, IDLE_MIB, f"RSS < {IDLE_MIB} MiB in all")),
        loaded_row("under the load of (a), in a dry run", idle, peak),
        Row("d", f"pool of {PROCESSES}, idle, after that load", later.text, later.rss, "MiB").compared(idle.rss, "idle"),
    ]
