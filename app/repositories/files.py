"""The ledger's rows: compared page by page, put into batches, counted. `file_moves` changes their states."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import and_, func, insert, literal, literal_column, or_, select, update
from sqlalchemy.orm import Session

from app.models import Batch, FileIdSource, ProcessedFile
from app.models.processed_file import NOT_LOADED_SQL, WAITING_SQL
from app.repositories.statements import changed_rows
from app.values import BatchFile, FileState, FoundFile

_EPOCH_BITS = 31  # above the sequence; the sign stays free
_SEQUENCE_BITS = 32
_IN_CHUNK = 500
_ALL = "*"
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


def settled_between(
    session: Session, ingestion_id: UUID, first: str, last: str, limit: int, but: Collection[str]
) -> set[tuple[str, str]] | None:
    """`(path, version)` of what the ledger has with a path from `first` to `last`, by bytes, without the SKIPPED ones
    for a reason in `but`; None when there are more than `limit`.
    """
    stays = or_(_P.state != FileState.SKIPPED.value, _P.reason.is_(None), _P.reason.not_in(sorted(but)))
    query = select(_P.path, _P.version).where(_P.ingestion_id == ingestion_id, _P.path >= first, _P.path <= last, stays)
    # Plain tuples: a page without news is compared as a set, and nothing is made of its rows.
    found = {(path, version) for path, version in session.execute(query.limit(limit + 1))}
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
    """`count` ids that no database ever gave: a random epoch above a sequence (protocol, point 8).

    Where the sequence has not that many left, another random epoch begins, with a sequence of its own.
    """
    epoch, end = _moved(session, next_sequence=FileIdSource.next_sequence + count)
    if end > 1 << _SEQUENCE_BITS:  # the update above holds the row: nobody else takes an epoch meanwhile
        epoch, end = _moved(session, epoch=_another_epoch(epoch), next_sequence=1 + count)
    first = (epoch << _SEQUENCE_BITS) + end - count
    return range(first, first + count)


def _moved(session: Session, **columns: object) -> tuple[int, int]:
    """The epoch, and the first number that is not given yet, after the change."""
    change = update(FileIdSource).where(FileIdSource.id == 1).values(**columns)
    row = session.execute(change.returning(FileIdSource.epoch, FileIdSource.next_sequence)).one()
    return row[0], row[1]


def _another_epoch(epoch: int) -> int:
    while (other := secrets.randbits(_EPOCH_BITS)) == epoch:
        pass
    return other


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


def waiting_between(session: Session, ingestion_id: UUID, first: int, last: int) -> tuple[int, int]:
    """How many files with ids from `first` to `last` wait for a batch, and their bytes."""
    query = select(func.count(), func.coalesce(func.sum(_P.size), 0)).where(
        _P.ingestion_id == ingestion_id, literal_column(WAITING_SQL), _P.id.between(first, last)
    )
    count, size = session.execute(query).one()
    return int(count), int(size)


def assign(session: Session, ingestion_id: UUID, batch_id: UUID, first: int, last: int) -> int:
    """Put the waiting files with ids from `first` to `last` into a batch; answers how many."""
    return changed_rows(
        session,
        update(_P)
        .where(_P.ingestion_id == ingestion_id, literal_column(WAITING_SQL), _P.id.between(first, last))
        .values(batch_id=batch_id),
    )


def of_batch(session: Session, batch_id: UUID, limit: int | None = None) -> list[BatchFile]:
    """The batch's files, in order of id; the first of them."""
    query = select(_P.id, _P.path, _P.version, _P.size).where(_P.batch_id == batch_id).order_by(_P.id).limit(limit)
    return [BatchFile(*row) for row in session.execute(query)]


def attempts_of(session: Session, batch_id: UUID) -> dict[int, int]:
    """Map file id → attempts, for the files of a batch."""
    return {row[0]: row[1] for row in session.execute(select(_P.id, _P.attempts).where(_P.batch_id == batch_id))}


def counts_of(session: Session, ingestion_ids: Sequence[UUID]) -> dict[UUID, dict[str, int]]:
    """Map ingestion → state → files, for many ingestions in one statement.

    What is loaded is all but the rest: both are counted within an index, six times faster than by state.
    """
    mine = _P.ingestion_id.in_(ingestion_ids)
    whole = select(_P.ingestion_id, literal(_ALL).label("state"), func.count()).where(mine).group_by(_P.ingestion_id)
    rest = (
        select(_P.ingestion_id, _P.state, func.count())
        .where(mine, literal_column(NOT_LOADED_SQL))
        .group_by(_P.ingestion_id, _P.state)
    )
    found: dict[UUID, dict[str, int]] = {}
    for ingestion_id, state, count in session.execute(whole.union_all(rest)):
        found.setdefault(ingestion_id, {})[state] = count
    return {ingestion_id: _with_loaded(states) for ingestion_id, states in found.items()}


def _with_loaded(states: dict[str, int]) -> dict[str, int]:
    rest = {state: count for state, count in states.items() if state != _ALL}
    loaded = states[_ALL] - sum(rest.values())
    return rest | ({FileState.SUCCESS.value: loaded} if loaded else {})


def count_with_reason(session: Session, ingestion_id: UUID, state: FileState, reason: str) -> int:
    """How many files, of which each may have several such versions."""
    query = (
        select(func.count(_P.path.distinct()))
        .where(_P.ingestion_id == ingestion_id, literal_column(NOT_LOADED_SQL))
        .where(_P.state == state.value, _P.reason == reason)
    )
    return int(session.execute(query).scalar_one())


def quarantined_count(session: Session, ingestion_id: UUID) -> int:
    """Files that nothing tries again by itself."""
    query = (
        select(func.count())
        .where(_P.ingestion_id == ingestion_id, literal_column(NOT_LOADED_SQL))
        .where(_P.state == FileState.QUARANTINED.value)
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
