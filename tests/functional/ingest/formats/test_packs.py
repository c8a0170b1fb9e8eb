"""A small file that lies in a pack, between others, is read as it would be by itself."""

from __future__ import annotations

import bz2
import gzip
import re
from dataclasses import replace
from pathlib import Path

import pytest

from tests.functional.ingest.parsing import Parsed, files_of, parse, request

SCHEMA = "id bigint, s string"
GOOD = b'{"id": 1, "s": "x"}\n{"id": 2, "s": "y"}\n'
FILES = {
    "clean": GOOD,
    "without a last line end": GOOD[:-1],
    "again, without": b'{"id": 3}',
    "marked": b"\xef\xbb\xbf" + GOOD,
    "empty": b"",
    "blank": b" \n\n",
    "blank lines between": b'\n{"id": 4}\n\n \n{"id": 5}\n\n',
    "carriage returns": b'{"id": 6}\r{"id": 7}\r\n{"id": 8}\r',
    "half a line": b'{"id": 9}\n{"id": 1',
    "its other half": b'0}\n{"id": 11}\n',
    "bad in the midst": b'{"id": 12}\nnot json\n{"id": "many", "more": 1}\n[]\n',
    "bytes that are no text": b'{"id": 13, "s": "\xff"}\n{"id": 14}\n',
    "too long a line": b'{"id": 15}\n{"s": "' + b"x" * (5 * 1024 * 1024) + b'"}\n{"id": 16}',
    "binary": b"\x7fELF\0\0",
    "whole.gz": gzip.compress(GOOD),
    "cut.gz": gzip.compress(GOOD * 500)[:-30],
    "plain.gz": GOOD,
    "gzip by content": gzip.compress(GOOD),
    "whole.bz2": bz2.compress(GOOD),
    "last": b'{"id": 17, "s": "end"}',
}
DOCUMENTS = {
    "array": b'[{"id": 1}, {"id": 2, "s": "y"}]',
    "object": b'{"id": 3}',
    "cut": b'[{"id": 4}, {"id"',
    "empty array": b"[]",
    "marked": b'\xef\xbb\xbf[{"id": 5}]',
    "array.gz": gzip.compress(b'[{"id": 6}]'),
    "last": b'[{"id": 7}, null, {"id": "no"}]',
}


def alone(folder: Path, contents: dict[str, bytes]) -> list[Path]:
    paths = [folder / name for name in contents]
    for path, data in zip(paths, contents.values(), strict=True):
        path.write_bytes(data)
    return paths


def packed(sandbox, paths: list[Path], schema: str, folder: Path, **changes) -> Parsed:
    """The same files, parsed from one that holds them all, with gaps where others could not be had."""
    asked = request(paths, schema, folder, **changes)
    pack, files, data = folder / "pack", [], b""
    for file in asked.files:
        data += b'{"id": 666}\n' * (file.file_id % 3)
        files.append(replace(file, local_path=str(pack), offset=len(data)))
        data += Path(file.local_path).read_bytes()
    pack.write_bytes(data)
    return Parsed(sandbox.parse(replace(asked, files=tuple(files))))


@pytest.mark.parametrize("kind", ["jsonl", "json"])
@pytest.mark.parametrize("rescued", [True, False])
def test_the_same_rows_rejects_and_states_come_out(sandbox, tmp_path, kind, rescued):
    paths = alone(tmp_path, FILES if kind == "jsonl" else FILES | DOCUMENTS)
    wanted = parse(sandbox, paths, SCHEMA, tmp_path, format=kind, rescued=rescued)
    found = packed(sandbox, paths, SCHEMA, tmp_path, format=kind, rescued=rescued)
    columns = "* EXCLUDE (_ingested_at)"
    assert len(wanted.rows()) > 6
    assert len(wanted.rejects()) > 0
    assert found.rows(columns) == wanted.rows(columns)
    assert found.rejects() == wanted.rejects()
    assert found.result.files == wanted.result.files


def test_rows_keep_the_file_that_they_came_from(sandbox, tmp_path):
    files = {f"{n:04d}.jsonl": b'{"id": %d}\n{"id": %d}' % (n, n) for n in range(1, 3001)}
    found = packed(sandbox, alone(tmp_path, files), SCHEMA, tmp_path)
    rows = found.rows("id, _file_id, _source_file")
    assert [(id_, file_id) for id_, file_id, _ in rows] == [(n, n) for n in range(1, 3001) for _ in range(2)]
    assert all(re.search(rf"/{id_:04d}\.jsonl$", path) for id_, _, path in rows)
    assert {(file.state, file.rows) for file in found.result.files} == {("SUCCESS", 2)}


def test_a_pack_that_is_cut_short_loses_no_row_in_silence(sandbox, tmp_path):
    paths = alone(tmp_path, {"a": GOOD, "b": GOOD, "c": GOOD})
    asked = request(paths, SCHEMA, tmp_path)
    pack = tmp_path / "pack"
    pack.write_bytes(GOOD * 2 + GOOD[:20])
    files = [replace(f, local_path=str(pack), offset=n * len(GOOD)) for n, f in enumerate(files_of(paths))]
    found = Parsed(sandbox.parse(replace(asked, files=tuple(files))))
    assert [found.state(n) for n in (1, 2, 3)] == [("SUCCESS", ""), ("SUCCESS", ""), ("FAILED", "changed")]
    assert len(found.rows()) == 4
