"""An Iceberg REST catalog that PyIceberg and Spark share: Iceberg's own server for tests, on a PostgreSQL database."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from tests.services.objects import http
from tests.services.shared import Recipe
from tests.services.spark import jars

CATALOG = "rest_lake"
DATABASE = "rest_lake"
_HERE = Path(__file__).parent


@dataclass(frozen=True)
class RestCatalog:
    """`options` are those of a connection named CATALOG, `conf` a cluster's that opens the same catalog."""

    url: str
    name: str = CATALOG

    @property
    def options(self) -> dict[str, str]:
        return {"type": "rest", "uri": self.url}

    @property
    def conf(self) -> dict[str, str]:
        before = f"conf.spark.sql.catalog.{self.name}"
        return {before: "org.apache.iceberg.spark.SparkCatalog", f"{before}.type": "rest", f"{before}.uri": self.url}


def recipe(server: str, warehouse: Path) -> Recipe:
    """On a PostgreSQL server (a psycopg address without a database)."""

    def start(folder: Path, ports: Sequence[int]) -> list[str]:
        java = shutil.which("java")
        if java is None or not jars.jars(jars.REST).exists():
            raise FileNotFoundError("java" if java is None else "its jars")
        with psycopg.connect(f"{server}/postgres", autocommit=True) as admin:
            admin.execute(f'CREATE DATABASE "{DATABASE}_{ports[0]}"')
        parts = urlsplit(server)
        settings = {
            "CATALOG_CATALOG__IMPL": "org.apache.iceberg.jdbc.JdbcCatalog",
            "CATALOG_URI": f"jdbc:postgresql://{parts.hostname}:{parts.port}/{DATABASE}_{ports[0]}",
            "CATALOG_JDBC_USER": parts.username or "",
            "CATALOG_JDBC_SCHEMA__VERSION": "V1",
            "CATALOG_WAREHOUSE": f"file://{warehouse}",
            "CATALOG_REST_PORT": str(ports[0]),
        }
        given = [f"{name}={value}" for name, value in settings.items()]
        # Its own first: what it shares with Spark's jars is of another version there.
        classes = f"{jars.jars(jars.REST)}/*:{_HERE}:{jars.jars()}/*"
        flags = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", f"-Djava.io.tmpdir={folder}"]
        return ["env", *given, java, *flags, "-cp", classes, "org.apache.iceberg.rest.RESTCatalogServer"]

    return Recipe("iceberg-rest", 1, start, _ready, f"{jars.JAVA} Then run `make setup`.", 60.0)


def _ready(ports: Sequence[int]) -> None:
    http("GET", f"http://127.0.0.1:{ports[0]}/v1/config")
