"""A Spark Connect server with an Iceberg catalog that PyIceberg shares."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
from pyiceberg.catalog import load_catalog
from pyiceberg.table import StaticTable, Table

from tests.services.shared import Recipe
from tests.services.spark import jars

CATALOG = "lake"  # on both engines: it is a column of the catalog's tables
# As others may have set theirs up, in the same database, each with tables of its own:
CACHED = "cached"  # tables are cached for 30 s, as Spark does unless told otherwise
READ_ONLY = "read_only"  # its user may look
BROKEN = "broken"  # nobody listens there
# Known to the server alone, in a folder: whoever has no Spark has no address of it.
FAR = "far"
DATABASE = "spark_lake"

_HERE = Path(__file__).parent
QUICK_COMPILER = "-XX:TieredStopAtLevel=1"  # a short life is shorter with it
_READER = "lake_reader"
# With the quick compiler alone, Java keeps room for a fifth of what it keeps by default: a long run fills it, and then
# says that methods of its own are not there.
_CODE = "-XX:ReservedCodeCacheSize=240m"
# What Spark's own start script opens of the JVM's inside.
_OPENED = (
    "java.lang", "java.lang.invoke", "java.lang.reflect", "java.io", "java.net", "java.nio", "java.util",
    "java.util.concurrent", "java.util.concurrent.atomic", "jdk.internal.ref", "sun.nio.ch", "sun.nio.cs",
    "sun.security.action", "sun.util.calendar",
)  # fmt: skip


@dataclass(frozen=True)
class SparkServer:
    """A Spark Connect endpoint. `namespace` is a test's own and not yet made; `warehouse` is a folder."""

    url: str
    port: int
    namespace: str
    warehouse: Path
    database: str
    catalog: str = CATALOG

    @property
    def far(self) -> SparkServer:
        """The same server, with the catalog that nobody else reaches."""
        return replace(self, catalog=FAR, warehouse=far_of(self.warehouse))

    @property
    def catalog_options(self) -> dict[str, str]:
        """Of a connection named `catalog`: the same one for PyIceberg, or that the cluster `big` alone has it."""
        if self.catalog == FAR:
            return {"type": "cluster", "cluster": "big"}
        return {"type": "sql", "uri": self.database, "warehouse": f"file://{self.warehouse}"}

    def table(self, name: str) -> str:
        """The full name of a table of this test."""
        return f"{self.catalog}.{self.namespace}.{name}"


def catalog_conf(name: str, database: str, warehouse: Path, *, cached: bool = False, user: str = "") -> dict[str, str]:
    """How Spark opens the catalog that lies in the PostgreSQL database (a psycopg address)."""
    parts = urlsplit(database)
    before = f"spark.sql.catalog.{name}"
    return {
        before: "org.apache.iceberg.spark.SparkCatalog",
        f"{before}.type": "jdbc",
        f"{before}.uri": f"jdbc:postgresql://{parts.hostname}:{parts.port}{parts.path}",
        f"{before}.jdbc.user": user or parts.username or "",
        f"{before}.jdbc.schema-version": "V1",  # PyIceberg writes the columns of V1
        f"{before}.warehouse": f"file://{warehouse}",
        f"{before}.cache-enabled": str(cached).lower(),
    }


def far_conf(warehouse: Path) -> dict[str, str]:
    """How Spark opens FAR beside a catalog with that warehouse. Its tables are cached, as by default."""
    before = f"spark.sql.catalog.{FAR}"
    return {
        before: "org.apache.iceberg.spark.SparkCatalog",
        f"{before}.type": "hadoop",
        f"{before}.warehouse": f"file://{far_of(warehouse)}",
    }


def far_of(warehouse: Path) -> Path:
    return warehouse.with_name("spark-far")


def far_table(server: SparkServer, name: str) -> Table:
    """A table of FAR by its newest file, as somebody sees it who can read its folder."""
    metadata = server.warehouse / server.namespace / name / "metadata"
    newest = max(metadata.glob("v*.metadata.json"), key=lambda path: int(path.name[1:].partition(".")[0]))
    return StaticTable.from_metadata(f"file://{newest}")


def command(folder: Path, port: int, conf: Mapping[str, str]) -> list[str]:
    """The server as a process; raises FileNotFoundError naming what is not installed."""
    java = shutil.which("java")
    if java is None or not jars.jars().exists():
        raise FileNotFoundError("java" if java is None else f"its jars in {jars.jars().parent.name}")
    opened = [f"--add-opens=java.base/{name}=ALL-UNNAMED" for name in _OPENED]
    settings = {
        "spark.master": "local[2]",
        "spark.app.name": "autoloader-tests",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.connect.grpc.binding.port": str(port),
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.local.dir": str(folder / "local"),
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
        "user.timezone": "UTC",
        "java.io.tmpdir": str(folder),
        **conf,
    }
    return [
        java, "-Xmx1g", "-XX:+UseSerialGC", QUICK_COMPILER, _CODE,
        "-XX:+IgnoreUnrecognizedVMOptions", *opened,
        *[f"-D{name}={value}" for name, value in settings.items()],
        "-cp", f"{_HERE}:{jars.jars()}/*", "org.apache.spark.sql.connect.service.SparkConnectServer",
    ]  # fmt: skip


def answers(port: int) -> None:
    """Raises until the server answers a question: its port is open before it can."""
    import grpc
    from pyspark.sql.connect.proto import base_pb2, base_pb2_grpc

    stub: Any = base_pb2_grpc.SparkConnectServiceStub
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        question = base_pb2.AnalyzePlanRequest(session_id="00000000-0000-4000-8000-000000000000")
        question.user_context.user_id = "ready"
        question.spark_version.SetInParent()
        stub(channel).AnalyzePlan(question, timeout=20)


def recipe(database: str, warehouse: Path) -> Recipe:
    """One server on the catalog database (a psycopg address), which is made where it is not there."""

    def start(folder: Path, ports: Sequence[int]) -> list[str]:
        _make_database(database)
        warehouse.mkdir(parents=True, exist_ok=True)
        conf = {
            **catalog_conf(CATALOG, database, warehouse),
            **catalog_conf(CACHED, database, warehouse, cached=True),
            **catalog_conf(READ_ONLY, database, warehouse, user=_READER),
            **catalog_conf(BROKEN, "postgresql://nobody@127.0.0.1:9/nothing", warehouse),
            **far_conf(warehouse),
            "spark.eventLog.enabled": "true",
            "spark.eventLog.dir": f"file://{_made(events_of(warehouse))}",
        }
        return command(folder, ports[0], conf)

    return Recipe("spark", 1, start, lambda ports: answers(ports[0]), f"{jars.JAVA} Then run `make setup`.", 120.0)


def events_of(warehouse: Path) -> Path:
    """Where the server keeps what it shows of its work to others: statements, settings, plans."""
    return warehouse.with_name("spark-events")


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _make_database(database: str) -> None:
    server, _, name = database.rpartition("/")
    with psycopg.connect(f"{server}/postgres", autocommit=True) as admin:
        with suppress(psycopg.errors.DuplicateDatabase):
            admin.execute(f'CREATE DATABASE "{name}"')
        with suppress(psycopg.errors.DuplicateObject):
            admin.execute(f"CREATE ROLE {_READER} LOGIN")
            admin.execute(f"GRANT pg_read_all_data TO {_READER}")
    # The catalog's own tables: who may only read cannot make them.
    load_catalog(CATALOG, type="sql", uri=database.replace("postgresql:", "postgresql+psycopg:"), warehouse="").close()
