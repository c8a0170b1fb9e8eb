"""Around every call: its id, its line in the log, the headers that keep browsers careful, and the last resort."""

from __future__ import annotations

import re
import time
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api import error_handlers
from app.log import bound, get_logger

log = get_logger("api")

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Calls:
    """The outermost layer: whatever is raised below it is answered here, and the server goes on."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else uuid4().hex[:16]
        scope["request_id"] = request_id
        answer = _Answer(send, request_id)
        begun = time.monotonic()
        with bound(request_id=request_id):
            try:
                await self.app(scope, receive, answer)
            except ClientDisconnect:
                log.info("the caller went away", path=scope["path"])
            except Exception:  # the last resort
                log.exception("a call failed", path=scope["path"])
                if not answer.status:
                    await error_handlers.unexpected(scope)(scope, receive, answer)
            # Without the query: a token may stand in it.
            took = round((time.monotonic() - begun) * 1000, 1)
            log.info("call", method=scope["method"], path=scope["path"], status=answer.status, ms=took)


class _Answer:
    """Adds the headers, and remembers the status."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["X-Request-ID"] = self._request_id
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("Cache-Control", "no-store")
        await self._send(message)
