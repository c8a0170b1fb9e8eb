"""Runs for those who look: page by page, and one with its batches and, while it goes on, its numbers of this moment."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from app.database import Database, Session
from app.errors import NotFound
from app.ingest.ports import Clock, SystemClock
from app.models import DEFAULT_TENANT, Run
from app.repositories import run_queries
from app.repositories.run_queries import NamedRun, RunQuery
from app.services import cursors, lease_service
from app.services.run_view_service import BatchView, NotLoaded, RunViewService
from app.values import RunState

__all__ = ["RunQuery", "RunQueryService"]


@dataclass(frozen=True, slots=True)
class RunProgress:
    """A run that goes on, counted from the ledger at this moment.

    `step` is discover, plan or load. Totals are known from planning on, and grow while it goes on. `waiting_files`
    are in no batch yet. Rates are over the time of loading; None before the first batch ended.
    """

    step: str
    files_done: int
    files_total: int | None
    bytes_done: int
    bytes_total: int | None
    batches_done: int
    batches_total: int | None
    rows: int
    rescued: int
    rejected: int
    waiting_files: int
    bytes_per_second: float | None
    rows_per_second: float | None
    seconds_left: float | None


@dataclass(frozen=True, slots=True)
class RunLine:
    """A run in a list. `seconds` is its length, or its age while it goes on; `alive` when its lease is held then."""

    id: UUID
    ingestion_id: UUID
    ingestion: str
    table: str
    trigger: str
    state: str
    flow_run_id: str | None
    started_at: datetime
    finished_at: datetime | None
    seconds: float
    alive: bool
    error_code: str | None
    error: str | None
    metrics: dict[str, Any]


@dataclass(frozen=True, slots=True)
class RunDetail:
    run: RunLine
    trigger_id: UUID | None
    batch_count: int
    batches: tuple[BatchView, ...]
    not_loaded: tuple[NotLoaded, ...]
    progress: RunProgress | None


@dataclass(frozen=True, slots=True)
class RunPage:
    items: tuple[RunLine, ...]
    next_cursor: str | None


class RunQueryService:
    def __init__(self, database: Database, tenant_id: str = DEFAULT_TENANT, clock: Clock | None = None) -> None:
        self.database = database
        self.tenant_id = tenant_id
        self.clock = clock or SystemClock()

    def page(self, query: RunQuery, cursor: str | None) -> RunPage:
        """The newest first; the tenant of the query is this service's. Raises InvalidInput for a foreign cursor."""
        query = replace(query, tenant_id=self.tenant_id)
        listing = replace(query, after=None, limit=0)
        if cursor is not None:
            query = replace(query, after=cursors.decode(cursor, listing, datetime, UUID))
        with self.database.read_scope() as session:
            rows = run_queries.page(session, replace(query, limit=query.limit + 1))
            shown = rows[: query.limit]
            items = tuple(self._line(session, row) for row in shown)
        following = None
        if len(rows) > query.limit:
            following = cursors.encode(listing, shown[-1].run.started_at, shown[-1].run.id)
        return RunPage(items, following)

    def read(self, run_id: UUID) -> RunDetail:
        """Raises NotFound."""
        with self.database.read_scope() as session:
            found = run_queries.one(session, self.tenant_id, run_id)
            if found is None:
                raise NotFound(f"There is no run {run_id}.", hint="GET /v1/runs lists them.")
            line = self._line(session, found)
            progress = self._progress(session, found.run) if found.run.state == RunState.RUNNING else None
        view = RunViewService(self.database, self.tenant_id).show(str(run_id))
        return RunDetail(line, view.trigger_id, view.batch_count, view.batches, view.not_loaded, progress)

    def _line(self, session: Session, named: NamedRun) -> RunLine:
        run = named.run
        goes_on = run.state == RunState.RUNNING
        return RunLine(
            id=run.id,
            ingestion_id=run.ingestion_id,
            ingestion=named.ingestion,
            table=named.table,
            trigger=run.trigger,
            state=run.state,
            flow_run_id=run.external_key,
            started_at=run.started_at,
            finished_at=run.finished_at,
            seconds=max(0.0, ((run.finished_at or self.clock.now()) - run.started_at).total_seconds()),
            alive=goes_on and lease_service.is_alive(session, run.ingestion_id, run.id),
            error_code=run.error_code,
            error=run.error,
            metrics=run.metrics,
        )

    def _progress(self, session: Session, run: Run) -> RunProgress:
        done = run_queries.ended(session, run.id)
        ahead = run_queries.ahead(session, run.ingestion_id)
        since = run_queries.loading_since(session, run)
        planned = since is not None or done.batches or ahead.batches
        step = "load" if planned else "plan" if "discovered" in run.metrics else "discover"
        seconds = (self.clock.now() - since).total_seconds() if since is not None else 0.0
        rate = done.bytes / seconds if seconds > 0 and done.batches else None
        return RunProgress(
            step=step,
            files_done=done.files,
            files_total=done.files + ahead.files if planned else None,
            bytes_done=done.bytes,
            bytes_total=done.bytes + ahead.bytes if planned else None,
            batches_done=done.batches,
            batches_total=done.batches + ahead.batches if planned else None,
            rows=done.rows,
            rescued=done.rescued,
            rejected=done.rejected,
            waiting_files=ahead.waiting_files,
            bytes_per_second=rate,
            rows_per_second=done.rows / seconds if rate is not None else None,
            seconds_left=ahead.bytes / rate if rate else None,
        )
