"""Looking into the tables that ingestions fill, the reject tables too."""

from __future__ import annotations

from app.catalog import read
from app.catalog.names import parse_table_name
from app.catalog.read import Description, Rows
from app.config import Settings
from app.database import Database
from app.models import DEFAULT_TENANT
from app.services import wiring
from app.spool import scratch

__all__ = ["MOST_ROWS", "Description", "Rows", "TableService"]

MOST_ROWS = 1000  # of an answer that nobody bounds: it is held in memory


class TableService:
    """Each method reads the table fresh, and raises InvalidTableName, TableNotFound or CatalogUnavailable."""

    def __init__(self, database: Database, settings: Settings, tenant_id: str = DEFAULT_TENANT) -> None:
        self.database = database
        self.settings = settings
        self.tenant_id = tenant_id

    def show(self, table: str) -> Description:
        name = parse_table_name(table)
        with wiring.catalog_of(self.database, self.settings, str(name), self.tenant_id) as catalog:
            return read.describe(catalog.table(name).look())

    def head(self, table: str, count: int = 10, snapshot_id: int | None = None) -> Rows:
        """The first rows. Raises NotFound for a snapshot that is not there."""
        name = parse_table_name(table)
        with wiring.catalog_of(self.database, self.settings, str(name), self.tenant_id) as catalog:
            return read.head(catalog.table(name).look(), count, snapshot_id)

    def sql(self, table: str, query: str, snapshot_id: int | None = None, *, most: int = MOST_ROWS) -> Rows:
        """The first `most` rows of the answer to one SELECT over the table, which has its name there.

        Raises InvalidInput.
        """
        name = parse_table_name(table)
        with (
            wiring.catalog_of(self.database, self.settings, str(name), self.tenant_id) as catalog,
            scratch(self.settings.home / "spool") as folder,
        ):
            return read.sql(catalog.table(name).look(), query, snapshot_id, most=most, scratch=folder)
