"""Buckets for tests, seeded past the product: by each store's own API, so that any key can be made."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import urllib.request
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from urllib.parse import quote, unquote, urlsplit

S3_ADMIN = ("testadmin", "testadminsecret")
S3_READER = ("testreader", "testreadersecret")
AZURE_ACCOUNT = "devstoreaccount1"
# Azurite's published key, the same on every machine.
AZURE_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6"  # pragma: allowlist secret
    "IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="  # pragma: allowlist secret
)


@dataclass(frozen=True)
class Bucket:
    """`url` and `options` go into the product; `reader_options` are an identity that may not write (S3 only)."""

    kind: str
    name: str
    endpoint: str
    url: str
    options: dict[str, str]
    reader_options: dict[str, str] = field(default_factory=dict)

    def put(self, key: str, data: bytes = b"x") -> str:
        """Write an object of exactly that key; answers its full raw address."""
        {"s3": _put_s3, "az": _put_azure, "gs": _put_gcs}[self.kind](self, key, data)
        return f"{self.url}/{key}"

    def remove(self, key: str) -> None:
        """Remove the object."""
        {"s3": _remove_s3, "az": _remove_azure, "gs": _remove_gcs}[self.kind](self, key)

    @property
    def s3_client(self) -> Any:
        """A boto3 client that may do everything."""
        return s3_client(self.endpoint)


def s3_bucket(port: int, name: str) -> Bucket:
    endpoint = f"http://127.0.0.1:{port}"
    s3_client(endpoint).create_bucket(Bucket=name)
    where = {"endpoint": endpoint, "region": "us-east-1"}
    admin = {**where, "access_key_id": S3_ADMIN[0], "secret_access_key": S3_ADMIN[1]}
    reader = {**where, "access_key_id": S3_READER[0], "secret_access_key": S3_READER[1]}
    return Bucket("s3", name, endpoint, f"s3://{name}", admin, reader)


def azure_bucket(port: int, name: str) -> Bucket:
    endpoint = f"http://127.0.0.1:{port}/{AZURE_ACCOUNT}"
    azure_request("PUT", f"{endpoint}/{name}?restype=container")
    options = {"endpoint": endpoint, "account_name": AZURE_ACCOUNT, "account_key": AZURE_KEY}
    return Bucket("az", name, endpoint, f"az://{name}", options)


def gcs_bucket(port: int, name: str) -> Bucket:
    endpoint = f"http://127.0.0.1:{port}"
    body = json.dumps({"name": name}).encode()
    http("POST", f"{endpoint}/storage/v1/b?project=test", body, {"Content-Type": "application/json"})
    return Bucket("gs", name, endpoint, f"gs://{name}", {"endpoint": endpoint, "skip_signature": "true"})


@lru_cache(maxsize=4)
def s3_client(endpoint: str) -> Any:
    import boto3
    from botocore.config import Config

    config = Config(retries={"max_attempts": 2}, connect_timeout=20, read_timeout=60)
    keys = {"aws_access_key_id": S3_ADMIN[0], "aws_secret_access_key": S3_ADMIN[1]}
    return boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", config=config, **keys)


def http(method: str, url: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> bytes:
    """One request; raises for a status that is not 2xx."""
    # Addresses of our own servers only.
    request = urllib.request.Request(  # noqa: S310
        url, data=body, method=method, headers=headers or {}
    )
    with urllib.request.urlopen(request, timeout=180) as answer:  # noqa: S310
        return bytes(answer.read())


def azure_request(method: str, url: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> bytes:
    """One request with Azure's shared key."""
    return http(method, url, body, azure_headers(method, url, body, headers))


def azure_headers(
    method: str, url: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> dict[str, str]:
    """The headers of such a request."""
    sent = {
        "x-ms-date": datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT"),
        "x-ms-version": "2023-11-03",
        **(headers or {}),
    }
    parts = urlsplit(url)
    named = "".join(f"{name}:{value}\n" for name, value in sorted(sent.items()) if name.startswith("x-ms-"))
    query = "".join(
        f"\n{pair.partition('=')[0]}:{unquote(pair.partition('=')[2])}"
        for pair in sorted(parts.query.split("&"))
        if pair
    )
    length = str(len(body)) if body else ""
    kind = sent.get("Content-Type", "")
    text = f"{method}\n\n\n{length}\n\n{kind}\n\n\n\n\n\n\n{named}/{AZURE_ACCOUNT}{parts.path}{query}"
    digest = hmac.new(base64.b64decode(AZURE_KEY), text.encode(), hashlib.sha256).digest()
    return {**sent, "Authorization": f"SharedKey {AZURE_ACCOUNT}:{base64.b64encode(digest).decode()}"}


def _put_s3(bucket: Bucket, key: str, data: bytes) -> None:
    bucket.s3_client.put_object(Bucket=bucket.name, Key=key, Body=data)


def _remove_s3(bucket: Bucket, key: str) -> None:
    bucket.s3_client.delete_object(Bucket=bucket.name, Key=key)


def _put_azure(bucket: Bucket, key: str, data: bytes) -> None:
    headers = {"x-ms-blob-type": "BlockBlob", "Content-Type": "application/octet-stream"}
    azure_request("PUT", f"{bucket.endpoint}/{bucket.name}/{quote(key)}", data, headers)


def _remove_azure(bucket: Bucket, key: str) -> None:
    azure_request("DELETE", f"{bucket.endpoint}/{bucket.name}/{quote(key)}")


def _put_gcs(bucket: Bucket, key: str, data: bytes) -> None:
    address = f"{bucket.endpoint}/upload/storage/v1/b/{bucket.name}/o?uploadType=media&name={quote(key, safe='')}"
    http("POST", address, data, {"Content-Type": "application/octet-stream"})


def put_gcs_gzip(bucket: Bucket, key: str, data: bytes) -> str:
    """An object with `Content-Encoding: gzip`; answers its address. It is unpacked for whoever does not take gzip."""
    address = f"{bucket.endpoint}/upload/storage/v1/b/{bucket.name}/o?uploadType=media&contentEncoding=gzip"
    http("POST", f"{address}&name={quote(key, safe='')}", data, {"Content-Type": "application/octet-stream"})
    return f"{bucket.url}/{key}"


def _remove_gcs(bucket: Bucket, key: str) -> None:
    http("DELETE", f"{bucket.endpoint}/storage/v1/b/{bucket.name}/o/{quote(key, safe='')}")
