"""What goes to the parsing child and what comes back, as plain JSON values.

One request is one write attempt of one batch. The child has no database, no secrets and no network;
it reads local files (in place, or spooled) and writes local files.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from app.datatypes import Column, TableSchema
from app.values import Twin

# Formats whose bytes we read ourselves; of the others DuckDB or Arrow opens the file by its path.
READ_FROM_PACKS = frozenset({"jsonl", "json"})
WITH_OBJECTS = frozenset({"jsonl", "json", "parquet"})  # which keys a file has, only its records tell


@dataclass(frozen=True, slots=True)
class ParseFile:
    """One file to parse. `local_path` holds the bytes; `path` is the source address for lineage.

    `expected_stat` is `(size, mtime_ns)` for a file read in place: when the file differs before or
    after the read, its outcome is `changed` and none of its rows are kept. None for a spooled copy.
    With an `offset` the bytes are `size` of those of `local_path`, which holds many files: only for formats that are
    READ_FROM_PACKS, and only small ones.
    """

    file_id: int
    path: str
    local_path: str
    size: int
    compression: str  # none, gzip, zstd, bz2: already decided, never `auto`
    expected_stat: tuple[int, int] | None = None
    offset: int | None = None


@dataclass(frozen=True, slots=True)
class RowColumns:
    """Names of the added columns, with their Iceberg field ids; None where one is switched off."""

    file_id: tuple[str, int]
    source_file: tuple[str, int] | None
    ingested_at: tuple[str, int] | None
    rescued_data: tuple[str, int] | None


@dataclass(frozen=True, slots=True)
class ParseLimits:
    memory_bytes: int
    threads: int
    max_output_bytes: int
    max_expansion: int
    max_record_bytes: int
    target_file_bytes: int


@dataclass(frozen=True, slots=True)
class ParseRequest:
    """`schema` are the table's own columns with field ids, without the added row columns; `unknown` says
    what to do with keys or columns that the schema lacks: `add` (report their types, rescue the values),
    `rescue`, `ignore` (no value of theirs is kept), or `fail` (report). `options` are the fields of
    FormatShape that are set.
    """

    files: tuple[ParseFile, ...]
    format: str
    options: dict[str, object]
    schema: TableSchema
    row_columns: RowColumns
    ingested_at: str  # ISO 8601 with zone
    unknown: str
    on_error: str  # continue | skip_file | fail
    max_errors: str  # "10" or "5%"
    output_dir: str
    limits: ParseLimits


@dataclass(frozen=True, slots=True)
class ParsedFile:
    """`state`: SUCCESS, FAILED, SKIPPED or QUARANTINED. A file that is not SUCCESS has no rows in the output.

    Reasons: `changed`, `missing`, `denied`, `truncated`, `undecodable`, `not-this-format`,
    `too-many-errors`, `too-large`, `expansion`, `empty`.
    """

    file_id: int
    state: str
    rows: int = 0
    rescued: int = 0
    rejected: int = 0
    reason: str = ""
    error: str = ""
    blank: int = 0  # of its rows, those in which no column of the table has a value; see `parse_blank`


@dataclass(frozen=True, slots=True)
class NewColumn:
    """A column the schema lacks (or a struct member, by `parent` names), with the type its values showed.

    `records` is how many of those that were read have a value of that name.
    """

    column: Column
    file_id: int
    example: str
    parent: tuple[str, ...] = ()
    records: int = 0


@dataclass(frozen=True, slots=True)
class ParseResult:
    """`data_files` are zstd Parquet with Iceberg field ids on every column, nested ones too.

    `reject_file` is Parquet with the columns of the reject table: file_id bigint, source_file string,
    line bigint (1-based, null when unknown), byte_offset bigint (null when unknown), reason string,
    raw string (cut at 64 KiB). None when nothing was rejected.
    """

    data_files: tuple[str, ...]
    reject_file: str | None
    files: tuple[ParsedFile, ...]
    new_columns: tuple[NewColumn, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class InferRequest:
    """Infer a schema from a bounded sample. Only the first `max_bytes` (decompressed) of the sample are read.

    `output_dir` is a folder for scratch files; empty: the sandbox makes one and removes it.
    """

    files: tuple[ParseFile, ...]
    format: str
    options: dict[str, object]
    max_bytes: int
    sample_rows: int
    limits: ParseLimits
    output_dir: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Which file first gave a column this type; one row per column and type that was seen."""

    column: str
    type: str
    path: str
    example: str


@dataclass(frozen=True, slots=True)
class Outlier:
    """A column that is a string because of `count` of its `total` values; without them it would have `type`."""

    column: str
    type: str
    count: int
    total: int
    path: str  # of the first such value
    example: str

    @property
    def few(self) -> bool:
        """Whether they are more likely flaws than what the column holds."""
        return 0 < self.count <= self.total // 10

    @property
    def sentence(self) -> str:
        """Beside what to type instead."""
        return (
            f"{self.column} is a string because of {self.count:,} of {self.total:,} values, the first"
            f" {self.example[:50]!r} in {self.path}; the others are {self.type}. To have such values rescued instead,"
            f" load into a new table with --schema '{self.column} {self.type}': the other columns come by themselves."
        )


@dataclass(frozen=True, slots=True)
class RejectedSample:
    """Of one file: how many of the `total` records that were looked at would be rejected, and the first of them.

    `line` counts from 1; None where it is not known.
    """

    path: str
    count: int
    total: int
    line: int | None
    reason: str
    raw: str  # how it begins

    @property
    def sentence(self) -> str:
        place = f" in line {self.line}" if self.line is not None else ""
        return (
            f"{self.path}: {self.count:,} of {self.total:,} records would be rejected, the first{place}: {self.reason}:"
            f" {self.raw}"
        )


@dataclass(frozen=True, slots=True)
class InferResult:
    """`rejected` has an entry for each file of the sample that holds such records, `twins` one for each name that is
    left out of the schema because it differs only in case from a column of it.
    """

    schema: TableSchema
    evidence: tuple[Evidence, ...]
    rows: tuple[dict[str, object], ...]  # up to `sample_rows`, as text or JSON values, for preview
    problems: tuple[ParsedFile, ...] = ()
    outliers: tuple[Outlier, ...] = ()
    hints: tuple[str, ...] = ()  # doubts about options: a first load that was not told them is refused
    rejected: tuple[RejectedSample, ...] = ()
    twins: tuple[Twin, ...] = ()
