"""Files for those who look: page by page within an ingestion, and one with its history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from app.config import Settings
from app.database import Database
from app.errors import NotFound
from app.models import DEFAULT_TENANT
from app.repositories import file_queries
from app.repositories.file_queries import FileFilter
from app.services import cursors
from app.services.explain_service import ExplainService, Explanation
from app.services.file_service import FileService, Moved
from app.services.file_view import FileView, view_of
from app.services.ingestion_query_service import IngestionQueryService
from app.values import FileState

__all__ = ["FileFilter", "FileQueryService"]


@dataclass(frozen=True, slots=True)
class FilePage:
    items: tuple[FileView, ...]
    next_cursor: str | None


class FileQueryService:
    def __init__(self, database: Database, settings: Settings, tenant_id: str = DEFAULT_TENANT) -> None:
        self.database = database
        self.settings = settings
        self.tenant_id = tenant_id
        self.ingestions = IngestionQueryService(database, tenant_id)
        self.named = FileService(database, settings, tenant_id=tenant_id)

    def page(self, wanted: FileFilter, cursor: str | None, limit: int) -> FilePage:
        """By path. Raises NotFound for the ingestion, InvalidInput for a cursor of another list."""
        name = self.ingestions.name(wanted.ingestion_id)
        after = cursors.decode(cursor, wanted, str, int) if cursor is not None else None
        with self.database.read_scope() as session:
            rows = file_queries.page(session, wanted, after, limit + 1)
        shown = rows[:limit]
        items = tuple(view_of(row, name, state) for row, state in shown)
        following = cursors.encode(wanted, shown[-1][0].path, shown[-1][0].id) if len(rows) > limit else None
        return FilePage(items, following)

    def read(self, file_id: int) -> FileView:
        """One version of one file, with its history. Raises NotFound."""
        with self.database.read_scope() as session:
            known = file_queries.of_tenant(session, self.tenant_id, [file_id])
        found = self.named.show(str(file_id)) if known else []
        for view in found:
            if view.id == file_id:
                return view
        raise NotFound(f"The ledger has no file {file_id}.", hint="GET /v1/files?ingestion_id=… lists them.")

    def ledger(
        self, ingestion_id: UUID | None, states: Sequence[str], path_like: str | None, *, after: int, limit: int
    ) -> FilePage:
        """In order of discovery, of one ingestion or of all. The cursor is the last file's id. Raises NotFound."""
        name = self._name(ingestion_id)
        found = self.named.listed(name, states, path_like, after, limit + 1)
        following = str(found[limit - 1].id) if len(found) > limit else None
        return FilePage(tuple(found[:limit]), following)

    def find(self, name: str, ingestion_id: UUID | None) -> tuple[tuple[FileView, ...], tuple[Explanation, ...]]:
        """The versions that a name means, with history; or why the ledger has none. Raises NotFound."""
        of_one = self._name(ingestion_id)
        known = tuple(self.named.show(name, of_one))
        if known:
            return known, ()
        service = ExplainService(self.database, self.settings, tenant_id=self.tenant_id)
        return (), tuple(service.explain(name, of_one))

    def move(self, names: Sequence[str], ingestion_id: UUID | None, target: FileState | None) -> Moved:
        """Let the files wait again, leave them out, or, without a target, forget them; all or none.

        Raises NotFound, InvalidInput for a name that means several files, IllegalTransition, LeaseHeld.
        """
        of_one = self._name(ingestion_id)
        if target is None:
            return self.named.forget(names, of_one)
        return (self.named.retry if target is FileState.DISCOVERED else self.named.skip)(names, of_one)

    def _name(self, ingestion_id: UUID | None) -> str | None:
        return self.ingestions.name(ingestion_id) if ingestion_id is not None else None

    def explain(self, ingestion_id: UUID, path: str) -> tuple[tuple[FileView, ...], tuple[Explanation, ...]]:
        """Where a file is now: its versions in the ledger, or why the ingestion does not have it."""
        name = self.ingestions.name(ingestion_id)
        wanted = FileFilter(ingestion_id, path=path)
        with self.database.read_scope() as session:
            rows = file_queries.page(session, wanted, None, _MOST_VERSIONS)
        known = tuple(view_of(row, name, state) for row, state in rows)
        if known:
            return known, ()
        service = ExplainService(self.database, self.settings, tenant_id=self.tenant_id)
        return (), tuple(replace(one, ingestion=name) for one in service.explain(path, str(ingestion_id)))


_MOST_VERSIONS = 100
