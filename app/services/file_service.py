"""Files of the ledger for people: list them, tell where one is, move some by hand.

A move takes the ingestion's lease first: while a run is active the file may already be on its way to the table.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from shlex import quote
from uuid import UUID, uuid4

from app.config import Settings
from app.database import Database, Session
from app.errors import IllegalTransition, InvalidInput, NotFound
from app.ingest import ledger
from app.ingest.ports import Clock, SilentProgress, SystemClock
from app.models import DEFAULT_TENANT, Ingestion, ProcessedFile
from app.repositories import batches, file_moves, file_queries, file_removal, file_views, ingestions
from app.repositories.file_queries import FileFilter
from app.repositories.file_views import FileQuery, Scope
from app.services import file_names, lease_service
from app.services.file_view import FileView, history_of, view_of
from app.values import BatchState, FileState

_MOST_MATCHES, _SHOWN_MATCHES = 20, 5
_SHOWN = 100  # files that a move of a whole state answers
_HIGHEST_ID = 2**63 - 1
_LONGEST_ID = len(str(_HIGHEST_ID))
_ENDED = {BatchState.SETTLED, BatchState.SPENT}


@dataclass(frozen=True, slots=True)
class Moved:
    """How many files were moved by hand, and the files: all that were named, or the first of a whole state.

    `left` counts, by reason, those of a whole state that another try cannot help.
    """

    count: int
    files: tuple[FileView, ...] = ()
    left: dict[str, int] = field(default_factory=dict)


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
        with self.database.read_scope() as session:
            scope = self._scope(session, ingestion)
            query = FileQuery(scope, tuple(states), path_like, None, min(after, _HIGHEST_ID), limit)
            return self._views(session, file_views.listed(session, query))

    def show(self, file: str, ingestion: str | None = None) -> list[FileView]:
        """The versions that an id, a full path or the end of a path names, with history; empty when unknown."""
        with self.database.read_scope() as session:
            rows = self._matching(session, file, self._scope(session, ingestion))
            return self._views(session, rows, history=True)

    def require_known(self, names: Sequence[str], ingestion: str | None = None) -> None:
        """Raise NotFound for a name that no file has."""
        with self.database.read_scope() as session:
            scope = self._scope(session, ingestion)
            for name in names:
                if not self._matching(session, name, scope):
                    raise self._unknown(session, name)

    # --- by hand -----------------------------------------------------------------------------

    def retry(self, names: Sequence[str], ingestion: str | None = None) -> Moved:
        """The files wait for the next run again. Raises NotFound, IllegalTransition, LeaseHeld; then none is moved."""
        return self._move(names, ingestion, FileState.DISCOVERED)

    def skip(self, names: Sequence[str], ingestion: str | None = None) -> Moved:
        """The files are left out from now on. Raises as `retry` does."""
        return self._move(names, ingestion, FileState.SKIPPED)

    def forget(self, names: Sequence[str], ingestion: str | None = None) -> Moved:
        """Take files that were never loaded out of the ledger: a listing that shows them finds them new."""
        return self._move(names, ingestion, None)

    def retry_all(self, ingestion: str, states: Sequence[str]) -> Moved:
        """Every file of the ingestion in one of these states waits again, but for those that a batch holds already and
        those that another try cannot help (`ledger.FUTILE`): named one by one they are tried.

        Raises NotFound, LeaseHeld, and IllegalTransition for a state that no person can end.
        """
        wanted = require_retriable(states)
        with self.database.read_scope() as session:
            scope = self._scope(session, ingestion)
        if scope.ingestion_id is None:
            return Moved(0)
        with self._leased(scope.ingestion_id) as session:
            these = FileFilter(scope.ingestion_id, states=tuple(state.value for state in wanted))
            left = file_queries.futile_counts(session, these, ledger.FUTILE)
            freed = file_moves.let_wait_again(
                session, scope.ingestion_id, wanted, self.clock.now(), _SHOWN, futile=ledger.FUTILE
            )
            return Moved(freed.count, tuple(self._views(session, file_views.by_ids(session, freed.first, scope))), left)

    def _move(self, names: Sequence[str], ingestion: str | None, target: FileState | None) -> Moved:
        with self.database.read_scope() as session:
            scope = self._scope(session, ingestion)
            wanted = [self._one(session, name, scope) for name in names]
            for row in wanted:  # before any is moved: they may belong to several ingestions
                require_movable(session, row, target)
        moved: list[FileView] = []
        for ingestion_id in dict.fromkeys(row.ingestion_id for row in wanted):
            ids = dict.fromkeys(row.id for row in wanted if row.ingestion_id == ingestion_id)
            moved += self._moved(Scope(self.tenant_id, ingestion_id), ingestion_id, list(ids), target)
        return Moved(len(moved), tuple(moved))

    def _moved(self, scope: Scope, ingestion_id: UUID, ids: Sequence[int], target: FileState | None) -> list[FileView]:
        with self._leased(ingestion_id) as session:
            rows = file_views.by_ids(session, ids, scope)
            for row in rows:
                require_movable(session, row, target)
            before = self._views(session, rows)
            if target is None:
                file_removal.remove(session, ids)
                return before
            note = None if target is FileState.DISCOVERED else "Left out by hand."
            reason = None if target is FileState.DISCOVERED else ledger.BY_HAND
            file_moves.move(session, ids, target, self.clock.now(), reason=reason, error=note)
            session.expire_all()  # `move` works past the session's own objects
            return self._views(session, rows)

    @contextmanager
    def _leased(self, ingestion_id: UUID) -> Iterator[Session]:
        """One ledger transaction, as the only one who works on the ingestion. Raises LeaseHeld."""
        with (
            lease_service.hold(self.database, self.settings, ingestion_id, uuid4(), SilentProgress()) as lease,
            lease.transaction() as session,
        ):
            yield session

    # --- finding -----------------------------------------------------------------------------

    def _scope(self, session: Session, ingestion: str | None) -> Scope:
        if ingestion is None:
            return Scope(self.tenant_id)
        row = ingestions.by_name(session, self.tenant_id, ingestion)
        if row is None:
            raise NotFound(f"There is no ingestion {ingestion!r}.", hint="See: autoloader ingestions list")
        return Scope(self.tenant_id, row.id)

    def _matching(self, session: Session, file: str, scope: Scope) -> Sequence[ProcessedFile]:
        if file.isdecimal() and len(file) <= _LONGEST_ID and int(file) <= _HIGHEST_ID:
            rows = file_views.by_ids(session, [int(file)], scope)
            if rows:
                return rows
        if not file_names.is_text(file):
            return ()
        for address in file_names.addresses(file):
            if exact := file_views.versions(session, address, scope):
                return exact
        for tail in file_names.tails(file):
            if found := file_views.ending_with(session, tail, scope, _MOST_MATCHES):
                return found
        return ()

    def _one(self, session: Session, name: str, scope: Scope) -> ProcessedFile:
        """The one file that the name means; of several versions the newest that is not loaded."""
        rows = self._matching(session, name, scope)
        if not rows:
            raise self._unknown(session, name)
        if len({(row.ingestion_id, row.path) for row in rows}) > 1:
            raise _ambiguous(name, self._views(session, rows))
        open_ones = [row for row in rows if row.state != FileState.SUCCESS]
        return (open_ones or list(rows))[-1]

    def _unknown(self, session: Session, name: str) -> NotFound:
        known = name.isprintable() and ingestions.by_name(session, self.tenant_id, name) is not None
        return unknown(name, is_ingestion=known)

    def _views(self, session: Session, rows: Sequence[ProcessedFile], *, history: bool = False) -> list[FileView]:
        owners: dict[UUID, Ingestion | None] = {}
        states: dict[UUID, str | None] = {}
        for row in rows:
            if row.ingestion_id not in owners:
                owners[row.ingestion_id] = ingestions.by_id(session, row.ingestion_id)
            if row.batch_id is not None and row.batch_id not in states:
                batch = batches.by_id(session, row.batch_id)
                states[row.batch_id] = batch.state if batch else None
        return [
            view_of(
                row,
                owner.name if owner else str(row.ingestion_id),
                states.get(row.batch_id) if row.batch_id else None,
                history_of(session, row.id) if history else (),
                deleted_at=owner.deleted_at if owner else None,
            )
            for row, owner in ((row, owners[row.ingestion_id]) for row in rows)
        ]


def unknown(name: str, *, is_ingestion: bool = False) -> NotFound:
    hint = f"Ask why it is not loaded: autoloader files show {quote(name)}"
    if is_ingestion:
        hint = f"It is the name of an ingestion. Its files: autoloader files list {quote(name)}"
    return NotFound(f"The ledger knows no file {name!r}.", hint=hint)


def _ambiguous(name: str, views: Sequence[FileView]) -> InvalidInput:
    """What a name means that means files of several paths or ingestions."""
    owners = {view.ingestion for view in views}
    shown = "; ".join(
        f"{view.id} {view.path} (of {view.ingestion}{', deleted' if view.ingestion_deleted_at else ''})"
        for view in views[:_SHOWN_MATCHES]
    )
    rest = len(views) - _SHOWN_MATCHES
    more = f"; and {rest} more" if 0 < rest < _MOST_MATCHES - _SHOWN_MATCHES else "; and others" * (rest > 0)
    path = " or the full path" if len({view.path for view in views}) == len(views) else ""
    of = ", or the ingestion: --ingestion NAME" if len(owners) > 1 else "."
    return InvalidInput(f"{name!r} names several files: {shown}{more}.", hint=f"Give the id{path} of one{of}")


def require_retriable(states: Sequence[str]) -> list[FileState]:
    """The states. Raises IllegalTransition for one that no person can end."""
    wanted = [FileState(state) for state in states]
    for state in wanted:
        if state not in file_moves.RETRIABLE:
            raise IllegalTransition(
                f"Files that are {state} cannot be tried again: they are loaded, in a batch, or waiting already.",
                hint=f"Give one of {', '.join(sorted(file_moves.RETRIABLE))}.",
            )
    return wanted


def require_movable(session: Session, row: ProcessedFile, target: FileState | None) -> None:
    """Raise IllegalTransition for a loaded file, and for one whose batch may still land."""
    state = FileState(row.state)
    if state is FileState.SUCCESS and target is None:
        raise IllegalTransition(
            f"{row.path} is loaded (SUCCESS); it cannot be forgotten: it would be found as new, and double its rows.",
            hint=ledger.LOAD_AGAIN,
        )
    if state is FileState.SUCCESS and target is not None:
        ledger.require_file_move(row.path, state, target)
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
