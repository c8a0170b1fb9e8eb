"""Clusters by the API: their secrets go in and never come out, and a test of one says what is there."""

from __future__ import annotations

import socket
from uuid import UUID, uuid4

import pytest

from app.services.cluster_service import ClusterService
from tests.functional.api.calls import create, problem
from tests.services.spark import jars

CANARY = "canary-7f3a9c2e5b"


@pytest.fixture
def name():
    return f"c{uuid4().hex[:12]}"


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_cluster_shows_the_names_of_its_secrets_alone(any_api, name):
    shape = {"name": name, "url": "sc://spark.example.com:15002", "catalog": "lake", "token": CANARY}
    answer = any_api.post("/v1/clusters", {**shape, "secrets": {"header.x-api-key": CANARY}})
    assert answer.status_code == 201
    seen = any_api.get(answer.headers["location"]).json()
    assert (seen["name"], seen["catalog"], seen["has_token"]) == (name, "lake", True)
    assert seen["secret_names"] == ["header.x-api-key", "token"]
    assert name in [one["name"] for one in any_api.get("/v1/clusters").json()["items"]]

    service = ClusterService(any_api.database, any_api.settings)
    assert service.get_spark_connect_credentials(UUID(seen["id"])) == ("sc://spark.example.com:15002", CANARY)
    problem(any_api.post("/v1/clusters", shape), 409, "conflict")
    assert any_api.client.delete(answer.headers["location"]).status_code == 204
    problem(any_api.get(answer.headers["location"]), 404, "not-found")


def test_a_cluster_without_an_engine_is_the_engine_of_an_ingestion(any_api, shape, name):
    lake = name.upper()  # a catalog that both engines reach
    options = {"type": "rest", "uri": "http://127.0.0.1:9"}
    assert any_api.post("/v1/connections", {"name": lake, "kind": "catalog", "options": options}).status_code == 201
    assert any_api.post("/v1/clusters", {"name": name, "url": "sc://a:1"}).status_code == 201
    table = {"destination": {"table": f"{lake}.demo.{name}"}}
    made = create(any_api, shape(**table, cluster=name))
    path = f"/v1/ingestions/{made['id']}"

    def changed(body):
        return meant(any_api.client.patch(path, json=body).json())

    def meant(seen):
        return seen["config"]["engine"], seen["config"]["cluster"]

    assert meant(made) == (name, None)
    assert changed({"engine": "embedded"}) == ("embedded", None)
    assert changed({"cluster": name}) == (name, None)
    assert changed({"engine": "auto", "cluster": name}) == ("auto", name)
    assert changed({"engine": None}) == ("embedded", None)
    assert meant(any_api.client.put(path, json={**made["config"], "engine": name}).json()) == (name, None)
    body = {**shape(**table), "engine": "embedded", "cluster": name}
    for refused in (any_api.post("/v1/ingestions", body), any_api.client.patch(path, json=body)):
        found = problem(refused, 422, "invalid-input")
        assert [one["pointer"] for one in found["errors"]] == ["#/cluster"]


def test_replacing_leaves_nothing_of_before(any_api, name):
    shape = {"name": name, "url": "sc://a:1", "catalog": "lake", "options": {"user": "etl"}, "token": CANARY}
    made = any_api.post("/v1/clusters", shape).json()

    seen = any_api.client.put(f"/v1/clusters/{made['id']}", json={"url": "sc://b:2"}).json()

    assert (seen["name"], seen["url"], seen["catalog"], seen["options"]) == (name, "sc://b:2", None, {})
    assert (seen["has_token"], seen["secret_names"]) == (False, [])
    problem(any_api.client.put(f"/v1/clusters/{uuid4()}", json={"url": "sc://b:2"}), 404, "not-found")


def test_a_test_of_a_real_cluster_says_what_is_there(api, name, spark_server):
    made = api.post("/v1/clusters", {"name": name, "url": spark_server.url, "catalog": spark_server.catalog}).json()

    seen = api.post(f"/v1/clusters/{made['id']}/test?write=false").json()

    assert seen["ok"]
    details = {step["name"]: step["detail"] for step in seen["steps"]}
    assert details["connect"] == f"Spark {jars.SPARK} answers as Spark Connect does."
    assert details["iceberg"] == "Iceberg 1.10.1."


def test_a_test_says_what_takes_connections_and_is_no_spark(api, name, listener):
    made = api.post("/v1/clusters", {"name": name, "url": f"sc://127.0.0.1:{listener}"}).json()
    seen = api.post(f"/v1/clusters/{made['id']}/test").json()
    assert [(step["name"], step["ok"]) for step in seen["steps"]] == [("reach", True), ("connect", False)]
    assert seen["steps"][1]["detail"].startswith(f"Spark Connect service not reachable at sc://127.0.0.1:{listener}: ")


@pytest.mark.parametrize(
    "host", ["127.0.0.1:9", "169.254.169.254:80", "[::ffff:169.254.169.254]:80", "no.such.host.invalid:1"]
)
def test_a_cluster_that_cannot_be_reached_or_must_not_be_is_told(api, name, host):
    made = api.post("/v1/clusters", {"name": name, "url": f"sc://{host}"}).json()
    seen = api.post(f"/v1/clusters/{made['id']}/test").json()
    assert [(step["name"], step["ok"]) for step in seen["steps"]] == [("reach", False)]


@pytest.mark.parametrize(
    "change",
    [
        {"url": "http://x:1"},
        {"url": "sc://x"},
        {"url": "sc://x:0"},
        {"url": "sc://x:99999"},
        {"url": f"sc://x:1/;token={CANARY}"},
        {"url": f"sc://u:{CANARY}@x:1"},
        {"name": "embedded"},
        {"catalog": "a.b"},
        {"options": {"token": CANARY}},
        {"options": {"colour": CANARY}},
        {"secrets": {"header.te": CANARY}},
        {"token": f"{CANARY}\n"},
        {"tenant_id": "x"},
    ],
)
def test_a_cluster_that_cannot_be_is_refused_without_repeating_a_token(api, name, change):
    answer = api.post("/v1/clusters", {"name": name, "url": "sc://x:1"} | change)
    problem(answer, 422, "invalid-input")
    assert CANARY not in answer.text
