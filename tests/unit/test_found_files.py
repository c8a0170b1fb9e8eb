from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.found_files import FoundFiles, ticks
from app.values import FoundFile

NOON = datetime(2026, 5, 1, 12, 0, 0, 123_456, tzinfo=UTC)


def info(path: str, size: int = 1) -> FoundFile:
    return FoundFile(path, f"v-{path}", size, NOON + timedelta(seconds=size))


FILES = [info("/d/c"), info("/d/a", 2), info("/d/b", 3)]


def test_what_goes_in_comes_out_row_by_row():
    page = FoundFiles.of(FILES)
    assert list(page) == FILES
    assert [page[at] for at in range(len(page))] == FILES
    assert list(page[1:]) == FILES[1:]


@pytest.mark.parametrize("text", ["9999-12-31T23:59:59.999999", "1969-12-31T23:59:59.999999", "0001-01-01T00:00:00"])
def test_no_moment_is_rounded_or_too_far_away(text):
    found = FoundFile("/d/a", "v", 1, datetime.fromisoformat(f"{text}+00:00"))
    assert list(FoundFiles.of([found])) == [found]


def test_ticks_are_microseconds_since_1970():
    assert ticks(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)) == 1_000_000


def test_rows_are_taken_in_the_order_of_their_places():
    assert list(FoundFiles.of(FILES).take([2, 0])) == [FILES[2], FILES[0]]


def test_order_is_that_of_the_bytes_of_paths():
    names = ["/d/\U0001f600", "/d/a", "/d/\uffff", "/d/a/b", "/d/é"]
    ordered = FoundFiles.of(info(name) for name in names).in_order()
    assert ordered.paths == sorted(names, key=str.encode)
    assert [one.version for one in ordered] == [f"v-{path}" for path in ordered.paths]


def test_pages_are_put_together():
    page = FoundFiles()
    page.append(FILES[0])
    page.extend(FoundFiles.of(FILES[1:]))
    assert list(page) == FILES
