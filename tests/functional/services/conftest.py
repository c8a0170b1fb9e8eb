"""Worlds on a migrated SQLite file: see tests/fakes/world.py."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.fakes.world import World

WorldMaker = Callable[..., World]


@pytest.fixture
def new_world(sqlite_template: Path, tmp_path: Path) -> Iterator[WorldMaker]:
    """Makes worlds, each with a database of its own; the one before is closed and removed."""
    numbers, open_worlds = count(), []

    def close() -> None:
        while open_worlds:
            world, path = open_worlds.pop()
            world.database.engine.dispose()
            for left in path.parent.glob(f"{path.name}*"):
                left.unlink()

    def make(**options: object) -> World:
        close()
        path = tmp_path / f"world-{next(numbers)}.db"
        shutil.copy(sqlite_template, path)
        world = World(f"sqlite:///{path}", **options)
        open_worlds.append((world, path))
        return world

    yield make
    close()
