"""The OpenAPI document is complete: who reads it knows every call, every answer and an example of each."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fastapi.routing import APIRoute
from pydantic import TypeAdapter

from app.api.v1 import routers
from app.main import create_app
from app.schemas.ingestion import IngestionShape
from tests.functional.api.conftest import settings_of

ROOT = Path(__file__).parents[3]
# Programs are generated from these names: one that goes or changes breaks them.
OPERATIONS = {
    "create_ingestion", "list_ingestions", "read_ingestion", "update_ingestion", "patch_ingestion", "delete_ingestion",
    "trigger_run", "read_trigger", "read_schedule", "pause_ingestion", "resume_ingestion",
    "apply_documents", "prepare_load",
    "preview_source", "estimate_run", "refresh_ingestion",
    "list_runs", "read_run", "retry_run", "cancel_run",
    "list_ledger", "find_file", "list_files", "read_file", "where_is_file", "list_rejects",
    "retry_files", "skip_files", "forget_files", "retry_file", "skip_file", "forget_file",
    "list_blocked", "look_for_evidence", "resolve_ingestion",
    "notify_ingestion", "show_notify_token",
    "create_connection", "list_connections", "read_connection", "update_connection", "delete_connection",
    "test_connection",
    "create_cluster", "list_clusters", "read_cluster", "update_cluster", "delete_cluster", "test_cluster",
    "live", "ready", "show_version",
}  # fmt: skip


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    return create_app(settings_of(tmp_path_factory.mktemp("documents")))


@pytest.fixture(scope="module")
def document(app):
    return app.openapi()


@pytest.fixture(scope="module")
def operations(document):
    return [(path, method, one) for path, found in document["paths"].items() for method, one in found.items()]


def resolved(document, schema):
    return document["components"]["schemas"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def test_every_route_is_in_the_document(app, document):
    routes = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
    assert len(routes) == sum(len(router.routes) for router in routers)
    served = {(route.path_format, method.lower()) for route in routes for method in route.methods}
    assert [route.path for route in app.routes if hasattr(route, "path")] == ["/openapi.json"]
    assert served == {(path, method) for path, found in document["paths"].items() for method in found}


def test_the_names_of_operations_stay(operations):
    assert {one["operationId"] for _, _, one in operations} == OPERATIONS


def test_every_operation_is_told_to_people(operations):
    for path, method, one in operations:
        where = f"{method} {path}"
        assert one["summary"], where
        assert len(one["description"]) > 20, where
        assert one["tags"], where
        for parameter in one.get("parameters", ()):
            assert parameter.get("description"), f"{where} {parameter['name']}"


def test_every_tag_is_described(document, operations):
    described = {tag["name"] for tag in document["tags"] if tag["description"]}
    assert {tag for _, _, one in operations for tag in one["tags"]} == described


def test_every_refusal_is_a_problem_and_each_call_names_those_that_all_have(operations):
    for path, method, one in operations:
        codes = {int(code) for code in one["responses"]}
        assert codes >= {401, 421, 422, 500}, path
        if method != "get":
            assert codes >= {400, 403, 413, 415}, path
        if "{" in path:
            assert 404 in codes, path
        for code, answer in one["responses"].items():
            if int(code) >= 400 and not path.startswith("/health/ready"):
                content = answer["content"]["application/problem+json"]
                assert content["schema"] == {"$ref": "#/components/schemas/Problem"}, f"{path} {code}"


def test_every_body_and_every_answer_has_an_example_that_is_one(document, operations):
    missing = []
    for path, method, one in operations:
        places = [("body", one["requestBody"]["content"])] if "requestBody" in one else []
        places += [(code, answer["content"]) for code, answer in one["responses"].items() if "content" in answer]
        for place, content in places:
            for kind, media in content.items():
                schema = resolved(document, media.get("schema", {}))
                shown = media.get("examples") or media.get("example") or schema.get("examples")
                if not shown and not _items_have_examples(document, schema) and kind == "application/json":
                    missing.append((method, path, place))
    assert missing == []


def _items_have_examples(document, schema):
    """A page's example is that of its items."""
    if "anyOf" in schema:
        return all(_items_have_examples(document, resolved(document, one)) for one in schema["anyOf"])
    items = schema.get("properties", {}).get("items", {}).get("items", {})
    return bool(items) and bool(resolved(document, items).get("properties"))


def test_the_examples_of_models_are_right(document):
    from app.api.views import base, connections, declaring, files, health, ingestions, planning, problems, runs

    checked = 0
    for module in (base, connections, declaring, files, health, ingestions, planning, problems, runs):
        for name, model in vars(module).items():
            extra = getattr(model, "model_config", {}).get("json_schema_extra") if isinstance(model, type) else None
            for example in (extra or {}).get("examples", ()):
                TypeAdapter(model).validate_python(example, strict=False), name
                checked += 1
    assert checked > 20
    IngestionShape.model_validate(ingestions.EXAMPLE_SHAPE)


def test_the_key_may_be_sent_in_either_way_and_health_needs_none(document, operations):
    assert set(document["components"]["securitySchemes"]) == {"bearer", "apiKey"}
    for path, _, one in operations:
        assert bool(one["security"]) != path.startswith("/health/"), path


def test_no_answer_has_a_field_for_a_secret(document):
    secret = re.compile(r"password|secret(?!_names)|credential", re.IGNORECASE)
    shown = {
        (name, field)
        for name, schema in document["components"]["schemas"].items()
        if name.endswith("Out")
        for field in schema.get("properties", ())
    }
    assert {one for one in shown if secret.search(one[1])} == set()


def test_the_page_of_the_reference_tells_of_every_operation(operations):
    page = (ROOT / "docs" / "reference" / "api.md").read_text(encoding="utf-8")
    for path, method, one in operations:
        assert f"`{method.upper()} {path}`" in page
        assert one["summary"] in page
