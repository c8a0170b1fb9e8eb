"""The record of a run whose process was killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from app.config import Settings
from app.database import Database
from app.services.burial_service import bury
from app.services.load_service import LoadService
from app.services.run_records import Ending
from app.services.run_service import RunService
from app.services.run_view_service import RunViewService

ENDING = Ending("killed", "It used too much memory.")
DIES = """
import os, signal
from app.config import get_settings
from app.database import Database
from app.services.run_service import RunService
from uuid import UUID
database = Database(get_settings().database_address)
with RunService(database, get_settings()).start(UUID({!r}), external_key="key"):
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def ground(tmp_path):
    """A migrated home with one ingestion."""
    settings = Settings(_env_file=None, autoloader_home=tmp_path / "home", min_age_seconds=0)
    source = tmp_path / "landing"
    source.mkdir()
    (source / "a.jsonl").write_text(json.dumps({"id": 1}) + "\n")
    database = Database(settings.database_address)
    database.upgrade()
    ingestion = LoadService(database, settings).prepare(str(source), "demo.rows", {}).ingestion
    yield database, settings, ingestion.id
    database.close()


def states(database: Database) -> list[tuple[str, str | None]]:
    return [(run.state, run.error_code) for run in RunViewService(database).listed()]


@pytest.mark.kill
def test_a_run_whose_owner_was_killed_ends_with_what_it_was_killed_for(ground):
    database, settings, ingestion_id = ground
    environment = {**os.environ, "AUTOLOADER_HOME": str(settings.home)}
    subprocess.run([sys.executable, "-c", DIES.format(str(ingestion_id))], env=environment, check=False)
    before = states(database)

    assert bury(database, settings, "key", ENDING)

    assert (before, states(database)) == ([("RUNNING", None)], [("FAILED", "killed")])
    assert not bury(database, settings, "key", ENDING)


def test_a_run_that_lives_is_not_buried(ground):
    database, settings, ingestion_id = ground
    with RunService(database, settings).start(ingestion_id, external_key="key") as ctx:
        assert not bury(database, settings, "key", ENDING)
        RunService(database, settings).finish(ctx)

    assert states(database) == [("SUCCESS", None)]


def test_a_key_without_a_run_is_none_of_its_business(ground):
    database, settings, _ = ground

    assert not bury(database, settings, "key", ENDING)
