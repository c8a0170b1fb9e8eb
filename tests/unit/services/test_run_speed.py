"""How long the next run would take, told by the past ones."""

from __future__ import annotations

import pytest

from app.services.run_speed import duration

MB = 1_000_000


def run(*, seconds: float, size: int, batches: int = 1, listed: int = 0, discover: float = 0.0) -> dict[str, object]:
    return {
        "seconds": {"discover": discover, "load": seconds},
        "discovered": {"listed": listed},
        "loaded_bytes": size,
        "batches": batches,
    }


def test_where_nothing_was_loaded_nobody_knows():
    assert duration([], listed=5, batches=1, size=MB) is None
    assert duration([run(seconds=1.0, size=0), {}], listed=5, batches=1, size=MB) is None


def test_a_batch_costs_by_itself_and_by_its_bytes():
    past = [run(seconds=4.0, size=10 * MB), run(seconds=13.0, size=100 * MB), run(seconds=33.0, size=300 * MB)]

    assert duration(past, listed=0, batches=1, size=50 * MB) == pytest.approx(8.0)
    assert duration(past, listed=0, batches=4, size=200 * MB) == pytest.approx(32.0)


def test_a_small_batch_is_not_told_by_the_bytes_of_large_ones():
    past = [run(seconds=3.1, size=1000), run(seconds=60.0, size=1000 * MB)]

    assert duration(past, listed=0, batches=1, size=2000) == pytest.approx(3.1, rel=0.01)


def test_runs_that_are_nearly_alike_tell_nothing_by_their_difference():
    past = [run(seconds=2.0, size=20 * MB), run(seconds=1.9, size=21 * MB)]

    assert duration(past, listed=0, batches=1, size=2000 * MB) == pytest.approx(190, rel=0.05)
    assert duration(past, listed=0, batches=1, size=20 * MB) == pytest.approx(1.9, rel=0.05)


def test_small_alike_runs_on_a_cluster_do_not_make_weeks_of_a_large_one():
    past = [run(seconds=3.1, size=1000), run(seconds=3.0, size=1000)]

    assert duration(past, listed=0, batches=1, size=2000) == pytest.approx(3.05, rel=0.01)
    assert duration(past, listed=0, batches=1, size=1000 * MB) == pytest.approx(203, rel=0.01)


def test_more_bytes_than_ever_take_longer():
    past = [run(seconds=9.0, size=10 * MB), run(seconds=3.0, size=100 * MB)]

    told = [duration(past, listed=0, batches=1, size=size * MB) for size in (10, 100, 1000)]
    assert told == [pytest.approx(3.6), pytest.approx(3.6), pytest.approx(3.6 + 27.0)]


def test_alike_runs_tell_by_the_byte():
    past = [run(seconds=2.0, size=20 * MB), run(seconds=2.0, size=20 * MB)]

    assert duration(past, listed=0, batches=1, size=40 * MB) == pytest.approx(4.0)
    assert duration(past[:1], listed=0, batches=1, size=40 * MB) == pytest.approx(4.0)


@pytest.mark.parametrize(
    ("past", "expected"),
    [
        ([run(seconds=1.0, size=10 * MB), run(seconds=30.0, size=100 * MB)], 0.0),  # grows more than the bytes
        ([run(seconds=9.0, size=10 * MB), run(seconds=3.0, size=100 * MB)], 3.6),  # falls with them
    ],
)
def test_no_cost_is_below_nothing(past, expected):
    told = duration(past, listed=0, batches=1, size=1)

    assert told == pytest.approx(expected, abs=0.001)


def test_listing_is_counted_by_objects():
    past = [run(seconds=1.0, size=MB, listed=1000, discover=2.0), run(seconds=1.0, size=0, listed=3000, discover=2.0)]

    assert duration(past, listed=500, batches=0, size=0) == pytest.approx(0.5)
