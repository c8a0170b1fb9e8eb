"""Both sides of a measurement on one Spark server: the product, and the bare work."""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks import product, spark_server
from benchmarks.inputs import COLUMNS, Input
from benchmarks.measure import CommandFailed, Measured, run
from tests.services.spark.server import CATALOG

ROOT = Path(__file__).resolve().parents[1]


@dataclass
class Sides:
    """Each run of a side has a table of its own; the product's, a home of its own as well."""

    server: spark_server.Server
    folder: Path
    turns: int = 0

    def product(self, source: Input) -> Measured:
        """`autoloader load … --engine`, its cluster and catalog known beforehand. Raises CommandFailed."""
        home = self.folder / "home"
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        settings = {
            "AUTOLOADER_HOME": str(home),
            "LOG_LEVEL": "WARNING",
            "BATCH_MAX_FILES": "20000",
            "BATCH_MAX_BYTES": str(1 << 40),
        }
        known = [item for key, value in self.server.catalog_options.items() for item in ("-o", f"{key}={value}")]
        run([product.AUTOLOADER, "connections", "add", CATALOG, "catalog", *known], settings)
        run(
            [product.AUTOLOADER, "clusters", "add", spark_server.CLUSTER, self.server.url, "--catalog", CATALOG],
            settings,
        )
        command = [product.AUTOLOADER, "load", str(source.folder), self._table("product"), "--json"]
        # A moment is a text in the Parquet files, which Spark does not take for a moment.
        columns = COLUMNS.replace("at timestamptz", "at string") if source.kind == "parquet" else COLUMNS
        more = ["--on-new-columns", "ignore"] if source.kind == "ignored" else []
        measured = run([*command, "--engine", spark_server.CLUSTER, "--schema", columns, *more], settings)
        if (found := product.number(measured.answer, "rows")) != source.rows:
            message = f"Loaded {found} rows of {source.rows}: {measured.answer}"
            raise CommandFailed(message)
        return measured

    def bare(self, source: Input, *more: str) -> Measured:
        kind = "jsonl" if source.kind in {"drift", "ignored"} else source.kind
        command = [sys.executable, "-m", "benchmarks.bare_spark", self.server.url, kind, str(source.folder)]
        return run([*command, self._table("bare"), *more], {"PYTHONPATH": str(ROOT)})

    def warm(self, source: Input) -> None:
        """A cluster has been at work for long: the JVM of one that just began runs either side many times slower."""
        for _ in range(2):
            self.product(source)
            self.bare(source)

    def _table(self, side: str) -> str:
        self.turns += 1
        return f"{CATALOG}.bench.{side}_{self.turns}"


@contextlib.contextmanager
def started(folder: Path) -> Iterator[Sides]:
    with spark_server.started(folder) as server:
        yield Sides(server, folder)
