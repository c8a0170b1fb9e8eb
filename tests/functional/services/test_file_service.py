from __future__ import annotations

import pytest
from sqlalchemy import text

from app.config import Settings
from app.errors import IllegalTransition, NotFound
from app.repositories import file_removal
from app.services.file_service import FileService
from app.values import FileState
from tests.fakes.ledger import Pipeline, found, many


@pytest.fixture
def orders(database) -> Pipeline:
    return Pipeline.new(database, "orders")


@pytest.fixture
def service(database, tmp_path) -> FileService:
    return FileService(database, Settings(autoloader_home=tmp_path, batch_max_files=2, _env_file=None))


def set_states(pipeline: Pipeline, state: FileState) -> None:
    with pipeline.database.session_scope() as session:
        query = "UPDATE processed_files SET state = :state, reason = 'denied' WHERE ingestion_id = :id"
        own = pipeline.ingestion_id.hex if pipeline.database.kind == "sqlite" else pipeline.ingestion_id
        session.execute(text(query), {"state": state.value, "id": own})


# --- all of a state


def test_all_files_of_a_state_are_tried_again_however_many_a_batch_may_hold(orders, service):
    orders.record(*many(150))
    set_states(orders, FileState.QUARANTINED)
    moved = service.retry_all("orders", ["QUARANTINED", "SKIPPED"])
    assert (moved.count, len(moved.files)) == (150, 100)
    assert {(view.state, view.reason) for view in moved.files} == {("DISCOVERED", None)}
    assert orders.counts() == {"DISCOVERED": 150}
    assert service.retry_all("orders", ["QUARANTINED"]).count == 0


def test_of_a_state_only_files_that_another_try_can_help_wait_again_and_the_others_are_counted(orders, service):
    empty, gone, _, _, _ = orders.record(
        found("/data/orders/empty"),
        found("/data/orders/gone"),
        found("/data/orders/put-back"),
        found("/data/orders/put-back", "v2"),
        found("/data/orders/denied"),
    )
    set_states(orders, FileState.SKIPPED)
    with orders.database.session_scope() as session:
        for file_id, reason in ((empty, "empty"), (gone, "superseded")):
            query = text("UPDATE processed_files SET reason = :reason WHERE id = :id")
            session.execute(query, {"reason": reason, "id": file_id})

    moved = service.retry_all("orders", ["SKIPPED"])

    assert (moved.count, moved.left) == (3, {"empty": 1, "superseded": 1})
    assert {row["id"] for row in orders.rows() if row["state"] == "SKIPPED"} == {empty, gone}
    assert service.retry([str(empty)]).count == 1, "named, it is tried"


def test_a_skipped_version_beside_a_newer_one_that_is_not_loaded_waits_again(orders, service):
    first, second = orders.record(found("/data/orders/a"), found("/data/orders/a", "v2"))
    set_states(orders, FileState.SKIPPED)
    with orders.database.session_scope() as session:
        session.execute(text("UPDATE processed_files SET state = 'QUARANTINED' WHERE id = :id"), {"id": second})

    moved = service.retry_all("orders", ["SKIPPED"])

    assert ([view.id for view in moved.files], moved.left) == ([first], {})


def test_a_quarantined_version_waits_again_though_a_newer_one_is_known(orders, service):
    orders.record(found("/data/orders/a"), found("/data/orders/a", "v2"))
    set_states(orders, FileState.QUARANTINED)
    assert service.retry_all("orders", ["QUARANTINED"]).count == 2


@pytest.mark.parametrize("state", ["SUCCESS", "PROCESSING", "DISCOVERED"])
def test_a_state_that_no_person_can_end_is_refused(orders, service, state):
    orders.record(*many(1))
    set_states(orders, FileState(state))
    with pytest.raises(IllegalTransition, match=f"Files that are {state} cannot be tried again") as refused:
        service.retry_all("orders", [state])
    assert refused.value.hint == "Give one of FAILED, QUARANTINED, SKIPPED."


# --- whose file


def test_an_id_of_another_ingestion_is_not_a_file_of_this_one(orders, service):
    Pipeline.new(orders.database, "other")
    [file_id] = orders.record(found("/data/orders/a"))
    set_states(orders, FileState.SKIPPED)
    assert [view.id for view in service.show(str(file_id), "orders")] == [file_id]
    assert service.show(str(file_id), "other") == []
    for act in (service.retry, service.skip, service.forget):
        with pytest.raises(NotFound):
            act([str(file_id)], "other")
    assert [row["state"] for row in orders.rows()] == ["SKIPPED"]


def test_another_tenant_sees_and_moves_no_file(orders, service):
    [file_id] = orders.record(found("/data/orders/a"))
    other = FileService(service.database, service.settings, tenant_id="other")
    assert other.listed() == []
    for name in (str(file_id), "/data/orders/a", "a"):
        assert other.show(name) == []
        with pytest.raises(NotFound):
            other.forget([name])
    assert len(service.listed()) == 1


@pytest.mark.parametrize("number", ["9" * 19, "9" * 23, "9" * 5000])
def test_a_number_that_no_file_can_have_is_an_unknown_name(orders, service, number):
    orders.record(*many(1))
    assert service.show(number) == []
    assert service.listed(after=int(number[:4000])) == []


# --- all or none


def test_files_of_two_ingestions_are_all_moved_or_none_is(orders, service):
    other = Pipeline.new(orders.database, "other")
    [skipped] = orders.record(found("/data/orders/a"))
    [loaded] = other.record(found("/data/other/a"))
    set_states(orders, FileState.SKIPPED)
    set_states(other, FileState.SUCCESS)
    with pytest.raises(IllegalTransition):
        service.retry([str(skipped), str(loaded)])
    assert [row["state"] for row in orders.rows()] == ["SKIPPED", "SUCCESS"]


def test_a_file_that_is_named_twice_is_moved_once(orders, service):
    [file_id] = orders.record(found("/data/orders/a"))
    assert service.skip([str(file_id), "/data/orders/a"]).count == 1
    assert orders.events(file_id) == ["SKIPPED"]


def test_a_loaded_file_cannot_be_removed_whoever_asks(orders):
    [file_id] = orders.record(found("/data/orders/a"))
    set_states(orders, FileState.SUCCESS)
    with (
        pytest.raises(IllegalTransition, match="1 of these files are loaded"),
        orders.database.session_scope() as session,
    ):
        file_removal.remove(session, [file_id])
    assert len(orders.rows()) == 1
