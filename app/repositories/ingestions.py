"""Ingestions."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.models import Ingestion
from app.repositories.statements import taken


def add(session: Session, ingestion: Ingestion) -> None:
    """Store it, or its changes. Raises Conflict when its name was taken meanwhile."""
    with taken(f"There is an ingestion {ingestion.name!r} already."):
        session.add(ingestion)
        session.flush()  # so that it is refused here, not at the end of the scope


def lock_table(session: Session, table_name: str) -> None:
    """Until the transaction ends, nobody else decides about ingestions into this table: overlaps are judged in turn.

    SQLite has one writer anyway.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(table_name, 0))))


def by_id(session: Session, ingestion_id: UUID) -> Ingestion | None:
    """Deleted ones too."""
    return session.get(Ingestion, ingestion_id)


def locked(session: Session, ingestion_id: UUID) -> Ingestion | None:
    """The row, held until the transaction ends; rows that refer to it may still be added by others."""
    return session.get(Ingestion, ingestion_id, with_for_update={"key_share": True}, populate_existing=True)


def by_name(session: Session, tenant_id: str, name: str) -> Ingestion | None:
    return session.scalars(
        select(Ingestion).where(
            Ingestion.tenant_id == tenant_id, Ingestion.name == name, Ingestion.deleted_at.is_(None)
        )
    ).one_or_none()


def lock(session: Session, ingestion: Ingestion) -> None:
    """Until the transaction ends nobody else changes it; it is read anew. SQLite has one writer anyway."""
    session.refresh(ingestion, with_for_update=True)


def listed(session: Session, tenant_id: str) -> Sequence[Ingestion]:
    """All that are not deleted, by name."""
    return session.scalars(
        select(Ingestion)
        .where(Ingestion.tenant_id == tenant_id, Ingestion.deleted_at.is_(None))
        .order_by(Ingestion.name)
    ).all()


def names(session: Session, tenant_id: str) -> list[str]:
    """Those of all that are not deleted, in order."""
    mine = (Ingestion.tenant_id == tenant_id, Ingestion.deleted_at.is_(None))
    return list(session.scalars(select(Ingestion.name).where(*mine).order_by(Ingestion.name)))


def into_table(session: Session, table_name: str) -> Sequence[Ingestion]:
    """All that ever loaded into the table, deleted ones and other tenants' too: they share its rows."""
    return session.scalars(
        select(Ingestion).where(Ingestion.table_name == table_name).order_by(Ingestion.created_at)
    ).all()
