"""Stands between prgate and prism, notes every call and what prism said of it.

prism answers 406 to a request that does not also accept application/json, which GitHub does not ask for: it is added here.
"""
import collections
import http.client
import http.server
import json
import re
import threading
import urllib.parse

Call = collections.namedtuple("Call", "name method path status request_violations reply_violations")
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "sl-violations"}
UPSTREAM_S = 30


class Recorder:
    def __init__(self, names, upstream_port):
        self.calls = []
        self.names, self.upstream_port = names, upstream_port
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.recorder = self
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()

    def note(self, method, target, status, violations):
        path, _, query = target.partition("?")
        name, fields = self.names.find(method, path)
        wrong = [f"{'.'.join(map(str, one['location']))}: {one['message']}" for one in violations]
        request = [one for one in wrong if one.startswith("request")]
        reply = [one for one in wrong if not one.startswith("request")]
        if name is None:
            request.append("request: no call of those that prgate is known to make")
        else:
            given = urllib.parse.parse_qs(query, keep_blank_values=True)
            request += [f"request.query: {field} is not described" for field in given if field not in fields]
        self.calls.append(Call(name, method, target, status, request, reply))


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = UPSTREAM_S

    def handle_call(self):
        recorder = self.server.recorder
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))) or None
        headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP | {"host"}}
        headers["Accept"] = f"{headers.get('Accept', '')}, application/json"
        upstream = http.client.HTTPConnection("127.0.0.1", recorder.upstream_port, timeout=UPSTREAM_S)
        try:
            upstream.request(self.command, self.path, body, headers)
            reply = upstream.getresponse()
            content = reply.read()
        finally:
            upstream.close()
        violations = json.loads(reply.headers.get("sl-violations", "[]"))
        recorder.note(self.command, self.path, reply.status, violations)
        self.send_response_only(reply.status)
        for name, value in reply.headers.items():
            if name.lower() == "link":  # the next page is to be fetched through here too
                value = re.sub(r"http://[^/>]+", recorder.url, value)
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        if reply.status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = handle_call

    def log_message(self, *_):
        pass
