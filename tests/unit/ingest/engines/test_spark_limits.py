from __future__ import annotations

import pytest

from app.datatypes import parse_schema
from app.errors import InvalidInput
from app.ingest.engines.spark_limits import require_schema, unreadable
from app.schemas.ingestion import FormatShape
from app.values import BatchFile, FileState


@pytest.mark.parametrize(
    "path",
    [
        *("/d/_x.jsonl", "/d/.x.jsonl", "/d/x._COPYING_", "/d/a:b.jsonl", "/d/a\\b.jsonl", "/d/x.jsonl.zst", "/d/X.GZ"),
        *("s3://b/a//x", "s3://b//x", "s3://b/./x", "s3://b/a/../x", "s3://b/a\nb", "s3://b/_x"),
    ],
)
def test_a_file_that_spark_would_leave_out_or_misread_fails_by_name(path):
    outcome = unreadable(BatchFile(7, path, "1-1", 1), FormatShape(type="jsonl"))
    assert (outcome.file_id, outcome.state, outcome.reason) == (7, FileState.FAILED, "not-on-spark")
    assert outcome.error.startswith(f"{path}: Spark ")


@pytest.mark.parametrize(
    "path", ["/d/x.jsonl", "/d/x.jsonl.gz", "/d/x.bz2", "/d/a_b.c", "/d/_e/x", "s3://b/a:b.jsonl", "s3://b/a\\b"]
)
def test_other_files_are_read(path):
    assert unreadable(BatchFile(7, path, "1-1", 1), FormatShape(type="jsonl")) is None


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ("t time", "time"),
        ("a array<struct<t: time>>", "time"),
        ("m map<bigint, string>", "keys of the type bigint"),
        ("s struct<x: int not null>", "not null"),
        ("s struct<x: int> not null", "not null"),
        ("a int, A int", "but for its case"),
    ],
)
def test_a_column_that_spark_cannot_fill_is_refused_by_name(schema, said):
    with pytest.raises(InvalidInput, match=said):
        require_schema("lake.demo.rows", parse_schema(schema))


@pytest.mark.parametrize(
    ("name", "compression", "read"),
    [
        ("x.jsonl.gz", "gzip", True),
        ("x.bz2", "bz2", True),
        ("x.jsonl", "none", True),
        ("x.jsonl", "gzip", False),
        ("x.jsonl.gz", "none", False),
        ("x.jsonl.gz", "bz2", False),
    ],
)
def test_a_compression_by_name_is_that_of_the_ending_or_the_file_fails(name, compression, read):
    outcome = unreadable(BatchFile(7, f"/d/{name}", "1-1", 1), FormatShape(type="jsonl", compression=compression))
    assert (outcome is None) is read
    if outcome:
        assert f"that is not compression={compression}" in outcome.error
