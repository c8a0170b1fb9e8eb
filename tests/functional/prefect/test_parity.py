"""The flow and BatchOrchestrator are one product: the same files come to the same ledger, metrics and table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import select

from app.config import get_settings
from app.models import Batch, FileEvent, ProcessedFile
from app.services.batch_orchestrator import BatchOrchestrator
from app.services.table_service import TableService
from tests.functional.prefect.place import TABLE, Place

COLUMNS = {"columns": "file string, row bigint, size int", "on_new_columns": "rescue"}
OWN = {"id", "ingestion_id", "run_id", "batch_id", "snapshot_id", "discovered_run_id", "settled_run_id", "external_key"}
OWN |= {"file_id", "parent_id", "table_uuid", "base_snapshot_id", "created_at", "claimed_at", "settled_at", "at"}
OWN |= {"discovered_at", "started_at", "finished_at", "modified_at", "version", "tenant_id", "metrics"}


@dataclass
class Came:
    """What a run came to, without what differs between any two runs: ids and times."""

    ledger: list[dict[str, Any]]
    events: list[dict[str, Any]]
    batches: list[dict[str, Any]]
    runs: list[dict[str, Any]]
    metrics: list[dict[str, Any]]
    rows: list[tuple[object, ...]]
    rejects: list[tuple[object, ...]]


def deliver(place: Place) -> None:
    """Good, rescued, rejected, quarantined, skipped: each kind of file, several to a batch."""
    place.deliver("a-good.jsonl", 3)
    place.deliver("b-rescued.jsonl", 1, text='{"file": "b", "row": 1, "size": "much", "more": true}\n')
    place.deliver("c-rejected.jsonl", 2, text="{broken\n")
    place.deliver("d-empty.jsonl", 0)
    place.deliver("e-garbage.jsonl.gz", 0, text="this is no gzip")
    place.deliver("f-good.jsonl", 4)


def came(place: Place) -> Came:
    database = place.database()
    tables = TableService(database, place.settings)
    with database.session_scope() as session:
        paths = dict(session.execute(select(ProcessedFile.id, ProcessedFile.path)).all())

        def read(kind: Any, order: Any) -> list[dict[str, Any]]:
            found = session.scalars(select(kind).order_by(order)).all()
            return [_without_own(row, paths, place) for row in found]

        ledger = sorted(read(ProcessedFile, ProcessedFile.id), key=lambda row: row["path"])
        events, batches = read(FileEvent, FileEvent.id), read(Batch, Batch.created_at)
    rows = tables.sql(TABLE, "SELECT file, row, size, _rescued_data FROM rows ORDER BY ALL").rows
    rejects = tables.sql(f"{TABLE}__rejects", "SELECT line, reason, raw FROM rows__rejects ORDER BY ALL").rows
    runs = place.runs()
    database.close()
    return Came(
        ledger,
        events,
        batches,
        [_without_own(run, {}, place) for run in runs],
        [{k: v for k, v in run.metrics.items() if k not in {"seconds", "snapshots"}} for run in runs],
        [tuple(row) for row in rows],
        [tuple(row) for row in rejects],
    )


def _without_own(row: Any, paths: dict[int, str], place: Place) -> dict[str, Any]:
    kept = {c.key: getattr(row, c.key) for c in row.__table__.columns if c.key not in OWN}
    if "file_id" in row.__table__.columns:
        kept["path"] = paths[row.file_id]
    return {
        key: value.replace(str(place.folder), "") if isinstance(value, str) else value for key, value in kept.items()
    }


@pytest.fixture
def places(place, tmp_path, monkeypatch):
    """Opens one home after the other over identical files."""

    def opened(name: str) -> Place:
        monkeypatch.setenv("AUTOLOADER_HOME", str(tmp_path / name / "home"))
        get_settings.cache_clear()
        made = Place(tmp_path / name)
        deliver(made)
        made.prepare(columns=COLUMNS, policies={"batch_max_files": 2, "max_attempts": 1})
        return made

    return opened


def test_the_flow_and_the_orchestrator_come_to_the_same(places):
    from app.prefect.flows.run_ingestion import run_ingestion_flow

    one = places("orchestrator")
    for again in (False, True):
        if again:
            one.deliver("g-later.jsonl", 2)
        database = one.database()
        BatchOrchestrator(database, one.settings).run_ingestion(one.ingestion)
        database.close()
    by_orchestrator = came(one)

    other = places("flow")
    for again in (False, True):
        if again:
            other.deliver("g-later.jsonl", 2)
        run_ingestion_flow(str(other.ingestion.id))
    by_flow = came(other)

    assert {row["state"] for row in by_flow.ledger} == {"SUCCESS", "QUARANTINED", "SKIPPED"}
    assert [run["state"] for run in by_flow.runs] == ["PARTIAL", "SUCCESS"]
    assert len(by_flow.batches) > 2
    assert by_flow.rejects
    for part in ("ledger", "events", "batches", "runs", "metrics", "rows", "rejects"):
        assert getattr(by_flow, part) == getattr(by_orchestrator, part), part
