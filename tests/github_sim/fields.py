"""What the bodies of writing calls may contain.

A table maps each field to a checker; a checker takes the value and returns what is wrong
with it, or None. Fields that are not in the table are refused: GitHub would ignore some,
but prgate has no reason to send them.
"""
import re

from .reply import invalid

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\Z")
SHA = re.compile(r"[0-9a-f]{40}\Z|[0-9a-f]{64}\Z")


def text(least=0, most=65535, null=False, pattern=None):
    def check(value):
        if value is None and null:
            return None
        if not isinstance(value, str):
            return "is not a string"
        if len(value) < least:
            return f"is too short (minimum is {least} characters)"
        if len(value) > most:
            return f"is too long (maximum is {most} characters)"
        if pattern is not None and not pattern.match(value):
            return "is malformed"
        return None
    return check


def one_of(*values):
    def check(value):
        return None if isinstance(value, str) and value in values else f"is not one of {', '.join(values)}"
    return check


def many(item, least=0, most=None):
    def check(value):
        if not isinstance(value, list):
            return "is not an array"
        if len(value) < least or (most is not None and len(value) > most):
            return f"has {len(value)} items"
        return next((wrong for wrong in map(item, value) if wrong), None)
    return check


def table(required, optional=None):
    def check(value):
        if not isinstance(value, dict):
            return "is not an object"
        found = problem(value, required, optional or {})
        return f"{found[0]} {found[2]}" if found else None
    return check


def keys(most, values=None):
    """An object of any keys, at most so many."""
    def check(value):
        if not isinstance(value, dict):
            return "is not an object"
        if len(value) > most:
            return f"has more than {most} properties"
        if values is None:
            return None
        return next((f"{name} {wrong}" for name, wrong in ((k, values(v)) for k, v in value.items()) if wrong), None)
    return check


def problem(body, required, optional):
    """(field, code, text) of the first thing wrong, or None."""
    for name in required:
        if name not in body:
            return name, "missing_field", "is missing"
    for name, value in body.items():
        check = required.get(name) or optional.get(name)
        if check is None:
            return name, "unprocessable", "is not a field of this call"
        wrong = check(value)
        if wrong:
            return name, "invalid", wrong
    return None


def demand(resource, body, required, optional=None):
    if not isinstance(body, dict):
        raise invalid(resource, "body", "invalid", "is not an object")
    found = problem(body, required, optional or {})
    if found:
        raise invalid(resource, *found)


URL = text(most=1024, pattern=re.compile(r"https?://[^\s]+\Z"))
LABELS = {"labels": many(text(least=1, most=50), least=1, most=100)}
COMMENT = {"body": text(least=1, most=65536)}

_OUTPUT = table({"title": text(least=1, most=255), "summary": text(most=65535)}, {"text": text(most=65535)})
_ACTION = table({"label": text(least=1, most=20), "description": text(most=40), "identifier": text(least=1, most=20)})
CHECK_RUN_CREATED = {"name": text(least=1, most=255), "head_sha": text(pattern=SHA)}
CHECK_RUN = {
    "status": one_of("queued", "in_progress", "completed"),
    "conclusion": one_of("action_required", "cancelled", "failure", "neutral", "success", "skipped", "timed_out"),
    "external_id": text(most=255), "details_url": URL, "started_at": text(pattern=TIME),
    "completed_at": text(pattern=TIME), "output": _OUTPUT, "actions": many(_ACTION, most=3),
}
CHECK_RUN_CHANGED = {**CHECK_RUN, "name": text(least=1, most=255)}

STATUS = {"state": one_of("error", "failure", "pending", "success")}
STATUS_MORE = {"target_url": lambda value: None if value is None else URL(value),
               "description": text(most=140, null=True), "context": text(least=1, most=255)}

DISPATCH = {"event_type": text(least=1, most=100)}
DISPATCH_MORE = {"client_payload": keys(most=10)}

WORKFLOW_DISPATCH = {"ref": text(least=1, most=255)}
WORKFLOW_DISPATCH_MORE = {"inputs": keys(most=10, values=text(most=65535))}
