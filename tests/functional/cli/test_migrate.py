"""`autoloader prefect migrate` as a person and as a script meet it."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest

from app.config import get_settings
from tests.functional.cli.conftest import put, rows


@pytest.fixture
def ingestions(cli, landing, prefect_server):
    """Three ingestions, and a Prefect server that knows none of them. The schedule of `broken` cannot be read."""
    get_settings.cache_clear()
    for name in ("broken", "fine", "paused"):
        put(landing / name, "a.jsonl", rows(1, 1))
        assert cli("load", str(landing / name), f"demo.{name}", "--name", name).code == 0
    assert cli("ingestions", "pause", "paused").code == 0
    with closing(sqlite3.connect(get_settings().home / "autoloader.db")) as write:
        text = write.execute("SELECT config FROM ingestions WHERE name = 'broken'").fetchone()[0]
        config = {**json.loads(text), "schedule": {"cron": "61 25 * * *"}}
        write.execute("UPDATE ingestions SET config = ? WHERE name = 'broken'", (json.dumps(config),))
        write.commit()


def test_a_dry_run_tells_line_by_line_what_would_be_done_and_the_real_one_does_that(cli, ingestions):
    dry = cli("prefect", "migrate", "--dry-run")
    real = cli("prefect", "migrate", "--yes")

    lines = dry.out.splitlines()
    assert lines[0].startswith(
        'failed   broken: Prefect cannot read the schedule (Invalid cron string: "61 25 * * *").'
    )
    assert lines[1:3] == [
        "created  fine: Prefect has no deployment of it; it has no schedule",
        "created  paused: it is paused, and so is its deployment",
    ]
    assert lines[3] == "Would be: 2 created, 1 failed. Nothing was written."
    assert lines[4].startswith("Next: mend what failed")
    assert real.out.splitlines()[:3] == lines[:3]
    assert real.out.splitlines()[3] == "2 created, 1 failed."
    assert (dry.code, real.code) == (1, 1)

    again = cli("prefect", "migrate", "--yes", "--only", "fine", "--only", "paused")
    assert (again.code, again.out.splitlines()[-1]) == (0, "2 left.")


def test_it_answers_with_one_document(cli, ingestions):
    dry = cli("prefect", "migrate", "--only", "fine", "--dry-run", "--json").answer
    real = cli("prefect", "migrate", "--only", "fine", "--yes", "--json").answer
    back = cli("prefect", "migrate", "--rollback", "--yes", "--json").answer

    assert [(one["dry_run"], one["rollback"], one["counts"]) for one in (dry, real, back)] == [
        (True, False, {"created": 1}),
        (False, False, {"created": 1}),
        (False, True, {"removed": 1}),
    ]
    assert real["ingestions"] == dry["ingestions"]
    assert real["ingestions"][0].keys() == {"ingestion_id", "name", "action", "why", "fields"}


def test_after_a_rollback_it_says_nothing_is_left_and_the_ingestion_still_runs(cli, ingestions, landing):
    cli("prefect", "migrate", "--only", "fine", "--yes")
    assert "Would be: 1 removed" in cli("prefect", "migrate", "--rollback", "--dry-run").out
    assert cli("prefect", "migrate", "--rollback", "--yes").out.splitlines()[-1] == "1 removed."

    assert cli("prefect", "migrate", "--rollback", "--yes").out == "No ingestions.\n"
    put(landing / "fine", "b.jsonl", rows(2, 1))
    assert cli("ingestions", "run", "fine").code == 0


def test_without_a_yes_and_without_a_person_nothing_is_done(cli, ingestions):
    refused = cli("prefect", "migrate", "--only", "fine")

    assert (refused.code, "Give --yes." in refused.err) == (1, True)
    assert cli("prefect", "migrate", "--only", "fine", "--dry-run", "--json").answer["counts"] == {"created": 1}


def test_a_name_that_is_not_there_is_refused_before_anything_is_done(cli, ingestions):
    refused = cli("prefect", "migrate", "--only", "fine", "--only", "nowhere", "--yes")

    assert (refused.code, "There is no ingestion 'nowhere'." in refused.err) == (1, True)
    assert cli("prefect", "migrate", "--only", "fine", "--dry-run", "--json").answer["counts"] == {"created": 1}


def test_a_dry_run_does_not_even_make_or_upgrade_the_ledger(cli, home, prefect_server):
    ledger = home / "autoloader.db"
    for suffix in ("", "-wal", "-shm"):
        ledger.with_name(ledger.name + suffix).unlink(missing_ok=True)
    get_settings.cache_clear()

    refused = cli("prefect", "migrate", "--dry-run")

    assert (refused.code, "The database is at revision none" in refused.err) == (1, True)
    assert not ledger.exists()


def test_where_prefect_is_away_it_says_so(cli, ingestions, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    get_settings.cache_clear()

    refused = cli("prefect", "migrate", "--yes")

    assert refused.code == 1
    assert "The Prefect server does not answer at http://127.0.0.1:9/api" in refused.err
    assert "PREFECT_API_URL" in refused.err


def test_a_pass_without_a_server_says_so_once(cli, ingestions, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    get_settings.cache_clear()

    ran = cli("prefect", "sync")

    assert ran.code == 1
    assert (ran.out + ran.err).count("The Prefect server does not answer at http://127.0.0.1:9/api") == 1


@pytest.mark.parametrize("config", ['{"sorce": {}}', "{no json", '["no", "object"]'])
def test_a_configuration_that_cannot_be_read_is_mended_as_its_line_says_and_hides_no_other(cli, ingestions, config):
    mended = get_settings().home / "mended.yaml"
    mended.write_text(cli("ingestions", "export", "fine").out)
    with closing(sqlite3.connect(get_settings().home / "autoloader.db")) as write:
        write.execute("UPDATE ingestions SET config = ? WHERE name = 'fine'", (config,))
        write.commit()

    told = cli("prefect", "migrate", "--only", "fine", "--only", "paused", "--yes")
    assert told.code == 1
    assert "failed   fine: The stored configuration of fine cannot be read" in told.out
    assert "Write it anew: autoloader apply, with an ingestion named fine." in told.out
    assert "created  paused" in told.out
    assert {"fine", "paused"} <= {line.split()[0] for line in cli("ingestions", "list").out.splitlines()}

    assert cli("apply", "-f", str(mended), "--yes").code == 0
    assert cli("prefect", "migrate", "--only", "fine", "--yes").code == 0
    assert cli("ingestions", "run", "fine").code == 0


def test_an_ingestion_that_cannot_be_read_can_be_deleted(cli, ingestions):
    with closing(sqlite3.connect(get_settings().home / "autoloader.db")) as write:
        write.execute("UPDATE ingestions SET config = '{}' WHERE name = 'fine'")
        write.commit()

    assert cli("ingestions", "delete", "fine", "--yes").code == 0
