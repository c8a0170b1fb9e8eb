"""Copying when one file can make DuckDB fail: find it, blame it, load its neighbours.

The message names the file most of the time. What it names is tried alone, to be sure; where it names none, the list is
halved. A failure that no file shows alone is the whole statement's and is raised.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import duckdb

from app.ingest.engines.parse_output import Output
from app.ingest.formats.base import Reading, ReadJob
from app.ingest.formats.contract import ParseFile

_SAFE_PATH = re.compile(r"/(?:in|plain)/(\d+)")
_NAMED_TRIES = 3  # after so many single culprits the whole list is searched at once

_NO_FILES_FAULT = (
    duckdb.OutOfMemoryException,
    duckdb.InterruptException,
    duckdb.ParserException,
    duckdb.CatalogException,
)


def copy_isolated(job: ReadJob, reading: Reading, output: Output, files: Sequence[ParseFile]) -> None:
    """Write all files' rows; files that DuckDB cannot read are failed and left out. Raises duckdb.Error."""
    left = list(files)
    tries = 0
    while left:
        try:
            output.copy(reading.rows(left), left)
        except _NO_FILES_FAULT:
            raise
        except duckdb.Error as error:
            tries += 1
            named = _named(left, str(error)) if tries <= _NAMED_TRIES else []
            guilty = _failing(job, reading, named) or _failing(job, reading, left)
            if not guilty:
                raise
            for file, reason in guilty:
                job.fail(file, *reading.blame(file, reason))
            left = [file for file in left if file.file_id not in job.failures]
        else:
            return


def _named(files: Sequence[ParseFile], message: str) -> list[ParseFile]:
    ids = {int(found) for found in _SAFE_PATH.findall(message)}
    return [file for file in files if file.file_id in ids]


def _failing(job: ReadJob, reading: Reading, files: Sequence[ParseFile]) -> list[tuple[ParseFile, str]]:
    """Those of `files` that fail alone, with the message."""
    if not files:
        return []
    error = _try(job, reading, files)
    if error is None:
        return []
    if len(files) == 1:
        return [(files[0], error)]
    middle = len(files) // 2
    return _failing(job, reading, files[:middle]) + _failing(job, reading, files[middle:])


def _try(job: ReadJob, reading: Reading, files: Sequence[ParseFile]) -> str | None:
    """The first line of DuckDB's error on reading these files to nowhere."""
    columns = ", ".join(f"max(__c{i})" for i in range(len(job.schema) + 3))
    names = ", ".join(f"__c{i}" for i in range(len(job.schema) + 3))
    try:
        job.connection.execute(f"SELECT {columns} FROM ({reading.rows(files)}) AS t({names})").fetchall()
    except _NO_FILES_FAULT:
        raise
    except duckdb.Error as error:
        return str(error).strip().splitlines()[0][:500]
    return None
