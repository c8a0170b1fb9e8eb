"""Waiting files → batches. Pure: it cuts a stream by files and bytes and keeps no list."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cut:
    """A run of waiting files, by the ids of its first and last; every waiting file between belongs to it."""

    first: int
    last: int
    files: int
    size: int


def cut(waiting: Iterable[tuple[int, int]], max_files: int, max_bytes: int) -> Iterator[Cut]:
    """Cut `(id, size)` pairs, in order of id, so that no batch passes either limit; a file alone may."""
    first = last = files = size = 0
    for file_id, file_size in waiting:
        if files and (files >= max_files or size + file_size > max_bytes):
            yield Cut(first, last, files, size)
            files = size = 0
        if not files:
            first = file_id
        last = file_id
        files += 1
        size += file_size
    if files:
        yield Cut(first, last, files, size)


def halves(files: list[tuple[int, int]]) -> tuple[Cut, Cut]:
    """Two parts of a batch of at least two `(id, size)` pairs, in order of id, even by count."""
    middle = len(files) // 2
    return whole(files[:middle]), whole(files[middle:])


def whole(files: list[tuple[int, int]]) -> Cut:
    """All of a batch's `(id, size)` pairs, in order of id, as one part."""
    return Cut(files[0][0], files[-1][0], len(files), sum(size for _, size in files))
