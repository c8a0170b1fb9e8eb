"""The same call twice: one effect, one answer."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select, text

from app.models import Trigger
from app.services.idempotency_service import ABANDONED, Claim, IdempotencyService, StoredAnswer
from tests.functional.api.calls import create, problem


def key():
    return {"Idempotency-Key": f"k-{uuid4()}"}


def test_a_call_that_is_repeated_gets_the_first_ones_answer_and_does_nothing(any_api, shape):
    wanted, headers = shape(), key()
    first = any_api.post("/v1/ingestions", wanted, headers=headers)
    again = any_api.post("/v1/ingestions", wanted, headers=headers)

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert (again.headers["location"], again.headers["etag"]) == (first.headers["location"], first.headers["etag"])
    assert (first.headers.get("idempotency-replayed"), again.headers["idempotency-replayed"]) == (None, "true")
    assert len(any_api.get(f"/v1/ingestions?name={wanted['name']}").json()["items"]) == 1


def test_of_many_at_the_same_moment_one_has_an_effect_and_all_have_its_answer(any_api, shape):
    made, headers = create(any_api, shape()), key()
    barrier, answers = threading.Barrier(8), []

    def run():
        barrier.wait(180)
        answers.append(any_api.post(f"/v1/ingestions/{made['id']}/run", headers=headers))

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert [answer.status_code for answer in answers] == [202] * 8
    assert len({answer.json()["id"] for answer in answers}) == 1
    with any_api.database.read_scope() as session:
        chosen = select(func.count()).where(Trigger.ingestion_id == UUID(made["id"]))
        assert session.execute(chosen).scalar() == 1


def test_a_key_that_came_with_another_call_is_refused(any_api, shape):
    headers = key()
    made = any_api.post("/v1/ingestions", shape(), headers=headers).json()
    problem(any_api.post("/v1/ingestions", shape(), headers=headers), 422, "idempotency-key-reused")
    problem(any_api.post(f"/v1/ingestions/{made['id']}/run", headers=headers), 422, "idempotency-key-reused")


def test_a_call_that_was_refused_may_be_mended_under_the_same_key(any_api, shape):
    wanted, headers = shape(), key()
    problem(any_api.post("/v1/ingestions", wanted | {"colour": 1}, headers=headers), 422, "invalid-input")
    assert any_api.post("/v1/ingestions", wanted, headers=headers).status_code == 201


@pytest.mark.parametrize("given", ["x" * 256, "with space", "ümlaut".encode()])
def test_a_key_that_cannot_be_one_is_refused(api, shape, given):
    problem(api.post("/v1/ingestions", shape(), headers={"Idempotency-Key": given}), 422, "invalid-input")


# --- the service under it


class Clock:
    def __init__(self):
        self.time = datetime(2026, 3, 1, tzinfo=UTC)

    def now(self):
        return self.time


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def service(any_api, clock):
    with any_api.database.session_scope() as session:
        session.execute(text("DELETE FROM idempotency_keys"))
    return IdempotencyService(any_api.database, any_api.settings, clock)


def test_while_one_makes_the_call_the_others_wait(service):
    claim = service.begin("k", "f")
    assert isinstance(claim, Claim)
    assert service.begin("k", "f") is None
    service.end(claim, 201, {"etag": "x"}, "{}")
    assert service.begin("k", "f") == StoredAnswer(201, {"etag": "x"}, "{}")


def test_a_call_whose_process_died_may_be_made_again_after_a_while(service, clock):
    dead = service.begin("k", "f")
    clock.time += ABANDONED
    assert service.begin("k", "f") is None
    clock.time += timedelta(seconds=1)
    heir = service.begin("k", "f")
    assert isinstance(heir, Claim)

    service.end(dead, 500, {}, "late")  # was not dead after all: it changes nothing
    service.give_up(dead)
    assert service.begin("k", "f") is None
    service.end(heir, 202, {}, "done")
    assert service.begin("k", "f") == StoredAnswer(202, {}, "done")


def test_answers_are_kept_for_as_long_as_the_setting_says(service, clock, any_api):
    service.end(service.begin("k", "f"), 201, {}, "old")
    clock.time += timedelta(seconds=any_api.settings.idempotency_keep_seconds)
    assert isinstance(service.begin("k", "f"), StoredAnswer)
    clock.time += timedelta(seconds=1)
    assert isinstance(service.begin("k", "other"), Claim)
    with any_api.database.session_scope() as session:
        assert session.execute(text("SELECT count(*) FROM idempotency_keys")).scalar() == 1


def test_another_tenants_key_is_another_key(service, any_api, clock):
    service.end(service.begin("k", "f"), 201, {}, "mine")
    other = IdempotencyService(any_api.database, any_api.settings, clock, tenant_id="other")
    assert isinstance(other.begin("k", "g"), Claim)
