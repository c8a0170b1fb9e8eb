"""Triggers: wishes for a run, stored before they are delivered (protocol, point 10)."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, ForeignKey, Index, Integer, String, Text, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import DEFAULT_TENANT, Base, UtcDateTime

WAITING_SQL = "delivered_at IS NULL"


class Trigger(Base):
    __tablename__ = "triggers"
    __table_args__ = (
        Index("ix_triggers_ingestion_id_created_at", "ingestion_id", "created_at"),
        Index("ix_triggers_flow_run_id", "flow_run_id"),
        Index("ix_triggers_delivered_at", "delivered_at"),
        Index("ix_triggers_due", "due_at", sqlite_where=text(WAITING_SQL), postgresql_where=text(WAITING_SQL)),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)  # the idempotency key of its delivery
    tenant_id: Mapped[str] = mapped_column(String(64), default=DEFAULT_TENANT)
    ingestion_id: Mapped[UUID] = mapped_column(Uuid, ForeignKey("ingestions.id"))
    kind: Mapped[str] = mapped_column(String(16))
    payload: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)  # not delivered before: events wait for a quiet moment
    attempts: Mapped[int] = mapped_column(Integer, default=0)  # deliveries that were begun
    flow_run_id: Mapped[str | None] = mapped_column(String(255))  # in Prefect
    delivered_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    run_id: Mapped[UUID | None] = mapped_column(Uuid, ForeignKey("runs.id"))  # once that has begun
    error: Mapped[str | None] = mapped_column(Text)
