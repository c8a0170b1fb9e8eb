"""A Spark Connect server beside a PostgreSQL catalog, for the measurements, with the compiler that is used in earnest.

The tests' own server is started for the shortest life: with the quick compiler alone, which makes slower code.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.services import recipes
from tests.services.shared import free_ports, serve
from tests.services.spark import server as spark

CLUSTER = "bench"
_START_SECONDS = 120.0
_HEAP = "-Xmx4g"


@dataclass(frozen=True)
class Server:
    url: str
    database: str
    warehouse: Path

    @property
    def catalog_options(self) -> dict[str, str]:
        """Of a connection named `spark.CATALOG`."""
        return {"type": "sql", "uri": self.database, "warehouse": f"file://{self.warehouse}"}


@contextlib.contextmanager
def started(folder: Path) -> Iterator[Server]:
    """The server with its tables in `folder`. Raises RuntimeError when it does not start."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-spark-") as made:
        scratch = Path(made)
        postgres = serve(recipes.POSTGRES, scratch / "services")[0]
        database = f"postgresql://postgres@127.0.0.1:{postgres}/{spark.DATABASE}"
        warehouse = folder / "warehouse"
        port = free_ports(1)[0]
        command = spark.recipe(database, warehouse).command(scratch, [port])
        earnest = [word for word in command if word != spark.QUICK_COMPILER and not word.startswith("-Xmx")]
        with (folder / "spark.log").open("wb") as log:
            process = subprocess.Popen([earnest[0], _HEAP, *earnest[1:]], cwd=scratch, stdout=log, stderr=log)
        try:
            _wait(process, port)
            yield Server(f"sc://127.0.0.1:{port}", database.replace("postgresql:", "postgresql+psycopg:"), warehouse)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    until = time.monotonic() + _START_SECONDS
    while True:
        try:
            spark.answers(port)
        except Exception as error:
            if process.poll() is not None or time.monotonic() > until:
                message = "Spark did not start; see spark.log."
                raise RuntimeError(message) from error
            time.sleep(0.2)
        else:
            return
