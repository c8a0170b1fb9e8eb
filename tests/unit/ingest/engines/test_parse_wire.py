"""What crosses to the parsing child and back is what was sent."""

from __future__ import annotations

from app.datatypes import Column, TableSchema, parse_schema, primitive
from app.ingest.engines import parse_wire
from app.ingest.formats.contract import (
    Evidence,
    InferRequest,
    InferResult,
    NewColumn,
    Outlier,
    ParsedFile,
    ParseFile,
    ParseLimits,
    ParseRequest,
    ParseResult,
    RejectedSample,
    RowColumns,
)
from app.values import Twin

LIMITS = ParseLimits(1, 2, 3, 4, 5, 6)
FILES = (
    ParseFile(2**62, "s3://b/ü\n'", "/tmp/x", 7, "gzip", (7, 2**60)),
    ParseFile(2, "b", "c", 0, "none"),
    ParseFile(3, "d", "pack", 5, "none", offset=2**40),
)
SCHEMA = TableSchema(
    (Column("id", primitive("bigint"), required=True, field_id=4), *parse_schema("n struct<x: array<int>>"))
)


def over(message):
    return parse_wire.decode(parse_wire.encode(message))


def test_a_parse_request():
    names = RowColumns(("_file_id", 1), None, ("_at", 2), None)
    options = {"null_values": ["", "NA"], "header": False}
    request = ParseRequest(FILES, "csv", options, SCHEMA, names, "2026-01-01", "add", "fail", "5%", "/out", LIMITS)
    assert parse_wire.request_from_json(over(parse_wire.request_to_json(request))) == request


def test_an_infer_request():
    request = InferRequest(FILES, "json", {}, 100, 5, LIMITS, "/out")
    assert parse_wire.request_from_json(over(parse_wire.request_to_json(request))) == request


def test_a_parse_result():
    new = NewColumn(SCHEMA.columns[1], 3, '{"x": []}', ("a", "element"), 7)
    result = ParseResult(("/a", "/b"), None, (ParsedFile(1, "FAILED", 1, 2, 3, "changed", "why"),), (new,))
    assert parse_wire.parse_result_from_json(over(parse_wire.result_to_json(result))) == result


def test_an_infer_result():
    rows = ({"a": [1, None], "b": {"c": "d"}},)
    told = (Outlier("a", "bigint", 1, 20, "p", "x"),), ("Look.",), (RejectedSample("p", 1, 2, None, "malformed", "x"),)
    twins = (Twin("Name", 1, "name", 2),)
    result = InferResult(SCHEMA, (Evidence("a", "bigint", "p", "1"),), rows, (ParsedFile(1, "FAILED"),), *told, twins)
    assert parse_wire.infer_result_from_json(over(parse_wire.result_to_json(result))) == result
