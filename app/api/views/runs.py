"""Runs as the API answers them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import ConfigDict, Field

from app.api.views.base import BigId, NextCursor, Told, View, examples
from app.api.views.ingestions import RunState, TriggerWord

_RUN: dict[str, Any] = {
    "id": "a1b2c3d4-0000-4000-8000-000000000001",
    "ingestion_id": "3f6c1f0e-7d55-4b0e-9d7c-0f3f1a2b4c5d",
    "ingestion": "orders",
    "table": "local.shop.orders",
    "trigger": "scheduled",
    "state": "RUNNING",
    "flow_run_id": "0f8fad5b-d9cb-469f-a165-70867728950e",
    "started_at": "2026-03-01T12:00:00Z",
    "finished_at": None,
    "seconds": 21.5,
    "alive": True,
    "error_code": None,
    "error": None,
    "metrics": {"discovered": {"listed": 1300, "new": 96, "known": 1204}},
}
_PROGRESS = {
    "step": "load",
    "files_done": 40,
    "files_total": 96,
    "bytes_done": 52_000_000,
    "bytes_total": 130_000_000,
    "batches_done": 2,
    "batches_total": 5,
    "rows": 410_000,
    "rescued": 3,
    "rejected": 0,
    "waiting_files": 0,
    "bytes_per_second": 2_600_000.0,
    "rows_per_second": 20_500.0,
    "seconds_left": 30.0,
}


class RunProgressOut(View):
    """A run that goes on, counted from the ledger at this moment."""

    step: Literal["discover", "plan", "load"]
    files_done: int
    files_total: int | None = Field(description="Known once it has planned; grows while it goes on.")
    bytes_done: int
    bytes_total: int | None
    batches_done: int
    batches_total: int | None
    rows: int
    rescued: int
    rejected: int
    waiting_files: int = Field(description="Files that are in no batch yet.")
    bytes_per_second: float | None = Field(description="Over the time of loading; null before the first batch ended.")
    rows_per_second: float | None
    seconds_left: float | None = Field(description="At that rate.")


class DiscoveredOut(View):
    """What the listing brought."""

    listed: int = 0
    matched: int = 0
    matched_bytes: int = 0
    new: int = 0
    new_bytes: int = 0
    known: int = 0
    skipped: dict[str, int] = Field(default={}, description="Objects that were left out, by reason.")


class MetricsOut(View):
    """What a run came to, counted from the ledger."""

    discovered: DiscoveredOut = DiscoveredOut()
    files: dict[str, int] = Field(default={}, description="Files that it ended: loaded, failed, quarantined, skipped.")
    loaded_bytes: int = 0
    rows: int = 0
    rescued: int = 0
    rejected: int = 0
    batches: int = 0
    snapshots: tuple[BigId, ...] = ()
    waiting: int = Field(default=0, description="Files that waited when it ended.")
    quarantined_before: int = Field(default=0, description="Files that earlier runs quarantined, when it ended.")
    seconds: dict[str, float] = Field(default={}, description="Of each step.")
    notes: tuple[str, ...] = Field(
        default=(),
        description="What a person should know though the run did not fail, such as a table that was dropped.",
    )


class RunSummaryOut(View):
    """A run in a list."""

    id: UUID
    ingestion_id: UUID
    ingestion: str
    table: str
    trigger: TriggerWord
    state: RunState
    flow_run_id: str | None = Field(description="Its flow run in Prefect; null when Prefect did not start it.")
    started_at: datetime
    finished_at: datetime | None
    seconds: float = Field(description="How long it took, or has been going on.")
    alive: bool = Field(description="Whether it is RUNNING and somebody holds its lease; else its process is gone.")
    error_code: str | None
    error: Told | None
    metrics: MetricsOut


class RunPageOut(View):
    """Part of the list of runs, the newest first."""

    items: tuple[RunSummaryOut, ...]
    next_cursor: NextCursor


class BatchOut(View):
    """A batch that the run ended: one Iceberg commit."""

    id: UUID
    state: Literal["PLANNED", "CLAIMED", "LANDED", "SETTLED", "SPENT", "UNKNOWN"]
    outcome: str | None
    file_count: int
    byte_count: int
    claims: int
    rows: int | None
    rescued: int | None
    rejected: int | None
    snapshot_id: BigId | None
    parent_id: UUID | None
    error: Told | None
    engine: str | None = Field(description="That took it: `embedded`, or the name of a cluster.")


class NotLoadedOut(View):
    """A file that is not in the table, and why."""

    id: BigId
    path: str
    state: str
    reason: str | None
    error: Told | None


class RunOut(View):
    """A run with its batches, the files that were not loaded, and, while it goes on, its numbers of this moment."""

    model_config = ConfigDict(
        json_schema_extra=examples(
            {
                "run": _RUN,
                "trigger_id": None,
                "progress": _PROGRESS,
                "batch_count": 0,
                "batches": [],
                "not_loaded": [],
            }
        )
    )

    run: RunSummaryOut
    trigger_id: UUID | None = Field(
        description="The wish that it was started for: GET /v1/triggers/{id}. Null when a schedule or a command on the"
        " ledger's machine started it, and when the wish is forgotten (`TRIGGER_KEEP_SECONDS`)."
    )
    progress: RunProgressOut | None = Field(description="Null when the run has ended.")
    batch_count: int = Field(description="How many batches the run ended.")
    batches: tuple[BatchOut, ...] = Field(description="The first 100 of them.")
    not_loaded: tuple[NotLoadedOut, ...] = Field(description="At most 20 of them; GET /v1/files lists all.")


class CancelledOut(View):
    """How a cancellation goes."""

    model_config = ConfigDict(
        json_schema_extra=examples({"run_id": "a1b2c3d4-0000-4000-8000-000000000001", "asked": True})
    )

    run_id: UUID
    asked: bool = Field(
        description="True: Prefect ends the run now, look at it again in a moment. False: it is ended already."
    )
