"""A server that is away, wants another key, is something else, or of another version; and what it cannot do."""

from __future__ import annotations

import json
import socket
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from app.config import get_settings
from app.remote import http
from tests.functional.api.conftest import serving, settings_of
from tests.functional.cli.conftest import put, rows

KEY = "canary-9d0c2b7a41e6"


@contextmanager
def answering(answer):
    """Something that answers each call with what `answer(method, path, headers)` says: status, type, body."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            length = int(self.headers.get("Content-Length", 0))
            self.rfile.read(length)
            found = answer(self.command, self.path, self.headers)
            if found is None:
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            status, kind, body = found
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_DELETE = do_PUT = do_GET  # noqa: N815 - names of the library

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(http, "_PAUSES", (0.01, 0.01))


def page(status, body, kind="application/json"):
    return status, kind, json.dumps(body).encode()


def problem(status, code, **more):
    body = {"status": status, "code": code, "detail": "It is so.", "hint": "", **more}
    return page(status, body, "application/problem+json")


def test_a_server_that_is_away_is_told_with_the_next_step(cli):
    ran = cli("--server", "http://127.0.0.1:9", "runs", "list")

    assert ran.code == 1
    assert ran.err.startswith("Error: The server http://127.0.0.1:9 cannot be reached: ")
    assert ran.err.count("\n") == 2
    assert "--embedded" in ran.err


def test_a_wrong_key_and_a_missing_one_are_told_apart_and_never_repeated(cli, home, monkeypatch):
    with serving(settings_of(home, autoloader_api_key=KEY, reconcile_in_api=False)) as served:
        missing = cli("--server", served.url, "runs", "list")
        monkeypatch.setenv("AUTOLOADER_API_KEY", "canary-of-somebody-else")
        get_settings.cache_clear()
        wrong = cli("--server", served.url, "runs", "list", "--json")
        monkeypatch.setenv("AUTOLOADER_API_KEY", KEY)
        get_settings.cache_clear()
        right = cli("--server", served.url, "runs", "list")

    assert missing.err.startswith(f"Error: The server {served.url} asks for a key.\nNext: Set AUTOLOADER_API_KEY")
    assert wrong.answer["error"] == "not-authenticated"
    assert "does not take the key of AUTOLOADER_API_KEY" in wrong.answer["message"]
    assert right.code == 0
    assert "canary" not in missing.err + wrong.out + wrong.err


@pytest.mark.parametrize(
    "answer",
    [
        (200, "text/html", b"<html>Welcome</html>"),
        (404, "text/html", b"<html>Not here</html>"),
        (404, "application/json", b'{"detail": "Not Found"}'),
        (302, "text/plain", b""),
        (200, "application/json", b"[]"),
        (200, "application/json", b'{"items": "none"}'),
        (403, "text/plain", b"sign in first"),
        (500, "text/plain", b"\xff\x00"),
    ],
)
def test_something_else_that_answers_is_no_autoloader(cli, answer):
    with answering(lambda *_: answer) as url:
        ran = cli("--server", url, "runs", "list", "--json")

    assert (ran.code, ran.answer["error"]) == (1, "not-an-autoloader")
    assert ran.answer["message"].startswith(f"What answers at {url} is no Autoloader: ")
    assert "autoloader api" in ran.answer["hint"]


@pytest.mark.parametrize(
    "answer",
    [
        page(200, {"items": [{"id": 1}], "next_cursor": None}),
        problem(404, "not-found", detail="There is no such path."),
        problem(422, "invalid-input", errors=[{"in": "query", "detail": "there is no such parameter"}]),
    ],
)
def test_a_server_of_another_version_says_which_one(cli, answer):
    version = page(200, {"version": "0.0.1", "api": "v1", "python": "3.11"})
    with answering(lambda _, path, __: version if path == "/version" else answer) as url:
        ran = cli("--server", url, "runs", "show", "abcdef", "--json")

    assert ran.answer["error"] == "version-mismatch"
    assert "is of version 0.0.1" in ran.answer["message"]


def test_a_code_of_a_newer_server_is_kept_and_its_exit_code_is_that_of_an_error(cli):
    with answering(lambda *_: problem(409, "of-tomorrow", hint="Wait.")) as url:
        ran = cli("--server", url, "runs", "list", "--json")

    assert (ran.code, ran.answer) == (1, {"error": "of-tomorrow", "message": "It is so.", "hint": "Wait."})


@pytest.mark.parametrize(("code", "exit_code"), [("lease-held", 4), ("ingestion-blocked", 5), ("conflict", 1)])
def test_the_exit_code_is_that_of_the_same_error_without_a_server(cli, code, exit_code):
    with answering(lambda *_: problem(409, code)) as url:
        assert cli("--server", url, "runs", "list").code == exit_code


def test_a_call_whose_answer_is_lost_is_made_again_and_one_that_is_not_safe_is_not(cli):
    calls = []

    def answer(method, path, headers):
        calls.append((method, path.partition("?")[0], headers.get("Idempotency-Key")))
        return None if len(calls) % 3 else page(200, {"items": [], "next_cursor": None})

    with answering(answer) as url:
        listed = cli("--server", url, "runs", "list")
        assert (listed.code, len(calls)) == (0, 3)
        calls.clear()
        cancelled = cli("--server", url, "files", "skip", "x")

    assert [call[:2] for call in calls] == [("POST", "/v1/files/skip")]
    assert cancelled.err.startswith(f"Error: The call of the server {url} broke off")


def test_a_call_that_makes_something_carries_one_key_however_often_it_is_sent(cli):
    calls = []

    def answer(method, path, headers):
        calls.append(headers.get("Idempotency-Key"))
        return problem(429, "too-busy") if len(calls) < 3 else problem(409, "conflict")

    with answering(answer) as url:
        assert cli("--server", url, "connections", "add", "shop", "s3", "-o", "region=x").code == 1

    assert len(calls) == 3
    assert len(set(calls)) == 1
    assert calls[0]


def test_a_deletion_whose_answer_was_lost_is_a_deletion(cli):
    answers = [None, problem(404, "not-found")]
    with answering(lambda *_: answers.pop(0)) as url:
        assert cli("--server", url, "connections", "remove", "shop", "--yes").out == "Removed shop.\n"


def test_a_server_that_does_not_answer_in_time_is_left(cli, monkeypatch):
    monkeypatch.setattr(http.Server.get, "__kwdefaults__", {"seconds": 0.2})
    gone = threading.Event()
    with answering(lambda *_: gone.wait(30) and None) as url:
        begun = time.monotonic()
        ran = cli("--server", url, "connections", "list")
        took = time.monotonic() - begun
        gone.set()

    assert "gave no answer within 0.2 s" in ran.err
    assert took < 10


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("autoloader.example.com", "is not the address of a server"),
        ("ftp://host", "is not the address of a server"),
        ("http://", "is not the address of a server"),
        ("http://host:99999", "is not the address of a server"),
        ("http://host/?key=1", "is not the address of a server"),
        (f"http://me:{KEY}@host", "holds a name or a password"),
    ],
)
def test_what_is_no_address_of_a_server_is_refused(cli, url, words):
    ran = cli("--server", url, "runs", "list")

    assert ran.code == 1
    assert words in ran.err
    assert KEY not in ran.err


# --- which of the two ------------------------------------------------------------------------


def test_the_setting_names_the_server_and_two_options_take_it_back(cli, monkeypatch):
    monkeypatch.setenv("AUTOLOADER_SERVER", "http://127.0.0.1:9")
    get_settings.cache_clear()

    assert "cannot be reached" in cli("runs", "list").err
    assert cli("--embedded", "runs", "list").code == 0
    assert cli("--server", "", "runs", "list").code == 0
    assert "say different things" in cli("--server", "http://h", "--embedded", "runs", "list").err


@pytest.mark.parametrize(
    "words",
    [
        ("table", "show", "a.b"),
        ("table", "head", "a.b"),
        ("table", "sql", "a.b", "SELECT 1"),
        ("db", "upgrade"),
        ("demo",),
        ("api",),
        ("worker",),
        ("prefect", "setup"),
        ("prefect", "sync"),
    ],
)
def test_what_only_this_machine_can_do_says_so_and_how(cli, words):
    ran = cli("--server", "http://127.0.0.1:9", *words)
    command = " ".join(words[: 1 + (words[0] in {"table", "db", "prefect"})])

    assert ran.code == 1
    assert ran.err == (
        f"Error: `autoloader {command}` works on this machine, not with the server that --server names"
        f" (http://127.0.0.1:9).\nNext: Call it on the server's machine, or for this one: autoloader --embedded"
        f" {command} …\n"
    )


def test_what_depends_on_the_folder_one_stands_in_is_refused_before_any_call(cli, landing):
    put(landing, "a.jsonl", rows(0, 1))
    for words in (("load", "landing", "a.b"), ("preview", "landing")):
        ran = cli("--server", "http://127.0.0.1:9", *words)
        assert ran.err.startswith("Error: 'landing' depends on the folder this command is called in; the server")
    assert "a server looks by itself" in cli("--server", "http://127.0.0.1:9", "load", "/x", "a.b", "--watch").err


def test_a_doctor_looks_at_the_server(cli, home):
    away = cli("--server", "http://127.0.0.1:9", "doctor", "--json")
    with serving(settings_of(home, reconcile_in_api=False)) as served:
        there = cli("--server", served.url, "doctor", "--json")
        assert cli("--server", served.url, "doctor").out.splitlines()[0].split() == ["check", "state", "detail"]

    assert (away.code, away.answer["ok"], away.answer["checks"][0]["state"]) == (1, False, "broken")
    assert (there.code, there.answer["ok"]) == (0, True)
    checks = [(one["name"], one["state"]) for one in there.answer["checks"]]
    assert checks == [(f"server {served.url}", "ok"), ("database", "ok"), ("prefect", "warning")]


def test_a_run_here_is_waited_for(cli, landing):
    put(landing, "a.jsonl", rows(0, 1))
    assert cli("load", "landing", "shop.orders").code == 0
    assert "there is none" in cli("ingestions", "run", "shop.orders", "--no-wait").err
