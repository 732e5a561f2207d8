"""Cuts GitHub's REST description down to the calls that prgate makes, so that prism need not read all of it.

    cut_openapi.py FULL.json OUT.json

A call that GitHub no longer describes is an error. What is kept is kept with all that it refers to, and made stricter
in one thing: fields that a request's body is not said to have are not allowed, so that a misspelt one is found.
"""
import json
import pathlib
import re
import sys

REPO = "/repos/{owner}/{repo}"
# name of the call -> (method, path) in GitHub's description
CALLS = {
    "app get": ("GET", "/app"),
    "user get": ("GET", "/user"),
    "installation get": ("GET", REPO + "/installation"),
    "access token create": ("POST", "/app/installations/{installation_id}/access_tokens"),
    "permission get": ("GET", REPO + "/collaborators/{username}/permission"),
    "membership get": ("GET", "/orgs/{org}/teams/{team_slug}/memberships/{username}"),
    "pull get": ("GET", REPO + "/pulls/{pull_number}"),
    "pulls list": ("GET", REPO + "/pulls"),
    "issue events list": ("GET", REPO + "/issues/{issue_number}/events"),
    "hooks list": ("GET", REPO + "/hooks"),
    "hook deliveries list": ("GET", REPO + "/hooks/{hook_id}/deliveries"),
    "hook redelivery": ("POST", REPO + "/hooks/{hook_id}/deliveries/{delivery_id}/attempts"),
    "app deliveries list": ("GET", "/app/hook/deliveries"),
    "app redelivery": ("POST", "/app/hook/deliveries/{delivery_id}/attempts"),
    "labels list": ("GET", REPO + "/issues/{issue_number}/labels"),
    "labels add": ("POST", REPO + "/issues/{issue_number}/labels"),
    "label remove": ("DELETE", REPO + "/issues/{issue_number}/labels/{name}"),
    "comments list": ("GET", REPO + "/issues/{issue_number}/comments"),
    "reaction create": ("POST", REPO + "/issues/comments/{comment_id}/reactions"),
    "comment create": ("POST", REPO + "/issues/{issue_number}/comments"),
    "check runs list": ("GET", REPO + "/commits/{ref}/check-runs"),
    "check run create": ("POST", REPO + "/check-runs"),
    "check run update": ("PATCH", REPO + "/check-runs/{check_run_id}"),
    "statuses list": ("GET", REPO + "/commits/{ref}/statuses"),
    "status create": ("POST", REPO + "/statuses/{sha}"),
    "repository dispatch": ("POST", REPO + "/dispatches"),
    "workflow dispatch": ("POST", REPO + "/actions/workflows/{workflow_id}/dispatches"),
    "workflow runs list": ("GET", REPO + "/actions/runs"),
    "workflow run cancel": ("POST", REPO + "/actions/runs/{run_id}/cancel"),
    "workflow run approve": ("POST", REPO + "/actions/runs/{run_id}/approve"),
}


def referred(part):
    """Every "#/components/KIND/NAME" below `part`."""
    if isinstance(part, dict):
        for name, value in part.items():
            if name == "$ref" and isinstance(value, str):
                yield value
            else:
                yield from referred(value)
    elif isinstance(part, list):
        for value in part:
            yield from referred(value)


def tighten(schema):
    """No unknown fields, where the description does not allow them explicitly."""
    if "properties" in schema:
        schema.setdefault("additionalProperties", False)
        inner = schema["properties"].values()
    else:  # alternatives next to properties only say which of them belong together
        inner = [*schema.get("oneOf", ()), *schema.get("anyOf", ())]
    for one in [*inner, *([schema["items"]] if "items" in schema else [])]:
        tighten(one)


def correct(full):
    """`created` is a range in search syntax (">=2024-01-31T12:00:00Z"): its text says so, its format only a date."""
    created = full["components"]["parameters"]["created"]
    if "search syntax" in created["description"]:
        created["schema"].pop("format", None)


def cut(full):
    correct(full)
    paths = {}
    for method, path in CALLS.values():
        item = full["paths"][path]
        kept = paths.setdefault(path, {"parameters": item["parameters"]} if "parameters" in item else {})
        kept[method.lower()] = item[method.lower()]
        for content in item[method.lower()].get("requestBody", {}).get("content", {}).values():
            tighten(content["schema"])
    components = {}
    open_ends = list(referred(paths))
    while open_ends:
        _, _, kind, name = open_ends.pop().split("/")
        if name not in components.setdefault(kind, {}):
            components[kind][name] = full["components"][kind][name]
            open_ends += referred(components[kind][name])
    return {"openapi": full["openapi"], "info": full["info"], "paths": paths, "components": components}


class Names:
    """Which call a request is, and which query fields it may have."""

    def __init__(self, description):
        self._known = []
        for name, (method, path) in CALLS.items():
            pattern = re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path)) + r"\Z")
            item = description["paths"][path]
            parameters = [self._resolve(description, one)
                          for one in [*item.get("parameters", ()), *item[method.lower()].get("parameters", ())]]
            query = {one["name"] for one in parameters if one["in"] == "query"}
            self._known.append((method, pattern, name, query))

    @staticmethod
    def _resolve(description, part):
        while "$ref" in part:
            _, _, kind, name = part["$ref"].split("/")
            part = description["components"][kind][name]
        return part

    def find(self, method, path):
        """(name, query fields), or (None, set())."""
        return next(((name, query) for known, pattern, name, query in self._known
                     if known == method and pattern.match(path)), (None, set()))


def main(source, target):
    description = cut(json.loads(pathlib.Path(source).read_text()))
    pathlib.Path(target).write_text(json.dumps(description))


if __name__ == "__main__":
    main(*sys.argv[1:])
