"""What we ask of Prefect, asked of a real server."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from app.config import Settings
from app.errors import InvalidInput, PrefectRefused, PrefectUnavailable
from app.models import Ingestion
from app.services import deployment_spec
from app.services.prefect_service import PrefectService
from app.values import Trigger
from tests.fakes.ledger import NOON, shape
from tests.services.spark.wire import wire

LEDGER = uuid4()
SCHEDULES = {
    "none": None,
    "cron": {"cron": "*/5  * * * *", "timezone": "Europe/Berlin"},
    "interval": {"interval_seconds": 90.5},
    "days": {"interval_seconds": 86400 * 3},
    "rrule": {"rrule": "FREQ=DAILY;BYHOUR=3", "timezone": "Asia/Kolkata"},
    "busy rrule": {"rrule": "FREQ=MINUTELY;INTERVAL=7", "timezone": "America/New_York"},
    "rrule with a beginning": {"rrule": "DTSTART:20260101T000000\nRRULE:FREQ=WEEKLY;BYDAY=MO", "timezone": "UTC"},
}


def ingestion(schedule: object = None, **fields: object) -> Ingestion:
    config = {**shape().model_dump(mode="json"), "schedule": schedule, **fields}
    return Ingestion(
        id=uuid4(), name="orders", table_name="local.demo.orders", config=config, paused=False, created_at=NOON
    )


@pytest.fixture
def made(prefect, prefect_settings):
    """A deployment that is there: its row, its spec, its ids."""
    row = ingestion(SCHEDULES["cron"])
    spec = deployment_spec.wanted(row, prefect_settings, LEDGER)
    return row, spec, prefect.upsert(spec)


@pytest.mark.parametrize("schedule", SCHEDULES.values(), ids=SCHEDULES)
@pytest.mark.parametrize("queue", ["default", "high_memory"])
def test_a_deployment_is_found_as_it_was_made(prefect, prefect_settings, schedule, queue):
    row = ingestion(schedule, work_queue=queue)
    row.paused = queue == "high_memory"
    spec = deployment_spec.wanted(row, prefect_settings, LEDGER)

    ref = prefect.upsert(spec)
    found = prefect.find(row.id)

    assert deployment_spec.differences(spec, found.spec) == ()
    assert (found.ref, prefect.upsert(spec)) == (ref, ref)
    assert [one.ref.id for page in prefect.deployments() for one in page] == [ref.id]


EDITS = {
    "description": {"description": "mine"},
    "tags": {"tags": ("other",)},
    "entrypoint": {"entrypoint": "app.other"},
    "parameters": {"parameters": {"trigger": "manual"}},
    "no schedule": {"schedules": ()},
    "paused": {"paused": True},
    "work_queue": {"work_queue": "autoloader-high-memory"},
    "concurrency_limit": {"concurrency_limit": 5},
    "collision": {"collision": "ENQUEUE"},
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_each_edit_in_prefect_is_seen_and_undone(prefect, made, edit):
    row, spec, ref = made
    prefect.upsert(replace(spec, **edit))

    assert deployment_spec.differences(spec, prefect.find(row.id).spec) == tuple(edit)
    assert prefect.upsert(spec) == ref
    assert deployment_spec.differences(spec, prefect.find(row.id).spec) == ()


def test_a_tag_that_a_person_adds_is_left_alone(prefect, made):
    row, spec, _ = made
    prefect.upsert(replace(spec, tags=(*spec.tags, "team-blue")))

    assert deployment_spec.differences(spec, prefect.find(row.id).spec) == ()


def test_pausing_takes_back_what_was_planned_and_resuming_plans_again(prefect, made, until):
    row, _, _ = made
    until(lambda: len(prefect.planned(row.id)) >= 3)

    prefect.pause(row.id)
    prefect.pause(row.id)
    assert (prefect.planned(row.id), prefect.find(row.id).spec.paused) == ([], True)

    prefect.resume(row.id)
    until(lambda: len(prefect.planned(row.id)) >= 3)


def test_the_runs_that_are_planned_are_the_times_of_the_schedule(prefect, made, until):
    row, _, _ = made
    until(lambda: len(prefect.planned(row.id)) >= 3)

    times = [run.expected_at for run in prefect.planned(row.id, 3)]

    assert all(moment.minute % 5 == 0 and moment.second == 0 for moment in times)
    assert [later - earlier for earlier, later in itertools.pairwise(times)] == [timedelta(minutes=5)] * 2
    assert timedelta(0) <= times[0] - datetime.now(UTC) + timedelta(seconds=30) < timedelta(minutes=6)


def test_deleting_twice_is_deleting_once(prefect, made):
    row, _, _ = made

    assert [prefect.delete(row.id), prefect.delete(row.id), prefect.find(row.id)] == [True, False, None]


def test_the_same_key_is_the_same_run_and_ids_are_all_it_is_given(prefect, made):
    row, _, ref = made

    once = prefect.trigger(ref.id, row.id, Trigger.ARRIVAL, "key-1")
    again = prefect.trigger(ref.id, row.id, Trigger.ARRIVAL, "key-1")
    other = prefect.trigger(ref.id, row.id, Trigger.MANUAL, "key-2")

    assert once == again != other
    run = prefect.flow_run(once)
    assert (run.ingestion_id, run.trigger, run.state) == (row.id, "arrival", "SCHEDULED")


def test_a_run_that_no_worker_has_is_cancelled_at_once_and_stands_in_the_history(prefect, made):
    row, _, ref = made
    run_id = prefect.trigger(ref.id, row.id, Trigger.MANUAL)

    assert [prefect.cancel(run_id), prefect.cancel(run_id)] == ["CANCELLED", "CANCELLED"]
    assert [(run.id, run.state) for run in prefect.history(row.id)] == [(run_id, "CANCELLED")]


def test_a_second_run_at_once_is_cancelled_and_known_as_lost_to_a_collision(prefect, made):
    row, _, ref = made
    first, second = prefect.trigger(ref.id, row.id, Trigger.MANUAL), prefect.trigger(ref.id, row.id, Trigger.ARRIVAL)
    begin(prefect, first)
    begin(prefect, second)
    begun = datetime.now(UTC) - timedelta(minutes=1)

    assert [run.id for page in prefect.active() for run in page if run.ingestion_id == row.id] == [first]
    cancelled = [run for page in prefect.cancelled_since(begun) for run in page if run.ingestion_id == row.id]
    assert [(run.id, run.lost_to_collision, run.trigger) for run in cancelled] == [(second, True, "arrival")]
    assert prefect.active_in([ref.id, uuid4()]) == {ref.id}


def test_a_run_ended_by_force_gives_its_slot_back(prefect, made):
    row, _, ref = made
    run_id = prefect.trigger(ref.id, row.id, Trigger.MANUAL)
    begin(prefect, run_id)
    held = prefect.find(row.id).slots
    assert held.active == 1

    prefect.end_by_force(run_id, "CRASHED", "its worker is gone")

    given_back = prefect.slots(held.name)
    assert (given_back.active, given_back.changed_at > held.changed_at) == (0, True)
    assert (prefect.flow_run(run_id).state, prefect.flow_run(run_id).message) == ("CRASHED", "its worker is gone")


def test_a_leaked_slot_can_be_freed(prefect, made):
    row, _, _ = made
    name = prefect.find(row.id).slots.name
    with prefect.requests() as client:
        from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate

        client.update_global_concurrency_limit(name, GlobalConcurrencyLimitUpdate(active_slots=1))
    assert prefect.slots(name).active == 1

    prefect.free_slots(name)

    assert prefect.slots(name).active == 0


def test_what_is_not_there_is_refused_with_the_next_step(prefect, prefect_settings):
    with pytest.raises(PrefectRefused) as refused:
        prefect.pause(uuid4())
    with pytest.raises(PrefectRefused) as gone:
        prefect.trigger(uuid4(), uuid4(), Trigger.MANUAL)

    assert (refused.value.answer, gone.value.answer) == (404, 404)
    assert refused.value.hint == "Bring it in step: autoloader prefect sync"
    assert prefect.flow_run(uuid4()) is None
    assert prefect.slots("deployment:none") is None


def test_health_says_what_is_missing(prefect, prefect_settings):
    before = prefect.health()
    prefect.ensure_pool()
    prefect.ensure_pool()

    assert (before.pool_type, before.workers_online) == (None, 0)
    assert prefect.health().pool_type == "autoloader"


def test_a_server_that_only_starts_is_waited_for_and_set_up(prefect_settings, until):
    with wire(urlsplit(prefect_settings.prefect_api_url).port) as between:
        between.refuse()
        late = prefect_settings.model_copy(update={"prefect_api_url": f"http://127.0.0.1:{between.port}/api"})
        with PrefectService(late) as service:
            with pytest.raises(PrefectUnavailable):
                service.set_up()
            refused = between.accepted

            def begin() -> None:
                until(lambda: between.accepted > refused)
                between.heal()

            with ThreadPoolExecutor() as other:
                begun = other.submit(begin)
                assert service.set_up(wait_seconds=60).pool_type == "autoloader"
                begun.result()


def test_a_server_that_never_comes_is_given_up_when_the_wait_is_over(prefect_settings):
    away = prefect_settings.model_copy(update={"prefect_api_url": "http://127.0.0.1:9/api"})
    with PrefectService(away) as service, pytest.raises(PrefectUnavailable, match="does not answer"):
        service.set_up(wait_seconds=1.5)


def test_a_wrong_password_is_refused_with_the_setting_to_mend(prefect_settings):
    wrong = Settings(prefect_api_url=prefect_settings.prefect_api_url, prefect_api_auth_string="a:b", _env_file=None)
    with PrefectService(wrong) as service, pytest.raises(PrefectRefused) as refused:
        service.health()

    assert refused.value.hint.startswith("Set PREFECT_API_AUTH_STRING to the server's `user:password`.")


def test_a_configuration_that_cannot_be_read_is_told_by_field(prefect_settings):
    row = ingestion({"cron": "0 6 * * *", "timezone": "Mars/Olympus"})

    with pytest.raises(InvalidInput, match=r"schedule\.timezone: .*'Mars/Olympus' is not a time zone"):
        deployment_spec.wanted(row, prefect_settings, LEDGER)


def begin(prefect: PrefectService, run_id: object) -> None:
    """What a worker does first."""
    from prefect.states import Pending

    with prefect.requests() as client:
        client.set_flow_run_state(run_id, Pending())
