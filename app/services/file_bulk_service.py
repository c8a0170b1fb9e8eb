"""Files moved by hand, one, many, or all that a filter means.

A move takes the ingestion's lease first: while a run is active a file may already be on its way to the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from uuid import UUID, uuid4

from app.config import Settings
from app.database import Database, Session
from app.errors import IllegalTransition, InvalidInput, NotFound
from app.ingest import ledger
from app.ingest.ports import Clock, SilentProgress, SystemClock
from app.models import DEFAULT_TENANT, ProcessedFile
from app.repositories import file_moves, file_queries, file_removal, ingestions
from app.repositories.file_queries import FileFilter
from app.services import lease_service
from app.services.file_service import require_movable
from app.services.file_view import FileView, view_of
from app.services.ingestion_query_service import IngestionQueryService
from app.services.lease_service import HeldLease
from app.values import FileState

_CHUNK = 500
_SHOWN = 20
_SHOWN_FILES = 100


@dataclass(frozen=True, slots=True)
class Refusal:
    id: int
    path: str
    state: str
    why: str


@dataclass(frozen=True, slots=True)
class Moved:
    """`more`: the filter means further files than one call moves; call again. `refusals` are some of the `refused`,
    `files` those that were moved, or the first of them; forgotten ones as they were. `left` counts, by reason, what the
    filter means and another try cannot help: it is not among the refused.
    """

    moved: int
    refused: int
    refusals: tuple[Refusal, ...]
    more: bool
    files: tuple[FileView, ...] = ()
    left: dict[str, int] = field(default_factory=dict)


class FileBulkService:
    def __init__(
        self, database: Database, settings: Settings, clock: Clock | None = None, tenant_id: str = DEFAULT_TENANT
    ) -> None:
        self.database = database
        self.settings = settings
        self.clock = clock or SystemClock()
        self.tenant_id = tenant_id

    def by_ids(self, ids: Sequence[int], target: FileState | None) -> Moved:
        """Move these files, or none of them; a `target` of None forgets them.

        Raises NotFound, InvalidInput for files of several ingestions, IllegalTransition, LeaseHeld.
        """
        with self.database.read_scope() as session:
            known = file_queries.of_tenant(session, self.tenant_id, ids)
        missing = sorted(set(ids) - {row.id for row in known})
        if missing:
            raise NotFound(f"The ledger has no file {missing[0]}.", hint="GET /v1/files?ingestion_id=… lists them.")
        owners = {row.ingestion_id for row in known}
        if len(owners) > 1:
            raise InvalidInput("These files belong to several ingestions.", hint="Name the files of one at a time.")
        with self._leased(owners.pop()) as lease, lease.transaction() as session:
            rows = file_queries.of_tenant(session, self.tenant_id, ids)
            for row in rows:
                require_movable(session, row, target)
            views = self._move(session, rows, target)
        return Moved(len(rows), 0, (), more=False, files=tuple(views))

    def by_filter(self, wanted: FileFilter, target: FileState | None) -> Moved:
        """Move what may be moved of the files that a filter means, at most `batch_max_files` in one call.

        What another try cannot help (`ledger.FUTILE`) is not tried again, but by a filter of that very reason.

        Raises NotFound for the ingestion, LeaseHeld.
        """
        IngestionQueryService(self.database, self.tenant_id).name(wanted.ingestion_id)
        wanted, left = self._helpful(wanted, target)
        moved, refused, after = 0, 0, 0
        refusals: list[Refusal] = []
        views: list[FileView] = []
        with self._leased(wanted.ingestion_id) as lease:
            while moved + refused < self.settings.batch_max_files:
                with lease.transaction() as session:
                    chunk = file_queries.ids(session, wanted, after, _CHUNK)
                    good, bad = _sorted_out(session, file_queries.of_tenant(session, self.tenant_id, chunk), target)
                    views += self._move(session, good, target)[: _SHOWN_FILES - len(views)]
                moved, refused = moved + len(good), refused + len(bad)
                refusals += bad[: _SHOWN - len(refusals)]
                if len(chunk) < _CHUNK:
                    return Moved(moved, refused, tuple(refusals), more=False, files=tuple(views), left=left)
                after = chunk[-1]
        return Moved(moved, refused, tuple(refusals), more=True, files=tuple(views), left=left)

    def _helpful(self, wanted: FileFilter, target: FileState | None) -> tuple[FileFilter, dict[str, int]]:
        """The filter without what another try cannot help, and how many that are, by reason."""
        if target is not FileState.DISCOVERED or wanted.reason is not None:
            return wanted, {}
        with self.database.read_scope() as session:
            left = file_queries.futile_counts(session, wanted, ledger.FUTILE)
        return replace(wanted, without_futile=ledger.FUTILE), left

    def requeue_quarantined(self, ingestion_id: UUID, run_id: UUID) -> int:
        """Let all files that this run quarantined wait for the next run again; answers how many.

        Raises NotFound for the ingestion, LeaseHeld.
        """
        IngestionQueryService(self.database, self.tenant_id).name(ingestion_id)
        wanted = FileFilter(ingestion_id, states=(FileState.QUARANTINED.value,), run_id=run_id)
        count, after, chunk = 0, 0, [0]
        with self._leased(ingestion_id) as lease:
            while chunk:
                with lease.transaction() as session:
                    chunk = list(file_queries.ids(session, wanted, after, _CHUNK))
                    rows = file_queries.of_tenant(session, self.tenant_id, chunk)
                    good, _ = _sorted_out(session, rows, FileState.DISCOVERED)
                    self._move(session, good, FileState.DISCOVERED)
                count += len(good)
                after = max(chunk, default=after)
        return count

    def _leased(self, ingestion_id: UUID) -> AbstractContextManager[HeldLease]:
        return lease_service.hold(self.database, self.settings, ingestion_id, uuid4(), SilentProgress())

    def _move(self, session: Session, rows: Sequence[ProcessedFile], target: FileState | None) -> list[FileView]:
        """Move them; answers the first of them, as they are then, or were."""
        ids, shown = [row.id for row in rows], rows[:_SHOWN_FILES]
        before = self._views(session, shown)
        if target is None:
            file_removal.remove(session, ids)
            return before
        waits = target is FileState.DISCOVERED
        reason, note = (None, None) if waits else (ledger.BY_HAND, "Left out by hand.")
        file_moves.move(session, ids, target, self.clock.now(), reason=reason, error=note)
        session.expire_all()  # `move` works past the session's own objects
        return self._views(session, shown)

    def _views(self, session: Session, rows: Sequence[ProcessedFile]) -> list[FileView]:
        states = file_queries.batch_states(session, rows)
        names = {one: ingestions.by_id(session, one) for one in {row.ingestion_id for row in rows}}
        return [
            view_of(row, named.name, states.get(row.batch_id), deleted_at=named.deleted_at)
            for row in rows
            if (named := names[row.ingestion_id])
        ]


def _sorted_out(
    session: Session, rows: Sequence[ProcessedFile], target: FileState | None
) -> tuple[list[ProcessedFile], list[Refusal]]:
    good: list[ProcessedFile] = []
    bad: list[Refusal] = []
    for row in rows:
        try:
            require_movable(session, row, target)
            good.append(row)
        except IllegalTransition as error:
            bad.append(Refusal(row.id, row.path, row.state, error.message))
    return good, bad
