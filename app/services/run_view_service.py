"""Runs for people: lists, one with its batches, and the files that were not loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from app.database import Database, Session
from app.errors import InvalidInput, NotFound
from app.models import DEFAULT_TENANT, Batch, ProcessedFile, Run
from app.repositories import batches, file_views, ingestions, runs, triggers
from app.services import lease_service
from app.values import FileState, RunState

_RECENT = 1000  # runs among which the beginning of an id is looked up
_SHORTEST = 4  # characters of such a beginning


@dataclass(frozen=True, slots=True)
class NotLoaded:
    """A file that is not in the table, and why."""

    id: int
    path: str
    state: str
    reason: str | None
    error: str | None


@dataclass(frozen=True, slots=True)
class RunFile:
    """A file that a run had to do with, and what became of it."""

    path: str
    state: str
    rows: int | None
    rescued: int | None
    rejected: int | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class BatchView:
    """A batch that a run ended. `outcome`: landed, released (no commit was sent), split or quarantined."""

    id: UUID
    state: str
    outcome: str | None
    file_count: int
    byte_count: int
    claims: int
    rows: int | None
    rescued: int | None
    rejected: int | None
    snapshot_id: int | None
    parent_id: UUID | None
    error: str | None
    engine: str | None = None


@dataclass(frozen=True, slots=True)
class RunView:
    """A run as stored; `alive` when it is RUNNING and its lease is held.

    `trigger_id` is the stored wish that it was started for, if any.
    `show` alone fills the last four: `batches` are the first of `batch_count` that it ended.
    """

    id: UUID
    ingestion: str
    table: str
    trigger: str
    state: str
    started_at: datetime
    finished_at: datetime | None
    error_code: str | None
    error: str | None
    metrics: dict[str, Any]
    alive: bool = False
    trigger_id: UUID | None = None
    batch_count: int = 0
    batches: tuple[BatchView, ...] = field(default=())
    not_loaded: tuple[NotLoaded, ...] = field(default=())


class RunViewService:
    def __init__(self, database: Database, tenant_id: str = DEFAULT_TENANT) -> None:
        self.database = database
        self.tenant_id = tenant_id

    def listed(self, ingestion: str | None = None, limit: int = 20, states: Sequence[str] = ()) -> list[RunView]:
        """The newest first; only those in one of `states`, where any is given. Raises NotFound for the ingestion."""
        with self.database.read_scope() as session:
            ingestion_id = None
            if ingestion is not None:
                row = ingestions.by_name(session, self.tenant_id, ingestion)
                if row is None:
                    raise NotFound(f"There is no ingestion {ingestion!r}.", hint="See: autoloader ingestions list")
                ingestion_id = row.id
            return [_view(session, run) for run in runs.listed(session, self.tenant_id, ingestion_id, limit, states)]

    def newest(self) -> RunView | None:
        """The last run; a person's decision about a batch is none."""
        with self.database.read_scope() as session:
            row = runs.newest(session, self.tenant_id)
            return _view(session, row) if row is not None else None

    def show(self, run: str, most_files: int = 20, most_batches: int = 100) -> RunView:
        """The run of that id, or of an id that begins so. Raises NotFound, InvalidInput when several do."""
        with self.database.read_scope() as session:
            row = self._find(session, run)
            return replace(
                _view(session, row),
                trigger_id=_trigger_of(session, row),
                batch_count=batches.totals_of(session, row.id).ended,
                batches=tuple(_batch(batch) for batch in batches.ended_by(session, row.id, most_batches)),
                not_loaded=_not_loaded(session, row, most_files),
            )

    def not_loaded(self, run_id: UUID, most: int = 5) -> tuple[NotLoaded, ...]:
        """Files that the run left out, and files of its ingestion that failed and will be tried again."""
        with self.database.read_scope() as session:
            row = runs.by_id(session, run_id)
            return _not_loaded(session, row, most) if row is not None else ()

    def files(self, run_id: UUID, most: int) -> tuple[RunFile, ...]:
        """The files of a run, those that were not loaded first; at most `most` of them."""
        with self.database.session_scope() as session:
            row = runs.by_id(session, run_id)
            if row is None:
                return ()
            found = [*_left(session, row, most), *file_views.loaded_by(session, run_id, most)]
            return tuple(
                RunFile(one.path, one.state, one.row_count, one.rescued_count, one.rejected_count, one.reason)
                for one in found[:most]
            )

    def _find(self, session: Session, run: str) -> Run:
        text = run.strip().lower()
        try:
            row = runs.by_id(session, UUID(text))
        except ValueError:
            row = self._beginning(session, text)
        if row is None or row.tenant_id != self.tenant_id:
            raise NotFound(f"There is no run {run!r}.", hint="See: autoloader runs list")
        return row

    def _beginning(self, session: Session, text: str) -> Run | None:
        if len(text) < _SHORTEST:
            return None
        recent = runs.newest_ids(session, self.tenant_id, _RECENT)
        found = [run_id for run_id in recent if str(run_id).startswith(text)]
        if len(found) > 1:
            raise InvalidInput(f"{len(found)} runs begin with {text!r}.", hint="Give more of the id.")
        return runs.by_id(session, found[0]) if found else None


def _trigger_of(session: Session, run: Run) -> UUID | None:
    found = triggers.first_of(session, run.external_key) if run.external_key is not None else None
    return found.id if found is not None else None


def _view(session: Session, run: Run) -> RunView:
    ingestion = ingestions.by_id(session, run.ingestion_id)
    return RunView(
        id=run.id,
        ingestion=ingestion.name if ingestion else str(run.ingestion_id),
        table=ingestion.table_name if ingestion else "",
        trigger=run.trigger,
        state=run.state,
        started_at=run.started_at,
        finished_at=run.finished_at,
        error_code=run.error_code,
        error=run.error,
        metrics=run.metrics,
        alive=run.state == RunState.RUNNING and lease_service.is_alive(session, run.ingestion_id, run.id),
    )


def _batch(batch: Batch) -> BatchView:
    return BatchView(
        id=batch.id,
        state=batch.state,
        outcome=batch.outcome,
        file_count=batch.file_count,
        byte_count=batch.byte_count,
        claims=batch.claims,
        rows=batch.row_count,
        rescued=batch.rescued_count,
        rejected=batch.rejected_count,
        snapshot_id=batch.snapshot_id,
        parent_id=batch.parent_id,
        error=batch.error,
        engine=batch.engine,
    )


def _not_loaded(session: Session, run: Run, most: int) -> tuple[NotLoaded, ...]:
    return tuple(
        NotLoaded(row.id, row.path, row.state, row.reason, row.error) for row in _left(session, run, most)[:most]
    )


def _left(session: Session, run: Run, most: int) -> Sequence[ProcessedFile]:
    failed: Sequence[ProcessedFile] = file_views.in_state(session, run.ingestion_id, FileState.FAILED, most)
    return (*file_views.not_loaded_by(session, run.id, most), *failed)
