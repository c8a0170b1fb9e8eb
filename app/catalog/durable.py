"""File access for catalogs whose tables may lie in a folder of this machine.

Differs from the library's in three points. A local file is on the disk before its writer is closed, because the
catalog's database syncs its own pointer and must never point to a file that a power failure has emptied. A local
path may hold any character, `#` and `?` too. And bytes are stored as they are given: Arrow would compress a remote
file once more when its name ends in `.gz`.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pyiceberg.io import InputFile, OutputFile
from pyiceberg.io.pyarrow import PyArrowFile, PyArrowFileIO
from pyiceberg.typedef import EMPTY_DICT, Properties

_SCHEME = "file://"


class DurableFileIO(PyArrowFileIO):
    """The library's file access, with local files written through to the disk."""

    @staticmethod
    def parse_location(location: str, properties: Properties = EMPTY_DICT) -> tuple[str, str, str]:
        path = local_path(location)
        return PyArrowFileIO.parse_location(location, properties) if path is None else ("file", "", str(path))

    def new_output(self, location: str) -> PyArrowFile:
        path = local_path(location)
        output = super().new_output(location)
        return _PlainFile(output) if path is None else _SyncedFile(output, path)

    def delete(self, location: str | InputFile | OutputFile) -> None:
        super().delete(location)


class _PlainFile(PyArrowFile):
    def __init__(self, file: PyArrowFile) -> None:
        super().__init__(file.location, file._path, file._filesystem, file._buffer_size)  # noqa: SLF001

    def create(self, overwrite: bool = False) -> Any:  # noqa: FBT001, FBT002
        if not overwrite and self.exists():
            raise FileExistsError(f"{self.location} exists already.")
        return self._filesystem.open_output_stream(self._path, compression=None, buffer_size=self._buffer_size)


class _SyncedFile(_PlainFile):
    def __init__(self, file: PyArrowFile, path: Path) -> None:
        super().__init__(file)
        self._local = path

    def create(self, overwrite: bool = False) -> Any:  # noqa: FBT001, FBT002
        make_folders(self._local.parent)
        return _SyncedStream(self._local, "wb" if overwrite else "xb")


class _SyncedStream(io.BufferedWriter):
    """A file that is on the disk, name and content, once `close` returned."""

    def __init__(self, path: Path, mode: str) -> None:
        super().__init__(io.FileIO(path, mode))
        self._path = path

    def close(self) -> None:
        if self.closed:
            return
        self.flush()
        os.fsync(self.fileno())
        super().close()
        sync_folders([self._path.parent])


def local_path(location: str) -> Path | None:
    """The path of this machine that a location names; None for a remote one."""
    if location.startswith("/"):
        return Path(location)
    if location.startswith(_SCHEME):
        return Path(location.removeprefix(_SCHEME))
    if location.startswith("file:/"):
        return Path(location.removeprefix("file:"))
    return None


def make_folders(folder: Path) -> None:
    """Make the folder and those above it, each one's name synced to the disk."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for new in reversed(missing):
        new.mkdir(exist_ok=True)
        sync_folders([new.parent])


def sync_folders(folders: Iterable[Path]) -> None:
    """Bring the folders' names of files to the disk."""
    for folder in set(folders):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
