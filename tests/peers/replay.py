"""Every payload that GitHub has published, through nginx and a pool in a dry run, as `make run` starts them."""
import hashlib
import hmac
import json
import pathlib
import tempfile
import uuid

from processes import Process, free_port, wait_until
from servers import HttpServer

TOP = pathlib.Path(__file__).resolve().parents[2]
EXAMPLES = TOP / "tests/peers/node_modules/@octokit/webhooks-examples"
# What prgate has a rule for; all else is answered with 200 and forgotten.
CONCERN = {"pull_request": {"opened", "reopened", "ready_for_review", "synchronize", "labeled", "unlabeled",
                            "converted_to_draft", "edited", "closed", "dequeued"},
           "merge_group": {"checks_requested", "destroyed"}}
IDLE_S = 60


class Run(HttpServer):
    """tools/run.sh; request() comes from the integration tests."""

    def __init__(self, directory):
        self.port = free_port()
        self.directory = directory
        self.process = Process([TOP / "tools/run.sh"], directory / "out", cwd="/", env={
            "PRGATE_PORT": str(self.port), "PRGATE_RUN_DIR": str(directory / "run"), "PRGATE_CONF": ""})
        self.process.wait_ready(lambda: b"to stop" in (directory / "out").read_bytes(), 30)
        self.secret = (directory / "run/webhook.secret").read_bytes().strip()

    def post(self, event, body, delivery):
        digest = hmac.new(self.secret, body, hashlib.sha256).hexdigest()
        reply = self.request("POST", "/webhook", {
            "Content-Type": "application/json", "User-Agent": "GitHub-Hookshot/044aadd", "X-GitHub-Event": event,
            "X-GitHub-Delivery": delivery, "X-Hub-Signature-256": f"sha256={digest}"}, body)
        return reply.status, json.loads(reply.body)

    def get_json(self, path):
        reply = self.request("GET", path)
        return reply.status, json.loads(reply.body)

    def log(self):
        return (self.directory / "run/prgate.log").read_text(errors="replace")


def payloads():
    """(source, event, payload) of all editions of GitHub, each different one once."""
    seen = set()
    for index in sorted(EXAMPLES.glob("*/index.json")):
        for event in json.loads(index.read_text()):
            for number, payload in enumerate(event["examples"]):
                text = json.dumps(payload, sort_keys=True)
                if (event["name"], text) not in seen:
                    seen.add((event["name"], text))
                    yield f"{index.parent.name} {event['name']}[{number}]", event["name"], payload


def expected(event, payload):
    return 202 if payload.get("action") in CONCERN.get(event, ()) else 200


def replay_one(run, event, payload):
    """None, or what was wrong: the first time, and as GitHub's second attempt under the same id."""
    body, delivery = json.dumps(payload).encode(), str(uuid.uuid4())
    for attempt, want in (("first", expected(event, payload)), ("second", 200)):
        status, reply = run.post(event, body, delivery)
        if status != want:
            return f"{attempt} attempt: got {status} {reply}, want {want}"
        if not isinstance(reply, dict) or reply.get("delivery") != delivery:
            return f"{attempt} attempt: the reply does not name delivery {delivery}: {reply}"
    return None


def check(report):
    with tempfile.TemporaryDirectory(prefix="prgate-peers-") as name:
        run = Run(pathlib.Path(name))
        try:
            replay(run, report)
        finally:
            run.process.stop()
        lines = run.log().splitlines()
        bad = [line for line in lines if any(f" {level} " in line[:40] for level in ("panic", "fatal", "error"))]
        report("no error in the log", "; ".join(bad[:3]))


def replay(run, report):
    answers = {}
    for source, event, payload in payloads():
        wrong = replay_one(run, event, payload)
        report(f"{source} {payload.get('action', '')}", wrong)
        key = (f"{event}, concern" if expected(event, payload) == 202 else
               "pull_request, others" if event == "pull_request" else "other events")
        answers[key] = answers.get(key, 0) + 1
    print(f"  payloads: {answers}")
    try:
        wait_until(lambda: run.get_json("/healthz.json")[1]["waiting"] == 0, IDLE_S, "all worked off")
        report("all deliveries worked off", None)
    except TimeoutError:
        report("all deliveries worked off", f"still waiting: {run.get_json('/healthz.json')}")
    status, page = run.get_json("/status/Codertocat/Hello-World/2.json")
    report("the status page shows the pull request", None if status == 200 else f"{status} {page}")
