"""Spark SQL that turns a tagged JSON value into a column's type, strictly: what does not fit becomes null.

The table at the head of `formats/json_values.py` holds here as well; `uuid` is text to Spark.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

from app.datatypes import Column, DataType
from app.ingest.formats.spark.moments import YEARS, moment_sql
from app.ingest.formats.spark.strptime import strptime_sql
from app.ingest.formats.spark.tagged import items, members, untagged
from app.ingest.formats.spark.text import bound, joined, text_sql, type_sql
from app.ingest.formats.strict_text import ISO, PATTERNS, TextFormats

# In Java `$` would let a line end stand behind.
_PARTS = r"^[ns](-?)(?:0*([1-9][0-9]*)|0+)(?:[.](?:([0-9]*[1-9])0*|0+))?(?:[eE]([-+]?[0-9]+))?\z"
_FAR = 1_000_000_000  # a power of ten beyond every column, which can be added to and negated
_BASE64 = "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?\\z"
_UUID = "^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\\z"
_DAY = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}\z"


@dataclass(frozen=True, slots=True)
class TaggedValues:
    """Writes the expressions. A value is a column or a variable: it stands more than once."""

    formats: TextFormats = ISO
    _names: Iterator[int] = field(default_factory=count)

    def variable(self) -> str:
        """A lambda variable that no other lambda of this statement has."""
        return f"v{next(self._names)}"

    def value(self, v: str, kind: DataType) -> str:
        """SQL for the tagged value `v` as `kind`; null unless all of it fits. Keys that a struct lacks are not seen."""
        match kind.name:
            case "array":
                return self._array(v, _item(kind))
            case "map":
                return self._map(v, _item(kind), kind)
            case "struct":
                return self._struct(v, kind)
            case _:
                return self._scalar(v, kind)

    def _scalar(self, v: str, kind: DataType) -> str:
        match kind.name:
            case "int" | "bigint":
                exact = self._whole(v, kind)
                return (
                    f"CASE WHEN {_is(v, 'n')} THEN coalesce(try_cast({_content(v)} AS {type_sql(kind)}), {exact}) END"
                )
            case "decimal":
                return f"CASE WHEN {v} RLIKE {text_sql(_PARTS)} THEN {self._decimal(v, kind)} END"
            case "string":
                content, whole = (
                    f"WHEN {_is(v, 's', 'n')} THEN {_content(v)}",
                    f"WHEN {_is(v, '{', '[')} THEN {untagged(v)}",
                )
                return f"CASE {content} {whole} ELSE {v} END"
            case "boolean":
                return f"CASE {v} WHEN 'true' THEN true WHEN 'false' THEN false END"
            case "float" | "double":
                return self._real(v, kind)
            case _:
                return f"CASE WHEN {_is(v, 's')} THEN {self._text(v, kind)} END"

    # --- numbers

    def _real(self, v: str, kind: DataType) -> str:
        """Infinity only where it is written: a number beyond the type does not fit. `-0` is an integer's zero."""
        name = self.variable()
        infinite = f"abs({name}) = {type_sql(kind)}('infinity') AND NOT endswith({v}, 'Infinity')"
        cast = bound(
            f"try_cast(IF({v} = 'n-0', '0', {_content(v)}) AS {type_sql(kind)})",
            name,
            f"CASE WHEN {infinite} THEN NULL ELSE {name} END",
        )
        return f"CASE WHEN {_is(v, 'n')} THEN {cast} END"

    def _whole(self, v: str, kind: DataType) -> str:
        q = self.variable()
        fits = f"try_cast(concat({q}.s, {_digits(q)}) AS {type_sql(kind)})"
        return bound(_parts(v, 0), q, f"CASE WHEN {v} RLIKE {text_sql(_PARTS)} THEN {fits} END")

    def _decimal(self, v: str, kind: DataType) -> str:
        q = self.variable()
        digits = f"concat('{'0' * kind.scale}', {_digits(q)})"
        if kind.scale:
            digits = f"regexp_replace({digits}, '([0-9]{{{kind.scale}}})$', '.$1')"
        return bound(_parts(v, kind.scale), q, f"try_cast(concat({q}.s, {digits}) AS {type_sql(kind)})")

    # --- texts

    def _text(self, v: str, kind: DataType) -> str:
        x = self.variable()
        return bound(_content(v), x, self.of_text(x, kind))

    def of_text(self, x: str, kind: DataType) -> str:
        """SQL for the untagged text `x`, which stands in it more than once, as a date, moment, UUID or binary."""
        pattern = self.formats.of(kind)
        if pattern:
            return strptime_sql(x, pattern, kind)
        match kind.name:
            case "date":
                return f"CASE WHEN {x} RLIKE {text_sql(_DAY)} AND {x} >= '0001' THEN try_cast({x} AS DATE) END"
            case "uuid":
                return f"CASE WHEN {x} RLIKE {text_sql(_UUID)} THEN lower({x}) END"
            case "binary":
                same = f"regexp_replace(base64(unbase64({x})), '[\\\\r\\\\n]', '') = {x}"
                return f"CASE WHEN {x} RLIKE {text_sql(_BASE64)} AND {same} THEN unbase64({x}) END"
            case _:
                return self._moment(x, kind)

    def _moment(self, x: str, kind: DataType) -> str:
        z = self.variable()
        cast = f"try_cast({moment_sql(x)} AS {type_sql(kind)})"
        inside = bound(cast, z, f"CASE WHEN {z} BETWEEN {YEARS[kind.name]} THEN {z} END")
        shape = text_sql(rf"^({PATTERNS[kind.name]})\z")
        return f"CASE WHEN {x} RLIKE {shape} THEN {inside} END"

    # --- what holds others

    def _array(self, v: str, item: Column) -> str:
        a, r = self.variable(), self.variable()
        body = bound(self._each(a, item), r, f"CASE WHEN {self._same_count(a, r)} THEN {r} END")
        return bound(items(v), a, body)

    def _map(self, v: str, item: Column, kind: DataType) -> str:
        """Null as well when a key stands twice: a map cannot hold both."""
        m, a, r, k = (self.variable() for _ in range(4))
        keys = f"transform(map_keys({m}), {k} -> substring({k}, 2))"
        fits = f"{self._same_count(a, r)} AND size(array_distinct(map_keys({m}))) = size(map_keys({m}))"
        body = bound(self._each(a, item), r, f"CASE WHEN {fits} THEN map_from_arrays({keys}, {r}) END")
        whole = bound(members(v), m, bound(f"map_values({m})", a, body))
        return f"CAST({whole} AS {type_sql(kind)})"

    def _struct(self, v: str, kind: DataType) -> str:
        """All of it or nothing, as inside arrays and maps; a column's own members are looked at one by one instead."""
        m, s, packed, fits = self.variable(), self.variable(), [], []
        for number, member in enumerate(kind.fields):
            raw, got = f"{m}[{text_sql('s' + member.name)}]", f"{s}.m{number}"
            x = self.variable()
            packed.append(f"'m{number}', {bound(raw, x, self.value(x, member.type))}")
            fits.append(f"({raw} IS NULL OR {got} IS NOT NULL)")
        named = ", ".join(f"{text_sql(member.name)}, {s}.m{number}" for number, member in enumerate(kind.fields))
        whole = f"CASE WHEN {m} IS NOT NULL AND {joined(fits, 'AND', 'true')} THEN named_struct({named}) END"
        return bound(members(v), m, bound(f"named_struct({', '.join(packed)})", s, whole))

    def _each(self, array: str, item: Column) -> str:
        name = self.variable()
        return f"transform({array}, {name} -> {self.value(name, item.type)})"

    def _same_count(self, before: str, after: str) -> str:
        one, two = self.variable(), self.variable()
        return (
            f"size(filter({before}, {one} -> {one} IS NOT NULL)) = size(filter({after}, {two} -> {two} IS NOT NULL))"
            f" AND {before} IS NOT NULL"
        )

    # --- keys that a struct lacks, somewhere inside

    def unknown_inside(self, v: str, kind: DataType) -> str:
        """SQL: an object in `v` has keys that its struct lacks, or one key twice; empty when there is no struct."""
        if kind.name == "struct":
            return self._unknown_keys(v, kind)
        if kind.element is None:
            return ""
        name = self.variable()
        deeper = self.unknown_inside(name, kind.element.type)
        if not deeper:
            return ""
        source = items(v) if kind.name == "array" else f"map_values({members(v)})"
        return f"coalesce(exists({source}, {name} -> {deeper}), false)"

    def _unknown_keys(self, v: str, kind: DataType) -> str:
        m = self.variable()
        names = ", ".join(text_sql("s" + member.name) for member in kind.fields) or "''"
        parts = [
            f"size(array_except(map_keys({m}), array({names}))) > 0",
            f"size(array_distinct(map_keys({m}))) < size(map_keys({m}))",
        ]
        for member in kind.fields:
            x = self.variable()
            if deeper := self.unknown_inside(x, member.type):
                parts.append(bound(f"{m}[{text_sql('s' + member.name)}]", x, deeper))
        found = joined(parts, "OR", "false")
        return f"coalesce({bound(members(v), m, found)}, false)"


def _item(kind: DataType) -> Column:
    return kind.element or Column("element", DataType("string"))


def _is(v: str, *tags: str) -> str:
    listed = ", ".join(f"'{tag}'" for tag in tags)
    return f"left({v}, 1) IN ({listed})" if len(tags) > 1 else f"left({v}, 1) = {listed}"


def _content(v: str) -> str:
    return f"substring({v}, 2)"


def _parts(v: str, places: int) -> str:
    """SQL: a struct of the number's sign `s`, digits `i` and `f`, and the power `p` of ten with `places` added."""
    sign, whole, fraction, power = (f"regexp_extract({v}, {text_sql(_PARTS)}, {group})" for group in range(1, 5))
    bounded = f"CAST(greatest(least(try_cast({power} AS BIGINT), {_FAR}), -{_FAR}) AS INT)"
    exponent = f"CASE WHEN {power} = '' THEN 0 ELSE {bounded} END + {places}"
    return f"named_struct('s', {sign}, 'i', {whole}, 'f', {fraction}, 'p', {exponent})"


def _digits(q: str) -> str:
    """SQL: the digits of the number with the parts `q`; null when it is not whole.

    At most 40 zeros more than there are digits: that is beyond all columns unless all is zero.
    """
    more = f"rpad({q}.f, CAST(least({q}.p, length({q}.f) + 40) AS INT), '0')"
    dropped = f"right({q}.i, CAST(least(-{q}.p, length({q}.i)) AS INT))"
    return (
        f"CASE WHEN {q}.i = '' AND {q}.f = '' THEN '0'"
        f" WHEN {q}.p >= length({q}.f) THEN concat('0', {q}.i, {more})"
        f" WHEN {q}.p < 0 AND {q}.f = '' AND trim(LEADING '0' FROM {dropped}) = ''"
        f" THEN concat('0', left({q}.i, CAST(greatest(length({q}.i) + {q}.p, 0) AS INT))) END"
    )
