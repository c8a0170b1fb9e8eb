"""Preview, estimate, refresh: they look, and change nothing."""

from __future__ import annotations

import pytest

from tests.functional.api.calls import create, problem, put, rows


def test_a_preview_shows_format_schema_and_rows_before_anything_is_saved(api, landing):
    put(landing, "a.csv", "id,name,at\n1,x,2026-03-01T00:00:00Z\n2,,2026-03-02T00:00:00Z\n")
    put(landing, "_hidden.csv", "x\n")
    before = len(api.get("/v1/ingestions?limit=200").json()["items"])
    seen = api.post("/v1/preview", {"source": {"url": str(landing)}}).json()

    assert (seen["format"], seen["files"], seen["more"]) == ("csv", 1, False)
    assert seen["left_out"] == {"hidden": 1}
    assert "id bigint" in seen["columns"]
    assert [row["id"] for row in seen["rows"]] == ["1", "2"]  # as they stand in the file
    assert seen["evidence"][0]["path"] == str(landing / "a.csv")
    assert len(api.get("/v1/ingestions?limit=200").json()["items"]) == before


def test_a_preview_finds_the_format_though_something_is_said_of_it(api, landing):
    put(landing, "a.csv", "id;n\n" + "".join(f"{at};{at}\n" for at in range(30)) + "30;word\n")
    seen = api.post("/v1/preview", {"source": {"url": str(landing)}, "format": {"delimiter": ";"}}).json()
    assert (seen["format"], seen["columns"]) == ("csv", "id bigint, n string")
    assert [(one["column"], one["type"], one["count"]) for one in seen["outliers"]] == [("n", "bigint", 1)]
    assert seen["hints"] == []


@pytest.mark.parametrize("name", ["", "secret.key", "autoloader.db"])
def test_our_own_keys_and_ledger_are_nobody_s_data(api, name):
    found = problem(api.post("/v1/preview", {"source": {"url": f"{api.settings.home}/{name}"}}), 422, "invalid-input")
    assert "belongs to the Autoloader" in found["detail"]


def test_a_source_around_our_own_folder_shows_nothing_of_it(api, landing):
    home = api.settings.home
    put(landing, "a.jsonl", rows(0, 1))
    inside = home.relative_to(home.parent).as_posix()
    wanted = {"source": {"url": str(home.parent), "include": [f"{inside}/**"]}, "format": {"type": "csv"}}
    found = problem(api.post("/v1/preview", wanted), 422, "invalid-input")
    assert "own" in found["detail"]


def test_a_preview_of_what_is_not_there_says_so(api, landing):
    problem(api.post("/v1/preview", {"source": {"url": str(landing / "nowhere")}}), 502, "source-not-found")
    problem(api.post("/v1/preview", {"source": {"url": str(landing)}}), 422, "invalid-input")
    answer = api.post("/v1/preview", {"source": {"url": "s3://b/x", "connection": "nobody"}})
    problem(answer, 404, "not-found")


def test_an_estimate_counts_what_is_new_and_what_waits_and_records_nothing(any_api, shape, landing):
    for number in range(5):
        put(landing, f"{number}.jsonl", rows(number, 1))
    made = create(any_api, shape(policies={"batch_max_files": 2}))
    path = f"/v1/ingestions/{made['id']}/estimate"
    seen = any_api.get(path).json()

    assert (seen["complete"], seen["listed"], seen["new_files"], seen["known"]) == (True, 5, 5, 0)
    assert (seen["files"], seen["batches"], seen["seconds"], seen["past_runs"]) == (5, 3, None, 0)
    assert seen["bytes"] == sum(one.stat().st_size for one in landing.iterdir())
    assert any_api.get(path).json() == seen
    assert any_api.get(f"/v1/ingestions/{made['id']}").json()["files"] == {}


def test_after_a_run_an_estimate_knows_how_long_the_next_one_takes(api, shape, landing):
    put(landing, "a.jsonl", rows(0, 10))
    made = create(api, shape())
    api.run(made["id"])
    put(landing, "b.jsonl", rows(0, 10))
    seen = api.get(f"/v1/ingestions/{made['id']}/estimate").json()

    assert (seen["known"], seen["new_files"], seen["batches"], seen["past_runs"]) == (1, 1, 1, 1)
    assert seen["seconds"] > 0


def test_an_estimate_ends_when_its_time_is_up(api, shape, landing):
    put(landing, "a.jsonl", rows(0, 1))
    made = create(api, shape())
    seen = api.get(f"/v1/ingestions/{made['id']}/estimate?seconds=0.000001").json()
    assert not seen["complete"]
    problem(api.get(f"/v1/ingestions/{made['id']}/estimate?seconds=61"), 422, "invalid-input")


# --- refresh


def plan(api, ingestion_id, kind):
    answer = api.post(f"/v1/ingestions/{ingestion_id}/refresh", {"kind": kind})
    assert answer.status_code == 200, answer.text
    return answer.json()


def confirm(api, ingestion_id, kind, token):
    body = {"kind": kind, "dry_run": False, "confirmation": token}
    return api.post(f"/v1/ingestions/{ingestion_id}/refresh", body)


def test_a_refresh_of_what_is_new_is_confirmed_by_what_was_seen(any_api, shape, landing):
    put(landing, "a.jsonl", rows(0, 1))
    made = create(any_api, shape())
    seen = plan(any_api, made["id"], "new_only")
    assert (seen["offered"], seen["estimate"]["new_files"], seen["loaded_files"]) == (True, 1, 0)

    done = confirm(any_api, made["id"], "new_only", seen["confirmation"])
    assert (done.status_code, done.json()["kind"]) == (202, "manual")


def test_a_full_refresh_shows_its_numbers_and_is_refused_with_the_reason_and_the_way_out(api, shape, landing):
    put(landing, "a.jsonl", rows(0, 1))
    made = create(api, shape())
    api.run(made["id"])
    seen = plan(api, made["id"], "full")
    assert (seen["offered"], seen["loaded_files"]) == (False, 1)
    assert "one commit" in seen["why_not"]

    found = problem(confirm(api, made["id"], "full", seen["confirmation"]), 409, "not-offered")
    assert "one commit" in found["detail"]
    assert "another table" in found["hint"]


@pytest.mark.parametrize("token", [None, "", "x", "9999999999.x", "1.é", "." * 200])
def test_without_a_token_of_a_dry_run_nothing_is_done(api, shape, token):
    made = create(api, shape())
    problem(confirm(api, made["id"], "new_only", token), 409, "not-confirmed")


def test_a_token_holds_for_its_own_refresh_as_long_as_nothing_changes(any_api, shape):
    one, other = create(any_api, shape()), create(any_api, shape(source={"url": "/data/else"}))
    token = plan(any_api, one["id"], "new_only")["confirmation"]

    problem(confirm(any_api, one["id"], "full", token), 409, "not-confirmed")
    problem(confirm(any_api, other["id"], "new_only", token), 409, "not-confirmed")
    any_api.client.patch(f"/v1/ingestions/{one['id']}", json={"policies": {"max_errors": "1"}})
    problem(confirm(any_api, one["id"], "new_only", token), 409, "not-confirmed")


def test_a_token_is_refused_when_it_is_old_or_its_time_was_changed(api, shape):
    from datetime import UTC, datetime, timedelta
    from uuid import UUID

    from app.errors import NotConfirmed
    from app.services.follower import Follower
    from app.services.prefect_service import PrefectService
    from app.services.refresh_service import RefreshService

    class Clock:
        time = datetime.now(UTC)

        def now(self):
            return self.time

    made, clock = create(api, shape()), Clock()
    follower = Follower(api.database, api.settings, PrefectService(api.settings))
    service = RefreshService(api.database, api.settings, follower, clock=clock)
    token = service.plan(UUID(made["id"]), "new_only", 5.0).confirmation
    clock.time += timedelta(minutes=11)
    with pytest.raises(NotConfirmed, match="too long ago"):
        service.refresh(UUID(made["id"]), "new_only", token)
    later = f"{int(token.partition('.')[0]) + 3600}.{token.partition('.')[2]}"
    with pytest.raises(NotConfirmed, match="changed"):
        service.refresh(UUID(made["id"]), "new_only", later)
