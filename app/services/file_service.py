"""Files of the ledger for people: list them, tell where one is, move one by hand.

A move takes the ingestion's lease first: while a run is active the file may already be on its way to the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID, uuid4

from app.config import Settings
from app.database import Database, Session
from app.errors import IllegalTransition, InvalidInput, NotFound
from app.ingest import ledger
from app.ingest.ports import Clock, SilentProgress, SystemClock
from app.models import DEFAULT_TENANT, ProcessedFile
from app.repositories import batches, file_removal, file_views, files, ingestions
from app.repositories.file_views import FileQuery
from app.services import lease_service
from app.values import BatchState, FileState

_MOST_MATCHES = 20
_ENDED = {BatchState.SETTLED, BatchState.SPENT}


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


class FileService:
    def __init__(
        self, database: Database, settings: Settings, clock: Clock | None = None, tenant_id: str = DEFAULT_TENANT
    ) -> None:
        self.database = database
        self.settings = settings
        self.clock = clock or SystemClock()
        self.tenant_id = tenant_id

    def listed(
        self,
        ingestion: str | None = None,
        states: Sequence[str] = (),
        path_like: str | None = None,
        after: int = 0,
        limit: int = 100,
    ) -> list[FileView]:
        """In order of discovery, beginning after the file with id `after`. Raises NotFound for the ingestion."""
        with self.database.session_scope() as session:
            query = FileQuery(self._ingestion_id(session, ingestion), tuple(states), path_like, None, after, limit)
            return self._views(session, file_views.listed(session, query))

    def show(self, file: str, ingestion: str | None = None) -> list[FileView]:
        """The versions that an id, a full path or the end of a path names, with history; empty when unknown."""
        with self.database.session_scope() as session:
            rows = self._matching(session, file, self._ingestion_id(session, ingestion))
            return self._views(session, rows, history=True)

    # --- by hand -----------------------------------------------------------------------------

    def retry(self, names: Sequence[str], ingestion: str | None = None) -> list[FileView]:
        """The files wait for the next run again. Raises NotFound, IllegalTransition, LeaseHeld; then none is moved."""
        return self._move(names, ingestion, FileState.DISCOVERED)

    def skip(self, names: Sequence[str], ingestion: str | None = None) -> list[FileView]:
        """The files are left out from now on. Raises as `retry` does."""
        return self._move(names, ingestion, FileState.SKIPPED)

    def forget(self, names: Sequence[str], ingestion: str | None = None) -> list[FileView]:
        """Take files that were never loaded out of the ledger: a listing that shows them finds them new."""
        return self._move(names, ingestion, None)

    def retry_all(self, ingestion: str, states: Sequence[str]) -> list[FileView]:
        """Every file of the ingestion in one of these states. Raises as `retry` does."""
        with self.database.session_scope() as session:
            ingestion_id = self._ingestion_id(session, ingestion)
            if ingestion_id is None:
                return []
            found = [
                row.id
                for state in states
                for row in file_views.in_state(session, ingestion_id, FileState(state), self.settings.batch_max_files)
            ]
        return self._moved(ingestion_id, found, FileState.DISCOVERED)

    def _move(self, names: Sequence[str], ingestion: str | None, target: FileState | None) -> list[FileView]:
        with self.database.session_scope() as session:
            wanted = [self._one(session, name, ingestion) for name in names]
        moved: list[FileView] = []
        for ingestion_id in dict.fromkeys(row.ingestion_id for row in wanted):
            ids = [row.id for row in wanted if row.ingestion_id == ingestion_id]
            moved += self._moved(ingestion_id, ids, target)
        return moved

    def _moved(self, ingestion_id: UUID, ids: Sequence[int], target: FileState | None) -> list[FileView]:
        if not ids:
            return []
        with (
            lease_service.hold(self.database, self.settings, ingestion_id, uuid4(), SilentProgress()) as lease,
            lease.transaction() as session,
        ):
            rows = [row for at in range(0, len(ids), 500) for row in file_views.by_ids(session, ids[at : at + 500])]
            for row in rows:
                _require(session, row, target)
            before = self._views(session, rows)
            if target is None:
                file_removal.remove(session, ids)
                return before
            note = None if target is FileState.DISCOVERED else "Left out by hand."
            reason = None if target is FileState.DISCOVERED else ledger.BY_HAND
            files.move(session, ids, target, self.clock.now(), reason=reason, error=note)
            session.expire_all()  # `move` works past the session's own objects
            return self._views(session, rows)

    # --- finding -----------------------------------------------------------------------------

    def _ingestion_id(self, session: Session, name: str | None) -> UUID | None:
        if name is None:
            return None
        row = ingestions.by_name(session, self.tenant_id, name)
        if row is None:
            raise NotFound(f"There is no ingestion {name!r}.", hint="See: autoloader ingestions list")
        return row.id

    def _matching(self, session: Session, file: str, ingestion_id: UUID | None) -> Sequence[ProcessedFile]:
        if file.isdecimal():
            rows = file_views.by_ids(session, [int(file)])
            if rows:
                return rows
        exact = file_views.versions(session, file, ingestion_id)
        return exact or file_views.ending_with(session, file, ingestion_id, _MOST_MATCHES)

    def _one(self, session: Session, name: str, ingestion: str | None) -> ProcessedFile:
        """The one file that the name means; of several versions the newest that is not loaded."""
        rows = self._matching(session, name, self._ingestion_id(session, ingestion))
        if not rows:
            raise NotFound(
                f"The ledger knows no file {name!r}.", hint=f"Ask why it is not loaded: autoloader files show {name}"
            )
        if len({(row.ingestion_id, row.path) for row in rows}) > 1:
            shown = "; ".join(f"{row.id} {row.path}" for row in rows[:5])
            raise InvalidInput(f"{name!r} names several files: {shown}.", hint="Give the id or the full path of one.")
        open_ones = [row for row in rows if row.state != FileState.SUCCESS]
        return (open_ones or list(rows))[-1]

    def _views(self, session: Session, rows: Sequence[ProcessedFile], *, history: bool = False) -> list[FileView]:
        names: dict[UUID, str] = {}
        states: dict[UUID, str | None] = {}
        for row in rows:
            if row.ingestion_id not in names:
                found = ingestions.by_id(session, row.ingestion_id)
                names[row.ingestion_id] = found.name if found else str(row.ingestion_id)
            if row.batch_id is not None and row.batch_id not in states:
                batch = batches.by_id(session, row.batch_id)
                states[row.batch_id] = batch.state if batch else None
        return [
            _view(
                row,
                names[row.ingestion_id],
                states.get(row.batch_id) if row.batch_id else None,
                _history(session, row.id) if history else (),
            )
            for row in rows
        ]


def _require(session: Session, row: ProcessedFile, target: FileState | None) -> None:
    """Raise IllegalTransition for a loaded file, and for one whose batch may still land."""
    state = FileState(row.state)
    if state is FileState.SUCCESS:
        ledger.require_file_move(row.path, state, target or FileState.DISCOVERED)
    batch = batches.by_id(session, row.batch_id) if row.batch_id else None
    if batch is not None and BatchState(batch.state) not in _ENDED:
        raise IllegalTransition(
            f"{row.path} is in batch {batch.id} ({batch.state}), which may still land.",
            hint="Run the ingestion: it ends the batch, and then the file can be moved.",
        )
    if state is FileState.DISCOVERED and target is FileState.DISCOVERED:
        raise IllegalTransition(f"{row.path} waits for the next run already.", hint="Run the ingestion.")
    if target is not None:
        ledger.require_file_move(row.path, state, target)


def _history(session: Session, file_id: int) -> tuple[FileEventView, ...]:
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


def _view(row: ProcessedFile, ingestion: str, batch_state: str | None, history: tuple[FileEventView, ...]) -> FileView:
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
    )
