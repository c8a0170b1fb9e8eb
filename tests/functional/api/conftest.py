"""The API behind a real server on a free port: one a database for the whole session; tests use names of their own."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest
import uvicorn
from fastapi import FastAPI

from app.config import Settings
from app.database import Database
from app.main import create_app
from app.models import Batch
from app.repositories import batches
from app.services.batch_orchestrator import BatchOrchestrator
from app.services.metrics import RunSummary
from app.values import BatchState
from tests.fakes.ledger import NOON, add_run
from tests.functional.conftest import KINDS


@dataclass
class Served:
    """A running API, and what lies under it."""

    url: str
    settings: Settings
    database: Database
    client: httpx.Client
    app: FastAPI

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.client.get(path, **more)

    def post(self, path: str, body: object = None, **more: Any) -> httpx.Response:
        return self.client.post(path, json=body, **more) if body is not None else self.client.post(path, **more)

    def run(self, ingestion_id: str) -> RunSummary:
        """What a worker would do."""
        return BatchOrchestrator(self.database, self.settings).run_ingestion(UUID(ingestion_id))


@contextmanager
def serving(settings: Settings) -> Iterator[Served]:
    """`create_app` under uvicorn, in a thread of this process."""
    app = create_app(settings)
    config = uvicorn.Config(app, port=0, log_config=None, access_log=False, lifespan="on")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, name="api")
    thread.start()
    until = time.monotonic() + 180
    while not server.started:
        assert thread.is_alive()
        assert time.monotonic() < until
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    database = Database(settings.database_address)
    try:
        with httpx.Client(base_url=url, timeout=180, trust_env=False) as client:
            yield Served(url, settings, database, client, app)
    finally:
        server.should_exit = True
        thread.join(180)
        database.close()


def settings_of(home: Path, **more: Any) -> Settings:
    # Port 9 (discard): nobody answers there, so that nothing of a test depends on a Prefect that happens to run; and
    # nothing goes on in the background, where it would log into other tests of this process.
    given = {"autoloader_home": home, "parser_threads": 1, "prefect_api_url": "http://127.0.0.1:9/api"}
    return Settings(_env_file=None, **(given | {"reconcile_in_api": False} | more))


@pytest.fixture(scope="session")
def _sqlite_api(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("api-sqlite")
    shutil.copy(sqlite_template, home / "autoloader.db")
    with serving(settings_of(home)) as served:
        yield served


@pytest.fixture(scope="session")
def _postgresql_api(
    postgres_port: int, postgresql_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    name = f"t_{uuid4().hex[:16]}"
    dsn = f"postgresql://postgres@127.0.0.1:{postgres_port}/postgres"
    with psycopg.connect(dsn, autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{postgresql_template}"'.encode())
    home = tmp_path_factory.mktemp("api-postgresql")
    url = f"postgresql+psycopg://postgres@127.0.0.1:{postgres_port}/{name}"
    with serving(settings_of(home, database_url=url)) as served:
        yield served


@pytest.fixture
def api(_sqlite_api: Served) -> Served:
    return _sqlite_api


@pytest.fixture(params=KINDS)
def any_api(request: pytest.FixtureRequest) -> Served:
    """On each kind of database in turn."""
    served: Served = request.getfixturevalue(f"_{request.param}_api")
    return served


@pytest.fixture
def landing(tmp_path: Path) -> Path:
    folder = tmp_path / "landing"
    folder.mkdir()
    return folder


@pytest.fixture
def shape(landing: Path) -> Callable[..., dict[str, Any]]:
    """A valid ingestion with a name, a source and a table of its own."""

    def make(**more: Any) -> dict[str, Any]:
        name = f"n{uuid4().hex[:12]}"
        made = {
            "name": name,
            "source": {"url": str(landing)},
            "format": {"type": "jsonl"},
            "destination": {"table": f"api.{name}"},
        }
        return made | more

    return make


@pytest.fixture
def blocked() -> Callable[[Database, UUID, str], UUID]:
    """Puts an UNKNOWN batch into the ledger; answers its id."""

    def block(database: Database, ingestion_id: UUID, evidence: str) -> UUID:
        run_id = add_run(database.engine, ingestion_id)
        batch = Batch(id=uuid4(), ingestion_id=ingestion_id, run_id=run_id, state=BatchState.UNKNOWN.value)
        batch.file_count, batch.byte_count, batch.error, batch.created_at = 1, 1, evidence, NOON
        with database.session_scope() as session:
            batches.add(session, batch)
        return batch.id

    return block
