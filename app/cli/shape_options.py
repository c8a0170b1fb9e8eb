"""Options for the fields of an ingestion, written once: `load` and `preview` offer them, and know which were given."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from enum import StrEnum
from functools import wraps
from typing import Any

from app.cli import shape_texts
from app.cli.shape_option import ShapeOption


class FormatName(StrEnum):
    JSONL = "jsonl"
    JSON = "json"
    CSV = "csv"
    TSV = "tsv"
    PARQUET = "parquet"


class Compression(StrEnum):
    AUTO = "auto"
    NONE = "none"
    GZIP = "gzip"
    ZSTD = "zstd"
    BZ2 = "bz2"


class OnNewColumns(StrEnum):
    ADD_COLUMNS = "add_columns"
    RESCUE = "rescue"
    IGNORE = "ignore"
    FAIL = "fail"


class OnChange(StrEnum):
    IGNORE = "ignore"
    APPEND = "append"
    FAIL = "fail"


class OnError(StrEnum):
    CONTINUE = "continue"
    SKIP_FILE = "skip_file"
    FAIL = "fail"


OPTIONS: tuple[ShapeOption, ...] = (
    ShapeOption("--connection", "source.connection", str, "Connection with the store's options and secret.", "NAME"),
    ShapeOption(
        "--include",
        "source.include",
        list[str],
        "Glob below the source; may be repeated. None: every file.",
        "GLOB",
    ),
    ShapeOption(
        "--exclude",
        "source.exclude",
        list[str],
        "Glob below the source that wins over --include; may be repeated.",
        "GLOB",
    ),
    ShapeOption("--min-size", "source.min_size", str, "Smallest file, for example 1 or 10 KiB.", "SIZE"),
    ShapeOption("--max-size", "source.max_size", str, "Largest file, for example 5 GB.", "SIZE"),
    ShapeOption(
        "--modified-after",
        "source.modified_after",
        str,
        "Only files modified at or after this time.",
        "TIME",
        shape_texts.moment,
    ),
    ShapeOption(
        "--modified-before",
        "source.modified_before",
        str,
        "Only files modified before this time.",
        "TIME",
        shape_texts.moment,
    ),
    ShapeOption(
        "--min-age",
        "source.min_age_seconds",
        float,
        "Files younger than this wait for the next run.",
        "SECONDS",
    ),
    ShapeOption("--hidden/--no-hidden", "source.hidden", bool, "Also take what begins with _ or a dot."),
    ShapeOption(
        "--start",
        "source.start",
        str,
        "`everything`, `now` (only what comes after the ingestion was made), or a time.",
        "START",
        shape_texts.start,
    ),
    ShapeOption(
        "--format", "format.type", FormatName, "Inferred once from the names of the files when it is not given."
    ),
    ShapeOption("--compression", "format.compression", Compression, "`auto`: by the ending of the file's name."),
    ShapeOption("--header/--no-header", "format.header", bool, "CSV: whether the first line holds the names."),
    ShapeOption(
        "--delimiter", "format.delimiter", str, "CSV: between fields; `tab` for a tab.", "CHAR", shape_texts.character
    ),
    ShapeOption(
        "--quote", "format.quote", str, "CSV: around fields; empty for none.", "CHAR", empty_means_something=True
    ),
    ShapeOption("--escape", "format.escape", str, "CSV: before a quote inside quotes.", "CHAR"),
    ShapeOption("--encoding", "format.encoding", str, "CSV and JSON: utf-8, utf-16 or latin-1.", "NAME"),
    ShapeOption("--null", "format.null_values", list[str], "CSV: a text that means null; may be repeated.", "TEXT"),
    ShapeOption("--comment", "format.comment", str, "CSV: lines that begin with this are left out.", "TEXT"),
    ShapeOption("--skip-lines", "format.skip_lines", int, "CSV: lines before the header.", "COUNT"),
    ShapeOption("--date-format", "format.date_format", str, "strptime format of dates; ISO 8601 without it.", "FORMAT"),
    ShapeOption(
        "--timestamp-format",
        "format.timestamp_format",
        str,
        "strptime format of timestamps; ISO 8601 without it.",
        "FORMAT",
    ),
    ShapeOption(
        "--schema",
        "columns.columns",
        str,
        "The columns, such as 'id bigint, at timestamptz'; inferred once without it.",
        "COLUMNS",
    ),
    ShapeOption(
        "--on-new-columns",
        "columns.on_new_columns",
        OnNewColumns,
        "Columns the table lacks: add them, keep their values as JSON, ignore (lose) them, or stop.",
    ),
    ShapeOption(
        "--partition-by",
        "destination.partition_by",
        list[str],
        "Partition of a new table: col, day(at), bucket(16, id), truncate(4, name).",
        "FIELDS",
        shape_texts.parted,
    ),
    ShapeOption(
        "--property",
        "destination.properties",
        list[str],
        "Iceberg property of a new table; may be repeated.",
        "KEY=VALUE",
        shape_texts.pairs,
        empty_means_something=True,
    ),
    ShapeOption(
        "--row-column",
        "row_columns",
        list[str],
        "Name of a column added to each row (file_id, source_file, ingested_at, rescued_data); empty: switched off.",
        "KEY=NAME",
        shape_texts.row_columns,
        empty_means_something=True,
    ),
    ShapeOption(
        "--on-change",
        "policies.on_change",
        OnChange,
        "A loaded file changed: ignore it, append the new version too, or stop.",
    ),
    ShapeOption(
        "--on-error",
        "policies.on_error",
        OnError,
        "Records that cannot be parsed: reject them, skip their file, or stop.",
    ),
    ShapeOption(
        "--max-errors",
        "policies.max_errors",
        str,
        "Rejected records allowed before skip_file or fail act.",
        "10|5%",
    ),
    ShapeOption(
        "--max-attempts",
        "policies.max_attempts",
        int,
        "Attempts before a failing file is quarantined.",
        "COUNT",
    ),
    ShapeOption(
        "--batch-max-files",
        "policies.batch_max_files",
        int,
        "Most files in one batch, that is in one snapshot.",
        "COUNT",
    ),
    ShapeOption(
        "--batch-max-bytes",
        "policies.batch_max_bytes",
        str,
        "Most source bytes in one batch, for example 500 MB.",
        "SIZE",
    ),
    ShapeOption(
        "--allow-overlap/--no-allow-overlap",
        "policies.allow_overlap",
        bool,
        "Allow a source that overlaps another ingestion's into the same table.",
    ),
    ShapeOption(
        "--embedded-max-files",
        "policies.embedded_max_files",
        int,
        "--engine auto: a batch of more files goes to the cluster.",
        "COUNT",
    ),
    ShapeOption(
        "--embedded-max-bytes",
        "policies.embedded_max_bytes",
        str,
        "--engine auto: a batch of more source bytes goes to the cluster, for example 1 GiB.",
        "SIZE",
    ),
    ShapeOption(
        "--engine",
        "engine",
        str,
        "`embedded`, the name of a cluster, or `auto`: small batches embedded, large ones on --cluster.",
        "NAME",
    ),
    ShapeOption(
        "--cluster",
        "cluster",
        str,
        "The cluster that loads; with --engine auto, only large batches.",
        "NAME",
    ),
    ShapeOption(
        "--name",
        "name",
        str,
        "Name of the ingestion; without it, the table's. Of an ingestion that exists: its new name.",
        "NAME",
        empty_means_something=True,
    ),
)


def shape_options(*parts: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command the options of these parts of the shape; it gets the fields that were set as `given`."""
    chosen = [option for option in OPTIONS if option.field.partition(".")[0] in parts]

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        own = inspect.signature(command, eval_str=True)

        @wraps(command)
        def wrapped(**values: Any) -> Any:
            given: dict[str, Any] = {}
            for option in chosen:
                value = values.pop(option.name)
                if value is not None and value != []:
                    _put(given, option.field, option.value_of(value))
            return command(given=given, **values)

        kept = [
            item.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for item in own.parameters.values()
            if item.name != "given"
        ]
        wrapped.__signature__ = own.replace(  # type: ignore[attr-defined] # what Typer reads
            parameters=[*kept, *(option.parameter for option in chosen)]
        )
        return wrapped

    return decorate


def _put(given: dict[str, Any], field: str, value: Any) -> None:
    *parts, last = field.split(".")
    for part in parts:
        given = given.setdefault(part, {})
    given[last] = value
