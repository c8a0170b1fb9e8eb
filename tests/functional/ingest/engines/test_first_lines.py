"""First lines are a hint: of some files, packed or not, and nothing of what cannot be read."""

from __future__ import annotations

import bz2
import gzip

import pyarrow as pa
import pytest

from app.ingest.engines import first_lines as module
from app.ingest.engines.first_lines import first_lines
from app.storage import open_store
from app.values import BatchFile

LINES = [f'{{"id": {number}}}' for number in range(200_000)]
LONG = "\n".join(LINES).encode()


@pytest.fixture
def begins(tmp_path):
    """Map contents → the first lines of files with them."""

    def run(*contents: bytes, encoding: str = "utf-8") -> list[list[str]]:
        files = []
        for number, content in enumerate(contents, 1):
            path = tmp_path / f"{number}.jsonl"
            path.write_bytes(content)
            files.append(BatchFile(number, str(path), "v", len(content)))
        return first_lines(open_store(str(tmp_path)), files, encoding)

    return run


def test_the_first_file_one_in_the_middle_and_the_last_are_looked_into(begins):
    assert begins(*(b"%d\n" % number for number in range(5))) == [["0"], ["2"], ["4"]]
    assert begins(b"a\n", b"b\n") == [["a"], ["b"]]
    assert begins(b"a") == [["a"]]


def test_blank_lines_are_none_and_a_line_that_is_cut_is_none(begins, monkeypatch):
    assert begins(b"\xef\xbb\xbf\n \r\n1\r\n\t\n2") == [["1\r", "2"]]
    monkeypatch.setattr(module, "_BYTES", 4)
    assert begins(b"1\n2345\n") == [["1"]]


PACKS = {
    "plain": bytes,
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "zstd": lambda data: pa.compress(data, "zstd", asbytes=True),
}


@pytest.mark.parametrize("pack", PACKS.values(), ids=PACKS)
def test_of_long_files_the_first_lines_are_given_however_they_are_packed(begins, pack):
    assert begins(pack(LONG)) == [LINES[:500]]
    assert begins(pack(b"1\n2")) == [["1", "2"]]
    assert begins(b"".join(pack(b"%d\n" % number) for number in range(3))) == [["0", "1", "2"]]


def test_of_long_lines_more_is_read_and_of_very_long_ones_nothing_is_told(begins, monkeypatch):
    monkeypatch.setattr(module, "_BYTES", 10)
    monkeypatch.setattr(module, "_LONG_BYTES", 100)
    assert begins(b"x" * 50 + b"\n" + b"y" * 90) == [["x" * 50]]
    assert begins(b"x" * 101 + b"\n") == [[]]


def test_another_encoding_is_read_as_it_is_and_bytes_that_are_none_stand_for_themselves(begins):
    assert begins("ü\nä\n".encode("latin-1"), encoding="latin-1") == [["ü", "ä"]]
    assert begins(b"\xff\n") == [["\ufffd"]]


@pytest.mark.parametrize("content", [b"", b"\x1f\x8bno", b"BZhno", b"\x28\xb5\x2f\xfdno"])
def test_what_cannot_be_unpacked_tells_nothing(begins, content):
    assert begins(content) == [[]]


def test_a_file_that_is_gone_and_a_batch_without_files_tell_nothing(tmp_path):
    gone = BatchFile(1, str(tmp_path / "gone.jsonl"), "v", 5)
    assert first_lines(open_store(str(tmp_path)), [gone], "utf-8") == [[]]
    assert first_lines(open_store(str(tmp_path)), [], "utf-8") == []
