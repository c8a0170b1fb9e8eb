"""The order of keys is a hint from the begins of files: whatever they hold, it has all columns and ends."""

from __future__ import annotations

import gzip
import json

import pytest

from app.ingest.engines.spark_key_order import key_order
from app.storage import open_store
from app.values import BatchFile

COLUMNS = ("id", "s", "d")


@pytest.fixture
def order(tmp_path):
    def run(*contents: bytes) -> tuple[str, ...]:
        files = []
        for number, content in enumerate(contents, 1):
            path = tmp_path / f"{number}.jsonl"
            path.write_bytes(content)
            files.append(BatchFile(number, str(path), "v", len(content)))
        return key_order(open_store(str(tmp_path)), files, COLUMNS)

    return run


def test_keys_stand_as_they_do_in_the_records_and_columns_that_none_has_behind_the_one_before(order):
    assert order(b'{"new": 1, "s": "x", "id": 2}\n{"new": 1, "more": {"a": 1}, "s": "y"}\n') == (
        "new", "more", "s", "d", "id",
    )  # fmt: skip


def test_the_first_order_counts_and_later_files_add_to_it(order):
    assert order(b'{"id": 1, "s": "x"}\n', b'{"unread": 1}\n', b'{"s": "x", "a": 1, "id": 1}\n', b"{}\n") == (
        "id", "s", "d", "a",
    )  # fmt: skip


def test_packed_files_are_looked_into(order):
    assert order(gzip.compress(b'{"s": "x", "new": 1}\n' * 10_000)) == ("id", "s", "d", "new")


@pytest.mark.parametrize(
    "content",
    [b"", b"no\n[1]\n5\n", b"\xff\xfe{", gzip.compress(b"x" * 99)[:15], b"\x1f\x8bno", b"[" * 60_000, b'{"id": 1'],
)
def test_what_is_not_understood_tells_nothing(order, content):
    assert order(content) == COLUMNS


def test_a_file_that_is_gone_and_a_batch_without_files_tell_nothing(tmp_path):
    store = open_store(str(tmp_path))
    gone = BatchFile(1, str(tmp_path / "gone.jsonl"), "v", 5)
    assert key_order(store, [gone], COLUMNS) == key_order(store, [], COLUMNS) == COLUMNS


def test_keys_that_no_column_can_have_and_very_long_ones_are_no_hint(order):
    assert order(f'{{"\\ud800": 1, "\\u0000": 2, "": 3, "{"x" * 65}": 4, "id": 5}}\n'.encode()) == COLUMNS


def test_records_of_very_many_keys_tell_nothing(order):
    assert order(json.dumps({f"k{number}": 1 for number in range(500)}).encode()) == COLUMNS
