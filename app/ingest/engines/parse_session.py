"""The parsing child's DuckDB: explicit limits, no network, no file but those of the request."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from app.datatypes import duckdb_text
from app.ingest.formats.contract import ParseFile, ParseLimits

_SHARE = 0.6  # of the memory limit; the rest is for Python, Arrow and the allocator
_LEAST = 128 * 1024 * 1024
_COLUMN = 1024 * 1024  # what one column takes in each thread, for the vectors of its expressions (measured: 0.3 to 0.7)


@contextmanager
def session(
    limits: ParseLimits, folder: Path, files: Iterable[ParseFile], columns: int = 0
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that can read the files' folders and read and write below `folder`, and nothing else.

    It uses as many threads as `columns` leave memory for.
    The join order is fixed: the lineage join must keep its small side as the hash table, and stream the rows.
    """
    memory = max(_LEAST, int(limits.memory_bytes * _SHARE))
    room = memory // (_COLUMN * max(1, columns))
    threads = max(1, min(limits.threads or os.cpu_count() or 1, room))
    connection = duckdb.connect(":memory:", config={"threads": threads, "autoinstall_known_extensions": False})
    allowed = sorted({str(folder), *_folders(files)})
    settings = {
        "memory_limit": f"'{memory}B'",
        "temp_directory": duckdb_text(str(folder / "spill")),
        "preserve_insertion_order": "false",
        "autoload_known_extensions": "false",
        "TimeZone": "'UTC'",
        "enable_progress_bar": "false",
        "disabled_optimizers": "'join_order,build_side_probe_side'",
        "allowed_directories": "[" + ", ".join(duckdb_text(path) for path in allowed) + "]",
        "enable_external_access": "false",
        "lock_configuration": "true",
    }
    try:
        for name, value in settings.items():
            connection.execute(f"SET {name} = {value}")
        yield connection
    finally:
        connection.close()


def _folders(files: Iterable[ParseFile]) -> set[str]:
    """The real folders of the files."""
    return {os.path.split(os.path.realpath(file.local_path))[0] for file in files}
