"""Spark SQL from the text of JSON documents to rows: each element of an array, or the one object, as a line of JSON.

The document is parsed with its scalars tagged (see `tagged`), so that numbers come out as they were written; from there
on an element goes the way of JSON lines.
"""

from __future__ import annotations

from dataclasses import dataclass

from app.datatypes import TableSchema
from app.ingest.formats.spark import tagged
from app.ingest.formats.spark.json_records import RecordLayers
from app.ingest.formats.spark.text import FOREIGN, UNMARKED, text_sql
from app.ingest.formats.spark.words import FILE, FILE_FLAW, RAW, REJECT, RESCUED
from app.ingest.formats.strict_text import ISO, TextFormats

_UNSOUND = f"{FILE_FLAW}FAILED:undecodable:It is not valid JSON."  # as a line it is no JSON, and no element is so


@dataclass(frozen=True, slots=True)
class ElementLayers:
    """The expressions over one schema; an element has at most `max_record_bytes`.

    `ignores`: keys that the schema lacks are left out.
    """

    schema: TableSchema
    max_record_bytes: int
    formats: TextFormats = ISO
    ignores: bool = False

    def layers(self, keep: str) -> list[list[str]]:
        """From `value`, FILE and `keep` to what `RecordLayers.layers` gives."""
        unreadable = f"{FOREIGN} OR {tagged.broken('t')} OR {tagged.lone_surrogate('t')}"
        elements = f"transform({tagged.items('d')}, e -> coalesce({tagged.json_of('e')}, 'null'))"
        one = f"array(coalesce({tagged.json_of('d')}, {text_sql(_UNSOUND)}))"
        each = f"CASE WHEN left(d, 1) = '[' THEN {elements} ELSE {one} END"
        ready = [f"v{place}" for place in range(len(self.schema))]
        key_order = self.schema.names if self.ignores else None
        records = RecordLayers(self.schema, self.max_record_bytes, self.formats, key_order=key_order)
        reject = f"CASE WHEN {RAW} = {text_sql(_UNSOUND)} THEN {RAW} ELSE {REJECT} END AS {REJECT}"
        return [
            [FILE, keep, "value", f"{UNMARKED} AS t"],
            [FILE, keep, f"CASE WHEN NOT ({unreadable}) THEN {tagged.tagged('t')} END AS tag"],
            [FILE, keep, f"{tagged.value_of('tag')} AS d"],
            [FILE, keep, f"explode({each}) AS value"],
            *records.layers(keep),
            [*ready, FILE, keep, RESCUED, reject, RAW],
        ]
