"""What Iceberg wants to know of a data file, from the footer of the Parquet file: no row is read again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
from pyiceberg.io.pyarrow import (
    DataFileStatistics,
    MetricModeTypes,
    MetricsMode,
    StatisticsCollector,
    compute_statistics_plan,
    data_file_statistics_from_parquet_metadata,
    parquet_path_to_id_mapping,
    pyarrow_to_schema,
)
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.typedef import Record
from pyiceberg.types import DateType, TimestampType, TimestamptzType

from app.catalog.split import Partition
from app.errors import CatalogError


def describe_file(
    metadata: TableMetadata, footer: pq.FileMetaData, location: str, size: int, key: Partition | None
) -> DataFile:
    """The entry for a Parquet file of `size` bytes that will lie at `location`.

    Columns are matched by the field ids in the file. Raises CatalogError for a file whose ids the table lacks.
    """
    inside = pyarrow_to_schema(footer.schema.to_arrow_schema())
    plan = compute_statistics_plan(metadata.schema(), metadata.properties)
    paths = parquet_path_to_id_mapping(inside)
    unknown = sorted(path for path, field_id in paths.items() if field_id not in plan)
    if unknown:
        raise CatalogError(
            f"{location}: the table has no columns for {', '.join(unknown)}.",
            hint="Were they dropped while the batch was written? Run again: it is written anew.",
        )
    statistics = _statistics(footer, plan, paths)
    for field in metadata.schema().fields:
        nulls = statistics.null_value_counts.get(field.field_id, 0)
        if field.required and nulls:
            raise CatalogError(
                f"{nulls} rows have no value for {field.name}, which the table requires.",
                hint="Let the column be null in the table, or correct the files.",
            )
    return DataFile.from_args(
        content=DataFileContent.DATA,
        file_path=location,
        file_format=FileFormat.PARQUET,
        partition=key.record if key else Record(),
        file_size_in_bytes=size,
        sort_order_id=None,
        spec_id=metadata.default_spec_id,
        equality_ids=None,
        key_metadata=None,
        **statistics.to_serialized_dict(),
    )


def _statistics(
    footer: pq.FileMetaData, plan: dict[int, StatisticsCollector], paths: dict[str, int]
) -> DataFileStatistics:
    """Bounds of times that Python has no value for (the year 0, the year 10000) are left out, for all such columns."""
    try:
        return data_file_statistics_from_parquet_metadata(footer, plan, paths)
    except (OverflowError, ValueError):
        counts = MetricsMode(MetricModeTypes.COUNTS)
        times = (DateType, TimestampType, TimestamptzType)
        plan = {
            number: replace(one, mode=counts) if isinstance(one.iceberg_type, times) else one
            for number, one in plan.items()
        }
        return data_file_statistics_from_parquet_metadata(footer, plan, paths)


def footer_of(path: Path) -> pq.FileMetaData:
    return pq.read_metadata(path)
