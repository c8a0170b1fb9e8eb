"""Small files beside a table, through the table's own access: receipts, and what is removed again."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass

from pyiceberg.io import FileIO

from app.catalog.faults import reading
from app.errors import CatalogError, FileMissing

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Objects:
    """Files below a table's location."""

    io: FileIO
    location: str

    def path(self, name: str) -> str:
        """The full address of `name` below the table's location."""
        return f"{self.location.rstrip('/')}/{name}"

    def write(self, path: str, data: bytes) -> None:
        """Write the whole file; it replaces what is there. Raises CatalogUnavailable, CatalogError."""
        with reading(path), self.io.new_output(path).create(overwrite=True) as stream:
            stream.write(data)

    def read(self, path: str) -> bytes:
        """The whole file. Raises FileMissing."""
        with reading(path):
            try:
                with self.io.new_input(path).open() as stream:
                    return bytes(stream.read())
            except FileNotFoundError as error:
                raise FileMissing(
                    f"There is no file {path}.", hint="Was it removed by hand, or by a clean-up of the storage?"
                ) from error

    def exists(self, path: str) -> bool:
        with reading(path):
            return self.io.new_input(path).exists()

    def remove(self, paths: Iterable[str]) -> None:
        """Remove the files, as far as it goes: what stays behind belongs to no table and is only logged."""
        for path in paths:
            try:
                with reading(path):
                    self.io.delete(path)
            except CatalogError as error:
                log.info("Left behind: %s (%s)", path, error.message)
