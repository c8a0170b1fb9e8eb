"""Spark SQL from the columns of a Parquet file to those of the table, without losing a value.

Of the table in `formats/parquet_cast.py`, Spark does: the same type; a number as another number, and a day or a moment
as another, where nothing is lost. `unknown_pair` names what it does not do: such a file is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

from app.datatypes import Column, DataType, TableSchema
from app.ingest.formats.base import RAW_LIMIT
from app.ingest.formats.spark.tagged import quoted
from app.ingest.formats.spark.text import joined, text_sql, type_sql
from app.ingest.formats.spark.words import FILE, RAW, REJECT, RESCUED

# Spark's own ways leave out what is null, and all of a moment behind its milliseconds.
_JSON = ", ".join(
    text_sql(word)
    for word in (
        *("ignoreNullFields", "false"),
        *("timestampFormat", "yyyy-MM-dd HH:mm:ss.SSSSSSx"),
        *("timestampNTZFormat", "yyyy-MM-dd HH:mm:ss.SSSSSS"),
    )
)
_NUMBERS = frozenset({"int", "bigint", "float", "double", "decimal"})
_DAYS = frozenset({"date", "timestamp", "timestamptz"})


def unknown_pair(schema: TableSchema, columns: Sequence[Column]) -> str:
    """`name: type for type` of a column whose type in the file Spark does not take for that of the table; or empty."""
    for column in columns:
        wanted = schema.find(column.name)
        if wanted and not _is_known(column.type, wanted.type):
            return f"{column.name}: {column.type} for {wanted.type}"
    return ""


def unlike_members(column: Column) -> str:
    """Why Spark cannot tell the members of the column's structs apart; empty where it can."""
    names = [member.name for member in column.type.fields]
    if not all(names):
        return f"a member of its column {column.name} has no name"
    if len({name.lower() for name in names}) < len(names):
        return f"members of its column {column.name} have one name, or names that differ only in case"
    inner = (*column.type.fields, column.type.key, column.type.element)
    told = (unlike_members(replace(one, name=column.name)) for one in inner if one is not None)
    return next(filter(None, told), "")


def _is_known(have: DataType, want: DataType) -> bool:
    """A zone is never taken away, and nested types are taken as they are."""
    if _same(have, want):
        return True
    both = {have.name, want.name}
    if both <= _DAYS:
        return want.name == "timestamptz" or have.name != "timestamptz"
    return both <= _NUMBERS


def within(have: DataType, want: DataType) -> DataType:
    """The type without the members of structs that `want` lacks, at any depth; whole where no member would be left."""
    if have.name != want.name:
        return have
    if have.element and want.element:
        return replace(have, element=replace(have.element, type=within(have.element.type, want.element.type)))
    wanted = {member.name: member.type for member in want.fields}
    kept = tuple(replace(one, type=within(one.type, wanted[one.name])) for one in have.fields if one.name in wanted)
    return replace(have, fields=kept) if kept else have


def _same(have: DataType, want: DataType) -> bool:
    return type_sql(have) == type_sql(want) and have.name == want.name


def layers(schema: TableSchema, columns: Sequence[Column], keep: str) -> list[list[str]]:
    """From the file's columns as `c0`, `c1` …, FILE and `keep` to those of `json_records`' last layer."""
    at = {column.name: place for place, column in enumerate(columns)}
    values = [_value(column, columns, at) for column in schema]
    converted = [f"{value} AS v{place}" for place, value in enumerate(values)]
    entries = [*_misfits(schema, columns, at), *_unknown(schema, columns)]
    some = joined([f"({condition})" for _, condition, _ in entries], "OR", "false")
    parts = ", ".join(
        f"CASE WHEN {condition} THEN concat({text_sql(json.dumps(name, ensure_ascii=False) + ':')}, {value}) END"
        for name, condition, value in entries
    )
    rescued = (
        f"CASE WHEN {some} THEN concat('{{', concat_ws(',', {parts}), '}}') END" if entries else "CAST(NULL AS STRING)"
    )
    missing = [
        f"WHEN v{place} IS NULL THEN {text_sql(f'null-in-required: {column.name}')}"
        for place, column in enumerate(schema)
        if column.required
    ]
    reject = f"CASE {' '.join(missing)} END" if missing else "CAST(NULL AS STRING)"
    record = ", ".join(f"{text_sql(column.name)}, c{place}" for place, column in enumerate(columns))
    raw = f"CASE WHEN {REJECT} IS NOT NULL THEN left(to_json(named_struct({record})), {RAW_LIMIT // 4}) END"
    ready = [f"v{place}" for place in range(len(schema))]
    return [
        ["*", *converted],
        ["*", f"{rescued} AS {RESCUED}", f"{reject} AS {REJECT}"],
        [*ready, FILE, keep, RESCUED, REJECT, f"{raw} AS {RAW}"],
    ]


def _value(column: Column, columns: Sequence[Column], at: dict[str, int]) -> str:
    place = at.get(column.name)
    if place is None:
        return f"CAST(NULL AS {type_sql(column.type)})"
    have, want = columns[place].type, column.type
    if _same(have, want):
        return f"c{place}"
    cast = f"try_cast(c{place} AS {type_sql(want)})"
    return f"CASE WHEN try_cast({cast} AS {type_sql(have)}) <=> c{place} THEN {cast} END"


def _misfits(schema: TableSchema, columns: Sequence[Column], at: dict[str, int]) -> Iterator[tuple[str, str, str]]:
    for number, column in enumerate(schema):
        place = at.get(column.name)
        if place is not None and not _same(columns[place].type, column.type):
            condition = f"c{place} IS NOT NULL AND v{number} IS NULL"
            yield column.name, condition, json_text(f"c{place}", columns[place].type)


def _unknown(schema: TableSchema, columns: Sequence[Column]) -> Iterator[tuple[str, str, str]]:
    for place, column in enumerate(columns):
        if schema.find(column.name) is None:
            yield column.name, f"c{place} IS NOT NULL", json_text(f"c{place}", column.type)


def json_text(x: str, kind: DataType) -> str:
    """SQL for the JSON text of a value: bytes as base64, nan and infinity as text."""
    match kind.name:
        case "string":
            return quoted(x)
        case "binary":
            return f"concat('\"', regexp_replace(base64({x}), '[\\\\r\\\\n]', ''), '\"')"
        case "float" | "double":
            odd = f"isnan({x}) OR abs({x}) = {kind.name}('infinity')"
            return f"CASE WHEN {odd} THEN {quoted(f'CAST({x} AS STRING)')} ELSE CAST({x} AS STRING) END"
        case "date" | "timestamp":
            return quoted(f"CAST({x} AS STRING)")
        case "timestamptz":
            return quoted(f"concat(CAST({x} AS STRING), '+00')")
        case _:
            return f"to_json({x}, map({_JSON}))" if kind.nested else f"CAST({x} AS STRING)"
