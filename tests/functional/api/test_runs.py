from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from app.errors import LeaseLost
from app.models import Run
from app.repositories import batches, ingestions, runs
from app.repositories import files as file_rows
from app.repositories.files import NewFile
from app.services import file_bulk_service
from app.services.file_bulk_service import FileBulkService
from app.services.run_control_service import RunControlService
from app.services.run_service import RunService
from app.values import BatchState, FileState
from tests.fakes.ledger import NOON, found
from tests.functional.api.calls import create, problem, put, rows, walked


@pytest.fixture
def three(any_api, shape):
    """An ingestion with three runs, an hour apart, the last one active."""
    made = create(any_api, shape())
    ids = [uuid4() for _ in range(3)]
    with any_api.database.session_scope() as session:
        for hour, (run_id, state) in enumerate(zip(ids, ("SUCCESS", "FAILED", "RUNNING"), strict=True)):
            begun = NOON + timedelta(hours=hour)
            run = Run(id=run_id, ingestion_id=UUID(made["id"]), trigger="manual", state=state, started_at=begun)
            run.metrics = {"discovered": {"listed": 4, "new": 4}}
            run.finished_at = None if state == "RUNNING" else begun + timedelta(minutes=1)
            runs.add(session, run)
    return made, [str(run_id) for run_id in ids]


def test_runs_come_page_by_page_the_newest_first(any_api, three):
    made, ids = three
    items = walked(any_api, f"/v1/runs?ingestion_id={made['id']}&limit=2")
    assert [one["id"] for one in items] == ids[::-1]
    assert {one["ingestion"] for one in items} == {made["name"]}
    assert [one["seconds"] for one in items[1:]] == [60.0, 60.0]


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("state=FAILED", [1]),
        ("state=FAILED&state=SUCCESS", [1, 0]),
        ("since=2026-03-01T13:00:00Z", [2, 1]),
        ("until=2026-03-01T13:00:00Z", [0]),
        ("since=2026-03-01T14:00:00%2B01:00&until=2026-03-01T15:00:00%2B01:00", [1]),
        ("trigger=retry", []),
    ],
)
def test_runs_are_filtered(any_api, three, query, numbers):
    made, ids = three
    items = walked(any_api, f"/v1/runs?ingestion_id={made['id']}&{query}")
    assert [one["id"] for one in items] == [ids[number] for number in numbers]


def test_runs_are_found_by_the_beginning_of_their_id(any_api, three):
    _, ids = three
    for prefix in (ids[1], ids[1][:9], ids[1][:8]):
        assert ids[1] in [one["id"] for one in walked(any_api, f"/v1/runs?id_prefix={prefix}")]
    assert walked(any_api, f"/v1/runs?id_prefix={ids[1][:7]}-") == []  # no id has its hyphen there
    assert walked(any_api, f"/v1/runs?id_prefix={'f' * 36}") == []
    problem(any_api.get("/v1/runs?id_prefix=FFF"), 422, "invalid-input")


def test_a_run_whose_lease_nobody_holds_is_told_not_to_be_alive(any_api, three):
    made, _ = three
    assert [one["alive"] for one in walked(any_api, f"/v1/runs?ingestion_id={made['id']}")] == [False] * 3
    with RunService(any_api.database, any_api.settings).start(UUID(made["id"])) as ctx:
        assert any_api.get(f"/v1/runs/{ctx.run_id}").json()["run"]["alive"]


def test_a_time_without_a_zone_is_refused(api):
    found_problem = problem(api.get("/v1/runs?since=2026-03-01T13:00:00"), 422, "invalid-input")
    assert found_problem["errors"][0]["parameter"] == "since"


def test_runs_of_a_deleted_ingestion_are_still_shown(any_api, three):
    made, ids = three
    any_api.client.delete(f"/v1/ingestions/{made['id']}?running=finish")
    assert [one["id"] for one in walked(any_api, f"/v1/runs?ingestion_id={made['id']}")] == ids[::-1]


# --- progress


def progress(api, run_id):
    return api.get(f"/v1/runs/{run_id}").json()["progress"]


def test_a_run_that_goes_on_shows_its_numbers_of_this_moment(any_api, three):
    made, ids = three
    ingestion_id, run_id = UUID(made["id"]), UUID(ids[2])
    assert progress(any_api, run_id) | {"waiting_files": 0} == {
        "step": "plan",
        "files_done": 0,
        "files_total": None,
        "bytes_done": 0,
        "bytes_total": None,
        "batches_done": 0,
        "batches_total": None,
        "rows": 0,
        "rescued": 0,
        "rejected": 0,
        "waiting_files": 0,
        "bytes_per_second": None,
        "rows_per_second": None,
        "seconds_left": None,
    }

    _plan(any_api.database, ingestion_id, run_id)
    seen = progress(any_api, run_id)
    assert (seen["step"], seen["files_done"], seen["files_total"], seen["waiting_files"]) == ("load", 0, 4, 1)

    _settle_one(any_api.database, ingestion_id, run_id)
    seen = progress(any_api, run_id)
    assert (seen["files_done"], seen["files_total"]) == (3, 4)
    assert (seen["bytes_done"], seen["bytes_total"]) == (30, 40)
    assert (seen["batches_done"], seen["batches_total"], seen["rows"], seen["rejected"]) == (1, 2, 300, 2)
    assert seen["bytes_per_second"] > 0
    assert seen["seconds_left"] > 0


def _plan(database, ingestion_id, run_id):
    """Two stored batches, of three files and of one, and a file that waits."""
    from app.models import Batch

    with database.session_scope() as session:
        new = [NewFile(found(f"/data/{number}"), FileState.DISCOVERED) for number in range(5)]
        file_rows.insert_new(session, ingestion_id, run_id, new, NOON)
        ids = [one[0] for one in file_rows.waiting(session, ingestion_id, 0, 10)]
        for first, last, count in ((0, 2, 3), (3, 3, 1)):
            batch = Batch(id=uuid4(), ingestion_id=ingestion_id, run_id=run_id, state=BatchState.PLANNED.value)
            batch.file_count, batch.byte_count = count, 10 * count
            batch.created_at = NOON + timedelta(seconds=first)
            batches.add(session, batch)
            file_rows.assign(session, ingestion_id, batch.id, ids[first], ids[last])


def _settle_one(database, ingestion_id, run_id):
    with database.session_scope() as session:
        first = batches.by_id(session, batches.unfinished(session, ingestion_id)[0].id)
        first.state, first.outcome, first.settled_run_id = BatchState.SETTLED.value, "landed", run_id
        first.claimed_at, first.settled_at = NOON + timedelta(hours=3), NOON + timedelta(hours=4)
        first.loaded_count, first.row_count, first.rejected_count, first.rescued_count = 3, 300, 2, 0


def test_a_run_that_has_ended_shows_its_batches_and_what_was_not_loaded(api, shape, landing):
    put(landing, "good.jsonl", rows(0, 5))
    put(landing, "bad.jsonl.gz", b"this is no gzip")
    made = create(api, shape())
    summary = api.run(made["id"])
    seen = api.get(f"/v1/runs/{summary.run_id}").json()

    assert (seen["run"]["state"], seen["progress"]) == ("PARTIAL", None)
    assert seen["run"]["metrics"]["rows"] == 5
    assert seen["batch_count"] == len(seen["batches"]) >= 1
    assert [one["snapshot_id"] for one in seen["batches"]] == seen["run"]["metrics"]["snapshots"]
    assert all(isinstance(one, str) for one in seen["run"]["metrics"]["snapshots"])
    assert [one["path"] for one in seen["not_loaded"]] == [str(landing / "bad.jsonl.gz")]

    wish = api.post(f"/v1/runs/{summary.run_id}/retry?quarantined=true")
    assert (wish.status_code, wish.json()["kind"]) == (202, "retry")
    assert api.get(f"/v1/ingestions/{made['id']}").json()["files"] == {"SUCCESS": 1, "DISCOVERED": 1}


# --- retry, cancel


def test_only_a_run_that_left_something_is_retried(any_api, three):
    _, ids = three
    problem(any_api.post(f"/v1/runs/{ids[0]}/retry"), 409, "conflict")
    problem(any_api.post(f"/v1/runs/{ids[2]}/retry"), 409, "conflict")
    assert any_api.post(f"/v1/runs/{ids[1]}/retry").json()["kind"] == "retry"


def test_a_run_that_is_cancelled_loses_its_lease_and_can_change_nothing_more(any_api, shape):
    made = create(any_api, shape())
    steps = RunService(any_api.database, any_api.settings)
    with pytest.raises(LeaseLost), steps.start(UUID(made["id"])) as ctx:  # noqa: PT012 - the length of the run
        answer = any_api.post(f"/v1/runs/{ctx.run_id}/cancel")
        assert (answer.status_code, answer.json()) == (202, {"run_id": str(ctx.run_id), "asked": False})
        steps.finish(ctx)

    seen = any_api.get(f"/v1/runs/{ctx.run_id}").json()["run"]
    assert (seen["state"], seen["error_code"]) == ("CANCELLED", "cancelled")
    problem(any_api.post(f"/v1/runs/{ctx.run_id}/cancel"), 409, "conflict")


def test_who_cancels_a_run_wants_no_other_one_after_it(any_api, shape):
    made = create(any_api, shape())
    steps = RunService(any_api.database, any_api.settings)
    with pytest.raises(LeaseLost), steps.start(UUID(made["id"])) as ctx:  # noqa: PT012 - the length of the run
        with any_api.database.session_scope() as session:
            ingestions.by_id(session, UUID(made["id"])).rerun_wanted = True
        any_api.post(f"/v1/runs/{ctx.run_id}/cancel")
        steps.finish(ctx)
    with any_api.database.read_scope() as session:
        assert not ingestions.by_id(session, UUID(made["id"])).rerun_wanted


def test_after_a_cancelled_run_the_next_one_begins_at_once(any_api, shape):
    made = create(any_api, shape())
    steps = RunService(any_api.database, any_api.settings)
    with pytest.raises(LeaseLost), steps.start(UUID(made["id"])) as ctx:  # noqa: PT012 - the length of the run
        any_api.post(f"/v1/runs/{ctx.run_id}/cancel")
        with steps.start(UUID(made["id"])) as successor:
            steps.finish(successor)
        steps.finish(ctx)
    assert any_api.get(f"/v1/runs/{successor.run_id}").json()["run"]["state"] == "SUCCESS"


class Prefect:
    """Takes wishes, or is down."""

    def __init__(self, *, up):
        self.up = up
        self.asked = []

    def cancel(self, flow_run_id):
        self.asked.append(flow_run_id)
        return self.up


@pytest.mark.parametrize(("up", "at_once"), [(True, False), (False, False), (True, True)])
def test_prefect_is_asked_first_and_the_lease_is_taken_when_it_is_down_or_when_that_is_wanted(api, shape, up, at_once):
    made = create(api, shape())
    run_id, flow_run_id = uuid4(), f"f-{uuid4()}"
    with api.database.session_scope() as session:
        run = Run(id=run_id, ingestion_id=UUID(made["id"]), trigger="manual", state="RUNNING", started_at=NOON)
        run.external_key, run.metrics = flow_run_id, {}
        runs.add(session, run)
    prefect = Prefect(up=up)
    done = RunControlService(api.database, api.settings, prefect).cancel(run_id, at_once=at_once)

    assert prefect.asked == ([] if at_once else [flow_run_id])
    assert done.asked == (up and not at_once)
    assert api.get(f"/v1/runs/{run_id}").json()["run"]["state"] == ("RUNNING" if done.asked else "CANCELLED")


def test_a_retry_that_is_refused_moves_no_file(api, shape, landing):
    put(landing, "bad.jsonl.gz", b"this is no gzip")
    made = create(api, shape())
    summary = api.run(made["id"])
    api.post(f"/v1/ingestions/{made['id']}/pause")

    problem(api.post(f"/v1/runs/{summary.run_id}/retry?quarantined=true"), 409, "conflict")

    assert api.get(f"/v1/ingestions/{made['id']}").json()["files"] == {"QUARANTINED": 1}


def test_a_retry_takes_all_that_the_run_gave_up_however_many(api, shape, landing, monkeypatch):
    monkeypatch.setattr(file_bulk_service, "_CHUNK", 2)
    for number in range(7):
        put(landing, f"{number}.jsonl.gz", b"this is no gzip")
    made = create(api, shape())
    summary = api.run(made["id"])
    files = FileBulkService(api.database, api.settings.model_copy(update={"batch_max_files": 2}))

    assert files.requeue_quarantined(UUID(made["id"]), summary.run_id) == 7

    assert api.get(f"/v1/ingestions/{made['id']}").json()["files"] == {"DISCOVERED": 7}
