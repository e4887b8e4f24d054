"""Who may call: API key, Host and Origin checks, and the headers that every answer carries.

Without a key the service is open to this machine only, and a browser on this machine must not
become the way in for other sites: the Host header stops DNS rebinding, the Origin and
Sec-Fetch-Site headers stop calls that another site's page makes.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from redshank.core.config import Config
from redshank.services.api.faces import wants_page
from redshank.services.api.problems import Problem

_ALWAYS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_UNLESS_SET = (
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-cache"),
)
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_OPEN = frozenset(("/health", "/ready", "/docs", "/openapi.json", "/", "/favicon.ico"))
_SAFE = frozenset(("GET", "HEAD", "OPTIONS"))


class Access:
    """The rules of one configuration."""

    def __init__(self, config: Config) -> None:
        key = config.api_key.get_secret_value() if config.api_key else ""
        self._key = hashlib.sha256(key.encode()).digest() if key else None
        self._origins = frozenset(origin.rstrip("/").lower() for origin in config.cors_origins)
        names = (urlsplit(origin).hostname for origin in self._origins)
        self._hosts = frozenset((*_LOOPBACK, config.host.lower(), *filter(None, names)))

    @property
    def needs_key(self) -> bool:
        """Whether a key is set."""
        return self._key is not None

    def key_fits(self, key: str) -> bool:
        """Whether this is the key; takes as long for a wrong one as for the right one."""
        digest = hashlib.sha256(key.encode("utf-8", "replace")).digest()
        return self._key is None or hmac.compare_digest(digest, self._key)

    def refusal(self, scope: Scope) -> Problem | None:
        """Why a call may not go on, None if it may."""
        headers = Headers(scope=scope)
        socket = scope["type"] == "websocket"
        if self._key is None:
            return self._wrong_host(headers) or self._wrong_origin(scope, headers, socket)
        if socket or _is_open(scope, headers) or self._is_preflight(scope, headers):
            return None
        if any(map(self.key_fits, _keys(headers))):
            return None
        return Problem(401, "send the API key in the header X-API-Key")

    def caller(self, scope: Scope) -> str:
        """Who calls, for limits: the key that was shown, or the address where no key is set."""
        if self._key is not None:
            return "key"
        client = scope.get("client")
        return str(client[0]) if client else ""

    def _is_preflight(self, scope: Scope, headers: Headers) -> bool:
        return scope["method"] == "OPTIONS" and "access-control-request-method" in headers

    def _wrong_host(self, headers: Headers) -> Problem | None:
        named = headers.getlist("host")
        if len(named) == 1 and _hostname(named[0]) in self._hosts:
            return None
        host = ", ".join(named)
        return Problem(403, f"Host: {host!r} is not this machine; set an API key to serve others")

    def _wrong_origin(self, scope: Scope, headers: Headers, socket: bool) -> Problem | None:
        changes = socket or scope["method"] not in _SAFE or scope["path"] == "/ingest"
        if not changes:
            return None
        origin = headers.get("origin", "").lower()
        if origin in self._origins or (origin and urlsplit(origin).netloc == headers.get("host")):
            return None
        site = headers.get("sec-fetch-site", "none")
        if not origin and site in ("none", "same-origin"):
            return None
        return Problem(403, f"Origin: {origin or site!r} may not change anything here")


class Gate:
    """Lets calls through that the rules allow, and completes the headers of every answer."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        outward = send if scope["type"] == "websocket" else _completed(send)
        refusal = self._access.refusal(scope)
        if refusal is None:
            await self._app(scope, receive, outward)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "forbidden"})
        else:
            await refusal.response()(scope, receive, outward)


def _completed(send: Send) -> Send:
    async def complete(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = message["headers"]
            present = {name for name, _ in headers}
            headers.extend(_ALWAYS)
            headers.extend(line for line in _UNLESS_SET if line[0] not in present)
        await send(message)

    return complete


def _is_open(scope: Scope, headers: Headers) -> bool:
    path = scope["path"]
    return path in _OPEN or path.startswith("/assets/") or wants_page(scope, headers)


def _keys(headers: Headers) -> list[str]:
    """The keys that a call shows: redshank's own way, InfluxDB's, and that of senseBoxes."""
    scheme, _, rest = headers.get("authorization", "").strip().partition(" ")
    shown = [headers.get("x-api-key", "")]
    if rest and scheme.lower() in ("token", "bearer"):
        shown.append(rest.strip())
    elif rest and scheme.lower() == "basic":
        shown.append(_password(rest))
    elif not rest:
        shown.append(scheme)
    return [key for key in shown if key]


def _password(credentials: str) -> str:
    try:
        text = base64.b64decode(credentials, validate=True).decode()
    except ValueError:
        return ""
    return text.partition(":")[2]


def _hostname(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
