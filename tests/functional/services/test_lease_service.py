from __future__ import annotations

import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import select, text

from app import failpoints
from app.config import Settings
from app.errors import DatabaseUnavailable, LeaseHeld, LeaseLost
from app.ingest.ports import SilentProgress
from app.repositories import leases
from app.repositories.leases import Holder, LeaseRow
from app.services import lease_service
from tests.fakes.ledger import add_ingestion, shape
from tests.fakes.owner import Owner

LONG = Settings(lease_seconds=300, lease_heartbeat_seconds=100, _env_file=None)
SHORT = Settings(lease_seconds=0.8, lease_heartbeat_seconds=0.1, _env_file=None)
SILENT = SilentProgress()


class Notes(SilentProgress):
    """Keeps what a person would have seen."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def note(self, text: str) -> None:
        self.texts.append(text)


@pytest.fixture
def ingestion_id(database):
    return add_ingestion(database.engine).id


@pytest.fixture
def owner(database, ingestion_id):
    """Starts processes that own the lease, and ends them."""
    started: list[Owner] = []

    def start(lease: float, heartbeat: float) -> Owner:
        started.append(Owner(database, ingestion_id, lease, heartbeat))
        return started[-1]

    yield start
    for one in started:
        one.close()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 180
    while not condition():
        assert time.monotonic() < deadline, "the condition never came true"
        time.sleep(0.01)


def read(database, ingestion_id) -> LeaseRow:
    with database.session_scope() as session:
        found = leases.read(session, ingestion_id)
        assert found is not None
        return found


def run_out(database, ingestion_id) -> None:
    until(lambda: read(database, ingestion_id).seconds_left < 0)


def stop(database, owner: Owner) -> None:
    """SIGSTOP, but not while its heartbeat is inside a transaction: that would hold a lock against everyone."""
    locked = True
    while locked:
        os.kill(owner.pid, signal.SIGSTOP)
        locked = is_locked(database)
        if locked:
            os.kill(owner.pid, signal.SIGCONT)


def is_locked(database) -> bool:
    try:
        if database.kind == "sqlite":
            with closing(sqlite3.connect(database.engine.url.database, timeout=0.05)) as connection:
                connection.execute("BEGIN IMMEDIATE")
        else:
            with psycopg.connect(database.url.replace("+psycopg", "")) as connection:
                connection.execute("SELECT 1 FROM leases FOR UPDATE NOWAIT")
    except (sqlite3.OperationalError, psycopg.errors.LockNotAvailable):
        return True
    return False


def move_to_another_host(database) -> None:
    """As if the owner's process were on another machine: nobody here can tell whether it lives."""
    with database.session_scope() as session:
        session.execute(text("UPDATE leases SET host = 'far-away', boot_id = 'another boot'"))


def revision(database) -> int:
    with database.session_scope() as session:
        return session.execute(text("SELECT revision FROM ingestions")).scalar()


# --- who gets it


def test_a_second_process_is_refused_while_the_first_one_lives_and_told_which_it_is(database, ingestion_id, owner):
    first = owner(300, 100)
    assert first.begun == "held 1"
    second = owner(300, 100)

    assert second.begun.startswith("refused Run ")
    assert f"process {first.pid} on " in second.begun


def test_the_refusal_says_which_run_it_is_and_how_long_its_lease_lasts(database, ingestion_id):
    run_id = uuid4()
    with (
        lease_service.hold(database, LONG, ingestion_id, run_id, SILENT),
        pytest.raises(LeaseHeld, match=str(run_id)) as refused,
        lease_service.hold(database, LONG, ingestion_id, uuid4(), SILENT),
    ):
        pass
    assert 200 < refused.value.seconds_left <= 300
    assert refused.value.retryable
    assert f"runs show {run_id}" in refused.value.hint


def test_a_run_lives_while_its_lease_is_held_and_no_longer(database, ingestion_id):
    def alive(run_id):
        with database.read_scope() as session:
            return lease_service.is_alive(session, ingestion_id, run_id)

    run_id = uuid4()
    assert not alive(run_id)
    with lease_service.hold(database, LONG, ingestion_id, run_id, SILENT):
        assert alive(run_id)
        assert not alive(uuid4())
    assert not alive(run_id)


def test_of_many_that_want_it_at_once_exactly_one_gets_it(database, ingestion_id):
    barrier, over, ends = threading.Barrier(4), threading.Event(), []

    def want():
        barrier.wait(180)
        try:
            with lease_service.hold(database, LONG, ingestion_id, uuid4(), SILENT) as lease:
                ends.append(lease.epoch)
                over.wait(180)
        except LeaseHeld:
            ends.append("refused")
            if ends.count("refused") == 3:
                over.set()

    threads = [threading.Thread(target=want) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    assert sorted(map(str, ends)) == ["1", "refused", "refused", "refused"]


def test_leases_of_different_ingestions_do_not_know_each_other(database, ingestion_id):
    other = add_ingestion(database.engine, shape("other", "/data/other")).id
    with (
        lease_service.hold(database, LONG, ingestion_id, uuid4(), SILENT) as one,
        lease_service.hold(database, LONG, other, uuid4(), SILENT) as two,
    ):
        assert (one.epoch, two.epoch) == (1, 1)


def test_the_epoch_grows_with_each_owner_also_when_the_lease_was_given_up(database, ingestion_id):
    epochs = []
    for _ in range(3):
        with lease_service.hold(database, LONG, ingestion_id, uuid4(), SILENT) as lease:
            epochs.append(lease.epoch)
        assert read(database, ingestion_id).holder is None
    assert epochs == [1, 2, 3]


def test_a_block_that_raises_gives_the_lease_up_too(database, ingestion_id):
    with (
        pytest.raises(ZeroDivisionError),
        lease_service.hold(database, LONG, ingestion_id, uuid4(), SILENT),
    ):
        1 / 0  # noqa: B018
    assert read(database, ingestion_id).holder is None


# --- the owner died


def test_an_owner_killed_on_this_host_is_replaced_at_once(database, ingestion_id, owner):
    dead = owner(300, 100)
    os.kill(dead.pid, signal.SIGKILL)  # not waited for: it stays as a zombie, which is dead too
    until(lambda: lease_service._started(dead.pid) == lease_service._ENDED)
    notes = Notes()
    assert read(database, ingestion_id).seconds_left > 200
    with lease_service.hold(database, LONG, ingestion_id, uuid4(), notes) as lease:
        assert lease.epoch == 2
    assert notes.texts == []


def test_a_number_that_another_process_got_since_is_not_taken_for_the_owner(database, ingestion_id):
    me = lease_service._this_process()
    late = Holder("late", me.host, me.boot_id, me.pid, "0")  # our own pid, of a process that started earlier
    with database.session_scope() as session:
        leases.create(session, ingestion_id)
        assert leases.take(session, leases.read(session, ingestion_id), late, uuid4(), 300) == 1
    with lease_service.hold(database, LONG, ingestion_id, uuid4(), SILENT) as lease:
        assert lease.epoch == 2


def test_an_owner_on_another_host_is_waited_for_until_its_lease_runs_out(database, ingestion_id, owner):
    gone = owner(1.5, 100)
    move_to_another_host(database)
    os.kill(gone.pid, signal.SIGKILL)
    notes = Notes()
    ends_at = read(database, ingestion_id).expires_at
    with lease_service.hold(database, LONG, ingestion_id, uuid4(), notes) as lease:
        assert lease.epoch == 2
        with database.session_scope() as session:
            taken_at = session.execute(text("SELECT acquired_at FROM leases")).scalar()
    assert taken_at >= ends_at
    assert notes.texts
    assert all("lease runs out in" in note for note in notes.texts)


def test_an_owner_on_another_host_that_renews_its_lease_is_alive(database, ingestion_id, owner):
    owner(300, 0.3)
    move_to_another_host(database)
    notes = Notes()
    with (
        pytest.raises(LeaseHeld, match="far-away"),
        lease_service.hold(database, LONG, ingestion_id, uuid4(), notes),
    ):
        pass
    assert len(notes.texts) <= 3, "one renewal is enough to know"


# --- the owner was stopped


def test_an_owner_that_is_stopped_keeps_its_lease_until_it_runs_out(database, ingestion_id, owner):
    stopped = owner(300, 100)
    stop(database, stopped)
    with (
        pytest.raises(LeaseHeld),
        lease_service.hold(database, LONG, ingestion_id, uuid4(), SILENT),
    ):
        pass


def test_an_owner_stopped_past_its_lease_can_change_nothing_once_it_goes_on(database, ingestion_id, owner):
    stopped = owner(0.8, 0.1)
    stop(database, stopped)
    run_out(database, ingestion_id)
    with lease_service.hold(database, LONG, ingestion_id, uuid4(), SILENT) as successor:
        assert successor.epoch == 2
        os.kill(stopped.pid, signal.SIGCONT)
        assert stopped.ask("write") == "lease-lost"
        until(lambda: stopped.ask("check") == "lease-lost")  # its heartbeat has found it too
        assert revision(database) == 1

        with successor.transaction() as session:
            session.execute(text("UPDATE ingestions SET revision = revision + 1"))
    assert revision(database) == 2


def test_an_owner_stopped_past_its_lease_goes_on_when_nobody_took_it(database, ingestion_id, owner):
    stopped = owner(0.5, 0.1)
    stop(database, stopped)
    run_out(database, ingestion_id)
    os.kill(stopped.pid, signal.SIGCONT)
    assert stopped.ask("write") == "done"
    assert stopped.ask("check") == "done"
    assert revision(database) == 2


def test_the_end_of_an_owner_that_lost_its_lease_does_not_end_the_successors(database, ingestion_id, owner):
    stopped = owner(0.5, 0.1)
    stop(database, stopped)
    run_out(database, ingestion_id)
    with lease_service.hold(database, LONG, ingestion_id, uuid4(), SILENT) as successor:
        os.kill(stopped.pid, signal.SIGCONT)
        stopped.tell("end")
        assert stopped.process.wait(30) == 0
        assert read(database, ingestion_id).epoch == 2
        with successor.transaction():
            pass


# --- keeping it


def test_heartbeats_keep_a_lease_far_beyond_its_length(database, ingestion_id):
    with lease_service.hold(database, SHORT, ingestion_id, uuid4(), SILENT) as lease:
        first = read(database, ingestion_id).expires_at
        until(lambda: read(database, ingestion_id).expires_at > first + 2 * SHORT.lease_seconds)
        lease.check()
        assert read(database, ingestion_id).epoch == 1


def test_without_heartbeats_each_ledger_transaction_renews_the_lease(database, ingestion_id):
    with lease_service.hold(database, LONG, ingestion_id, uuid4(), SILENT) as lease:
        before = read(database, ingestion_id).expires_at
        with lease.transaction():
            pass
        assert read(database, ingestion_id).expires_at > before


def test_a_heartbeat_that_finds_another_owner_stops_the_run_at_its_next_check(database, ingestion_id):
    with lease_service.hold(database, SHORT, ingestion_id, uuid4(), SILENT) as lease:
        with database.session_scope() as session:
            seen = leases.read(session, ingestion_id)
            other = Holder("other", "there", "boot", 1, "1")
            leases.take(session, seen, other, uuid4(), 300, though_alive=True)
        assert lease.lost.wait(180)
        with pytest.raises(LeaseLost, match=str(ingestion_id)):
            lease.check()
    assert read(database, ingestion_id).holder == other


def test_a_heartbeat_that_fails_for_any_reason_is_told_and_the_next_one_tries_again(
    database, ingestion_id, monkeypatch, capsys
):
    errors = [ValueError("a bug"), DatabaseUnavailable("gone"), ZeroDivisionError()]

    def hit(name: str) -> None:
        if errors:
            raise errors.pop(0)

    monkeypatch.setattr(failpoints, "hit", hit)
    with lease_service.hold(database, SHORT, ingestion_id, uuid4(), SILENT) as lease:
        until(lambda: not errors)
        after = read(database, ingestion_id).expires_at
        until(lambda: read(database, ingestion_id).expires_at > after)
        lease.check()
    told = capsys.readouterr().err
    assert "the lease was not renewed" in told
    assert "ValueError('a bug')" in told


# --- the fence


def test_what_a_transaction_did_after_the_fence_is_undone_when_it_raises(database, ingestion_id):
    with lease_service.hold(database, LONG, ingestion_id, uuid4(), SILENT) as lease:
        with pytest.raises(ZeroDivisionError), lease.transaction() as session:  # noqa: PT012 - both are one act
            session.execute(text("UPDATE ingestions SET revision = revision + 1"))
            1 / 0  # noqa: B018
        assert revision(database) == 1


def test_a_transaction_without_the_lease_does_not_begin(database, ingestion_id):
    with lease_service.hold(database, LONG, ingestion_id, uuid4(), SILENT) as lease:
        pass
    begun = []
    with pytest.raises(LeaseLost, match="epoch 1"), lease.transaction():
        begun.append(True)
    assert begun == []


def test_a_successor_waits_for_the_transaction_that_the_fence_let_in(database, ingestion_id):
    """The fence locks the lease's row: nobody becomes the owner in the middle of a ledger transaction."""
    other = Holder("other", "there", "boot", 1, "1")
    order, inside = [], threading.Event()

    def succeed():
        inside.wait(180)
        with database.session_scope() as session:
            seen = leases.read(session, ingestion_id)
            leases.take(session, seen, other, uuid4(), 300, though_alive=True)
            order.append("successor")

    thread = threading.Thread(target=succeed)
    thread.start()
    with lease_service.hold(database, LONG, ingestion_id, uuid4(), SILENT) as lease:
        with lease.transaction() as session:
            inside.set()
            thread.join(0.3)
            session.execute(text("UPDATE ingestions SET revision = revision + 1"))
            order.append("owner")
        thread.join(180)
        assert order == ["owner", "successor"]
        with pytest.raises(LeaseLost), lease.transaction():
            pass


# --- the clock


def test_the_databases_clock_counts_and_goes_on_within_a_transaction(database):
    with database.session_scope() as session:
        now = leases.database_time(session)
        first = session.execute(select(now)).scalar()
        until(lambda: session.execute(select(now)).scalar() > first)
    assert abs(first - time.time()) < 5


# --- who is dead


def test_a_process_of_another_boot_or_container_is_never_called_dead():
    me = lease_service._this_process()
    gone = Holder("x", me.host, me.boot_id, 2**22 + 1, "1")
    assert lease_service._dead_here(gone, me)
    assert not lease_service._dead_here(Holder("x", me.host, me.boot_id + "x", 2**22 + 1, "1"), me)
    assert not lease_service._dead_here(Holder("x", me.host, "", 2**22 + 1, "1"), Holder("y", me.host, "", 1, "1"))
    assert not lease_service._dead_here(me, me)


def test_a_process_that_the_machine_hides_is_dead_only_when_there_is_none():
    """With /proc mounted hidepid another user's process cannot be read, but it is there."""
    me = lease_service._this_process()
    owner = Holder("x", me.host, me.boot_id, 4711, "100")

    def dead(holder: Holder, start: str | None, *, there: bool) -> bool:
        return lease_service._dead_here(holder, me, lambda pid: start, lambda pid: there)

    assert not dead(owner, None, there=True)
    assert dead(owner, None, there=False)
    assert dead(owner, "200", there=True), "another process got its number"
    assert not dead(owner, "100", there=True)
    unread = Holder("x", me.host, me.boot_id, 4711, "")  # it could not read its own start
    assert not dead(unread, "100", there=True)
    assert dead(unread, lease_service._ENDED, there=True)


def test_a_process_of_another_user_is_there(monkeypatch):
    def refuse(pid: int, number: int) -> None:
        raise PermissionError

    assert lease_service._exists(os.getpid())
    assert not lease_service._exists(2**22 + 1)
    monkeypatch.setattr(os, "kill", refuse)
    assert lease_service._exists(1)
