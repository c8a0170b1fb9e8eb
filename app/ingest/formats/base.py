"""What a format is to the parsing child: options, rows, rejects, new columns, inference.

A format is one module beside this one with one object that satisfies `Format`; `engines/parse_child.py`
knows them by name. It turns files into SQL; everything after the SELECT is shared (`engines/parse_output.py`):
lineage columns, Parquet, counts per file, the reject file, thresholds, stats before and after.

The child asks in this order:

1. `check(options)` once.
2. `open(job)` once, for all files that exist, can be read and are unchanged.
3. `reading.rows(files)`: one streaming SELECT over these files; it is copied to Parquet.
   Called again with fewer files when the copy failed because of one of them (see "Errors").
4. `reading.rejects(files)`, only if a row carried a reason: the same records again, with line and raw text.
   `files` are only those that have at least one.
5. `reading.new_columns(relation)`, only if `job.unknown` is `add` or `fail` and something was rescued.
6. `reading.close()`.

**The SELECT of `rows`** has one column for each column of `job.schema`, in that order, under exactly that name
(`duckdb_name`), in exactly that DuckDB type (`duckdb_type`), followed by the columns named here:

    FILE     BIGINT   the file's `file_id`
    RESCUED  VARCHAR  null, or the text of a JSON object: what did not fit, by column name
                      (dotted path inside a struct), and keys the schema lacks, by their own name
    REJECT   VARCHAR  null, or why the record was rejected: a stable word, then optionally `: ` and a sentence.
                      The other columns of such a row are ignored.
                      A required column that is null rejects its record: `null-in-required: <column>`.

The shared writer decides what becomes of RESCUED when the user has switched that column off (the record is
rejected, so that nothing is lost): a format always fills it. Order of rows is not kept. The SELECT must stream:
no window, no sort, no join but with small tables. It may mention objects that `rows` registered on `job.connection`.

**Errors.** A format never raises for bad content. It calls `job.fail(file, reason, error)`, at any time before the
SELECT is finished (while it streams, too): the file's rows are then taken out of the output again, so that it is
loaded whole or not at all. When DuckDB itself raises while copying, the child looks for the culprit: first by a safe
path (`job.safe_path`) in the message, else by halving the list, each time copying to nowhere; the culprits fail with
`reading.blame(file, error)`'s reason, and the rest is copied anew.

**Names of files** may hold quotes, newlines and glob characters, and DuckDB expands globs: pass `job.safe_path(file)`
to SQL, never `file.local_path`. For DuckDB, `FILE` comes from `filename`: the stem of a safe path is the file id
(`file_id_sql`).

**Access.** DuckDB can read only the folders of the files and read and write only below `job.folder`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from app.datatypes import TableSchema, duckdb_name
from app.ingest.formats.contract import (
    Evidence,
    InferResult,
    NewColumn,
    ParsedFile,
    ParseFile,
    ParseLimits,
)

if TYPE_CHECKING:
    import duckdb

__all__ = [
    "FILE",
    "RAW_LIMIT",
    "REJECT",
    "RESCUED",
    "TOKEN",
    "Evidence",
    "Format",
    "InferJob",
    "InferResult",
    "Job",
    "NewColumn",
    "ParseFile",
    "ParsedFile",
    "ReadJob",
    "Reading",
    "Verifies",
    "file_id_sql",
]

# They stand beside columns that strangers name: nobody outside this process can guess them.
TOKEN = token_hex(8)
FILE = f"__autoloader_file_{TOKEN}"
RESCUED = f"__autoloader_rescued_{TOKEN}"
REJECT = f"__autoloader_reject_{TOKEN}"
RAW_LIMIT = 64 * 1024  # bytes of a rejected record that are kept


@dataclass
class Job:
    """What reading and inferring share. `folder` is a private, empty folder of the child, below the output folder.

    `failures` is what `fail` was told, by file id; the first word on a file stands.
    """

    connection: duckdb.DuckDBPyConnection
    files: tuple[ParseFile, ...]
    options: Mapping[str, object]
    limits: ParseLimits
    folder: Path
    failures: dict[int, ParsedFile] = field(default_factory=dict)

    def fail(self, file: ParseFile, reason: str, error: str, state: str = "FAILED") -> None:
        """The file cannot be loaded. `reason` is a word of ParsedFile's list; `error` is a sentence that names it."""
        self.failures.setdefault(file.file_id, ParsedFile(file.file_id, state, reason=reason, error=error))

    def safe_path(self, file: ParseFile) -> str:
        """A path to the file's bytes without glob or quote characters: `<folder>/in/<file_id>`, a symbolic link."""
        link = self.folder / "in" / str(file.file_id)
        if not link.is_symlink():
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(Path(file.local_path).absolute())
        return str(link)


@dataclass
class ReadJob(Job):
    """One reading. `schema` lacks the added row columns; `unknown` is `add`, `rescue`, `ignore` or `fail`."""

    schema: TableSchema = field(default_factory=TableSchema)
    unknown: str = "rescue"

    @property
    def ignores(self) -> bool:
        """Whether keys and columns that the schema lacks are left out: they are in no RESCUED."""
        return self.unknown == "ignore"


@dataclass
class InferJob(Job):
    """One inference: at most `max_bytes` decompressed bytes over all files, `sample_rows` rows for the preview."""

    max_bytes: int = 0
    sample_rows: int = 0


class Reading(Protocol):
    """One opened set of files. See the head of this module for when each method is called."""

    def rows(self, files: Sequence[ParseFile]) -> str:
        """The streaming SELECT. May be called several times; each call makes the former ones void."""

    def rejects(self, files: Sequence[ParseFile]) -> str:
        """A SELECT with the columns file_id BIGINT, line BIGINT (1-based, null when unknown), byte_offset BIGINT
        (null when unknown), reason VARCHAR, raw VARCHAR (at most RAW_LIMIT bytes of the record, valid UTF-8).

        Exactly the records of these files whose REJECT was not null in `rows`, and, when `rescued_rejects` was
        called, those whose RESCUED was not null as well.
        """

    def rescued_rejects(self) -> None:
        """The user keeps no rescued data: from now on `rejects` also gives the records whose RESCUED is not null,
        with the reason `does-not-fit: ` and RESCUED's text.
        """

    def new_columns(self, relation: str) -> Sequence[NewColumn]:
        """Columns that the schema lacks, with the type their values showed and the file that first had them.

        `relation` is SQL text to stand after FROM; its columns are file_id BIGINT and rescued VARCHAR (the
        RESCUED text of each row that has one, of good files).
        A key that differs only in case from a column beside it is never a new column: it stays rescued. Of new
        ones that differ only in case from each other all are told, each with its records: other files count, too.
        """

    def blame(self, file: ParseFile, error: str) -> tuple[str, str]:
        """`(reason, sentence)` for a file on which DuckDB failed with `error`."""

    def close(self) -> None:
        """Drop what was registered, give back file handles."""


@runtime_checkable
class Verifies(Protocol):
    """A reading that knows by other means how many records a file holds."""

    def verify(self, file: ParseFile, records: int) -> None:
        """Called once for each file after the SELECT, with its rows and rejects; `job.fail`s a file that lost some."""


class Format(Protocol):
    """One format; stateless."""

    name: str

    def check(self, options: Mapping[str, object]) -> None:
        """Raises InvalidInput for options that this format does not have or values it cannot take."""

    def open(self, job: ReadJob) -> Reading:
        """Prepare the reading: cheap checks of each file, headers. Calls `job.fail` for files that cannot be read."""

    def infer(self, job: InferJob) -> InferResult:
        """Schema, evidence, sample rows; `problems` are `job.failures` (the child adds files that do not exist)."""


def file_id_sql(column: str = "filename") -> str:
    """SQL for the file id, from a column that holds a safe path."""
    return f"CAST(regexp_extract({duckdb_name(column)}, '([0-9]+)(\\.[a-z0-9]+)*$', 1) AS BIGINT)"
