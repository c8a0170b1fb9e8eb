from __future__ import annotations

import os
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import pytest

from app.config import Settings
from app.errors import SourceUnavailable
from app.ingest.engines import embedded_input
from app.ingest.engines.embedded_input import LocalFiles
from app.ingest.formats.contract import ParseFile
from app.schemas.ingestion import FormatShape
from app.spool import Spool
from app.storage import Store
from app.values import BatchFile, Slot


class Shelf:
    """A store that writes as many bytes as a file has, and tells of each before it does."""

    kind = "s3"

    def __init__(self, at: Callable[[BatchFile], None] = lambda file: None) -> None:
        self.at = at

    def fetch_many(self, jobs: Sequence[tuple[BatchFile, Path | Slot]], concurrency: int) -> Generator[int]:
        for file, target in jobs:
            self.at(file)
            if isinstance(target, Slot):
                os.pwrite(target.handle.fileno(), b"x" * file.size, target.offset)
            else:
                target.write_bytes(b"x" * file.size)
            yield file.file_id


def files(*sizes: int) -> list[BatchFile]:
    return [BatchFile(number, f"s3://b/{number}.jsonl", "v", size) for number, size in enumerate(sizes, start=1)]


@pytest.fixture
def local(tmp_path, monkeypatch):
    """Makes what fetches a batch, with groups of few bytes."""
    monkeypatch.setattr(embedded_input, "_LEAST_GROUP", 100)
    opened: list[Spool] = []

    def make(shelf: Shelf, most: int = 10_000, kind: str = "jsonl", *, packs: bool = True) -> LocalFiles:
        opened.append(Spool(tmp_path, most, 2))
        settings = Settings(_env_file=None, spool_max_bytes=most)
        return LocalFiles(cast("Store", shelf), opened[-1], settings, FormatShape(type=kind), packs=packs)

    yield make
    for spool in opened:
        spool.close()


def holds(file: ParseFile) -> bool:
    """Whether its bytes are there."""
    return Path(file.local_path).read_bytes()[file.offset or 0 :][: file.size] == b"x" * file.size


def ids(group: Any) -> list[int]:
    return [file.file_id for file in group[0]]


def test_the_next_group_is_on_its_way_while_one_is_worked_on(local):
    last_begun = threading.Event()
    groups = local(Shelf(lambda file: last_begun.set() if file.file_id == 4 else None)).groups(files(*[60] * 4))
    first = next(groups)
    assert last_begun.wait(10)
    assert sorted([*ids(first), *(file_id for group in groups for file_id in ids(group))]) == [1, 2, 3, 4]


@pytest.mark.parametrize("sizes", [[60] * 20, [10, 300, 10, 10, 300], [1] * 7, [400, 400, 400]])
@pytest.mark.parametrize("most", [400, 500, 10_000])
@pytest.mark.parametrize("packs", [True, False])
def test_every_file_comes_once_and_the_spool_never_holds_more_than_fits(local, sizes, most, packs):
    held: list[int] = []
    one = local(Shelf(lambda file: held.append(file.size + used())), most, packs=packs)

    def used() -> int:
        total = 0
        for path in one.spool.folder.iterdir():
            with suppress(FileNotFoundError):  # the group before is being released
                total += path.stat().st_size
        return total

    came = []
    for good, bad in one.groups(files(*sizes)):
        assert not bad
        assert all(holds(file) for file in good)
        came += [file.file_id for file in good]
    assert came == list(range(1, len(sizes) + 1))
    assert max(held) <= most
    assert used() == 0


@pytest.mark.parametrize(("kind", "packs", "parts"), [("json", True, 3), ("csv", True, 0), ("jsonl", False, 0)])
def test_files_come_as_parts_of_one_only_where_their_reader_takes_that(local, kind, packs, parts):
    ((good, _),) = local(Shelf(), kind=kind, packs=packs).groups(files(5, 6, 7))
    assert sum(file.offset is not None for file in good) == parts
    assert len({file.local_path for file in good}) == (1 if parts else 3)


def test_a_batch_is_cut_into_few_groups_and_leaves_no_crumbs(local):
    sizes = [[file.size for file in group[0]] for group in local(Shelf()).groups(files(*[7] * 1000))]
    assert len(sizes) <= 4
    assert sum(sizes[-1]) > 1000


def test_what_a_fetch_ahead_raises_is_raised_in_its_turn(local):
    def fail(file: BatchFile) -> None:
        if file.file_id == 4:
            raise SourceUnavailable("It does not answer.")

    groups = local(Shelf(fail)).groups(files(*[60] * 4))
    assert ids(next(groups)) == [1, 2, 3]
    with pytest.raises(SourceUnavailable):
        next(groups)


@pytest.mark.parametrize("in_time", [True, False])
def test_closing_ends_a_fetch_under_way_and_leaves_nothing(local, in_time):
    begun, go_on = threading.Event(), threading.Event()
    seen: list[int] = []

    def at(file: BatchFile) -> None:
        seen.append(file.file_id)
        if file.file_id == (8 if in_time else 12):  # the second, or the last one of the second group
            begun.set()
            go_on.wait(10)

    one = local(Shelf(at))
    groups = one.groups(files(*[60] * 20))
    assert ids(next(groups)) == [1, 2, 3, 4, 5, 6]
    assert begun.wait(10)
    closing = threading.Thread(target=groups.close)
    closing.start()
    go_on.set()
    closing.join(10)
    assert max(seen) <= 12, "nobody will ask for the next groups"
    assert not list(one.spool.folder.iterdir())
    assert sum(len(ids(group)) for group in one.groups(files(*[60] * 20))) == 20, "its room is free again"
