"""The project's own CI, the receiver of prgate's `http` trigger; include/prgate/trigger.h has the protocol."""
import hashlib
import hmac
import json
import re
import time

from .reply import Reply

PATH = "/_ci/hook"
KEY = re.compile(r"[0-9a-f]{32}\Z")
FIELDS = {"repository": str, "number": int, "head_sha": str, "head_ref": str, "base_ref": str, "author": str,
          "key": str, "action": str}
ACTIONS = {"trigger": "start", "cancel": "cancel"}  # X-Prgate-Event, and what the signed body says


class OwnCi:
    def __init__(self):
        self.secret = None
        self.cancel_status = None  # what cancelling is answered with; None: as it is
        self.triggers = []  # {"key", "body", "at"}, one per accepted start
        self.cancels = []  # the same of cancelling
        self.pr_of_key = {}

    def pr(self, method, headers, body):
        """The pull request that a call concerns, as "owner/repo#n"."""
        if method == "POST" and isinstance(body, dict):
            return f"{body.get('repository')}#{body.get('number')}"
        return self.pr_of_key.get(headers.get("X-Prgate-Key", ""))

    def answer(self, method, headers, raw, body):
        """(Reply, violation or None)."""
        key = headers.get("X-Prgate-Key", "")
        if not KEY.match(key):
            return Reply(400, {"error": "key"}), f"X-Prgate-Key {key!r} is not 32 hex digits"
        if not self._signed(headers, raw if method == "POST" else key.encode()):
            return Reply(401, {"error": "signature"}), "X-Hub-Signature-256 is missing or wrong"
        if method == "GET":
            return Reply(200 if key in self.pr_of_key else 404, {"key": key}), None
        wrong = self._problem(headers, key, body)
        if wrong:
            return Reply(400, {"error": wrong}), wrong
        if body["action"] == "cancel":
            return self._cancel(key, body), None
        self.pr_of_key[key] = self.pr("POST", headers, body)
        self.triggers.append({"key": key, "body": body, "at": time.time()})
        return Reply(202, {"key": key}), None

    def _cancel(self, key, body):
        status = self.cancel_status or (202 if key in self.pr_of_key else 404)
        if status == 202:
            self.cancels.append({"key": key, "body": body, "at": time.time()})
        return Reply(status, {"key": key})

    def _signed(self, headers, signed):
        if self.secret is None:
            return True
        digest = hmac.new(self.secret.encode(), signed, hashlib.sha256).hexdigest()
        return hmac.compare_digest(headers.get("X-Hub-Signature-256", ""), f"sha256={digest}")

    def _problem(self, headers, key, body):
        if headers.get("Content-Type", "").split(";")[0] != "application/json":
            return "Content-Type is not application/json"
        if headers.get("X-Prgate-Event") not in ACTIONS:
            return "X-Prgate-Event is neither trigger nor cancel"
        if not isinstance(body, dict) or set(body) != set(FIELDS):
            return f"the body is not an object of {', '.join(FIELDS)}"
        ill_typed = [name for name, kind in FIELDS.items() if type(body[name]) is not kind]
        if ill_typed:
            return f"ill-typed: {', '.join(ill_typed)}"
        if body["action"] != ACTIONS[headers["X-Prgate-Event"]]:
            return "the body's action is not the header's"
        return None if body["key"] == key else "the body's key is not the header's"


def parse(raw):
    try:
        return json.loads(raw) if raw else None
    except ValueError:
        return None
