"""Files with the same columns as one SELECT: all text first, then typed strictly, what does not fit rescued.

DuckDB is told everything and reads only text: its own typing would reject a whole row for one value. Columns are padded
and one is added, so that a record of the wrong width shows: its last column is null (an empty text is not, the null
text is one that cannot occur), or the added one is not.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from app.datatypes import Column, TableSchema, duckdb_name, duckdb_text, duckdb_type
from app.ingest.formats.base import FILE, REJECT, RESCUED, file_id_sql
from app.ingest.formats.csv_exact import too_few, too_many
from app.ingest.formats.csv_options import CsvDialect
from app.ingest.formats.rows_sql import rescued
from app.ingest.formats.strict_text import loose_cast
from app.ingest.formats.text_cast import text_cast

_BUFFER = 16 * 1024 * 1024
_NEVER = secrets.token_hex(16)  # the text of null while DuckDB reads: no file holds it


@dataclass(frozen=True, slots=True)
class CsvPart:
    """Files that one `read_csv` (or, after the exact reader, one `read_parquet`) serves."""

    names: tuple[str, ...]
    exact: bool
    skip: int = 0
    parallel: bool = True


def duckdb_source(part: CsvPart, paths: Sequence[str], dialect: CsvDialect, limit: int) -> str:
    """A SELECT of `f` (file id), `rej` and the fields as text, `c0`, `c1`, …, from plain files."""
    width = len(part.names)
    columns = ", ".join(f"c{i}: 'VARCHAR'" for i in range(width + 1))
    options = {
        "columns": f"{{{columns}}}",
        "auto_detect": "false",
        "header": "false",
        "skip": str(part.skip),
        "delim": duckdb_text(dialect.delimiter),
        "quote": duckdb_text(dialect.quote),
        "escape": duckdb_text(dialect.escape),
        "nullstr": duckdb_text(_NEVER),
        "null_padding": "true",
        "strict_mode": "false",  # longer rows are cut, and found by the added column; quotes were checked by the scan
        "parallel": str(part.parallel).lower(),
        "compression": "'none'",
        "max_line_size": str(limit + 2),
        "buffer_size": str(max(_BUFFER, limit + 1024 * 1024)),
        "filename": "true",
    }
    arguments = ", ".join(f"{key}={value}" for key, value in options.items())
    fields = ", ".join(f"c{i}" for i in range(width))
    wrong = (
        f"CASE WHEN c{width - 1} IS NULL THEN {duckdb_text(too_few(width))}"
        f" WHEN c{width} IS NOT NULL THEN {duckdb_text(too_many(width))} END"
    )
    return f"SELECT {file_id_sql()} AS f, {wrong} AS rej, {fields} FROM read_csv({_list(paths)}, {arguments})"


def exact_source(part: CsvPart, paths: Sequence[str]) -> str:
    """The same from what the exact reader stored, and `line` and `raw` beside."""
    fields = ", ".join(f"c{i}" for i in range(len(part.names)))
    return f"SELECT f, rej, line, raw, {fields} FROM read_parquet({_list(paths)}, hive_partitioning=false)"


def located_rejects(paths: Sequence[str]) -> str:
    """The SELECT of `Reading.rejects` from what `csv_locate` stored."""
    columns = "f AS file_id, line, CAST(NULL AS BIGINT) AS byte_offset, rej AS reason, raw"
    return f"SELECT {columns} FROM read_parquet({_list(paths)}, hive_partitioning=false)"


def typed(
    source: str, part: CsvPart, schema: TableSchema, dialect: CsvDialect, keep: str = "", *, ignores: bool = False
) -> str:
    """`source` as the SELECT that `Reading.rows` promises; `keep` are further columns of `source`, passed on.

    `ignores`: columns that the schema lacks are left out.
    """
    at = {name: index for index, name in enumerate(part.names)}
    nulls = ", ".join(_field(index, schema.find(name), dialect) for index, name in enumerate(part.names))
    loose: list[str] = []
    values: list[str] = []
    out: list[str] = []
    entries: list[tuple[str, str, str]] = []
    for number, column in enumerate(schema):
        index = at.get(column.name)
        if index is None:
            out.append(f"CAST(NULL AS {duckdb_type(column.type)}) AS {duckdb_name(column.name)}")
            continue
        if column.type.name == "string":
            out.append(f"c{index} AS {duckdb_name(column.name)}")
            continue
        first = loose_cast(f"c{index}", column.type, dialect.formats)
        loose += [f"{first} AS p{number}"] if first else []
        value = text_cast(f"c{index}", column.type, dialect.formats, f"p{number}" if first else "")
        values.append(f"{value} AS t{number}")
        out.append(f"t{number} AS {duckdb_name(column.name)}")
        entries.append((column.name, f"t{number} IS NULL AND c{index} <> ''", f"to_json(c{index})"))
    kept = set(part.names if ignores else schema.names)
    entries += [(n, f"c{i} IS NOT NULL", f"to_json(c{i})") for i, n in enumerate(part.names) if n not in kept]
    more = f", {keep}" if keep else ""
    inner = f"SELECT f, rej{more}, {nulls} FROM ({source})"
    for layer in filter(None, (loose, values)):
        inner = f"SELECT *, {', '.join(layer)} FROM ({inner})"
    reject = _reject(schema, at)
    columns = ", ".join([*out, f"f AS {FILE}", f"{rescued(entries)} AS {RESCUED}", f"{reject} AS {REJECT}"])
    return f"SELECT {columns}{more} FROM ({inner})"


def _field(index: int, column: Column | None, dialect: CsvDialect) -> str:
    """The field, null for a null text. The empty text of a typed column needs no care: it fits no type."""
    nulls = set(dialect.nulls)
    if column is not None and column.type.name != "string":
        nulls = nulls - {""} if column.type.name != "binary" else nulls | {""}
    if not nulls:
        return f"c{index}"
    if len(nulls) == 1:
        return f"nullif(c{index}, {duckdb_text(nulls.pop())}) AS c{index}"
    return f"CASE WHEN c{index} NOT IN ({', '.join(map(duckdb_text, sorted(nulls)))}) THEN c{index} END AS c{index}"


def _reject(schema: TableSchema, at: dict[str, int]) -> str:
    """The record's own fault, or a column that must not be null and is."""
    cases = []
    for number, column in enumerate(schema):
        if column.required:
            index = at.get(column.name)
            value = "NULL" if index is None else f"c{index}" if column.type.name == "string" else f"t{number}"
            cases.append(f" WHEN {value} IS NULL THEN {duckdb_text(f'null-in-required: {column.name}')}")
    return f"CASE WHEN rej IS NOT NULL THEN rej{''.join(cases)} END" if cases else "rej"


def _list(paths: Sequence[str]) -> str:
    return f"[{', '.join(map(duckdb_text, paths))}]"
