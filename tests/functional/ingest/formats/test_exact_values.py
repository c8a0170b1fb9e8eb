"""Random values in columns of every type: each arrives equal to what was written, or is rescued exactly as it was."""

from __future__ import annotations

import datetime as dt
import json
import math
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.datatypes import parse_schema
from app.ingest.formats.base import ReadJob
from app.ingest.formats.contract import ParseFile, ParseLimits
from app.ingest.formats.csv import CSV
from app.ingest.formats.jsonl import JSONL
from tests.functional.ingest.formats.exact_model import MISFIT, compact, of_json, of_text, tokens

CONNECTION = duckdb.connect(config={"threads": 1})  # a new one for each example would be most of the time
CONNECTION.execute("SET TimeZone = 'UTC'")
LIMITS = ParseLimits(1 << 30, 1, 1 << 36, 400, 1 << 20, 1 << 29)
SETTINGS = settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
SCALARS = [
    "string",
    "int",
    "bigint",
    "float",
    "double",
    "decimal(10,2)",
    "decimal(38,0)",
    "decimal(38,20)",
    "boolean",
    "date",
    "time",
    "timestamp",
    "timestamptz",
    "uuid",
    "binary",
]
# How a scalar's type and text are wrapped, and the key under which it is rescued.
WRAPS = {
    "plain": ("{}", "{}", "{}"),
    "struct": ("struct<m: {}>", '{{"m": {}}}', "{}.m"),
    "array": ("array<{}>", "[{}]", "{}"),
    "map": ("map<string, {}>", '{{"k": {}}}', "{}"),
    "objects in an array": ("array<struct<m: {}, d: double>>", '[{{"m": {}, "d": 1.50}}]', "{}"),
    "arrays in a map": ("map<string, array<{}>>", '{{"k": [{}]}}', "{}"),
}

# What parsers are known to be lax about.
ODD_NUMBERS = """
-0 -0.0 0 0.00 1.10 1e-2147483648 1e2147483647 -7e-2147483649
1E5 1e400 -1E400 1e-400 0e999 1e22 1e999999999999 9007199254740993.0 9223372036854775807.0
0.30000000000000001 2147483648e0 0.00001 100000000000000000.0
"""
ODD_DAYS = "2026-01-31 2026-02-30 0000-01-01 0001-01-01 9999-12-31 2026-1-31 12026-01-31"
ODD_CLOCKS = """
12:30 12:30:59 00:00:00 24:00:00 12:30:60 12:30:59.123456 12:30:59.1234567 12:30:59.5000000 00:00:00.000 1:30 12:30:59.
"""
ODD_ZONES = "|Z|+02:00|-0530|+02| UTC| Europe/Berlin| CET|+25:00|+02:75|z|-02:00:30|+24"
ODD_TEXTS = (
    "1_000| 1|1 |\t7|+5|0x10|0b1|1e3|1.|.5|1,5|007|infinity|-inf|NaN|nan|epoch|today|true|TRUE|t|yes|1|0|| |1.10|1d|1e"
    "|--1|١٢|12345678901234567890123456789012345678|20260131|31.01.2026|2026-01-31 (BC)|aGVsbG8=|aGVsbG9=|1234"
    "|aGVs\nbG8=|550e8400-e29b-41d4-a716-446655440000|550e8400e29b41d4a716446655440000"
    '|{550e8400-e29b-41d4-a716-446655440000}|[1.10]|{"a": 1E5}'
)

DIGITS = st.text("0123456789", min_size=1, max_size=24)
INTEGERS = st.one_of(
    st.integers(-(10**40), 10**40).map(str),
    st.integers(-300, 300).map(str),
    st.builds(lambda power, near: str(2**power + near), st.integers(29, 66), st.integers(-2, 2)),
)
EXPONENTS = st.builds(
    "".join,
    st.tuples(st.sampled_from("eE"), st.sampled_from(["", "-", "+", "-0"]), st.integers(0, 45).map(str)),
)
FRACTIONS = st.builds(
    lambda whole, digits, power: f"{whole}.{digits}{power}", INTEGERS, DIGITS, EXPONENTS | st.just("")
)
SHORT = st.builds(
    lambda whole, digits: f"{whole}.{digits}", st.integers(-99, 99), st.text("05", min_size=1, max_size=3)
)
POWERS = st.builds(lambda whole, power: whole + power, INTEGERS, EXPONENTS)
FLOATS = st.floats(allow_nan=False, allow_infinity=False).map(repr)
EDGES = st.sampled_from(ODD_NUMBERS.split())
NUMBERS = st.one_of(INTEGERS, FRACTIONS, SHORT, POWERS, FLOATS, EDGES)
DAYS = st.sampled_from(ODD_DAYS.split())
CLOCKS = st.sampled_from(ODD_CLOCKS.split())
STAMPS = st.builds(
    "".join, st.tuples(DAYS, st.sampled_from(["T", " ", "  "]), CLOCKS, st.sampled_from(ODD_ZONES.split("|")))
)
MOMENTS = st.one_of(DAYS, CLOCKS, STAMPS)
WORDS = st.sampled_from(ODD_TEXTS.split("|"))
PLAIN = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
TEXTS = st.one_of(WORDS, MOMENTS, NUMBERS, PLAIN)
STRINGS = st.builds(lambda text, ascii_: json.dumps(text, ensure_ascii=ascii_), TEXTS, st.booleans())
LITERALS = st.sampled_from(["true", "false", "null", "NaN", "Infinity", "-Infinity"])
LEAVES = st.one_of(NUMBERS, NUMBERS, STRINGS, LITERALS)
CONTAINERS = st.one_of(
    st.lists(LEAVES, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
    st.dictionaries(st.sampled_from(["a", "b 1.10", '"q']), LEAVES, max_size=2).map(
        lambda items: "{" + ", ".join(f"{json.dumps(key)} :{value}" for key, value in items.items()) + "}"
    ),
)
VALUES = st.lists(st.one_of(LEAVES, LEAVES, LEAVES, CONTAINERS), min_size=20, max_size=60)


def read(chosen, schema: str, content: bytes, options: dict[str, object] | None = None) -> list[tuple]:
    """The rows, their first column `i` taken for the order; the last is what was rescued."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "x"
        path.write_bytes(content)
        file = ParseFile(1, str(path), str(path), len(content), "none")
        job = ReadJob(CONNECTION, (file,), options or {}, LIMITS, Path(folder), schema=parse_schema(schema))
        reading = chosen.open(job)
        found = CONNECTION.execute(reading.rows([file])).fetchall()
        reading.close()
    assert not job.failures
    assert all(row[-1] is None for row in found), found
    return [(*row[1:-3], row[-2]) for row in sorted(found, key=lambda row: row[0])]


def same(found: object, wanted: object) -> bool:
    if isinstance(wanted, float):
        return isinstance(found, float) and (found == wanted or (math.isnan(found) and math.isnan(wanted)))
    if isinstance(wanted, dt.datetime) and wanted.tzinfo:
        return isinstance(found, dt.datetime) and found.astimezone(dt.UTC) == wanted
    if isinstance(wanted, list):
        return isinstance(found, list) and len(found) == len(wanted) and all(map(same, found, wanted))
    if isinstance(wanted, dict):
        return isinstance(found, dict) and [*found] == [*wanted] and all(map(same, found.values(), wanted.values()))
    return found == wanted and type(found) is type(wanted)


def check(kinds: list[str], row: tuple, wanted: list[object], kept: dict[str, str]) -> list[object]:
    """What is wrong in one row: values that differ, and those rescued otherwise than they came."""
    rescued = {key: compact(value) for key, value in tokens(row[-1] or "{}", strict=True)}
    wrong: list[object] = [
        (kind, found, want) for kind, found, want in zip(kinds, row, wanted, strict=False) if not same(found, want)
    ]
    return wrong if rescued == kept else [*wrong, (rescued, kept)]


@pytest.mark.parametrize("wrap", WRAPS)
@SETTINGS
@given(values=VALUES)
def test_a_json_value_arrives_equal_or_is_rescued_exactly(wrap, values):
    shape, text, key = WRAPS[wrap]
    kinds = [shape.format(kind) for kind in SCALARS]
    schema = parse_schema(", ".join(f"c{i} {kind}" for i, kind in enumerate(kinds)))
    lines = [
        f'{{"i":{i}, ' + ", ".join(f'"{name}":{text.format(value)}' for name in schema.names) + f', "new": {value}}}'
        for i, value in enumerate(values)
    ]
    found = read(JSONL, f"i bigint, {schema}", "\n".join(lines).encode())
    for value, row in zip(values, found, strict=True):
        parsed = tokens(text.format(value))
        kept = {} if value == "null" else {"new": compact(tokens(value))}
        wanted: list[object] = []
        for column in schema:
            fitted = of_json(parsed, column.type)
            if fitted is MISFIT:
                kept[key.format(column.name)] = compact(parsed[0][1] if wrap == "struct" else parsed)
                fitted = {"m": None} if wrap == "struct" else None
            wanted.append(fitted)
        assert check(kinds, row, wanted, kept) == [], value


@SETTINGS
@given(texts=st.lists(TEXTS, min_size=20, max_size=60))
def test_a_csv_text_arrives_equal_or_is_rescued_exactly(texts):
    schema = parse_schema(", ".join(f"c{i} {kind}" for i, kind in enumerate(SCALARS)))
    quoted = ['"' + text.replace('"', '""') + '"' for text in texts]
    lines = ["i," + ",".join(schema.names), *(f"{i}," + ",".join([t] * len(schema)) for i, t in enumerate(quoted))]
    found = read(CSV, f"i bigint, {schema}", "\n".join(lines).encode(), {"null_values": []})
    for text, row in zip(texts, found, strict=True):
        kept, wanted = {}, []
        for column in schema:
            fitted = of_text(text, column.type)
            if fitted is MISFIT:
                kept |= {column.name: compact(text)} if text else {}
                fitted = None
            wanted.append(fitted)
        assert check(SCALARS, row, wanted, kept) == [], text
