"""Where a cluster's rejected records go before they are published, and how they are (protocol, point 7).

Through a catalog of ours: a Parquet file at the reject table's location, appended by our own commit. Where a cluster
alone reaches the catalog: a snapshot staged on the reject table under the batch's id, and cherry-picked.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from app.catalog import rejects, staged
from app.catalog.table import Table
from app.errors import CommitConflict, CommitUnknown, FileMissing, LandingIncomplete, TableChanged
from app.ingest.engines import embedded_publish, publishing, spark_rows
from app.ingest.engines.cluster_table import ClusterLook, ClusterTable
from app.ingest.engines.engine_table import EngineTable
from app.ingest.engines.spark_publish import cherry_pick
from app.ingest.engines.spark_stage import STAGING, Stage
from app.ingest.landing import ATTEMPT, BATCH_ID, INGESTION_ID, rejects_landed
from app.spark import Session, literal, spark_errors
from app.values import Batch, RejectFile, RejectSample, SnapshotInfo

_SHOWN_EACH, _SHOWN_REJECTS = 3, 300  # rejected records named in messages: of a file, and of a batch
_SNAPSHOT = "snapshot:"  # begins what a RejectFile's path is where it is a staged snapshot


@dataclass(frozen=True, slots=True)
class Rejected:
    """What an attempt staged first, which of its files' rejected records are not kept, and how all files are called."""

    first: SnapshotInfo
    left_out: Collection[int]
    paths: Mapping[int, str]
    attempt: str
    at: datetime


class Rejects(Protocol):
    """The rejected records of one table's batches."""

    def keep(self, stage: Stage, rejected: Rejected) -> tuple[RejectFile | None, tuple[RejectSample, ...]]:
        """Bring them to the reject table, published by nobody yet; None where there are none. And the first of them."""

    def publish(self, batch: Batch, file: RejectFile, attempts: int) -> None:
        """Once, whoever tries. Raises FileMissing, LandingIncomplete, CommitConflict, CommitUnknown."""


def rejects_of(table: EngineTable) -> Rejects:
    if isinstance(table, ClusterTable):
        return StagedRejects(table)
    if not isinstance(table, Table):
        raise TypeError(table)
    return FileRejects(table)


@dataclass(frozen=True, slots=True)
class FileRejects:
    table: Table

    def keep(self, stage: Stage, rejected: Rejected) -> tuple[RejectFile | None, tuple[RejectSample, ...]]:
        with TemporaryDirectory(prefix="autoloader-rejects-", ignore_cleanup_errors=True) as folder:
            local = Path(folder) / "rejects.parquet"
            if not stage.write_rejects(rejected.first, rejected.left_out, rejected.paths, local):
                return None, ()
            look = rejects.ensure(self.table.catalog, self.table.name)
            path = rejects.write(look, [local], stage.batch, rejected.attempt, rejected.at)
            return (
                RejectFile(path, look.state.uuid, look.state.head),
                rejects.first([local], _SHOWN_EACH, _SHOWN_REJECTS),
            )

    def publish(self, batch: Batch, file: RejectFile, attempts: int) -> None:
        if file.path.startswith(_SNAPSHOT):
            raise _of_the_other_way(file, self.table.rejects)
        embedded_publish.publish_rejects(self.table, batch, file, attempts)


@dataclass(frozen=True, slots=True)
class StagedRejects:
    table: ClusterTable

    def keep(self, stage: Stage, rejected: Rejected) -> tuple[RejectFile | None, tuple[RejectSample, ...]]:
        table, look = self.table.rejects, self._ensure()
        # Snapshots that are staged and forgotten again would make an empty history uncertain.
        state = publishing.begin(table, 1, always=True) if look.state.head is None else look.state
        rows = self._rows(stage, rejected)
        with spark_errors(stage.session.endpoint, str(table.name)):
            ranked = rows.selectExpr("*", "row_number() OVER (PARTITION BY file_id ORDER BY raw) AS place")
            first = [row.asDict() for row in ranked.where(f"place <= {_SHOWN_EACH}").limit(_SHOWN_REJECTS).collect()]
        if not first:
            return None, ()
        batch = stage.batch
        said = {BATCH_ID: str(batch.id), INGESTION_ID: str(batch.ingestion_id), ATTEMPT: rejected.attempt}
        made = Stage(stage.session, table, batch, stage.names).append(rows, f"{rejected.attempt}.rejects", said)
        if staged.is_published(table.look(), made.snapshot_id):
            raise TableChanged(
                f"Rejected records of batch {batch.id} are in {table.name} before their batch is: its property"
                f" {STAGING} was taken away while they were written.",
                hint=f"Delete the rows of this batch_id, and leave the property alone: {batch.id}",
            )
        file = RejectFile(f"{_SNAPSHOT}{made.snapshot_id}", state.uuid, state.head)
        return file, tuple(rejects.sample(row) for row in first)

    def publish(self, batch: Batch, file: RejectFile, attempts: int) -> None:
        if not file.path.startswith(_SNAPSHOT):
            raise _of_the_other_way(file, self.table.rejects)
        snapshot_id = int(file.path.removeprefix(_SNAPSHOT))
        lost: CommitConflict | CommitUnknown | None = None
        for attempt in range(attempts):
            look = self._ensure()
            if self._are_in(look, batch, file):
                return
            if not staged.unpublished(look, [snapshot_id]):
                raise FileMissing(
                    f"{look.name} has no staged snapshot {snapshot_id} any more.",
                    hint="Were its snapshots expired, or was the table made again?",
                )
            try:
                cherry_pick(self.table.session(), look.name, snapshot_id)
            except (CommitConflict, CommitUnknown) as error:
                lost = error
                publishing.pause(attempt)
        if not self._are_in(self._ensure(), batch, file):
            raise lost or CommitConflict(
                f"{self.table.rejects.name} took rejects, and does not show them.", hint="Run again."
            )

    def _ensure(self) -> ClusterLook:
        """The reject table, with staging switched on; made when it is not there. Raises as `rejects.ensure`."""
        table = self.table.rejects
        look = table.create(rejects.SCHEMA, (), {STAGING: "true"})
        rejects.require_columns(look, self.table.name)
        if look.properties.get(STAGING) == "true":
            return look
        table.require_properties({STAGING: "true"})
        return table.look()

    def _are_in(self, look: ClusterLook, batch: Batch, file: RejectFile) -> bool:
        """By the table's history; where that cannot tell, by its rows, which takes a scan."""
        landed = rejects_landed(look.lineage, batch, file)
        return look.table.has(f"batch_id = {literal(str(batch.id))}") if landed is None else landed

    def _rows(self, stage: Stage, rejected: Rejected) -> Any:
        """The reject table's columns."""
        told = stage.rows(rejected.first).where(spark_rows.rejected(stage.names, rejected.left_out))
        with spark_errors(stage.session.endpoint, str(self.table.rejects.name)):
            known = _named(stage.session, rejected.paths)
            rows = told.selectExpr(*spark_rows.rejects_sql(stage.names)).join(known, "file_id")
            return rows.selectExpr(
                "file_id",
                "source_file",
                "CAST(NULL AS BIGINT) AS line",
                "CAST(NULL AS BIGINT) AS byte_offset",
                "reason",
                "raw",
                f"{literal(str(stage.batch.id))} AS batch_id",
                f"{literal(str(stage.batch.run_id))} AS run_id",
                f"{literal(rejected.at)} AS ingested_at",
            )


def _named(session: Session, paths: Mapping[int, str]) -> Any:
    return session.spark.createDataFrame(list(paths.items()), "file_id long, source_file string").hint("broadcast")


def _of_the_other_way(file: RejectFile, table: EngineTable) -> LandingIncomplete:
    return LandingIncomplete(
        f"The rejected records of the batch ({file.path}) were kept for {table.name} when its catalog was reached in"
        " another way.",
        hint="Give the catalog's connection back the type that it had, run once, and change it then.",
    )
