"""One file on which DuckDB fails does not keep its neighbours from loading."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from app.datatypes import duckdb_text
from app.ingest.engines.parse_isolation import copy_isolated
from app.ingest.engines.parse_output import Output
from app.ingest.engines.parse_session import session
from app.ingest.formats.base import FILE, REJECT, RESCUED, ReadJob, file_id_sql
from tests.functional.ingest.parsing import LIMITS, request


class Numbers:
    """A format of files that hold one number."""

    def __init__(self, job: ReadJob, *, names_files: bool) -> None:
        self.job = job
        self.names_files = names_files
        self.asked: list[int] = []

    def rows(self, files):
        self.asked.append(len(files))
        listed = ", ".join(duckdb_text(self.job.safe_path(file)) for file in files)
        number = "CAST(content AS BIGINT)"
        if self.names_files:
            number = f"CASE WHEN regexp_full_match(content, '[0-9]+') THEN {number} ELSE error('bad: ' || filename) END"
        extra = f"{file_id_sql()} AS {FILE}, NULL::VARCHAR AS {RESCUED}, NULL::VARCHAR AS {REJECT}"
        return f"SELECT {number} AS id, {extra} FROM read_text([{listed}])"

    def blame(self, file, error):
        return "undecodable", f"{file.path}: {error}"


@pytest.fixture
def copied(tmp_path, monkeypatch):
    def run(contents: list[str], *, names_files: bool = True, rows=None):
        paths = []
        for number, content in enumerate(contents):
            paths.append(tmp_path / f"it's [{number}].txt")
            paths[-1].write_text(content)
        asked = replace(request(paths, "id bigint", tmp_path))
        work = Path(asked.output_dir) / "work"
        work.mkdir(parents=True)
        with session(LIMITS, Path(asked.output_dir), asked.files) as connection:
            job = ReadJob(connection, asked.files, {}, LIMITS, work, schema=asked.schema)
            reading = Numbers(job, names_files=names_files)
            if rows:
                monkeypatch.setattr(reading, "rows", rows)
            output = Output(asked, connection, Path(asked.output_dir))
            copy_isolated(job, reading, output, asked.files)
            written = {file_id: count.rows for file_id, count in output.counts().items()}
        return written, set(job.failures), reading.asked

    return run


@pytest.mark.parametrize("names_files", [True, False])
def test_the_bad_files_fail_and_the_others_load(copied, names_files):
    contents = [str(number) if number % 13 != 5 else "bad" for number in range(40)]
    rows, failed, _ = copied(contents, names_files=names_files)
    bad = {number + 1 for number in range(40) if number % 13 == 5}
    assert failed == bad
    assert rows == {number: 1 for number in range(1, 41) if number not in bad}


def test_a_file_that_the_message_names_is_tried_alone_first(copied):
    _, failed, asked = copied(["1", "2", "x", "4"])
    assert failed == {3}
    assert asked == [4, 1, 3]


def test_when_all_are_bad_nothing_is_written(copied):
    assert copied(["x", "y", "z"])[:2] == ({}, {1, 2, 3})


def test_a_failure_that_no_file_shows_alone_is_raised(copied):
    def together(files):
        number = f"CASE WHEN {len(files)} > 1 THEN error('together') ELSE 1 END"
        return f"SELECT {number} AS id, 1 AS {FILE}, NULL::VARCHAR AS {RESCUED}, NULL::VARCHAR AS {REJECT}"

    with pytest.raises(duckdb.Error, match="together"):
        copied(["1", "2"], rows=together)


def test_a_statement_that_is_wrong_in_itself_blames_no_file(copied):
    with pytest.raises(duckdb.CatalogException):
        copied(["1", "2"], rows=lambda _: "SELECT * FROM nowhere")
