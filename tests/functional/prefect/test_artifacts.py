"""What a run leaves in Prefect for a person to read."""

from __future__ import annotations

import json
from uuid import UUID

import pytest

from app.prefect.artifacts import MOST_FILES
from tests.functional.prefect.place import ask_prefect, flow_run, until


@pytest.fixture
def flow():
    from app.prefect.flows.run_ingestion import run_ingestion_flow

    return run_ingestion_flow


def artifacts(flow_run_id: UUID) -> dict[str, tuple[str, object]]:
    """Key → description and data."""
    found = ask_prefect("/artifacts/filter", artifacts={"flow_run_id": {"any_": [str(flow_run_id)]}})
    return {one["key"]: (one["description"], one["data"]) for one in found}


def test_a_run_leaves_a_table_of_its_files_and_a_summary(place, flow):
    place.deliver("good.jsonl", 3)
    place.deliver("bad.jsonl", 1, text="{broken\n")
    place.prepare()
    ingestion = place.ingestion

    state = flow(str(ingestion.id), return_state=True)

    found = artifacts(state.state_details.flow_run_id)
    [run] = place.runs()
    title, text = found[f"summary-{ingestion.id}"]
    assert title == f"Run {run.id} of demo.rows: SUCCESS"
    assert "| files loaded | 2 |" in text
    assert "| rejected records | 1 |" in text
    assert f"autoloader runs show {run.id}" in text
    rows = {row["path"].rpartition("/")[2]: row for row in json.loads(found[f"files-{ingestion.id}"][1])}
    assert (rows["good.jsonl"]["state"], rows["good.jsonl"]["rows"]) == ("SUCCESS", 3)
    assert (rows["bad.jsonl"]["rows"], rows["bad.jsonl"]["rejected"]) == (1, 1)


def test_files_that_were_not_loaded_stand_first_and_there_are_never_more_than_fit(place, flow):
    for number in range(MOST_FILES + 5):
        place.deliver(f"a{number:03}.jsonl")
    place.deliver("z.jsonl", 1, text="{broken\n")
    place.prepare(policies={"on_error": "skip_file"})

    state = flow(str(place.ingestion.id), return_state=True)

    rows = json.loads(artifacts(state.state_details.flow_run_id)[f"files-{place.ingestion.id}"][1])
    assert len(rows) == MOST_FILES
    assert (rows[0]["path"].rpartition("/")[2], rows[0]["state"]) == ("z.jsonl", "SKIPPED")
    assert rows[0]["reason"] == "too-many-errors"


def test_a_failed_run_tells_why(place, flow):
    place.deliver("a.jsonl", 1, text="{broken\n")
    place.prepare(policies={"on_error": "fail"})

    state = flow(str(place.ingestion.id), return_state=True)

    title, text = artifacts(state.state_details.flow_run_id)[f"summary-{place.ingestion.id}"]
    assert title.endswith(": FAILED")
    assert "**too-many-errors**: 1 of 2 records could not be parsed" in text


def test_a_run_is_what_it_is_though_its_artifacts_cannot_be_stored(place, flow, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        message = "the server is full"
        raise RuntimeError(message)

    monkeypatch.setattr("app.prefect.artifacts.create_markdown_artifact", refuse)
    place.deliver("a.jsonl")
    place.prepare()

    result = flow(str(place.ingestion.id))

    [run] = place.runs()
    assert (result["state"], run.state) == ("SUCCESS", "SUCCESS")
    assert flow_run(run.external_key).kind == "COMPLETED"


def test_prefect_holds_ids_and_lines_that_carry_them_but_no_secret(place, flow, monkeypatch):
    secret = "AKIA" + "CANARY0123456789"
    place.deliver(f"token={secret}.jsonl", 1)
    place.prepare()

    state = flow(str(place.ingestion.id), return_state=True)

    flow_run_id = state.state_details.flow_run_id
    chosen = {"flow_run_id": {"any_": [str(flow_run_id)]}}

    def messages() -> list[str]:
        return [str(one["message"]) for one in ask_prefect("/logs/filter", logs=chosen)]

    until(lambda: any(one.startswith("Batch ") for one in messages()), what="the log")
    [run] = place.runs()
    [batch] = [one for one in messages() if one.startswith("Batch ")]
    assert batch.endswith(f": 1 SUCCESS; 1 rows. ingestion_id={place.ingestion.id} run_id={run.id}")
    kept = json.dumps([messages(), artifacts(flow_run_id), str(flow_run(flow_run_id))], default=str)
    assert secret not in kept
    assert set(flow_run(flow_run_id).parameters) == {"ingestion_id", "trigger"}
