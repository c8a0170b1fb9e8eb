"""The fixtures that tests ask for. Servers live for the run, buckets and databases for a test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from tests.services import recipes
from tests.services.aws import Aws
from tests.services.objects import Bucket, azure_bucket, gcs_bucket, s3_bucket
from tests.services.shared import serve
from tests.services.spark import rest
from tests.services.spark import server as spark


@dataclass(frozen=True)
class Database:
    """An empty PostgreSQL database. `url` is SQLAlchemy's, `dsn` psycopg's."""

    name: str
    url: str
    dsn: str


@dataclass(frozen=True)
class PrefectServer:
    """A Prefect server that asks for a password, and a work pool's name that no other test has."""

    api_url: str
    auth_string: str
    work_pool: str

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PREFECT_API_URL": self.api_url,
            "PREFECT_API_AUTH_STRING": self.auth_string,
            "PREFECT_WORK_POOL": self.work_pool,
            "PREFECT_REQUEST_TIMEOUT_SECONDS": "180",  # all tests of all workers share it
        }


@pytest.fixture(scope="session")
def services_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all workers of this test run."""
    base = tmp_path_factory.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "services"


@pytest.fixture(scope="session")
def s3_port(services_folder: Path) -> int:
    return serve(recipes.S3, services_folder)[0]


@pytest.fixture(scope="session")
def azurite_port(services_folder: Path) -> int:
    return serve(recipes.AZURITE, services_folder)[0]


@pytest.fixture(scope="session")
def gcs_port(services_folder: Path) -> int:
    return serve(recipes.GCS, services_folder)[0]


@pytest.fixture(scope="session")
def postgres_port(services_folder: Path) -> int:
    return serve(recipes.POSTGRES, services_folder)[0]


@pytest.fixture(scope="session")
def prefect_port(services_folder: Path) -> int:
    return serve(recipes.PREFECT, services_folder)[0]


@pytest.fixture(scope="session")
def aws_port(services_folder: Path) -> int:
    return serve(recipes.MOTO, services_folder)[0]


@pytest.fixture(scope="session")
def spark_port(services_folder: Path, postgres_port: int) -> int:
    return serve(spark.recipe(_lake(postgres_port), services_folder / "lake"), services_folder)[0]


def _lake(postgres_port: int) -> str:
    return f"postgresql://postgres@127.0.0.1:{postgres_port}/{spark.DATABASE}"


@pytest.fixture
def spark_server(spark_port: int, postgres_port: int, services_folder: Path) -> spark.SparkServer:
    """The server of the whole run, and a namespace that no other test has."""
    return spark.SparkServer(
        url=f"sc://127.0.0.1:{spark_port}",
        port=spark_port,
        namespace=_name().replace("-", "_"),
        warehouse=services_folder / "lake",
        database=_lake(postgres_port).replace("postgresql:", "postgresql+psycopg:"),
    )


@pytest.fixture(scope="session")
def rest_port(services_folder: Path, postgres_port: int) -> int:
    address = f"postgresql://postgres@127.0.0.1:{postgres_port}"
    return serve(rest.recipe(address, services_folder / "rest-lake"), services_folder)[0]


@pytest.fixture
def rest_catalog(rest_port: int) -> rest.RestCatalog:
    """The REST catalog of the whole run; a Spark server opens it by the settings of a session."""
    return rest.RestCatalog(f"http://127.0.0.1:{rest_port}")


@pytest.fixture
def aws(aws_port: int) -> Aws:
    """S3, SQS, SNS and EventBridge in one server of the whole run, which asks for no right password."""
    return Aws(f"http://127.0.0.1:{aws_port}")


@pytest.fixture
def prefect_server(prefect_port: int, monkeypatch: pytest.MonkeyPatch) -> PrefectServer:
    """The server of the whole run; this process and its children find it as a user's would."""
    server = PrefectServer(f"http://127.0.0.1:{prefect_port}/api", recipes.PREFECT_AUTH, f"pool-{uuid4().hex[:12]}")
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return server


@pytest.fixture
def s3(s3_port: int) -> Bucket:
    return s3_bucket(s3_port, _name())


@pytest.fixture
def azurite(azurite_port: int) -> Bucket:
    return azure_bucket(azurite_port, _name())


@pytest.fixture
def gcs(gcs_port: int) -> Bucket:
    return gcs_bucket(gcs_port, _name())


@pytest.fixture
def postgres(postgres_port: int) -> Iterator[Database]:
    server = f"postgresql://postgres@127.0.0.1:{postgres_port}"
    name = _name().replace("-", "_")
    with psycopg.connect(f"{server}/postgres", autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}"')
    yield Database(name, f"postgresql+psycopg://postgres@127.0.0.1:{postgres_port}/{name}", f"{server}/{name}")
    with psycopg.connect(f"{server}/postgres", autocommit=True) as admin:
        admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def _name() -> str:
    return f"t-{uuid4().hex[:16]}"
