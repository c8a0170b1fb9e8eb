"""What packed files are, told by their own bytes."""

from __future__ import annotations

import bz2
import gzip
import random

import pytest

from app.ingest.engines.spark_packed import ends_a_stream, not_gzip
from app.storage import open_store
from app.values import BatchFile

# The end begins within a byte: these come to each of the eight places.
LENGTHS = range(60)


@pytest.mark.parametrize("length", LENGTHS)
def test_a_stream_ends_with_its_last_byte_and_no_other(length):
    stream = bz2.compress(random.Random(length).randbytes(length))
    assert ends_a_stream(stream[-11:])
    assert not ends_a_stream((stream + b"\n")[-11:])
    assert not ends_a_stream(stream[:-1][-11:])


def test_what_is_shorter_than_a_stream_ends_none():
    assert not ends_a_stream(b"")
    assert not ends_a_stream(b"BZh9")


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("whole.jsonl.gz", gzip.compress(b"{}", mtime=0), None),
        ("plain.jsonl.gz", b"{}", "undecodable"),
        ("begun.jsonl.gz", b"\x1f", "truncated"),
        ("plain.jsonl", b"{}", None),
    ],
)
def test_a_file_called_gz_says_by_its_begin_whether_it_is_one(tmp_path, name, data, reason):
    path = tmp_path / name
    path.write_bytes(data)
    found = not_gzip(open_store(str(tmp_path)), [BatchFile(7, str(path), "v", len(data))])
    assert [(one.state, one.reason) for one in found] == ([("FAILED", reason)] if reason else [])
    assert all(name in (one.error or "") for one in found)
