"""The Prefect server at the worker's start: whether it answers, and the work pool with its queues."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

import httpx
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.exceptions import ObjectAlreadyExists

from app.config import Settings
from app.errors import PrefectError, PrefectRefused, PrefectUnavailable

POOL_TYPE = "autoloader"
_REFUSED = {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}


async def require_server(settings: Settings) -> None:
    """Raises PrefectUnavailable or PrefectRefused, within one request's time, unless the server takes our password."""
    url = f"{settings.prefect_api_url.rstrip('/')}/admin/version"
    user, _, password = settings.prefect_api_auth_string.get_secret_value().partition(":")
    try:
        async with httpx.AsyncClient(timeout=settings.prefect_request_timeout_seconds) as client:
            answer = await client.get(url, auth=(user, password) if user else None)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise _away(settings, str(error) or type(error).__name__) from error
    if answer.status_code in _REFUSED:
        raise PrefectRefused(
            f"The Prefect server at {settings.prefect_api_url} refuses us ({answer.status_code}).",
            hint="Set PREFECT_API_AUTH_STRING to the server's `user:password`."
            " That of `autoloader up` is the line in prefect.auth in AUTOLOADER_HOME.",
            answer=answer.status_code,
        )
    if not answer.is_success:
        raise _away(settings, f"{answer.status_code} {answer.reason_phrase}")


def _away(settings: Settings, why: str) -> PrefectError:
    return PrefectUnavailable(
        f"The Prefect server does not answer at {settings.prefect_api_url} ({why}).",
        hint="Start it (`prefect server start`), or set PREFECT_API_URL.",
    )


async def ensure_pool_and_queues(client: PrefectClient, pool: str, queues: Iterable[str]) -> None:
    """Make the work pool and its queues unless they are there. A pool of another type is left as it is."""
    wanted = WorkPoolCreate(name=pool, type=POOL_TYPE, description="Runs of the IOMETE Autoloader.")
    with suppress(ObjectAlreadyExists):
        await client.create_work_pool(wanted)
    for queue in queues:
        with suppress(ObjectAlreadyExists):
            await client.create_work_queue(name=queue, work_pool_name=pool)
