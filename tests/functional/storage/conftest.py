from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from app.storage import open_store


@dataclass(frozen=True)
class Folder:
    """A folder with the face of a bucket."""

    url: str
    kind: str = "local"
    options: dict[str, str] = field(default_factory=dict)

    def put(self, key: str, data: bytes = b"x") -> str:
        path = Path(self.url, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return str(path)

    def remove(self, key: str) -> None:
        Path(self.url, key).unlink()


@pytest.fixture(params=["local", "s3", "azurite", "gcs"])
def place(request, tmp_path):
    """A bucket, a container or a folder, empty."""
    if request.param == "local":
        folder = tmp_path / "source"
        folder.mkdir()
        return Folder(str(folder))
    return request.getfixturevalue(request.param)


@pytest.fixture
def opened(place):
    """Opens a store below `place`."""

    def open_below(prefix: str = "", **arguments):
        url = f"{place.url}/{prefix}" if prefix else place.url
        return open_store(url, place.options, timeout_seconds=60, retries=1, **arguments)

    return open_below
