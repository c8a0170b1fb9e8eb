"""Reading the ledger for people: lists, one file with its history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import literal_column, or_, select
from sqlalchemy.orm import Session

from app.models import Batch, FileEvent, ProcessedFile
from app.models.processed_file import NOT_LOADED_SQL
from app.values import FileState


@dataclass(frozen=True, slots=True)
class FileQuery:
    """Which files; None means any. `path_like` is a part of the path."""

    ingestion_id: UUID | None = None
    states: tuple[str, ...] = ()
    path_like: str | None = None
    batch_id: UUID | None = None
    after: int = 0  # file id, exclusive
    limit: int = 100


def listed(session: Session, query: FileQuery) -> Sequence[ProcessedFile]:
    """In order of id, that is of discovery."""
    chosen = select(ProcessedFile).where(ProcessedFile.id > query.after)
    if query.ingestion_id is not None:
        chosen = chosen.where(ProcessedFile.ingestion_id == query.ingestion_id)
    if query.states:
        chosen = chosen.where(ProcessedFile.state.in_(query.states))
    if query.path_like:
        chosen = chosen.where(ProcessedFile.path.contains(query.path_like, autoescape=True))
    if query.batch_id is not None:
        chosen = chosen.where(ProcessedFile.batch_id == query.batch_id)
    return session.scalars(chosen.order_by(ProcessedFile.id).limit(query.limit)).all()


def versions(session: Session, path: str, ingestion_id: UUID | None) -> Sequence[ProcessedFile]:
    """Every version of one path, in order of discovery, over all ingestions or in one."""
    chosen = select(ProcessedFile).where(ProcessedFile.path == path)
    if ingestion_id is not None:
        chosen = chosen.where(ProcessedFile.ingestion_id == ingestion_id)
    return session.scalars(chosen.order_by(ProcessedFile.id)).all()


def ending_with(session: Session, tail: str, ingestion_id: UUID | None, limit: int) -> Sequence[ProcessedFile]:
    """Files whose path is `tail`, or ends with `/tail`."""
    chosen = select(ProcessedFile).where(
        or_(ProcessedFile.path == tail, ProcessedFile.path.endswith("/" + tail.lstrip("/"), autoescape=True))
    )
    if ingestion_id is not None:
        chosen = chosen.where(ProcessedFile.ingestion_id == ingestion_id)
    return session.scalars(chosen.order_by(ProcessedFile.id).limit(limit)).all()


def by_ids(session: Session, ids: Sequence[int]) -> Sequence[ProcessedFile]:
    return session.scalars(select(ProcessedFile).where(ProcessedFile.id.in_(ids)).order_by(ProcessedFile.id)).all()


def history(session: Session, file_id: int) -> Sequence[FileEvent]:
    """What happened after discovery, oldest first."""
    return session.scalars(select(FileEvent).where(FileEvent.file_id == file_id).order_by(FileEvent.id)).all()


def not_loaded_by(session: Session, run_id: UUID, limit: int) -> Sequence[ProcessedFile]:
    """Files that batches ended by the run left out for good (QUARANTINED, SKIPPED), in order of id."""
    return _ended_by(session, run_id, (FileState.QUARANTINED, FileState.SKIPPED), limit)


def loaded_by(session: Session, run_id: UUID, limit: int) -> Sequence[ProcessedFile]:
    """Files that batches ended by the run loaded, in order of id."""
    return _ended_by(session, run_id, (FileState.SUCCESS,), limit)


def _ended_by(session: Session, run_id: UUID, states: Sequence[FileState], limit: int) -> Sequence[ProcessedFile]:
    ended = select(Batch.id).where(Batch.settled_run_id == run_id)
    chosen = select(ProcessedFile).where(ProcessedFile.batch_id.in_(ended), ProcessedFile.state.in_(states))
    return session.scalars(chosen.order_by(ProcessedFile.id).limit(limit)).all()


def in_state(session: Session, ingestion_id: UUID, state: FileState, limit: int) -> Sequence[ProcessedFile]:
    """Files of the ingestion in a state other than SUCCESS, in order of id."""
    chosen = (
        select(ProcessedFile)
        .where(ProcessedFile.ingestion_id == ingestion_id, literal_column(NOT_LOADED_SQL))
        .where(ProcessedFile.state == state.value)
    )
    return session.scalars(chosen.order_by(ProcessedFile.id).limit(limit)).all()
