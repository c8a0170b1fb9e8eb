"""What Spark makes code of: no step that it cannot compile takes its neighbours along."""

from __future__ import annotations

import re

import pytest

from app.datatypes import parse_schema
from app.ingest.engines.spark_frames import through
from app.ingest.engines.spark_source import SETTINGS
from app.ingest.formats.csv_options import read_options
from app.ingest.formats.spark.csv_records import CsvCutter
from app.ingest.formats.spark.csv_rows import CsvRows
from app.ingest.formats.spark.json_records import IS_RECORD, RecordLayers
from tests.services.spark.jars import VERSION

NAMES = ("id", "at", "customer", "country", "amount", "quantity", "paid", "note")
SCHEMA = parse_schema(
    "id bigint, at timestamptz, customer string, country string, amount double, quantity int, paid boolean, note string"
)
LIMIT = 1 << 20
_SUBTREE = re.compile(r"maxMethodCodeSize:(\d+)")


@pytest.fixture
def planned(session):
    """The session with plans that are made whole beforehand: what is made while a query runs cannot be shown."""
    session.set({"spark.sql.adaptive.enabled": "false"})
    return session


def steps(rows) -> list[int]:
    """The bytes of the largest method of each piece of code, in the order of Spark's explanation."""
    return [int(size) for size in _SUBTREE.findall(rows._explain_string(mode="codegen"))]


def plan(rows) -> str:
    return rows._explain_string(mode="simple")


def csv_rows(session, path):
    dialect = read_options({}, "csv", ",")
    cutter, keep = CsvCutter(dialect, LIMIT), "k"
    rows = session.spark.read.format("text").load(str(path)).where(cutter.is_record_line())
    rows = through(cutter.texts(keep, "false", whole=False), rows.selectExpr("value", "1L AS file", "1 AS k"))
    rows = through([cutter.record(keep, whole=False), *cutter.fields(keep, len(NAMES), whole=False)], rows)
    return through(CsvRows(SCHEMA, NAMES, dialect).layers(keep), rows)


def json_rows(session, path):
    rows = session.spark.read.format("text").load(str(path)).where(IS_RECORD)
    return through(RecordLayers(SCHEMA, LIMIT).layers(keep="k"), rows.selectExpr("value", "1L AS file", "1 AS k"))


@pytest.mark.parametrize("made", [csv_rows, json_rows])
def test_every_piece_of_code_is_small_enough_to_be_compiled(planned, tmp_path, made):
    (tmp_path / "some.txt").write_text("")
    found = steps(made(planned, tmp_path / "some.txt"))
    assert found
    assert max(found) <= int(SETTINGS["spark.sql.codegen.hugeMethodLimit"])


def test_a_record_is_found_and_split_in_code(planned, tmp_path):
    """What has no code, a type's exact way and the JSON of what is rescued, takes none of these steps along."""
    (tmp_path / "some.txt").write_text("")
    lines = [line for line in plan(csv_rows(planned, tmp_path / "some.txt")).splitlines() if "Project" in line]
    coded = [line for line in lines if re.search(r"\*\(\d+\)", line)]
    assert any(" split(" in line for line in coded)
    assert any("StartsWith(" in line for line in coded)
    assert len(lines) - len(coded) == {"3.5": 2, "4.0": 1}[VERSION]  # 4.0 makes code of JSON as well
