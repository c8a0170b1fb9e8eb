"""`autoloader worker` against a real Prefect server, with real runs."""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def pool(prefect_port, tmp_path_factory):
    """A worker that all tests of this file share; each run's environment comes with its deployment."""
    from tests.functional.prefect.workers import warm_worker
    from tests.services import recipes

    environment = {
        "PREFECT_API_URL": f"http://127.0.0.1:{prefect_port}/api",
        "PREFECT_API_AUTH_STRING": recipes.PREFECT_AUTH,
    }
    with warm_worker("shared-pool", tmp_path_factory.mktemp("worker") / "log", environment):
        yield "shared-pool"


def test_a_triggered_deployment_loads_and_is_one_run_in_both_systems(place, pool):
    from tests.functional.prefect.workers import deploy, seconds_to_first_line

    place.deliver("a.jsonl", 3)
    place.prepare()
    deployed = deploy(place, pool)

    seen = deployed.run()

    assert (seen.kind, place.rows()) == ("COMPLETED", place.expected())
    [record] = place.runs()
    assert (record.state, record.external_key) == ("SUCCESS", str(seen.id))
    print(f"first line after {seconds_to_first_line(seen.id):.2f} s")
    place.deliver("b.jsonl", 2)
    again = deployed.run()
    assert place.rows() == place.expected()
    print(f"first line after {seconds_to_first_line(again.id):.2f} s")
    del until
