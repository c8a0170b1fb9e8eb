"""Fixtures of all tests."""

import signal

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
    s3,
    s3_port,
    services_folder,
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
    "s3",
    "s3_port",
    "services_folder",
]


def pytest_configure() -> None:
    """A shell's background job ignores Ctrl-C, and so would every process that a test starts and interrupts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
