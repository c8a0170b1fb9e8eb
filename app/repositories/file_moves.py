"""Files from state to state, set by set. A move that FILE_TRANSITIONS does not have changes nothing and is told.

Each statement names the states it may start from and counts what it changed: who meets a file in another state than
it believed raises IllegalTransition, and the transaction that does so must end.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    and_,
    bindparam,
    exists,
    insert,
    literal,
    literal_column,
    null,
    select,
    update,
)
from sqlalchemy.orm import Session

from app.errors import IllegalTransition
from app.models import Batch, FileEvent, ProcessedFile
from app.models.processed_file import NOT_LOADED_SQL
from app.repositories.futile import is_futile
from app.repositories.statements import changed_rows
from app.values import FILE_TRANSITIONS, BatchState, FileOutcome, FileState

_IN_CHUNK = 500
_SHOWN = 5
_P = ProcessedFile
_SOURCES = {
    target: [state.value for state, targets in FILE_TRANSITIONS.items() if target in targets] for target in FileState
}
_ENDED = [BatchState.SETTLED.value, BatchState.SPENT.value]

# What a person may let wait again; what is PROCESSING is its batch's.
RETRIABLE = frozenset(FileState(state) for state in _SOURCES[FileState.DISCOVERED]) - {FileState.PROCESSING}


@dataclass(frozen=True, slots=True)
class Freed:
    """How many files wait again, and the ids of the first of them."""

    count: int
    first: tuple[int, ...]


# --- outside of batches ----------------------------------------------------------------------


def move(
    session: Session, ids: Sequence[int], state: FileState, now: datetime, *, reason: str | None, error: str | None
) -> int:
    """Set the state of files that are in no batch that may still land, with an event each. Answers how many.

    Raises IllegalTransition when one of them may not go there.
    """
    moved, ids = 0, list(dict.fromkeys(ids))
    for at in range(0, len(ids), _IN_CHUNK):
        chunk = ids[at : at + _IN_CHUNK]
        which = _P.id.in_(chunk)
        changed = changed_rows(
            session,
            update(_P)
            .where(which, _may_become(state), ~_in_open_batch())
            .values(state=state.value, reason=reason, error=error, settled_at=None, batch_id=None),
        )
        _require(session, changed, len(chunk), which, state)
        _events(session, which, now, run_id=None)
        moved += changed
    return moved


def let_wait_again(
    session: Session,
    ingestion_id: UUID,
    states: Sequence[FileState],
    now: datetime,
    shown: int,
    *,
    futile: Collection[str] = (),
) -> Freed:
    """Every file of the ingestion in one of these states becomes DISCOVERED, in one statement, with an event each.

    Those that a stored batch holds already are left: they wait. So are those that another try cannot help, with
    `futile` for reasons.
    """
    wanted = [state.value for state in states if state in RETRIABLE]
    which = and_(
        _P.ingestion_id == ingestion_id,
        literal_column(NOT_LOADED_SQL),
        _P.state.in_(wanted),
        ~_in_open_batch(),
        ~is_futile(futile),
    )
    first = tuple(session.scalars(select(_P.id).where(which).order_by(_P.id).limit(shown)))
    table = FileEvent.__table__  # its rows are told first: afterwards nobody knows which files were moved
    noted = select(_P.id, literal(now, table.c.at.type), literal(FileState.DISCOVERED.value)).where(which)
    session.execute(insert(FileEvent).from_select(["file_id", "at", "state"], noted))
    count = changed_rows(
        session,
        update(_P)
        .where(which)
        .values(state=FileState.DISCOVERED.value, reason=None, error=None, settled_at=None, batch_id=None),
    )
    return Freed(count, first)


# --- within a batch --------------------------------------------------------------------------


def claim(session: Session, batch_id: UUID, run_id: UUID, now: datetime, *, first: bool, expected: int) -> None:
    """All files of the batch become PROCESSING; the batch's first claim counts as an attempt of each."""
    which = _P.batch_id == batch_id
    changed = changed_rows(
        session,
        update(_P)
        .where(which, _P.state.in_([*_SOURCES[FileState.PROCESSING], FileState.PROCESSING.value]))
        .values(state=FileState.PROCESSING.value, attempts=_P.attempts + (1 if first else 0), reason=None, error=None),
    )
    _require(session, changed, expected, which, FileState.PROCESSING)
    batch_events(session, batch_id, run_id, now)


def settle(
    session: Session, batch_id: UUID, outcomes: Sequence[FileOutcome], snapshot_id: int | None, now: datetime
) -> None:
    """Store what became of files of a claimed batch; `snapshot_id` is that of the SUCCESS ones."""
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
    done = session.connection().execute(
        update(table)  # type: ignore[arg-type] # a declarative class's table
        .where(table.c.id == bindparam("file"), of_the_batch, table.c.state == FileState.PROCESSING.value)
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
    if done.rowcount != len(rows):
        settled = {o.state for o in outcomes}
        raise _refusal(session, done.rowcount, len(rows), _P.batch_id == batch_id, "/".join(sorted(settled)))


def settled_events(session: Session, batch_id: UUID, run_id: UUID, now: datetime) -> None:
    """One event for each file of the batch, as it stands; then those that are to be tried again leave it."""
    batch_events(session, batch_id, run_id, now)
    again = [FileState.FAILED.value, FileState.DISCOVERED.value]
    changed_rows(session, update(_P).where(_P.batch_id == batch_id, _P.state.in_(again)).values(batch_id=null()))


def hand_over(session: Session, parent: UUID, child: UUID, first: int, last: int, *, expected: int) -> None:
    """Move the parent's files with ids from `first` to `last` into the child.

    The attempt does not count: nobody knows of any one of them that it failed, and the child's claim counts it.
    """
    changed = changed_rows(
        session,
        update(_P)
        .where(_P.batch_id == parent, _P.id.between(first, last), _P.state == FileState.PROCESSING.value)
        .values(batch_id=child, state=FileState.DISCOVERED.value, attempts=_P.attempts - 1),
    )
    _require(session, changed, expected, _P.batch_id.in_([parent, child]), FileState.DISCOVERED)


def set_free(session: Session, batch_id: UUID, *, expected: int) -> None:
    """Files of a released batch that were not settled will wait again; the attempt does not count."""
    which = _P.batch_id == batch_id
    changed = changed_rows(
        session,
        update(_P)
        .where(which, _P.state == FileState.PROCESSING.value)
        .values(state=FileState.DISCOVERED.value, attempts=_P.attempts - 1),
    )
    _require(session, changed, expected, which, FileState.DISCOVERED)


def batch_events(session: Session, batch_id: UUID, run_id: UUID, now: datetime) -> None:
    """One event for each file of the batch, as it stands."""
    _events(session, _P.batch_id == batch_id, now, run_id=run_id)


# --- what they rest on -----------------------------------------------------------------------


def _may_become(state: FileState) -> ColumnElement[bool]:
    return _P.state.in_(_SOURCES[state])


def _in_open_batch() -> ColumnElement[bool]:
    return exists(select(Batch.id).where(Batch.id == _P.batch_id, Batch.state.not_in(_ENDED)))


def _require(session: Session, changed: int, expected: int, which: ColumnElement[bool], state: FileState) -> None:
    if changed != expected:
        raise _refusal(session, changed, expected, which, state)


def _refusal(
    session: Session, changed: int, expected: int, which: ColumnElement[bool], target: str
) -> IllegalTransition:
    """The error that names the files which are not where they were believed to be."""
    others = select(_P.id, _P.state).where(which, _P.state != target).order_by(_P.id).limit(_SHOWN)
    shown = ", ".join(f"{file_id} ({state})" for file_id, state in session.execute(others).all())
    return IllegalTransition(
        f"{changed} of {expected} files could become {target}; look at: {shown or 'none of them is in the ledger'}.",
        hint="Nothing was changed. See what happened to one: autoloader files show ID",
    )


def _events(session: Session, which: ColumnElement[bool], now: datetime, run_id: UUID | None) -> None:
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
    ).where(which)
    names = ["file_id", "at", "state", "reason", "error", "run_id", "batch_id", "snapshot_id"]
    session.execute(insert(FileEvent).from_select([*names, "row_count", "rescued_count", "rejected_count"], chosen))
