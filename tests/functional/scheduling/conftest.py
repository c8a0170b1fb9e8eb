"""A product with a ledger of its own, and the Prefect server that all tests of a run share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.config import Settings
from app.services.prefect_service import PrefectService
from tests.services.fixtures import PrefectServer

Until = Callable[[Callable[[], bool]], None]
_PATIENCE = 60.0


@pytest.fixture
def prefect_settings(prefect_server: PrefectServer, tmp_path: Path) -> Settings:
    """Settings of a product that has this server, and a work pool of its own there."""
    return Settings(
        autoloader_home=tmp_path / "home", min_age_seconds=0, prefect_request_timeout_seconds=30, _env_file=None
    )


@pytest.fixture
def prefect(prefect_settings: Settings) -> Iterator[PrefectService]:
    with PrefectService(prefect_settings) as service:
        yield service


@pytest.fixture
def until() -> Until:
    """Waits for what another process brings about."""

    def wait(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _PATIENCE
        while not condition():
            assert time.monotonic() < deadline, "the condition never came true"
            time.sleep(0.1)

    return wait
