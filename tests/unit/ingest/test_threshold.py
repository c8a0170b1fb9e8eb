from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.ingest.threshold import over_threshold


@pytest.mark.parametrize(
    ("rejected", "records", "allowed", "over"),
    [
        (0, 0, "0", False),
        (1, 1, "0", True),
        (10, 1000, "10", False),
        (11, 1000, "10", True),
        (0, 0, "0%", False),
        (1, 10**9, "0%", True),
        (5, 100, "5%", False),
        (6, 100, "5%", True),
        (5, 100, "5 %", False),
        (100, 100, "100%", False),
        (36575, 87500, "41.8%", False),  # exactly the allowed share; as a float it is a little less
        (36576, 87500, "41.8%", True),
    ],
)
def test_the_threshold_is_passed_only_above_it(rejected, records, allowed, over):
    assert over_threshold(rejected, records, allowed) is over


@given(st.integers(0, 10**9), st.integers(1, 10**9), st.decimals(0, 100, places=2))
def test_a_percentage_is_exact(rejected, records, percent):
    exact = Fraction(rejected, records) > Fraction(percent) / 100
    assert over_threshold(rejected, records, f"{percent}%") is exact
