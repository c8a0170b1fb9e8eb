"""Names of tables: `[catalog.]namespace.table`."""

from __future__ import annotations

from dataclasses import dataclass

from app.errors import InvalidTableName
from app.schemas.table_name import DEFAULT_CATALOG, name_parts

__all__ = ["DEFAULT_CATALOG", "REJECTS_SUFFIX", "TableName", "parse_table_name"]

REJECTS_SUFFIX = "__rejects"


@dataclass(frozen=True, slots=True)
class TableName:
    """A table's full name. `str()` gives `catalog.namespace.table`."""

    catalog: str
    namespace: str
    table: str

    def __str__(self) -> str:
        return f"{self.catalog}.{self.namespace}.{self.table}"

    @property
    def identifier(self) -> tuple[str, str]:
        """As the catalog's library wants it: without the catalog."""
        return self.namespace, self.table

    @property
    def rejects(self) -> TableName:
        """The table that holds this table's rejected records."""
        return TableName(self.catalog, self.namespace, self.table + REJECTS_SUFFIX)


def parse_table_name(text: str, default_catalog: str = DEFAULT_CATALOG) -> TableName:
    """The name that `text` says. Raises InvalidTableName."""
    parts = name_parts(text, default_catalog)
    if parts is None:
        raise InvalidTableName(
            f"{text!r} is not a table name.",
            hint="Write namespace.table or catalog.namespace.table, each of letters, digits and _.",
        )
    return TableName(*parts)
