"""The ledger database on SQLite and on PostgreSQL; whoever asks for one runs on both."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from app.database import Database, upgrade
from tests.functional.loading import Loader

KINDS = ["sqlite", "postgresql"]


@pytest.fixture(params=KINDS)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a database without tables."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres").url)
    return f"sqlite:///{tmp_path / 'ledger.db'}"


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest) -> Database:
    """A ledger of its own, on each kind in turn."""
    made: Database = request.getfixturevalue(f"{request.param}_database")
    return made


@pytest.fixture
def sqlite_database(sqlite_template: Path, tmp_path: Path) -> Iterator[Database]:
    path = tmp_path / "ledger.db"
    shutil.copy(sqlite_template, path)
    made = Database(f"sqlite:///{path}")
    yield made
    made.close()


@pytest.fixture
def postgresql_database(new_postgresql_database: Callable[[], Database]) -> Database:
    return new_postgresql_database()


@pytest.fixture
def new_postgresql_database(postgres_port: int, postgresql_template: str) -> Iterator[Callable[[], Database]]:
    """Makes databases of their own, as many as a test needs."""
    made: list[tuple[str, Database]] = []

    def make() -> Database:
        name = f"t_{uuid4().hex[:16]}"
        _administer(postgres_port, f'CREATE DATABASE "{name}" TEMPLATE "{postgresql_template}"')
        made.append((name, Database(_address(postgres_port, name))))
        return made[-1][1]

    yield make
    for name, database in made:
        database.close()
        _administer(postgres_port, f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def loader(sqlite_database: Database, tmp_path: Path) -> Loader:
    return Loader(sqlite_database, tmp_path)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated file to copy: migrating anew for each test would be most of its time."""
    path = tmp_path_factory.mktemp("template") / "ledger.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgresql_template(postgres_port: int) -> str:
    name = f"template_{uuid4().hex[:16]}"  # each worker its own: a template in use cannot be copied
    _administer(postgres_port, f'CREATE DATABASE "{name}"')
    upgrade(_address(postgres_port, name))
    return name


def _address(port: int, name: str) -> str:
    return f"postgresql+psycopg://postgres@127.0.0.1:{port}/{name}"


def _administer(port: int, statement: str) -> None:
    with psycopg.connect(f"postgresql://postgres@127.0.0.1:{port}/postgres", autocommit=True) as admin:
        admin.execute(statement.encode())
