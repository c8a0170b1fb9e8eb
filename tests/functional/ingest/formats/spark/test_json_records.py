"""Records converted by Spark SQL, value for value against the embedded parser."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime

import pytest

from app.datatypes import parse_schema
from app.ingest.engines.spark_frames import through
from app.ingest.formats.spark import json_records
from app.ingest.formats.spark.json_records import IS_RECORD, RecordLayers
from tests.functional.ingest.formats.test_jsonl_against_model import SCHEMA, random_line
from tests.functional.ingest.formats.test_jsonl_values import FITS, MISFITS
from tests.functional.ingest.parsing import LIMITS, parse

NO_SPARK = ("time", "map<bigint, string>")
ODD = [
    '{"id":1} x', '{"id":1}{"id":2}', "[1]", "5", "null", '"x"', '{"id":01}', '{"id":1}] [', '{"id":1},{"id":2}',
    '{"id":1}][{"s":2}', "{", '{"s":"\x01"}', '{"s":"\ufffd"}', "{'id':1}", '{"id":+1}', '{"id":NaN}',
    '{"s":NaN,"zz":[NaN,-Infinity,{"q":nan}]}', '   {"id":3}  ', '{"s":"a\\u0000b"}', '{"s":"tab\tx"}',
    '{"zz":"a\\"n5\\"b","s":["\\"n5\\"","x\\\\"],"id":"n5"}',
    '{"zz":{"a":"\\\\","n":1.50,"b":"s"}}', '{"s":{"k":"s,\\"s"}}',
    '{"zz":"\\/ \\b\\f\\u001f \\u007f \\u2028 é"}', '{"s":{"a":"\\/ \\b\\f\\u001f \\u007f \\u2028 é 😀"}}',
    '{"n":{"x":1,"x":2,"q":3},"n":4}', '{"d":1E5,"zz":-0.0}', '{"s":"\\ud83d"}', '{"s":"\\udc00x"}',
    '{"s":["\\ud83d\\ude00 \\\\ud83d \\""]}', '{"s":inf,"d":inf}', '{"s":-Inf,"d":-iNfinity}', '{"d":Infinity}', "// c",
    '{"id":1 /*c*/}', '{"id": .5}', '{"id":1.}', '{"id":1e}', '{"id":tru}', '{"id":TRUE}',
    '{"":1,"n":{"":2,"z":{"w":3}}}',
]  # fmt: skip


@pytest.fixture(params=[1, 10_000], ids=["together", "each alone"])
def conversions(request, monkeypatch):
    """All values of a type are converted by one expression, or each by its own."""
    monkeypatch.setattr(json_records, "_MANY", request.param)


def by_spark(session, path, schema):
    """`(rows, rejects)` as the embedded parser gives them, sorted."""
    rows = (
        session.spark.read.format("text").load(str(path)).where(IS_RECORD).selectExpr("value", "1L AS file", "1 AS k")
    )
    found = through(RecordLayers(schema, LIMITS.max_record_bytes).layers(keep="k"), rows).collect()
    values = [f"v{place}" for place in range(len(schema))]
    good = [[*(row[name] for name in values), row["rescued"]] for row in found if row["reject"] is None]
    bad = [[row["reject"], row["raw"]] for row in found if row["reject"] is not None]
    return sorted(map(shown, good)), sorted(map(shown, bad))


def by_embedded(sandbox, path, schema, folder):
    parsed = parse(sandbox, path, schema, folder)
    return sorted(map(shown, parsed.rows())), sorted(map(shown, parsed.rejects("reason, raw")))


def shown(row):
    return json.dumps([plain(value) for value in row], ensure_ascii=False)


def plain(value):
    if hasattr(value, "asDict"):
        return {name: plain(inner) for name, inner in value.asDict().items()}
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if isinstance(value, bytes | bytearray):
        return bytes(value).hex()
    if isinstance(value, datetime) and value.tzinfo:
        return value.astimezone(UTC).isoformat()
    return value if value is None or isinstance(value, bool | int | str) else str(value)


@pytest.mark.usefixtures("conversions")
def test_each_value_fits_or_is_rescued_as_on_the_embedded_engine(session, sandbox, tmp_path):
    cases = [(kind, text) for kind, text, *_ in [*FITS, *MISFITS] if kind not in NO_SPARK]
    kinds = {kind: f"x{number}" for number, kind in enumerate(dict.fromkeys(kind for kind, _ in cases))}
    path = tmp_path / "values.jsonl"
    path.write_text("".join(f'{{"{kinds[kind]}": {text}}}\n' for kind, text in cases), encoding="utf-8")
    schema = ", ".join(f"{name} {kind}" for kind, name in kinds.items())
    rows, rejects = by_spark(session, path, parse_schema(schema))
    assert rejects == []
    assert len(rows) == len(cases)
    assert (rows, rejects) == by_embedded(sandbox, path, schema, tmp_path)


@pytest.mark.usefixtures("conversions")
def test_odd_and_random_records_come_out_as_on_the_embedded_engine(session, sandbox, tmp_path):
    rng = random.Random(11)
    path = tmp_path / "records.jsonl"
    path.write_text("\n".join([*ODD, *(random_line(rng) for _ in range(3000))]), encoding="utf-8")
    rows, rejects = by_spark(session, path, parse_schema(SCHEMA))
    expected = by_embedded(sandbox, path, SCHEMA, tmp_path)
    assert rows == expected[0]
    assert rejects == expected[1]


def test_a_record_that_is_not_utf8_is_rejected_with_what_can_be_shown_of_it(session, tmp_path):
    path = tmp_path / "bytes.jsonl"
    path.write_bytes(b'{"s": "\xff"}\n{"s": "\xef\xbf\xbd"}\n')
    rows, rejects = by_spark(session, path, parse_schema("s string"))
    assert (rows, rejects) == (
        ['["\ufffd", null]'],
        ['["invalid-utf8: the record is not UTF-8", "{\\"s\\": \\"\ufffd\\"}"]'],
    )


def test_a_record_beyond_the_limit_is_rejected_and_cut(session, tmp_path):
    path = tmp_path / "long.jsonl"
    path.write_text('{"s": "' + "x" * LIMITS.max_record_bytes + '"}\n{"s": "y"}\n', encoding="utf-8")
    rows, rejects = by_spark(session, path, parse_schema("s string"))
    assert rows == ['["y", null]']
    assert json.loads(rejects[0])[0] == f"too-long: the record is longer than {LIMITS.max_record_bytes:,} bytes"
    assert len(json.loads(rejects[0])[1]) == 64 * 1024


def test_a_record_of_a_thousand_columns_is_read_with_its_misfits(session, tmp_path):
    kinds = ("bigint", "string", "double", "timestamptz")
    schema = parse_schema(", ".join(f"c{place} {kinds[place % 4]}" for place in range(1_000)))
    path = tmp_path / "wide.jsonl"
    path.write_text(json.dumps({f"c{place}": str(place) for place in range(1_000)} | {"new": 1}) + "\n")
    rows = session.spark.read.format("text").load(str(path)).selectExpr("value", "1L AS file", "1 AS k")

    [row] = through(RecordLayers(schema, LIMITS.max_record_bytes, quick=False).layers(keep="k"), rows).collect()

    texts = [row[f"v{place}"] for place in range(1_000)]
    assert texts == [str(place) if place % 4 == 1 else None for place in range(1_000)]
    misfits = {f"c{place}": str(place) for place in range(1_000) if place % 4 != 1}
    assert json.loads(row["rescued"]) == {"new": 1, **misfits}
