"""`autoloader api` as a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.services.shared import free_ports

ROOT = Path(__file__).parents[3]


@pytest.fixture
def start(tmp_path):
    """Starts the command with a home of its own; whatever is left of it ends with the test."""
    begun = []

    def make(*arguments, **environment):
        process = subprocess.Popen(
            [sys.executable, "-m", "app.cli.main", "api", *arguments],
            env={**os.environ, "PYTHONPATH": str(ROOT), "AUTOLOADER_HOME": str(tmp_path / "home"), **environment},
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        begun.append(process)
        return process

    yield make
    for process in begun:
        process.kill()
        process.communicate()


def answered(url, seconds=180.0):
    until = time.monotonic() + seconds
    while True:
        try:
            return httpx.get(url, timeout=5, trust_env=False)
        except httpx.TransportError:
            assert time.monotonic() < until
            time.sleep(0.05)


def test_it_makes_its_database_serves_and_stops_in_order(start):
    (port,) = free_ports(1)
    process = start("--port", str(port), LOG_LEVEL="INFO", LOG_FORMAT="json")
    url = f"http://127.0.0.1:{port}"
    assert answered(f"{url}/health/live").status_code == 200
    assert httpx.get(f"{url}/health/ready", trust_env=False).json()["ready"]
    assert httpx.get(f"{url}/v1/ingestions?search=x", trust_env=False).json()["items"] == []
    assert "server" not in httpx.get(f"{url}/version", trust_env=False).headers

    second = start("--port", str(port))
    out, told = second.communicate(timeout=180)
    assert (second.returncode, out) == (1, "")
    assert f"cannot listen on 127.0.0.1, port {port}" in told

    process.send_signal(signal.SIGTERM)
    out, told = process.communicate(timeout=180)
    assert (process.returncode, out) == (0, "")
    assert '"path": "/v1/ingestions", "status": 200' in told
    assert "search" not in told
    assert told.rstrip().endswith("Stopped.")


def test_where_others_reach_it_it_refuses_to_start_without_a_key(start):
    process = start("--host", "0.0.0.0", "--port", str(free_ports(1)[0]))  # noqa: S104 - what must be refused
    _, told = process.communicate(timeout=180)
    assert process.returncode == 1
    assert "without a key" in told
    assert "AUTOLOADER_API_KEY" in told
