"""Files of one ingestion as lists show them, and which of them a filter means."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import func, literal_column, select
from sqlalchemy.orm import Session

from app.models import Batch, Ingestion, ProcessedFile
from app.models.processed_file import NOT_LOADED_SQL
from app.repositories.futile import is_futile
from app.repositories.keysets import beyond
from app.values import FileState

_P = ProcessedFile


@dataclass(frozen=True, slots=True)
class FileFilter:
    """Which files of one ingestion; None and empty mean any. `path_contains` is a part of the path."""

    ingestion_id: UUID
    states: tuple[str, ...] = ()
    reason: str | None = None
    path: str | None = None
    path_contains: str | None = None
    run_id: UUID | None = None  # whose batches ended them
    batch_id: UUID | None = None
    without_futile: Collection[str] = ()  # none that is as it is for one of these reasons


def page(
    session: Session, wanted: FileFilter, after: tuple[str, int] | None, limit: int
) -> list[tuple[ProcessedFile, str | None]]:
    """Files with the state of their batch, by path, versions of one in order of discovery.

    By path, because the ledger's unique index has that order: a page costs the same in a ledger of millions.
    """
    query = beyond(select(_P).where(*_conditions(wanted)), _P.path, _P.id, after, down=False)
    rows = session.scalars(query.limit(limit)).all()
    states = batch_states(session, rows)
    return [(row, states.get(row.batch_id)) for row in rows]


def batch_states(session: Session, rows: Sequence[ProcessedFile]) -> dict[UUID | None, str]:
    """Map batch → its state, of the batches that hold these files."""
    batch_ids = {row.batch_id for row in rows if row.batch_id is not None}
    found = session.execute(select(Batch.id, Batch.state).where(Batch.id.in_(batch_ids)))
    return {row[0]: row[1] for row in found}


def ids(session: Session, wanted: FileFilter, after: int, limit: int) -> Sequence[int]:
    """The ids that the filter means, in order, beginning behind `after`."""
    query = select(_P.id).where(*_conditions(wanted), _P.id > after)
    return session.scalars(query.order_by(_P.id).limit(limit)).all()


def futile_counts(session: Session, wanted: FileFilter, reasons: Collection[str]) -> dict[str, int]:
    """How many of the files that the filter means are as they are for each of the reasons."""
    query = select(_P.reason, func.count()).where(*_conditions(wanted), is_futile(reasons))
    return {str(why): count for why, count in session.execute(query.group_by(_P.reason).order_by(_P.reason))}


def of_tenant(session: Session, tenant_id: str, file_ids: Sequence[int]) -> Sequence[ProcessedFile]:
    """Those of the files that belong to the tenant."""
    query = select(_P).join(Ingestion, Ingestion.id == _P.ingestion_id)
    return session.scalars(query.where(Ingestion.tenant_id == tenant_id, _P.id.in_(file_ids)).order_by(_P.id)).all()


def _conditions(wanted: FileFilter) -> list[Any]:
    found: list[Any] = [_P.ingestion_id == wanted.ingestion_id]
    if wanted.states:
        found.append(_P.state.in_(wanted.states))
        if FileState.SUCCESS.value not in wanted.states:
            found.append(literal_column(NOT_LOADED_SQL))  # so that the partial index serves
    if wanted.reason is not None:
        found.append(_P.reason == wanted.reason)
    if wanted.without_futile:
        found.append(~is_futile(wanted.without_futile))
    if wanted.path is not None:
        found.append(_P.path == wanted.path)
    if wanted.path_contains is not None:
        found.append(_P.path.contains(wanted.path_contains, autoescape=True))
    if wanted.batch_id is not None:
        found.append(_P.batch_id == wanted.batch_id)
    if wanted.run_id is not None:
        found.append(_P.batch_id.in_(select(Batch.id).where(Batch.settled_run_id == wanted.run_id)))
    return found
