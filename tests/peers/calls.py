"""prgate's calls, checked against GitHub's own REST description.

    prgate -> recorder -> prism (checks each request and reply) -> the simulator of GitHub

Small stories make prgate do everything it can; a kind of call that no story brought about is a failure.
"""
import collections
import json
import pathlib
import subprocess
import tempfile

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from github_sim import client

import cut_openapi
from gate import Gate
from gate_site import Site
from processes import Process, accepts, free_port, wait_until
from recorder import Recorder
from servers import Nginx
from workspace import APP_ID, APP_SLUG, ODD_LABEL, TOKEN, TOKEN_USER, Workspace

PASSES_S = 30
PACE = "redeliver_interval = 1\nreconcile_interval = 1\n"
HERE = pathlib.Path(__file__).resolve().parent
DESCRIPTION = HERE / "node_modules/@octokit/openapi/generated/api.github.com.json"
PRISM = HERE / "node_modules/.bin/prism"
ASKED = '''repo "asked/*" {
  trigger = "repository_dispatch"
  trigger_can_be_asked = true
}
repo "by-author/*" {
  author_labels = {"ann=bug"}
}
'''


# The stories

def approve(site):
    gate = Gate(site)
    gate.do("open", author="bob")
    gate.do("label", label="CICD", by="tim")
    gate.do("push")
    gate.do("close", by="ann")


def trusted(site):
    gate = Gate(site)
    gate.do("open", author="ann", mergeable_after_ms=300)
    gate.do("push")


def trusted_by_team(site):
    gate = Gate(site, "teams")
    gate.sim.team(org="teams", team="crew", login="cleo", state="active")
    gate.do("open", author="cleo")


def odd_label(site):
    gate = Gate(site, "odd-label")
    gate.do("open", author="ann", labels=["bug"])
    gate.do("unlabel", label="bug", by="ann")


def odd_label_taken_off(site):
    gate = Gate(site, "odd-label")
    gate.do("open", author="bob")
    gate.do("label", label=ODD_LABEL, by="ann")
    gate.do("push")


def labels_by_author(site):
    gate = Gate(site, "by-author")
    gate.do("open", author="ann")


def conflict(site):
    gate = Gate(site)
    gate.do("open", author="ann", mergeable=False)


def command(site):
    gate = Gate(site)
    gate.do("open", author="bob")
    gate.do("comment", body="/ci approve", by="tim")
    gate.do("comment", body=f"/ci approve {gate.pull.head}", by="tim")


def workflow(site):
    gate = Gate(site, "workflow")
    gate.do("open", author="ann")


def lost_trigger(site):
    gate = Gate(site, "asked")
    gate.sim.fault(route="POST /repos/asked/*/dispatches", drop="after")
    gate.do("open", author="ann")


def cancelled(site):
    gate = Gate(site, "cancelling")
    gate.sim.settings(runs_delay_ms=0)
    gate.do("open", author="ann")
    gate.do("push")


def released(site):
    gate = Gate(site, "releasing")
    gate.do("open", author="bob")
    gate.sim.pull_run(repo=gate.repo, number=1, first_time=True)
    gate.do("label", label="CICD", by="tim")


def queued(site):
    gate = Gate(site, "queue")
    gate.do("open", author="ann")
    gate.do("enqueue")
    gate.do("destroy_group")
    gate.do("dequeue")


def hook_of_the_repository(site):
    """Its payloads do not tell the App's installation."""
    gate = Gate(site)
    opened = gate.happen("open", author="bob")
    for one in opened:
        payload = json.loads(one["payload"])
        payload.pop("installation", None)
        one["payload"] = json.dumps(payload)
    gate.deliver(opened)
    gate.settled()


def missed(site):
    """A label that nobody told of, and a delivery that failed; the passes come by themselves, each second."""
    gate = Gate(site)
    site.sim.role(repo=gate.repo, login=TOKEN_USER, role="admin")
    gate.do("open", author="bob")
    gate.happen("label", label="CICD", by="tim")
    wait_until(lambda: gate.pull.started, PASSES_S, "compared with GitHub")
    pushed, = gate.happen("push")
    site.sim.delivered(delivery=pushed["delivery"], status=503)
    wait_until(lambda: len(site.sim.attempts(delivery=pushed["delivery"])) == 2, PASSES_S, "asked for again")


STORIES = [approve, trusted, trusted_by_team, odd_label, odd_label_taken_off, labels_by_author, conflict, command, workflow,
           lost_trigger, cancelled, released, queued, hook_of_the_repository, missed]


# What they run in

class Prism:
    def __init__(self, description, upstream, log):
        self.port = free_port()
        self.process = Process([PRISM, "proxy", description, upstream, "-h", "127.0.0.1", "-p", self.port], log,
                               env={"NO_COLOR": "1"})
        self.process.wait_ready(lambda: accepts(self.port), 60)


def make_key(sim):
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    sim.app(id=APP_ID, slug=APP_SLUG, public_key=public.decode())
    sim.token(token=TOKEN, login=TOKEN_USER)
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL,
                             serialization.NoEncryption()).decode()


def tell(sim, recorder, key_pem, credentials, report):
    """All stories to one prgate."""
    workspace = Workspace(recorder.url, credentials, key_pem, extra=ASKED, pace=PACE)
    site = None
    try:
        site = Site(Nginx, workspace, sim)
        for story in STORIES:
            sim.clear_faults()
            try:
                story(site)
                report(f"{credentials}: {story.__name__}", None)
            except Exception as problem:  # the other stories still tell something
                report(f"{credentials}: {story.__name__}", f"{type(problem).__name__}: {problem}")
                site.print_logs()
    finally:
        if site:
            site.stop()
        workspace.remove()


def check(report):
    with tempfile.TemporaryDirectory(prefix="prgate-peers-") as name, client.start() as sim:
        small = pathlib.Path(name, "github.json")
        cut_openapi.main(DESCRIPTION, small)
        key_pem = make_key(sim)
        prism = Prism(small, sim.url, pathlib.Path(name, "prism.log"))
        recorder = Recorder(cut_openapi.Names(json.loads(small.read_text())), prism.port)
        try:
            for credentials in ("app", "token"):
                tell(sim, recorder, key_pem, credentials, report)
            judge(recorder.calls, sim.violations(), report)
        finally:
            recorder.stop()
            prism.process.stop()


def judge(calls, refused, report):
    seen = collections.Counter(call.name for call in calls)
    for name in cut_openapi.CALLS:
        wrong = sorted({f"{call.method} {call.path}: {text}" for call in calls if call.name == name
                        for text in call.request_violations})
        if not seen[name]:
            wrong = ["never made"]
        report(f"{name} ({seen[name]} times)", "; ".join(wrong))
    unknown = sorted({f"{call.method} {call.path}" for call in calls if call.name is None})
    report("no call but the described ones", "; ".join(unknown))
    report("nothing that the simulator objects to", "; ".join(str(one) for one in refused[:5]))
    print(f"  calls: {dict(sorted(seen.items(), key=str))}")
    ways = collections.Counter(name for name, _ in {(call.name, text) for call in calls for text in call.reply_violations})
    if ways:  # no fault of prgate's: it is to be careful with what it reads anyway
        print(f"  note: ways in which the simulator's replies are not as described: {dict(sorted(ways.items(), key=str))}")
