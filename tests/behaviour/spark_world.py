"""Worlds whose batches are loaded on a cluster, and what is done to it while they are."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from app.database import Database, upgrade
from app.services.cluster_service import ClusterService
from app.services.connection_service import ConnectionService
from tests.behaviour.world import World
from tests.behaviour.zygote import Forked, Zygote
from tests.services.spark.server import SparkServer

CLUSTER = "big"
AT_CLUSTER = ("--engine", CLUSTER)
EMBEDDED = ("--engine", "embedded")
PATIENCE_SECONDS = 180.0


def spark_world(zygote: Zygote, folder: Path, server: SparkServer, name: str = "rows", url: str = "") -> World:
    """A folder, a ledger and a table of its own on the server's catalog; the cluster is at `url`, or is the server."""
    (folder / "landing").mkdir(parents=True)
    made = World(
        zygote=zygote,
        home=folder / "home",
        source=str(folder / "landing"),
        table=server.table(name),
        database_url=f"sqlite:///{folder / 'home' / 'autoloader.db'}",
        catalog_options=server.catalog_options,
        more_options=AT_CLUSTER,
    )
    template = zygote.scratch / "ledger.db"  # migrating anew for each world would be most of its time
    if not template.exists():
        upgrade(f"sqlite:///{template}")
    made.home.mkdir()
    shutil.copy(template, made.home / "autoloader.db")
    database = Database(made.settings().database_address)
    ConnectionService(database, made.settings()).put(server.catalog, "catalog", server.catalog_options)
    ClusterService(database, made.settings()).create(
        CLUSTER, url or server.url, catalog=server.catalog, options={}, token=None
    )
    database.close()
    return made


def deliver(world: World) -> None:
    """One batch of two files, with a record that no parser takes."""
    world.deliver("first.jsonl", 20, bad=1)
    world.deliver("second.jsonl", 20)


def move_cluster(world: World, server: SparkServer) -> None:
    """The cluster is at another server from now on: nobody reaches what goes on at the former one."""
    database = Database(world.settings().database_address)
    service = ClusterService(database, world.settings())
    service.replace(service.named(CLUSTER).id, server.url, catalog=server.catalog, options={})
    database.close()


def until(condition: Callable[[], bool], what: str, seconds: float = PATIENCE_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"this never came: {what}"
        time.sleep(0.02)


def data_files(server: SparkServer, world: World) -> set[Path]:
    """Data files of the world's table, as far as they are on disk, whoever knows of them."""
    return set((server.warehouse / server.namespace / world.table.rpartition(".")[2] / "data").glob("*.parquet"))


def at_work(server: SparkServer, world: World, before: set[Path], run: Forked) -> None:
    """Wait until the cluster writes the run's rows."""
    until(lambda: bool(data_files(server, world) - before) or run.ended, "a data file that is being written")
    assert not run.ended, run.result().err


def all_reached(gates: Iterable[Path], runs: Iterable[Forked]) -> None:
    """Wait until each run stands at its gate."""
    reached = [gate.with_name(f"{gate.name}.reached") for gate in gates]
    until(lambda: all(one.exists() for one in reached) or any(run.ended for run in runs), "runs at their points")
    assert all(one.exists() for one in reached), [run.result() for run in runs if run.ended]


def staged(world: World) -> int:
    """How many snapshots the table has that were staged under some batch's id."""
    with world.opened() as table:
        return sum("wap.id" in snapshot.summary.additional_properties for snapshot in table.snapshots())


def run_states(world: World) -> list[tuple[str, str, str]]:
    """`(state, error_code, error)` of the runs, in order of time."""
    from sqlalchemy import text

    database = Database(world.settings().database_address)
    try:
        with database.read_scope() as session:
            rows = session.execute(text("SELECT state, error_code, error FROM runs ORDER BY started_at"))
            return [(row[0], row[1] or "", row[2] or "") for row in rows]
    finally:
        database.close()


def batch_column(world: World, column: str) -> list[str]:
    """The column's values of all batches, in order of time."""
    from sqlalchemy import text

    database = Database(world.settings().database_address)
    try:
        with database.read_scope() as session:
            return [row[0] for row in session.execute(text(f"SELECT {column} FROM batches ORDER BY created_at, id"))]
    finally:
        database.close()
