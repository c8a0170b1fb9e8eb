"""Spark SQL from the fields of CSV records to the columns of the table, by the rules of `formats/csv_sql.py`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from app.datatypes import Column, TableSchema
from app.ingest.formats.base import RAW_LIMIT
from app.ingest.formats.csv_options import CsvDialect
from app.ingest.formats.spark.json_values import TaggedValues
from app.ingest.formats.spark.tagged import quoted
from app.ingest.formats.spark.text import fenced, joined, text_sql, type_sql
from app.ingest.formats.spark.text_values import text_value
from app.ingest.formats.spark.usual_values import cast_beforehand, usual_value
from app.ingest.formats.spark.words import FILE, RAW, REJECT, RESCUED

_SHORT = f"left(r, {RAW_LIMIT})"


@dataclass(frozen=True, slots=True)
class CsvRows:
    """The layers over `f0`, `f1` …, the texts of the fields that the file calls `names`.

    `ignores`: fields that no column has are left out.
    """

    schema: TableSchema
    names: tuple[str, ...]
    dialect: CsvDialect
    ignores: bool = False
    _values: TaggedValues = field(default_factory=TaggedValues)

    def layers(self, keep: str) -> list[list[str]]:
        """To one column for each of the schema, `v0`, `v1` …, and FILE, `keep`, RESCUED, REJECT, RAW."""
        at = {name: place for place, name in enumerate(self.names)}
        texts = [self._text(place, self.schema.find(name)) for place, name in enumerate(self.names)]
        casts = [f"{cast} AS w{place}" for place in range(len(self.names)) if (cast := self._cast(place))]
        typed = [f"{self._value(column, at)} AS v{number}" for number, column in enumerate(self.schema)]
        read = [f"c{place}" for place in range(len(self.names))]
        rescued = self._rescued([*self._misfits(at), *self._unknown()])
        raw = f"CASE WHEN octet_length({_SHORT}) > {RAW_LIMIT} THEN left(r, {RAW_LIMIT // 4}) ELSE {_SHORT} END"
        ready = [f"v{number}" for number in range(len(self.schema))]
        return [
            [FILE, keep, "r", "reason", *texts, *casts],
            [FILE, keep, f"{fenced('r')} AS r", "reason", *read, *typed],
            [FILE, keep, "r", *ready, f"{rescued} AS {RESCUED}", f"{self._reject()} AS {REJECT}"],
            [*ready, FILE, keep, RESCUED, REJECT, f"CASE WHEN {REJECT} IS NOT NULL THEN {raw} END AS {RAW}"],
        ]

    def _text(self, place: int, column: Column | None) -> str:
        """The field, null for a null text; the empty text of a typed column fits no type."""
        nulls = set(self.dialect.nulls)
        if column is not None and column.type.name != "string":
            nulls = nulls - {""} if column.type.name != "binary" else nulls | {""}
        if not nulls:
            return f"f{place} AS c{place}"
        listed = ", ".join(map(text_sql, sorted(nulls)))
        return f"CASE WHEN f{place} NOT IN ({listed}) THEN f{place} END AS c{place}"

    def _value(self, column: Column, at: dict[str, int]) -> str:
        place = at.get(column.name)
        if place is None:
            return f"CAST(NULL AS {type_sql(column.type)})"
        exact = text_value(f"c{place}", column.type, self._values, self.dialect.formats)
        if self.dialect.formats.of(column.type):
            return exact
        return usual_value(f"c{place}", column.type, f"w{place}", exact)

    def _cast(self, place: int) -> str:
        """What Spark takes the field for; empty where that is of no use."""
        column = self.schema.find(self.names[place])
        if column is None or self.dialect.formats.of(column.type):
            return ""
        return cast_beforehand(f"f{place}", column.type)

    def _misfits(self, at: dict[str, int]) -> Iterator[tuple[str, str, int]]:
        for number, column in enumerate(self.schema):
            place = at.get(column.name)
            if place is not None and column.type.name != "string":
                yield column.name, f"v{number} IS NULL AND c{place} <> ''", place

    def _unknown(self) -> Iterator[tuple[str, str, int]]:
        known = set(self.schema.names)
        for place, name in enumerate(self.names):
            if name not in known and not self.ignores:
                yield name, f"c{place} IS NOT NULL", place

    @staticmethod
    def _rescued(entries: Sequence[tuple[str, str, int]]) -> str:
        if not entries:
            return "CAST(NULL AS STRING)"
        some = joined([f"({condition})" for _, condition, _ in entries], "OR", "false")
        parts = ", ".join(
            f"CASE WHEN {condition} THEN concat({_key(name)}, {quoted(f'c{place}')}) END"
            for name, condition, place in entries
        )
        return f"CASE WHEN {some} THEN concat('{{', concat_ws(',', {parts}), '}}') END"

    def _reject(self) -> str:
        cases = [
            f"WHEN v{number} IS NULL THEN {text_sql(f'null-in-required: {column.name}')}"
            for number, column in enumerate(self.schema)
            if column.required
        ]
        return f"CASE WHEN reason IS NOT NULL THEN reason {' '.join(cases)} END" if cases else "reason"


def _key(name: str) -> str:
    return text_sql(json.dumps(name, ensure_ascii=False) + ":")
