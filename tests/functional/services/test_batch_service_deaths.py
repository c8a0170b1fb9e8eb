"""A batch whose parser or process dies: halved, its id spent where that is needed, its bad file left alone."""

from __future__ import annotations

from uuid import UUID

import pytest

from app.errors import (
    CatalogError,
    CatalogUnavailable,
    Interrupted,
    LeaseLost,
)
from app.services.batch_ledger import BatchLedger
from app.services.run_service import RunService
from app.values import LandingKind
from tests.fakes.engine import Killed, RequestLost
from tests.fakes.world import World
from tests.functional.services.scripts import at, doing, fill, only_batch


@pytest.fixture
def world(new_world) -> World:
    return new_world()


def test_a_file_that_kills_the_parser_ends_alone_in_quarantine_and_its_neighbours_load(new_world):
    world = new_world()
    world.settings = world.settings.model_copy(update={"batch_max_files": 8})
    fill(world, 8)
    world.source["/d/5"].poison = True
    summary = world.run()

    assert world.counts() == {"SUCCESS": 7, "QUARANTINED": 1}
    bad = world.file("/d/5")
    assert (bad["reason"], bad["row_count"]) == ("parser-died", 0)
    assert "died" in str(bad["error"])
    assert {row["attempts"] for row in world.files()} == {1}, "a neighbour's death uses up nobody's attempts"
    assert summary.metrics["files"] == {"loaded": 7, "failed": 0, "quarantined": 1, "skipped": 0}
    assert not any(s.summary.get("autoloader.outcome") for s in world.table.history()), "nothing was sent: no spending"
    world.check_healed()


def test_the_children_of_a_batch_that_was_never_sent_have_its_base(world):
    fill(world, 2)
    world.source["/d/1"].poison = True
    world.table.create(world.table.schema)
    world.table.foreign_append()
    base = world.table.head
    world.run(doing("written", world.table.foreign_append))
    assert {world.batch(one)["base_snapshot_id"] for one in world.batches()} == {base}


def sent_then_poisoned(world: World) -> None:
    fill(world, 2)
    world.survive(at("publish-commit", RequestLost(Killed())))
    world.source["/d/1"].poison = True


def test_a_batch_that_may_have_been_sent_is_split_only_after_its_id_was_spent(world):
    sent_then_poisoned(world)
    world.run()
    parent, *children = (world.batch(one) for one in world.batches())
    spending = next(s for s in world.table.history() if s.summary.get("autoloader.outcome") == "spent")
    assert (parent["state"], parent["outcome"], parent["snapshot_id"]) == ("SPENT", "split", spending.snapshot_id)
    assert {child["base_snapshot_id"] for child in children} == {spending.snapshot_id}
    assert {child["parent_id"] for child in children} == {parent["id"]}

    world.table.deliver()  # the zombie's commit
    world.check_healed()
    assert world.states() == {"/d/0": "SUCCESS", "/d/1": "QUARANTINED"}


def test_a_batch_that_landed_while_it_was_to_be_split_is_settled(world):
    sent_then_poisoned(world)
    world.run(doing("spend-look", world.table.deliver))
    assert world.counts() == {"SUCCESS": 2}
    world.check_healed()


@pytest.mark.parametrize("point", ["spend-committed", "tx"])
def test_whoever_finds_an_id_spent_finishes_the_split(world, point):
    sent_then_poisoned(world)
    killed = at("spend-committed", Killed())
    world.survive(killed)
    parent = only_batch(world)
    assert parent["state"] == "CLAIMED"
    world.source["/d/1"].poison = False
    world.run()
    assert world.batch(UUID(str(parent["id"])))["state"] == "SPENT"
    assert world.counts() == {"SUCCESS": 2}
    world.check_healed()


def test_an_id_that_somebody_else_spent_while_we_wrote_is_split(world):
    fill(world, 2)

    def zombie() -> None:
        with world.process() as ctx:
            batch, _ = BatchLedger(ctx).load(world.batches()[0])
            assert ctx.engine.spend(batch).kind is LandingKind.SPENT

    assert isinstance(world.survive(doing("publish-look", zombie)), LeaseLost)
    world.heal()
    assert world.counts() == {"SUCCESS": 2}
    world.check_healed()


def test_an_id_whose_spending_was_rolled_back_at_once_is_not_taken_for_spent(world):
    sent_then_poisoned(world)
    world.table.foreign_append()  # something to roll back to
    base = world.table.head
    with pytest.raises(CatalogError, match="rolled back"):
        world.run(doing("spend-committed", lambda: world.table.rollback(base)))
    assert only_batch(world)["state"] == "CLAIMED"
    world.table.deliver()
    world.heal()
    world.check_always()


def test_a_batch_whose_processes_die_without_a_word_is_broken_up(world):
    fill(world, 2)
    for _ in range(3):
        world.survive(at("write", Killed()))
    assert only_batch(world)["unanswered"] == 3
    world.run()
    assert world.batches("SPENT")
    assert world.counts() == {"SUCCESS": 2}
    world.check_healed()


def test_a_single_file_gets_more_chances_and_is_then_given_up(world):
    fill(world, 1)
    for deaths in range(6):
        assert world.counts() != {"QUARANTINED": 1}, deaths
        world.survive(at("write", Killed()))
    world.run()
    assert world.states() == {"/d/0": "QUARANTINED"}
    assert "6 processes in a row died" in str(world.file("/d/0")["error"])
    world.check_healed()


def test_an_error_between_deaths_counts_as_a_sign_of_life(world):
    fill(world, 2)
    for error in (Killed(), Killed(), CatalogUnavailable("gone"), Killed(), Killed()):
        world.survive(at("write", error))
    assert only_batch(world)["unanswered"] == 2
    world.run()
    assert not world.batches("SPENT")


@pytest.mark.parametrize(
    "end", [KeyboardInterrupt(), Interrupted("Stopped by Ctrl-C."), RuntimeError("a fault of the program")]
)
def test_a_process_that_could_say_how_it_ended_is_no_death_of_a_parser(world, end):
    fill(world, 2)
    for _ in range(4):
        with pytest.raises(type(end)):
            world.run(at("write", end))
    assert only_batch(world)["unanswered"] == 0


def test_trying_again_in_the_same_run_does_not_make_a_batch_unsent(world):
    """A commit may be on its way though this object knows of none: the step may be repeated within one run."""
    world.settings = world.settings.model_copy(update={"max_attempts": 1})
    fill(world, 2)
    with world.process(at("publish-commit", RequestLost(Killed()))) as ctx:
        steps = RunService(ctx.database, world.settings, world.clock)
        [batch_id] = steps.plan(ctx).batch_ids
        with pytest.raises(Killed):
            steps.process(ctx, batch_id)
        todo = list(steps.process(ctx, batch_id).children)
        world.table.deliver()
        for child in todo:
            steps.process(ctx, child)
    world.check_always()
    assert world.batches("SPENT"), "its id was taken before its files went elsewhere"
