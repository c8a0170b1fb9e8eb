"""The types of columns that a schema lacks, told by the texts that were rescued."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from app.datatypes import Column, primitive
from app.ingest.formats.contract import NewColumn
from app.ingest.formats.strict_text import TextFormats, ladder

if TYPE_CHECKING:
    import duckdb

_EXAMPLE = 200
_NAMES = "__autoloader_names"


def columns_in_rescued(
    connection: duckdb.DuckDBPyConnection, relation: str, names: Sequence[str], formats: TextFormats
) -> tuple[NewColumn, ...]:
    """A column for each of `names` that has a value in `relation` (see `base.Reading.new_columns`), in that order."""
    if not names:
        return ()
    tests = ladder("x", formats)
    fits = ", ".join(f"bool_and({test})" for test in tests.values())
    entries = (
        f"SELECT r.file_id, n.place, json_extract_string(e.value, '$') AS x FROM (SELECT * FROM {relation}) AS r,"
        f" json_each(r.rescued) AS e JOIN {_NAMES} AS n ON n.name = e.key"
    )
    query = (
        f"SELECT place, min(file_id), arg_min(left(x, {_EXAMPLE}), file_id), count(*), {fits} FROM ({entries})"
        " WHERE x IS NOT NULL GROUP BY place ORDER BY place"
    )
    connection.register(_NAMES, pa.table({"name": list(names), "place": list(range(len(names)))}))
    try:
        rows = connection.execute(query).fetchall()
    finally:
        connection.unregister(_NAMES)
    return tuple(
        NewColumn(Column(names[place], primitive(_kind(tests, good))), file_id, example, records=records)
        for place, file_id, example, records, *good in rows
    )


def _kind(tests: Iterable[str], fits: Iterable[bool]) -> str:
    return next((kind for kind, good in zip(tests, fits, strict=True) if good), "string")
