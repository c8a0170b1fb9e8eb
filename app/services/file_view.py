"""A file of the ledger for people."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from app.database import Session
from app.models import ProcessedFile
from app.repositories import file_views


@dataclass(frozen=True, slots=True)
class FileEventView:
    """One thing that happened to a file after its discovery."""

    at: datetime
    state: str
    reason: str | None
    error: str | None
    run_id: UUID | None
    batch_id: UUID | None
    snapshot_id: int | None
    rows: int | None
    rescued: int | None
    rejected: int | None


@dataclass(frozen=True, slots=True)
class FileView:
    """One version of one file as the ledger has it. `history` is filled by `show` alone."""

    id: int
    ingestion: str
    path: str
    version: str
    size: int
    modified_at: datetime
    state: str
    reason: str | None
    error: str | None
    attempts: int
    batch_id: UUID | None
    batch_state: str | None
    discovered_run_id: UUID
    discovered_at: datetime
    settled_at: datetime | None
    rows: int | None
    rescued: int | None
    rejected: int | None
    snapshot_id: int | None
    history: tuple[FileEventView, ...] = field(default=())
    ingestion_deleted_at: datetime | None = None


def history_of(session: Session, file_id: int) -> tuple[FileEventView, ...]:
    """What happened to the file after its discovery, in order of time."""
    return tuple(
        FileEventView(
            at=event.at,
            state=event.state,
            reason=event.reason,
            error=event.error,
            run_id=event.run_id,
            batch_id=event.batch_id,
            snapshot_id=event.snapshot_id,
            rows=event.row_count,
            rescued=event.rescued_count,
            rejected=event.rejected_count,
        )
        for event in file_views.history(session, file_id)
    )


def view_of(
    row: ProcessedFile,
    ingestion: str,
    batch_state: str | None,
    history: tuple[FileEventView, ...] = (),
    *,
    deleted_at: datetime | None = None,
) -> FileView:
    """The row as people see it, in the ingestion of that name, which may be deleted."""
    return FileView(
        id=row.id,
        ingestion=ingestion,
        path=row.path,
        version=row.version,
        size=row.size,
        modified_at=row.modified_at,
        state=row.state,
        reason=row.reason,
        error=row.error,
        attempts=row.attempts,
        batch_id=row.batch_id,
        batch_state=batch_state,
        discovered_run_id=row.discovered_run_id,
        discovered_at=row.discovered_at,
        settled_at=row.settled_at,
        rows=row.row_count,
        rescued=row.rescued_count,
        rejected=row.rejected_count,
        snapshot_id=row.snapshot_id,
        history=history,
        ingestion_deleted_at=deleted_at,
    )
