"""Runs that the database believes to be running, and runs by the flow run that runs them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Boolean, literal_column, select
from sqlalchemy.orm import Session

from app.models import Run
from app.models.run import RUNNING_SQL


@dataclass(frozen=True, slots=True)
class RunFacts:
    """As much of a run as its flow run has to agree with."""

    id: UUID
    ingestion_id: UUID
    state: str
    finished_at: datetime | None
    error_code: str | None


def running(session: Session, after: UUID | None, limit: int) -> Sequence[tuple[UUID, UUID]]:
    """`(id, ingestion)` of runs that are RUNNING, by id, behind `after`."""
    query = select(Run.id, Run.ingestion_id).where(literal_column(RUNNING_SQL, Boolean))
    if after is not None:
        query = query.where(Run.id > after)
    return session.execute(query.order_by(Run.id).limit(limit)).tuples().all()


def by_keys(session: Session, keys: Sequence[str]) -> dict[str, RunFacts]:
    """Map key → its run, for the keys that have one."""
    columns = (Run.id, Run.ingestion_id, Run.state, Run.finished_at, Run.error_code, Run.external_key)
    found = session.execute(select(*columns).where(Run.external_key.in_(keys))).tuples()
    return {str(row[5]): RunFacts(row[0], row[1], row[2], row[3], row[4]) for row in found}
