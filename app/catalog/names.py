"""Names of tables: `[catalog.]namespace.table`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from app.errors import InvalidTableName

DEFAULT_CATALOG = "local"
REJECTS_SUFFIX = "__rejects"
_PART = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")


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
    parts = text.split(".")
    if len(parts) not in {2, 3} or not all(_PART.fullmatch(part) for part in parts):
        raise InvalidTableName(
            f"{text!r} is not a table name.",
            hint="Write namespace.table or catalog.namespace.table, each of letters, digits and _.",
        )
    if len(parts) == 2:  # noqa: PLR2004
        parts = [default_catalog, *parts]
    return TableName(*parts)
