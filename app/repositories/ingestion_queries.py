"""Ingestions as lists show them: filtered, sorted, page by page, with what goes on in each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, literal_column, not_, select
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import ColumnElement

from app.models import Batch, Ingestion, ProcessedFile
from app.models.batch import UNFINISHED_SQL
from app.models.processed_file import NOT_LOADED_SQL
from app.repositories.keysets import beyond
from app.values import BatchState

# By the partial index.
_UNKNOWN: tuple[ColumnElement[bool], ...] = (
    literal_column(UNFINISHED_SQL),
    Batch.state == BatchState.UNKNOWN.value,
)


@dataclass(frozen=True, slots=True)
class IngestionQuery:
    """Which ingestions of a tenant; None means any. `search` is a part of the name, whatever its case."""

    tenant_id: str
    name: str | None = None
    search: str | None = None
    table: str | None = None
    connection: str | None = None
    format: str | None = None
    work_queue: str | None = None
    state: str | None = None  # active, paused, blocked
    prefect_sync: str | None = None
    sort: str = "name"
    down: bool = False
    after: tuple[str | datetime, UUID] | None = None
    limit: int = 50


def page(session: Session, query: IngestionQuery) -> Sequence[Ingestion]:
    chosen = select(Ingestion).where(Ingestion.tenant_id == query.tenant_id, Ingestion.deleted_at.is_(None))
    chosen = chosen.where(*_conditions(query))
    column = getattr(Ingestion, query.sort)
    return session.scalars(beyond(chosen, column, Ingestion.id, query.after, down=query.down).limit(query.limit)).all()


def _conditions(query: IngestionQuery) -> list[ColumnElement[bool]]:
    config = Ingestion.config
    equal = (
        (Ingestion.name, query.name),
        (Ingestion.table_name, query.table),
        (Ingestion.prefect_sync, query.prefect_sync),
        (config["source"]["connection"].as_string(), query.connection),
        (config["format"]["type"].as_string(), query.format),
        (config["work_queue"].as_string(), query.work_queue),
    )
    found: list[ColumnElement[bool]] = [column == wanted for column, wanted in equal if wanted is not None]
    if query.search is not None:
        found.append(Ingestion.name.icontains(query.search, autoescape=True))
    if query.state is not None:
        blocked = select(Batch.id).where(Batch.ingestion_id == Ingestion.id, *_UNKNOWN).exists()
        found.append(blocked if query.state == "blocked" else not_(blocked))
        if query.state != "blocked":
            found.append(Ingestion.paused == (query.state == "paused"))
    return found


def not_loaded(session: Session, ids: Sequence[UUID]) -> dict[UUID, dict[str, int]]:
    """Map ingestion → state → files, without those that are loaded: they may be millions, and no index counts them."""
    files = ProcessedFile
    query = (
        select(files.ingestion_id, files.state, func.count())
        .where(files.ingestion_id.in_(ids), literal_column(NOT_LOADED_SQL))
        .group_by(files.ingestion_id, files.state)
    )
    found: dict[UUID, dict[str, int]] = {one: {} for one in ids}
    for ingestion_id, state, count in session.execute(query):
        found[ingestion_id][state] = count
    return found
