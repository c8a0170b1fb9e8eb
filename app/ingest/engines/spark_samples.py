"""Some rescued values of every key, by which new columns are told: of rows that were staged, or are only read."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from app.ingest.engines import spark_rows
from app.ingest.formats.contract import RowColumns
from app.spark import Session, literal, spark_errors

_MOST_SAMPLES = 100_000  # what is not among them is found by the next batch that has it


@dataclass(frozen=True, slots=True)
class Samples:
    """`table` has `file_id` and `rescued`; of the keys in `full` it shows as many values as were asked for."""

    table: pa.Table
    full: frozenset[str]


@dataclass(frozen=True, slots=True)
class Sampling:
    """The first `each` values, by file, of every key; `among` "key, file_id": of every key in every file.

    `only` these keys, in whatever case, where it is not empty.
    """

    each: int
    among: str = "key"
    only: Collection[str] = ()

    def of(self, session: Session, rows: Any, names: RowColumns, what: str) -> Samples:
        """By a job over the rows, which have the table's columns. Raises what `spark_errors` says of `what`."""
        keyed, ranked = spark_rows.samples_sql(names, self.among)
        last = f"CASE WHEN place = {self.each} THEN key END AS full"
        with spark_errors(session.endpoint, what):
            some = rows.where(f"{spark_rows.rescued_name(names)} IS NOT NULL").selectExpr(*keyed).where(self._wanted)
            first = some.selectExpr(*ranked, "key").where(f"place <= {self.each}")
            shown = first.selectExpr("file_id", "rescued", last).groupBy("file_id", "rescued")
            found = shown.agg({"full": "collect_set"}).limit(_MOST_SAMPLES).collect()
        ids, texts = [row["file_id"] for row in found], [row["rescued"] for row in found]
        table = pa.table({"file_id": pa.array(ids, pa.int64()), "rescued": pa.array(texts, pa.string())})
        return Samples(table, frozenset(key for row in found for key in row["collect_set(full)"]))

    @property
    def _wanted(self) -> str:
        if not self.only:
            return "true"
        return f"lower(key) IN ({', '.join(f'lower({literal(key)})' for key in self.only)})"
