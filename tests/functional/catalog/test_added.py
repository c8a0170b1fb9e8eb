"""What a snapshot added, told by its manifests alone, or not at all."""

from __future__ import annotations

from uuid import uuid4

import pytest

from app.catalog import added
from app.catalog.added import AddedRows, rows_by
from tests.functional import hands

KEY, OTHER = "id", "name"


def landed(writer, table, *files):
    return [file for rows in files for file in writer.land(table.look(), rows)]


def of(key: int, *others: str | None) -> list[dict[str, object]]:
    return [{KEY: key, OTHER: other} for other in others]


def test_rows_are_told_by_the_only_value_of_each_data_file(table, writer):
    files = landed(writer, table, of(7, "x", None), of(7, "y"), of(-8, "z"), of(9, None))

    snapshot = hands.stage(table, uuid4(), {}, files)

    found = rows_by(table.look(), snapshot, KEY, OTHER)
    assert found == {7: AddedRows(3, 2), -8: AddedRows(1, 1), 9: AddedRows(1, 0)}


def test_what_other_snapshots_added_is_not_told(table, writer):
    writer.append(table, of(1, "before"))
    hands.stage(table, uuid4(), {}, landed(writer, table, of(2, "beside")))

    snapshot = hands.stage(table, uuid4(), {}, landed(writer, table, of(3, "x")))

    assert rows_by(table.look(), snapshot, KEY, OTHER) == {3: AddedRows(1, 1)}


def test_a_snapshot_of_nothing_added_no_row(table):
    assert rows_by(table.look(), hands.stage(table, uuid4()), KEY, OTHER) in ({}, None)


@pytest.mark.parametrize("mixed", [of(1, "x") + of(2, "y"), [*of(1, "x"), {KEY: None, OTHER: "y"}]])
def test_nothing_is_told_of_a_data_file_with_several_values_or_without_one(table, writer, mixed):
    snapshot = hands.stage(table, uuid4(), {}, landed(writer, table, of(1, "x"), mixed))

    assert rows_by(table.look(), snapshot, KEY, OTHER) is None


@pytest.mark.parametrize("column", [KEY, OTHER])
def test_nothing_is_told_where_the_table_keeps_no_bounds_or_counts(table, writer, column):
    table.require_properties({f"write.metadata.metrics.column.{column}": "none"})

    snapshot = hands.stage(table, uuid4(), {}, landed(writer, table, of(1, "x")))

    assert rows_by(table.look(), snapshot, KEY, OTHER) is None


def test_of_many_data_files_nothing_is_told(table, writer, monkeypatch):
    monkeypatch.setattr(added, "_MOST_FILES", 1)

    snapshot = hands.stage(table, uuid4(), {}, landed(writer, table, of(1, "x"), of(2, "y")))

    assert rows_by(table.look(), snapshot, KEY, OTHER) is None
