"""The ledger's rows: compared page by page, moved set by set. Never one statement a file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import and_, bindparam, func, insert, literal, literal_column, null, select, update
from sqlalchemy.orm import Session

from app.models import Batch, FileEvent, FileIdSource, ProcessedFile
from app.models.processed_file import NOT_LOADED_SQL, WAITING_SQL
from app.repositories.statements import changed_rows
from app.values import BatchFile, FileOutcome, FileState, FoundFile

_SEQUENCE_BITS = 32
_IN_CHUNK = 500
_P = ProcessedFile


@dataclass(frozen=True, slots=True)
class KnownFile:
    """What the ledger knows of one version of a path."""

    id: int
    path: str
    version: str
    state: str
    reason: str | None
    pending: bool  # in a stored batch that has not ended


@dataclass(frozen=True, slots=True)
class NewFile:
    """A version to insert, with the state its rule gave it."""

    found: FoundFile
    state: FileState
    reason: str | None = None
    error: str | None = None


_KNOWN = (_P.id, _P.path, _P.version, _P.state, _P.reason, _P.batch_id)
_PENDING = {FileState.DISCOVERED, FileState.PROCESSING, FileState.FAILED}


def _known(rows: Iterable[tuple[int, str, str, str, str | None, UUID | None]]) -> list[KnownFile]:
    return [KnownFile(r[0], r[1], r[2], r[3], r[4], pending=r[5] is not None and r[3] in _PENDING) for r in rows]


def known_between(session: Session, ingestion_id: UUID, first: str, last: str, limit: int) -> list[KnownFile] | None:
    """All versions with a path from `first` to `last`, by bytes; None when there are more than `limit`."""
    # Not `between`: with a collation at its first bound, PostgreSQL does not parse it.
    span = and_(_P.path >= first, _P.path <= last)
    query = select(*_KNOWN).where(_P.ingestion_id == ingestion_id, span).limit(limit + 1)
    found = _known(session.execute(query).tuples())
    return None if len(found) > limit else found


def known_paths(session: Session, ingestion_id: UUID, paths: Sequence[str]) -> list[KnownFile]:
    """All versions of exactly these paths: for a page whose span holds many other keys."""
    found: list[KnownFile] = []
    for at in range(0, len(paths), _IN_CHUNK):
        chunk = paths[at : at + _IN_CHUNK]
        query = select(*_KNOWN).where(_P.ingestion_id == ingestion_id, _P.path.in_(chunk))
        found += _known(session.execute(query).tuples())
    return found


def allocate_ids(session: Session, count: int) -> range:
    """`count` ids that no database ever gave: a random epoch above a sequence (protocol, point 8)."""
    row = session.execute(
        update(FileIdSource)
        .where(FileIdSource.id == 1)
        .values(next_sequence=FileIdSource.next_sequence + count)
        .returning(FileIdSource.epoch, FileIdSource.next_sequence)
    ).one()
    first = (row[0] << _SEQUENCE_BITS) + row[1] - count
    return range(first, first + count)


def insert_new(session: Session, ingestion_id: UUID, run_id: UUID, files: Sequence[NewFile], now: datetime) -> None:
    """Store new versions in one statement."""
    if not files:
        return
    ids = allocate_ids(session, len(files))
    rows = [
        {
            "id": file_id,
            "ingestion_id": ingestion_id,
            "path": new.found.path,
            "version": new.found.version,
            "size": new.found.size,
            "modified_at": new.found.modified_at,
            "state": new.state.value,
            "reason": new.reason,
            "error": new.error,
            "attempts": 0,
            "discovered_run_id": run_id,
            "discovered_at": now,
        }
        for file_id, new in zip(ids, files, strict=True)
    ]
    session.connection().execute(insert(_P.__table__), rows)  # type: ignore[arg-type] # a declarative class's table


def move(
    session: Session, ids: Sequence[int], state: FileState, now: datetime, *, reason: str | None, error: str | None
) -> int:
    """Set the state of files that are in no batch, with an event each. Answers how many."""
    moved = 0
    for at in range(0, len(ids), _IN_CHUNK):
        chunk = ids[at : at + _IN_CHUNK]
        moved += changed_rows(
            session,
            update(_P)
            .where(_P.id.in_(chunk))
            .values(state=state.value, reason=reason, error=error, settled_at=None, batch_id=None),
        )
        _events(session, _P.id.in_(chunk), now, run_id=None)
    return moved


def waiting(session: Session, ingestion_id: UUID, after: int, limit: int) -> list[tuple[int, int]]:
    """`(id, size)` of files that wait for a batch, in order of id, beginning after id `after`."""
    query = (
        select(_P.id, _P.size)
        .where(_P.ingestion_id == ingestion_id, literal_column(WAITING_SQL), _P.id > after)
        .order_by(_P.id)
        .limit(limit)
    )
    return [(row[0], row[1]) for row in session.execute(query)]


def sample_waiting(session: Session, ingestion_id: UUID, count: int) -> list[BatchFile]:
    """Up to `count` waiting files: the first, the last, and others spread evenly between, in order of id."""
    waits = and_(_P.ingestion_id == ingestion_id, literal_column(WAITING_SQL))
    total = session.execute(select(func.count()).where(waits)).scalar_one()
    if total == 0:
        return []
    numbered = (
        select(_P.id, _P.path, _P.version, _P.size, func.row_number().over(order_by=_P.id).label("place"))
        .where(waits)
        .subquery()
    )
    wanted = {round(i * (total - 1) / max(1, count - 1)) + 1 for i in range(min(count, total))}
    if total <= count:
        wanted = set(range(1, total + 1))
    chosen = select(numbered).where(numbered.c.place.in_(wanted)).order_by(numbered.c.id)
    return [BatchFile(row.id, row.path, row.version, row.size) for row in session.execute(chosen)]


def assign(session: Session, ingestion_id: UUID, batch_id: UUID, first: int, last: int) -> int:
    """Put the waiting files with ids from `first` to `last` into a batch; answers how many."""
    return changed_rows(
        session,
        update(_P)
        .where(_P.ingestion_id == ingestion_id, literal_column(WAITING_SQL), _P.id.between(first, last))
        .values(batch_id=batch_id),
    )


def of_batch(session: Session, batch_id: UUID) -> list[BatchFile]:
    """The batch's files, in order of id."""
    query = select(_P.id, _P.path, _P.version, _P.size).where(_P.batch_id == batch_id).order_by(_P.id)
    return [BatchFile(*row) for row in session.execute(query)]


def claim(session: Session, batch_id: UUID, run_id: UUID, now: datetime, *, first: bool) -> None:
    """All files of the batch become PROCESSING; the batch's first claim counts as an attempt of each."""
    changed_rows(
        session,
        update(_P)
        .where(_P.batch_id == batch_id)
        .values(state=FileState.PROCESSING.value, attempts=_P.attempts + (1 if first else 0), reason=None, error=None),
    )
    _events(session, _P.batch_id == batch_id, now, run_id=run_id)


def settle(
    session: Session, batch_id: UUID, outcomes: Sequence[FileOutcome], snapshot_id: int | None, now: datetime
) -> None:
    """Store what became of files of a batch; `snapshot_id` is that of the SUCCESS ones."""
    rows = [
        {
            "file": o.file_id,
            "new_state": o.state.value,
            "why": o.reason or None,
            "sentence": o.error or None,
            "rows": o.rows,
            "rescued": o.rescued,
            "rejected": o.rejected,
            "snapshot": snapshot_id if o.state is FileState.SUCCESS else None,
        }
        for o in outcomes
    ]
    if not rows:
        return
    table = _P.__table__
    # Not `==`: with statistics of before the batch, PostgreSQL would look each file up among all of the batch's.
    of_the_batch = table.c.batch_id.is_not_distinct_from(batch_id)
    session.connection().execute(
        update(table)  # type: ignore[arg-type] # a declarative class's table
        .where(table.c.id == bindparam("file"), of_the_batch)
        .values(
            state=bindparam("new_state"),
            reason=bindparam("why"),
            error=bindparam("sentence"),
            row_count=bindparam("rows"),
            rescued_count=bindparam("rescued"),
            rejected_count=bindparam("rejected"),
            snapshot_id=bindparam("snapshot"),
            settled_at=literal(now, table.c.settled_at.type),
        ),
        rows,
    )


def settled_events(session: Session, batch_id: UUID, run_id: UUID, now: datetime) -> None:
    """One event for each file of the batch, as it stands; then those that FAILED are set free."""
    _events(session, _P.batch_id == batch_id, now, run_id=run_id)
    changed_rows(
        session,
        update(_P).where(_P.batch_id == batch_id, _P.state == FileState.FAILED.value).values(batch_id=null()),
    )


def hand_over(session: Session, parent: UUID, child: UUID, first: int, last: int) -> int:
    """Move the parent's files with ids from `first` to `last` into the child; answers how many.

    The attempt does not count: nobody knows of any one of them that it failed, and the child's claim counts it.
    """
    return changed_rows(
        session,
        update(_P)
        .where(_P.batch_id == parent, _P.id.between(first, last))
        .values(batch_id=child, state=FileState.DISCOVERED.value, attempts=_P.attempts - 1),
    )


def set_free(session: Session, batch_id: UUID) -> None:
    """Files of a released batch that were not settled wait again; the attempt does not count."""
    changed_rows(
        session,
        update(_P)
        .where(_P.batch_id == batch_id, _P.state == FileState.PROCESSING.value)
        .values(batch_id=null(), state=FileState.DISCOVERED.value, attempts=_P.attempts - 1),
    )


def attempts_of(session: Session, batch_id: UUID) -> dict[int, int]:
    """Map file id → attempts, for the files of a batch."""
    return {row[0]: row[1] for row in session.execute(select(_P.id, _P.attempts).where(_P.batch_id == batch_id))}


def counts(session: Session, ingestion_id: UUID) -> dict[str, int]:
    """Map state → files."""
    query = select(_P.state, func.count()).where(_P.ingestion_id == ingestion_id).group_by(_P.state)
    return {row[0]: row[1] for row in session.execute(query)}


def count_with_reason(session: Session, ingestion_id: UUID, state: FileState, reason: str) -> int:
    query = (
        select(func.count())
        .where(_P.ingestion_id == ingestion_id, literal_column(NOT_LOADED_SQL))
        .where(_P.state == state.value, _P.reason == reason)
    )
    return int(session.execute(query).scalar_one())


def loaded_bytes(session: Session, run_id: UUID) -> int:
    """Source bytes of the files that the batches ended by a run loaded."""
    query = (
        select(func.coalesce(func.sum(_P.size), 0))
        .join(Batch, Batch.id == _P.batch_id)
        .where(Batch.settled_run_id == run_id, _P.state == FileState.SUCCESS.value)
    )
    return int(session.execute(query).scalar_one())


def waiting_count(session: Session, ingestion_id: UUID) -> int:
    """Files that are neither loaded nor given up: for a batch, in a batch, or to be tried again."""
    states = (FileState.DISCOVERED.value, FileState.PROCESSING.value, FileState.FAILED.value)
    query = (
        select(func.count())
        .where(_P.ingestion_id == ingestion_id, literal_column(NOT_LOADED_SQL))
        .where(_P.state.in_(states))
    )
    return int(session.execute(query).scalar_one())


def _events(session: Session, which: object, now: datetime, run_id: UUID | None) -> None:
    """One history row for each file that `which` selects, as it stands now."""
    table = FileEvent.__table__
    chosen = select(
        _P.id,
        literal(now, table.c.at.type),
        _P.state,
        _P.reason,
        _P.error,
        literal(run_id, table.c.run_id.type),
        _P.batch_id,
        _P.snapshot_id,
        _P.row_count,
        _P.rescued_count,
        _P.rejected_count,
    ).where(which)  # type: ignore[arg-type] # a where clause
    names = ["file_id", "at", "state", "reason", "error", "run_id", "batch_id", "snapshot_id"]
    session.execute(insert(FileEvent).from_select([*names, "row_count", "rescued_count", "rejected_count"], chosen))
