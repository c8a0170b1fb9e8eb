"""What helps after a query that DuckDB did not take: each name as it is to be typed there, and nothing made up."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import SequenceMatcher

import duckdb

from app.catalog.names import TableName
from app.datatypes import TableSchema, duckdb_name

_SHOWN = 30  # columns of a hint; the nearest come first
_NEAR = 0.6  # from where on one name may be a slip for the other, as difflib has it
# DuckDB has one class for all that it cannot bind; what it is about stands only in the text.
_COLUMN = re.compile(
    r'Referenced column "(.+?)" not found|does not have a column named "(.+?)"|[Cc]olumn "(.+?)" does not exist'
    r'|Column "(.+?)" in \w+ list not found|No matching columns found that match regex "(.+?)"'
)
_ALIAS = re.compile(r'Referenced table "(.+?)" not found')
_PLACE = re.compile(r'syntax error at or near "(.+?)"')
_ADVICE = re.compile(r"^(?:Either add|Candidate Entries:).*", re.MULTILINE)


def hint(error: duckdb.Error, query: str, name: TableName, schema: TableSchema) -> str:
    """The next step after this error; empty where DuckDB's own words say all that is known."""
    said = str(error)
    if isinstance(error, duckdb.ParserException):
        return _of_syntax(said, query, name, schema)
    if isinstance(error, duckdb.PermissionException):
        return f"A query reaches nothing but the table: {typed(name.table)}."
    if isinstance(error, duckdb.CatalogException) and "Table with name" in said:
        return _of_table(name)
    wrong = _COLUMN.search(said)
    if wrong is not None:
        return _of_column(next(filter(None, wrong.groups())), name, schema)
    alias = _ALIAS.search(said)
    if alias is not None:  # it may also be a column with members
        return f"{_of_table(name)} {_of_column(alias[1], name, schema)}"
    advice = _ADVICE.search(said)
    return advice[0] if advice else ""


def typed(name: str) -> str:
    """The name as a query has it: in quotes where it would be taken for something else."""
    plain = name.isidentifier() and not _is_word(name)
    return name if plain else duckdb_name(name)


def _is_word(name: str) -> bool:
    """Whether it is a word of DuckDB's SQL."""
    return [kind for _, kind in duckdb.tokenize(name)] == [duckdb.token_type.keyword]


def _of_table(name: TableName) -> str:
    table = typed(name.table)
    return f"The only table here is {table}, also by the name {typed(name.namespace)}.{table}."


def _of_column(wrong: str, name: TableName, schema: TableSchema) -> str:
    """The columns, first those that `wrong` may be a slip for."""
    columns = sorted(schema.names, key=lambda known: -_likeness(wrong, known))  # the others stay in their order
    shown = ", ".join(map(typed, columns[:_SHOWN]))
    more = f", and {len(columns) - _SHOWN:,} more: autoloader table show {name}" if len(columns) > _SHOWN else "."
    return f"Columns: {shown}{more}"


def _likeness(wrong: str, known: str) -> float:
    found = SequenceMatcher(None, wrong.lower(), known.lower()).ratio()
    return found if found >= _NEAR else 0.0


def _of_syntax(said: str, query: str, name: TableName, schema: TableSchema) -> str:
    """How a name is quoted that DuckDB took for a word of SQL, or for several words."""
    place = _PLACE.search(said)
    if place is None:
        return ""
    words = _about(place[1], query)
    ours = list(dict.fromkeys((name.table, name.namespace, *schema.names)))
    taken = [one for one in ours if one.lower() in words and _is_word(one)]
    if taken:
        return f"A name that is a word of SQL stands in double quotes: {_typed(taken)}"
    split = [one for one in ours if not one.isidentifier() and _stands_bare(one, query)]
    if split:
        return f"A name with other characters than letters, digits and _ stands in double quotes: {_typed(split)}"
    return _of_table(name) if {"from", "join"} & words and _is_word(place[1]) else ""


def _typed(names: Iterable[str]) -> str:
    return ", ".join(map(typed, names))


def _about(near: str, query: str) -> set[str]:
    """The word that DuckDB stopped at, and the one before: of `SELECT group FROM t` it names the word behind."""
    before = re.findall(rf'(?<!["\w])(\w+)\W+{re.escape(near)}(?!\w)', query, re.IGNORECASE)
    return {near.lower(), *(word.lower() for word in before)}


def _stands_bare(name: str, query: str) -> bool:
    return re.search(rf'(?<!["\w]){re.escape(name)}(?!["\w])', query, re.IGNORECASE) is not None
