"""The flow against a real Prefect server."""

from __future__ import annotations

import json

from app.config import get_settings
from app.database import Database
from app.services.load_service import LoadService


def test_the_flow_called_directly_loads_what_is_new(prefect_server, tmp_path, monkeypatch):
    monkeypatch.setenv("AUTOLOADER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MIN_AGE_SECONDS", "0")
    get_settings.cache_clear()
    source = tmp_path / "landing"
    source.mkdir()
    (source / "a.jsonl").write_text(json.dumps({"id": 1}) + "\n")
    database = Database(get_settings().database_address)
    database.upgrade()
    ingestion = LoadService(database, get_settings()).prepare(str(source), "demo.rows", {}).ingestion
    database.close()

    from app.prefect.flows.run_ingestion import run_ingestion_flow

    result = run_ingestion_flow(str(ingestion.id), trigger="manual")

    get_settings.cache_clear()
    assert (result["state"], result["metrics"]["rows"]) == ("SUCCESS", 1)
