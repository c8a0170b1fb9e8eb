"""The runs that this process has begun and not ended: what the tasks of one flow share without handing it on.

A task passes ids and counts only. Lease, engine and parser of a run live here, under the run's id, from the task that
starts the run to the end of its flow; the orchestrator holds them in a plain `with` instead.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from uuid import UUID

from app.errors import AutoloaderError, InvalidInput, LeaseHeld, NotFound
from app.ingest.ports import Progress
from app.services import rerun_service
from app.services.context import RunContext
from app.services.run_service import RunService
from app.values import RunState, Trigger

SKIPPED = "SKIPPED"  # another run of the ingestion is active
ELSEWHERE = "ELSEWHERE"  # the very same run is active in another process


@dataclass(frozen=True, slots=True)
class Begun:
    """How beginning a run went: RUNNING, SUCCESS (it had loaded all there was), SKIPPED or ELSEWHERE."""

    state: str
    run_id: UUID | None
    message: str = ""
    metrics: dict[str, Any] = field(default_factory=dict)


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

    def begin(self, ingestion_id: str, trigger: str, *, key: str, progress: Progress | None = None) -> Begun:
        """Begin the key's run, or go on with it; a run that cannot begin is stored as FAILED, with the reason.

        Another run that is active is no error: one more follows it. Raises InvalidInput, NotFound, Conflict (paused),
        DatabaseNotMigrated, and what opening the engine raises.
        """
        ingestion, word = _id(ingestion_id), Trigger.MANUAL
        self.steps.database.require_current()
        done = self.steps.succeeded(key)
        if done is not None:
            return Begun(done.state.value, done.run_id, "It had loaded all there was.", done.metrics)
        try:
            word = _word(trigger)
            ctx = self.start(ingestion, word, external_key=key, progress=progress)
        except LeaseHeld as held:
            wish = rerun_service.want(self.steps.database, self.steps.clock, ingestion, word, key)
            told = f"{held.message} Another run follows when it has ended."
            return Begun(ELSEWHERE if wish.same else SKIPPED, wish.run_id, told)
        except AutoloaderError as error:
            if not error.retryable:
                with suppress(AutoloaderError):  # the first error is the one to tell
                    self.steps.refuse(ingestion, word, error, external_key=key)
            raise
        return Begun(RunState.RUNNING.value, ctx.run_id)

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


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise InvalidInput(
            f"{text!r} is not the id of an ingestion.", hint="See the ids: autoloader ingestions list --json"
        ) from None


def _word(text: str) -> Trigger:
    words = [word for word in Trigger if word is not Trigger.DECISION]  # a person's, and no run
    if text not in words:
        raise InvalidInput(f"There is no trigger {text!r}.", hint=f"It is one of {', '.join(words)}.")
    return Trigger(text)


def find(run_id: UUID) -> OpenRun:
    """Raises NotFound for a run that this process did not begin, or has ended."""
    with _lock:
        found = _open.get(run_id)
    if found is None:
        raise NotFound(f"Run {run_id} is not open in this process.", hint="A run's steps belong into one process.")
    return found


_open: dict[UUID, OpenRun] = {}
_lock = threading.Lock()
