"""On files that a scan finds plain, DuckDB, the exact reader and the counting of delimiters say the same."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.datatypes import parse_schema
from app.ingest.formats import csv_scan
from app.ingest.formats.base import FILE, REJECT, RESCUED, ReadJob
from app.ingest.formats.contract import ParseFile, ParseLimits
from app.ingest.formats.csv import CSV
from app.ingest.formats.csv_options import read_options
from app.ingest.formats.csv_records import cut_raw, read_records

CONNECTION = duckdb.connect()  # a new one for each example would be most of the time
LIMITS = ParseLimits(1 << 30, 2, 1 << 36, 400, 1 << 16, 1 << 29)
DIALECTS = [
    {},
    {"quote": ""},
    {"escape": "\\"},
    {"comment": "#"},
    {"delimiter": ";"},
    {"header": False},
    {"skip_lines": 1},
    {"null_values": ["NA", ""]},
]
ENDS = st.sampled_from(["\n", "\r\n"])


@st.composite
def loose_texts(draw: st.DrawFn) -> str:
    """Anything that can be made of the characters that mean something."""
    parts = ["\n", "\n", "\r\n", "\r", ",", ",", ";", '"', '""', "a", "1", " ", "é", "#", "\\", "\0", "NA", "\ufeff"]
    return "a,b\n" + "".join(draw(st.lists(st.sampled_from(parts), max_size=25)))


@st.composite
def tidy_texts(draw: st.DrawFn) -> str:
    """Well quoted records, now and then of the wrong width."""
    end = draw(ENDS)
    fields = ["", "a", "1", " x ", "é", '"a"', '""', '"a""b"', '","', f'"a{end}b"', f'"{end}"', '""""', "NA"]
    widths = st.sampled_from([2, 2, 2, 2, 1, 3, 4, 0])
    record = widths.flatmap(lambda width: st.lists(st.sampled_from(fields), min_size=width, max_size=width))
    lines = [",".join(record) for record in draw(st.lists(record, min_size=1, max_size=8))]
    return "a,b" + end + end.join(lines) + draw(st.sampled_from(["", end]))


def opened(folder: Path, content: bytes, options: dict[str, object]):
    path = folder / "x"
    path.write_bytes(content)
    job = ReadJob(
        CONNECTION,
        (ParseFile(1, str(path), str(path), len(content), "none"),),
        options,
        LIMITS,
        folder / "work",
        schema=parse_schema("a string, b string"),
    )
    return job, CSV.open(job)


def agree(content: bytes, options: dict[str, object]) -> None:
    with TemporaryDirectory() as folder:
        job, reading = opened(Path(folder), content, options)
        here = reading.opened.get(1)
        if here is None or here.part.exact:
            return
        columns = f"{FILE}, a, b, {RESCUED}, {REJECT}"
        found = job.connection.execute(f"SELECT {columns} FROM ({reading.rows(job.files)})").fetchall()
        records = list(read_records(here.path, reading.dialect, reading.limit))
        if here.head.header is not None:
            records = records[1:]
        reading.verify(job.files[0], len(records))
        assert job.failures == {}
        assert len(found) == len(records)
        nulls = set(reading.dialect.nulls)
        known = {name: here.part.names.index(name) for name in ("a", "b") if name in here.part.names}
        expected = Counter()
        for record in records:
            if record.fields is None or len(record.fields) != here.head.width:
                expected["rejected"] += 1
                continue
            values = [None if text in nulls else text for text in record.fields]
            expected[tuple(values[known[name]] if name in known else None for name in ("a", "b"))] += 1
        assert Counter("rejected" if row[4] else (row[1], row[2]) for row in found) == expected
        rejected = job.connection.execute(reading.rejects(job.files)).fetchall()
        assert sorted((line, raw) for _, line, _, _, raw in rejected) == [
            (record.line, cut_raw(record.raw))
            for record in records
            if record.fields is None or len(record.fields) != here.head.width
        ]


BRIEF = settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


@BRIEF
@given(tidy_texts(), st.sampled_from(DIALECTS))
def test_well_quoted_text_is_read_alike_by_both(text, options):
    agree(text.encode(), options)


@BRIEF
@given(loose_texts(), st.sampled_from(DIALECTS))
def test_any_text_that_passes_the_scan_is_read_alike_by_both(text, options):
    agree(text.encode(), options)


@BRIEF
@given(tidy_texts(), st.sampled_from([3, 7, 16]))
def test_the_scan_says_the_same_whatever_pieces_it_sees(text, size):
    whole = shape_of(text.encode(), csv_scan.CHUNK)
    assert shape_of(text.encode(), size) == whole


def shape_of(content: bytes, size: int) -> csv_scan.CsvShape:
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        path = Path(folder) / "x"
        path.write_bytes(content)
        patch.setattr(csv_scan, "CHUNK", size)
        return csv_scan.scan(str(path), read_options({}, "csv", ","), 1 << 16, offset=0)


def test_plain_files_are_the_rule(tmp_path):
    """The agreement would say nothing if the scan sent everything to the exact reader."""
    for number, content in enumerate(
        [b'a,b\n1,"x"\n', b'a,b\r\n1,"x\r\ny"\r\n', b'a,b\n"",""""\n\n', "a,b\né,1".encode()]
    ):
        (tmp_path / str(number)).mkdir()
        _, reading = opened(tmp_path / str(number), content, {})
        assert not reading.opened[1].part.exact


@pytest.mark.parametrize(
    "content", [b'a,b\n1,x"y\n', b'a,b\n"x"y,1\n', b"a,b\n1,\xff\n", b"a,b\n1,2\r\n3,4\n", b"a,b\r1,2\r"]
)
def test_what_is_not_plain_goes_to_the_exact_reader(tmp_path, content):
    _, reading = opened(tmp_path, content, {})
    assert reading.opened[1].part.exact


@pytest.mark.parametrize("found", [1, 5])
def test_a_record_that_duckdb_lost_or_made_up_fails_the_file(tmp_path, found):
    job, reading = opened(tmp_path, b'a,b\n1,2\n\n3,"x\n\ny"\n5,6\n', {})
    reading.verify(job.files[0], 3)
    assert job.failures == {}
    reading.verify(job.files[0], found)
    assert job.failures[1].reason == "not-this-format"
