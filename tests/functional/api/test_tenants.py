"""What belongs to another tenant is not there: for every route that names something, as the document has them."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from app.models import Cluster, Connection, Ingestion, ProcessedFile, Run, Trigger
from app.schemas.ingestion import IngestionShape
from app.services.cluster_service import ClusterService
from app.services.connection_service import ConnectionService
from app.services.ingestion_service import IngestionService
from tests.fakes.ledger import NOON, add_run, found
from tests.functional.api.calls import walked

OTHER = "other"


@pytest.fixture
def foreign(any_api, shape):
    """One of each kind of thing, all of another tenant: the name of a path's parameter → what it is called."""
    database, settings, name = any_api.database, any_api.settings, f"f{uuid4().hex[:12]}"
    shaped = IngestionShape.model_validate(shape(arrival={"notify": True}))
    ingestion_id = IngestionService(database, settings, tenant_id=OTHER).create(shaped).id
    ConnectionService(database, settings, tenant_id=OTHER).put(name, "s3", {})
    clusters = ClusterService(database, settings, tenant_id=OTHER)
    cluster = clusters.create(name, "sc://x:1", catalog=None, options={}, token=None)
    run_id, trigger_id = add_run(database.engine, ingestion_id), uuid4()
    with database.session_scope() as session:
        session.get(Run, run_id).tenant_id = OTHER
        session.add(
            Trigger(
                id=trigger_id, tenant_id=OTHER, ingestion_id=ingestion_id, kind="manual", payload={}, created_at=NOON,
                due_at=NOON,
            )
        )  # fmt: skip
        from app.repositories import files
        from app.repositories.files import NewFile
        from app.values import FileState

        files.insert_new(session, ingestion_id, run_id, [NewFile(found("/x"), FileState.QUARANTINED)], NOON)
        file_id = files.known_paths(session, ingestion_id, ["/x"])[0].id
    return {
        "ingestion_id": str(ingestion_id),
        "run_id": str(run_id),
        "file_id": str(file_id),
        "trigger_id": str(trigger_id),
        "cluster_id": str(cluster.id),
        "name": name,
    }


def calls(document, names):
    """Each operation that names a thing in its path: method, path, a body that is right in itself."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if "{" not in path:
                continue
            body = operation.get("requestBody", {}).get("content", {})
            yield method, path.format(**names), _example(document, body)


def _example(document, body):
    if not body:
        return None
    content = next(iter(body.values()))
    if content.get("examples"):
        return next(iter(content["examples"].values()))["value"]
    schema = document["components"]["schemas"][content["schema"]["$ref"].rpartition("/")[2]]
    return schema["examples"][0]


def test_every_route_answers_that_it_is_not_there(any_api, foreign):
    document = any_api.get("/openapi.json").json()
    tried, wrong = 0, []
    for method, path, body in calls(document, foreign):
        extra = {"json": body} if body is not None else {}
        query = "?path=/x" if path.endswith("/where") else ""
        answer = any_api.client.request(method, path + query, **extra)
        tried += 1
        if answer.status_code != 404 or answer.json()["code"] != "not-found":
            wrong.append((method, path, answer.status_code, answer.text[:200]))
    assert tried > 25
    assert wrong == []


def test_no_list_shows_it_and_no_filter_finds_it(any_api, foreign):
    for path in ("/v1/ingestions?limit=200", "/v1/runs?limit=200"):
        ids = {one["id"] for one in walked(any_api, path)}
        assert not ids & set(foreign.values())
    for path in ("/v1/connections", "/v1/clusters"):
        assert foreign["name"] not in [one["name"] for one in any_api.get(path).json()["items"]]
    assert any_api.get(f"/v1/runs?ingestion_id={foreign['ingestion_id']}").json()["items"] == []
    assert any_api.get(f"/v1/files?ingestion_id={foreign['ingestion_id']}").status_code == 404


def test_no_body_reaches_it(any_api, foreign):
    for selection in (
        {"ids": [foreign["file_id"]]},
        {"filter": {"ingestion_id": foreign["ingestion_id"], "states": ["QUARANTINED"]}},
    ):
        for act in ("retry", "skip", "forget"):
            assert any_api.post(f"/v1/files/{act}", selection).status_code == 404


def test_nothing_of_it_was_changed_by_all_that(any_api, foreign):
    document = any_api.get("/openapi.json").json()
    for method, path, body in calls(document, foreign):
        any_api.client.request(method, path, **({"json": body} if body is not None else {}))
    with any_api.database.read_scope() as session:
        row = session.get(Ingestion, UUID(foreign["ingestion_id"]))
        assert (row.deleted_at, row.paused, row.revision) == (None, False, 1)
        assert session.get(ProcessedFile, int(foreign["file_id"])).state == "QUARANTINED"
        assert session.get(Run, UUID(foreign["run_id"])).state == "RUNNING"
        assert session.get(Cluster, UUID(foreign["cluster_id"])) is not None
        assert session.query(Connection).filter_by(name=foreign["name"]).count() == 1
