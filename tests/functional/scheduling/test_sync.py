"""Prefect follows the database, whatever came between."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from uuid import uuid4

import pytest

from app.config import Settings
from app.errors import DatabaseUnavailable
from app.repositories import ingestions
from app.services.deployment_spec import TAG, ledger_tag
from app.services.prefect_service import PrefectService
from app.services.sync_service import SyncService
from app.values import SyncState
from tests.functional.scheduling.product import IN_SYNC, wanted


def test_what_is_stored_is_what_prefect_is_brought_to(product):
    ingestion_id = product.created()
    row = product.row(ingestion_id)

    assert (product.standing(ingestion_id), product.differences(ingestion_id)) == (IN_SYNC, ())
    assert row.prefect_deployment_id == str(product.prefect.find(ingestion_id).ref.id)
    assert row.prefect_flow_id == str(product.prefect.flow_id())


def test_each_change_is_pending_until_it_is_pushed(product):
    ingestion_id = product.created()
    changes = [
        lambda: product.ingestions.change("orders", wanted("orders", schedule=None, work_queue="high_memory")),
        lambda: product.ingestions.pause("orders", paused=True),
        lambda: product.ingestions.pause("orders", paused=False),
        lambda: product.ingestions.change("orders", wanted("orders", name="renamed")),
    ]
    for change in changes:
        change()
        assert product.standing(ingestion_id) == ("pending", False)
        assert product.differences(ingestion_id) != ()
        product.sync.push(ingestion_id)
        assert (product.standing(ingestion_id), product.differences(ingestion_id)) == (IN_SYNC, ())


def test_a_deleted_ingestion_leaves_nothing_in_prefect_and_may_come_back(product):
    ingestion_id = product.created()
    product.ingestions.delete("orders")
    product.sync.push(ingestion_id)

    row = product.row(ingestion_id)
    assert product.prefect.find(ingestion_id) is None
    assert (product.standing(ingestion_id), row.prefect_deployment_id, row.prefect_flow_id) == (IN_SYNC, None, None)

    assert product.created() == ingestion_id  # it adopts the ledger, and so the id
    assert product.differences(ingestion_id) == ()


def test_while_prefect_is_down_a_change_succeeds_and_says_so(down):
    ingestion_id = down.create()
    outcome = down.sync.push(ingestion_id)

    assert outcome.state is SyncState.PENDING
    assert "does not answer at http://127.0.0.1:9/api" in outcome.reason
    assert down.row(ingestion_id).prefect_sync_error == outcome.reason


def test_what_prefect_refuses_is_an_error_with_its_reason(product, prefect_settings):
    wrong = Settings(prefect_api_url=prefect_settings.prefect_api_url, prefect_api_auth_string="a:b", _env_file=None)
    ingestion_id = product.create()
    with PrefectService(wrong) as service:
        outcome = SyncService(product.database, wrong, service).push(ingestion_id)

    assert outcome.state is SyncState.ERROR
    assert product.row(ingestion_id).prefect_sync == "error"
    assert "PREFECT_API_AUTH_STRING" in product.row(ingestion_id).prefect_sync_error

    product.reconciler.run_pass()
    assert product.standing(ingestion_id) == IN_SYNC


def test_without_a_database_the_caller_still_gets_an_answer(product, monkeypatch):
    ingestion_id = product.create()

    def gone(*arguments):
        raise DatabaseUnavailable("It is gone.")

    monkeypatch.setattr(product.database, "read_scope", gone)

    assert product.sync.push(ingestion_id).state is SyncState.PENDING


def test_pushing_and_changing_at_once_ends_with_the_newest(product):
    """Four threads push while one changes: whoever writes last has read the newest."""
    ingestion_id = product.created()
    stop = threading.Event()

    def push():
        while not stop.is_set():
            product.sync.push(ingestion_id)

    with ThreadPoolExecutor(4) as pool:
        pushers = [pool.submit(push) for _ in range(4)]
        for hour in range(1, 6):
            schedule = {"cron": f"0 {hour} * * 1", "timezone": "UTC"}
            product.ingestions.change("orders", wanted("orders", schedule=schedule))
            product.sync.push(ingestion_id)
        stop.set()
        for one in pushers:
            one.result()

    assert (product.standing(ingestion_id), product.differences(ingestion_id)) == (IN_SYNC, ())


# --- the reconciler ------------------------------------------------------------------------------


def test_created_changed_and_deleted_while_prefect_was_down_is_in_step_after_one_pass(product, down):
    kept, changed, deleted = (product.created(name) for name in ("kept", "changed", "deleted"))
    new = down.create("new")
    down.ingestions.change("changed", wanted("changed", schedule={"interval_seconds": 86400}))
    down.ingestions.delete("deleted")
    for one in (new, changed, deleted):
        down.sync.push(one)
    assert down.reconciler.run_pass().unavailable is not None

    report = product.reconciler.run_pass()

    assert [item.name for item in report.created] == ["new"]
    assert [(item.name, item.fields) for item in report.changed] == [("changed", ("schedules",))]
    assert (report.removed, report.unavailable) == ([str(deleted)], None)
    assert [product.differences(one) for one in (kept, changed, new)] == [()] * 3
    assert (product.prefect.find(deleted), product.standing(deleted)) == (None, IN_SYNC)
    assert product.reconciler.run_pass().quiet


def move(product, ingestion_id):
    """Somebody gives the deployment to another work pool."""
    from prefect.client.schemas.actions import DeploymentUpdate, WorkPoolCreate

    other = f"other-{product.settings.prefect_work_pool}"
    with product.prefect.requests() as client:
        client.create_work_pool(WorkPoolCreate(name=other, type="process"))
        client.update_deployment(product.prefect.find(ingestion_id).ref.id, DeploymentUpdate(work_pool_name=other))


def test_the_deployment_of_a_deleted_ingestion_is_removed_from_another_pool_too(product, down):
    ingestion_id = product.created()
    move(product, ingestion_id)
    down.ingestions.delete("orders")
    assert down.sync.push(ingestion_id).state == "pending"

    product.reconciler.run_pass()

    assert (product.prefect.find(ingestion_id), product.standing(ingestion_id)) == (None, IN_SYNC)
    assert product.reconciler.run_pass().quiet


def test_edited_missing_moved_orphaned_and_foreign_deployments(product):
    edited, missing, moved, orphaned = (product.created(name) for name in ("edited", "missing", "moved", "orphaned"))
    spec = product.prefect.find(edited).spec
    product.prefect.upsert(replace(spec, schedules=(), concurrency_limit=7))
    product.prefect.delete(missing)
    move(product, moved)
    with product.database.session_scope() as session:  # as if the row had never been
        session.delete(ingestions.by_id(session, orphaned))
    product.prefect.upsert(replace(spec, name="nightly-report", tags=("theirs",)))
    neighbour = str(uuid4())  # an ingestion of another ledger, whose worker pool has our pool's name
    product.prefect.upsert(replace(spec, name=neighbour, tags=(TAG, ledger_tag(uuid4()), "orders")))

    report = product.reconciler.run_pass()

    assert {item.name: item.fields for item in report.changed} == {
        "edited": ("schedules", "concurrency_limit"),
        "moved": ("work_pool",),
    }
    assert [item.name for item in report.created] == ["missing"]
    assert report.removed == [str(orphaned)]
    assert {item.name: item.why for item in report.foreign} == {
        "nightly-report": "its name is no ingestion's id",
        neighbour: "it has no tag of this ledger",
    }
    assert [product.differences(one) for one in (edited, missing, moved)] == [()] * 3
    again = product.reconciler.run_pass()
    assert (again.quiet, len(again.foreign)) == (True, 2)


def test_a_configuration_that_cannot_be_read_stops_nobody_else(product):
    broken, fine = product.created("broken"), product.create("fine")
    with product.database.session_scope() as session:
        row = ingestions.by_id(session, broken)
        row.config = {**row.config, "schedule": {"cron": "0 6 * * *", "timezone": "Mars/Olympus"}}

    report = product.reconciler.run_pass()

    assert [(item.name, item.state) for item in report.problems] == [("broken", "error")]
    assert "'Mars/Olympus' is not a time zone" in product.row(broken).prefect_sync_error
    assert product.standing(fine) == IN_SYNC


def test_a_pass_does_only_so_much_and_says_what_is_left(product):
    for number in range(5):
        product.create(f"orders-{number}")

    assert [product.reconciler.run_pass(most=2).left for _ in range(3)] == [3, 1, 0]
    assert product.reconciler.run_pass().quiet


@pytest.mark.crowd
def test_two_hundred_created_at_once_are_all_in_sync_and_looking_again_writes_nothing(product, monkeypatch):
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda number: product.created(f"orders-{number}"), range(200)))
    product.reconciler.run_pass()
    monkeypatch.setattr(product.prefect, "upsert", None)

    report = product.reconciler.run_pass()

    assert (report.quiet, report.deployments) == (True, 200)
    assert {product.standing(one) for one in ids} == {IN_SYNC}


def test_two_reconcilers_at_once_do_what_one_does(product):
    ids = [product.create(f"orders-{number}") for number in range(20)]
    product.sync.push(ids[0])
    product.ingestions.delete("orders-0")
    barrier = threading.Barrier(2)

    def reconcile():
        barrier.wait()
        return product.new_reconciler().run_pass()

    with ThreadPoolExecutor(2) as pool:
        reports = [one.result() for one in [pool.submit(reconcile), pool.submit(reconcile)]]

    assert [(report.problems, report.unavailable) for report in reports] == [([], None)] * 2
    assert {product.standing(one) for one in ids} == {IN_SYNC}
    assert product.prefect.find(ids[0]) is None
    assert product.reconciler.run_pass().quiet
