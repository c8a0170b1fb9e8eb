"""Batches: the unit of exactly-once."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Boolean, ForeignKey, Index, Integer, String, Text, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, HumanText, UtcDateTime

UNFINISHED_SQL = "state IN ('PLANNED', 'CLAIMED', 'LANDED', 'UNKNOWN')"


class Batch(Base):
    __tablename__ = "batches"
    __table_args__ = (
        Index(
            "ix_batches_unfinished",
            "ingestion_id",
            "created_at",
            sqlite_where=text(UNFINISHED_SQL),
            postgresql_where=text(UNFINISHED_SQL),
        ),
        Index("ix_batches_run_id", "run_id"),
        Index("ix_batches_settled_run_id", "settled_run_id"),
    )

    id: Mapped[UUID] = mapped_column(Uuid, primary_key=True)
    ingestion_id: Mapped[UUID] = mapped_column(Uuid, ForeignKey("ingestions.id"))
    run_id: Mapped[UUID] = mapped_column(Uuid, ForeignKey("runs.id"))  # that planned it
    parent_id: Mapped[UUID | None] = mapped_column(Uuid, ForeignKey("batches.id"))  # that was split
    state: Mapped[str] = mapped_column(String(16))
    outcome: Mapped[str | None] = mapped_column(String(16))  # landed, released (nothing landed), split, quarantined
    file_count: Mapped[int] = mapped_column(Integer)
    byte_count: Mapped[int] = mapped_column(BigInteger)
    claims: Mapped[int] = mapped_column(Integer, default=0)
    unanswered: Mapped[int] = mapped_column(Integer, default=0)  # claims in a row whose process gave no answer
    claim_epoch: Mapped[int | None] = mapped_column(BigInteger)
    table_uuid: Mapped[UUID | None] = mapped_column(Uuid)  # of the first claim; never changed
    base_snapshot_id: Mapped[int | None] = mapped_column(BigInteger)  # of the first claim; null: an empty table
    snapshot_id: Mapped[int | None] = mapped_column(BigInteger)  # that published or spent it
    row_count: Mapped[int | None] = mapped_column(BigInteger)
    rescued_count: Mapped[int | None] = mapped_column(BigInteger)
    rejected_count: Mapped[int | None] = mapped_column(BigInteger)
    loaded_count: Mapped[int] = mapped_column(Integer, default=0)  # files, by what became of them
    failed_count: Mapped[int] = mapped_column(Integer, default=0)
    quarantined_count: Mapped[int] = mapped_column(Integer, default=0)
    skipped_count: Mapped[int] = mapped_column(Integer, default=0)
    settled_run_id: Mapped[UUID | None] = mapped_column(Uuid, ForeignKey("runs.id"))  # that ended it
    engine: Mapped[str | None] = mapped_column(String(100))  # that the last claim gave it to: `embedded`, or a cluster
    # Of a file that stands alone: whether its job failed on `engine`, and its claims when that loaded another since.
    failed_alone: Mapped[bool] = mapped_column(Boolean, default=False)
    others_loaded: Mapped[int | None] = mapped_column(Integer)
    engine_job: Mapped[str | None] = mapped_column(Text)  # by which a successor stops what the claimant left at work
    error: Mapped[str | None] = mapped_column(HumanText)  # of UNKNOWN: the evidence
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    claimed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    settled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
