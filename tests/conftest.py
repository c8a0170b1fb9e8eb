"""Fixtures of all tests."""

import signal
from collections.abc import Iterator

import pytest

from app import failpoints
from tests.services.fixtures import (
    aws,
    aws_port,
    azurite,
    azurite_port,
    gcs,
    gcs_port,
    postgres,
    postgres_port,
    prefect_port,
    prefect_server,
    rest_catalog,
    rest_port,
    s3,
    s3_port,
    services_folder,
    spark_port,
    spark_server,
)

__all__ = [
    "aws",
    "aws_port",
    "azurite",
    "azurite_port",
    "gcs",
    "gcs_port",
    "postgres",
    "postgres_port",
    "prefect_port",
    "prefect_server",
    "rest_catalog",
    "rest_port",
    "s3",
    "s3_port",
    "services_folder",
    "spark_port",
    "spark_server",
]


@pytest.fixture(autouse=True)
def nothing_armed() -> Iterator[None]:
    """A command that runs in this process arms its failpoints there, where the next test would meet them."""
    yield
    failpoints.arm("")


def pytest_configure() -> None:
    """A shell's background job ignores Ctrl-C, and so would every process that a test starts and interrupts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)  # before tests are chosen by their marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What rests on the Spark server needs Java, which not everybody has: `make test-fast` leaves it out."""
    for item in items:
        if "spark_port" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.spark)
