"""The quick reader of JSON lines changes nothing but time: with it and without it the same rows come out."""

from __future__ import annotations

import random
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.datatypes import parse_schema
from app.ingest.formats import jsonl
from app.ingest.formats.base import ReadJob
from app.ingest.formats.contract import ParseFile, ParseLimits
from app.ingest.formats.quick_json import QuickJson
from tests.functional.ingest.formats.test_exact_values import (
    ODD_CLOCKS,
    ODD_DAYS,
    ODD_NUMBERS,
    ODD_TEXTS,
    ODD_ZONES,
    VALUES,
)
from tests.functional.ingest.formats.test_jsonl_against_model import SCHEMA, random_line

CONNECTION = duckdb.connect(config={"threads": 1})
CONNECTION.execute("SET TimeZone = 'UTC'")
LIMITS = ParseLimits(1 << 30, 2, 1 << 36, 400, 1 << 20, 1 << 29)
SETTINGS = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
KINDS = ["string", "int", "bigint", "double", "boolean", "date", "timestamp", "timestamptz"]
WRAPS = {
    "plain": ("{}", "{}"),
    "struct": ("struct<m: {}, z: struct<w: {}>>", '{{"m": {0}, "z": {{"w": {0}}}}}'),
    "array": ("array<{}>", "[{0}, null, {0}]"),
    "objects in an array": ("array<struct<m: {}, d: double>>", '[{{"m": {0}, "d": 1.5}}, null, {{}}]'),
}
STAMPS = [f"{day}{'T' if zone else ' '}{clock}{zone}" for day in ODD_DAYS.split() for clock in ODD_CLOCKS.split()
          for zone in ODD_ZONES.split("|")]  # fmt: skip
HOURS = ["2026-01-31T10", "2026-01-31T10Z", "2026-01-31 10+02", "2026-01-31T10+0200", "2026-01-31T10+02:00"]
EDGES = ["0001-01-01T00:00+00:01", "9999-12-31T23:59:59.999999-00:01", "9999-12-31T23:59:59.999999Z"]
TEXTS = [*ODD_TEXTS.split("|"), *HOURS, *EDGES, *ODD_DAYS.split(), *STAMPS[::5], "\\u0000", "\\ud83d\\ude00", "\\/"]
TOKENS = ["null", "true", "false", "NaN", "Infinity", "-Infinity", "Inf", "nan", "[]", "{}", "[[1]]", "01", "+1", ".5"]
ODD_VALUES = [*TOKENS, *ODD_NUMBERS.split(), *(f'"{text}"' for text in TEXTS if text.isprintable() and '"' not in text)]

CLEAN = '{"id": 1, "s": "x", "d": 1.5, "n": {"x": 1, "y": "s", "z": {"w": true}}, "a": [1, null], "b": true}'
ODD_LINES = [
    '{"id":1}{"id":2}',
    '{"id":1} {"id":2}',
    '{"id":1} null {}',
    '{"id":1} null {"id":2}',
    '{"id":1}5{}',
    '{"id":1},{"id":2}',
    '{"id":1}]',
    '{"id":1} x}',
    '{"id":1,}',
    '{"id":1,"id":2}',
    '{"id":null,"id":2}',
    '{"id":2,"id":null}',
    '{"n":{"x":1,"x":2}}',
    '{"n":{"x":1,"q":2}}',
    '{"n":{}}',
    '{"n":null}',
    '{"n":[]}',
    '{"a":[]}',
    '{"a":null}',
    '{"\\u0069d":7}',
    '{"ID":7}',
    '{"zz":null}',
    '{"s":"\\ud800"}',
    '{"s":"\\udc00"}',
    '{"s":"\\ud800\\u0041"}',
    '{"s":"\\u0000"}',
    '{"s":"a\tb"}',
    '{"s":"a\0b"}',
    '{"id":1}\0{}',
    '\0{"id":1}',
    '{\0"id":1}',
    '\ufeff{"id":1}',
    ' {"id":1}',
    '{"id":1} ',
    '{"id":1 /* c */}',
    "{'id':1}",
    '{"s":"a\nb"}',
    '{"id":\n{"x":1}}\n{"id":1}{"id":2}',
    '{"n":{"x":1}\n{"id":1}}',
    '{"id":1}\n\n \n{"id":2}',
    "null",
    "5",
    "[]",
    '"x"',
    "{}",
    "{",
    "}",
    "",
]


def read(schema: str, content: bytes, folder: Path, unknown: str) -> list[str]:
    """Rows and rejects."""
    path = folder / "x"
    path.write_bytes(content)
    file = ParseFile(1, str(path), str(path), len(content), "none")
    job = ReadJob(CONNECTION, (file,), {}, LIMITS, folder, schema=parse_schema(schema), unknown=unknown)
    reading = jsonl.JSONL.open(job)
    found = CONNECTION.execute(reading.rows([file])).fetchall()
    rejected = CONNECTION.execute(reading.rejects([file])).fetchall()
    reading.close()
    return sorted(repr(row) for row in [*found, *rejected, *job.failures.items()])


def exact_rows(schema: str, content: bytes, folder: Path) -> list[tuple]:
    """Values, rescued text and reason, in the order of the first column."""
    path = folder / "x"
    path.write_bytes(content)
    file = ParseFile(1, str(path), str(path), len(content), "none")
    job = ReadJob(CONNECTION, (file,), {}, LIMITS, folder, schema=parse_schema(schema))
    reading = jsonl.JSONL.open(job)
    found = CONNECTION.execute(reading.rows([file])).fetchall()
    reading.close()
    return sorted(((*row[:2], *row[-2:]) for row in found), key=lambda row: row[0])


def both(schema: str, content: bytes, unknown: str = "rescue") -> int:
    """How many pieces were taken by the quick reader, when both ways agree."""
    taken: list[bool] = []
    ask = QuickJson.read

    def watched(self, data, records):
        found = ask(self, data, records)
        taken.append(found is not None)
        return found

    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(QuickJson, "read", watched)
        quick = read(schema, content, Path(folder), unknown)
        patch.setattr(QuickJson, "of", lambda *_, **__: None)
        exact = read(schema, content, Path(folder), unknown)
    assert quick == exact, content
    return sum(taken)


def agree(shape: str, values: list[str]) -> int:
    """How many of the values the quick reader takes; each must be what it is the exact way, and none rescued there."""
    schema = f"i bigint, v {shape}"
    columns = parse_schema(schema).columns
    kept, rows = [], []
    for place, value in enumerate(values):
        line = f'{{"i":{place},"v":{value}}}\n'.encode()
        quick = QuickJson.of(columns, {})
        if quick and (found := quick.read(line, 1)):
            kept.append(line)
            CONNECTION.register("found", pa.table(found, ["i", "v"]))
            rows += CONNECTION.execute("FROM found").fetchall()
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(QuickJson, "of", lambda *_, **__: None)
        exact = exact_rows(schema, b"".join(kept), Path(folder))
    assert [(*row, None, None) for row in rows] == exact
    return len(kept)


def test_clean_lines_are_read_quickly():
    assert both(SCHEMA, "\n".join([CLEAN] * 100).encode()) == 1
    assert both(SCHEMA, "\r\n".join([CLEAN] * 100).encode()) >= 1
    assert both("d double, t timestamptz, s string", b'{"d":-0.5,"t":"2026-01-31T10:00:00Z","s":"\xc3\xa9"}') == 1


@pytest.mark.parametrize("zero", ["-0", "-0.0", "-0e5"])
def test_a_zero_with_a_sign_is_left_to_the_exact_way(zero):
    assert both("d double, s string", f'{{"d":{zero},"s":"x"}}\n{{"d":1}}\n'.encode()) == 0
    assert both("l array<double>", f'{{"l":[1.0,{zero}]}}\n'.encode()) == 0
    assert both("d double, s string", b'{"d":0,"s":"-0"}\n{"d":0.0}\n{"d":null}\n') == 1


def test_a_type_that_is_not_read_quickly_leaves_its_table_to_the_exact_way():
    for kind in ("float", "decimal(10,2)", "time", "uuid", "binary", "map<string, int>", "array<struct<m: float>>"):
        assert both(f"x {kind}, y int", b'{"y":1}\n{"y":2}') == 0
    assert QuickJson.of(parse_schema("d date").columns, {"date_format": "%d.%m.%Y"}) is None


@pytest.mark.parametrize("line", ODD_LINES)
def test_an_odd_line_comes_out_the_same_both_ways(line):
    for unknown in ("rescue", "ignore"):
        both(SCHEMA, f"{CLEAN}\n{line}\n{CLEAN}\n".encode(), unknown)


def test_records_with_keys_that_are_ignored_are_read_quickly():
    lines = '{"id": 1, "more": {"id": [{"id": "x"}]}}\n{"other": "}", "id": 2, "then": null}\n'
    assert both("id bigint, s string", lines.encode(), "ignore") == 1
    assert both("id bigint, s string", lines.encode(), "rescue") == 0


@pytest.mark.parametrize(
    "line",
    [
        '{"id":1,"id":2}',
        '{"m":1} {"m":2}',
        '{"m":{"a":01}}',
        '{"m":"\\ud800"}',
        '{"m":1},{"id":1}',
        '{"m":[1,]}',
        '{"m"}',
    ],
)
def test_a_record_that_is_odd_beside_a_key_that_is_ignored_comes_out_the_same_both_ways(line):
    both("id bigint", f'{{"id":0,"m":1}}\n{line}\n{{"id":3}}\n'.encode(), "ignore")


@pytest.mark.parametrize("wrap", WRAPS)
def test_what_is_read_quickly_of_odd_values_is_what_the_exact_way_gives(wrap):
    shape, text = WRAPS[wrap]
    for kind in KINDS:
        assert agree(shape.format(*[kind] * 2), [text.format(value) for value in ODD_VALUES]) > 0


@SETTINGS
@given(values=VALUES, wrap=st.sampled_from(list(WRAPS)))
def test_what_is_read_quickly_of_random_values_is_what_the_exact_way_gives(values, wrap):
    shape, text = WRAPS[wrap]
    for kind in KINDS:
        agree(shape.format(*[kind] * 2), [text.format(value) for value in values])


def test_random_records_come_out_the_same_both_ways():
    rng = random.Random(7)
    taken = sum(
        both(SCHEMA, "\n".join(random_line(rng) for _ in range(rng.randrange(1, 4))).encode(), unknown)
        for unknown in ("rescue", "ignore")
        for _ in range(40)
    )
    assert taken > 5


@SETTINGS
@given(
    st.lists(
        st.tuples(st.integers(0, 10_000), st.sampled_from(list('{}[]",:\\ \n\r\t0-1enul\0')) | st.none()), max_size=4
    )
)
def test_damaged_text_comes_out_the_same_both_ways(changes):
    text = list(f"{CLEAN}\n" * 3)
    for place, character in changes:
        text[place % len(text)] = character or ""
    for unknown in ("rescue", "ignore"):
        both(SCHEMA, "".join(text).encode(), unknown)


def test_after_refusals_fewer_pieces_are_tried_and_a_clean_one_is_taken_again():
    quick = QuickJson.of(parse_schema("id bigint").columns, {})
    assert quick is not None
    tried = [place for place in range(40) if _resting(quick) == 0 and quick.read(b'{"id":"x"}\n', 1) is None]
    assert len(tried) < 10
    while _resting(quick):
        continue
    assert quick.read(b'{"id":1}\n', 1) is not None
    assert quick.read(b'{"id":1}\n', 1) is not None


def _resting(quick: QuickJson) -> int:
    """What still rests, one piece less."""
    left = quick.resting
    if left:
        quick.read(b'{"id":1}\n', 1)
    return left
