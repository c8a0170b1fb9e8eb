"""A column of a Parquet file as the table's type, in SQL, without losing a value.

| the file has | the table has | outcome |
|---|---|---|
| the same type | | as it is |
| a number | another number, decimals included | the same number, or rescued: no rounding, no overflow |
| date, timestamp | date, timestamp, timestamptz | the same moment, or rescued; a date or timestamp is taken as UTC |
| timestamptz | timestamp, date | rescued: the zone would be lost |
| nanoseconds | microseconds | cut, and the exact text rescued as well where something was cut |
| string | anything | as CSV text (`text_cast`), or rescued |
| anything | string | its text; binary that is UTF-8; nested values as JSON |
| struct | struct | member by member, by exact name |
| list, map | list, map | item by item; when one does not fit, the whole value is rescued |
| else | | rescued |
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from app.datatypes import DataType, duckdb_name, duckdb_text, duckdb_type
from app.ingest.formats.parquet_types import Member, SourceType
from app.ingest.formats.text_cast import text_cast

_NUMBERS = frozenset({"int", "bigint", "float", "double", "decimal"})
_MOMENTS = frozenset({"date", "timestamp", "timestamptz"})
_T, _W = "json_text", "json_word"  # names in lambdas
Names = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Misfit:
    """A value to rescue: under which path, when (SQL), and its JSON text (SQL)."""

    path: Names
    condition: str
    value: str


@dataclass(frozen=True, slots=True)
class Fitted:
    """SQL of the value, and what may have to be rescued. No misfits: nothing ever is."""

    sql: str
    misfits: tuple[Misfit, ...] = ()


def fit(x: str, source: SourceType, target: DataType, path: Names, depth: int = 0) -> Fitted:
    """`x` (SQL, of type `source`) as `target`."""
    wanted = duckdb_type(target)
    if source.duck == wanted and not source.renamed:
        return Fitted(x)
    if source.duck == '"NULL"':
        return Fitted(f"CAST(NULL AS {wanted})")
    if source.is_like(target):
        member_by_member = {"struct": _struct, "array": _list, "map": _map}[target.name]
        return member_by_member(x, source, target, path, depth)
    if target.nested and source.duck != "VARCHAR":
        return _nothing(x, source, target, path)
    return _scalar(x, source, target, path)


def _scalar(x: str, source: SourceType, target: DataType, path: Names) -> Fitted:
    have = source.type.name if source.type else "string"
    if target.name == "string":
        return _text(x, source, path)
    wanted = duckdb_type(target)
    cast = f"TRY_CAST({x} AS {wanted})"
    if have == "string":
        return _checked(x, text_cast(f"CAST({x} AS VARCHAR)", target), source, path)
    if have == "binary" or target.name == "binary":
        return _nothing(x, source, target, path)
    if have == target.name and "_NS" in source.duck:
        return Fitted(cast, (Misfit(path, f"CAST({cast} AS {source.duck}) IS DISTINCT FROM {x}", to_json(x, source)),))
    if _always_fits(source, target):
        return Fitted(f"CAST({x} AS {wanted})")
    both = {have, target.name}
    if both <= _NUMBERS or (both <= _MOMENTS and (have != "timestamptz" or target.name == "timestamptz")):
        same = f"TRY_CAST({cast} AS {source.duck}) IS NOT DISTINCT FROM {x}"
        return _checked(x, f"CASE WHEN {same} THEN {cast} END", source, path)
    if have == target.name:
        return _checked(x, cast, source, path)
    return _nothing(x, source, target, path)


def _always_fits(source: SourceType, target: DataType) -> bool:
    small = {"TINYINT", "SMALLINT", "INTEGER", "UTINYINT", "USMALLINT"}
    if source.duck in small:
        return target.name in {"int", "bigint", "double"} or (
            target.name == "decimal" and target.precision - target.scale >= 10  # noqa: PLR2004 — digits of 2**31
        )
    if source.duck == "UINTEGER":
        return target.name in {"bigint", "double"}
    have = source.type
    if have is None:
        return False
    if have.name == target.name == "decimal":
        return have.scale <= target.scale and have.precision - have.scale <= target.precision - target.scale
    pairs = {("float", "double"), ("date", "timestamp"), ("date", "timestamptz")}
    return (have.name, target.name) in pairs


def _text(x: str, source: SourceType, path: Names) -> Fitted:
    if source.duck == "BLOB":
        return _checked(x, f"TRY(decode({x}))", source, path)
    if source.members:
        return Fitted(to_json(x, source))
    return Fitted(f"CAST({x} AS VARCHAR)")


def _checked(x: str, value: str, source: SourceType, path: Names) -> Fitted:
    return Fitted(value, (Misfit(path, f"{x} IS NOT NULL AND ({value}) IS NULL", to_json(x, source)),))


def _nothing(x: str, source: SourceType, target: DataType, path: Names) -> Fitted:
    return Fitted(f"CAST(NULL AS {duckdb_type(target)})", (Misfit(path, f"{x} IS NOT NULL", to_json(x, source)),))


def to_json(x: str, source: SourceType) -> str:
    """SQL for the JSON text of a value: bytes as base64, inside others as DuckDB escapes them; what of it is no number
    in JSON, such as NaN, is text.
    """
    if source.duck == "BLOB":
        return f"'\"' || base64({x}) || '\"'"
    return mended(as_json(x, source)) if source.odd else as_json(x, source)


def mended(text: str) -> str:
    """SQL: the JSON text that DuckDB made, without what no other reader takes: `NaN` is text, `.5` is `0.5`.

    Token by token: an expression for each leaf would carry the type of the whole each time.
    """
    quoted = rf"""regexp_replace({_W}, '(-?(?:NaN|Infinity))', '"\1"', 'g')"""
    numbers = rf"regexp_replace({quoted}, '(^|[-:,\[])\.', '\10.', 'g')"
    tokens = rf"""regexp_extract_all({_T}, '(?s)"(?:[^"\\]|\\.)*"|[^"]+')"""
    words = f"""list_transform({tokens}, lambda {_W}: CASE WHEN {_W}[1] = '"' THEN {_W} ELSE {numbers} END)"""
    strange = rf"regexp_matches({_T}, 'NaN|Infinity|(^|[-:,\[])\.')"
    whole = f"list_aggregate({words}, 'string_agg', '')"
    return f"list_transform([{text}], lambda {_T}: CASE WHEN {strange} THEN {whole} ELSE {_T} END)[1]"


def as_json(x: str, source: SourceType, depth: int = 0) -> str:
    """SQL: the text of the value as DuckDB's JSON, with the file's own names.

    Where these are not DuckDB's, it is put together as text: what takes JSON to make JSON reads it anew, refuses `.5`,
    and makes doubles of decimals.
    """
    item = f"j{depth}"
    if source.duck == "JSON":  # which the reader has looked through
        return f"CAST({x} AS VARCHAR)"
    if not source.renamed:
        return f"CAST(to_json({x}) AS VARCHAR)"
    if source.duck.endswith("]"):
        return _joined(x, x, item, _or_null(as_json(item, source.members[0].kind, depth + 1)), "[]")
    if source.duck.startswith("MAP("):
        key, value = ((f"{item}.{one.slot}", one.kind) for one in source.members)
        name = as_json(*key, depth + 1) if key[1].renamed else f"CAST({key[0]} AS VARCHAR)"
        pair = f"CAST(to_json({name}) AS VARCHAR) || ':' || {_or_null(as_json(*value, depth + 1))}"
        return _joined(x, f"map_entries({x})", item, pair, "{}")
    # DuckDB reads no more of a column than what is taken of it, and finds that by name: a nameless member by none.
    y, deeper = (x, depth) if all(one.slot for one in source.members) else (item, depth + 1)
    members = ((one.name, as_json(_member(y, one), one.kind, deeper)) for one in source.members)
    made = f"CASE WHEN {y} IS NOT NULL THEN {as_object(members)} END"
    return made if y == x else f"list_transform([{x}], lambda {item}: {made})[1]"


def as_object(members: Iterable[tuple[str, str]]) -> str:
    """SQL: the text of a JSON object with these names, and the JSON texts of their values (SQL)."""
    pairs = [f"{duckdb_text(json.dumps(name, ensure_ascii=False) + ':')} || {_or_null(text)}" for name, text in members]
    return f"'{{' || concat_ws(',', {', '.join(pairs)}) || '}}'" if pairs else "'{}'"


def _joined(x: str, items: str, item: str, text: str, ends: str) -> str:
    # Not `array_to_string`: a macro, which writes its list down twice, at each level of a nested one.
    texts = f"list_aggregate(list_transform({items}, lambda {item}: {text}), 'string_agg', ',')"
    return f"CASE WHEN {x} IS NOT NULL THEN '{ends[0]}' || coalesce({texts}, '') || '{ends[1]}' END"


def _or_null(text: str) -> str:
    return f"coalesce({text}, 'null')"


def _member(x: str, member: Member) -> str:
    return f"struct_extract_at({x}, {member.place})"


def _struct(x: str, source: SourceType, target: DataType, path: Names, depth: int) -> Fitted:
    members: list[str] = []
    misfits: list[Misfit] = []
    for column in target.fields:
        inner = source.member(column.name)
        if inner is None:
            members.append(f"{duckdb_name(column.name)} := CAST(NULL AS {duckdb_type(column.type)})")
            continue
        fitted = fit(_member(x, inner), inner.kind, column.type, (*path, column.name), depth)
        members.append(f"{duckdb_name(column.name)} := {fitted.sql}")
        misfits += fitted.misfits
    known = {column.name for column in target.fields}
    for one in source.members:
        if one.name not in known or not one.own:
            value = _member(x, one)
            misfits.append(Misfit((*path, one.name), f"{value} IS NOT NULL", to_json(value, one.kind)))
    return Fitted(f"CASE WHEN {x} IS NOT NULL THEN struct_pack({', '.join(members)}) END", tuple(misfits))


def _list(x: str, source: SourceType, target: DataType, path: Names, depth: int) -> Fitted:
    if target.element is None:
        return _nothing(x, source, target, path)
    item = f"e{depth}"
    inner = fit(item, source.members[0].kind, target.element.type, path, depth + 1)
    items = f"CAST({x} AS {source.members[0].kind.duck}[])" if not source.duck.endswith("[]") else x
    made = f"list_transform({items}, lambda {item}: {inner.sql})"
    return _whole(x, made, _misfit(items, item, inner.misfits), source, path)


def _map(x: str, source: SourceType, target: DataType, path: Names, depth: int) -> Fitted:
    if target.key is None or target.element is None:
        return _nothing(x, source, target, path)
    item, items = f"e{depth}", f"map_entries({x})"
    key = fit(f"{item}.key", source.members[0].kind, target.key.type, path, depth + 1)
    value = fit(f"{item}.value", source.members[1].kind, target.element.type, path, depth + 1)
    packed = f"struct_pack(key := {key.sql}, value := {value.sql})"
    made = f"map_from_entries(list_transform({items}, lambda {item}: {packed}))"
    wrong = _misfit(items, item, (*key.misfits, *value.misfits))
    # Two keys may come to one, or be one in the file: nothing that is made here holds both.
    keys = f"list_transform({items}, lambda {item}: {key.sql})"
    wrong.append(f"coalesce(len(list_distinct({keys})) < len({keys}), false)")
    return _whole(x, made, wrong, source, path)


def _misfit(items: str, item: str, misfits: Sequence[Misfit]) -> list[str]:
    """SQL, if there is any: an item of `items` does not fit. With coalesce: an unknown condition is none."""
    if not misfits:
        return []
    wrong = " OR ".join(f"({misfit.condition})" for misfit in misfits)
    return [f"coalesce(len(list_filter({items}, lambda {item}: coalesce({wrong}, false))) > 0, false)"]


def _whole(x: str, made: str, wrong: Sequence[str], source: SourceType, path: Names) -> Fitted:
    """`made`, or, when one of `wrong` is true, null and the whole value rescued."""
    if not wrong:
        return Fitted(made)
    some = f"({' OR '.join(wrong)})"
    return Fitted(f"CASE WHEN NOT {some} THEN {made} END", (Misfit(path, some, to_json(x, source)),))
