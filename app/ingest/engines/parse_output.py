"""From a reading's SELECT to data files: lineage columns, field ids, counts for each file.

A rejected record is first written like any row, but under the negative of its file's id: so the clean case is one pass
over the source and nothing else. Only when there are such rows, or a file has to be left out, the data files are
written once more without them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

from app.datatypes import Column, duckdb_name, duckdb_text
from app.ingest.formats.base import FILE, REJECT, RESCUED, TOKEN
from app.ingest.formats.contract import ParseFile, ParseRequest

_PATHS = "__autoloader_paths"
_LEVEL = (
    2  # of zstd; the default, 3, takes a tenth of a load more, and its files are not smaller (measured: 6 % larger)
)
_ID, _PATH = f"__autoloader_id_{TOKEN}", f"__autoloader_path_{TOKEN}"  # strangers' columns stand beside them


@dataclass(frozen=True, slots=True)
class Counts:
    rows: int = 0
    rescued: int = 0
    rejected: int = 0


class Output:
    """Writes below `folder`; one object serves one request."""

    def __init__(self, request: ParseRequest, connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
        self._request = request
        self._connection = connection
        self._folder = folder
        self._version = 0
        names = request.row_columns
        self._file_id = duckdb_name(names.file_id[0])
        self._rescued = duckdb_name(names.rescued_data[0]) if names.rescued_data else None
        self.data_files: list[str] = []

    def copy(self, select: str, files: Sequence[ParseFile]) -> None:
        """Write what `select` gives, in place of what was written before. Raises duckdb.Error."""
        self._remove(self.data_files)
        self.data_files = []
        self._register(files)
        self.data_files = self._write(self._with_lineage(select))

    def counts(self) -> dict[int, Counts]:
        """Rows, rescued rows and rejected records by file id."""
        if not self.data_files:
            return {}
        rescued = f"count({self._rescued}) FILTER ({self._file_id} > 0)" if self._rescued else "0"
        query = (
            f"SELECT abs({self._file_id}), count(*) FILTER ({self._file_id} > 0), {rescued},"
            f" count(*) FILTER ({self._file_id} < 0) FROM {self._source()} GROUP BY 1"
        )
        return {file_id: Counts(*numbers) for file_id, *numbers in self._connection.execute(query).fetchall()}

    def keep(self, bad: Collection[int], counts: dict[int, Counts]) -> None:
        """Leave out rejected records and all rows of the `bad` files."""
        good = sum(count.rows for file_id, count in counts.items() if file_id not in bad)
        total = sum(count.rows + count.rejected for count in counts.values())
        if good == total:
            if not total:
                self._remove(self.data_files)
                self.data_files = []
            return
        old = self.data_files
        if good:
            self._connection.execute("CREATE OR REPLACE TABLE __autoloader_bad (id BIGINT)")
            listed = ", ".join(f"({file_id})" for file_id in bad)
            if listed:
                self._connection.execute(f"INSERT INTO __autoloader_bad VALUES {listed}")
            sieve = f"{self._file_id} > 0 AND {self._file_id} NOT IN (SELECT id FROM __autoloader_bad)"
            self.data_files = self._write(f"SELECT * FROM {self._source()} WHERE {sieve}")
        else:
            self.data_files = []
        self._remove(old)

    def rescued_rows(self, bad: Collection[int]) -> str:
        """A relation (file_id, rescued) of the rows written; to stand after FROM. Needs the rescued column."""
        without = f" AND {self._file_id} NOT IN ({', '.join(map(str, bad))})" if bad else ""
        where = f"{self._file_id} > 0 AND {self._rescued} IS NOT NULL{without}"
        return f"(SELECT {self._file_id} AS file_id, {self._rescued} AS rescued FROM {self._source()} WHERE {where})"

    def write_rejects(self, select: str) -> str | None:
        """The reject file from a reading's `rejects`; None when there is none."""
        target = self._folder / "rejects.parquet"
        columns = "file_id, path AS source_file, line, byte_offset, reason, raw"
        body = f"SELECT {columns} FROM ({select}) JOIN {_PATHS} USING (file_id)"
        written = self._connection.execute(
            f"COPY ({body}) TO {duckdb_text(str(target))} (FORMAT parquet, COMPRESSION zstd)"
        ).fetchall()
        if written[0][0]:
            return str(target)
        target.unlink()
        return None

    def drop_rejects(self, path: str, file_ids: Collection[int]) -> str | None:
        """The reject file without these files' records."""
        target = self._folder / "rejects-kept.parquet"
        listed = ", ".join(map(str, file_ids))
        body = (
            f"SELECT * FROM read_parquet({duckdb_text(path)}, hive_partitioning=false) WHERE file_id NOT IN ({listed})"
        )
        written = self._connection.execute(
            f"COPY ({body}) TO {duckdb_text(str(target))} (FORMAT parquet, COMPRESSION zstd)"
        ).fetchall()
        Path(path).unlink()
        if written[0][0]:
            return str(target)
        target.unlink()
        return None

    # --- the statement

    def _register(self, files: Sequence[ParseFile]) -> None:
        ids = pa.array([file.file_id for file in files], pa.int64())
        paths = pa.array([file.path for file in files], pa.string())
        self._connection.register("__autoloader_given", pa.table({"file_id": ids, "path": paths}))
        self._connection.execute(f"CREATE OR REPLACE TABLE {_PATHS} AS SELECT * FROM __autoloader_given")
        self._connection.unregister("__autoloader_given")

    def _with_lineage(self, select: str) -> str:
        names = self._request.row_columns
        reject = REJECT if self._rescued else f"coalesce({REJECT}, {RESCUED})"
        columns = [duckdb_name(column.name) for column in self._request.schema]
        columns.append(f"CASE WHEN {reject} IS NULL THEN {FILE} ELSE -{FILE} END AS {self._file_id}")
        if names.source_file:
            columns.append(f"{_PATH} AS {duckdb_name(names.source_file[0])}")
        if names.ingested_at:
            stamp = duckdb_text(self._request.ingested_at)
            columns.append(f"CAST({stamp} AS TIMESTAMPTZ) AS {duckdb_name(names.ingested_at[0])}")
        if self._rescued:
            columns.append(f"{RESCUED} AS {self._rescued}")
        paths = f"(SELECT file_id AS {_ID}, path AS {_PATH} FROM {_PATHS})"
        join = f" JOIN {paths} ON {FILE} = {_ID}" if names.source_file else ""
        return f"SELECT {', '.join(columns)} FROM ({select}){join}"

    def _write(self, body: str) -> list[str]:
        self._version += 1
        target = self._folder / f"data-{self._version}"
        options = (
            f"FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL {_LEVEL}, RETURN_FILES,"
            f" FILE_SIZE_BYTES {self._request.limits.target_file_bytes}, FIELD_IDS {self._field_ids()}"
        )
        written = self._connection.execute(f"COPY ({body}) TO {duckdb_text(str(target))} ({options})").fetchall()
        return [str(path) for path in written[0][1]]

    def _field_ids(self) -> str:
        names = self._request.row_columns
        added = (names.file_id, names.source_file, names.ingested_at, names.rescued_data)
        parts = [_field_id(column) for column in self._request.schema]
        parts += [f"{duckdb_name(name[0])}: {name[1]}" for name in added if name]
        return "{" + ", ".join(parts) + "}"

    def _source(self) -> str:
        listed = ", ".join(map(duckdb_text, self.data_files))
        return f"read_parquet([{listed}], hive_partitioning=false)"  # our folder's own name may hold a `=`

    @staticmethod
    def _remove(paths: Sequence[str]) -> None:
        for path in paths:
            Path(path).unlink(missing_ok=True)


def _field_id(column: Column, name: str = "") -> str:
    """`"n": {__duckdb_field_id: 2, "x": 4}`"""
    inner = [_field_id(member) for member in column.type.fields]
    if column.type.name == "array" and column.type.element:
        inner.append(_field_id(column.type.element, "element"))
    if column.type.name == "map" and column.type.key and column.type.element:
        inner += [_field_id(column.type.key, "key"), _field_id(column.type.element, "value")]
    shown = duckdb_name(name or column.name)
    if not inner:
        return f"{shown}: {column.field_id}"
    return f"{shown}: {{__duckdb_field_id: {column.field_id}, {', '.join(inner)}}}"
