"""prgate behind one web server, and the simulator that it talks to."""
import hashlib
import hmac
import json
import os
import subprocess
import uuid

from processes import wait_until
from servers import Cron, end_leftovers
from workspace import SECRET, as_server_user

IDLE_S = 30


def signature(body, secret=SECRET, digest=hashlib.sha256):
    name = {"sha1": "sha1", "sha256": "sha256"}[digest().name]
    return f"{name}=" + hmac.new(secret.encode(), body, digest).hexdigest()


def webhook_headers(event, body, delivery, secret=SECRET):
    """All that GitHub sends along; a header that a test gives as None is left out later."""
    return {"User-Agent": "GitHub-Hookshot/044aadd", "Accept": "*/*", "Content-Type": "application/json",
            "X-GitHub-Event": event, "X-GitHub-Delivery": delivery, "X-GitHub-Hook-ID": "292430182",
            "X-GitHub-Hook-Installation-Target-ID": "79929171",
            "X-GitHub-Hook-Installation-Target-Type": "repository",
            "X-Hub-Signature": signature(body, secret, hashlib.sha1),
            "X-Hub-Signature-256": signature(body, secret)}


class Site:
    def __init__(self, server, workspace, sim):
        self.workspace, self.sim = workspace, sim
        self.server = server(workspace)
        self.name = self.server.name
        self.cron = Cron(workspace) if self.server.needs_cron else None

    def stop(self):
        self.server.stop()
        end_leftovers(self.workspace)

    def post_webhook(self, event, payload, delivery=None, secret=SECRET, headers=None, **how):
        """(status, the reply's JSON). `payload` is text, bytes or what becomes JSON."""
        reply = self.exchange(event, payload, delivery, secret, headers, **how)
        return reply.status, json.loads(reply.body)

    def exchange(self, event, payload, delivery=None, secret=SECRET, headers=None, **how):
        body = payload if isinstance(payload, bytes) else (
            payload if isinstance(payload, str) else json.dumps(payload)).encode()
        sent = {**webhook_headers(event, body, delivery or str(uuid.uuid4()), secret), **(headers or {})}
        sent = {name: value for name, value in sent.items() if value is not None}
        return self.server.request("POST", "/webhook", sent, body, **how)

    def deliver(self, delivery):
        """One of the simulator's; a list of them in order."""
        for one in delivery if isinstance(delivery, list) else [delivery]:
            status, reply = self.post_webhook(one["event"], one["payload"], one["delivery"])
            assert status in (200, 202), (status, reply)

    def get(self, path):
        reply = self.server.request("GET", path)
        return reply.status, json.loads(reply.body) if path.endswith(".json") else reply.body

    def health(self):
        status, body = self.get("/healthz.json")
        assert status == 200, (status, body)
        return body

    def wait_idle(self, timeout=IDLE_S):
        """Until no delivery and no intent is pending."""
        def idle():
            if self.cron:
                self.cron.tick()
            return self.health()["waiting"] == 0
        wait_until(idle, timeout, lambda: f"idle: {self.health()}")

    def ctl(self, *arguments):
        """prgatectl, run to its end as the servers' user."""
        return subprocess.run([self.workspace.ctl, *arguments], capture_output=True, text=True, timeout=IDLE_S, check=False,
                              env={**os.environ, **self.workspace.environment()}, **as_server_user())

    def ledger(self, repo, number):
        """The entries of one pull request, oldest first."""
        status, body = self.get(f"/status/{repo}/{number}.json")
        return body["ledger"] if status == 200 else []

    def print_logs(self):
        for name, path in sorted(self.server.logs().items()):
            if path.exists():
                print(f"---- {name}\n{path.read_text(errors='replace')[-6000:]}")


def assert_nothing_kept(site, repo):
    """Nothing is known of the repository's first pull request, and GitHub was not asked about anything."""
    site.wait_idle()
    assert site.ledger(repo, 1) == []
    assert site.sim.calls() == []
