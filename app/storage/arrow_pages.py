"""The library's Arrow listings as values, fast: a million rows go through here in one run."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow as pa

from app.storage.contract import ObjectInfo

if TYPE_CHECKING:
    from arro3.core import RecordBatch


def version_of(e_tag: str | None, size: int, modified_at: datetime) -> str:
    """The ETag without its quotes, or `size-mtime` (whole seconds: that is all a response header has)."""
    if e_tag:
        return e_tag.strip('"')
    return f"{size}-{int(modified_at.timestamp())}"


def to_objects(batch: RecordBatch, root: str) -> list[ObjectInfo]:
    """The rows of one listing chunk; `root` is put before each key."""
    rows = pa.record_batch(batch)
    paths = rows.column("path").to_pylist()
    sizes = rows.column("size").to_pylist()
    tags = rows.column("e_tag").to_pylist()
    # As integers: to_pylist() of timestamps with a zone costs ten times as much.
    times = rows.column("last_modified").cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_pylist()
    at = datetime.fromtimestamp
    return [
        ObjectInfo(root + path, tag.strip('"') if tag else f"{size}-{time // 1_000_000}", size, at(time / 1e6, UTC))
        for path, tag, size, time in zip(paths, tags, sizes, times, strict=True)
    ]


def without_markers(
    page: list[ObjectInfo], folder: str, exists: Callable[[str], bool], left_out: Counter[str]
) -> list[ObjectInfo]:
    """The page, sorted by bytes of path, without the empty objects that only make a folder visible.

    The library drops the slash at a key's end, so that the marker `a/` looks like the empty file `a`. An empty object
    is a marker when it is `folder` itself, when other keys lie below it, or when no object of that very name `exists`.
    """
    page.sort(key=_path)  # code points order as UTF-8 bytes do
    empty = [info for info in page if info.size == 0]
    if not empty:
        return page
    paths = [info.path for info in page]
    markers = {
        id(info) for info in empty if info.path == folder or _has_children(paths, info.path) or not exists(info.path)
    }
    if not markers:
        return page
    left_out["not-a-file"] += len(markers)
    return [info for info in page if id(info) not in markers]


def _path(info: ObjectInfo) -> str:
    return info.path


def _has_children(paths: list[str], path: str) -> bool:
    at = bisect_left(paths, f"{path}/")
    return at < len(paths) and paths[at].startswith(f"{path}/")
