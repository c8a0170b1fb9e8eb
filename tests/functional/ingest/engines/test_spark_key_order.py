"""The order of keys is a hint from first lines: whatever they hold, it has all columns and ends."""

from __future__ import annotations

import json

import pytest

from app.ingest.engines.spark_key_order import key_order

COLUMNS = ("id", "s", "d")


def test_keys_stand_as_they_do_in_the_records_and_columns_that_none_has_behind_the_one_before():
    lines = ['{"new": 1, "s": "x", "id": 2}', '{"new": 1, "more": {"a": 1}, "s": "y"}']
    assert key_order([lines], COLUMNS) == ("new", "more", "s", "d", "id")


def test_the_first_order_counts_and_later_files_add_to_it():
    assert key_order([['{"id": 1, "s": "x"}'], ['{"s": "x", "a": 1, "id": 1}'], ["{}"]], COLUMNS) == (
        "id", "s", "d", "a",
    )  # fmt: skip


@pytest.mark.parametrize("line", ["", "no", "[1]", "5", "\ufffd{", "[" * 60_000, '{"id": 1'])
def test_what_is_not_understood_tells_nothing(line):
    assert key_order([[line]], COLUMNS) == COLUMNS


def test_of_no_lines_it_is_the_columns():
    assert key_order([], COLUMNS) == key_order([[]], COLUMNS) == COLUMNS


def test_keys_that_no_column_can_have_and_very_long_ones_are_no_hint():
    line = f'{{"\\ud800": 1, "\\u0000": 2, "": 3, "{"x" * 65}": 4, "id": 5}}'
    assert key_order([[line]], COLUMNS) == COLUMNS


def test_records_of_very_many_keys_tell_nothing():
    assert key_order([[json.dumps({f"k{number}": 1 for number in range(500)})]], COLUMNS) == COLUMNS
