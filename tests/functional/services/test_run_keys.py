"""A run that is keyed is one run, however often and wherever it is started (protocol, point 9)."""

from __future__ import annotations

import subprocess
import sys
import threading
from uuid import UUID

import pytest
from sqlalchemy import select

from app.config import Settings
from app.errors import Conflict, LeaseHeld
from app.models import Lease, Run
from app.models import Trigger as TriggerRow
from app.repositories import ingestions, prefect_sync, runs
from app.services import lease_service, rerun_service
from app.services.ingestion_service import IngestionService
from app.services.resolve_service import ResolveService
from app.services.run_service import RunService
from app.values import Trigger
from tests.fakes.ledger import NOON, add_run, shape

# A process that begins the run of a key, and is killed in its midst.
DYING = """
import os, signal, sys
from uuid import UUID
from app.config import Settings
from app.database import Database
from app.services.run_service import RunService
url, home, ingestion, key = sys.argv[1:]
settings = Settings(_env_file=None, autoloader_home=home)
with RunService(Database(url), settings).start(UUID(ingestion), external_key=key) as ctx:
    print(ctx.run_id, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def settings(tmp_path) -> Settings:
    (tmp_path / "landing").mkdir()
    return Settings(autoloader_home=tmp_path / "home", _env_file=None)


@pytest.fixture
def steps(database, settings) -> RunService:
    return RunService(database, settings)


def make(steps: RunService, name: str = "one") -> UUID:
    source = str(steps.settings.home.parent / "landing" / name)
    return IngestionService(steps.database, steps.settings).create(shape(name, source, f"local.demo.{name}")).id


def run(steps: RunService, ingestion_id: UUID, key: str | None) -> UUID:
    with steps.start(ingestion_id, external_key=key) as ctx:
        steps.finish(ctx)
        return ctx.run_id


def die(steps: RunService, ingestion_id: UUID, key: str) -> UUID:
    command = [sys.executable, "-c", DYING, steps.database.url, str(steps.settings.home), str(ingestion_id), key]
    return UUID(subprocess.run(command, capture_output=True, text=True, timeout=120, check=False).stdout.strip())


def leave_running(steps: RunService, ingestion_id: UUID, key: str) -> UUID:
    """What a process leaves that died on a machine whose lease has run out."""
    run_id = add_run(steps.database.engine, ingestion_id)
    with steps.database.session_scope() as session:
        runs.by_id(session, run_id).external_key = key
    return run_id


def stored(steps: RunService) -> list[Run]:
    with steps.database.session_scope() as session:
        return list(session.scalars(select(Run).order_by(Run.started_at)))


def before_the_lease(monkeypatch: pytest.MonkeyPatch, action) -> None:
    """Let `action` happen between the first look at the key and the taking of the lease."""
    real, todo = lease_service.hold, [action]

    def hold(*args, **kwargs):
        if todo:
            todo.pop()()
        return real(*args, **kwargs)

    monkeypatch.setattr(lease_service, "hold", hold)


def test_a_key_is_refused_while_its_run_is_active_and_when_it_has_ended(steps):
    ingestion_id = make(steps)
    with steps.start(ingestion_id, external_key="k") as ctx:
        with pytest.raises(LeaseHeld, match=str(ctx.run_id)), steps.start(ingestion_id, external_key="k"):
            pass
        steps.finish(ctx)
    with pytest.raises(Conflict, match=f"Run {ctx.run_id} of key k has ended: SUCCESS") as refused:
        run(steps, ingestion_id, "k")
    assert not isinstance(refused.value, LeaseHeld)
    assert [one.id for one in stored(steps)] == [ctx.run_id]
    run(steps, ingestion_id, "another")


def test_a_run_whose_owner_died_goes_on_under_its_id(steps):
    ingestion_id = make(steps)
    begun = die(steps, ingestion_id, "k")
    with steps.start(ingestion_id, external_key="k") as ctx:
        assert ctx.run_id == begun
        [resumed] = stored(steps)
        assert (resumed.state, resumed.lease_epoch) == ("RUNNING", 2)
        with steps.database.session_scope() as session:
            assert session.get(Lease, ingestion_id).run_id == begun
        steps.finish(ctx)
    assert [one.state for one in stored(steps)] == ["SUCCESS"]


def test_a_run_whose_owner_died_is_failed_by_the_next_one_and_its_key_goes_on_under_its_old_record(steps):
    ingestion_id = make(steps)
    leave_running(steps, ingestion_id, "k")
    run(steps, ingestion_id, None)
    assert sorted(one.state for one in stored(steps)) == ["FAILED", "SUCCESS"]
    run(steps, ingestion_id, "k")
    assert [one.state for one in stored(steps)] == ["SUCCESS", "SUCCESS"]


def test_a_key_of_another_ingestion_is_refused_and_holds_nothing(steps):
    one, other = make(steps, "one"), make(steps, "other")
    run(steps, one, "k")
    with pytest.raises(Conflict, match="of another ingestion"):
        run(steps, other, "k")
    assert len(stored(steps)) == 1
    run(steps, other, "its own")


def test_a_run_that_began_and_ended_since_the_key_was_looked_up_is_not_run_again(steps, monkeypatch):
    ingestion_id = make(steps)
    before_the_lease(monkeypatch, lambda: run(steps, ingestion_id, "k"))
    with pytest.raises(Conflict, match="has ended: SUCCESS"):
        run(steps, ingestion_id, "k")
    assert len(stored(steps)) == 1


def test_a_run_that_began_and_died_since_the_key_was_looked_up_goes_on_under_its_id(steps, monkeypatch):
    ingestion_id, begun = make(steps), []
    before_the_lease(monkeypatch, lambda: begun.append(leave_running(steps, ingestion_id, "k")))
    assert [run(steps, ingestion_id, "k")] == begun
    with steps.database.session_scope() as session:
        assert session.get(Lease, ingestion_id).run_id == begun[0], "who is refused is told the run that there is"


def test_a_key_taken_by_another_ingestion_at_the_same_moment_is_a_conflict_not_a_crash(steps, database):
    one, other = make(steps, "one"), make(steps, "other")
    run(steps, one, "k")
    twin = Run(id=UUID(int=1), ingestion_id=other, trigger="manual", state="RUNNING", external_key="k", metrics={})
    twin.started_at = NOON
    with pytest.raises(Conflict, match="The key k belongs to another run"), database.session_scope() as session:
        runs.add(session, twin)


def test_of_two_that_start_one_key_at_once_one_run_comes(steps):
    ingestion_id = make(steps)
    barrier, ends = threading.Barrier(2), []

    def start() -> None:
        barrier.wait(180)
        try:
            ends.append(str(run(steps, ingestion_id, "k")))
        except Conflict as error:
            ends.append(error.code)

    threads = [threading.Thread(target=start) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    [only] = stored(steps)
    assert (only.state, str(only.id) in ends) == ("SUCCESS", True)
    assert {"lease-held", "conflict"} & set(ends)


# --- decisions


def test_a_decision_is_a_run_of_its_own_kind_and_not_the_last_run_that_people_see(steps):
    ingestion_id = make(steps)
    last = run(steps, ingestion_id, None)
    with steps.start(ingestion_id, Trigger.DECISION, even_paused=True) as ctx:
        steps.finish(ctx, upkeep=False)
    view = IngestionService(steps.database, steps.settings).show("one")
    assert (view.last_run_id, view.last_run_state) == (last, "SUCCESS")
    assert [one.trigger for one in stored(steps)] == ["manual", "decision"]


@pytest.mark.parametrize("asked", ["before", "meanwhile"])
def test_a_wish_for_a_run_is_not_met_by_a_decision_and_becomes_a_run_after_it(steps, asked):
    ingestion_id = make(steps)
    if asked == "before":
        with steps.database.session_scope() as session:
            ingestions.by_id(session, ingestion_id).rerun_wanted = True
    with steps.start(ingestion_id, Trigger.DECISION, even_paused=True) as ctx:
        if asked == "meanwhile":
            rerun_service.want(steps.database, steps.clock, ingestion_id, Trigger.ARRIVAL)
        steps.finish(ctx, upkeep=False)

    with steps.database.session_scope() as session:
        assert [one.kind for one in session.scalars(select(TriggerRow))] == ["retry"]
        assert not ingestions.by_id(session, ingestion_id).rerun_wanted


def test_a_wish_that_was_lost_before_a_decision_is_still_a_lost_wish(steps):
    ingestion_id = make(steps)
    lost_at = steps.clock.now()
    with steps.start(ingestion_id, Trigger.DECISION, even_paused=True) as ctx:
        steps.finish(ctx, upkeep=False)

    with steps.database.session_scope() as session:
        assert prefect_sync.want_rerun(session, ingestion_id, lost_at)
    run(steps, ingestion_id, None)
    with steps.database.session_scope() as session:
        assert not prefect_sync.want_rerun(session, ingestion_id, lost_at)


def test_to_look_at_the_evidence_is_no_run_and_needs_no_lease(steps):
    ingestion_id = make(steps)
    with steps.start(ingestion_id) as ctx:
        assert ResolveService(steps.database, steps.settings).evidence("one") == []
        steps.finish(ctx)
    assert [one.id for one in stored(steps)] == [ctx.run_id]
