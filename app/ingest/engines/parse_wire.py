"""Requests and results as JSON, one line each: the only thing that passes between the process and its parsing child."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from operator import attrgetter
from typing import Any, cast

from app.datatypes import Column, TableSchema, schema_from_json, schema_to_json
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

Message = dict[str, Any]

# Files are many: they travel as plain lists of their fields, in the order of the dataclass.
_FILE = attrgetter(*(entry.name for entry in fields(ParseFile)))
_PARSED = attrgetter(*(entry.name for entry in fields(ParsedFile)))


def encode(message: Mapping[str, object]) -> bytes:
    """One line. Values that JSON does not have are written as their text (they stand in sample rows only)."""
    return json.dumps(message, default=str).encode() + b"\n"


def decode(line: bytes) -> Message:
    return cast("Message", json.loads(line))


def request_to_json(request: ParseRequest | InferRequest) -> Message:
    data = _flat(request)
    data["kind"] = "parse" if isinstance(request, ParseRequest) else "infer"
    if isinstance(request, ParseRequest):
        data["schema"] = schema_to_json(request.schema)
    return data


def request_from_json(data: Message) -> ParseRequest | InferRequest:
    data = dict(data)
    kind = data.pop("kind")
    data["files"] = tuple(_file(item) for item in data["files"])
    data["limits"] = ParseLimits(**data["limits"])
    if kind == "infer":
        return InferRequest(**data)
    data["schema"] = schema_from_json(data["schema"])
    names = data["row_columns"]
    file_id = names["file_id"]
    data["row_columns"] = RowColumns(
        file_id=(file_id[0], file_id[1]),
        source_file=_pair(names["source_file"]),
        ingested_at=_pair(names["ingested_at"]),
        rescued_data=_pair(names["rescued_data"]),
    )
    return ParseRequest(**data)


def result_to_json(result: ParseResult | InferResult) -> Message:
    if isinstance(result, InferResult):
        return _flat(result) | {"schema": schema_to_json(result.schema)}
    return _flat(result) | {"new_columns": [_new_to_json(item) for item in result.new_columns]}


def parse_result_from_json(data: Message) -> ParseResult:
    return ParseResult(
        data_files=tuple(data["data_files"]),
        reject_file=data["reject_file"],
        files=tuple(ParsedFile(*item) for item in data["files"]),
        new_columns=tuple(_new_from_json(item) for item in data["new_columns"]),
    )


def infer_result_from_json(data: Message) -> InferResult:
    return InferResult(
        schema=schema_from_json(data["schema"]),
        evidence=tuple(Evidence(**item) for item in data["evidence"]),
        rows=tuple(data["rows"]),
        problems=tuple(ParsedFile(*item) for item in data["problems"]),
        outliers=tuple(Outlier(**item) for item in data["outliers"]),
        hints=tuple(data["hints"]),
        rejected=tuple(RejectedSample(**item) for item in data["rejected"]),
        twins=tuple(Twin(**item) for item in data["twins"]),
    )


def _flat(item: ParseRequest | InferRequest | ParseResult | InferResult) -> Message:
    """Fields as JSON values; schemas and columns are left to the caller."""
    data: Message = {}
    for entry in fields(item):
        value = getattr(item, entry.name)
        if entry.name in {"schema", "new_columns"}:
            continue
        if isinstance(value, tuple) and value and isinstance(value[0], (ParseFile, ParsedFile)):
            value = list(map(_FILE if isinstance(value[0], ParseFile) else _PARSED, value))
        elif isinstance(value, tuple):
            value = [asdict(part) if hasattr(part, "__dataclass_fields__") else part for part in value]
        data[entry.name] = asdict(value) if hasattr(value, "__dataclass_fields__") else value
    return data


def _file(values: list[Any]) -> ParseFile:
    fixed: list[Any] = [tuple(value) if isinstance(value, list) else value for value in values]
    return ParseFile(*fixed)


def _pair(value: list[Any] | None) -> tuple[str, int] | None:
    return (value[0], value[1]) if value else None


def _new_to_json(item: NewColumn) -> Message:
    column = schema_to_json(TableSchema((item.column,)))[0]
    told = {"file_id": item.file_id, "example": item.example, "parent": list(item.parent), "records": item.records}
    return {"column": column, **told}


def _new_from_json(data: Message) -> NewColumn:
    column: Column = schema_from_json([data["column"]]).columns[0]
    return NewColumn(column, data["file_id"], data["example"], tuple(data["parent"]), data["records"])
