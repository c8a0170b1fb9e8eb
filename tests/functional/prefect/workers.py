"""Real worker processes, and deployments for them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun

from app.prefect.zygote import ENTRYPOINT
from tests.functional.prefect.place import Place, Seen, ask_prefect, flow_run, until
from tests.services.keeper import started_at

_START_SECONDS = 240.0


class WorkerProcess:
    """`command` in a session of its own; whatever happens, it and the processes below it are gone afterwards."""

    def __init__(self, command: list[str], environment: Mapping[str, str], log: Path, ready: str) -> None:
        self.log = log
        self._ready = ready
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                command,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        try:
            until(self._is_ready, _START_SECONDS, "the worker")
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, f"the worker ended: {self.text()}"
        return self._ready in self.text()

    def text(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    @property
    def below(self) -> list[int]:
        """The processes that it started, and those below them."""
        return _below(self.process.pid)


def warm_worker(pool: str, log: Path, environment: Mapping[str, str] | None = None, *options: str) -> WorkerProcess:
    command = [sys.executable, "-m", "app.cli.main", "worker", "--pool", pool, *options]
    return WorkerProcess(command, environment or {}, log, "started!")


def plain_worker(pool: str, log: Path) -> WorkerProcess:
    command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", pool, "--type", "process"]
    environment = {"PREFECT_WORKER_QUERY_SECONDS": "1", "PREFECT_CLI_COLORS": "false"}
    return WorkerProcess(command, environment, log, "started!")


def _below(pid: int) -> list[int]:
    with suppress(OSError):
        children = [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()]
        return [*children, *(found for child in children for found in _below(child))]
    return []


def are_gone(pids: list[int]) -> bool:
    return not any(started_at(pid) for pid in pids)


@dataclass(frozen=True)
class Deployed:
    """The deployment of a place's ingestion."""

    id: UUID
    place: Place

    def trigger(self) -> FlowRun:
        with get_client(sync_client=True) as client:
            return client.create_flow_run_from_deployment(self.id)

    def run(self, seconds: float = 120.0) -> Seen:
        """Trigger it and wait for its end."""
        return ended(self.trigger().id, seconds)


def deploy(place: Place, pool: str, environment: Mapping[str, str] | None = None) -> Deployed:
    """A deployment as ours are: by module path, its parameters ids and a word. Its runs work on the place."""
    env = {"AUTOLOADER_HOME": str(place.settings.home), "MIN_AGE_SECONDS": "0", "PARSER_THREADS": "1"}
    with get_client(sync_client=True) as client:
        flow_id = client.create_flow_from_name("run-ingestion")
        deployment_id = client.create_deployment(
            flow_id=flow_id,
            name=str(place.ingestion.id),
            entrypoint=ENTRYPOINT,
            pull_steps=[],
            work_pool_name=pool,
            work_queue_name="autoloader-default",
            parameters={"ingestion_id": str(place.ingestion.id), "trigger": "manual"},
            job_variables={"env": {**env, **(environment or {})}},
        )
    return Deployed(deployment_id, place)


def ended(flow_run_id: UUID, seconds: float = 120.0) -> Seen:
    final = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
    until(lambda: flow_run(flow_run_id).kind in final, seconds, f"the end of {flow_run_id}")
    return flow_run(flow_run_id)


def seconds_to_first_line(flow_run_id: UUID) -> float:
    """From the trigger to the first line that the flow itself logged."""
    chosen = {"flow_run_id": {"any_": [str(flow_run_id)]}}

    def logged() -> list[dict[str, object]]:
        lines = ask_prefect("/logs/filter", logs=chosen, sort="TIMESTAMP_ASC")
        return [one for one in lines if str(one["message"]).startswith("Beginning flow run")]

    first = datetime.fromisoformat(str(until(logged, what="the first line")[0]["timestamp"]))
    with get_client(sync_client=True) as client:
        created = client.read_flow_run(flow_run_id).created
    assert created is not None
    return (first - created).total_seconds()
