"""`autoloader worker`: from the first look at the server to the last run's end."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import anyio
from prefect.client.orchestration import get_client

from app.config import Settings
from app.prefect.pools import ensure_pool_and_queues, require_server
from app.prefect.worker import AutoloaderWorker


@dataclass(frozen=True, slots=True)
class Serving:
    """What a worker works on."""

    pool: str
    queues: Sequence[str]
    limit: int
    name: str | None = None


def serve(settings: Settings, what: Serving, tell: Callable[[str], None]) -> None:
    """Run flow runs until SIGTERM or SIGINT; then stop those that are active, and end within 15 seconds.

    Raises PrefectUnavailable, PrefectRefused, PreloadFailed before the first run.
    """
    try:
        anyio.run(_serve, settings, what, tell)
    except BaseExceptionGroup as group:  # of tasks; one of them has failed and took the others along
        raise _first(group) from None


def _first(error: BaseException) -> BaseException:
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


async def _serve(settings: Settings, what: Serving, tell: Callable[[str], None]) -> None:
    await require_server(settings)
    async with get_client() as client:
        both = (settings.prefect_default_work_queue, settings.prefect_high_memory_work_queue)
        await ensure_pool_and_queues(client, what.pool, dict.fromkeys((*both, *what.queues)))
    worker = AutoloaderWorker(work_pool_name=what.pool, work_queues=list(what.queues), limit=what.limit, name=what.name)
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with anyio.create_task_group() as group:
            group.start_soon(_until_told, worker, tell, group.cancel_scope)
            async for number in signals:
                tell(f"{signal.Signals(number).name}: stopping.")
                break
            await worker.drain()
            group.cancel_scope.cancel()
    tell("Stopped.")


async def _until_told(worker: AutoloaderWorker, tell: Callable[[str], None], scope: anyio.CancelScope) -> None:
    await worker.start(printer=tell)
    scope.cancel()
