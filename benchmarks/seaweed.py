"""A real S3 server (SeaweedFS) whose objects stay for the next time, and ways to fill it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BUCKET = "bench"
_ACCESS, _SECRET = "benchmark", "benchmark-secret"
_START_SECONDS = 60
_AT_ONCE = 64


class Server:
    def __init__(self, port: int) -> None:
        self.endpoint = f"http://127.0.0.1:{port}"

    @property
    def environment(self) -> dict[str, str]:
        """Ambient credentials, as a person would export them."""
        return {
            "AWS_ACCESS_KEY_ID": _ACCESS,
            "AWS_SECRET_ACCESS_KEY": _SECRET,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": "us-east-1",
            "AWS_ALLOW_HTTP": "true",
        }

    def store(self) -> Any:
        from obstore.store import S3Store

        return S3Store(
            BUCKET,
            endpoint=self.endpoint,
            access_key_id=_ACCESS,
            secret_access_key=_SECRET,
            region="us-east-1",
            client_options={"allow_http": True},
        )


@contextlib.contextmanager
def started(folder: Path) -> Iterator[Server]:
    """The server with its data in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    ports = _free_ports(8)
    identities = folder / "identities.json"
    credentials = [{"accessKey": _ACCESS, "secretKey": _SECRET}]
    identity = {"name": "benchmark", "credentials": credentials, "actions": ["Admin", "Read", "List", "Write"]}
    identities.write_text(json.dumps({"identities": [identity]}))
    with (folder / "weed.log").open("wb") as log:
        process = subprocess.Popen(_command(folder, identities, ports), stdout=log, stderr=log, cwd=folder)
    try:
        server = Server(ports[0])
        _wait_until_it_stores(server, process)
        yield server
    finally:
        process.send_signal(signal.SIGKILL)  # an orderly end takes half a minute
        process.wait()


def _command(folder: Path, identities: Path, ports: list[int]) -> list[str]:
    s3, master, master_grpc, volume, volume_grpc, filer, filer_grpc, s3_grpc = ports
    flags = {
        "dir": folder,
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",
        "master.telemetry": "false",
        "master.port": master,
        "master.port.grpc": master_grpc,
        "master.volumeSizeLimitMB": 1024,
        "master.electionTimeout": "1s",
        "master.heartbeatInterval": "100ms",
        "volume.port": volume,
        "volume.port.grpc": volume_grpc,
        "volume.max": 50,
        "filer": "true",
        "filer.port": filer,
        "filer.port.grpc": filer_grpc,
        "s3": "true",
        "s3.port": s3,
        "s3.port.grpc": s3_grpc,
        "s3.config": identities,
        "s3.iam": "false",
        "s3.port.iceberg": 0,  # both would listen on a fixed port, and two servers collide
        "s3.port.lance": 0,
    }
    weed = Path(sys.executable).with_name("weed")
    return [str(weed), "-logtostderr=true", "server", *(f"-{name}={value}" for name, value in flags.items())]


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for item in sockets:
            item.bind(("127.0.0.1", 0))
        return [int(item.getsockname()[1]) for item in sockets]


def _wait_until_it_stores(server: Server, process: subprocess.Popen[bytes]) -> None:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    client = boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        aws_access_key_id=_ACCESS,
        aws_secret_access_key=_SECRET,
        region_name="us-east-1",
        config=Config(retries={"max_attempts": 1}, connect_timeout=2, read_timeout=5),
    )
    until = time.monotonic() + _START_SECONDS
    while True:
        try:
            with contextlib.suppress(client.exceptions.BucketAlreadyExists, client.exceptions.BucketAlreadyOwnedByYou):
                client.create_bucket(Bucket=BUCKET)
            client.put_object(Bucket=BUCKET, Key="ready", Body=b"1")
        except (BotoCoreError, ClientError) as exc:
            if process.poll() is not None or time.monotonic() > until:
                message = "SeaweedFS did not start; see weed.log."
                raise RuntimeError(message) from exc
            time.sleep(0.2)
        else:
            client.delete_object(Bucket=BUCKET, Key="ready")
            return


# --- objects ---------------------------------------------------------------------------------


def put_files(server: Server, folder: Path, prefix: str) -> None:
    """Every file of `folder` as an object, unless they are there."""
    files = sorted(folder.iterdir())
    _put(server, prefix, [(f"{prefix}/{file.name}", file) for file in files])


def put_numbers(server: Server, prefix: str, count: int) -> None:
    """`count` tiny JSON-lines objects in folders of a thousand, unless they are there."""
    objects = [
        (f"{prefix}/part={number // 1000:04}/orders-from-the-shop-{number:08}.jsonl", b'{"id":%d}\n' % number)
        for number in range(count)
    ]
    _put(server, prefix, objects)


def _put(server: Server, prefix: str, objects: list[tuple[str, Path]] | list[tuple[str, bytes]]) -> None:
    import obstore

    store = server.store()
    there = {item["path"] for page in obstore.list(store, f"{prefix}/") for item in page}
    missing = [(key, body) for key, body in objects if key not in there]

    async def put_all() -> None:
        todo = iter(missing)

        async def worker() -> None:
            for key, body in todo:
                await obstore.put_async(store, key, body.read_bytes() if isinstance(body, Path) else body)

        await asyncio.gather(*(worker() for _ in range(_AT_ONCE)))

    asyncio.run(put_all())
    os.sync()
