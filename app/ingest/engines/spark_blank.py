"""Rows in which no column of the table has a value, of one staged snapshot; `parse_blank` says why they are sought."""

from __future__ import annotations

from collections.abc import Mapping

from app.catalog import added
from app.catalog.seen import Held
from app.datatypes import TableSchema
from app.ingest.engines.spark_stage import Stage
from app.ingest.formats.contract import WITHOUT_HEADER
from app.schemas.ingestion import IngestionShape
from app.spark import identifier, spark_errors
from app.values import SnapshotInfo


def blank_rows(stage: Stage, snapshot: SnapshotInfo, shape: IngestionShape, schema: TableSchema) -> Mapping[int, int]:
    """The number of blank rows by file id, where there are some and `shape` leaves out unknown keys of files without a
    header; `schema` are the columns that files bring.

    Where manifests say that each data file has a column without a null, nothing is read. Else it is one query, for
    which Iceberg leaves out such data files by itself.
    """
    if shape.columns.on_new_columns != "ignore" or shape.format.type not in WITHOUT_HEADER or not schema.columns:
        return {}
    look = stage.table.look()
    plain = [column.name for column in schema if not column.type.nested]
    if isinstance(look, Held) and added.filled(look, snapshot.snapshot_id, plain):
        return {}
    key = identifier(stage.names.file_id[0])
    rescued = stage.names.rescued_data
    names = [*schema.names, rescued[0]] if rescued else schema.names
    blank = " AND ".join(f"{identifier(name)} IS NULL" for name in names)
    with spark_errors(stage.session.endpoint, str(stage.table.name)):
        rows = stage.rows(snapshot).where(blank).selectExpr(f"{key} AS file")
        return {int(row["file"]): int(row["count"]) for row in rows.groupBy("file").count().collect()}
