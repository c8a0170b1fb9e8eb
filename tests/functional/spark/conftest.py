from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from app.spark import Endpoint, Session, connect, endpoint_of
from tests.services.spark.server import SparkServer


@pytest.fixture
def endpoint(spark_server: SparkServer) -> Endpoint:
    return endpoint_of(spark_server.url, {}, catalog=spark_server.catalog)


@pytest.fixture
def opened() -> Iterator[Callable[..., Session]]:
    """Opens sessions that the test's end closes."""
    made: list[Session] = []

    def open_one(*arguments: object, **named: object) -> Session:
        made.append(connect(*arguments, **named))
        return made[-1]

    yield open_one
    for session in made:
        session.close()


@pytest.fixture
def session(endpoint: Endpoint, opened: Callable[..., Session]) -> Session:
    return opened(endpoint)
