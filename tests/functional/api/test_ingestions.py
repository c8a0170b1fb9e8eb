from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from app.repositories import ingestions, leases, runs
from app.services import lease_service
from app.values import RunState
from tests.fakes.ledger import add_run
from tests.functional.api.calls import create, problem, put, rows, walked

# --- create


def test_an_ingestion_that_is_created_can_be_read_where_the_answer_says(any_api, shape):
    wanted = shape(schedule={"cron": "*/15 * * * *", "timezone": "Europe/Berlin"})
    answer = any_api.post("/v1/ingestions", wanted)

    assert answer.status_code == 201
    made = any_api.get(answer.headers["location"])
    assert made.json() == answer.json()
    assert made.headers["etag"] == answer.headers["etag"]
    assert made.json()["config"]["schedule"]["cron"] == "*/15 * * * *"
    follows = made.json()["prefect"]
    assert (follows["sync"], follows["deployment_id"], follows["flow_id"]) == ("pending", None, None)
    assert "127.0.0.1:9" in follows["error"]  # nobody answers there, and the ingestion is made all the same
    assert (made.json()["state"], made.json()["revision"]) == ("active", 1)


def test_the_next_runs_of_a_schedule_are_told_in_its_zone_and_what_clocks_do_to_them(api, shape):
    made = create(api, shape(schedule={"cron": "30 2 * * *", "timezone": "Europe/Berlin"}))
    told = api.get(f"/v1/ingestions/{made['id']}/schedule?count=3").json()

    moments = [datetime.fromisoformat(one) for one in told["next"]]
    assert [one.strftime("%H:%M") for one in moments] == ["02:30"] * 3
    assert {one.utcoffset() for one in moments} <= {timedelta(hours=1), timedelta(hours=2)}
    assert any("Europe/Berlin" in sentence for sentence in told["warnings"])
    assert made["warnings"] == told["warnings"]


@pytest.mark.parametrize("more", [{}, {"paused": True, "schedule": {"interval_seconds": 60}}])
def test_what_runs_by_no_schedule_has_no_next_run(api, shape, more):
    made = create(api, shape(**more))
    told = api.get(f"/v1/ingestions/{made['id']}/schedule").json()
    assert told == {"ingestion_id": made["id"], "next": [], "warnings": []}


def test_a_connection_that_is_not_there_is_a_wrong_field_and_no_missing_page(api, shape):
    wanted = shape() | {"source": {"url": "s3://nowhere/x", "connection": "gone"}}
    found = problem(api.post("/v1/ingestions", wanted), 422, "invalid-input")
    assert [one["pointer"] for one in found["errors"]] == ["#/source/connection"]
    wanted = shape() | {"destination": {"table": "gone.a.b"}}
    found = problem(api.post("/v1/ingestions", wanted), 422, "invalid-input")
    assert [one["pointer"] for one in found["errors"]] == ["#/destination/table"]


def test_what_is_read_can_be_sent_back_as_it_is(api, shape):
    made = create(api, shape())
    answer = api.client.put(f"/v1/ingestions/{made['id']}", json=made["config"])
    assert answer.status_code == 200, answer.text
    assert answer.json()["config"] == made["config"]


@pytest.mark.parametrize("field", ["tenant_id", "id", "state", "revision", "prefect_sync", "owner", "deleted_at"])
def test_a_field_that_is_not_the_callers_is_refused(api, shape, field):
    found = problem(api.post("/v1/ingestions", shape() | {field: "x"}), 422, "invalid-input")
    assert found["errors"] == [
        {"in": "body", "pointer": f"#/{field}", "parameter": None, "detail": "there is no such field"}
    ]


@pytest.mark.parametrize(
    ("change", "pointer", "detail"),
    [
        ({"name": ""}, "#/name", "string should have at least 1 character"),
        ({"name": str(uuid4())}, "#/name", "a name must not look like an id"),
        ({"name": "a\x00b"}, "#/name", "a text must not hold a NUL character"),
        ({"source": {}}, "#/source/url", "this field is needed"),
        ({"source": {"url": "data/orders"}}, "#/source/url", "a path of the API's machine must begin with /"),
        ({"source": {"url": "/x", "start": "soon"}}, "#/source/start", "input should be 'everything' or 'now'"),
        ({"destination": {"table": "x"}}, "#/destination/table", "'x' is not a table name"),
        ({"format": {"type": "jsonl", "delimiter": ";"}}, "#/format", "delimiter"),
        ({"schedule": {"interval_seconds": 60, "cron": "* * * * *"}}, "#/schedule", "give one of cron"),
        ({"policies": {"batch_max_files": 10**30}}, "#/policies/batch_max_files", "less than"),
    ],
)
def test_a_field_that_cannot_be_right_is_named_with_what_is_wrong(api, shape, change, pointer, detail):
    found = problem(api.post("/v1/ingestions", shape() | change), 422, "invalid-input")
    assert [one for one in found["errors"] if one["pointer"] == pointer and detail in one["detail"]], found
    assert found["hint"]


def test_what_a_caller_sent_is_not_repeated_in_the_refusal(api, shape):
    sent = shape() | {"source": {"url": "s3://KEY:hunter2hunter2@bucket/x"}, "colour": "hunter2hunter2"}
    assert "hunter2" not in api.post("/v1/ingestions", sent).text


def test_an_address_with_a_password_is_refused_without_showing_it(api, shape):
    answer = api.post("/v1/ingestions", shape(source={"url": "s3://KEY:hunter2hunter2@bucket/x"}))
    assert "hunter2" not in str(problem(answer, 422, "invalid-input"))


def test_a_name_or_a_source_that_is_taken_is_a_conflict_that_says_what_to_do(any_api, shape):
    first = shape()
    create(any_api, first)
    assert "already" in problem(any_api.post("/v1/ingestions", first), 409, "conflict")["detail"]
    overlapping = shape(destination=first["destination"])
    assert "loaded twice" in problem(any_api.post("/v1/ingestions", overlapping), 409, "conflict")["detail"]


# --- list


@pytest.fixture
def five(any_api, shape):
    """Five ingestions of one kind: found by a word in their names."""
    word = f"w{uuid4().hex[:8]}"
    made = []
    for number in range(5):
        source = {"url": f"/data/{word}/{number}"}
        made.append(create(any_api, shape(name=f"{word}-{number}", source=source, paused=number % 2 == 1)))
    return word, made


@pytest.mark.parametrize("sort", ["name", "-name", "created_at", "-created_at", "updated_at", "-updated_at"])
def test_pages_hold_each_ingestion_once_in_order(any_api, five, sort):
    word, made = five
    items = walked(any_api, f"/v1/ingestions?search={word.upper()}&limit=2&sort={sort}")

    expected = [one["name"] for one in made]
    assert [one["name"] for one in items] == (expected[::-1] if sort.startswith("-") else expected)


def test_a_page_goes_on_behind_its_cursor_though_rows_came_and_went(any_api, five, shape):
    word, made = five
    first = any_api.get(f"/v1/ingestions?search={word}&limit=2").json()
    any_api.client.delete(f"/v1/ingestions/{made[0]['id']}")
    create(any_api, shape(name=f"{word}-00", source={"url": f"/data/{word}/00"}))
    second = any_api.get(f"/v1/ingestions?search={word}&limit=9&cursor={first['next_cursor']}").json()

    assert [one["name"] for one in second["items"]] == [f"{word}-{number}" for number in (2, 3, 4)]


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("state=paused", [1, 3]),
        ("state=active", [0, 2, 4]),
        ("state=blocked", []),
        ("format=jsonl&work_queue=auto&prefect_sync=pending", [0, 1, 2, 3, 4]),
        ("format=csv", []),
        ("prefect_sync=error", []),
        ("connection=shop", []),
    ],
)
def test_a_list_is_filtered(any_api, five, query, numbers):
    word, made = five
    items = walked(any_api, f"/v1/ingestions?search={word}&{query}")
    assert [one["name"] for one in items] == [made[number]["name"] for number in numbers]


def test_a_list_is_filtered_by_name_and_by_table(any_api, five):
    _, made = five
    one = made[2]
    assert [i["id"] for i in walked(any_api, f"/v1/ingestions?name={one['name']}")] == [one["id"]]
    short = one["table"].removeprefix("local.")
    for table in (one["table"], short):
        assert [i["id"] for i in walked(any_api, f"/v1/ingestions?table={table}")] == [one["id"]]


@pytest.mark.parametrize("mark", ["%", "_", "\\"])
def test_signs_of_a_pattern_search_for_themselves(any_api, shape, mark):
    create(any_api, shape())
    assert any_api.get("/v1/ingestions", params={"search": mark}).json()["items"] == []


def test_a_cursor_of_another_list_or_a_damaged_one_is_refused(any_api, five):
    word, _ = five
    cursor = any_api.get(f"/v1/ingestions?search={word}&limit=2").json()["next_cursor"]
    for query in (
        f"search={word}&cursor={cursor}&sort=-name",
        f"search=x&cursor={cursor}",
        "cursor=x",
        "cursor=W10",
        "cursor=WyIiLG51bGwsMV0",
        f"cursor={cursor}",
    ):
        found = problem(any_api.get(f"/v1/ingestions?{query}"), 422, "invalid-input")
        assert found["errors"][0]["parameter"] == "cursor", query


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=x", "sort=colour", "state=odd", "search=%00"])
def test_a_parameter_that_cannot_be_right_is_named(api, query):
    found = problem(api.get(f"/v1/ingestions?{query}"), 422, "invalid-input")
    assert found["errors"][0]["in"] == "query"
    assert found["errors"][0]["parameter"] == query.partition("=")[0]


def test_a_parameter_that_is_not_there_is_refused_with_the_one_that_is_meant(api):
    found = problem(api.get("/v1/ingestions?limt=5"), 422, "invalid-input")
    assert "is limit meant?" in found["detail"]


def test_a_blocked_ingestion_is_found_as_one_and_says_why(any_api, shape, blocked):
    made = create(any_api, shape())
    blocked(any_api.database, UUID(made["id"]), "Nobody can tell.")

    assert any_api.get(f"/v1/ingestions/{made['id']}").json()["blocked"] == "Nobody can tell."
    found = [i for i in walked(any_api, "/v1/ingestions?state=blocked") if i["id"] == made["id"]]
    assert [(one["state"], one["blocked"]) for one in found] == [("blocked", "Nobody can tell.")]
    evidence = any_api.get(f"/v1/ingestions/{made['id']}/blocked").json()["items"]
    assert [one["found"] for one in evidence] == ["Nobody can tell."]


# --- read, change


def test_who_has_it_already_is_told_so_until_something_is_new(any_api, shape):
    made = create(any_api, shape())
    path = f"/v1/ingestions/{made['id']}"
    tag = any_api.get(path).headers["etag"]

    again = any_api.get(path, headers={"If-None-Match": tag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    add_run(any_api.database.engine, UUID(made["id"]))
    assert any_api.get(path, headers={"If-None-Match": tag}).status_code == 200


def test_a_change_from_an_old_reading_is_refused(any_api, shape):
    made = create(any_api, shape())
    path = f"/v1/ingestions/{made['id']}"
    old = any_api.get(path).headers["etag"]
    new = any_api.client.patch(path, json={"schedule": {"interval_seconds": 60}}, headers={"If-Match": old})
    assert (new.status_code, new.json()["revision"]) == (200, 2)

    for answer in (
        any_api.client.put(path, json=made["config"], headers={"If-Match": old}),
        any_api.client.patch(path, json={"schedule": None}, headers={"If-Match": old}),
        any_api.client.delete(path, headers={"If-Match": old}),
        any_api.client.delete(path, headers={"If-Match": '"of another"'}),
    ):
        problem(answer, 412, "stale-revision")
    assert any_api.get(path).json()["config"]["schedule"]["interval_seconds"] == 60
    assert any_api.client.delete(path, headers={"If-Match": new.headers["etag"]}).status_code == 200


def test_files_and_runs_do_not_make_a_change_stale(api, shape):
    made = create(api, shape())
    path = f"/v1/ingestions/{made['id']}"
    tag = api.get(path).headers["etag"]
    add_run(api.database.engine, UUID(made["id"]))
    assert api.client.patch(path, json={"paused": True}, headers={"If-Match": tag}).status_code == 200


def test_a_patch_sets_what_it_names_and_null_gives_the_default(any_api, shape):
    made = create(any_api, shape(schedule={"cron": "0 3 * * *"}, policies={"on_change": "append"}))
    path = f"/v1/ingestions/{made['id']}"
    kind = {"Content-Type": "application/merge-patch+json"}
    patch = b'{"schedule": null, "policies": {"on_change": null, "max_errors": "5%"}}'
    config = any_api.client.patch(path, content=patch, headers=kind).json()["config"]

    assert config["schedule"] is None
    assert (config["policies"]["on_change"], config["policies"]["max_errors"]) == ("ignore", "5%")
    assert config["source"] == made["config"]["source"]


def test_a_patch_that_makes_something_impossible_names_the_field(api, shape):
    made = create(api, shape())
    answer = api.client.patch(f"/v1/ingestions/{made['id']}", json={"source": {"urll": "x"}, "format": {"type": "xml"}})
    found = problem(answer, 422, "invalid-input")
    assert {one["pointer"] for one in found["errors"]} == {"#/source/urll", "#/format/type"}


def test_patches_of_different_fields_at_the_same_moment_are_all_kept(any_api, shape):
    made = create(any_api, shape())
    path = f"/v1/ingestions/{made['id']}"
    patches = [
        {"schedule": {"interval_seconds": 60}},
        {"policies": {"max_errors": "7"}},
        {"work_queue": "high_memory"},
        {"source": {"exclude": ["*.tmp"]}},
    ]
    barrier, answers = threading.Barrier(len(patches)), []

    def change(patch):
        barrier.wait(180)
        answers.append(any_api.client.patch(path, json=patch).status_code)

    threads = [threading.Thread(target=change, args=(patch,)) for patch in patches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    config = any_api.get(path).json()["config"]
    assert answers == [200] * 4
    assert config["schedule"]["interval_seconds"] == 60
    assert (config["policies"]["max_errors"], config["work_queue"]) == ("7", "high_memory")
    assert config["source"]["exclude"] == ["*.tmp"]


def test_a_replacement_that_does_not_speak_of_pausing_does_not_resume(api, shape):
    wanted = shape()
    made = create(api, wanted)
    path = f"/v1/ingestions/{made['id']}"
    assert api.post(f"{path}/pause").json()["state"] == "paused"

    assert api.client.put(path, json=wanted).json()["state"] == "paused"
    assert api.client.put(path, json=wanted | {"paused": False}).json()["state"] == "active"


def test_source_and_table_cannot_be_changed(api, shape):
    wanted = shape()
    made = create(api, wanted)
    other = wanted | {"destination": {"table": "api.other"}}
    found = problem(api.client.put(f"/v1/ingestions/{made['id']}", json=other), 409, "conflict")
    assert "neither can be changed" in found["detail"]


def test_pausing_twice_is_pausing_once(any_api, shape):
    made = create(any_api, shape())
    path = f"/v1/ingestions/{made['id']}"
    assert [any_api.post(f"{path}/pause").json()["revision"] for _ in range(2)] == [2, 2]
    problem(any_api.post(f"{path}/run"), 409, "conflict")
    assert any_api.post(f"{path}/resume").json()["state"] == "active"
    assert any_api.post(f"{path}/run").status_code == 202


def test_a_call_that_takes_no_body_refuses_one(api, shape):
    made = create(api, shape())
    problem(api.post(f"/v1/ingestions/{made['id']}/pause", {"paused": False}), 422, "invalid-input")


# --- run


def test_a_wish_for_a_run_is_stored_before_it_is_answered(any_api, shape):
    made = create(any_api, shape())
    answer = any_api.post(f"/v1/ingestions/{made['id']}/run")

    assert answer.status_code == 202
    wish = answer.json()
    assert (wish["kind"], wish["state"], wish["flow_run_id"]) == ("manual", "waiting", None)
    assert any_api.get(f"/v1/triggers/{wish['id']}").json() == wish
    unknown = problem(any_api.get(f"/v1/triggers/{uuid4()}"), 404, "not-found")
    assert "forgotten after 604800 seconds (TRIGGER_KEEP_SECONDS); GET /v1/runs still has its run." in unknown["hint"]


# --- delete


@pytest.fixture
def running(any_api, shape):
    """An ingestion with a run that holds its lease, as the database has it."""
    made = create(any_api, shape())
    ingestion_id = UUID(made["id"])
    run_id = add_run(any_api.database.engine, ingestion_id)
    with any_api.database.session_scope() as session:
        leases.create(session, ingestion_id)
        seen = leases.read(session, ingestion_id)
        leases.take(session, seen, lease_service._this_process(), run_id, 60.0)
    return made, run_id


def run_state(api, run_id):
    with api.database.session_scope() as session:
        return runs.by_id(session, run_id).state


def test_deleting_is_refused_while_a_run_is_active_unless_it_is_said_what_becomes_of_it(any_api, running):
    made, run_id = running
    path = f"/v1/ingestions/{made['id']}"
    found = problem(any_api.client.delete(path), 409, "lease-held")
    assert str(run_id) in found["detail"]
    assert "running=cancel" in found["hint"]
    assert any_api.get(path).status_code == 200


@pytest.mark.parametrize(
    ("running_parameter", "fate", "state"),
    [("cancel", "cancelled", RunState.CANCELLED), ("finish", "goes-on", RunState.RUNNING)],
)
def test_deleting_says_what_became_of_the_active_run(any_api, running, running_parameter, fate, state):
    made, run_id = running
    done = any_api.client.delete(f"/v1/ingestions/{made['id']}?running={running_parameter}").json()

    assert (done["running"], done["run_id"]) == (fate, str(run_id))
    assert run_state(any_api, run_id) == state


def test_deleting_keeps_table_and_ledger_and_making_it_again_goes_on(api, shape, landing):
    put(landing, "a.jsonl", rows(0, 3))
    wanted = shape()
    made = create(api, wanted)
    api.run(made["id"])
    done = api.client.delete(f"/v1/ingestions/{made['id']}").json()

    assert (done["table_stays"], done["ledger_stays"], done["files"]) == (True, True, {"SUCCESS": 1})
    problem(api.get(f"/v1/ingestions/{made['id']}"), 404, "not-found")
    assert made["id"] not in {one["id"] for one in walked(api, "/v1/ingestions?limit=200")}
    again = create(api, wanted)
    assert again["id"] == made["id"]
    assert again["files"] == {"SUCCESS": 1}
    assert api.get(f"/v1/ingestions/{made['id']}/estimate").json()["new_files"] == 0


def test_a_deletion_waits_in_the_database_for_prefect(api, shape):
    made = create(api, shape())
    with api.database.session_scope() as session:
        ingestions.by_id(session, UUID(made["id"])).prefect_sync = "in_sync"
    api.client.delete(f"/v1/ingestions/{made['id']}")
    with api.database.session_scope() as session:
        row = ingestions.by_id(session, UUID(made["id"]))
        assert (row.prefect_sync, row.deleted_at is not None) == ("pending", True)
        assert row.deleted_at <= datetime.now(UTC)


def test_a_list_with_details_shows_each_as_it_is_read_alone(any_api, shape):
    made = create(any_api, shape())
    [seen] = any_api.get(f"/v1/ingestions?details=true&name={made['name']}").json()["items"]
    assert seen == any_api.get(f"/v1/ingestions/{made['id']}").json()
