"""Batches of one ingestion as people ask for them."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.models import Batch


def with_rejects(session: Session, ingestion_id: UUID) -> list[UUID]:
    """The batches that landed with rejected records."""
    query = select(Batch.id).where(Batch.ingestion_id == ingestion_id, Batch.rejected_count > 0)
    return list(session.scalars(query.order_by(Batch.created_at, Batch.id)))
