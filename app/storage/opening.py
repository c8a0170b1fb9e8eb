"""From an address and a connection's options to a store."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.request import HTTPSHandler

from app.config import ambient_http_allowed
from app.storage.address import Address, parse_address
from app.storage.contract import Store
from app.storage.local import LocalStore
from app.storage.options import StoreOptions, read_options

if TYPE_CHECKING:
    from app.storage.remote import NativeStore
    from app.storage.signed_s3 import SignedS3

_LONGEST_TRANSFER = timedelta(hours=6)
_CONNECT_SECONDS = 10.0
_IDLE_CONNECTIONS = "64"
# Google unpacks an object with `Content-Encoding: gzip` on its way, and leaves out its length, unless one says this.
# Not for listings: those would come packed, and the library does not unpack.
_AS_STORED: Mapping[str, object] = {"default_headers": {"accept-encoding": "gzip"}}
_SIGNATURE_LIFETIME = timedelta(minutes=10)


def open_store(
    url: str,
    options: Mapping[str, str] | None = None,
    *,
    timeout_seconds: float = 30.0,
    retries: int = 5,
    page_size: int = 5_000,
    list_concurrency: int = 8,
) -> Store:
    """The store at `url`, opened without asking it anything.

    `options` are a connection's, secrets included; without them the machine's own credentials are used. A request that
    brings no byte for `timeout_seconds` is given up and repeated up to `retries` times. Raises InvalidInput.
    """
    address = parse_address(url)
    found = read_options(address.kind, options or {})
    if address.kind == "local":
        return LocalStore(address.base, page_size)
    if address.account and "account_name" not in found.store:
        found = replace(found, store={**found.store, "account_name": address.account})
    return _remote(address, found, timeout_seconds, retries, page_size, list_concurrency)


def _remote(
    address: Address, options: StoreOptions, timeout_seconds: float, retries: int, page_size: int, list_concurrency: int
) -> Store:
    # Imported here: a run over a folder does not pay for the library.
    from app.storage.faults import translated
    from app.storage.remote import RemoteStore

    client: dict[str, str | bool | bytes] = {
        **options.client,
        "connect_timeout": f"{min(_CONNECT_SECONDS, timeout_seconds)} seconds",
        "read_timeout": f"{timeout_seconds} seconds",
        # The library's own limit, 30 s for a whole answer, would end every large download.
        "timeout": f"{int(_LONGEST_TRANSFER.total_seconds())} seconds",
        "pool_max_idle_per_host": _IDLE_CONNECTIONS,
    }
    # Told options of a client, the library forgets what the environment says of it.
    if "allow_http" not in client and "endpoint" not in options.store and ambient_http_allowed(address.kind):
        client["allow_http"] = True
    retry = {"max_retries": retries, "retry_timeout": timedelta(seconds=timeout_seconds * (retries + 1))}
    with translated(address.base, options.secrets):
        native = _native(address.kind, address.bucket, options, client, retry)
        reading = native
        if address.kind == "gs":
            reading = _native(address.kind, address.bucket, options, {**client, **_AS_STORED}, retry)
    signed = _signed(address, native, options, client, retry) if address.kind == "s3" else None
    return RemoteStore(address, native, reading, signed, options.secrets, page_size, list_concurrency)


def _native(
    kind: str,
    bucket: str,
    options: StoreOptions,
    client: Mapping[str, object],
    retry: Mapping[str, object],
) -> NativeStore:
    from obstore.store import AzureStore, GCSStore, S3Store

    credential = {**options.credential, "expires_at": None}
    given: dict[str, object] = {"credential_provider": lambda: credential} if options.credential else {}
    maker: Callable[..., NativeStore] = {"s3": S3Store, "az": AzureStore, "gs": GCSStore}[kind]
    return maker(bucket, config=dict(options.store), client_options=client, retry_config=retry, **given)


def _signed(
    address: Address,
    native: NativeStore,
    options: StoreOptions,
    client: Mapping[str, object],
    retry: Mapping[str, object],
) -> SignedS3:
    import obstore

    from app.storage.faults import translated
    from app.storage.signed_s3 import SignedS3, opener

    def signed(store: NativeStore) -> str:
        with translated(address.base, options.secrets):
            return obstore.sign(store, "GET", "r", _SIGNATURE_LIFETIME)

    def bucket_url() -> str:
        if options.store.get("skip_signature"):
            return _public_url(address.bucket, options.store)
        # As the library addresses it, with all it took from the environment: `<bucket's URL>/r?<signature>`.
        return signed(native).partition("?")[0].removesuffix("/r")

    def sign(url: str) -> str:
        if options.store.get("skip_signature"):
            return url
        whole = replace(options, store={**options.store, "endpoint": url, "virtual_hosted_style_request": True})
        return signed(_native("s3", address.bucket, whole, {**client, "allow_http": True}, retry))

    timeout = float(str(client["read_timeout"]).split(" ", maxsplit=1)[0])
    return SignedS3(bucket_url, sign, opener(_proxy(options), _tls(options)), timeout, int(str(retry["max_retries"])))


def _public_url(bucket: str, store: Mapping[str, str | bool]) -> str:
    endpoint = str(store.get("endpoint", "")).rstrip("/")
    if endpoint:
        # With virtual-hosted addresses the endpoint is the bucket's own already.
        return endpoint if store.get("virtual_hosted_style_request") else f"{endpoint}/{bucket}"
    return f"https://s3.{store.get('region', 'us-east-1')}.amazonaws.com/{bucket}"


def _proxy(options: StoreOptions) -> str:
    return str(options.client.get("proxy_url", ""))


def _tls(options: StoreOptions) -> HTTPSHandler | None:
    pem = options.client.get("root_certificate")
    if options.client.get("allow_invalid_certificates"):
        return HTTPSHandler(context=ssl._create_unverified_context())  # noqa: S323, SLF001 - the user asked for it by name
    if isinstance(pem, bytes):
        return HTTPSHandler(context=ssl.create_default_context(cadata=pem.decode()))
    return None
