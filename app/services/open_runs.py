"""The runs that this process has begun and not ended: what the tasks of one flow share without handing it on.

A task passes ids and counts only. Lease, engine and parser of a run live here, under the run's id, from the task that
starts the run to the end of its flow; the orchestrator holds them in a plain `with` instead.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack
from types import TracebackType
from typing import Self
from uuid import UUID

from app.errors import NotFound
from app.ingest.ports import Progress
from app.services.context import RunContext
from app.services.run_service import RunService
from app.values import Trigger


class OpenRun:
    """One run that goes on, with the steps that work on it."""

    def __init__(self, steps: RunService) -> None:
        self.steps = steps
        self._ctx: RunContext | None = None
        self._stack = ExitStack()

    @property
    def ctx(self) -> RunContext:
        if self._ctx is None:
            raise NotFound("The run was not started.", hint="Start it first.")
        return self._ctx

    def start(
        self,
        ingestion_id: UUID,
        trigger: Trigger,
        *,
        external_key: str | None = None,
        progress: Progress | None = None,
    ) -> RunContext:
        """Take the lease and store the run's record. Raises as `RunService.start` does."""
        begun = self.steps.start(ingestion_id, trigger, external_key=external_key, progress=progress)
        self._ctx = self._stack.enter_context(begun)
        with _lock:
            _open[self._ctx.run_id] = self
        return self._ctx

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        """Give up lease, engine and parser; an error is stored as the run's end, unless it has ended already."""
        if self._ctx is not None:
            with _lock:
                _open.pop(self._ctx.run_id, None)
        return self._stack.__exit__(kind, error, trace)


def find(run_id: UUID) -> OpenRun:
    """Raises NotFound for a run that this process did not begin, or has ended."""
    with _lock:
        found = _open.get(run_id)
    if found is None:
        raise NotFound(f"Run {run_id} is not open in this process.", hint="A run's steps belong into one process.")
    return found


_open: dict[UUID, OpenRun] = {}
_lock = threading.Lock()
