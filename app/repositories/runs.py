"""Runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import literal_column, select
from sqlalchemy.orm import Session

from app.models import Ingestion, Run
from app.models.run import RUNNING_SQL
from app.repositories.statements import taken
from app.values import RunState, Trigger


@dataclass(frozen=True, slots=True)
class LastRun:
    """The part of a run that a list of ingestions shows; `alive` is for whoever asks its lease."""

    ingestion_id: UUID
    run_id: UUID
    state: str
    started_at: datetime
    alive: bool = False


def add(session: Session, run: Run) -> None:
    """Store it. Raises Conflict when another run took its key at the same moment."""
    with taken(f"The key {run.external_key} belongs to another run.", hint="Give each run its own key."):
        session.add(run)
        session.flush()


def by_id(session: Session, run_id: UUID) -> Run | None:
    return session.get(Run, run_id)


def by_key(session: Session, external_key: str) -> Run | None:
    return session.scalars(select(Run).where(Run.external_key == external_key)).one_or_none()


def listed(
    session: Session, tenant_id: str, ingestion_id: UUID | None, limit: int, states: Sequence[str] = ()
) -> Sequence[Run]:
    """The newest first; only those in one of `states`, where any is given."""
    query = select(Run).where(Run.tenant_id == tenant_id)
    if ingestion_id is not None:
        query = query.where(Run.ingestion_id == ingestion_id)
    if states:
        query = query.where(Run.state.in_(states))
    return session.scalars(query.order_by(Run.started_at.desc(), Run.id.desc()).limit(limit)).all()


def newest(session: Session, tenant_id: str) -> Run | None:
    """The last run of any ingestion; a person's decision about a batch is none."""
    query = select(Run).where(Run.tenant_id == tenant_id, Run.trigger != Trigger.DECISION.value)
    return session.scalars(query.order_by(Run.started_at.desc(), Run.id.desc()).limit(1)).first()


def last_whole(session: Session, ingestion_id: UUID) -> datetime | None:
    """When the newest run of it that came to its end began; None when there is none."""
    ended = Run.state.in_((RunState.SUCCESS.value, RunState.PARTIAL.value))
    query = select(Run.started_at).where(Run.ingestion_id == ingestion_id, Run.trigger != Trigger.DECISION.value, ended)
    return session.scalars(query.order_by(Run.started_at.desc(), Run.id.desc()).limit(1)).first()


def newest_ids(session: Session, tenant_id: str, limit: int) -> Sequence[UUID]:
    query = select(Run.id).where(Run.tenant_id == tenant_id)
    return session.scalars(query.order_by(Run.started_at.desc(), Run.id.desc()).limit(limit)).all()


def newest_of(session: Session, ingestion_ids: Sequence[UUID]) -> list[LastRun]:
    """The newest run of each ingestion that has one; a person's decision about a batch is no run of it."""
    newest = (
        select(Run.id)
        .where(Run.ingestion_id == Ingestion.id, Run.trigger != Trigger.DECISION.value)
        .order_by(Run.started_at.desc(), Run.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    ids = select(newest).where(Ingestion.id.in_(ingestion_ids))
    query = select(Run.ingestion_id, Run.id, Run.state, Run.started_at).where(Run.id.in_(ids))
    return [LastRun(*row) for row in session.execute(query)]


def running(session: Session, ingestion_id: UUID) -> Sequence[Run]:
    """Those the database believes to be running; whoever holds the lease knows which of them are dead."""
    return session.scalars(select(Run).where(Run.ingestion_id == ingestion_id, literal_column(RUNNING_SQL))).all()
