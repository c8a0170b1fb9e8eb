"""Runs as lists show them, and the numbers of one that goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Select, case, false, func, literal_column, select
from sqlalchemy.orm import Session

from app.models import Batch, Ingestion, ProcessedFile, Run
from app.models.batch import UNFINISHED_SQL
from app.models.processed_file import WAITING_SQL
from app.repositories.keysets import beyond
from app.values import BatchState, RunState

_DIGITS = 32  # of an id


@dataclass(frozen=True, slots=True)
class RunQuery:
    """Which runs of a tenant; None means any. Times are those of their start: `since` counts, `until` does not."""

    tenant_id: str
    ingestion_id: UUID | None = None
    states: tuple[str, ...] = ()
    trigger: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    id_prefix: str | None = None
    after: tuple[datetime, UUID] | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class NamedRun:
    """A run with the name and the table of its ingestion."""

    run: Run
    ingestion: str
    table: str


def page(session: Session, query: RunQuery) -> list[NamedRun]:
    """The newest first."""
    chosen = _named().where(Run.tenant_id == query.tenant_id)
    if query.ingestion_id is not None:
        chosen = chosen.where(Run.ingestion_id == query.ingestion_id)
    if query.states:
        chosen = chosen.where(Run.state.in_(query.states))
    if query.trigger is not None:
        chosen = chosen.where(Run.trigger == query.trigger)
    if query.since is not None:
        chosen = chosen.where(Run.started_at >= query.since)
    if query.until is not None:
        chosen = chosen.where(Run.started_at < query.until)
    if query.id_prefix is not None:
        chosen = chosen.where(_begins_with(query.id_prefix))
    chosen = beyond(chosen, Run.started_at, Run.id, query.after, down=True).limit(query.limit)
    return [NamedRun(row[0], row[1], row[2]) for row in session.execute(chosen)]


def _begins_with(prefix: str) -> ColumnElement[bool]:
    """A span of ids: no database must write them out as text, and the key's index serves."""
    digits = prefix.replace("-", "")
    if not digits or len(digits) > _DIGITS:
        return false()
    first, last = UUID(digits.ljust(_DIGITS, "0")), UUID(digits.ljust(_DIGITS, "f"))
    if not str(first).startswith(prefix):  # its hyphens stand where no id has one
        return false()
    return Run.id.between(first, last)


def one(session: Session, tenant_id: str, run_id: UUID) -> NamedRun | None:
    row = session.execute(_named().where(Run.tenant_id == tenant_id, Run.id == run_id)).one_or_none()
    return NamedRun(row[0], row[1], row[2]) if row else None


def _named() -> Select[tuple[Run, str, str]]:
    return select(Run, Ingestion.name, Ingestion.table_name).join(Ingestion, Ingestion.id == Run.ingestion_id)


def recent_ends(session: Session, ingestion_id: UUID, limit: int) -> Sequence[Run]:
    """The newest runs that ended as runs do: what the next one is likely to be like."""
    states = (RunState.SUCCESS.value, RunState.PARTIAL.value)
    query = select(Run).where(Run.ingestion_id == ingestion_id, Run.state.in_(states))
    return session.scalars(query.order_by(Run.started_at.desc(), Run.id).limit(limit)).all()


# --- a run that goes on ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ended:
    """What the batches that a run has ended came to."""

    batches: int
    files: int
    bytes: int
    rows: int
    rescued: int
    rejected: int


@dataclass(frozen=True, slots=True)
class Ahead:
    """What a run has still before it: batches that are stored, and files that wait for one."""

    batches: int
    files: int
    bytes: int
    waiting_files: int


def ended(session: Session, run_id: UUID) -> Ended:
    settled = case((Batch.state == BatchState.SETTLED.value, Batch.byte_count), else_=0)
    files = Batch.loaded_count + Batch.failed_count + Batch.quarantined_count + Batch.skipped_count
    sums = (files, settled, Batch.row_count, Batch.rescued_count, Batch.rejected_count)
    query = select(func.count(), *(func.coalesce(func.sum(column), 0) for column in sums))
    row = session.execute(query.where(Batch.settled_run_id == run_id)).one()
    return Ended(*(int(value) for value in row))


def ahead(session: Session, ingestion_id: UUID) -> Ahead:
    sums = (func.coalesce(func.sum(column), 0) for column in (Batch.file_count, Batch.byte_count))
    unfinished = select(func.count(), *sums).where(Batch.ingestion_id == ingestion_id, literal_column(UNFINISHED_SQL))
    waiting = (
        select(func.count())
        .select_from(ProcessedFile)
        .where(ProcessedFile.ingestion_id == ingestion_id, literal_column(WAITING_SQL))
    )
    row = session.execute(unfinished).one()
    return Ahead(int(row[0]), int(row[1]), int(row[2]), int(session.execute(waiting).scalar_one()))


def loading_since(session: Session, run: Run) -> datetime | None:
    """When the run claimed the first batch that is known of."""
    query = select(func.min(Batch.claimed_at)).where(
        Batch.ingestion_id == run.ingestion_id,
        (Batch.settled_run_id == run.id) | literal_column(UNFINISHED_SQL),
        Batch.claimed_at >= run.started_at,
    )
    return session.execute(query).scalar_one_or_none()
