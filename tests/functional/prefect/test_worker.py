"""`autoloader worker` against a real Prefect server, with real runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.states import Cancelling

from app.prefect.pools import POOL_TYPE
from tests.functional.prefect.place import flow_run, until
from tests.functional.prefect.workers import (
    are_gone,
    deploy,
    ended,
    plain_worker,
    seconds_to_first_line,
    warm_worker,
)
from tests.services import recipes

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def shared(prefect_port, tmp_path_factory):
    """A worker that several tests share; each run's environment comes with its deployment."""
    environment = {
        "PREFECT_API_URL": f"http://127.0.0.1:{prefect_port}/api",
        "PREFECT_API_AUTH_STRING": recipes.PREFECT_AUTH,
    }
    with warm_worker("shared-pool", tmp_path_factory.mktemp("worker") / "log", environment) as worker:
        yield worker


@pytest.fixture
def held(place, tmp_path):
    """A place with work, and the gate before which a run waits in the midst of its batch."""
    place.deliver("a.jsonl", 3)
    place.prepare()
    gate = tmp_path / "gate"
    return gate, {"AUTOLOADER_FAILPOINTS": f"written=wait:{gate}"}


def in_hand(gate):
    until(gate.with_name("gate.reached").exists, 120, "the run in its batch")


def test_a_triggered_deployment_loads_and_is_one_run_in_both_systems(place, shared):
    place.deliver("a.jsonl", 3)
    place.prepare()
    deployed = deploy(place, "shared-pool")

    seen = deployed.run()

    assert (seen.kind, place.rows()) == ("COMPLETED", place.expected())
    [record] = place.runs()
    assert (record.state, record.external_key) == ("SUCCESS", str(seen.id))
    sys.stdout.write(f"first line of the flow {seconds_to_first_line(seen.id):.2f} s after its trigger\n")


def test_a_run_that_is_cancelled_in_prefect_ends_cancelled_here_too(place, shared, held):
    gate, environment = held
    triggered = deploy(place, "shared-pool", environment).trigger()
    in_hand(gate)

    with get_client(sync_client=True) as client:
        client.set_flow_run_state(triggered.id, Cancelling())

    assert ended(triggered.id).kind == "CANCELLED"
    [record] = place.runs()
    assert (record.state, record.error_code) == ("CANCELLED", "interrupted")


def test_a_place_that_becomes_free_while_runs_wait_is_taken_before_the_next_look_is_due(place, tmp_path):
    place.deliver("a.jsonl")
    place.prepare()
    with get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name="narrow-pool", type=POOL_TYPE))
        client.create_work_queue(name="autoloader-default", work_pool_name="narrow-pool")
    deployed = deploy(place, "narrow-pool")
    waiting = [deployed.trigger().id for _ in range(3)]
    until(lambda: all(flow_run(one).kind == "SCHEDULED" for one in waiting), what="the runs in their queue")

    with warm_worker("narrow-pool", tmp_path / "log", {"PREFECT_WORKER_QUERY_SECONDS": "86400"}, "--limit", "1"):
        assert [ended(one).kind for one in waiting] == ["COMPLETED"] * 3


@pytest.mark.kill
def test_a_run_whose_process_dies_is_crashed_at_once_in_both_systems_and_the_next_one_heals_it(place, shared):
    place.deliver("a.jsonl", 3)
    place.prepare()

    died = deploy(place, "shared-pool", {"AUTOLOADER_FAILPOINTS": "commit-landed=kill"}).run()
    until(lambda: place.runs()[0].state == "FAILED", what="the end of the run that died")
    healed = deploy(place, "shared-pool").run()

    assert (died.kind, healed.kind) == ("CRASHED", "COMPLETED")
    assert [record.state for record in place.runs()] == ["FAILED", "SUCCESS"]
    assert (place.runs()[0].error_code, place.runs()[0].error) == (
        "killed",
        "The run's process ended with -9 before the run did.",
    )
    assert place.rows() == place.expected()


@pytest.mark.kill
def test_the_process_that_forks_may_die_and_the_next_run_gets_another_one(place, shared, held):
    gate, environment = held
    triggered = deploy(place, "shared-pool", environment).trigger()
    in_hand(gate)
    zygote, *runs = shared.below

    os.kill(zygote, signal.SIGKILL)

    assert ended(triggered.id).kind == "CRASHED"
    until(lambda: are_gone([zygote, *runs]), what="the end of what it had forked")
    assert deploy(place, "shared-pool").run().kind == "COMPLETED"
    assert place.rows() == place.expected()


@pytest.mark.kill
def test_a_worker_that_is_killed_takes_its_runs_along_and_loses_and_doubles_nothing(place, held, tmp_path):
    gate, environment = held
    with warm_worker("killed-pool", tmp_path / "first") as worker:
        deploy(place, "killed-pool", environment).trigger()
        in_hand(gate)
        below = worker.below
        worker.kill()
        until(lambda: are_gone(below), what="the end of all that it had started")

    with warm_worker("killed-pool", tmp_path / "second"):
        assert deploy(place, "killed-pool").run().kind == "COMPLETED"

    assert place.rows() == place.expected()
    assert place.runs()[-1].state == "SUCCESS"
    assert all(record.state != "RUNNING" for record in place.runs())


def test_a_worker_that_is_stopped_hands_its_run_to_the_next_one(place, held, tmp_path):
    gate, environment = held
    with warm_worker("stopped-pool", tmp_path / "first") as worker:
        triggered = deploy(place, "stopped-pool", environment).trigger()
        in_hand(gate)
        worker.process.terminate()
        code = worker.process.wait(180)
        stopped = worker.text()
    waiting = flow_run(triggered.id)
    gate.touch()

    with warm_worker("stopped-pool", tmp_path / "second"):
        assert ended(triggered.id).kind == "COMPLETED"

    assert (code, waiting.kind, "SIGTERM: stopping." in stopped) == (0, "SCHEDULED", True)
    [record] = place.runs()  # the very same run, in both systems
    assert (record.state, record.external_key) == ("SUCCESS", str(triggered.id))
    assert place.rows() == place.expected()


def test_a_run_past_its_memory_is_killed_and_says_so(place, tmp_path):
    place.deliver("a.jsonl")
    place.prepare()
    with warm_worker("small-pool", tmp_path / "log", {"WORKER_MEMORY_BYTES": str(64 * MIB)}):
        seen = deploy(place, "small-pool", {"AUTOLOADER_FAILPOINTS": f"listed=wait:{tmp_path / 'gate'}"}).run()
        until(lambda: all(record.state != "RUNNING" for record in place.runs()), what="the end in our database")

    assert seen.kind == "CRASHED"
    assert f"more than WORKER_MEMORY_BYTES ({64 * MIB:,}), and was killed." in seen.message
    assert [record.error for record in place.runs()] in ([], [seen.message])  # it may be killed before its record


def test_a_plain_process_worker_runs_the_same_deployment(place, tmp_path):
    place.deliver("a.jsonl", 2)
    place.prepare()
    with plain_worker("plain-pool", tmp_path / "log"):
        with get_client(sync_client=True) as client:
            client.create_work_queue(name="autoloader-default", work_pool_name="plain-pool")
        seen = deploy(place, "plain-pool").run()

    assert (seen.kind, place.rows()) == ("COMPLETED", place.expected())


class TestAWorkerThatCannotBegin:
    def start(self, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "app.cli.main", "worker"]
        return subprocess.run(
            command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=240, check=False
        )

    def test_without_a_server_it_says_which_one_and_what_to_do(self, place):
        ran = self.start({"PREFECT_API_URL": "http://127.0.0.1:9/api"})

        assert ran.returncode == 1
        assert "The Prefect server does not answer at http://127.0.0.1:9/api (" in ran.stderr
        assert "Start it (`prefect server start`), or set PREFECT_API_URL." in ran.stderr
        assert "Traceback" not in ran.stderr

    def test_with_a_wrong_password_it_says_so(self, place):
        ran = self.start({"PREFECT_API_AUTH_STRING": "tests:wrong"})

        assert ran.returncode == 1
        assert "refuses us (401)" in ran.stderr
        assert "Set PREFECT_API_AUTH_STRING to the server's `user:password`." in ran.stderr

    def test_a_flow_that_cannot_be_imported_is_an_error_at_once(self, place, tmp_path):
        (tmp_path / "obstore").mkdir()
        (tmp_path / "obstore" / "__init__.py").write_text("raise ImportError('no such library here')\n")

        ran = self.start({"PYTHONPATH": str(tmp_path)})

        assert ran.returncode == 1
        assert "The worker cannot import the flow (ImportError: no such library here)." in ran.stderr
        assert "See where: python -c 'import app.prefect.flows.run_ingestion'" in ran.stderr
