"""Polling by listing: a run is asked for where something is new, and nowhere else."""

from __future__ import annotations

import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from app.repositories import ingestions
from app.services.arrival_service import ArrivalService
from app.services.batch_orchestrator import BatchOrchestrator
from app.services.ingestion_service import IngestionService
from app.services.trigger_service import TriggerService
from tests.functional.scheduling.product import MovedClock, wanted

LONG_AGO = 1_700_000_000


class Arrivals:
    """Folders that are polled, and no Prefect: a wish that is stored is all that polling makes."""

    def __init__(self, database, settings, folder: Path) -> None:
        self.database, self.settings, self.folder = database, settings, folder
        self.clock = MovedClock()
        self.ingestions = IngestionService(database, settings)

    def service(self) -> ArrivalService:
        return ArrivalService(
            self.database, self.settings, TriggerService(self.database, self.settings, None, self.clock), self.clock
        )

    def run_pass(self):
        return self.service().run_pass()

    def create(self, name: str = "orders", poll_seconds: float = 30, **fields: object):
        (self.folder / name).mkdir()
        shape = wanted(
            str(self.folder / name), name=name, schedule=None, arrival={"poll_seconds": poll_seconds}, **fields
        )
        return self.ingestions.create(shape).id

    def put(self, name: str, file: str) -> None:
        path = self.folder / name / file
        path.write_text(json.dumps({"id": 1}) + "\n")
        os.utime(path, (LONG_AGO, LONG_AGO))

    def load(self, ingestion_id) -> None:
        BatchOrchestrator(self.database, self.settings).run_ingestion(ingestion_id)


@pytest.fixture
def arrivals(sqlite_database, offline_settings, tmp_path):
    (tmp_path / "landing").mkdir()
    return Arrivals(sqlite_database, offline_settings, tmp_path / "landing")


def test_a_quiet_source_costs_a_listing_and_no_run_and_a_new_file_one_wish(arrivals):
    ingestion_id = arrivals.create()
    quiet = arrivals.run_pass()
    assert (quiet.listed, quiet.triggered) == (1, [])

    arrivals.put("orders", "a.jsonl")
    assert arrivals.run_pass().listed == 0  # not before its 30 seconds
    arrivals.clock.ahead += timedelta(seconds=31)

    assert arrivals.run_pass().triggered == [ingestion_id]


def test_while_a_run_is_on_its_way_nothing_is_listed_and_after_it_only_what_is_new_counts(arrivals):
    ingestion_id = arrivals.create()
    arrivals.put("orders", "a.jsonl")
    assert arrivals.run_pass().triggered == [ingestion_id]
    arrivals.clock.ahead += timedelta(seconds=31)
    again = arrivals.run_pass()
    assert (again.busy, again.listed) == (1, 0)

    arrivals.clock.ahead = timedelta(0)
    arrivals.load(ingestion_id)
    arrivals.clock.ahead = timedelta(seconds=120)
    after = arrivals.run_pass()

    assert (after.listed, after.triggered) == (1, [])


def test_ten_pollers_list_each_source_once(arrivals):
    ids = {arrivals.create(f"orders-{number}") for number in range(40)}
    for number in range(0, 40, 2):
        arrivals.put(f"orders-{number}", "a.jsonl")
    barrier = threading.Barrier(10)

    def poll():
        service = arrivals.service()
        barrier.wait()
        return service.run_pass()

    with ThreadPoolExecutor(10) as pool:
        reports = [one.result() for one in [pool.submit(poll) for _ in range(10)]]

    assert sum(report.listed for report in reports) == len(ids)
    assert len([one for report in reports for one in report.triggered]) == 20


def test_paused_deleted_and_unpolled_ingestions_are_not_listed(arrivals):
    for name in ("paused", "deleted", "unpolled"):
        arrivals.create(name)
        arrivals.put(name, "a.jsonl")
    arrivals.ingestions.pause("paused", paused=True)
    arrivals.ingestions.delete("deleted")
    arrivals.ingestions.change(
        "unpolled", wanted(str(arrivals.folder / "unpolled"), name="unpolled", arrival={"notify": True})
    )

    assert arrivals.run_pass().listed == 0

    resumed = arrivals.ingestions.pause("paused", paused=False).id
    assert arrivals.run_pass().triggered == [resumed]


def test_a_source_that_cannot_be_listed_stops_nobody_else_and_is_asked_again_later(arrivals):
    gone, fine = arrivals.create("gone", 10), arrivals.create("fine", 10)
    arrivals.put("fine", "a.jsonl")
    (arrivals.folder / "gone").rmdir()

    report = arrivals.run_pass()

    assert [(one.ingestion_id, one.name) for one in report.failures] == [(gone, "gone")]
    assert report.triggered == [fine]
    with arrivals.database.read_scope() as session:
        due = ingestions.by_id(session, gone).next_poll_at
    assert timedelta(seconds=50) < due - arrivals.clock.now() <= timedelta(seconds=60)


def test_a_poller_that_died_leaves_the_source_to_another_one(arrivals, monkeypatch):
    ingestion_id = arrivals.create()
    arrivals.put("orders", "a.jsonl")

    class Died(BaseException):
        pass

    def die(*arguments):
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(ArrivalService, "_poll", die)
        with pytest.raises(Died):
            arrivals.run_pass()
    assert arrivals.run_pass().listed == 0
    arrivals.clock.ahead += timedelta(seconds=901)

    assert arrivals.run_pass().triggered == [ingestion_id]


def test_files_that_a_failed_run_left_waiting_are_a_reason_for_another_one_after_a_while(arrivals, monkeypatch):
    from app.errors import CatalogUnavailable
    from app.services.run_service import RunService

    ingestion_id = arrivals.create()
    arrivals.put("orders", "a.jsonl")

    def fail(*arguments):
        raise CatalogUnavailable("It is away.")

    with monkeypatch.context() as patch:
        patch.setattr(RunService, "plan", fail)
        with pytest.raises(CatalogUnavailable):
            arrivals.load(ingestion_id)
    assert arrivals.run_pass().triggered == []
    arrivals.clock.ahead += timedelta(seconds=301)

    assert arrivals.run_pass().triggered == [ingestion_id]
