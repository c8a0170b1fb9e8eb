"""Batches. Who calls these has renewed the lease in the same transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, and_, case, func, literal_column, select, update
from sqlalchemy.orm import Session

from app import values
from app.models import Batch
from app.models.batch import UNFINISHED_SQL
from app.values import BatchState

_LANDED = and_(Batch.snapshot_id.is_not(None), Batch.state == BatchState.SETTLED.value)


@dataclass(frozen=True, slots=True)
class Totals:
    """Batches that a run ended, and files and rows over all of them."""

    ended: int
    landed: int
    loaded: int
    failed: int
    quarantined: int
    skipped: int
    rows: int
    rescued: int
    rejected: int


def add(session: Session, batch: Batch) -> None:
    session.add(batch)
    session.flush()


def by_id(session: Session, batch_id: UUID) -> Batch | None:
    return session.get(Batch, batch_id)


def unfinished(session: Session, ingestion_id: UUID) -> list[values.Batch]:
    """Those that some run still has to end, oldest first."""
    query = (
        select(Batch)
        .where(Batch.ingestion_id == ingestion_id, literal_column(UNFINISHED_SQL))
        .order_by(Batch.created_at, Batch.id)
    )
    return [as_value(row) for row in session.scalars(query)]


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


def ended_by(session: Session, run_id: UUID, limit: int) -> Sequence[Batch]:
    """The first batches that a run settled or split, whoever planned them."""
    return session.scalars(
        select(Batch).where(Batch.settled_run_id == run_id).order_by(Batch.settled_at, Batch.id).limit(limit)
    ).all()


def totals_of(session: Session, run_id: UUID) -> Totals:
    """What the batches that a run ended come to; rows are those of batches whose commit landed, rejected
    records also those for which a batch was refused.
    """
    files = (Batch.loaded_count, Batch.failed_count, Batch.quarantined_count, Batch.skipped_count)
    rows = (Batch.row_count, Batch.rescued_count)
    query = select(
        func.count(),
        _sum(case((_LANDED, 1), else_=0)),
        *[_sum(column) for column in files],
        *[_sum(case((_LANDED, column), else_=0)) for column in rows],
        _sum(Batch.rejected_count),
    ).where(Batch.settled_run_id == run_id)
    return Totals(*map(int, session.execute(query).one()))


def _sum(of: Any) -> ColumnElement[int]:
    return func.coalesce(func.sum(of), 0)


def newest_snapshots(session: Session, run_id: UUID, limit: int) -> list[int]:
    """The last snapshots that batches ended by a run published, oldest first."""
    query = (
        select(Batch.snapshot_id)
        .where(Batch.settled_run_id == run_id, _LANDED)
        .order_by(Batch.settled_at.desc(), Batch.id.desc())
        .limit(limit)
    )
    return [snapshot_id for snapshot_id in session.scalars(query) if snapshot_id is not None][::-1]


def landed_between(session: Session, ingestion_ids: Sequence[UUID], since: datetime, until: datetime) -> bool:
    """Whether these ingestions settled a batch with a snapshot in that time."""
    query = select(Batch.id).where(Batch.ingestion_id.in_(ingestion_ids), _LANDED)
    return session.execute(query.where(Batch.settled_at.between(since, until)).limit(1)).first() is not None


def note_others_loaded(session: Session, ingestion_id: UUID, engine: str, at_most: int | None = None) -> None:
    """The engine got through something: note it with each waiting file of the ingestion that had failed alone there,
    and has no more than `at_most` bytes.
    """
    small = () if at_most is None else (Batch.byte_count <= at_most,)
    alone = (Batch.state == BatchState.CLAIMED, Batch.failed_alone.is_(True), Batch.others_loaded.is_(None))
    session.execute(
        update(Batch)
        .where(Batch.ingestion_id == ingestion_id, literal_column(UNFINISHED_SQL), Batch.engine == engine)
        .where(*alone, *small)
        .values(others_loaded=Batch.claims)
        .execution_options(synchronize_session=False)
    )


def into_table(
    session: Session, ingestion_ids: Sequence[UUID]
) -> Sequence[Row[tuple[UUID, str, UUID | None, int | None]]]:
    """`(id, state, table_uuid, base_snapshot_id)` of the unfinished batches of these ingestions.

    Their bases must stay in the table's history.
    """
    query = select(Batch.id, Batch.state, Batch.table_uuid, Batch.base_snapshot_id)
    return session.execute(query.where(Batch.ingestion_id.in_(ingestion_ids), literal_column(UNFINISHED_SQL))).all()


def change(session: Session, batch_id: UUID, **columns: object) -> None:
    """Set columns of one batch."""
    session.execute(
        update(Batch).where(Batch.id == batch_id).values(**columns).execution_options(synchronize_session="fetch")
    )


def claim(
    session: Session,
    batch: Batch,
    *,
    epoch: int,
    base: tuple[UUID, int | None],
    now: datetime,
    engine: str,
    job: str | None = None,
) -> None:
    """Count a claim. Only the first one sets the base (protocol, point 4): the table's UUID, and main's head."""
    batch.state = BatchState.CLAIMED
    batch.claims += 1
    batch.unanswered += 1
    batch.claim_epoch = epoch
    batch.claimed_at = now
    if batch.engine != engine:  # what another one could not do says nothing of this one
        batch.failed_alone, batch.others_loaded = False, None
    batch.engine = engine
    batch.engine_job = job
    if batch.table_uuid is None:
        batch.table_uuid, batch.base_snapshot_id = base
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
        engine_job=batch.engine_job,
        engine=batch.engine,
        unanswered=batch.unanswered,
    )
