"""A Spark server of a test's own, on the catalog of the shared one, to be killed and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from tests.services.shared import free_ports
from tests.services.spark import server
from tests.services.spark.server import SparkServer

_PATIENCE_SECONDS = 120.0


class KillableSpark:
    """`like` is the shared server: the same namespaces and tables, seen through another server."""

    def __init__(self, like: SparkServer, folder: Path, **conf: str) -> None:
        (port,) = free_ports(1)
        self.server = replace(like, url=f"sc://127.0.0.1:{port}", port=port)
        self.folder = folder
        self.conf = conf
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Until it answers."""
        database = self.server.database.replace("postgresql+psycopg:", "postgresql:")
        conf: Mapping[str, str] = {
            **server.catalog_conf(self.server.catalog, database, self.server.warehouse),
            **self.conf,
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        command = server.command(self.folder, self.server.port, conf)
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        until = time.monotonic() + _PATIENCE_SECONDS
        while not self._answers():
            assert time.monotonic() < until, "the Spark server did not start"
            assert self.process.poll() is None, (self.folder / "server.log").read_text()[-2000:]
            time.sleep(0.1)

    def _answers(self) -> bool:
        try:
            server.answers(self.server.port)
        except Exception:  # noqa: BLE001 - whatever a server says while it starts
            return False
        return True

    def freeze(self) -> None:
        """It neither dies nor goes on with what it was doing."""
        assert self.process
        os.killpg(self.process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on as if nothing had been."""
        assert self.process
        os.killpg(self.process.pid, signal.SIGCONT)

    def kill(self) -> None:
        """As kill -9 does it."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None
