"""The product as a library, with a cluster: the same files by both engines into tables beside each other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pyiceberg.table import Table as Loaded

from app.catalog.open import open_catalog
from app.catalog.schema import from_iceberg
from app.catalog.table import Catalog
from app.database import Database
from app.services.cluster_service import ClusterService
from app.services.connection_service import ConnectionService
from app.services.metrics import RunSummary
from tests.functional.loading import Loader
from tests.services.spark.server import SparkServer, far_table

CLUSTER = "big"


class SparkLoader(Loader):
    """Knows the server's catalog and the cluster `big`."""

    def __init__(self, database: Database, folder: Path, server: SparkServer) -> None:
        super().__init__(database, folder)
        self.server = server
        ConnectionService(database, self.settings).put(server.catalog, "catalog", server.catalog_options)
        ClusterService(database, self.settings).create(
            CLUSTER, server.url, catalog=server.catalog, options={}, token=None
        )

    def on_spark(self, table: str, **given: Any) -> RunSummary:
        return self.load(self.server.table(table), engine=CLUSTER, **given)

    def embedded(self, table: str, **given: Any) -> RunSummary:
        return self.load(self.server.table(table), **given)

    @contextmanager
    def catalog(self) -> Iterator[Catalog]:
        with open_catalog(self.server.catalog, self.server.catalog_options) as opened:
            yield opened

    @contextmanager
    def opened(self, table: str) -> Iterator[Loaded]:
        with self.catalog() as catalog:
            yield catalog.table(self.server.table(table)).look().loaded

    def rows(self, table: str, *without: str) -> list[str]:
        """The rows as text, sorted; without the columns that tell when and under which id."""
        left_out = {"_file_id", "_ingested_at", *without}
        with self.opened(table) as loaded:
            found = loaded.scan().to_arrow().to_pylist()
        shown = ({key: value for key, value in row.items() if key not in left_out} for row in found)
        return sorted(json.dumps(row, default=repr, sort_keys=True, ensure_ascii=False) for row in shown)

    def schema(self, table: str) -> str:
        with self.catalog() as catalog:
            return str(catalog.table(self.server.table(table)).state().schema)

    def rejects(self, table: str) -> list[tuple[str, str, str]]:
        with self.opened(f"{table}__rejects") as loaded:
            found = loaded.scan().to_arrow().to_pylist()
        return sorted((Path(row["source_file"]).name, row["reason"], row["raw"]) for row in found)

    def files(self, table: str) -> list[tuple[str, str, int, int, int, str]]:
        """`(name, state, rows, rescued, rejected, reason)` of each file that the ledger knows for the table."""
        from sqlalchemy import text

        query = text(
            "SELECT path, f.state, f.row_count, f.rescued_count, f.rejected_count, f.reason FROM processed_files f"
            " JOIN ingestions i ON i.id = f.ingestion_id WHERE i.table_name = :name ORDER BY path"
        )
        with self.database.read_scope() as session:
            rows = session.execute(query, {"name": self.server.table(table)})
            return [(Path(row[0]).name, row[1], row[2] or 0, row[3] or 0, row[4] or 0, row[5] or "") for row in rows]


class FarLoader(SparkLoader):
    """Its tables are in the catalog that the cluster alone reaches: looked at here by their files."""

    def __init__(self, database: Database, folder: Path, server: SparkServer) -> None:
        super().__init__(database, folder, server.far)

    @contextmanager
    def opened(self, table: str) -> Iterator[Loaded]:
        yield far_table(self.server, table)

    def schema(self, table: str) -> str:
        with self.opened(table) as loaded:
            return str(from_iceberg(loaded.schema()))
