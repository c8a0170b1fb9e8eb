"""A place of its own for each test, and the Prefect server that all share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.config import get_settings
from tests.functional.prefect.place import Place


@pytest.fixture
def place(tmp_path, monkeypatch, prefect_server) -> Iterator[Place]:
    """An empty home that the settings of this process point to; Prefect's settings are read anew."""
    monkeypatch.setenv("AUTOLOADER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MIN_AGE_SECONDS", "0")
    monkeypatch.setenv("PARSER_THREADS", "1")
    monkeypatch.delenv("DATABASE_URL", raising=False)
    get_settings.cache_clear()
    from prefect.context import refresh_global_settings_context

    refresh_global_settings_context()
    yield Place(tmp_path)
    get_settings.cache_clear()


@pytest.fixture
def quick_retries(monkeypatch) -> None:
    """Tasks are tried again after a moment, not after a minute."""
    from app.prefect.tasks import discovery, processing, run_management, state

    for task in (
        run_management.create_run_record_task,
        discovery.discover_files_task,
        state.check_file_state_task,
        processing.process_files_task,
        run_management.complete_run_record_task,
    ):
        monkeypatch.setattr(task, "retry_delay_seconds", [0.2, 0.4, 0.8])
