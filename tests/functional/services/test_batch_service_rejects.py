"""Rejects and receipts of a batch, and what is missing of them."""

from __future__ import annotations

import re
from uuid import UUID

import pytest

from app.errors import (
    CatalogError,
    CatalogRefused,
    CatalogUnavailable,
    Conflict,
    IngestionBlocked,
)
from tests.fakes.engine import Killed, RequestLost
from tests.fakes.world import Person, World
from tests.functional.services.scripts import at, file_ids, fill, only_batch


@pytest.fixture
def world(new_world) -> World:
    return new_world()


@pytest.mark.parametrize("point", ["rejects-look", "rejects-commit", "rejects-committed", "tx-done"])
def test_rejects_are_published_once_though_the_process_dies_around_it(world, point):
    fill(world, rejected=2)
    world.survive(at(point, Killed()))
    world.heal()
    world.check_healed()
    assert set(world.rejects.content().values()) == {2}
    assert len(world.rejects.history()) == 1


def test_a_batch_that_was_spent_publishes_no_rejects(world):
    fill(world, 2, rejected=2)
    world.survive(at("publish-commit", RequestLost(Killed())))
    world.source["/d/0"].poison = world.source["/d/1"].poison = True
    world.run()
    assert world.counts() == {"QUARANTINED": 2}
    assert not world.rejects.content()


@pytest.mark.parametrize("lost", ["autoloader/", "rejects/"])
def test_a_batch_that_landed_but_whose_receipt_or_rejects_are_gone_waits_for_a_person(world, lost):
    fill(world, rejected=1)
    world.survive(at("publish-committed", Killed()))
    for path in [one for one in world.table.objects if one.startswith(lost)]:
        del world.table.objects[path]
    with pytest.raises(IngestionBlocked, match=r"It landed as snapshot 1, but .* is gone"):
        world.run()
    assert only_batch(world)["state"] == "UNKNOWN"

    [batch_id] = world.batches("UNKNOWN")
    with pytest.raises(Conflict, match="is in the table"):
        Person(world).decide("orders", batch_id, landed=False)
    Person(world).decide("orders", batch_id, landed=True)
    assert world.counts() == {"SUCCESS": 3}
    assert only_batch(world)["snapshot_id"] == 1
    assert only_batch(world)["row_count"] == (9 if lost == "rejects/" else 0), (
        "the receipt tells as long as it is there"
    )
    assert sum(world.rejects.content().values()) == (0 if lost == "rejects/" else 3)
    world.run()


@pytest.mark.parametrize("point", ["read-receipt", "rejects-look", "rejects-commit"])
@pytest.mark.parametrize("error", [CatalogRefused("The token has expired."), CatalogError("A library is missing.")])
def test_what_can_be_mended_between_data_and_rejects_blocks_nothing_and_loses_nothing(world, point, error):
    fill(world, rejected=2)
    world.survive(at("publish-committed", Killed()))
    with pytest.raises(type(error), match=re.escape(error.message)):
        world.run(at(point, error))
    assert only_batch(world)["state"] == "LANDED"
    world.heal()
    world.check_healed()
    assert only_batch(world)["row_count"] == 9
    assert set(world.rejects.content().values()) == {2}


def test_a_person_who_decides_while_the_catalog_refuses_us_is_told_and_decides_again(world):
    batch_id = blocked_and_then_landed(world)

    class Refused(Person):
        def _run(self, name):
            return self.world.process(at("rejects-look", CatalogRefused("The token has expired.")))

    with pytest.raises(CatalogRefused):
        Refused(world).decide("orders", batch_id, landed=True)
    assert only_batch(world)["state"] == "UNKNOWN"
    Person(world).decide("orders", batch_id, landed=True)
    assert only_batch(world)["row_count"] == 9
    assert set(world.rejects.content().values()) == {2}


def blocked_and_then_landed(world: World) -> UUID:
    """Its history was expired by others while its commit was on the way, which then arrived."""
    world.table.create(world.table.schema)
    world.table.foreign_append()
    fill(world, rejected=2)
    world.picks = True
    world.survive(at("publish-commit", RequestLost(Killed())))
    world.table.foreign_append()
    world.table.forget([s.snapshot_id for s in world.table.history()[1:]])
    world.survive(lambda point: None)
    world.table.deliver()
    [batch_id] = world.batches("UNKNOWN")
    return batch_id


def test_a_receipt_that_cannot_be_read_at_the_moment_blocks_nothing(world):
    fill(world)
    world.survive(at("publish-committed", Killed()))
    with pytest.raises(CatalogUnavailable):
        world.run(at("read-receipt", CatalogUnavailable("gone")))
    assert only_batch(world)["state"] == "LANDED"
    world.heal()
    world.check_healed()


def test_a_receipt_that_names_other_files_than_the_ledger_is_not_believed(world):
    fill(world)
    world.survive(at("publish-committed", Killed()))
    [path] = world.table.objects
    first = str(min(file_ids(world).values()))
    world.table.objects[path] = world.table.objects[path].replace(first, "1")
    with pytest.raises(IngestionBlocked, match="they differ"):
        world.run()
    assert world.counts() == {"PROCESSING": 3}
    [batch_id] = world.batches("UNKNOWN")
    Person(world).decide("orders", batch_id, landed=True)
    assert {(row["state"], row["reason"]) for row in world.files()} == {("SUCCESS", "by-hand")}
