"""What both engines have to load alike: one set of cases, and the differences that are known.

A group is one ingestion's shape with many files; each file is a case, compared by itself: its rows, its rescued texts,
its rejected records, its state. A known difference is named with the file that shows it, and the suite fails when the
file shows it no longer. `python -m tools.docs` writes the table of docs/spark-engine.md from them.
"""

from __future__ import annotations

import bz2
import gzip
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

File = str | bytes


@dataclass(frozen=True, slots=True)
class Difference:
    """`what` is otherwise, and `how` it is on Spark, as the documentation says it; `only` on that version of it."""

    what: str
    how: str
    only: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A part of a shape that is refused before anything is written; `said` stands in the error."""

    given: Mapping[str, Any]
    said: str
    shown: str


@dataclass(frozen=True, slots=True)
class Group:
    """`given` are the fields of the ingestion, `differences` by file name."""

    name: str
    given: Mapping[str, Any]
    files: Mapping[str, File]
    differences: Mapping[str, Difference] = field(default_factory=dict)


def parquet(**columns: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def alike(*names: str) -> pa.StructArray:
    """One struct, with members of these names."""
    members = [pa.array([number]) for number, _ in enumerate(names)]
    return pa.StructArray.from_arrays(members, fields=[pa.field(name, pa.int64()) for name in names])


def packed(text: str, codec: str) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, codec) as out:
        out.write(text.encode())
    return bytes(sink.getvalue())


# --- JSON lines ------------------------------------------------------------------------------

_TEN = b"".join(b'{"id": %d}\n' % number for number in range(10))
_CUT_LATE = Difference(
    "a `.gz` file that lacks nothing but the end of its last bytes",
    "it fails as `job-failed` on Spark 3.5, and is tried again",
    only="3.5",
)
_FAR_OFFSET = Difference("a moment more than 18 hours from UTC (`+19:00`)", "it is rescued")
_MORE_BEHIND = Difference("a `.bz2` file with something behind its stream", "its reason is `truncated`")


def _without_a_block() -> bytes:
    """Lines in three blocks, the second of which no reader finds: its begin is damaged."""
    mark = format(0x314159265359, "048b")
    whole = bz2.compress(b"".join(b'{"id": %d}\n' % number for number in range(20_000)), 1)
    bits = f"{int.from_bytes(whole):0{8 * len(whole)}b}"
    changed, at = bytearray(whole), bits.index(mark, bits.index(mark) + 1)
    changed[at // 8] ^= 0x80 >> at % 8
    return bytes(changed)


_LINES: dict[str, File] = {
    "good.jsonl": '{"id": 1, "s": "x", "d": 1.5}\n{"id": 2, "s": "é 😀", "d": 2}\n',
    "misfit.jsonl": '{"id": "one", "s": 1.10, "d": true}\n{"id": 3.0, "s": {"a": [1.50, "😀"]}, "d": 1e400}\n',
    "unknown.jsonl": '{"id": 4, "more": {"x": 1.0, "y": "z"}}\n{"id": 5, "id": 6, "ID": 7, "list": [1, null]}\n',
    "broken.jsonl": '{"id": 8}\n{"id": \n[1]\n{"id": 9} and more\n\n   \n{"id": 10}\n',
    "blank.jsonl": "\n \r\n",
    "zeros.jsonl": '{"id": -0, "d": -0}\n{"d": -0.0}\n{"d":-0e1}\n',
    "mark.jsonl": '\ufeff{"id": 11}\r\n{"id": 12}',
    "latin.jsonl": b'{"id": 13, "s": "\xe9"}\n{"id": 14, "s": "\xc3\xa9"}\n',
}
_COMMA = Difference("a comma before a closing bracket in JSON", "the record is rejected (the embedded engine takes it)")
_MARK = Difference(
    "a byte order mark at the begin of a later line", "is taken away (the embedded engine rejects that record)"
)
_COLUMNS = "id bigint, s string, d double"
_DEEP = Difference(
    "a record of JSON lines nested more than 1,000 levels deep",
    "is rejected as `malformed`: Spark's parser stops there",
)
_DEEP_DOCUMENT = Difference("a JSON document nested so deep", "its file is `undecodable`")


def _nested(depth: int) -> tuple[str, ...]:
    """Such a value in a text column, and in a field that the table lacks, between plain records."""
    deep = "[" * depth + "]" * depth
    return '{"id": 1}', f'{{"id": 2, "s": {deep}}}', f'{{"id": 3, "more": {deep}}}', '{"id": 4}'


_TYPED = (
    "b boolean, i int, n bigint, f float, d double, p decimal(10,2), day date, at timestamp, tz timestamptz,"
    " u uuid, raw binary, o struct<x int, y string>, l array<int>, m map<string,bigint>"
)
_TYPES: dict[str, File] = {
    "scalars.jsonl": (
        '{"b": true, "i": 1, "n": 9007199254740993, "f": 1.5, "d": 1e-7, "p": 1.10, "day": "2026-01-31",'
        ' "at": "2026-01-31T12:00:00.123456", "tz": "2026-01-31 12:00:00+02:00",'
        ' "u": "01234567-89AB-cdef-0123-456789abcdef", "raw": "aGk="}\n{}\n'
    ),
    "nulls.jsonl": '{"b": null, "i": null, "o": null, "l": null, "m": null}\n',
    "nested.jsonl": '{"o": {"x": 1, "y": "z"}, "l": [1, null, 3], "m": {"a": 1, "b": null}}\n',
    "nested-misfit.jsonl": '{"o": {"x": "one", "y": "z"}, "l": [1, "two"], "m": {"a": "b"}}\n{"o": 7, "l": {}}\n',
    "beyond.jsonl": '{"i": 2147483648, "n": 1e30, "p": 1.005, "f": 1e39}\n{"i": 1.0, "n": 1e3, "p": "1.25"}\n',
    "zeros.jsonl": '{"f": -0, "d": -0}\n{"f": -0.0, "d": -0.0}\n{"f": -0e1, "d":-0E-1}\n{"d": -0, "i": -0}\n',
    "moments.jsonl": (
        '{"day": "2026-02-30", "at": "2026-01-31T12:00:00Z", "tz": "2026-01-31 12:00:00 CET"}\n'
        '{"tz": "2026-01-31T12:00Z"}\n'
    ),
}

_LATIN: dict[str, File] = {
    "latin.jsonl.gz": gzip.compress(
        b'{"id": 1, "s": "\xe9\xff\x85\xa0"}\r\n{"id": 2, "\xfc": "\xdf"}\nno\xe9\n', mtime=0
    ),
    "mark.jsonl.gz": gzip.compress(b'\xef\xbb\xbf{"id": 3}\n', mtime=0),
    "plain.jsonl": b'{"id": 4}\n',
}
_PACKED = Difference(
    "a file whose ending tells another compression than the option `compression`",
    "`FAILED` as `not-on-spark`: by the ending alone Spark tells how a file is packed",
)
_LATIN_MARK = Difference(
    "a file of JSON lines in `latin-1` that begins with a byte order mark of UTF-8",
    "is read without it (the embedded engine rejects the record)",
)
_MOMENTS = "id bigint, s string, day date, at timestamp, tz timestamptz, l array<date>"
_DATED: dict[str, File] = {
    "dates.jsonl.gz": packed(
        '{"day": "31.1.2026", "at": "31/01/26 12:30:00.5", "tz": "1/2/69 0:0:0.000001", "o": {"day": "01.02.2026"}}\n'
        '{"day": "2026-01-31", "at": "2026-01-31T12:00:00", "tz": "31/02/26 1:1:1.0", "l": ["1.2.2026", null]}\n'
        '{"day": " 1.2.2026\\n", "at": "1/2/26  12:30:0.1234567", "tz": 31012026, "l": ["2026-01-31"]}\n',
        "gzip",
    ),
    "new.jsonl.gz": packed('{"first": "24.12.2025", "then": "24/12/25 18:00:00.0", "iso": "2025-12-24"}\n', "gzip"),
}

_IGNORED = (
    "id bigint, s string, o struct<x int, y struct<z string>>, l array<struct<x int>>, m map<string,struct<x int>>"
)
_STRANGE: dict[str, File] = {
    "flat.jsonl": (
        '{"id": 1, "s": "x", "more": 1.10}\n{"more": null, "id": 2, "ID": 3}\n{"more": "a } b", "id": 4, "s": "\\"{"}\n'
    ),
    "objects.jsonl": (
        '{"id": 5, "more": {"id": 6, "s": "y"}, "s": "x"}\n{"more": [{"id": 7}, {"s": "}]"}], "id": 8}\n'
        '{"more": {"deep": {"deeper": []}}, "id": 9, "then": [[1], "x"]}\n'
    ),
    "inside.jsonl": (
        '{"id": 10, "o": {"x": 1, "more": 2, "y": {"z": "a", "more": {}}}, "l": [{"x": 1, "more": 2}, {"more": 3}, {}],'
        ' "m": {"a": {"x": 1, "more": 2}}}\n{"id": 11, "o": {"more": 1}, "l": [], "m": {}}\n{"more": 1}\n{}\n'
    ),
    "misfit.jsonl": (
        '{"id": "one", "more": 1, "s": 1.10}\n{"id": 12, "o": {"x": "two", "more": 2}, "l": [{"x": "y", "more": 1}]}\n'
        '{"id": 13, "s": {"a": 1.50}, "more": 2}\n{"id": 14, "o": 7, "m": {"a": 1}, "more": true}\n'
        '{"id": 45, "o": "x"}\n{"id": 46, "o": {"y": []}, "more": 1}\n{"o": {"x": 1, "y": true}}\n{"o": [{"x": 1}]}\n'
    ),
    "twice.jsonl": (
        '{"id": 15, "id": 16}\n{"id": 17, "more": 1, "id": null}\n{"s": "a", "more": 1, "more": 2, "s": "b"}\n'
        '{"s": "a", "id": 40, "id": 41}\n{"id": null, "more": 1, "id": 42}\n'
    ),
    "twice-inside.jsonl": '{"id": 18, "o": {"x": 1, "x": 2}}\n{"l": [{"x": 1, "x": 2}], "id": 19}\n',
    "broken.jsonl": (
        '{"id": 20, "more": 1} {"id": 21}\n{"id": 22, "more": {}}, {"id": 23}\n{"id": 24, "more": {}}, "s": {"x": 1}}\n'
        '{"id": 25, "more": [{"a": 1}]}]}\n{"id": 26, "more": {"a": 01}}\n{"id": 27, "more": tru}\n[{"more": 1}]\n'
        '{"id": 28, "more": [{"a": 1}}\n{"id": 29, "more": 1}]{"id": 30}\n{"id": 31, "more": "\\ud800"}\n{"id": 32}\n'
        '{"id": 33, "more": {"a": 1}}\n\n{"id": 34, "more": {"a": 1}}],[{"a": 1}\n{"id": 35}}\n{"id": 36, "s": "{"}}\n'
    ),
    "half.jsonl": '{"\\ud800": 1, "id": 47}\n{"id": 48}\n',
    "latin.jsonl": b'{"id": 37, "more": "\xe9"}\n{"id": 38, "m\xe9": 1}\n{"id": 39, "more": "\xc3\xa9"}\n',
}

# --- Parquet ---------------------------------------------------------------------------------

_INNER = pa.struct([("x", pa.int64()), ("more", pa.int64())])
_NOON = datetime(2026, 1, 31, 12, 30, 0, 123456, tzinfo=UTC)
_PARQUET: dict[str, File] = {
    "same.parquet": parquet(id=pa.array([1, 2], pa.int64()), d=[1.5, None], s=["x", "é 😀"], day=[_NOON.date()] * 2),
    "small.parquet": parquet(id=pa.array([3, None], pa.int8()), d=pa.array([1, 2], pa.int32()), s=["a", "b"]),
    "wide.parquet": parquet(id=[4.0, 4.5], d=pa.array([2**53 + 1, 1], pa.int64()), s=["a", "b"]),
    "more.parquet": parquet(s=["q"], more=[_NOON], list=[[1, None]], n=[{"x": 1, "y": "z"}]),
    "none.parquet": parquet(s=pa.array([], pa.string())),
    "foreign.parquet": parquet(other=[1]),
    "day.parquet": parquet(s=["q"], at=[_NOON.date()]),
    "cut.parquet": parquet(s=["q"])[:-20],
    "nano.parquet": parquet(s=["x"], at=pa.array([1], pa.timestamp("ns"))),
    "text.parquet": parquet(id=["1"], s=["x"]),
    "exponent.parquet": parquet(s=["x"], id=[1e300]),
    "null.parquet": parquet(s=[None, "r"], id=[7, 8]),
    "dotted.parquet": parquet(**{"id.x": [1], "s.x": ["a"], "s": ["q"]}),
    "dotted-only.parquet": parquet(**{"s": ["q"], "d.x": [1.5]}),
}
_ALL = pa.struct(
    [
        *(("none", pa.int64()), ("bool", pa.bool_()), ("text", pa.string()), ("day", pa.date32())),
        *(("at", pa.timestamp("us")), ("zoned", pa.timestamp("us", "UTC")), ("part", pa.decimal128(18, 18))),
        *(("nan", pa.float64()), ("inf", pa.float32()), ("list", pa.list_(pa.int32()))),
    ]
)
_EACH = {
    "none": None,
    "bool": True,
    "text": 'é "',
    "day": _NOON.date(),
    "at": _NOON.replace(tzinfo=None),
    "zoned": _NOON,
    "part": Decimal("-0.123456789012345678"),
    "nan": float("nan"),
    "inf": -float("inf"),
    "list": [1, None],
}
_SHORT = pa.struct([("at", pa.timestamp("us")), ("price", pa.decimal128(9, 2)), ("bytes", pa.binary())])
_NESTED: dict[str, File] = {
    "all.parquet": parquet(
        s=["q", "r"],
        o=pa.array([_EACH, None], _ALL),
        l=pa.array([[_EACH, None], []], pa.list_(_ALL)),
        m=pa.array([[("k", _EACH)], None], pa.map_(pa.string(), _ALL)),
    ),
    "numbers.parquet": parquet(s=["q", "r"], d=[float("nan"), -float("inf")], id=[float("inf"), 1.0]),
    "keys.parquet": parquet(s=["q"], m=pa.array([[("k", 1.5), ("k", 2.5)]], pa.map_(pa.string(), pa.float64()))),
    "short.parquet": parquet(
        s=["q"],
        o=pa.array(
            [{"at": _NOON.replace(tzinfo=None, microsecond=0), "price": Decimal("1.20"), "bytes": b"\xff"}], _SHORT
        ),
    ),
    "case.parquet": parquet(s=["q"], o=[{"A": 1, "a": 2}]),
    "same.parquet": parquet(s=["q"], o=alike("a", "a")),
    "nameless.parquet": parquet(s=["q"], o=alike("", "x")),
}
_MEMBERS = Difference(
    "a Parquet struct, at any depth, with a member without a name, or with two of one name or that differ only in case",
    "`FAILED` as `not-on-spark`, with the column's name",
)
_WRITTEN = Difference(
    "in `_rescued_data`, of a nested Parquet value: moments; decimals and `float`; binary",
    "have always six digits behind the second; are written in full (`1.20`), and as short as they can be (`0.1`);"
    " is base64",
)
_NOT_TAKEN = Difference(
    "a Parquet column of unsigned numbers, nanoseconds or a time; a text for a number, or the other way round;"
    " another nested type",
    "`FAILED` as `not-on-spark`, with the column's name",
)
_EXPONENT = Difference(
    "numbers with an exponent in `_rescued_data` that come from Parquet", "are written as Java writes them: `1.0E300`"
)
_RAW = Difference(
    "the raw text of a rejected Parquet record", "is the JSON that Spark makes of the record, without what is null"
)

_HIDDEN = Difference(
    "a file whose name begins with `_` or `.`, a folder's path with `:` or `\\`, text packed with zstd",
    "`FAILED` as `not-on-spark`: Spark would leave it out, or misread it",
)

# --- JSON documents --------------------------------------------------------------------------

_DOCUMENTS: dict[str, File] = {
    "array.json": '[\n  {"id": 1, "s": "x, [y]", "d": 1.5},\n  {"id": 2, "s": "é 😀", "d": 2}\n]\n',
    "object.json": '\ufeff{\n"id": 3,\n"s": 1.10, "d": 1e400}\n\n',
    "misfit.json": '[{"id": "one", "s": {"a": [1.50, "😀"]}, "d": true}, {"id": 4.0, "id": 5, "more": [1, null]}]',
    "others.json": '[1, "x", null, [2], true, {"id": 5}]',
    "none.json": "[]",
    "zeros.json": '[{"d": -0, "id": -0}, {"d": -0.0}]',
    "empty.json": " \n",
    "cut.json": '[{"id": 6}, {"id": 7',
    "behind.json": '[{"id": 8}] x',
    "lines.json": '{"id": 9}\n{"id": 10}\n',
    "text.json": '"id"',
    "malformed.json": '[{"id": 11}, {"id": tru}]',
    "single.json": '{"id": 01}',
    "comma.json": '[{"id": 12},]',
    "latin.json": b'[{"id": 13, "s": "\xe9"}]',
    "packed.json.gz": packed('[{"id": 14}]', "gzip"),
}
_SPACED = Difference(
    "the raw text of a rejected element of a JSON document", "is written anew, without spaces and line ends"
)
_WORDS = Difference("NaN and Infinity in a JSON document", "are texts, and do not fit numbers")

# --- CSV -------------------------------------------------------------------------------------

_CSV: dict[str, File] = {
    "good.csv": "id,s,d\n1,x,1.5\n2,é 😀,2\n",
    "order.csv": "d,id\n1.5,3\n,4\n",
    "mark.csv": "\ufeffid,s\r\n5,a\r\n6,b",
    "later-mark.csv": "id,s,d\n37,a,1\n\ufeff38,b,2\n\ufeff\n\ufeff,,\n",
    "quotes.csv": 'id,s,d\n7,"a, ""b""\r\nc\nd",1\n"8","",\n9,x"y,"2"\n',
    "ends.csv": "id,s\r10,a\n\n11,b\r\n\r\n12,c\r\r13,d",
    "ragged.csv": "id,s,d\n14,a\n15,a,1,\n16,a,1\n,,\n\n  \n",
    "stray.csv": 'id,s,d\n17,"a"b,1\n18,"c\nd"e,2\n19,f,3\n',
    "open.csv": 'id,s,d\n20,a,1\n21,"b,2\n22,c,3\n',
    "misfit.csv": "id,s,d\none,x,two\n23.0,y,1e400\n 24 ,  z ,.5\n+25,,-inf\n1_0,t,1_0\n,u,nan\n2e1,v,5.\n",
    "more.csv": 'id,new,ID,s\n26,1,2,"x\ty"\n27,2.5,,\n28,,,"\\"\n',
    "twice.csv": "id,id,,s \n29,30,31,x\n",
    "latin.csv": b"id,s\n31,\xe9\n32,\xc3\xa9\n",
    "header.csv": "id,s,d\n",
    "headers.csv": "id,s,d\n33,a,1\nid,s,d\n34,b,2\n",
    "empty.csv": "\n",
    "foreign.csv": "x,y\n1,2\n",
    "zero.csv": b"id\x00,s\n1,2\n",
    "wide.csv": b"\xff\xfei\x00d\x00\n\x00",
    "packed.csv.gz": packed('id,s\n35,"a\nb"\n', "gzip"),
}
_CSV_TYPES: dict[str, File] = {
    "scalars.csv": (
        "b,i,n,f,d,p,day,at,tz,u,raw,o,l,m\n"
        "true,1,9007199254740993,1.5,1e-7,1.10,2026-01-31,2026-01-31T12:00:00.123456,2026-01-31 12:00:00+02:00,"
        '01234567-89AB-cdef-0123-456789abcdef,hi,"{""x"": 1, ""y"": ""z""}","[1, null]","{""a"": 1}"\n'
        "NO,007,-1,nan,+Inf,1.2500,2026-01-31 00:00:00,2026-01-31,2026-01-31 10:00-0530,"
        "0123456789abcdef0123456789abcdef,,{},[],{}\n"
        " y , 7 , 8 , 1 , 2 , 3 , 2026-01-31 , 2026-01-31 10:00 , 2026-01-31 10:00 UTC , x , x ,null, , \n"
        ",,,,,,,,,,,,,\n"
    ),
    "misfits.csv": (
        "b,i,n,f,d,p,day,at,tz,u,raw,o,l,m\n"
        "maybe,2147483648,9223372036854775808,1e39,1e309,1.005,2026-02-30,2026-01-31T12:00Z,2026-01-31 12:00 CET,"
        '0-0,é,"{""z"": 1}","[1,""two""]","{""a"": ""b""}"\n'
        "2,1.0,1e3,0x1,1d,1e1,2026-01-31 10:00,2026-01-31 24:00,0000-01-01,epoch,\\x00,1,{},[]\n"
        "TRUE,--1,٣,1f,Infinityx,12345678901,20260131,infinity,2026-01-31 10:00:00.1234567,"
        'x,y,"{""x"": 1} z","[1] 2","{""a"":1,""a"":2}"\n'
        "f,-0,+0,-nan,-0.0,-.5,0001-01-01,9999-12-31 23:59:59.9999990,2026-01-31 10:00:00 -05:30,"
        'x,z,"{""x"": 1, ""x"": 2}","[[1]]","{""a"": 1.0}"\n'
    ),
}
_CSV_LATIN: dict[str, File] = {
    "latin.csv": b'id,s,\xe9\r\n1,"\xfc\n\xff",x\n2,\xa0\x85,\xdf\n3,\xef\xbf\xbd,\n',
    "mark.csv": b"\xef\xbb\xbfid,s\n4,a\n",
    "packed.csv.gz": gzip.compress(b"id,s\n5,a\n", mtime=0),
}
_CSV_DATED: dict[str, File] = {
    "dates.csv": (
        'day,at,tz,l\n20260131,1/31/2026 9:05,12/31/1999 23:59,"[""2026-01-31""]"\n 20260131 ,"1/31/2026\n 9:05",,\n'
        '2026-01-31,2026-01-31 09:05,2/30/2026 1:1,"[""20260131""]"\n2026131,13/1/2026 1:1,1/1/2026 24:00,[]\n'
    ),
    "new.csv": "id,first,then,iso\n9,20251224,12/24/2025 18:00,2025-12-24\n",
}
_CSV_OPTIONS: dict[str, File] = {
    "semi.csv": "made by x\n# 'quoted' comment\nid;s;d\n1;'a;b';1\n#2;x;2\n3;NA;-\n4;'it\\'s \\\\ \\n';\n5;'NA';NA\n",
    "open.csv": "made by x\nid;s;d\n6;'a\\'\n",
    "stray.csv": "made by x\nid;s;d\n7;'a'';1\n8;b;2\n",
    "none.csv": "made by x\n# y\n",
    "long.csv": "made by x\nid;s;d\n9;x;1",
}
_PLACES: dict[str, File] = {
    "three.tsv": '1\ta\t1.5\n2\t"b\t2\n\t\t\n',
    "two.tsv": "3\tx\n4\ty\tz\n",
    "five.tsv": "5\ta\t1\tb\tc\n6\ta\t1\t\t\n",
}
_REPLACED = Difference(
    "a `\ufffd` in a CSV file that holds bytes which are not UTF-8", "its record is rejected as `undecodable`"
)

GROUPS: tuple[Group, ...] = (
    Group(
        "lines_added",
        {"columns": {"columns": _COLUMNS}},
        {**_LINES, "comma.jsonl": '{"id": 15,}\n', "later-mark.jsonl": '{"id": 16}\n\ufeff{"id": 17}\n'},
        {"comma.jsonl": _COMMA, "later-mark.jsonl": _MARK},
    ),
    Group(
        "lines_deep",
        {"columns": {"columns": _COLUMNS, "on_new_columns": "rescue"}},
        {"900.jsonl": "\n".join(_nested(900)), "3000.jsonl": "\n".join(_nested(3_000))},
        {"3000.jsonl": _DEEP},
    ),
    Group(
        "documents_deep",
        {"format": {"type": "json"}, "columns": {"columns": _COLUMNS, "on_new_columns": "rescue"}},
        {"900.json": f"[{','.join(_nested(900))}]", "3000.json": f"[{','.join(_nested(3_000))}]"},
        {"3000.json": _DEEP_DOCUMENT},
    ),
    Group(
        "lines_rescued",
        {
            "columns": {"columns": _COLUMNS, "on_new_columns": "rescue"},
            "policies": {"on_error": "skip_file"},
        },
        {
            **_LINES,
            "packed.jsonl.zst": packed('{"id": 1}\n', "zstd"),
            "packed.jsonl.gz": packed('{"id": 2}\nno\n', "gzip"),
        },
        {"packed.jsonl.zst": _HIDDEN},
    ),
    Group(
        "packed",
        {"columns": {"columns": "id bigint"}},
        {
            "whole.jsonl.gz": gzip.compress(_TEN),
            "twice.jsonl.gz": gzip.compress(_TEN) + gzip.compress(_TEN),
            "late.jsonl.gz": gzip.compress(_TEN)[:-5],
            "none.jsonl.gz": _TEN,
            "begun.jsonl.gz": b"\x1f",
            "whole.jsonl.bz2": bz2.compress(_TEN),
            "twice.jsonl.bz2": bz2.compress(_TEN) + bz2.compress(_TEN),
            "nothing.jsonl.bz2": bz2.compress(b""),
            "late.jsonl.bz2": bz2.compress(_TEN)[:-5],
            "none.jsonl.bz2": _TEN,
            "more.jsonl.bz2": bz2.compress(_TEN) + _TEN,
            "between.jsonl.bz2": bz2.compress(_TEN) + _TEN + bz2.compress(_TEN),
            "block.jsonl.bz2": _without_a_block(),
        },
        {"late.jsonl.gz": _CUT_LATE, "more.jsonl.bz2": _MORE_BEHIND},
    ),
    Group(
        "lines_typed",
        {"columns": {"columns": _TYPED, "on_new_columns": "rescue"}},
        {**_TYPES, "offset.jsonl": '{"tz": "2026-01-31 12:30:00+19:00"}\n'},
        {"offset.jsonl": _FAR_OFFSET},
    ),
    Group(
        "lines_formats",
        {
            "format": {
                "type": "jsonl",
                "encoding": "latin-1",
                "compression": "gzip",
                "date_format": "%d.%m.%Y",
                "timestamp_format": "%d/%m/%y %H:%M:%S.%f",
            },
            "columns": {"columns": f"{_MOMENTS}, o struct<day date>"},
        },
        {**_LATIN, **_DATED},
        {"mark.jsonl.gz": _LATIN_MARK, "plain.jsonl": _PACKED},
    ),
    Group("lines_ignored", {"columns": {"columns": _IGNORED, "on_new_columns": "ignore"}}, {**_STRANGE, **_TYPES}),
    Group(
        "lines_plain_ignored", {"columns": {"columns": _COLUMNS, "on_new_columns": "ignore"}}, {**_LINES, **_STRANGE}
    ),
    Group("lines_new", {"columns": {"columns": "id bigint", "on_new_columns": "fail"}}, _LINES),
    Group("lines_strict", {"columns": {"columns": "id bigint"}, "policies": {"on_error": "fail"}}, _LINES),
    Group(
        "parquet_added",
        {
            "format": {"type": "parquet"},
            "columns": {"columns": "id bigint, d double, s string not null, day date, at timestamp"},
        },
        _PARQUET,
        {"nano.parquet": _NOT_TAKEN, "text.parquet": _NOT_TAKEN, "exponent.parquet": _EXPONENT, "null.parquet": _RAW},
    ),
    Group(
        "parquet_nested",
        {
            "format": {"type": "parquet"},
            "columns": {"columns": "id bigint, d double, s string not null", "on_new_columns": "rescue"},
        },
        _NESTED,
        {
            **dict.fromkeys(("case.parquet", "same.parquet", "nameless.parquet"), _MEMBERS),
            "short.parquet": _WRITTEN,
        },
    ),
    Group(
        "parquet_ignored",
        {
            "format": {"type": "parquet"},
            "columns": {
                "columns": "id bigint, d double, s string not null, o struct<x bigint>, l array<struct<x bigint>>,"
                " m map<string, struct<x bigint>>",
                "on_new_columns": "ignore",
            },
        },
        {
            **_PARQUET,
            "objects.parquet": parquet(s=["q", "r"], o=[{"x": 1}, None], more=[1, 2]),
            "inside.parquet": parquet(
                s=["q", "r"],
                o=[{"more": 2, "X": 3, "x": 1}, None],
                l=[[{"x": 1, "more": "a"}], None],
                m=pa.array([[("a", {"x": 1, "more": 2})], None], pa.map_(pa.string(), _INNER)),
            ),
            "nulls.parquet": parquet(s=["q"], id=pa.nulls(1)),
            "other.parquet": parquet(s=["q"], o=[{"more": 2}]),
            "only-nulls.parquet": parquet(id=pa.nulls(2)),
            "strange.parquet": parquet(s=["q"], at=pa.array([1], pa.timestamp("ns")), big=pa.array([1], pa.uint64())),
        },
        {
            **dict.fromkeys(("text.parquet", "other.parquet"), _NOT_TAKEN),
            **dict.fromkeys(("null.parquet", "only-nulls.parquet"), _RAW),
            "exponent.parquet": _EXPONENT,
        },
    ),
    Group(
        "documents_ignored",
        {"format": {"type": "json"}, "columns": {"columns": _COLUMNS, "on_new_columns": "ignore"}},
        _DOCUMENTS,
    ),
    Group(
        "csv_ignored",
        {"format": {"type": "csv"}, "columns": {"columns": "id bigint, d double", "on_new_columns": "ignore"}},
        _CSV,
    ),
    Group(
        "documents",
        {"format": {"type": "json"}, "columns": {"columns": _COLUMNS, "on_new_columns": "rescue"}},
        {**_DOCUMENTS, "spaced.json": "[[1,  2]]", "words.json": '[{"id": 15, "d": NaN}]'},
        {"spaced.json": _SPACED, "words.json": _WORDS},
    ),
    Group(
        "csv_added",
        {"format": {"type": "csv"}, "columns": {"columns": _COLUMNS}},
        {**_CSV, "replaced.csv": b"id,s\n36,\xe9\n37,\xef\xbf\xbd\n"},
        {"replaced.csv": _REPLACED},
    ),
    Group(
        "csv_typed",
        {"format": {"type": "csv"}, "columns": {"columns": _TYPED, "on_new_columns": "rescue"}},
        _CSV_TYPES,
    ),
    Group(
        "csv_formats",
        {
            "format": {
                "type": "csv",
                "encoding": "iso-8859-1",
                "compression": "none",
                "date_format": "%Y%m%d",
                "timestamp_format": "%m/%d/%Y %H:%M",
            },
            "columns": {"columns": _MOMENTS},
        },
        {**_CSV_LATIN, **_CSV_DATED},
        {"packed.csv.gz": _PACKED},
    ),
    Group(
        "csv_options",
        {
            "format": {
                "type": "csv",
                "delimiter": ";",
                "quote": "'",
                "escape": "\\",
                "comment": "#",
                "skip_lines": 1,
                "null_values": ["NA", "-"],
            },
            "columns": {"columns": "id bigint not null, s string, d double", "on_new_columns": "rescue"},
            "policies": {"on_error": "skip_file"},
        },
        _CSV_OPTIONS,
    ),
    Group(
        "tsv_places",
        {
            "format": {"type": "tsv", "header": False, "quote": ""},
            "columns": {"columns": _COLUMNS, "on_new_columns": "rescue"},
        },
        _PLACES,
    ),
)

REFUSALS: tuple[Refusal, ...] = (
    Refusal(
        {"format": {"type": "jsonl", "timestamp_format": "%d.%m.%Y %H:%M %z"}},
        "%z in the option timestamp_format",
        "other letters than `%d %m %Y %y %H %M %S %f` in `date_format` and `timestamp_format`, or one twice",
    ),
    Refusal(
        {"format": {"type": "jsonl", "encoding": "utf-16"}},
        "utf-16",
        "the `encoding` `utf-16` (a line end is no byte of its own in it)",
    ),
    Refusal(
        {"format": {"type": "jsonl", "compression": "zstd"}},
        "compression=zstd",
        "the `compression` `zstd` (Hadoop's own is not in every build)",
    ),
    Refusal({"row_columns": {"rescued_data": None}}, "rescued_data", "`rescued_data` switched off"),
    Refusal(
        {"columns": {"columns": "l array<int> not null"}},
        "not null, and holds others",
        "structs, arrays and maps that are not null",
    ),
    Refusal({"columns": {"columns": "at time"}}, "of the type time", "columns of the type `time`"),
    Refusal({"columns": {"columns": "m map<int,int>"}}, "a map with keys", "maps whose keys are no strings"),
    Refusal({"columns": {"columns": "a int, A int"}}, "but for its case", "columns that differ only in case"),
    Refusal(
        {"columns": {"columns": "o struct<x int not null>"}},
        "a member that is not null",
        "structs with members that are not null",
    ),
)

ALWAYS: tuple[Difference, ...] = (
    Difference("a rejected record", "has no line and no byte offset in the reject table"),
    Difference(
        "a file that changed after it was discovered",
        "is found by its size and time, and by its version after it was read; it has no row",
    ),
)


def differences() -> tuple[Difference, ...]:
    """Each once, in the order of the groups."""
    found = [one for group in GROUPS for one in group.differences.values()]
    return tuple(dict.fromkeys((*ALWAYS, *found)))
