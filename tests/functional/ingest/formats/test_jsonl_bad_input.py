"""Everything that feeds do to JSON lines: each ends in a stated outcome, and neighbours load."""

from __future__ import annotations

import bz2
import gzip
import json
import os

import pytest
import zstandard

from tests.functional.ingest.parsing import LIMITS, parse

GOOD = b'{"id": 1, "name": "good"}\n'
SCHEMA = "id bigint, name string"


@pytest.fixture
def neighbour(tmp_path):
    path = tmp_path / "neighbour.jsonl"
    path.write_bytes(GOOD)
    return path


@pytest.fixture
def beside(sandbox, tmp_path, neighbour):
    """Parses a file beside a good one, which must load whatever the other does."""

    def run(content: bytes, name: str = "bad.jsonl", **changes):
        path = tmp_path / name
        path.write_bytes(content)
        parsed = parse(sandbox, [path, neighbour], SCHEMA, tmp_path, **changes)
        assert parsed.state(2) == ("SUCCESS", "")
        assert parsed.rows("id, name", "_file_id = 2") == [(1, "good")]
        return parsed

    return run


def test_malformed_lines_are_rejected_with_line_offset_reason_and_text(beside):
    parsed = beside(b'{"id": 1}\n{"id": 2\n\n[1]\n{"id": 3} x\n{"id": 4}')
    assert parsed.rows("id", "_file_id = 1") == [(1,), (4,)]
    assert parsed.rejects("line, byte_offset, raw") == [(2, 10, '{"id": 2'), (4, 20, "[1]"), (5, 24, '{"id": 3} x')]
    assert {reason.split(":")[0] for (reason,) in parsed.rejects("reason")} == {"malformed", "not-an-object"}
    assert (parsed.file().rows, parsed.file().rejected) == (2, 3)


@pytest.mark.parametrize(
    "text", ["5", '"x"', "null", "true", "[{}]", "{", "}", '{"id": 1}{"id": 2}', "{id: 1}", '{"a": "\\ud83d"}']
)
def test_a_line_that_is_not_one_object_is_rejected(beside, text):
    parsed = beside(text.encode() + b'\n{"id": 7}\n')
    assert parsed.rows("id", "_file_id = 1") == [(7,)]
    assert parsed.rejects("line, raw") == [(1, text)]


@pytest.mark.parametrize(
    ("name", "pack"),
    [("x.jsonl.gz", gzip.compress), ("x.jsonl.bz2", bz2.compress), ("x.jsonl.zst", zstandard.compress)],
)
class TestCompression:
    def test_is_read_over_all_its_members(self, beside, name, pack):
        parsed = beside(pack(b'{"id": 5}\n') + pack(b'{"id": 6}'), name)
        assert parsed.rows("id", "_file_id = 1") == [(5,), (6,)]

    def test_cut_off_fails_alone_and_leaves_no_rows(self, beside, name, pack):
        text = b"".join(b'{"id": %d, "name": "%s"}\n' % (i, os.urandom(8).hex().encode()) for i in range(20_000))
        packed = pack(text)
        parsed = beside(packed[: len(packed) * 2 // 3], name)
        assert parsed.state() == ("FAILED", "truncated")
        assert parsed.file().rows == 0
        assert parsed.rows("count(*)", "_file_id = 1") == [(0,)]

    def test_of_something_else_fails_alone(self, beside, name, pack):
        assert beside(GOOD, name).state() == ("FAILED", "undecodable")

    def test_followed_by_garbage_fails_alone(self, beside, name, pack):
        assert beside(pack(GOOD) + b"garbage", name).state() == ("FAILED", "undecodable")


def test_a_gzip_bomb_is_quarantined_and_leaves_nothing_behind(beside, tmp_path):
    bomb = gzip.compress(b'{"id": 1, "name": "%s"}\n' % (b"x" * 1000) * 90_000, 9, mtime=0)
    assert len(bomb) < 1024 * 1024
    parsed = beside(bomb, "bomb.jsonl.gz")
    assert parsed.state() == ("QUARANTINED", "expansion")
    assert parsed.rows("count(*)", "_file_id = 1") == [(0,)]


def test_an_empty_file_is_skipped(beside):
    assert beside(b"").state() == ("SKIPPED", "empty")


def test_a_file_of_blank_lines_has_no_rows(beside):
    parsed = beside(b"\n \t\n\r\n")
    assert parsed.state() == ("SUCCESS", "")
    assert parsed.file().rows == 0


def test_a_byte_order_mark_is_left_out(beside):
    assert beside(b'\xef\xbb\xbf{"id": 8}\n').rows("id", "_file_id = 1") == [(8,)]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_each_kind_of_line_end_counts(beside, end):
    parsed = beside(end.join([b'{"id": 1}', b"bad", b"", b'{"id": 2}']))
    assert parsed.rows("id", "_file_id = 1") == [(1,), (2,)]
    assert parsed.rejects("line, raw") == [(2, "bad")]


def test_line_ends_may_be_mixed(beside):
    parsed = beside(b'{"id": 1}\r{"id": 2}\r\n{"id": 3}\n\r{"id": 4}\n\r\nbad')
    assert parsed.rows("id", "_file_id = 1") == [(1,), (2,), (3,), (4,)]
    assert parsed.rejects("line, raw") == [(7, "bad")]


def test_a_nul_byte_in_a_line_rejects_the_line(beside):
    parsed = beside(b'{"id": 1}\n{"id": 2, "name": "a\0b"}\n{"id": 3, "name": "a\\u0000b"}\n')
    assert parsed.rows("id, name", "_file_id = 1") == [(1, None), (3, "a\0b")]
    assert parsed.file().rejected == 1


def test_bytes_that_are_not_utf8_reject_their_line_alone(beside):
    parsed = beside(b'{"id": 1}\n{"id": 2, "name": "caf\xe9"}\n{"id": 3, "name": "caf\xc3\xa9"}\n')
    assert parsed.rows("id, name", "_file_id = 1") == [(1, None), (3, "café")]
    [(line, reason, raw)] = parsed.rejects("line, reason, raw")
    assert (line, raw) == (2, '{"id": 2, "name": "caf\ufffd"}')
    assert reason.startswith("invalid-utf8")


def test_a_line_beyond_the_limit_is_rejected_and_cut(beside):
    long = b'{"id": 2, "name": "' + b"x" * (LIMITS.max_record_bytes * 3) + b'"}'
    parsed = beside(b'{"id": 1}\n' + long + b'\n{"id": 3}\n' + long + b"\nbad\n")
    assert parsed.rows("id", "_file_id = 1") == [(1,), (3,)]
    rejects = parsed.rejects("line, byte_offset, left(reason, 8), strlen(raw)")
    assert rejects == [
        (2, 10, "too-long", 64 * 1024),
        (4, 21 + len(long), "too-long", 64 * 1024),
        (5, 22 + 2 * len(long), "malforme", 3),
    ]


def test_a_line_of_exactly_the_limit_is_loaded(beside):
    frame = b'{"name": ""}'
    exact = b'{"name": "' + b"y" * (LIMITS.max_record_bytes - len(frame)) + b'"}'
    parsed = beside(exact + b"\n" + exact[:-2] + b'y"}\n')
    assert parsed.rows("length(name)", "_file_id = 1") == [(LIMITS.max_record_bytes - len(frame),)]
    assert parsed.file().rejected == 1


def test_a_rejected_record_keeps_at_most_64_kib_of_text(beside):
    parsed = beside("é".encode() * 50_000 + b"\n" + b"z" * 100_000)
    assert all(0 < size <= 64 * 1024 for (size,) in parsed.rejects("strlen(raw)"))


def test_a_hundred_thousand_keys_are_rescued(beside):
    many = json.dumps({"id": 1} | {f"key{i}": i for i in range(100_000)}).encode()
    parsed = beside(many + b"\n")
    [(rescued,)] = parsed.rows("_rescued_data", "_file_id = 1")
    assert len(json.loads(rescued)) == 100_000


def test_deep_nesting_harms_nobody(beside):
    deep = b"[" * 100_000
    parsed = beside(
        deep + b"\n" + b'{"id": 2, "deep": ' + deep + b"]" * 100_000 + b'}\n{"id": 3}\n' + deep + b"]" * 100_000
    )
    assert parsed.rows("id", "_file_id = 1") == [(2,), (3,)]
    assert parsed.file().rejected == 2
    assert parsed.file().rescued == 1


@pytest.mark.parametrize(
    "content",
    [
        b"PAR1\x15\x04\x15\x00PAR1",
        b"PK\x03\x04rest",
        gzip.compress(GOOD, mtime=0),
        b"\x7fELF\x02\x01",
        bytes(range(256)) * 50,
    ],
    ids=["parquet", "zip", "gzip", "executable", "bytes"],
)
def test_another_format_under_this_name_is_one_failure_and_no_rejects(beside, content):
    parsed = beside(content)
    assert parsed.state() == ("FAILED", "not-this-format")
    assert parsed.rejects() == []


def test_utf16_needs_its_option(beside, sandbox, tmp_path):
    content = '{"id": 5, "name": "ü"}\n{"id": 6}'.encode("utf-16")
    parsed = beside(content)
    assert parsed.state() == ("FAILED", "undecodable")
    assert "encoding" in parsed.file().error
    path = tmp_path / "wide.jsonl"
    path.write_bytes(content)
    assert parse(sandbox, path, SCHEMA, tmp_path, options={"encoding": "utf-16"}).rows("id, name") == [
        (5, "ü"),
        (6, None),
    ]


def test_latin1_is_decoded(sandbox, tmp_path):
    path = tmp_path / "latin.jsonl"
    path.write_bytes('{"id": 1, "name": "café"}\n'.encode("latin-1"))
    assert parse(sandbox, path, SCHEMA, tmp_path, options={"encoding": "latin-1"}).rows("name") == [("café",)]


def test_a_file_that_is_gone_is_missing(sandbox, tmp_path, neighbour):
    parsed = parse(sandbox, [tmp_path / "gone.jsonl", neighbour], SCHEMA, tmp_path)
    assert parsed.state(1) == ("FAILED", "missing")
    assert parsed.rows("id") == [(1,)]


def test_a_folder_is_no_file(sandbox, tmp_path, neighbour):
    folder = tmp_path / "folder.jsonl"
    folder.mkdir()
    parsed = parse(sandbox, [folder, neighbour], SCHEMA, tmp_path)
    assert parsed.state(1) == ("FAILED", "not-this-format")
    assert parsed.rows("id") == [(1,)]


def test_a_file_that_changed_since_it_was_listed_is_not_loaded(sandbox, tmp_path, neighbour):
    from dataclasses import replace

    from app.ingest.formats.contract import ParseResult
    from tests.functional.ingest.parsing import Parsed, request

    other = tmp_path / "other.jsonl"
    other.write_bytes(b'{"id": 9}\n')
    asked = request([other, neighbour], SCHEMA, tmp_path, in_place=True)
    other.write_bytes(b'{"id": 9}\n{"id": 10}\n')
    result = sandbox.parse(replace(asked))
    assert isinstance(result, ParseResult)
    parsed = Parsed(result)
    assert parsed.state(1) == ("FAILED", "changed")
    assert parsed.rows("id") == [(1,)]


@pytest.mark.parametrize(
    "name", ["it's.jsonl", "a*b?.jsonl", "[1].jsonl", "new\nline.jsonl", "ü %20#+.jsonl", '"q".jsonl']
)
def test_odd_names_are_names(sandbox, tmp_path, name):
    path = tmp_path / name
    path.write_bytes(GOOD + b"bad\n")
    parsed = parse(sandbox, path, SCHEMA, tmp_path)
    assert parsed.rows("id, _source_file") == [(1, f"file://{path}")]
    assert parsed.rejects("source_file") == [(f"file://{path}",)]


def test_good_neighbours_are_many(sandbox, tmp_path):
    paths = []
    for number in range(300):
        path = tmp_path / f"{number}.jsonl"
        path.write_bytes(b'{"id": %d}\n{"id": %d}' % (number, -number) + (b"\n\nbad" if number % 7 == 3 else b""))
        paths.append(path)
    parsed = parse(sandbox, paths, SCHEMA, tmp_path)
    assert parsed.rows("count(*), count(DISTINCT _file_id), bool_and(abs(id) = _file_id - 1)") == [(600, 300, True)]
    assert parsed.rejects("file_id, line, byte_offset") == [
        (n + 1, 4, len(b'{"id": %d}\n{"id": %d}\n\n' % (n, -n))) for n in range(300) if n % 7 == 3
    ]
