"""Rejected records of one ingestion, page by page, out of the reject table beside its destination."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from app.catalog.names import parse_table_name
from app.config import Settings
from app.database import Database
from app.errors import InvalidInput, TableNotFound
from app.models import DEFAULT_TENANT
from app.repositories import batch_queries
from app.services import cursors
from app.services.ingestion_query_service import IngestionQueryService
from app.services.table_service import TableService

_REASON = re.compile(r"[a-z0-9-]{1,64}")


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that could not be parsed. `line` counts from 1; `byte_offset` and `line` are None where unknown."""

    file_id: int
    source_file: str
    line: int | None
    byte_offset: int | None
    reason: str
    raw: str | None
    batch_id: UUID
    run_id: UUID
    ingested_at: datetime


@dataclass(frozen=True, slots=True)
class RejectPage:
    items: tuple[Reject, ...]
    next_cursor: str | None


class RejectService:
    def __init__(self, database: Database, settings: Settings, tenant_id: str = DEFAULT_TENANT) -> None:
        self.database = database
        self.settings = settings
        self.tenant_id = tenant_id

    def page(
        self, ingestion_id: UUID, *, file_id: int | None, reason: str | None, cursor: str | None, limit: int
    ) -> RejectPage:
        """In order of file and place in it. Raises NotFound, InvalidInput, CatalogUnavailable.

        Only the ingestion's own batches count: other ingestions may load into the same table.
        """
        found = IngestionQueryService(self.database, self.tenant_id).read(ingestion_id)
        if reason is not None and not _REASON.fullmatch(reason):
            raise InvalidInput(f"{reason!r} is not a reason.", hint="Reasons are words such as malformed.")
        listing = (ingestion_id, file_id, reason)
        start = cursors.decode(cursor, listing, int, int) if cursor is not None else None
        with self.database.read_scope() as session:
            ids = batch_queries.with_rejects(session, ingestion_id)
        if not ids:
            return RejectPage((), None)
        skip, snapshot = start or (0, None)
        table = parse_table_name(found.table).rejects
        query = _query(table.table, ids, file_id, reason, skip, limit + 1)
        service = TableService(self.database, self.settings, self.tenant_id)
        try:
            head = snapshot or self._head(service, str(table))
            rows = service.ours(str(table), query, head, most=limit + 1).rows
        except TableNotFound:
            return RejectPage((), None)
        following = cursors.encode(listing, skip + limit, head) if len(rows) > limit else None
        return RejectPage(tuple(_reject(row) for row in rows[:limit]), following)

    def _head(self, service: TableService, table: str) -> int | None:
        """All pages are of one snapshot, so that rows that come meanwhile shift nothing."""
        snapshot = service.show(table).head
        return snapshot.snapshot_id if snapshot else None


def _query(table: str, batches: list[UUID], file_id: int | None, reason: str | None, skip: int, limit: int) -> str:
    """Made of numbers, ids and a checked word only, in SQL that DuckDB and Spark have in common."""
    conditions = [f"batch_id IN ({', '.join(repr(str(one)) for one in batches)})"]
    if file_id is not None:
        conditions.append(f"file_id = {int(file_id)}")
    if reason is not None:
        conditions.append(f"split_part(reason, ':', 1) = '{reason}'")  # the word before the sentence
    columns = "file_id, source_file, line, byte_offset, reason, raw, batch_id, run_id, ingested_at"
    return (
        f"SELECT {columns} FROM {table} WHERE {' AND '.join(conditions)}"  # noqa: S608 - see above
        f" ORDER BY file_id, line NULLS FIRST, byte_offset NULLS FIRST, raw LIMIT {int(limit)} OFFSET {int(skip)}"
    )


def _reject(row: tuple[Any, ...]) -> Reject:
    file_id, source_file, line, offset, reason, raw, batch_id, run_id, at = row
    return Reject(file_id, source_file, line, offset, reason, raw, UUID(batch_id), UUID(run_id), at)
