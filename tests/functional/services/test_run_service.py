"""What a run does around its batches."""

from __future__ import annotations

import pytest
from pyiceberg.types import StringType

from app.datatypes import parse_schema
from app.models import Run
from tests.fakes.engine import FakeFile


@pytest.fixture
def warnings(monkeypatch) -> list[str]:
    """What the steps of a run warn of in the log."""
    told: list[str] = []
    monkeypatch.setattr(
        "app.services.plan_service.log.warning", lambda event, **values: told.append(f"{event} {values}")
    )
    return told


def test_a_run_that_finds_nothing_for_a_table_that_is_yet_to_be_made_warns_of_nothing(loader, warnings):
    loader.put("_hidden.jsonl", '{"id": 1}\n')
    summary = loader.load("shop.orders", format={"type": "jsonl"})
    assert summary.state == "SUCCESS"
    assert (warnings, loader.notes) == ([], [])


def row(number: int) -> str:
    return f'{{"id": {number}, "name": "n{number}"}}\n'


PLAIN = {"format": {"type": "jsonl"}, "columns": {"columns": "id bigint, name string"}}
SHORT = {"history.expire.max-snapshot-age-ms": "3600000"}


def test_a_table_that_forgets_sooner_than_a_load_can_last_is_told_at_each_run_that_loads(loader, warnings):
    given = {"destination": {"properties": SHORT}, **PLAIN}
    for number in range(2):  # it is made by the first run, and found by the second
        loader.put(f"{number}.jsonl", row(number))
        assert loader.load("shop.orders", **given).state == "SUCCESS"
        [note] = loader.notes
        assert "lets maintenance remove snapshots older than 1:00:00" in note
        [warned] = warnings
        assert note in warned
        warnings.clear()
    loader.load("shop.orders", **given)
    assert (loader.notes, warnings) == ([], []), "nothing was loaded"


def test_what_a_table_that_was_there_ignores_is_told_once_by_name(loader, warnings):
    with loader.catalog() as catalog:
        made = parse_schema("id bigint, name string")
        catalog.create("shop.orders", made, ["bucket(4, id)"], {"owner": "us", "same": "yes"})
    asked = {
        **PLAIN,
        "destination": {"partition_by": ["name", "truncate(2, name)"], "properties": {"owner": "me", "same": "yes"}},
    }
    loader.put("0.jsonl", row(0))
    loader.load("shop.orders", **asked)
    [note] = loader.notes
    assert note == (
        "Table local.shop.orders was there already. Without effect: partition_by name, truncate(2, name)"
        " (the table has bucket(4, id)); properties owner."
    )
    loader.put("1.jsonl", row(1))
    loader.load("shop.orders", **asked)
    assert (loader.notes, warnings) == ([], [])


@pytest.mark.parametrize("there", [True, False])
def test_a_table_that_is_as_it_was_asked_for_is_nothing_to_tell(loader, there):
    if there:
        with loader.catalog() as catalog:
            catalog.create("shop.orders", parse_schema("id bigint, name string"), ["bucket(4, id)"], {"owner": "us"})
    loader.put("0.jsonl", row(0))
    loader.load(
        "shop.orders",
        **PLAIN,
        destination={"partition_by": [" bucket( 4 ,id)"], "properties": {"owner": "us"}},
    )
    assert loader.notes == []


def test_a_run_that_finds_nothing_new_asks_the_catalog_nothing(loader):
    loader.put("0.jsonl", row(0))
    loader.load("shop.orders", **PLAIN)
    catalog = loader.settings.home / "catalog.db"
    catalog.rename(catalog.with_name("elsewhere.db"))
    summary = loader.load("shop.orders", **PLAIN)
    assert (summary.state, summary.metrics["discovered"]["known"]) == ("SUCCESS", 1)
    assert not catalog.exists()


def test_a_run_that_finds_nothing_new_expires_what_came_of_age_and_no_later_one_looks_again(new_world):
    world = new_world()
    for number in range(3):
        world.deliver(f"/d/{number}", FakeFile())
        world.run()
    before = len(world.table.history())
    world.run()
    assert len(world.table.history()) == before, "all of it is young"
    world.clock.seconds += world.settings.snapshot_retention_seconds + 1
    world.run()
    assert len(world.table.history()) == 1
    looked: list[str] = []
    world.run(looked.append)
    assert "expire" not in looked


def test_a_run_of_which_each_record_was_rejected_is_partial_and_names_the_column_and_the_next_step(loader):
    loader.put("0.jsonl", row(0))
    assert loader.load("shop.orders", **PLAIN).state == "SUCCESS"
    with loader.catalog() as catalog:
        loaded = catalog.table("shop.orders").look().loaded
        with loaded.update_schema(allow_incompatible_changes=True) as change:
            change.add_column("region", StringType(), required=True)
    path = loader.put("1.jsonl", row(1) + row(2))
    ended = loader.load("shop.orders", **PLAIN)

    assert (ended.state, ended.metrics["rows"], ended.metrics["rejected"]) == ("PARTIAL", 0, 2)
    with loader.database.read_scope() as session:
        kept = session.get(Run, ended.run_id)
    assert kept.error_code == "all-rejected"
    assert (
        f"All 2 records of this run's files were rejected, as in {path} (line 1: null-in-required: region" in kept.error
    )
    assert "ALTER TABLE local.shop.orders ALTER COLUMN region DROP NOT NULL" in kept.error
    assert "autoloader table head shop.orders__rejects" in kept.error
    assert loader.notes[-1] == kept.error
    assert loader.load("shop.orders", **PLAIN).state == "SUCCESS", "nothing is new, and nothing is rejected again"


@pytest.mark.parametrize("files", [{"1.jsonl": "no json\n", "2.jsonl": row(1)}, {"1.jsonl": "no json\n" + row(1)}])
def test_a_run_that_loads_a_record_beside_those_that_are_rejected_is_a_success(loader, files):
    for name, data in files.items():
        loader.put(name, data)

    assert loader.load("shop.orders", **PLAIN).state == "SUCCESS"


def test_files_without_records_reject_none_and_are_a_success(loader):
    loader.put("0.jsonl", "\n")

    assert loader.load("shop.orders", **PLAIN).state == "SUCCESS"
