"""Worlds on a migrated database: see tests/fakes/world.py. On SQLite, unless a test asks for PostgreSQL."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.database import Database
from tests.fakes.world import WatchedDatabase, World

WorldMaker = Callable[..., World]


@pytest.fixture
def new_world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[WorldMaker]:
    """Makes worlds, one after the other, each with the database anew."""
    kind = getattr(request, "param", "sqlite")
    if kind == "sqlite":
        yield from _sqlite_worlds(request.getfixturevalue("sqlite_template"), tmp_path / "world.db")
    else:
        yield from _postgresql_worlds(request.getfixturevalue("new_postgresql_database"))


def _sqlite_worlds(template: Path, path: Path) -> Iterator[WorldMaker]:
    def make(**options: object) -> World:
        close()
        shutil.copy(template, path)
        return World(f"sqlite:///{path}", **options)

    def close() -> None:
        WatchedDatabase(f"sqlite:///{path}").engine.dispose()
        for left in path.parent.glob(f"{path.name}*"):
            left.unlink()

    yield make
    close()


def _postgresql_worlds(new_database: Callable[[], Database]) -> Iterator[WorldMaker]:
    made: list[str] = []

    def make(**options: object) -> World:
        made.append(new_database().url)
        return World(made[-1], **options)

    yield make
    for url in made:
        WatchedDatabase(url).engine.dispose()
