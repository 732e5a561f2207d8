#!/usr/bin/python3
"""Records the scenarios in this directory anew, from the simulated GitHub: tests/replay/record.py [NAME...]

Each is what people, and prgate where it was at work, did to one pull request. A number is a
pause in seconds; without one, things happen in the same second. What prgate never reads
(addresses, bodies) is left out of the payloads, but for one scenario that is in full and in the form of
GitHub's own list of deliveries.
"""
import hashlib
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from github_sim import world as world_module  # noqa: E402
from github_sim.world import Versioned, World  # noqa: E402

REPO, GATE, LABEL = "octo/repo", "octo-gate[bot]", "CICD"
APP, CHECK, BUTTON = 7, "Awaiting CICD label", "approve-ci"
PEOPLE = {"ann": "write", "max": "write", "tim": "triage", "bob": "read", GATE: "self"}
FULL = "untrusted_labelled_again"


def on(by):
    return "label", {"label": LABEL, "by": by}


def off(by):
    return "unlabel", {"label": LABEL, "by": by}


def opened(author, **more):
    return "open_pull", {"author": author, **more}


def says(by, text):
    return "comment", {"by": by, "body": text}


def press(by):
    return "press", {"by": by, "name": CHECK, "identifier": BUTTON}


def push_by(login):
    return "push", {"by": login}


PUSH, CLOSE, REOPEN, DRAFT, READY, EDIT = (
    (deed, {}) for deed in ("push", "close", "reopen", "to_draft", "ready", "edit"))
ASSIGN = ("assign", {})

SCENARIOS = {
    "trusted_opens_and_pushes": [opened("ann"), 2, on(GATE), 60, PUSH, 5, EDIT, 90, PUSH],
    "trusted_without_gate": [opened("ann"), 60, PUSH, 30, EDIT, 9, PUSH],
    "trusted_opens_with_label": [opened("ann", labels=[LABEL]), 40, PUSH, PUSH],
    "untrusted_labelled_again": [opened("bob"), 300, on("max"), 40, PUSH, 2, off(GATE), 70, on("max"), 5, EDIT],
    "untrusted_waits": [opened("bob"), 60, PUSH, 3, EDIT, 60, PUSH],
    "draft_to_ready": [opened("ann", draft=True), 20, PUSH, 60, READY, 1, on(GATE), 30, PUSH],
    "back_to_draft": [opened("ann"), 2, on(GATE), 60, DRAFT, 60, PUSH, 20, on("max"), 40, PUSH],
    "closed_and_reopened": [opened("ann"), 2, on(GATE), 50, CLOSE, 30, REOPEN, 20, PUSH],
    "closed_for_good": [opened("bob"), 40, on("max"), 9, PUSH, 2, off(GATE), 30, CLOSE],
    "trusted_unlabelled": [opened("ann"), 2, on(GATE), 30, off("tim"), 20, PUSH],
    "unlabelled": [opened("bob"), 30, on("max"), 40, off("max"), 20, PUSH],
    "label_for_an_old_head": [opened("bob"), 60, on("max"), PUSH, 2, off(GATE), 60, on("tim")],
    "old_label_only": [opened("bob"), 60, on("max"), PUSH, 2, off(GATE)],
    "two_people_in_one_second": [opened("bob"), 60, on("max"), off("tim"), on("max")],
    "two_people_disagree": [opened("bob"), 60, on("max"), off("tim")],
    "all_in_one_second": [opened("ann"), on("max"), PUSH, off("tim"), on("max")],
    "conflict_then_mergeable": [opened("ann", mergeable=False), 3, EDIT, 60, ("push", {"mergeable": False}), 2, EDIT, 90,
                                ("push", {"mergeable": True})],
    "conflict_of_an_approved_one": [opened("bob", mergeable=False), 60, on("max"), 30,
                                    ("set_mergeable", {"mergeable": True}), EDIT],
    "approved_then_closed": [opened("bob"), 30, on("max"), 40, CLOSE, 20, REOPEN],
    "label_on_a_draft": [opened("ann", draft=True), 30, on("tim"), 40, PUSH, 5, EDIT],
    "stranger_pushes": [opened("ann"), 2, on(GATE), 60, push_by("bob"), 2, off(GATE)],
    "stranger_pushes_then_approved": [opened("ann"), 2, on(GATE), 60, push_by("bob"), 2, off(GATE), 60, on("tim")],
    "stranger_pushes_to_a_draft": [opened("ann", draft=True), 20, push_by("bob"), 60, READY],
    "colleague_pushes": [opened("ann"), 2, on(GATE), 60, push_by("max"), 5, EDIT, 90, push_by("max")],
    "colleague_pushes_on_a_stranger": [opened("ann"), 2, on(GATE), 60, push_by("bob"), 2, off(GATE), 60,
                                       push_by("max")],
    "colleague_pushes_to_an_untrusted": [opened("bob"), 60, on("max"), 40, push_by("max"), 2, off(GATE)],
    "label_too_soon": [opened("bob"), 60, PUSH, 3, on("tim")],
    "label_too_soon_then_again": [opened("bob"), 60, on("max"), 20, PUSH, 1, off(GATE), 5, on("tim"), 2, off(GATE), 60,
                                  on("tim")],
    "refused_then_approved": [opened("bob"), 60, PUSH, 30, on("bob"), 2, off(GATE), 60, on("tim")],
    "approved_by_comment": [opened("bob"), 30, says("bob", "/ci approve HEAD"), 20, says("tim", "/ci approve HEAD"),
                            9, says("tim", "/ci status")],
    "approved_by_comment_then_pushed": [opened("bob"), 60, says("max", "/ci approve HEAD"), 40, PUSH],
    "approved_by_comment_then_closed": [opened("bob"), 60, says("max", "/ci approve HEAD"), 30, CLOSE, 30, REOPEN],
    "approved_by_button": [opened("bob"), 60, PUSH, 30, press("bob"), press("tim")],
    "rerun_and_cancelled": [opened("bob"), 60, on("max"), 30, says("max", "/ci rerun"), 9, says("max", "/ci cancel"), 30,
                            EDIT],
    "a_long_life": [opened("bob"), 30, on("max"), 40, PUSH, 2, off(GATE), 60, on("tim"), 9, ASSIGN, 20, DRAFT, 30, PUSH,
                    1, off(GATE), 5, READY, 60, on("max"), EDIT, 30, CLOSE, 20, REOPEN, 15, PUSH, 1, off(GATE), 40,
                    on("tim")],
    "a_long_trusted_life": [opened("ann", draft=True), 30, PUSH, 40, READY, 1, on(GATE), 60, PUSH, 20, DRAFT, 30,
                            READY, 9, PUSH, EDIT, 30, CLOSE, 20, REOPEN, 15, PUSH],
}


class Clock:
    """Stands in for the module `time` in the simulator."""

    def __init__(self, start):
        self.now = start

    def time(self):
        return self.now

    monotonic = time


def slim(value):
    if isinstance(value, dict):
        return {key: slim(one) for key, one in value.items()
                if not key.endswith("url") and key not in ("_links", "node_id", "body", "repo", "organization")}
    return [slim(one) for one in value] if isinstance(value, list) else value


def as_listed(delivery, payload):
    """As GET /repos/O/R/hooks/ID/deliveries/ID shows it."""
    return {"id": delivery.id, "guid": delivery.guid, "delivered_at": payload["pull_request"]["updated_at"],
            "redelivery": False, "duration": 0.03, "status": "OK", "status_code": 202, "event": delivery.event,
            "action": payload["action"], "installation_id": None, "repository_id": payload["repository"]["id"],
            "request": {"headers": {"Accept": "*/*", "X-GitHub-Delivery": delivery.guid,
                                    "X-GitHub-Event": delivery.event}, "payload": payload},
            "response": {"headers": {}, "payload": None}}


def put_check(world):
    """The gate's check at the head, as prgate writes it."""
    pull = world.pull(REPO, 1)
    place, sha = pull.repo, pull.now["head_sha"]
    if APP not in world.apps:
        world.add_app(APP, GATE.removesuffix("[bot]"), "")
    key = hashlib.sha256(f"{place.id}/1/{sha}/0".encode()).hexdigest()[:32]
    place.check_runs[sha].append(Versioned(
        id=next(world.ids), app=world.apps[APP], name=CHECK, head_sha=sha, external_id=f"1/0/{key}", status="in_progress",
        conclusion=None, details_url=None, started_at=None, completed_at=None, output={},
        actions=[{"identifier": BUTTON}]))


def record(name, deeds):
    clock = world_module.time = Clock(1_700_000_000)
    world = World(seed=sum(name.encode()))
    world.add_repo(REPO, labels=[LABEL])
    sent = []
    for deed in deeds:
        if isinstance(deed, (int, float)):
            clock.now += deed
            continue
        method, arguments = deed
        place = (REPO,) if method == "open_pull" else (REPO, 1)
        if method == "press":
            put_check(world)
        if method == "comment":
            head = world.pull(REPO, 1).now["head_sha"]
            arguments = {**arguments, "body": arguments["body"].replace("HEAD", head)}
        sent += getattr(world, method)(*place, **arguments) or []
    write(HERE / name, sent, name == FULL)


def write(place, sent, full):
    place.mkdir(exist_ok=True)
    for old in place.glob("*.json"):
        old.unlink()
    for n, delivery in enumerate(sent, 1):
        payload = json.loads(delivery.body)
        said = payload.get("comment", {}).get("body")
        kept = as_listed(delivery, payload) if full else {
            "event": delivery.event, "delivery": delivery.guid, "payload": slim(payload)}
        if said is not None:
            kept["payload"]["comment"]["body"] = said
        (place / f"{n:02}-{payload['action']}.json").write_text(json.dumps(kept, indent=None) + "\n")
    (place / "people.json").write_text(json.dumps(PEOPLE) + "\n")


if __name__ == "__main__":
    for name in sys.argv[1:] or SCENARIOS:
        record(name, SCENARIOS[name])
