"""One request's way: journal, faults, GitHub's own checks, route, reply."""
import asyncio
import json
import signal
import time
import urllib.parse

from aiohttp import web

from . import actions_rest, control, faults, manifest_flow, own_ci, payload, policy_rest, reactions, rest  # noqa: F401 (routes)
from .auth import Doorkeeper
from .journal import Journal
from .reply import Refusal, Reply
from .world import World

ACCEPTED = ("application/vnd.github+json", "application/vnd.github.v3+json")
API_VERSION = "2022-11-28"
RATE_WINDOW_S = 3600


class Sim:
    def __init__(self):
        self.journal = Journal()
        self.reset()

    def reset(self):
        """Everything as at the start; whoever hangs is let go."""
        if hasattr(self, "faults"):
            self.faults.clear()
        self.world = World()
        self.door = Doorkeeper(self.world)
        self.ci = own_ci.OwnCi()
        self.faults = faults.Faults(self.world.random)
        self.journal.clear()
        self.rate_limit = 1_000_000
        self.rate_reset = int(time.time()) + RATE_WINDOW_S

    def rate(self, credential):
        return {"limit": self.rate_limit, "used": credential.used, "reset": self.rate_reset,
                "remaining": max(0, self.rate_limit - credential.used)}

    def answer(self, request, call, raw, plan):
        """A Reply of GitHub's or of the project's own CI."""
        if call.path.partition("?")[0] == own_ci.PATH:
            reply, violation = self.ci.answer(call.method, request.headers, raw, call.body)
            if violation:
                self.journal.violation("ci", violation, call)
            return reply
        if manifest_flow.is_one(call.path.partition("?")[0]):
            return self._answer_manifest(request, call, raw)
        credential = None
        try:
            _check_headers(self.journal, request, call)
            credential = self.door.identify(request.headers.get("Authorization"))
            self._count(credential)
            reply = self._answer_rest(request, call, raw, plan, credential)
        except Refusal as refusal:
            if refusal.violation:
                self.journal.violation(str(refusal.status), refusal.violation, call)
            reply = refusal.reply()
        reply.headers = {**self._rate_headers(credential), **(reply.headers or {})}
        return reply

    def _answer_manifest(self, request, call, raw):
        """Without credentials. The pages are for a browser; only the conversion is a call of the API."""
        try:
            if call.path.startswith("/app-manifests/"):
                _check_headers(self.journal, request, call)
                if request.headers.get("Authorization") is not None:
                    self.journal.violation("header", "credentials for a manifest's conversion", call)
            return manifest_flow.answer(self, request, call, raw)
        except Refusal as refusal:
            if refusal.violation:
                self.journal.violation(str(refusal.status), refusal.violation, call)
            return refusal.reply()

    def _answer_rest(self, request, call, raw, plan, credential):
        path, _, query = call.path.partition("?")
        segments = _segments(path)
        found = rest.find(call.method, segments)
        if found is None:
            raise Refusal(404, "Not Found", violation="no such route")
        if raw and call.body is None and raw.strip() != b"null":
            raise Refusal(400, "Problems parsing JSON", violation="the body is not JSON")
        route, params = found
        when = time.monotonic() - plan.stale if plan.stale and call.method == "GET" else None
        url = f"http://{request.headers.get('Host', '')}{path}"
        query = dict(urllib.parse.parse_qsl(query, keep_blank_values=True)) if query else {}
        return rest.answer(rest.Ask(self, credential, params, query, call.body, when, url), route)

    def _count(self, credential):
        if time.time() >= self.rate_reset:
            self.rate_reset += RATE_WINDOW_S
        credential.used += 1
        if credential.used > self.rate_limit:
            raise Refusal(403, faults.EXHAUSTED)

    def _rate_headers(self, credential):
        used = credential.used if credential else 0
        return {"X-RateLimit-Limit": str(self.rate_limit), "X-RateLimit-Used": str(used),
                "X-RateLimit-Remaining": str(max(0, self.rate_limit - used)),
                "X-RateLimit-Reset": str(self.rate_reset), "X-RateLimit-Resource": "core"}

    def concern(self, request, call, body):
        """The pull request that a call is about, as "owner/repo#n", or None."""
        path = call.path.partition("?")[0]
        if path == own_ci.PATH:
            return self.ci.pr(call.method, request.headers, body)
        segments = _segments(path)
        if segments[0] != "repos" or len(segments) < 4:
            return None
        repo = self.world.repos.get(f"{segments[1]}/{segments[2]}".lower())
        number = _number(self, repo, segments[3:], body if isinstance(body, dict) else {}) if repo else None
        return f"{repo.full_name}#{number}" if number is not None else None


def _number(sim, repo, rest_of_path, body):
    match rest_of_path:
        case ["pulls" | "issues", number, *_]:
            return number
        case ["commits" | "statuses", sha, *_]:
            return _of_sha(repo, sha)
        case ["check-runs"]:
            return _of_sha(repo, body.get("head_sha"))
        case ["check-runs", id_, *_]:
            found = sim.world.check_runs.get(int(id_)) if id_.isdigit() else None
            return _of_sha(repo, found[1].now["head_sha"]) if found else None
        case ["dispatches"]:
            return _of_object(body.get("client_payload"))
        case ["actions", "workflows", _, "dispatches"]:
            return _of_object(body.get("inputs"))
        case ["actions", "runs", id_, *_] if id_.isdigit():
            return next((run["number"] for run in repo.runs if run["id"] == int(id_)), None)
    return None


def _of_sha(repo, sha):
    pull = repo.pull_of_sha.get(sha) if isinstance(sha, str) else None
    return pull.number if pull else None


def _of_object(body):
    return body.get("number") if isinstance(body, dict) else None


def _segments(path):
    return [urllib.parse.unquote(segment) if "%" in segment else segment for segment in path[1:].split("/")]


def _check_headers(journal, request, call):
    headers = request.headers
    if not headers.get("User-Agent"):
        raise Refusal(403, "Request forbidden by administrative rules. Please make sure your request has a "
                           "User-Agent header", violation="no User-Agent")
    if not any(accepted in headers.get("Accept", "") for accepted in ACCEPTED):
        journal.violation("header", f"Accept is {headers.get('Accept')!r}", call)
    if headers.get("X-GitHub-Api-Version") != API_VERSION:
        journal.violation("header", f"X-GitHub-Api-Version is {headers.get('X-GitHub-Api-Version')!r}", call)
    if request.can_read_body and headers.get("Content-Type", "").split(";")[0] != "application/json":
        journal.violation("header", f"Content-Type is {headers.get('Content-Type')!r}", call)


class Server(web.Server):
    """aiohttp's own, and it tells when a caller has gone."""

    def __init__(self, sim):
        super().__init__(self.handle, access_log=None, keepalive_timeout=300)
        self.sim = sim
        self.gone = {}  # connection -> (its call, Event)

    def connection_lost(self, handler, exc=None):
        super().connection_lost(handler, exc)
        call, gone = self.gone.pop(handler, (None, None))
        if call is not None:
            self.sim.journal.leave(call, lost=True)
            gone.set()

    async def handle(self, request):
        path = request.raw_path
        raw = await request.read() if request.can_read_body else b""
        if path.startswith("/_sim/"):
            name = path[len("/_sim/"):].partition("?")[0]
            return _response(control.answer(self.sim, name, json.loads(raw) if raw else dict(request.query)))
        call = self.sim.journal.begin(request.method, path)
        gone = asyncio.Event()
        self.gone[request.protocol] = call, gone
        body = own_ci.parse(raw)
        self.sim.journal.enter(call, body, self.sim.concern(request, call, body))
        try:
            return await self._answer(request, call, raw, gone)
        finally:
            self.gone.pop(request.protocol, None)

    async def _answer(self, request, call, raw, gone):
        plan = self.sim.faults.plan(call)
        end = plan.end
        if end is not None:
            call.fault = end.route
        if plan.hold is not None:
            await plan.hold.hold_back()
        if plan.latency:
            await asyncio.sleep(plan.latency / 2)
        if end is not None and not end.after and end.drop != "after":
            reply = await self._go_wrong(request, call, end, gone)
        else:
            reply = self.sim.answer(request, call, raw, plan)
            if end is not None:
                reply = await self._go_wrong(request, call, end, gone)
        if plan.latency:
            await asyncio.sleep(plan.latency / 2)
        self.sim.journal.leave(call, reply.status)
        return _response(reply)

    async def _go_wrong(self, request, call, fault, gone):
        if fault.hang:
            await self.sim.faults.hang(gone)
        if fault.hang or fault.drop:
            self.sim.journal.leave(call)
            request.protocol.force_close()
            return Reply(None)
        return self.sim.faults.refuse(fault, call, self.sim.journal)


def _response(reply):
    if reply.status is None:  # the connection is closed already
        return web.Response(status=500)
    if isinstance(reply.body, bytes):  # a page
        return web.Response(status=reply.status, body=reply.body, headers=reply.headers)
    body = b"" if reply.body is None and reply.status == 204 else payload.dumps(reply.body).encode()
    response = web.Response(status=reply.status, body=body, headers=reply.headers)
    if body:
        response.headers["Content-Type"] = "application/json; charset=utf-8"
    return response


async def _serve(port):
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    listener = await loop.create_server(Server(Sim()), "127.0.0.1", port, backlog=1024)
    print(f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}", flush=True)
    await stop.wait()


def run(port):
    asyncio.run(_serve(port))
