"""JSON documents are taken whole or not at all."""

from __future__ import annotations

import gzip
import json

import pytest

from app.ingest.formats.streams import CHUNK
from tests.functional.ingest.parsing import LIMITS, parse

SCHEMA = "id bigint, name string"


@pytest.fixture
def load(sandbox, tmp_path):
    """Parses a document beside a good one, which must load whatever the first does."""
    neighbour = tmp_path / "neighbour.json"
    neighbour.write_text('[{"id": 77}]')

    def run(content: bytes | str, schema: str = SCHEMA, name: str = "document.json", **changes):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        parsed = parse(sandbox, [path, neighbour], schema, tmp_path, format="json", **changes)
        assert parsed.state(2) == ("SUCCESS", "")
        assert parsed.rows("id", "_file_id = 2") == [(77,)]
        return parsed

    return run


def rows(parsed):
    return parsed.rows("id, name", "_file_id = 1")


def test_an_array_of_objects_is_rows(load):
    parsed = load('[{"id": 1, "name": "a,]}"},{"id": 2, "name": "\\\\\\"],["}\n,\n {"id":3}]')
    assert parsed.state() == ("SUCCESS", "")
    assert rows(parsed) == [(1, "a,]}"), (2, '\\"],['), (3, None)]


def test_a_pretty_printed_array_is_rows(load):
    records = [{"id": i, "name": f'x"{i}\\', "more": {"list": [1, [2]], "text": "]["}} for i in range(500)]
    parsed = load(json.dumps(records, indent=2))
    assert parsed.file().rows == parsed.file().rescued == 500
    assert rows(parsed) == [(i, f'x"{i}\\') for i in range(500)]


@pytest.mark.parametrize(
    "text", ['{"id": 1, "name": "a"}', '\n {\n "id": 1,\n "name": "a"\n}\n\n', '\ufeff{"id": 1, "name": "a"}']
)
def test_an_object_is_one_row(load, text):
    assert rows(load(text)) == [(1, "a")]


@pytest.mark.parametrize("text", ["[]", " [\n]\n"])
def test_an_empty_array_has_no_rows(load, text):
    parsed = load(text)
    assert parsed.state() == ("SUCCESS", "")
    assert parsed.file().rows == 0


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('[{"id": 1}, {"id": 2}', "truncated"),
        ('[{"id": 1}, {"id": 2},', "truncated"),
        ('[{"id": 1}, {"id": 2, "na', "truncated"),
        ("[", "truncated"),
        ('{"id": 1, "name": {', "truncated"),
        ('[{"id": 1}] x', "undecodable"),
        ('[{"id": 1}]]', "undecodable"),
        ('[{"id": 1}][{"id": 2}]', "undecodable"),
        ('{"id": 1}\n{"id": 2}', "undecodable"),
        ('[{"id": 1},,{"id": 2}]', "undecodable"),
        ('[{"id": 1},]', "undecodable"),
        ('[,{"id": 1}]', "undecodable"),
        ('[{"id": 1} {"id": 2}]', "undecodable"),
        ('[{"id": 1}, {"id": }]', "undecodable"),
        ('[{"id": 1}, {"id": [2}]]', "undecodable"),
        ('[{"id": 1}, bad]', "undecodable"),
        ("null", "not-this-format"),
        ("5", "not-this-format"),
        ('"text"', "not-this-format"),
        ("<html>", "not-this-format"),
    ],
)
def test_a_document_that_is_not_whole_gives_no_row_and_no_reject(load, text, reason):
    parsed = load(text)
    assert parsed.state() == ("FAILED", reason)
    assert rows(parsed) == []
    assert parsed.rejects() == []


def test_white_space_alone_is_an_empty_file(load):
    assert load(" \n\t").state() == ("SKIPPED", "empty")


def test_bytes_that_are_not_utf8_fail_the_document(load):
    parsed = load(b'[{"id": 1}, {"id": 2, "name": "caf\xe9"}]')
    assert parsed.state() == ("FAILED", "undecodable")
    assert rows(parsed) == []


def test_elements_that_are_no_objects_are_rejected_one_by_one(load):
    parsed = load('[{"id": 1},\n5,\n [1, {"id": 2}], null, "x", {"id": 3}]')
    assert rows(parsed) == [(1, None), (3, None)]
    assert parsed.rejects("line, byte_offset, raw") == [
        (2, 12, "5"),
        (3, 16, '[1, {"id": 2}]'),
        (3, 32, "null"),
        (3, 38, '"x"'),
    ]


def test_elements_are_cut_across_chunks(load):
    size = CHUNK // 3 * 2
    records = [{"id": i, "name": "".join(chr(97 + (i + k) % 26) for k in range(40)) * (size // 40)} for i in range(5)]
    parsed = load(json.dumps(records, indent=1))
    assert parsed.rows("id, length(name)", "_file_id = 1") == [(i, size // 40 * 40) for i in range(5)]


def test_a_value_beyond_the_limit_fails_the_document(load):
    parsed = load(json.dumps([{"id": 1}, {"id": 2, "name": "x" * (LIMITS.max_record_bytes + CHUNK)}]))
    assert parsed.state() == ("FAILED", "too-large")
    assert rows(parsed) == []


def test_a_truncated_gzip_fails_and_a_whole_one_loads(load):
    packed = gzip.compress(json.dumps([{"id": i} for i in range(20_000)]).encode(), mtime=0)
    assert load(packed, name="cut.json.gz").file().rows == 20_000
    parsed = load(packed[:-100], name="cut.json.gz")
    assert parsed.state() == ("FAILED", "truncated")
    assert rows(parsed) == []


def test_deep_nesting_harms_nobody(load):
    deep = "[" * 100_000
    assert load(deep).state() == ("FAILED", "truncated")
    parsed = load(deep + "]" * 100_000)
    assert (parsed.state(), parsed.file().rejected) == (("SUCCESS", ""), 1)


def test_other_encodings_are_read(sandbox, tmp_path):
    path = tmp_path / "wide.json"
    path.write_bytes('[{"id": 1, "name": "ü"}]'.encode("utf-16"))
    parsed = parse(sandbox, path, SCHEMA, tmp_path, format="json", options={"encoding": "utf-16"})
    assert parsed.rows("id, name") == [(1, "ü")]
