"""One HTTP call, and from then on it runs: the whole way from the API over Prefect and a worker into the table."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from uuid import UUID

import pytest
from prefect.client.orchestration import get_client

from app.services.prefect_service import PrefectService
from app.services.table_service import TableService
from tests.functional.api.calls import create
from tests.functional.prefect.place import TABLE, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
_SECONDS = 240.0


def shape_of(place, **more):
    return {
        "name": "rows",
        "source": {"url": str(place.source)},
        "format": {"type": "jsonl"},
        "destination": {"table": TABLE},
        **more,
    }


def runs(api, made, state=""):
    query = f"&state={state}" if state else ""
    return api.get(f"/v1/runs?ingestion_id={made['id']}&limit=200{query}").json()["items"]


def table(api):
    found = TableService(api.database, api.settings).sql(TABLE, "SELECT file, row FROM rows ORDER BY file, row")
    return [(str(row[0]), int(str(row[1]))) for row in found.rows]


def deployment(api, made):
    with PrefectService(api.settings) as prefect:
        return prefect.find(UUID(made["id"]))


def test_a_schedule_that_is_set_runs_changes_pauses_and_leaves_nothing_behind(place, api, worker):
    place.deliver("a.jsonl", 3)
    made = create(api, shape_of(place, schedule={"interval_seconds": 2}))
    assert made["prefect"]["sync"] == "in_sync"

    [first] = until(lambda: runs(api, made, "SUCCESS")[-1:], _SECONDS, "the first scheduled run")
    assert table(api) == place.expected()
    place.deliver("b.jsonl", 2)
    until(lambda: table(api) == place.expected(), _SECONDS, "the second file")

    with PrefectService(api.settings) as prefect:
        history = {str(one.id): one.state for one in prefect.history(UUID(made["id"]), 200)}
    ours = {one["flow_run_id"] for one in runs(api, made)}
    assert first["trigger"] == "scheduled"
    assert ours <= set(history)
    assert history[first["flow_run_id"]] == "COMPLETED"

    patch = {"schedule": {"cron": "0 6 * * 1", "interval_seconds": None, "timezone": "Europe/Berlin"}}
    changed = api.client.patch(f"/v1/ingestions/{made['id']}", json=patch)
    assert changed.status_code == 200, changed.text
    [schedule] = deployment(api, made).spec.schedules
    assert (schedule.kind, schedule.value, schedule.timezone) == ("cron", "0 6 * * 1", "Europe/Berlin")

    assert api.post(f"/v1/ingestions/{made['id']}/pause").status_code == 200
    assert deployment(api, made).spec.paused
    until(lambda: not runs(api, made, "RUNNING"), _SECONDS, "the end of what ran")

    gone = api.client.delete(f"/v1/ingestions/{made['id']}")
    assert gone.status_code == 200, gone.text
    assert deployment(api, made) is None


def test_files_that_arrive_start_a_run_and_a_quiet_source_starts_none(place, api, worker):
    place.deliver("a.jsonl", 3)
    made = create(api, shape_of(place, arrival={"poll_seconds": 1}))
    until(lambda: runs(api, made, "SUCCESS"), _SECONDS, "the run of what was there")
    until(lambda: table(api) == place.expected(), _SECONDS, "its rows")
    before = len(runs(api, made))

    place.deliver("b.jsonl", 2)
    until(lambda: table(api) == place.expected(), _SECONDS, "the second file")

    assert {one["trigger"] for one in runs(api, made)} == {"arrival"}
    assert len(runs(api, made)) <= before + 2  # a file may come while its forerunner is loaded


def test_ten_triggers_at_once_from_everywhere_are_one_run_at_a_time(place, api, worker):
    place.deliver("a.jsonl", 200)
    made = create(api, shape_of(place))

    def by_api(_):
        return api.post(f"/v1/ingestions/{made['id']}/run").status_code

    def by_prefect(_):
        with get_client(sync_client=True) as client:
            return client.create_flow_run_from_deployment(UUID(made["prefect"]["deployment_id"])).id

    with ThreadPoolExecutor(10) as pool:
        calls = [*pool.map(by_api, range(6)), *pool.map(by_prefect, range(4))]
    assert calls[:6] == [202] * 6
    until(lambda: runs(api, made, "SUCCESS"), _SECONDS, "a run")
    until(lambda: not api.get(f"/v1/runs?ingestion_id={made['id']}&state=RUNNING").json()["items"], _SECONDS)

    assert table(api) == place.expected()
    spans = sorted((one["started_at"], one["finished_at"] or "9") for one in runs(api, made))
    assert all(earlier[1] <= later[0] for earlier, later in pairwise(spans)), json.dumps(spans, indent=1)
