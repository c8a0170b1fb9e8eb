"""Ingestions as the API answers them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import ConfigDict, Field

from app.api.views.base import NextCursor, Told, View, examples
from app.schemas.ingestion import IngestionShape

IngestionState = Literal["active", "paused", "blocked"]
RunState = Literal["RUNNING", "SUCCESS", "PARTIAL", "FAILED", "CANCELLED"]
TriggerWord = Literal["manual", "scheduled", "arrival", "retry", "backfill", "decision"]
Counts = dict[str, int]

_ID = "3f6c1f0e-7d55-4b0e-9d7c-0f3f1a2b4c5d"
EXAMPLE_SHAPE: dict[str, Any] = {
    "name": "orders",
    "source": {"url": "s3://shop/orders/", "connection": "shop", "include": ["*.jsonl.gz"]},
    "format": {"type": "jsonl"},
    "destination": {"table": "shop.orders", "partition_by": ["day(ordered_at)"]},
    "schedule": {"cron": "*/15 * * * *", "timezone": "Europe/Berlin"},
}
_LAST_RUN = {
    "run_id": "a1b2c3d4-0000-4000-8000-000000000001",
    "state": "SUCCESS",
    "started_at": "2026-03-01T12:00:00Z",
    "alive": False,
}
_PREFECT = {"sync": "in_sync", "error": None, "deployment_id": "9d2f7c1e", "flow_id": "5b1c0a9f"}
_SUMMARY = {
    "id": _ID,
    "name": "orders",
    "state": "active",
    "blocked": None,
    "revision": 3,
    "source_url": "s3://shop/orders/",
    "table": "local.shop.orders",
    "prefect": _PREFECT,
    "last_run": _LAST_RUN,
    "created_at": "2026-02-01T08:00:00Z",
    "updated_at": "2026-02-20T09:30:00Z",
}
EXAMPLE_INGESTION: dict[str, Any] = {
    **_SUMMARY,
    "config": IngestionShape.model_validate(EXAMPLE_SHAPE).model_dump(mode="json"),
    "columns": "id bigint, amount decimal(10, 2), ordered_at timestamptz",
    "evidence": [{"column": "id", "type": "bigint", "path": "s3://shop/orders/1.jsonl.gz", "example": "17"}],
    "files": {"SUCCESS": 1204, "QUARANTINED": 1},
    "warnings": [],
}


class LastRunOut(View):
    """The newest run, in short."""

    run_id: UUID
    state: RunState
    started_at: datetime
    alive: bool = Field(description="RUNNING, and somebody runs it; false for a RUNNING one whose process is gone.")


class PrefectOut(View):
    """How far Prefect follows this ingestion. The database is the truth; Prefect is brought in step."""

    sync: Literal["in_sync", "pending", "error", "off"]
    error: Told | None = Field(description="Why it is not in step.")
    deployment_id: str | None
    flow_id: str | None


class IngestionSummaryOut(View):
    """An ingestion in a list."""

    model_config = ConfigDict(
        json_schema_extra=examples({**_SUMMARY, "format": "jsonl", "not_loaded": {"QUARANTINED": 1}})
    )

    id: UUID
    name: str
    state: IngestionState
    blocked: Told | None = Field(description="Of a blocked one: why. A person must decide.")
    revision: int = Field(description="Grows with each change of the configuration.")
    source_url: str
    table: str
    format: str
    prefect: PrefectOut
    not_loaded: Counts = Field(description="Its files that are not in the table, by state.")
    last_run: LastRunOut | None
    created_at: datetime
    updated_at: datetime


class IngestionPageOut(View):
    """Part of the list of ingestions."""

    items: tuple[IngestionSummaryOut, ...]
    next_cursor: NextCursor


class EvidenceOut(View):
    """Which file first gave a column its type."""

    column: str
    type: str
    path: str
    example: str


class IngestionOut(View):
    """An ingestion with its configuration and how it stands. What PUT takes is exactly its `config`."""

    model_config = ConfigDict(json_schema_extra=examples(EXAMPLE_INGESTION))

    id: UUID
    name: str
    state: IngestionState
    blocked: Told | None = Field(description="Of a blocked one: why. A person must decide.")
    revision: int = Field(description="Grows with each change of the configuration; the first part of the ETag.")
    source_url: str
    table: str = Field(description="`catalog.namespace.table`.")
    config: Annotated[IngestionShape | dict[str, Any], Field(union_mode="left_to_right")] = Field(
        description="As it is stored, where this version cannot read it."
    )
    columns: str | None = Field(description="The schema, as given or as inferred by the first run; null before it.")
    evidence: list[EvidenceOut] = Field(description="Of an inferred schema: why each column has its type.")
    prefect: PrefectOut
    files: Counts = Field(description="All its files by state.")
    last_run: LastRunOut | None
    created_at: datetime
    updated_at: datetime
    warnings: list[str] = Field(
        description="What its schedule does otherwise than its line says when clocks change in the coming year."
    )


class IngestionDetailPageOut(View):
    """Part of the list of ingestions, each with all that is known of it."""

    items: tuple[IngestionOut, ...]
    next_cursor: NextCursor


class FiresOut(View):
    """When Prefect starts an ingestion next."""

    model_config = ConfigDict(
        json_schema_extra=examples(
            {"ingestion_id": _ID, "next": ["2026-03-01T12:15:00+01:00", "2026-03-01T12:30:00+01:00"], "warnings": []}
        )
    )

    ingestion_id: UUID
    next: list[datetime] = Field(description="Empty without a schedule, and while it is paused.")
    warnings: list[str] = Field(
        description="What the schedule does otherwise than its line says when clocks change in the coming year."
    )


class DeletedOut(View):
    """What a deletion did, and what it left."""

    model_config = ConfigDict(
        json_schema_extra=examples(
            {
                "id": _ID,
                "name": "orders",
                "table": "local.shop.orders",
                "table_stays": True,
                "ledger_stays": True,
                "files": {"SUCCESS": 1204},
                "run_id": None,
                "running": "none",
                "note": "The table and the ledger stay: made again for the same source and table, the ingestion goes on"
                " where it stopped, and loads nothing twice.",
            }
        )
    )

    id: UUID
    name: str
    table: str
    table_stays: Literal[True] = True
    ledger_stays: Literal[True] = True
    files: Counts = Field(description="The files that the ledger keeps, by state.")
    run_id: UUID | None = Field(description="The run that was active.")
    running: Literal["none", "cancelled", "goes-on"] = Field(description="What became of it.")
    note: str = (
        "The table and the ledger stay: made again for the same source and table, the ingestion goes on where it"
        " stopped, and loads nothing twice."
    )


class TriggerOut(View):
    """A wish for a run. It is stored before it is delivered to Prefect, and delivered also when Prefect is down now."""

    model_config = ConfigDict(
        json_schema_extra=examples(
            {
                "id": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
                "ingestion_id": _ID,
                "kind": "manual",
                "state": "delivered",
                "created_at": "2026-03-01T12:00:00Z",
                "due_at": "2026-03-01T12:00:00Z",
                "delivered_at": "2026-03-01T12:00:01Z",
                "flow_run_id": "0f8fad5b-d9cb-469f-a165-70867728950e",
                "flow_state": "PENDING",
                "flow_message": None,
                "run_id": None,
                "attempts": 0,
                "error": None,
            }
        )
    )

    id: UUID
    ingestion_id: UUID
    kind: TriggerWord
    state: Literal["waiting", "delivered"]
    created_at: datetime
    due_at: datetime = Field(description="Not delivered before: events wait for a quiet moment.")
    delivered_at: datetime | None
    flow_run_id: str | None = Field(description="In Prefect, once it is delivered.")
    flow_state: str | None = Field(
        description="Where the flow run is in Prefect, when its run should have begun; null where that is not told."
    )
    flow_message: Told | None = Field(description="What Prefect says of that state.")
    run_id: UUID | None = Field(description="The run, once it has begun.")
    attempts: int = Field(description="Deliveries that failed.")
    error: Told | None = Field(description="Why the last one failed.")
