"""A product with a ledger of its own, and the Prefect server that all tests of a run share."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.config import Settings
from app.database import Database
from app.services.prefect_service import PrefectService
from tests.functional.scheduling.product import Product
from tests.services.fixtures import PrefectServer
from tests.services.killable import IN_MEMORY, KillablePrefect

Until = Callable[[Callable[[], bool]], None]
_PATIENCE = 180.0


@pytest.fixture
def turn(request: pytest.FixtureRequest, services_folder: Path) -> Iterator[None]:
    """Prefect's SQLite has one writer: who asks hundreds of things of it does so while nobody else does."""
    crowd = request.node.get_closest_marker("crowd") is not None
    services_folder.mkdir(parents=True, exist_ok=True)
    with (services_folder / "prefect-turn.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX if crowd else fcntl.LOCK_SH)
        yield


@pytest.fixture
def prefect_settings(prefect_server: PrefectServer, turn: None, tmp_path: Path) -> Settings:
    """Settings of a product that has this server, and a work pool of its own there."""
    return Settings(
        autoloader_home=tmp_path / "home", min_age_seconds=0, prefect_request_timeout_seconds=180, _env_file=None
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


@pytest.fixture
def product(sqlite_database: Database, prefect_settings: Settings, prefect: PrefectService) -> Product:
    return Product(sqlite_database, prefect_settings, prefect)


@pytest.fixture
def down(sqlite_database: Database, prefect_settings: Settings) -> Iterator[Product]:
    """The same product while its Prefect server is away."""
    away = prefect_settings.model_copy(update={"prefect_api_url": "http://127.0.0.1:9/api"})
    with PrefectService(away) as service:
        yield Product(sqlite_database, away, service)


@pytest.fixture
def killable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KillablePrefect]:
    """A server of the test's own, which keeps its leases in memory as a server does by default."""
    folder = tmp_path_factory.mktemp("prefect")
    server = KillablePrefect(folder, PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE=IN_MEMORY)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def offline_settings(tmp_path: Path) -> Settings:
    """Settings of a product that needs no Prefect."""
    return Settings(autoloader_home=tmp_path / "home", min_age_seconds=0, parser_threads=1, _env_file=None)
