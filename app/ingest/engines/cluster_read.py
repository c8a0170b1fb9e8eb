"""Looking into a table that a cluster alone reaches: its description and rows, read by the cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from app.catalog import read
from app.catalog.read import Description, Rows
from app.errors import NotFound, NotOffered
from app.ingest.engines import cluster_sql
from app.ingest.engines.cluster_table import ClusterTable
from app.spark import Session, spark_errors

_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class ClusterReader:
    """Of one table."""

    table: ClusterTable

    def describe(self) -> Description:
        return read.describe(self.table.look())

    def head(self, count: int, snapshot_id: int | None = None) -> Rows:
        """The first rows that the cluster gives, of that snapshot. Raises NotFound for one that is not there."""
        self._require(snapshot_id)
        with self._opened() as session:
            return _rows(session.arrow(self._read(session, snapshot_id).limit(count)), count)

    def sql(
        self, query: str, snapshot_id: int | None = None, *, most: int = 1_000, scratch: Path | None = None
    ) -> Rows:
        """Always raises NotOffered: the cluster's SQL reaches more than this table."""
        del query, snapshot_id, most, scratch
        raise NotOffered(
            f"{self.table.name} is reached by a cluster alone, and SQL of yours would run there with all its rights.",
            hint=f"Ask the cluster itself; the first rows: autoloader table head {self.table.name}",
        )

    def ours(
        self, query: str, snapshot_id: int | None = None, *, most: int = 1_000, scratch: Path | None = None
    ) -> Rows:
        """The first `most` rows of the answer to a SELECT of our own, in which the table has its last name."""
        del scratch
        self._require(snapshot_id)
        name = self.table.name.table
        with self._opened() as session:
            self._read(session, snapshot_id).createOrReplaceTempView(name)
            try:
                return _rows(session.arrow(session.spark.sql(query).limit(most + 1)), most)
            finally:
                with suppress(Exception):  # the server forgets it with the session
                    session.spark.catalog.dropTempView(name)

    def _require(self, snapshot_id: int | None) -> None:
        if snapshot_id is not None and self.table.look().metadata.snapshot_by_id(snapshot_id) is None:
            raise NotFound(f"{self.table.name} has no snapshot {snapshot_id}.", hint="It may have been expired.")

    def _read(self, session: Session, snapshot_id: int | None) -> Any:
        reader = session.spark.read
        if snapshot_id is not None:
            reader = reader.option("snapshot-id", str(snapshot_id))
        return reader.table(cluster_sql.target(self.table.name))

    @contextmanager
    def _opened(self) -> Iterator[Session]:
        session = self.table.session()
        with session.within(_SECONDS), spark_errors(session.endpoint, str(self.table.name)):
            yield session


def _rows(answer: pa.Table, most: int) -> Rows:
    names = tuple(answer.schema.names)
    found = answer.slice(0, most).to_pylist()
    return Rows(names, tuple(tuple(row[name] for name in names) for row in found), more=answer.num_rows > most)
