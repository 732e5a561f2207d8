"""Registering a GitHub App from a manifest: the form, the person's confirmation, and the code's conversion.

The pages are a person's in a browser, and below the same root as the API, as on GitHub Enterprise Server.
"""
import html
import json
import secrets
import time
import urllib.parse

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from . import payload
from .control import operation
from .reply import Refusal, Reply

CODE_LIVES_S = 3600
NAME_MAX = 34
MEMBERS = {"name", "url", "hook_attributes", "redirect_url", "callback_urls", "setup_url", "description", "public",
           "default_events", "default_permissions", "request_oauth_on_install", "setup_on_update"}
LEVELS = {"metadata": ("read",), "checks": ("read", "write"), "pull_requests": ("read", "write"),
          "contents": ("read", "write"), "actions": ("read", "write"), "members": ("read", "write"),
          "issues": ("read", "write"), "merge_queues": ("read", "write"), "statuses": ("read", "write")}
# The permission that is needed to be told of the event, by GitHub's description of its webhooks.
EVENTS = {"pull_request": "pull_requests", "issue_comment": "issues", "member": "members", "membership": "members",
          "team": "members", "merge_group": "merge_queues"}


def _flow(sim):
    if not hasattr(sim.world, "manifest_flow"):
        sim.world.manifest_flow = {"codes": {}, "made": [], "answer": None}
    return sim.world.manifest_flow


def is_one(path):
    return path.endswith("/settings/apps/new") or path.startswith(("/settings/apps/", "/app-manifests/"))


@operation()
def expire_manifest_codes(sim):
    for one in _flow(sim)["codes"].values():
        one["until"] = 0


@operation()
def manifest_answer(sim, **members):
    """What differs of the next conversions' replies: {"pem": None}; nothing: they are as they should be."""
    _flow(sim)["answer"] = members


@operation()
def manifest_apps(sim):
    """What was made: [{"id", "slug", "org", "manifest", "webhook_secret"}]."""
    return _flow(sim)["made"]


def answer(sim, request, call, raw):
    url = urllib.parse.urlsplit(call.path)
    segments = url.path.strip("/").split("/")
    root = f"http://{request.headers.get('Host', '')}"
    match call.method, segments:
        case "POST", ["settings", "apps", "new"]:
            return _show_form(sim, "", url.query, raw, call)
        case "POST", ["organizations", org, "settings", "apps", "new"]:
            return _show_form(sim, org, url.query, raw, call)
        case "POST", ["settings", "apps", "confirm"]:
            return _confirm(sim, raw)
        case "POST", ["app-manifests", code, "conversions"]:
            return _convert(sim, root, code)
    raise Refusal(404, "Not Found", violation="no such route of the manifest flow")


def _page(status, text, headers=None):
    body = f"<!doctype html><html lang=en><title>GitHub</title><link rel=icon href=data:,><body>{text}</body></html>".encode()
    return Reply(status, body, {"Content-Type": "text/html; charset=utf-8", **(headers or {})})


def _fields(raw):
    return dict(urllib.parse.parse_qsl(raw.decode(), keep_blank_values=True))


def _show_form(sim, org, query, raw, call):
    text = _fields(raw).get("manifest", "")
    problem = _problem(sim, text)
    if problem:
        sim.journal.violation("manifest", problem, call)
        return _page(422, f"<h1>Invalid manifest</h1><p>{html.escape(problem)}</p>")
    state = dict(urllib.parse.parse_qsl(query)).get("state", "")
    hidden = "".join(f'<input type=hidden name={name} value="{html.escape(value)}">'
                     for name, value in {"manifest": text, "state": state, "org": org}.items())
    name = json.loads(text)["name"]
    return _page(200, f'<h1>Create {html.escape(name)}</h1><form method=post action="/settings/apps/confirm">{hidden}'
                      f'<button>Create GitHub App</button></form>')


def _confirm(sim, raw):
    fields = _fields(raw)
    manifest = json.loads(fields["manifest"])
    code = secrets.token_hex(20)
    # Now, since it may take its time: the conversion's caller is not as patient as a person.
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    _flow(sim)["codes"][code] = {"manifest": manifest, "org": fields["org"], "key": key, "until": time.time() + CODE_LIVES_S}
    query = {"code": code, **({"state": fields["state"]} if fields["state"] else {})}
    return _page(302, "", {"Location": f"{manifest['redirect_url']}?{urllib.parse.urlencode(query)}"})


def _convert(sim, root, code):
    flow = _flow(sim)
    one = flow["codes"].pop(code, None)
    if one is None or one["until"] <= time.time():
        raise Refusal(404, "Not Found")
    manifest = one["manifest"]
    key = one["key"]
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL,
                            serialization.NoEncryption()).decode()
    id_, slug = 1000 + len(flow["made"]), manifest["name"].lower().replace(" ", "-").replace(".", "-")
    sim.world.add_app(id_, slug, public.decode())
    secret = secrets.token_hex(20)
    flow["made"].append({"id": id_, "slug": slug, "org": one["org"], "manifest": manifest, "webhook_secret": secret})
    body = {**payload.app(sim.world.apps[id_]), "name": manifest["name"], "html_url": f"{root}/apps/{slug}", "pem": pem,
            "external_url": manifest["url"], "client_id": f"Iv1.{secrets.token_hex(8)}", "webhook_secret": secret,
            "client_secret": secrets.token_hex(20), "permissions": manifest.get("default_permissions", {}),
            "events": manifest.get("default_events", [])}
    return Reply(201, {**body, **(flow["answer"] or {})})


def _problem(sim, text):
    """What GitHub's form would not take, or None."""
    try:
        manifest = json.loads(text)
    except ValueError:
        return "it is not JSON"
    if not isinstance(manifest, dict):
        return "it is not an object"
    unknown = set(manifest) - MEMBERS
    name, hook = manifest.get("name", ""), manifest.get("hook_attributes", {})
    checks = [(unknown, f"unknown members {sorted(unknown)}"),
              (not isinstance(name, str) or not 0 < len(name) <= NAME_MAX, "name"),
              (any(one["manifest"]["name"] == name for one in _flow(sim)["made"]), "the name is taken"),
              (not _is_url(manifest.get("url")), "url"), (not _is_url(manifest.get("redirect_url")), "redirect_url"),
              (not isinstance(hook, dict) or not _is_url(hook.get("url")) or set(hook) - {"url", "active"}, "hook_attributes"),
              (not isinstance(manifest.get("public", False), bool), "public")]
    return next((what for wrong, what in checks if wrong), None) or _ungranted(manifest)


def _ungranted(manifest):
    permissions, events = manifest.get("default_permissions", {}), manifest.get("default_events", [])
    for name, level in permissions.items():
        if level not in LEVELS.get(name, ()):
            return f"permission {name}: {level}"
    for event in events:
        if event not in EVENTS:
            return f"event {event} is none that an App can subscribe to"
        if EVENTS[event] not in permissions:
            return f"default events are not supported by permissions: {event}"
    return None


def _is_url(text):
    parts = urllib.parse.urlsplit(text) if isinstance(text, str) else None
    return parts is not None and parts.scheme in ("http", "https") and bool(parts.netloc)
