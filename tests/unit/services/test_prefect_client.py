"""Every fault on the way to Prefect comes out in our words, after few tries, within the time that is set."""

from __future__ import annotations

import inspect
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import prefect.exceptions
import pytest

from app.config import Settings
from app.errors import NotFound, PrefectError, PrefectRefused, PrefectUnavailable
from app.services.prefect_client import PrefectConnection, prefect_errors

REQUEST = httpx.Request("GET", "http://prefect/api/flows")
HTTPX = [
    item
    for _, item in inspect.getmembers(httpx, inspect.isclass)
    if issubclass(item, httpx.HTTPError | httpx.InvalidURL | httpx.StreamError | httpx.CookieConflict)
]
PREFECT = [
    item
    for _, item in inspect.getmembers(prefect.exceptions, inspect.isclass)
    if issubclass(item, prefect.exceptions.PrefectException)
]


def answer(status: int, body: object = None) -> httpx.Response:
    return httpx.Response(status, json=body, request=REQUEST)


def instance(kind: type[Exception]) -> Exception:
    """One of its kind, without the arguments that each asks for."""
    made = kind.__new__(kind)
    Exception.__init__(made, "it went wrong")
    made.help_message = ""  # type: ignore[attr-defined]
    if issubclass(kind, httpx.HTTPStatusError):
        made.response = answer(418)  # type: ignore[attr-defined]
    return made


def throw(error: Exception) -> None:
    raise error


def translated(error: Exception) -> Any:
    try:
        with prefect_errors("http://prefect/api"):
            throw(error)
    except Exception as out:  # noqa: BLE001 - whatever it is, it is what is looked at
        return out


@pytest.mark.parametrize("kind", [*HTTPX, *PREFECT], ids=lambda item: item.__name__)
def test_no_fault_of_the_vendors_is_left_as_it_is(kind):
    assert isinstance(translated(instance(kind)), PrefectError)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_what_may_be_answered_later_can_be_tried_again(status):
    error = translated(httpx.HTTPStatusError("", request=REQUEST, response=answer(status, {})))

    assert (type(error), error.retryable) == (PrefectUnavailable, True)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422])
def test_a_refusal_is_final_and_says_what_was_answered(status):
    error = translated(httpx.HTTPStatusError("", request=REQUEST, response=answer(status, {"detail": "No such pool."})))

    assert (type(error), error.retryable, error.answer) == (PrefectRefused, False, status)
    assert "No such pool." in error.message


def test_a_refused_field_is_named_and_the_request_is_not_repeated():
    body = {
        "exception_message": "Invalid request received.",
        "exception_detail": [{"loc": ["body", "schedules", 0, "cron"], "msg": "Invalid cron string", "input": "x"}],
        "request_body": {"secret": "hunter2"},
    }
    error = translated(httpx.HTTPStatusError("", request=REQUEST, response=answer(422, body)))

    assert str(error) == (
        "Prefect refuses it (422: body.schedules.0.cron: Invalid cron string)."
        " Mend the ingestion's schedule or queue, then: autoloader prefect sync"
    )


@pytest.mark.parametrize("error", [KeyError("bug"), NotFound("ours")])
def test_what_is_no_fault_of_prefect_passes_unchanged(error):
    assert translated(error) is error


class Answers(BaseHTTPRequestHandler):
    """Answers each request as the test says, and counts them."""

    count = 0
    act: Callable[[BaseHTTPRequestHandler], None]

    def do_GET(self) -> None:
        type(self).count += 1
        type(self).act(self)

    def log_message(self, *arguments: object) -> None:
        pass


def say(status: int, body: bytes, **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def act(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return act


@contextmanager
def server(
    act: Callable[[BaseHTTPRequestHandler], None], seconds: float = 5.0
) -> Iterator[tuple[PrefectConnection, type[Answers]]]:
    handler = type("Handler", (Answers,), {"act": staticmethod(act), "count": 0})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        thread = threading.Thread(target=http.serve_forever, args=(0.02,))
        thread.start()
        url = f"http://127.0.0.1:{http.server_port}/api"
        try:
            settings = Settings(prefect_api_url=url, prefect_request_timeout_seconds=seconds, _env_file=None)
            with PrefectConnection(settings) as connection:
                yield connection, handler
        finally:
            http.shutdown()
            thread.join()


def ask(connection: PrefectConnection) -> object:
    with connection.requests() as client:
        return client.api_version()


BUSY = say(503, json.dumps({"exception_message": "Service Unavailable"}).encode(), Retry_After="30")


def test_a_busy_server_is_asked_again_for_the_time_of_one_request_and_no_longer():
    with server(BUSY, seconds=0.6) as (connection, seen):
        with pytest.raises(PrefectUnavailable, match="Service Unavailable"):
            ask(connection)

        assert 2 <= seen.count <= 3  # on a busy machine one try less fits in


def test_a_server_that_was_busy_for_a_moment_answers():
    answers = [say(200, b'"0.8.4"'), BUSY]

    def act(handler: BaseHTTPRequestHandler) -> None:
        answers.pop()(handler)

    with server(act) as (connection, seen):
        assert (ask(connection), seen.count) == ("0.8.4", 2)


def test_a_server_that_hangs_is_given_up_in_time():
    release = threading.Event()
    with server(lambda handler: release.wait(10) and None, seconds=0.5) as (connection, seen):
        begun = time.monotonic()
        with pytest.raises(PrefectUnavailable):
            ask(connection)
        took = time.monotonic() - begun
        release.set()

        assert took < 5
        assert seen.count == 1


def test_an_answer_that_is_cut_off_can_be_asked_for_again():
    with server(say(200, b'"0.8', Content_Length="200")) as (connection, _), pytest.raises(PrefectUnavailable):
        ask(connection)


def test_a_page_that_is_no_answer_of_prefect_says_to_look_at_the_address():
    with (
        server(say(200, b"<html>Welcome</html>", Content_Type="text/html")) as (connection, _),
        pytest.raises(PrefectRefused) as refused,
    ):
        ask(connection)

    assert refused.value.hint == "Check that PREFECT_API_URL is the address of a Prefect server, /api included."


def test_nobody_at_the_address_is_unavailable_and_says_where():
    settings = Settings(prefect_api_url="http://127.0.0.1:9/api", _env_file=None)
    with PrefectConnection(settings) as connection, pytest.raises(PrefectUnavailable, match=r"127\.0\.0\.1:9"):
        ask(connection)
