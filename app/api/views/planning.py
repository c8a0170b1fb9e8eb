"""Looks ahead: estimate, refresh; the hook for events; what a person decides."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, model_validator

from app.api.views.base import BigId, Told, View, examples
from app.schemas.ingestion import Shape

_ESTIMATE: dict[str, Any] = {
    "complete": True,
    "listed": 1300,
    "known": 1204,
    "new_files": 96,
    "new_bytes": 130_000_000,
    "waiting_files": 0,
    "waiting_bytes": 0,
    "files": 96,
    "bytes": 130_000_000,
    "batches": 1,
    "seconds": 4.2,
    "past_runs": 20,
    "left_out": {"hidden": 2},
    "engines": [
        {
            "engine": "embedded",
            "why": "at most 10,000 files and 1,024 MiB",
            "batches": 1,
            "files": 96,
            "bytes": 130_000_000,
        }
    ],
    "work_queue": "default",
}


class EngineShareOut(View):
    """What one engine would load."""

    engine: str = Field(description="`embedded`, or the name of a cluster.")
    why: str = Field(description="Which batches come to it.")
    batches: int
    files: int
    bytes: int


class EstimateOut(View):
    """What the next run would load, and how long it would take."""

    model_config = ConfigDict(json_schema_extra=examples(_ESTIMATE))

    complete: bool = Field(description="False: the time for listing ran out; there is at least this much.")
    listed: int
    known: int
    new_files: int
    new_bytes: int
    waiting_files: int = Field(description="In the ledger already, and not loaded yet.")
    waiting_bytes: int
    files: int = Field(description="New and waiting ones together.")
    bytes: int
    batches: int
    seconds: float | None = Field(description="By the speed of past runs; null where none loaded anything.")
    past_runs: int
    left_out: dict[str, int] = Field(description="Objects that do not count, by reason.")
    engines: tuple[EngineShareOut, ...] = Field(description="Where the batches go, and why.")
    work_queue: Literal["default", "high_memory"] = Field(description="In which queue Prefect runs it.")


class RefreshIn(Shape):
    """Which refresh, and whether to do it or to see what it would do."""

    model_config = ConfigDict(
        json_schema_extra=examples(
            {"kind": "new_only", "dry_run": True},
            {"kind": "new_only", "dry_run": False, "confirmation": "1772366400.Zm9v"},
        )
    )

    kind: Literal["new_only", "full"]
    dry_run: bool = Field(default=True, description="Only the numbers, and the token that confirms them.")
    confirmation: str | None = Field(default=None, max_length=200, description="The token of the dry run.")


class RefreshPlanOut(View):
    """What a refresh would do."""

    model_config = ConfigDict(
        json_schema_extra=examples(
            {
                "kind": "new_only",
                "offered": True,
                "why_not": None,
                "estimate": _ESTIMATE,
                "loaded_files": 1204,
                "confirmation": "1772366400.Zm9v",
                "valid_until": "2026-03-01T12:10:00Z",
            }
        )
    )

    kind: Literal["new_only", "full"]
    offered: bool
    why_not: str | None
    estimate: EstimateOut
    loaded_files: int = Field(description="Files in the table already; a full refresh would load them again.")
    confirmation: str = Field(description="Send it with dry_run: false. It holds as long as nothing changes.")
    valid_until: datetime


class NotifyOut(View):
    """What a message became."""

    model_config = ConfigDict(
        json_schema_extra=examples(
            {"stored": True, "trigger_id": "7c9e6679-7425-40de-944b-e07fc1f90ae7", "objects": 3, "why": None}
        )
    )

    stored: bool = Field(description="Whether a run was asked for; it starts after the quiet period.")
    trigger_id: UUID | None
    objects: int = Field(description="Objects of the message that are below the ingestion's source.")
    why: str | None = Field(description="Why no run was asked for.")


class NotifyTokenOut(View):
    """The secret of one ingestion's hook."""

    model_config = ConfigDict(
        json_schema_extra=examples(
            {
                "token": "…",
                "path": "/v1/ingestions/3f6c1f0e-7d55-4b0e-9d7c-0f3f1a2b4c5d/notify?token=…",
                "signature": "X-Autoloader-Signature: sha256=<HMAC-SHA256 of the body, key: the token, hexadecimal>",
            }
        )
    )

    token: str = Field(description="Send it as `Authorization: Bearer`, X-Autoloader-Token, or in the address.")
    path: str = Field(description="The hook with the token in its address, for senders that can set nothing else.")
    signature: str = Field(description="How to sign a body instead.")


class BlockedBatchOut(View):
    """A batch of which nobody can tell whether it is in the table."""

    batch_id: UUID
    file_count: int
    byte_count: int
    claims: int
    claimed_table_uuid: UUID | None
    base_snapshot_id: BigId | None
    found: Told = Field(description="Why it became so.")
    created_at: datetime


class BlockedOut(View):
    """What blocks an ingestion, as the ledger has it. Empty: no batch does."""

    items: tuple[BlockedBatchOut, ...]


class TableEvidenceOut(View):
    """One such batch, with what the table says now."""

    batch_id: UUID
    file_count: int
    byte_count: int
    claims: int
    claimed_table_uuid: UUID | None
    base_snapshot_id: BigId | None
    found: Told
    table_now: Told
    files: tuple[str, ...] = Field(description="Some of its files.")


class TableEvidenceListOut(View):
    """The evidence that a person decides by."""

    items: tuple[TableEvidenceOut, ...]
    table_changed: Told | None = Field(
        default=None, description="Without a batch: what became of the table that files were loaded into."
    )


class Decision(Shape):
    """What a person decides: of one batch, or to go on with the table as it is now."""

    model_config = ConfigDict(
        json_schema_extra=examples(
            {"batch_id": "b7e6c9a0-0000-4000-8000-000000000002", "landed": True}, {"accept_table": True}
        )
    )

    batch_id: UUID | None = None
    landed: bool | None = Field(default=None, description="Whether the batch is in the table.")
    accept_table: bool = Field(default=False, description="Go on with the table as it is now, with new files only.")

    @model_validator(mode="after")
    def _one(self) -> Decision:
        if self.accept_table == (self.batch_id is not None) or (self.batch_id is None) != (self.landed is None):
            message = "give batch_id with landed, or accept_table"
            raise ValueError(message)
        return self


class DecisionOut(View):
    """What the decision did."""

    model_config = ConfigDict(
        json_schema_extra=examples({"batch_id": None, "state": None, "children": [], "table_uuid": None})
    )

    batch_id: UUID | None = None
    state: str | None = Field(default=None, description="Of the batch, now.")
    children: tuple[UUID, ...] = Field(default=(), description="Batches that its files wait in.")
    table_uuid: UUID | None = Field(default=None, description="Of the table that was accepted; null: made anew.")
