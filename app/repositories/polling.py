"""Whose source is to be listed now. A poller takes an ingestion by moving its `next_poll_at`; left, it is due again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Text, and_, cast, select, update
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


@dataclass(frozen=True, slots=True)
class Queued:
    """An ingestion that a queue tells of its new objects, and whose credentials may read it."""

    id: UUID
    tenant_id: str
    source_url: str
    source_connection: str | None
    queue: str
    queue_connection: str | None
    quiet_seconds: float


def queued(session: Session) -> list[Queued]:
    """All of them that are read, the oldest first. A configuration that cannot be read names no queue."""
    # By its text: SQLite ends a statement that looks into a configuration which is no JSON.
    tells = cast(Ingestion.config, Text).contains('"queue"')
    rows = session.scalars(select(Ingestion).where(_POLLED, tells).order_by(Ingestion.created_at, Ingestion.id))
    return [found for found in map(_queued, rows) if found is not None]


def _queued(row: Ingestion) -> Queued | None:
    config: object = row.config
    arrival, source = (config.get("arrival"), config.get("source")) if isinstance(config, dict) else (None, None)
    if not isinstance(arrival, dict) or not isinstance(source, dict) or not isinstance(arrival.get("queue"), str):
        return None
    return Queued(
        id=row.id,
        tenant_id=row.tenant_id,
        source_url=row.source_url,
        source_connection=source.get("connection"),
        queue=arrival["queue"],
        queue_connection=arrival.get("queue_connection"),
        quiet_seconds=quiet if isinstance(quiet := arrival.get("quiet_seconds"), int | float) else 0.0,
    )


def again_at(session: Session, ingestion_id: UUID, revision: int, moment: datetime) -> None:
    """When it is due next; a change of the ingestion meanwhile has set that anew."""
    statement = update(Ingestion).where(Ingestion.id == ingestion_id, Ingestion.revision == revision)
    changed_rows(session, statement.values(next_poll_at=moment))
