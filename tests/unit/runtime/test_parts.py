from __future__ import annotations

from pathlib import Path

import pytest

from app.config import Settings
from app.runtime import parts

AUTH = "autoloader:the-password-of-the-server"


@pytest.fixture
def settings(tmp_path, monkeypatch):
    for name, value in {
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": "postgresql://production",
        "prefect_api_key": "pnu_of_another_server",
        "PREFECT_WORK_POOL": "mine",
        "AWS_PROFILE": "lake",
        "PYTHONPATH": "/somewhere",
    }.items():
        monkeypatch.setenv(name, value)
    return Settings(autoloader_home=tmp_path, autoloader_api_port=5001, autoloader_prefect_port=5002)


@pytest.fixture
def made(settings):
    return {part.name: part for part in parts.parts(settings, AUTH, workers=2, log=Path("/up.log"))}


def test_they_start_in_the_order_of_who_needs_whom(made):
    assert list(made) == ["prefect", "api", "worker-1", "worker-2"]


def test_one_worker_needs_no_number_and_none_may_be_asked_for(settings):
    names = [[one.name for one in parts.parts(settings, AUTH, workers=count, log=Path("/up.log"))] for count in (1, 0)]

    assert names == [["prefect", "api", "worker"], ["prefect", "api"]]


def test_the_password_is_in_the_environment_of_all_and_on_no_command_line(made):
    assert {part.environment["PREFECT_API_AUTH_STRING"] for part in made.values()} == {AUTH}
    assert not any(AUTH in word for part in made.values() for word in part.command)
    assert AUTH not in repr(made)


def test_only_the_server_gets_what_is_the_servers(made):
    assert [name for name, part in made.items() if "PREFECT_SERVER_API_AUTH_STRING" in part.environment] == ["prefect"]


def test_a_persons_own_prefect_is_not_met_and_all_else_is_inherited(made, settings):
    for part in made.values():
        names = {name.upper() for name in part.environment}
        assert not names & {"PREFECT_SERVER_DATABASE_CONNECTION_URL", "PREFECT_API_KEY"}
        assert part.environment["PREFECT_API_URL"] == "http://127.0.0.1:5002/api"
        assert Path(part.environment["PREFECT_HOME"]) == settings.home / "prefect"
        assert (part.environment["PREFECT_WORK_POOL"], part.environment["AWS_PROFILE"]) == ("mine", "lake")
        assert part.environment["PYTHONPATH"].split(":")[1:] == ["/somewhere"]


@pytest.mark.parametrize(
    ("host", "url"),
    [("127.0.0.1", "http://127.0.0.1:1"), ("0.0.0.0", "http://127.0.0.1:1"), ("::", "http://[::1]:1"),  # noqa: S104
     ("::1", "http://[::1]:1"), ("lake.example.com", "http://lake.example.com:1")],
)  # fmt: skip
def test_the_api_is_asked_where_this_machine_reaches_it(host, url):
    assert parts.api_url(Settings(autoloader_api_host=host, autoloader_api_port=1)) == url


def test_a_worker_has_begun_when_it_says_so(made):
    ready = made["worker-1"].ready

    assert ready(("Making the pool.", "Worker 'worker-1' started!"))
    assert not ready(("Starting worker...",))
