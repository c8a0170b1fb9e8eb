"""One write attempt on a cluster: rows staged beside main, counted, and staged again without what must not be there.

A staged snapshot (Iceberg: write-audit-publish) is on the table and not of main; only `spark_publish` brings it there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from app.catalog import added, staged
from app.catalog.seen import Held, Seen
from app.errors import CatalogError, CommitConflict, TableChanged
from app.ingest.engines import spark_rows
from app.ingest.engines.cluster_sql import target
from app.ingest.engines.engine_table import EngineTable
from app.ingest.engines.spark_samples import Sampling
from app.ingest.formats.contract import RowColumns
from app.ingest.formats.spark.words import FILE_FLAW
from app.spark import VIEW, Session, identifier, spark_errors
from app.spark.hints import TRY, hint_for
from app.values import Batch, BatchFile, FileOutcome, FileState, SnapshotInfo

STAGING = "write.wap.enabled"
_STAGE = "autoloader.stage"
# Iceberg on Spark takes gzip for a table that does not say it, and so for those of PyIceberg: several times as slow.
_CODEC = "write.parquet.compression-codec"
_CHUNK = 5_000
_REJECTS = pa.schema(
    [
        ("file_id", pa.int64()),
        ("source_file", pa.string()),
        ("line", pa.int64()),
        ("byte_offset", pa.int64()),
        ("reason", pa.string()),
        ("raw", pa.string()),
    ]
)


@dataclass(frozen=True, slots=True)
class Count:
    rows: int = 0
    rescued: int = 0
    rejected: int = 0


@dataclass(frozen=True, slots=True)
class Stage:
    """Stages rows for one batch on one table."""

    session: Session
    table: EngineTable
    batch: Batch
    names: RowColumns

    @property
    def target(self) -> str:
        """The table as Spark names it."""
        return target(self.table.name)

    def append(self, rows: Any, stage: str, properties: Mapping[str, str]) -> SnapshotInfo:
        """Stage the rows; answers the snapshot. `stage` names it among all that were ever staged.

        Where somebody takes the table's property away at that very moment, they are on main: look. Raises TableChanged
        where it is gone already.
        """
        before = self.table.look()
        require_staging(before)
        # Settings are gone with a server that was started anew, and the client sends an operation again by itself: the
        # view is gone then as well, and nothing is written.
        guarded = rows.where(f"(SELECT max(alive) FROM {identifier(self.session.guard)}) = 1")
        self.session.set({"spark.wap.id": str(self.batch.id)})
        with spark_errors(self.session.endpoint, str(self.table.name)):
            writer = guarded.writeTo(self.target)
            if _CODEC not in before.properties:
                writer = writer.option("compression-codec", "zstd")
            for key, value in {**properties, _STAGE: stage}.items():
                writer = writer.option(f"snapshot-property.{key}", value)
            writer.append()
        look = self.table.look()
        found = staged.find(look, _STAGE, stage)
        if found is None:
            raise CatalogError(
                f"Spark staged rows for {self.table.name}, and the table does not show them.", hint="Run again."
            )
        return found

    def rows(self, snapshot: SnapshotInfo) -> Any:
        """A DataFrame of exactly the rows that the snapshot added."""
        with spark_errors(self.session.endpoint, str(self.table.name)):
            reader = self.session.spark.read
            if snapshot.parent_id is None:
                reader = reader.option("snapshot-id", str(snapshot.snapshot_id))
            else:
                reader = reader.option("start-snapshot-id", str(snapshot.parent_id))
                reader = reader.option("end-snapshot-id", str(snapshot.snapshot_id))
            return reader.table(self.target)

    @contextmanager
    def apart(self, rows: Any) -> Iterator[Any]:
        """Rows that were read from the table, for being written to it.

        In one query Spark 4.0 takes the table that it writes to for the one that it reads, with the options of reading,
        and fails over the other options of writing. What a view reads was looked up when the view was made.
        """
        name = f"{VIEW}rows_{uuid4().hex}"
        with spark_errors(self.session.endpoint, str(self.table.name)):
            rows.createOrReplaceTempView(name)
        try:
            yield self.session.spark.table(name)
        finally:
            with suppress(Exception):  # the server forgets it with the session
                self.session.spark.catalog.dropTempView(name)

    def counts(self, snapshot: SnapshotInfo) -> dict[int, Count]:
        """Rows of each file, checked against what the snapshot says that it added.

        Where each data file has rows of one file only, which is so for large ones, its manifests tell; else a scan.
        """
        found = self._by_manifests(snapshot)
        if found is None:
            found = self._by_scan(snapshot)
        counted = sum(count.rows + count.rejected for count in found.values())
        said = int(snapshot.summary.get("added-records", "0"))
        if counted != said:
            raise CatalogError(
                f"Snapshot {snapshot.snapshot_id} of {self.table.name} added {said} rows, and shows {counted}.",
                hint=hint_for(
                    self.session.endpoint, f"Run again; if it stays so, look at the cluster's Iceberg version{TRY}"
                ),
            )
        return found

    def _by_manifests(self, snapshot: SnapshotInfo) -> dict[int, Count] | None:
        look = self.table.look()
        if not isinstance(look, Held) or not self.names.rescued_data:
            return None
        told = added.rows_by(look, snapshot.snapshot_id, self.names.file_id[0], self.names.rescued_data[0])
        if told is None:
            return None
        found: dict[int, Count] = {}
        for key, rows in told.items():
            before = found.get(abs(key), Count())
            if key > 0:
                found[key] = replace(before, rows=rows.rows, rescued=rows.filled)
            else:
                found[-key] = replace(before, rejected=rows.rows)
        return found

    def _by_scan(self, snapshot: SnapshotInfo) -> dict[int, Count]:
        with spark_errors(self.session.endpoint, str(self.table.name)):
            each = self.rows(snapshot).selectExpr(*spark_rows.counts_sql(self.names))
            sums = each.groupBy("file").agg({"good": "sum", "rescued": "sum", "rejected": "sum"})
            return {
                int(row["file"]): Count(int(row["sum(good)"]), int(row["sum(rescued)"]), int(row["sum(rejected)"]))
                for row in sums.collect()
            }

    def flawed_files(self, snapshot: SnapshotInfo, files: Sequence[BatchFile]) -> list[FileOutcome]:
        """Outcomes of files of which a rejected record says that the whole file is not to be loaded."""
        told = self.rows(snapshot).where(spark_rows.rejected(self.names, ()))
        with spark_errors(self.session.endpoint, str(self.table.name)):
            reasons = told.selectExpr(*spark_rows.rejects_sql(self.names)).where(f"startswith(reason, '{FILE_FLAW}')")
            found = {
                int(row["file_id"]): row["reason"].removeprefix(FILE_FLAW).split(":", 2)
                for row in reasons.select("file_id", "reason").distinct().collect()
            }
        return [
            FileOutcome(
                file.file_id, FileState(flaw[0]), reason=flaw[1], error=f"{file.path} cannot be loaded. {flaw[2]}"
            )
            for file in files
            if (flaw := found.get(file.file_id))
        ]

    def write_rejects(self, snapshot: SnapshotInfo, bad: Collection[int], paths: Mapping[int, str], local: Path) -> int:
        """The snapshot's rejected records as a local Parquet file, piece by piece; answers their number."""
        wanted = self.rows(snapshot).where(spark_rows.rejected(self.names, bad))
        total = 0
        with spark_errors(self.session.endpoint, str(self.table.name)), pq.ParquetWriter(local, _REJECTS) as writer:
            for rows in _chunks(wanted.selectExpr(*spark_rows.rejects_sql(self.names)).toLocalIterator()):
                writer.write_table(_reject_rows(rows, paths))
                total += len(rows)
        return total

    def samples(self, snapshot: SnapshotInfo, each: int, among: str = "key") -> pa.Table:
        """`file_id` and `rescued` of rows that show the first `each` values, by file, of every key that was rescued;
        `among` "key, file_id": of every key in every file.
        """
        return Sampling(each, among).of(self.session, self.rows(snapshot), self.names, str(self.table.name)).table

    def drop(self, snapshot_ids: Sequence[int]) -> None:
        """Take away what was staged and nobody publishes. What somebody's commit keeps us from stays for `expire`."""
        for _ in range(3):
            try:
                self.table.drop_staged(snapshot_ids)
            except CommitConflict:
                continue
            return


def require_staging(look: Seen) -> None:
    """Raises TableChanged for a table whose rows would go to main at once."""
    if look.properties.get(STAGING, "").lower() != "true":
        raise TableChanged(
            f"Table {look.name} lost its property {STAGING}: rows would be seen before they are published.",
            hint="It is given back by itself; leave it alone while an ingestion on a cluster runs.",
        )


def _chunks(rows: Iterator[Any]) -> Iterator[list[Any]]:
    held: list[Any] = []
    for row in rows:
        held.append(row)
        if len(held) >= _CHUNK:
            yield held
            held = []
    if held:
        yield held


def _reject_rows(rows: Sequence[Any], paths: Mapping[int, str]) -> pa.Table:
    ids = [int(row["file_id"]) for row in rows]
    nothing = pa.nulls(len(rows), pa.int64())
    columns = [
        pa.array(ids, pa.int64()),
        pa.array([paths[one] for one in ids], pa.string()),
        nothing,
        nothing,
        pa.array([row["reason"] for row in rows], pa.string()),
        pa.array([row["raw"] for row in rows], pa.string()),
    ]
    return pa.Table.from_arrays(columns, schema=_REJECTS)
