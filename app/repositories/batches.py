"""Batches. Who calls these has renewed the lease in the same transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import literal_column, select, update
from sqlalchemy.orm import Session

from app import values
from app.models import Batch
from app.models.batch import UNFINISHED_SQL
from app.values import BatchState


def add(session: Session, batch: Batch) -> None:
    session.add(batch)
    session.flush()


def by_id(session: Session, batch_id: UUID) -> Batch | None:
    return session.get(Batch, batch_id)


def unfinished(session: Session, ingestion_id: UUID) -> Sequence[Batch]:
    """Those that some run still has to end, oldest first."""
    return session.scalars(
        select(Batch)
        .where(Batch.ingestion_id == ingestion_id, literal_column(UNFINISHED_SQL))
        .order_by(Batch.created_at, Batch.id)
    ).all()


def unknown(session: Session, ingestion_id: UUID) -> Sequence[Batch]:
    return session.scalars(
        select(Batch)
        .where(Batch.ingestion_id == ingestion_id, literal_column(UNFINISHED_SQL), Batch.state == BatchState.UNKNOWN)
        .order_by(Batch.created_at, Batch.id)
    ).all()


def evidence_of(session: Session, ingestion_ids: Sequence[UUID]) -> dict[UUID, str]:
    """Map ingestion → the evidence of its oldest UNKNOWN batch, for those that have one."""
    query = select(Batch.ingestion_id, Batch.error).where(
        Batch.ingestion_id.in_(ingestion_ids), literal_column(UNFINISHED_SQL), Batch.state == BatchState.UNKNOWN
    )
    newest_first = query.order_by(Batch.created_at.desc(), Batch.id.desc())
    return {row[0]: row[1] or "" for row in session.execute(newest_first)}


def ended_by(session: Session, run_id: UUID) -> Sequence[Batch]:
    """The batches that a run settled or split, whoever planned them."""
    return session.scalars(
        select(Batch).where(Batch.settled_run_id == run_id).order_by(Batch.settled_at, Batch.id)
    ).all()


def into_table(session: Session, ingestion_ids: Sequence[UUID]) -> Sequence[Batch]:
    """The unfinished batches of these ingestions: their bases must stay in the table's history."""
    return session.scalars(
        select(Batch).where(Batch.ingestion_id.in_(ingestion_ids), literal_column(UNFINISHED_SQL))
    ).all()


def change(session: Session, batch_id: UUID, **columns: object) -> None:
    """Set columns of one batch."""
    session.execute(
        update(Batch).where(Batch.id == batch_id).values(**columns).execution_options(synchronize_session="fetch")
    )


def claim(session: Session, batch: Batch, *, epoch: int, table_uuid: UUID, head: int | None, now: datetime) -> None:
    """Count a claim. Only the first one sets the base (protocol, point 4)."""
    batch.state = BatchState.CLAIMED
    batch.claims += 1
    batch.unanswered += 1
    batch.claim_epoch = epoch
    batch.claimed_at = now
    if batch.table_uuid is None:
        batch.table_uuid = table_uuid
        batch.base_snapshot_id = head
    session.flush()


def as_value(batch: Batch) -> values.Batch:
    """The row as a value that can leave the session."""
    return values.Batch(
        id=batch.id,
        ingestion_id=batch.ingestion_id,
        run_id=batch.run_id,
        state=BatchState(batch.state),
        file_count=batch.file_count,
        byte_count=batch.byte_count,
        claims=batch.claims,
        claim_epoch=batch.claim_epoch,
        table_uuid=batch.table_uuid,
        base_snapshot_id=batch.base_snapshot_id,
        parent_id=batch.parent_id,
    )
