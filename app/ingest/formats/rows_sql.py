"""Pieces of SQL that the SELECTs of several formats share."""

from __future__ import annotations

import json
from collections.abc import Sequence

from app.datatypes import TableSchema, duckdb_name, duckdb_text, duckdb_type
from app.ingest.formats.base import FILE, REJECT, RESCUED

_CHAIN = 100


def rescued(entries: Sequence[tuple[str, str, str]]) -> str:
    """SQL text: null when no entry applies, or a JSON object of those that do.

    An entry is (name, condition, value): the value is SQL that gives JSON text, taken when the condition is true.
    """
    if not entries:
        return "CAST(NULL AS VARCHAR)"
    any_of = balanced([f"({condition})" for _, condition, _ in entries], "OR", "false")
    parts = ", ".join(
        f"CASE WHEN {condition} THEN {_key(name)} || CAST({value} AS VARCHAR) END" for name, condition, value in entries
    )
    return f"CASE WHEN {any_of} THEN '{{' || concat_ws(',', {parts}) || '}}' END"


def balanced(terms: Sequence[str], operator: str, nothing_there: str) -> str:
    """SQL text: all terms joined by an operator whose order does not matter.

    As a tree of halves: a plain chain is as deep as it is long, and the parser refuses one of more than 1,000.
    """
    if len(terms) < _CHAIN:
        return f" {operator} ".join(terms) or nothing_there
    middle = len(terms) // 2
    halves = (balanced(half, operator, nothing_there) for half in (terms[:middle], terms[middle:]))
    return f" {operator} ".join(f"({half})" for half in halves)


def _key(name: str) -> str:
    # JSON's escapes leave no NUL behind, which SQL could not hold.
    return duckdb_text(json.dumps(name, ensure_ascii=False) + ":")


def nothing(schema: TableSchema) -> str:
    """The SELECT of no files."""
    columns = [f"CAST(NULL AS {duckdb_type(c.type)}) AS {duckdb_name(c.name)}" for c in schema]
    columns += [
        f"CAST(NULL AS BIGINT) AS {FILE}",
        f"CAST(NULL AS VARCHAR) AS {RESCUED}",
        f"CAST(NULL AS VARCHAR) AS {REJECT}",
    ]
    return f"SELECT {', '.join(columns)} WHERE false"


def rejects_of(rows: str, *, rescued_too: bool) -> str:
    """The SELECT of `Reading.rejects` from that of `Reading.rows` with `line` and `raw` beside."""
    reason = f"coalesce({REJECT}, 'does-not-fit: ' || {RESCUED})" if rescued_too else REJECT
    columns = f"{FILE} AS file_id, line, CAST(NULL AS BIGINT) AS byte_offset, {reason} AS reason, raw"
    return f"SELECT {columns} FROM ({rows}) WHERE {reason} IS NOT NULL"
