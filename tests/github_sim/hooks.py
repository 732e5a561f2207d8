"""GitHub's side of a webhook: posting a delivery, signed, and what came of it."""
import asyncio
import hashlib
import hmac
import http.client
import urllib.parse

TIMEOUT_S = 10
NO_ANSWER = 0


class Hook:
    def __init__(self, url, secret):
        self.url, self.secret = urllib.parse.urlsplit(url), secret

    def post(self, delivery):
        """The status of the answer, NO_ANSWER if there was none."""
        body = delivery.body.encode()
        signature = "sha256=" + hmac.new(self.secret.encode(), body, hashlib.sha256).hexdigest()
        connection = http.client.HTTPConnection(self.url.hostname, self.url.port, timeout=TIMEOUT_S)
        try:
            connection.request("POST", self.url.path, body, {
                "User-Agent": "GitHub-Hookshot/044aadd", "Accept": "*/*", "Content-Type": "application/json",
                "X-GitHub-Event": delivery.event, "X-GitHub-Delivery": delivery.guid,
                "X-Hub-Signature-256": signature})
            reply = connection.getresponse()
            reply.read()
            return reply.status
        except (OSError, http.client.HTTPException):
            return NO_ANSWER
        finally:
            connection.close()

    def post_later(self, delivery, done):
        """Outside of the simulator's loop; then, inside of it, done(status)."""
        loop = asyncio.get_running_loop()
        posted = loop.run_in_executor(None, self.post, delivery)
        posted.add_done_callback(lambda future: done(future.result()))
