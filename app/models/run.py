"""Runs: one execution of an ingestion each."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, String, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import DEFAULT_TENANT, Base, HumanText, UtcDateTime

RUNNING_SQL = "state = 'RUNNING'"


class Run(Base):
    __tablename__ = "runs"
    __table_args__ = (
        Index("ix_runs_ingestion_id_started_at", "ingestion_id", "started_at"),
        Index("ix_runs_tenant_id_started_at", "tenant_id", "started_at"),
        Index("ix_runs_running", "ingestion_id", sqlite_where=text(RUNNING_SQL), postgresql_where=text(RUNNING_SQL)),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(String(64), default=DEFAULT_TENANT)
    ingestion_id: Mapped[UUID] = mapped_column(Uuid, ForeignKey("ingestions.id"))
    trigger: Mapped[str] = mapped_column(String(16))
    state: Mapped[str] = mapped_column(String(16))
    external_key: Mapped[str | None] = mapped_column(String(255), unique=True)  # the Prefect flow-run id
    lease_epoch: Mapped[int | None] = mapped_column(BigInteger)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    error_code: Mapped[str | None] = mapped_column(String(64))
    error: Mapped[str | None] = mapped_column(HumanText)
    metrics: Mapped[dict[str, Any]] = mapped_column(JSON)
