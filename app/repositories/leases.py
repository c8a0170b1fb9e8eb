"""Leases: every statement compares the epoch, and the database's own clock is the only clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Double, cast, func, literal_column, select, update
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import ColumnElement

from app.errors import LeaseLost
from app.models import Lease
from app.repositories.statements import changed_rows


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that owns a lease. `process_start` tells it from a later process with the same pid."""

    owner: str
    host: str
    boot_id: str
    pid: int
    process_start: str


@dataclass(frozen=True, slots=True)
class LeaseRow:
    """A lease as the database has it; `seconds_left` is negative once it ran out, `age` is in seconds.

    `expires_at` is database time; each renewal changes it.
    """

    ingestion_id: UUID
    epoch: int
    holder: Holder | None
    run_id: UUID | None
    expires_at: float
    seconds_left: float
    age: float


def database_time(session: Session) -> ColumnElement[float]:
    """Seconds since 1970 by the database's clock, also within a long transaction."""
    if session.get_bind().dialect.name == "sqlite":
        return literal_column("((julianday('now') - 2440587.5) * 86400.0)", Double)
    return cast(func.extract("epoch", func.clock_timestamp()), Double)


def read(session: Session, ingestion_id: UUID) -> LeaseRow | None:
    """The lease, or None when the ingestion was never run."""
    return read_all(session, [ingestion_id]).get(ingestion_id)


def read_all(session: Session, ingestion_ids: Sequence[UUID]) -> dict[UUID, LeaseRow]:
    """Map ingestion → its lease, without those that were never run; one statement."""
    now = database_time(session)
    found = session.execute(
        select(Lease, (Lease.expires_at - now).label("left"), (now - Lease.acquired_at).label("age")).where(
            Lease.ingestion_id.in_(ingestion_ids)
        )
    )
    return {lease.ingestion_id: _row(lease, float(left), float(age)) for lease, left, age in found}


def _row(lease: Lease, left: float, age: float) -> LeaseRow:
    holder = None
    if lease.owner is not None:
        holder = Holder(lease.owner, lease.host, lease.boot_id, lease.pid, lease.process_start)
    return LeaseRow(lease.ingestion_id, lease.epoch, holder, lease.run_id, lease.expires_at, left, age)


def create(session: Session, ingestion_id: UUID) -> None:
    """Make the row, owned by nobody, unless it is there."""
    values = {
        "ingestion_id": ingestion_id,
        "epoch": 0,
        "owner": None,
        "acquired_at": 0.0,
        "expires_at": 0.0,
        "host": "",
        "boot_id": "",
        "pid": 0,
        "process_start": "",
    }
    if session.get_bind().dialect.name == "sqlite":
        from sqlalchemy.dialects import sqlite  # each brings the modules of its kind: only those that are needed

        session.execute(sqlite.insert(Lease).values(values).on_conflict_do_nothing())
    else:
        from sqlalchemy.dialects import postgresql

        session.execute(postgresql.insert(Lease).values(values).on_conflict_do_nothing())


def take(
    session: Session, seen: LeaseRow, holder: Holder, run_id: UUID, seconds: float, *, though_alive: bool = False
) -> int | None:
    """Own the lease if it is still as `seen`; the new epoch, or None when somebody was faster.

    `though_alive`: also before it ran out, because its owner is known to be dead.
    """
    now = database_time(session)
    free = Lease.owner.is_(None) if seen.holder is None else Lease.owner == seen.holder.owner
    if seen.holder is not None and not though_alive:
        free &= Lease.expires_at <= now  # it may have been renewed since it was seen
    taken = changed_rows(
        session,
        update(Lease)
        .where(Lease.ingestion_id == seen.ingestion_id, Lease.epoch == seen.epoch, free)
        .values(
            epoch=Lease.epoch + 1,
            owner=holder.owner,
            run_id=run_id,
            acquired_at=now,
            expires_at=now + seconds,
            host=holder.host,
            boot_id=holder.boot_id,
            pid=holder.pid,
            process_start=holder.process_start,
        ),
    )
    return seen.epoch + 1 if taken == 1 else None


def hold(session: Session, ingestion_id: UUID, epoch: int, seconds: float) -> None:
    """First statement of every ledger transaction of a run (protocol, point 2): renews the lease, and locks it.

    Raises LeaseLost when another owner has it, so that nothing else of the transaction happens.
    """
    now = database_time(session)
    held = changed_rows(
        session,
        update(Lease)
        .where(Lease.ingestion_id == ingestion_id, Lease.epoch == epoch, Lease.owner.is_not(None))
        .values(expires_at=now + seconds),
    )
    if held != 1:
        message = f"The lease of ingestion {ingestion_id} (epoch {epoch}) belongs to another run now; this one stops."
        raise LeaseLost(message, hint="Nothing is lost: the new owner goes on with the same batches.")


def tell_run(session: Session, ingestion_id: UUID, run_id: UUID) -> None:
    """Say which run the owner is in, for those who are refused. Who calls it holds the lease."""
    changed_rows(session, update(Lease).where(Lease.ingestion_id == ingestion_id).values(run_id=run_id))


def give_up(session: Session, ingestion_id: UUID, epoch: int) -> bool:
    """End the ownership of `epoch`; false when it had ended already."""
    done = changed_rows(
        session,
        update(Lease)
        .where(Lease.ingestion_id == ingestion_id, Lease.epoch == epoch)
        .values(owner=None, expires_at=0.0),
    )
    return done == 1
