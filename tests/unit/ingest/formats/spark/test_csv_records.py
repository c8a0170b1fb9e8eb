"""The expression that cuts CSV into records on Spark finds the records of the exact reader."""

from __future__ import annotations

import random
import re

import pytest

from app.ingest.formats.csv_options import read_options
from app.ingest.formats.csv_records import read_records
from app.ingest.formats.spark.csv_records import CsvCutter
from app.ingest.formats.streams import BadFile

_LIMIT = 1_000
_DIALECTS = [{}, {"escape": "\\"}, {"escape": ""}, {"quote": ""}, {"delimiter": "|", "quote": "'", "comment": "#"}]


def cut(cutter: CsvCutter, text: str) -> list[str]:
    """As Java finds them: only the word for the end of the text is another in Python."""
    found = re.finditer(cutter.record_pattern().replace(r"\z", r"\Z"), text)
    records = [match.group().rstrip("\r\n") for match in found]
    comment = cutter.dialect.comment
    return [record for record in records if record and not (comment and record.startswith(comment))]


def exact(path, cutter: CsvCutter) -> list[str] | None:
    """None where a quote is never closed, which fails the file."""
    try:
        return [record.raw.rstrip("\r\n") for record in read_records(str(path), cutter.dialect, _LIMIT)]
    except BadFile:
        return None


@pytest.mark.parametrize("options", _DIALECTS, ids=str)
def test_every_text_is_cut_where_the_exact_reader_cuts_it(tmp_path, options):
    cutter = CsvCutter(read_options(options, "csv", ","), _LIMIT)
    dialect = cutter.dialect
    letters = ["a", " ", "\n", "\r", "\r\n", "#", "\\", dialect.delimiter, dialect.quote or '"', dialect.quote or '"']
    path, chance, whole = tmp_path / "x.csv", random.Random(7), 0
    for _ in range(800):
        text = "".join(chance.choices(letters, k=chance.randint(1, 14)))
        path.write_text(text, encoding="utf-8", newline="")
        wanted, found = exact(path, cutter), cut(cutter, text)
        if wanted is not None:
            whole += 1
            assert found == wanted, text
        else:
            assert dialect.quote in found[-1], text
    assert whole > 300
