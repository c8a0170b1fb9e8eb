"""Looking into the tables that ingestions fill, the reject tables too."""

from __future__ import annotations

from contextlib import AbstractContextManager

from app.catalog.names import parse_table_name
from app.catalog.read import Description, Reader, Rows
from app.config import Settings
from app.database import Database
from app.models import DEFAULT_TENANT
from app.own_folder import scratch
from app.services import wiring

__all__ = ["MOST_ROWS", "Description", "Rows", "TableService"]

MOST_ROWS = 1000  # of an answer that nobody bounds: it is held in memory


class TableService:
    """Each method reads the table fresh, and raises InvalidTableName, TableNotFound or CatalogUnavailable."""

    def __init__(self, database: Database, settings: Settings, tenant_id: str = DEFAULT_TENANT) -> None:
        self.database = database
        self.settings = settings
        self.tenant_id = tenant_id

    def show(self, table: str) -> Description:
        with self._reader(table) as reader:
            return reader.describe()

    def head(self, table: str, count: int = 10, snapshot_id: int | None = None) -> Rows:
        """The first rows. Raises NotFound for a snapshot that is not there."""
        with self._reader(table) as reader:
            return reader.head(count, snapshot_id)

    def sql(self, table: str, query: str, snapshot_id: int | None = None, *, most: int = MOST_ROWS) -> Rows:
        """The first `most` rows of the answer to one SELECT over the table, which has its name there.

        Raises InvalidInput, and NotOffered where a cluster alone reaches the table.
        """
        with self._reader(table) as reader, scratch(self.settings.home / "spool") as folder:
            return reader.sql(query, snapshot_id, most=most, scratch=folder)

    def ours(self, table: str, query: str, snapshot_id: int | None = None, *, most: int = MOST_ROWS) -> Rows:
        """The same for a SELECT that we wrote ourselves, wherever the table is reached."""
        with self._reader(table) as reader, scratch(self.settings.home / "spool") as folder:
            return reader.ours(query, snapshot_id, most=most, scratch=folder)

    def _reader(self, table: str) -> AbstractContextManager[Reader]:
        return wiring.opened_reader(self.database, self.settings, str(parse_table_name(table)), self.tenant_id)
