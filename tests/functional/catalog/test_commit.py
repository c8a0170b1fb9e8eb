"""One attempt of one commit: it lands on exactly what was looked at, or not at all."""

from __future__ import annotations

import multiprocessing
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from requests.exceptions import ConnectionError as RequestsConnectionError

from app.catalog.open import local_options, open_catalog
from app.datatypes import Column, parse_schema, primitive
from app.errors import CommitConflict, CommitUnknown, TableNotFound
from tests.functional import hands

RETRIES = {"commit.retry.num-retries": "20", "commit.retry.min-wait-ms": "1"}


def test_the_summary_carries_what_was_given(table, writer):
    snapshot = writer.append(table, [{"id": 1}], {"autoloader.batch-id": "b", "autoloader.receipt": "s3://x/r"})
    found = table.lineage().ancestors[0]
    assert found == snapshot
    assert found.summary["autoloader.batch-id"] == "b"
    assert found.summary["autoloader.receipt"] == "s3://x/r"
    assert found.summary["added-records"] == "1"


def test_an_empty_append_makes_a_snapshot_on_an_empty_table_and_on_a_full_one(table, writer, rows):
    first = table.look().append((), {"a": "1"})
    writer.append(table, [{"id": 1}])
    table.look().append((), {"a": "2"})
    chain = table.lineage()
    assert [snapshot.summary.get("a") for snapshot in chain.ancestors] == ["2", None, "1"]
    assert chain.ancestors[-1] == first
    assert [row["id"] for row in rows(table)] == [1]


def test_the_history_is_copied_a_few_times_a_commit_and_not_whenever_the_library_asks_for_it(
    table, writer, rows, monkeypatch
):
    writer.append(table, [{"id": 1}])
    look = table.look()
    files = writer.land(look, [{"id": 2}])
    copies = []
    kind = type(look.loaded.metadata)
    copied = kind.model_copy

    def counted(self, **given):
        copies.extend([1] if given.get("deep") else [])
        return copied(self, **given)

    monkeypatch.setattr(kind, "model_copy", counted)
    look.append(files, {})

    assert 0 < len(copies) <= 3
    assert sorted(row["id"] for row in rows(table)) == [1, 2]


@pytest.mark.parametrize("properties", [{}, RETRIES])
def test_a_commit_upon_a_stale_look_is_refused_whatever_the_table_says_about_retries(catalog, writer, rows, properties):
    catalog.create("db.busy", parse_schema("id bigint"), properties=properties)
    table = catalog.table("db.busy")
    stale = table.look()
    files = writer.land(stale, [{"id": 1}])
    writer.append(table, [{"id": 2}])
    with pytest.raises(CommitConflict):
        stale.append(files, {})
    assert [row["id"] for row in rows(table)] == [2]
    assert table.look().properties.get("commit.retry.num-retries") == properties.get("commit.retry.num-retries")


def test_a_first_commit_upon_an_empty_table_is_refused_when_another_was_first(table, writer, rows):
    stale = table.look()
    files = writer.land(stale, [{"id": 1}])
    writer.append(table, [{"id": 2}])
    with pytest.raises(CommitConflict):
        stale.append(files, {})
    assert len(rows(table)) == 1


def test_an_empty_table_made_again_takes_no_commit_that_was_meant_for_the_old_one(catalog, table, writer, rows):
    old = table.look()
    files = writer.land(old, [{"id": 1}])
    hands.drop(table)
    catalog.create("db.events", parse_schema("id bigint, name string"))
    with pytest.raises(CommitConflict):
        old.append(files, {})
    assert rows(table) == []


def test_a_dropped_table_takes_no_commit(table):
    old = table.look()
    hands.drop(table)
    with pytest.raises((CommitConflict, TableNotFound)):
        old.append((), {})
    with pytest.raises(TableNotFound):
        table.look()


def test_a_change_of_columns_since_the_look_is_a_conflict(table, writer, rows):
    stale = table.look()
    files = writer.land(stale, [{"id": 1}])
    table.add_columns([Column("more", primitive("string"))])
    with pytest.raises(CommitConflict):
        stale.append(files, {})
    assert rows(table) == []


def test_field_ids_used_up_in_between_are_a_conflict_even_if_the_columns_look_the_same(table):
    stale = table.look()
    with table.look().loaded.update_schema() as update:
        update.add_column("brief", parse_type())
    with table.look().loaded.update_schema() as update:
        update.delete_column("brief")
    assert table.state().schema == stale.state.schema
    with pytest.raises(CommitConflict):
        stale.append((), {})


def parse_type():
    from pyiceberg.types import StringType

    return StringType()


def test_a_property_set_in_between_is_no_conflict(table, writer, rows):
    look = table.look()
    files = writer.land(look, [{"id": 1}])
    with table.look().loaded.transaction() as change:
        change.set_properties({"owner": "somebody"})
    look.append(files, {})
    assert len(rows(table)) == 1
    assert table.look().properties["owner"] == "somebody"


def test_a_conflict_leaves_no_manifest_behind_and_no_reader_is_harmed(table, writer, rows, tmp_path):
    stale = table.look()
    files = writer.land(stale, [{"id": 1}])
    writer.append(table, [{"id": 2}])
    before = set((tmp_path / "home").rglob("*.avro"))
    with pytest.raises(CommitConflict):
        stale.append(files, {})
    assert set((tmp_path / "home").rglob("*.avro")) == before
    assert [row["id"] for row in rows(table)] == [2]


def test_the_answer_lost_after_landing_is_unknown_and_destroys_nothing(table, writer, rows, monkeypatch):
    look = table.look()
    files = writer.land(look, [{"id": 1}])
    library = table.catalog.library
    real = library.commit_table

    def lands_and_hangs_up(*args: object, **kwargs: object):
        real(*args, **kwargs)
        message = "connection reset"
        raise RequestsConnectionError(message)

    monkeypatch.setattr(library, "commit_table", lands_and_hangs_up)
    with pytest.raises(CommitUnknown):
        look.append(files, {"autoloader.batch-id": "b"})
    assert [row["id"] for row in rows(table)] == [1]
    assert table.lineage().ancestors[0].summary["autoloader.batch-id"] == "b"


def test_a_catalog_that_says_no_after_its_own_yes_destroys_nothing(table, writer, rows, monkeypatch):
    """A proxy that repeats a request makes the catalog refuse what it has just taken."""
    from pyiceberg.exceptions import CommitFailedException

    library = table.catalog.library
    monkeypatch.setattr(type(library), "__module__", "elsewhere")  # only the SQL catalog's refusal is certain
    real = library.commit_table

    def twice(*args: object, **kwargs: object):
        real(*args, **kwargs)
        message = "branch main has changed"
        raise CommitFailedException(message)

    monkeypatch.setattr(library, "commit_table", twice)
    look = table.look()
    with pytest.raises(CommitConflict):
        look.append(writer.land(look, [{"id": 1}]), {})
    assert [row["id"] for row in rows(table)] == [1]


def test_a_locked_database_at_the_commit_is_unknown_not_failed(table, writer, tmp_path):
    import sqlite3
    from contextlib import closing

    look = table.look()
    address = f"{tmp_path / 'home' / 'catalog.db'}"
    options = {**local_options(tmp_path / "home")}
    options["uri"] = options["uri"].replace("timeout=30", "timeout=0.1")
    with open_catalog("local", options) as impatient, closing(sqlite3.connect(address)) as other:
        look = impatient.table("db.events").look()
        files = writer.land(look, [{"id": 1}])
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(CommitUnknown):
            look.append(files, {})
        other.rollback()
    assert table.lineage().ancestors == ()


def test_what_a_commit_points_to_is_on_the_disk_before_the_catalog_knows_it(table, writer, monkeypatch):
    synced: set[str] = set()
    real_sync = os.fsync

    def sync(handle: int) -> None:
        synced.add(str(Path(f"/proc/self/fd/{handle}").readlink()))
        real_sync(handle)

    monkeypatch.setattr(os, "fsync", sync)
    snapshot = writer.append(table, [{"id": 1}])
    look = table.look()
    manifest_list = look.loaded.metadata.snapshot_by_id(snapshot.snapshot_id).manifest_list
    written = {look.loaded.metadata_location, manifest_list}
    written |= {manifest.manifest_path for manifest in look.loaded.current_snapshot().manifests(look.loaded.io)}
    written |= {str(Path(path).parent) for path in written}
    assert {path.removeprefix("file://").removeprefix("file:") for path in written} <= synced
    assert any(path.endswith("/data") for path in synced)
    assert any("staged" in path for path in synced)  # the rows themselves, before they are moved


def test_of_threads_that_commit_upon_one_look_exactly_one_wins(table, writer, rows):
    gate = threading.Barrier(4)
    work = [(look := table.look(), writer.land(look, [{"id": number}])) for number in range(4)]

    def commit(pair) -> bool:
        gate.wait()
        try:
            pair[0].append(pair[1], {})
        except CommitConflict:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        wins = list(pool.map(commit, work))
    assert wins.count(True) == 1
    assert [row["id"] for row in rows(table)] == [wins.index(True)]


def append_until_done(home: Path, staging: Path, first: int, count: int) -> None:
    from tests.functional.catalog.conftest import Writer

    writer = Writer(staging)
    with open_catalog("local", local_options(home)) as catalog:
        table = catalog.table("db.events")
        for number in range(first, first + count):
            while True:
                look = table.look()
                try:
                    look.append(writer.land(look, [{"id": number}]), {})
                except CommitConflict:
                    continue
                break


def test_two_processes_that_commit_at_once_lose_nothing(table, rows, tmp_path):
    context = multiprocessing.get_context("spawn")
    children = [
        context.Process(target=append_until_done, args=(tmp_path / "home", tmp_path / f"s{first}", first, 5))
        for first in (0, 100)
    ]
    for child in children:
        child.start()
    for child in children:
        child.join(120)
    assert [child.exitcode for child in children] == [0, 0]
    assert [row["id"] for row in rows(table)] == [*range(5), *range(100, 105)]
    assert len(table.lineage().ancestors) == 10
