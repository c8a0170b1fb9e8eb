"""A command beside a running `up` finds the Prefect server that this one has started."""

from __future__ import annotations

import pytest

from app import log as app_log
from app.config import Settings
from app.runtime import running
from app.runtime.beside_up import settings_beside_up
from app.runtime.prefect_auth import auth_string
from app.runtime.running import Running

UP = Running(1, "2026-03-01T12:00:00Z", "http://127.0.0.1:4280", "http://127.0.0.1:4242")


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    monkeypatch.setattr(app_log, "_secrets", set())
    for name in ("PREFECT_API_URL", "PREFECT_API_AUTH_STRING"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def up(tmp_path):
    """A home for which `up` runs, and its password."""
    with running.only_one(tmp_path):
        running.write(tmp_path, UP)
        yield tmp_path, auth_string(Settings(autoloader_home=tmp_path, _env_file=None))


def named(settings):
    return settings.prefect_api_url, settings.prefect_api_auth_string.get_secret_value()


def test_its_address_and_its_password_are_found(up):
    home, password = up

    found = settings_beside_up(Settings(autoloader_home=home, _env_file=None))

    assert named(found) == ("http://127.0.0.1:4242/api", password)
    assert password in app_log._secrets


def test_a_password_of_ones_own_counts_and_a_server_that_is_named_stays(up):
    home, _ = up
    own = Settings(autoloader_home=home, prefect_api_auth_string="me:mine", _env_file=None)
    other = Settings(autoloader_home=home, prefect_api_url="http://other:4200/api", _env_file=None)

    assert named(settings_beside_up(own)) == ("http://127.0.0.1:4242/api", "me:mine")
    assert settings_beside_up(other) is other


def test_where_no_up_runs_nothing_changes_whatever_the_last_one_left(tmp_path):
    running.write(tmp_path, UP)
    alone = Settings(autoloader_home=tmp_path, _env_file=None)

    assert settings_beside_up(alone) is alone


def test_a_password_that_others_can_read_is_not_used_and_not_replaced(up):
    home, password = up
    (home / "prefect.auth").chmod(0o644)

    found = settings_beside_up(Settings(autoloader_home=home, _env_file=None))

    assert named(found)[1] == ""
    assert (home / "prefect.auth").read_text().strip() == password
