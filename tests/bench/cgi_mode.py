"""(e) CGI: each delivery starts the program, which opens the store, and forks to go on behind the reply."""
from figures import Row
from load import BenchApache, Wrk, payloads, running, told, write_requests

CLIENTS = (1, 16)


def run(facts):
    rows = []
    with running(BenchApache) as site:
        wrk = Wrk(write_requests(site.workspace.dir, "requests.lua", payloads()), site.server.port)
        for clients in CLIENTS:
            where = f"under Apache, {clients} client" + "s" * (clients > 1)
            null, found = wrk.measure("/bench/null", clients), wrk.measure("/webhook", clients)
            rows += [row(f"a CGI program that reads the body and answers 202, {where}", null, clients).compared(
                         1000 * clients / null["rate"], "itself"),
                     row(f"prgate as CGI, {where}", found, clients).compared(1000 * clients / null["rate"], "that program")]
            fast = facts.get("prgate", {}).get(clients)
            if fast:
                rows.append(Row("e", f"prgate as CGI against FastCGI, {clients} client" + "s" * (clients > 1),
                                told(found), found["rate"], "/s").compared(fast["rate"], "FastCGI"))
    return rows


def row(what, found, clients):
    """How long one takes, of what is answered side by side."""
    each = 1000 * clients / found["rate"]
    return Row("e", what, f"{each:.1f} ms a delivery, p99 {found['p99_ms']:.1f} ms", each, "ms")
