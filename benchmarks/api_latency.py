"""How long lists and readings of the API take with 10,000 ingestions and 1,000,000 files in PostgreSQL.

    python -m benchmarks.api_latency [--scale 0.1] [--rounds 200]

One ingestion has a tenth of all files. `CPU` is that of the API's process for one call: it says what a call costs also
where the machine has other work. A real PostgreSQL and a real `autoloader api` are started and end with it. Ends
with 1 when a p95 is over the bar.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import psycopg

from app.database import upgrade
from app.schemas.ingestion import IngestionShape
from tests.services import recipes
from tests.services.shared import free_ports, serve

BAR_MS = 50.0
INGESTIONS, FILES, RUNS_EACH = 10_000, 1_000_000, 5
CLIENTS = 4
_WARM = 3  # calls that make connections and plans
_NAME = "bench_api"

Ask = Callable[[httpx.Client, random.Random], httpx.Response]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--json", action="store_true", help="one JSON object at the end, and no bar")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-api-") as folder:
        dsn = _database(Path(folder), given.scale)
        with _api(Path(folder), dsn) as (url, process):
            found = list(_measure(url, process, dsn, given.rounds))
    if given.json:
        print(json.dumps({call.name: [call.p50, call.p95, call.p95_together, call.cpu] for call in found}))
        return 0
    over = sum(call.p95 > BAR_MS for call in found)
    print(f"\nBar: p95 under {BAR_MS:.0f} ms, one client. {'Kept.' if not over else f'{over} calls are over it.'}")
    return 1 if over else 0


# --- what there is ---------------------------------------------------------------------------


def _database(folder: Path, scale: float) -> str:
    (port,) = serve(recipes.POSTGRES, folder / "services")
    with psycopg.connect(f"postgresql://postgres@127.0.0.1:{port}/postgres", autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {_NAME}".encode())
    dsn = f"postgresql://postgres@127.0.0.1:{port}/{_NAME}"
    upgrade(dsn)
    count, files = max(10, int(INGESTIONS * scale)), max(1000, int(FILES * scale))
    begun = time.perf_counter()
    with psycopg.connect(dsn, autocommit=True) as session:
        for statement in _filling(count, files):
            session.execute(statement.encode())
    print(f"{count:,} ingestions, {files:,} files, {count * RUNS_EACH:,} runs ({time.perf_counter() - begun:.0f} s)")
    return dsn


def _filling(count: int, files: int) -> Iterator[str]:
    """Statements. The ids are made of numbers, so that rows find each other."""
    shape = IngestionShape.model_validate(
        {
            "name": "x",
            "source": {"url": "s3://bench/x/"},
            "format": {"type": "jsonl"},
            "destination": {"table": "bench.x"},
        }
    ).model_dump_json(exclude={"paused"})
    ingestion = "('00000000-0000-4000-8000-' || lpad(to_hex({n}), 12, '0'))::uuid"
    one, run = ingestion.format(n="n"), ingestion.format(n="1000000 + n")
    every = f"generate_series(0, {count - 1}) AS n"
    yield (
        "INSERT INTO ingestions (id, tenant_id, name, source_url, table_name, config, schema_evidence, paused,"
        " rerun_wanted, prefect_sync, revision, created_at, updated_at)"
        f" SELECT {one}, 'default', 'orders-' || n, 's3://bench/' || n, 'local.bench.t' || n,"
        f" ('{shape}'::jsonb || jsonb_build_object('name', 'orders-' || n))::json, '[]', n % 10 = 0,"
        " false, 'in_sync', 1, now() - n * interval '1 second', now()"
        f" FROM {every}"
    )
    yield (
        "INSERT INTO runs (id, tenant_id, ingestion_id, trigger, state, started_at, finished_at, metrics)"
        f" SELECT {run}, 'default', {ingestion.format(n=f'n % {count}')}, 'scheduled', 'SUCCESS',"
        " now() - n * interval '1 second', now(), '{\"rows\": 1}'"
        f" FROM generate_series(0, {count * RUNS_EACH - 1}) AS n"
    )
    # A tenth of all files belong to the first ingestion; one of fifty is not loaded.
    owner = ingestion.format(n=f"(CASE WHEN n % 10 = 0 THEN 0 ELSE n % {count} END)")
    yield (
        "INSERT INTO processed_files (id, ingestion_id, path, version, size, modified_at, state, reason, attempts,"
        " discovered_run_id, discovered_at)"
        f" SELECT n + 1, {owner}, 's3://bench/x/' || lpad(n::text, 9, '0') || '.jsonl', 'v', 1000, now(),"
        " CASE WHEN n % 50 = 7 THEN 'QUARANTINED' ELSE 'SUCCESS' END,"
        f" CASE WHEN n % 50 = 7 THEN 'truncated' END, 1, {ingestion.format(n='1000000')}, now()"
        f" FROM generate_series(0, {files - 1}) AS n"
    )
    yield "VACUUM ANALYZE"


@contextlib.contextmanager
def _api(folder: Path, dsn: str) -> Iterator[tuple[str, psutil.Process]]:
    (port,) = free_ports(1)
    environment = {**os.environ, "DATABASE_URL": dsn, "AUTOLOADER_HOME": str(folder / "home")}
    command = [sys.executable, "-m", "app.cli.main", "api", "--port", str(port)]
    with (folder / "api.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    try:
        url = f"http://127.0.0.1:{port}"
        until = time.monotonic() + 60
        while not _answers(url):
            if process.poll() is not None or time.monotonic() > until:
                message = (folder / "api.log").read_text(encoding="utf-8")
                raise RuntimeError(message)
            time.sleep(0.1)
        yield url, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health/ready", trust_env=False).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


# --- the measuring ---------------------------------------------------------------------------


def _asks(ids: list[str]) -> dict[str, Ask]:
    """Each kind of call, for something else each time."""
    first = ids[0]

    def page(path: str) -> Ask:
        return lambda client, _: client.get(path)

    def deep(path: str) -> Ask:
        """A page somewhere behind the first: ten pages on are walked once, their cursors are asked in turn."""
        cursors: list[str] = []

        def ask(client: httpx.Client, chance: random.Random) -> httpx.Response:
            if not cursors:
                cursor = ""
                for _ in range(10):
                    cursor = client.get(f"{path}{cursor and '&cursor=' + cursor}").json()["next_cursor"] or ""
                    cursors.append(cursor)
            cursor = chance.choice(cursors)
            return client.get(f"{path}{cursor and '&cursor=' + cursor}")

        return ask

    return {
        "list ingestions": page("/v1/ingestions?limit=50"),
        "… behind a cursor": deep("/v1/ingestions?limit=50"),
        "… newest first": page("/v1/ingestions?limit=50&sort=-created_at"),
        "… search": lambda client, chance: client.get(f"/v1/ingestions?search={chance.randrange(10_000)}"),
        "… paused": page("/v1/ingestions?state=paused"),
        "… one table": lambda client, chance: client.get(f"/v1/ingestions?table=bench.t{chance.randrange(len(ids))}"),
        "read an ingestion": lambda client, chance: client.get(f"/v1/ingestions/{chance.choice(ids)}"),
        "… with a tenth of all files": page(f"/v1/ingestions/{first}"),
        "list runs": page("/v1/runs?limit=50"),
        "… of an ingestion": lambda client, chance: client.get(f"/v1/runs?ingestion_id={chance.choice(ids)}"),
        "list files": lambda client, chance: client.get(f"/v1/files?ingestion_id={chance.choice(ids)}"),
        "… of many, behind a cursor": deep(f"/v1/files?ingestion_id={first}&limit=100"),
        "… quarantined of many": page(f"/v1/files?ingestion_id={first}&state=QUARANTINED"),
        "read a file": lambda client, chance: client.get(f"/v1/files/{chance.randrange(1, 1000)}"),
    }


@dataclass(frozen=True)
class Call:
    """How long one kind of call takes, in ms: one client alone, and CLIENTS at once; `cpu` of the API's process."""

    name: str
    p50: float
    p95: float
    longest: float
    p95_together: float
    cpu: float


def _measure(url: str, process: psutil.Process, dsn: str, rounds: int) -> Iterator[Call]:
    with psycopg.connect(dsn) as session:
        ids = [str(row[0]) for row in session.execute("SELECT id FROM ingestions ORDER BY id")]
    print(f"\n{'call':<32}{'p50':>9}{'p95':>9}{'max':>9}{'p95, ' + str(CLIENTS) + ' clients':>18}{'CPU':>9}   (ms)")
    for name, ask in _asks(ids).items():
        before = process.cpu_times()
        alone = _timed(url, ask, rounds)
        after = process.cpu_times()
        cpu = (after.user + after.system - before.user - before.system) * 1000 / (rounds + _WARM)
        together = _p95(_together(url, ask, rounds))
        call = Call(name, statistics.median(alone), _p95(alone), max(alone), together, cpu)
        mark = "  over the bar" if call.p95 > BAR_MS else ""
        print(f"{name:<32}{call.p50:>9.1f}{call.p95:>9.1f}{call.longest:>9.1f}{together:>18.1f}{cpu:>9.1f}{mark}")
        yield call


def _together(url: str, ask: Ask, rounds: int) -> list[float]:
    """The same by several clients at once."""
    with ThreadPoolExecutor(CLIENTS) as pool:
        taken = pool.map(lambda seed: _timed(url, ask, max(5, rounds // CLIENTS), seed), range(CLIENTS))
    return [took for one in taken for took in one]


def _timed(url: str, ask: Ask, rounds: int, seed: int = 0) -> list[float]:
    chance, taken = random.Random(seed), []
    with httpx.Client(base_url=url, trust_env=False, timeout=60) as client:
        for number in range(rounds + _WARM):
            begun = time.perf_counter()
            answer = ask(client, chance)
            took = (time.perf_counter() - begun) * 1000
            answer.raise_for_status()
            if number >= _WARM:
                taken.append(took)
    return taken


def _p95(taken: list[float]) -> float:
    return statistics.quantiles(taken, n=20)[-1]


if __name__ == "__main__":
    sys.exit(main())
