"""The warm worker beside a plain process worker: seconds from trigger to work, runs a minute, CPU seconds a run.

    python -m benchmarks.prefect_latency [--runs 20] [--folder build/bench/prefect]

`benchmarks.run` calls it too (`--only scheduler`).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING
from uuid import UUID

from benchmarks.prefect_server import Process, plain_worker, server, warm_worker

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun

FLOW = "app.prefect.flows.run_ingestion.run_ingestion_flow"
BARE = "benchmarks.bare_flow.bare"
QUEUE = "autoloader-default"
_FINAL = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
_LONGEST_SECONDS = 900
_AT_ONCE = 2
_LOOK_SECONDS = 0.25


@dataclass(frozen=True)
class Side:
    """One worker's figures. `first_line` and `first_claim` are medians of single runs; `claim` is 0 for a bare flow."""

    first_line: float
    first_claim: float
    per_minute: float
    worker_cpu: float  # seconds a run
    server_cpu: float


class Ground:
    """Ingestions of one file each, in one home, and their deployments in one pool."""

    def __init__(self, folder: Path, count: int) -> None:
        self.folder = folder
        self.count = count
        self.ids: list[UUID] = []
        self._round = 0

    def prepare(self) -> None:
        os.environ.update({"AUTOLOADER_HOME": str(self.folder / "home"), "MIN_AGE_SECONDS": "0"})
        from app.config import get_settings
        from app.database import Database
        from app.services.load_service import LoadService

        get_settings.cache_clear()
        database = Database(get_settings().database_address)
        database.upgrade()
        self.deliver()
        given = {"format": {"type": "jsonl"}, "columns": {"columns": "id bigint"}}
        service = LoadService(database, get_settings())
        for number in range(self.count):
            found = service.prepare(str(self._source(number)), f"bench.t{number}", given)
            self.ids.append(found.ingestion.id)
        database.close()

    def deliver(self) -> None:
        """One new file for each ingestion."""
        self._round += 1
        for number in range(self.count):
            self._source(number).mkdir(parents=True, exist_ok=True)
            line = json.dumps({"id": self._round}) + "\n"
            (self._source(number) / f"{self._round}.jsonl").write_text(line * 100, encoding="utf-8")

    def _source(self, number: int) -> Path:
        return self.folder / "landing" / str(number)

    def claimed_after(self, flow_run_id: UUID, created: float) -> float:
        """Seconds from the trigger to the claim of the run's first batch."""
        from sqlalchemy import select

        from app.config import get_settings
        from app.database import Database
        from app.models import Batch, Run

        database = Database(get_settings().database_address)
        with database.session_scope() as session:
            query = select(Batch.claimed_at).join(Run, Batch.run_id == Run.id)
            claimed = session.scalars(query.where(Run.external_key == str(flow_run_id))).one()
        database.close()
        return float(claimed.timestamp()) - created if claimed else 0.0


def deploy(pool: str, kind: str, entrypoint: str, parameters: Sequence[dict[str, object]]) -> list[UUID]:
    """A deployment for each of the parameters, in a pool of that kind."""
    from contextlib import suppress

    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.exceptions import ObjectAlreadyExists

    made = []
    with get_client(sync_client=True) as client:
        with suppress(ObjectAlreadyExists):
            client.create_work_pool(WorkPoolCreate(name=pool, type=kind))
        with suppress(ObjectAlreadyExists):
            client.create_work_queue(name=QUEUE, work_pool_name=pool)
        flow_id = client.create_flow_from_name(entrypoint.rpartition(".")[2].replace("_", "-"))
        for number, given in enumerate(parameters):
            made.append(
                client.create_deployment(
                    flow_id=flow_id,
                    name=f"{pool}-{number}",
                    entrypoint=entrypoint,
                    pull_steps=[],
                    work_pool_name=pool,
                    work_queue_name=QUEUE,
                    parameters=given,
                )
            )
    return made


def trigger(deployment_ids: Sequence[UUID]) -> list[tuple[UUID, float, float]]:
    """Run them and wait for all; each run's id, when it was created, and when it began. Raises RuntimeError.

    They are asked after in one question and seldom: the server that answers is a part of what is measured.
    """
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

    with get_client(sync_client=True) as client:
        wanted = {client.create_flow_run_from_deployment(one).id for one in deployment_ids}
        chosen = FlowRunFilter(id=FlowRunFilterId(any_=sorted(wanted)))
        until = time.monotonic() + _LONGEST_SECONDS
        while time.monotonic() < until:
            runs = client.read_flow_runs(flow_run_filter=chosen)
            if len(runs) == len(wanted) and all(_is_over(run) for run in runs):
                return [_times(run) for run in runs]
            time.sleep(_LOOK_SECONDS)
    message = f"{len(wanted)} flow runs did not end in {_LONGEST_SECONDS} s."
    raise RuntimeError(message)


def _is_over(run: FlowRun) -> bool:
    return run.state_type is not None and run.state_type.value in _FINAL


def _times(run: FlowRun) -> tuple[UUID, float, float]:
    if run.state_name != "Completed" or run.created is None or run.start_time is None:
        message = f"Flow run {run.id} ended {run.state_name}."
        raise RuntimeError(message)
    return run.id, run.created.timestamp(), run.start_time.timestamp()


def measure(ground: Ground, deployments: list[UUID], worker: Process, prefect: Process, *, bare: bool) -> Side:
    """Single runs for the latency, then all at once for the throughput; the first run of a worker does not count."""
    trigger(deployments[:1])
    lines, claims = [], []
    for deployment in deployments[1:6]:
        [(flow_run_id, created, began)] = trigger([deployment])
        lines.append(began - created)
        claims.append(0.0 if bare else ground.claimed_after(flow_run_id, created))
    ground.deliver()
    before = worker.cpu_seconds, prefect.cpu_seconds
    begun = time.monotonic()
    trigger(deployments)
    seconds, count = time.monotonic() - begun, len(deployments)
    used = worker.cpu_seconds - before[0], prefect.cpu_seconds - before[1]
    return Side(median(lines), median(claims), 60 * count / seconds, used[0] / count, used[1] / count)


def compare(folder: Path, count: int) -> dict[str, Side]:
    """`warm` and `plain` run the same ingestions, `bare` a flow that does nothing on the plain worker."""
    shutil.rmtree(folder, ignore_errors=True)
    ground = Ground(folder, count)
    with server(folder / "prefect") as (prefect, _):
        ground.prepare()
        runs: list[dict[str, object]] = [{"ingestion_id": str(one), "trigger": "manual"} for one in ground.ids]
        numbers: list[dict[str, object]] = [{"number": number} for number in range(count)]
        found = {}
        warm = deploy("warm", "autoloader", FLOW, runs)
        with warm_worker("warm", _AT_ONCE, folder / "warm.log") as worker:
            found["warm"] = measure(ground, warm, worker, prefect, bare=False)
        plain, bare = deploy("plain", "process", FLOW, runs), deploy("bare", "process", BARE, numbers)
        ground.deliver()
        with plain_worker("plain", _AT_ONCE, folder / "plain.log") as worker:
            found["plain"] = measure(ground, plain, worker, prefect, bare=False)
        with plain_worker("bare", _AT_ONCE, folder / "bare.log") as worker:
            found["bare"] = measure(ground, bare, worker, prefect, bare=True)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.prefect_latency", description=__doc__)
    parser.add_argument("--runs", type=int, default=20, help="runs at once for the throughput")
    parser.add_argument("--folder", type=Path, default=Path("build/bench/prefect"))
    parser.add_argument("--json", action="store_true", help="one JSON object, for `benchmarks.run`")
    given = parser.parse_args()
    if given.json:
        print(json.dumps({name: asdict(side) for name, side in compare(given.folder.resolve(), given.runs).items()}))
        return 0
    print(f"{'':8}{'first line':>12}{'first claim':>13}{'runs/min':>10}{'worker CPU':>12}{'server CPU':>12}")
    for name, side in compare(given.folder.resolve(), given.runs).items():
        claim = f"{side.first_claim:.2f} s" if side.first_claim else ""
        print(
            f"{name:8}{side.first_line:>10.2f} s{claim:>13}{side.per_minute:>10.1f}"
            f"{side.worker_cpu:>10.2f} s{side.server_cpu:>10.2f} s"
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
