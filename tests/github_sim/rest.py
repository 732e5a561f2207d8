"""GitHub's REST routes, as far as prgate and its documentation name them."""
import time

from . import fields, payload
from .reply import Refusal, Reply, invalid, not_found
from .world import FOLDED, Versioned

LARGEST_PAGE = 100


class Ask:
    """One understood request, as a route sees it."""
    __slots__ = ("sim", "world", "credential", "params", "query", "body", "when", "url", "repo")

    def __init__(self, sim, credential, params, query, body, when, url):
        self.sim, self.world, self.credential = sim, sim.world, credential
        self.params, self.query, self.body, self.when, self.url = params, query, body, when, url
        self.repo = None

    def pull(self):
        n = self.params["n"]
        pull = self.repo.pulls.get(int(n)) if n.isdigit() else None
        if pull is None or pull.at(self.when) is None:
            raise not_found()
        return pull

    def sha(self, resource="Commit"):
        """A commit that the repository has."""
        sha = self.params["sha"]
        if sha not in self.repo.pull_of_sha:
            raise Refusal(422, f"No commit found for SHA: {sha}", [{"resource": resource, "code": "custom"}])
        return sha

    def page(self, items, wrap=None):
        """The asked-for page of `items`, with the Link header for the others."""
        size, page = self.number("per_page", 30, LARGEST_PAGE), self.number("page", 1)
        part = items[(page - 1) * size:page * size]
        last = max(1, -(-len(items) // size))
        links = [(number, rel) for number, rel in ((page - 1, "prev"), (page + 1, "next"), (last, "last"), (1, "first"))
                 if 1 <= number <= last and number != page]
        body = part if wrap is None else {"total_count": len(items), wrap: part}
        return Reply(200, body, {"Link": ", ".join(self._link(*link) for link in links)} if links else None)

    def number(self, name, otherwise, most=10**9):
        value = self.query.get(name, "")
        return min(max(int(value), 1), most) if value.isdigit() else otherwise

    def _link(self, page, rel):
        query = "&".join(f"{name}={value}" for name, value in {**self.query, "page": page}.items())
        return f'<{self.url}?{query}>; rel="{rel}"'


class Route:
    """`credential` is the kind it takes ("jwt", "token": all but that); `permission` what an installation needs."""
    __slots__ = ("method", "template", "run", "credential", "permission")

    def __init__(self, method, template, run, credential, permission):
        self.method, self.template, self.run = method, template, run
        self.credential, self.permission = credential, permission


ROUTES = {}  # a tree of path segments; "{}" stands for any; "" holds {method: Route}


def route(method, template, credential="token", permission=None):
    def register(run):
        node = ROUTES
        for segment in template.strip("/").split("/"):
            node = node.setdefault("{}" if segment.startswith("{") else segment, {})
        node.setdefault("", {})[method] = Route(method, template.strip("/").split("/"), run, credential, permission)
        return run
    return register


def find(method, segments):
    """(Route, params), or None."""
    node = ROUTES
    for segment in segments:
        node = node.get(segment) or node.get("{}")
        if node is None:
            return None
    found = node.get("", {}).get(method)
    if found is None:
        return None
    return found, {name[1:-1]: value for name, value in zip(found.template, segments) if name[0] == "{"}


def answer(ask, found):
    """Runs a route; raises Refusal."""
    _check_credential(ask.credential, found)
    if "{r}" in found.template:
        ask.repo = _repo(ask)
    if found.permission:
        ask.credential.require(found.permission)
    return found.run(ask)


def _check_credential(credential, found):
    if found.credential == "any":
        return
    if found.credential == "jwt" and credential.kind != "jwt":
        raise Refusal(401, "A JSON web token could not be decoded", violation="this route wants the App's JWT")
    if found.credential == "token" and credential.kind == "jwt":
        raise Refusal(401, "Bad credentials", violation="this route does not take the App's JWT")


def _repo(ask):
    repo = ask.world.repos.get(f"{ask.params['o']}/{ask.params['r']}".lower())
    if repo is None:
        raise not_found()
    credential = ask.credential
    if credential.kind == "installation" and credential.installation != repo.installation:
        raise Refusal(403, "Resource not accessible by integration", violation="token of another installation")
    return repo


# Who am I

@route("GET", "/app", credential="jwt")
def get_app(ask):
    return Reply(200, own_app.show_app(ask))


@route("GET", "/apps/{slug}", credential="token")
def get_app_by_slug(ask):
    for app in ask.world.apps.values():
        if app.slug == ask.params["slug"].lower():
            return Reply(200, payload.app(app))
    raise not_found()


@route("GET", "/user")
def get_user(ask):
    if ask.credential.kind != "personal":
        raise Refusal(403, "Resource not accessible by integration", violation="an installation is no user")
    return Reply(200, payload.user(ask.credential.actor))


@route("GET", "/rate_limit", credential="any")
def get_rate_limit(ask):
    return Reply(200, {"resources": {"core": ask.sim.rate(ask.credential)}})


@route("GET", "/repos/{o}/{r}/installation", credential="jwt")
def get_installation(ask):
    if ask.repo.installation is None:
        raise not_found()
    app = ask.credential.app
    return Reply(200, {"id": ask.repo.installation, "account": payload.user(ask.repo.owner), "app_id": app.id,
                       "app_slug": app.slug, "target_type": "Organization", **own_app.show_grants(ask),
                       "repository_selection": "all", "suspended_at": None})


@route("POST", "/app/installations/{id}/access_tokens", credential="jwt")
def mint_token(ask):
    installations = {str(repo.installation) for repo in ask.world.repos.values() if repo.installation is not None}
    if ask.params["id"] not in installations:
        raise not_found()
    token, expires_at = ask.sim.door.mint(ask.credential.app, int(ask.params["id"]))
    return Reply(201, {"token": token, "expires_at": payload.iso(expires_at),
                       "permissions": ask.sim.door.permissions, "repository_selection": "all"})


# Deliveries, for catching up

def _deliveries(ask, mine):
    size = ask.number("per_page", 30, LARGEST_PAGE)
    before = int(ask.query["cursor"]) if ask.query.get("cursor", "").isdigit() else float("inf")
    found = [one for one in reversed(ask.world.deliveries) if mine(one) and one.id < before]
    part = found[:size]
    more = len(found) > size
    link = {"Link": f'<{ask.url}?per_page={size}&cursor={part[-1].id}>; rel="next"'} if more else None
    return Reply(200, [payload.delivery(one) for one in part], link)


def _delivery(ask, mine):
    found = next((one for one in ask.world.deliveries if mine(one) and str(one.id) == ask.params["id"]), None)
    if found is None:
        raise not_found()
    return found


def _of_app(one):
    return one.repo.installation is not None


def _of_hook(ask, level):
    _need_hooks(ask, level)
    if ask.params["hook"] != str(ask.repo.hook_id):
        raise not_found()
    return lambda one: one.repo is ask.repo


@route("GET", "/app/hook/deliveries", credential="jwt")
def list_app_deliveries(ask):
    return _deliveries(ask, _of_app)


@route("POST", "/app/hook/deliveries/{id}/attempts", credential="jwt")
def redeliver_app(ask):
    ask.world.redeliver(_delivery(ask, _of_app))
    return Reply(202, {})


def _need_hooks(ask, level):
    """A repository's webhooks are its administrators' to see; for anybody else they are not there."""
    ask.credential.require(f"repository_hooks:{level}")
    if ask.credential.kind == "personal" and ask.world.role(ask.repo, ask.credential.actor.login) != "admin":
        raise not_found()


@route("GET", "/repos/{o}/{r}/hooks")
def list_hooks(ask):
    _need_hooks(ask, "read")
    return ask.page([payload.hook(ask.repo)])


@route("GET", "/repos/{o}/{r}/hooks/{hook}/deliveries")
def list_hook_deliveries(ask):
    return _deliveries(ask, _of_hook(ask, "read"))


@route("POST", "/repos/{o}/{r}/hooks/{hook}/deliveries/{id}/attempts")
def redeliver_hook(ask):
    ask.world.redeliver(_delivery(ask, _of_hook(ask, "write")))
    return Reply(202, {})


# People

@route("GET", "/repos/{o}/{r}/collaborators/{login}/permission", permission="metadata:read")
def get_permission(ask):
    user = ask.world.users.get(ask.params["login"].lower())
    if user is None or user.kind == "Bot":
        raise not_found(f"{ask.params['login']} is not a user")
    role = ask.world.role(ask.repo, user.login)
    return Reply(200, {"permission": FOLDED.get(role, role), "role_name": role,
                       "user": {**payload.user(user), "role_name": role}})


@route("GET", "/orgs/{org}/teams/{team}/memberships/{login}", permission="members:read")
def get_membership(ask):
    org, team, login = ask.params["org"], ask.params["team"], ask.params["login"]
    state = ask.world.teams.get((org.lower(), team.lower(), login.lower()))
    if state is None:
        raise not_found()
    return Reply(200, {"url": f"{payload.API}/teams/1/memberships/{login}", "role": "member", "state": state})


# Pull requests, labels, comments

@route("GET", "/repos/{o}/{r}", permission="metadata:read")
def get_repo(ask):
    return Reply(200, payload.repo(ask.repo))


@route("GET", "/repos/{o}/{r}/pulls", permission="pull_requests:read")
def list_pulls(ask):
    state = _choice(ask, "state", "open", "closed", "all")
    sort = _choice(ask, "sort", "created", "updated", "popularity", "long-running")
    direction = _choice(ask, "direction", "desc" if "sort" not in ask.query or sort == "created" else "asc", "asc",
                        "desc")
    shown = [one for one in ask.repo.pulls.values() if one.at(ask.when) is not None]
    shown = [one for one in shown if state in ("all", one.at(ask.when)["state"])]
    shown.sort(key=lambda one: one.id if sort == "created" else one.at(ask.when)["updated_at"],
               reverse=direction == "desc")
    return ask.page([payload.listed_pull(one, ask.when) for one in shown])


def _choice(ask, name, *values):
    """A field of the query, the first value if it is not there."""
    value = ask.query.get(name, values[0])
    if value not in values:
        raise Refusal(422, "Validation Failed", violation=f"{name}={value} is none of {', '.join(values)}")
    return value


@route("GET", "/repos/{o}/{r}/issues/{n}/events", permission="issues:read")
def list_issue_events(ask):
    pull = ask.pull()
    shown = [one for one in pull.events if ask.when is None or one["at"] <= ask.when]
    return ask.page([payload.issue_event(pull, one) for one in shown])


@route("GET", "/repos/{o}/{r}/pulls/{n}", permission="pull_requests:read")
def get_pull(ask):
    return Reply(200, payload.pull(ask.pull(), ask.when))


@route("GET", "/repos/{o}/{r}/labels", permission="issues:read")
def list_repo_labels(ask):
    return ask.page(payload.labels(ask.repo, ask.repo.labels.values()))


@route("GET", "/repos/{o}/{r}/labels/{name}", permission="issues:read")
def get_repo_label(ask):
    label = ask.repo.label(ask.params["name"])
    if label is None:
        raise not_found()
    return Reply(200, payload.label(ask.repo, label))


@route("GET", "/repos/{o}/{r}/issues/{n}/labels", permission="pull_requests:read")
def list_labels(ask):
    return ask.page(payload.labels(ask.repo, ask.pull().at(ask.when)["labels"]))


@route("POST", "/repos/{o}/{r}/issues/{n}/labels", permission="pull_requests:write")
def add_labels(ask):
    pull = ask.pull()
    fields.demand("Label", ask.body, fields.LABELS)
    for name in ask.body["labels"]:
        label = ask.repo.label(name) or ask.world.define_label(ask.repo.full_name, name)
        ask.world.outbox += ask.world.add_label(pull, label, ask.credential.actor)
    return Reply(200, payload.labels(ask.repo, pull.now["labels"]))


@route("DELETE", "/repos/{o}/{r}/issues/{n}/labels/{name}", permission="pull_requests:write")
def remove_label(ask):
    pull = ask.pull()
    label = next((one for one in pull.now["labels"] if one.name.lower() == ask.params["name"].lower()), None)
    if label is None:
        raise not_found("Label does not exist")
    ask.world.outbox += ask.world.remove_label(pull, label, ask.credential.actor)
    return Reply(200, payload.labels(ask.repo, pull.now["labels"]))


@route("GET", "/repos/{o}/{r}/issues/{n}/comments", permission="pull_requests:read")
def list_comments(ask):
    pull = ask.pull()
    shown = [said.at(ask.when) for said in pull.comments]
    return ask.page([payload.comment(pull, said) for said in shown if said is not None])


@route("POST", "/repos/{o}/{r}/issues/{n}/comments", permission="pull_requests:write")
def add_comment(ask):
    pull = ask.pull()
    fields.demand("IssueComment", ask.body, fields.COMMENT)
    said = ask.world.add_comment(pull, ask.body["body"], ask.credential.actor, ask.credential.app)
    ask.world.outbox.append(ask.world.tell_comment(pull, said))
    return Reply(201, payload.comment(pull, said.now))


# Checks and statuses

def _need_app(ask):
    if ask.credential.kind != "installation":
        raise Refusal(403, "Resource not accessible by personal access token",
                      violation="check runs are an App's to write")


def _check_run_changes(body):
    """What a body sets: a conclusion completes, a status that is no completion has none."""
    changes = {name: value for name, value in body.items() if name != "output"}
    if changes.get("status") == "completed" and "conclusion" not in changes:
        raise invalid("CheckRun", "conclusion", "missing_field", "is missing for a completed run")
    if "conclusion" in changes:
        changes["status"] = "completed"
        changes.setdefault("completed_at", payload.iso(time.time()))
    elif "status" in changes:
        changes.update(conclusion=None, completed_at=None)
    return changes


@route("POST", "/repos/{o}/{r}/check-runs", permission="checks:write")
def create_check_run(ask):
    _need_app(ask)
    fields.demand("CheckRun", ask.body, fields.CHECK_RUN_CREATED, fields.CHECK_RUN)
    ask.params["sha"] = ask.body["head_sha"]
    sha = ask.sha("CheckRun")
    run = Versioned(**{"id": next(ask.world.ids), "app": ask.credential.app, "external_id": "", "details_url": None,
                       "status": "queued", "conclusion": None, "completed_at": None,
                       "started_at": payload.iso(time.time()), "output": ask.body.get("output", {}),
                       **_check_run_changes(ask.body)})
    ask.repo.check_runs[sha].append(run)
    ask.world.check_runs[run.now["id"]] = (ask.repo, run)
    return Reply(201, payload.check_run(ask.repo, run.now))


def _check_run(ask):
    repo, run = ask.world.check_runs.get(int(ask.params["id"]) if ask.params["id"].isdigit() else 0, (None, None))
    if repo is not ask.repo or run.at(ask.when) is None:
        raise not_found()
    return run


@route("GET", "/repos/{o}/{r}/check-runs/{id}", permission="checks:read")
def get_check_run(ask):
    return Reply(200, payload.check_run(ask.repo, _check_run(ask).at(ask.when)))


@route("PATCH", "/repos/{o}/{r}/check-runs/{id}", permission="checks:write")
def change_check_run(ask):
    _need_app(ask)
    run = _check_run(ask)
    fields.demand("CheckRun", ask.body, {}, fields.CHECK_RUN_CHANGED)
    changes = _check_run_changes(ask.body)
    run.set(output={**run.now["output"], **ask.body.get("output", {})}, **changes)
    return Reply(200, payload.check_run(ask.repo, run.now))


@route("GET", "/repos/{o}/{r}/commits/{sha}/check-runs", permission="checks:read")
def list_check_runs(ask):
    shown = [run for run in (one.at(ask.when) for one in ask.repo.check_runs[ask.sha()]) if run is not None]
    for name, value in (("check_name", "name"), ("status", "status")):
        if name in ask.query:
            shown = [run for run in shown if run[value] == ask.query[name]]
    if "app_id" in ask.query:
        shown = [run for run in shown if str(run["app"].id) == ask.query["app_id"]]
    if ask.query.get("filter", "latest") == "latest":
        shown = list({(run["app"].id, run["name"]): run for run in shown}.values())
    return ask.page([payload.check_run(ask.repo, run) for run in reversed(shown)], wrap="check_runs")


@route("POST", "/repos/{o}/{r}/statuses/{sha}", permission="statuses:write")
def create_status(ask):
    sha = ask.sha("Status")
    fields.demand("Status", ask.body, fields.STATUS, fields.STATUS_MORE)
    status = Versioned(**{"id": next(ask.world.ids), "sha": sha, "target_url": None, "description": None,
                          "context": "default", "creator": ask.credential.actor, "created_at": int(time.time()),
                          **ask.body})
    ask.repo.statuses[sha].append(status)
    return Reply(201, payload.status(ask.repo, status.now))


def _statuses(ask):
    shown = [one.at(ask.when) for one in ask.repo.statuses[ask.sha()]]
    return [one for one in reversed(shown) if one is not None]


@route("GET", "/repos/{o}/{r}/commits/{sha}/statuses", permission="statuses:read")
def list_statuses(ask):
    return ask.page([payload.status(ask.repo, one) for one in _statuses(ask)])


@route("GET", "/repos/{o}/{r}/commits/{sha}/status", permission="statuses:read")
def combined_status(ask):
    newest = {one["context"]: one for one in reversed(_statuses(ask))}
    states = {one["state"] for one in newest.values()}
    state = "failure" if states & {"failure", "error"} else "success" if states == {"success"} else "pending"
    return Reply(200, {"state": state, "sha": ask.params["sha"], "total_count": len(newest),
                       "statuses": [payload.status(ask.repo, one) for one in newest.values()]})


# Starting CI

@route("POST", "/repos/{o}/{r}/dispatches", permission="contents:write")
def repository_dispatch(ask):
    fields.demand("Dispatch", ask.body, fields.DISPATCH, fields.DISPATCH_MORE)
    sent = ask.body.get("client_payload", {})
    _record_dispatch(ask, "repository_dispatch", sent, event_type=ask.body["event_type"])
    return Reply(204)


@route("POST", "/repos/{o}/{r}/actions/workflows/{workflow}/dispatches", permission="actions:write")
def workflow_dispatch(ask):
    workflow = find_workflow(ask)
    fields.demand("WorkflowDispatch", ask.body, fields.WORKFLOW_DISPATCH, fields.WORKFLOW_DISPATCH_MORE)
    inputs, ref = ask.body.get("inputs", {}), ask.body["ref"]
    if ref.removeprefix("refs/heads/") not in ask.repo.branches:
        raise Refusal(422, f"No ref found for: {ref}")
    if "workflow_dispatch" not in workflow.events:
        raise Refusal(422, "Workflow does not have 'workflow_dispatch' trigger")
    unexpected = [name for name in inputs if name not in workflow.inputs]
    if unexpected:
        raise Refusal(422, f"Unexpected inputs provided: {unexpected}", violation="undeclared workflow inputs")
    _record_dispatch(ask, "workflow_dispatch", inputs, workflow=workflow, ref=ref)
    return Reply(204)


def _record_dispatch(ask, event, sent, workflow=None, **more):
    file = workflow.file if workflow else None
    ask.repo.dispatches.append({"event": event, "payload": sent, "workflow": file, "at": time.time(), **more})
    ask.world.start_runs(ask.repo, event, sent, sent.get("key"), workflow)


def find_workflow(ask):
    found = next((one for one in ask.repo.workflows if ask.params["workflow"] in (one.file, str(one.id))), None)
    if found is None:
        raise not_found()
    return found


from . import own_app  # noqa: E402  its routes need route()
