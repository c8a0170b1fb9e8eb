"""What one batch can meet between claim and settle, each with the ledger and the table afterwards."""

from __future__ import annotations

import re
from uuid import UUID, uuid4

import pytest

from app.errors import (
    CatalogError,
    CatalogRefused,
    CatalogUnavailable,
    CommitUnknown,
    Conflict,
    IngestionBlocked,
    Interrupted,
    LeaseLost,
    NotFound,
    SchemaChangeRefused,
    TableChanged,
    TooManyErrors,
)
from app.services.batch_ledger import BatchLedger
from app.services.batch_service import BatchService
from app.services.run_service import RunService
from app.values import BatchState, LandingKind
from tests.fakes.engine import FakeFile, Killed, RequestLost
from tests.fakes.world import Person, World


@pytest.fixture
def world(new_world) -> World:
    return new_world()


def at(wanted: str, *errors: BaseException, nth: int = 1):
    """A script: at the point `wanted`, from its `nth` time on, the errors come one after the other."""
    left, seen = list(errors), [0]

    def script(point: str) -> None:
        seen[0] += point == wanted
        if point == wanted and seen[0] >= nth and left:
            raise left.pop(0)

    return script


def doing(wanted: str, action):
    """A script: at the first time of the point `wanted`, `action` happens elsewhere."""
    todo = [action]

    def script(point: str) -> None:
        if point == wanted and todo:
            todo.pop()()

    return script


def fill(world: World, count: int = 3, **of_each: object) -> None:
    for number in range(count):
        world.source[f"/d/{number}"] = FakeFile(**of_each)
    world.look_around()


def only_batch(world: World, *states: str) -> dict[str, object]:
    [batch_id] = world.batches(*states)
    return world.batch(batch_id)


def file_ids(world: World) -> dict[str, int]:
    return {str(row["path"]): int(str(row["id"])) for row in world.files()}


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


# --- a parser that dies


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


# --- rejects and receipts


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


# --- what nobody can tell


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
    assert "add_columns" in refused.value.hint
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
    with pytest.raises(TooManyErrors, match=r"4 of 13 records .* the first is /d/1"):
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
