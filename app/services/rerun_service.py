"""A trigger that meets an active run is not lost: when that run ends, another one follows (protocol, point 10)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from app.database import Database, Session
from app.ingest.ports import Clock
from app.models import Ingestion, Run
from app.models import Trigger as TriggerRow
from app.repositories import ingestions, leases, runs, triggers
from app.values import RunState, Trigger

_SHORT_WORK_SECONDS = 5.0  # what holds a lease without a run (a person who moves files) is done by then


@dataclass(frozen=True, slots=True)
class Wish:
    """What became of a wish for a run: `run_id` is the active run it waits for, None when it stands by itself.

    `same`: the active run is the very one that was wished for; Prefect has started it twice.
    """

    run_id: UUID | None
    same: bool = False


def want(
    database: Database, clock: Clock, ingestion_id: UUID, trigger: Trigger, external_key: str | None = None
) -> Wish:
    """Ask for a run after the active one. When that has ended meanwhile, the wish becomes a trigger of its own.

    It is read and written under the ingestion's row, as `settle` does: between the two no wish can fall.
    """
    with database.session_scope() as session:
        row = ingestions.locked(session, ingestion_id)
        if row is None or row.deleted_at is not None:
            return Wish(None)
        active = _active(session, ingestion_id)
        if active is not None and external_key is not None and active.external_key == external_key:
            return Wish(active.id, same=True)
        if active is not None:
            row.rerun_wanted = True
            return Wish(active.id)
        due = clock.now() + timedelta(seconds=_SHORT_WORK_SECONDS)
        _store(session, row, trigger.value, clock.now(), due, {"reason": "lease-held"})
        return Wish(None)


def settle(session: Session, run: Run, now: datetime) -> None:
    """Make a trigger of the wish that came while `run` was active; called in the transaction that ends the run.

    Whoever cancels a run does not want another one.
    """
    row = ingestions.locked(session, run.ingestion_id)
    if row is None or not row.rerun_wanted:
        return
    row.rerun_wanted = False
    if row.deleted_at is None and not row.paused and run.state != RunState.CANCELLED:
        kind = Trigger.RETRY.value if run.trigger == Trigger.DECISION else run.trigger  # a person decides, no flow
        _store(session, row, kind, now, now, {"reason": "rerun", "after_run": str(run.id)})


def go_on(session: Session, ingestion_id: UUID) -> None:
    """Ask for another run behind the one that ends in this transaction, before it is settled."""
    row = ingestions.locked(session, ingestion_id)
    if row is not None:
        row.rerun_wanted = True


def _active(session: Session, ingestion_id: UUID) -> Run | None:
    lease = leases.read(session, ingestion_id)
    if lease is None or lease.holder is None or lease.run_id is None:
        return None
    run = runs.by_id(session, lease.run_id)
    return run if run is not None and run.state == RunState.RUNNING else None


def _store(session: Session, row: Ingestion, kind: str, now: datetime, due: datetime, payload: dict[str, str]) -> None:
    triggers.add(
        session,
        TriggerRow(
            id=uuid4(),
            tenant_id=row.tenant_id,
            ingestion_id=row.id,
            kind=kind,
            payload=payload,
            created_at=now,
            due_at=due,
            attempts=0,
        ),
    )
