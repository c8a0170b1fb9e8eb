"""The hook: who may call it, and what a message becomes."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest

from app.models import Trigger
from tests.functional.api.calls import create, problem
from tests.functional.api.conftest import serving, settings_of

KEY = "correct-horse-battery-staple"
NEW = {
    "Records": [{"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "shop"}, "object": {"key": "o/a.json"}}}]
}


@pytest.fixture
def hook(any_api, shape):
    """The path of an ingestion's hook, open for events."""
    name = uuid4().hex[:8]
    source = {"url": f"s3://shop-{name}/o/"}
    made = create(any_api, shape(source=source, arrival={"notify": True, "quiet_seconds": 7}))
    return f"/v1/ingestions/{made['id']}/notify", f"shop-{name}"


def s3_event(bucket, key="o/a.json", name="ObjectCreated:Put"):
    return {"Records": [{"eventName": name, "s3": {"bucket": {"name": bucket}, "object": {"key": key}}}]}


def test_an_event_becomes_a_stored_wish_that_waits_for_a_quiet_moment(any_api, hook):
    path, bucket = hook
    answer = any_api.post(path, s3_event(bucket))

    assert (answer.status_code, answer.json()["stored"], answer.json()["objects"]) == (202, True, 1)
    wish = any_api.get(f"/v1/triggers/{answer.json()['trigger_id']}").json()
    assert (wish["kind"], wish["state"]) == ("arrival", "waiting")
    due, made = (datetime.fromisoformat(wish[name]) for name in ("due_at", "created_at"))
    assert due - made == timedelta(seconds=7)
    with any_api.database.read_scope() as session:
        payload = session.get(Trigger, UUID(wish["id"])).payload
    assert payload == {"sender": "s3", "count": 1, "objects": [f"s3://{bucket}/o/a.json"]}


@pytest.mark.parametrize(
    ("key", "name"), [("elsewhere/a.json", "ObjectCreated:Put"), ("o/a.json", "ObjectRemoved:Delete")]
)
def test_what_is_elsewhere_or_was_removed_starts_nothing_and_is_not_sent_again(api, shape, key, name):
    made = create(api, shape(source={"url": "s3://shop/o/"}, arrival={"notify": True}))
    answer = api.post(f"/v1/ingestions/{made['id']}/notify", s3_event("shop", key, name))
    assert (answer.status_code, answer.json()["stored"], answer.json()["trigger_id"]) == (202, False, None)
    assert answer.json()["why"]


def test_an_empty_message_says_look_now(any_api, hook):
    path, _ = hook
    for body in (b"{}", b""):
        assert any_api.post(path, content=body).json()["stored"]


def test_while_it_is_paused_nothing_is_stored_for_its_first_run_finds_all(any_api, hook):
    path, bucket = hook
    any_api.post(path.replace("/notify", "/pause"))
    answer = any_api.post(path, s3_event(bucket))
    assert (answer.status_code, answer.json()["stored"]) == (202, False)
    assert "paused" in answer.json()["why"]


def test_an_ingestion_that_takes_no_events_says_how_to_change_that(api, shape):
    made = create(api, shape())
    found = problem(api.post(f"/v1/ingestions/{made['id']}/notify", NEW), 409, "conflict")
    assert "arrival.notify" in found["hint"]


def test_event_grid_is_answered_with_its_code(any_api, hook):
    path, _ = hook
    validation = [
        {"eventType": "Microsoft.EventGrid.SubscriptionValidationEvent", "data": {"validationCode": "512d38b6"}}
    ]
    answer = any_api.post(path, validation)
    assert (answer.status_code, answer.json()) == (200, {"validationResponse": "512d38b6"})


def test_a_topic_that_waits_to_be_confirmed_is_told_of_and_not_called(any_api, hook):
    path, _ = hook
    message = {"Type": "SubscriptionConfirmation", "TopicArn": "arn:aws:sns:x", "SubscribeURL": "http://127.0.0.1:9/"}
    answer = any_api.post(path, content=json.dumps(message), headers={"Content-Type": "text/plain; charset=UTF-8"})
    assert (answer.status_code, answer.json()["topic"]) == (200, "arn:aws:sns:x")


@pytest.mark.parametrize("body", [b"{", b"[1]", b'{"a": 1}', b'"x"', b'{"Records": [{}]}', b"[" * 100_000, b"\xff"])
def test_what_is_no_event_is_refused(any_api, hook, body):
    path, _ = hook
    problem(any_api.post(path, content=body), 422, "invalid-input")


# --- who may call it


@pytest.fixture(scope="module")
def guarded(sqlite_template, tmp_path_factory):
    import shutil

    home = tmp_path_factory.mktemp("guarded-hook")
    shutil.copy(sqlite_template, home / "autoloader.db")
    with serving(settings_of(home, autoloader_api_key=KEY)) as served:
        yield served


@pytest.fixture
def guarded_hook(guarded, shape):
    headers = {"X-API-Key": KEY}
    wanted = shape(source={"url": "s3://shop/o/"}, arrival={"notify": True})
    made = guarded.post("/v1/ingestions", wanted, headers=headers).json()
    path = f"/v1/ingestions/{made['id']}/notify"
    token = guarded.post(f"{path}-token", headers=headers).json()["token"]
    return path, token


def signature(token, body):
    return "sha256=" + hmac.new(token.encode(), body, hashlib.sha256).hexdigest()


def test_the_token_the_key_and_a_signed_body_open_the_hook(guarded, guarded_hook):
    path, token = guarded_hook
    body = json.dumps(NEW).encode()
    for more in (
        {"headers": {"X-API-Key": KEY}},
        {"headers": {"Authorization": f"Bearer {KEY}"}},
        {"headers": {"Authorization": f"Bearer {token}"}},
        {"headers": {"X-Autoloader-Token": token}},
        {"headers": {"X-Autoloader-Signature": signature(token, body)}},
        {"params": {"token": token}},
    ):
        assert guarded.post(path, content=body, **more).status_code == 202, more


def test_nothing_else_does(guarded, guarded_hook, shape):
    path, token = guarded_hook
    other = guarded.post("/v1/ingestions", shape(), headers={"X-API-Key": KEY}).json()["id"]
    other_token = guarded.post(f"/v1/ingestions/{other}/notify-token", headers={"X-API-Key": KEY}).json()["token"]
    body = json.dumps(NEW).encode()
    for more in (
        {},
        {"headers": {"X-API-Key": "wrong"}},
        {"headers": {"Authorization": "Bearer wrong"}},
        {"params": {"token": other_token}},
        {"params": {"token": token[:-1]}},
        {"headers": {"X-Autoloader-Signature": signature(token, body + b" ")}},
        {"headers": {"X-Autoloader-Signature": signature(other_token, body)}},
        {"headers": {"X-Autoloader-Signature": "sha256="}},
    ):
        problem(guarded.post(path, content=body, **more), 401, "not-authenticated")
    problem(guarded.post(f"{path}-token"), 401, "not-authenticated")


def test_the_hook_does_not_tell_which_ingestions_there_are(guarded):
    problem(guarded.post(f"/v1/ingestions/{uuid4()}/notify", NEW), 401, "not-authenticated")


def test_a_wrong_token_is_refused_where_none_is_needed(any_api, hook):
    path, bucket = hook
    problem(any_api.post(f"{path}?token=wrong", s3_event(bucket)), 401, "not-authenticated")


def test_a_token_stands_in_no_log(guarded, guarded_hook, capfd):
    from app import log

    path, token = guarded_hook
    log.configure("DEBUG")
    try:
        guarded.post(f"{path}?token={token}", NEW)
        guarded.post(f"{path}?token={token}x", NEW)
    finally:
        log.configure("WARNING")
    told = capfd.readouterr().err
    assert path in told
    assert token not in told
    assert KEY not in told
