"""API, Prefect server and worker at once, as a person has them: processes of their own, and one home."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.config import Settings
from tests.functional.api.conftest import Served, serving
from tests.functional.prefect.conftest import place  # noqa: F401 - a fixture
from tests.functional.prefect.place import Place
from tests.functional.prefect.workers import WorkerProcess, warm_worker
from tests.services.fixtures import PrefectServer


@pytest.fixture
def api(place: Place, prefect_server: PrefectServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:  # noqa: F811
    """It reconciles every second, and polls sources as often."""
    settings = Settings(
        autoloader_home=place.folder / "home",
        prefect_work_pool=prefect_server.work_pool,
        reconcile_seconds=1,
        arrival_poll_min_seconds=0.5,
        min_age_seconds=0,
        parser_threads=1,
        _env_file=None,
    )
    database = place.database()
    database.upgrade()
    database.close()
    with serving(settings) as served:
        yield served


@pytest.fixture
def worker(api: Served, place: Place) -> Iterator[WorkerProcess]:  # noqa: F811
    with warm_worker(api.settings.prefect_work_pool, place.folder / "worker.log") as process:
        yield process
