"""A page of a listing by columns.

A run of a schedule lists a million objects and has news of none: a value is made of a row only when somebody asks for
it, and what is asked of all rows is asked of the columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import starmap
from typing import overload

from app.values import FoundFile

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)


@dataclass(slots=True)
class FoundFiles(Sequence[FoundFile]):
    """Objects as a listing showed them. `times` are the times of modification, in microseconds since 1970."""

    paths: list[str] = field(default_factory=list)
    versions: list[str] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    times: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, files: Iterable[FoundFile]) -> FoundFiles:
        """The same by columns."""
        if isinstance(files, FoundFiles):
            return files
        rows = list(files)
        return cls(
            [info.path for info in rows],
            [info.version for info in rows],
            [info.size for info in rows],
            [ticks(info.modified_at) for info in rows],
        )

    def __len__(self) -> int:
        return len(self.paths)

    @overload
    def __getitem__(self, place: int) -> FoundFile: ...
    @overload
    def __getitem__(self, place: slice) -> FoundFiles: ...
    def __getitem__(self, place: int | slice) -> FoundFile | FoundFiles:
        if isinstance(place, slice):
            return FoundFiles(self.paths[place], self.versions[place], self.sizes[place], self.times[place])
        return _row(self.paths[place], self.versions[place], self.sizes[place], self.times[place])

    def __iter__(self) -> Iterator[FoundFile]:
        return starmap(_row, zip(self.paths, self.versions, self.sizes, self.times, strict=True))

    def append(self, info: FoundFile) -> None:
        self.extend(FoundFiles.of([info]))

    def extend(self, more: FoundFiles) -> None:
        self.paths += more.paths
        self.versions += more.versions
        self.sizes += more.sizes
        self.times += more.times

    def take(self, places: Sequence[int]) -> FoundFiles:
        """The rows at these places, in their order."""
        return FoundFiles(
            [self.paths[at] for at in places],
            [self.versions[at] for at in places],
            [self.sizes[at] for at in places],
            [self.times[at] for at in places],
        )

    def in_order(self) -> FoundFiles:
        """Sorted by path; itself when it is. Code points order as UTF-8 bytes do."""
        if sorted(self.paths) == self.paths:  # next to nothing for what is sorted already, and most pages are
            return self
        return self.take(sorted(range(len(self)), key=self.paths.__getitem__))


def ticks(moment: datetime) -> int:
    """Microseconds since 1970."""
    return (moment - _EPOCH) // _TICK


def _row(path: str, version: str, size: int, time: int) -> FoundFile:
    return FoundFile(path, version, size, _EPOCH + timedelta(microseconds=time))
