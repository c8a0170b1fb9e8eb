"""Whose source is to be listed now. A poller takes an ingestion by moving its `next_poll_at`; left, it is due again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import and_, select, update
from sqlalchemy.orm import Session

from app.models import Ingestion
from app.repositories.statements import changed_rows
from app.values import SyncState

# What Prefect does not run is not looked at either: nobody would take the wish.
_POLLED = and_(
    Ingestion.deleted_at.is_(None), Ingestion.paused.is_(False), Ingestion.prefect_sync != SyncState.OFF.value
)


def claim_due(session: Session, now: datetime, until: datetime, limit: int) -> Sequence[Ingestion]:
    """Take those that are due, for this poller alone until `until`; the longest due first."""
    due = (
        select(Ingestion.id)
        .where(_POLLED, Ingestion.next_poll_at <= now)
        .order_by(Ingestion.next_poll_at, Ingestion.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    taking = (
        update(Ingestion)
        .where(Ingestion.id.in_(due.scalar_subquery()))
        .values(next_poll_at=until)
        .returning(Ingestion)
        .execution_options(synchronize_session=False, populate_existing=True)
    )
    return session.scalars(taking).all()


def again_at(session: Session, ingestion_id: UUID, revision: int, moment: datetime) -> None:
    """When it is due next; a change of the ingestion meanwhile has set that anew."""
    statement = update(Ingestion).where(Ingestion.id == ingestion_id, Ingestion.revision == revision)
    changed_rows(session, statement.values(next_poll_at=moment))
