"""A look at some records of JSON lines: how many are clean, and which keys the schema lacks.

The records are sent along with the question, and Spark answers it while it plans: no job runs, and nothing is read.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from app.datatypes import TableSchema
from app.errors import AutoloaderError, SparkInterrupted, SparkSessionLost, SparkUnavailable
from app.ingest.engines.spark_frames import through
from app.ingest.formats.spark.quick_records import CLEAN, QuickRecords
from app.ingest.formats.spark.strange_keys import strange_keys
from app.spark import Session, spark_errors

log = logging.getLogger(__name__)

_MOST_BYTES = 2 * 1024 * 1024
MOST_KEYS = 32  # with more of them, unknown keys are data, or hardly any of them is in every sample


@dataclass(frozen=True, slots=True)
class Glimpse:
    """Shares of the records that were looked at, and no more than MOST_KEYS and one of their unknown `keys`.

    `record_bytes` is how long a record is.
    """

    clean: float = 0.0
    strange: float = 0.0
    keys: tuple[str, ...] = ()
    record_bytes: float = 0.0


def glimpse(
    session: Session, lines: Sequence[str], schema: TableSchema, quick: QuickRecords | None, *, keys: bool
) -> Glimpse:
    """Of the first of these lines; without `keys` none is looked for. Of none nothing is known, nor where Spark cannot
    answer: none is clean. Raises SparkInterrupted, SparkSessionLost, SparkUnavailable.
    """
    some = _first(lines)
    if not some or not (quick or keys):
        return Glimpse()
    try:
        return _asked(session, some, schema, quick, keys=keys)
    except (SparkInterrupted, SparkSessionLost, SparkUnavailable):
        raise
    except AutoloaderError as error:  # it decides nothing but how fast the rest is read
        log.info("The first records were not looked at: %s", error)
        return Glimpse()


def _first(lines: Sequence[str]) -> list[str]:
    """So many that a proxy with gRPC's usual limit of 4 MiB lets them through."""
    sizes = itertools.accumulate(len(line.encode()) for line in lines)
    return [line for line, size in zip(lines, sizes, strict=True) if size <= _MOST_BYTES]


def _asked(
    session: Session, lines: Sequence[str], schema: TableSchema, quick: QuickRecords | None, *, keys: bool
) -> Glimpse:
    clean, strange = CLEAN if quick else "false", "CAST(array() AS ARRAY<STRING>)"
    if keys:  # a record may have thousands
        found = f"slice({strange_keys(schema.columns)}, 1, {MOST_KEYS + 1})"
        strange = f"CASE WHEN NOT {clean} THEN {found} ELSE {strange} END"
    with spark_errors(session.endpoint):
        rows = session.spark.createDataFrame([(line,) for line in lines], "value string")
        rows = through(quick.layers() if quick else (), rows)
        told = rows.selectExpr(f"{clean} AS clean", f"{strange} AS strange").collect()
    unknown = dict.fromkeys(key for row in told for key in row["strange"])
    return Glimpse(
        sum(row["clean"] for row in told) / len(told),
        sum(bool(row["strange"]) for row in told) / len(told),
        tuple(unknown)[: MOST_KEYS + 1],
        sum(len(line.encode()) for line in lines) / len(lines),
    )
