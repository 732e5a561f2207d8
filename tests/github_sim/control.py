"""The test's side of the simulator: POST /_sim/NAME with the arguments as a JSON object.

    arrange   app, repo, label_definition, role, team, token, mergeable, files, dismiss, ci, hook, settings, reset, own_app,
              pull_run (a run of a workflow that listens to pull requests), finish_run
    a person  open, push, label, unlabel, close, reopen, draft, ready, edit, rebase, assign, comment, edit_comment,
              delete_comment, rerequest (a check),
              press (a check's button),
              enqueue, destroy_group, dequeue (the merge queue);
              each returns [{"event", "delivery", "payload"}], the payload being the exact text
    webhook   send (posts a delivery to the hook, as GitHub does), delivered (says what was answered
              to one that the test posted itself), redeliver, attempts, forget_deliveries
    faults    fault (see faults.py), clear_faults, expire_tokens
    look      calls, overlaps, violations, state, outbox (drains it), triggers, load
    manifest  manifest_apps, manifest_answer, expire_manifest_codes (see manifest_flow.py)
    batch     [[name, arguments], ...] in one go, returns the list of results

Looking works with GET as well, arguments in the query.
"""
from . import actions, hooks
from .reply import Reply
from .world import NoSuchThing

OPERATIONS = {}


def operation(name=None):
    def register(run):
        OPERATIONS[name or run.__name__] = run
        return run
    return register


def _person(name, method):
    def run(sim, **arguments):
        return [one.json() for one in getattr(sim.world, method)(**arguments)]
    OPERATIONS[name] = run


for _name, _method in {"open": "open_pull", "push": "push", "label": "label", "unlabel": "unlabel",
                       "close": "close", "reopen": "reopen", "draft": "to_draft", "ready": "ready",
                       "edit": "edit", "rebase": "change_base", "assign": "assign", "comment": "comment",
                       "edit_comment": "edit_comment", "delete_comment": "delete_comment", "rerequest": "rerequest", "press": "press"}.items():
    _person(_name, _method)


@operation()
def enqueue(sim, **arguments):
    return [one.json() for one in actions.enqueue(sim.world, **arguments)]


@operation()
def destroy_group(sim, **arguments):
    return [one.json() for one in actions.destroy_group(sim.world, **arguments)]


@operation()
def dequeue(sim, **arguments):
    return [one.json() for one in actions.dequeue(sim.world, **arguments)]


# Arranging

@operation()
def pull_run(sim, **arguments):
    return {"id": actions.pull_run(sim.world, **arguments)}


@operation()
def finish_run(sim, **arguments):
    actions.finish_run(sim.world, **arguments)


@operation()
def app(sim, **arguments):
    sim.world.add_app(**arguments)


@operation()
def repo(sim, **arguments):
    made = sim.world.add_repo(**arguments)
    return {"id": made.id, "hook_id": made.hook_id,
            "labels": {label.name: label.id for label in made.labels.values()}}


@operation()
def label_definition(sim, **arguments):
    return {"id": sim.world.define_label(**arguments).id}


@operation()
def role(sim, repo, login, role):
    sim.world.set_role(repo, login, role)


@operation()
def team(sim, **arguments):
    sim.world.set_team(**arguments)


@operation()
def token(sim, token, login):
    sim.door.add_token(token, login)


@operation()
def mergeable(sim, **arguments):
    sim.world.set_mergeable(**arguments)


@operation()
def files(sim, **arguments):
    sim.world.set_files(**arguments)


@operation()
def dismiss(sim, **arguments):
    sim.world.dismiss(**arguments)


@operation()
def ci(sim, secret=None, cancel_status=None):
    """`cancel_status`: what it answers to cancelling; None: 202 for a key that it knows, else 404."""
    sim.ci.secret, sim.ci.cancel_status = secret, cancel_status


@operation()
def hook(sim, url=None, secret=None):
    """Where deliveries are posted; None: the outbox has them."""
    sim.world.hook = hooks.Hook(url, secret) if url else None


@operation()
def send(sim, delivery):
    """Returns the status of the answer, which the list of deliveries shows from now on."""
    one = sim.world.attempts(delivery)[-1]
    one.status = sim.world.hook.post(one)
    return one.status


@operation()
def delivered(sim, delivery, status, at=None):
    """The last attempt had that answer; `at` moves it, Unix seconds."""
    one = sim.world.attempts(delivery)[-1]
    one.status = status
    if at is not None:
        one.at = at


@operation()
def forget_deliveries(sim):
    """As after the three days for which they are kept."""
    sim.world.deliveries.clear()


@operation()
def redeliver(sim, delivery):
    """Somebody presses the button."""
    sim.world.redeliver(sim.world.attempts(delivery)[-1])


@operation()
def attempts(sim, delivery):
    return [{"id": one.id, "status": one.status, "redelivery": one.redelivery} for one in sim.world.attempts(delivery)]


@operation()
def settings(sim, latency_ms=None, jitter_ms=None, rate_limit=None, installation_ttl=None, runs_delay_ms=None,
             permissions=None):
    """Only what is given changes."""
    if latency_ms is not None:
        sim.faults.latency, sim.faults.jitter = latency_ms / 1000, (jitter_ms or 0) / 1000
    if rate_limit is not None:
        sim.rate_limit = rate_limit
    if installation_ttl is not None:
        sim.door.installation_ttl = installation_ttl
    if runs_delay_ms is not None:
        sim.world.runs_delay = runs_delay_ms / 1000
    if permissions is not None:
        sim.door.permissions = permissions


@operation()
def reset(sim):
    sim.reset()


@operation()
def forget(sim):
    """The records of the past go, the world stays."""
    sim.journal.clear()
    sim.faults.clear()
    sim.world.outbox.clear()


# Faults

@operation()
def fault(sim, **arguments):
    return {"id": sim.faults.add(**arguments)}


@operation()
def clear_faults(sim):
    """Also lets go whoever hangs."""
    sim.faults.clear()


@operation()
def expire_tokens(sim):
    sim.door.expire_installation_tokens()


# Looking

@operation()
def calls(sim, pr=None, since=0):
    return [call.json() for call in sim.journal.calls[int(since):] if pr in (None, call.pr)]


@operation()
def overlaps(sim):
    return [[first.json(), second.json()] for first, second in sim.journal.overlaps()]


@operation()
def violations(sim):
    return sim.journal.violations


@operation()
def outbox(sim):
    drained, sim.world.outbox = sim.world.outbox, []
    return [one.json() for one in drained]


@operation()
def triggers(sim):
    return sim.ci.triggers


@operation()
def load(sim):
    return {"calls": len(sim.journal.calls), "most_in_flight": sim.journal.most_in_flight}


@operation()
def state(sim, repo=None):
    """Everything, or one repository's part of it."""
    places = [sim.world.repo(repo)] if repo else [one for one in sim.world.repos.values() if one.hook_id]
    return {"repos": {one.full_name: _repo_state(sim, one) for one in places},
            "users": [one.login for one in sim.world.users.values()],
            "teams": [[*key, value] for key, value in sim.world.teams.items()]}


RUN_FIELDS = ("id", "display_title", "event", "head_sha", "status", "conclusion", "approved_by")


def _repo_state(sim, place):
    return {"id": place.id, "installation": place.installation,
            "labels": {one.name: one.id for one in place.labels.values()}, "roles": place.roles,
            "pulls": {str(n): _pull_state(place, one) for n, one in place.pulls.items()},
            "dispatches": place.dispatches,
            "runs": [{name: run[name] for name in RUN_FIELDS} for run in place.runs],
            "triggers": [one for one in sim.ci.triggers if one["body"]["repository"] == place.full_name],
            "cancels": [one for one in sim.ci.cancels if one["body"]["repository"] == place.full_name]}


def _pull_state(place, one):
    fields = one.now
    return {"id": one.id, "head": fields["head_sha"], "heads": one.heads, "state": fields["state"],
            "base": fields["base_ref"],
            "reviews": [{name: said.now[name] for name in ("state", "commit_id", "body")} for said in one.reviews],
            "merged": fields["merged"], "draft": fields["draft"], "mergeable": one.mergeable_at(None),
            "labels": [label.name for label in fields["labels"]], "updated_at": fields["updated_at"],
            "author": one.author and one.author.login,
            "comments": [_comment(said) for said in one.comments],
            "checks": {sha: [_check(run.now) for run in place.check_runs.get(sha, ())] for sha in one.heads},
            "statuses": {sha: [_status(status.now) for status in place.statuses.get(sha, ())] for sha in one.heads},
            "groups": [_group(place, group) for group in one.groups]}


def _group(place, group):
    return {"sha": group.sha, "branch": group.branch, "base_ref": group.base_ref,
            "checks": [_check(run.now) for run in place.check_runs.get(group.sha, ())],
            "statuses": [_status(status.now) for status in place.statuses.get(group.sha, ())]}


def _comment(said):
    reactions = [f"{one['user'].login} {one['content']}" for one in said.reactions]
    return {"id": said.now["id"], "body": said.now["body"], "by": said.now["user"].login, "reactions": reactions}


def _check(run):
    return {"actions": run.get("actions", []),
            **{name: run[name] for name in ("id", "name", "status", "conclusion", "external_id", "details_url",
                                            "output")}}


def _status(status):
    return {name: status[name] for name in ("context", "state", "description", "target_url")}


def answer(sim, name, arguments):
    """A Reply; what a test did wrong is a 400 that says so."""
    try:
        if name == "batch":
            return Reply(200, [OPERATIONS[one](sim, **given) for one, given in arguments])
        return Reply(200, OPERATIONS[name](sim, **arguments))
    except (KeyError, TypeError, ValueError, NoSuchThing) as problem:
        return Reply(400, {"message": f"/_sim/{name}: {type(problem).__name__}: {problem}"})


