"""A table that is dropped, made anew or changed under a batch; new columns, and errors."""

from __future__ import annotations

import re

import pytest

from app.errors import (
    CatalogUnavailable,
    CommitUnknown,
    IngestionBlocked,
    SchemaChangeRefused,
    TableChanged,
    TooManyErrors,
)
from tests.fakes.engine import FakeFile, Killed, RequestLost
from tests.fakes.world import Person, World
from tests.functional.services.scripts import at, doing, file_ids, fill, only_batch


@pytest.fixture
def world(new_world) -> World:
    return new_world()


# --- the table


def test_a_table_that_was_dropped_is_not_made_again_once_rows_of_ours_were_in_it(world):
    fill(world)
    world.run()
    world.table.drop()
    world.deliver("/d/new", FakeFile())
    with pytest.raises(TableChanged, match="was dropped after files had been loaded") as refused:
        world.run()
    assert "--accept-table" in refused.value.hint
    world.removed = set(file_ids(world).values())
    Person(world).accept_table("orders")
    world.run()
    assert world.file("/d/new")["state"] == "SUCCESS"
    assert world.table.content() == {file_ids(world)["/d/new"]: 1}


def test_a_table_dropped_between_two_batches_of_the_first_run_is_not_made_again(world):
    fill(world, 6)
    dropped = doing("tx-done", lambda: None)

    def drop_after_the_first(point: str) -> None:
        dropped(point)
        if point == "look" and world.batches("SETTLED") and world.table.uuid:
            world.table.drop()

    with pytest.raises(TableChanged):
        world.run(drop_after_the_first)
    assert world.counts() == {"SUCCESS": 3, "DISCOVERED": 3}
    assert world.table.uuid is None


def test_a_table_made_anew_is_told_by_both_uuids(world):
    fill(world)
    world.run()
    before = world.table.uuid
    world.table.drop()
    world.table.create(world.table.schema)
    world.deliver("/d/new", FakeFile())
    with pytest.raises(TableChanged, match=f"UUID {world.table.uuid}, before {before}"):
        world.run()


def test_a_table_recreated_under_an_unfinished_batch_is_unknown(world):
    fill(world)
    world.survive(at("publish-committed", Killed()))
    world.table.drop()
    world.table.create(world.table.schema)
    with pytest.raises(IngestionBlocked, match="dropped and made again"):
        world.run()
    world.table.drop()
    [evidence] = Person(world).evidence("orders")
    assert "does not exist" in evidence.table_now
    Person(world).decide("orders", evidence.batch_id, landed=False)
    world.heal()
    world.check_healed()
    assert world.counts() == {"SUCCESS": 3}


def test_a_table_replaced_under_its_first_batch_waits_for_a_person_who_can_decide(world):
    fill(world)
    world.survive(at("publish-committed", Killed()))
    world.table.replace()
    with pytest.raises(IngestionBlocked, match="or the table was replaced"):
        world.run()
    [batch_id] = world.batches("UNKNOWN")
    Person(world).decide("orders", batch_id, landed=False)
    world.heal()
    world.check_healed()
    assert world.counts() == {"SUCCESS": 3}


def test_a_table_that_was_replaced_between_two_runs_is_loaded_with_what_is_new(world):
    fill(world)
    world.run()
    world.removed = set(file_ids(world).values())
    world.table.replace()
    world.deliver("/d/new", FakeFile())
    world.run()
    world.check_healed()
    assert world.table.content() == {file_ids(world)["/d/new"]: 1}


def test_columns_that_change_while_a_batch_is_written_make_it_be_written_again(world):
    fill(world)
    world.run(doing("publish-look", world.table.foreign_column))
    world.check_healed()


def test_files_that_were_never_sent_are_removed_when_they_are_written_again(world):
    fill(world)
    with world.process(doing("publish-look", world.table.foreign_column)) as ctx:
        world.steps(ctx)
        assert len(ctx.engine.discarded) == 1
    world.check_healed()


def test_files_of_a_commit_that_may_still_arrive_are_kept_though_they_are_written_again(world):
    fill(world)
    change = doing("publish-commit", world.table.foreign_column)
    send = at("publish-commit", RequestLost(CommitUnknown("no answer")))

    def script(point: str) -> None:
        change(point)
        send(point)

    with world.process(script) as ctx:
        world.steps(ctx)
        assert ctx.engine.discarded == []
        assert len(ctx.engine.sent) == 2
    world.table.deliver()
    world.check_healed()


@pytest.mark.parametrize("point", ["write-receipt", "publish-look"])
def test_files_are_removed_when_the_catalog_falls_silent_before_the_commit(world, point):
    fill(world)
    with world.process(at(point, CatalogUnavailable("gone"))) as ctx:
        with pytest.raises(CatalogUnavailable):
            world.steps(ctx)
        assert len(ctx.engine.discarded) == 1
    world.heal()
    world.check_healed()


def test_files_are_removed_when_another_attempt_has_landed_before_they_were_sent(world):
    fill(world)
    world.survive(at("publish-commit", RequestLost(Killed())))
    with world.process(doing("publish-look", world.table.deliver)) as ctx:
        world.steps(ctx)
        assert len(ctx.engine.discarded) == 1
    world.check_healed()


def test_a_table_whose_columns_never_hold_still_is_left_for_the_next_run(world):
    fill(world)

    def restless(point: str) -> None:
        if point == "publish-look":
            world.table.foreign_column()

    with pytest.raises(TableChanged, match="changed 5 times"):
        world.run(restless)
    world.heal()
    world.check_healed()


# --- new columns, and errors


def test_new_columns_are_added_in_a_commit_of_their_own_before_data_is_written(world):
    fill(world, 1, column="x bigint")
    points: list[str] = []
    world.run(points.append)
    assert [p for p in points if p in {"write", "columns-added", "publish-commit"}] == [
        "write",
        "columns-added",
        "write",
        "publish-commit",
    ]
    assert world.table.schema.names == ("n", "x")


def configured(new_world, **config: object) -> World:
    return new_world(config=config)


def test_new_columns_are_rescued_where_the_ingestion_says_so(new_world):
    world = configured(new_world, columns={"on_new_columns": "rescue"})
    fill(world, 1, column="x bigint")
    world.run()
    assert world.table.schema.names == ("n",)
    assert world.counts() == {"SUCCESS": 1}


def test_new_columns_are_refused_where_the_ingestion_says_so_and_the_files_wait(new_world):
    world = configured(new_world, columns={"on_new_columns": "fail"})
    fill(world, 2, column="x bigint")
    with pytest.raises(SchemaChangeRefused, match="x bigint") as refused:
        world.run()
    assert re.search(r": autoloader load \S+ \S+\.\S+ --on-new-columns add_columns$", refused.value.hint)
    assert world.counts() == {"DISCOVERED": 2}
    assert {row["attempts"] for row in world.files()} == {0}
    assert only_batch(world)["outcome"] == "released"
    for file in world.source.values():
        file.column = None
    world.heal()
    world.check_healed()


def strict(new_world) -> World:
    return configured(new_world, policies={"on_error": "fail", "max_errors": "3"})


def test_too_many_errors_publish_nothing_and_blame_the_files_that_have_them(new_world):
    world = strict(new_world)
    fill(world, 3)
    world.source["/d/1"].rejected = 4
    with pytest.raises(TooManyErrors, match=r"4 of 13 records .* They are in /d/1"):
        world.run()
    assert world.states() == {"/d/0": "DISCOVERED", "/d/1": "FAILED", "/d/2": "DISCOVERED"}
    assert [row["attempts"] for row in world.files()] == [0, 1, 0]
    assert world.file("/d/1")["reason"] == "too-many-errors"
    assert not world.table.content()
    assert not world.rejects.content()
    world.heal()
    assert world.states() == {"/d/0": "SUCCESS", "/d/1": "QUARANTINED", "/d/2": "SUCCESS"}
    assert "Given up after 3 attempts" in str(world.file("/d/1")["error"])
    world.check_healed()


def test_errors_within_the_threshold_are_rejects(new_world):
    world = strict(new_world)
    fill(world, 3, rejected=1)
    world.run()
    assert world.counts() == {"SUCCESS": 3}
    world.check_healed()


def test_too_many_errors_in_a_batch_that_may_have_been_sent_leave_a_child_that_waits(new_world):
    world = strict(new_world)
    fill(world, 2)
    world.survive(at("publish-commit", RequestLost(Killed())))
    world.source["/d/1"].rejected = 9
    with pytest.raises(TooManyErrors):
        world.run()
    [child] = world.batches("PLANNED")
    [parent] = world.batches("SPENT")
    assert world.batch(child)["parent_id"] == parent
    world.table.deliver()
    world.heal()
    world.check_healed()
    assert world.states() == {"/d/0": "SUCCESS", "/d/1": "QUARANTINED"}


def test_too_many_errors_are_none_when_another_attempt_has_landed_meanwhile(new_world):
    world = strict(new_world)
    fill(world, 2)
    world.survive(at("publish-commit", RequestLost(Killed())))
    world.source["/d/1"].rejected = 9
    summary = world.run(doing("spend-look", world.table.deliver))
    assert summary.metrics["files"]["loaded"] == 2
    assert world.counts() == {"SUCCESS": 2}
