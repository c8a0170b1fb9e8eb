"""Ingestions declared by YAML, or by a source and a table."""

from __future__ import annotations

from uuid import uuid4

import pytest
import yaml

from tests.functional.api.calls import problem, put, rows


def documents(*shapes):
    return yaml.safe_dump_all(shapes)


def test_documents_show_first_what_they_do_then_do_it_and_then_nothing(any_api, shape):
    one, two = shape(), shape()
    text = documents(one, two)
    plan = any_api.post("/v1/apply", {"documents": text}).json()
    assert ([step["action"] for step in plan["steps"]], plan["applied"]) == (["create", "create"], False)
    assert any_api.get(f"/v1/ingestions?name={one['name']}").json()["items"] == []

    confirmed = {"documents": text, "dry_run": False, "confirmation": plan["confirmation"]}
    done = any_api.post("/v1/apply", confirmed).json()
    again = any_api.post("/v1/apply", {"documents": text, "dry_run": False}).json()

    assert (done["applied"], done["steps"]) == (True, plan["steps"])
    assert (again["applied"], [step["action"] for step in again["steps"]]) == (False, ["nothing", "nothing"])
    [made] = any_api.get(f"/v1/ingestions?name={one['name']}").json()["items"]
    assert made["prefect"]["sync"] == "pending", "Prefect is down, and was told all the same"


def test_a_confirmation_of_something_else_is_refused_and_nothing_is_done(any_api, shape):
    one = shape()
    plan = any_api.post("/v1/apply", {"documents": documents(one)}).json()
    assert any_api.post("/v1/ingestions", one).status_code == 201
    confirmed = {"documents": documents(one), "dry_run": False, "confirmation": plan["confirmation"]}
    problem(any_api.post("/v1/apply", confirmed), 409, "not-confirmed")


def test_one_wrong_document_keeps_all_from_being_stored_and_its_line_is_told(api, shape):
    good = shape()
    wrong = shape(source={"url": "relative/folder"})
    body = {"documents": documents(good, wrong), "name": "all.yaml", "dry_run": False}
    found = problem(api.post("/v1/apply", body), 422, "invalid-input")
    assert "all.yaml:" in found["detail"]
    assert "'relative/folder' is no address" in found["detail"]
    assert api.get(f"/v1/ingestions?name={good['name']}").json()["items"] == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "- 1",
        "{",
        "[" * 5000,
        "a: &a [x,x,x,x,x,x,x,x,x]\n"
        + "".join(f"{chr(98 + at)}: &{chr(98 + at)} [{','.join([f'*{chr(97 + at)}'] * 9)}]\n" for at in range(8)),
        "name: 2001-99-99",
        f"name: {'1' * 5000}",
        "name: !!python/object:os.system x",
        "name: \x07",
    ],
    ids=["empty", "list", "broken", "deep", "aliases", "no day", "long number", "python", "control"],
)
def test_what_is_no_document_is_refused_in_time(api, text):
    problem(api.post("/v1/apply", {"documents": text}), 422, "invalid-input")


def test_a_source_and_a_table_are_enough_and_named_again_they_are_the_same_ingestion(any_api, landing):
    put(landing, "a.jsonl", rows(0, 2))
    body = {"url": str(landing), "table": f"api.n{uuid4().hex[:12]}"}
    first = any_api.post("/v1/load", body, headers={"Idempotency-Key": uuid4().hex}).json()
    again = any_api.post("/v1/load", body).json()
    changed = any_api.post("/v1/load", body | {"fields": {"policies": {"on_error": "fail"}}}).json()

    assert (first["created"], first["notes"][0].partition(":")[0]) == (True, "Format jsonl")
    assert (again["created"], again["notes"], again["ingestion"]["id"]) == (False, [], first["ingestion"]["id"])
    assert changed["ingestion"]["config"]["policies"]["on_error"] == "fail"
    assert "on_error" in changed["notes"][0]


@pytest.mark.parametrize(
    "change",
    [
        {"url": "landing"},
        {"table": "no-table"},
        {"fields": {"format": "csv"}},
        {"fields": {"sorce": {}}},
        {"fields": {"format": {"type": 3}}},
        {"fields": {"source": None}},
        {"fields": {"name": ["x"]}},
    ],
)
def test_a_load_that_cannot_be_is_refused(api, landing, change):
    put(landing, "a.jsonl", rows(0, 1))
    problem(api.post("/v1/load", {"url": str(landing), "table": "api.never"} | change), 422, "invalid-input")


def test_a_load_of_what_is_not_there_leaves_nothing_behind(api, landing):
    table = f"api.n{uuid4().hex[:12]}"
    problem(api.post("/v1/load", {"url": str(landing / "none"), "table": table}), 502, "source-not-found")
    assert api.get(f"/v1/ingestions?table={table}").json()["items"] == []
