"""What a route gives back: a Reply, or a Refusal in GitHub's shape."""

DOCS = "https://docs.github.com/rest"


class Reply:
    __slots__ = ("status", "body", "headers")

    def __init__(self, status, body=None, headers=None):
        self.status, self.body, self.headers = status, body, headers


class Refusal(Exception):
    """An answer that is an error. `violation` says what prgate did wrong, None if nothing."""

    def __init__(self, status, message, errors=None, violation=None, headers=None):
        super().__init__(message)
        self.violation, self.headers = violation, headers
        self.status = status
        self.body = {"message": message, "documentation_url": DOCS, "status": str(status)}
        if errors is not None:
            self.body["errors"] = errors

    def reply(self):
        return Reply(self.status, self.body, self.headers)


def not_found(message="Not Found"):
    return Refusal(404, message)


def invalid(resource, field, code, text):
    """422: the body is not what GitHub's description of the route says."""
    error = {"resource": resource, "field": field, "code": code, "message": text}
    return Refusal(422, "Validation Failed", [error], violation=f"{resource}.{field}: {text}")
