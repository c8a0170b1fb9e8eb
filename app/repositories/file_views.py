"""Reading the ledger for people: lists, one file with its history. A tenant sees its own files only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, and_, exists, literal_column, or_, select
from sqlalchemy.orm import Session, aliased

from app.models import Batch, FileEvent, Ingestion, ProcessedFile
from app.models.processed_file import NOT_LOADED_SQL
from app.values import FileState, FoundFile

_STREAMED = 5_000


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose files: of one ingestion of the tenant, or of all of them, deleted ones too."""

    tenant_id: str
    ingestion_id: UUID | None = None

    def by_row(self) -> ColumnElement[bool]:
        """For queries that go through the files in order, or by their key."""
        owned = exists().where(Ingestion.id == ProcessedFile.ingestion_id, Ingestion.tenant_id == self.tenant_id)
        return owned if self.ingestion_id is None else and_(owned, ProcessedFile.ingestion_id == self.ingestion_id)

    def by_ingestion(self) -> ColumnElement[bool]:
        """For queries that find files by ingestion and path: no other index begins with a path."""
        owned = select(Ingestion.id).where(Ingestion.tenant_id == self.tenant_id)
        if self.ingestion_id is not None:
            owned = owned.where(Ingestion.id == self.ingestion_id)
        return ProcessedFile.ingestion_id.in_(owned)


@dataclass(frozen=True, slots=True)
class FileQuery:
    """Which files; None means any. `path_like` is a part of the path."""

    scope: Scope
    states: tuple[str, ...] = ()
    path_like: str | None = None
    batch_id: UUID | None = None
    after: int = 0  # file id, exclusive
    limit: int = 100


def listed(session: Session, query: FileQuery) -> Sequence[ProcessedFile]:
    """In order of id, that is of discovery."""
    chosen = select(ProcessedFile).where(ProcessedFile.id > query.after, query.scope.by_row())
    if query.states:
        chosen = chosen.where(ProcessedFile.state.in_(query.states))
    if query.path_like:
        chosen = chosen.where(ProcessedFile.path.contains(query.path_like, autoescape=True))
    if query.batch_id is not None:
        chosen = chosen.where(ProcessedFile.batch_id == query.batch_id)
    return session.scalars(chosen.order_by(ProcessedFile.id).limit(query.limit)).all()


def versions(session: Session, path: str, scope: Scope) -> Sequence[ProcessedFile]:
    """Every version of one path, in order of discovery."""
    chosen = select(ProcessedFile).where(scope.by_ingestion(), ProcessedFile.path == path)
    return session.scalars(chosen.order_by(ProcessedFile.id)).all()


def ending_with(session: Session, tail: str, scope: Scope, limit: int) -> Sequence[ProcessedFile]:
    """Files whose path is `tail`, or ends with `/tail`."""
    chosen = select(ProcessedFile).where(
        or_(ProcessedFile.path == tail, ProcessedFile.path.endswith("/" + tail.lstrip("/"), autoescape=True)),
        scope.by_row(),
    )
    return session.scalars(chosen.order_by(ProcessedFile.id).limit(limit)).all()


def by_ids(session: Session, ids: Sequence[int], scope: Scope) -> Sequence[ProcessedFile]:
    chosen = select(ProcessedFile).where(ProcessedFile.id.in_(ids), scope.by_row())
    return session.scalars(chosen.order_by(ProcessedFile.id)).all()


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


def loaded_below(session: Session, ingestion_id: UUID, base: str, unless_known_to: UUID | None) -> Iterator[FoundFile]:
    """Versions below an address that the ingestion loaded, or has in hand, and that the other one does not know.

    Streamed: there may be millions.
    """
    mine, theirs = ProcessedFile, aliased(ProcessedFile)
    folder = base.rstrip("/")
    span = or_(mine.path == base, and_(mine.path > f"{folder}/", mine.path < f"{folder}0"))  # `0` comes behind `/`
    taken = (FileState.SUCCESS.value, FileState.PROCESSING.value)
    chosen = select(mine.path, mine.version, mine.size, mine.modified_at).where(
        mine.ingestion_id == ingestion_id, span, mine.state.in_(taken)
    )
    if unless_known_to is not None:
        same = and_(theirs.path == mine.path, theirs.version == mine.version)
        chosen = chosen.where(~exists().where(theirs.ingestion_id == unless_known_to, same))
    for row in session.execute(chosen.execution_options(yield_per=_STREAMED)):
        yield FoundFile(*row)
