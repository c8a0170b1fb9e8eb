"""Runs."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import literal_column, select
from sqlalchemy.orm import Session

from app.models import Run
from app.models.run import RUNNING_SQL


def add(session: Session, run: Run) -> None:
    session.add(run)
    session.flush()


def by_id(session: Session, run_id: UUID) -> Run | None:
    return session.get(Run, run_id)


def by_key(session: Session, external_key: str) -> Run | None:
    return session.scalars(select(Run).where(Run.external_key == external_key)).one_or_none()


def listed(session: Session, tenant_id: str, ingestion_id: UUID | None, limit: int) -> Sequence[Run]:
    """The newest first."""
    query = select(Run).where(Run.tenant_id == tenant_id)
    if ingestion_id is not None:
        query = query.where(Run.ingestion_id == ingestion_id)
    return session.scalars(query.order_by(Run.started_at.desc(), Run.id.desc()).limit(limit)).all()


def running(session: Session, ingestion_id: UUID) -> Sequence[Run]:
    """Those the database believes to be running; whoever holds the lease knows which of them are dead."""
    return session.scalars(select(Run).where(Run.ingestion_id == ingestion_id, literal_column(RUNNING_SQL))).all()
