"""Fixtures of all tests."""

from tests.services.fixtures import (
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
