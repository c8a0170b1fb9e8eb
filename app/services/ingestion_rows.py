"""What a change of an ingestion does to its row, and what it must not do."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.errors import Conflict
from app.models import Ingestion
from app.schemas.ingestion import IngestionShape
from app.services.context import part_of
from app.services.overlap import Wanted
from app.values import SyncState


def require_clear_start(row: Ingestion, shape: IngestionShape, now: datetime) -> None:
    """Raise Conflict for `start: now` of an ingestion that began otherwise: its now would be its creation, long ago."""
    if shape.source.start == "now" and part_of(row, "source").get("start", "now") != "now":
        raise Conflict(
            f"{row.name} is there already, and `now` is the moment at which an ingestion is made"
            f" ({row.created_at:%Y-%m-%dT%H:%M:%SZ}): it would not mean this moment.",
            hint=f"To leave out what came before this moment, name it: --start {now:%Y-%m-%dT%H:%M:%SZ}",
        )


def require_table_as_it_is(row: Ingestion, shape: IngestionShape) -> None:
    """Raise Conflict for a change of what only a new table takes from the configuration, once there is the table."""
    if row.table_uuid is None:
        return
    old, new = row.config, shape.model_dump(mode="json")
    if "destination" not in old:  # it is no configuration any more: nobody can say what it was
        return
    told = [field for field in ("partition_by", "properties") if old["destination"][field] != new["destination"][field]]
    # To say what was inferred, or to say nothing, changes nothing.
    if new["columns"]["columns"] not in {old["columns"]["columns"], row.schema_text, None}:
        told.append("columns")
    if told:
        raise Conflict(
            f"The table {row.table_name} is there already: {' and '.join(told)} of {row.name} cannot be changed any"
            " more, because only a new table is made by them.",
            hint=f"Leave that as it is, or load into another table. See it: autoloader table show {row.table_name}",
        )


def note_change(row: Ingestion, now: datetime) -> None:
    """One change more, which Prefect has not seen; committed with the change itself.

    What is switched off stays so, however it is changed: it came there by a rollback, not by this person.
    """
    row.revision += 1
    row.updated_at = now
    if row.prefect_sync != SyncState.OFF.value or row.deleted_at is not None:
        row.prefect_sync = SyncState.PENDING.value
    row.prefect_sync_error = None
    row.next_poll_at = now if _arrival(row).get("poll_seconds") and row.deleted_at is None else None


def _arrival(row: Ingestion) -> Mapping[str, Any]:
    return part_of(row, "arrival")


def set_paused(row: Ingestion, *, paused: bool) -> None:
    """Whoever resumes it, however, wants a run where events tell of files: those that came meanwhile were dropped."""
    if row.paused and not paused and _arrival(row):
        row.rerun_wanted = True
    row.paused = paused


def fill(row: Ingestion, wanted: Wanted) -> None:
    """Bring the row to what is wanted; whether it is paused stays unless the shape speaks of it."""
    shape, before = wanted.shape, row.config or {}
    row.name = shape.name
    row.source_url = wanted.base
    row.table_name = wanted.table_name
    row.config = shape.model_dump(mode="json", exclude={"paused"})
    if "paused" in shape.model_fields_set:
        set_paused(row, paused=shape.paused)
    if shape.columns.columns is not None:
        row.schema_text = shape.columns.columns
    elif row.table_uuid is None and before.get("columns", {}).get("columns") is not None:
        row.schema_text = None  # they were given and are not any more: the first run infers them
