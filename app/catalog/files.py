"""Bring staged Parquet files of this machine to where the table keeps its data. Nothing is published here."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, cast

from pyiceberg.io import FileIO
from pyiceberg.manifest import DataFile

from app import failpoints
from app.catalog.datafile import describe_file, footer_of
from app.catalog.durable import local_path, make_folders, sync_folders
from app.catalog.faults import reading
from app.catalog.split import Piece, split
from app.catalog.table import Look
from app.errors import CatalogUnavailable

if TYPE_CHECKING:
    from pyiceberg.partitioning import PartitionKey
    from pyiceberg.table.locations import LocationProvider

_UPLOADS = 4
_LONGEST_NAME = 255  # bytes of a folder's or file's name
_LONGEST_KEY = 1024  # bytes of an object's name in S3; bucket and scheme are counted too, which is no harm
_CHUNK = 8 * 1024 * 1024


def land(look: Look, staged: Sequence[Path], name: str, scratch: Path) -> tuple[DataFile, ...]:
    """Move the staged files to the table's location, cut by partition where it has one; answers their entries.

    `name` begins each file's name and must be of this attempt alone. `scratch` is an empty folder for what is
    cut. When this raises, what had been moved is removed again. Raises CatalogUnavailable, CatalogError.
    """
    metadata = look.loaded.metadata
    with reading(str(look.name)):
        pieces = split(metadata, staged, scratch)
        entries = [_entry(look, piece, f"{name}-{place:05d}.parquet") for place, piece in enumerate(pieces)]
    io = look.loaded.io
    try:
        with reading(str(look.name)):
            _place(io, [(piece.path, entry.file_path) for piece, entry in zip(pieces, entries, strict=True)])
    except BaseException:  # an interrupt too
        look.objects.remove(entry.file_path for entry in entries)
        raise
    return tuple(entries)


def _entry(look: Look, piece: Piece, name: str) -> DataFile:
    location = _location(look.loaded.location_provider(), piece, name)
    return describe_file(look.loaded.metadata, footer_of(piece.path), location, piece.path.stat().st_size, piece.key)


def _location(provider: LocationProvider, piece: Piece, name: str) -> str:
    """Below folders named by the partition, unless no store could take their names: readers find files by the metadata
    alone, the folders are there for people.
    """
    location = provider.new_data_location(name, cast("PartitionKey | None", piece.key))
    sizes = [len(part.encode()) for part in location.split("/")]
    if piece.key is not None and (max(sizes) > _LONGEST_NAME or sum(sizes) + len(sizes) > _LONGEST_KEY):
        return provider.new_data_location(name)
    return location


def _place(io: FileIO, moves: Sequence[tuple[Path, str]]) -> None:
    if not moves:
        return
    _one(io, *moves[0])
    failpoints.hit("half-written")
    if local_path(moves[0][1]) is not None:
        for source, location in moves[1:]:
            _one(io, source, location)
        sync_folders(path.parent for _, location in moves if (path := local_path(location)) is not None)
        return
    with ThreadPoolExecutor(_UPLOADS, thread_name_prefix="upload") as pool:
        for done in [pool.submit(_one, io, source, location) for source, location in moves[1:]]:
            done.result()


def _one(io: FileIO, source: Path, location: str) -> None:
    target = local_path(location)
    if target is None:
        _upload(io, source, location)
        source.unlink()
        return
    make_folders(target.parent)
    _sync(source)
    try:
        source.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy(source, target)
        source.unlink()


def _copy(source: Path, target: Path) -> None:
    """Across file systems: under another name first, so that the file is whole when it has its own."""
    draft = target.with_name(f".{target.name}.part")
    try:
        shutil.copyfile(source, draft)
        _sync(draft)
        draft.replace(target)
    finally:
        with suppress(FileNotFoundError):
            draft.unlink()


def _upload(io: FileIO, source: Path, location: str) -> None:
    size = source.stat().st_size
    with source.open("rb") as file, io.new_output(location).create(overwrite=True) as stream:
        while chunk := file.read(_CHUNK):
            stream.write(chunk)
    stored = len(io.new_input(location))
    if stored != size:
        raise CatalogUnavailable(f"{location} was stored with {stored} of {size} bytes.", hint="Run again.")


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
