"""The compose file without containers: its commands, with its variables, as processes beside real servers."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psycopg
import pytest
import yaml

from tests.services.objects import S3_ADMIN
from tests.services.shared import free_ports

COMPOSE = yaml.safe_load((Path(__file__).parents[2] / "deploy" / "compose.yaml").read_text(encoding="utf-8"))
KEY = "0123456789abcdef0123456789abcdef"
_ASKED = re.compile(r"\$\{(\w+):\?[^}]*\}")


@dataclass
class Machine:
    """Starts services of the compose file; `hosts` are the addresses that stand for its own."""

    folder: Path
    hosts: dict[str, str]
    secrets: dict[str, str]
    more: dict[str, str]
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str) -> subprocess.Popen[bytes]:
        service, home = COMPOSE["services"][name], self.folder / name
        home.mkdir(exist_ok=True)
        variables = {key: self._here(value) for key, value in service["environment"].items()}
        bare = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "AUTOLOADER_HOME": str(home)}
        with self.log(name).open("wb") as log:
            self.running[name] = subprocess.Popen(
                [self._here(word) for word in service["command"]],
                env={**bare, "PREFECT_HOME": str(home / "prefect"), **variables, **self.more},
                cwd=home,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self.running[name]

    def once(self, name: str) -> None:
        assert self.start(name).wait(240) == 0, self.log(name).read_text(encoding="utf-8")

    def stop(self, name: str) -> float:
        """Seconds that it took to stop after SIGTERM."""
        begun, process = time.monotonic(), self.running.pop(name)
        process.send_signal(signal.SIGTERM)
        process.wait(180)
        return time.monotonic() - begun

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def _here(self, text: str) -> str:
        text = _ASKED.sub(lambda found: self.secrets[found[1]], str(text)).replace("$$", "$")
        for there, here in self.hosts.items():
            text = text.replace(there, here)
        return text


@pytest.fixture
def machine(tmp_path, postgres, prefect_server, s3):
    (api_port,) = free_ports(1)
    with psycopg.connect(postgres.dsn, autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{postgres.name}_catalog"')
    hosts = {
        "postgresql://autoloader:secret@postgres:5432/autoloader": postgres.dsn,
        "/catalog": f"/{postgres.name}_catalog",
        "http://objects:8333": s3.endpoint,
        "s3://warehouse": f"s3://{s3.name}",
        "http://prefect-server:4200/api": prefect_server.api_url,
    }
    secrets = {
        "POSTGRES_PASSWORD": "secret",
        "AWS_ACCESS_KEY_ID": S3_ADMIN[0],
        "AWS_SECRET_ACCESS_KEY": S3_ADMIN[1],
        "AUTOLOADER_SECRET_KEY": KEY,
        "AUTOLOADER_API_KEY": KEY,
        "PREFECT_API_AUTH_STRING": prefect_server.auth_string,
    }
    more = {**prefect_server.environment, "AUTOLOADER_API_PORT": str(api_port)}
    made = Machine(tmp_path, hosts, secrets, more)
    yield made
    for process in made.running.values():
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    with psycopg.connect(postgres.dsn, autocommit=True) as admin:
        admin.execute(f'DROP DATABASE "{postgres.name}_catalog" WITH (FORCE)')


def until(look, seconds=180.0):
    """What `look` answers as soon as it answers something; it may fail to reach its server."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if found := look():
                return found
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise AssertionError("it did not come in time")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_compose_file_sets_up_loads_and_stops(machine, s3):
    s3.put("orders/a.jsonl", b'{"id": 1}\n{"id": 2}\n')
    for name in ("migrate", "catalog", "setup", "migrate", "catalog", "setup"):  # each may be repeated
        machine.once(name)
    for name in ("api", "reconciler", "worker-default"):
        machine.start(name)
    address = f"http://127.0.0.1:{machine.more['AUTOLOADER_API_PORT']}"
    with httpx.Client(base_url=address, timeout=180, headers={"Authorization": f"Bearer {KEY}"}) as api:
        until(lambda: api.get("/health/ready").status_code == httpx.codes.OK)
        assert httpx.get(f"{address}/v1/ingestions").status_code == httpx.codes.UNAUTHORIZED
        shape = {
            "name": "orders",
            "source": {"url": f"{s3.url}/orders"},
            "format": {"type": "jsonl"},
            "destination": {"table": "lake.shop.orders"},
        }
        made = api.post("/v1/ingestions", json=shape).raise_for_status().json()
        api.post(f"/v1/ingestions/{made['id']}/run").raise_for_status()

        def ended():
            runs = api.get("/v1/runs", params={"ingestion_id": made["id"]}).raise_for_status().json()["items"]
            return [run for run in runs if run["state"] != "RUNNING"]

        (run,) = until(ended)

    assert (run["state"], run["metrics"]["rows"]) == ("SUCCESS", 2), machine.log("worker-default").read_text()
    for name in ("worker-default", "reconciler", "api"):
        grace = COMPOSE["services"][name]["stop_grace_period"]
        assert machine.stop(name) < float(grace.removesuffix("s")), name
    for name in ("api", "reconciler", "worker-default"):
        told = machine.log(name).read_text(encoding="utf-8")
        assert not [secret for secret in machine.secrets.values() if len(secret) > 6 and secret in told], name
        assert all(json.loads(line) for line in told.splitlines() if line.startswith("{"))
