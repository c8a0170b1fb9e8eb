"""Options for the fields of an ingestion, written once: `load` and `preview` offer them, and know which were given."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import wraps
from typing import Annotated, Any

import typer

from app.errors import InvalidInput


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
    FAIL = "fail"


class OnChange(StrEnum):
    IGNORE = "ignore"
    APPEND = "append"
    FAIL = "fail"


class OnError(StrEnum):
    CONTINUE = "continue"
    SKIP_FILE = "skip_file"
    FAIL = "fail"


# --- how a text becomes a field's value ------------------------------------------------------


def _same(value: Any) -> Any:
    return value


def _moment(value: str) -> str:
    """A time of ISO 8601; without a zone it is this machine's."""
    try:
        found = datetime.fromisoformat(value)
    except ValueError as error:
        raise InvalidInput(f"{value!r} is not a time.", hint="Write for example 2026-01-31T00:00:00Z.") from error
    return (found if found.tzinfo else found.astimezone()).isoformat()


def _start(value: str) -> str:
    return value if value in {"everything", "now"} else _moment(value)


def _character(value: str) -> str:
    return "\t" if value in {"\\t", "tab"} else value


def _parted(values: Sequence[str]) -> list[str]:
    """`day(at), bucket(16, id)` → two; a comma inside brackets parts nothing."""
    found: list[str] = []
    for value in values:
        depth, part = 0, ""
        for char in value:
            depth += (char == "(") - (char == ")")
            if char == "," and depth == 0:
                found.append(part.strip())
                part = ""
            else:
                part += char
        found.append(part.strip())
    return [part for part in found if part]


def pairs(values: Iterable[str]) -> dict[str, str]:
    """`KEY=VALUE` texts as a mapping. Raises InvalidInput."""
    found: dict[str, str] = {}
    for value in values:
        key, sign, rest = value.partition("=")
        if not sign or not key.strip():
            raise InvalidInput(f"{key!r} is not KEY=VALUE.", hint="Write for example region=eu-central-1.")
        found[key.strip()] = rest
    return found


def _row_columns(values: Sequence[str]) -> dict[str, str | None]:
    return {key: value or None for key, value in pairs(values).items()}


# --- the options -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ShapeOption:
    """`field` is its place in IngestionShape; `read` makes the field's value of what was typed.

    An empty text gives the field its default again, unless `empty_means_something`.
    """

    flags: str
    field: str
    kind: Any
    help: str
    metavar: str | None = None
    read: Callable[[Any], Any] = _same
    empty_means_something: bool = False

    @property
    def unsets(self) -> bool:
        """Whether an empty text takes back what was said before."""
        return self.kind in {str, list[str]} and not self.empty_means_something

    def value_of(self, typed: Any) -> Any:
        """The field's value."""
        if self.unsets and typed in ("", [""]):
            return _default(self.field)
        return self.read(typed.value if isinstance(typed, StrEnum) else typed)

    @property
    def name(self) -> str:
        return self.flags.split("/")[0].removeprefix("--").replace("-", "_")

    @property
    def parameter(self) -> inspect.Parameter:
        text = f"{self.help} '' unsets it." if self.unsets else self.help
        option = typer.Option(self.flags, metavar=self.metavar, help=text)
        return inspect.Parameter(
            self.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[self.kind | None, option]
        )


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
        _moment,
    ),
    ShapeOption(
        "--modified-before",
        "source.modified_before",
        str,
        "Only files modified before this time.",
        "TIME",
        _moment,
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
        _start,
    ),
    ShapeOption(
        "--format", "format.type", FormatName, "Inferred once from the names of the files when it is not given."
    ),
    ShapeOption("--compression", "format.compression", Compression, "`auto`: by the ending of the file's name."),
    ShapeOption("--header/--no-header", "format.header", bool, "CSV: whether the first line holds the names."),
    ShapeOption("--delimiter", "format.delimiter", str, "CSV: between fields; `tab` for a tab.", "CHAR", _character),
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
        "Columns the table lacks: add them, keep their values as JSON, or stop.",
    ),
    ShapeOption(
        "--partition-by",
        "destination.partition_by",
        list[str],
        "Partition of a new table: col, day(at), bucket(16, id), truncate(4, name).",
        "FIELDS",
        _parted,
    ),
    ShapeOption(
        "--property",
        "destination.properties",
        list[str],
        "Iceberg property of a new table; may be repeated.",
        "KEY=VALUE",
        pairs,
        empty_means_something=True,
    ),
    ShapeOption(
        "--row-column",
        "row_columns",
        list[str],
        "Name of a column added to each row (file_id, source_file, ingested_at, rescued_data); empty: switched off.",
        "KEY=NAME",
        _row_columns,
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
    ShapeOption("--cluster", "cluster", str, "--engine auto: the cluster that takes large batches.", "NAME"),
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


def _default(field: str) -> Any:
    from app.schemas.ingestion import IngestionShape

    model: Any = IngestionShape
    *parts, last = field.split(".")
    for part in parts:
        model = model.model_fields[part].annotation
    return model.model_fields[last].get_default()


def _put(given: dict[str, Any], field: str, value: Any) -> None:
    *parts, last = field.split(".")
    for part in parts:
        given = given.setdefault(part, {})
    given[last] = value
