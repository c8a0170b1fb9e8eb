"""A session as the engine's are, on the server of the whole run."""

from __future__ import annotations

import pytest

from app.ingest.engines.spark_source import SETTINGS
from app.spark import connect, endpoint_of


@pytest.fixture
def session(spark_server):
    opened = connect(endpoint_of(spark_server.url, {}), "tests")
    opened.set(SETTINGS)
    yield opened
    opened.close()
