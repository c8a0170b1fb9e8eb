"""A Prefect server of a test's own, to be killed and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

from tests.services import recipes
from tests.services.objects import http
from tests.services.shared import free_ports

_PATIENCE_SECONDS = 180.0
IN_MEMORY = "prefect.server.concurrency.lease_storage.memory"  # the server's default: a restart forgets who has slots


class KillablePrefect:
    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self.environment = environment
        (self.port,) = free_ports(1)
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api"

    def start(self) -> None:
        """Until it answers."""
        command = recipes.prefect_command(self.folder, self.port)
        given = [f"{name}={value}" for name, value in self.environment.items()]
        at = next(number for number, word in enumerate(command) if word.endswith("python"))
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command[:at], *given, *command[at:]],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        until = time.monotonic() + _PATIENCE_SECONDS
        while not self._answers():
            assert time.monotonic() < until, "the Prefect server did not start"
            assert self.process.poll() is None, (self.folder / "server.log").read_text()[-2000:]
            time.sleep(0.2)

    def _answers(self) -> bool:
        try:
            http("GET", f"{self.api_url}/health")
        except OSError:
            return False
        return True

    def kill(self) -> None:
        """As kill -9 does it; nothing is left to be tidied up."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None
