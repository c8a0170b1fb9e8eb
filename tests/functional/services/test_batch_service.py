"""What one batch can meet between claim and settle, each with the ledger and the table afterwards."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from app.errors import (
    CatalogUnavailable,
    CommitUnknown,
    LeaseLost,
    NotFound,
)
from app.services.batch_service import BatchService
from app.services.run_service import RunService
from app.values import BatchState
from tests.fakes.engine import Killed, RequestLost
from tests.fakes.world import World
from tests.functional.services.scripts import at, doing, fill, only_batch


@pytest.fixture
def world(new_world) -> World:
    return new_world()


# --- the plain way


def test_a_batch_lands_once_and_the_ledger_says_what_it_did(world):
    fill(world, rejected=2)
    summary = world.run()

    batch = only_batch(world)
    assert (batch["state"], batch["outcome"], batch["claims"], batch["unanswered"]) == ("SETTLED", "landed", 1, 0)
    assert (batch["row_count"], batch["rejected_count"], batch["loaded_count"]) == (9, 6, 3)
    assert batch["snapshot_id"] == world.table.head
    for row in world.files():
        assert (row["state"], row["row_count"], row["rejected_count"]) == ("SUCCESS", 3, 2)
        assert (row["snapshot_id"], row["attempts"]) == (world.table.head, 1)
    assert world.info().table_uuid == world.table.uuid
    assert summary.metrics["rows"] == 9
    assert summary.metrics["snapshots"] == [world.table.head]
    world.check_healed()


def test_a_snapshot_names_run_ingestion_attempt_and_receipt(world):
    fill(world)
    run_id = world.run().run_id
    summary = world.table.history()[0].summary
    assert summary["autoloader.run-id"] == str(run_id)
    assert summary["autoloader.ingestion-id"] == str(world.ingestion_id)
    assert summary["autoloader.receipt"] in world.table.objects
    assert summary["autoloader.attempt"] in summary["autoloader.receipt"]
    assert summary["autoloader.rows"] == "9"


def test_a_second_run_finds_nothing_to_do_and_commits_nothing(world):
    fill(world)
    world.run()
    head = world.table.head
    assert world.run().metrics["files"]["loaded"] == 0
    assert world.table.head == head


def test_somebody_elses_commit_between_looking_and_committing_only_costs_a_try(world):
    fill(world)
    world.run(doing("publish-commit", world.table.foreign_append))
    world.check_healed()
    assert world.counts() == {"SUCCESS": 3}


def test_a_batch_that_has_ended_is_not_touched_again(world):
    fill(world)
    world.run()
    [batch_id] = world.batches()
    with world.process() as ctx:
        assert BatchService(ctx).process(batch_id).state is BatchState.SETTLED
    assert len(world.table.history()) == 1


def test_a_batch_of_nobody_or_of_another_ingestion_is_not_found(world):
    with world.process() as ctx, pytest.raises(NotFound):
        BatchService(ctx).process(uuid4())


# --- the claim


def test_the_base_of_the_first_claim_stays_whatever_main_is_later(world):
    fill(world)
    world.table.create(world.table.schema)
    world.table.foreign_append()
    base = world.table.head
    world.survive(at("publish-look", Killed()))
    world.table.foreign_append()
    world.survive(at("publish-look", Killed()))
    batch = only_batch(world, "CLAIMED")
    assert (batch["claims"], batch["base_snapshot_id"], UUID(str(batch["table_uuid"]))) == (2, base, world.table.uuid)
    assert {row["attempts"] for row in world.files()} == {1}, "one batch is one attempt"


def test_files_are_processing_in_the_ledger_before_data_is_touched(world):
    fill(world)
    seen = []
    world.run(doing("write", lambda: seen.append(world.counts())))
    assert seen == [{"PROCESSING": 3}]


def test_no_transaction_is_open_while_the_engine_works(world):
    fill(world, rejected=1)
    points: list[str] = []
    world.run(points.append)
    open_now = False
    for point in points:
        if point.startswith("tx"):
            open_now = point == "tx" if point != "tx-end" else open_now
        else:
            assert not open_now, point


# --- answers that were lost


@pytest.mark.parametrize("end", [CommitUnknown("no answer"), Killed()], ids=["unknown", "killed"])
def test_a_commit_that_landed_though_its_answer_was_lost_is_settled_from_its_receipt(world, end):
    fill(world)
    world.source["/d/1"].failing = 9
    world.source["/d/1"].reason = "truncated"
    world.survive(at("publish-commit", RequestLost(end), Killed()))
    world.table.deliver()
    del world.source["/d/1"]  # nothing is read again
    world.run()

    assert world.states() == {"/d/0": "SUCCESS", "/d/1": "QUARANTINED", "/d/2": "SUCCESS"}
    assert world.file("/d/1")["reason"] == "truncated"
    assert len(world.table.history()) == 1


def test_a_commit_that_arrives_while_its_successor_publishes_decides_what_each_file_became(world):
    """The attempt that landed counts, not the one that came later and did better."""
    fill(world, 2)
    world.source["/d/1"].failing = 1
    world.survive(at("publish-commit", RequestLost(Killed())))
    world.run(doing("publish-look", world.table.deliver))
    assert world.file("/d/1")["state"] == "FAILED", "by the receipt of the first attempt"
    assert only_batch(world)["row_count"] == 3
    world.check_always()
    world.heal()
    assert world.counts() == {"SUCCESS": 2}
    world.check_healed()


def test_a_commit_that_arrives_after_the_batch_was_loaded_again_is_refused(world):
    fill(world)
    world.survive(at("publish-commit", RequestLost(Killed())))
    world.run()
    head = world.table.head
    world.table.deliver()
    assert world.table.head == head
    world.check_healed()


def test_an_error_that_is_known_leaves_the_batch_for_the_next_run(world):
    fill(world)
    for error in (CommitUnknown("no answer"), CatalogUnavailable("gone")):
        with pytest.raises(type(error)):
            world.run(at("publish-look", error))
        batch = only_batch(world, "CLAIMED")
        assert batch["unanswered"] == 0
    world.heal()
    world.check_healed()
    assert only_batch(world)["claims"] == 3


# --- files that are not what was listed


def test_a_file_that_is_gone_is_skipped_and_comes_back_when_it_is_listed_again(world):
    fill(world, 2)
    gone = world.source.pop("/d/1")
    world.run()
    row = world.file("/d/1")
    assert (row["state"], row["reason"]) == ("SKIPPED", "missing")
    world.check_healed()
    world.source["/d/1"] = gone
    world.heal()
    assert world.counts() == {"SUCCESS": 2}
    world.check_healed()


def test_a_file_that_changed_after_it_was_listed_is_loaded_in_its_new_version_only(world):
    fill(world, 2)
    world.source["/d/1"].version = "v2"
    world.run()
    assert world.file("/d/1")["reason"] == "changed"
    world.heal()
    assert [(r["version"], r["state"]) for r in world.files() if r["path"] == "/d/1"] == [
        ("v1", "SKIPPED"),
        ("v2", "SUCCESS"),
    ]
    world.check_healed()


# --- the lease


def test_who_lost_the_lease_publishes_nothing_once_it_knows(world):
    fill(world)
    with world.process() as ctx:
        steps = RunService(ctx.database, world.settings, world.clock)
        [batch_id] = steps.plan(ctx).batch_ids
        ctx.lease.lost.set()  # its heartbeat has found another owner
        with pytest.raises(LeaseLost):
            steps.process(ctx, batch_id)
        assert len(ctx.engine.discarded) == 1, "its data files are nobody's"
    assert not world.table.history()


def test_who_lost_the_lease_can_land_the_very_batch_it_had_claimed_but_not_say_so(world):
    fill(world)

    def successor() -> None:
        with world.process():
            pass

    assert isinstance(world.survive(doing("publish-commit", successor)), LeaseLost)
    assert world.counts() == {"PROCESSING": 3}
    assert len(world.table.content()) == 3
    world.heal()
    assert world.counts() == {"SUCCESS": 3}
    world.check_healed()
