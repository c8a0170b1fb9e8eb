"""The library's Arrow listings by columns, fast: a million rows go through here in one run."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

import pyarrow as pa

from app.found_files import FoundFiles

if TYPE_CHECKING:
    from arro3.core import RecordBatch


# As the library gives moments. A cast would import Arrow's functions, for a run that needs no other of them.
_MOMENT = pa.timestamp("us", "UTC")


def version_of(e_tag: str | None, size: int, modified_at: datetime) -> str:
    """The ETag without its quotes, or `size-mtime` (whole seconds: that is all a response header has)."""
    if e_tag:
        return e_tag.strip('"')
    return f"{size}-{int(modified_at.timestamp())}"


def to_objects(batch: RecordBatch, root: str) -> FoundFiles:
    """The rows of one listing chunk; `root` is put before each key."""
    rows = pa.record_batch(batch)
    sizes = rows.column("size").to_pylist()
    moments = rows.column("last_modified")
    if moments.type != _MOMENT:
        moments = moments.cast(_MOMENT)
    times = moments.view(pa.int64()).to_pylist()
    versions = [
        tag.strip('"') if tag else f"{size}-{time // 1_000_000}"
        for tag, size, time in zip(rows.column("e_tag").to_pylist(), sizes, times, strict=True)
    ]
    return FoundFiles([root + path for path in rows.column("path").to_pylist()], versions, sizes, times)


def without_markers(page: FoundFiles, folder: str, exists: Callable[[str], bool], left_out: Counter[str]) -> FoundFiles:
    """The page, sorted by bytes of path, without the empty objects that only make a folder visible.

    The library drops the slash at a key's end, so that the marker `a/` looks like the empty file `a`. An empty object
    is a marker when it is `folder` itself, when other keys lie below it, or when no object of that very name `exists`.
    """
    page = page.in_order()
    if 0 not in page.sizes:
        return page
    paths = page.paths
    markers = {
        at
        for at, size in enumerate(page.sizes)
        if size == 0 and (paths[at] == folder or _has_children(paths, paths[at]) or not exists(paths[at]))
    }
    if not markers:
        return page
    left_out["not-a-file"] += len(markers)
    return page.take([at for at in range(len(page)) if at not in markers])


def _has_children(paths: list[str], path: str) -> bool:
    at = bisect_left(paths, f"{path}/")
    return at < len(paths) and paths[at].startswith(f"{path}/")
