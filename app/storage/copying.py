"""The bytes of a copy into their place: a file of its own, or a slot of one that holds many."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from app.errors import FileChanged, SourceUnavailable
from app.storage.contract import Target
from app.values import Slot

if TYPE_CHECKING:
    from typing_extensions import Buffer


def write_copy(target: Target, chunks: Iterator[Buffer], size: int, path: str) -> None:
    """All bytes, or SourceUnavailable. Plain descriptors: half the cost of a file object."""
    if isinstance(target, Slot):
        if size not in {-1, target.size}:
            raise changed(path)
        _require_all(put(target, chunks, path), target.size)
        return
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        written = 0
        for chunk in chunks:
            written += _write_at(handle, chunk, written)
    finally:
        os.close(handle)
    _require_all(written, size)


def put(slot: Slot, chunks: Iterable[Buffer], path: str) -> int:
    """Write into the slot; how many bytes. Raises FileChanged for more than it has room for: they are a neighbour's."""
    written = 0
    for chunk in chunks:
        if written + len(memoryview(chunk)) > slot.size:
            raise changed(path)
        written += _write_at(slot.handle.fileno(), chunk, slot.offset + written)
    return written


def _write_at(handle: int, data: Buffer, offset: int) -> int:
    rest = memoryview(data)
    while rest:
        count = os.pwrite(handle, rest, offset)
        offset += count
        rest = rest[count:]
    return len(memoryview(data))


def _require_all(written: int, size: int) -> None:
    if size >= 0 and written != size:
        message = f"Only {written} of {size} bytes arrived."
        raise SourceUnavailable(message, hint="Run again.")


def discard(target: Target) -> None:
    """Leave no part of a copy behind. A slot's bytes need not go: who fetches into it forgets it."""
    if isinstance(target, Path):
        target.unlink(missing_ok=True)


def changed(path: str) -> FileChanged:
    message = f"{path} changed after it was discovered."
    return FileChanged(message, hint="The new version is discovered by the next run.")
