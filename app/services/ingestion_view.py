"""An ingestion for people."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from app.models import Ingestion
from app.repositories.runs import LastRun
from app.services.context import config_of, url_of


@dataclass(frozen=True, slots=True)
class IngestionView:
    """An ingestion as people see it, with how its files stand."""

    id: UUID
    name: str
    source_url: str
    table_name: str
    paused: bool
    blocked: str | None  # the evidence, when a batch is UNKNOWN
    schema_text: str | None
    schema_evidence: list[dict[str, Any]]
    config: dict[str, Any]
    files: dict[str, int]
    last_run_id: UUID | None
    last_run_state: str | None
    last_run_at: datetime | None
    last_run_alive: bool  # RUNNING, and its lease is held
    created_at: datetime
    updated_at: datetime


def view_of(row: Ingestion, blocked: str | None, counted: dict[str, int], last: LastRun | None) -> IngestionView:
    """The row as people see it; `blocked` is the evidence, `counted` its files by state."""
    return IngestionView(
        id=row.id,
        name=row.name,
        source_url=url_of(row),
        table_name=row.table_name,
        paused=row.paused,
        blocked=blocked,
        schema_text=row.schema_text,
        schema_evidence=list(row.schema_evidence or ()),
        config=config_of(row),
        files=counted,
        last_run_id=last.run_id if last else None,
        last_run_state=last.state if last else None,
        last_run_at=last.started_at if last else None,
        last_run_alive=last.alive if last else False,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
