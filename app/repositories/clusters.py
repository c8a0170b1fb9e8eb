"""Clusters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.models import Cluster, Ingestion
from app.repositories.statements import taken


def add(session: Session, cluster: Cluster) -> None:
    """Store it. Raises Conflict when its name was taken meanwhile."""
    with taken(f"There is a cluster {cluster.name!r} already."):
        session.add(cluster)
        session.flush()


def by_id(session: Session, cluster_id: UUID) -> Cluster | None:
    return session.get(Cluster, cluster_id)


def by_name(session: Session, tenant_id: str, name: str) -> Cluster | None:
    return session.scalars(select(Cluster).where(Cluster.tenant_id == tenant_id, Cluster.name == name)).one_or_none()


def listed(session: Session, tenant_id: str) -> Sequence[Cluster]:
    return session.scalars(select(Cluster).where(Cluster.tenant_id == tenant_id).order_by(Cluster.name)).all()


def users(session: Session, tenant_id: str, name: str) -> list[str]:
    """Names of the ingestions that run on it, or may."""
    # Not compared by the database: one configuration that is no JSON would fail the question for all.
    query = select(Ingestion.name, Ingestion.config).where(
        Ingestion.tenant_id == tenant_id, Ingestion.deleted_at.is_(None)
    )
    rows = session.execute(query.order_by(Ingestion.name))
    return [user for user, config in rows if isinstance(config, dict) and name in _said(config)]


def _said(config: dict[str, Any]) -> tuple[object, ...]:
    """What loads it. A cluster beside another engine than `auto` was left over once, and means nothing."""
    engine = config.get("engine")
    return (engine, config.get("cluster")) if engine == "auto" else (engine,)


def remove(session: Session, cluster: Cluster) -> None:
    session.delete(cluster)
    session.flush()
