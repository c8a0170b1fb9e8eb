"""A look at some records of JSON lines, by one small job: how many are clean, and which keys the schema lacks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from app.datatypes import TableSchema
from app.ingest.engines import spark_source
from app.ingest.engines.spark_frames import through
from app.ingest.formats.spark.json_records import IS_RECORD
from app.ingest.formats.spark.quick_records import CLEAN, QuickRecords
from app.ingest.formats.spark.strange_keys import strange_keys
from app.spark import Session, spark_errors
from app.values import BatchFile

MOST_KEYS = 32  # with more of them, unknown keys are data, or hardly any of them is in every sample
_WHOLE_BYTES, _WHOLE_FILES, _WHOLE_RECORDS = 1024 * 1024, 100, 10_000  # batches of which all is looked at
_EACH = 500  # records of one file


@dataclass(frozen=True, slots=True)
class Glimpse:
    """Shares of the records that were looked at, and no more than MOST_KEYS and one of their unknown `keys`.

    `record_bytes` is how long a record is.
    """

    clean: float
    strange: float
    keys: tuple[str, ...]
    record_bytes: float


def glimpse(
    session: Session,
    files: Sequence[BatchFile],
    text: str,
    schema: TableSchema,
    quick: QuickRecords | None,
    *,
    keys: bool,
) -> Glimpse:
    """`text` is the column of a line; without `keys` none is looked for. Whether a file is as it was discovered is not
    looked at.
    """
    clean, none = CLEAN if quick else "false", "CAST(array() AS ARRAY<STRING>)"
    strange = none
    if keys:  # all of them are gathered in one place, and a record may have thousands
        found = f"slice({strange_keys(schema.columns)}, 1, {MOST_KEYS + 1})"
        strange = f"CASE WHEN NOT {clean} THEN {found} ELSE {none} END"
    with spark_errors(session.endpoint):
        rows = through(quick.layers() if quick else (), _some(session, files, text))
        told = rows.selectExpr(f"CAST({clean} AS INT) AS clean", f"{strange} AS strange", "value").selectExpr(
            "avg(clean) AS clean",
            "avg(octet_length(value)) AS bytes",
            "avg(CAST(size(strange) > 0 AS INT)) AS strange",
            f"slice(array_distinct(flatten(collect_list(strange))), 1, {MOST_KEYS + 1}) AS keys",
        )
        row = told.collect()[0]
    return Glimpse(float(row["clean"] or 0), float(row["strange"] or 0), tuple(row["keys"]), float(row["bytes"] or 0))


def _some(session: Session, files: Sequence[BatchFile], text: str) -> Any:
    """All records of a small batch; else of its first file, one in its middle, and the last: what is new comes late."""
    if len(files) <= _WHOLE_FILES and sum(file.size for file in files) <= _WHOLE_BYTES:
        return spark_source.unchecked(session, files, text, IS_RECORD).limit(_WHOLE_RECORDS)
    places = sorted({0, len(files) // 2, len(files) - 1})
    each = [
        spark_source.unchecked(session, [files[place]], text, IS_RECORD).limit(_EACH * 3 // len(places))
        for place in places
    ]
    return reduce(lambda one, other: one.union(other), each)
