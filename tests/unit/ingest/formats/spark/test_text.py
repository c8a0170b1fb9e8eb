"""Spark SQL text that holds up however many columns there are."""

from __future__ import annotations

from app.ingest.formats.spark.text import summed


def nested(text: str) -> int:
    depth = deepest = 0
    for one in text:
        depth += {"(": 1, ")": -1}.get(one, 0)
        deepest = max(deepest, depth)
    return deepest


def test_a_sum_of_many_terms_is_nested_no_deeper_than_halves_are() -> None:
    text = summed([str(term) for term in range(1_000)])
    assert nested(text) == 10
    assert eval(text) == sum(range(1_000))  # noqa: S307 - digits, sums and parentheses


def test_sums_of_one_term_and_of_none_are_values() -> None:
    assert summed(["1"]) == "1"
    assert summed([]) == "0"
