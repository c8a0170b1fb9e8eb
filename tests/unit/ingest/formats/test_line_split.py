"""Records keep their bytes, their line and their place, however the file is cut into chunks."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.ingest.formats import line_split, streams
from app.ingest.formats.base import Job
from app.ingest.formats.contract import ParseFile, ParseLimits
from app.ingest.formats.line_split import SmallFiles, split_lines
from app.ingest.formats.lines import batches

LIMIT = 12
TEXTS = st.lists(
    st.sampled_from([b'{"a":1}', b"{}", b"\n", b"\r\n", b"\r", b" ", b"x", b"{" + b"y" * 20, b"\xff"]), max_size=14
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("lines")


def job_for(paths) -> Job:
    files = tuple(ParseFile(i, str(p), str(p), p.stat().st_size, "none") for i, p in enumerate(paths, 1))
    limits = ParseLimits(2**29, 1, 2**30, 400, LIMIT, 2**29)
    return Job(duckdb.connect(), files, {}, limits, Path("unused"))


def located(job, collector=None):
    found = []
    for batch in batches(job, job.files, split_lines, located=True, collector=collector):
        for row in batch.to_pylist():
            text = row["raw"] if row["flaw"] else row["text"].strip()
            found.append((row["file"], row["line"], row["offset"], text, (row["flaw"] or "").split(":")[0]))
    return found


def expected(file_id, data):
    found, at = [], 0
    for line, raw in enumerate(re.split(rb"(?<=\n)|(?<=\r)(?!\n)", data), 1):
        text = raw.strip(b" \t\r\n")
        if len(raw.rstrip(b"\r\n")) > LIMIT:
            found.append((file_id, line, at, "too-long"))
        elif text:
            found.append((file_id, line, at, "invalid-utf8" if b"\xff" in text else ""))
        at += len(raw)
    return found


@settings(max_examples=150, deadline=None)
@given(parts=TEXTS, chunk=st.integers(1, 9))
def test_lines_and_offsets_are_those_of_the_file(folder, parts, chunk):
    data = b"".join(parts)
    path = folder / "one"
    path.write_bytes(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streams, "CHUNK", chunk)
        job = job_for([path])
        found = located(job)
    job.connection.close()
    assert [(file_id, line, at, flaw) for file_id, line, at, _, flaw in found] == expected(1, data)
    for _, _, at, text, flaw in found:
        if not flaw:
            assert data[at:].lstrip(b" \t\r\n").startswith(text.encode())


@settings(max_examples=100, deadline=None)
@given(contents=st.lists(TEXTS, min_size=1, max_size=5))
def test_small_files_together_are_the_same_as_one_by_one(folder, contents):
    paths = []
    for number, parts in enumerate(contents):
        paths.append(folder / f"small-{number}")
        paths[-1].write_bytes(b"".join(parts))
    job = job_for(paths)
    assert sorted(located(job, SmallFiles())) == sorted(located(job))
    job.connection.close()


def test_small_files_are_taken_together(folder):
    paths = [folder / name for name in ("a", "b", "c")]
    for path in paths:
        path.write_bytes(b'{"a":1}\n\n{"b":2}')
    job = job_for(paths)
    collector = SmallFiles()
    assert all(collector.take(file, job) for file in job.files)
    [piece] = collector.flush()
    job.connection.close()
    assert piece.lines.tolist() == [1, 3] * 3
    assert list(collector.flush()) == []
    assert len(piece.data) < line_split._SMALL
