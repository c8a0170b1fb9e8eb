"""Addresses of sources, split into store, bucket and key. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from app.errors import InvalidInput

_KINDS = {
    "s3": "s3",
    "s3a": "s3",
    "az": "az",
    "azure": "az",
    "abfs": "az",
    "abfss": "az",
    "gs": "gs",
    "gcs": "gs",
}


@dataclass(frozen=True, slots=True)
class Address:
    """Where a store is rooted.

    `kind` is `local`, `s3`, `az` or `gs`; `bucket` is empty for `local`. `key` is the raw key or absolute path
    below which everything lies, without a trailing slash. `account` is set for `az` addresses that name one.
    """

    kind: str
    bucket: str
    key: str
    account: str = ""

    @property
    def root(self) -> str:
        """What stands before a key in a full address: `s3://bucket/`; empty for a folder."""
        return "" if self.kind == "local" else f"{self.kind}://{self.bucket}/"

    @property
    def base(self) -> str:
        """The full address, without a slash at its end (but for `/` itself)."""
        return f"{self.root}{self.key}" if self.key else self.root.rstrip("/")


def parse_address(url: str) -> Address:
    """Split an address. Raises InvalidInput for an unknown scheme, a missing bucket or an unusable text.

    Remote keys are taken as they stand: `%20` in them is three characters. Only `file://` is decoded, because
    there the URL is defined to be encoded.
    """
    if not url.strip() or "\0" in url:
        message = f"{url!r} is not an address."
        raise InvalidInput(
            message, hint="Write a folder, or s3://bucket/prefix, az://container/prefix, gs://bucket/prefix."
        )
    scheme, found, rest = url.partition("://")
    if not found:
        return _local(url)
    if scheme.lower() == "file":
        return _local_url(url, rest)
    kind = _KINDS.get(scheme.lower())
    if kind is None:
        message = f"{scheme}:// is not a kind of store that can be read (in {_shown(url)!r})."
        raise InvalidInput(message, hint="Use a folder, or s3://, az:// or gs://.")
    bucket, _, key = rest.partition("/")
    account = ""
    if "@" in bucket:  # abfss://container@account.dfs.core.windows.net/key
        bucket, _, host = bucket.partition("@")
        account = host.partition(".")[0]
        if kind != "az" or ":" in bucket:
            message = "An address must not hold a user name or a password."
            raise InvalidInput(message, hint="Put keys into a connection: autoloader connections add.")
    if not bucket:
        message = f"{_shown(url)!r} names no {'container' if kind == 'az' else 'bucket'}."
        raise InvalidInput(message, hint=f"Write {kind}://NAME/prefix.")
    return Address(kind, bucket, key.rstrip("/"), account)


def join(folder: str, name: str) -> str:
    """`name` below the key or folder `folder`; either may be empty."""
    if not folder or not name:
        return folder or name
    return f"{folder}{name}" if folder.endswith("/") else f"{folder}/{name}"


def _local(text: str) -> Address:
    # abspath, not resolve(): a symlinked root keeps the name the user gave it.
    path = Path(text).expanduser().absolute()
    parts: list[str] = []
    for part in path.parts[1:]:
        if part == "..":
            parts = parts[:-1]
        else:
            parts.append(part)
    return Address("local", "", "/" + "/".join(parts))


def _local_url(url: str, rest: str) -> Address:
    host, slash, path = rest.partition("/")
    if host not in {"", "localhost"} or not slash:
        message = f"{url!r} is not a file on this machine."
        raise InvalidInput(message, hint="Write file:///absolute/path.")
    return _local("/" + unquote(path))


def _shown(url: str) -> str:
    """The address without a query string or user information: either may hold a key."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2].partition('?')[0]}"
