"""What the API refuses before any handler sees it, and how it answers whatever else goes wrong."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from app.api.guard import Guard
from app.api.state import State
from app.errors import InvalidInput
from app.main import create_app
from tests.functional.api.calls import problem
from tests.functional.api.conftest import Served, serving, settings_of

KEY = "correct-horse-battery-staple"
EVERYWHERE = "0.0.0.0"  # noqa: S104 - what must not stand open


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """An API with a key, on loopback, over a database that is not migrated."""
    with serving(settings_of(tmp_path_factory.mktemp("guarded"), autoloader_api_key=KEY)) as served:
        yield served


# --- keys


@pytest.mark.parametrize("host", [EVERYWHERE, "::", "10.1.2.3", "example.com"])
def test_where_others_reach_it_the_api_does_not_start_without_a_key(tmp_path, host):
    with pytest.raises(InvalidInput, match="without a key") as refused:
        create_app(settings_of(tmp_path, autoloader_api_host=host))
    assert "AUTOLOADER_API_KEY" in refused.value.hint
    create_app(settings_of(tmp_path, autoloader_api_host=host, autoloader_api_key=KEY))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.9.9.9"])
def test_on_loopback_it_needs_none(tmp_path, host):
    create_app(settings_of(tmp_path, autoloader_api_host=host))


def test_a_key_that_can_be_guessed_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match="has 15 characters"):
        create_app(settings_of(tmp_path, autoloader_api_key="x" * 15))


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-API-Key": "wrong"},
        {"X-API-Key": KEY[:-1]},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {KEY}"},
        {"Authorization": KEY},
        {"X-API-Key": b"\xff\xfe"},
    ],
)
@pytest.mark.parametrize("path", ["/v1/ingestions", "/openapi.json", "/version", "/nowhere"])
def test_where_there_is_a_key_every_call_must_carry_it(guarded, headers, path):
    answer = guarded.get(path, headers=headers)
    problem(answer, 401, "not-authenticated")
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert KEY not in answer.text


@pytest.mark.parametrize(
    "headers", [{"X-API-Key": KEY}, {"Authorization": f"Bearer {KEY}"}, {"authorization": f"bearer {KEY}"}]
)
def test_the_key_is_taken_in_either_header(guarded, headers):
    assert guarded.get("/openapi.json", headers=headers).status_code == 200


def test_health_is_open(guarded):
    assert guarded.get("/health/live").json() == {"status": "live"}
    answer = guarded.get("/health/ready")
    assert (answer.status_code, answer.json()["ready"]) == (503, False)


# --- browsers


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "evil.example:4280", "localhost@evil", "[::2]"]
)
def test_a_name_that_somebody_else_owns_is_refused_on_loopback(api, host):
    problem(api.get("/v1/ingestions", headers={"Host": host}), 421, "wrong-host")
    problem(api.get("/health/live", headers={"Host": host}), 421, "wrong-host")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:80", "127.0.0.1:1", "[::1]:4280"])
def test_its_own_names_are_taken(api, host):
    assert api.get("/health/live", headers={"Host": host}).status_code == 200


def test_behind_another_address_any_name_is_taken_for_there_is_a_key(tmp_path):
    settings = settings_of(tmp_path, autoloader_api_host=EVERYWHERE, autoloader_api_key=KEY)
    with serving(settings) as served:
        assert served.get("/health/live", headers={"Host": "autoloader.example.com"}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_page_of_another_site_can_change_nothing(api, headers):
    for answer in (
        api.post("/v1/ingestions/3f6c1f0e-7d55-4b0e-9d7c-0f3f1a2b4c5d/run", headers=headers),
        api.post("/v1/ingestions/3f6c1f0e-7d55-4b0e-9d7c-0f3f1a2b4c5d/notify", headers=headers),
        api.client.delete("/v1/connections/x", headers=headers),
    ):
        problem(answer, 403, "cross-site")


def test_a_page_of_its_own_may(api):
    headers = {"Origin": api.url, "Sec-Fetch-Site": "same-origin"}
    problem(api.client.delete("/v1/connections/nobody", headers=headers), 404, "not-found")


def test_nothing_is_shared_with_other_sites(api):
    headers = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    for answer in (
        api.get("/v1/ingestions", headers=headers),
        api.client.options("/v1/ingestions", headers=headers),
    ):
        assert [name for name in answer.headers if name.startswith("access-control")] == []


# --- bodies


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "application/xml"],
)
def test_a_body_that_a_form_can_send_is_refused(api, kind):
    for path in ("/v1/ingestions", "/v1/preview"):
        answer = api.post(path, content=b'{"name": "x"}', headers={"Content-Type": kind} if kind else {})
        problem(answer, 415, "unsupported-media-type")


@pytest.mark.parametrize("body", [b"{", b"", b"\xff", b"[" * 200_000, b'{"a": ' + b"9" * 5000 + b"}"])
def test_a_body_that_is_no_json_is_refused(api, body):
    answer = api.post("/v1/ingestions", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in {400, 422}
    assert answer.headers["content-type"] == "application/problem+json"


def test_numbers_that_json_does_not_have_are_refused(api, shape):
    sent = str(shape()).replace("'", '"')[:-1]
    for number in ("NaN", "Infinity", "-Infinity", "1e999"):
        body = sent + f', "schedule": {{"interval_seconds": {number}}}}}'
        answer = api.post("/v1/ingestions", content=body, headers={"Content-Type": "application/json"})
        problem(answer, 422, "invalid-input")


def test_a_body_that_is_too_large_is_refused_whether_it_says_so_or_not(api):
    kind = {"Content-Type": "application/json"}
    problem(api.post("/v1/ingestions", content=b" " * (2**20 + 1), headers=kind), 413, "call-too-large")
    pieces = (b" " * 2**16 for _ in range(20))
    problem(api.post("/v1/ingestions", content=pieces, headers=kind), 413, "call-too-large")


# --- answers


def test_every_answer_has_an_id_and_tells_browsers_to_be_careful(api):
    for path in ("/version", "/nowhere", "/v1/ingestions?x=1"):
        answer = api.get(path, headers={"X-Request-ID": "my-call.1"})
        assert answer.headers["x-request-id"] == "my-call.1"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"


def test_an_id_that_could_forge_a_line_of_the_log_is_not_taken(api):
    for given in ("a b", "x" * 65, "a\tb"):
        assert api.get("/version", headers={"X-Request-ID": given}).headers["x-request-id"] != given


def test_a_path_or_a_method_that_is_not_there_is_a_problem_too(api):
    problem(api.get("/v2/ingestions"), 404, "not-found")
    problem(api.get("/v1/ingestions/"), 404, "not-found")
    answer = api.client.put("/v1/ingestions", json={})
    assert "GET" in problem(answer, 405, "method-not-allowed")["hint"]
    problem(api.get("/v1/ingestions/not-an-id"), 422, "invalid-input")


def test_a_fault_of_the_program_shows_nothing_of_itself(api, monkeypatch, capfd):
    from app.services.ingestion_query_service import IngestionQueryService

    def fail(*args: object) -> None:
        message = "SELECT secret FROM connections"
        raise RuntimeError(message)

    monkeypatch.setattr(IngestionQueryService, "page", fail)
    answer = api.get("/v1/ingestions")
    found = problem(answer, 500, "internal")

    assert "SELECT" not in answer.text
    assert "Traceback" not in answer.text
    told = capfd.readouterr().err
    assert found["request_id"] in told
    assert "RuntimeError" in told


def test_without_a_database_it_says_so_and_that_trying_again_can_help(tmp_path):
    with serving(settings_of(tmp_path, database_url="postgresql://nobody@127.0.0.1:9/nothing")) as served:
        answer = served.get("/v1/ingestions")
        assert problem(answer, 503, "database-unavailable")["retryable"]
        assert answer.headers["retry-after"]
        assert served.get("/health/live").status_code == 200
        assert served.get("/health/ready").status_code == 503


def test_with_a_database_that_is_not_migrated_it_says_how_to_migrate_it(guarded):
    found = problem(guarded.get("/v1/ingestions", headers={"X-API-Key": KEY}), 503, "database-not-migrated")
    assert "autoloader db upgrade" in found["hint"]


def test_without_prefect_it_is_ready_and_says_what_that_means(any_api):
    found = any_api.get("/health/ready").json()
    assert found["ready"]
    assert {part["name"]: part["state"] for part in found["parts"]} == {"database": "ok", "prefect": "degraded"}


def test_calls_that_take_long_do_not_keep_all_others_waiting(api, shape):
    made = api.post("/v1/ingestions", shape()).json()
    state = _state(api)
    taken = [state.long_calls.acquire(blocking=False) for _ in range(4)]
    try:
        answer = api.get(f"/v1/ingestions/{made['id']}/estimate")
        problem(answer, 429, "too-busy")
        assert answer.headers["retry-after"] == "1"
        assert api.get(f"/v1/ingestions/{made['id']}").status_code == 200
    finally:
        for _ in filter(None, taken):
            state.long_calls.release()
    assert api.get(f"/v1/ingestions/{made['id']}/estimate").status_code == 200


def _state(api: Served) -> State:
    found: State = api.app.state.autoloader
    return found


def test_a_call_that_is_no_http_is_refused_without_a_trace(api):
    with pytest.raises(httpx.HTTPError):
        httpx.get(api.url.replace("http", "https", 1), trust_env=False)
    assert api.get("/health/live").status_code == 200


@pytest.mark.parametrize(("server", "passes"), [("127.0.0.1", True), ("::1", True), ("10.0.0.7", False)])
def test_without_a_key_nobody_gets_in_from_a_network_whatever_the_server_was_bound_to(tmp_path, server, passes):
    told = []

    async def inner(scope, receive, send):
        told.append("in")

    async def send(message):
        told.append(message.get("status"))

    scope = {
        "type": "http", "method": "GET", "path": "/v1/ingestions", "headers": [(b"host", b"127.0.0.1")],
        "server": (server, 4280), "request_id": "r",
    }  # fmt: skip
    asyncio.run(Guard(inner, settings_of(tmp_path))(scope, None, send))
    assert told[0] == ("in" if passes else 421)
