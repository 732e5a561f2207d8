"""Who calls: an App by its JWT, an installation by its token, a person by a personal token."""
import base64
import binascii
import json
import secrets
import time

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from .reply import Refusal

JWT_LONGEST_S = 600
ALL_PERMISSIONS = {"actions": "write", "checks": "write", "contents": "write", "issues": "write",
                   "members": "read", "metadata": "read", "pull_requests": "write", "statuses": "write"}


class Credential:
    """`kind` is "jwt", "installation" or "personal". `actor` is the account that its writes show."""

    def __init__(self, kind, actor, app=None, installation=None, expires_at=None, permissions=None):
        self.kind, self.actor, self.app, self.installation = kind, actor, app, installation
        self.expires_at, self.permissions = expires_at, permissions
        self.used = 0

    def require(self, permission):
        """`permission` is like "checks:write"."""
        if self.kind != "installation":
            return
        name, level = permission.split(":")
        granted = self.permissions.get(name)
        if granted is None or (level == "write" and granted != "write"):
            raise Refusal(403, "Resource not accessible by integration", violation=f"lacks permission {permission}",
                          headers={"X-Accepted-GitHub-Permissions": permission.replace(":", "=")})


class Doorkeeper:
    def __init__(self, world):
        self.world = world
        self.tokens = {}
        self.installation_ttl = 3600
        self.permissions = dict(ALL_PERMISSIONS)
        self._keys = {}

    def add_token(self, token, login):
        self.tokens[token] = Credential("personal", self.world.user(login))

    def mint(self, app, installation):
        token = f"ghs_{secrets.token_urlsafe(27)}"
        expires_at = time.time() + self.installation_ttl
        self.tokens[token] = Credential("installation", app.bot, app, installation, expires_at, self.permissions)
        return token, expires_at

    def expire_installation_tokens(self):
        for credential in self.tokens.values():
            if credential.kind == "installation":
                credential.expires_at = 0

    def identify(self, header):
        if header is None:
            raise Refusal(401, "Requires authentication", violation="no credentials sent")
        scheme, _, token = header.partition(" ")
        if scheme.lower() not in ("bearer", "token") or not token:
            raise Refusal(401, "Bad credentials", violation="Authorization header is malformed")
        if token.count(".") == 2:
            return self._identify_jwt(token)
        credential = self.tokens.get(token)
        if credential is None:
            raise Refusal(401, "Bad credentials", violation="unknown token")
        if credential.expires_at is not None and credential.expires_at <= time.time():
            raise Refusal(401, "Bad credentials")
        return credential

    def _identify_jwt(self, token):
        app = self._verified_app(token)
        claims = _part(token.split(".")[1])
        now = time.time()
        for name in ("iat", "exp"):
            if not isinstance(claims.get(name), int):
                raise _bad_jwt(f"'{name}' claim must be an integer")
        if claims["iat"] > now:
            raise _bad_jwt("'Issued at' claim ('iat') is in the future")
        if claims["exp"] > now + JWT_LONGEST_S:
            raise _bad_jwt("'Expiration time' claim ('exp') is too far in the future")
        if claims["exp"] <= now:
            raise _bad_jwt("'Expiration time' claim ('exp') has passed")
        return Credential("jwt", app.bot, app)

    def _verified_app(self, token):
        head, claims, signature = token.split(".")
        if _part(head).get("alg") != "RS256":
            raise _bad_jwt("algorithm is not RS256")
        app = self.world.apps.get(_number(_part(claims).get("iss")))
        if app is None:
            raise Refusal(404, "Integration not found", violation="JWT of an unknown App")
        key = self._keys.setdefault(app.id, load_pem_public_key(app.public_key))
        try:
            key.verify(_decode(signature), f"{head}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            raise _bad_jwt("signature is wrong") from None
        return app


def _bad_jwt(text):
    return Refusal(401, "A JSON web token could not be decoded", violation=f"JWT: {text}")


def _number(value):
    return int(value) if isinstance(value, int) or (isinstance(value, str) and value.isdigit()) else None


def _part(text):
    try:
        part = json.loads(_decode(text))
    except ValueError:
        part = None
    if not isinstance(part, dict):
        raise _bad_jwt("a part is not a JSON object")
    return part


def _decode(text):
    if "=" in text or "+" in text or "/" in text:
        raise _bad_jwt("not base64url without padding")
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        raise _bad_jwt("not base64url") from None
