"""A run that is stopped from outside in the midst of a job on the cluster, as Prefect does it when the time is up."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from asyncio import CancelledError
from pathlib import Path

import pytest
from sqlalchemy import select

from app.models import Batch
from app.services.run_view_service import RunViewService
from app.spark import endpoint_of, interrupt
from tests.functional.spark_loading import SparkLoader

LONG = 80_000
PATIENCE_SECONDS = 60.0


@pytest.fixture
def both(sqlite_database, tmp_path: Path, spark_server) -> SparkLoader:
    return SparkLoader(sqlite_database, tmp_path, spark_server)


@pytest.fixture
def time_is_up_while_it_writes(both):
    """The main thread gets what Prefect gives a flow whose time is up, as soon as the first data file is written."""
    data = both.server.warehouse / both.server.namespace / "stopped" / "data"

    def raise_it(*_: object) -> None:
        raise CancelledError

    def wait() -> None:
        until = time.monotonic() + PATIENCE_SECONDS
        while not list(data.glob("*.parquet")) and time.monotonic() < until:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, raise_it)
    waiting = threading.Thread(target=wait)
    waiting.start()
    yield
    waiting.join()
    signal.signal(signal.SIGUSR1, before)


def test_a_run_whose_time_is_up_ends_its_job_and_the_next_one_loads_all(both, time_is_up_while_it_writes):
    both.put("1.jsonl", "".join(f'{{"id": {number}, "text": "{number:x}"}}\n' for number in range(LONG)))
    with pytest.raises(CancelledError):
        both.on_spark("stopped", columns={"columns": "id bigint, text string"})
    with both.database.read_scope() as session:
        batch = session.scalars(select(Batch)).one()
        told, tag = json.loads(batch.engine_job), str(batch.id)
    endpoint = endpoint_of(both.server.url, {}, catalog=both.server.catalog)
    assert interrupt(endpoint, told["session"], told["user"], tag) == []
    with both.opened("stopped") as loaded:
        assert not [one for one in loaded.snapshots() if "wap.id" in one.summary.additional_properties]
    last = RunViewService(both.database).listed()[0]
    assert (last.state, last.error_code) == ("FAILED", "timeout")
    both.on_spark("stopped")
    assert len(both.rows("stopped")) == LONG


def test_runs_of_one_process_use_one_session_after_the_other(both):
    both.put("1.jsonl", '{"id": 1, "text": "x"}\n')
    assert session_of(both, "one") == session_of(both, "two")


def session_of(both, name):
    both.on_spark(name, columns={"columns": "id bigint, text string"})
    with both.database.read_scope() as session:
        jobs = session.scalars(select(Batch.engine_job).order_by(Batch.created_at.desc())).all()
    return json.loads(jobs[0])["session"]
