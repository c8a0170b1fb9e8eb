"""Rows that hold nothing, of one staged snapshot; `parse_blank` says why they are sought."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping

from app.catalog import added
from app.catalog.seen import Held
from app.datatypes import DataType, TableSchema
from app.errors import AutoloaderError, SparkInterrupted
from app.ingest.engines.spark_stage import Stage
from app.ingest.formats.contract import WITH_OBJECTS
from app.schemas.ingestion import IngestionShape
from app.spark import identifier, spark_errors
from app.values import SnapshotInfo

log = logging.getLogger(__name__)


def blank_rows(stage: Stage, snapshot: SnapshotInfo, shape: IngestionShape, schema: TableSchema) -> Mapping[int, int]:
    """The number of blank rows by file id, where there are some and `shape` leaves out unknown keys of objects;
    `schema` are the columns that files bring. Nothing that is loaded rests on it: what cannot be counted, is not.
    Raises SparkInterrupted.
    """
    if shape.columns.on_new_columns != "ignore" or shape.format.type not in WITH_OBJECTS:
        return {}
    try:
        return _counted(stage, snapshot, schema)
    except SparkInterrupted:
        raise
    except AutoloaderError as error:
        log.info("Blank rows of batch %s could not be counted: %s", stage.batch.id, error)
        return {}


def _counted(stage: Stage, snapshot: SnapshotInfo, schema: TableSchema) -> Mapping[int, int]:
    """Where manifests say that each data file has a column without a null, nothing is read. Else it is one query, for
    which Iceberg leaves out such data files by itself.
    """
    look = stage.table.look()
    plain = [column.name for column in schema if not column.type.nested]
    if isinstance(look, Held) and added.filled(look, snapshot.snapshot_id, plain):
        return {}
    key, rescued = identifier(stage.names.file_id[0]), stage.names.rescued_data
    leaves = [leaf for column in schema for leaf in _leaves((column.name,), column.type)]
    leaves += [identifier(rescued[0])] if rescued else []
    blank = " AND ".join(f"{leaf} IS NULL" for leaf in leaves) or "true"
    with spark_errors(stage.session.endpoint, str(stage.table.name)):
        rows = stage.rows(snapshot).where(blank).selectExpr(f"{key} AS file")
        return {int(row["file"]): int(row["count"]) for row in rows.groupBy("file").count().collect()}


def _leaves(path: tuple[str, ...], kind: DataType) -> Iterator[str]:
    """SQL: the value, or those of a struct, at any depth; a struct of nulls holds nothing."""
    if kind.name != "struct":
        yield identifier(*path)
    for member in kind.fields:
        yield from _leaves((*path, member.name), member.type)
