"""What is taken for the usual way to write a value is what the exact way makes of it, text for text."""

from __future__ import annotations

import json
import random

import pytest

from app.datatypes import primitive
from app.ingest.formats.spark.json_values import TaggedValues
from app.ingest.formats.spark.text_values import text_value
from app.ingest.formats.spark.usual_values import cast_beforehand, usual_value
from tests.functional.ingest.formats.spark.test_json_records import plain

KINDS = ["boolean", "int", "bigint", "float", "double", "decimal(10,2)", "decimal(38,0)", "date", "string", "uuid"]
USUAL = ["true", "7", "-12", "9007199254740993", "1.5", "-0.25", "12.50", "2026-01-31", "0"]
ODD = [
    "007", "+1", "-0", "+0", "1e5", "1E5", "1e400", "-1e400", "1e-400", "NaN", "nan", "-nan", "Infinity", "-Infinity",
    "+inf", "1d", "1.0f", "1D", "0x1p3", "0X1P3", "-0x1.8p1", "0x1", " 1", "1 ", "1\t", "\t1.5", "1\n", "\x0b1",
    "1\x00", "\u00a01", "1.", ".5", "-.5", ".", "-", "+", "e", "1e", "e1", "1..2", "1_000", "1,5", "--1", "1-", "٣",
    "é", "1é", "2147483647", "2147483648", "-2147483648", "9223372036854775807", "9223372036854775808",
    "-9223372036854775808",
    "99999999999999999999999999999999999999", "123456789012345678901234567890123456789", "0.000000001", "0E-10", "1.10",
    "12345678.90", "123456789.00", "1.005", "0.00", "-0.00", "0E-2", "1E2", "3.4028235E38", "3.4028236E38", "1e39",
    "4.9E-324", "True", "TRUE", "t", "yes", "no", "1", "false", "False", "true ", "2026-01-31 ", "2026-1-31", "2026",
    "2026-01", "2026-02-30", "2024-02-29", "0000-01-01", "0001-01-01", "9999-12-31", "10000-01-01", "+2026-01-31",
    "2026-01-31T00:00", "2026-01-31 24:00", "-2026-01-31", "1582-10-10", "2026-01-31Z", "epoch", "now", "today", "",
    "123E4567-e89b-12d3-a456-426614174000", "1L", "1l", "0b1", "1/2", "9:", "1.5/", "+.5e-3", "5e+", "1e5.0",
]  # fmt: skip


def texts() -> list[str]:
    """These, and each with a character taken away or added."""
    chance, found = random.Random(7), {*USUAL, *ODD}
    for text in [*USUAL, *ODD]:
        for _ in range(6):
            place = chance.randint(0, len(text))
            cut = place + 1 if chance.random() < 0.5 else place
            found.add(text[:place] + ("" if cut > place else chance.choice("0123456789+-.eExXdfF \t\r/T")) + text[cut:])
    return sorted(found)


@pytest.mark.parametrize("name", KINDS)
def test_every_text_is_the_same_value_both_ways(session, name):
    kind = primitive(name)
    exact = text_value("c", kind, TaggedValues())
    rows = session.spark.createDataFrame([*((text,) for text in texts()), (None,)], "c string")
    rows = rows.selectExpr("c", f"{cast_beforehand('c', kind) or 'NULL'} AS w")
    both = rows.selectExpr("c", f"{usual_value('c', kind, 'w', exact)} AS usual", f"{exact} AS exact").collect()
    assert len(both) > 400
    assert [row["c"] for row in both if shown(row["usual"]) != shown(row["exact"])] == []
    assert any(row["usual"] is not None for row in both)


@pytest.mark.parametrize(("name", "text"), [("bigint", "12"), ("double", "1.5"), ("date", "2026-01-31")])
def test_a_text_written_the_usual_way_never_enters_the_exact_one(session, name, text):
    kind = primitive(name)
    trap = f"CAST(raise_error('entered') AS {name})"
    rows = session.spark.createDataFrame([(text,)], "c string").selectExpr("c", f"{cast_beforehand('c', kind)} AS w")
    assert rows.selectExpr(f"{usual_value('c', kind, 'w', trap)} AS v").collect()[0]["v"] is not None


def shown(value: object) -> str:
    """Zeros of either sign are told from each other."""
    return json.dumps(plain(value), default=str)
