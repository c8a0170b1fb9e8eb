"""Worlds: {folder, S3} and {SQLite, PostgreSQL}, each with each."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.database import upgrade
from tests.behaviour.world import World
from tests.behaviour.zygote import Zygote


@pytest.fixture(scope="session")
def zygote(tmp_path_factory):
    with Zygote(tmp_path_factory.mktemp("runs")) as started:
        yield started


@pytest.fixture(params=["folder-sqlite", "folder-postgresql", "s3-sqlite", "s3-postgresql"])
def world(request, tmp_path: Path) -> World:
    place, database = request.param.split("-")
    made = s3_world(request, tmp_path, database) if place == "s3" else folder_world(request, tmp_path, database)
    upgrade(made.settings().database_address)
    made.prepare()
    return made


@pytest.fixture
def folder(request, tmp_path: Path) -> World:
    made = folder_world(request, tmp_path, "sqlite")
    upgrade(made.settings().database_address)
    return made


def database_url(request, tmp_path: Path, database: str) -> str:
    if database == "postgresql":
        return request.getfixturevalue("postgres").url
    return f"sqlite:///{tmp_path / 'home' / 'autoloader.db'}"


def folder_world(request, tmp_path: Path, database: str) -> World:
    home = tmp_path / "home"
    (tmp_path / "landing").mkdir()
    return World(
        zygote=request.getfixturevalue("zygote"),
        home=home,
        source=str(tmp_path / "landing"),
        table="local.demo.rows",
        database_url=database_url(request, tmp_path, database),
        catalog_options={
            "type": "sql",
            "uri": f"sqlite:///{home / 'catalog.db'}",
            "warehouse": f"file://{home / 'warehouse'}",
        },
    )


def s3_world(request, tmp_path: Path, database: str) -> World:
    s3 = request.getfixturevalue("s3")
    return World(
        zygote=request.getfixturevalue("zygote"),
        home=tmp_path / "home",
        source=f"{s3.url}/landing",
        table="lake.demo.rows",
        database_url=database_url(request, tmp_path, database),
        store_options=dict(s3.options),
        catalog_options={
            "type": "sql",
            "uri": f"sqlite:///{tmp_path / 'lake.db'}",
            "warehouse": f"{s3.url}/warehouse",
            "s3.endpoint": s3.options["endpoint"],
            "s3.access-key-id": s3.options["access_key_id"],
            "s3.secret-access-key": s3.options["secret_access_key"],
            "s3.region": "us-east-1",
        },
    )
