"""Input as strangers deliver it: what one run makes of each file, in the ledger and in the table.

One run a format, over all of its files at once: so each file is also the neighbour of all the others.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.cli.main import run
from app.config import get_settings
from tests.functional.cli.conftest import put

MIB = 1024 * 1024
RECORD = '{"id": 1, "name": "a"}\n'
LINES = b"id,name\n1,a\n"


def bomb() -> bytes:
    """4 MB that are 4 GB."""
    return gzip.compress(b" " * (4 * MIB), mtime=0) * 1024


def cut(data: bytes) -> bytes:
    """A gzip stream without its end."""
    return gzip.compress(data * 5000, mtime=0)[:-20]


def parquet(columns: object = None, **more: object) -> bytes:
    out = io.BytesIO()
    pq.write_table(columns if isinstance(columns, pa.Table) else pa.table(columns), out, **more)
    return out.getvalue()


def broken_page() -> bytes:
    """A sound footer behind pages of which one is overwritten."""
    data = bytearray(parquet({"id": list(range(10_000)), "name": ["x"] * 10_000}, compression="snappy"))
    data[100:400] = b"\xff" * 300
    return bytes(data)


def loaded(rows: int, rescued: int = 0, rejected: int = 0) -> tuple[object, ...]:
    return ("SUCCESS", None, rows, rescued, rejected)


def quarantined(reason: str) -> tuple[object, ...]:
    return ("QUARANTINED", reason, 0, 0, 0)


EMPTY = ("SKIPPED", "empty", None, None, None)

# name → content, and how the ledger's row of it ends
JSONL = {
    "good.jsonl": (RECORD, loaded(1)),
    "bom.jsonl": (b"\xef\xbb\xbf" + RECORD.encode(), loaded(1)),
    "nul-bytes.jsonl": (b'{"id": 3}\n{"id": 4, "na\0me": "b"}\n\0\0\0\n{"id": 5}\n', loaded(2, rejected=2)),
    "escaped-nul.jsonl": ('{"id": 6, "name": "a\\u0000b"}\n', loaded(1)),
    "line-ends.jsonl": ('{"id": 1}\r\n{"id": 2}\r{"id": 3}\n\n\r\n{"id": 4}', loaded(4)),
    "doubled-keys.jsonl": ('{"id": 1, "name": "a", "name": "b", "id": 2}\n', loaded(1, rescued=1)),
    "case-keys.jsonl": ('{"id": 1, "ID": 2, "Name": "b", "name": "a"}\n', loaded(1, rescued=1)),
    "big-numbers.jsonl": (f'{{"id": {2**64}}}\n{{"id": 1e400}}\n{{"id": {2**63 - 1}}}\n', loaded(3, rescued=2)),
    "nan.jsonl": ('{"id": NaN}\n{"id": 1, "name": Infinity}\n', loaded(2, rescued=1)),
    "truncated.jsonl.gz": (cut(RECORD.encode()), quarantined("truncated")),
    "bomb.jsonl.gz": (bomb(), quarantined("expansion")),
    "not-gzip.jsonl.gz": (RECORD, quarantined("undecodable")),
    "empty.jsonl": ("", EMPTY),
    "blank.jsonl": ("\n \n", loaded(0)),
    "null.jsonl": ("null\n", loaded(0, rejected=1)),
    "long-line.jsonl": (b'{"id": 1}\n{"name": "' + b"x" * (100 * MIB) + b'"}\n{"id": 2}\n', loaded(2, rejected=1)),
    "many-keys.jsonl": (json.dumps({"id": 7, **{f"k{n}": n for n in range(100_000)}}) + "\n", loaded(1, rescued=1)),
    "picture.jsonl": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8, quarantined("not-this-format")),
    "parquet.jsonl": (parquet({"id": [1]}), quarantined("not-this-format")),
    "csv.jsonl": (LINES, loaded(0, rejected=2)),
}
JSON = {
    "good.json": ('[{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]', loaded(2)),
    "object.json": ('{"id": 3, "name": "c"}', loaded(1)),
    "null.json": ("null", quarantined("not-this-format")),
    "number.json": ("17", quarantined("not-this-format")),
    "nothing-in-it.json": ("[]", loaded(0)),
    "half.json": ('[{"id": 4}, {"id": ', quarantined("truncated")),
    "nulls.json": ('[null, {"id": 5}]', loaded(1, rejected=1)),
    "bom.json": (b'\xef\xbb\xbf[{"id": 6}]', loaded(1)),
    "two.json": ('[{"id": 7}] [{"id": 8}]', quarantined("undecodable")),
    "doubled-keys.json": ('[{"id": 9, "id": 10, "ID": 11}]', loaded(1, rescued=1)),
    "many-keys.json": (json.dumps([{"id": 12, **{f"k{n}": n for n in range(100_000)}}]), loaded(1, rescued=1)),
    "deep.json": ('[{"id": 13, "name": ' + "[" * 100_000 + "]" * 100_000 + "}]", loaded(1)),
}
CSV = {
    "good.csv": (LINES, loaded(1)),
    "bom.csv": (b"\xef\xbb\xbf" + LINES, loaded(1)),
    "line-ends.csv": (b"id,name\r\n1,a\r2,b\n3,c\r\n", loaded(3)),
    "quoted.csv": ('id,name\n1,"a\nb"\n2,"c\r\nd, ""e"""\n', loaded(2)),
    "nul-bytes.csv": (b"id,name\n1,a\0b\n2,b\n", loaded(2)),
    "binary.csv": (b"id,na\0me\n1,a\n", quarantined("not-this-format")),
    "open-quote.csv": ('id,name\n1,"a\n2,b\n', quarantined("truncated")),
    "ragged.csv": ("id,name\n1\n2,b\n3,c,d\n", loaded(1, rejected=2)),
    "doubled-names.csv": ("id,name,id,ID\n1,a,2,3\n", loaded(1, rescued=1)),
    "big-numbers.csv": (f"id,name\n{2**64},a\nNaN,b\n{2**63 - 1},c\n", loaded(3, rescued=2)),
    "latin-1.csv": ("id,name\n1,é\n".encode("latin-1"), loaded(0, rejected=1)),
    "utf-16.csv": (LINES.decode().encode("utf-16"), quarantined("undecodable")),
    "truncated.csv.gz": (cut(LINES), quarantined("truncated")),
    "bomb.csv.gz": (bomb(), quarantined("expansion")),
    "empty.csv": ("", EMPTY),
    "header-only.csv": ("id,name\n", loaded(0)),
    "long-line.csv": (LINES + b"2," + b"x" * (100 * MIB) + b"\n3,c\n", loaded(2, rejected=1)),
    "many-columns.csv": (",".join(f"c{n}" for n in range(100_000)) + "\n", quarantined("too-large")),
    "json.csv": (RECORD, quarantined("not-this-format")),
    "parquet.csv": (parquet({"id": [1]}), quarantined("not-this-format")),
    "other.csv": ("x,y\n1,2\n", quarantined("not-this-format")),
}
PARQUET = {
    "good.parquet": (parquet({"id": [1], "name": ["a"]}), loaded(1)),
    "case-names.parquet": (parquet({"id": [2], "ID": [3], "name": ["b"]}), loaded(1, rescued=1)),
    "doubled-names.parquet": (
        parquet(pa.Table.from_arrays([pa.array([8]), pa.array([9])], names=["id", "id"])),
        loaded(1, rescued=1),
    ),
    "big-numbers.parquet": (parquet({"id": pa.array([2**64 - 1, 4], pa.uint64())}), loaded(2, rescued=1)),
    "nan.parquet": (parquet({"id": [float("nan"), 5.0]}), loaded(2, rescued=1)),
    "nul-name.parquet": (parquet({"id": [6], "x\0y": [7]}), loaded(1, rescued=1)),
    "cut.parquet": (parquet({"id": [1]})[:-30], quarantined("truncated")),
    "broken-page.parquet": (broken_page(), quarantined("undecodable")),
    "many-columns.parquet": (parquet({f"c{n}": [n] for n in range(100_000)}), quarantined("too-large")),
    "empty.parquet": ("", EMPTY),
    "no-rows.parquet": (parquet({"id": pa.array([], pa.int64())}), loaded(0)),
    "csv.parquet": (LINES, quarantined("not-this-format")),
    "other.parquet": (parquet({"x": [1]}), quarantined("not-this-format")),
}
FORMATS = {"jsonl": JSONL, "json": JSON, "csv": CSV, "parquet": PARQUET}


@dataclass(frozen=True)
class Loaded:
    """What one run left: its exit code and answer, the ledger's files by name, the table's rows."""

    code: int
    answer: dict[str, Any]
    files: dict[str, dict[str, Any]]
    rows: list[dict[str, Any]]

    def state(self, name: str) -> tuple[object, ...]:
        return tuple(self.files[name][key] for key in ("state", "reason", "rows", "rescued", "rejected"))

    def of(self, name: str) -> list[tuple[object, ...]]:
        """`id`, `name` and what was rescued, of the rows of one file."""
        mine = [row for row in self.rows if row["_source_file"].rpartition("/")[2] == name]
        return [(row["id"], row["name"], row["_rescued_data"]) for row in mine]


@pytest.fixture(scope="module")
def runs(tmp_path_factory, sqlite_template):
    """The run of each format, made when it is first asked for."""
    made: dict[str, Loaded] = {}

    def of(kind: str) -> Loaded:
        if kind not in made:
            made[kind] = load(tmp_path_factory.mktemp(kind), sqlite_template, kind)
        return made[kind]

    return of


def load(folder: Path, template: Path, kind: str) -> Loaded:
    home, landing = folder / "home", folder / "landing"
    home.mkdir()
    shutil.copy(template, home / "autoloader.db")
    (landing / f"folder.{kind}").mkdir(parents=True)
    for name, (data, _) in FORMATS[kind].items():
        put(landing, name, data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUTOLOADER_HOME", str(home))
        patch.setenv("PARSER_THREADS", "1")
        get_settings.cache_clear()
        schema = ("--schema", "id bigint, name string", "--on-new-columns", "rescue")
        code, answer = ask("load", str(landing), "shop.orders", "--format", kind, *schema)
        files = ask("files", "list")[1]["files"]
        rows = ask("table", "sql", "shop.orders", "SELECT * FROM orders ORDER BY id NULLS FIRST, name")[1]["rows"]
    get_settings.cache_clear()
    return Loaded(code, answer, {file["path"].rpartition("/")[2]: file for file in files}, rows)


def ask(*arguments: str) -> tuple[int, Any]:
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()):
        code = run([*arguments, "--json"])
    return code, json.loads(out.getvalue())


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, files in FORMATS.items() for name in files])
def test_a_file_ends_in_its_state_with_its_reason_whatever_lies_beside_it(runs, kind, name):
    done = runs(kind)

    assert done.state(name) == FORMATS[kind][name][1], done.files[name]["error"]
    assert len(done.of(name)) == (done.files[name]["rows"] or 0)
    assert bool(done.files[name]["error"]) == (done.files[name]["state"] != "SUCCESS")


@pytest.mark.parametrize("kind", FORMATS)
def test_the_run_is_partial_and_nothing_of_it_waits(runs, kind):
    done = runs(kind)

    assert (done.code, done.answer["state"]) == (3, "PARTIAL")
    assert done.answer["metrics"]["waiting"] == 0
    assert done.files.keys() == FORMATS[kind].keys()


@pytest.mark.parametrize(
    ("kind", "name", "rows"),
    [
        ("jsonl", "escaped-nul.jsonl", [(6, "a\0b", None)]),
        ("jsonl", "doubled-keys.jsonl", [(1, "a", '{"id":2,"name":"b"}')]),
        ("jsonl", "case-keys.jsonl", [(1, "a", '{"ID":2,"Name":"b"}')]),
        (
            "jsonl",
            "big-numbers.jsonl",
            [(None, None, f'{{"id":{2**64}}}'), (None, None, '{"id":1e400}'), (str(2**63 - 1), None, None)],
        ),
        ("csv", "quoted.csv", [(1, "a\nb", None), (2, 'c\r\nd, "e"', None)]),
        ("csv", "nul-bytes.csv", [(1, "a\0b", None), (2, "b", None)]),
        ("csv", "doubled-names.csv", [(1, "a", '{"id_2":"2","ID":"3"}')]),
        ("parquet", "nul-name.parquet", [(6, None, '{"x\\u0000y":7}')]),
        ("parquet", "nan.parquet", [(None, None, '{"id":"NaN"}'), (5, None, None)]),
    ],
)
def test_a_value_that_is_odd_is_kept_whole(runs, kind, name, rows):
    assert sorted(runs(kind).of(name), key=str) == sorted(rows, key=str)
