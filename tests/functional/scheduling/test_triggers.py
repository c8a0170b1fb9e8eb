"""A wish for a run is stored before it is delivered, becomes one run, and is lost by no fault."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from types import SimpleNamespace
from uuid import uuid4

import pytest
from sqlalchemy import update

from app.errors import NotFound, PrefectUnavailable
from app.models import Trigger as TriggerRow
from app.repositories import leases, runs, triggers
from app.services import lease_service, run_records
from app.services.prefect_service import PrefectService
from app.services.run_view_service import RunViewService
from app.services.trigger_service import TriggerService
from app.values import RunState, Trigger


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


@pytest.fixture
def ingestion_id(product):
    return product.created()


def test_a_wish_becomes_a_run_with_its_word(product, ingestion_id):
    trigger_id = product.triggers.request(ingestion_id, Trigger.MANUAL, {"by": "a test"})
    assert product.flow_runs(ingestion_id) == []

    flow_run_id = product.triggers.deliver(trigger_id)

    (stored,) = product.stored(ingestion_id)
    assert (stored.flow_run_id, stored.error, stored.attempts) == (str(flow_run_id), None, 1)
    assert stored.delivered_at is not None
    assert product.flow_runs(ingestion_id) == [("SCHEDULED", "manual")]
    assert product.triggers.deliver(trigger_id) is None


def test_ten_deliverers_make_one_run_of_each_wish(product, ingestion_id):
    for _ in range(5):
        product.triggers.request(ingestion_id, Trigger.MANUAL, {})
    barrier = threading.Barrier(10)

    def deliver():
        barrier.wait()
        return TriggerService(product.database, product.settings, product.prefect).deliver_due().delivered

    with ThreadPoolExecutor(10) as pool:
        delivered = sum(one.result() for one in [pool.submit(deliver) for _ in range(10)])

    assert delivered == 5
    assert product.flow_runs(ingestion_id) == [("SCHEDULED", "manual")] * 5


def test_a_deliverer_that_died_after_starting_the_run_starts_no_second_one(product, ingestion_id, monkeypatch):
    product.triggers.request(ingestion_id, Trigger.ARRIVAL, {})

    class Died(BaseException):
        pass

    def die(*arguments):
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(product.triggers, "_done", die)
        with pytest.raises(Died):
            product.triggers.deliver_due()
    assert product.triggers.deliver_due().delivered == 0  # it may live

    product.clock.ahead += seconds(61)

    assert product.triggers.deliver_due().delivered == 1
    assert product.flow_runs(ingestion_id) == [("SCHEDULED", "arrival")]


def test_while_prefect_is_down_wishes_wait_longer_and_longer_and_are_delivered_afterwards(product, down, ingestion_id):
    for kind in (Trigger.MANUAL, Trigger.ARRIVAL, Trigger.MANUAL):
        product.triggers.request(ingestion_id, kind, {})

    first = down.triggers.deliver_due()
    assert (first.delivered, first.waiting) == (0, 3)
    assert "does not answer" in first.error
    assert down.triggers.deliver_due().waiting == 0  # not yet again

    pauses = []
    for _ in range(3):
        down.clock.ahead += seconds(1000)
        down.triggers.deliver_due()
        pauses.append((product.stored(ingestion_id)[0].due_at - down.clock.now()).total_seconds())
    assert [round(pause) for pause in pauses] == [4, 8, 16]

    product.clock.ahead = down.clock.ahead + seconds(1000)
    assert product.triggers.deliver_due().delivered == 3
    assert sorted(product.flow_runs(ingestion_id)) == [
        ("SCHEDULED", "arrival"),
        ("SCHEDULED", "manual"),
        ("SCHEDULED", "manual"),
    ]


def test_events_wait_for_a_quiet_moment_but_not_for_ever(product, ingestion_id):
    first = product.triggers.request(ingestion_id, Trigger.ARRIVAL, {"objects": ["a"]}, quiet_seconds=5)
    begun = product.stored(ingestion_id)[0].created_at
    for number in range(20):
        product.clock.ahead += seconds(4)
        assert product.triggers.deliver_due().delivered == 0
        joined = product.triggers.request(ingestion_id, Trigger.ARRIVAL, {"objects": [str(number)]}, quiet_seconds=5)
        assert joined == first
        if product.clock.ahead > seconds(40):
            break
    (stored,) = product.stored(ingestion_id)

    assert stored.due_at <= begun + seconds(50)
    assert (stored.payload["events"], stored.payload["objects"][:3]) == (12, ["a", "0", "1"])
    product.clock.ahead += seconds(10)
    assert product.triggers.deliver_due().delivered == 1


def test_an_event_that_comes_while_its_forerunner_is_delivered_gets_a_run_of_its_own(product, down, ingestion_id):
    tried = down.triggers.request(ingestion_id, Trigger.ARRIVAL, {})
    down.triggers.deliver_due()  # nobody knows whether Prefect got it

    other = product.triggers.request(ingestion_id, Trigger.ARRIVAL, {})

    assert other != tried
    product.clock.ahead += seconds(10)
    assert product.triggers.deliver_due().delivered == 1  # the newer one, and the older with it
    assert [one.error for one in product.stored(ingestion_id)] == [f"Superseded by {other}.", None]
    assert len(product.flow_runs(ingestion_id)) == 1


def test_twenty_events_at_once_are_one_wish(product, ingestion_id):
    with ThreadPoolExecutor(10) as pool:
        asked = [
            pool.submit(product.triggers.request, ingestion_id, Trigger.ARRIVAL, {}, quiet_seconds=5) for _ in range(20)
        ]
        assert len({one.result() for one in asked}) == 1
    assert product.stored(ingestion_id)[0].payload["events"] == 20


def test_a_wish_makes_the_deployment_that_prefect_lost(product, ingestion_id):
    product.prefect.delete(ingestion_id)

    assert product.triggers.deliver(product.triggers.request(ingestion_id, Trigger.MANUAL, {})) is not None
    assert product.differences(ingestion_id) == ()


def test_a_wish_for_an_ingestion_that_was_paused_or_deleted_since_becomes_none_and_says_why(product):
    paused, deleted = product.created("paused"), product.created("deleted")
    for one in (paused, deleted):
        product.triggers.request(one, Trigger.MANUAL, {})
    product.ingestions.pause("paused", paused=True)
    product.ingestions.delete("deleted")

    assert product.triggers.deliver_due().dropped == 2
    assert [product.stored(one)[0].error for one in (paused, deleted)] == [
        "The ingestion was paused.",
        "The ingestion was deleted.",
    ]
    with pytest.raises(NotFound):
        product.triggers.request(deleted, Trigger.MANUAL, {})


def test_a_lost_answer_is_asked_for_again_and_is_the_same_run(product, ingestion_id, monkeypatch):
    trigger_id = product.triggers.request(ingestion_id, Trigger.MANUAL, {})
    started = PrefectService.trigger

    def lose(self, *arguments):
        started(self, *arguments)
        raise PrefectUnavailable("The answer was lost.")

    with monkeypatch.context() as patch:
        patch.setattr(PrefectService, "trigger", lose)
        assert product.triggers.deliver(trigger_id) is None
    product.clock.ahead += seconds(10)

    assert product.triggers.deliver(trigger_id) is not None
    assert len(product.flow_runs(ingestion_id)) == 1


# --- the run that it became --------------------------------------------------------------------------


def begun(product, ingestion_id, flow_run_id, state=RunState.RUNNING):
    """The run of a flow run, as its first task stores it."""
    with product.database.session_scope() as session:
        shape = product.row(ingestion_id)
        info = SimpleNamespace(id=ingestion_id, tenant_id=shape.tenant_id)
        start = run_records.Start(uuid4(), info, Trigger.MANUAL, str(flow_run_id), product.clock.now())
        run_id = run_records.begin(session, start, 1)
        runs.by_id(session, run_id).state = state.value
    return run_id


def test_a_wish_and_its_run_know_each_other(product, ingestion_id):
    product.triggers.request(ingestion_id, Trigger.ARRIVAL, {"objects": ["a"]})
    product.clock.ahead += seconds(1)
    with product.database.session_scope() as session:  # tried before: the next one does not join it
        session.execute(update(TriggerRow).values(attempts=1))
    later = product.triggers.request(ingestion_id, Trigger.ARRIVAL, {"objects": ["b"]})
    product.triggers.deliver_due()
    superseded, delivered = product.stored(ingestion_id)
    assert (superseded.run_id, delivered.run_id) == (None, None)

    run_id = begun(product, ingestion_id, delivered.flow_run_id)

    assert [one.run_id for one in product.stored(ingestion_id)] == [run_id, run_id]
    assert RunViewService(product.database).show(str(run_id)).trigger_id == later


def test_a_wish_whose_run_begins_before_it_is_marked_as_delivered_knows_it_too(product, ingestion_id, monkeypatch):
    trigger = product.prefect.trigger
    begins = []

    def at_once(*given):
        flow_run_id = trigger(*given)
        begins.append(begun(product, ingestion_id, flow_run_id))
        return flow_run_id

    monkeypatch.setattr(product.prefect, "trigger", at_once)
    product.triggers.request(ingestion_id, Trigger.MANUAL, {})
    product.triggers.deliver_due()

    assert [one.run_id for one in product.stored(ingestion_id)] == begins


# --- forgotten ---------------------------------------------------------------------------------------


def test_wishes_that_are_done_with_are_forgotten_when_their_time_is_over_and_no_others(product, down, ingestion_id):
    ended, goes_on = (product.triggers.request(ingestion_id, Trigger.MANUAL, {}) for _ in range(2))
    for wish, became in ((ended, RunState.SUCCESS), (goes_on, RunState.RUNNING)):
        begun(product, ingestion_id, product.triggers.deliver(wish), became)
    waits = product.triggers.request(ingestion_id, Trigger.MANUAL, {})
    reconciler = down.new_reconciler()  # it needs no Prefect for this

    with product.database.session_scope() as session:  # it is alive: this process has its lease
        leases.create(session, ingestion_id)
        here = lease_service._this_process()
        leases.take(session, leases.read(session, ingestion_id), here, uuid4(), 600.0)

    down.clock.ahead += seconds(product.settings.trigger_keep_seconds - 600)
    reconciler.run_pass()
    assert {one.id for one in product.stored(ingestion_id)} >= {ended, goes_on, waits}

    down.clock.ahead += seconds(1200)
    barrier = threading.Barrier(2)

    def forget():
        barrier.wait()
        down.new_reconciler().run_pass()

    with ThreadPoolExecutor(2) as pool:
        for one in [pool.submit(forget) for _ in range(2)]:
            one.result()
    kept = {one.id for one in product.stored(ingestion_id)}
    assert ended not in kept
    assert kept >= {goes_on, waits}


def test_a_pass_forgets_the_oldest_first_and_no_more_than_it_may(product, ingestion_id):
    wishes = [product.triggers.request(ingestion_id, Trigger.MANUAL, {}) for _ in range(5)]
    with product.database.session_scope() as session:
        for number, wish in enumerate(wishes):
            triggers.delivered(session, wish, None, product.clock.now() - seconds(100 - number), "a test")

        assert triggers.prune(session, product.clock.now() - seconds(97.5), 2) == 2
        assert triggers.prune(session, product.clock.now() - seconds(97.5), 2) == 1
    assert [one.id for one in product.stored(ingestion_id)] == wishes[3:]
