"""A wish for a run is stored before it is delivered, becomes one run, and is lost by no fault."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from app.errors import NotFound, PrefectUnavailable
from app.services.prefect_service import PrefectService
from app.services.trigger_service import TriggerService
from app.values import Trigger


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
