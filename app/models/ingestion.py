"""Ingestions: what a person configured, and what was learned about its schema and table."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, Boolean, Index, Integer, String, Text, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import DEFAULT_TENANT, Base, ConfigJson, HumanText, UtcDateTime


class Ingestion(Base):
    __tablename__ = "ingestions"
    __table_args__ = (
        Index(
            "uq_ingestions_tenant_name",
            "tenant_id",
            "name",
            unique=True,
            sqlite_where=text("deleted_at IS NULL"),
            postgresql_where=text("deleted_at IS NULL"),
        ),
        Index("ix_ingestions_table_name", "table_name"),
        Index("ix_ingestions_prefect_deployment_id", "prefect_deployment_id"),
        Index("ix_ingestions_next_poll_at", "next_poll_at"),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(String(64), default=DEFAULT_TENANT)
    name: Mapped[str] = mapped_column(String(200))
    source_url: Mapped[str] = mapped_column(Text)  # canonical, without a glob: what overlap is judged by
    table_name: Mapped[str] = mapped_column(String(400))  # catalog.namespace.table
    config: Mapped[dict[str, Any]] = mapped_column(ConfigJson)  # schemas.ingestion.IngestionShape without `paused`
    schema_text: Mapped[str | None] = mapped_column(Text)  # columns on first sight, or as given
    schema_evidence: Mapped[list[dict[str, Any]] | None] = mapped_column(JSON)
    table_uuid: Mapped[UUID | None] = mapped_column(Uuid)  # of the table that was first landed in
    paused: Mapped[bool] = mapped_column(Boolean, default=False)
    rerun_wanted: Mapped[bool] = mapped_column(Boolean, default=False)
    prefect_sync: Mapped[str] = mapped_column(String(16), default="pending")
    prefect_sync_error: Mapped[str | None] = mapped_column(HumanText)
    prefect_synced_revision: Mapped[int | None] = mapped_column(Integer)  # that Prefect was last brought to
    prefect_migrated_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # `prefect migrate` made its deployment
    next_poll_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # of the arrival trigger's listing
    revision: Mapped[int] = mapped_column(Integer, default=1)  # grows with each change a person makes
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    deleted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    prefect_deployment_id: Mapped[str | None] = mapped_column(String(255))
    prefect_flow_id: Mapped[str | None] = mapped_column(String(255))
