"""One parsing child for the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.ingest.engines.sandbox import Sandbox
from tests.functional.ingest.parsing import LIMITS


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(LIMITS, timeout_seconds=60) as made:
        yield made
