"""Leases: the right to run an ingestion (protocol, point 1)."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import BigInteger, Double, ForeignKey, Integer, String, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base


class Lease(Base):
    __tablename__ = "leases"

    ingestion_id: Mapped[UUID] = mapped_column(Uuid, ForeignKey("ingestions.id"), primary_key=True)
    epoch: Mapped[int] = mapped_column(BigInteger)  # grows with each owner
    owner: Mapped[str | None] = mapped_column(String(64))  # null: given up
    run_id: Mapped[UUID | None] = mapped_column(Uuid)
    acquired_at: Mapped[float] = mapped_column(Double)  # database time, seconds since 1970
    expires_at: Mapped[float] = mapped_column(Double)  # database time, seconds since 1970
    host: Mapped[str] = mapped_column(String(255))
    boot_id: Mapped[str] = mapped_column(String(64))
    pid: Mapped[int] = mapped_column(Integer)
    process_start: Mapped[str] = mapped_column(String(64))  # tells a reused pid from the owner's
