"""A look at the catalog of this machine without the Iceberg library, whose import takes as long as a whole run that
finds nothing new.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from app.catalog.names import DEFAULT_CATALOG, TableName

_QUERY = "SELECT count(*) FROM iceberg_tables WHERE catalog_name = ? AND table_namespace = ? AND table_name = ?"


def is_missing(home: Path, name: TableName) -> bool:
    """Whether the catalog below `home` has no table of that name, or is gone as a whole. False where that is not
    certain: for a table of another catalog, and where the catalog cannot be read at once.
    """
    if name.catalog != DEFAULT_CATALOG:
        return False
    database = home.expanduser().absolute() / "catalog.db"
    try:
        database.stat()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    try:
        with closing(sqlite3.connect(f"file:{quote(str(database))}?mode=ro", uri=True, timeout=1)) as connection:
            return not connection.execute(_QUERY, [name.catalog, name.namespace, name.table]).fetchone()[0]
    except sqlite3.Error:
        return False
