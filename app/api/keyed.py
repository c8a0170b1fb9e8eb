"""Calls that may carry an Idempotency-Key: sent twice, also at the same moment, they have one effect and one answer."""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Annotated, Any

from fastapi import Depends, Header, Request, Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

from app.api.deps import services_of
from app.errors import AutoloaderError, CallInProgress, InvalidInput
from app.services.idempotency_service import Claim, IdempotencyService, StoredAnswer

Handler = Callable[[Request], Coroutine[Any, Any, Response]]

_NAME = "idempotency-key"
_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_KEPT = ("location", "etag")
_WAIT_SECONDS = 10.0
_LOOK_SECONDS = 0.05


async def _documented(
    key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            max_length=255,
            pattern=r"^[\x21-\x7e]+$",
            description="Any text that only this call has, such as a UUID. Repeat a call whose answer was lost with"
            " the same key and body: it has no second effect, and the same answer.",
        ),
    ] = None,
) -> None:
    del key


KEYED = Depends(_documented)


class KeyedRoute(APIRoute):
    """Only answers of success are kept: a call that was refused may be mended and sent again."""

    def get_route_handler(self) -> Handler:
        act = super().get_route_handler()

        async def once(request: Request) -> Response:
            key = request.headers.get(_NAME)
            if key is None or request.method != "POST":
                return await act(request)
            if not _KEY.fullmatch(key):
                raise InvalidInput("An Idempotency-Key has 1 to 255 visible characters.", hint="Use a UUID.")
            service = (await services_of(request)).idempotency
            found = await _begin(service, key, await _fingerprint(request))
            return _replayed(found) if isinstance(found, StoredAnswer) else await _made(service, found, act, request)

        return once


async def _begin(service: IdempotencyService, key: str, fingerprint: str) -> Claim | StoredAnswer:
    until = time.monotonic() + _WAIT_SECONDS
    while True:
        found = await run_in_threadpool(service.begin, key, fingerprint)
        if found is not None:
            return found
        if time.monotonic() > until:
            raise CallInProgress(
                "A call with this Idempotency-Key is being answered.", hint="Send it again in a moment."
            )
        await asyncio.sleep(_LOOK_SECONDS)


async def _made(service: IdempotencyService, claim: Claim, act: Handler, request: Request) -> Response:
    try:
        response = await act(request)
    except BaseException:
        with suppress(AutoloaderError):  # what went wrong first is told; the claim runs out by itself
            await run_in_threadpool(service.give_up, claim)
        raise
    if response.status_code >= 300:  # noqa: PLR2004 - not a success
        await run_in_threadpool(service.give_up, claim)
        return response
    headers = {name: response.headers[name] for name in _KEPT if name in response.headers}
    await run_in_threadpool(service.end, claim, response.status_code, headers, bytes(response.body).decode())
    return response


def _replayed(answer: StoredAnswer) -> Response:
    headers = {**answer.headers, "Idempotency-Replayed": "true"}
    return Response(answer.body, answer.status_code, headers=headers, media_type="application/json")


async def _fingerprint(request: Request) -> str:
    made = hashlib.sha256(f"{request.method} {request.url.path}?{request.url.query}\n".encode())
    made.update(await request.body())
    return made.hexdigest()
