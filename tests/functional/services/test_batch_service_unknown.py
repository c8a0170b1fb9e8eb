"""What nobody can tell of a batch, and the person who decides."""

from __future__ import annotations

from uuid import UUID

import pytest

from app.errors import (
    CatalogUnavailable,
    Conflict,
    IngestionBlocked,
)
from app.services.batch_service import BatchService
from app.services.run_service import RunService
from tests.fakes.engine import FakeFile, Killed, RequestLost
from tests.fakes.world import Person, World
from tests.functional.services.scripts import at, doing, fill, only_batch


@pytest.fixture
def world(new_world) -> World:
    return new_world()


def landed_then_forgotten(world: World) -> UUID:
    """The commit landed, its answer was lost, and foreign maintenance removed the snapshot and its base."""
    world.table.create(world.table.schema)
    world.table.foreign_append()
    fill(world)
    world.survive(at("publish-committed", Killed()))
    world.table.foreign_append()
    world.table.forget([s.snapshot_id for s in world.table.history()[1:]])
    [batch_id] = world.batches()
    return batch_id


def test_what_nobody_can_tell_blocks_the_ingestion_with_the_evidence(world):
    batch_id = landed_then_forgotten(world)
    with pytest.raises(IngestionBlocked, match="snapshots were expired") as blocked:
        world.run()
    assert f"autoloader ingestions resolve {world.info().name}" in blocked.value.hint
    assert "snapshots were expired" in str(world.batch(batch_id)["error"])
    head = world.table.head
    world.deliver("/d/new", FakeFile())
    with pytest.raises(IngestionBlocked, match=str(batch_id)):
        world.run()
    with world.process() as ctx, pytest.raises(IngestionBlocked):
        BatchService(ctx).process(batch_id)
    assert world.table.head == head, "nothing is written while a person has not decided"


def test_a_person_says_that_it_landed(world):
    batch_id = landed_then_forgotten(world)
    world.survive(lambda point: None)
    [evidence] = Person(world).evidence("orders")
    assert (evidence.batch_id, evidence.file_count) == (batch_id, 3)
    assert "snapshots were expired" in evidence.found
    Person(world).decide("orders", batch_id, landed=True)
    assert {(row["state"], row["reason"]) for row in world.files()} == {("SUCCESS", "by-hand")}
    with pytest.raises(Conflict, match="SETTLED, not UNKNOWN"):
        Person(world).decide("orders", batch_id, landed=True)
    world.heal()
    assert max(world.table.content().values()) == 1


def test_a_person_says_that_it_did_not_land_and_it_is_loaded_by_a_child(world):
    world.table.create(world.table.schema)
    world.table.foreign_append()
    fill(world)
    world.survive(at("publish-commit", RequestLost(Killed())))
    world.table.foreign_append()
    world.table.forget([s.snapshot_id for s in world.table.history()[1:]])
    world.survive(lambda point: None)
    [batch_id] = world.batches("UNKNOWN")
    Person(world).decide("orders", batch_id, landed=False)
    assert world.batch(batch_id)["state"] == "SPENT"
    world.table.deliver()
    world.heal()
    world.table.deliver() if world.table.in_flight else None
    world.check_healed()
    assert world.counts() == {"SUCCESS": 3}


def test_a_person_cannot_spend_an_id_that_lands_at_that_moment(world):
    world.table.create(world.table.schema)
    world.table.foreign_append()
    fill(world)
    world.picks = True
    world.survive(at("publish-commit", RequestLost(Killed())))
    world.table.foreign_append()
    world.table.forget([s.snapshot_id for s in world.table.history()[1:]])
    world.survive(lambda point: None)
    [batch_id] = world.batches("UNKNOWN")

    class Slow(Person):
        def _run(self, name):
            return self.world.process(doing("spend-look", self.world.table.deliver))

    with pytest.raises(Conflict, match="is in the table"):
        Slow(world).decide("orders", batch_id, landed=False)
    Person(world).decide("orders", batch_id, landed=True)
    world.heal()
    world.check_healed()
    assert world.counts() == {"SUCCESS": 3}


def test_a_batch_seen_on_the_table_and_then_rolled_back_waits_for_a_person(world):
    world.table.create(world.table.schema)
    world.table.foreign_append()
    fill(world, rejected=1)
    world.survive(at("rejects-look", Killed()))
    assert only_batch(world)["state"] == "LANDED"
    world.table.rollback(1)
    with pytest.raises(IngestionBlocked, match="It had landed, but main does not show it any more"):
        world.run()
    [batch_id] = world.batches("UNKNOWN")
    Person(world).decide("orders", batch_id, landed=False)
    world.heal()
    world.check_healed()
    assert world.counts() == {"SUCCESS": 3}


def test_history_that_an_unfinished_batch_needs_is_not_expired_by_us(world):
    """Our own upkeep must never be the reason why nobody can tell."""
    world.table.create(world.table.schema)
    for _ in range(10):
        world.table.foreign_append()
    fill(world)
    world.survive(at("publish-committed", Killed()))
    world.clock.seconds += 1000
    for _ in range(3):
        world.survive(at("look", CatalogUnavailable("gone")))
        with world.process() as ctx:
            RunService(ctx.database, world.settings, world.clock).finish(ctx)
        world.table.foreign_append()
    world.heal()
    world.check_healed()
    assert world.counts() == {"SUCCESS": 3}
    world.run()
    assert len(world.table.history()) < 10, "what is old and needed by nobody goes"
