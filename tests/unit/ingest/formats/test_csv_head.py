"""Headers of CSV files: names, and where the records begin."""

from __future__ import annotations

import pytest

from app.ingest.formats.csv_head import HeadReader, column_names
from app.ingest.formats.csv_options import read_options
from app.ingest.formats.streams import BadFile


@pytest.mark.parametrize(
    ("header", "names"),
    [
        (("id", "name"), ("id", "name")),
        ((" id ", "name\t"), ("id", "name")),
        (("a", "a", "a"), ("a", "a_2", "a_3")),
        (("a", "a_2", "a"), ("a", "a_2", "a_3")),
        (("", "x", " "), ("column_1", "x", "column_3")),
        (("", "column_1"), ("column_1", "column_1_2")),
        (("a", "A"), ("a", "A")),
    ],
)
def test_every_field_of_a_header_gets_a_name_of_its_own(header, names):
    assert column_names(header) == names


def read(tmp_path, content: bytes, **options):
    path = tmp_path / "x"
    path.write_bytes(content)
    return HeadReader(read_options(options, "csv", ","), 1000).read(str(path), "the file")


def test_the_head_ends_behind_the_header(tmp_path):
    head = read(tmp_path, b"# note\n\nid,name\n1,a\n", comment="#")
    assert (head.header, head.skip, head.offset, head.plain) == (("id", "name"), 3, 16, True)


def test_a_header_of_two_lines_is_no_plain_head(tmp_path):
    head = read(tmp_path, b'"i\nd",name\n1,a\n')
    assert (head.header, head.width, head.plain) == (("i\nd", "name"), 2, False)


@pytest.mark.parametrize("content", [b"x\r\nid\n1\n", b"\\x,id\n1,2\n"])
def test_a_head_that_duckdb_would_count_otherwise_is_not_plain(tmp_path, content):
    assert not read(tmp_path, content, skip_lines=1 if b"\r" in content else 0, escape="\\").plain


@pytest.mark.parametrize(
    ("content", "reason", "state"),
    [
        (b"\n\r\n", "empty", "SKIPPED"),
        (b"a" * 2000 + b"\n", "too-large", "QUARANTINED"),
        (b"a\0b\n", "not-this-format", "FAILED"),
        (b"\xff,b\n", "undecodable", "FAILED"),
        (b'"a"b,c\n', "not-this-format", "FAILED"),
        (b'"a,b\n1,2\n', "truncated", "FAILED"),
    ],
)
def test_a_head_that_cannot_be_read_names_the_reason_and_the_file(tmp_path, content, reason, state):
    with pytest.raises(BadFile, match="the file") as caught:
        read(tmp_path, content)
    assert (caught.value.reason, caught.value.state) == (reason, state)


def test_files_with_the_same_first_line_are_parsed_once(tmp_path, monkeypatch):
    heads = HeadReader(read_options({}, "csv", ","), 1000)
    for number in range(3):
        (tmp_path / str(number)).write_bytes(b"id,name\n%d,a\n" % number)
    first = heads.read(str(tmp_path / "0"), "0")
    monkeypatch.setattr("app.ingest.formats.csv_head.read_records", None)
    assert heads.read(str(tmp_path / "1"), "1") is first
