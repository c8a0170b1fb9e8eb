"""What packed files are, told by their own bytes."""

from __future__ import annotations

import bz2
import gzip
import random

import pytest

from app.errors import ObjectUnavailable
from app.ingest.engines import spark_packed
from app.ingest.engines.spark_packed import ends_a_stream, gzip_flaw, not_gzip, told_by_bytes, unsound_gzip
from app.storage import open_store
from app.values import BatchFile, FileOutcome, FileState

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


WHOLE = gzip.compress(bytes(range(256)) * 4000)
PACKED = {
    "whole": (WHOLE, None),
    "two after each other": (WHOLE + WHOLE, None),
    "cut": (WHOLE[: len(WHOLE) // 2], "truncated"),
    "cut in its checksum": (WHOLE[:-1], "truncated"),
    "cut in the second": (WHOLE + WHOLE[:-9], "truncated"),
    "a wrong checksum": (WHOLE[:-8] + b"\0\0\0\0" + WHOLE[-4:], "undecodable"),
    "another byte": (WHOLE[:100] + bytes([WHOLE[100] ^ 255]) + WHOLE[101:], "undecodable"),
    "something behind it": (WHOLE + b"junk", "undecodable"),
}


@pytest.mark.parametrize(("data", "reason"), PACKED.values(), ids=PACKED)
@pytest.mark.parametrize("piece", [7, 1 << 20])
def test_a_gzip_file_that_is_not_whole_is_told_by_its_bytes_however_they_come(data, reason, piece):
    found = gzip_flaw(data[at : at + piece] for at in range(0, len(data), piece))
    assert (found and found[0]) == reason


def test_of_a_file_that_spark_failed_over_its_own_flaw_is_told_and_a_whole_one_has_none(tmp_path):
    outcomes = []
    for name, data in (("cut.gz", WHOLE[:-20]), ("whole.gz", WHOLE), ("cut.bin", WHOLE[:-20])):
        path = tmp_path / name
        path.write_bytes(data)
        outcomes.append(unsound_gzip(open_store(str(tmp_path)), BatchFile(7, str(path), "v", len(data))))
    assert (outcomes[0].reason, outcomes[0].error) == (
        "truncated",
        f"{tmp_path}/cut.gz ends before its gzip stream does.",
    )
    assert outcomes[1:] == [None, None]


@pytest.mark.parametrize(("said", "reason"), [("undecodable", "truncated"), ("changed", "changed")])
def test_the_bytes_of_a_file_that_is_another_by_now_tell_nothing_of_the_one_that_failed(tmp_path, said, reason):
    path = tmp_path / "cut.gz"
    path.write_bytes(WHOLE[:-20])
    culprit = FileOutcome(7, FileState.FAILED, reason=said, error="no word")
    files = [BatchFile(7, str(path), "v", path.stat().st_size)]
    assert told_by_bytes(open_store(str(tmp_path)), culprit, files).reason == reason


class Failing:
    """A store that answers so many reads, and then no more."""

    def __init__(self, store, reads):
        self.store, self.left = store, reads

    def read(self, *given):
        if not self.left:
            raise ObjectUnavailable("The store does not give the object.", hint="Try again.")
        self.left -= 1
        return self.store.read(*given)


@pytest.mark.parametrize("reads", [0, 1, 2])
def test_a_store_that_does_not_give_the_bytes_of_a_file_leaves_what_spark_said_of_it(tmp_path, monkeypatch, reads):
    monkeypatch.setattr(spark_packed, "_CHUNK", 1_000)
    path = tmp_path / "cut.gz"
    path.write_bytes(WHOLE[:-20])
    culprit = FileOutcome(7, FileState.FAILED, reason="job-failed", error="no word")
    files = [BatchFile(7, str(path), "v", path.stat().st_size)]
    assert told_by_bytes(Failing(open_store(str(tmp_path)), reads), culprit, files) == culprit
