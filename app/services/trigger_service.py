"""Wishes for runs: stored first, then delivered to Prefect, each under its own id as idempotency key (point 10).

Delivered twice, it is one run; while Prefect is down it waits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from app.config import Settings
from app.database import Database
from app.errors import AutoloaderError, NotFound, PrefectError, PrefectRefused, PrefectUnavailable
from app.ingest.ports import Clock, SystemClock
from app.log import get_logger
from app.models import Ingestion
from app.models import Trigger as TriggerRow
from app.repositories import ingestions, triggers
from app.services.prefect_service import PrefectService
from app.services.sync_service import SyncService
from app.values import SyncState, Trigger

log = get_logger(__name__)

_QUIET_PERIODS = 10  # after so many a run starts although events go on coming
_CLAIM_SECONDS = 60.0  # after which a deliverer that took a trigger counts as dead
_FIRST_PAUSE, _LONGEST_PAUSE = 2.0, 300.0
_NOT_FOUND = 404
_SHOWN = 20  # objects that a trigger names


@dataclass(frozen=True, slots=True)
class Delivery:
    """What one pass did: `delivered` became runs, `dropped` never will, `waiting` are tried again."""

    delivered: int = 0
    dropped: int = 0
    waiting: int = 0
    error: str | None = None


class TriggerService:
    def __init__(
        self, database: Database, settings: Settings, prefect: PrefectService, clock: Clock | None = None
    ) -> None:
        self.database = database
        self.settings = settings
        self.prefect = prefect
        self.clock = clock or SystemClock()
        self.sync = SyncService(database, settings, prefect)

    # --- asked for ---------------------------------------------------------------------------

    def request(
        self, ingestion_id: UUID, kind: Trigger, payload: Mapping[str, Any], *, quiet_seconds: float = 0.0
    ) -> UUID:
        """Store the wish, to be delivered when nothing more came for `quiet_seconds`; answers its id.

        An arrival that meets another one waiting joins it, and pushes it later: at most to ten quiet periods after
        the first. Raises NotFound.
        """
        now = self.clock.now()
        with self.database.session_scope() as session:
            row = ingestions.locked(session, ingestion_id)  # two events at once are one wish
            if row is None or row.deleted_at is not None:
                raise NotFound(f"There is no ingestion {ingestion_id}.", hint="See: autoloader ingestions list")
            waiting = triggers.untried(session, ingestion_id, kind.value) if kind is Trigger.ARRIVAL else None
            if waiting is not None:
                latest = waiting.created_at + timedelta(seconds=_QUIET_PERIODS * quiet_seconds)
                waiting.due_at = max(waiting.due_at, min(now + timedelta(seconds=quiet_seconds), latest))
                waiting.payload = _joined(waiting.payload, payload)
                return waiting.id
            made = TriggerRow(
                id=uuid4(),
                tenant_id=row.tenant_id,
                ingestion_id=ingestion_id,
                kind=kind.value,
                payload=dict(payload),
                created_at=now,
                due_at=now + timedelta(seconds=quiet_seconds),
                attempts=0,
            )
            triggers.add(session, made)
            return made.id

    # --- delivered ---------------------------------------------------------------------------

    def deliver(self, trigger_id: UUID) -> UUID | None:
        """Try to deliver one now, if it is due; answers its flow run. Never raises: what fails is tried again."""
        now = self.clock.now()
        try:
            with self.database.session_scope() as session:
                claimed = triggers.claim(session, trigger_id, now, now + timedelta(seconds=_CLAIM_SECONDS))
            return self._deliver(claimed).flow_run_id if claimed is not None else None
        except AutoloaderError as error:
            log.warning("a trigger was not delivered", trigger_id=str(trigger_id), error=str(error))
            return None

    def deliver_due(self, limit: int = 100) -> Delivery:
        """Deliver what is due; several deliverers share the work. At the first sign that Prefect is down, it stops.

        Raises DatabaseUnavailable.
        """
        now = self.clock.now()
        with self.database.session_scope() as session:
            claimed = triggers.claim_due(session, now, now + timedelta(seconds=_CLAIM_SECONDS), limit)
        done: list[_Outcome] = []
        met: set[UUID] = set()  # ingestions whose newest arrival was delivered: older ones went with it
        for trigger in reversed(claimed):  # the newest first
            if trigger.ingestion_id in met and trigger.kind == Trigger.ARRIVAL:
                continue
            down = next((one.error for one in done if isinstance(one.error, PrefectUnavailable)), None)
            done.append(self._later(trigger, down) if down is not None else self._deliver(trigger))
            if trigger.kind == Trigger.ARRIVAL and done[-1].flow_run_id is not None:
                met.add(trigger.ingestion_id)
        return Delivery(
            delivered=sum(one.flow_run_id is not None for one in done),
            dropped=sum(one.dropped for one in done),
            waiting=sum(one.error is not None for one in done),
            error=next((str(one.error) for one in done if one.error is not None), None),
        )

    def _deliver(self, trigger: TriggerRow) -> _Outcome:
        with self.database.read_scope() as session:
            row = ingestions.by_id(session, trigger.ingestion_id)
        if row is None or row.deleted_at is not None:
            return self._done(trigger, None, "The ingestion was deleted.")
        if row.paused:
            return self._done(trigger, None, "The ingestion was paused.")
        if row.prefect_sync == SyncState.OFF.value:
            return self._done(trigger, None, "Prefect runs it no more: its migration was rolled back.")
        try:
            return self._done(trigger, self._start(row, trigger), None)
        except PrefectError as error:
            return self._later(trigger, error)

    def _start(self, row: Ingestion, trigger: TriggerRow) -> UUID:
        kind, key = Trigger(trigger.kind), str(trigger.id)
        if row.prefect_deployment_id is not None:
            try:
                return self.prefect.trigger(UUID(row.prefect_deployment_id), row.id, kind, key)
            except PrefectRefused as refusal:
                if refusal.answer != _NOT_FOUND:
                    raise
        outcome = self.sync.push(row.id)  # never made, or lost with Prefect's database
        if outcome.deployment is None:
            failed = PrefectRefused if outcome.state is SyncState.ERROR else PrefectUnavailable
            raise failed(outcome.reason or "The ingestion was deleted.")
        return self.prefect.trigger(outcome.deployment.id, row.id, kind, key)

    def _done(self, trigger: TriggerRow, flow_run_id: UUID | None, note: str | None) -> _Outcome:
        now = self.clock.now()
        with self.database.session_scope() as session:
            triggers.delivered(session, trigger.id, str(flow_run_id) if flow_run_id else None, now, note)
            if trigger.kind == Trigger.ARRIVAL and flow_run_id is not None:
                triggers.supersede(session, trigger, str(flow_run_id), now)
        return _Outcome(flow_run_id, dropped=flow_run_id is None)

    def _later(self, trigger: TriggerRow, error: PrefectError) -> _Outcome:
        pause = min(_FIRST_PAUSE * 2 ** min(trigger.attempts - 1, 16), _LONGEST_PAUSE)
        with self.database.session_scope() as session:
            triggers.failed(session, trigger.id, self.clock.now() + timedelta(seconds=pause), str(error))
        return _Outcome(error=error)


@dataclass(frozen=True, slots=True)
class _Outcome:
    flow_run_id: UUID | None = None
    dropped: bool = False
    error: PrefectError | None = None


def _joined(before: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """What is told of several events: how many, and the first of their objects."""
    objects = [*before.get("objects", ()), *more.get("objects", ())]
    return {**more, **before, "events": before.get("events", 1) + 1, "objects": objects[:_SHOWN]}
