"""The shape of an ingestion as people write it: YAML, CLI and API share it."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from app.datatypes import can_be_named, parse_schema
from app.schemas.table_name import name_parts

FormatName = Literal["jsonl", "json", "csv", "tsv", "parquet"]
Compression = Literal["auto", "none", "gzip", "zstd", "bz2"]

_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}


def parse_size(value: object) -> object:
    """Bytes from `1048576`, `"1 MiB"` or `"500 MB"`."""
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"\s*(\d{1,19}(?:\.\d{1,9})?)\s*([A-Za-z]*)\s*", value)
    if not match or match.group(2).lower() not in _UNITS:
        message = f"{value!r} is not a size; write it like 500 MB or 1 GiB."
        raise ValueError(message)
    return int(float(match.group(1)) * _UNITS[match.group(2).lower()])


Size = Annotated[int, BeforeValidator(parse_size), Field(ge=0, lt=2**63)]  # a database counts no further
Seconds = Annotated[float, Field(ge=0, le=10**9)]  # a timedelta takes no more


class Shape(BaseModel):
    """Unknown fields are refused: a typing error must not be a silent default."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _storable(cls, value: object) -> object:
        """PostgreSQL stores no text with a NUL character in it."""
        texts = value if isinstance(value, list | tuple) else (value,)
        texts = (*value, *value.values()) if isinstance(value, dict) else texts
        if any(isinstance(text, str) and "\x00" in text for text in texts):
            message = "a text must not hold a NUL character"
            raise ValueError(message)
        return value


class SourceShape(Shape):
    """Where the files are and which of them count."""

    url: str = Field(description="Folder, file, or s3://, az://, gs:// address; may end in a glob.")
    connection: str | None = Field(default=None, description="Connection with the store's options and secret.")
    include: tuple[str, ...] = Field(default=(), description="Globs, relative to the url; empty: every file.")
    exclude: tuple[str, ...] = Field(default=(), description="Globs, relative to the url, that win over include.")
    min_size: Size | None = Field(default=None, description="Smallest file, bytes.")
    max_size: Size | None = Field(default=None, description="Largest file, bytes.")
    modified_after: datetime | None = Field(default=None, description="Only files modified at or after this time.")
    modified_before: datetime | None = Field(default=None, description="Only files modified before this time.")
    min_age_seconds: Seconds | None = Field(default=None, description="Files younger than this wait a run.")
    hidden: bool = Field(default=False, description="Also take files and folders that begin with `_` or `.`.")
    start: Literal["everything", "now"] | datetime = Field(
        default="everything", description="`everything`, `now` (only what is modified after creation), or a time."
    )

    @field_validator("modified_after", "modified_before", "start")
    @classmethod
    def _zoned(cls, value: object) -> object:
        if isinstance(value, datetime) and value.tzinfo is None:
            message = "a time needs its zone, for example 2026-01-31T00:00:00Z"
            raise ValueError(message)
        return value


class FormatShape(Shape):
    """How the bytes are read. Options that do not belong to the format are refused."""

    type: FormatName = Field(description="jsonl (JSON lines), json (array or object), csv, tsv, parquet.")
    compression: Compression = Field(default="auto", description="`auto`: by the file name's ending.")
    # csv and tsv
    header: bool | None = Field(default=None, description="CSV: the first line holds the names (default true).")
    delimiter: str | None = Field(default=None, description="CSV: between fields (default `,`; tsv: tab).")
    quote: str | None = Field(default=None, description='CSV: around fields (default `"`; empty: none).')
    escape: str | None = Field(default=None, description="CSV: before a quote inside quotes (default: the quote).")
    encoding: str | None = Field(default=None, description="CSV and JSON: utf-8, utf-16, latin-1 (default utf-8).")
    null_values: tuple[str, ...] | None = Field(default=None, description="CSV: texts that mean null (default: empty).")
    comment: str | None = Field(default=None, description="CSV: lines that begin with this are left out.")
    skip_lines: int | None = Field(
        default=None, ge=0, lt=2**31, description="CSV: lines before the header (default 0)."
    )
    date_format: str | None = Field(default=None, description="strptime format of dates (default ISO 8601).")
    timestamp_format: str | None = Field(default=None, description="strptime format of timestamps (default ISO 8601).")


class DestinationShape(Shape):
    """The Iceberg table, made when it does not exist."""

    table: str = Field(description="`namespace.table` or `catalog.namespace.table`.")
    partition_by: tuple[str, ...] = Field(
        default=(), description="Partition of a new table: `col`, `day(at)`, `bucket(16, id)`, `truncate(4, name)`."
    )
    properties: dict[str, str] = Field(default_factory=dict, description="Iceberg properties of a new table.")

    @field_validator("table")
    @classmethod
    def _named(cls, value: str) -> str:
        if name_parts(value) is None:
            message = (
                f"{value!r} is not a table name; write namespace.table or catalog.namespace.table,"
                " each of letters, digits and _"
            )
            raise ValueError(message)
        return value


class SchemaShape(Shape):
    """The columns, and what happens when files bring others."""

    columns: str | None = Field(default=None, description="`id bigint, at timestamptz, …`; empty: inferred once.")
    on_new_columns: Literal["add_columns", "rescue", "ignore", "fail"] = Field(
        default="add_columns",
        description="add_columns: the table gets them; rescue: kept as JSON; ignore: lost; fail: stop.",
    )

    @field_validator("columns")
    @classmethod
    def _parses(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if value and not can_be_named(value):
            message = "a name in it holds a character that cannot be stored (NUL, or half of one)"
            raise ValueError(message)
        return str(parse_schema(value))


class PolicyShape(Shape):
    """What happens with what is not right."""

    on_change: Literal["ignore", "append", "fail"] = Field(
        default="ignore", description="A loaded file changed: ignore it, append the new version too, or stop."
    )
    on_error: Literal["continue", "skip_file", "fail"] = Field(
        default="continue", description="Records that cannot be parsed: reject them, skip their file, or stop."
    )
    max_errors: str = Field(
        default="0", description="Rejected records allowed before skip_file or fail act: `10` or `5%`."
    )
    max_attempts: int | None = Field(
        default=None, gt=0, lt=2**31, description="Attempts before a failing file is quarantined."
    )
    batch_max_files: int | None = Field(default=None, gt=0, lt=2**31, description="Most files in one batch.")
    batch_max_bytes: Size | None = Field(default=None, gt=0, description="Most source bytes in one batch.")
    embedded_max_files: int | None = Field(
        default=None, gt=0, lt=2**31, description="engine: auto: a batch of more files goes to the cluster."
    )
    embedded_max_bytes: Size | None = Field(
        default=None, gt=0, description="engine: auto: a batch of more source bytes goes to the cluster."
    )
    allow_overlap: bool = Field(
        default=False, description="Allow a source that overlaps another ingestion's into the same table."
    )

    @field_validator("max_errors", mode="before")
    @classmethod
    def _threshold(cls, value: object) -> str:
        text = str(value).strip()
        if not re.fullmatch(r"\d+|\d+(\.\d+)?\s*%", text):
            message = f"{text!r} is not a threshold; write a number of records or a percentage, such as 10 or 5%"
            raise ValueError(message)
        return text


class RowColumnsShape(Shape):
    """Names of the columns added to each row; null switches one off. `file_id` always stays."""

    file_id: str = Field(default="_file_id", min_length=1, description="The ledger's key of the row's file (bigint).")
    source_file: str | None = Field(default="_source_file", description="Path of the row's file (string).")
    ingested_at: str | None = Field(default="_ingested_at", description="When the row was written (timestamptz).")
    rescued_data: str | None = Field(default="_rescued_data", description="What did not fit, as JSON (string).")

    @field_validator("file_id", mode="before")
    @classmethod
    def _stays(cls, value: object) -> object:
        if not value:
            message = "it cannot be switched off: it tells the file of each row; give it another name instead"
            raise ValueError(message)
        return value


class ScheduleShape(Shape):
    """When it runs by itself: one of `cron`, `interval_seconds` and `rrule`."""

    cron: str | None = Field(default=None, description="Cron line of five fields, such as `*/15 * * * *`.")
    interval_seconds: Seconds | None = Field(default=None, ge=1, description="Seconds between two runs.")
    rrule: str | None = Field(default=None, description="iCalendar rule, such as `FREQ=DAILY;BYHOUR=3`.")
    timezone: str = Field(default="UTC", description="IANA name of the zone that cron and rrule are meant in.")

    @model_validator(mode="after")
    def _one(self) -> ScheduleShape:
        if sum(given is not None for given in (self.cron, self.interval_seconds, self.rrule)) != 1:
            message = "give one of cron, interval_seconds and rrule"
            raise ValueError(message)
        return self

    @field_validator("timezone")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError):
            message = f"{value!r} is not a time zone; write it like Europe/Berlin"
            raise ValueError(message) from None
        return value


class ArrivalShape(Shape):
    """Runs when files arrive. Whatever tells of them is a hint: the listing stays the truth."""

    poll_seconds: Seconds | None = Field(
        default=None, gt=0, description="List the source this often, and run only when something is new."
    )
    notify: bool = Field(default=False, description="Take events at the hook `POST …/notify`.")
    queue: str | None = Field(default=None, description="URL of an SQS queue whose events are taken.")
    queue_connection: str | None = Field(
        default=None, description="Connection (s3) with the queue's credentials (default: the source's)."
    )
    quiet_seconds: float = Field(
        default=5.0, ge=0, le=3600, description="Wait until no event came for this long, at most ten times as long."
    )

    @field_validator("queue")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"https?://[^\s/?#@]+/[^\s?#@]+", value):
            message = (
                f"{value!r} is no queue; write its URL, like https://sqs.eu-central-1.amazonaws.com/123456789012/new"
            )
            raise ValueError(message)
        return value


class IngestionShape(Shape):
    """One ingestion."""

    name: str = Field(min_length=1, max_length=200, description="Unique name, for people.")
    source: SourceShape
    format: FormatShape
    destination: DestinationShape
    engine: str = Field(
        default="embedded",
        description="`embedded`, the name of a cluster, or `auto`: small batches embedded, large ones on `cluster`.",
    )
    cluster: str | None = Field(
        default=None,
        description="With `engine: auto` the cluster that takes large batches; without an `engine`, the engine itself.",
    )
    columns: SchemaShape = Field(default_factory=SchemaShape)
    policies: PolicyShape = Field(default_factory=PolicyShape)
    row_columns: RowColumnsShape = Field(default_factory=RowColumnsShape)
    schedule: ScheduleShape | None = Field(default=None, description="When it runs by itself.")
    arrival: ArrivalShape | None = Field(default=None, description="Whether it runs when files arrive.")
    work_queue: Literal["auto", "default", "high_memory"] = Field(
        default="auto",
        description="The work queue of its runs; the settings name both. `auto`: high_memory where a batch that is"
        " loaded embedded may be larger than HIGH_MEMORY_BATCH_BYTES.",
    )
    paused: bool = Field(default=False, description="A paused ingestion is not run.")

    @field_validator("name")
    @classmethod
    def _no_id(cls, value: str) -> str:
        """An ingestion is found by name or id: a name that is another one's id would hide that one."""
        try:
            UUID(value)
        except ValueError:
            return value
        message = "a name must not look like an id"
        raise ValueError(message)
