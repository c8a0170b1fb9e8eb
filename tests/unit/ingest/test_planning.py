from __future__ import annotations

from itertools import islice, pairwise

from hypothesis import given
from hypothesis import strategies as st

from app.ingest.planning import Cut, cut, halves, whole

SIZES = st.lists(st.integers(0, 50), max_size=40)
LIMITS = st.integers(1, 12), st.integers(1, 120)


def numbered(sizes: list[int], step: int = 3) -> list[tuple[int, int]]:
    return [(10 + step * place, size) for place, size in enumerate(sizes)]


def members(waiting: list[tuple[int, int]], part: Cut) -> list[tuple[int, int]]:
    return [one for one in waiting if part.first <= one[0] <= part.last]


@given(SIZES, *LIMITS)
def test_every_waiting_file_is_in_exactly_one_batch_and_in_order(sizes, max_files, max_bytes):
    waiting = numbered(sizes)
    cuts = list(cut(waiting, max_files, max_bytes))
    assert [one for part in cuts for one in members(waiting, part)] == waiting
    assert all(one.last < other.first for one, other in pairwise(cuts))
    for part in cuts:
        inside = members(waiting, part)
        assert (part.files, part.size) == (len(inside), sum(size for _, size in inside))


@given(SIZES, *LIMITS)
def test_no_batch_passes_a_limit_but_one_of_a_single_file(sizes, max_files, max_bytes):
    for part in cut(numbered(sizes), max_files, max_bytes):
        assert part.files <= max_files
        assert part.size <= max_bytes or part.files == 1


@given(SIZES, *LIMITS)
def test_no_batch_could_have_taken_the_first_file_of_the_next_one(sizes, max_files, max_bytes):
    waiting = numbered(sizes)
    for one, other in pairwise(cut(waiting, max_files, max_bytes)):
        next_size = members(waiting, other)[0][1]
        assert one.files == max_files or one.size + next_size > max_bytes


def test_a_file_larger_than_a_batch_stands_alone_and_its_neighbours_share():
    cuts = list(cut([(1, 10), (2, 10), (3, 999), (4, 10), (5, 10)], 100, 25))
    assert cuts == [Cut(1, 2, 2, 20), Cut(3, 3, 1, 999), Cut(4, 5, 2, 20)]


def test_nothing_that_waits_is_no_batch():
    assert list(cut([], 10, 10)) == []


def test_batches_are_cut_as_the_stream_comes_without_holding_it():
    endless = ((file_id, 1) for file_id in iter(int, 1))
    assert len(list(islice(cut(endless, 3, 100), 5))) == 5


@given(st.lists(st.integers(0, 9), min_size=2, max_size=40))
def test_halves_hold_every_file_once_and_differ_by_at_most_one(sizes):
    waiting = numbered(sizes)
    left, right = halves(waiting)
    assert members(waiting, left) + members(waiting, right) == waiting
    assert abs(left.files - right.files) <= 1
    assert min(left.files, right.files) >= 1
    assert left.size + right.size == sum(sizes)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=10))
def test_the_whole_is_all_of_it(sizes):
    waiting = numbered(sizes)
    assert whole(waiting) == Cut(waiting[0][0], waiting[-1][0], len(waiting), sum(sizes))
