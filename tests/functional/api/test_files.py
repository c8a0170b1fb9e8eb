from __future__ import annotations

from uuid import UUID, uuid4

import pytest

from app.models import Batch
from app.repositories import batches, file_moves
from app.repositories import files as file_rows
from app.repositories.files import NewFile
from app.services import lease_service
from app.values import BatchState, FileState
from tests.fakes.ledger import NOON, add_run, found
from tests.functional.api.calls import create, problem, put, rows, walked

STATES = ["SUCCESS", "FAILED", "QUARANTINED", "SKIPPED", "DISCOVERED"]


@pytest.fixture
def ledger(any_api, shape):
    """An ingestion with two files in each state."""
    made = create(any_api, shape())
    ingestion_id = UUID(made["id"])
    run_id = add_run(any_api.database.engine, ingestion_id)
    new = [
        NewFile(found(f"/data/{number}-{state}"), FileState(state), reason=f"r{number}")
        for number in range(2)
        for state in STATES
    ]
    with any_api.database.session_scope() as session:
        file_rows.insert_new(session, ingestion_id, run_id, new, NOON)
    return made["id"]


def listed(api, ingestion_id, query=""):
    return walked(api, f"/v1/files?ingestion_id={ingestion_id}{query}")


def id_of(api, ingestion_id, path):
    return next(one["id"] for one in listed(api, ingestion_id) if one["path"] == path)


def states(api, ingestion_id):
    return {one["path"]: one["state"] for one in listed(api, ingestion_id)}


# --- look


def test_files_come_page_by_page_by_path(any_api, ledger):
    items = listed(any_api, ledger, "&limit=3")
    assert [one["path"] for one in items] == sorted(f"/data/{n}-{state}" for n in range(2) for state in STATES)
    assert all(isinstance(one["id"], str) for one in items)


@pytest.mark.parametrize(
    ("query", "paths"),
    [
        ("&state=FAILED", ["/data/0-FAILED", "/data/1-FAILED"]),
        ("&state=SUCCESS&state=SKIPPED&reason=r1", ["/data/1-SKIPPED", "/data/1-SUCCESS"]),
        ("&path_contains=1-F", ["/data/1-FAILED"]),
        ("&path=/data/0-SUCCESS", ["/data/0-SUCCESS"]),
        ("&path=/data", []),
        ("&path_contains=%25", []),
        (f"&batch_id={UUID(int=7)}", []),
        (f"&run_id={UUID(int=7)}", []),
    ],
)
def test_files_are_filtered(any_api, ledger, query, paths):
    assert [one["path"] for one in listed(any_api, ledger, query)] == paths


def test_a_file_is_read_with_its_history(any_api, ledger):
    file_id = id_of(any_api, ledger, "/data/0-QUARANTINED")
    any_api.post(f"/v1/files/{file_id}/retry")
    seen = any_api.get(f"/v1/files/{file_id}").json()
    assert (seen["id"], seen["state"]) == (file_id, "DISCOVERED")
    assert [event["state"] for event in seen["history"]] == ["DISCOVERED"]


@pytest.mark.parametrize("file_id", ["1", "9223372036854775807"])
def test_a_file_that_is_not_there_is_not_found(any_api, file_id):
    problem(any_api.get(f"/v1/files/{file_id}"), 404, "not-found")
    problem(any_api.post(f"/v1/files/{file_id}/skip"), 404, "not-found")


@pytest.mark.parametrize("file_id", ["0", "-1", "x", "9223372036854775808", "1e3", "%00"])
def test_what_is_no_id_is_refused(api, file_id):
    problem(api.get(f"/v1/files/{file_id}"), 422, "invalid-input")


def test_where_a_file_is_or_why_it_is_not_there(api, shape, landing):
    put(landing, "a.jsonl", rows(0, 1))
    put(landing, "readme.txt", "x")
    made = create(api, shape(source={"url": str(landing), "include": ["*.jsonl"]}))
    api.run(made["id"])
    path = f"/v1/ingestions/{made['id']}/where"

    loaded = api.get(path, params={"path": str(landing / "a.jsonl")}).json()
    assert ([one["state"] for one in loaded["files"]], loaded["explanations"]) == (["SUCCESS"], [])
    left_out = api.get(path, params={"path": str(landing / "readme.txt")}).json()
    assert [one["reason"] for one in left_out["explanations"]] == ["not-included"]
    gone = api.get(path, params={"path": str(landing / "b.jsonl")}).json()
    assert [one["reason"] for one in gone["explanations"]] == ["missing"]


def test_rejected_records_are_shown_with_their_place(api, shape, landing):
    text = rows(0, 3) + "".join(f'{{"id": {number}, \n' for number in range(5)) + rows(3, 1)
    put(landing, "a.jsonl", text)
    made = create(api, shape())
    path = f"/v1/ingestions/{made['id']}/rejects"
    assert api.get(path).json() == {"items": [], "next_cursor": None}
    api.run(made["id"])

    items = walked(api, f"{path}?limit=2")
    assert [one["line"] for one in items] == [4, 5, 6, 7, 8]
    assert {one["source_file"] for one in items} == {str(landing / "a.jsonl")}
    assert items[0]["raw"].startswith('{"id": 0,')
    assert len(walked(api, f"{path}?reason={items[0]['reason'].partition(':')[0]}")) == 5
    assert walked(api, f"{path}?reason=another") == []
    assert len(walked(api, f"{path}?file_id={items[0]['file_id']}")) == 5
    problem(api.get(f"{path}?reason=x'%20OR%201=1"), 422, "invalid-input")


# --- by hand


@pytest.mark.parametrize(
    ("act", "start", "end"),
    [
        ("retry", "FAILED", "DISCOVERED"),
        ("retry", "QUARANTINED", "DISCOVERED"),
        ("retry", "SKIPPED", "DISCOVERED"),
        ("skip", "DISCOVERED", "SKIPPED"),
        ("skip", "QUARANTINED", "SKIPPED"),
        ("forget", "QUARANTINED", None),
    ],
)
def test_a_file_is_moved_alone_by_its_id_or_with_all_of_its_state(any_api, ledger, act, start, end):
    one = id_of(any_api, ledger, f"/data/0-{start}")
    assert any_api.post(f"/v1/files/{one}/{act}").status_code == 200
    assert states(any_api, ledger).get(f"/data/0-{start}") == end

    chosen = {"filter": {"ingestion_id": ledger, "states": [start]}}
    moved = any_api.post(f"/v1/files/{act}", chosen).json()
    expected = 2 if start == end else 1
    assert (moved["moved"], moved["refused"], moved["more"]) == (expected, 0, False)
    assert states(any_api, ledger).get(f"/data/1-{start}") == end


def test_of_a_state_what_another_try_cannot_help_is_left_and_counted_unless_it_is_asked_for(any_api, ledger):
    one = int(id_of(any_api, ledger, "/data/0-SKIPPED"))
    with any_api.database.session_scope() as session:
        file_moves.move(session, [one], FileState.DISCOVERED, NOON, reason=None, error=None)
        file_moves.move(session, [one], FileState.SKIPPED, NOON, reason="empty", error="No bytes.")
    chosen = {"ingestion_id": ledger, "states": ["SKIPPED"]}

    moved = any_api.post("/v1/files/retry", {"filter": chosen}).json()
    again = any_api.post("/v1/files/retry", {"filter": {**chosen, "reason": "empty"}}).json()

    assert (moved["moved"], moved["refused"], moved["left"]) == (1, 0, {"empty": 1})
    assert (again["moved"], again["left"]) == (1, {})


def test_many_files_are_moved_by_their_ids_or_none_of_them(any_api, ledger):
    ids = [id_of(any_api, ledger, f"/data/0-{state}") for state in ("FAILED", "SKIPPED")]
    loaded = id_of(any_api, ledger, "/data/0-SUCCESS")
    before = states(any_api, ledger)

    found_problem = problem(any_api.post("/v1/files/retry", {"ids": [*ids, loaded]}), 409, "illegal-transition")
    assert "doubl" in found_problem["hint"]
    problem(any_api.post("/v1/files/retry", {"ids": [*ids, "1"]}), 404, "not-found")
    assert states(any_api, ledger) == before
    assert any_api.post("/v1/files/retry", {"ids": [*ids, ids[0]]}).json()["moved"] == 2


def test_loaded_files_are_never_moved_whatever_the_filter_says(any_api, ledger):
    for act in ("retry", "skip", "forget"):
        chosen = {"filter": {"ingestion_id": ledger, "states": ["SUCCESS"]}}
        done = any_api.post(f"/v1/files/{act}", chosen).json()
        assert (done["moved"], done["refused"]) == (0, 2)
        assert {one["state"] for one in done["refusals"]} == {"SUCCESS"}


def test_a_file_whose_batch_may_still_land_is_left_alone(any_api, ledger):
    ingestion_id = UUID(ledger)
    with any_api.database.session_scope() as session:
        run_id = file_rows_run(session, ingestion_id)
        waiting = file_rows.waiting(session, ingestion_id, 0, 10)
        batch = Batch(id=uuid4(), ingestion_id=ingestion_id, run_id=run_id, state=BatchState.CLAIMED.value)
        batch.file_count, batch.byte_count, batch.created_at = 1, 1, NOON
        batches.add(session, batch)
        file_rows.assign(session, ingestion_id, batch.id, waiting[0][0], waiting[0][0])
    answer = any_api.post(f"/v1/files/{waiting[0][0]}/skip")
    assert "may still land" in problem(answer, 409, "illegal-transition")["detail"]


def file_rows_run(session, ingestion_id):
    from app.repositories import runs

    return runs.running(session, ingestion_id)[0].id


def test_while_a_run_is_active_no_file_is_moved(any_api, ledger):
    from app.ingest.ports import SilentProgress

    held = lease_service.hold(any_api.database, any_api.settings, UUID(ledger), uuid4(), SilentProgress())
    with held:
        answer = any_api.post("/v1/files/retry", {"filter": {"ingestion_id": ledger, "states": ["FAILED"]}})
        assert problem(answer, 409, "lease-held")["retryable"]
        assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize(
    "selection",
    [
        {},
        {"ids": []},
        {"ids": ["1"], "filter": {"ingestion_id": str(uuid4()), "states": ["FAILED"]}},
        {"filter": {"states": ["FAILED"]}},
        {"filter": {"ingestion_id": str(uuid4()), "states": []}},
        {"filter": {"ingestion_id": str(uuid4()), "states": ["ODD"]}},
        {"ids": ["x"]},
        {"ids": [str(number) for number in range(1, 1002)]},
    ],
)
def test_a_selection_that_means_nothing_is_refused(api, selection):
    problem(api.post("/v1/files/forget", selection), 422, "invalid-input")


def test_files_of_several_ingestions_are_not_moved_in_one_call(any_api, ledger, shape):
    other = create(any_api, shape())["id"]
    run_id = add_run(any_api.database.engine, UUID(other))
    with any_api.database.session_scope() as session:
        file_rows.insert_new(session, UUID(other), run_id, [NewFile(found("/x"), FileState.SKIPPED)], NOON)
    ids = [id_of(any_api, ledger, "/data/0-SKIPPED"), id_of(any_api, other, "/x")]
    problem(any_api.post("/v1/files/retry", {"ids": ids}), 422, "invalid-input")


# --- as a person names them


def test_the_ledger_is_listed_in_order_of_discovery_of_one_ingestion_or_of_all(any_api, ledger):
    items = walked(any_api, f"/v1/ledger?ingestion_id={ledger}&limit=3")
    assert [one["path"] for one in items] == [f"/data/{n}-{state}" for n in range(2) for state in STATES]
    beyond = any_api.get(f"/v1/ledger?cursor={items[7]['id']}&state=DISCOVERED&path_contains=1-").json()
    assert items[9]["id"] in [one["id"] for one in beyond["items"]]
    problem(any_api.get(f"/v1/ledger?ingestion_id={uuid4()}"), 404, "not-found")


def test_a_file_is_found_by_its_path_its_end_or_its_id_with_its_history(any_api, ledger):
    path = "/data/0-FAILED"
    by_path = any_api.get(f"/v1/where?name={path}&ingestion_id={ledger}").json()
    by_end = any_api.get(f"/v1/where?name=0-FAILED&ingestion_id={ledger}").json()
    by_id = any_api.get(f"/v1/where?name={id_of(any_api, ledger, path)}").json()

    assert by_path == by_end == by_id
    assert [one["path"] for one in by_path["files"]] == [path]
    assert "history" in by_path["files"][0]


def test_a_name_that_no_ledger_has_is_explained(api, shape, landing):
    made = create(api, shape())
    put(landing, "_x.jsonl", rows(0, 1))
    seen = api.get(f"/v1/where?name={landing}/_x.jsonl").json()
    assert [(one["ingestion"], one["reason"]) for one in seen["explanations"]] == [(made["name"], "hidden")]


def test_files_are_moved_by_their_names_or_none_of_them(any_api, ledger):
    named = {"names": ["0-QUARANTINED", "/data/1-FAILED"], "ingestion_id": ledger}
    done = any_api.post("/v1/files/retry", {"named": named}).json()
    assert (done["moved"], [one["state"] for one in done["files"]]) == (2, ["DISCOVERED"] * 2)

    before = states(any_api, ledger)
    mixed = {"names": ["1-QUARANTINED", "0-SUCCESS"], "ingestion_id": ledger}
    problem(any_api.post("/v1/files/retry", {"named": mixed}), 409, "illegal-transition")
    unknown = {"names": ["1-QUARANTINED", "nowhere"], "ingestion_id": ledger}
    problem(any_api.post("/v1/files/skip", {"named": unknown}), 404, "not-found")
    assert states(any_api, ledger) == before


def test_a_move_tells_which_files_it_moved(any_api, ledger):
    wanted = {"filter": {"ingestion_id": ledger, "states": ["QUARANTINED", "SUCCESS"]}}
    done = any_api.post("/v1/files/forget", wanted).json()
    assert (done["moved"], done["refused"]) == (2, 2)
    assert [(one["path"], one["state"]) for one in done["files"]] == [
        (f"/data/{n}-QUARANTINED", "QUARANTINED") for n in range(2)
    ]
