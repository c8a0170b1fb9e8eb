from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.config import Settings, get_settings


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch, tmp_path):
    """No variable of the machine, no `.env` of the checkout."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


def test_the_names_and_defaults_of_the_specification():
    settings = Settings()

    assert settings.prefect_api_url == "http://prefect-server:4200/api"
    assert settings.prefect_default_work_queue == "autoloader-default"
    assert settings.prefect_high_memory_work_queue == "autoloader-high-memory"
    assert settings.prefect_flow_run_timeout_seconds == 3600
    assert settings.prefect_task_retry_delay_seconds == 60
    assert settings.prefect_max_task_retries == 3


def test_names_are_read_without_a_prefix_from_the_environment(monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", "http://elsewhere/api")
    monkeypatch.setenv("DATABASE_URL", "postgresql://db/ledger")

    settings = Settings()

    assert settings.prefect_api_url == "http://elsewhere/api"
    assert settings.database_address == "postgresql://db/ledger"


def test_the_environment_wins_over_the_env_file(monkeypatch):
    Path(".env").write_text("LEASE_SECONDS=70\nBATCH_MAX_FILES=11\nSOMEBODY_ELSES=1\n", encoding="utf-8")
    monkeypatch.setenv("LEASE_SECONDS", "90")

    settings = Settings()

    assert settings.lease_seconds == 90
    assert settings.batch_max_files == 11


def test_the_database_is_a_file_in_the_home_unless_named(monkeypatch, tmp_path):
    monkeypatch.setenv("AUTOLOADER_HOME", str(tmp_path / "home"))

    assert Settings().database_address == f"sqlite:///{tmp_path}/home/autoloader.db"


def test_the_home_is_absolute_and_knows_the_tilde(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))

    assert Settings().home == tmp_path / ".autoloader"
    assert Settings(autoloader_home=Path("here")).home == tmp_path / "here"


@pytest.mark.parametrize("name", ["a?b", "a\\b"])
def test_a_home_that_the_databases_would_read_as_another_one_is_refused(monkeypatch, tmp_path, name):
    (tmp_path / name).mkdir()
    with pytest.raises(ValidationError, match=f"it holds {re.escape(name[1])}; name a folder"):
        Settings(autoloader_home=tmp_path / name)
    monkeypatch.chdir(tmp_path / name)
    with pytest.raises(ValidationError, match="cannot be used"):
        Settings(autoloader_home=Path("home"))


def test_the_secret_key_does_not_show(monkeypatch):
    monkeypatch.setenv("AUTOLOADER_SECRET_KEY", "canary-7f3a")

    assert "canary-7f3a" not in repr(Settings())


def test_settings_are_read_once(monkeypatch):
    first = get_settings()
    monkeypatch.setenv("LEASE_SECONDS", "1")

    assert get_settings() is first


@pytest.mark.parametrize("name", ["LEASE_SECONDS", "BATCH_MAX_FILES", "PARSER_MEMORY_BYTES", "MAX_ATTEMPTS"])
def test_a_bound_of_zero_is_refused(monkeypatch, name):
    monkeypatch.setenv(name, "0")

    with pytest.raises(ValidationError, match="greater than 0"):
        Settings()


@pytest.mark.parametrize(("lease", "beat"), [("5", None), ("60", "20.1"), (None, "30")])
def test_a_heart_that_beats_too_slowly_for_its_lease_is_refused(monkeypatch, lease, beat):
    if lease is not None:
        monkeypatch.setenv("LEASE_SECONDS", lease)
    if beat is not None:
        monkeypatch.setenv("LEASE_HEARTBEAT_SECONDS", beat)

    with pytest.raises(ValidationError) as refused:
        Settings()
    [error] = refused.value.errors()
    assert error["loc"] == ("lease_heartbeat_seconds",)
    assert error["msg"] == (
        f"Value error, {beat or 15} is more than a third of LEASE_SECONDS ({lease or 60}): lower it, or raise that"
    )


@pytest.mark.parametrize(("lease", "beat"), [(0.3, 0.1), (60, 20), (2, 0.5)])
def test_a_third_of_the_lease_is_often_enough(lease, beat):
    assert Settings(lease_seconds=lease, lease_heartbeat_seconds=beat).lease_heartbeat_seconds == beat


def test_every_setting_is_described():
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []
