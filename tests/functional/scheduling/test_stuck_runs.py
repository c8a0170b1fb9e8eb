"""What nobody would end is ended, and nothing that lives is touched."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from app.errors import LeaseLost
from app.models import Run
from app.repositories import leases, prefect_sync, runs, triggers
from app.repositories.leases import Holder
from app.repositories.run_liveness import RunFacts
from app.services import lease_service, steering_service
from app.services.follower import Follower
from app.services.lease_service import HeldLease
from app.services.prefect_runs import FlowRunView
from app.services.reconcile_runs import judge
from app.services.steering_service import SteeringService
from app.services.takeover_service import TakeoverService
from app.values import RunState, Trigger

HERE = lease_service._this_process
ELSEWHERE = Holder(owner=uuid4().hex, host="elsewhere", boot_id="another", pid=1, process_start="1")


def gone() -> Holder:
    """A process of this machine that has ended."""
    return Holder(owner=uuid4().hex, host="here", boot_id=HERE().boot_id, pid=os.getpid(), process_start="before")


@pytest.fixture
def ingestion_id(product):
    return product.created()


def running(product, ingestion_id, holder, *, seconds=60.0, key=None):
    """A run that is RUNNING, and whose lease `holder` has for `seconds`."""
    run_id = uuid4()
    with product.database.session_scope() as session:
        leases.create(session, ingestion_id)
        if holder is not None:
            leases.take(session, leases.read(session, ingestion_id), holder, run_id, seconds)
        runs.add(
            session,
            Run(
                id=run_id,
                ingestion_id=ingestion_id,
                trigger="manual",
                state=RunState.RUNNING.value,
                external_key=key,
                started_at=product.clock.now(),
                metrics={},
            ),
        )
    return run_id


def state(product, ingestion_id):
    return [(run.state, run.error_code) for run in product.runs(ingestion_id)]


def begin(product, run_id):
    """What a worker does first."""
    from prefect.states import Pending

    with product.prefect.requests() as client:
        client.set_flow_run_state(run_id, Pending())


def set_state(product, run_id, name):
    from prefect.client.schemas.objects import State, StateType

    with product.prefect.requests() as client:
        client.set_flow_run_state(run_id, State(type=StateType(name)), force=True)


def pending(product, ingestion_id, trigger=Trigger.MANUAL):
    """A flow run that a worker has taken."""
    deployment_id = product.prefect.find(ingestion_id).ref.id
    run_id = product.prefect.trigger(deployment_id, ingestion_id, trigger)
    begin(product, run_id)
    return run_id


# --- runs whose process died ---------------------------------------------------------------------


@pytest.mark.parametrize("holder", [None, gone()], ids=["lease given up", "process of this machine gone"])
def test_a_run_whose_process_is_surely_gone_is_ended_and_another_one_wanted(product, ingestion_id, holder):
    run_id = running(product, ingestion_id, holder)

    report = product.reconciler.run_pass()

    assert (report.abandoned, state(product, ingestion_id)) == ([run_id], [("FAILED", "abandoned")])
    assert report.reruns == [ingestion_id]
    assert [(one.kind, one.payload) for one in product.stored(ingestion_id)] == [("retry", {"reason": "rerun"})]
    assert product.reconciler.run_pass().quiet


@pytest.mark.parametrize("known", ["CANCELLING", "CANCELLED"])
def test_a_run_that_a_person_cancelled_and_whose_machine_died_ends_cancelled_and_wants_no_other(
    product, ingestion_id, known
):
    flow_run_id = pending(product, ingestion_id)
    run_id = running(product, ingestion_id, gone(), key=str(flow_run_id))
    with product.database.session_scope() as session:
        prefect_sync.want_rerun(session, ingestion_id, product.clock.now())  # met it before it was cancelled
    set_state(product, flow_run_id, known)

    report = product.reconciler.run_pass()

    assert (report.cancelled, report.abandoned) == ([run_id], [])
    assert state(product, ingestion_id) == [("CANCELLED", "cancelled")]
    assert (report.reruns, product.stored(ingestion_id)) == ([], [])
    assert product.flow_runs(ingestion_id) == [("CANCELLED", "manual")]
    assert product.reconciler.run_pass().quiet


def test_with_prefect_down_a_run_that_died_is_ended_all_the_same_and_made_up_for(product, down, ingestion_id):
    run_id = running(product, ingestion_id, gone(), key=str(uuid4()))

    report = down.reconciler.run_pass()

    assert (report.abandoned, report.reruns) == ([run_id], [ingestion_id])
    assert state(product, ingestion_id) == [("FAILED", "abandoned")]


def test_a_run_that_is_alive_is_left_alone_here_and_elsewhere(product):
    here, elsewhere = product.created("here"), product.created("elsewhere")
    running(product, here, HERE())
    running(product, elsewhere, ELSEWHERE)

    assert product.reconciler.run_pass().quiet
    assert [state(product, one) for one in (here, elsewhere)] == [[("RUNNING", None)]] * 2


def test_an_expired_lease_of_another_machine_is_believed_only_when_it_stays_so(product, ingestion_id):
    settings = product.settings.model_copy(update={"lease_heartbeat_seconds": 0.05})
    service = TakeoverService(product.database, settings, product.clock)
    run_id = running(product, ingestion_id, ELSEWHERE, seconds=-1.0)

    assert service.run_pass() == []
    with product.database.session_scope() as session:  # it lives after all: the database had been away
        leases.hold(session, ingestion_id, leases.read(session, ingestion_id).epoch, -1.0)
    assert service.run_pass() == []

    ended = []
    while not ended:
        ended = service.run_pass()
    assert (ended, state(product, ingestion_id)) == ([run_id], [("FAILED", "abandoned")])


def test_who_was_taken_over_can_change_nothing_any_more(product, ingestion_id):
    running(product, ingestion_id, gone())
    with product.database.read_scope() as session:
        epoch = leases.read(session, ingestion_id).epoch
    zombie = HeldLease(product.database, ingestion_id, epoch, 60.0, lost=None)

    product.reconciler.run_pass()

    with pytest.raises(LeaseLost), zombie.transaction():
        pass


def test_two_reconcilers_end_a_dead_run_once(product, ingestion_id):
    running(product, ingestion_id, gone())
    with ThreadPoolExecutor(2) as pool:
        reports = [one.result() for one in [pool.submit(product.new_reconciler().run_pass) for _ in range(2)]]

    assert sum(len(report.abandoned) for report in reports) == 1
    assert len(product.stored(ingestion_id)) == 1


# --- flow runs that nobody would end -------------------------------------------------------------


def test_a_run_stuck_in_pending_is_ended_its_slot_is_free_and_its_work_is_done_by_another(product, ingestion_id):
    stuck = pending(product, ingestion_id, Trigger.ARRIVAL)
    assert product.reconciler.run_pass().ended == []
    product.clock.ahead += timedelta(seconds=121)

    report = product.reconciler.run_pass()

    assert [(one.flow_run_id, one.was, one.state) for one in report.ended] == [(stuck, "PENDING", "CRASHED")]
    assert product.prefect.find(ingestion_id).slots.active == 0
    assert report.reruns == [ingestion_id]
    assert product.triggers.deliver_due().delivered == 1


def test_a_run_that_moved_on_since_it_was_listed_is_left_alone(product, ingestion_id, monkeypatch):
    late = pending(product, ingestion_id)
    listed = list(product.prefect.active())
    monkeypatch.setattr(product.prefect, "active", lambda: iter(listed))
    set_state(product, late, "RUNNING")  # a worker came after all
    product.clock.ahead += timedelta(seconds=121)

    assert product.reconciler.run_pass().ended == []
    assert product.prefect.flow_run(late).state == "RUNNING"


@pytest.mark.parametrize(
    ("ours", "flow", "becomes"),
    [("SUCCESS", "RUNNING", "COMPLETED"), ("FAILED", "RUNNING", "CRASHED"), ("SUCCESS", "CANCELLING", "CANCELLED")],
)
def test_a_flow_run_whose_run_has_ended_is_ended_too(product, ingestion_id, ours, flow, becomes):
    flow_run_id = pending(product, ingestion_id)
    set_state(product, flow_run_id, flow)
    run_id = running(product, ingestion_id, HERE(), key=str(flow_run_id))
    with product.database.session_scope() as session:
        run = runs.by_id(session, run_id)
        run.state, run.finished_at = ours, product.clock.now()
    assert product.reconciler.run_pass().quiet  # it is about to say so itself
    product.clock.ahead += timedelta(seconds=61)

    assert [one.state for one in product.reconciler.run_pass().ended] == [becomes]
    assert product.prefect.flow_run(flow_run_id).state == becomes


def test_a_flow_run_whose_process_was_killed_is_ended_in_the_same_pass_as_its_run(product, ingestion_id):
    flow_run_id = pending(product, ingestion_id)
    set_state(product, flow_run_id, "RUNNING")
    running(product, ingestion_id, gone(), key=str(flow_run_id))

    report = product.reconciler.run_pass()

    assert (len(report.abandoned), [one.state for one in report.ended]) == (1, ["CRASHED"])
    assert product.prefect.find(ingestion_id).slots.active == 0


@pytest.mark.parametrize("ended", ["CRASHED", "FAILED"])
def test_a_flow_run_that_ended_before_its_run_began_is_made_up_for_ever_later(product, ingestion_id, ended):
    set_state(product, pending(product, ingestion_id, Trigger.ARRIVAL), ended)  # its process was killed as it started

    assert product.reconciler.run_pass().reruns == [ingestion_id]
    assert product.reconciler.run_pass().quiet
    assert product.triggers.deliver_due().delivered == 1

    for seconds in (20, 40, 80):  # what kills each of them is given time to go away
        set_state(product, UUID(product.stored(ingestion_id)[-1].flow_run_id), ended)
        product.new_reconciler().run_pass()
        newest = product.stored(ingestion_id)[-1]
        assert round((newest.due_at - newest.created_at).total_seconds()) == seconds
        with product.database.session_scope() as session:
            triggers.by_id(session, newest.id).due_at = newest.created_at
        assert product.triggers.deliver_due().delivered == 1


def test_whoever_asked_for_a_run_is_told_that_prefect_ended_it_before_it_began(product, ingestion_id, monkeypatch):
    monkeypatch.setattr(steering_service, "_BEGINS_WITHIN", timedelta(0))
    steering = SteeringService(
        product.database, product.settings, Follower(product.database, product.settings, product.prefect)
    )
    wish = steering.run(ingestion_id)
    assert (wish.flow_state, wish.run_id) == ("SCHEDULED", None)

    set_state(product, UUID(wish.flow_run_id), "CRASHED")

    assert steering.trigger(wish.id).flow_state == "CRASHED"


def test_a_flow_run_that_failed_with_its_run_is_not_made_up_for(product, ingestion_id):
    flow_run_id = pending(product, ingestion_id)
    run_id = running(product, ingestion_id, HERE(), key=str(flow_run_id))
    with product.database.session_scope() as session:
        run = runs.by_id(session, run_id)
        run.state, run.finished_at = "FAILED", product.clock.now()
    set_state(product, flow_run_id, "FAILED")

    assert product.reconciler.run_pass().quiet


def ended_here(product, ingestion_id, flow, ours, code):
    """A flow run in a state, whose run has ended."""
    flow_run_id = pending(product, ingestion_id, Trigger.ARRIVAL)
    run_id = running(product, ingestion_id, HERE(), key=str(flow_run_id))
    set_state(product, flow_run_id, flow)
    with product.database.session_scope() as session:
        run = runs.by_id(session, run_id)
        run.state, run.finished_at, run.error_code = ours, product.clock.now(), code
    return flow_run_id


@pytest.mark.parametrize(
    ("ours", "code"), [("CANCELLED", "interrupted"), ("FAILED", "killed")], ids=["told to end", "killed"]
)
def test_a_run_that_was_cut_off_though_nobody_cancelled_it_is_made_up_for(product, ingestion_id, ours, code):
    ended_here(product, ingestion_id, "CRASHED", ours, code)

    assert product.reconciler.run_pass().reruns == [ingestion_id]
    assert product.reconciler.run_pass().quiet


def test_a_run_that_was_cut_off_and_could_not_tell_prefect_is_made_up_for_too(product, ingestion_id):
    flow_run_id = ended_here(product, ingestion_id, "RUNNING", "CANCELLED", "interrupted")
    product.clock.ahead += timedelta(seconds=61)

    report = product.reconciler.run_pass()

    assert [(one.flow_run_id, one.state) for one in report.ended] == [(flow_run_id, "CRASHED")]
    assert report.reruns == [ingestion_id]


def test_a_run_that_somebody_cancelled_is_not_made_up_for(product, ingestion_id):
    ended_here(product, ingestion_id, "CANCELLED", "CANCELLED", "interrupted")

    assert product.reconciler.run_pass().quiet


def test_a_slot_that_no_run_holds_is_freed(product, ingestion_id):
    limit = product.prefect.find(ingestion_id).slots.name
    with product.prefect.requests() as client:
        from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate

        client.update_global_concurrency_limit(limit, GlobalConcurrencyLimitUpdate(active_slots=1))

    assert product.reconciler.run_pass().slots_freed == [limit]
    assert product.prefect.slots(limit).active == 0


def test_a_slot_that_a_run_holds_is_not_freed(product, ingestion_id):
    pending(product, ingestion_id)

    assert product.reconciler.run_pass().quiet
    assert product.prefect.find(ingestion_id).slots.active == 1


def test_a_run_lost_to_another_one_is_made_up_for_when_that_has_ended(product, ingestion_id):
    first = pending(product, ingestion_id)
    run_id = running(product, ingestion_id, HERE(), key=str(first))
    second = pending(product, ingestion_id, Trigger.ARRIVAL)
    assert product.prefect.flow_run(second).lost_to_collision

    assert product.reconciler.run_pass().reruns == []
    assert product.row(ingestion_id).rerun_wanted

    with product.database.session_scope() as session:
        run = runs.by_id(session, run_id)
        run.state, run.finished_at = "SUCCESS", product.clock.now()
    assert product.reconciler.run_pass().reruns == [ingestion_id]
    assert product.reconciler.run_pass().reruns == []  # the very cancellation is looked at again
    assert product.new_reconciler().run_pass().reruns == []


def test_a_run_that_begins_after_a_collision_makes_up_for_it(product, ingestion_id):
    pending(product, ingestion_id)
    pending(product, ingestion_id, Trigger.ARRIVAL)
    product.clock.ahead += timedelta(seconds=1)
    running(product, ingestion_id, HERE())

    product.reconciler.run_pass()

    assert not product.row(ingestion_id).rerun_wanted


# --- how it is judged ----------------------------------------------------------------------------

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("state", "silent", "verdict"),
    [
        ("PENDING", 119, None),
        ("PENDING", 121, ("CRASHED", True)),
        ("CANCELLING", 119, None),
        ("CANCELLING", 121, ("CANCELLED", False)),
        ("RUNNING", 121, None),  # its first task may be trying again: 60, 120 and 240 s
        ("RUNNING", 601, ("CRASHED", True)),
    ],
)
def test_a_flow_run_without_a_run_is_given_the_time_it_may_need(prefect_settings, state, silent, verdict):
    since = NOW - timedelta(seconds=silent)
    flow = FlowRunView(uuid4(), "", uuid4(), None, "manual", state, state, None, since, None, None, None)
    found = judge(flow, None, NOW, prefect_settings)

    assert (None if found is None else (found.state, found.lost)) == verdict


@pytest.mark.parametrize(
    ("state", "begun_after", "verdict"),
    [("PENDING", 100, None), ("RUNNING", 100, None), ("RUNNING", -100, "CRASHED"), ("PENDING", -100, "CRASHED")],
)
def test_a_flow_run_that_begins_its_ended_run_again_is_left_alone(prefect_settings, state, begun_after, verdict):
    end = NOW - timedelta(seconds=110)  # its worker was stopped, and the next one has it: it came into its state later
    ours = RunFacts(uuid4(), uuid4(), "CANCELLED", end, "interrupted")
    since = end + timedelta(seconds=begun_after)
    flow = FlowRunView(uuid4(), "", uuid4(), None, "manual", state, state, None, since, None, None, None)

    found = judge(flow, ours, NOW, prefect_settings)

    assert (None if found is None else found.state) == verdict


def test_a_run_whose_expired_lease_somebody_else_left_behind_is_ended_all_the_same(product, ingestion_id):
    run_id = running(product, ingestion_id, None)
    with product.database.session_scope() as session:  # who moved files by hand took the lease, and died elsewhere
        leases.take(session, leases.read(session, ingestion_id), ELSEWHERE, uuid4(), 0.01)
    reconciler = product.new_reconciler()
    reconciler.takeovers.settings = product.settings.model_copy(update={"lease_heartbeat_seconds": 0.05})
    deadline = time.monotonic() + 180
    while not (ended := reconciler.takeovers.run_pass()):
        assert time.monotonic() < deadline
        time.sleep(0.1)

    assert ended == [run_id]
