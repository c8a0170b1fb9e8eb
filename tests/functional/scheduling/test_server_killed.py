"""The Prefect server is killed with runs in each state, stays away while things change, and comes back."""

from __future__ import annotations

from uuid import uuid4

import pytest

from app.config import Settings
from app.services.prefect_service import PrefectService
from app.values import Trigger
from tests.functional.scheduling.product import IN_SYNC, Product, wanted
from tests.functional.scheduling.test_stuck_runs import gone, pending, running, set_state
from tests.services import recipes

pytestmark = [pytest.mark.kill, pytest.mark.slow]


def slots(product, ingestion_id):
    return product.prefect.find(ingestion_id).slots.active


def test_after_a_kill_everything_is_in_sync_no_schedule_is_dead_and_no_run_goes_on_for_ever(
    killable, sqlite_database, tmp_path, until
):
    settings = Settings(
        autoloader_home=tmp_path / "home",
        prefect_api_url=killable.api_url,
        prefect_api_auth_string=recipes.PREFECT_AUTH,
        prefect_work_pool=f"pool-{uuid4().hex[:8]}",
        prefect_pending_seconds=0.5,
        prefect_request_timeout_seconds=5,
        _env_file=None,
    )
    with PrefectService(settings) as prefect:
        product = Product(sqlite_database, settings, prefect)
        every_minute = {"cron": "* * * * *", "timezone": "UTC"}
        states = {
            state: product.created(state.lower(), schedule=every_minute)
            for state in ("PENDING", "RUNNING", "CANCELLING")
        }
        flow_runs = {state: pending(product, one, Trigger.ARRIVAL) for state, one in states.items()}
        set_state(product, flow_runs["RUNNING"], "RUNNING")
        set_state(product, flow_runs["CANCELLING"], "CANCELLING")
        running(product, states["RUNNING"], gone(), key=str(flow_runs["RUNNING"]))
        changed, deleted = product.created("changed"), product.created("deleted")
        assert [slots(product, one) for one in states.values()] == [1, 1, 1]

        killable.kill()
        created = product.create("created")
        product.ingestions.change("changed", wanted("changed", schedule=None))
        product.ingestions.delete("deleted")
        for one in (created, changed, deleted):
            assert product.sync.push(one).state == "pending"
        wish = product.triggers.request(created, Trigger.ARRIVAL, {})
        assert product.triggers.deliver(wish) is None
        product.reconciler.run_pass()

        killable.start()
        until(lambda: product.reconciler.run_pass().quiet)
        product.clock.ahead = product.stored(created)[0].due_at - product.clock.now()
        product.triggers.deliver_due()

        assert {product.standing(one) for one in (*states.values(), created, changed, deleted)} == {IN_SYNC}
        assert [product.differences(one) for one in (*states.values(), created, changed)] == [()] * 5
        assert product.prefect.find(deleted) is None
        ends = {state: product.prefect.flow_run(one).state for state, one in flow_runs.items()}
        assert ends == {"PENDING": "CRASHED", "RUNNING": "CRASHED", "CANCELLING": "CANCELLED"}
        assert [run.state for run in product.runs(states["RUNNING"])] == ["FAILED"]
        assert len(product.flow_runs(created)) == 1

        for one in states.values():  # each schedule plans again, and the next run gets its slot
            assert slots(product, one) == 0
            until(lambda one=one: any(run.trigger == "scheduled" for run in prefect.planned(one)))
            assert prefect.flow_run(pending(product, one, Trigger.SCHEDULED)).state == "PENDING"
