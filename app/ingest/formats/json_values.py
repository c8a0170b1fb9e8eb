"""SQL that turns a JSON value into a column's type, strictly: what does not fit becomes null.

A parsed value is text: of strings, dates, times and UUIDs the content, of everything else the JSON.

| column | takes |
|---|---|
| int, bigint | JSON numbers in range that are whole, however written (`1.0`, `1e3`) |
| float, double | JSON numbers, as the nearest one there is (`-0` is 0.0, `-0.0` is itself), NaN, Infinity, -Infinity |
| decimal | JSON numbers, and strings holding one, with no more digits than the column has |
| boolean | true, false |
| string | strings; of any other value its JSON text, numbers exactly as written |
| date | `2026-01-31`, or a string in `date_format` |
| timestamp | ISO 8601 without a zone, or `timestamp_format` |
| timestamptz | ISO 8601, UTC when it names no zone, or `timestamp_format` |
| time | `12:30`, `12:30:59.123456`; as in timestamps, digits beyond microseconds only when they are zeros |
| uuid | 36 characters, with the usual dashes |
| binary | strings in base64 |
| array, map | whole, or not at all: one element that does not fit makes the column null |
| struct | an object; a member that does not fit is null by itself (inside arrays and maps: see array) |
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count

from app.datatypes import Column, DataType, duckdb_name, duckdb_text, duckdb_type
from app.ingest.formats.json_numbers import WORD, exact_decimal, number_of, unmarked, whole
from app.ingest.formats.strict_text import PATTERNS, strict_cast, within
from app.ingest.formats.strptime import strptime_sql

_TEXT_NODES = frozenset({"string", "date", "time", "timestamp", "timestamptz", "uuid"})


def sql_text(text: str) -> str:
    """`text` as a SQL literal, NUL included."""
    return " || chr(0) || ".join(duckdb_text(part) for part in text.split("\0"))


def structure(kind: DataType) -> object:
    """What `from_json` is told to parse a value of this type as."""
    if kind.name == "struct":
        return {member.name: structure(member.type) for member in kind.fields}
    return "VARCHAR" if kind.name in _TEXT_NODES else "JSON"


def pointer(name: str) -> str:
    """One step of a JSON pointer."""
    return "/" + name.replace("~", "~0").replace("/", "~1")


def any_value(parsed: str, kind: DataType) -> str:
    """SQL: the parsed value is not null; for a struct: one of its members, however deep, is not."""
    if kind.name != "struct":
        return f"{parsed} IS NOT NULL"
    inner = (any_value(f"({parsed}).{duckdb_name(m.name)}", m.type) for m in kind.fields)
    return f"({' OR '.join(inner) or 'false'})"


def holds_struct(kind: DataType) -> bool:
    """Whether an array or map has objects with named members somewhere inside."""
    inner = kind.element.type if kind.element else None
    return inner is not None and (inner.name == "struct" or holds_struct(inner))


def names_sql(columns: tuple[Column, ...]) -> str:
    return "[" + ", ".join(sql_text(column.name) for column in columns) + "]::VARCHAR[]"


@dataclass(frozen=True, slots=True)
class Values:
    """Writes the expressions. `line` is SQL for the whole record; `bent` is SQL: its numbers are marked (see
    `json_numbers`), as they must be wherever they could have changed.
    """

    options: Mapping[str, object]
    line: str
    bent: str
    _names: count[int]

    @classmethod
    def of(cls, options: Mapping[str, object], line: str, bent: str) -> Values:
        return cls(options, line, bent, count())

    def variable(self) -> str:
        """A lambda variable that no other lambda of this statement has."""
        return f"v{next(self._names)}"

    def value(self, parsed: str, kind: DataType) -> str:
        """SQL for the value of `parsed`; null when it does not fit. Not for structs: see `members` and `element`."""
        if kind.name not in _TEXT_NODES:
            parsed = f"CAST({parsed} AS VARCHAR)"  # a cast from DuckDB's JSON type would take "12" for 12
        if kind.name == "array":
            return self._array(parsed, kind)
        if kind.name == "map":
            return self._map(parsed, kind)
        return self._scalar(parsed, kind)

    def members(self, parsed: str, kind: DataType, path: str) -> str:
        """SQL for a struct at `path` (a JSON pointer) of the record; each member that does not fit is null by itself.

        DuckDB makes an object without values of whatever is no object, so that case is looked up.
        """
        packed = ", ".join(
            f"{duckdb_name(m.name)} := {self.at(f'({parsed}).{duckdb_name(m.name)}', m.type, path + pointer(m.name))}"
            for m in kind.fields
        )
        is_object = f"coalesce(json_type({self.line}, {sql_text(path)}) = 'OBJECT', false)"
        is_there = f"{any_value(parsed, kind)} OR ({parsed} IS NOT NULL AND {is_object})"
        return f"CASE WHEN {is_there} THEN struct_pack({packed}) END"

    def at(self, parsed: str, kind: DataType, path: str) -> str:
        """`value`, or `members` for a struct."""
        return self.members(parsed, kind, path) if kind.name == "struct" else self.value(parsed, kind)

    def element(self, raw: str, kind: DataType) -> str:
        """The value inside an array or map, from its JSON text; null unless all of it fits."""
        if kind.name in _TEXT_NODES:
            return self._scalar(f"json_extract_string({raw}, '$')", kind)
        if kind.name != "struct":
            return self.value(raw, kind)
        shape = {m.name: "JSON" if m.type.name == "struct" else structure(m.type) for m in kind.fields}
        parsed = f"from_json({raw}, {duckdb_text(json.dumps(shape))})"
        packed, fits = [], [f"json_type({raw}) = 'OBJECT'"]
        for member in kind.fields:
            inner = f"({parsed}).{duckdb_name(member.name)}"
            value = self.element(inner, member.type) if member.type.name == "struct" else self.value(inner, member.type)
            packed.append(f"{duckdb_name(member.name)} := {value}")
            fits.append(f"({inner} IS NULL OR ({value}) IS NOT NULL)")
        return f"CASE WHEN {' AND '.join(fits)} THEN struct_pack({', '.join(packed)}) END"

    def _array(self, parsed: str, kind: DataType) -> str:
        item = self._item(kind)
        name = self.variable()
        source = f"from_json({parsed}, '[\"JSON\"]')"
        result = f"list_transform({source}, lambda {name}: {self.element(name, item.type)})"
        return (
            f"CASE WHEN json_type({parsed}) = 'ARRAY' AND list_count({result}) = list_count({source}) THEN {result} END"
        )

    def _map(self, parsed: str, kind: DataType) -> str:
        """Null as well when a key stands twice: a map cannot hold both."""
        item, key = self._item(kind), kind.key or Column("key", DataType("string"))
        name, label = self.variable(), self.variable()
        keys = f"json_keys({parsed})"
        source = (
            f"list_transform(CAST(json_extract({parsed}, '$.*') AS VARCHAR[]), lambda {name}: nullif({name}, 'null'))"
        )
        values = f"list_transform({source}, lambda {name}: {self.element(name, item.type)})"
        labels = f"list_transform({keys}, lambda {label}: {self._label(label, key.type)})"
        fits = (
            f"json_type({parsed}) = 'OBJECT' AND list_count({values}) = list_count({source})"
            f" AND len(list_distinct({labels})) = len({keys})"
        )
        return f"CASE WHEN {fits} THEN CAST(map({labels}, {values}) AS {duckdb_type(kind)}) END"

    def _label(self, label: str, kind: DataType) -> str:
        return label if kind.name == "string" else strict_cast(label, kind)

    @staticmethod
    def _item(kind: DataType) -> Column:
        return kind.element or Column("element", DataType("string"))

    def _scalar(self, parsed: str, kind: DataType) -> str:
        match kind.name:
            case "string":
                return f"CASE WHEN {self.bent} THEN {unmarked(parsed)} ELSE {parsed} END"
            case "boolean":
                return f"CASE {parsed} WHEN 'true' THEN true WHEN 'false' THEN false END"
            case "int" | "bigint":
                odd = f"contains({parsed}, '.') OR contains({parsed}, 'e') OR ({self.bent} AND {_is_marked(parsed)})"
                exact = whole(parsed, kind, self.variable())
                return f"CASE WHEN {odd} THEN {exact} ELSE TRY_CAST({parsed} AS {duckdb_type(kind)}) END"
            case "float" | "double":
                return self._real(parsed, duckdb_type(kind))
            case "decimal":
                return self._decimal(parsed, kind)
            case "uuid":
                cast = f"TRY_CAST({parsed} AS UUID)"
                return f"CASE WHEN CAST({cast} AS VARCHAR) = lower({parsed}) THEN {cast} END"
            case "binary":
                return self._binary(parsed)
            case _:
                return self._moment(parsed, kind)

    def _real(self, parsed: str, target: str) -> str:
        """Infinity only where it is written: a number beyond the type does not fit. The parser takes `-0` for 0."""
        number = f"CASE {number_of(parsed)} WHEN '-0' THEN '0' ELSE {number_of(parsed)} END"
        marked = f"{self.bent} AND {_is_marked(parsed)}"
        cast = f"TRY_CAST(CASE WHEN {marked} THEN {number} ELSE {parsed} END AS {target})"
        return f"CASE WHEN isinf({cast}) AND NOT contains({parsed}, 'Infinity') THEN NULL ELSE {cast} END"

    def _decimal(self, parsed: str, kind: DataType) -> str:
        exact = exact_decimal(parsed, kind, self.variable())
        odd = f"starts_with({parsed}, '\"') OR contains({parsed}, 'e')"
        plain = f"NOT contains({parsed}, '.') OR length(rtrim({parsed}, '0')) - strpos({parsed}, '.') <= {kind.scale}"
        return f"CASE WHEN {odd} THEN {exact} WHEN {plain} THEN TRY_CAST({parsed} AS {duckdb_type(kind)}) END"

    def _binary(self, parsed: str) -> str:
        """Only what comes out again as it went in: no other letters for the last bits."""
        name = self.variable()
        content = f"CASE WHEN starts_with({parsed}, '\"') THEN json_extract_string({parsed}, '$') END"
        bytes_ = f"TRY(from_base64({name}))"
        return (
            f"list_transform([{content}], lambda {name}: CASE WHEN to_base64({bytes_}) = {name} THEN {bytes_} END)[1]"
        )

    def _moment(self, parsed: str, kind: DataType) -> str:
        pattern = self.options.get("date_format" if kind.name == "date" else "timestamp_format")
        if pattern and kind.name != "time":
            return strptime_sql(parsed, str(pattern), kind)
        cast = f"TRY_CAST({parsed} AS {duckdb_type(kind)})"
        if kind.name == "date":
            return f"CASE WHEN length({parsed}) = 10 AND CAST({cast} AS VARCHAR) = {parsed} THEN {cast} END"
        return (
            f"CASE WHEN regexp_full_match({parsed}, {duckdb_text(PATTERNS[kind.name])}) THEN {within(cast, kind)} END"
        )


def _is_marked(parsed: str) -> str:
    return f"starts_with({parsed}, '\"{WORD}')"
