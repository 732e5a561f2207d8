"""What a pool under work tells of itself: its metrics, to promtool; the dashboard and the alerts, which name nothing
else; /healthz; and its log, where each line that is about a pull request names the delivery."""
import json
import re
import shutil
import subprocess
import time

import pytest
import yaml
from conftest import end
from gate import Gate
from processes import wait_until
from servers import Nginx
from workspace import ROOT

ALERTS = ROOT / "conf" / "prometheus-alerts.yml"
DASHBOARD = ROOT / "conf" / "grafana-dashboard.json"
HOSTILE = 'a" \n\r\t\\ b=c \x1b[31m\x7f \u202e\u2028 {"level":"fatal"} \U0001f680'
SETTLE_S = 30
FLOOD = 300


def promtool(*arguments, text=None):
    if shutil.which("promtool") is None:
        pytest.fail("promtool is missing: it is in Debian's package prometheus, see tools/packages.sh")
    return subprocess.run(["promtool", *map(str, arguments)], input=text, capture_output=True, text=True, timeout=60,
                          check=False)


def accepted(ran):
    assert (ran.returncode, ran.stderr) == (0, ""), ran.stdout + ran.stderr
    return ran.stdout


# A pool under work

@pytest.fixture(scope="module", params=["json", "text"])
def pool(request, make_site, github):
    github.forget()
    site = make_site(Nginx, github, extra=f'log_format = "{request.param}"\n')
    site.log_format = request.param
    try:
        work(site)
        yield site
    finally:
        github.clear_faults()
        end(site)


def work(site):
    """Webhooks of every outcome, and actions that are done, repeated and given up."""
    gate = Gate(site)
    opened = gate.happen("open", author="bob", title=HOSTILE)
    gate.deliver(opened + opened)
    gate.settled()
    gate.do("label", label="CICD", by="tim")
    failing = Gate(site)
    site.sim.fault(route="POST */dispatches", status=503, count=1)
    failing.do("open", author="ann")
    refused = Gate(site)
    site.sim.fault(route="POST */dispatches", status=422, count=1)
    refused.do("open", author="ann")
    site.post_webhook("ping", {"zen": "x"})
    site.post_webhook("member", {"action": "edited", "member": {"login": "max", "id": 3}})
    site.post_webhook("star", {"action": "created"})
    site.post_webhook("pull_request", "{", "not-json")
    site.post_webhook("pull_request", opened[0]["payload"], secret="wrong")
    site.post_webhook('x" outcome="taken"} 1', "{}")
    site.wait_idle()


def scrape(site):
    status, body = site.get("/metrics")
    assert status == 200
    return body.decode()


@pytest.fixture
def samples(pool):
    return read(scrape(pool))


LINE = re.compile(r'([a-z_:][a-z0-9_:]*)(?:\{(.*)\})? (\S+)')
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\\n]|\\.)*)"(?:,|$)')


def read(text):
    """{(name, frozenset of labels): value}, and nothing that is not a sample or a comment."""
    found = {}
    for line in text.splitlines():
        if line.startswith("# "):
            continue
        match = LINE.fullmatch(line)
        assert match, line
        name, labels, value = match.groups()
        pairs = LABEL.findall(labels or "")
        assert LABEL.sub("", labels or "") == "", line
        key = (name, frozenset(pairs))
        assert key not in found and len(dict(pairs)) == len(pairs), line
        found[key] = float(value)
    return found


def value(samples, name, **labels):
    return samples[name, frozenset(labels.items())]


# Metrics

def test_promtool_finds_nothing_to_complain_about(pool):
    assert accepted(promtool("check", "metrics", text=scrape(pool))) == ""


def test_promtool_would_complain(pool):
    """The check can fail."""
    assert promtool("check", "metrics", text=scrape(pool).replace("# HELP prgate_dead_letters", "# HULP x")).returncode != 0


def test_deliveries_are_counted_by_event_and_outcome(samples):
    counted = {(event, outcome): value(samples, "prgate_deliveries_total", event=event, outcome=outcome)
               for event, outcome in [("pull_request", "taken"), ("pull_request", "duplicate"), ("pull_request", "unsigned"),
                                      ("pull_request", "malformed"), ("ping", "ignored"), ("member", "ignored"),
                                      ("other", "ignored"), ("other", "taken")]}
    assert counted.pop(("pull_request", "taken")) >= 4
    assert counted == {("pull_request", "duplicate"): 1, ("pull_request", "unsigned"): 1, ("pull_request", "malformed"): 1,
                       ("ping", "ignored"): 1, ("member", "ignored"): 1, ("other", "ignored"): 2, ("other", "taken"): 0}


def test_intents_are_counted_by_kind_and_outcome(samples):
    trigger = {outcome: value(samples, "prgate_intents_total", kind="trigger", outcome=outcome)
               for outcome in ("done", "retried", "dead", "unknown")}
    assert trigger == {"done": 2, "retried": 1, "dead": 1, "unknown": 0}
    assert value(samples, "prgate_intents_total", kind="add_label", outcome="done") >= 1
    assert value(samples, "prgate_dead_letters") == 1


def test_what_a_label_says_is_bounded(samples):
    """A stranger chooses X-GitHub-Event; what is counted by it must not grow with what he thinks up."""
    assert {dict(labels)["event"] for name, labels in samples if name == "prgate_deliveries_total"} == set(known_events())
    assert len(samples) < 400


def known_events():
    text = (ROOT / "core" / "metrics.c").read_text()
    return re.findall(r'"([a-z_]+)"', re.search(r"events\[\] = \{(.*?)\};", text, re.S)[1])


def test_each_webhook_that_prgate_reads_has_a_label():
    sources = "".join(path.read_text() for path in (ROOT / "core").glob("event*.c"))
    table = re.search(r"\} webhooks\[\] = \{(.*?)\n\};", sources, re.S)[1]
    read_ones = re.findall(r'\{"([a-z_]+)",', table)
    assert "pull_request" in read_ones
    assert set(read_ones) <= set(known_events())


def test_histograms_hold_together(samples):
    names = {name.removesuffix("_bucket") for name, _ in samples if name.endswith("_bucket")}
    assert names == {"prgate_acknowledgement_seconds", "prgate_decision_seconds", "prgate_webhook_to_trigger_seconds",
                     "prgate_api_call_seconds"}
    for name in names:
        buckets = sorted((float(dict(labels)["le"]), count) for (one, labels), count in samples.items()
                         if one == f"{name}_bucket")
        counts = [count for _, count in buckets]
        assert counts == sorted(counts), name
        assert buckets[0][0] == 0.001 and buckets[-2][0] == 300 and buckets[-1][0] == float("inf")
        assert counts[-1] == value(samples, f"{name}_count") > 0, name
        assert 0 < value(samples, f"{name}_sum") < 300, name


def test_durations_are_those_of_what_happened(samples):
    assert value(samples, "prgate_webhook_to_trigger_seconds_count") == value(samples, "prgate_triggers_total",
                                                                             outcome="started") == 2
    assert value(samples, "prgate_decision_seconds_count") == value(samples, "prgate_decisions_total", outcome="decided")
    assert value(samples, "prgate_acknowledgement_seconds_count") == sum(
        count for (name, _), count in samples.items() if name == "prgate_deliveries_total")
    assert value(samples, "prgate_api_call_seconds_count") == sum(
        value(samples, "prgate_api_calls_total", outcome=outcome) for outcome in ("answered", "failed"))


def test_each_process_tells_the_same(pool):
    """Of the whole pool; what changes between two scrapes is what the scrapes themselves, and a sweep, do."""
    moving = {"prgate_store_transactions_total", "prgate_store_up"}

    def still():
        return {key: number for key, number in read(scrape(pool)).items()
                if key[0] not in moving and not key[0].startswith("prgate_rate_limit")}
    first = still()
    assert all(still() == first for _ in range(8))
    assert value(first, "prgate_processes") == Nginx.processes


def test_json_has_the_same(pool):
    status, body = pool.get("/metrics.json")
    assert status == 200
    text = scrape(pool)
    names = [line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")]
    assert list(body) == names


# The dashboard and the alerts

def rules():
    return [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]


def dashboard_expressions():
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel["targets"]]


SELECTOR = re.compile(r"(prgate_[a-z_]+|up)(?:\{([^}]*)\})?")
MATCHER = re.compile(r'([a-z_]+)(=~|!=|=)"([^"]*)"')


def assert_exists(samples, expression):
    """Each selector of it finds a series in the scrape."""
    selectors = SELECTOR.findall(expression)
    assert selectors, expression
    for name, matchers in selectors:
        if name == "up":
            continue
        wanted = MATCHER.findall(matchers)
        fits = [labels for one, labels in samples if one == name and all(
            (dict(labels).get(label) != text) if how == "!=" else
            label in dict(labels) and re.fullmatch(text if how == "=~" else re.escape(text), dict(labels)[label])
            for label, how, text in wanted)]
        assert fits, f"{expression}: nothing is called {name} {{{matchers}}}"


def test_alerts_name_only_what_exists(samples):
    for rule in rules():
        assert_exists(samples, rule["expr"])


def test_dashboard_names_only_what_exists(samples):
    expressions = dashboard_expressions()
    assert len(expressions) > 20
    for expression in expressions:
        assert_exists(samples, expression)


def test_a_name_that_does_not_exist_is_found_out(samples):
    for expression in ("prgate_nothing > 0", 'prgate_intents_total{outcome="gone"}', 'prgate_queue_depth{queue=~"x|y"}'):
        with pytest.raises(AssertionError):
            assert_exists(samples, expression)


def families(samples):
    return {re.sub("_(bucket|sum|count)$", "", name) for name, _ in samples}


def test_every_metric_is_on_the_dashboard(samples):
    shown = " ".join(dashboard_expressions()).replace("_bucket", "")
    assert {name for name in families(samples) if not re.search(rf"\b{name}\b", shown)} == set()


def test_every_metric_is_documented(samples):
    table = set(re.findall(r"^\| `(prgate_[a-z_]+)[`{]", (ROOT / "docs/operating.md").read_text(), re.M))
    assert table == families(samples)


def test_promtool_accepts_the_alerts():
    assert f"{len(rules())} rules found" in accepted(promtool("check", "rules", ALERTS))


def test_promtool_accepts_the_dashboard_s_expressions(tmp_path):
    file = tmp_path / "dashboard.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": [
        {"record": f"panel:{n}", "expr": expression.replace("$__rate_interval", "5m")}
        for n, expression in enumerate(dashboard_expressions())]}]}))
    accepted(promtool("check", "rules", file))


def test_alerts_say_what_to_do():
    for rule in rules():
        assert set(rule["annotations"]) == {"summary", "description"}, rule["alert"]
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        assert len(rule["annotations"]["description"]) > 80, rule["alert"]


# Per alert: series (as promtool writes them: start+step x times, a sample a minute) with which it fires, and with which
# it does not. All are looked at after an hour.
def series(name, fires, quiet):
    return [{name: fires}, {name: quiet}]


HOUR = 60
TRIES = {
    "PrgateDown": [{'up{job="prgate"}': f"0x{HOUR}"}, {'up{job="prgate"}': f"1x{HOUR}"}],
    "PrgateStoreFailing": series('prgate_store_up{job="prgate"}', f"0x{HOUR}", f"1x{HOUR}"),
    "PrgateDeliveriesNotStored": series(
        'prgate_deliveries_total{job="prgate",event="pull_request",outcome="not_stored"}', f"0x{HOUR - 2} 1 1", f"9x{HOUR}"),
    "PrgateOldDelivery": series('prgate_queue_oldest_seconds{job="prgate",queue="deliveries"}', f"901x{HOUR}", f"900x{HOUR}"),
    "PrgateOldAction": series('prgate_queue_oldest_seconds{job="prgate",queue="intents"}', f"3601x{HOUR}", f"3600x{HOUR}"),
    "PrgateQueueLong": series('prgate_queue_depth{job="prgate",queue="deliveries"}', f"1001x{HOUR}", f"1000x{HOUR}"),
    "PrgateDeadLetters": series('prgate_dead_letters{job="prgate"}', f"1x{HOUR}", f"0x{HOUR}"),
    "PrgateTriggersUnknown": series(
        'prgate_triggers_total{job="prgate",outcome="unknown"}', f"3x{HOUR - 5} 4x5", f"4x{HOUR}"),
    "PrgateQuarantined": series('prgate_quarantined_total{job="prgate"}', f"3x{HOUR - 5} 4x5", f"4x{HOUR}"),
    "PrgateManyRecoveries": series('prgate_store_recoveries_total{job="prgate"}', f"0+1x{HOUR}", f"0x{HOUR - 10} 1+1x9"),
    "PrgateRateLimitUsedUp": series(
        'prgate_rate_limit_blocked_until_seconds{job="prgate"}', f"3601x{HOUR}", f"3500x{HOUR}"),
    "PrgateRateLimitLow": [
        {'prgate_rate_limit{job="prgate"}': f"5000x{HOUR}", 'prgate_rate_limit_remaining{job="prgate"}': f"499x{HOUR}",
         'prgate_rate_limit_reset_seconds{job="prgate"}': f"7200x{HOUR}"},
        {'prgate_rate_limit{job="prgate"}': f"5000x{HOUR}", 'prgate_rate_limit_remaining{job="prgate"}': f"500x{HOUR}",
         'prgate_rate_limit_reset_seconds{job="prgate"}': f"7200x{HOUR}"},
        {'prgate_rate_limit{job="prgate"}': f"5000x{HOUR}", 'prgate_rate_limit_remaining{job="prgate"}': f"1x{HOUR}",
         'prgate_rate_limit_reset_seconds{job="prgate"}': f"60x{HOUR}"}],
    "PrgateApiFailing": [
        {'prgate_api_calls_total{job="prgate",outcome="failed"}': f"0+6x{HOUR}",
         'prgate_api_calls_total{job="prgate",outcome="answered"}': f"0+4x{HOUR}"},
        {'prgate_api_calls_total{job="prgate",outcome="failed"}': f"0+4x{HOUR}",
         'prgate_api_calls_total{job="prgate",outcome="answered"}': f"0+6x{HOUR}"}],
    "PrgateSignaturesWrong": series(
        'prgate_deliveries_total{job="prgate",event="other",outcome="unsigned"}', f"0+1x{HOUR}", f"0x{HOUR - 3} 1 2 3"),
    "PrgateSlowAcknowledgement": [
        {'prgate_acknowledgement_seconds_bucket{job="prgate",le="2.5"}': f"0+9x{HOUR}",
         'prgate_acknowledgement_seconds_bucket{job="prgate",le="5"}': f"0+10x{HOUR}",
         'prgate_acknowledgement_seconds_bucket{job="prgate",le="+Inf"}': f"0+10x{HOUR}"},
        {'prgate_acknowledgement_seconds_bucket{job="prgate",le="2.5"}': f"0+10x{HOUR}",
         'prgate_acknowledgement_seconds_bucket{job="prgate",le="5"}': f"0+10x{HOUR}",
         'prgate_acknowledgement_seconds_bucket{job="prgate",le="+Inf"}': f"0+10x{HOUR}"}],
    "PrgateWebhooksMissed": [
        {'prgate_redeliveries_total{job="prgate"}': f"0+1x{HOUR}", 'prgate_reconciled_total{job="prgate"}': f"0x{HOUR}"},
        {'prgate_redeliveries_total{job="prgate"}': f"0x{HOUR}", 'prgate_reconciled_total{job="prgate"}': f"0x{HOUR - 5} 1+1x4"}],
}
AGGREGATED = {"PrgateDeliveriesNotStored", "PrgateApiFailing", "PrgateSignaturesWrong", "PrgateSlowAcknowledgement"}


def alert_labels(rule, inputs):
    """What promtool expects of an alert that fires: its own labels, and those of the series where they are kept."""
    kept = {}
    if rule["alert"] not in AGGREGATED:
        kept = dict(re.findall(r'([a-z_]+)="([^"]*)"', next(iter(inputs))))
    return {**kept, **rule["labels"]}


def rule_test(rule, inputs, fires):
    expected = [{"exp_labels": alert_labels(rule, inputs), "exp_annotations": rule["annotations"]}] if fires else []
    return {"interval": "1m", "name": f"{rule['alert']} {'fires' if fires else 'is quiet'}",
            "input_series": [{"series": name, "values": values} for name, values in inputs.items()],
            "alert_rule_test": [{"eval_time": "60m", "alertname": rule["alert"], "exp_alerts": expected}]}


def run_rule_tests(tmp_path, tests):
    file = tmp_path / "tests.yml"
    file.write_text(yaml.safe_dump({"rule_files": [str(ALERTS)], "tests": tests}))
    return promtool("test", "rules", file)


def test_each_alert_fires_when_it_is_to_and_not_before(tmp_path):
    assert set(TRIES) == {rule["alert"] for rule in rules()}
    tests = [rule_test(rule, inputs, n == 0) for rule in rules() for n, inputs in enumerate(TRIES[rule["alert"]])]
    assert len(tests) == 2 * len(rules()) + 1
    ran = run_rule_tests(tmp_path, tests)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_a_target_that_is_gone_is_down_too(tmp_path):
    rule = next(rule for rule in rules() if rule["alert"] == "PrgateDown")
    ran = run_rule_tests(tmp_path, [rule_test(rule, {'up{job="prgate"}': f"_x{HOUR}"}, True)])
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("alert", sorted(TRIES))
def test_that_it_fires_is_looked_at(tmp_path, alert):
    """Promised the opposite, promtool says no."""
    rule = next(rule for rule in rules() if rule["alert"] == alert)
    for n, inputs in enumerate(TRIES[alert]):
        assert run_rule_tests(tmp_path, [rule_test(rule, inputs, n != 0)]).returncode != 0


# Health

def test_healthy(pool):
    for path in ("/healthz", "/healthz.json"):
        reply = pool.server.request("GET", path)
        assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
        body = json.loads(reply.body)
        assert (body["status"], body["waiting"], body["oldest_delivery_seconds"], body["dead"]) == ("ok", 0, 0, 1)
        head = pool.server.request("HEAD", path)
        assert (head.status, head.body) == (200, b"")
        assert head.headers["content-length"] == str(len(reply.body))


def test_unhealthy_while_a_delivery_waits_too_long(make_site, github):
    site = make_site(Nginx, github, extra="health_max_age = 1\n")
    try:
        gate = Gate(site)
        github.fault(route="GET */pulls/1", status=503, count=-1)
        gate.deliver(gate.happen("open", author="ann"))
        reply = wait_until(lambda: unhealthy(site), SETTLE_S, "unhealthy")
        body = json.loads(reply.body)
        assert (body["status"], body["reason"], body["deliveries"]) == ("error", "waiting", 1)
        assert "health_max_age is 1 s" in body["message"] and reply.headers["retry-after"] == "1"
        # The two processes look at it a moment apart.
        wait_until(lambda: site.server.request("HEAD", "/healthz").status == 503, SETTLE_S, "unhealthy to HEAD, too")
        github.clear_faults()
        wait_until(lambda: not unhealthy(site), SETTLE_S, "healthy again")
    finally:
        github.clear_faults()
        end(site)


def unhealthy(site):
    reply = site.server.request("GET", "/healthz")
    return reply if reply.status == 503 else None


def test_a_flood_of_health_checks_costs_next_to_nothing(pool):
    def transactions():
        time.sleep(2.5)  # each process tells its own once a second
        return value(read(scrape(pool)), "prgate_store_transactions_total", outcome="committed")
    wait_until(lambda: unhealthy(pool) is None, SETTLE_S, "healthy")
    before = transactions()
    for _ in range(FLOOD):
        assert pool.server.request("GET", "/healthz").status == 200
    # A probe a second and process, and what the sweeps' tidying up writes meanwhile.
    assert transactions() - before < FLOOD


# The log

def log_lines(site):
    return (site.workspace.dir / "pool.log").read_text(errors="strict").splitlines()


def no_duplicates(pairs):
    assert len(dict(pairs)) == len(pairs), pairs
    return dict(pairs)


TEXT_FIELD = re.compile(r' ([a-z0-9_]+)=("(?:[^"\\]|\\.)*"|[^ "=]+)')
TEXT_LINE = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) (panic|fatal|error|warning|info|debug) (.*?)( pid=\d+.*)")


def read_line(line, log_format):
    if log_format == "json":
        return json.loads(line, object_pairs_hook=no_duplicates)
    match = TEXT_LINE.fullmatch(line)
    assert match, line
    when, level, message, rest = match.groups()
    assert TEXT_FIELD.sub("", rest) == "", line
    fields = no_duplicates(TEXT_FIELD.findall(rest))
    fields = {key: None if text == "-" else json.loads(text.replace("\\x", "\\\\x")) if text[0] == '"' else text
              for key, text in fields.items()}
    return {"time": when, "level": level, "msg": message, **fields}


def names_a_pull_request(entry):
    return "pr" in entry or str(entry.get("number") or 0) != "0" or re.search(r"/pulls/|/issues/", str(entry.get("url")))


@pytest.fixture
def entries(pool):
    lines = [line for line in log_lines(pool) if not line.startswith(("spawn-fcgi:", "[multiwatch]"))]
    return [read_line(line, pool.log_format) for line in lines]


def test_every_line_can_be_read(entries):
    assert len(entries) > 20
    for entry in entries:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", entry["time"])
        assert entry["level"] in ("fatal", "error", "warning", "info", "debug")
        assert entry["msg"] and int(entry["pid"]) > 0


def test_what_is_about_a_pull_request_names_the_delivery(entries):
    about = [entry for entry in entries if names_a_pull_request(entry)]
    assert {"webhook taken", "decided", "acted", "webhook is a duplicate"} <= {entry["msg"] for entry in about}
    assert [entry for entry in about if not entry.get("delivery")] == []


def test_a_dry_run_s_calls_name_the_delivery_that_they_are_for(make_site, github):
    site = make_site(Nginx, github, extra='dry_run = true\nlog_format = "json"\n')
    try:
        gate = Gate(site)
        opened, = gate.happen("open", author="ann")
        gate.deliver(opened)
        site.wait_idle()
        calls = [json.loads(line) for line in log_lines(site) if '"msg":"dry-run call"' in line]
        assert len(calls) >= 2
        assert {one.get("delivery") for one in calls} == {opened["delivery"]}
        samples = read(scrape(site))
        assert value(samples, "prgate_api_calls_total", outcome="dry_run") == len(calls)
        assert value(samples, "prgate_webhook_to_trigger_seconds_count") == 0
    finally:
        end(site)


def test_a_delivery_can_be_followed(pool, entries):
    """From the door to the trigger."""
    taken = next(entry for entry in entries if entry["msg"] == "webhook taken" and entry["reason"] == "labeled")
    way = [entry["msg"] for entry in entries if entry.get("delivery") == taken["delivery"]]
    assert way[:2] == ["webhook taken", "decided"] and "acted" in way[2:]
    assert pool.log_format in ("json", "text")


def test_what_a_stranger_sends_forges_no_line(entries):
    """His event's name is in the log, as a value."""
    hostile = [entry for entry in entries if str(entry.get("event", "")).startswith("x\"")]
    assert [entry["event"] for entry in hostile] == ['x" outcome="taken"} 1']
    assert not any(entry["level"] == "fatal" for entry in entries)
