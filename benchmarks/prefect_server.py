"""A real Prefect server and real workers for a measurement, and the CPU time that each of them takes."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[1]
_START_SECONDS = 240


class Process:
    """One process with all below it."""

    def __init__(self, command: list[str], environment: Mapping[str, str], log: Path) -> None:
        self.log = log
        with log.open("wb") as output:
            self.popen = subprocess.Popen(
                command, env={**os.environ, **environment}, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )

    @property
    def cpu_seconds(self) -> float:
        """User and system time of the process and of all that it has started, those that have ended included."""
        root = psutil.Process(self.popen.pid)
        total = 0.0
        for one in (root, *root.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                times = one.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
        return total

    def wait_for(self, text: str) -> None:
        until = time.monotonic() + _START_SECONDS
        while text not in self.log.read_text(encoding="utf-8", errors="replace"):
            if self.popen.poll() is not None or time.monotonic() > until:
                message = f"It did not start; see {self.log}."
                raise RuntimeError(message)
            time.sleep(0.1)

    def end(self) -> None:
        self.popen.terminate()
        try:
            self.popen.wait(30)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()


@contextlib.contextmanager
def server(folder: Path) -> Iterator[tuple[Process, str]]:
    """The server on SQLite in `folder`, and its API's address; this process's Prefect client finds it too."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder.mkdir(parents=True, exist_ok=True)
    url = f"http://127.0.0.1:{port}/api"
    environment = {
        "PREFECT_HOME": str(folder),
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
        "DO_NOT_TRACK": "1",
    }
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    process = Process(command, environment, folder / "server.log")
    try:
        _wait_until_it_answers(process, f"{url}/health")
        os.environ["PREFECT_API_URL"] = url
        yield process, url
    finally:
        process.end()


def _wait_until_it_answers(process: Process, url: str) -> None:
    until = time.monotonic() + _START_SECONDS
    while True:
        try:
            with urllib.request.urlopen(url, timeout=2):  # noqa: S310 - our own address
                return
        except (urllib.error.URLError, OSError):
            if process.popen.poll() is not None or time.monotonic() > until:
                raise
            time.sleep(0.2)


@contextlib.contextmanager
def warm_worker(pool: str, limit: int, log: Path) -> Iterator[Process]:
    """`autoloader worker`."""
    with _worker([sys.executable, "-m", "app.cli.main", "worker", "--pool", pool, "--limit", str(limit)], log) as one:
        yield one


@contextlib.contextmanager
def plain_worker(pool: str, limit: int, log: Path) -> Iterator[Process]:
    """Prefect's own process worker, that looks as often as ours."""
    start = ["worker", "start", "--pool", pool, "--type", "process", "--limit", str(limit)]
    with _worker([sys.executable, "-m", "prefect", *start], log) as one:
        yield one


@contextlib.contextmanager
def _worker(command: list[str], log: Path) -> Iterator[Process]:
    looks = {"PREFECT_WORKER_QUERY_SECONDS": "1", "PREFECT_WORKER_PREFETCH_SECONDS": "1", "PYTHONPATH": str(ROOT)}
    process = Process(command, looks, log)
    try:
        process.wait_for("started!")
        yield process
    finally:
        process.end()
