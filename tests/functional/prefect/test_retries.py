"""Prefect tries again what the error says can help, and nothing else."""

from __future__ import annotations

import threading

import pytest

from app.config import get_settings
from app.errors import DatabaseUnavailable, SchemaChangeRefused
from tests.fakes.relay import Relay
from tests.functional.prefect.place import ask_prefect, flow_run, until


@pytest.fixture
def flow():
    from app.prefect.flows.run_ingestion import run_ingestion_flow

    return run_ingestion_flow


def task_runs(flow_run_id: object) -> dict[str, int]:
    """How often each task of the flow run was tried. Prefect learns it from events, so it takes a moment."""

    def found() -> dict[str, int]:
        runs = ask_prefect("/task_runs/filter", flow_runs={"id": {"any_": [str(flow_run_id)]}})
        ended = [one for one in runs if one["state_type"] in {"COMPLETED", "FAILED"}]
        tried = {one["name"].rpartition("-")[0]: one["run_count"] for one in ended}
        return tried if "create-run-record" in tried and len(ended) == len(runs) > 1 else {}

    return until(found, what="the task runs")


@pytest.fixture
def s3_place(place, s3, monkeypatch, request):
    """A place whose source is a bucket behind a relay; requests to it are not repeated by the store itself."""
    from app.services.connection_service import ConnectionService

    monkeypatch.setenv("REQUEST_RETRIES", "0")
    get_settings.cache_clear()
    with Relay(int(s3.endpoint.rpartition(":")[2])) as relay:
        database = place.database()
        database.upgrade()
        options = {**s3.options, "endpoint": f"http://127.0.0.1:{relay.port}"}
        ConnectionService(database, place.settings).put("source", "s3", options)
        database.close()
        s3.put("in/a.jsonl", b'{"file": "a", "row": 0}\n')
        place.prepare(f"{s3.url}/in/", source={"connection": "source"})
        yield place, relay


def test_a_source_that_is_away_once_fails_no_run(s3_place, quick_retries, flow):
    place, relay = s3_place
    relay.refuse(1)

    state = flow(str(place.ingestion.id), return_state=True)

    assert state.result()["state"] == "SUCCESS"
    assert relay.refused == 1
    assert place.rows() == [("a", 0)]
    assert [run.state for run in place.runs()] == ["SUCCESS"]


def test_a_source_that_stays_away_fails_the_run_after_the_last_try(s3_place, quick_retries, flow):
    place, relay = s3_place
    relay.down()

    state = flow(str(place.ingestion.id), return_state=True)
    relay.up()

    assert state.is_failed()
    [record] = place.runs()
    assert (record.state, record.error_code) == ("FAILED", "source-unavailable")
    assert task_runs(state.state_details.flow_run_id)["discover-files"] == 4


@pytest.fixture
def far_place(place, postgres, postgres_port, monkeypatch):
    """A place whose ledger is a PostgreSQL behind a relay."""
    with Relay(postgres_port) as relay:
        monkeypatch.setenv("DATABASE_URL", postgres.url.replace(f":{postgres_port}/", f":{relay.port}/"))
        get_settings.cache_clear()
        place.deliver("a.jsonl", 2)
        place.deliver("b.jsonl", 2)
        place.prepare(policies={"batch_max_files": 1})
        yield place, relay


def test_a_database_that_fails_once_at_the_start_costs_a_moment(far_place, quick_retries, flow):
    place, relay = far_place
    relay.refuse(1)

    result = flow(str(place.ingestion.id))

    assert (result["state"], place.rows()) == ("SUCCESS", place.expected())
    assert [(run.state, run.metrics["discovered"]["new"]) for run in place.runs()] == [("SUCCESS", 2)]


def test_a_database_that_is_gone_for_seconds_in_mid_run_costs_nothing_but_time(
    far_place, quick_retries, flow, monkeypatch, tmp_path
):
    place, relay = far_place
    gate = tmp_path / "gate"
    monkeypatch.setenv("AUTOLOADER_FAILPOINTS", f"written=wait:{gate}")
    get_settings.cache_clear()

    def outage() -> None:
        until(gate.with_name("gate.reached").exists, what="the first batch")
        relay.down()
        gate.touch()
        until(lambda: relay.refused >= 2, what="a second try to reach the database")
        relay.up()

    thread = threading.Thread(target=outage)
    thread.start()
    result = flow(str(place.ingestion.id))
    thread.join()

    assert (result["state"], place.rows()) == ("SUCCESS", place.expected())
    assert [run.state for run in place.runs()] == ["SUCCESS"]


def test_a_database_that_stays_away_is_told_with_the_next_step(far_place, quick_retries, flow):
    place, relay = far_place
    relay.down()

    state = flow(str(place.ingestion.id), return_state=True)
    relay.up()

    assert isinstance(state.result(raise_on_failure=False), DatabaseUnavailable)
    seen = flow_run(state.state_details.flow_run_id)
    assert seen.message.startswith("The database does not answer as it should (")
    assert seen.message.endswith("Check it with: autoloader doctor")
    assert place.runs() == []


def test_what_only_a_person_can_mend_is_not_tried_again(place, quick_retries, flow):
    place.deliver("a.jsonl")
    place.prepare(columns={"on_new_columns": "fail"})
    flow(str(place.ingestion.id))
    place.deliver("b.jsonl", 0, text='{"file": "b", "row": 1, "colour": "red"}\n')

    state = flow(str(place.ingestion.id), return_state=True)

    assert isinstance(state.result(raise_on_failure=False), SchemaChangeRefused)
    assert task_runs(state.state_details.flow_run_id)["process-files"] == 1
    assert [run.error_code for run in place.runs()] == [None, "schema-change-refused"]


def test_pauses_double_from_the_setting_and_are_never_longer_than_ten_minutes(monkeypatch):
    from app.prefect import task_options

    monkeypatch.setenv("PREFECT_TASK_RETRY_DELAY_SECONDS", "90")
    monkeypatch.setenv("PREFECT_MAX_TASK_RETRIES", "5")
    get_settings.cache_clear()

    assert task_options._pauses() == [90, 180, 360, 600, 600]
    get_settings.cache_clear()
