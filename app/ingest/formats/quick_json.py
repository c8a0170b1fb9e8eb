"""Clean JSON lines in one step: Arrow's typed reader, where it is certain that the exact SQL would give the same rows.

Most files are clean, and there the exact way (`json_sql`) proves value by value what this reader shows at once: it
stops at the first wrong type, number out of range, unknown or repeated key and at every malformed record. So a piece
of lines that it reads to its end is taken, and any other goes the exact way as a whole; which of both a record went
can be seen in nothing but time (a test reads all odd inputs both ways).

What it would take and we would not is excluded by this proof:

- One record a line. The reader itself knows no lines: it takes two objects in one, or one over two. But every line
  begins with `{` and ends with `}`, no string holds a line end (it refuses control characters), and between `}` and
  `{` no object can go on; so a line end is always between two objects. Each line then has at least one object, and
  as many objects came out as there are lines: each has exactly one, and nothing beside it that counts as a row.
- Valid UTF-8 is checked before.
- A first value that is just `null` kills the reader: the first brace excludes that, too.
- Finished values: see `quick_values`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.json as pa_json

from app.datatypes import Column
from app.ingest.formats.quick_values import final_type, proved, read_type

_MOST_REST = 64  # pieces that are not tried after many that were refused


@dataclass(slots=True)
class QuickJson:
    """Reads pieces of lines by one schema; for use by several threads.

    A piece that is refused costs time twice, so after each one twice as many are not tried at all. Threads that meet
    here may miscount; that, too, costs nothing but time.
    """

    columns: tuple[Column, ...]
    options: pa_json.ParseOptions
    types: tuple[pa.DataType, ...]
    refused: int = 0
    resting: int = 0

    @classmethod
    def of(
        cls, columns: tuple[Column, ...], options: Mapping[str, object], *, ignores: bool = False
    ) -> QuickJson | None:
        """None where a column has a type that this reader is not exact for, or moments are in a format of their own.

        `ignores`: keys that no column has are passed over.
        """
        kinds = [read_type(column.type) for column in columns]
        if not kinds or None in kinds or options.get("date_format") or options.get("timestamp_format"):
            return None
        schema = pa.schema(list(zip([column.name for column in columns], kinds, strict=True)))
        strange = "ignore" if ignores else "error"
        parse = pa_json.ParseOptions(explicit_schema=schema, unexpected_field_behavior=strange)
        return cls(columns, parse, tuple(final_type(column.type) for column in columns))

    def read(self, data: bytes, records: int) -> list[pa.Array] | None:
        """The columns of so many lines of valid UTF-8 that begin and end with braces; None: read them exactly."""
        if self.resting > 0:
            self.resting -= 1
            return None
        found = self._read(data, records)
        self.refused = 0 if found is not None else self.refused + 1
        self.resting = min(2**self.refused, _MOST_REST) - 1 if self.refused else 0
        return found

    def _read(self, data: bytes, records: int) -> list[pa.Array] | None:
        whole = pa_json.ReadOptions(use_threads=False, block_size=len(data) + 1)
        try:
            table = pa_json.read_json(pa.BufferReader(data), read_options=whole, parse_options=self.options)
        except pa.ArrowInvalid:
            return None
        if table.num_rows != records:
            return None
        columns: list[pa.Array] = []
        for column, values in zip(self.columns, table.columns, strict=True):
            one = values.chunk(0) if values.num_chunks == 1 else pa.concat_arrays(values.chunks)
            kept = proved(one, column.type)
            if kept is None:
                return None
            columns.append(kept)
        return columns
