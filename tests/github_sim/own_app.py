"""An App's own settings, as it sees them with its JWT: what it asks for, and where its webhook goes.

The permissions are those of the Doorkeeper, which holds calls to them.
"""
from . import payload
from .control import operation
from .reply import Reply
from .rest import route

ALL_EVENTS = ("pull_request", "member", "membership", "team", "check_run", "check_suite", "issue_comment", "merge_group")
FIRST = {"url": "https://prgate.example/webhook", "content_type": "json", "insecure_ssl": "0", "secret": "********"}


def _settings(sim):
    """Kept at the world, so that a reset forgets them, too."""
    if not hasattr(sim.world, "own_app"):
        sim.world.own_app = {"events": list(ALL_EVENTS), "hook": dict(FIRST), "agreed": None}
    return sim.world.own_app


@operation()
def own_app(sim, events=None, hook=None, agreed=None):
    """What is not given is as at the start. `hook`: what differs of the webhook's configuration. `agreed`: permissions that the owner of the installation
    has agreed to, if not to all."""
    settings = _settings(sim)
    settings["events"] = list(ALL_EVENTS) if events is None else events
    settings["hook"] = {**FIRST, **(hook or {})}
    settings["agreed"] = agreed


def show_app(ask):
    return {**payload.app(ask.credential.app), "permissions": ask.sim.door.permissions,
            "events": _settings(ask.sim)["events"]}


def show_grants(ask):
    settings = _settings(ask.sim)
    agreed = ask.sim.door.permissions if settings["agreed"] is None else settings["agreed"]
    return {"permissions": agreed, "events": settings["events"]}


@route("GET", "/app/hook/config", credential="jwt")
def get_hook_config(ask):
    return Reply(200, {name: value for name, value in _settings(ask.sim)["hook"].items() if value is not None})
