"""Spark SQL from lines of text to rows: one JSON object a line.

The rules are those of `formats/json_sql.py`: keys match by their exact name, of two equal ones the first is taken and
the other rescued, and a null under an unknown key is no value. What `quick_records` does not take goes through steps,
each an expression over those before, bound as a variable: all of it is one expression that clean records never enter.

    value ─► flaw, tag ─► x ─► keys0 ─► raw0 ─► keys1 … ─► fit ─► odd ─► parts, reject
    (the line)       (parsed)  (by object)  (tagged values)    (converted)
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from app.datatypes import Column, DataType, TableSchema
from app.ingest.formats.base import RAW_LIMIT
from app.ingest.formats.spark import tagged
from app.ingest.formats.spark.json_values import TaggedValues
from app.ingest.formats.spark.quick_records import CLEAN, QuickRecords
from app.ingest.formats.spark.text import BYTES, FOREIGN, UNMARKED, bound, joined, names_sql, summed, text_sql, type_sql
from app.ingest.formats.spark.words import FILE, RAW, REJECT, RESCUED
from app.ingest.formats.strict_text import ISO, TextFormats

_NO_PARTS = "CAST(array() AS ARRAY<STRUCT<k: STRING, v: STRING>>)"


@dataclass(slots=True)
class _Value:
    """A column or a struct's member: `raw` and `converted` are its values in the steps, `inner` its own members."""

    column: Column
    path: tuple[str, ...]
    number: int
    inner: _Object | None = None
    converted: str = ""

    @property
    def raw(self) -> str:
        return f"raw{len(self.path) - 1}.r{self.number}"

    @property
    def kind(self) -> DataType:
        return self.column.type


@dataclass(slots=True)
class _Object:
    """The members of one object; `keys` is its map in the steps."""

    number: int
    path: tuple[str, ...]
    members: list[_Value] = field(default_factory=list)

    @property
    def keys(self) -> str:
        return f"keys{len(self.path)}.m{self.number}"

    @property
    def inner(self) -> list[_Value]:
        return [member for member in self.members if member.inner]


class RecordLayers:
    """The expressions over one schema."""

    def __init__(
        self,
        schema: TableSchema,
        max_record_bytes: int,
        formats: TextFormats = ISO,
        *,
        quick: bool = True,
        key_order: Sequence[str] | None = None,
    ) -> None:
        """`quick`: clean records take the short way, where schema and formats allow; it changes nothing but time.

        With a `key_order`, in which records have the columns and other keys as far as that is known, keys that the
        schema lacks are left out, and so are those that stand twice but for the first.
        """
        self.schema = schema
        self.limit = max_record_bytes
        self.ignores = key_order is not None
        self.values = TaggedValues(formats)
        self._objects: list[_Object] = []
        self._count = 0
        self.top = self._object((), schema.columns)
        self._fitting = list(self._fits())
        quick = quick and formats == ISO
        self.quick = QuickRecords.of(schema, max_record_bytes, self.values, key_order) if quick else None

    def _object(self, path: tuple[str, ...], columns: tuple[Column, ...]) -> _Object:
        made = _Object(len(self._objects), path)
        self._objects.append(made)
        for column in columns:
            value = _Value(column, (*path, column.name), self._count)
            self._count += 1
            made.members.append(value)
            if column.type.name == "struct":
                value.inner = self._object(value.path, column.type.fields)
        return made

    def layers(self, keep: str) -> list[list[str]]:
        """From `value`, FILE and `keep` to one column for each of the schema, `v0`, `v1` …, and FILE, RESCUED, REJECT,
        RAW and `keep`.
        """
        if self.quick is None:
            values = [f"{self._packed(value)} AS v{place}" for place, value in enumerate(self.top.members)]
            kept = [FILE, keep, f"{_RESCUED} AS {RESCUED}", REJECT, f"{_RAW} AS {RAW}"]
            return [[FILE, keep, "value"], *(["*", f"{step} AS {name}"] for name, step in self._steps()), values + kept]
        values = [
            f"CASE WHEN {CLEAN} THEN {self.quick.value_of(place)} ELSE {_EXACT}.v{place} END AS v{place}"
            for place in range(len(self.top.members))
        ]
        return [
            [FILE, keep, "value"],
            *self.quick.layers(),
            ["*", f"CASE WHEN NOT {CLEAN} THEN {self._exact()} END AS {_EXACT}"],
            [*values, FILE, keep, *(f"{_EXACT}.{name} AS {name}" for name in (RESCUED, REJECT, RAW))],
        ]

    def _exact(self) -> str:
        """SQL: a struct of `v0`, `v1` …, RESCUED, REJECT and RAW, in one expression that only odd records enter.

        Spark interprets it, which is slower by half than the same as layers: `quick` is for records most of which are
        clean.
        """
        values = [(f"v{place}", self._packed(value)) for place, value in enumerate(self.top.members)]
        whole = _struct([*values, (RESCUED, _RESCUED), (REJECT, REJECT), (RAW, _RAW)])
        for name, step in reversed(list(self._steps())):
            whole = bound(step, name, whole)
        return whole

    def _steps(self) -> Iterator[tuple[str, str]]:
        """Each a name and an expression over the names before it."""
        yield "t", UNMARKED
        yield "unreadable", self._unreadable()
        yield "tag", f"CASE WHEN unreadable IS NULL THEN {tagged.tagged('t')} END"
        yield "flaw", _FLAW
        yield "x", f"CASE WHEN flaw IS NULL THEN {tagged.parsed('tag')} END"
        yield "keys0", _struct([("m0", f"CASE WHEN {tagged.is_record('x')} THEN x[0] END")])
        yield from self._raws()
        yield "fit", _struct(self._fitting or [("none", "NULL")])
        yield "odd", f"coalesce({self._odd()}, false)"
        yield "parts", f"CASE WHEN odd THEN {self._shown()} END"
        yield REJECT, self._reject()

    # --- the record

    def _unreadable(self) -> str:
        long = f"too-long: the record is longer than {self.limit:,} bytes"
        return (
            f"CASE WHEN octet_length(value) > {self.limit} THEN '{long}'"
            f" WHEN {tagged.broken('t')} OR {tagged.lone_surrogate('t')} THEN '{_MALFORMED}' END"
        )

    def _reject(self) -> str:
        value = tagged.is_value("tag")
        cases = [
            "WHEN flaw IS NOT NULL THEN flaw",
            f"WHEN {self.top.keys} IS NULL AND {value} THEN 'not-an-object: the record is JSON, but not an object'",
            f"WHEN {self.top.keys} IS NULL THEN '{_MALFORMED}'",
        ]
        for member in self.top.members:
            if member.column.required:
                missing = f"{member.inner.keys if member.inner else member.converted} IS NULL"
                cases.append(f"WHEN {missing} THEN {text_sql(f'null-in-required: {member.column.name}')}")
        return f"CASE {' '.join(cases)} END"

    # --- its values

    def _raws(self) -> Iterator[tuple[str, str]]:
        depth, level = 0, [self.top]
        while any(one.members for one in level):
            values = [(f"r{v.number}", f"{o.keys}[{text_sql('s' + v.column.name)}]") for o in level for v in o.members]
            yield f"raw{depth}", _struct(values)
            depth, inner = depth + 1, [v for o in level for v in o.inner]
            level = [v.inner for v in inner if v.inner]
            if level:
                maps = [(f"m{v.inner.number}", tagged.members(v.raw)) for v in inner if v.inner]
                yield f"keys{depth}", _struct(maps)

    def _fits(self) -> Iterator[tuple[str, str]]:
        """The conversions, each with its name in `fit`. One for all values of a type, where there are many of them:
        Spark looks at each expression again and again, so each that is not there saves a wide table milliseconds.
        """
        leaves = [v for o in self._objects for v in o.members if not v.inner]
        kinds = dict.fromkeys(v.kind for v in leaves)
        for number, kind in enumerate(kinds):
            alike = [v for v in leaves if v.kind == kind]
            if len(alike) < _MANY:
                for v in alike:
                    v.converted = f"fit.c{v.number}"
                    yield f"c{v.number}", self.values.value(v.raw, kind)
                continue
            for place, v in enumerate(alike):
                v.converted = f"fit.all{number}[{place}]"
            e = self.values.variable()
            raws = ", ".join(v.raw for v in alike)
            yield f"all{number}", f"transform(array({raws}), {e} -> {self.values.value(e, kind)})"

    def _packed(self, value: _Value) -> str:
        if not value.inner:
            return value.converted
        pairs = ", ".join(f"{text_sql(v.column.name)}, {self._packed(v)}" for v in value.inner.members)
        return (
            f"CAST(CASE WHEN {value.inner.keys} IS NOT NULL THEN named_struct({pairs}) END AS {type_sql(value.kind)})"
        )

    # --- what did not fit

    def _odd(self) -> str:
        """Cheap, and true for every record with something to rescue."""
        terms = []
        for one in self._objects:
            known = summed([f"CAST({v.raw} IS NOT NULL AS INT)" for v in one.members])
            if not self.ignores:
                terms.append(f"({one.keys} IS NOT NULL AND size({one.keys}) <> {known})")
            terms += [f"({self._strange(v)})" for v in one.members]
        return joined(terms, "OR", "false")

    def _strange(self, value: _Value) -> str:
        converted = value.inner.keys if value.inner else value.converted
        misfit = f"{value.raw} IS NOT NULL AND {converted} IS NULL"
        looked = not value.inner and not self.ignores
        extra = self.values.unknown_inside(value.raw, value.kind) if looked else ""
        return f"{misfit} OR {extra}" if extra else misfit

    def _shown(self) -> str:
        """`"key":value` texts. What prints any value is long, so it stands here once, not with each column."""
        e = self.values.variable()
        return f"transform({self._parts(self.top)}, {e} -> concat({e}.k, {tagged.json_of(f'{e}.v')}))"

    def _parts(self, one: _Object) -> str:
        """Structs of `"key":` and tagged value: the unknown keys of one object, then each member that does not fit."""
        found = [] if self.ignores else [self._unknown(one), self._repeated(one)]
        for with_inner, values in groupby(one.members, key=lambda value: value.inner is not None):
            if with_inner:
                found += [self._parts_inside(value, value.inner) for value in values if value.inner]
                continue
            e = self.values.variable()
            misfits = ", ".join(f"CASE WHEN {self._strange(value)} THEN {_part(value)} END" for value in values)
            found.append(f"filter(array({misfits}), {e} -> {e} IS NOT NULL)")
        return f"flatten(array({', '.join(found or [_NO_PARTS])}))"

    def _parts_inside(self, value: _Value, inner: _Object) -> str:
        whole = f"WHEN {inner.keys} IS NOT NULL THEN {self._parts(inner)}"
        return f"CASE {whole} WHEN {value.raw} IS NOT NULL THEN array({_part(value)}) ELSE {_NO_PARTS} END"

    def _unknown(self, one: _Object) -> str:
        e = self.values.variable()
        stray = f"{e}.value IS NOT NULL AND NOT array_contains({self._names(one)}, {e}.key)"
        return self._named(one, f"filter(map_entries({one.keys}), {e} -> {stray})")

    def _repeated(self, one: _Object) -> str:
        e, i = self.values.variable(), self.values.variable()
        again = (
            f"{e}.value IS NOT NULL AND array_contains({self._names(one)}, {e}.key)"
            f" AND array_position(map_keys({one.keys}), {e}.key) <= {i}"
        )
        return self._named(one, f"filter(map_entries({one.keys}), ({e}, {i}) -> {again})")

    def _named(self, one: _Object, entries: str) -> str:
        e = self.values.variable()
        prefix = text_sql("".join(f"{name}." for name in one.path))
        key = tagged.quoted(f"concat({prefix}, substring({e}.key, 2))")
        return f"transform({entries}, {e} -> named_struct('k', concat({key}, ':'), 'v', {e}.value))"

    @staticmethod
    def _names(one: _Object) -> str:
        return names_sql(["s" + value.column.name for value in one.members])


IS_RECORD = "(ascii(value) > 32 OR value RLIKE '[^ \\\\t\\\\r\\\\n]')"  # blank lines are none; few begin with a blank
_EXACT = "exact"
_MANY = 8
_MALFORMED = "malformed: the record is not valid JSON"
# A rewritten text has a replacement character for what is not UTF-8, and for each one that was there.
_FLAW = (
    f"CASE WHEN unreadable IS NOT NULL THEN unreadable WHEN instr(tag, '\\ufffd') > 0"
    f" AND {FOREIGN} THEN 'invalid-utf8: the record is not UTF-8' END"
)
_RESCUED = "CASE WHEN size(parts) > 0 THEN concat('{', array_join(parts, ','), '}') END"
_TRIMMED = f"rtrim(decode({BYTES}, 'UTF-8'))"  # what is not UTF-8 is replaced
_SHORT = f"left({_TRIMMED}, {RAW_LIMIT})"
_RAW = (
    f"CASE WHEN reject IS NOT NULL THEN CASE WHEN octet_length({_SHORT}) > {RAW_LIMIT}"
    f" THEN left({_TRIMMED}, {RAW_LIMIT // 4}) ELSE {_SHORT} END END"
)


def _part(value: _Value) -> str:
    key = json.dumps(".".join(value.path), ensure_ascii=False)
    return _struct([("k", text_sql(f"{key}:")), ("v", value.raw)])


def _struct(members: list[tuple[str, str]]) -> str:
    return f"named_struct({', '.join(f'{text_sql(name)}, {value}' for name, value in members)})"
