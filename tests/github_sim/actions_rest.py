"""GitHub's routes about runs of Actions: listing, cancelling, approving."""
import calendar
import re
import time

from . import payload, rest
from .reply import Refusal, Reply, not_found
from .rest import route

# What `status` may be: a run's status or its conclusion.
STATUSES = {"completed", "action_required", "cancelled", "failure", "neutral", "skipped", "stale", "success",
            "timed_out", "in_progress", "queued", "requested", "waiting", "pending"}
FILTERS = {"actor", "branch", "event", "status", "per_page", "page", "created", "exclude_pull_requests",
           "check_suite_id", "head_sha"}


@route("GET", "/repos/{o}/{r}/actions/runs", permission="actions:read")
def list_runs(ask):
    return _runs(ask, ask.repo.runs)


@route("GET", "/repos/{o}/{r}/actions/workflows/{workflow}/runs", permission="actions:read")
def list_workflow_runs(ask):
    workflow = rest.find_workflow(ask)
    return _runs(ask, [run for run in ask.repo.runs if run["workflow_id"] == workflow.id])


def _runs(ask, runs):
    unknown = set(ask.query) - FILTERS
    if unknown:
        raise Refusal(422, "Validation Failed", violation=f"a list of runs has no filter {', '.join(unknown)}")
    status = ask.query.get("status")
    if status not in (None, *STATUSES):
        raise Refusal(422, "Validation Failed", violation=f"status={status} is none")
    now = ask.when or time.monotonic()
    least, most = _created(ask.query.get("created", ""))
    shown = [run for run in reversed(runs) if run["visible_from"] <= now and least <= run["created_at"] <= most
             and ask.query.get("event") in (None, run["event"]) and ask.query.get("head_sha") in (None, run["head_sha"])
             and status in (None, run["status"], run["conclusion"])]
    return ask.page([payload.workflow_run(ask.repo, run) for run in shown], wrap="workflow_runs")


def _run(ask):
    found = next((run for run in ask.repo.runs if str(run["id"]) == ask.params["id"]), None)
    if found is None:
        raise not_found()
    if ask.body is not None:
        raise Refusal(400, "Problems parsing JSON", violation="this call has no body")
    return found


@route("POST", "/repos/{o}/{r}/actions/runs/{id}/cancel", permission="actions:write")
def cancel_run(ask):
    run = _run(ask)
    if run["status"] == "completed" and run["conclusion"] != "action_required":
        raise Refusal(409, "Cannot cancel a workflow run that is completed.")
    run.update(status="completed", conclusion="cancelled")
    return Reply(202, {})


@route("POST", "/repos/{o}/{r}/actions/runs/{id}/approve", permission="actions:write")
def approve_run(ask):
    run = _run(ask)
    if run["conclusion"] != "action_required":
        raise Refusal(403, "This run is not from a fork pull request or queued to run",
                      violation="approving a run that does not wait")
    run.update(status="queued", conclusion=None, approved_by=ask.credential.actor.login)
    return Reply(201, {})


CREATED = re.compile(r"(?P<op>>=|<=|>|<)?(?P<time>\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(Z|\+00:00))?)"
                     r"(\.\.(?P<to>\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(Z|\+00:00))?))?\Z")


def _created(text):
    """The range of Unix seconds that a `created` filter means."""
    if not text:
        return 0, float("inf")
    found = CREATED.match(text)
    if found is None:
        raise Refusal(422, "Validation Failed", violation=f"created={text} is no date or range")
    at = _seconds(found["time"])
    if found["to"]:
        return at, _seconds(found["to"], last=True)
    ranges = {">=": (at, float("inf")), ">": (at + 1, float("inf")), "<=": (0, at), "<": (0, at - 1)}
    return ranges.get(found["op"], (at, _seconds(found["time"], last=True)))


def _seconds(text, last=False):
    if "T" in text:
        return calendar.timegm(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S"))
    return calendar.timegm(time.strptime(text, "%Y-%m-%d")) + (86399 if last else 0)
