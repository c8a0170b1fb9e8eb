"""The ledger itself: one row, made with the table."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Uuid
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base


class Ledger(Base):
    __tablename__ = "ledgers"

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
