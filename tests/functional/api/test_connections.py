"""Connections: secrets go in, and never come out; of clusters too."""

from __future__ import annotations

from uuid import uuid4

import pytest
from sqlalchemy import text

from app import log
from tests.functional.api.calls import create, problem

CANARY = "canary-7f3a9c2e5b"


@pytest.fixture
def name():
    return f"c{uuid4().hex[:12]}"


def test_a_connection_shows_its_options_and_of_its_secrets_only_the_names(any_api, name):
    shape = {"name": name, "kind": "s3", "options": {"region": "x"}, "secrets": {"secret_access_key": CANARY}}
    answer = any_api.post("/v1/connections", shape)

    assert (answer.status_code, answer.headers["location"]) == (201, f"/v1/connections/{name}")
    seen = any_api.get(f"/v1/connections/{name}").json()
    assert seen == answer.json()
    assert (seen["options"], seen["secret_names"]) == ({"region": "x"}, ["secret_access_key"])
    assert name in [one["name"] for one in any_api.get("/v1/connections").json()["items"]]


def test_what_looks_like_a_secret_is_one_wherever_it_is_put(api, name):
    options = {"secret_access_key": CANARY, "endpoint": f"http://user:{CANARY}@host"}
    seen = api.post("/v1/connections", {"name": name, "kind": "s3", "options": options}).json()
    assert (seen["options"], seen["secret_names"]) == ({}, ["endpoint", "secret_access_key"])


def test_options_that_cannot_work_are_refused_where_that_is_asked_for(api, name):
    shape = {"name": name, "kind": "s3", "options": {"no_such_option": "1"}}
    problem(api.post("/v1/connections?check=true", shape), 422, "invalid-input")
    assert api.post("/v1/connections", shape).status_code == 201
    problem(api.client.put(f"/v1/connections/{name}?check=true", json=shape | {"name": None}), 422, "invalid-input")


def test_replacing_leaves_nothing_of_before(api, name):
    api.post("/v1/connections", {"name": name, "kind": "s3", "options": {"a": "1"}, "secrets": {"token": CANARY}})
    seen = api.client.put(f"/v1/connections/{name}", json={"kind": "s3", "options": {"b": "2"}}).json()
    assert (seen["options"], seen["secret_names"]) == ({"b": "2"}, [])


def test_a_connection_in_use_stays(any_api, name, shape):
    any_api.post("/v1/connections", {"name": name, "kind": "s3"})
    made = create(any_api, shape(source={"url": f"s3://{name}/x", "connection": name}))
    found = problem(any_api.client.delete(f"/v1/connections/{name}"), 409, "conflict")
    assert made["name"] in found["detail"]
    any_api.client.delete(f"/v1/ingestions/{made['id']}")
    assert any_api.client.delete(f"/v1/connections/{name}").status_code == 204
    problem(any_api.get(f"/v1/connections/{name}"), 404, "not-found")


def test_a_name_is_taken_once(any_api, name):
    assert any_api.post("/v1/connections", {"name": name, "kind": "s3"}).status_code == 201
    problem(any_api.post("/v1/connections", {"name": name, "kind": "az"}), 409, "conflict")
    problem(any_api.client.put("/v1/connections/nobody", json={"kind": "s3"}), 404, "not-found")


@pytest.mark.parametrize(
    "change",
    [{"name": "1x"}, {"name": "a b"}, {"kind": "ftp"}, {"secret": CANARY}, {"secrets": {"k": f"a\x00{CANARY}"}}],
)
def test_what_cannot_be_is_refused_without_repeating_it(api, name, change):
    answer = api.post("/v1/connections", {"name": name, "kind": "s3"} | change)
    problem(answer, 422, "invalid-input")
    assert CANARY not in answer.text


def test_a_test_says_which_step_failed(api, name):
    options = {"endpoint": "http://127.0.0.1:9", "region": "x", "access_key_id": "x"}
    shape = {"name": name, "kind": "s3", "options": options, "secrets": {"secret_access_key": CANARY}}
    api.post("/v1/connections", shape)
    seen = api.post(f"/v1/connections/{name}/test", {"url": "s3://bucket/x"}).json()
    assert not seen["ok"]
    assert [(step["name"], step["ok"]) for step in seen["steps"]] == [("open", True), ("list", False)]
    problem(api.post(f"/v1/connections/{name}/test", {}), 422, "invalid-input")


# --- the canary


def test_a_secret_comes_out_nowhere(any_api, name, shape, capfd):
    """In no answer to any GET, in no refusal, in no line of the log, and in no row of the database."""
    log.configure("DEBUG")
    try:
        secret = {"secret_access_key": CANARY}
        connection = {"name": name, "kind": "s3", "options": {"endpoint": "http://127.0.0.1:9"}, "secrets": secret}
        any_api.post("/v1/connections", connection, headers={"Idempotency-Key": name})
        any_api.post("/v1/connections", connection)
        any_api.post("/v1/connections", {**connection, "colour": CANARY})
        made = create(any_api, shape(source={"url": f"s3://{name}/x", "connection": name}))
        cluster = {"name": name, "url": "sc://x:1", "token": CANARY, "secrets": {"header.x-api-key": CANARY}}
        any_api.post("/v1/clusters", cluster)
        any_api.post("/v1/clusters", cluster)
        any_api.get(f"/v1/ingestions/{made['id']}/estimate?seconds=1")
        any_api.post(f"/v1/connections/{name}/test", {"url": f"s3://{name}/x"})
        answers = [any_api.get(path).text for path in _gets(any_api, made["id"], name)]
    finally:
        log.configure("WARNING")

    assert len(answers) > 10
    assert [one for one in answers if CANARY in one] == []
    told = capfd.readouterr()
    assert "POST" in told.err
    assert CANARY not in told.err + told.out
    assert CANARY not in _dumped(any_api.database)


def _gets(api, ingestion_id, name):
    """Every GET of the document, with what there is to name."""
    known = {"{ingestion_id}": ingestion_id, "{name}": name, "{file_id}": "1"}
    for path, operations in api.get("/openapi.json").json()["paths"].items():
        if "get" in operations and not path.endswith(("/estimate", "/where")):
            filled = path
            for part, value in known.items():
                filled = filled.replace(part, value)
            yield filled.replace("{run_id}", str(uuid4())).replace("{cluster_id}", str(uuid4()))


def _dumped(database):
    with database.read_scope() as session:
        tables = ("connections", "clusters", "ingestions", "idempotency_keys", "runs", "triggers")
        return "".join(str(session.execute(text(f"SELECT * FROM {table}")).all()) for table in tables)
