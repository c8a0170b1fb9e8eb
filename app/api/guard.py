"""What is refused before any handler sees it: strange hosts, other sites' pages, missing keys, wrong bodies."""

from __future__ import annotations

import hmac
import re
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api import error_handlers
from app.config import MIB, Settings
from app.errors import (
    CallRefused,
    CallTooLarge,
    CrossSite,
    InvalidInput,
    NotAuthenticated,
    UnsupportedMediaType,
    WrongHost,
)
from app.log import register_secret

MOST_BYTES = MIB
_SHORTEST_KEY = 16
_SAFE = {"GET", "HEAD", "OPTIONS"}
_OPEN = {"/health/live", "/health/ready"}
_HOOK = re.compile(r"/v1/ingestions/[^/]+/notify")
_JSON = re.compile(r"application/(?:[a-z0-9.-]+\+)?json")


def require_safe(settings: Settings) -> None:
    """Raise InvalidInput where the API would be open to a network, or guarded by a key that can be guessed."""
    key = settings.autoloader_api_key.get_secret_value()
    if not key and not is_loopback(settings.autoloader_api_host):
        raise InvalidInput(
            f"The API would listen on {settings.autoloader_api_host}, which others can reach, without a key.",
            hint="Set AUTOLOADER_API_KEY (openssl rand -hex 24), or listen on 127.0.0.1.",
        )
    if key and len(key) < _SHORTEST_KEY:
        raise InvalidInput(
            f"AUTOLOADER_API_KEY has {len(key)} characters; {_SHORTEST_KEY} are the least.",
            hint="Make one: openssl rand -hex 24",
        )


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


class Guard:
    """Needs no database: what it refuses costs nothing."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self._key = settings.autoloader_api_key.get_secret_value()
        register_secret(self._key)
        host = settings.autoloader_api_host
        self._hosts = {"localhost", "127.0.0.1", "::1", host.lower()} if is_loopback(host) else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        try:
            self._look(scope)
        except CallRefused as refused:
            await error_handlers.problem(scope, refused)(scope, receive, send)
            return
        await self.app(scope, _Bounded(receive), send)

    def _look(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        if not self._key and not is_loopback((scope.get("server") or ("localhost",))[0]):
            # Whoever started the server bound it to more than the settings say.
            raise WrongHost("The API has no key, and was reached from a network.", hint="Set AUTOLOADER_API_KEY.")
        self._host(headers)
        if scope["method"] not in _SAFE:
            _site(headers)
        self._authenticate(scope, headers)
        _body(scope, headers)

    def _host(self, headers: Headers) -> None:
        """A page of another site may have made its own name lead to this machine (DNS rebinding)."""
        if self._hosts is None:
            return
        name = urlsplit(f"//{headers.get('host', '')}").hostname if _plain(headers.get("host", "")) else None
        if name not in self._hosts:
            raise WrongHost("The API is not known by the name it was called by.", hint="Call it as 127.0.0.1.")

    def _authenticate(self, scope: Scope, headers: Headers) -> None:
        """Whether the caller is trusted stands in the scope: the hook may be called by others, with its own token."""
        scope["trusted"] = not self._key
        if not self._key:
            return
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        given = headers.get("x-api-key") or (bearer.strip() if scheme.lower() == "bearer" else "")
        scope["trusted"] = hmac.compare_digest(given.encode("latin-1"), self._key.encode())
        if scope["trusted"] or scope["path"] in _OPEN or _HOOK.fullmatch(scope["path"]):
            return
        message = "The key is wrong." if given else "The call carries no key."
        raise NotAuthenticated(message, hint="Send AUTOLOADER_API_KEY as Authorization: Bearer, or as X-API-Key.")


def _plain(host: str) -> bool:
    return re.fullmatch(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?", host) is not None


def _site(headers: Headers) -> None:
    """Browsers say where a page that calls us is from; we serve no page of another site (CSRF)."""
    origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none")
    foreign = origin is not None and urlsplit(origin).netloc.lower() != headers.get("host", "").lower()
    if foreign or site in {"cross-site", "same-site"}:
        raise CrossSite("A page of another site sent this call.", hint="Call the API from a program.")


def _body(scope: Scope, headers: Headers) -> None:
    length = headers.get("content-length", "0")
    if length.isdecimal() and int(length) > MOST_BYTES:
        raise CallTooLarge(f"The body has more than {MOST_BYTES} bytes.", hint="Send less in one call.")
    sends = length != "0" or "transfer-encoding" in headers
    if not sends or scope["method"] in _SAFE or _HOOK.fullmatch(scope["path"]):
        return  # what stores send to the hook has types of all kinds
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if not _JSON.fullmatch(kind):
        raise UnsupportedMediaType("The body is not sent as JSON.", hint="Send Content-Type: application/json.")


class _Bounded:
    """A body that does not say how long it is, cut off where it becomes too long."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._seen = 0

    async def __call__(self) -> Message:
        message = await self._receive()
        self._seen += len(message.get("body", b""))
        if self._seen > MOST_BYTES:
            raise HTTPException(413, f"The body has more than {MOST_BYTES} bytes.")
        return message
