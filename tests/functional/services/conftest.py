"""Worlds on a migrated SQLite file: see tests/fakes/world.py."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fakes.world import WatchedDatabase, World

WorldMaker = Callable[..., World]


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
