"""The flow, called directly, against a real Prefect server."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from uuid import uuid4

import pytest

from app.config import get_settings
from app.errors import Conflict, DatabaseNotMigrated, InvalidInput, NotFound
from app.services.batch_orchestrator import BatchOrchestrator
from app.services.ingestion_service import IngestionService
from app.services.open_runs import OpenRun
from app.services.run_service import RunService
from app.values import Trigger
from tests.functional.prefect.place import flow_run


@pytest.fixture
def run(place):
    """The flow, called as a function; answers its result, and the flow run's id."""
    from app.prefect.flows.run_ingestion import run_ingestion_flow

    def call(ingestion_id: object = None, trigger: str = "manual"):
        return run_ingestion_flow(str(ingestion_id or place.ingestion.id), trigger=trigger)

    return call


def failed_flow_run(run, *arguments):
    """The error of a flow that fails, and its flow run."""
    from app.prefect.flows.run_ingestion import run_ingestion_flow

    state = run_ingestion_flow(*map(str, arguments), return_state=True)
    return state.result(raise_on_failure=False), flow_run(state.state_details.flow_run_id)


def test_the_flow_called_directly_loads_what_is_new(place, run):
    place.deliver("a.jsonl", 3)
    place.prepare()

    result = run()

    assert (result["state"], result["metrics"]["rows"]) == ("SUCCESS", 3)
    assert place.rows() == place.expected()
    [record] = place.runs()
    seen = flow_run(record.external_key)
    assert (str(record.id), record.state, record.trigger) == (result["run_id"], "SUCCESS", "manual")
    assert (seen.kind, seen.parameters) == (
        "COMPLETED",
        {"ingestion_id": str(place.ingestion.id), "trigger": "manual"},
    )


class TestWhatCannotBegin:
    """The cases of the specification's troubleshooting: one clear message, and a record where one can be."""

    def test_a_malformed_id(self, place, run):
        place.deliver("a.jsonl")
        place.prepare()

        error, seen = failed_flow_run(run, "not-an-id")

        assert isinstance(error, InvalidInput)
        text = "'not-an-id' is not the id of an ingestion. See the ids: autoloader ingestions list --json"
        assert (str(error), seen.kind, seen.message) == (text, "FAILED", text)
        assert place.runs() == []

    def test_an_unknown_ingestion(self, place, run):
        place.deliver("a.jsonl")
        place.prepare()
        unknown = uuid4()

        error, seen = failed_flow_run(run, unknown)

        assert isinstance(error, NotFound)
        assert seen.message == f"There is no ingestion {unknown}. See: autoloader ingestions list"
        assert place.runs() == []

    def test_an_unmigrated_database(self, place, run):
        error, seen = failed_flow_run(run, uuid4())

        assert isinstance(error, DatabaseNotMigrated)
        assert seen.message.startswith("The database is at revision none; this version needs ")
        assert seen.message.endswith("Run: autoloader db upgrade")

    def test_an_unknown_trigger(self, place, run):
        place.deliver("a.jsonl")
        place.prepare()

        error, seen = failed_flow_run(run, place.ingestion.id, "whim")

        text = "There is no trigger 'whim'. It is one of manual, scheduled, arrival, retry, backfill."
        assert (type(error), seen.message) == (InvalidInput, text)
        [record] = place.runs()
        assert (record.state, record.error_code, record.error) == ("FAILED", "invalid-input", text)

    def test_a_paused_ingestion(self, place, run):
        place.deliver("a.jsonl")
        place.prepare()
        database = place.database()
        IngestionService(database, place.settings).pause(place.ingestion.name, paused=True)
        database.close()

        error, seen = failed_flow_run(run, place.ingestion.id, "scheduled")

        assert (type(error), seen.message) == (
            Conflict,
            f"{place.ingestion.name} is paused. Resume it: autoloader ingestions resume {place.ingestion.name}",
        )
        [record] = place.runs()
        assert (record.state, record.error_code, record.trigger) == ("FAILED", "conflict", "scheduled")
        assert record.external_key == str(seen.id)

    def test_an_engine_that_this_version_has_not(self, place, run):
        place.deliver("a.jsonl")
        place.prepare()
        database = place.database()
        with database.session_scope() as session:
            row = session.merge(place.row())
            row.config = {**row.config, "engine": "big-spark"}
        database.close()

        _, seen = failed_flow_run(run, place.ingestion.id)

        add = "autoloader clusters add big-spark sc://host:port"
        assert seen.message == f"There is no cluster 'big-spark'. See: autoloader clusters list; or add it: {add}"
        [record] = place.runs()
        assert (record.state, record.error_code) == ("FAILED", "invalid-input")


@contextmanager
def active_run_that_ends_with(error, place, database):
    with suppress(type(error)), RunService(database, place.settings).start(place.ingestion.id):
        yield
        raise error


class TestAnotherRunIsActive:
    def test_the_flow_ends_without_an_error_and_another_run_follows(self, place, run):
        place.deliver("a.jsonl")
        place.prepare()
        database = place.database()
        steps = RunService(database, place.settings)

        with steps.start(place.ingestion.id, Trigger.SCHEDULED) as active:
            result = run(trigger="arrival")
            wanted = place.row().rerun_wanted
            steps.finish(active)
        database.close()

        assert (result["state"], result["run_id"], wanted) == ("SKIPPED", str(active.run_id), True)
        [trigger] = place.triggers()
        assert (trigger.ingestion_id, trigger.kind, trigger.delivered_at) == (place.ingestion.id, "scheduled", None)
        assert trigger.payload == {"reason": "rerun", "after_run": str(active.run_id)}
        assert not place.row().rerun_wanted

    def test_prefect_shows_it_as_skipped(self, place):
        from app.prefect.flows.run_ingestion import run_ingestion_flow

        place.deliver("a.jsonl")
        place.prepare()
        database = place.database()
        with RunService(database, place.settings).start(place.ingestion.id):
            state = run_ingestion_flow(str(place.ingestion.id), return_state=True)
        database.close()

        seen = flow_run(state.state_details.flow_run_id)
        assert (seen.kind, seen.name) == ("COMPLETED", "Skipped")
        assert "Another run follows when it has ended." in seen.message

    def test_whoever_cancels_a_run_gets_no_other_one(self, place, run):
        place.deliver("a.jsonl")
        place.prepare()
        database = place.database()

        with active_run_that_ends_with(KeyboardInterrupt(), place, database):
            run()
        database.close()

        assert [record.state for record in place.runs()] == ["CANCELLED"]
        assert (place.triggers(), place.row().rerun_wanted) == ([], False)

    def test_a_run_that_fails_is_followed_by_the_one_that_was_wanted(self, place, run):
        place.deliver("a.jsonl")
        place.prepare()
        database = place.database()

        with active_run_that_ends_with(ZeroDivisionError(), place, database):
            run()
        database.close()

        assert [record.state for record in place.runs()] == ["FAILED"]
        assert len(place.triggers()) == 1


class TestOneFlowRunIsOneRun:
    def test_one_that_loaded_all_answers_the_same_again(self, place, run):
        from prefect.flow_engine import run_flow

        from app.prefect.flows.run_ingestion import run_ingestion_flow

        place.deliver("a.jsonl")
        place.prepare()
        first = run()
        [record] = place.runs()
        place.deliver("b.jsonl")

        again = run_flow(run_ingestion_flow, flow_run=again_pending(record.external_key))

        assert (again["run_id"], again["state"], again["metrics"]["rows"]) == (first["run_id"], "SUCCESS", 1)
        assert len(place.runs()) == 1

    def test_one_that_failed_goes_on_under_its_record(self, place, run):
        from prefect.flow_engine import run_flow

        from app.prefect.flows.run_ingestion import run_ingestion_flow

        place.deliver("a.jsonl")
        place.prepare()
        database = place.database()
        service = IngestionService(database, place.settings)
        service.pause(place.ingestion.name, paused=True)
        _, seen = failed_flow_run(run, place.ingestion.id)
        service.pause(place.ingestion.name, paused=False)
        database.close()

        run_flow(run_ingestion_flow, flow_run=again_pending(seen.id))

        [record] = place.runs()
        assert (record.state, record.error_code, record.external_key) == ("SUCCESS", None, str(seen.id))
        assert place.rows() == place.expected()

    def test_one_that_is_active_in_another_process_is_left_to_it(self, place):
        from prefect.client.orchestration import get_client
        from prefect.exceptions import Abort
        from prefect.flow_engine import run_flow

        from app.prefect.flows.run_ingestion import run_ingestion_flow

        place.deliver("a.jsonl")
        place.prepare()
        database = place.database()
        with get_client(sync_client=True) as client:
            wanted = client.create_flow_run(run_ingestion_flow, parameters={"ingestion_id": str(place.ingestion.id)})

        with OpenRun(RunService(database, place.settings)) as elsewhere:
            elsewhere.begin(str(place.ingestion.id), "manual", key=str(wanted.id))
            with pytest.raises(Abort):
                run_flow(run_ingestion_flow, flow_run=wanted, parameters=wanted.parameters)
            assert not place.row().rerun_wanted
            elsewhere.steps.finish(elsewhere.ctx)
        database.close()

        assert [record.state for record in place.runs()] == ["SUCCESS"]
        assert flow_run(wanted.id).kind == "RUNNING"


def again_pending(flow_run_id: object):
    """The flow run, as a worker that is to start it once more gets it."""
    from prefect.client.orchestration import get_client
    from prefect.states import Pending

    with get_client(sync_client=True) as client:
        client.set_flow_run_state(flow_run_id, Pending(), force=True)
        return client.read_flow_run(flow_run_id)


def test_a_run_of_which_each_record_was_rejected_says_so_in_prefect(place):
    from app.prefect.flows.run_ingestion import run_ingestion_flow

    place.deliver("bad.jsonl", 0, text="no\nnor this\n")
    place.prepare()

    state = run_ingestion_flow(str(place.ingestion.id), return_state=True)

    assert (state.name, state.message) == ("Partial", "1 file loaded; each record was rejected.")


def test_near_its_timeout_it_claims_nothing_more_and_tells_what_waits(place, monkeypatch):
    from app.prefect.flows.run_ingestion import run_ingestion_flow

    monkeypatch.setenv("PREFECT_FLOW_RUN_TIMEOUT_SECONDS", "1")  # of which 0.8 s are never enough for so many batches
    get_settings.cache_clear()
    for number in range(40):
        place.deliver(f"{number}.jsonl", 2)
    place.prepare(policies={"batch_max_files": 1})
    patient = run_ingestion_flow.with_options(timeout_seconds=None)

    state = patient(str(place.ingestion.id), return_state=True)

    result = state.result()
    assert result["state"] == "PARTIAL"
    assert result["metrics"]["waiting"] > 0
    seen = flow_run(state.state_details.flow_run_id)
    assert (seen.kind, seen.name) == ("COMPLETED", "Partial")
    assert f"{result['metrics']['waiting']} waiting for the next run" in seen.message
    monkeypatch.delenv("PREFECT_FLOW_RUN_TIMEOUT_SECONDS")
    get_settings.cache_clear()
    database = place.database()
    BatchOrchestrator(database, place.settings).run_ingestion(place.ingestion)
    database.close()
    assert place.rows() == place.expected()
