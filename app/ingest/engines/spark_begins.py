"""The begin of each file as a local one: what the worker looks at before a cluster reads the rest."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from app.ingest.engines import own_disk
from app.storage import Store
from app.values import BatchFile

_AT_ONCE = 16  # which also bounds what lies in the folder
_HEAD = 1024 * 1024
_ENOUGH = 1_000  # line ends: no head has as many


def begins(
    store: Store, files: Sequence[BatchFile], folder: Path, most: int, *, whole: bool
) -> Iterator[tuple[BatchFile, Future[Path]]]:
    """Each file with what `result()` of the future gives: a local file that begins as it does, gone with the next one.

    Local files are given themselves. Of others, `most` bytes where `whole` is wanted; else enough to tell its first
    lines. The result raises FileMissing, SourceAccessDenied, SourceUnavailable.
    """
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="begin") as pool:
        waiting: deque[tuple[BatchFile, Future[Path]]] = deque()
        rest = iter(files)
        for file in rest:
            waiting.append((file, pool.submit(_begin, store, file, folder, most, whole=whole)))
            if len(waiting) >= _AT_ONCE:
                yield from _one(store, waiting)
        while waiting:
            yield from _one(store, waiting)


def _one(store: Store, waiting: deque[tuple[BatchFile, Future[Path]]]) -> Iterator[tuple[BatchFile, Future[Path]]]:
    file, begun = waiting.popleft()
    yield file, begun
    if store.local_path(file.path) is None and begun.exception() is None:
        begun.result().unlink()


def _begin(store: Store, file: BatchFile, folder: Path, most: int, *, whole: bool) -> Path:
    local = store.local_path(file.path)
    if local is not None:
        return local
    data = store.read(file.path, 0, min(file.size, most if whole else _HEAD))
    if not whole and len(data) < file.size and data.count(b"\n") < _ENOUGH:
        data = store.read(file.path, 0, min(file.size, most))
    target = folder / f"begin-{file.file_id}"
    with own_disk.writing(folder):
        target.write_bytes(data)
    return target
