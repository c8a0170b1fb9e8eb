"""Worlds on a migrated SQLite file: see tests/fakes/world.py."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.config import Settings
from app.services.prefect_service import PrefectService
from tests.fakes.world import WatchedDatabase, World
from tests.services.fixtures import PrefectServer

WorldMaker = Callable[..., World]
Until = Callable[[Callable[[], bool]], None]
_PATIENCE = 60.0


@pytest.fixture
def new_world(sqlite_template: Path, tmp_path: Path) -> Iterator[WorldMaker]:
    """Makes worlds, one after the other, each with the database anew."""
    path = tmp_path / "world.db"

    def make(**options: object) -> World:
        close()
        shutil.copy(sqlite_template, path)
        return World(f"sqlite:///{path}", **options)

    def close() -> None:
        WatchedDatabase(f"sqlite:///{path}").engine.dispose()
        for left in path.parent.glob(f"{path.name}*"):
            left.unlink()

    yield make
    close()


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
