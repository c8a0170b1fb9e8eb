"""The ledger: one row for each version of each file, its history, and the source of its ids."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, String, UniqueConstraint, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, CountingKey, HumanText, PathText, UtcDateTime

# SQLite uses a partial index only when a query repeats its predicate literally: queries use this text.
WAITING_SQL = "state IN ('DISCOVERED', 'FAILED') AND batch_id IS NULL"
NOT_LOADED_SQL = "state <> 'SUCCESS'"


class ProcessedFile(Base):
    __tablename__ = "processed_files"
    __table_args__ = (
        UniqueConstraint("ingestion_id", "path", "version", name="uq_processed_files_ingestion_path_version"),
        Index(
            "ix_processed_files_waiting",
            "ingestion_id",
            "id",
            sqlite_where=text(WAITING_SQL),
            postgresql_where=text(WAITING_SQL),
        ),
        Index("ix_processed_files_batch_id", "batch_id"),
        Index(
            "ix_processed_files_not_loaded",
            "ingestion_id",
            "state",
            sqlite_where=text(NOT_LOADED_SQL),
            postgresql_where=text(NOT_LOADED_SQL),
        ),
    )

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)  # `_file_id` of every row
    ingestion_id: Mapped[UUID] = mapped_column(Uuid, ForeignKey("ingestions.id"))
    path: Mapped[str] = mapped_column(PathText)
    version: Mapped[str] = mapped_column(String(255))
    size: Mapped[int] = mapped_column(BigInteger)
    modified_at: Mapped[datetime] = mapped_column(UtcDateTime)
    state: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str | None] = mapped_column(String(64))  # a stable word
    error: Mapped[str | None] = mapped_column(HumanText)  # the sentence for a person
    attempts: Mapped[int] = mapped_column(Integer, default=0)  # batches the file was claimed in
    batch_id: Mapped[UUID | None] = mapped_column(Uuid, ForeignKey("batches.id"))
    discovered_run_id: Mapped[UUID] = mapped_column(Uuid)
    discovered_at: Mapped[datetime] = mapped_column(UtcDateTime)
    settled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    row_count: Mapped[int | None] = mapped_column(BigInteger)
    rescued_count: Mapped[int | None] = mapped_column(BigInteger)
    rejected_count: Mapped[int | None] = mapped_column(BigInteger)
    snapshot_id: Mapped[int | None] = mapped_column(BigInteger)


class FileEvent(Base):
    """What happened to a file after its discovery, in order of `id`."""

    __tablename__ = "file_events"
    __table_args__ = (Index("ix_file_events_file_id", "file_id"),)

    id: Mapped[int] = mapped_column(CountingKey, primary_key=True, autoincrement=True)
    file_id: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    state: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str | None] = mapped_column(String(64))
    error: Mapped[str | None] = mapped_column(HumanText)
    run_id: Mapped[UUID | None] = mapped_column(Uuid)
    batch_id: Mapped[UUID | None] = mapped_column(Uuid)
    snapshot_id: Mapped[int | None] = mapped_column(BigInteger)
    row_count: Mapped[int | None] = mapped_column(BigInteger)
    rescued_count: Mapped[int | None] = mapped_column(BigInteger)
    rejected_count: Mapped[int | None] = mapped_column(BigInteger)


class FileIdSource(Base):
    """One row: a random 31-bit epoch of this database and the next 32-bit sequence (protocol, point 8)."""

    __tablename__ = "file_id_source"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    epoch: Mapped[int] = mapped_column(BigInteger)
    next_sequence: Mapped[int] = mapped_column(BigInteger)
