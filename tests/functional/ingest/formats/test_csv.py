"""CSV and TSV through the parsing child: what is loaded, rescued, rejected, and which file fails alone."""

# ruff: noqa: DTZ001 — timestamps without a zone are what is tested

from __future__ import annotations

import bz2
import datetime as dt
import gzip
import json
from dataclasses import replace
from decimal import Decimal

import pytest
import zstandard

from app.errors import InvalidInput
from app.ingest.formats.contract import ParsedFile
from app.values import Twin
from tests.functional.ingest.parsing import LIMITS, MIB, infer, parse

SCHEMA = "id bigint, name string"
GOOD = b"id,name\n1,a\n2,b\n"


@pytest.fixture
def load(sandbox, tmp_path):
    def run(*contents: bytes, schema: str = SCHEMA, names: tuple[str, ...] = (), **changes: object):
        paths = []
        for number, content in enumerate(contents, 1):
            path = tmp_path / (names[number - 1] if names else f"{number}.csv")
            path.write_bytes(content)
            paths.append(path)
        return parse(sandbox, paths, schema, tmp_path, **{"format": "csv", **changes})

    return run


def rescued(parsed) -> list[dict[str, object]]:
    return [json.loads(text) for (text,) in parsed.rows("_rescued_data", "_rescued_data IS NOT NULL")]


# --- columns


def test_columns_are_matched_by_the_name_in_each_files_header(load):
    parsed = load(GOOD, b"name,id\nc,3\n", b"name\nd\n")
    assert parsed.rows() == [(1, "a", None), (2, "b", None), (3, "c", None), (None, "d", None)]
    assert [file.state for file in parsed.result.files] == ["SUCCESS"] * 3


def test_an_unknown_column_is_rescued_and_reported_with_its_type(load):
    parsed = load(b"id,name,at,n\n1,a,2024-01-05,7\n2,b,,\n", unknown="add")
    assert parsed.rows() == [(1, "a", '{"at":"2024-01-05","n":"7"}'), (2, "b", None)]
    found = {new.column.name: (str(new.column.type), new.file_id, new.example) for new in parsed.result.new_columns}
    assert found == {"at": ("date", 1, "2024-01-05"), "n": ("bigint", 1, "7")}
    assert parsed.file().rescued == 1


def test_a_table_of_columns_that_differ_only_in_case_is_refused_and_no_file_blamed(load):
    with pytest.raises(InvalidInput, match="columns id and ID differ only in case"):
        load(GOOD, schema="id bigint, ID bigint")


def test_new_columns_that_differ_in_case_are_reported_with_the_records_that_have_each(load):
    parsed = load(b"id,Name\n1,a\n2,\n", b"id,name\n3,a\n4,b\n", schema="id bigint", unknown="add")
    assert {new.column.name: new.records for new in parsed.result.new_columns} == {"Name": 1, "name": 2}


def test_a_name_that_differs_in_case_is_rescued_and_never_a_new_column(load):
    parsed = load(b"ID,name\n1,a\n", unknown="add")
    assert parsed.rows() == [(None, "a", '{"ID":"1"}')]
    assert parsed.result.new_columns == ()


def test_the_second_column_of_a_name_and_one_without_a_name_are_rescued(load):
    parsed = load(b"id,name,name, ,id\n1,a,b,c,2\n")
    assert parsed.rows() == [(1, "a", '{"name_2":"b","column_4":"c","id_2":"2"}')]


def test_spaces_around_a_name_in_the_header_do_not_count(load):
    assert load(b' id ,"name "\n1,a\n').rows() == [(1, "a", None)]


def test_without_a_header_columns_are_matched_by_position(load):
    parsed = load(b"1,a\n2,b\n", b"3\n", b"4,d,x\n", options={"header": False})
    assert parsed.rows() == [(1, "a", None), (2, "b", None), (3, None, None), (4, "d", '{"column_3":"x"}')]


def test_a_file_with_none_of_the_columns_fails_alone(load):
    parsed = load(GOOD, b"x,y\n1,2\n", b'{"id": 1}\n{"id": 2}\n')
    assert [parsed.state(i) for i in (1, 2, 3)] == [("SUCCESS", ""), *[("FAILED", "not-this-format")] * 2]
    assert len(parsed.rows()) == 2
    other = load(b"Id,NAME,x\n1,a,2\n").file().error
    assert other.endswith(
        "its first line is: Id, NAME, x. Names match with their case: it has Id for id, NAME for name."
    )


def test_only_a_header_is_a_success_without_rows(load):
    for content in (b"id,name\n", b"id,name", b"\xef\xbb\xbfid,name\r\n\r\n"):
        parsed = load(content)
        assert (parsed.state(), parsed.file().rows) == (("SUCCESS", ""), 0)


def test_a_null_in_a_required_column_rejects_the_record(load):
    parsed = load(b"id,name\n1,a\n,b\nx,c\n", schema="id bigint not null, name string")
    assert parsed.rows() == [(1, "a", None)]
    assert parsed.rejects("line, reason") == [(3, "null-in-required: id"), (4, "null-in-required: id")]


# --- records


def test_ragged_records_are_rejected_with_line_and_raw_text(load):
    parsed = load(b'id,name\n1,a\n2\n\n3,c,d\n4,d,e,f,g\n"5","e"\n')
    assert parsed.rows() == [(1, "a", None), (5, "e", None)]
    assert parsed.rejects("line, reason, raw") == [
        (3, "too-few-fields: fewer than 2", "2"),
        (5, "too-many-fields: more than 2", "3,c,d"),
        (6, "too-many-fields: more than 2", "4,d,e,f,g"),
    ]
    assert (parsed.file().rows, parsed.file().rejected) == (2, 3)


def test_quoted_line_ends_stay_in_the_value(load):
    parsed = load(b'id,name\n1,"a\nb"\n2,"c\r\nd\n"\n')
    assert parsed.rows() == [(1, "a\nb", None), (2, "c\r\nd\n", None)]


def test_quoted_line_ends_survive_in_a_file_that_is_read_in_pieces(load):
    line = b'%d,"' + b"x" * 400 + b'\n2,looks like a record\n"\n'
    parsed = load(b"id,name\n" + b"".join(line % i for i in range(50_000)))
    assert parsed.rows("count(*), count(DISTINCT id), min(length(name)), max(id)") == [(50_000, 50_000, 423, 49_999)]


def test_a_large_ragged_file_read_in_parallel_loses_no_record(load):
    lines = [b"%d,%s" % (i, b"y" * (i % 97)) if i % 1000 else b"%d" % i for i in range(1, 600_001)]
    parsed = load(b"id,name\n" + b"\n".join(lines))
    assert (parsed.file().rows, parsed.file().rejected) == (599_400, 600)
    assert parsed.rows("count(DISTINCT id), sum(length(name))") == [
        (599_400, sum(i % 97 for i in range(1, 600_001) if i % 1000))
    ]
    assert parsed.rejects("min(line), max(line), count(DISTINCT raw)") == [(1001, 600_001, 600)]


def test_a_quote_that_is_never_closed_fails_the_file_and_names_the_line(load):
    parsed = load(b'id,name\n1,a\n2,"b\n3,c\n4,d\n', GOOD)
    assert parsed.state(1) == ("FAILED", "truncated")
    assert "line 3" in parsed.file(1).error
    assert parsed.rows() == [(1, "a", None), (2, "b", None)]


def test_text_behind_a_closing_quote_rejects_the_record(load):
    parsed = load(b'id,name\n1,a\n2,"b"x\n3,c\n')
    assert parsed.rows() == [(1, "a", None), (3, "c", None)]
    assert parsed.rejects("line, raw") == [(3, '2,"b"x')]


def test_a_quote_inside_an_unquoted_field_is_text(load):
    assert load(b'id,name\n1,5" pipe\n2, "x"\n').rows() == [(1, '5" pipe', None), (2, ' "x"', None)]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_each_kind_of_line_end_is_read(load, end):
    assert load(GOOD.replace(b"\n", end)).rows() == [(1, "a", None), (2, "b", None)]


def test_mixed_line_ends_are_read(load):
    parsed = load(b"id,name\r\n1,a\n2,b\r3,c\r\n\n\r\n4,d")
    assert parsed.rows("id") == [(1,), (2,), (3,), (4,)]


def test_a_byte_order_mark_is_no_part_of_the_first_name(load):
    parsed = load(b"\xef\xbb\xbf" + GOOD, b'\xef\xbb\xbf"id","name"\n3,c\n')
    assert parsed.rows("id") == [(1,), (2,), (3,)]


def test_a_nul_byte_in_a_value_is_kept_and_in_a_number_rescued(load):
    parsed = load(b"id,name\n1,a\0b\n2\0,c\n")
    assert parsed.rows("id, name") == [(1, "a\0b"), (None, "c")]
    assert rescued(parsed) == [{"id": "2\0"}]


def test_bytes_that_are_not_utf8_reject_their_record_alone(load):
    parsed = load(b"id,name\n1,a\n2,\xff\xfe\n3,c\n")
    assert parsed.rows("id") == [(1,), (3,)]
    assert parsed.rejects("line, reason, raw") == [(3, "undecodable: bytes that are not UTF-8", "2,\ufffd\ufffd")]


def test_a_line_of_100_mb_is_rejected_and_its_neighbours_load(load):
    parsed = load(b"id,name\n1,a\n2," + b"x" * (100 * MIB) + b"\n3,c\n", GOOD)
    assert parsed.rows("id", "_file_id = 1") == [(1,), (3,)]
    assert parsed.state(2) == ("SUCCESS", "")
    ((line, reason, length),) = parsed.rejects("line, reason, strlen(raw)")
    assert (line, reason.partition(":")[0], length) == (3, "too-long", 64 * 1024)


def test_a_quoted_field_over_the_record_limit_quarantines_the_file(load):
    parsed = load(b'id,name\n1,"' + b"x\n" * (4 * MIB) + b'"\n', GOOD)
    assert parsed.state(1) == ("QUARANTINED", "too-large")
    assert parsed.state(2) == ("SUCCESS", "")


def test_a_hundred_thousand_columns_quarantine_the_file(load):
    wide = b",".join(b"c%d" % i for i in range(100_000)) + b"\n" + b",".join([b"1"] * 100_000) + b"\n"
    parsed = load(wide, GOOD)
    assert parsed.state(1) == ("QUARANTINED", "too-large")
    assert parsed.state(2) == ("SUCCESS", "")


def test_a_thousand_unknown_columns_are_rescued(load):
    wide = b"id," + b",".join(b"c%d" % i for i in range(1000)) + b"\n1," + b",".join([b"7"] * 1000) + b"\n"
    parsed = load(wide, unknown="add")
    assert len(rescued(parsed)[0]) == 1000
    assert len(parsed.result.new_columns) == 1000


# --- files


@pytest.mark.parametrize(
    ("content", "state"),
    [
        (b"", ("SKIPPED", "empty")),
        (b"\n\n", ("SKIPPED", "empty")),
        (b"PAR1\x15\0\0\0data", ("FAILED", "not-this-format")),
        (gzip.compress(b"id,name\n1,a\n", mtime=0), ("FAILED", "not-this-format")),
        ("id,name\n1,a\n".encode("utf-16"), ("FAILED", "undecodable")),
        (b"i\xffd,name\n1,a\n", ("FAILED", "undecodable")),
        (b'"id,name\n1,a\n', ("FAILED", "truncated")),
    ],
)
def test_a_file_that_is_no_csv_ends_in_a_stated_state_and_its_neighbour_loads(load, content, state):
    parsed = load(content, GOOD)
    assert parsed.state(1) == state
    assert parsed.file(1).error
    assert parsed.rows("id") == [(1,), (2,)]


def test_a_truncated_gzip_fails_alone(load):
    packed = gzip.compress(b"id,name\n" + b"".join(b"%d,%d\n" % (i, i * 7919) for i in range(20_000)), mtime=0)
    parsed = load(packed[: len(packed) // 2], gzip.compress(GOOD, mtime=0), names=("cut.csv.gz", "whole.csv.gz"))
    assert (parsed.state(1), parsed.state(2)) == (("FAILED", "truncated"), ("SUCCESS", ""))
    assert parsed.rows("id") == [(1,), (2,)]


def test_a_small_gzip_that_expands_without_measure_is_quarantined(load):
    parsed = load(
        gzip.compress(b"id,name\n" + b"1,\n" * (70 * MIB), 9, mtime=0), GOOD, names=("bomb.csv.gz", "good.csv")
    )
    assert (parsed.state(1), parsed.state(2)) == (("QUARANTINED", "expansion"), ("SUCCESS", ""))


def test_each_compression_is_read(load):
    packed = (gzip.compress(GOOD, mtime=0), zstandard.compress(GOOD), bz2.compress(GOOD))
    parsed = load(*packed, names=("a.csv.gz", "b.csv.zst", "c.csv.bz2"))
    assert parsed.rows("id, count(*) OVER (PARTITION BY id)") == [(1, 3)] * 3 + [(2, 3)] * 3


def test_a_gzip_of_several_members_is_read_to_its_end(load):
    parsed = load(gzip.compress(GOOD, mtime=0) + gzip.compress(b"3,c\n", mtime=0), names=("two.csv.gz",))
    assert parsed.rows("id") == [(1,), (2,), (3,)]


def test_odd_file_names_are_read(load):
    names = ("a'b.csv", "x*y.csv", "[z]?.csv", "new\nline.csv", "ünï #%20.csv")
    parsed = load(*[b"id,name\n%d,a\n" % i for i in range(5)], names=names)
    assert parsed.rows("id, _file_id") == [(i, i + 1) for i in range(5)]


def test_files_with_many_different_headers_load_together(load):
    contents = [b"id,name,x%d\n%d,a,1\n" % (i % 40, i) for i in range(200)]
    parsed = load(*contents)
    assert parsed.rows("count(*), count(DISTINCT id), count(_rescued_data)") == [(200, 200, 200)]


# --- values

TYPED = {
    "bigint": (
        ["12", " 12 ", "+5", "007", "-1"],
        ["1.5", "1e3", "1_000", "0x1F", "1,234", "9223372036854775808", "abc"],
    ),
    "int": (["2147483647"], ["2147483648", "1.0"]),
    "double": (["1.5", ".5", "5.", "1e3", "nan", "-Infinity"], ["1e400", "1_0.5", "0x10", "1,5", "1.5f"]),
    "float": (["1.5"], ["1e39"]),
    "decimal(10,2)": (["1.50", "1.5", "-.5", "1.500"], ["1.005", "123456789012", "1e2", "."]),
    "boolean": (["true", "FALSE", "t", "yes", "N", "1", "0", " true "], ["2", "on", "wahr"]),
    "date": (
        ["2024-01-05", " 2024-01-05", "2024-01-05 00:00:00"],
        ["2024-02-30", "epoch", "2024/01/05", "12024-01-01"],
    ),
    "time": (["10:00", "10:00:00.5"], ["25:00", "24:00:00"]),
    "timestamp": (
        ["2024-01-05", "2024-01-05 10:00:00", "2024-01-05T10:00", "2024-01-05 10:00:00.123456000"],
        [
            "2024-01-05T10:00:00Z",
            "2024-01-05 10:00:00+02",
            "infinity",
            "2024-01-05 24:00:00",
            "2024-01-05 10:00:00.1234567",
        ],
    ),
    "timestamptz": (
        ["2024-01-05T10:00:00Z", "2024-01-05 10:00:00+02:00", "2024-01-05 10:00:00.5 UTC", "2024-01-05"],
        ["2024-01-05 10:00:00 Europe/Berlin", "now", "2024-01-05T10"],
    ),
    "uuid": (["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"], ["a0eebc99", "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}"]),
    "binary": (["abc", "é"], []),
    "array<bigint>": (["[1, 2]", "[]"], ["[1.5]", "1", "[", '["x"]']),
    "struct<a: bigint>": (['{"a": 1}'], ['{"a": "x"}', '{"a": 1, "b": 2}']),
}


@pytest.mark.parametrize("kind", TYPED)
def test_a_value_that_does_not_fit_its_type_is_null_and_rescued_as_it_was(load, kind):
    fitting, others = TYPED[kind]
    quoted = ['"' + text.replace('"', '""') + '"' for text in fitting + others]
    content = "n,v\n" + "".join(f"{n},{text}\n" for n, text in enumerate(quoted))
    parsed = load(content.encode(), schema=f"n bigint, v {kind}")
    found = parsed.rows("n, v IS NULL, _rescued_data")
    for n, text in enumerate(fitting):
        assert found[n] == (n, False, None), text
    for n, text in enumerate(others, len(fitting)):
        assert found[n][1], text
        assert json.loads(found[n][2]) == {"v": text}


def test_values_come_out_as_what_they_mean(load):
    parsed = load(
        b"a,b,c,d,e\n 007 ,1.5,2024-01-05T10:00:00.25,2024-01-05 10:00:00+02:00,yes\n",
        schema="a bigint, b decimal(5,2), c timestamp, d timestamptz, e boolean",
    )
    assert parsed.rows("a, b, c, d::VARCHAR, e") == [
        (7, Decimal("1.50"), dt.datetime(2024, 1, 5, 10, 0, 0, 250_000), "2024-01-05 08:00:00+00", True)
    ]


def test_the_empty_text_is_null_quoted_or_not(load):
    assert load(b'id,name\n,\n"",""\n').rows() == [(None, None, None)] * 2


def test_null_values_take_the_place_of_the_empty_text(load):
    parsed = load(b'id,name\nNA,NA\n,\n"\\N",x\n', options={"null_values": ["NA", "\\N"]})
    assert parsed.rows() == [(None, "", None), (None, "x", None), (None, None, None)]


# --- options


@pytest.mark.parametrize(
    ("content", "options", "expected"),
    [
        (b"id;name\n1;a,b\n", {"delimiter": ";"}, (1, "a,b")),
        (b"id,name\n1,'a,b'\n", {"quote": "'"}, (1, "a,b")),
        (b'id,name\n1,"a\n', {"quote": ""}, (1, '"a')),
        (b'id,name\n1,"a\\"b\\\\,\\n"\n', {"escape": "\\"}, (1, 'a"b\\,\\n')),
        (b"# hello\nid,name\n# a, comment\n1,a#b\n", {"comment": "#"}, (1, "a#b")),
        (b'report "x\n\nid,name\n1,a\n', {"skip_lines": 2}, (1, "a")),
        ("id\u00a7name\n1\u00a7a\n".encode(), {"delimiter": "\u00a7"}, (1, "a")),
        ("id,name\n1,é\n".encode("utf-16"), {"encoding": "utf-16"}, (1, "é")),
        ("id,name\n1,é\n".encode("latin-1"), {"encoding": "latin-1"}, (1, "é")),
        (b"id\tname\n1\ta,b\n", {"delimiter": "\\t"}, (1, "a,b")),
    ],
)
def test_each_option_has_its_effect(load, content, options, expected):
    assert load(content, options=options).rows("id, name") == [expected]


def test_tsv_is_csv_with_tabs(load):
    assert load(b"id\tname\n1\ta,b\n", format="tsv").rows("id, name") == [(1, "a,b")]


def test_formats_of_dates_and_timestamps_are_followed_strictly(load):
    parsed = load(
        b"d,t\n05.01.2024,05/01/2024 10:00\n2024-01-05,2024-01-05 10:00\n",
        schema="d date, t timestamp",
        options={"date_format": "%d.%m.%Y", "timestamp_format": "%d/%m/%Y %H:%M"},
    )
    assert parsed.rows("d, t") == [(dt.date(2024, 1, 5), dt.datetime(2024, 1, 5, 10)), (None, None)]
    assert rescued(parsed) == [{"d": "2024-01-05", "t": "2024-01-05 10:00"}]


@pytest.mark.parametrize(
    "options",
    [
        {"delimiter": "||"},
        {"delimiter": '"'},
        {"encoding": "klingon"},
        {"date_format": "dd.mm"},
        {"timestamp_format": "%Q"},
        {"records": "x"},
        {"quote": "\n"},
    ],
)
def test_an_option_that_cannot_be_right_is_refused_by_name(load, options):
    with pytest.raises(InvalidInput, match=next(iter(options))):
        load(GOOD, options=options)


# --- policies


def test_without_rescued_data_a_record_with_a_misfit_is_rejected(load):
    parsed = load(b"id,name,x\n1,a,\nx,b,\n2,c,7\n", rescued=False)
    assert parsed.rows() == [(1, "a")]
    assert parsed.rejects("line, reason, raw") == [
        (3, 'does-not-fit: {"id":"x"}', "x,b,"),
        (4, 'does-not-fit: {"x":"7"}', "2,c,7"),
    ]


def test_a_file_with_too_many_rejects_is_skipped_whole(load):
    parsed = load(b"id,name\n1,a\n2\n", GOOD, on_error="skip_file", max_errors="0")
    assert (parsed.state(1), parsed.state(2)) == (("SKIPPED", "too-many-errors"), ("SUCCESS", ""))
    assert parsed.rows("_file_id") == [(2,), (2,)]


def test_every_record_is_loaded_or_rejected(load):
    content = b'id,name\n1,a\n2\n"3,x\n4,b"\n5,"c"d\n\n6,\xff\n7,e\n'
    parsed = load(content)
    assert parsed.file() == ParsedFile(1, "SUCCESS", rows=2, rejected=4)
    raw = "".join(text for (text,) in parsed.rejects("raw"))
    assert all(part in raw for part in ("2", '"3,x\n4,b"', '5,"c"d', "6,"))


# --- inference


def test_inference_gives_types_evidence_and_a_preview(sandbox, tmp_path):
    (tmp_path / "a.csv").write_bytes(
        b"i,f,b,d,t,z,code,big,s,nothing,phone\n"
        b"1,1,true,2024-01-05,2024-01-05 10:00,2024-01-05T10:00Z,007,12345678901234567890,x,,+49301234\n"
    )
    (tmp_path / "b.csv").write_bytes(b"i,f,new\n2,1.5,2024-01-05\n3,2,x\n")
    result = infer(sandbox, [tmp_path / "a.csv", tmp_path / "b.csv"], tmp_path, format="csv")
    assert str(result.schema) == (
        "i bigint, f double, b boolean, d date, t timestamp, z timestamptz, code string, big string, s string,"
        " nothing string, phone string, new string"
    )
    seen = {(item.column, item.type): (item.path.rpartition("/")[2], item.example) for item in result.evidence}
    assert seen["f", "bigint"] == ("a.csv", "1")
    assert seen["f", "double"] == ("b.csv", "1.5")
    assert seen["new", "string"] == ("b.csv", "x")
    assert not any(column == "nothing" for column, _ in seen)
    assert result.rows[1] == {"i": "2", "f": "1.5", "new": "2024-01-05"}


def test_inference_without_a_header_numbers_the_columns(sandbox, tmp_path):
    (tmp_path / "a.csv").write_bytes(b"1,x\n2,y\n")
    result = infer(sandbox, [tmp_path / "a.csv"], tmp_path, {"header": False}, format="csv")
    assert str(result.schema) == "column_1 bigint, column_2 string"


def test_inference_names_files_that_gave_nothing(sandbox, tmp_path):
    (tmp_path / "a.csv").write_bytes(GOOD)
    (tmp_path / "b.csv").write_bytes(b'{"id": 1}\n')
    result = infer(sandbox, [tmp_path / "a.csv", tmp_path / "b.csv"], tmp_path, format="csv")
    assert str(result.schema) == SCHEMA
    assert [(file.file_id, file.reason) for file in result.problems] == [(2, "not-this-format")]


def test_inference_counts_the_records_that_loading_would_reject_and_shows_the_first(sandbox, tmp_path):
    (tmp_path / "a.csv").write_bytes(b'id,name\n1,a\n\n2\n3,c,d\n4,"d"x\n')
    (tmp_path / "b.csv").write_bytes(GOOD)
    [told] = infer(sandbox, [tmp_path / "a.csv", tmp_path / "b.csv"], tmp_path, format="csv").rejected

    assert told.path.endswith("a.csv")
    assert (told.count, told.total, told.line) == (3, 4, 4)
    assert (told.reason, told.raw) == ("too-few-fields: fewer than 2", "2")


def test_inference_reads_a_sample_that_is_cut_inside_a_quoted_record(sandbox, tmp_path):
    (tmp_path / "a.csv").write_bytes(b"id,name\n" + b'1,"two\nlines"\n' * 200_000)
    result = infer(sandbox, [tmp_path / "a.csv"], tmp_path, format="csv")
    assert (str(result.schema), result.problems) == (SCHEMA, ())


def test_columns_that_differ_in_case_are_one_when_inferred(sandbox, tmp_path):
    (tmp_path / "a.csv").write_bytes(b"id,ID,Id\n1,x,y\n")
    assert str(infer(sandbox, [tmp_path / "a.csv"], tmp_path, format="csv").schema) == "id bigint"


def test_of_inferred_names_that_differ_in_case_the_one_with_most_values_is_the_column(sandbox, tmp_path):
    (tmp_path / "a.csv").write_bytes(b"Name,id\na,1\n,2\n,3\n")
    (tmp_path / "b.csv").write_bytes(b"id,name\n4,b\n5,c\n")
    found = infer(sandbox, [tmp_path / "a.csv", tmp_path / "b.csv"], tmp_path, format="csv")
    assert str(found.schema) == "name string, id bigint"
    assert (found.hints, found.twins) == ((), (Twin("Name", 1, "name", 2),))


def test_the_record_limit_is_that_of_the_request(load):
    parsed = load(b"id,name\n1," + b"x" * 5000 + b"\n2,b\n", limits=replace(LIMITS, max_record_bytes=1000))
    assert parsed.rows("id") == [(2,)]
    assert parsed.rejects("line, reason") == [(2, "too-long: more than 1,000 bytes")]


def test_a_nested_value_keeps_the_text_of_its_numbers(load):
    content = b'a;m\n[1.10, -0, "1.10"];{"k": 12345678901234567890.5}\n'
    schema = "a array<string>, m map<string, decimal(38,2)>"
    parsed = load(content, schema=schema, options={"delimiter": ";", "quote": ""})
    assert parsed.rows() == [(["1.10", "-0", "1.10"], {"k": Decimal("12345678901234567890.50")}, None)]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("struct<x: int>", '{"x": 1, "x": 2}'),
        ("map<bigint, int>", '{"1_0": 1}'),
        ("date", "0000-01-01"),
        ("timestamptz", "2026-01-31 12:00+25:00"),
        ("timestamptz", "0001-01-01 00:00+02:00"),
        ("timestamp", "2026-01-31 12:00 Europe/Berlin"),
    ],
)
def test_what_would_lose_or_change_something_is_rescued(load, kind, text):
    parsed = load(f"a\n{text}\n".encode(), schema=f"a {kind}", options={"delimiter": ";", "quote": ""})
    assert parsed.rows("a") == [(None,)]
    assert rescued(parsed) == [{"a": text}]


def test_a_format_with_a_zone_fits_no_timestamp_without_one(load):
    options = {"timestamp_format": "%Y-%m-%d %H:%M %z"}
    parsed = load(b"a\n2026-01-31 12:00 +0200\n", schema="a timestamp", options=options)
    assert rescued(parsed) == [{"a": "2026-01-31 12:00 +0200"}]
