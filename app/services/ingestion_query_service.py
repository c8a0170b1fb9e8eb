"""Ingestions for those who look: page by page, and one with all that is known of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from app.database import Database, Session
from app.errors import ConfigUnreadable, NotFound
from app.models import DEFAULT_TENANT, Ingestion
from app.repositories import batches, files, ingestion_queries, ingestions
from app.repositories.ingestion_queries import IngestionQuery
from app.repositories.runs import LastRun
from app.services import cursors, schedule_service
from app.services.context import config_of, part_of, shape_of, url_of
from app.services.ingestion_service import full_table_name
from app.services.last_runs import last_runs

__all__ = ["IngestionQuery", "IngestionQueryService"]

_SEEN = "GET /v1/ingestions lists them."


@dataclass(frozen=True, slots=True)
class PrefectView:
    """How far Prefect follows. `sync` is in_sync, pending, error or off; `error` says why."""

    sync: str
    error: str | None
    deployment_id: str | None
    flow_id: str | None


@dataclass(frozen=True, slots=True)
class IngestionSummary:
    """An ingestion in a list. `not_loaded` counts its files that are not in the table, by state."""

    id: UUID
    name: str
    state: str  # active, paused, blocked
    blocked: str | None
    revision: int
    source_url: str
    table: str
    format: str
    prefect: PrefectView
    not_loaded: dict[str, int]
    last_run: LastRun | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class IngestionDetail:
    """The whole of it. `files` counts all its files by state; `columns` is the schema as far as it is known."""

    id: UUID
    name: str
    state: str
    blocked: str | None
    revision: int
    source_url: str
    table: str
    config: dict[str, Any]
    columns: str | None
    evidence: list[dict[str, Any]]
    prefect: PrefectView
    files: dict[str, int]
    last_run: LastRun | None
    created_at: datetime
    updated_at: datetime
    warnings: tuple[str, ...]  # about its schedule


@dataclass(frozen=True, slots=True)
class Fires:
    """The next moments at which Prefect starts an ingestion, in the schedule's own zone."""

    ingestion_id: UUID
    next: tuple[datetime, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class IngestionPage:
    items: tuple[IngestionSummary, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class IngestionDetailPage:
    items: tuple[IngestionDetail, ...]
    next_cursor: str | None


class IngestionQueryService:
    def __init__(self, database: Database, tenant_id: str = DEFAULT_TENANT) -> None:
        self.database = database
        self.tenant_id = tenant_id

    def page(self, query: IngestionQuery, cursor: str | None) -> IngestionPage:
        """One page; the tenant of the query is this service's. Raises InvalidInput for a cursor of another list."""
        with self.database.read_scope() as session:
            shown, following = self._rows(session, query, cursor)
            return IngestionPage(self._summaries(session, shown), following)

    def detailed_page(self, query: IngestionQuery, cursor: str | None) -> IngestionDetailPage:
        """The same with all that is known of each. Raises as `page` does."""
        with self.database.read_scope() as session:
            shown, following = self._rows(session, query, cursor)
            return IngestionDetailPage(self._details(session, shown), following)

    def _rows(
        self, session: Session, query: IngestionQuery, cursor: str | None
    ) -> tuple[Sequence[Ingestion], str | None]:
        """The rows of a page, and the cursor behind them."""
        table = full_table_name(query.table) if query.table is not None else None
        query = replace(query, tenant_id=self.tenant_id, table=table)
        listing = replace(query, after=None, limit=0)  # a page may be longer than the one before
        if cursor is not None:
            kind = str if query.sort == "name" else datetime
            query = replace(query, after=cursors.decode(cursor, listing, kind, UUID))
        rows = ingestion_queries.page(session, replace(query, limit=query.limit + 1))
        shown = rows[: query.limit]
        if len(rows) <= query.limit:
            return shown, None
        return shown, cursors.encode(listing, getattr(shown[-1], query.sort), shown[-1].id)

    def read(self, ingestion_id: UUID) -> IngestionDetail:
        """Raises NotFound, for those that are deleted or another tenant's too."""
        with self.database.read_scope() as session:
            return self._details(session, [self._row(session, ingestion_id)])[0]

    def fires(self, ingestion_id: UUID, count: int) -> Fires:
        """When its schedule starts it next; nothing where it has none, or is paused. Raises NotFound."""
        with self.database.read_scope() as session:
            row = self._row(session, ingestion_id)
            shape = shape_of(row)
        if shape.schedule is None or row.paused:
            return Fires(row.id, (), _warnings(row))
        moments = schedule_service.next_fires(shape.schedule, count, created_at=row.created_at)
        return Fires(row.id, tuple(moments), _warnings(row))

    def name(self, ingestion_id: UUID) -> str:
        """Its name. Raises NotFound as `read` does."""
        with self.database.read_scope() as session:
            return self._row(session, ingestion_id).name

    def _row(self, session: Session, ingestion_id: UUID) -> Ingestion:
        row = ingestions.by_id(session, ingestion_id)
        if row is None or row.deleted_at is not None or row.tenant_id != self.tenant_id:
            raise NotFound(f"There is no ingestion {ingestion_id}.", hint=_SEEN)
        return row

    def _summaries(self, session: Session, rows: Sequence[Ingestion]) -> tuple[IngestionSummary, ...]:
        ids = [row.id for row in rows]
        blocked = batches.evidence_of(session, ids)
        counts = ingestion_queries.not_loaded(session, ids)
        last = last_runs(session, ids)
        return tuple(_summary(row, blocked, counts[row.id], last.get(row.id)) for row in rows)

    def _details(self, session: Session, rows: Sequence[Ingestion]) -> tuple[IngestionDetail, ...]:
        ids = [row.id for row in rows]
        blocked = batches.evidence_of(session, ids)
        counts = files.counts_of(session, ids)
        last = last_runs(session, ids)
        return tuple(_detail(row, blocked.get(row.id), counts.get(row.id, {}), last.get(row.id)) for row in rows)


def _detail(row: Ingestion, blocked: str | None, counts: dict[str, int], last: LastRun | None) -> IngestionDetail:
    return IngestionDetail(
        id=row.id,
        name=row.name,
        state=_state(row, blocked),
        blocked=blocked,
        revision=row.revision,
        source_url=url_of(row),
        table=row.table_name,
        config=config_of(row),
        columns=row.schema_text,
        evidence=list(row.schema_evidence or ()),
        prefect=_prefect(row),
        files=counts,
        last_run=last,
        created_at=row.created_at,
        updated_at=row.updated_at,
        warnings=_warnings(row),
    )


def _summary(
    row: Ingestion, blocked: Mapping[UUID, str], counts: dict[str, int], last: LastRun | None
) -> IngestionSummary:
    return IngestionSummary(
        id=row.id,
        name=row.name,
        state=_state(row, blocked.get(row.id)),
        blocked=blocked.get(row.id),
        revision=row.revision,
        source_url=url_of(row),
        table=row.table_name,
        format=str(part_of(row, "format").get("type", "unknown")),
        prefect=_prefect(row),
        not_loaded=counts,
        last_run=last,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _warnings(row: Ingestion) -> tuple[str, ...]:
    try:
        schedule = shape_of(row).schedule
        return schedule_service.warnings_of(schedule) if schedule else ()
    except (ConfigUnreadable, ValueError) as error:  # ValueError: a line that Prefect cannot read
        return (str(error).splitlines()[0],)


def _state(row: Ingestion, blocked: str | None) -> str:
    if blocked is not None:
        return "blocked"
    return "paused" if row.paused else "active"


def _prefect(row: Ingestion) -> PrefectView:
    return PrefectView(row.prefect_sync, row.prefect_sync_error, row.prefect_deployment_id, row.prefect_flow_id)
