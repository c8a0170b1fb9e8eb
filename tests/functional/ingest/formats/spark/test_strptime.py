"""Formats of dates as Spark SQL, text for text against DuckDB."""

from __future__ import annotations

import random

import duckdb
import pytest

from app.datatypes import primitive
from app.ingest.formats import strptime
from app.ingest.formats.spark.strptime import strptime_sql, unknown_letter

KINDS = ("date", "timestamp", "timestamptz")
PATTERNS = [
    "%d.%m.%Y", "%Y%m%d", "%d/%m/%y", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S.%f", "%H:%M", "%m  %d\t%Y", "100%% %d",
    "%-d-%-m-%Y", "%-H.%-M.%-S", "%d (%m) [%Y]*", " %d.%m ", "%dé%m", "%S.%f", "%y%m%d%H%M%S", "%-y/%m/%d",
    "%Y-%m-%d%H", "a%d+b?^$|{%m}\\%Y",
]  # fmt: skip
TEXTS = [
    "1.2.2026", "01.02.2026", " 1.2.26", "31.2.2026", "29.2.2024", "29.2.2023", "20260102", "2026102", "1/2/69",
    "1/2/68", "1/2/26", "0/1/1", "2026-01-02 03:04:05", "2026-01-02  3:4:5 ", "2026-01-02T03:04:05.5",
    "2026-01-02T03:04:05.1234567", "2026-01-02T24:00:00.0", "2026-01-02T23:59:60.0", "2026-01-02 00:00:00", "24:00",
    "23:59", "1 2 2026", "01\t02\n2026 ", "100% 5", "1-2-2026", "3.4.5", "1 (2) [2026]*", "1é2", "5.123", "5.000001",
    "5.", ".5", "260102030405", "29.2", "a1+b?^$|{2}\\2026", "epoch", "infinity", "", " ", "٣.2.2026", "+1.2.2026",
    "1.2.2026x", "1..2", "1.02.00026", "1.1.0001", "12.12.9999", "2026-13-01 00:00:00", "2026-01-0200", "60:00",
    "\x0b1.2.2026", "\u00a01.2.2026", "69/1/1", "68/12/31",
]  # fmt: skip


def texts() -> list[str]:
    """These, and each with a character taken away or added."""
    chance, found = random.Random(7), set(TEXTS)
    for text in TEXTS:
        for _ in range(4):
            place = chance.randint(0, len(text))
            cut = place + 1 if chance.random() < 0.5 else place
            found.add(text[:place] + ("" if cut > place else chance.choice("0123456789 .:-/\tT")) + text[cut:])
    return sorted(found)


def test_a_format_reads_each_text_as_duckdb_does(session):
    given = texts()
    cases = [(pattern, kind) for pattern in PATTERNS for kind in KINDS]
    frame = session.spark.createDataFrame([(text,) for text in given], "x string")
    # Without the years before the first, which the two print in different ways.
    columns = [f"CAST({strptime_sql('x', p, primitive(kind))} AS STRING) AS c{n}" for n, (p, kind) in enumerate(cases)]
    found = {row["x"]: row for row in frame.selectExpr("x", *columns).collect()}
    with duckdb.connect() as connection:
        connection.execute("SET timezone = 'UTC'")
        connection.execute("CREATE TABLE t (x VARCHAR)")
        connection.executemany("INSERT INTO t VALUES (?)", [[text] for text in given])
        differing, read = [], 0
        for number, (pattern, kind) in enumerate(cases):
            sql = strptime.strptime_sql("x", pattern, primitive(kind))
            for text, value in connection.execute(f"SELECT x, CAST({sql} AS VARCHAR) FROM t").fetchall():
                ours = found[text][f"c{number}"]
                read += value is not None
                if ours != (value and value.removesuffix("+00")) and "(BC)" not in str(value):
                    differing.append((pattern, kind, text, value, ours))
    assert differing == []
    assert read > 200


@pytest.mark.parametrize("letter", ["%b", "%p", "%z", "%j", "%I", "%-Y", "%e", "%d %d", "%y %Y"])
def test_a_letter_that_is_not_read_there_or_stands_twice_is_told(letter):
    told = unknown_letter(f"%H:%M {letter}")
    assert told in letter.split()
    assert unknown_letter("%Y-%m-%d %H:%M:%S.%f 100%%") == ""
