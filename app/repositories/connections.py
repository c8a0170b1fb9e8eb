"""Connections."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.models import Connection
from app.repositories.statements import taken


def add(session: Session, connection: Connection) -> None:
    """Store it, or its changes. Raises Conflict when its name was taken meanwhile."""
    with taken(f"There is a connection {connection.name!r} already."):
        session.add(connection)
        session.flush()


def by_name(session: Session, tenant_id: str, name: str) -> Connection | None:
    return session.scalars(
        select(Connection).where(Connection.tenant_id == tenant_id, Connection.name == name)
    ).one_or_none()


def listed(session: Session, tenant_id: str) -> Sequence[Connection]:
    return session.scalars(select(Connection).where(Connection.tenant_id == tenant_id).order_by(Connection.name)).all()


def remove(session: Session, connection: Connection) -> None:
    session.delete(connection)
    session.flush()
